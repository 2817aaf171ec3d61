"""The bodies that the HTTP contract takes."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from sluice.errors import InvalidFilename
from sluice.limits import MAX_CONTENT_TYPE_CHARACTERS, MAX_FILENAME_CHARACTERS, MAX_FINGERPRINT_BYTES, MAX_PARTS

# RFC 9110, section 8.3.1, without the quoted strings that no upload needs.
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_CONTENT_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(; ?{_TOKEN}={_TOKEN})*")
# Unicode's embeddings, overrides and isolates make a name look like another one (`exe.gnp`): UTS 55, section 3.
# The plain marks (U+200E, U+200F, U+061C) only order honest right-to-left text and are kept.
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")
# What the hasher can compute (sluice.digests.SUPPORTED, which this function need not load), in hex.
_DIGEST_CHARACTERS = {
    "sha-256": 64,
    "md5": 32,
    "sha": 40,
    "sha-512": 128,
    "crc32": 8,
    "crc32c": 8,
    "crc64nvme": 16,
}


def check_filename(name: str) -> str:
    """The name as the client gave it, where it can be kept, shown and sent back. Raises InvalidFilename."""
    if not name.strip() or name in (".", ".."):
        raise InvalidFilename("A file needs a name.")
    if len(name) > MAX_FILENAME_CHARACTERS:
        raise InvalidFilename(f"A filename has at most {MAX_FILENAME_CHARACTERS} characters, not {len(name)}.")
    if "/" in name or "\\" in name:
        raise InvalidFilename("A filename is a name, not a path: leave / and \\ out.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise InvalidFilename("A filename has no control characters and no lone surrogates.")
    if _REORDERING.search(name):
        raise InvalidFilename("A filename has no characters that reorder the ones around them.")
    return name


def _check_content_type(value: str) -> str:
    if len(value) > MAX_CONTENT_TYPE_CHARACTERS or not _CONTENT_TYPE.fullmatch(value):
        raise ValueError("should be a media type such as text/plain")
    return value


def _check_fingerprint(value: str) -> str:
    if len(value.encode()) > MAX_FINGERPRINT_BYTES:
        raise ValueError(f"should have at most {MAX_FINGERPRINT_BYTES} bytes of UTF-8")
    return value


def _check_digests(digests: dict[str, str]) -> dict[str, str]:
    for name, value in digests.items():
        if name not in _DIGEST_CHARACTERS:
            raise ValueError(f"should be among {', '.join(_DIGEST_CHARACTERS)}, not {name[:40]!r}")
        if len(value) != _DIGEST_CHARACTERS[name] or not re.fullmatch("[0-9a-f]*", value):
            raise ValueError(f"{name} should be {_DIGEST_CHARACTERS[name]} lower-case hex digits")
    return digests


class CreateFile(BaseModel):
    """The promise to upload a file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    filename: str
    size: Annotated[int, Field(ge=0)]
    content_type: Annotated[str, AfterValidator(_check_content_type)] = "application/octet-stream"
    fingerprint: Annotated[str, StringConstraints(min_length=1), AfterValidator(_check_fingerprint)] | None = None
    digests: Annotated[dict[str, str], AfterValidator(_check_digests)] = Field(default_factory=dict)


class CompletedPart(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    number: Annotated[int, Field(ge=1, le=MAX_PARTS)]
    etag: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class CompleteFile(BaseModel):
    """Which parts make the file; without them the server asks S3."""

    model_config = ConfigDict(extra="forbid", strict=True)

    parts: Annotated[list[CompletedPart], Field(max_length=MAX_PARTS)] | None = None
