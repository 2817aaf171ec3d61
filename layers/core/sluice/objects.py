"""The S3 calls that Sluice uses, beside the IAM actions that they need.

s3:PutObject (put, create_upload, put_part, copy_part, complete, and whoever uses what sign_part, sign_put or sign_post
made), s3:AbortMultipartUpload (abort), s3:ListMultipartUploadParts (parts), s3:GetObject (get, head with its checksums,
copy_part, and whoever uses a URL of sign_get or sign_read; with a version, as all but the first have it in a versioned
bucket, s3:GetObjectVersion instead), s3:ListBucket (so that a missing key is a 404), s3:ListBucketVersions,
s3:DeleteObject and s3:DeleteObjectVersion (delete, delete_below), s3:DeleteObject (hide), s3:DeleteObjectVersion
(discard). Signing itself needs no permission; the signer's are asked for when the URL is used.
"""

import base64
import os
import re
import time
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import get_cert_path

from sluice import audit, settings
from sluice.errors import Busy
from sluice.limits import LIST_PARTS_PAGE, MAX_PARTS
from sluice.signing import URL_SECONDS, Signed, Signer

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

T = TypeVar("T")

DELETE_PAGE = 1_000  # keys in one DeleteObjects call
PASSING = {"InternalError", "ServiceUnavailable", "SlowDown"}  # what S3 may say of one key and not the next time
READ_SECONDS = 10  # how long an answer, or more of one, is waited for
COMPLETE_SECONDS = 60.0  # how long S3 is waited for while it puts parts together, where nobody says otherwise
# What S3 says of an object that is to be made where one is (412), or while another request makes one (409).
TAKEN = {"PreconditionFailed", "ConditionalRequestConflict"}

# Whoever uploads may have S3 store a Content-Encoding and send it with every answer. The bytes are what they are: with
# this in the URL S3 says so, and any other encoding was made on the way.
AS_STORED = {"response-content-encoding": "identity"}

# What HEAD calls a checksum -> the RFC 9530 name, where it has one: https://www.iana.org/assignments/http-digest-hash-alg/
CHECKSUMS = {
    "ChecksumCRC64NVME": "crc64nvme",
    "ChecksumCRC32C": "crc32c",
    "ChecksumCRC32": "crc32",
    "ChecksumSHA1": "sha",
    "ChecksumSHA256": "sha-256",
    "ChecksumSHA512": "sha-512",
    "ChecksumMD5": "md5",
}

MD5 = re.compile("[0-9a-f]{32}")

# Storage classes whose objects S3 lists but does not send before somebody restores them (403 InvalidObjectState).
ARCHIVES = {"GLACIER", "DEEP_ARCHIVE"}

# RFC 9530 name -> what a PUT calls it, the strongest first. S3's xxhashes are weaker than all hashes here and no digest
# that a client can declare, so nothing is locked to them:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
LOCKS = {
    "sha-512": "x-amz-checksum-sha512",
    "sha-256": "x-amz-checksum-sha256",
    "sha": "x-amz-checksum-sha1",
    "md5": "x-amz-checksum-md5",
    "crc64nvme": "x-amz-checksum-crc64nvme",
    "crc32c": "x-amz-checksum-crc32c",
    "crc32": "x-amz-checksum-crc32",
}


class ObjectMissing(Exception):
    """S3 has no such object or version (any more)."""


class ObjectChanged(Exception):
    """S3 has another object there than the one that was meant."""


class ObjectForbidden(Exception):
    """S3 does not let us have the object."""


class UploadMissing(Exception):
    """S3 has no such multipart upload: it was completed or aborted, or never was."""


class ObjectTaken(Exception):
    """S3 has an object where one was to be made, or is about to have one."""


class Differs(Exception):
    """S3 has other bytes than those whose checksum was given."""


class Undecided(Exception):
    """S3 has not said what became of it: it is at it still, or failed on its side. To ask again harms nothing."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part that has arrived."""

    number: int
    size: int
    etag: str  # as `bare_etag` makes it
    # By S3's name for it, where the parts have one: to complete an upload that was begun for it means to repeat it.
    checksum: Mapping[str, str] = field(default_factory=dict)
    digest: str | None = None  # the same in hex


@dataclass(frozen=True, slots=True)
class Form:
    """A form that allows one kind of POST to `url`, which ends in a slash, until `expires_at` (epoch seconds).

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
    """

    url: str
    fields: dict[str, str]  # `key` among them; the file comes last
    expires_at: int


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one object, pinned: reads of it never see another one's bytes."""

    key: str
    etag: str  # as `bare_etag` makes it
    size: int
    version_id: str | None


def _note_request(answer: Mapping[str, Any]) -> None:
    """S3's id of the request that made an object: its event names it as well, and so does the hasher's log."""
    audit.note(s3_request_id=answer.get("ResponseMetadata", {}).get("RequestId"))


def bare_etag(text: str) -> str:
    """An ETag as it is compared and kept: S3 quotes it in answers and lists, and not in events.

    The mark of a weak one goes as well: whoever reads bytes has to look at it before. Case counts (RFC 9110, 8.8.3).
    """
    return text.strip().removeprefix("W/").strip(' \t"')


@dataclass(frozen=True, slots=True)
class Composite:
    """What S3 has of an object that was put together of parts: the digest of the digests of its parts."""

    name: str
    digest: str
    parts: int


@dataclass(frozen=True, slots=True)
class Head:
    """A version, and what S3 says of its bytes: digests of all of them, and where there is none, of its parts' digests.

    Both in lower-case hex, by RFC 9530 name. S3 checked them against the bytes when it took these.
    """

    version: Version
    checksums: dict[str, str]
    composite: Composite | None = None
    archived: bool = False  # S3 does not send it before somebody restores it


class Objects:
    """One bucket. What people are given leads to the endpoint of the client `theirs`, where there is one."""

    def __init__(self, client: "S3Client", bucket: str, theirs: "S3Client | None" = None) -> None:
        self._client = client
        self._theirs = theirs or client
        self.bucket = bucket

    @classmethod
    def connect(cls, read_seconds: int = READ_SECONDS, connections: int = 10) -> "Objects":
        """With patience for answers that take so long, and so many connections at once."""
        config = Config(
            # Only SigV4 with a regional, virtual-hosted URL signs content-length; the default signer drops it silently.
            signature_version="s3v4",
            s3={"addressing_style": "virtual"},
            # A checksum that the SDK chose would have to be sent by every client of a presigned part,
            # and validating a read means hashing it once more: the hasher does that already.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "total_max_attempts": 5},
            # A request that hangs and is asked again still fits into the 29 s of the API function.
            connect_timeout=3,
            read_timeout=read_seconds,
            max_pool_connections=connections,
        )
        theirs = None
        if settings.TRANSFER_ACCELERATION.read():
            # Each of its bytes is paid for, and from Lambda S3 is near.
            accelerated = Config(s3={"addressing_style": "virtual", "use_accelerate_endpoint": True})
            theirs = boto3.client("s3", config=config.merge(accelerated))
        return cls(boto3.client("s3", config=config), settings.BUCKET_NAME.read(), theirs)

    def put(self, key: str, body: bytes, content_type: str, sha256: str) -> Head:
        """Store these bytes and no others (`sha256` in hex), once; what S3 has of them. Raises Busy, ObjectMissing."""
        try:
            answer = self._client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                IfNoneMatch="*",
                ChecksumSHA256=_base64(sha256),
            )
        except ClientError as error:
            match error.response["ResponseMetadata"]["HTTPStatusCode"]:
                case 412:  # an attempt whose answer was lost has stored it
                    return self.head(key)
                case 409:  # another attempt is at it
                    raise Busy("The file is being stored at this moment; ask again.") from None
            raise
        _note_request(answer)
        # It tells what a HEAD would: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
        version = Version(key, bare_etag(answer["ETag"]), len(body), answer.get("VersionId"))
        return Head(version, _checksums(answer))

    def get(self, key: str) -> bytes:
        """A small object as it is now. Raises ObjectMissing, ObjectForbidden."""
        try:
            return self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            raise _translated(error) from None

    def create_upload(self, key: str, content_type: str, part_digest: str | None = None) -> str:
        """Begin a multipart upload; its id. With `part_digest`, one of LOCKS, whose parts are each locked to theirs."""
        checksum: Any = {}
        if part_digest:
            algorithm = next(field for field, name in CHECKSUMS.items() if name == part_digest)
            # CRCs of parts make that of the object; a hash of hashes is all that S3 has of the others.
            kind = "FULL_OBJECT" if part_digest.startswith("crc") else "COMPOSITE"
            checksum = {"ChecksumAlgorithm": algorithm.removeprefix("Checksum"), "ChecksumType": kind}
        return self._client.create_multipart_upload(Bucket=self.bucket, Key=key, ContentType=content_type, **checksum)[
            "UploadId"
        ]

    def sign_part(
        self, key: str, upload_id: str, number: int, size: int | None, digests: Mapping[str, str] | None = None
    ) -> Signed:
        """A PUT of exactly `size` bytes as this part and no other; with `digests` (hex, by name), of those bytes.

        Without a size, of as many bytes as a part may have.
        """
        part = {"uploadId": upload_id, "partNumber": str(number)}
        length = {} if size is None else {"content-length": str(size)}
        return self._signer.sign("PUT", key, part, length | _lock(digests or {}))

    def sign_put(self, key: str, size: int, content_type: str, digests: Mapping[str, str] | None = None) -> Signed:
        """A PUT of exactly `size` bytes as the whole object, once: a second one is refused with 412."""
        headers = {"content-length": str(size), "content-type": content_type, "if-none-match": "*"}
        return self._signer.sign("PUT", key, {}, headers | _lock(digests or {}))

    def sign_post(self, key: str, least: int, most: int, content_type: str) -> Form:
        """A POST of `least` to `most` bytes as the whole object."""
        fields = {"Content-Type": content_type, "success_action_status": "201"}
        conditions: list[Any] = [["content-length-range", least, most], *({name: fields[name]} for name in fields)]
        # botocore adds the conditions of the key and of the credentials' own fields.
        signed = self._theirs.generate_presigned_post(
            Bucket=self.bucket, Key=key, Fields=fields, Conditions=conditions, ExpiresIn=URL_SECONDS
        )
        seconds = min(URL_SECONDS, self._signer.seconds_left())
        return Form(f"{signed['url'].rstrip('/')}/", signed["fields"], int(time.time()) + seconds)

    def sign_get(
        self,
        version: Version,
        content_type: str,
        disposition: str,
        method: str = "GET",
        seconds: int | None = None,
    ) -> Signed:
        """A GET of exactly this version as a file of this name; or a HEAD, as a URL is good for one method.

        For `seconds`, or as long as others.
        Undecoded, whatever encoding was stored with it.
        """
        shown = {"response-content-type": content_type, "response-content-disposition": disposition}
        query = _version_parameter(version) | AS_STORED | shown
        return self._signer.sign(method, version.key, query, seconds=seconds)

    def sign_read(self, version: Version) -> Signed:
        """A GET of exactly this version. Range and If-Match need no signature: the reader adds them."""
        return self._own_signer.sign("GET", version.key, _version_parameter(version) | AS_STORED)

    def parts(self, key: str, upload_id: str, among: Collection[int] | None = None) -> list[Part]:
        """All parts that have arrived, by number, or those `among` these numbers. Raises UploadMissing."""
        found: dict[int, Part] = {}
        # S3 takes the marker for a part's number, moto for how many parts to pass over. Pages that begin at every
        # thousandth are right with both, whichever parts there are.
        pages = {(number - 1) // LIST_PARTS_PAGE * LIST_PARTS_PAGE for number in among or ()}
        for marker in range(0, MAX_PARTS, LIST_PARTS_PAGE) if among is None else sorted(pages):
            try:
                page = self._client.list_parts(
                    Bucket=self.bucket, Key=key, UploadId=upload_id, PartNumberMarker=marker, MaxParts=LIST_PARTS_PAGE
                )
            except self._client.exceptions.NoSuchUpload:
                raise UploadMissing(upload_id) from None
            listed = page.get("Parts", [])
            for part in listed:
                told: Mapping[str, Any] = part
                checksum = {name: told[name] for name in CHECKSUMS if name in told}
                digest = next((base64.b64decode(text).hex() for text in checksum.values()), None)
                etag = bare_etag(part["ETag"])
                found[part["PartNumber"]] = Part(part["PartNumber"], part["Size"], etag, checksum, digest)
            # moto says of a full page that it is the last one, where a part's number is beyond their count.
            if not page.get("IsTruncated") and len(listed) < LIST_PARTS_PAGE:
                break
        return [found[number] for number in sorted(found) if among is None or number in among]

    def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> None:
        """Send a part of an upload whose parts have a CRC-32."""
        self._client.upload_part(
            Bucket=self.bucket,
            Key=key,
            UploadId=upload_id,
            PartNumber=number,
            Body=body,
            ChecksumCRC32=_base64(f"{zlib.crc32(body):08x}"),
        )

    def copy_part(self, key: str, upload_id: str, number: int, version: Version, *, start: int, stop: int) -> None:
        """Have S3 copy the version's bytes from `start` up to `stop` (exclusive) into a part.

        Raises ObjectMissing, ObjectChanged, ObjectForbidden.
        """
        source: Any = {"Bucket": self.bucket, "Key": version.key, **_version_id(version.version_id)}
        # S3 copies a range of an object only where that has more than 5 MB, and the whole of any.
        part: Any = {} if (start, stop) == (0, version.size) else {"CopySourceRange": f"bytes={start}-{stop - 1}"}
        try:
            self._client.upload_part_copy(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                CopySource=source,
                CopySourceIfMatch=f'"{version.etag}"',
                **part,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchUpload":
                raise UploadMissing(upload_id) from None
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (412, 416):  # 416: shorter than it was
                raise ObjectChanged(str(error)) from None
            raise _translated(error) from None

    def complete(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        size: int,
        seconds: float = COMPLETE_SECONDS,
        *,
        crc32: str | None = None,
    ) -> None:
        """Make the parts one object of `size` bytes, where there is none yet; with `crc32` (hex), of these bytes alone.

        Raises UploadMissing, ObjectTaken, Undecided (after `seconds` at the latest), ClientError where S3 refuses.
        """
        listed: Any = [{"PartNumber": part.number, "ETag": part.etag, **part.checksum} for part in parts]
        whole: Any = {"ChecksumCRC32": _base64(crc32), "ChecksumType": "FULL_OBJECT"} if crc32 else {}
        try:
            answer = within(
                seconds,
                lambda: self._client.complete_multipart_upload(
                    Bucket=self.bucket,
                    Key=key,
                    UploadId=upload_id,
                    MultipartUpload={"Parts": listed},
                    MpuObjectSize=size,
                    IfNoneMatch="*",
                    **whole,
                ),
            )
        except self._client.exceptions.NoSuchUpload:
            raise UploadMissing(upload_id) from None
        except ClientError as error:
            if error.response["Error"]["Code"] in TAKEN:
                raise ObjectTaken(key) from None
            if error.response["Error"]["Code"] == "BadDigest":
                raise Differs(str(error)) from None
            # Among these what it says within an answer of 200, once it has been at it for a while.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                raise Undecided(str(error)) from None
            raise
        except (BotoCoreError, TimeoutError) as error:
            raise Undecided(str(error)) from None
        _note_request(answer)

    def abort(self, key: str, upload_id: str) -> None:
        """Give a multipart upload and its parts up; one that is not there (any more) is no error."""
        with suppress(self._client.exceptions.NoSuchUpload):
            self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)

    def head(self, key: str, version_id: str | None = None) -> Head:
        """The object as it is now, or the given version of it. Raises ObjectMissing, ObjectForbidden."""
        try:
            answer = self._client.head_object(
                Bucket=self.bucket, Key=key, ChecksumMode="ENABLED", **_version_id(version_id)
            )
        except ClientError as error:
            raise _translated(error) from None
        version = Version(key, bare_etag(answer["ETag"]), answer["ContentLength"], answer.get("VersionId", version_id))
        return Head(version, _checksums(answer), _composite(answer), _archived(answer))

    def hide(self, key: str) -> None:
        """Delete the object so that it can be had back: its version stays until the lifecycle rule takes it."""
        self._client.delete_object(Bucket=self.bucket, Key=key)

    def discard(self, version: Version) -> None:
        """Delete this version and no other; one that is not there (any more) is no error.

        One without an id, which a versioned bucket does not have, is looked for under its key.
        """
        version_id = version.version_id
        if version_id is None:
            with suppress(ObjectMissing):
                now = self.head(version.key).version
                version_id = now.version_id if now.etag == version.etag else None
        if version_id is not None:
            self._client.delete_object(Bucket=self.bucket, Key=version.key, VersionId=version_id)

    def delete(self, key: str) -> None:
        """Every version of the object, and every marker of an earlier deletion. Raises Busy where S3 kept some."""
        self._delete(key, lambda found: found == key)

    def delete_below(self, prefix: str) -> None:
        """The same of every object whose key begins so."""
        self._delete(prefix, lambda _: True)

    def _delete(self, prefix: str, meant: Callable[[str], bool]) -> None:
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix)
        for page in pages:
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            versions = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found if meant(one["Key"])]
            for start in range(0, len(versions), DELETE_PAGE):
                batch: Any = {"Objects": versions[start : start + DELETE_PAGE], "Quiet": True}
                # S3 answers 200 whatever became of each version.
                errors = self._client.delete_objects(Bucket=self.bucket, Delete=batch).get("Errors", [])
                refused = {error.get("Code", "") for error in errors}
                if refused - PASSING:
                    raise RuntimeError(f"S3 refuses to delete versions: {', '.join(sorted(refused))}")
                if refused:
                    raise Busy("S3 did not delete every version; ask again.")

    @property
    def origin(self) -> str:
        """Scheme, host and port of every URL that it signs for people."""
        return self._signer.origin

    @cached_property
    def _signer(self) -> Signer:
        return Signer(self._theirs, self.bucket)

    @cached_property
    def _own_signer(self) -> Signer:
        return self._signer if self._theirs is self._client else Signer(self._client, self.bucket)


def within(seconds: float, call: Callable[[], T]) -> T:
    """What `call` returns or raises. Raises TimeoutError when it has not ended after `seconds`; it goes on then.

    No time-out of a socket does this: S3 sends a blank now and then while it puts parts together, for minutes.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            answer.set_exception(error)

    Thread(target=run, daemon=True).start()
    return answer.result(seconds)


def _lock(digests: Mapping[str, str]) -> dict[str, str]:
    """The header by which S3 refuses other bytes than those of the digest; of several the strongest: it takes one."""
    name = next((name for name in LOCKS if name in digests), None)
    return {LOCKS[name]: _base64(digests[name])} if name else {}


def _base64(hexdigest: str) -> str:
    return base64.b64encode(bytes.fromhex(hexdigest)).decode()


def _version_parameter(version: Version) -> dict[str, str]:
    return {"versionId": version.version_id} if version.version_id else {}


def _version_id(version_id: str | None) -> dict[str, Any]:
    return {"VersionId": version_id} if version_id else {}


def _checksums(answer: Mapping[str, Any]) -> dict[str, str]:
    """Those of the whole object."""
    found = {}
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html: the ETag of a plain PUT is an MD5, except under
    # keys of KMS or the client's. That of a multipart upload ends in the number of parts.
    etag = answer["ETag"].strip('"')
    if answer.get("ServerSideEncryption", "AES256") == "AES256" and "SSECustomerAlgorithm" not in answer:
        found = {"md5": etag} if MD5.fullmatch(etag) else {}
    return found | {
        name: base64.b64decode(answer[field], validate=True).hex()
        for field, name in CHECKSUMS.items()
        if field in answer and not _is_composite(answer, field)
    }


def _composite(answer: Mapping[str, Any]) -> Composite | None:
    """The checksum of the parts' checksums: `<base64>-<number of parts>`."""
    for name_in_answer, name in CHECKSUMS.items():
        if name_in_answer in answer and _is_composite(answer, name_in_answer):
            text, _, parts = answer[name_in_answer].partition("-")
            return Composite(name, base64.b64decode(text, validate=True).hex(), int(parts or 1))
    return None


def _is_composite(answer: Mapping[str, Any], name_in_answer: str) -> bool:
    return answer.get("ChecksumType") == "COMPOSITE" or "-" in answer[name_in_answer]


def _archived(answer: Mapping[str, Any]) -> bool:
    restored = 'ongoing-request="false"' in answer.get("Restore", "")
    # ArchiveStatus is told of an object that intelligent tiering has moved to an archive.
    return "ArchiveStatus" in answer or (answer.get("StorageClass") in ARCHIVES and not restored)


def _translated(error: ClientError) -> Exception:
    match error.response["ResponseMetadata"]["HTTPStatusCode"]:
        case 404:
            return ObjectMissing(str(error))
        case 403:
            return ObjectForbidden(str(error))
        case _:
            return error


def ca_bundle() -> str:
    """The file with the certificates that boto3 trusts by its configuration, or else those that it brings along."""
    configured = botocore.session.get_session().get_config_variable("ca_bundle")
    return str(configured or os.environ.get("REQUESTS_CA_BUNDLE") or get_cert_path(True))
