"""Shares: make one, list, show and end them; and for whoever holds one, open it."""

import time
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request, Response

from functions.api import auth, openapi, passwords
from functions.api.auth import Giving, HeldShare, MeantOwner, OwnerOnly
from functions.api.bodies import Route
from functions.api.connections import files, selection, shares
from functions.api.routes import links
from functions.api.schemas import CreateShare, OpenShare
from sluice import audit, capabilities, secrets, settings
from sluice.capabilities import Holder, Use
from sluice.download_counts import used_up
from sluice.errors import NothingToShare
from sluice.files import File, Status, new_id, rfc3339
from sluice.limits import MAX_ID_CHARACTERS, MAX_SHARED_FILES
from sluice.shares import Share

MAX_PAGE = 100  # shares in one page of the list
_SHOWN = ("id", "filename", "folder", "size", "content_type", "digests")  # of a file, to whoever holds the share

router = APIRouter(route_class=Route)
ShareId = Annotated[str, Path(alias="id")]


class HolderRoute(Route):
    """A route for whoever holds the share of its path."""

    async def authenticate(self, request: Request) -> None:
        await auth.authenticate_share_holder(request)


holders = APIRouter(route_class=HolderRoute)


@router.post("/shares", status_code=201, **openapi.CREATE_SHARE)
def create_share(request: Request, response: Response, owner: Giving, wanted: CreateShare) -> dict[str, Any]:
    """A share, and what to give to those who shall have the files."""
    chosen = selection.select(owner.owner, wanted, MAX_SHARED_FILES, guests=False)
    if not chosen:
        raise NothingToShare("No file in it is ready.")
    share = Share(
        owner=owner.owner,
        title=wanted.title,
        message=wanted.message,
        owner_name=wanted.owner_name,
        count=len(chosen),
        size=sum(file.size for file in chosen),
        max_downloads=wanted.max_downloads,
        password=None if wanted.password is None else passwords.hashed(wanted.password),
        expires_at=int(time.time()) + wanted.expires_in,
    )
    shares.create(share, [file.id for file in chosen])
    audit.note(share=share.id)
    capability = _capability(share)
    shown = serialize(request, share, capability)
    response.headers["Location"] = shown["links"]["self"]
    return shown | {"capability": capability}


@router.get("/shares", **openapi.LIST_SHARES)
def list_shares(
    request: Request,
    owner: MeantOwner,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: str | None = None,
    file: Annotated[str | None, Query(min_length=1, max_length=MAX_ID_CHARACTERS)] = None,
) -> dict[str, Any]:
    """The owner's shares, newest first; with `file`, those that hold it. `GET /shares/{id}` has the link of one.

    An administrator may name another `owner`.
    """
    if file is None:
        page, following = shares.page(owner, limit, cursor)
    else:
        page, following = shares.holding(owner, file, limit, cursor)
    return {"items": [serialize(request, share) for share in page], "next": following}


@router.get("/shares/{id}", **openapi.SHOW_SHARE)
def show_share(request: Request, owner: OwnerOnly, share_id: ShareId) -> dict[str, Any]:
    """The share with its link, and how often it was downloaded."""
    share = shares.get(owner.owner, share_id)
    return serialize(request, share, _capability(share))


@router.delete("/shares/{id}", status_code=204, **openapi.END_SHARE)
def end_share(owner: MeantOwner, share_id: ShareId) -> None:
    """End the share at once, and with it every link that was given out for it. Its files stay."""
    shares.end(shares.get(owner, share_id))


@holders.post("/shares/{id}/open", **openapi.OPEN_SHARE)
def open_share(share: HeldShare, wanted: Annotated[OpenShare | None, Body()] = None) -> dict[str, Any]:
    """The files, each with a link of its own; what was deleted since is left out."""
    wanted = wanted or OpenShare()
    passwords.check(shares, share, wanted.password)
    if share.used_up:
        raise used_up(share)
    ids, following = shares.page_ids(share, wanted.cursor)
    found = [file for file in files.several(share.owner, ids) if file.status is Status.READY]
    told: dict[str, Any] = {"title": share.title, "message": share.message, "owner_name": share.owner_name}
    told |= {"downloads_left": share.downloads_left, "expires_at": rfc3339(share.expires_at)}
    return told | {"next": following} | _opened(share, found)


def serialize(request: Request, share: Share, capability: str | None = None) -> dict[str, Any]:
    """As its owner sees it; with its capability, and the link that he gives to others."""
    base = links.base_url(request)
    page = {} if capability is None else {"page": f"{base}/#share={capability}"}
    return share.public() | {"links": {"self": f"{base}/shares/{share.id}"} | page}


def _capability(share: Share) -> str:
    """Whoever may make a share may have its link as often as he likes."""
    key = secrets.read(settings.CAPABILITY_KEY_SECRET)
    return capabilities.issue(key, Holder(share.owner), share.id, Use.SHARE, _seconds_left(share))


def _opened(share: Share, found: Iterable[File]) -> dict[str, Any]:
    """The files and the archive, with links that are told from those of every other opening: they are counted apart."""
    key = secrets.read(settings.CAPABILITY_KEY_SECRET)
    holder = Holder(share.owner, share.id, new_id())
    audit.note(opening=holder.opening)
    seconds = min(links.capability_seconds, _seconds_left(share))

    def link(path: str, record_id: str, use: Use) -> str:
        capability = capabilities.issue(key, holder, record_id, use, seconds)
        return f"{links.stream_url}/{path}/{record_id}/{use}?capability={capability}"

    return {
        "files": [
            {name: getattr(file, name) for name in _SHOWN} | {"links": {"content": link("files", file.id, Use.CONTENT)}}
            for file in found
        ],
        "links": {"archive": link("shares", share.id, Use.ARCHIVE)},
    }


def _seconds_left(share: Share) -> int:
    return max(1, share.expires_at - int(time.time()))
