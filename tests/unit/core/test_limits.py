from hypothesis import example, given
from hypothesis import strategies as st

from sluice.limits import (
    DEFAULT_PART_BYTES,
    GIB,
    LIST_PARTS_PAGE,
    MAX_OBJECT_BYTES,
    MAX_PART_BYTES,
    MAX_PARTS,
    MAX_PARTS_PER_ANSWER,
    MIB,
    MIN_PART_BYTES,
    USUAL_PART_BYTES,
    USUAL_PARTS,
    part_count,
    part_size,
)

SIZES = st.integers(0, MAX_OBJECT_BYTES)


@given(SIZES)
@example(0)
@example(1)
@example(MIN_PART_BYTES)
@example(DEFAULT_PART_BYTES)
@example(DEFAULT_PART_BYTES + 1)
@example(MAX_PARTS * DEFAULT_PART_BYTES)
@example(MAX_PARTS * DEFAULT_PART_BYTES + 1)
@example(MAX_OBJECT_BYTES - 1)
@example(MAX_OBJECT_BYTES)
def test_parts_hold_any_file_within_the_limits_of_s3(size: int) -> None:
    """From 0 bytes to 48.8 TiB: at most 10,000 parts of 5 MiB to 5 GiB, the last not empty, that sum to the size."""
    each = part_size(size)
    count = part_count(size, each)
    last = size - (count - 1) * each
    assert MIN_PART_BYTES <= each <= MAX_PART_BYTES
    assert 1 <= count <= MAX_PARTS
    assert 0 <= last <= each
    assert last > 0 or size == 0


@given(SIZES)
@example(USUAL_PARTS * DEFAULT_PART_BYTES + 1)
@example(USUAL_PARTS * USUAL_PART_BYTES)
@example(MAX_PARTS * USUAL_PART_BYTES + 1)
def test_part_sizes_are_whole_mebibytes_and_no_larger_than_needed(size: int) -> None:
    """One MiB less would be below the default, or more than 1,000 parts where they are small, or more than 10,000."""
    each = part_size(size)
    assert each % MIB == 0
    less = each - MIB
    few = less * USUAL_PARTS >= size
    possible = less * MAX_PARTS >= size
    assert less < DEFAULT_PART_BYTES or not possible or (each <= USUAL_PART_BYTES and not few)


@given(st.integers(0, USUAL_PARTS * USUAL_PART_BYTES))
@example(USUAL_PARTS * USUAL_PART_BYTES)
def test_most_files_need_few_requests(size: int) -> None:
    """Up to 62.5 GiB one call gives all the URLs and one list all the parts, and up to 8 MiB there is one part."""
    count = part_count(size, part_size(size))
    assert count <= USUAL_PARTS <= min(MAX_PARTS_PER_ANSWER, LIST_PARTS_PAGE)
    assert count == 1 or size > DEFAULT_PART_BYTES


@given(SIZES)
@example(USUAL_PARTS * DEFAULT_PART_BYTES + 1)
def test_little_is_sent_again(size: int) -> None:
    """A part that breaks off is 8 MiB, or a thousandth of the file (and 1 MiB to round up), or 64 MiB if that is less.

    Beyond 625 GiB it is a ten-thousandth, as S3 takes no more parts.
    """
    each = part_size(size)
    usual = max(DEFAULT_PART_BYTES, min(size // USUAL_PARTS + MIB, USUAL_PART_BYTES))
    assert each <= max(usual, size // MAX_PARTS + MIB)


@given(SIZES, SIZES)
def test_a_larger_file_never_has_smaller_parts(one: int, other: int) -> None:
    """The part size grows with the size."""
    assert part_size(min(one, other)) <= part_size(max(one, other))


@given(SIZES, st.integers(1, MAX_PART_BYTES))
def test_part_count_is_the_least_that_holds_the_file(size: int, each: int) -> None:
    """One part less would not hold it; an empty file has one, empty."""
    count = part_count(size, each)
    assert count * each >= size
    assert count == 1 or (count - 1) * each < size


def test_limits_are_those_that_s3_documents() -> None:
    """48.8 TiB are 10,000 parts of 5 GiB, and one of our answers is one page of S3's list."""
    assert MAX_OBJECT_BYTES == 50_000 * GIB
    assert round(MAX_OBJECT_BYTES / 1024**4, 1) == 48.8
    assert part_count(MAX_OBJECT_BYTES, part_size(MAX_OBJECT_BYTES)) == MAX_PARTS
    assert MAX_PARTS_PER_ANSWER <= LIST_PARTS_PAGE
