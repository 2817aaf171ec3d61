"""A local file that is being uploaded: read slice by slice, and known to have stayed the same."""

import asyncio
import mimetypes
import os
import stat
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Self

from sluice_client.errors import Misuse, SluiceError, WrongBytes


def unicode(name: str) -> str:
    """The name as Unicode: a byte that is no UTF-8 becomes the replacement character, since JSON cannot say it."""
    return os.fsencode(name).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Label:
    """What a file is called at the server. Without a `content_type` the server goes by the name."""

    filename: str
    folder: str | None
    content_type: str | None

    @classmethod
    def of(
        cls, path: Path, *, name: str | None = None, folder: str | None = None, content_type: str | None = None
    ) -> Self:
        """That of the path, where nothing else is wanted."""
        filename = unicode(path.name if name is None else name)
        return cls(filename, unicode(folder) if folder else None, content_type or mimetypes.guess_type(filename)[0])


@dataclass(frozen=True, slots=True)
class Source:
    """A regular file as it was when it was opened first."""

    path: Path
    size: int  # bytes
    modified: int  # nanoseconds
    identity: tuple[int, int]  # device and inode: another file under the same name is another file
    label: Label

    @classmethod
    def open(cls, path: Path, wanted: Label | None = None) -> Self:
        """Raises Misuse for what is no readable regular file. `wanted` is what it shall be called."""
        try:
            found = path.stat()
            if stat.S_ISDIR(found.st_mode):
                raise Misuse("It is a folder.", "`sluice put -r` uploads what is in it.")
            if not stat.S_ISREG(found.st_mode):
                raise Misuse("It is neither a file nor a FIFO.")
            with path.open("rb"):
                pass
        except OSError as error:
            raise Misuse(f"{error.strerror}.") from None
        return cls(path, found.st_size, found.st_mtime_ns, (found.st_dev, found.st_ino), wanted or Label.of(path))

    async def read(self, offset: int, size: int) -> bytearray:
        """Exactly `size` bytes from `offset` on. Raises WrongBytes when the file changed."""
        return await asyncio.to_thread(self._read, offset, size)

    def confirm(self) -> None:
        """Raises WrongBytes when the file is not any more what it was."""
        self._open().close()

    def _read(self, offset: int, size: int) -> bytearray:
        data = bytearray(size)
        view, filled = memoryview(data), 0
        with self._open() as opened:
            opened.seek(offset)
            while filled < size:  # Linux reads at most 2 GiB at a time
                count = opened.readinto(view[filled:])
                if not count:
                    raise self._changed()
                filled += count
        return data

    def _open(self) -> FileIO:
        try:
            opened = self.path.open("rb", buffering=0)
        except OSError as error:
            raise SluiceError(f"{error.strerror}.") from None
        now = os.fstat(opened.fileno())
        if (now.st_size, now.st_mtime_ns, (now.st_dev, now.st_ino)) != (self.size, self.modified, self.identity):
            opened.close()
            raise self._changed()
        return opened

    def _changed(self) -> WrongBytes:
        return WrongBytes("The file changed while it was being uploaded.", "Upload it again.")


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes in memory that are uploaded as a file is."""

    data: bytearray
    label: Label

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def path(self) -> str:
        return "-"

    async def read(self, offset: int, size: int) -> bytearray:
        return self.data[offset : offset + size]

    def confirm(self) -> None:
        """They are what they were."""
