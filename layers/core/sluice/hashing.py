"""The job: read an object once, digest it, keep the record up to date, and come to a verdict."""

import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

from sluice import reader
from sluice.digests import Digests
from sluice.errors import Conflict, FileNotFound
from sluice.files import ENDED, File, Files, Status
from sluice.objects import ObjectChanged, ObjectMissing, Objects, Version

# A job that stopped writing for this long is dead, and the next message for its file may take over.
LEASE_SECONDS = 60
# Checkpoints come a tenth of the elapsed time apart: a short job shows steps, a long one costs one write a second.
LEAST_CHECKPOINT_SECONDS, MOST_CHECKPOINT_SECONDS = 0.1, 1.0
# Left of the invocation for the verdict when the job gives up.
DEADLINE_MARGIN_SECONDS = 10.0


class Reason(StrEnum):
    """Why a file failed: the record's `reason`."""

    SIZE_MISMATCH = "size_mismatch"
    DIGEST_MISMATCH = "digest_mismatch"
    OBJECT_MISSING = "object_missing"
    OBJECT_CHANGED = "object_changed"
    OUT_OF_TIME = "out_of_time"
    UNREADABLE = "unreadable"


class _OutOfTime(Exception):
    pass


class Job:
    """One run for one completed object.

    `holder` names this run in the record's lease; `seconds_left` tells what the invocation still has.
    """

    _file: File  # the record as this run last wrote it

    def __init__(self, files: Files, objects: Objects, holder: str, seconds_left: Callable[[], float]) -> None:
        self._files = files
        self._objects = objects
        self._holder = holder
        self._seconds_left = seconds_left

    def run(self, owner: str, file_id: str, version: Version) -> File | None:
        """Hash the version; the file as it ended.

        None where there is nothing to do: no such record, another job at it, or an end already. Raises what the network
        raised where S3 could not be read; the lease is given back, so that the next message's job need not wait for it.
        """
        try:
            if not self._take(owner, file_id, version):
                return None
            self._verdict(version)
        except (FileNotFound, Conflict):  # deleted, or taken over by a job that thought this one dead
            return None
        return self._file

    def give_up(self, owner: str, file_id: str) -> None:
        """End a file that no job could read, when no further message will come: who watches must not wait for ever."""
        with suppress(FileNotFound, Conflict):
            self._file = self._files.get(owner, file_id)
            if self._free():
                self._end(Status.FAILED, reason=Reason.UNREADABLE)

    def _take(self, owner: str, file_id: str, version: Version) -> bool:
        """Take the lease; False where the file has ended or another job holds it."""
        while True:
            self._file = self._files.get(owner, file_id)
            if not self._free():
                return False
            with suppress(Conflict):  # `complete` writes at about this time: the message must not be lost to that
                self._save(
                    status=Status.HASHING,
                    received_bytes=version.size,
                    hashed_bytes=0,
                    expires_at=None,
                    etag=version.etag,
                    version_id=version.version_id,
                    **self._lease(),
                )
                return True

    def _free(self) -> bool:
        """Whether the file has not ended and no other job holds it."""
        return self._file.status not in ENDED and self._file.lease_until <= time.time()

    def _verdict(self, version: Version) -> None:
        if version.size != self._file.size:
            return self._end(Status.FAILED, reason=Reason.SIZE_MISMATCH)
        try:
            digests = self._digest(version)
        except ObjectMissing:
            return self._end(Status.FAILED, reason=Reason.OBJECT_MISSING)
        except ObjectChanged:
            return self._end(Status.FAILED, reason=Reason.OBJECT_CHANGED)
        except _OutOfTime:
            return self._end(Status.FAILED, reason=Reason.OUT_OF_TIME)
        except (ClientError, *reader.BROKEN):
            self._save(**_NO_LEASE)
            raise
        if any(digests[name] != value for name, value in self._file.declared.items()):
            return self._end(Status.FAILED, reason=Reason.DIGEST_MISMATCH, digests=digests)
        return self._end(Status.READY, digests=digests)

    def _digest(self, version: Version) -> dict[str, str]:
        begun = written = time.monotonic()
        hashed = 0
        with Digests() as digests:
            for buffer in reader.read(self._objects, version):
                digests.update(buffer)
                hashed += len(buffer)
                moment = time.monotonic()
                if moment - written >= checkpoint_seconds(moment - begun):
                    if self._seconds_left() < DEADLINE_MARGIN_SECONDS:
                        raise _OutOfTime
                    self._save(hashed_bytes=hashed, **self._lease())
                    written = moment
            return digests.hexdigests()

    def _end(self, status: Status, **changes: Any) -> None:
        if status is Status.READY:
            changes["hashed_bytes"] = self._file.size
        self._save(status=status, **_NO_LEASE, **changes)

    def _save(self, **changes: Any) -> None:
        self._file = self._files.save(self._file, **changes)

    def _lease(self) -> dict[str, Any]:
        return {"lease_holder": self._holder, "lease_until": int(time.time()) + LEASE_SECONDS}


_NO_LEASE: dict[str, Any] = {"lease_holder": None, "lease_until": 0}


def checkpoint_seconds(elapsed: float) -> float:
    """How long after a checkpoint the next one is due, `elapsed` seconds into the job."""
    return min(max(elapsed / 10, LEAST_CHECKPOINT_SECONDS), MOST_CHECKPOINT_SECONDS)
