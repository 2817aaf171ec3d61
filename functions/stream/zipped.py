"""The bytes of an archive, read from its files while they are sent.

Each file that is sent whole is compared with its SHA-256 before its last bytes go out: what is not what was hashed,
deleted or replaced breaks the transfer. The files are read ahead over several connections, so that thousands of small
ones do not cost a round trip each.
"""

import hashlib
from collections.abc import Callable, Generator, Iterator, Sequence
from time import monotonic

from aws_lambda_powertools import Logger

from functions.stream import stored
from functions.stream.content import DigestMismatch
from sluice.archives import Archive, Member
from sluice.errors import Busy, ContentChanged, ContentMissing, FileNotFound, Problem
from sluice.files import Files
from sluice.limits import KIB, MIB
from sluice.objects import Objects
from sluice.problems import AGAIN
from sluice.reader import Buffers, Unreadable, read_several
from sluice.zips import Layout, Slice

CONNECTIONS = 8  # at 20 ms to a first byte that is 400 small files a second
BUFFER_BYTES = 2 * MIB  # one for each connection, and two more; small files fill a part of theirs
CHUNK_BYTES = 256 * KIB  # what is sent at once, at least: headers and small files go together

logger = Logger()


class Zipped:
    """An archive that is streamed."""

    def __init__(self, files: Files, objects: Objects, archive: Archive, members: Sequence[Member]) -> None:
        self._files = files
        self._objects = objects
        self._owner = archive.owner
        self._members = members
        self._layout = Layout([member.entry for member in members])

    def chunks(self, start: int, stop: int, seconds_left: Callable[[], float]) -> Generator[bytes, None, None]:
        """The bytes from `start` up to `stop` (exclusive), after an empty chunk that says that the first are here.

        Raises before the empty chunk ContentMissing, ContentChanged, ContentForbidden, Busy; behind it DigestMismatch,
        Unreadable, and the refusals of S3.
        """
        until = monotonic() + stored.FIRST_BYTE_SECONDS + stored.PATIENCE.margin_seconds
        begun = False

        def left() -> float:
            return seconds_left() if begun else min(seconds_left(), until - monotonic())

        wanted = (
            (self._members[one.index].version(self._owner), one.start, one.stop)
            for one in self._layout.slices(start, stop)
        )
        with read_several(
            self._objects,
            wanted,
            part_bytes=BUFFER_BYTES,
            connections=CONNECTIONS,
            seconds_left=left,
            patience=stored.PATIENCE,
        ) as buffers:
            pending, least = bytearray(), 1  # the first file goes out as it comes
            for piece in self._layout.pieces(start, stop):
                if isinstance(piece, bytes):
                    pending += piece
                    continue
                for buffer in self._checked(piece, buffers, begun=begun):
                    if not begun:
                        begun = True
                        yield b""
                    pending += buffer
                    if len(pending) >= least:
                        yield bytes(pending)
                        pending.clear()
                        least = CHUNK_BYTES
            if not begun:
                yield b""
            yield bytes(pending)

    def _checked(self, piece: Slice, buffers: Buffers, *, begun: bool) -> Iterator[memoryview]:
        """The buffers of one file; where they are the whole of it the last one only if its digest holds."""
        member = self._members[piece.index]
        sha256 = hashlib.sha256() if piece.stop - piece.start == member.size else None
        left = piece.stop - piece.start
        while left:
            try:
                buffer = next(buffers)
            except stored.REFUSALS as refusal:
                problem = self._problem(member, refusal)
                if begun:
                    raise
                raise problem from None
            except Unreadable as error:
                if begun:
                    raise
                logger.warning("S3 does not answer", file_id=member.file_id, error=str(error.__cause__ or error))
                raise Busy(AGAIN) from None
            left -= len(buffer)
            if sha256:
                sha256.update(buffer)
            if sha256 and not left and sha256.hexdigest() != member.sha256:
                logger.error("a download contradicts its digest", file_id=member.file_id)
                stored.count("Contradictions")
                if begun:
                    raise DigestMismatch(member.file_id)
                raise ContentChanged("A file's object is not the one that was hashed.", file=member.file_id)
            yield buffer

    def _problem(self, member: Member, refusal: Exception) -> Problem:
        """The refusal as a problem, told to the operators where the file should be there."""
        try:
            file = self._files.get(self._owner, member.file_id)
        except FileNotFound:
            return ContentMissing("A file was deleted after the archive was made.", file=member.file_id)
        problem = stored.Stored(self._files, self._objects, file).refused(refusal)
        problem.extra["file"] = member.file_id
        return problem
