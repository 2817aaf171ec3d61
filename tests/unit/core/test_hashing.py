from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sluice.hashing import (
    DEADLINE_MARGIN_SECONDS,
    LEASE_SECONDS,
    LEAST_CHECKPOINT_SECONDS,
    MOST_CHECKPOINT_SECONDS,
    Reason,
    checkpoint_seconds,
)


@given(st.floats(0, 1e6))
def test_a_checkpoint_is_never_more_than_a_second_away(elapsed: float) -> None:
    """At most one write each tenth of a second, at least one each second, however long the job."""
    assert LEAST_CHECKPOINT_SECONDS <= checkpoint_seconds(elapsed) <= MOST_CHECKPOINT_SECONDS == 1.0


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_checkpoints_only_grow_apart(one: float, other: float) -> None:
    """A job writes less often the longer it runs."""
    assert checkpoint_seconds(min(one, other)) <= checkpoint_seconds(max(one, other))


def test_a_job_of_a_second_shows_five_steps() -> None:
    """Who watches the hashing of a few hundred MB sees it move."""
    moment, steps = 0.0, []
    while moment < 1.0:
        moment += checkpoint_seconds(moment)
        steps.append(moment)
    assert len(steps) >= 5
    assert all(earlier < later for earlier, later in pairwise(steps))


def test_a_lease_outlasts_many_checkpoints() -> None:
    """A living job renews its lease long before another may take over, and gives up in time to write its verdict."""
    assert LEASE_SECONDS >= 10 * MOST_CHECKPOINT_SECONDS
    assert DEADLINE_MARGIN_SECONDS > 5 * MOST_CHECKPOINT_SECONDS


def test_reasons_are_codes() -> None:
    """A reason is a stable snake-case code, for programs as for people."""
    assert {str(reason) for reason in Reason} >= {"size_mismatch", "digest_mismatch", "object_missing", "out_of_time"}
    assert all(reason.replace("_", "").islower() for reason in Reason)
