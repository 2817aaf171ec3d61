"""Who asks: an owner with an access token, or whoever holds a capability to upload in an owner's name."""

import hmac
import json
from typing import Annotated

from fastapi import Depends, Path
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from functions.api import stores
from sluice import capabilities, secrets, settings
from sluice.capabilities import Caller
from sluice.errors import FileNotFound, InvalidCapability, OwnerOnly, Unauthorized
from sluice.files import File

__all__ = ["Anyone", "Caller", "InPerson", "Own", "Owner", "caller", "file_of", "of_capability"]

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


def of_capability(text: str) -> Caller:
    """Who holds this capability to upload. Raises InvalidCapability, ExpiredCapability, DropNotFound."""
    asking = capabilities.uploader(text, secrets.read(settings.CAPABILITY_KEY_SECRET))
    if asking.drop is not None:
        stores.drops.get(asking.owner, asking.drop)  # who ends a drop ends all that was given out for it
    return asking


def file_of(asking: Caller, file_id: str) -> File:
    """The caller's file. Raises FileNotFound, for other owners' files and those of other ways in as well."""
    file = stores.files.get(asking.owner, file_id)
    if asking.drop is not None and file.drop != asking.drop:
        raise FileNotFound("You have no file with this id.", id=file_id[:40])
    return file


def caller(credentials: Credentials) -> Caller:
    """Who asks, by access token or capability. Raises Unauthorized, ExpiredCapability, DropNotFound."""
    offered = credentials.credentials if credentials else ""
    owner = _owner_of_token(offered)
    if owner is not None:
        return Caller(owner, in_person=True)
    try:
        return of_capability(offered)
    except InvalidCapability:
        raise Unauthorized("Send `Authorization: Bearer <access token>`.") from None


Anyone = Annotated[Caller, Depends(caller)]


def owner(asking: Anyone) -> Caller:
    """The owner, by access token or capability. Raises OwnerOnly besides."""
    if asking.drop is not None:
        raise OwnerOnly("Who comes through a drop sends files, and asks for each of them by its id.")
    return asking


def owner_in_person(asking: Anyone) -> Caller:
    """The owner with an access token: no capability begets another one, or lists. Raises OwnerOnly besides."""
    if not asking.in_person:
        raise OwnerOnly("This takes an access token: a capability is for uploads alone.")
    return asking


def own_file(asking: Anyone, file_id: Annotated[str, Path(alias="id")]) -> File:
    return file_of(asking, file_id)


Owner = Annotated[Caller, Depends(owner)]
InPerson = Annotated[Caller, Depends(owner_in_person)]
Own = Annotated[File, Depends(own_file)]


def _owner_of_token(offered: str) -> str | None:
    tokens = json.loads(secrets.read(settings.ACCESS_TOKEN_SECRET))
    # Every token is compared, each in constant time, so that the time tells nothing about any of them.
    owners = [owner for owner, token in tokens.items() if hmac.compare_digest(token.encode(), offered.encode())]
    return str(owners[0]) if offered and owners else None
