"""Files: begin, show, list, change, sign, complete, delete."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from functions.api import openapi
from functions.api.auth import CurrentCaller, OwnerOnly, OwnFile
from functions.api.bodies import Route
from functions.api.connections import listing, uploads
from functions.api.parts import FIRST_PARTS, MAX_NUMBERS_CHARACTERS, check_part_numbers, lock, most_parts, part_numbers
from functions.api.routes.links import list_links, serialize
from functions.api.schemas import ChangeFile, CompleteFile, CreateFile, SignParts, check_folder
from sluice import audit
from sluice.files import File, Status, now
from sluice.limits import MAX_FILENAME_CHARACTERS, MAX_ID_CHARACTERS
from sluice.listing import Filter
from sluice.objects import Part

MAX_PAGE = 100  # files in one page of the list: about 100 KB of answer

Numbers = Annotated[str | None, Query(max_length=MAX_NUMBERS_CHARACTERS, examples=["1-100,205"])]

router = APIRouter(route_class=Route)


def transfer(file: File, arrived: Sequence[Part], numbers: str | None = None) -> dict[str, Any]:
    """URLs for the parts asked for, without `numbers` for the first that are missing; and what has arrived."""
    if numbers is None and file.part_digest:
        wanted = []  # nobody but the client knows what is to be signed
    elif numbers is None:
        have = {part.number for part in arrived}
        wanted = [number for number in range(1, most_parts(file) + 1) if number not in have][:FIRST_PARTS]
    else:
        wanted = part_numbers(numbers, most_parts(file))
    return {"parts": uploads.sign(file, wanted), "received": received(arrived)}


def received(arrived: Sequence[Part]) -> list[dict[str, Any]]:
    return [{"number": part.number, "size": part.size, "etag": part.etag, "digest": part.digest} for part in arrived]


@router.post("/files", status_code=201, **openapi.CREATE)
def create(request: Request, response: Response, caller: CurrentCaller, wanted: CreateFile) -> dict[str, Any]:
    """Promise a file, or take an unfinished upload up again by its fingerprint."""
    file, new = uploads.begin(caller, wanted)
    audit.note(file=file.id)
    answer = serialize(request, caller, file) | transfer(file, [] if new else uploads.received(file))
    response.status_code = 201 if new else 200
    response.headers["Location"] = answer["links"]["self"]
    return answer


def wanted_files(
    status: Status | None = None,
    folder: str | None = None,
    drop: Annotated[str | None, Query(min_length=1, max_length=MAX_ID_CHARACTERS)] = None,
    q: Annotated[str | None, Query(min_length=1, max_length=MAX_FILENAME_CHARACTERS)] = None,
) -> Filter:
    if folder:
        check_folder(folder)
    return Filter(status=status, folder=folder, drop=drop, q=q)


@router.get("/files", **openapi.INDEX)
def index(
    request: Request,
    caller: OwnerOnly,
    wanted: Annotated[Filter, Depends(wanted_files)],
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The caller's files, newest first; by a folder or a part of the name, folder by folder."""
    began = now()  # before the list is read: the feed has whatever happens from here on
    page, following = listing.page(caller.owner, limit, cursor, wanted)
    items = [serialize(request, caller, file) for file in page]
    return {"items": items, "next": following, "links": list_links(caller.owner, began, wanted)}


@router.get("/files/{id}", **openapi.SHOW)
def show(request: Request, caller: CurrentCaller, file: OwnFile) -> dict[str, Any]:
    """The file with fresh links."""
    return serialize(request, caller, file)


@router.patch("/files/{id}", **openapi.CHANGE)
def change(request: Request, caller: OwnerOnly, file: OwnFile, wanted: ChangeFile) -> dict[str, Any]:
    """Another name, folder or metadata, while it is uploaded, hashed, or ready."""
    return serialize(request, caller, uploads.change(file, wanted.model_dump(exclude_unset=True)))


@router.get("/files/{id}/parts", **openapi.PARTS)
def parts(file: OwnFile, numbers: Numbers = None) -> dict[str, Any]:
    """Fresh URLs for these parts, at most 1,000; without `numbers`, for the first 100 that are missing."""
    return transfer(file, uploads.received(file), numbers)


@router.post("/files/{id}/parts", **openapi.LOCKED_PARTS)
def locked_parts(file: OwnFile, wanted: SignParts) -> dict[str, Any]:
    """Fresh URLs for parts of a file with a `part_digest`, each of which takes the bytes of this digest alone."""
    digests = {part.number: part.digest for part in wanted.parts}
    check_part_numbers(digests, most_parts(file))
    for digest in digests.values():
        lock(file, digest)
    arrived = uploads.received(file, digests)
    return {"parts": uploads.sign(file, sorted(digests), digests), "received": received(arrived)}


@router.post("/files/{id}/complete", status_code=202, **openapi.COMPLETE)
def complete(
    request: Request, caller: CurrentCaller, file: OwnFile, body: Annotated[CompleteFile | None, Body()] = None
) -> dict[str, Any]:
    """Make the parts one object, as often as asked. Without `parts` the server asks S3 which there are."""
    body = body or CompleteFile()
    return serialize(request, caller, uploads.complete(file, body.parts, body.digests, body.size))


@router.delete("/files/{id}", status_code=204, **openapi.DELETE)
def delete(caller: CurrentCaller, file: OwnFile) -> None:
    """Give an upload up, or, with an access token, delete the file and its object."""
    if caller.in_person:
        uploads.delete(file)
    else:
        uploads.give_up(file)
