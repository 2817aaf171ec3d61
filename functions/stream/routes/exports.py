"""All of an owner's files, or those that a filter holds, as lines."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request

from functions.stream import auth, connections
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


def exported(
    wanted: Annotated[Filter, Depends(wanted_files)],
    capability: str = "",
    after: Annotated[str | None, Query(pattern=f"^{ID.pattern}$")] = None,
) -> Iterator[list[File]]:
    """Pages of the files of the link's owner. Raises InvalidCapability; with the first page what `pages` raises."""
    owner = auth.check_capability(capability, ALL_FILES, Use.EXPORT).owner
    return connections.listing.pages(owner, wanted, after)


Pages = Annotated[Iterator[list[File]], Depends(exported)]
AcceptEncoding = Annotated[str, Header(alias="accept-encoding")]


def _export(kind: type[Export], request: Request, pages: Iterator[list[File]], accept_encoding: str) -> Export:
    return kind(pages, accept_encoding, connections.stream_limit, partial(seconds_left, request))


@router.get("/files.jsonl", response_class=JsonLines)
def jsonl(request: Request, pages: Pages, accept_encoding: AcceptEncoding = "") -> Export:
    return _export(JsonLines, request, pages, accept_encoding)


@router.get("/files.csv", response_class=Csv)
def csv(request: Request, pages: Pages, accept_encoding: AcceptEncoding = "") -> Export:
    return _export(Csv, request, pages, accept_encoding)


@router.get("/files.sha256", response_class=Sha256Sum)
def sha256(request: Request, pages: Pages, accept_encoding: AcceptEncoding = "") -> Export:
    return _export(Sha256Sum, request, pages, accept_encoding)
