import io
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice import zips
from sluice.limits import GIB
from sluice.zips import Entry, Layout, Slice

NOON = 1_764_417_600  # 2025-11-29 12:00 UTC

bodies = st.binary(max_size=300)
characters = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\")
filenames = st.text(characters, min_size=1, max_size=12)
folders = st.none() | st.lists(filenames, max_size=3).map("/".join)
moments = st.integers(-(1 << 40), 1 << 40)
Told = tuple[str | None, str, bytes, int]
files = st.lists(st.tuples(folders, filenames, bodies, moments), max_size=8)


def entry(path: str, body: bytes, modified: int = NOON) -> Entry:
    return Entry(path, len(body), modified, zlib.crc32(body), f"etag-{zlib.crc32(body)}")


def archive(told: Sequence[Told]) -> tuple[Layout, list[Entry], list[bytes]]:
    names = zips.paths((folder, name) for folder, name, _, _ in told)
    entries = [entry(path, body, moment) for path, (_, _, body, moment) in zip(names, told, strict=True)]
    return Layout(entries), entries, [body for _, _, body, _ in told]


def put_together(pieces: Iterator[bytes | Slice], data: Sequence[bytes]) -> bytes:
    return b"".join(p if isinstance(p, bytes) else data[p.index][p.start : p.stop] for p in pieces)


@given(files, st.data())
def test_any_range_is_that_part_of_the_archive(told: list[Told], data: st.DataObject) -> None:
    """Whichever bytes are asked for, the pieces are those bytes of the whole."""
    layout, _, contents = archive(told)
    whole = put_together(layout.pieces(0, layout.size), contents)
    assert len(whole) == layout.size
    start = data.draw(st.integers(0, layout.size))
    stop = data.draw(st.integers(start, layout.size))
    pieces = list(layout.pieces(start, stop))
    assert put_together(iter(pieces), contents) == whole[start:stop]
    assert all(piece if isinstance(piece, bytes) else piece.start < piece.stop for piece in pieces)
    assert list(layout.slices(start, stop)) == [piece for piece in pieces if isinstance(piece, Slice)]


def test_every_byte_of_every_header_can_begin_a_range() -> None:
    """A range may begin and end anywhere, within a header too."""
    layout, _, contents = archive([("a", "ä", b"12345", NOON), (None, "empty", b"", NOON), ("b", "c", b"6", 0)])
    whole = put_together(layout.pieces(0, layout.size), contents)
    for start in range(layout.size):
        assert put_together(layout.pieces(start, layout.size), contents) == whole[start:]
        assert put_together(layout.pieces(start, start + 1), contents) == whole[start : start + 1]
        assert put_together(layout.pieces(0, start), contents) == whole[:start]


@given(files)
def test_zipfile_reads_it(told: list[Told]) -> None:
    """Names, bytes, CRCs and times are as they were given to another reader of ZIP files."""
    layout, entries, contents = archive(told)
    with zipfile.ZipFile(io.BytesIO(put_together(layout.pieces(0, layout.size), contents))) as read:
        assert read.testzip() is None
        assert [info.orig_filename for info in read.infolist()] == [one.path for one in entries]
        assert [read.read(info) for info in read.infolist()] == contents
        for info, one in zip(read.infolist(), entries, strict=True):
            assert (info.file_size, info.compress_type, info.flag_bits) == (one.size, zipfile.ZIP_STORED, 1 << 11)
            assert 1980 <= info.date_time[0] <= 2107
            assert info.extract_version == 20


def test_times_are_in_utc_and_of_a_second() -> None:
    """DOS has even seconds; the extended timestamp has all of them."""
    layout, _, contents = archive([(None, "a", b"x", NOON + 1)])
    with zipfile.ZipFile(io.BytesIO(put_together(layout.pieces(0, layout.size), contents))) as read:
        (info,) = read.infolist()
    assert info.date_time == (2025, 11, 29, 12, 0, 0)
    assert struct.unpack("<2HBi", info.extra) == (0x5455, 5, 1, NOON + 1)


@pytest.mark.parametrize(
    ("moment", "shown"),
    [(0, (1980, 1, 1, 0, 0, 0)), (-1 << 40, (1980, 1, 1, 0, 0, 0)), (1 << 40, (2107, 12, 31, 23, 59, 58))],
)
def test_times_that_dos_cannot_write_are_the_nearest(moment: int, shown: tuple[int, ...]) -> None:
    """What is before 1980 or after 2107 is no reason to have no archive."""
    layout, _, contents = archive([(None, "a", b"x", moment)])
    with zipfile.ZipFile(io.BytesIO(put_together(layout.pieces(0, layout.size), contents))) as read:
        assert read.infolist()[0].date_time == shown


def test_an_empty_archive_is_one() -> None:
    """No files make 22 bytes, which every reader takes for an archive without files."""
    layout = Layout([])
    whole = put_together(layout.pieces(0, layout.size), [])
    assert len(whole) == layout.size == 22
    assert zipfile.ZipFile(io.BytesIO(whole)).namelist() == []


class Sparse(io.RawIOBase):
    """An archive of zeros larger than any memory, read like a file."""

    def __init__(self, layout: Layout) -> None:
        self._layout, self._at = layout, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._layout.size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        stop = self._layout.size if size < 0 else min(self._at + size, self._layout.size)
        pieces = self._layout.pieces(self._at, stop)
        data = b"".join(p if isinstance(p, bytes) else bytes(p.stop - p.start) for p in pieces)
        self._at = stop
        return data


def zeros(path: str, size: int) -> Entry:
    return Entry(path, size, NOON, zlib.crc32(bytes(size)) if size < 100 else 0, "zeros")


@pytest.mark.parametrize("size", [(1 << 32) - 2, (1 << 32) - 1, 1 << 32, 5 * GIB, 48 * 1024 * GIB])
def test_zip64_is_there_where_a_number_needs_it(size: int) -> None:
    """Around 4 GiB, and far beyond: sizes and offsets are right, and small files before and behind are plain."""
    layout = Layout([zeros("before", 10), zeros("large", size), zeros("behind", 10)])
    with zipfile.ZipFile(Sparse(layout)) as read:
        before, large, behind = read.infolist()
        assert [info.file_size for info in read.infolist()] == [10, size, 10]
        assert (before.extract_version, large.extract_version) == (20, 45 if size >= 0xFFFFFFFF else 20)
        with read.open(behind) as body:
            assert body.read(5) == bytes(5)
        with read.open(large) as body:
            assert body.read(5) == bytes(5)
    assert layout.body(1)[1] - layout.body(1)[0] == size


@pytest.mark.parametrize("count", [65_534, 65_535, 70_000])
def test_more_files_than_sixteen_bits_can_count(count: int) -> None:
    """Around 65,535 files, and more."""
    layout = Layout([zeros(f"{number}", 1) for number in range(count)])
    ends = b"".join(p for p in layout.pieces(layout.size - 98, layout.size) if isinstance(p, bytes))
    assert (b"PK\x06\x06" in ends) == (count >= 0xFFFF)
    with zipfile.ZipFile(Sparse(layout)) as read:
        assert len(read.infolist()) == count
        assert read.infolist()[-1].filename == f"{count - 1}"


def test_the_etag_is_of_the_bytes() -> None:
    """It changes with a path, a time, a size, an identity and the order; not with a CRC that is known later."""
    one, other = entry("a", b"1"), entry("b", b"2")
    etags = {
        Layout(entries).etag
        for entries in (
            [one, other],
            [other, one],
            [one],
            [],
            [one, entry("c", b"2")],
            [one, entry("b", b"2", NOON + 2)],
            [one, entry("b", b"3")],
        )
    }
    assert len(etags) == 7
    assert Layout([Entry("a", 1, NOON, 0, one.identity)]).etag == Layout([one]).etag


@given(st.lists(st.tuples(folders, filenames)))
@settings(max_examples=300)
def test_paths_are_unique_to_every_file_system(named: list[tuple[str | None, str]]) -> None:
    """Whatever the names: relative, not upwards, and unlike each other in whatever case and form."""
    found = zips.paths(named)
    assert len(found) == len(named)
    folded = [unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold()) for path in found]
    assert len({*folded}) == len(found)
    for path in found:
        parts = path.split("/")
        assert not {"", ".", ".."} & {*parts}
        assert "\\" not in path
    above = {str(parent) for path in folded for parent in PurePosixPath(path).parents}
    assert not above & {*folded}


@pytest.mark.parametrize(
    ("named", "paths"),
    [
        ([(None, "a.txt"), (None, "a.txt"), (None, "a.txt")], ["a.txt", "a (2).txt", "a (3).txt"]),
        ([(None, "a.txt"), (None, "a (2).txt"), (None, "a.txt")], ["a.txt", "a (2).txt", "a (3).txt"]),
        ([(None, "A.txt"), (None, "a.TXT")], ["A.txt", "a (2).TXT"]),
        ([(None, "\u00e4"), (None, "a\u0308")], ["\u00e4", "a\u0308 (2)"]),
        ([(None, "stra\u00dfe"), (None, "STRASSE")], ["stra\u00dfe", "STRASSE (2)"]),
        ([("x", "a"), ("X", "A")], ["x/a", "X/A (2)"]),
        ([("x", "a"), ("y", "a")], ["x/a", "y/a"]),
        ([(None, "x"), ("x", "a")], ["x (2)", "x/a"]),
        ([("a/b", "c"), ("a", "B")], ["a/b/c", "a/B (2)"]),
        ([(None, ".bashrc"), (None, ".bashrc")], [".bashrc", ".bashrc (2)"]),
        ([(None, "a. "), (None, "a")], ["a. ", "a (2)"]),
        ([(None, "con.txt"), (None, "\U0001f3d4\ufe0f.jpg")], ["con.txt", "\U0001f3d4\ufe0f.jpg"]),
        ([("../..//etc/./", "passwd"), ("/root", ".."), ("C:\\x", "C:y")], ["etc/passwd", "root/_", "C_/x/C_y"]),
        ([(None, "\U0001f3d4" * 255), (None, "\U0001f3d4" * 255)], ["\U0001f3d4" * 255, "\U0001f3d4" * 251 + " (2)"]),
    ],
)
def test_names(named: list[tuple[str | None, str]], paths: list[str]) -> None:
    """Equal names are told apart, and each stays as it is otherwise."""
    assert zips.paths(named) == paths


def test_a_hundred_thousand_equal_names_take_a_moment() -> None:
    """Telling them apart takes steps in proportion to their number."""
    found = zips.paths([("folder", "image.jpg")] * 100_000)
    assert found[-1] == "folder/image (100000).jpg"
