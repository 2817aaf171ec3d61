"""How S3 puts an archive together of its files, so that almost no bytes pass through the function: by multipart copy.

S3 copies ranges of objects into parts of an upload, of 5 MiB to 5 GiB each; only the last part may be smaller. What
stands between two files has some hundred bytes and cannot be a part by itself. So a part that is sent begins with it
and goes on with the first bytes of the next file, until it has 5 MiB, and the rest of that file is copied. Small files
are sent whole. Where this makes more than 10,000 parts, the archive is made in two levels: each object of the first has
10,000 of them, and S3 copies those objects into the archive.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sluice.limits import MAX_PART_BYTES, MAX_PARTS, MIB, MIN_PART_BYTES
from sluice.zips import Layout

ARCHIVE = "archive.zip"  # the name of the last target
# What one request sends: as much as lies in memory for each of those that are under way.
SENT_BYTES = 8 * MIB
# What one request copies, where that makes few enough parts: many at once are faster than a few large ones, and less
# has to be copied again when one fails.
COPIED_BYTES = 512 * MIB


@dataclass(frozen=True, slots=True)
class Sent:
    """A part that passes through the function: the archive's bytes from `start` up to `stop` (exclusive)."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Copied:
    """A part that S3 copies: bytes of an entry, by its index, or of an earlier target, by its name."""

    source: int | str
    start: int
    stop: int


Part = Sent | Copied


@dataclass(frozen=True, slots=True)
class Target:
    """One object to make: its parts in order, the first being number 1."""

    name: str
    size: int
    parts: Sequence[Part]


def plan(layout: Layout, count: int) -> list[Target]:
    """The objects to make for the archive of `count` entries, in this order; the last one is the archive."""
    parts = _parts(layout, count, COPIED_BYTES)
    if len(parts) > MAX_PARTS:
        parts = _parts(layout, count, MAX_PART_BYTES)
    if len(parts) <= MAX_PARTS:
        return [Target(ARCHIVE, layout.size, parts)]
    targets = [
        Target(f"piece-{start // MAX_PARTS + 1}", sum(map(size, group)), group)
        for start in range(0, len(parts), MAX_PARTS)
        for group in (parts[start : start + MAX_PARTS],)
    ]
    joined = [part for one in targets for part in _copies(one.name, 0, one.size, MAX_PART_BYTES)]
    return [*targets, Target(ARCHIVE, layout.size, joined)]


def size(part: Part) -> int:
    return part.stop - part.start


def _parts(layout: Layout, count: int, most: int) -> list[Part]:
    """Parts of at most `most` bytes: as much as can be is copied, what lies between is sent."""
    parts: list[Part] = []
    sent = 0  # up to here the archive is in parts
    for index in range(count):
        start, stop = layout.body(index)
        copied = max(start, sent + MIN_PART_BYTES)
        if stop - copied >= MIN_PART_BYTES:
            parts += _sent(sent, copied)
            parts += _copies(index, copied - start, stop - start, most)
            sent = stop
    return [*parts, *_sent(sent, layout.size)]


def _sent(start: int, stop: int) -> Iterator[Sent]:
    for first, last in _cut(start, stop, max(1, (stop - start) // SENT_BYTES)):
        yield Sent(first, last)


def _copies(source: int | str, start: int, stop: int, most: int) -> Iterator[Copied]:
    for first, last in _cut(start, stop, -(-(stop - start) // most)):
        yield Copied(source, first, last)


def _cut(start: int, stop: int, pieces: int) -> Iterator[tuple[int, int]]:
    """Into so many pieces of the same size, or nearly so."""
    size = stop - start
    for number in range(pieces):
        yield start + size * number // pieces, start + size * (number + 1) // pieces
