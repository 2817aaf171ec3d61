import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.api.parts import part_bytes, part_numbers
from sluice.errors import InvalidPartNumber
from sluice.files import File, Mode
from sluice.limits import MAX_OBJECT_BYTES, MAX_PARTS_PER_ANSWER, part_count, part_size
from tests.unit.core.records import a_file

SIZES = st.integers(0, MAX_OBJECT_BYTES)


def sized(size: int) -> File:
    return a_file(size=size, mode=Mode.MULTIPART, part_size=part_size(size))


@given(st.integers(0, 200), st.integers(1, 50))
def test_the_parts_sum_to_the_file(size: int, each: int) -> None:
    """Counted one by one, all parts are equal but the last, and together they are the file."""
    file = a_file(size=size, part_size=each)
    sizes = [part_bytes(file, number) for number in range(1, file.part_count + 1)]
    assert sum(sizes) == size
    assert all(one == each for one in sizes[:-1])
    assert sizes[-1] > 0 or size == 0


@given(SIZES)
@example(MAX_OBJECT_BYTES)
def test_the_last_part_is_the_rest(size: int) -> None:
    """For any size up to 48.8 TiB, without counting."""
    file = sized(size)
    count = part_count(size, file.part_size)
    assert (count - 1) * file.part_size + part_bytes(file, count) == size


@given(SIZES, st.integers(1, 20_000))
def test_a_part_that_the_file_does_not_have_is_of_no_bytes(size: int, beyond: int) -> None:
    """So nothing that arrives under such a number can ever be of the right size."""
    file = sized(size)
    assert part_bytes(file, file.part_count + beyond) == 0


@given(st.sets(st.integers(1, 3000), min_size=1, max_size=300), st.randoms())
def test_any_way_to_write_numbers_is_read(numbers: set[int], random: object) -> None:
    """Singles and ranges in any order, overlapping, with spaces, give each number once, ascending."""
    assert hasattr(random, "shuffle")
    items = [f"{number}" for number in numbers]
    items += [f" {number}-{number + 1} " for number in numbers if number + 1 in numbers]
    random.shuffle(items)
    assert part_numbers(",".join(items), 3000) == sorted(numbers)


def test_ranges_are_inclusive() -> None:
    """As the contract's example has it."""
    assert part_numbers("1-3,7", 10) == [1, 2, 3, 7]
    assert part_numbers("1-1000", 10_000) == list(range(1, 1001))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "1,",
        "0",
        "10001",
        "-1",
        "1-",
        "3-1",
        "1-2-3",
        "a",
        "1.0",
        "+1",
        "1;2",
        "\uff11",
        "1" * 5000,
        "0-1",
        "10-10001",
    ],
)
def test_what_is_no_list_of_this_files_parts_is_refused(text: str) -> None:
    """0, 10,001, backwards, foreign digits: a problem that names the item, and never a long one."""
    with pytest.raises(InvalidPartNumber) as raised:
        part_numbers(text, 10_000)
    assert len(raised.value.detail) < 200


def test_no_part_beyond_the_files_own_is_signed() -> None:
    """A file of three parts has no fourth."""
    with pytest.raises(InvalidPartNumber) as raised:
        part_numbers("2-4", 3)
    assert raised.value.extra == {"part_count": 3}


def test_at_most_a_thousand_are_signed_at_once() -> None:
    """1,000 different ones, however they are written: a Lambda response holds no more URLs."""
    assert len(part_numbers("1-1000,1-1000", 10_000)) == MAX_PARTS_PER_ANSWER
    with pytest.raises(InvalidPartNumber, match="1000 parts can be signed at once"):
        part_numbers("1-1001", 10_000)


@given(st.text(max_size=60))
def test_any_text_is_numbers_or_a_problem(text: str) -> None:
    """Never a crash, and only numbers of the file."""
    try:
        numbers = part_numbers(text, 40)
    except InvalidPartNumber:
        return
    assert numbers == sorted(set(numbers))
    assert set(numbers) <= set(range(1, 41))
