"""Capabilities to upload: what a page that cannot send an access token has instead."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request

from functions.api import openapi
from functions.api.auth import OwnerOnly
from functions.api.bodies import Route
from functions.api.routes import links
from functions.api.schemas import CreateCapability
from sluice import audit

router = APIRouter(route_class=Route)


@router.post("/capabilities", status_code=201, **openapi.CAPABILITY)
def issue_capability(
    request: Request, owner: OwnerOnly, wanted: Annotated[CreateCapability | None, Body()] = None
) -> dict[str, Any]:
    """A capability to upload in the owner's own name, for pages that cannot send an access token."""
    seconds = wanted.expires_in if wanted and wanted.expires_in else links.capability_seconds
    capability, shown = links.upload_capability(owner.owner, int(time.time()) + seconds)
    audit.note(capability=audit.fingerprint(capability))
    return shown | {"links": {"companion": f"{links.base_url(request)}/companion/{capability}"}}
