"""The bodies that the HTTP contract takes."""

import re
import unicodedata
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from sluice import media_types
from sluice.errors import InvalidFilename, InvalidFolder
from sluice.limits import (
    MAX_ARCHIVE_FILES,
    MAX_ARCHIVE_JSON_BYTES,
    MAX_CAPABILITY_SECONDS,
    MAX_CONTENT_TYPE_CHARACTERS,
    MAX_CONTENT_TYPES,
    MAX_DROP_FILES,
    MAX_DROP_SECONDS,
    MAX_FILENAME_CHARACTERS,
    MAX_FINGERPRINT_BYTES,
    MAX_FOLDER_BYTES,
    MAX_ID_CHARACTERS,
    MAX_JSON_BYTES,
    MAX_MESSAGE_CHARACTERS,
    MAX_METADATA,
    MAX_METADATA_BYTES,
    MAX_OBJECT_BYTES,
    MAX_OWNER_NAME_CHARACTERS,
    MAX_PARTS,
    MAX_PARTS_PER_ANSWER,
    MAX_PASSWORD_BYTES,
    MAX_SHARE_DOWNLOADS,
    MAX_SHARE_SECONDS,
    MAX_SHARED_FILES,
    MAX_TITLE_CHARACTERS,
    MAX_TOKEN_NAME_CHARACTERS,
    MAX_TOKEN_SECONDS,
    PART_JSON_BYTES,
)

# Unicode's embeddings, overrides and isolates make a name look like another one (`exe.gnp`): UTS 55, section 3.
# The plain marks (U+200E, U+200F, U+061C) only order honest right-to-left text and are kept.
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")
# What the hasher can compute (sluice.digests.SUPPORTED, which this function need not load), in hex.
DIGEST_CHARACTERS = {
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


def check_folder(path: str) -> str:
    """The path as the client gave it, where each of its segments could be a filename. Raises InvalidFolder."""
    if len(path.encode(errors="surrogatepass")) > MAX_FOLDER_BYTES:
        raise InvalidFolder(f"A folder has at most {MAX_FOLDER_BYTES} bytes of UTF-8.")
    for segment in path.split("/"):
        if not segment.strip() or segment in (".", ".."):
            raise InvalidFolder("A folder is a relative path such as a/b, without empty segments, . and ..")
        try:
            check_filename(segment)
        except InvalidFilename as error:
            raise InvalidFolder(f"Each segment of a folder has to be a filename. {error.detail}") from None
    return path


def check_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Raises ValueError for what cannot be kept."""
    if "" in metadata:
        raise ValueError("each name should have at least 1 character")
    if len(metadata) > MAX_METADATA:
        raise ValueError(f"should have at most {MAX_METADATA} members")
    if sum(len(text.encode()) for member in metadata.items() for text in member) > MAX_METADATA_BYTES:
        raise ValueError(f"should have at most {MAX_METADATA_BYTES} bytes of UTF-8 in all")
    return metadata


def _count_metadata(value: Any) -> Any:
    if isinstance(value, dict) and len(value) > MAX_METADATA:  # each would have an error of its own
        raise ValueError(f"should have at most {MAX_METADATA} members")
    return value


def _check_line(text: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in text) or _REORDERING.search(text):
        raise ValueError("should have no control characters and none that reorder the ones around them")
    return text


def _check_lines(text: str) -> str:
    for line in re.split("\r\n|\n|\t", text):
        _check_line(line)
    return text


def _check_content_type(value: str) -> str:
    return media_types.check(value) if value.strip(" ") else ""


def _check_ranges(listed: list[str]) -> list[str]:
    return list(media_types.ranges(listed))


def _check_fingerprint(value: str) -> str:
    if len(value.encode()) > MAX_FINGERPRINT_BYTES:
        raise ValueError(f"should have at most {MAX_FINGERPRINT_BYTES} bytes of UTF-8")
    return value


def _count_digests(value: Any) -> Any:
    if isinstance(value, dict) and len(value) > len(DIGEST_CHARACTERS):  # each would have an error of its own
        raise ValueError(f"should have at most {len(DIGEST_CHARACTERS)} members")
    return value


def _check_digests(digests: dict[str, str]) -> dict[str, str]:
    for name, value in digests.items():
        if name not in DIGEST_CHARACTERS:
            raise ValueError(f"should be among {', '.join(DIGEST_CHARACTERS)}, not {name[:40]!r}")
        if len(value) != DIGEST_CHARACTERS[name] or not re.fullmatch("[0-9a-f]*", value):
            raise ValueError(f"{name} should be {DIGEST_CHARACTERS[name]} lower-case hex digits")
    return digests


# What S3 can hold a part to (sluice.objects.LOCKS).
PartDigest = Literal["sha-512", "sha-256", "sha", "md5", "crc64nvme", "crc32c", "crc32"]
_PartDigestHex = Annotated[str, StringConstraints(pattern="^([0-9a-f]{2})+$", max_length=128)]
# Browsers say nothing of a type that they do not know, and forms say "".
_ContentType = Annotated[
    str,
    BeforeValidator(lambda value: "" if value is None else value),
    AfterValidator(_check_content_type),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "maxLength": MAX_CONTENT_TYPE_CHARACTERS}, {"type": "null"}],
            "description": "Without one, or where it is empty, the filename suggests it.",
            "examples": ["video/webm;codecs=vp8,opus"],
        }
    ),
]
_Ranges = Annotated[list[str], Field(max_length=MAX_CONTENT_TYPES), AfterValidator(_check_ranges)]


Digests = Annotated[dict[str, str], BeforeValidator(_count_digests), AfterValidator(_check_digests)]
# An empty folder is none, as in the filter of the list, and so is metadata without members.
Folder = Annotated[str | None, AfterValidator(lambda path: path or None)]
Metadata = Annotated[
    Annotated[
        dict[str, str],
        BeforeValidator(_count_metadata),
        AfterValidator(check_metadata),
        Field(json_schema_extra={"maxProperties": MAX_METADATA, "propertyNames": {"minLength": 1}}),
    ]
    | None,
    AfterValidator(lambda metadata: metadata or None),
]
# What strangers are shown: a line, and a text of several. A blank one is none.
Title = Annotated[
    Annotated[str, Field(max_length=MAX_TITLE_CHARACTERS), AfterValidator(_check_line)] | None,
    AfterValidator(lambda text: text if text and text.strip() else None),
]
OwnerName = Annotated[
    Annotated[
        str,
        Field(max_length=MAX_OWNER_NAME_CHARACTERS, description="Whose it is, as whoever holds the link is told."),
        AfterValidator(_check_line),
    ]
    | None,
    AfterValidator(lambda text: text if text and text.strip() else None),
]
Message = Annotated[
    Annotated[str, Field(max_length=MAX_MESSAGE_CHARACTERS), AfterValidator(_check_lines)] | None,
    AfterValidator(lambda text: text if text and text.strip() else None),
]


class Strict(BaseModel):
    """What a client sends: types are not guessed, and members that nobody knows are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _count_members(cls, value: Any) -> Any:
        """More members than there are have one error, not one each: checking a hundred thousand takes long."""
        if isinstance(value, dict) and len(value) > len(cls.model_fields):
            raise ValueError(f"should have no members but {', '.join(cls.model_fields)}")
        return value


class CreateFile(Strict):
    """The promise to upload a file."""

    filename: str
    size: Annotated[Annotated[int, Field(ge=0)] | None, Field(description="`null` where nobody knows it yet.")]
    content_type: _ContentType = ""
    fingerprint: Annotated[str, StringConstraints(min_length=1), AfterValidator(_check_fingerprint)] | None = None
    digests: Digests = Field(default_factory=dict)
    part_digest: PartDigest | None = None
    folder: Folder = None
    metadata: Metadata = None

    @model_validator(mode="after")
    def _guess_content_type(self) -> Self:
        self.content_type = self.content_type or media_types.guess(self.filename)
        return self


class ChangeFile(Strict):
    """What its owner calls a file; `null` takes a folder or metadata away, and what is left out stays."""

    filename: str = ""
    folder: Folder = None
    metadata: Metadata = None


class PartToSign(Strict):
    number: Annotated[int, Field(ge=1, le=MAX_PARTS)]
    digest: _PartDigestHex


class SignParts(Strict):
    """The wish for URLs that take exactly these bytes."""

    max_bytes: ClassVar = MAX_PARTS_PER_ANSWER * PART_JSON_BYTES

    parts: Annotated[list[PartToSign], Field(min_length=1, max_length=MAX_PARTS_PER_ANSWER, fail_fast=True)]


class CreateCapability(Strict):
    """The wish to upload by a capability."""

    expires_in: Annotated[int, Field(ge=1, le=MAX_CAPABILITY_SECONDS)] | None = None


class CreateToken(Strict):
    """The wish for an access token for a machine."""

    name: Annotated[str, AfterValidator(_check_line), Field(min_length=1, max_length=MAX_TOKEN_NAME_CHARACTERS)]
    expires_in: Annotated[int, Field(ge=1, le=MAX_TOKEN_SECONDS)]


class CreateDrop(Strict):
    """The wish to let people without an account upload."""

    max_files: Annotated[int, Field(ge=1, le=MAX_DROP_FILES)]
    max_file_bytes: Annotated[int, Field(ge=1, le=MAX_OBJECT_BYTES)] | None = None
    content_types: _Ranges | None = None
    title: Title = None
    message: Message = None
    owner_name: OwnerName = None
    expires_in: Annotated[int, Field(ge=1, le=MAX_DROP_SECONDS)]


_Id = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_CHARACTERS)]


def _check_password(password: SecretStr) -> SecretStr:
    """No word of it in what is said about it."""
    text = password.get_secret_value()
    if any(unicodedata.category(character) == "Cs" for character in text):
        raise ValueError("should have no lone surrogates")
    if not 0 < len(text.encode()) <= MAX_PASSWORD_BYTES:
        raise ValueError(f"should have 1 to {MAX_PASSWORD_BYTES} bytes of UTF-8")
    return password


Password = Annotated[SecretStr, AfterValidator(_check_password)]


class CreateArchive(Strict):
    """The wish to have many files as one: those that are named, or came through a drop, or are in a share."""

    max_bytes: ClassVar = MAX_ARCHIVE_JSON_BYTES

    files: Annotated[list[_Id], Field(min_length=1, max_length=MAX_ARCHIVE_FILES, fail_fast=True)] | None = None
    folder: Annotated[str, StringConstraints(max_length=MAX_FOLDER_BYTES)] | None = None
    drop: _Id | None = None
    share: _Id | None = None
    password: Password | None = None
    filename: Annotated[str, AfterValidator(check_filename)] | None = None

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if [self.files, self.folder, self.drop, self.share].count(None) != 3:
            raise ValueError("should have one of `files`, `folder`, `drop` and `share`")
        return self


ID_JSON_BYTES = MAX_ID_CHARACTERS + 6  # with quotes, a comma and whitespace


class CreateShare(Strict):
    """The wish to let people without an account take files out: exactly one of `files`, `folder` and `drop`."""

    max_bytes: ClassVar = MAX_JSON_BYTES + MAX_SHARED_FILES * ID_JSON_BYTES

    files: Annotated[list[_Id], Field(min_length=1, max_length=MAX_SHARED_FILES, fail_fast=True)] | None = None
    folder: Annotated[str, StringConstraints(max_length=MAX_FOLDER_BYTES)] | None = None
    drop: _Id | None = None
    title: Title = None
    message: Message = None
    owner_name: OwnerName = None
    expires_in: Annotated[int, Field(ge=1, le=MAX_SHARE_SECONDS)]
    max_downloads: Annotated[int, Field(ge=1, le=MAX_SHARE_DOWNLOADS)] | None = None
    password: Password | None = None

    @model_validator(mode="after")
    def _names_files_in_one_way(self) -> Self:
        if [self.files, self.folder, self.drop].count(None) != 2:
            raise ValueError("a share is made of exactly one of `files`, `folder` and `drop`")
        return self


class OpenShare(Strict):
    """The wish to see what is in a share, at most 1,000 files at a time."""

    password: Password | None = None
    cursor: Annotated[str, StringConstraints(max_length=MAX_ID_CHARACTERS)] | None = None


class CompletedPart(Strict):
    """A part as its sender has it: by S3's ETag, by its digest, or by both."""

    number: Annotated[int, Field(ge=1, le=MAX_PARTS)]
    etag: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    digest: _PartDigestHex | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.etag is None and self.digest is None:
            raise ValueError("a part needs an `etag` or a `digest`")
        return self


class CompleteFile(Strict):
    """Which parts make the file, its size, and which digests it has; without `parts` the server asks S3."""

    max_bytes: ClassVar = MAX_PARTS * PART_JSON_BYTES

    parts: Annotated[list[CompletedPart], Field(max_length=MAX_PARTS, fail_fast=True)] | None = None
    size: Annotated[int, Field(ge=0)] | None = None
    digests: Digests = Field(default_factory=dict)
