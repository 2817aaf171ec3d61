"""Drops: open one, show it, end it."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from functions.api import connections, openapi
from functions.api.auth import OwnerOnly
from functions.api.bodies import Route
from functions.api.routes import links
from functions.api.schemas import CreateDrop
from sluice.drops import Drop

router = APIRouter(route_class=Route)


@router.post("/drops", status_code=201, **openapi.OPEN_DROP)
def open_drop(request: Request, response: Response, owner: OwnerOnly, wanted: CreateDrop) -> dict[str, Any]:
    """A drop, and what to give to those who shall upload through it."""
    drop = Drop(
        owner=owner.owner,
        max_files=wanted.max_files,
        max_file_bytes=wanted.max_file_bytes,
        content_types=None if wanted.content_types is None else tuple(wanted.content_types),
        expires_at=int(time.time()) + wanted.expires_in,
    )
    connections.drops.create(drop)
    capability, shown = links.upload_capability(drop.owner, drop.expires_at, drop.id)
    base = links.base_url(request)
    response.headers["Location"] = itself = f"{base}/drops/{drop.id}"
    page = {"self": itself, "companion": f"{base}/companion/{capability}", "page": f"{base}/#drop={capability}"}
    return drop.public() | shown | {"links": page}


@router.get("/drops/{id}", **openapi.SHOW_DROP)
def show_drop(request: Request, owner: OwnerOnly, drop_id: Annotated[str, Path(alias="id")]) -> dict[str, Any]:
    """The drop, without its capability, which was told once."""
    drop = connections.drops.get(owner.owner, drop_id)
    return drop.public() | {"links": {"self": f"{links.base_url(request)}/drops/{drop.id}"}}


@router.delete("/drops/{id}", status_code=204, **openapi.END_DROP)
def end_drop(owner: OwnerOnly, drop_id: Annotated[str, Path(alias="id")]) -> None:
    """End the drop, and with it every capability that was given out for it. Its files stay."""
    connections.drops.end(connections.drops.get(owner.owner, drop_id))
