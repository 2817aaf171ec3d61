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


@dataclass(frozen=True, slots=True)
class Source:
    """A regular file as it was when it was opened first."""

    path: Path
    size: int  # bytes
    modified: int  # nanoseconds
    identity: tuple[int, int]  # device and inode: another file under the same name is another file

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises Misuse for what is no readable regular file."""
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                raise Misuse(f"{path}: not a regular file, so its size is not known.")
            with path.open("rb"):
                pass
        except OSError as error:
            raise Misuse(f"{path}: {error.strerror}.") from None
        return cls(path, found.st_size, found.st_mtime_ns, (found.st_dev, found.st_ino))

    @property
    def filename(self) -> str:
        """The name as Unicode: a byte that is no UTF-8 becomes the replacement character, since JSON cannot say it."""
        return os.fsencode(self.path.name).decode("utf-8", "replace")

    @property
    def content_type(self) -> str | None:
        return mimetypes.guess_type(self.path.name)[0]

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
            raise SluiceError(f"{self.path}: {error.strerror}.") from None
        now = os.fstat(opened.fileno())
        if (now.st_size, now.st_mtime_ns, (now.st_dev, now.st_ino)) != (self.size, self.modified, self.identity):
            opened.close()
            raise self._changed()
        return opened

    def _changed(self) -> WrongBytes:
        return WrongBytes(f"{self.path}: the file changed while it was being uploaded.", "Upload it again.")
