import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.limits import MAX_OBJECT_BYTES, MIB
from sluice.objects import Objects, Version
from sluice.reader import PART_BYTES, Patience, parts, read
from tests.unit.core.records import client

OBJECTS = Objects(client("s3"), "the-bucket")


@given(start=st.integers(0, 500), length=st.integers(0, 500), part_bytes=st.integers(1, 90))
def test_the_parts_are_the_range(start: int, length: int, part_bytes: int) -> None:
    """Without a gap and in order, none empty, and all but the last of the same size."""
    made = list(parts(start, start + length, part_bytes))
    assert [at for part in made for at in range(*part)] == list(range(start, start + length))
    assert all(stop - at == part_bytes for at, stop in made[:-1])
    assert all(0 < stop - at <= part_bytes for at, stop in made[-1:])


@given(
    start=st.integers(0, MAX_OBJECT_BYTES - 1),
    part_bytes=st.integers(1, 64 * MIB),
    number=st.integers(0, 50),
)
def test_the_largest_object_has_parts_as_well(start: int, part_bytes: int, number: int) -> None:
    """Each is made when it is asked for: at 8 MiB they would be six million."""
    made = parts(start, MAX_OBJECT_BYTES, part_bytes)
    for _ in range(number):
        next(made, None)
    at = start + number * part_bytes
    expected = (at, min(at + part_bytes, MAX_OBJECT_BYTES)) if at < MAX_OBJECT_BYTES else None
    assert next(made, None) == expected


def test_nothing_is_read_where_there_is_nothing() -> None:
    """An empty object and an empty range have no buffers, and S3 is not asked."""
    for size, start in ((0, 0), (PART_BYTES, PART_BYTES)):
        for connections in (1, 4):
            with read(OBJECTS, Version("k", "e", size, None), start, connections=connections) as buffers:
                assert list(buffers) == []
                assert buffers.retries == 0


@pytest.mark.parametrize("wrong", [{"part_bytes": 0}, {"connections": 0}])
def test_no_part_and_no_connection_are_refused(wrong: dict[str, int]) -> None:
    """Rather than read nothing."""
    with pytest.raises(ValueError, match=r"zero|greater than 0"), read(OBJECTS, Version("k", "e", 1, None), **wrong):  # type: ignore[arg-type]  # which of the two cannot be told
        pass


@given(
    attempt=st.integers(1, 500),
    first=st.floats(0.001, 10),
    longest=st.floats(0.001, 100),
)
def test_pauses_grow_up_to_the_longest(attempt: int, first: float, longest: float) -> None:
    """Each is anywhere between nothing and its limit, which doubles: many readers do not return at once."""
    patience = Patience(first_pause_seconds=first, longest_pause_seconds=longest)
    assert 0 <= patience.pause(attempt) <= min(first * 2 ** (attempt - 1), longest)


def test_pauses_differ() -> None:
    """Full jitter: two readers that failed together do not come back together."""
    assert len({Patience().pause(5) for _ in range(20)}) > 1
