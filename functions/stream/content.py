"""A ready file as an HTTP representation: its headers, preconditions, ranges (RFC 9110), and its bytes, checked."""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
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

    @property
    def arrived_at(self) -> str | None: ...


class DigestMismatch(Exception):
    """The bytes that S3 sent are not those that were hashed: the transfer must not end as if all were well."""


# What a browser shows without running anything of it, besides images, audio and video.
SHOWN = frozenset({"application/pdf", "text/plain"})
# The three forms of RFC 9110, section 5.6.7.
HTTP_DATES = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")


def described(shown: Representation, content_type: str, disposition: str) -> dict[str, str]:
    """What every answer about the whole of it or a range carries."""
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition,
        "Content-Type": content_type,  # as it is: Starlette's media_type would add a charset to text
        "ETag": etag(shown),
        "X-Content-Type-Options": "nosniff",
    }
    if moment := last_modified(shown):
        headers["Last-Modified"] = format_datetime(moment, usegmt=True)
    return headers


def headers(file: File, *, inline: bool = False) -> dict[str, str]:
    """The same of a file."""
    digests = ", ".join(f"{name}=:{_base64(value)}:" for name, value in file.digests.items() if name in REGISTERED)
    shown = described(file, file.content_type, disposition(file.filename, inline=inline))
    # Should a browser show it nevertheless, it runs no script, and has no origin.
    shown["Content-Security-Policy"] = "sandbox"
    # RFC 9530: of the whole file, whatever range is sent. A file that is being hashed has none yet.
    return shown | ({"Repr-Digest": digests} if digests else {})


def available(file: File, *, direct: bool) -> bool:
    """Whether the bytes may be sent; with `direct`, by S3 and before anything has scanned them.

    S3 may send them while they are still hashed, if the sender's digest has held: they are what the sender had. The
    first hashing job says which version they are.
    """
    verified = file.status is Status.HASHING and file.verified and file.etag is not None
    return file.status is Status.READY or (direct and verified)


def etag(file: Representation) -> str:
    return f'"{file.etag}"'


def last_modified(file: Representation) -> datetime | None:
    """When its bytes were complete, in whole seconds; what it is called since then counts for nothing.

    The bytes of a file never change, so this is a strong validator (RFC 9110, section 8.8.2.2).
    """
    return None if file.arrived_at is None else datetime.fromisoformat(file.arrived_at).replace(microsecond=0)


def can_be_shown(content_type: str) -> bool:
    """Whether a browser may show it: what has no scripts. SVG and whatever else is XML may have some."""
    essence = content_type.partition(";")[0].strip().lower()
    kind, _, subtype = essence.partition("/")
    scripted = not subtype or subtype.startswith("svg") or subtype.endswith("xml")
    return (kind in ("audio", "image", "video") and not scripted) or essence in SHOWN


def disposition(filename: str, *, inline: bool = False) -> str:
    """`attachment` or `inline` under this name: RFC 6266, with RFC 8187's form for what is beyond ASCII."""
    how = "inline" if inline else "attachment"
    plain = re.sub(r'[^ -~]|["\\%]', "_", filename)
    if plain == filename:
        return f'{how}; filename="{filename}"'
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def not_modified(file: Representation, request: Mapping[str, str]) -> bool:
    """Whether the client has it already, a 304. Raises PreconditionFailed where it asks for another file.

    In the order of RFC 9110, section 13.2.2: a date counts only where no ETag is given beside it.
    """
    wanted, known, moment = request.get("if-match"), request.get("if-none-match"), last_modified(file)
    if wanted is not None:
        if not _matches(wanted, file):
            raise PreconditionFailed("If-Match names another ETag.", etag=etag(file))
    elif moment and (latest := http_date(request.get("if-unmodified-since", ""))) and moment > latest:
        raise PreconditionFailed("The bytes of the file came after If-Unmodified-Since.", etag=etag(file))
    if known is not None:
        return _matches(known, file, weak=True)
    since = http_date(request.get("if-modified-since", ""))
    return moment is not None and since is not None and moment <= since


def http_date(text: str) -> datetime | None:
    """The moment, None for what is no HTTP-date: such a condition does not count."""
    for form in HTTP_DATES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def byte_range(file: Representation, request: Mapping[str, str]) -> tuple[int, int] | None:
    """The range asked for as (start, stop), stop exclusive; None for the whole file. Raises RangeNotSatisfiable.

    What is no range of bytes, several ranges, and a range of another ETag's or another time's file mean the whole
    (RFC 9110, 14.2 and 13.1.5).
    """
    condition = request.get("if-range")
    match = RANGE.fullmatch(request.get("range", ""))
    if not match or (condition is not None and not _is_of(condition, file)):
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


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes that an answer has, from `start` up to `stop` (exclusive), and how it says so."""

    start: int
    stop: int
    whole: bool
    status: int
    headers: dict[str, str]

    @property
    def size(self) -> int:
        return self.stop - self.start


def span(file: Representation, method: str, request: Mapping[str, str]) -> Span:
    """What this request is answered with. Raises RangeNotSatisfiable."""
    # RFC 9110, section 14.2: only GET has ranges.
    ranged = byte_range(file, request) if method == "GET" else None
    start, stop = ranged or (0, file.size)
    headers = {"Content-Length": str(stop - start)}
    if ranged:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    return Span(start, stop, (start, stop) == (0, file.size), 206 if ranged else 200, headers)


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


def _is_of(condition: str, file: Representation) -> bool:
    """Whether an If-Range means these very bytes: by a strong ETag, or by exactly the time that was told."""
    moment = last_modified(file)
    return condition == etag(file) or (moment is not None and http_date(condition) == moment)


def _matches(tags: str, file: Representation, *, weak: bool = False) -> bool:
    offered = [tag.strip() for tag in tags.split(",")]
    if weak:
        offered = [tag.removeprefix("W/") for tag in offered]
    return "*" in offered or etag(file) in offered
