"""A local file that is being uploaded: read in slices, hashed once, and known to have stayed the same."""

import asyncio
import hashlib
import mimetypes
import os
import stat
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Self

from sluice_client.errors import Misuse, SluiceError, Unverified

READ_BYTES = 256 * 1024  # of a body at a time: beyond the socket's buffers more gains nothing
HASH_BYTES = 1024 * 1024  # hashlib releases the GIL while it takes one


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

    @property
    def fingerprint(self) -> str:
        """The same for the same name, size and time of change. Hashed: the server learns no more than it must."""
        known = b"\0".join([os.fsencode(self.path.name), b"%d" % self.size, b"%d" % self.modified])
        return hashlib.sha256(known).hexdigest()

    async def slice(self, offset: int, size: int) -> AsyncIterator[bytes]:
        """Exactly `size` bytes from `offset` on. Raises Unverified when the file changed."""
        with await asyncio.to_thread(self._open) as opened:
            opened.seek(offset)
            while size:
                chunk = await asyncio.to_thread(opened.read, min(size, READ_BYTES))
                if not chunk:
                    raise self._changed()
                size -= len(chunk)
                yield chunk

    async def digests(self, names: tuple[str, ...]) -> dict[str, str]:
        """The digests of the whole file, read once in a thread of its own, by RFC 9530 name."""
        stop = threading.Event()
        try:
            return await asyncio.to_thread(self._digests, names, stop)
        finally:
            stop.set()  # a cancelled wait does not end the thread

    def confirm(self) -> None:
        """Raises Unverified when the file is not any more what it was."""
        self._open().close()

    def _digests(self, names: tuple[str, ...], stop: threading.Event) -> dict[str, str]:
        hashes = {name: hashlib.new(name.replace("-", ""), usedforsecurity=False) for name in names}
        buffer = memoryview(bytearray(HASH_BYTES))
        with self._open() as opened:
            while not stop.is_set() and (count := opened.readinto(buffer)):
                for each in hashes.values():
                    each.update(buffer[:count])
        return {name: each.hexdigest() for name, each in hashes.items()}

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

    def _changed(self) -> Unverified:
        return Unverified(f"{self.path}: the file changed while it was being uploaded.", "Upload it again.")
