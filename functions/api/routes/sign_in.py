"""How people sign in here, and who asks."""

from typing import Any

from fastapi import APIRouter

from functions.api import connections, openapi
from functions.api.auth import AdminOnly, OwnerOnly
from functions.api.bodies import Route
from sluice import VERSION

router = APIRouter(route_class=Route)
public = APIRouter()


@public.get("/auth", **openapi.AUTH)
def describe_sign_in() -> dict[str, Any]:
    """What a client needs to send a person to the issuer; null where there is none, and tokens alone let in."""
    return {"sign_in": connections.issuer.describe() if connections.issuer else None}


@router.get("/me", **openapi.ME)
def describe_caller(caller: OwnerOnly) -> dict[str, Any]:
    return {"owner": caller.owner, "admin": caller.admin, "token": caller.token, "version": VERSION}


@router.get("/owners", **openapi.LIST_OWNERS)
def list_owners(_: AdminOnly) -> dict[str, Any]:
    """Those who made a drop, a share or an access token, or have a token in the secret."""
    return {"items": connections.owners.names()}
