"""Drops: open one, list them, show one to its owner or its guests, end it."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from functions.api import auth, connections, openapi
from functions.api.auth import CurrentCaller, Giving, MeantOwner
from functions.api.bodies import Route
from functions.api.routes import links
from functions.api.schemas import CreateDrop
from sluice import audit
from sluice.drops import Drop
from sluice.errors import DropNotFound

MAX_PAGE = 100  # drops in one page of the list, as of files

router = APIRouter(route_class=Route)


@router.post("/drops", status_code=201, **openapi.OPEN_DROP)
def open_drop(request: Request, response: Response, owner: Giving, wanted: CreateDrop) -> dict[str, Any]:
    """A drop, and what to give to those who shall upload through it."""
    drop = Drop(
        owner=owner.owner,
        max_files=wanted.max_files,
        max_file_bytes=wanted.max_file_bytes,
        content_types=None if wanted.content_types is None else tuple(wanted.content_types),
        title=wanted.title,
        message=wanted.message,
        owner_name=wanted.owner_name,
        expires_at=int(time.time()) + wanted.expires_in,
    )
    connections.drops.create(drop)
    audit.note(drop=drop.id)
    shown = serialize_with_links(request, drop)
    response.headers["Location"] = shown["links"]["self"]
    return shown | {"capability": _capability(drop)}


@router.get("/drops", **openapi.LIST_DROPS)
def list_drops(
    request: Request,
    owner: MeantOwner,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The owner's drops that have not ended, newest first. An administrator may name another `owner`."""
    page, following = connections.drops.page(owner, limit, cursor)
    return {"items": [serialize(request, drop) for drop in page], "next": following}


@router.get("/drops/{id}", **openapi.SHOW_DROP)
def show_drop(request: Request, caller: CurrentCaller, drop_id: Annotated[str, Path(alias="id")]) -> dict[str, Any]:
    """The drop with its links; to whoever holds its capability, what a guest may know."""
    if caller.drop is None:
        return serialize_with_links(request, connections.drops.get(auth.owner_only(caller).owner, drop_id))
    if caller.drop != drop_id:
        raise DropNotFound("There is no drop with this id, or it has ended.", id=drop_id[:40])
    return connections.drops.get(caller.owner, drop_id).for_guests()


@router.delete("/drops/{id}", status_code=204, **openapi.END_DROP)
def end_drop(owner: MeantOwner, drop_id: Annotated[str, Path(alias="id")]) -> None:
    """End the drop, and with it every capability that was given out for it. Its files stay."""
    connections.drops.end(connections.drops.get(owner, drop_id))


def serialize_with_links(request: Request, drop: Drop) -> dict[str, Any]:
    """With what its owner gives to guests: whoever may make a drop may have its link as often as he likes."""
    shown = serialize(request, drop)
    base, capability = links.base_url(request), _capability(drop)
    given = {"companion": f"{base}/companion/{capability}", "page": f"{base}/#drop={capability}"}
    return shown | {"links": shown["links"] | given}


def _capability(drop: Drop) -> str:
    """The same each time: everything in it follows from the drop."""
    return links.upload_capability(drop.owner, drop.expires_at, drop.id)[0]


def serialize(request: Request, drop: Drop) -> dict[str, Any]:
    return drop.public() | {"links": {"self": f"{links.base_url(request)}/drops/{drop.id}"}}
