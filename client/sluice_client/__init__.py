"""The `sluice` command. It speaks the HTTP contract (docs/api.md) alone and imports nothing of the server."""
