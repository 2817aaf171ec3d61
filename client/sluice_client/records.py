"""What the contract's JSON says, typed: files, their parts, shares and drops. `json` is all of it, as it came."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

# An id becomes a part of a URL and of a file's name here: `..` and `a/b` must not pass, whoever says them.
ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


@dataclass(frozen=True, slots=True)
class File:
    """The server's record of a file."""

    id: str
    status: str
    filename: str
    folder: str | None
    size: int
    received_bytes: int
    hashed_bytes: int
    digests: Mapping[str, str]
    verified: bool  # the sender's own digest, of the whole or of every part, was compared and held
    reason: str | None
    created_at: str
    content: str | None
    direct: str | None  # leads to S3 itself
    events: str | None
    json: dict[str, Any]

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        links = document.get("links") or {}
        return cls(
            id=_id(document),
            status=str(document["status"]),
            filename=str(document["filename"]),
            folder=document.get("folder") or None,
            size=int(document["size"] or 0),  # null while only its client knows it
            received_bytes=int(document.get("received_bytes") or 0),
            hashed_bytes=int(document.get("hashed_bytes") or 0),
            digests=dict(document.get("digests") or {}),
            verified=document.get("verified") is True,
            reason=document.get("reason"),
            created_at=str(document.get("created_at") or ""),
            content=links.get("content"),
            direct=links.get("direct"),
            events=links.get("events"),
            json=document,
        )

    def after(self, event: dict[str, Any]) -> Self:
        """The record with what an event said of it."""
        return self.parse({**self.json, **event})


@dataclass(frozen=True, slots=True)
class Part:
    """A slice of the file and the URL that takes it."""

    number: int
    url: str
    headers: Mapping[str, str]

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        return cls(
            number=int(document["number"]), url=str(document["url"]), headers=dict(document.get("headers") or {})
        )


@dataclass(frozen=True, slots=True)
class Received:
    """A part that has arrived: its bytes, and its digest by the file's `part_digest` where it has one."""

    size: int
    digest: str | None


@dataclass(frozen=True, slots=True)
class Upload:
    """What `POST /files` answers: the file, its cut, the parts signed at once and, on a resume, what had arrived.

    A file of unknown size has no cut: its client makes the parts, and `part_size` and `part_count` are 0.
    """

    file: File
    part_size: int  # bytes of every part but the last
    part_count: int
    part_digest: str | None
    signed: Mapping[int, Part]
    received: Mapping[int, Received]

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        return cls(
            file=File.parse(document),
            part_size=int(document["part_size"] or 0),
            part_count=int(document["part_count"] or 0),
            part_digest=document.get("part_digest"),
            signed=signed(document),
            received={
                int(part["number"]): Received(int(part["size"]), part.get("digest"))
                for part in document.get("received") or []
            },
        )

    def size_of(self, number: int) -> int:
        """Bytes of the part; 0 of the only one of an empty file."""
        return max(0, min(self.part_size, self.file.size - (number - 1) * self.part_size))


@dataclass(frozen=True, slots=True)
class Share:
    """Files that are handed on by a link; `page` is that link, for people, and is known only once it is made."""

    id: str
    title: str | None
    count: int
    size: int
    downloads: int
    max_downloads: int | None
    expires_at: str
    page: str | None
    json: dict[str, Any]

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        most = document.get("max_downloads")
        return cls(
            id=_id(document),
            title=document.get("title"),
            count=int(document["count"]),
            size=int(document["size"]),
            downloads=int(document.get("downloads") or 0),
            max_downloads=None if most is None else int(most),
            expires_at=str(document.get("expires_at") or ""),
            page=(document.get("links") or {}).get("page"),
            json=document,
        )


@dataclass(frozen=True, slots=True)
class Me:
    """Whose files these are, and the version of the deployment."""

    owner: str
    version: str

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        return cls(str(document["owner"]), str(document["version"]))


@dataclass(frozen=True, slots=True)
class AccessToken:
    """For a machine; `token` is known only once it is made."""

    id: str
    name: str
    expires_at: str
    token: str | None = field(repr=False)
    json: dict[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        token = document.get("token")
        return cls(_id(document), str(document["name"]), str(document.get("expires_at") or ""), token, document)


@dataclass(frozen=True, slots=True)
class Drop:
    """A letter box for other people's files; `page` is the link to it, and is known only once it is made."""

    id: str
    title: str | None
    files: int
    max_files: int
    expires_at: str
    page: str | None
    json: dict[str, Any]

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        return cls(
            id=_id(document),
            title=document.get("title"),
            files=int(document.get("files") or 0),
            max_files=int(document["max_files"]),
            expires_at=str(document.get("expires_at") or ""),
            page=(document.get("links") or {}).get("page"),
            json=document,
        )


@dataclass(frozen=True, slots=True)
class Archive:
    """Many files as one ZIP."""

    id: str
    filename: str
    size: int
    count: int
    status: str
    reason: str | None
    content: str | None

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        return cls(
            id=_id(document),
            filename=str(document["filename"]),
            size=int(document["size"]),
            count=int(document["count"]),
            status=str(document["status"]),
            reason=document.get("reason"),
            content=(document.get("links") or {}).get("content"),
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """A page of what a share holds, for whoever has its link."""

    title: str | None
    files: tuple[File, ...]
    archive: str | None
    next: str | None

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        return cls(
            title=document.get("title"),
            files=tuple(File.parse(_shared(file)) for file in document["files"]),
            archive=(document.get("links") or {}).get("archive"),
            next=document.get("next"),
        )


def _id(document: dict[str, Any]) -> str:
    if not ID.fullmatch(found := str(document["id"])):
        raise ValueError("This is no id.")
    return found


def _shared(document: dict[str, Any]) -> dict[str, Any]:
    """A file that a share hands out was ready when it was opened, and its one link leads both ways."""
    content = str(document["links"]["content"])
    return {"status": "ready"} | document | {"links": {"content": content, "direct": f"{content}&direct=1"}}


def signed(document: dict[str, Any]) -> dict[int, Part]:
    """The parts that an answer signs, by number."""
    parts = [Part.parse(part) for part in document.get("parts") or []]
    return {part.number: part for part in parts}
