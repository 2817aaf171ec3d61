import random

import pytest

from functions.stream.reconnecting import LONGEST_RETRY_MILLISECONDS, RETRY_MILLISECONDS, retry_milliseconds


@pytest.mark.parametrize(
    ("quiet_seconds", "longest"), [(0, 1000), (5, 1000), (24, 2000), (36, 3000), (60, 5000), (1e9, 5000)]
)
def test_the_wait_grows_while_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, quiet_seconds: float, longest: int
) -> None:
    """From a second to five, of which the last half is left to chance."""
    monkeypatch.setattr(random, "uniform", lambda _, most: most)
    assert retry_milliseconds(quiet_seconds) == longest
    monkeypatch.setattr(random, "uniform", lambda least, _: least)
    assert retry_milliseconds(quiet_seconds) == max(RETRY_MILLISECONDS, longest // 2)


def test_watchers_of_the_same_moment_come_back_at_different_ones() -> None:
    """Or a restart would be followed by all of them at once, for ever."""
    waits = {retry_milliseconds(60) for _ in range(100)}
    assert len(waits) > 50
    assert LONGEST_RETRY_MILLISECONDS / 2 <= min(waits) <= max(waits) <= LONGEST_RETRY_MILLISECONDS
