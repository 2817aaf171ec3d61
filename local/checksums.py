"""Checksums as S3 keeps them, which moto does not: it takes what a client says of its bytes for true, forgets it of a
single PUT that names no algorithm, and lists parts without theirs.

With these, bytes that are not those of an `x-amz-checksum-...` header are refused, parts of an upload that was begun
for an algorithm need theirs, and what S3 has of parts is what it was told when they came, whatever became of the bytes.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

import base64
import hashlib
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

from awscrt import checksums

PREFIX = "x-amz-checksum-"


def _crc(function: Callable[[bytes], int], size: int) -> Callable[[bytes], bytes]:
    return lambda data: function(data).to_bytes(size)


def _hash(name: str) -> Callable[[bytes], bytes]:
    return lambda data: hashlib.new(name, data, usedforsecurity=False).digest()


# By what moto calls the algorithm; in a header it is in lower case.
ALGORITHMS = {
    "SHA512": _hash("sha512"),
    "SHA256": _hash("sha256"),
    "SHA1": _hash("sha1"),
    "MD5": _hash("md5"),
    "CRC64NVME": _crc(checksums.crc64nvme, 8),
    "CRC32C": _crc(checksums.crc32c, 4),
    "CRC32": _crc(zlib.crc32, 4),
}


@cache
def make_s3_check_checksums() -> None:
    """Let moto's S3 of this process do so."""
    from moto.s3.models import FakeMultipart  # noqa: PLC0415 - moto takes longer to import than all else
    from moto.s3.responses import S3Response  # noqa: PLC0415

    put_object, upload_part, list_parts = S3Response.put_object, S3Response.upload_part, S3Response.list_parts
    complete = FakeMultipart.complete

    def checked_put(self: Any) -> Any:
        sent = _sent(self.headers)
        if refused := _refusal(self, sent):
            return refused
        answer = put_object(self)
        if sent:
            key = self.backend.get_object(self.bucket_name, self.parse_key_name())
            key.checksum_algorithm, key.checksum_value = sent
            key.checksum_type = "FULL_OBJECT"
        return answer

    def checked_part(self: Any) -> Any:
        sent = _sent(self.headers)
        upload = self.backend.get_bucket(self.bucket_name).multiparts.get(self._get_param("uploadId"))
        wanted = upload.metadata.get("x-amz-checksum-algorithm") if upload else None
        if wanted and (sent is None or sent[0] != wanted):
            return _error(self, "InvalidRequest", f"Checksum Type mismatch occurred, expected: {wanted.lower()}")
        if refused := _refusal(self, sent):
            return refused
        answer = upload_part(self)
        if sent and upload:
            upload.parts[self._get_int_param("partNumber")].checksum_value = sent[1]
        return answer

    def listed_parts(self: Any) -> Any:
        upload = self.backend.get_bucket(self.bucket_name).multiparts.get(self._get_param("uploadId"))
        serialized = self.serialized

        def with_checksums(result: Any) -> Any:
            for part in result.result["Parts"] if upload else ():
                value = upload.parts[part["PartNumber"]].checksum_value
                algorithm = upload.metadata.get("x-amz-checksum-algorithm")
                if value and algorithm:
                    part[f"Checksum{algorithm}"] = value
            return serialized(result)

        self.serialized = with_checksums
        return list_parts(self)

    def completed(self: Any, body: Any) -> Any:
        value, etag, checksum = complete(self, body)
        algorithm = self.metadata.get("x-amz-checksum-algorithm")
        if checksum and algorithm and checksum[0] == "COMPOSITE":
            kept = b"".join(base64.b64decode(self.parts[number].checksum_value) for number in self.partlist)
            checksum = ("COMPOSITE", _checksum(algorithm, kept), len(self.partlist))
        return value, etag, checksum

    S3Response.put_object = checked_put  # type: ignore[method-assign]
    S3Response.upload_part = checked_part  # type: ignore[method-assign]
    S3Response.list_parts = listed_parts  # type: ignore[method-assign]
    FakeMultipart.complete = completed  # type: ignore[method-assign]


def _sent(headers: Any) -> tuple[str, str] | None:
    """The algorithm, as moto calls it, and the value of a request's checksum."""
    for algorithm in ALGORITHMS:
        if value := headers.get(PREFIX + algorithm.lower()):
            return algorithm, value
    return None


def _refusal(response: Any, sent: tuple[str, str] | None) -> Any:
    if sent is None or _checksum(sent[0], response.body or b"") == sent[1]:
        return None
    return _error(response, "BadDigest", f"The {sent[0]} you specified did not match the calculated checksum.")


def _error(response: Any, code: str, message: str) -> Any:
    document = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return 400, response._get_cors_headers_other() | {"content-type": "application/xml"}, document


def _checksum(algorithm: str, data: bytes) -> str:
    return base64.b64encode(ALGORITHMS[algorithm](data)).decode()
