"""The job: read an object once, digest it, keep the record up to date, hand over, and come to a verdict."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from sluice import settings
from sluice.digests import SUPPORTED, Digests, StateError, available
from sluice.errors import Conflict, FileNotFound
from sluice.files import ENDED, UPLOAD_MISSING, File, Files, Status
from sluice.limits import LEAST_READ_RATE
from sluice.objects import ObjectChanged, ObjectForbidden, ObjectMissing, Objects, Version
from sluice.reader import Unreadable, read

# A short job shows steps as well: checkpoints come a tenth of the elapsed time apart, from this on.
LEAST_CHECKPOINT_SECONDS = 0.1
# Left of the invocation when the job stops reading: for the range under way, the checkpoint and the next message.
DEADLINE_MARGIN_SECONDS = 10.0
# Jobs in a row that got no further: then nobody tries again, and who watches is told. As a message of a job that failed
# comes again after the queue's visibility timeout, it is nearly three hours until then.
ATTEMPTS = 10

logger = Logger()


class Reason(StrEnum):
    """Why a file failed: the record's `reason`."""

    SIZE_MISMATCH = "size_mismatch"
    DIGEST_MISMATCH = "digest_mismatch"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    OBJECT_MISSING = "object_missing"
    OBJECT_CHANGED = "object_changed"
    OBJECT_FORBIDDEN = "object_forbidden"
    OUT_OF_TIME = "out_of_time"
    UNREADABLE = "unreadable"


# What was promised, what S3 stored and what was read do not agree: somebody has to look at it.
CONTRADICTIONS = frozenset({Reason.SIZE_MISMATCH, Reason.DIGEST_MISMATCH, Reason.CHECKSUM_MISMATCH})
# The verdicts over an object that is not, or no longer, to be had.
_GONE = {
    ObjectMissing: Reason.OBJECT_MISSING,
    ObjectChanged: Reason.OBJECT_CHANGED,
    ObjectForbidden: Reason.OBJECT_FORBIDDEN,
}


class StillHeld(Exception):
    """A job of the same message holds the file: it lives, or nobody knows yet that it is dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How jobs work; `settings` says what each of these means."""

    digests: tuple[str, ...]
    part_bytes: int
    connections: int
    checkpoint_seconds: float
    slice_seconds: float
    lease_seconds: int

    @classmethod
    def read(cls) -> "Options":
        """As the settings say. Raises SettingError."""
        digests = settings.HASH_DIGESTS.read()
        if "sha-256" not in digests or not all(map(available, digests)):
            here = ", ".join(filter(available, SUPPORTED))
            raise settings.SettingError(f"HASH_DIGESTS: of {here}; and sha-256 among them, to check downloads by")
        checkpoint_seconds, lease_seconds = settings.CHECKPOINT_SECONDS.read(), settings.LEASE_SECONDS.read()
        if lease_seconds <= checkpoint_seconds:
            raise settings.SettingError("LEASE_SECONDS has to be more than CHECKPOINT_SECONDS, which renew the lease")
        return cls(
            digests=digests,
            part_bytes=settings.READ_PART_BYTES.read(),
            connections=settings.READ_CONNECTIONS.read(),
            checkpoint_seconds=checkpoint_seconds,
            slice_seconds=settings.SLICE_SECONDS.read(),
            lease_seconds=lease_seconds,
        )


@dataclass(slots=True)
class Work:
    """What one run did: bytes hashed, the seconds that took, and how often S3 had to be asked again."""

    hashed_bytes: int = 0
    seconds: float = 0.0
    retries: int = 0


class Job:
    """One run for one completed object.

    `holder`, in the record's lease, is the message that it runs for; `seconds_left` tells what the invocation has left.
    """

    _file: File  # the record as this run last wrote it
    _gets_on: bool  # whether this run's checkpoints bring the file nearer to its end, if they are fast enough
    _attempts: int  # of the record, this run among them

    def __init__(
        self, files: Files, objects: Objects, holder: str, seconds_left: Callable[[], float], options: Options
    ) -> None:
        self._files = files
        self._objects = objects
        self._holder = holder
        self._seconds_left = seconds_left
        self._options = options
        self.work = Work()

    def run(self, owner: str, file_id: str, version: Version, *, last: bool = False) -> File | None:
        """Hash the version, or as much of it as there is time for; the file as it was left.

        A file that is still `hashing` needs another message: the caller sends it, and fails where it cannot. On the
        `last` receive of a message that is all that happens, so that no message dies while its file gets on.

        None where there is nothing to hash: another job at it, an end already, or a version that is no file's, which is
        deleted: there is no such record, it is that of an upload that was given up, or a job has begun with another
        version. Raises Unreadable, or what botocore raised, where S3 could not be read; the lease is given back, so
        that the next job need not wait for it. Raises StillHeld where the message came back too soon: were it taken for
        a duplicate, nobody would come after a dead job.
        """
        try:
            if not self._take(owner, file_id, version, last=last):
                return None
            if self._file.lease_holder:
                self._hash(version)
        except FileNotFound:
            self._discard(version)
            return None
        except Conflict:  # deleted, or taken over by a job that thought this one dead
            return None
        return self._file

    def give_up(self, owner: str, file_id: str, version: Version) -> File | None:
        """End a file that no further message will come for: who watches must not wait for ever.

        None where it has ended before, another job is at it, or the message was about another version than the file's.
        """
        with suppress(FileNotFound, Conflict):
            self._file = self._files.get(owner, file_id)
            if self._free() and not self._begun_with_another(version):
                self._fail(Reason.UNREADABLE)
                return self._file
        return None

    def _take(self, owner: str, file_id: str, version: Version, *, last: bool) -> bool:
        """Take the lease, or end the file after too many attempts; False where this run has nothing to do."""
        while True:
            self._file = self._files.get(owner, file_id)
            gone = self._file.status is Status.ABORTED or self._file.reason == UPLOAD_MISSING
            # A form can be posted again: the lifecycle rule would soon delete the file, hidden by the other version.
            hides = self._file.version_id and version.version_id and self._file.version_id != version.version_id
            if gone or hides:
                self._discard(version)
            if not self._free():
                if self._file.lease_holder == self._holder:
                    raise StillHeld(file_id)
                return False
            if self._begun_with_another(version):
                return False
            with suppress(Conflict):  # `complete` writes at about this time: the message must not be lost to that
                if self._file.attempts >= ATTEMPTS:
                    self._fail(Reason.UNREADABLE)
                else:
                    self._save(
                        status=Status.HASHING,
                        received_bytes=version.size,
                        size=self._file.size if self._file.size_limit is None else version.size,
                        size_limit=None,
                        expires_at=None,
                        forget_at=None,
                        etag=version.etag,
                        version_id=version.version_id,
                        **_NO_LEASE if last else {"attempts": self._file.attempts + 1, **self._lease()},
                    )
                return True

    def _discard(self, version: Version) -> None:
        """Delete what came after its file was given up or begun with: a URL or a form outlives that, and nobody else
        would ever look for it."""
        logger.info("deleting an object without a file", key=version.key, version_id=version.version_id)
        self._objects.discard(version)

    def _free(self) -> bool:
        """Whether the file has not ended and no other job holds it."""
        return self._file.status not in ENDED and self._file.lease_until <= time.time()

    def _begun_with_another(self, version: Version) -> bool:
        """Whether the event is about an older or a newer version than the one that the first job began with.

        Events come in any order, and only a form makes more than one version: what came first is the file, to its end.
        """
        begun = (self._file.etag, self._file.version_id)
        return self._file.etag is not None and begun != (version.etag, version.version_id)

    def _hash(self, version: Version) -> None:
        try:
            head = self._objects.head(version.key, version.version_id)
            if head.version.etag != version.etag:
                raise ObjectChanged(f"{version.etag} has become {head.version.etag}")
            if head.version.size != self._file.size:
                return self._contradicted(Reason.SIZE_MISMATCH, "size", str(self._file.size), str(head.version.size))
            checksums = {name: value.hex() for name, value in head.checksums.items() if available(name)}
            with self._begin(dict.fromkeys([*self._options.digests, *self._file.declared, *checksums])) as digests:
                if self._read(replace(version, size=head.version.size), digests):
                    self._judge(digests.hexdigests(), checksums)
        except (ObjectMissing, ObjectChanged, ObjectForbidden) as error:
            self._fail(_GONE[type(error)])
        except (Unreadable, BotoCoreError, ClientError):
            # A conflict here may be with a write of our own whose answer was lost: the message has to come again.
            with suppress(Conflict):
                self._save(**_NO_LEASE)
            raise

    def _begin(self, names: Collection[str]) -> Digests:
        """The digests as the last checkpoint left them; from zero where there is none, or none that can be used."""
        file = self._file
        try:
            digests = Digests(names, file.digest_states, file.hashed_bytes)
        except StateError as error:
            logger.warning("hashing starts over", file_id=file.id, hashed_bytes=file.hashed_bytes, error=str(error))
            digests = Digests(names)
        if not digests.resumable:
            logger.warning("states cannot be saved here: an interrupted job starts over", file_id=file.id)
        # Starting over again and again is no progress, however far each job gets.
        self._gets_on = digests.resumable and digests.offset == file.hashed_bytes
        self._attempts = file.attempts
        return digests

    def _read(self, version: Version, digests: Digests) -> bool:
        """Feed the digests to the end; False where it was not reached, and the next job goes on from the checkpoint.

        Raises Unreadable where that would not help.
        """
        start, begun = digests.offset, time.monotonic()
        try:
            with read(
                self._objects,
                version,
                start,
                part_bytes=self._options.part_bytes,
                connections=self._options.connections,
                seconds_left=self._seconds_left,
            ) as buffers:
                try:
                    self._feed(buffers, digests, begun)
                finally:
                    self.work.retries = buffers.retries
        except Unreadable:
            if digests.offset == start or (not digests.resumable and self._in_time()):
                raise
        finally:
            self.work.hashed_bytes = digests.offset - start
            self.work.seconds = time.monotonic() - begun
        if digests.offset == version.size:
            return True
        if digests.resumable:
            self._save(**self._progress(digests), **_NO_LEASE)
        else:
            self._fail(Reason.OUT_OF_TIME)
        return False

    def _feed(self, buffers: Iterable[memoryview], digests: Digests, begun: float) -> None:
        """Take the buffers, with a checkpoint now and then, until they or the time for them end."""
        written = begun
        for buffer in buffers:
            digests.update(buffer)
            moment = time.monotonic()
            self.work.hashed_bytes += len(buffer)
            self.work.seconds = moment - begun
            if not self._in_time() or (digests.resumable and moment - begun >= self._options.slice_seconds):
                return
            if moment - written >= checkpoint_seconds(moment - begun, self._options.checkpoint_seconds):
                self._save(**self._progress(digests), **self._lease())
                written = moment

    def _in_time(self) -> bool:
        return self._seconds_left() >= DEADLINE_MARGIN_SECONDS

    def _judge(self, found: Mapping[str, str], checksums: Mapping[str, str]) -> None:
        """The verdict over all bytes: ours against S3's own checksums, and against what the client declared."""
        for reason, expected in (
            (Reason.CHECKSUM_MISMATCH, checksums),
            (Reason.DIGEST_MISMATCH, self._file.declared),
        ):
            for name, value in expected.items():
                if found[name] != value:
                    return self._contradicted(reason, name, value, found[name], digests=found)
        return self._end(Status.READY, digests=found)

    def _contradicted(self, reason: Reason, name: str, expected: str, found: str, **changes: Any) -> None:
        self._fail(reason, mismatch={"name": name, "expected": expected, "found": found}, **changes)

    def _fail(self, reason: Reason, **changes: Any) -> None:
        self._end(Status.FAILED, reason=reason, **changes)

    def _end(self, status: Status, **changes: Any) -> None:
        if "digests" in changes:
            changes["hashed_bytes"] = self._file.size
        self._save(status=status, digest_states={}, **_NO_LEASE, **changes)

    def _save(self, **changes: Any) -> None:
        self._file = self._files.save(self._file, **changes)

    def _progress(self, digests: Digests) -> dict[str, Any]:
        """A checkpoint: how far the digests are, and what the next job needs to go on from there.

        What comes more slowly than a connection may be is no progress: an object could be followed so for years.
        """
        gets_on = self._gets_on and self.work.hashed_bytes >= LEAST_READ_RATE * self.work.seconds
        return {
            "hashed_bytes": digests.offset,
            "digest_states": digests.states(),
            "resumes": digests.resumable,
            "attempts": 0 if gets_on else self._attempts,
        }

    def _lease(self) -> dict[str, Any]:
        return {"lease_holder": self._holder, "lease_until": int(time.time()) + self._options.lease_seconds}


_NO_LEASE: dict[str, Any] = {"lease_holder": None, "lease_until": 0}


def checkpoint_seconds(elapsed: float, most: float) -> float:
    """How long after a checkpoint the next one is due, `elapsed` seconds into the job; at most `most`."""
    return min(max(elapsed / 10, LEAST_CHECKPOINT_SECONDS), most)
