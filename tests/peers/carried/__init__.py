"""A pytest plugin: requests of Starlette's test client are carried by the streaming runtime."""
