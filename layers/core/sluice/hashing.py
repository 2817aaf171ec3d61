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
from sluice.composites import Composite
from sluice.digests import SUPPORTED, Digests, StateError, available
from sluice.drops import Drops
from sluice.errors import Conflict, FileNotFound
from sluice.files import ENDED, HASHED, UPLOAD_MISSING, File, Files, Status, in_days
from sluice.limits import LEAST_READ_RATE, MAX_SINGLE_PUT_BYTES, REMEMBERED_DAYS
from sluice.objects import Head, ObjectChanged, ObjectForbidden, ObjectMissing, Objects, Version
from sluice.reader import Unreadable, read
from sluice.rereading import Contradiction, Reading, crc32_of, version_of
from sluice.verdicts import verdict_by_s3

# A short job shows steps as well: checkpoints come a tenth of the elapsed time apart, from this on.
LEAST_CHECKPOINT_SECONDS = 0.1
# Left of the invocation when the job stops reading: for the range under way, the checkpoint and the next message.
DEADLINE_MARGIN_SECONDS = 10.0
# Readings of an object that may contradict what was promised before the file fails for it: where only the way was bad,
# another one over other connections finds the right bytes.
READINGS = 2
CRC32 = "crc32"  # computed of every file, for archives, and shown where somebody asked for it
DROP_ENDED = "drop_ended"  # why an upload is aborted that arrived after its drop's end
# Jobs in a row that got no further: then nobody tries again, and who watches is told. As a message of a job that failed
# comes again after the queue's visibility timeout, it is nearly three hours until then.
ATTEMPTS = 10

# Of a record what its sender or its owner may change at any time, also while a job is at the file.
OF_PEOPLE = ("declared", "filename", "folder", "metadata")

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
    malware_scan: bool = False

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
            malware_scan=settings.MALWARE_SCAN.read(),
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
        self._drops = Drops(*files.connection)
        self.work = Work()

    def run(
        self, owner: str, file_id: str, version: Version, *, put_at: float = 0.0, last: bool = False
    ) -> File | None:
        """Hash the version, or as much of it as there is time for; the file as it was left.

        A file that is `scanning` is left to the scan's verdict. One that is still `hashing` needs another message: the
        caller sends it, and fails where it cannot. On the `last` receive of a message that is all that happens, so that
        no message dies while its file gets on.

        None where there is nothing to hash: another job at it, an end already, or a version that is no file's. That one
        is deleted where a tombstone or the record of an upload that was given up condemns it, or where it hides the
        file's own version; an object that nobody knows may be one that somebody restores, and stays. `put_at` (epoch
        seconds) is when the object was put: what came through a drop after its end is given up.

        Raises Unreadable, or what botocore raised, where S3 could not be read; the lease is given back, so that the
        next job need not wait for it. Raises StillHeld where the message came back too soon: were it taken for a
        duplicate, nobody would come after a dead job.
        """
        try:
            if not self._take(owner, file_id, version, put_at, last=last):
                self._learn_crc32(version)
                return None
            if self._file.lease_holder:
                self._hash(version)
        except FileNotFound:
            if self._files.was_deleted(owner, file_id):
                self._hide(version)
            else:
                logger.warning("an object without a file stays", key=version.key, version_id=version.version_id)
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

    def _take(self, owner: str, file_id: str, version: Version, put_at: float, *, last: bool) -> bool:
        """Take the lease, or end the file after too many attempts; False where this run has nothing to do."""
        while True:
            self._file = self._files.get(owner, file_id)
            if self._came_after_its_drop(put_at):
                with suppress(Conflict):
                    forget_at = in_days(REMEMBERED_DAYS)
                    self._save(status=Status.ABORTED, reason=DROP_ENDED, expires_at=None, forget_at=forget_at)
                continue
            if self._file.status is Status.ABORTED or self._file.reason == UPLOAD_MISSING:
                self._hide(version)
            elif self._hides_the_file(version):
                logger.info("deleting a version that hides its file", key=version.key, version_id=version.version_id)
                self._objects.discard(version)
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

    def _learn_crc32(self, version: Version) -> None:
        """Read a small file that is hashed by S3's own digests alone, as an archive will need its CRC-32.

        Where that fails nothing is lost: the archive has it read.
        """
        file = self._file
        small = version.size <= MAX_SINGLE_PUT_BYTES
        if file.status not in HASHED or file.crc32 or version != version_of(file) or not small:
            return
        try:
            found = crc32_of(
                *(self._objects, file, Reading()),
                part_bytes=self._options.part_bytes,
                seconds_left=self._seconds_left,
            )
        except (Contradiction, Unreadable, ObjectMissing, ObjectChanged, ObjectForbidden):
            logger.exception("no crc32 of a hashed file", file_id=file.id)
        else:
            if found:
                self._files.keep_crc32(file, found)

    def _came_after_its_drop(self, put_at: float) -> bool:
        """A URL outlives the end of the drop that it was given out for. What a client completed came before."""
        file = self._file
        if file.status is not Status.UPLOADING or file.drop is None:
            return False
        return not self._drops.took_at(file.owner, file.drop, put_at)

    def _hides_the_file(self, version: Version) -> bool:
        """Whether it lies upon the version that the record names, which the lifecycle rule would then delete.

        A form can be posted again. Where the record's own version is not there, this one may have been restored.
        """
        own = self._file.version_id
        if not own or not version.version_id or own == version.version_id:
            return False
        try:
            self._objects.head(version.key, own)
        except (ObjectMissing, ObjectForbidden):
            logger.exception("a file's own version is missing, and another is there", file_id=self._file.id)
            return False
        return True

    def _hide(self, version: Version) -> None:
        """Delete what came after its file was given up, as a URL or a form outlives that. It can be had back."""
        logger.info("hiding an object without a file", key=version.key, version_id=version.version_id)
        try:
            now = self._objects.head(version.key).version
        except ObjectMissing:
            return
        if now.etag == version.etag:
            self._objects.hide(version.key)

    def _free(self) -> bool:
        """Whether the file is not hashed, has not ended, and no other job holds it."""
        return self._file.status not in ENDED | HASHED and self._file.lease_until <= time.time()

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
            asked, malware_scan = self._options.digests, self._options.malware_scan
            if hashed := verdict_by_s3(self._file, head, asked, malware_scan=malware_scan):
                return self._learn_crc32(version) if self._save(**hashed, **_NO_LEASE) else self._hash(version)
            self._believe_parts(head)
            checksums = {name: value for name, value in head.checksums.items() if available(name)}
            names = dict.fromkeys([*self._options.digests, *self._file.declared, *checksums])
            if CRC32 in self._file.digest_states or not self._file.digest_states:
                names[CRC32] = None  # of a job that an older version of this began there is no state of it
            digests, parts = self._begin(names, self._composite(head))
            with digests:
                if self._read(replace(version, size=head.version.size), digests, parts):
                    found, of_parts = digests.hexdigests(), parts.hexdigest() if parts else None
                    while not self._judge(found, checksums, of_parts, head):
                        logger.info("a digest was declared meanwhile", file_id=self._file.id)
        except (ObjectMissing, ObjectChanged, ObjectForbidden) as error:
            self._fail(_GONE[type(error)])
        except (Unreadable, BotoCoreError, ClientError):
            # A conflict here may be with a write of our own whose answer was lost: the message has to come again.
            with suppress(Conflict):
                self._save(**_NO_LEASE)
            raise

    def _believe_parts(self, head: Head) -> None:
        """The file is verified on its way in where S3 put together the very parts that their sender vouched for."""
        composite = head.composite
        if composite and self._file.composite == composite.digest and not self._file.verified:
            self._save(verified=True)

    def _composite(self, head: Head) -> tuple[str, int] | None:
        """The digest and the size of the parts to see through, where S3 or the sender has a digest of theirs."""
        name = head.composite.name if head.composite else self._file.part_digest
        # Where a client has cut the file as it likes, only parts of one size are vouched for: the record has that.
        as_cut = self._file.own_parts is not None and not self._file.composite
        if as_cut or not name or not available(name):
            return None
        return (name, self._file.part_size) if head.composite or self._file.composite else None

    def _begin(self, names: Collection[str], of_parts: tuple[str, int] | None) -> tuple[Digests, Composite | None]:
        """The digests as the last checkpoint left them; from zero where there is none, or none that can be used."""
        file = self._file
        try:
            digests = Digests(names, file.digest_states, file.hashed_bytes)
            parts = Composite(*of_parts, file.digest_states, file.hashed_bytes) if of_parts else None
        except StateError as error:
            logger.warning("hashing starts over", file_id=file.id, hashed_bytes=file.hashed_bytes, error=str(error))
            digests, parts = Digests(names), Composite(*of_parts) if of_parts else None
        if not digests.resumable:
            logger.warning("states cannot be saved here: an interrupted job starts over", file_id=file.id)
        # Starting over again and again is no progress, however far each job gets.
        self._gets_on = digests.resumable and digests.offset == file.hashed_bytes
        self._attempts = file.attempts
        return digests, parts

    def _read(self, version: Version, digests: Digests, parts: Composite | None) -> bool:
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
                    self._feed(buffers, digests, parts, begun)
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
            self._save(**self._progress(digests, parts), **_NO_LEASE)
        else:
            self._fail(Reason.OUT_OF_TIME)
        return False

    def _feed(self, buffers: Iterable[memoryview], digests: Digests, parts: Composite | None, begun: float) -> None:
        """Take the buffers, with a checkpoint now and then, until they or the time for them end."""
        written = begun
        for buffer in buffers:
            digests.update(buffer)
            if parts:
                parts.update(buffer)
            moment = time.monotonic()
            self.work.hashed_bytes += len(buffer)
            self.work.seconds = moment - begun
            if not self._in_time() or (digests.resumable and moment - begun >= self._options.slice_seconds):
                return
            if moment - written >= checkpoint_seconds(moment - begun, self._options.checkpoint_seconds):
                self._save(**self._progress(digests, parts), **self._lease())
                written = moment

    def _in_time(self) -> bool:
        return self._seconds_left() >= DEADLINE_MARGIN_SECONDS

    def _judge(self, found: Mapping[str, str], checksums: Mapping[str, str], of_parts: str | None, head: Head) -> bool:
        """The verdict over all bytes: ours against S3's own checksums, and against what the sender declared.

        False where the sender has declared a digest meanwhile: then it has to be compared as well.
        """
        by_s3, by_sender = dict(checksums), dict(self._file.declared)
        computed = dict(found)
        if of_parts is not None:
            name = f"{self._file.part_digest or (head.composite and head.composite.name)} of the parts"
            computed[name] = of_parts
            by_s3 |= {name: head.composite.digest} if head.composite else {}
            by_sender |= {name: self._file.composite} if self._file.composite else {}
        asked = {*self._options.digests, *by_s3, *by_sender}
        shown = {name: value for name, value in found.items() if name in asked or name != CRC32}
        if not by_sender.keys() <= computed.keys():  # declared after this reading began
            self._read_again("a digest was declared that was not computed")
            return True
        for reason, expected in ((Reason.CHECKSUM_MISMATCH, by_s3), (Reason.DIGEST_MISMATCH, by_sender)):
            for name, value in expected.items():
                if computed[name] == value:
                    continue
                # Where S3's own digest of the bytes is what was read, the way was right, and the sender's differs.
                sure = reason is Reason.DIGEST_MISMATCH and bool(by_s3)
                if not sure and self._file.rereads < READINGS - 1:
                    self._read_again(f"{reason}: {name} should be {value}, and is {computed[name]}", rereads=1)
                else:
                    self._contradicted(reason, name, value, computed[name], digests=shown)
                return True
        hashed = Status.SCANNING if self._options.malware_scan else Status.READY
        return self._end(hashed, digests=shown, crc32=found.get(CRC32), verified=bool(by_sender))

    def _read_again(self, why: str, rereads: int = 0) -> None:
        """From the first byte on, in the job of another message and over other connections."""
        logger.warning("hashing starts over", file_id=self._file.id, error=why)
        changes = {"hashed_bytes": 0, "digest_states": {}, "rereads": self._file.rereads + rereads}
        self._save(**changes, **_NO_LEASE)

    def _contradicted(self, reason: Reason, name: str, expected: str, found: str, **changes: Any) -> None:
        mismatch = {"name": name, "expected": expected, "found": found}
        self._fail(reason, mismatch=mismatch, verified=False, **changes)

    def _fail(self, reason: Reason, **changes: Any) -> None:
        self._end(Status.FAILED, reason=reason, **changes)

    def _end(self, status: Status, **changes: Any) -> bool:
        if "digests" in changes:
            changes["hashed_bytes"] = self._file.size
        return self._save(status=status, digest_states={}, **_NO_LEASE, **changes)

    def _save(self, **changes: Any) -> bool:
        """Write, also where people have changed what is theirs meanwhile: that stays. Raises Conflict for all else.

        False where nothing was written, because a file that is to be hashed has to be compared with digests that its
        sender has declared meanwhile.
        """
        try:
            self._file = self._files.save(self._file, **changes)
        except Conflict:
            now = self._files.get(self._file.owner, self._file.id)
            theirs = {name: getattr(now, name) for name in OF_PEOPLE}
            if now != replace(self._file, revision=now.revision, updated_at=now.updated_at, **theirs):
                raise
            declared = now.declared != self._file.declared
            self._file = now
            if declared and changes.get("status") in HASHED:
                return False
            return self._save(**changes)
        return True

    def _progress(self, digests: Digests, parts: Composite | None) -> dict[str, Any]:
        """A checkpoint: how far the digests are, and what the next job needs to go on from there.

        What comes more slowly than a connection may be is no progress: an object could be followed so for years.
        """
        gets_on = self._gets_on and self.work.hashed_bytes >= LEAST_READ_RATE * self.work.seconds
        return {
            "hashed_bytes": digests.offset,
            "digest_states": digests.states() | (parts.states() if parts else {}),
            "resumes": digests.resumable,
            "attempts": 0 if gets_on else self._attempts,
        }

    def _lease(self) -> dict[str, Any]:
        return {"lease_holder": self._holder, "lease_until": int(time.time()) + self._options.lease_seconds}


_NO_LEASE: dict[str, Any] = {"lease_holder": None, "lease_until": 0}


def checkpoint_seconds(elapsed: float, most: float) -> float:
    """How long after a checkpoint the next one is due, `elapsed` seconds into the job; at most `most`."""
    return min(max(elapsed / 10, LEAST_CHECKPOINT_SECONDS), most)
