"""What Sluice's functions share: one noun a module, no module imports a function."""

VERSION = "0.9.0"  # of the whole release: pyproject.toml has it as well, and `sluice doctor` compares the two
