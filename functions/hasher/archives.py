"""Builds archives that are not ready at once: reads files whose CRC-32 is missing, and has S3 put the archive together.

What S3's lists say of the parts of an upload is the truth about how far it is: a job that was killed, or is out of its
time, is followed by one that makes what is missing. In the end S3 itself compares the archive with the CRC-32 that
follows from those of the files, so that an archive that is `ready` has the bytes of its files and no others.

IAM actions, besides those of the hashing job: dynamodb:BatchGetItem, dynamodb:UpdateItem (CRCs of files), and of the
archive's own objects s3:GetObject, s3:GetObjectVersion (to copy pieces), s3:PutObject (parts too),
s3:ListMultipartUploadParts, s3:DeleteObjectVersion (pieces).
"""

import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from sluice import archives, copying
from sluice.archives import CONTENT_TYPE, Archive, Archives, ArchiveStatus, Member
from sluice.copying import Copied, Part, Sent, Target
from sluice.errors import ArchiveNotFound, Conflict
from sluice.files import File, Files
from sluice.hashing import ATTEMPTS, CRC32, DEADLINE_MARGIN_SECONDS, Options, StillHeld
from sluice.limits import MAX_SINGLE_PUT_BYTES, MIB
from sluice.objects import (
    Differs,
    ObjectChanged,
    ObjectForbidden,
    ObjectMissing,
    Objects,
    ObjectTaken,
    Undecided,
    UploadMissing,
    Version,
)
from sluice.objects import Part as ArrivedPart
from sluice.reader import Unreadable, read_several
from sluice.rereading import MARGIN_SECONDS as READING_MARGIN_SECONDS
from sluice.rereading import Contradiction, Reading, crc32_of
from sluice.zips import Layout

COPIERS = 16  # copies that S3 makes at once for one archive: they cost the function nothing but a connection each
SENDERS = 4  # parts that pass through the function at once: 16 MiB of memory each, and as much for reading
SENDER_CONNECTIONS = 8  # over which the files of one such part are read: there may be thousands of small ones
READ_BYTES = MIB  # one buffer of these
READERS = 8  # small files that are read for their CRC-32 at once
CHECKPOINT_SECONDS = 1.0
# Left of the invocation when no more parts are begun: what is under way has to end, and S3 copies 512 MiB in seconds.
MARGIN_SECONDS = 40.0
LEAST_COMPLETE_SECONDS = 5.0  # that S3 has to put the parts together; whether it did, the next job sees
COPY_SECONDS = 60  # how long S3 is waited for until it says more of a copy
CONNECTIONS = COPIERS + SENDERS


class Reason(StrEnum):
    """Why an archive failed: the record's `reason`."""

    OBJECT_MISSING = "object_missing"
    OBJECT_CHANGED = "object_changed"
    OBJECT_FORBIDDEN = "object_forbidden"
    DIGEST_MISMATCH = "digest_mismatch"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    UNREADABLE = "unreadable"


# What was promised and what was read do not agree: somebody has to look at it.
CONTRADICTIONS = frozenset({Reason.DIGEST_MISMATCH, Reason.CHECKSUM_MISMATCH})
REFUSALS: dict[type[Exception], Reason] = {
    ObjectMissing: Reason.OBJECT_MISSING,
    ObjectChanged: Reason.OBJECT_CHANGED,
    ObjectForbidden: Reason.OBJECT_FORBIDDEN,
    Contradiction: Reason.DIGEST_MISMATCH,
}

logger = Logger()


class Lost(Exception):
    """A file of the archive is not, or no longer, what it was when the archive was made."""

    def __init__(self, member: Member, refusal: Exception) -> None:
        super().__init__(member.path)
        self.member = member
        self.reason = REFUSALS[type(refusal)]


class OutOfTime(Exception):
    """The next job goes on."""


class Build:
    """One run for one archive. `objects` has CONNECTIONS and patience for copies; else as `sluice.hashing.Job`."""

    _archive: Archive  # the record as this run last wrote it
    _gets_on: bool  # whether this run has done something that the next one need not do

    def __init__(
        self,
        files: Files,
        objects: Objects,
        holder: str,
        seconds_left: Callable[[], float],
        *,
        options: Options,
        stream_limit: int,
    ) -> None:
        self._files = files
        self._objects = objects
        self._archives = Archives(*files.connection, objects)
        self._holder = holder
        self._options = options
        self._stream_limit = stream_limit
        self._ends = time.monotonic() + min(options.slice_seconds, seconds_left() - MARGIN_SECONDS)
        self._invocation_ends = time.monotonic() + seconds_left()
        self._gets_on = False

    def run(self, owner: str, archive_id: str, *, last: bool = False) -> Archive | None:
        """Build the archive, or as much of it as there is time for; the archive as it was left.

        One that is still `building` needs another message: the caller sends it. On the `last` receive of a message
        that is all that happens. None where there is nothing to do. Raises StillHeld, and what failed: then the message
        has to come again.
        """
        try:
            if not self._take(owner, archive_id, last=last):
                return None
            if self._archive.lease_holder:
                self._build()
        except (ArchiveNotFound, Conflict):  # deleted, its day is over, or another job is at it
            return None
        return self._archive

    def give_up(self, owner: str, archive_id: str) -> Archive | None:
        """End an archive that no further message will come for."""
        with suppress(ArchiveNotFound, Conflict):
            self._archive = self._archives.get(owner, archive_id)
            if self._archive.status is ArchiveStatus.BUILDING and self._archive.lease_until <= time.time():
                self._fail(Reason.UNREADABLE)
                return self._archive
        return None

    def _take(self, owner: str, archive_id: str, *, last: bool) -> bool:
        self._archive = archive = self._archives.get(owner, archive_id)
        if archive.status is not ArchiveStatus.BUILDING:
            return False
        if archive.lease_until > time.time():
            if archive.lease_holder == self._holder:
                raise StillHeld(archive_id)
            return False
        if archive.attempts >= ATTEMPTS:
            self._fail(Reason.UNREADABLE)
        elif last:
            self._save(**_NO_LEASE)
        else:
            self._save(attempts=archive.attempts + 1, **self._lease())
        return True

    def _build(self) -> None:
        try:
            members = self._archives.members(self._archive)
            if not all(member.crc32 for member in members):
                members = self._learn(members)
            if self._archive.size <= self._stream_limit:
                self._save(status=ArchiveStatus.READY, reading={}, attempts=0, **_NO_LEASE)
            else:
                self._put_together(members)
        except OutOfTime:
            self._save(**self._attempts(), **_NO_LEASE)
        except Lost as lost:
            logger.exception("an archive lost a file", archive_id=self._archive.id, file_id=lost.member.file_id)
            self._fail(lost.reason, file=lost.member.file_id)
        except Differs:
            logger.exception("an archive is not what its files are", archive_id=self._archive.id)
            self._fail(Reason.CHECKSUM_MISMATCH)
        except (Unreadable, BotoCoreError, ClientError):
            # A conflict here may be with a write of our own whose answer was lost: the message has to come again.
            with suppress(Conflict):
                self._save(**self._attempts(), **_NO_LEASE)
            raise

    # ---------------------------------------------------------------- CRCs

    def _learn(self, members: Sequence[Member]) -> list[Member]:
        """The members, each with its CRC-32: the file's own, or else the file is read. Raises OutOfTime, Lost."""
        unknown = [member for member in members if not member.crc32]
        files = {one.id: one for one in self._files.several(self._archive.owner, (one.file_id for one in unknown))}
        for member in unknown:
            if member.file_id not in files:
                raise Lost(member, ObjectMissing(member.file_id))
        unread = [member for member in unknown if not files[member.file_id].crc32]
        small = [member for member in unread if member.size <= MAX_SINGLE_PUT_BYTES]
        with ThreadPoolExecutor(READERS) as readers:
            reading = [readers.submit(self._read_small, member, files[member.file_id]) for member in small]
            self._follow(dict.fromkeys(reading, 0), self._archive.built_bytes)
        for member in unread:
            if member.size > MAX_SINGLE_PUT_BYTES:
                self._read_large(member, files[member.file_id])
        again = self._files.several(self._archive.owner, files)
        found = {file.id: file.crc32 for file in again}
        known = [replace(member, crc32=member.crc32 or found.get(member.file_id)) for member in members]
        if not all(member.crc32 for member in known):  # somebody wrote a record at the same moment, or deleted it
            raise OutOfTime
        self._archive = self._archives.know(self._archive, known, reading={}, **self._lease())
        return known

    def _read_small(self, member: Member, file: File) -> None:
        if not self._in_time():
            raise OutOfTime
        # To its end, as nobody would go on from where it was.
        self._note(member, file, Reading(), connections=1, seconds_left=self._invocation_left)

    def _read_large(self, member: Member, file: File) -> None:
        """From where the last job left it."""
        kept, reading = self._archive.reading, Reading()
        if kept.get("file") == file.id:
            reading = Reading(int(kept["offset"]), {**kept["states"]})

        def tell() -> None:
            self._gets_on = True
            states = {"file": file.id, "offset": reading.offset, "states": reading.states}
            self._save(reading=states, **self._attempts(), **self._lease())

        many = self._options.connections
        if not self._note(member, file, reading, connections=many, seconds_left=self._reading_left, tell=tell):
            tell()
            raise OutOfTime

    def _note(
        self,
        member: Member,
        file: File,
        reading: Reading,
        *,
        connections: int,
        seconds_left: Callable[[], float],
        tell: Callable[[], object] = lambda: None,
    ) -> bool:
        """Whether the file was read to its end. Raises Lost, Unreadable."""
        try:
            found = crc32_of(
                *(self._objects, file, reading),
                part_bytes=self._options.part_bytes,
                connections=connections,
                seconds_left=seconds_left,
                tell=tell,
            )
        except tuple(REFUSALS) as refusal:
            raise Lost(member, refusal) from None
        if found:
            self._files.keep_crc32(file, found)
            self._gets_on = True
        return bool(found)

    # ---------------------------------------------------------------- parts

    def _put_together(self, members: Sequence[Member]) -> None:
        layout = archives.layout(members)
        *pieces, final = copying.plan(layout, len(members))
        source = _Source(self._objects, self._archive.owner, members, layout)
        for piece in pieces:
            source.pieces[piece.name] = self._make(piece, source, sum(one.size for one in source.pieces.values()))
        # What is put together of pieces has been counted with these.
        built = self._archive.size if pieces else 0
        version = self._make(final, source, built, _crc32(layout, members))
        for one in source.pieces.values():
            self._objects.discard(one)
        changes = {"object_etag": version.etag, "version_id": version.version_id, "built_bytes": version.size}
        self._save(status=ArchiveStatus.READY, uploads={}, reading={}, attempts=0, **changes, **_NO_LEASE)

    def _make(self, target: Target, source: "_Source", before: int, crc32: str | None = None) -> Version:
        """The object of this target, of which another job may have made all or a part. `before`: bytes built by then.

        Raises OutOfTime, Lost, Differs, Unreadable.
        """
        if not self._in_time():
            raise OutOfTime
        key = f"{self._archive.prefix}{target.name}"
        try:
            upload_id, arrived = self._begin(key, target)
        except ObjectTaken:
            return self._version(key, target)
        there = {part.number for part in arrived if part.size == copying.size(target.parts[part.number - 1])}
        missing = [(number, part) for number, part in enumerate(target.parts, 1) if number not in there]
        before += target.size - sum(copying.size(part) for _, part in missing)
        with ThreadPoolExecutor(COPIERS) as copiers, ThreadPoolExecutor(SENDERS) as senders:
            under_way: dict[Future[None], int] = {}
            for number, part in missing:
                threads = senders if isinstance(part, Sent) else copiers
                put = threads.submit(source.put, key, upload_id, number, part, self._invocation_left)
                under_way[put] = copying.size(part)
            try:
                self._follow(under_way, before)
            except UploadMissing:
                self._check_record()
                raise Unreadable("S3 has lost an upload") from None
        try:
            parts = self._objects.parts(key, upload_id)
            seconds = max(LEAST_COMPLETE_SECONDS, self._invocation_left() - DEADLINE_MARGIN_SECONDS)
            self._objects.complete(key, upload_id, parts, target.size, seconds, crc32=crc32)
        except Undecided:
            raise OutOfTime from None
        except (UploadMissing, ObjectTaken):  # an attempt whose answer was lost
            pass
        return self._version(key, target)

    def _begin(self, key: str, target: Target) -> tuple[str, list[ArrivedPart]]:
        """The upload of this target and the parts that it has. Raises ObjectTaken where it is complete."""
        upload_id = self._archive.uploads.get(target.name)
        if upload_id:
            try:
                return upload_id, self._objects.parts(key, upload_id)
            except UploadMissing:
                with suppress(ObjectMissing):
                    self._objects.head(key)
                    raise ObjectTaken(key) from None
        upload_id = self._objects.create_upload(key, CONTENT_TYPE, CRC32)
        self._save(uploads={**self._archive.uploads, target.name: upload_id}, **self._lease())
        return upload_id, []

    def _follow(self, under_way: dict[Future[None], int], built: int) -> None:
        """Wait for all of them, and note how far it is. Raises OutOfTime, and what one of them raised."""
        try:
            while under_way:
                done, _ = wait(under_way, CHECKPOINT_SECONDS, FIRST_EXCEPTION)
                for one in done:
                    one.result()
                    built += under_way.pop(one)
                    self._gets_on = True
                if under_way and not self._in_time():
                    raise OutOfTime
                self._save(built_bytes=min(built, self._archive.size), **self._attempts(), **self._lease())
        finally:
            for one in under_way:
                one.cancel()

    def _version(self, key: str, target: Target) -> Version:
        try:
            version = self._objects.head(key).version
        except ObjectMissing as missing:
            self._check_record()
            raise Unreadable("S3 has neither the upload nor the object") from missing
        if version.size != target.size:
            raise Differs(f"{target.name} has {version.size} bytes, not {target.size}")
        return version

    # ---------------------------------------------------------------- the record, and the time

    def _check_record(self) -> None:
        """What S3 had may be gone because somebody deletes the archive. Raises ArchiveNotFound then."""
        self._archives.get(self._archive.owner, self._archive.id)

    def _fail(self, reason: Reason, **changes: Any) -> None:
        for name, upload_id in self._archive.uploads.items():
            self._objects.abort(f"{self._archive.prefix}{name}", upload_id)
        self._save(status=ArchiveStatus.FAILED, reason=reason, reading={}, uploads={}, **changes, **_NO_LEASE)

    def _save(self, **changes: Any) -> None:
        self._archive = self._archives.save(self._archive, **changes)

    def _lease(self) -> dict[str, Any]:
        return {"lease_holder": self._holder, "lease_until": int(time.time()) + self._options.lease_seconds}

    def _attempts(self) -> dict[str, Any]:
        return {"attempts": 0} if self._gets_on else {}

    def _in_time(self) -> bool:
        """Each job does something, however short its time is."""
        return not self._gets_on or time.monotonic() < self._ends

    def _reading_left(self) -> float:
        """For a reading: it stops when this job's time is over, but not before its first buffer."""
        return max(self._ends - time.monotonic(), -1.0) + READING_MARGIN_SECONDS

    def _invocation_left(self) -> float:
        return self._invocation_ends - time.monotonic()


class _Source:
    """Where the parts of an archive come from."""

    def __init__(self, objects: Objects, owner: str, members: Sequence[Member], layout: Layout) -> None:
        self.pieces: dict[str, Version] = {}  # by name: what was made of it so far
        self._objects = objects
        self._owner = owner
        self._members = members
        self._layout = layout

    def put(self, key: str, upload_id: str, number: int, part: Part, seconds_left: Callable[[], float]) -> None:
        """Make this part. Raises Lost, Unreadable, UploadMissing."""
        if isinstance(part, Sent):
            self._objects.put_part(key, upload_id, number, self._bytes(part.start, part.stop, seconds_left))
        elif isinstance(part.source, int):
            member = self._members[part.source]
            try:
                self._copy(key, upload_id, number, part, member.version(self._owner))
            except tuple(REFUSALS) as refusal:
                raise Lost(member, refusal) from None
        else:
            try:
                self._copy(key, upload_id, number, part, self.pieces[part.source])
            except tuple(REFUSALS) as refusal:
                raise Unreadable("a piece of the archive is gone") from refusal

    def _copy(self, key: str, upload_id: str, number: int, part: Copied, version: Version) -> None:
        self._objects.copy_part(key, upload_id, number, version, start=part.start, stop=part.stop)

    def _bytes(self, start: int, stop: int, seconds_left: Callable[[], float]) -> bytes:
        wanted = (
            (self._members[one.index].version(self._owner), one.start, one.stop)
            for one in self._layout.slices(start, stop)
        )
        data = bytearray()
        with read_several(
            *(self._objects, wanted),
            part_bytes=READ_BYTES,
            connections=SENDER_CONNECTIONS,
            seconds_left=seconds_left,
        ) as buffers:
            for piece in self._layout.pieces(start, stop):
                if isinstance(piece, bytes):
                    data += piece
                    continue
                until = len(data) + piece.stop - piece.start
                while len(data) < until:
                    try:
                        data += next(buffers)
                    except tuple(REFUSALS) as refusal:
                        raise Lost(self._members[piece.index], refusal) from None
        return bytes(data)


_NO_LEASE: dict[str, Any] = {"lease_holder": None, "lease_until": 0}


def _crc32(layout: Layout, members: Sequence[Member]) -> str:
    """Of the whole archive, which follows from those of its files."""
    # Its native library is a part of each cold start of the hasher, and only archives need it.
    from awscrt.checksums import combine_crc32  # noqa: PLC0415

    value = 0
    for piece in layout.pieces(0, layout.size):
        if isinstance(piece, bytes):
            value = zlib.crc32(piece, value)
        else:
            value = combine_crc32(value, int(members[piece.index].crc32 or "", 16), piece.stop)
    return f"{value:08x}"
