"""The presigned upload protocol: begin, sign, resume, complete, give up."""

import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from time import monotonic, sleep
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from functions.api.admission import Admission, FingerprintTaken
from functions.api.fingerprints import Fingerprints
from functions.api.parts import check_size, even, lock, most_parts, part_bytes, right, vouched_for, whole
from functions.api.schemas import CompletedPart, CreateFile, check_filename, check_folder
from sluice import composites, limits
from sluice.capabilities import Caller
from sluice.drops import Drop
from sluice.errors import (
    Busy,
    Conflict,
    DigestsDiffer,
    DigestsNeeded,
    FileNotFound,
    InvalidPartNumber,
    PartsMissing,
    Problem,
    TooLarge,
    WrongState,
)
from sluice.files import HASHED, UPLOAD_MISSING, File, Files, Mode, Status, in_days, new_id, rfc3339
from sluice.objects import Form, ObjectMissing, Objects, ObjectTaken, Part, Undecided, UploadMissing
from sluice.queue import Queue
from sluice.signing import Signed
from sluice.verdicts import verdict_by_s3

logger = Logger()

# How long a client waits for S3 to put parts together, which may take minutes. Of the function's 29 s another request
# to S3 may take 10, one to DynamoDB 5 and one to SQS 2, should one of each hang.
COMPLETE_SECONDS = 10.0
# How long a small file is waited for that the hasher has taken before it could be called ready here.
READY_SECONDS, LOOK_SECONDS = 2.0, 0.05
ATTEMPTS = 10  # at a record that others write at the same time: each loses to one that is done
DIGEST_MISMATCH = "digest_mismatch"  # why a file failed whose sender says that other bytes arrived than were sent


class Uploads:
    """Uploads into one bucket, kept in one table."""

    def __init__(
        self,
        files: Files,
        objects: Objects,
        queue: Queue,
        admission: Admission | None = None,
        digests: Collection[str] = ("sha-256", "md5"),
        *,
        malware_scan: bool = False,
    ) -> None:
        """`digests` are those that every file has in the end; with `malware_scan` no file is `ready` without one."""
        self._files = files
        self._objects = objects
        self._queue = queue
        self._admission = admission or Admission(files)
        self._digests = digests
        self._malware_scan = malware_scan
        self._fingerprints = Fingerprints(*files.connection)

    def begin(self, caller: Caller, wanted: CreateFile) -> tuple[File, bool]:
        """A new file, or the unfinished one that the fingerprint means; and whether it is new.

        Raises InvalidFilename, InvalidFolder, TooLarge, ContentTypeRefused, QuotaExceeded, DropNotFound, DropFull,
        Busy.
        """
        _check_names(wanted.filename, wanted.folder)
        drop = self._admission.check(caller, wanted)
        promised = self._promised(caller, wanted, drop)
        if wanted.fingerprint is None:
            return self._create(promised, drop), True
        for _ in range(ATTEMPTS):
            known_id = self._fingerprints.find(caller, wanted.fingerprint, wanted.size)
            with suppress(Conflict, FingerprintTaken):
                if known_id and (known := self._resumed(caller, known_id, wanted)):
                    return known, False
                return self._create(replace(promised, id=new_id()), drop, (caller, known_id)), True
        raise Busy("Others begin with the same fingerprint at this moment; ask again.")

    def _resumed(self, caller: Caller, file_id: str, wanted: CreateFile) -> File | None:
        """The upload, if it can be gone on with as this file. Raises Conflict."""
        try:
            known = self._files.get(caller.owner, file_id)
        except FileNotFound:
            return None
        contradicted = any(known.declared.get(name, value) != value for name, value in wanted.digests.items())
        if known.status is not Status.UPLOADING or contradicted:  # the same fingerprint, and another file
            return None
        declared = known.declared | wanted.digests  # whoever resumes may know more by now
        if known.resumed and declared == known.declared:
            return known
        return self._files.save(known, declared=declared, resumed=True)

    def _promised(self, caller: Caller, wanted: CreateFile, drop: Drop | None) -> File:
        if wanted.size is None:
            return self._as_cut(caller, wanted, drop, Mode.MULTIPART)
        single = wanted.size <= limits.MAX_SINGLE_PUT_BYTES
        part_size = limits.MAX_SINGLE_PUT_BYTES if single else limits.part_size(wanted.size)
        mode = Mode.SINGLE if single else Mode.MULTIPART
        return _file(caller, wanted, size=wanted.size, mode=mode, part_size=part_size)

    def _as_cut(self, caller: Caller, wanted: CreateFile, drop: Drop | None, mode: Mode) -> File:
        """A file that its client sends in one POST, or in parts of whatever sizes it likes."""
        size, size_limit = wanted.size or 0, None
        if wanted.size is None:
            size_limit = self._admission.most_untold_bytes(drop, mode)
            size = size_limit if mode is Mode.SINGLE else 0
        elif mode is Mode.SINGLE and size > limits.MAX_POST_BYTES:
            most = limits.MAX_POST_BYTES
            raise TooLarge(f"S3 takes at most {most} bytes in one POST: send the file in parts.", limit=most, size=size)
        return _file(
            caller,
            wanted,
            size=size,
            size_limit=size_limit,
            mode=mode,
            part_size=max(limits.MAX_SINGLE_PUT_BYTES, size),
            own_parts=0 if mode is Mode.MULTIPART else None,
        )

    def begin_as_cut(self, caller: Caller, wanted: CreateFile, mode: Mode) -> File:
        """A new file that its client sends in one POST, or in parts of whatever sizes it likes. Raises as `begin` does.

        Where nobody knows its size yet, the quota promises the most that may come in one POST, because S3 asks nobody;
        parts are counted when they are made one object.
        """
        _check_names(wanted.filename, wanted.folder)
        drop = self._admission.check(caller, wanted)
        return self._create(self._as_cut(caller, wanted, drop, mode), drop)

    def sign(
        self, file: File, numbers: Iterable[int], digests: Mapping[int, str] | None = None
    ) -> list[dict[str, Any]]:
        """The URL of each part, as the contract shows it; `digests` has what parts are locked to.

        Raises WrongState when nothing can be uploaded any more, PartDigestNeeded, InvalidPartDigest.
        """
        _expect_uploading(file)
        if file.mode is Mode.SINGLE and file.size_limit is not None:
            raise WrongState("This upload was begun as one POST, whose form says all.", state=file.status)
        if file.mode is Mode.SINGLE and file.part_digest and digests:  # that of its one part is that of the file
            lock(file, digests[1])
            declared = {file.part_digest: digests[1]}
            file = self._persistently(file, lambda now: self._declare(now, declared))
            _expect_uploading(file)
        return [self._sign_one(file, number, (digests or {}).get(number)) for number in numbers]

    def sign_as_cut(self, file: File, number: int) -> Signed:
        """A PUT of a part whose size the client chooses. Raises WrongState, InvalidPartNumber."""
        _expect_uploading(file)
        count = most_parts(file)
        if file.upload_id is None or not 1 <= number <= count:
            raise InvalidPartNumber(f"{number} is not within this file's parts, 1 to {count}.", part_count=count)
        return self._objects.sign_part(file.key, file.upload_id, number, None)

    def check_excess(self, file: File) -> None:
        """Look at what S3 holds before more URLs are given out. Raises TooLarge for more than was promised."""
        if file.status is Status.UPLOADING and file.upload_id:
            with suppress(UploadMissing):
                self._refuse_excess(file, self._objects.parts(file.key, file.upload_id))

    def sign_post(self, file: File) -> Form:
        """A POST of the whole file, locked to its size where that is known. Raises WrongState."""
        _expect_uploading(file)
        if file.size_limit is None:
            return self._objects.sign_post(file.key, file.size, file.size, file.content_type)
        return self._objects.sign_post(file.key, 0, file.size_limit, file.content_type)

    def received(self, file: File, among: Collection[int] | None = None) -> list[Part]:
        """The parts that S3 has, each of its right size. A part of another size has to be sent again.

        `among` are the only numbers that are asked about: a client that signs a thousand times does not list all. But
        all are looked at where more may come than was promised. Raises TooLarge then.
        """
        if file.status is not Status.UPLOADING:
            return []
        if file.own_parts is not None and among is not None:
            return [part for part in self.received(file) if part.number in among]
        try:
            if file.upload_id:
                arrived = self._objects.parts(file.key, file.upload_id, among)
            else:
                head = self._objects.head(file.key)
                digest = head.checksums.get(file.part_digest or "")
                arrived = [Part(1, head.version.size, head.version.etag, digest=digest)]
        except ObjectMissing:
            return []
        except UploadMissing:
            with suppress(WrongState, Conflict):  # given up at this moment
                self._without_upload(file)  # or who resumes would be given the same dead upload for a week
            return []
        self._refuse_excess(file, arrived)
        return right(file, arrived)

    def sent(self, file: File) -> list[Part] | None:
        """The parts that S3 has of a file that its client cuts; None when they are one object. Raises WrongState."""
        if file.status in (Status.ABORTED, Status.FAILED):
            _expect_uploading(file)
        if file.upload_id and file.status in (Status.UPLOADING, Status.ASSEMBLING):
            try:
                arrived = self._objects.parts(file.key, file.upload_id)
            except UploadMissing:
                if file.status is Status.UPLOADING:
                    raise WrongState("S3 has lost this upload.", state=file.status) from None
            else:
                self._refuse_excess(file, arrived)
                return arrived
        return None

    def give_up(self, file: File) -> None:
        """Give an upload up, as often as asked; what is complete stays. Raises WrongState for that."""
        if file.status is not Status.ABORTED:
            _expect_uploading(file)
        try:
            self._delete(file)
        except Conflict:
            self.give_up(self._files.get(file.owner, file.id))

    def put(self, file: File, body: bytes, sha256: str) -> File:
        """Store the whole file, and complete it. Raises what `complete` does."""
        try:
            head = self._objects.put(file.key, body, file.content_type, sha256)
            put, malware_scan = {"sha-256": sha256}, self._malware_scan
            if hashed := verdict_by_s3(file, head, self._digests, put, malware_scan=malware_scan):
                return self._files.save(file, **hashed | {"crc32": f"{zlib.crc32(body):08x}"})
        except (Conflict, ObjectMissing):  # S3's event, another attempt or a deletion was faster
            pass
        file = self.complete(self._files.get(file.owner, file.id), None)
        until = monotonic() + READY_SECONDS
        while file.status is Status.HASHING and monotonic() < until:  # the hasher was faster, and is nearly done
            sleep(LOOK_SECONDS)
            file = self._files.get(file.owner, file.id)
        return file

    def complete(
        self,
        file: File,
        listed: Sequence[CompletedPart] | None,
        digests: Mapping[str, str] | None = None,
        size: int | None = None,
    ) -> File:
        """Make the parts one object, as often as a client asks; `digests` and `size` are those of the whole file.

        A file that is left `assembling` gets on from here by itself: the hasher sees to it. Raises PartsMissing,
        PartsDiffer, DigestsDiffer, DigestsNeeded, WrongState, Busy.
        """
        return self._persistently(file, lambda now: self._complete(now, listed, digests or {}, size))

    def change(self, file: File, changes: Mapping[str, Any]) -> File:
        """The file under another `filename`, in another `folder`, with other `metadata`; its bytes stay what they are.

        Raises InvalidFilename, InvalidFolder, WrongState where nothing is left to be named, Busy.
        """
        _check_names(changes.get("filename"), changes.get("folder"))

        def save(now: File) -> File:
            if now.status in (Status.FAILED, Status.ABORTED):
                raise WrongState(f"A file that is {now.status} is not changed any more.", state=now.status)
            new = {name: value for name, value in changes.items() if getattr(now, name) != value}
            return self._files.save(now, **new) if new else now

        return self._persistently(file, save)

    def delete(self, file: File) -> None:
        """Give an upload up, or delete the file and its object."""
        try:
            self._delete(file)
        except Conflict:
            self._delete(self._files.get(file.owner, file.id))

    def _persistently(self, file: File, attempt: Callable[[File], File]) -> File:
        """What `attempt` makes of the file, or of what others made of it at the same time. Raises Busy."""
        for _ in range(ATTEMPTS):
            with suppress(Conflict):  # another call, S3's event or the hasher was faster: go on from where it is now
                return attempt(file)
            file = self._files.get(file.owner, file.id)
        raise Busy("The file is being changed at this moment; ask again.")

    def _complete(
        self, file: File, listed: Sequence[CompletedPart] | None, digests: Mapping[str, str], size: int | None
    ) -> File:
        _refuse_aborted(file)
        if file.size_limit is None and file.status is not Status.FAILED:
            check_size(size, file.size)
        file = self._declare(file, digests)
        if file.status not in (Status.UPLOADING, Status.ASSEMBLING):
            return file
        upload_id = file.upload_id
        if upload_id is None:
            return self._complete_single(file, listed, size)
        try:
            arrived = self._objects.parts(file.key, upload_id)
        except UploadMissing:
            return self._without_upload(file)
        self._refuse_excess(file, arrived)
        parts = whole(file, arrived, listed, size)
        vouched = vouched_for(file, parts, listed)
        if file.resumed and not vouched and not file.declared:
            # Whoever resumed may have been another sender: the parts of two must not become one file.
            raise DigestsNeeded("This upload was resumed: send `digests` of the file, or the `digest` of every part.")
        if file.status is Status.UPLOADING:
            # A message to the hasher, then the record, then S3: wherever we die, somebody goes on from there.
            self._queue.complete_later(file)
            file = self._assembling(file, parts, vouched=vouched)
        try:
            with suppress(Undecided):
                self._objects.complete(file.key, upload_id, parts, file.size, COMPLETE_SECONDS)
        except (UploadMissing, ObjectTaken):
            return self._without_upload(file)
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidPart":
                raise
            raise Busy("A part was sent again at this moment; ask again.") from None
        return self._files.get(file.owner, file.id)

    def _delete(self, file: File) -> None:
        if file.status is Status.UPLOADING:
            # The record first: nothing can complete the upload any more while S3 forgets its parts.
            file = self._ended(file, Status.ABORTED, "aborted")
        if file.upload_id:
            self._objects.abort(file.key, file.upload_id)
        self._objects.delete(file.key)
        # The record last: where S3 failed, the client can still ask again.
        if file.status is not Status.ABORTED:
            self._files.delete(file)

    def _create(self, file: File, drop: Drop | None, taking_over: tuple[Caller, str | None] | None = None) -> File:
        """`taking_over`: who begins by the fingerprint, and the file that it has meant so far."""
        # S3 first: an upload that no record knows is aborted by the bucket's lifecycle rule, a record without its
        # upload would be a promise that cannot be kept.
        multipart = file.mode is Mode.MULTIPART
        upload_id = self._objects.create_upload(file.key, file.content_type, file.part_digest) if multipart else None
        try:
            unfinished = replace(
                file,
                upload_id=upload_id,
                expires_at=in_days(limits.UNFINISHED_DAYS),
                forget_at=in_days(limits.UNFINISHED_DAYS + limits.REMEMBERED_DAYS),
            )
            created = self._admission.create(unfinished, drop, self._fingerprint(unfinished, taking_over))
        except (Problem, FingerprintTaken):
            if upload_id:
                self._objects.abort(file.key, upload_id)
            raise
        if created.own_parts is not None:
            self._queue.measure_later(created)  # nothing else would notice parts that nobody asks about again
        return created

    def _fingerprint(self, file: File, taking_over: tuple[Caller, str | None] | None) -> Any:
        if taking_over is None:
            return None
        caller, known_id = taking_over
        return self._fingerprints.claim(caller, file, known_id)

    def _sign_one(self, file: File, number: int, digest: str | None) -> dict[str, Any]:
        as_cut = file.own_parts is not None
        size = part_bytes(file, number)
        digests = lock(file, digest)
        if file.upload_id:
            signed = self._objects.sign_part(file.key, file.upload_id, number, None if as_cut else size, digests)
        else:
            signed = self._objects.sign_put(file.key, size, file.content_type, digests or file.declared)
        return {
            "number": number,
            "offset": None if as_cut else (number - 1) * file.part_size,
            "size": None if as_cut else size,
            "url": signed.url,
            "headers": signed.headers,
            "expires_at": rfc3339(signed.expires_at),
        }

    def _complete_single(self, file: File, listed: Sequence[CompletedPart] | None, size: int | None) -> File:
        try:
            head = self._objects.head(file.key)
        except ObjectMissing:
            raise PartsMissing("The PUT has not arrived.", missing=[1]) from None
        digest = head.checksums.get(file.part_digest or "")
        parts = whole(file, [Part(1, head.version.size, head.version.etag, digest=digest)], listed, size)
        if file.status is not Status.UPLOADING:
            return file
        if hashed := verdict_by_s3(file, head, self._digests, malware_scan=self._malware_scan):
            return self._files.save(file, **hashed)
        return self._assembling(file, parts, vouched=False)

    def _declare(self, file: File, digests: Mapping[str, str]) -> File:
        """The file with what its sender says of it. Raises DigestsDiffer where that contradicts what was said before.

        Of a file that is hashed without the sender's word the digests are compared now: it fails where they differ.
        """
        for name, value in digests.items():
            if file.declared.get(name, value) != value:
                raise _differing(name, file.declared[name], value)
        new = {name: value for name, value in digests.items() if name not in file.declared}
        if not new or file.status in (Status.FAILED, Status.ABORTED):
            return file
        if file.status not in HASHED:
            return self._files.save(file, declared=file.declared | new)
        compared = {name: value for name, value in new.items() if name in file.digests}
        for name, value in compared.items():
            found = file.digests[name]
            if found == value:
                continue
            if file.verified:
                raise _differing(name, found, value)
            mismatch = {"name": name, "expected": value, "found": found}
            logger.error("a hashed file is not what was sent", file_id=file.id, mismatch=mismatch)
            changes = {"reason": DIGEST_MISMATCH, "mismatch": mismatch, "declared": file.declared | {name: value}}
            return self._files.save(file, status=Status.FAILED, **changes)
        return self._files.save(file, declared=file.declared | compared, verified=True) if compared else file

    def _refuse_excess(self, file: File, arrived: Sequence[Part]) -> None:
        """Give up an upload of which S3 holds more than was promised: only whose client cuts it as he likes can be.

        Raises TooLarge for it. What is missing can still come; what is too much can never become the file.
        """
        most = file.most_bytes
        size = sum(part.size for part in arrived)
        if file.own_parts is None or file.upload_id is None or size <= most:
            return
        if file.status is Status.UPLOADING:
            file = self._ended(file, Status.FAILED, TooLarge.code)
        self._objects.abort(file.key, str(file.upload_id))
        raise TooLarge(f"The file has at most {most} bytes, and its parts have {size}.", limit=most, size=size)

    def _assembling(self, file: File, parts: Sequence[Part], *, vouched: bool) -> File:
        size = sum(part.size for part in parts)
        changes: dict[str, Any] = {"received_bytes": size, "expires_at": None, "forget_at": None}
        if vouched and file.part_digest:
            changes["composite"] = composites.composite(file.part_digest, [part.digest or "" for part in parts])
        if file.own_parts is not None:
            changes |= {"own_parts": len(parts), "part_size": even(parts) or file.part_size}
        if file.size_limit is None:
            return self._files.save(file, status=Status.ASSEMBLING, **changes)
        try:
            return self._admission.measured(file, size, status=Status.ASSEMBLING, **changes)
        except TooLarge as error:  # nothing can make it smaller
            ended = self._ended(file, Status.FAILED, error.code)
            if ended.upload_id:
                self._objects.abort(ended.key, ended.upload_id)
            raise

    def _ended(self, file: File, status: Status, reason: str) -> File:
        forget_at = in_days(limits.REMEMBERED_DAYS)
        return self._files.save(file, status=status, reason=reason, expires_at=None, forget_at=forget_at)

    def _without_upload(self, file: File) -> File:
        """S3 does not complete this upload: it did so before, is at it for somebody else, or the upload is gone.

        While the file is `assembling` there may be neither upload nor object for minutes, and nothing is concluded.
        """
        fresh = self._files.get(file.owner, file.id)
        _refuse_aborted(fresh)
        if fresh.status is not Status.UPLOADING:
            return fresh
        try:
            self._objects.head(file.key)
        except ObjectMissing:
            return self._ended(fresh, Status.FAILED, UPLOAD_MISSING)
        return fresh


def _file(caller: Caller, wanted: CreateFile, **more: Any) -> File:
    """A new record of what a client says of the file."""
    return File(
        owner=caller.owner,
        filename=wanted.filename,
        folder=wanted.folder,
        metadata=wanted.metadata,
        content_type=wanted.content_type,
        fingerprint=wanted.fingerprint,
        part_digest=wanted.part_digest,
        declared=wanted.digests,
        drop=caller.drop,
        capability=caller.capability,
        **more,
    )


def _check_names(filename: str | None, folder: str | None) -> None:
    """Raises InvalidFilename, InvalidFolder."""
    if filename is not None:
        check_filename(filename)
    if folder is not None:
        check_folder(folder)


def _expect_uploading(file: File) -> None:
    if file.status is not Status.UPLOADING:
        raise WrongState(f"A file that is {file.status} takes no parts.", state=file.status)


def _differing(name: str, expected: str, found: str) -> DigestsDiffer:
    detail = f"The {name} of this file was said to be {expected[:16]}..., and now {found[:16]}...: they are two files."
    return DigestsDiffer(detail, name=name, expected=expected, found=found)


def _refuse_aborted(file: File) -> None:
    if file.status is Status.ABORTED:
        detail = f"The upload was {file.reason}; begin again with POST /files."
        raise WrongState(detail, state=file.status, reason=file.reason)
