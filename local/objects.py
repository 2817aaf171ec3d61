"""The bytes of objects, as files of one folder, and views of them that take no memory.

A `Blob` is one file: what came in one request. `Stored` is a sequence of bytes that is made of slices of blobs, so that
to copy an object, to take a range of it, or to make one object of parts copies nothing. The file of a blob is removed
when nothing in this process refers to it any more; an answer that is being sent still does.
"""

import os
import uuid
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from local.checksums import ALGORITHMS, Buffer, checksum, text

CHUNK_BYTES = 256 * 1024  # what an answer that is being sent holds in memory


class Blob:
    """A file that has all its bytes. It is removed with the last reference to this object."""

    __slots__ = ("__weakref__", "path", "size")

    def __init__(self, path: Path, size: int, remove: Callable[[Path], object]) -> None:
        self.path = path
        self.size = size
        # Not when the process ends: who keeps the folder finds the file there again.
        weakref.finalize(self, remove, path).atexit = False


@dataclass(frozen=True, slots=True)
class Slice:
    """`size` bytes of a blob from `start` on."""

    blob: Blob
    start: int
    size: int

    def read(self) -> Iterator[bytes]:
        with self.blob.path.open("rb", buffering=0) as file:
            file.seek(self.start)
            left = self.size
            while left:
                chunk = file.read(min(left, CHUNK_BYTES))
                if not chunk:
                    raise OSError(f"{self.blob.path} has lost bytes")
                left -= len(chunk)
                yield chunk


class Stored:
    """Bytes on a disk: `len` and slices are those of `bytes`; to iterate is to read them piece by piece."""

    __slots__ = ("_ends", "_slices", "checksums")

    def __init__(self, slices: Iterable[Slice] = (), checksums: dict[str, str] | None = None) -> None:
        self._slices = [piece for piece in slices if piece.size]
        self._ends = list(accumulate(piece.size for piece in self._slices))
        self.checksums = dict(checksums or {})  # by algorithm, as `checksum` has them: those that are known

    @classmethod
    def joined(cls, parts: Iterable["Stored"]) -> "Stored":
        return cls(piece for part in parts for piece in part._slices)

    @property
    def slices(self) -> list[Slice]:
        return list(self._slices)

    def checksum(self, algorithm: str) -> str:
        if algorithm not in self.checksums:
            self.checksums[algorithm] = checksum(algorithm, self)
        return self.checksums[algorithm]

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, wanted: slice) -> "Stored":
        start, stop, step = wanted.indices(len(self))
        if step != 1:
            raise ValueError("only bytes that follow each other are a view")
        if (start, stop) == (0, len(self)):
            return self
        found = []
        place = bisect_right(self._ends, start)
        while start < stop:
            piece = self._slices[place]
            before = self._ends[place] - piece.size
            size = min(stop, self._ends[place]) - start
            found.append(Slice(piece.blob, piece.start + start - before, size))
            start, place = start + size, place + 1
        return Stored(found)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._slices:
            yield from piece.read()

    def __bytes__(self) -> bytes:
        return b"".join(self)

    def decode(self, encoding: str = "utf-8") -> str:
        return bytes(self).decode(encoding)

    def __deepcopy__(self, _: Any) -> "Stored":
        return self  # nothing of it changes


class Writer:
    """Takes the bytes of a blob, and computes checksums of them meanwhile."""

    def __init__(self, path: Path, algorithms: Iterable[str], remove: Callable[[Path], object]) -> None:
        self.size = 0
        self._path = path
        self._remove = remove
        self._running = {name: ALGORITHMS[name]() for name in {*algorithms, "MD5"}}
        self._file = path.open("xb", buffering=0)
        self._finished = False

    def write(self, data: Buffer) -> None:
        left = memoryview(data)
        self.size += len(left)
        for running in self._running.values():
            running.update(left)
        while left:
            left = left[self._file.write(left) or 0 :]

    def checksum(self, algorithm: str) -> str:
        """Of what has come, where it is one of those that are computed."""
        return text(self._running[algorithm])

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self._finished:
            remove(self._path)

    def finish(self) -> Stored:
        self._finished = True
        known = {name: text(running) for name, running in self._running.items()}
        return Stored([Slice(Blob(self._path, self.size, self._remove), 0, self.size)], known)


class Folder:
    """Where blobs are, each under a name that nothing else had."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.remove: Callable[[Path], object] = remove  # does away with the file of a blob that nothing refers to
        path.mkdir(parents=True, exist_ok=True)

    def writer(self, algorithms: Iterable[str] = ()) -> Writer:
        return Writer(self.path / uuid.uuid4().hex, algorithms, self.remove)

    def stored(self, data: bytes) -> Stored:
        if not data:
            return Stored()
        with self.writer() as writer:
            writer.write(data)
            return writer.finish()


def remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108 - runs when modules may be gone already
