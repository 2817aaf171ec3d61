"""The stored bytes of a file: what S3 refuses is a problem before the first byte, and an alarm for a ready file.

An answer that has begun can only break, so S3 is asked before it begins. Nothing here outlives its request: an
environment may carry several at once.
"""

from collections.abc import Callable, Generator
from itertools import chain
from time import monotonic

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from functions.stream import content
from sluice.errors import Busy, ContentChanged, ContentForbidden, ContentMissing, Problem
from sluice.files import File, Files, Status
from sluice.limits import MIB
from sluice.objects import ObjectChanged, ObjectForbidden, ObjectMissing, Objects, Version, within
from sluice.problems import AGAIN
from sluice.reader import Patience, Unreadable, read

# How long S3 is waited for before an answer begins; then the client is told to come back. The reader's own patience is
# for bytes that a client is already waiting for.
FIRST_BYTE_SECONDS = 8.0
PATIENCE = Patience()
BUFFER_BYTES = MIB  # of a download: the reader has three of them, and the first is sent when it is full

REFUSALS = (ObjectMissing, ObjectChanged, ObjectForbidden)
logger = Logger()


class Stored:
    """The version in S3 that the record of a file names."""

    def __init__(self, files: Files, objects: Objects, file: File) -> None:
        self.version = Version(file.key, str(file.etag), file.size, file.version_id)
        self._files = files
        self._objects = objects
        self._file = file

    def check(self) -> None:
        """Ask S3 about the version. Raises ContentMissing, ContentChanged, ContentForbidden, Busy."""
        version = self.version
        try:
            head = within(FIRST_BYTE_SECONDS, lambda: self._objects.head(version.key, version.version_id))
            if (head.version.etag, head.version.size) != (version.etag, version.size):
                raise ObjectChanged(f"S3 has {head.version.etag}, {head.version.size} bytes")
            if head.archived:
                raise ObjectForbidden("the object is archived")
        except REFUSALS as refusal:
            raise self.refused(refusal) from None
        except TimeoutError:
            raise self._busy("no answer to HEAD") from None

    def chunks(self, start: int, stop: int, seconds_left: Callable[[], float]) -> Generator[bytes, None, None]:
        """The bytes from `start` up to `stop` (exclusive), after an empty chunk that says that the first are here.

        Of the whole file the last ones only if the digest of all holds. Raises before the empty chunk what `check`
        raises; behind it DigestMismatch, Unreadable, and the refusals of S3.
        """
        until = monotonic() + FIRST_BYTE_SECONDS + PATIENCE.margin_seconds
        begun = False

        def left() -> float:
            return seconds_left() if begun else min(seconds_left(), until - monotonic())

        with read(
            self._objects,
            self.version,
            start,
            stop,
            part_bytes=BUFFER_BYTES,
            seconds_left=left,
            patience=PATIENCE,
        ) as buffers:
            try:
                first = next(buffers)
            except REFUSALS as refusal:
                raise self.refused(refusal) from None
            except Unreadable as error:
                raise self._busy(str(error.__cause__ or error)) from None
            begun = True
            yield b""
            whole = (start, stop) == (0, self.version.size)
            try:
                if whole:
                    yield from content.checked(chain([first], buffers), self._file)
                else:
                    yield from map(bytes, chain([first], buffers))
            except content.DigestMismatch:
                logger.exception("a download contradicts its digest", file_id=self._file.id, key=self.version.key)
                count("Contradictions")
                raise
            except REFUSALS as refusal:
                self.refused(refusal)
                raise

    def refused(self, refusal: Exception) -> Problem:
        """The refusal as a problem; told to the operators where it must not happen. Raises FileNotFound."""
        problem = _problem(refusal)
        if self._file.status is Status.READY:
            # Who deletes a file deletes its object first: what is missing while it is downloaded may be meant so.
            self._files.get(self._file.owner, self._file.id)
            logger.error(
                "a ready file is lost",
                file_id=self._file.id,
                reason=problem.code,
                key=self.version.key,
                version_id=self.version.version_id,
                error=str(refusal),
            )
            count("FilesLost")
        return problem

    def _busy(self, error: str) -> Busy:
        logger.warning("S3 does not answer", file_id=self._file.id, error=error)
        return Busy(AGAIN)


def _problem(refusal: Exception) -> Problem:
    match refusal:
        case ObjectMissing():
            return ContentMissing("The file was deleted from its bucket, where Sluice does not see it.")
        case ObjectChanged():
            return ContentChanged("The object in the bucket is not the one that was hashed.")
        case _:
            return ContentForbidden("The object is archived, or its bucket does not allow reading it.")


def count(name: str) -> None:
    with single_metric(name, MetricUnit.Count, 1):
        pass
