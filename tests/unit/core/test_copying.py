from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice import copying
from sluice.copying import ARCHIVE, Copied, Sent, Target, plan, size
from sluice.limits import GIB, KIB, MAX_PART_BYTES, MAX_PARTS, MIB, MIN_PART_BYTES
from sluice.zips import Entry, Layout

sizes = st.lists(
    st.integers(0, 100)
    | st.integers(MIN_PART_BYTES - 200, MIN_PART_BYTES + 200)
    | st.integers(2 * MIN_PART_BYTES - 200, 2 * MIN_PART_BYTES + 200)
    | st.integers(0, 30 * MIB)
    | st.integers(0, 20 * GIB),
    max_size=30,
)


def layout_of(sizes: Sequence[int]) -> Layout:
    return Layout([Entry(f"folder/{number:06}.bin", size, 0, 0, "") for number, size in enumerate(sizes)])


def covered(layout: Layout, targets: Sequence[Target]) -> list[tuple[int, int]]:
    """Which bytes of the archive each part of the first level is, in the order of the archive."""
    first = targets if len(targets) == 1 else targets[:-1]
    found = []
    for target in first:
        for part in target.parts:
            if isinstance(part, Copied):
                assert isinstance(part.source, int)
                begin, end = layout.body(part.source)
                assert 0 <= part.start < part.stop <= end - begin
                found.append((begin + part.start, begin + part.stop))
            else:
                found.append((part.start, part.stop))
    return found


def check(layout: Layout, targets: Sequence[Target]) -> None:
    """S3 takes the parts, and together they are the archive."""
    position = 0
    for start, stop in covered(layout, targets):
        assert start == position
        position = stop
    assert position == layout.size
    for target in targets:
        assert 1 <= len(target.parts) <= MAX_PARTS
        assert sum(map(size, target.parts)) == target.size
        assert all(MIN_PART_BYTES <= size(part) <= MAX_PART_BYTES for part in target.parts[:-1])
        assert 0 < size(target.parts[-1]) <= MAX_PART_BYTES
        # What is sent lies in memory.
        assert all(size(part) < 2 * copying.SENT_BYTES for part in target.parts if isinstance(part, Sent))
    assert (targets[-1].name, targets[-1].size) == (ARCHIVE, layout.size)
    assert len({target.name for target in targets}) == len(targets)
    if len(targets) > 1:
        joined = [(part.source, part.start, part.stop) for part in targets[-1].parts if isinstance(part, Copied)]
        assert len(joined) == len(targets[-1].parts)
        for target in targets[:-1]:
            position = 0
            for start, stop in [(start, stop) for source, start, stop in joined if source == target.name]:
                assert start == position
                position = stop
            assert position == target.size


@given(sizes)
@settings(max_examples=300)
def test_any_files_make_parts_that_s3_takes(sizes: list[int]) -> None:
    """Each part but the last has 5 MiB to 5 GiB, and all of them are the archive, byte by byte."""
    layout = layout_of(sizes)
    check(layout, plan(layout, len(sizes)))


@pytest.mark.thorough
@given(st.integers(9 * MIB, 11 * MIB), st.integers(10_000, 30_000))
@settings(max_examples=10)
def test_more_parts_than_an_upload_has_make_two_levels(size: int, count: int) -> None:
    """Objects of 10,000 parts each, and one of those."""
    layout = layout_of([size] * count)
    targets = plan(layout, count)
    check(layout, targets)
    assert len(targets) > 1


@given(sizes)
def test_little_passes_through_the_function(sizes: list[int]) -> None:
    """Of each file at most 10 MiB, and the headers."""
    layout = layout_of(sizes)
    sent = sum(size(part) for target in plan(layout, len(sizes)) for part in target.parts if isinstance(part, Sent))
    headers = layout.size - sum(sizes)
    assert sent <= headers + sum(min(one, 2 * MIN_PART_BYTES) for one in sizes)


def figures(layout: Layout, count: int) -> tuple[int, int, int]:
    """Targets, requests with a part, and bytes that are sent."""
    targets = plan(layout, count)
    check(layout, targets)
    parts = [part for target in targets for part in target.parts]
    return len(targets), len(parts), sum(size(part) for part in parts if isinstance(part, Sent))


@pytest.mark.parametrize(
    ("files", "size", "targets", "parts", "sent"),
    [
        (40, 7_500_000, 1, 41, 150_005_142),
        (4_000, 250_000_000, 1, 8_001, 20_971_855_882),
        (9_000, 250_000_000, 3, 18_421, 47_186_675_882),
        pytest.param(100_000, 20_000_000, 22, 200_382, 524_296_397_518, marks=pytest.mark.thorough),
        (1_000, 40 * KIB, 1, 4, 41_088_022),
        (1, 48 * 1024 * GIB, 1, 9_833, 5_243_070),
        (100, 400 * GIB, 1, 8_101, 524_298_090),
    ],
)
def test_the_figures_of_some_archives(files: int, size: int, targets: int, parts: int, sent: int) -> None:
    """What docs/limits.md and docs/cost.md say: of 1 TB in 4,000 files 2 % pass through the function."""
    assert figures(layout_of([size] * files), files) == (targets, parts, sent)
