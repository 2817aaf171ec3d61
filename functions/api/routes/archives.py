"""Archives: many files as one ZIP. Make one, show it, delete it."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from functions.api import connections, openapi
from functions.api.auth import OwnerOnly
from functions.api.bodies import Route
from functions.api.routes import links
from functions.api.schemas import CreateArchive
from sluice import capabilities, secrets, settings
from sluice.archives import Archive
from sluice.capabilities import Holder, Use

router = APIRouter(route_class=Route)


def own_archive(owner: OwnerOnly, archive_id: Annotated[str, Path(alias="id")]) -> Archive:
    return connections.archiver.archives.get(owner.owner, archive_id)


OwnArchive = Annotated[Archive, Depends(own_archive)]


@router.post("/archives", status_code=201, **openapi.CREATE_ARCHIVE)
def create_archive(request: Request, response: Response, owner: OwnerOnly, wanted: CreateArchive) -> dict[str, Any]:
    """An archive of these files, whose size is known at once; `ready`, or `building` until it is."""
    answer = serialize(request, connections.archiver.begin(owner.owner, wanted))
    response.headers["Location"] = answer["links"]["self"]
    return answer


@router.get("/archives/{id}", **openapi.SHOW_ARCHIVE)
def show_archive(request: Request, archive: OwnArchive) -> dict[str, Any]:
    """The archive with fresh links."""
    return serialize(request, archive)


@router.delete("/archives/{id}", status_code=204, **openapi.DELETE_ARCHIVE)
def delete_archive(archive: OwnArchive) -> None:
    """Delete the archive, finished or not. Its files stay."""
    connections.archiver.delete(archive)


def serialize(request: Request, archive: Archive) -> dict[str, Any]:
    """The archive with links that carry their own permission, and end with it."""
    key = secrets.read(settings.CAPABILITY_KEY_SECRET)
    seconds = min(links.capability_seconds, archive.expires_at - int(time.time()))
    shown = {"self": f"{links.base_url(request)}/archives/{archive.id}"}
    for name, use in (("content", Use.ARCHIVE), ("events", Use.EVENTS)):
        capability = capabilities.issue(key, Holder(archive.owner), archive.id, use, seconds)
        shown[name] = f"{links.stream_url}/archives/{archive.id}/{name}?capability={capability}"
    return archive.public() | {"links": shown}
