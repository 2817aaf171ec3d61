"""Archives: many files as one ZIP. Make one, show it, delete it."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from functions.api import auth, connections, openapi, passwords
from functions.api.auth import Archivist
from functions.api.bodies import Route
from functions.api.routes import links
from functions.api.schemas import CreateArchive
from sluice import audit, capabilities, errors, secrets, settings
from sluice.archives import Archive
from sluice.capabilities import Holder, Use
from sluice.download_counts import used_up
from sluice.errors import ArchiveNotFound
from sluice.files import new_id
from sluice.shares import Share


class ArchiveRoute(Route):
    """A route for owners, and for whoever holds a share."""

    async def authenticate(self, request: Request) -> None:
        await auth.authenticate_owner_or_share_holder(request)


router = APIRouter(route_class=ArchiveRoute)
Asking = Annotated[Archivist, Depends(auth.archivist)]


def known_archive(asking: Asking, archive_id: Annotated[str, Path(alias="id")]) -> Archive:
    """The caller's archive. Raises ArchiveNotFound, for those of other shares as well."""
    archive = connections.archiver.archives.get(asking.owner, archive_id)
    if asking.share is not None and archive.share != asking.share.id:
        raise ArchiveNotFound("There is no archive with this id, or its day is over.", id=archive_id[:40])
    return archive


KnownArchive = Annotated[Archive, Depends(known_archive)]


@router.post("/archives", status_code=201, **openapi.CREATE_ARCHIVE)
def create_archive(request: Request, response: Response, asking: Asking, wanted: CreateArchive) -> dict[str, Any]:
    """An archive of these files, whose size is known at once; `ready`, or `building` until it is."""
    share = _wanted_share(asking, wanted)
    archive = connections.archiver.begin(asking.owner, wanted, share)
    audit.note(archive=archive.id, share=share.id if share else None)
    answer = serialize(request, asking, archive)
    response.headers["Location"] = answer["links"]["self"]
    return answer


@router.get("/archives/{id}", **openapi.SHOW_ARCHIVE)
def show_archive(request: Request, asking: Asking, archive: KnownArchive) -> dict[str, Any]:
    """The archive with fresh links.

    A share with a password gives its holders a link to the bytes in the answer to POST alone, where they told it.
    """
    shown = serialize(request, asking, archive)
    if asking.share is not None and asking.share.password is not None:
        shown["links"]["content"] = None
    return shown


@router.delete("/archives/{id}", status_code=204, **openapi.DELETE_ARCHIVE)
def delete_archive(asking: Asking, archive: KnownArchive) -> None:
    """Delete the archive, finished or not. Its files stay."""
    if asking.share is not None:
        raise errors.OwnerOnly("Others may fetch this archive as well.")
    connections.archiver.delete(archive)


def serialize(request: Request, asking: Archivist, archive: Archive) -> dict[str, Any]:
    """The archive with links that carry their own permission, and end with it.

    Those of a share's holder end with the share as well, and what is fetched by them is counted.
    """
    key = secrets.read(settings.CAPABILITY_KEY_SECRET)
    share = asking.share
    ends = min(archive.expires_at, share.expires_at) if share else archive.expires_at
    seconds = max(1, min(links.capability_seconds, ends - int(time.time())))
    holder = Holder(archive.owner, share.id, new_id()) if share else Holder(archive.owner)
    audit.note(opening=holder.opening)

    def link(path: str, record_id: str, name: str, use: Use) -> str:
        capability = capabilities.issue(key, holder, record_id, use, seconds)
        return f"{links.stream_url}/{path}/{record_id}/{name}?capability={capability}"

    shown = {"self": f"{links.base_url(request)}/archives/{archive.id}"}
    if share:
        shown["content"] = link("shares", share.id, "archive", Use.ARCHIVE)
    else:
        shown["content"] = link("archives", archive.id, "content", Use.ARCHIVE)
    shown["events"] = link("archives", archive.id, "events", Use.EVENTS)
    return archive.public() | {"links": shown}


def _wanted_share(asking: Archivist, wanted: CreateArchive) -> Share | None:
    """The share that an archive is wanted of. Raises OwnerOnly, WrongPassword, TooManyTries, ShareUsedUp."""
    if asking.share is None:
        return None if wanted.share is None else connections.shares.get(asking.owner, wanted.share)
    if wanted.share != asking.share.id:
        raise errors.OwnerOnly("Whoever holds a share has archives of this share alone.")
    passwords.check(connections.shares, asking.share, wanted.password)
    if asking.share.used_up:
        raise used_up(asking.share)
    return asking.share
