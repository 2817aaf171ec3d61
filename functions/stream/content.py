"""A ready file as an HTTP representation: its headers, preconditions, ranges (RFC 9110), and its bytes, checked."""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol
from urllib.parse import quote

from sluice.errors import PreconditionFailed, RangeNotSatisfiable
from sluice.files import File, Status

# The digests that a Repr-Digest may carry, https://www.iana.org/assignments/http-digest-hash-alg/
REGISTERED = frozenset({"md5", "sha", "sha-256", "sha-512", "crc32c"})

# A number may be far larger than any file and still means something (RFC 9110, 14.1.2). Nobody honest asks for one of
# more than a hundred digits, and thousands of them would cost time.
RANGE = re.compile(r"bytes=\s*(\d{0,100})-(\d{0,100})\s*", re.ASCII | re.IGNORECASE)


class Representation(Protocol):
    """What preconditions and ranges are about."""

    @property
    def etag(self) -> str | None: ...

    @property
    def size(self) -> int: ...


class DigestMismatch(Exception):
    """The bytes that S3 sent are not those that were hashed: the transfer must not end as if all were well."""


def headers(file: File) -> dict[str, str]:
    """What every answer about the whole file or a range of it carries."""
    digests = ", ".join(f"{name}=:{_base64(value)}:" for name, value in file.digests.items() if name in REGISTERED)
    shown = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition(file.filename),
        "Content-Type": file.content_type,  # as declared: Starlette's media_type would add a charset to text
        "ETag": etag(file),
        "X-Content-Type-Options": "nosniff",
    }
    # RFC 9530: of the whole file, whatever range is sent. A file that is being hashed has none yet.
    return shown | ({"Repr-Digest": digests} if digests else {})


def available(file: File, *, direct: bool) -> bool:
    """Whether the bytes may be sent; with `direct`, by S3.

    S3 may send them while they are still hashed, if the sender's digest has held: they are what the sender had. The
    first hashing job says which version they are.
    """
    verified = file.status is Status.HASHING and file.verified and file.etag is not None
    return file.status is Status.READY or (direct and verified)


def etag(file: Representation) -> str:
    return f'"{file.etag}"'


def disposition(filename: str) -> str:
    """`attachment` under this name: RFC 6266, with RFC 8187's form for what is beyond ASCII."""
    plain = re.sub(r'[^ -~]|["\\%]', "_", filename)
    if plain == filename:
        return f'attachment; filename="{filename}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def not_modified(file: Representation, request: Mapping[str, str]) -> bool:
    """Whether If-None-Match asks for a 304. Raises PreconditionFailed for an If-Match of something else."""
    wanted = request.get("if-match")
    if wanted is not None and not _matches(wanted, file):
        raise PreconditionFailed("If-Match names another ETag.", etag=etag(file))
    known = request.get("if-none-match")
    return known is not None and _matches(known, file, weak=True)


def byte_range(file: Representation, request: Mapping[str, str]) -> tuple[int, int] | None:
    """The range asked for as (start, stop), stop exclusive; None for the whole file. Raises RangeNotSatisfiable.

    What is no range of bytes, several ranges, and a range of another ETag's file mean the whole (RFC 9110, 14.2).
    """
    condition = request.get("if-range")
    match = RANGE.fullmatch(request.get("range", ""))
    if not match or (condition is not None and condition != etag(file)):
        return None
    first, last = match.groups()
    if first:
        start, stop = int(first), min(int(last) + 1 if last else file.size, file.size)
        if last and int(last) < int(first):
            return None
    elif last and file.size:
        start, stop = max(0, file.size - int(last)), file.size
    else:
        return None
    if start >= stop:
        raise RangeNotSatisfiable(
            f"The file has {file.size} bytes.", headers={"Content-Range": f"bytes */{file.size}"}, size=file.size
        )
    return start, stop


def checked(buffers: Iterable[bytes | memoryview], file: File) -> Iterator[bytes]:
    """The buffers, the last one only after the SHA-256 of all was the record's. Raises DigestMismatch instead of it.

    Each is copied: it is held back while the next one may already come in the same memory.
    """
    sha256 = hashlib.sha256()
    held = b""
    for buffer in buffers:
        if held:
            yield held
        sha256.update(buffer)
        held = bytes(buffer)
    if sha256.hexdigest() != file.digests["sha-256"]:
        raise DigestMismatch(file.id)
    if held:
        yield held


def _base64(hexdigest: str) -> str:
    return base64.b64encode(bytes.fromhex(hexdigest)).decode()


def _matches(tags: str, file: Representation, *, weak: bool = False) -> bool:
    offered = [tag.strip() for tag in tags.split(",")]
    if weak:
        offered = [tag.removeprefix("W/") for tag in offered]
    return "*" in offered or etag(file) in offered
