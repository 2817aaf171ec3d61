"""A ZIP archive whose files are stored as they are, so that every byte of it is known before any file is read.

Nothing is compressed, and the size and the CRC-32 of each file are known. So the place of every byte follows from the
list of entries, as do the length and the ETag, and any range can be sent without what comes before it.

An archive has, for each entry, a local header and the bytes of the file. Then comes the central directory with another
header for each entry, and then the end, which says where the directory is. ZIP64's larger fields are there only where a
number needs them, because old programs do not know them. Other streams put the CRC into a data descriptor behind the
file; none is needed here.

The format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (6.3.10), the section is given where it counts.
"""

import re
import struct
import time
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate

from sluice.limits import MAX_FILENAME_CHARACTERS

LOCAL_HEADER = struct.Struct("<4s5H3I2H")  # 4.3.7
CENTRAL_HEADER = struct.Struct("<4s6H3I5H2I")  # 4.3.12
ZIP64_END = struct.Struct("<4sQ2H2I4Q")  # 4.3.14
ZIP64_LOCATOR = struct.Struct("<4sIQI")  # 4.3.15
END = struct.Struct("<4s4H2IH")  # 4.3.16
TIMESTAMP = struct.Struct("<2HBi")  # Info-ZIP's extra field "UT": seconds in UTC, where DOS has an unnamed local time

# What these fields hold at most; the greatest number itself means: look into the ZIP64 field (4.4.1.4).
MAX_16, MAX_32 = 0xFFFF, 0xFFFFFFFF
PLAIN, LARGE = 20, 45  # the version of the format that a reader needs (4.4.3.2)
MADE_ON_UNIX = 3 << 8  # 4.4.2: the attributes are those of Unix
UTF_8 = 1 << 11  # 4.4.4, bit 11: the name is UTF-8
STORED = 0  # 4.4.5
REGULAR_FILE = 0o100644 << 16  # for its owner to write, for all to read
# The moments that DOS can write, 4.4.6: from 1980 to the last even second of 2107, in epoch seconds.
DOS_FIRST, DOS_LAST = 315_532_800, 4_354_819_198
INT_32 = range(-(1 << 31), 1 << 31)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive. `identity` is what tells its bytes from all others, for the ETag."""

    path: str
    size: int
    modified: int  # epoch seconds
    crc32: int
    identity: str


@dataclass(frozen=True, slots=True)
class Slice:
    """The bytes from `start` up to `stop` (exclusive) of the entry at `index`."""

    index: int
    start: int
    stop: int


class Layout:
    """Where each byte of the archive of these entries comes from. The paths are those of `paths`."""

    size: int
    etag: str

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        names = [len(entry.path.encode()) for entry in entries]
        # Where each entry's local header begins, and behind them the directory; the same for the directory's headers.
        sizes = (
            LOCAL_HEADER.size + name + len(_local_extra(entry)) + entry.size
            for entry, name in zip(entries, names, strict=True)
        )
        self._starts = list(accumulate(sizes, initial=0))
        lengths = (
            CENTRAL_HEADER.size + name + len(_central_extra(entry, start))
            for entry, name, start in zip(entries, names, self._starts, strict=False)
        )
        self._headers = list(accumulate(lengths, initial=self._starts[-1]))
        self._end = self._end_of_directory()
        self.size = self._headers[-1] + len(self._end)
        self.etag = _etag(entries)

    def body(self, index: int) -> tuple[int, int]:
        """Where the bytes of an entry are: the first, and the one behind the last."""
        stop = self._starts[index + 1]
        return stop - self._entries[index].size, stop

    def pieces(self, start: int, stop: int) -> Iterator[bytes | Slice]:
        """The archive's bytes from `start` up to `stop` (exclusive): as they are, or where they come from."""
        for begin, piece in self._from(start):
            if begin >= stop:
                return
            size = len(piece) if isinstance(piece, bytes) else piece.stop
            first, last = max(start - begin, 0), min(stop - begin, size)
            if first >= last:
                continue
            yield piece[first:last] if isinstance(piece, bytes) else Slice(piece.index, first, last)

    def slices(self, start: int, stop: int) -> Iterator[Slice]:
        """Those of the pieces that come from entries."""
        first = bisect_right(self._starts, start) - 1
        for index in range(min(first, len(self._entries)), len(self._entries)):
            begin, end = self.body(index)
            if begin >= stop:
                return
            if max(begin, start) < min(end, stop):
                yield Slice(index, max(begin, start) - begin, min(end, stop) - begin)

    def _from(self, start: int) -> Iterator[tuple[int, bytes | Slice]]:
        """Every piece with where it begins, whole, from the one on that has the byte at `start`."""
        count = len(self._entries)
        if start < self._starts[-1]:
            for index in range(bisect_right(self._starts, start) - 1, count):
                begin, _ = self.body(index)
                yield self._starts[index], self._local_header(index)
                yield begin, Slice(index, 0, self._entries[index].size)
        if start < self._headers[-1]:
            for index in range(max(0, bisect_right(self._headers, start) - 1), count):
                yield self._headers[index], self._central_header(index)
        yield self._headers[-1], self._end

    def _local_header(self, index: int) -> bytes:
        entry = self._entries[index]
        name, extra = entry.path.encode(), _local_extra(entry)
        size = min(entry.size, MAX_32)
        version = LARGE if entry.size >= MAX_32 else PLAIN
        fixed = LOCAL_HEADER.pack(
            *(b"PK\x03\x04", version, UTF_8, STORED, *_dos(entry.modified), entry.crc32, size, size),
            *(len(name), len(extra)),
        )
        return fixed + name + extra

    def _central_header(self, index: int) -> bytes:
        entry, start = self._entries[index], self._starts[index]
        name, extra = entry.path.encode(), _central_extra(entry, start)
        size = min(entry.size, MAX_32)
        version = LARGE if max(entry.size, start) >= MAX_32 else PLAIN
        no_comment = no_disk = no_text = 0
        fixed = CENTRAL_HEADER.pack(
            *(b"PK\x01\x02", MADE_ON_UNIX | version, version, UTF_8, STORED, *_dos(entry.modified)),
            *(entry.crc32, size, size, len(name), len(extra)),
            *(no_comment, no_disk, no_text, REGULAR_FILE, min(start, MAX_32)),
        )
        return fixed + name + extra

    def _end_of_directory(self) -> bytes:
        count, start, stop = len(self._entries), self._starts[-1], self._headers[-1]
        size = stop - start
        end = END.pack(
            *(b"PK\x05\x06", 0, 0, min(count, MAX_16), min(count, MAX_16), min(size, MAX_32), min(start, MAX_32), 0)
        )
        if count < MAX_16 and size < MAX_32 and start < MAX_32:
            return end
        rest = ZIP64_END.size - 12  # 4.3.14.1: of this record, behind the field that says so
        large = ZIP64_END.pack(b"PK\x06\x06", rest, MADE_ON_UNIX | LARGE, LARGE, 0, 0, count, count, size, start)
        return large + ZIP64_LOCATOR.pack(b"PK\x06\x07", 0, stop, 1) + end


def _local_extra(entry: Entry) -> bytes:
    # 4.5.3: in a local header both sizes, though one would do.
    large = [entry.size, entry.size] if entry.size >= MAX_32 else []
    return _zip64(large) + _timestamp(entry.modified)


def _central_extra(entry: Entry, start: int) -> bytes:
    large = [entry.size, entry.size] if entry.size >= MAX_32 else []
    return _zip64(large + [start] * (start >= MAX_32)) + _timestamp(entry.modified)


def _zip64(numbers: Sequence[int]) -> bytes:
    return struct.pack(f"<2H{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""


def _timestamp(modified: int) -> bytes:
    only_modified = 1
    return TIMESTAMP.pack(0x5455, TIMESTAMP.size - 4, only_modified, modified) if modified in INT_32 else b""


def _dos(modified: int) -> tuple[int, int]:
    """Time and date, in UTC."""
    year, month, day, hour, minute, second, *_ = time.gmtime(min(max(modified, DOS_FIRST), DOS_LAST))
    return hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day


def _etag(entries: Sequence[Entry]) -> str:
    """Of all that decides the bytes. A file's CRC follows from its identity, and may become known later than that."""
    told = sha256(b"stored zip 1\n")
    for entry in entries:
        told.update(f"{entry.size} {entry.modified} {len(entry.identity)} {entry.identity} {entry.path}\0".encode())
    return told.hexdigest()[:32]


# ---------------------------------------------------------------- names

_APART = re.compile(r"[/\\]+")
_DRIVE = re.compile(r"^([A-Za-z]):")


def paths(named: Iterable[tuple[str | None, str]]) -> list[str]:
    """A path in the archive for each folder and filename, in this order; no two the same to any file system.

    Some hold names for the same that differ by case alone, by how Unicode writes an accent, or by dots and blanks at
    the end; and no file can have the path of a folder. Whoever comes later is numbered: `name (2).ext`. No path is
    absolute or leads out of the folder where the archive is unpacked. Names that mean a device to Windows (`con.txt`)
    are kept: its programs rename them, and to everybody else they are names like any other.
    """
    split = [(_segments(folder or ""), _filename(name)) for folder, name in named]
    folders = {_key(segments[:depth]) for segments, _ in split for depth in range(1, len(segments) + 1)}
    taken = set(folders)
    counts: dict[str, int] = {}  # so that a thousand equal names do not try a thousand numbers each
    found = []
    for segments, name in split:
        first = key = _key([*segments, name])
        unique = name
        while key in taken:
            counts[first] = counts.get(first, 1) + 1
            unique = _numbered(name, counts[first])
            key = _key([*segments, unique])
        taken.add(key)
        found.append("/".join([*segments, unique]))
    return found


def _segments(folder: str) -> list[str]:
    segments = [
        segment for segment in _APART.split(folder.replace("\0", "_")) if segment.strip() not in ("", ".", "..")
    ]
    return [_DRIVE.sub(r"\1_", segments[0]), *segments[1:]] if segments else []


def _filename(name: str) -> str:
    name = _DRIVE.sub(r"\1_", _APART.sub("_", name.replace("\0", "_")))
    return name if name.strip() not in ("", ".", "..") else "_"


def _numbered(name: str, number: int) -> str:
    stem, dot, extension = name.rpartition(".")
    if not stem:  # no dot, or a hidden file
        stem, dot, extension = name, "", ""
    end = f" ({number}){dot}{extension}"
    return stem[: max(1, MAX_FILENAME_CHARACTERS - len(end))] + end


def _key(segments: Sequence[str]) -> str:
    """The same for paths that some file system takes for the same: Unicode 15, 3.13, D145, canonical caseless."""
    return "/".join(
        unicodedata.normalize("NFC", unicodedata.normalize("NFD", segment).casefold()).rstrip(" .")
        for segment in segments
    )
