"""Who asks: whoever holds a link, which carries its own permission."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Path

from functions.stream import connections
from sluice import capabilities, secrets, settings, tokens
from sluice.capabilities import Holder, Use
from sluice.errors import InvalidCapability
from sluice.files import File

RecordId = Annotated[str, Path(alias="id")]


def check_capability(capability: str, record_id: str, use: Use) -> Holder:
    """Whoever may use this record so. Raises InvalidCapability, ExpiredCapability."""
    holder = capabilities.holder_of(capability, secrets.read(settings.CAPABILITY_KEY_SECRET), record_id, use)
    if not tokens.is_owner(holder.owner, secrets.read(settings.ACCESS_TOKEN_SECRET)):
        raise InvalidCapability("Its owner has no access any more.")
    return holder


def allowed(use: Use) -> Callable[[str, str], File]:
    """The file in the path, for the holder of a capability of this use. Raises InvalidCapability, FileNotFound."""

    def file(file_id: RecordId, capability: str = "") -> File:
        return connections.files.get(check_capability(capability, file_id, use).owner, file_id)

    return file
