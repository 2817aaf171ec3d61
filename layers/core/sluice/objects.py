"""The S3 calls that Sluice uses, beside the IAM actions that they need.

s3:PutObject (create_upload, complete, and whoever uses a URL of sign_part or sign_put), s3:AbortMultipartUpload
(abort), s3:ListMultipartUploadParts (parts), s3:GetObject (head, its checksums included, and whoever uses a URL of
sign_get or sign_read; with a version, as both have it in a versioned bucket, s3:GetObjectVersion instead),
s3:ListBucket (so that a missing key is a 404), s3:ListBucketVersions, s3:DeleteObject and s3:DeleteObjectVersion
(delete). Signing itself needs no permission; the signer's are asked for when the URL is used.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.httpsession import get_cert_path

from sluice import settings
from sluice.errors import Busy
from sluice.signing import Signed, Signer

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

DELETE_PAGE = 1_000  # keys in one DeleteObjects call
PASSING = {"InternalError", "ServiceUnavailable", "SlowDown"}  # what S3 may say of one key and not the next time

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

# RFC 9530 name -> what a PUT calls it, the strongest first:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
LOCKS = {
    "sha-256": "x-amz-checksum-sha256",
    "sha": "x-amz-checksum-sha1",
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


@dataclass(frozen=True, slots=True)
class Part:
    """A part that has arrived."""

    number: int
    size: int
    etag: str  # without quotes


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one object, pinned: reads of it never see another one's bytes."""

    key: str
    etag: str  # without quotes
    size: int
    version_id: str | None


@dataclass(frozen=True, slots=True)
class Head:
    """A version, and what S3 computed of all its bytes: the name of each checksum -> its bytes, big-endian."""

    version: Version
    checksums: dict[str, bytes]


class Objects:
    """One bucket."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self.bucket = bucket

    @classmethod
    def connect(cls) -> "Objects":
        config = Config(
            # Only SigV4 with a regional, virtual-hosted URL signs content-length; the default signer drops it silently.
            signature_version="s3v4",
            s3={"addressing_style": "virtual"},
            # A checksum that the SDK chose would have to be sent by every client of a presigned part,
            # and validating a read means hashing it once more: the hasher does that already.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "total_max_attempts": 5},
            connect_timeout=5,
            read_timeout=60,
        )
        return cls(boto3.client("s3", config=config), settings.BUCKET_NAME.read())

    def create_upload(self, key: str, content_type: str) -> str:
        """Begin a multipart upload; its id."""
        return self._client.create_multipart_upload(Bucket=self.bucket, Key=key, ContentType=content_type)["UploadId"]

    def sign_part(
        self, key: str, upload_id: str, number: int, size: int, digests: Mapping[str, str] | None = None
    ) -> Signed:
        """A PUT of exactly `size` bytes as this part and no other; with `digests` (hex, by name), of those bytes."""
        part = {"uploadId": upload_id, "partNumber": str(number)}
        return self._signer.sign("PUT", key, part, {"content-length": str(size)} | _lock(digests or {}))

    def sign_put(self, key: str, size: int, content_type: str, digests: Mapping[str, str] | None = None) -> Signed:
        """A PUT of exactly `size` bytes as the whole object, once: a second one is refused with 412."""
        headers = {"content-length": str(size), "content-type": content_type, "if-none-match": "*"}
        return self._signer.sign("PUT", key, {}, headers | _lock(digests or {}))

    def sign_get(self, version: Version, content_type: str, disposition: str) -> Signed:
        shown = {"response-content-type": content_type, "response-content-disposition": disposition}
        return self._signer.sign("GET", version.key, _version_parameter(version) | shown)

    def sign_read(self, version: Version) -> Signed:
        """A GET of exactly this version. Range and If-Match need no signature: the reader adds them."""
        return self._signer.sign("GET", version.key, _version_parameter(version))

    def parts(self, key: str, upload_id: str) -> list[Part]:
        """All parts that have arrived, by number. Raises UploadMissing."""
        pages = self._client.get_paginator("list_parts").paginate(Bucket=self.bucket, Key=key, UploadId=upload_id)
        try:
            return [
                Part(part["PartNumber"], part["Size"], part["ETag"].strip('"'))
                for page in pages
                for part in page.get("Parts", [])
            ]
        except self._client.exceptions.NoSuchUpload:
            raise UploadMissing(upload_id) from None

    def complete(self, key: str, upload_id: str, parts: Sequence[Part], size: int) -> None:
        """Make the parts one object of `size` bytes. Raises UploadMissing; ClientError where S3 refuses the parts."""
        try:
            self._client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in parts]},
                MpuObjectSize=size,
            )
        except self._client.exceptions.NoSuchUpload:
            raise UploadMissing(upload_id) from None

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
        version = Version(key, answer["ETag"].strip('"'), answer["ContentLength"], answer.get("VersionId", version_id))
        return Head(version, _checksums(answer))

    def delete(self, key: str) -> None:
        """Every version of the object, and every marker of an earlier deletion. Raises Busy where S3 kept some."""
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=key)
        for page in pages:
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            versions = [{"Key": key, "VersionId": item["VersionId"]} for item in found if item["Key"] == key]
            for start in range(0, len(versions), DELETE_PAGE):
                batch: Any = {"Objects": versions[start : start + DELETE_PAGE], "Quiet": True}
                # S3 answers 200 whatever became of each version.
                errors = self._client.delete_objects(Bucket=self.bucket, Delete=batch).get("Errors", [])
                refused = {error.get("Code", "") for error in errors}
                if refused - PASSING:
                    raise RuntimeError(f"S3 refuses to delete versions: {', '.join(sorted(refused))}")
                if refused:
                    raise Busy("S3 did not delete every version; ask again.")

    @cached_property
    def _signer(self) -> Signer:
        return Signer(self._client, self.bucket)


def _lock(digests: Mapping[str, str]) -> dict[str, str]:
    """The header by which S3 refuses other bytes than those of the digest; of several the strongest: it takes one."""
    name = next((name for name in LOCKS if name in digests), None)
    return {LOCKS[name]: base64.b64encode(bytes.fromhex(digests[name])).decode()} if name else {}


def _version_parameter(version: Version) -> dict[str, str]:
    return {"versionId": version.version_id} if version.version_id else {}


def _version_id(version_id: str | None) -> dict[str, Any]:
    return {"VersionId": version_id} if version_id else {}


def _checksums(answer: Mapping[str, Any]) -> dict[str, bytes]:
    """Those of the whole object: a composite one is a checksum of the parts' checksums, and ends in their number."""
    if answer.get("ChecksumType") == "COMPOSITE":
        return {}
    told = {name: answer[field] for field, name in CHECKSUMS.items() if field in answer}
    return {name: base64.b64decode(text, validate=True) for name, text in told.items() if "-" not in text}


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
