"""The emulator, or the reason why it is not here."""

import os

import pytest

from tests.rie.emulator import NotHere, binary

# Set where the emulator has to be there (continuous integration): what is missing is then a failure.
REQUIRED = "SLUICE_REQUIRE_RIE"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True, scope="session")
def _emulator() -> None:
    try:
        binary()
    except NotHere as missing:
        reason = f"the Runtime Interface Emulator cannot run here: {missing}"
        if os.environ.get(REQUIRED):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
