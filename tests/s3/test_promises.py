"""The table of promises, whatever servers are here."""

import pytest

from tests.s3.promises import LACKING
from tests.s3.servers import SERVERS


@pytest.mark.parametrize("promise", LACKING)
def test_each_promise_is_kept_somewhere(promise: str) -> None:
    """A promise that no server keeps would be one that nobody has tested."""
    assert set(LACKING[promise]) < set(SERVERS)
