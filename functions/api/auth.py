"""Who asks: an owner who signed in or has an access token, or whoever holds a capability, to upload or open a share."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from functions.api import connections, oidc
from sluice import audit, capabilities, errors, owners, secrets, settings, shares, tokens
from sluice.capabilities import Caller
from sluice.errors import ExpiredCapability, FileNotFound, InvalidCapability, Unauthorized
from sluice.files import File
from sluice.limits import MAX_OWNER_CHARACTERS
from sluice.shares import Share

__all__ = [
    "AdminOnly",
    "Caller",
    "CurrentCaller",
    "Giving",
    "HeldShare",
    "MeantOwner",
    "OwnFile",
    "Owner",
    "OwnerOnly",
    "authenticate",
    "authenticate_share_holder",
    "capability_caller",
    "current_caller",
    "find_file",
    "find_held_share",
]

bearer = HTTPBearer(
    scheme_name="bearer",
    description="An access token or, for uploads and to open a share, a capability.",
    auto_error=False,
)
Credentials = HTTPAuthorizationCredentials | None


def capability_caller(text: str) -> Caller:
    """Who holds this capability to upload. Raises InvalidCapability, ExpiredCapability, DropNotFound."""
    asking = capabilities.uploader(text, secrets.read(settings.CAPABILITY_KEY_SECRET))
    way = "capability" if asking.drop is None else "drop"
    audit.note(owner=asking.owner, authenticated_by=way, drop=asking.drop, capability=audit.fingerprint(text))
    if not owners.has_access(asking.owner):
        raise InvalidCapability("Its owner has no access any more.")
    if asking.drop is not None:
        connections.drops.get(asking.owner, asking.drop)  # who ends a drop ends all that was given out for it
    return asking


def find_file(asking: Caller, file_id: str) -> File:
    """The caller's file. Raises FileNotFound, for other owners' files and those of other ways in as well."""
    file = connections.files.get(asking.owner, file_id)
    if not asking.in_person and (file.drop, file.capability) != (asking.drop, asking.capability):
        raise FileNotFound("You have no file with this id.", id=file_id[:40])
    return file


def current_caller(credentials: Credentials) -> Caller:
    """Who asks. Raises Unauthorized, InvalidToken and its kinds, AccessDenied, ExpiredCapability, DropNotFound."""
    offered = credentials.credentials if credentials else ""
    owner = tokens.owner_of(offered, secrets.read(settings.ACCESS_TOKEN_SECRET))
    if owner is not None:
        audit.note(owner=owner, authenticated_by="access_token")
        return Caller(owner)
    if connections.issuer is not None and oidc.issued(offered):
        person = connections.issuer.person(offered)
        audit.note(owner=person.owner, authenticated_by="oidc")
        return _with_access(Caller(person.owner, admin=person.admin))
    made = connections.access_tokens.find(offered)
    if made is not None:
        audit.note(owner=made.owner, authenticated_by="access_token", token=made.id)
        return _with_access(Caller(made.owner, token=made.id))
    try:
        return capability_caller(offered)
    except InvalidCapability:
        raise Unauthorized("Send `Authorization: Bearer <access token>`.") from None


def _with_access(caller: Caller) -> Caller:
    if not owners.has_access(caller.owner):
        raise errors.AccessDenied("An administrator has ended the access of this account.")
    return caller


def find_held_share(capability: str, share_id: str) -> Share:
    """The share, for whoever holds its capability.

    Raises Unauthorized; ShareNotFound where it has ended, is another one, or its owner is gone.
    """
    try:
        owner, held = capabilities.share_of(capability, secrets.read(settings.CAPABILITY_KEY_SECRET))
    except ExpiredCapability:
        raise shares.not_found(share_id) from None
    except InvalidCapability:
        raise Unauthorized("Send `Authorization: Bearer <the share's capability>`.") from None
    audit.note(owner=owner, authenticated_by="share", share=held, capability=audit.fingerprint(capability))
    if held != share_id or not owners.has_access(owner):
        raise shares.not_found(share_id)
    return connections.shares.get(owner, share_id)


async def authenticate_share_holder(request: Request) -> None:
    """Keep the share of the path, for the dependencies of this request. Raises as `find_held_share` does."""
    credentials = await bearer(request)
    offered = credentials.credentials if credentials else ""
    request.state.share = await run_in_threadpool(find_held_share, offered, request.path_params["id"])


def held_share(
    request: Request, _: Annotated[Credentials, Depends(bearer)], _id: Annotated[str, Path(alias="id")]
) -> Share:
    """The share of the path, which the caller holds, as its route found out before it read the body."""
    share: Share = request.state.share
    return share


HeldShare = Annotated[Share, Depends(held_share)]


async def authenticate_owner_or_share_holder(request: Request) -> None:
    """Keep who asks, or the share that the caller holds. Raises as `current_caller` and `find_held_share` do."""
    credentials = await bearer(request)
    offered = credentials.credentials if credentials else ""
    share = await run_in_threadpool(_share_in, offered)
    request.state.share = share
    request.state.caller = await run_in_threadpool(current_caller, credentials) if share is None else None


def _share_in(capability: str) -> Share | None:
    """The share that this is a capability of; None for any other. Raises ShareNotFound."""
    key = secrets.read(settings.CAPABILITY_KEY_SECRET)
    try:
        _, held = capabilities.share_of(capability, key)
    except (InvalidCapability, ExpiredCapability):
        return None
    return find_held_share(capability, held)


@dataclass(frozen=True, slots=True)
class Archivist:
    """Who asks for archives: the owner with an access token, or whoever holds a share, for that share's alone."""

    owner: str
    share: Share | None


def archivist(request: Request, _: Annotated[Credentials, Depends(bearer)]) -> Archivist:
    """As its route found out before it read the body. Raises errors.OwnerOnly."""
    share: Share | None = request.state.share
    if share is not None:
        return Archivist(share.owner, share)
    caller: Caller = request.state.caller
    return Archivist(owner_only(caller).owner, None)


async def authenticate(request: Request) -> None:
    """Keep who asks, for the dependencies of this request. Raises as `current_caller` does."""
    request.state.caller = await run_in_threadpool(current_caller, await bearer(request))


def authenticated(request: Request, _: Annotated[Credentials, Depends(bearer)]) -> Caller:
    """Who asks, as `functions.api.bodies.Route` found out before it read the body."""
    caller: Caller = request.state.caller
    return caller


CurrentCaller = Annotated[Caller, Depends(authenticated)]


def owner(asking: CurrentCaller) -> Caller:
    """The owner, by access token or capability. Raises errors.OwnerOnly besides."""
    if asking.drop is not None:
        raise errors.OwnerOnly("Who comes through a drop sends files, and asks for each of them by its id.")
    return asking


def owner_only(asking: CurrentCaller) -> Caller:
    """The owner in person: no capability begets another one, or lists. Raises errors.OwnerOnly besides."""
    if not asking.in_person:
        raise errors.OwnerOnly("This takes an access token: a capability is for uploads alone.")
    return asking


OwnerOnly = Annotated[Caller, Depends(owner_only)]


def giving(asking: OwnerOnly) -> Caller:
    """The owner, who makes something that others can use. His name is noted, so that administrators can find him."""
    connections.owners.note(asking.owner)
    return asking


def person_only(asking: OwnerOnly) -> Caller:
    """The owner, but not by a token of POST /tokens: a stolen one must not make others. Raises errors.SignInNeeded."""
    if asking.token is not None:
        raise errors.SignInNeeded("Access tokens are made and revoked by a person who signed in.")
    return asking


def admin_only(asking: OwnerOnly) -> Caller:
    """Raises errors.AdminOnly."""
    if not asking.admin:
        raise errors.AdminOnly("This takes a person in the group of the administrators.")
    return asking


def meant_owner(asking: OwnerOnly, owner: Annotated[str | None, Query(max_length=MAX_OWNER_CHARACTERS)] = None) -> str:
    """The caller's own name, or for an administrator the one that the query says. Raises errors.AdminOnly."""
    if owner is None or owner == asking.owner:
        return asking.owner
    admin_only(asking)
    audit.note(target_owner=owner)
    return owner


def own_file(asking: CurrentCaller, file_id: Annotated[str, Path(alias="id")]) -> File:
    return find_file(asking, file_id)


Owner = Annotated[Caller, Depends(owner)]
Giving = Annotated[Caller, Depends(giving)]
AdminOnly = Annotated[Caller, Depends(admin_only)]
MeantOwner = Annotated[str, Depends(meant_owner)]
OwnFile = Annotated[File, Depends(own_file)]
