"""The presigned upload protocol: begin, sign, resume, complete, give up."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from time import time
from typing import Any

from botocore.exceptions import ClientError

from functions.api.models import CompletedPart, CreateFile, check_filename
from sluice import limits
from sluice.errors import Busy, Conflict, InvalidPartNumber, PartsDiffer, PartsMissing, TooLarge, WrongState
from sluice.files import File, Files, Mode, Status, rfc3339
from sluice.objects import ObjectMissing, Objects, Part, UploadMissing

FIRST_PARTS = 100  # signed along with a new file: 130 KB of answer, 800 MiB to begin with
MISSING_SHOWN = 100  # part numbers in one problem


class Uploads:
    """Uploads into one bucket, kept in one table."""

    def __init__(self, files: Files, objects: Objects) -> None:
        self._files = files
        self._objects = objects

    def begin(self, owner: str, wanted: CreateFile) -> tuple[File, bool]:
        """A new file, or the unfinished one that the fingerprint means; and whether it is new."""
        check_filename(wanted.filename)
        if wanted.size > limits.MAX_OBJECT_BYTES:
            raise TooLarge(
                f"S3 holds {limits.MAX_OBJECT_BYTES} bytes in one object.",
                limit=limits.MAX_OBJECT_BYTES,
                size=wanted.size,
            )
        if wanted.fingerprint:
            known = self._files.find_unfinished(owner, wanted.fingerprint, wanted.size)
            if known and wanted.digests:  # whoever resumes may know more by now
                known = self._files.save(known, declared=known.declared | wanted.digests)
            if known:
                return known, False
        single = wanted.size <= limits.MAX_SINGLE_PUT_BYTES
        file = File(
            owner=owner,
            filename=wanted.filename,
            size=wanted.size,
            content_type=wanted.content_type,
            mode=Mode.SINGLE if single else Mode.MULTIPART,
            part_size=limits.MAX_SINGLE_PUT_BYTES if single else limits.part_size(wanted.size),
            fingerprint=wanted.fingerprint,
            declared=wanted.digests,
            expires_at=_expiry(),
        )
        # S3 first: an upload that no record knows is aborted by the bucket's lifecycle rule, a record without its
        # upload would be a promise that cannot be kept.
        upload_id = None if single else self._objects.create_upload(file.key, file.content_type)
        return self._files.create(replace(file, upload_id=upload_id)), True

    def sign(self, file: File, numbers: Iterable[int]) -> list[dict[str, Any]]:
        """The URL of each part, as the contract shows it. Raises WrongState when nothing can be uploaded any more."""
        if file.status is not Status.UPLOADING:
            raise WrongState(f"A file that is {file.status} takes no parts.", state=file.status)
        return [self._sign_one(file, number) for number in numbers]

    def received(self, file: File) -> list[Part]:
        """The parts that S3 has, each of its right size. A part of another size has to be sent again."""
        if file.status is not Status.UPLOADING:
            return []
        try:
            if file.upload_id:
                arrived = self._objects.parts(file.key, file.upload_id)
            else:
                version = self._objects.head(file.key).version
                arrived = [Part(1, version.size, version.etag)]
        except (UploadMissing, ObjectMissing):
            return []
        return _right(file, arrived)

    def complete(self, file: File, listed: Sequence[CompletedPart] | None) -> File:
        """Make the parts one object, as often as a client asks. Raises PartsMissing, PartsDiffer, WrongState, Busy."""
        try:
            return self._complete(file, listed)
        except Conflict:  # another call, or S3's event, was faster: go on from where it left the file
            return self._complete(self._files.get(file.owner, file.id), listed)

    def delete(self, file: File) -> None:
        """Give an upload up, or delete the file and its object."""
        try:
            self._delete(file)
        except Conflict:
            self._delete(self._files.get(file.owner, file.id))

    def _complete(self, file: File, listed: Sequence[CompletedPart] | None) -> File:
        if file.status is Status.ABORTED:
            raise WrongState("The upload was aborted; begin again with POST /files.", state=file.status)
        if file.status not in (Status.UPLOADING, Status.ASSEMBLING):
            return file
        upload_id = file.upload_id
        if upload_id is None:
            return self._complete_single(file, listed)
        try:
            parts = self._whole(file, self._objects.parts(file.key, upload_id), listed)
            if file.status is Status.UPLOADING:
                file = self._assembling(file)
            self._objects.complete(file.key, upload_id, parts, file.size)
        except UploadMissing:
            return self._completed_before(file)
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidPart":
                raise
            raise Busy("A part was sent again at this moment; ask again.") from None
        return self._files.get(file.owner, file.id)

    def _delete(self, file: File) -> None:
        if file.status is Status.UPLOADING:
            # The record first: nothing can complete the upload any more while S3 forgets its parts.
            file = self._files.save(file, status=Status.ABORTED, reason="aborted", expires_at=_expiry())
        if file.upload_id:
            self._objects.abort(file.key, file.upload_id)
        self._objects.delete(file.key)
        # The record last: where S3 failed, the client can still ask again.
        if file.status is not Status.ABORTED:
            self._files.delete(file)

    def _sign_one(self, file: File, number: int) -> dict[str, Any]:
        size = part_bytes(file, number)
        if file.upload_id:
            signed = self._objects.sign_part(file.key, file.upload_id, number, size)
        else:
            signed = self._objects.sign_put(file.key, size, file.content_type, file.declared)
        return {
            "number": number,
            "offset": (number - 1) * file.part_size,
            "size": size,
            "url": signed.url,
            "headers": signed.headers,
            "expires_at": rfc3339(signed.expires_at),
        }

    def _complete_single(self, file: File, listed: Sequence[CompletedPart] | None) -> File:
        try:
            version = self._objects.head(file.key).version
        except ObjectMissing:
            raise PartsMissing("The PUT has not arrived.", missing=[1]) from None
        self._whole(file, [Part(1, version.size, version.etag)], listed)
        if file.status is not Status.UPLOADING:
            return file
        return self._assembling(file)

    def _assembling(self, file: File) -> File:
        return self._files.save(file, status=Status.ASSEMBLING, received_bytes=file.size, expires_at=None)

    def _completed_before(self, file: File) -> File:
        """S3 knows no such upload: it completed one whose answer was lost, is at it still, or the upload is gone.

        While it is `assembling` only S3's event can tell, and it will: a large object takes minutes.
        """
        fresh = self._files.get(file.owner, file.id)
        if fresh.status is not Status.UPLOADING:
            return fresh
        try:
            self._objects.head(file.key)
        except ObjectMissing:
            return self._files.save(fresh, status=Status.FAILED, reason="upload_missing")
        return fresh

    def _whole(self, file: File, arrived: Sequence[Part], listed: Sequence[CompletedPart] | None) -> list[Part]:
        """All parts in order, when they are there, of the right size and those that the client lists."""
        right = {part.number: part for part in _right(file, arrived)}
        missing = [number for number in range(1, file.part_count + 1) if number not in right]
        if missing:
            raise PartsMissing(
                f"{len(missing)} of {file.part_count} parts are missing or not of their size.",
                missing=missing[:MISSING_SHOWN],
            )
        if listed is not None:
            named = {part.number: part.etag.strip('"') for part in listed}
            if named != {number: part.etag for number, part in right.items()}:
                raise PartsDiffer("Leave `parts` out to let the server list them.")
        return [right[number] for number in range(1, file.part_count + 1)]


def _expiry() -> int:
    """When an upload that nobody goes on with is forgotten, in epoch seconds."""
    return int(time()) + limits.UNFINISHED_DAYS * 86_400


def _right(file: File, arrived: Sequence[Part]) -> list[Part]:
    """Those parts that are the file's and of their right size."""
    return [part for part in arrived if part.number <= file.part_count and part.size == part_bytes(file, part.number)]


def part_bytes(file: File, number: int) -> int:
    """The size that this part must have: all are equal but the last. 0 for a number that the file does not have."""
    return max(0, min(file.part_size, file.size - (number - 1) * file.part_size))


def part_numbers(text: str, count: int) -> list[int]:
    """`1-3,7` as [1, 2, 3, 7]: ascending, each once, at most MAX_PARTS_PER_ANSWER. Raises InvalidPartNumber."""
    numbers: set[int] = set()
    for item in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,5})(?:-(\d{1,5}))?\s*", item, re.ASCII)
        if not match:
            raise InvalidPartNumber(f"{item[:40]!r} is neither a number nor a range such as 1-100.")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= count:
            raise InvalidPartNumber(f"{item.strip()} is not within this file's parts, 1 to {count}.", part_count=count)
        numbers.update(range(first, last + 1))
    if len(numbers) > limits.MAX_PARTS_PER_ANSWER:
        raise InvalidPartNumber(
            f"{limits.MAX_PARTS_PER_ANSWER} parts can be signed at once, not {len(numbers)}.",
            limit=limits.MAX_PARTS_PER_ANSWER,
        )
    return sorted(numbers)
