from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice import settings
from sluice.hashing import (
    CONTRADICTIONS,
    DEADLINE_MARGIN_SECONDS,
    LEAST_CHECKPOINT_SECONDS,
    Options,
    Reason,
    checkpoint_seconds,
)
from sluice.settings import SettingError

MOST = settings.CHECKPOINT_SECONDS.read({})


@given(st.floats(0, 1e6))
def test_a_checkpoint_is_never_more_than_a_second_away(elapsed: float) -> None:
    """At most one write each tenth of a second, at least one each second, however long the job."""
    assert LEAST_CHECKPOINT_SECONDS <= checkpoint_seconds(elapsed, MOST) <= MOST == 1.0


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_checkpoints_only_grow_apart(one: float, other: float) -> None:
    """A job writes less often the longer it runs."""
    assert checkpoint_seconds(min(one, other), MOST) <= checkpoint_seconds(max(one, other), MOST)


def test_checkpoints_can_be_as_close_as_one_likes() -> None:
    """A setting below the least interval is kept as well."""
    assert checkpoint_seconds(1000.0, 0.01) == checkpoint_seconds(0.0, 0.01) == 0.01


def test_a_job_of_a_second_shows_five_steps() -> None:
    """Who watches the hashing of a few hundred MB sees it move."""
    moment, steps = 0.0, []
    while moment < 1.0:
        moment += checkpoint_seconds(moment, MOST)
        steps.append(moment)
    assert len(steps) >= 5
    assert all(earlier < later for earlier, later in pairwise(steps))


def test_a_lease_outlasts_many_checkpoints() -> None:
    """A living job renews its lease long before another may take over, and stops in time for its last checkpoint."""
    assert settings.LEASE_SECONDS.read({}) >= 10 * MOST
    assert DEADLINE_MARGIN_SECONDS > 5 * MOST


def test_reasons_are_codes() -> None:
    """A reason is a stable snake-case code, for programs as for people."""
    assert all(reason.replace("_", "").islower() for reason in Reason)
    assert {str(reason) for reason in CONTRADICTIONS} == {"size_mismatch", "digest_mismatch", "checksum_mismatch"}


def test_options_are_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by its variable."""
    values = {
        "HASH_DIGESTS": "SHA-256, crc32",
        "READ_PART_BYTES": "1048576",
        "READ_CONNECTIONS": "2",
        "CHECKPOINT_SECONDS": "0.5",
        "SLICE_SECONDS": "30",
        "LEASE_SECONDS": "5",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert Options.read() == Options(
        digests=("sha-256", "crc32"),
        part_bytes=1048576,
        connections=2,
        checkpoint_seconds=0.5,
        slice_seconds=30.0,
        lease_seconds=5,
    )


@pytest.mark.parametrize("digests", ["md5", "sha-256,sha-3", "sha-256,", "sha256"])
def test_digests_that_cannot_be_are_named(monkeypatch: pytest.MonkeyPatch, digests: str) -> None:
    """And sha-256 is always among them: downloads are checked by it."""
    monkeypatch.setenv("HASH_DIGESTS", digests)
    with pytest.raises(SettingError, match=r"HASH_DIGESTS: of .*sha-512.*; and sha-256 among them"):
        Options.read()


def test_a_lease_must_outlast_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or every living job would be taken for dead."""
    monkeypatch.setenv("CHECKPOINT_SECONDS", "60")
    with pytest.raises(SettingError, match="LEASE_SECONDS"):
        Options.read()
