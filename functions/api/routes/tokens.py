"""Access tokens for machines: make one, list them, revoke one."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from functions.api import connections, openapi
from functions.api.access_tokens import AccessToken
from functions.api.auth import Giving, MeantOwner, person_only
from functions.api.bodies import Route
from functions.api.schemas import CreateToken
from sluice import audit

MAX_PAGE = 100  # tokens in one page of the list

router = APIRouter(route_class=Route, dependencies=[Depends(person_only)])


@router.post("/tokens", status_code=201, **openapi.CREATE_TOKEN)
def create_token(owner: Giving, wanted: CreateToken) -> dict[str, Any]:
    """A token in the owner's name. It is in this answer and nowhere else: only its hash is kept."""
    record = AccessToken(owner=owner.owner, name=wanted.name, expires_at=int(time.time()) + wanted.expires_in)
    audit.note(token=record.id)
    return record.public() | {"token": connections.access_tokens.create(record)}


@router.get("/tokens", **openapi.LIST_TOKENS)
def list_tokens(
    owner: MeantOwner, limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20, cursor: str | None = None
) -> dict[str, Any]:
    """The owner's tokens that have not ended, newest first. An administrator may name another `owner`."""
    page, following = connections.access_tokens.page(owner, limit, cursor)
    return {"items": [record.public() for record in page], "next": following}


@router.delete("/tokens/{id}", status_code=204, **openapi.REVOKE_TOKEN)
def revoke_token(owner: MeantOwner, token_id: Annotated[str, Path(alias="id")]) -> None:
    """End the token at once. What was handed out with it stays: end drops and shares by themselves."""
    connections.access_tokens.revoke(owner, token_id)
