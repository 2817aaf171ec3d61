"""The checksums that S3 knows, computed while the bytes come, and put together of those of parts.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from awscrt import checksums

PREFIX = "x-amz-checksum-"

Buffer = bytes | bytearray | memoryview


class Running(Protocol):
    """As hashlib has it."""

    def update(self, data: Buffer, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    def __init__(self, function: Callable[[Buffer, int], int], size: int) -> None:
        self._function = function
        self._size = size
        self._value = 0

    def update(self, data: Buffer, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size)


def _hash(name: str) -> Callable[[], Running]:
    return partial(hashlib.new, name, usedforsecurity=False)


# By what S3's API calls the algorithm; in a header it is in lower case.
ALGORITHMS: dict[str, Callable[[], Running]] = {
    "SHA512": _hash("sha512"),
    "SHA256": _hash("sha256"),
    "SHA1": _hash("sha1"),
    "MD5": _hash("md5"),
    "CRC64NVME": partial(_Crc, checksums.crc64nvme, 8),
    "CRC32C": partial(_Crc, checksums.crc32c, 4),
    "CRC32": partial(_Crc, zlib.crc32, 4),
}
# The CRC of two pieces, of theirs and the size of the second.
_COMBINE: dict[str, Callable[[int, int, int], int]] = {
    "CRC64NVME": checksums.combine_crc64nvme,
    "CRC32C": checksums.combine_crc32c,
    "CRC32": checksums.combine_crc32,
}
# Of an upload that was begun without a type: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
DEFAULT_TYPES = {"CRC64NVME": "FULL_OBJECT"}


def checksum(algorithm: str, pieces: Iterable[Buffer]) -> str:
    """As a header has it."""
    running = ALGORITHMS[algorithm]()
    for piece in pieces:
        running.update(piece)
    return text(running)


def text(running: Running) -> str:
    return base64.b64encode(running.digest()).decode()


def of_parts(algorithm: str, parts: Iterable[tuple[str, int]]) -> str:
    """The CRC of an object, of the CRC and the size of each of its parts."""
    crc = ALGORITHMS[algorithm]().digest()
    value, length = int.from_bytes(crc), len(crc)
    for part, size in parts:
        value = _COMBINE[algorithm](value, int.from_bytes(base64.b64decode(part)), size)
    return base64.b64encode(value.to_bytes(length)).decode()
