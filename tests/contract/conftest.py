from tests.integration.conftest import stack

__all__ = ["stack"]
