"""What Sluice's functions share: one noun a module, no module imports a function."""
