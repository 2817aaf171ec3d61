"""All of an owner's files, or those that a filter holds, as lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request

from functions.stream import auth, connections
from functions.stream.counting import link_of
from functions.stream.exports import Csv, Export, JsonLines, Sha256Sum
from functions.stream.invocation import seconds_left
from sluice.capabilities import ALL_FILES, Use
from sluice.files import ID, File, Status
from sluice.limits import MAX_FILENAME_CHARACTERS, MAX_FOLDER_BYTES, MAX_ID_CHARACTERS
from sluice.listing import Filter

router = APIRouter()
Id = Annotated[str | None, Query(max_length=MAX_ID_CHARACTERS)]


def wanted_files(
    status: Status | None = None,
    folder: Annotated[str | None, Query(max_length=MAX_FOLDER_BYTES)] = None,
    drop: Id = None,
    q: Annotated[str | None, Query(min_length=1, max_length=MAX_FILENAME_CHARACTERS)] = None,
) -> Filter:
    return Filter(status=status, folder=folder, drop=drop, q=q)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Pages of the files of an owner, and the link by which they are asked for."""

    owner: str
    link: str
    pages: Iterator[list[File]]


def exported(
    wanted: Annotated[Filter, Depends(wanted_files)],
    capability: str = "",
    after: Annotated[str | None, Query(pattern=f"^{ID.pattern}$")] = None,
) -> Wanted:
    """Those of the link's owner. Raises InvalidCapability; with the first page what `pages` raises."""
    owner = auth.check_capability(capability, ALL_FILES, Use.EXPORT).owner
    return Wanted(owner, link_of(capability), connections.listing.pages(owner, wanted, after))


Exported = Annotated[Wanted, Depends(exported)]
AcceptEncoding = Annotated[str, Header(alias="accept-encoding")]


def _export(kind: type[Export], request: Request, wanted: Wanted, accept_encoding: str) -> Export:
    """Raises TooManyStreams."""
    lease = connections.open_streams.begin(wanted.owner, wanted.link)
    return kind(wanted.pages, accept_encoding, connections.stream_limit, partial(seconds_left, request), lease)


@router.get("/files.jsonl", response_class=JsonLines)
def jsonl(request: Request, wanted: Exported, accept_encoding: AcceptEncoding = "") -> Export:
    return _export(JsonLines, request, wanted, accept_encoding)


@router.get("/files.csv", response_class=Csv)
def csv(request: Request, wanted: Exported, accept_encoding: AcceptEncoding = "") -> Export:
    return _export(Csv, request, wanted, accept_encoding)


@router.get("/files.sha256", response_class=Sha256Sum)
def sha256(request: Request, wanted: Exported, accept_encoding: AcceptEncoding = "") -> Export:
    return _export(Sha256Sum, request, wanted, accept_encoding)
