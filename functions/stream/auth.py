"""Who asks: whoever holds a link, which carries its own permission."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Path

from functions.stream import connections
from functions.stream.counting import link_of
from sluice import audit, capabilities, owners, secrets, settings
from sluice.capabilities import Holder, Use
from sluice.download_counts import Taking
from sluice.errors import InvalidCapability
from sluice.files import File

RecordId = Annotated[str, Path(alias="id")]


def check_capability(capability: str, record_id: str, use: Use) -> Holder:
    """Whoever may use this record so. Raises InvalidCapability, ExpiredCapability."""
    holder = capabilities.holder_of(capability, secrets.read(settings.CAPABILITY_KEY_SECRET), record_id, use)
    audit.note(owner=holder.owner, authenticated_by="link", share=holder.share, opening=holder.opening)
    audit.note(capability=audit.fingerprint(capability))
    if not owners.has_access(holder.owner):
        raise InvalidCapability("Its owner has no access any more.")
    return holder


def taking_of(holder: Holder, record_id: str) -> Taking | None:
    """What is taken by a share's link, which ends with the share; None for a link of the owner. Raises ShareNotFound.

    Where a record belongs to a share at all is implied by the link.
    """
    if holder.share is None:
        return None
    share = connections.shares.get(holder.owner, holder.share)
    return Taking(connections.download_counts, share, str(holder.opening), record_id)


@dataclass(frozen=True, slots=True)
class Linked:
    """A file, and how it is counted where the link to it is one of a share."""

    file: File
    taking: Taking | None
    link: str  # what its streams are counted by


def linked(file_id: RecordId, capability: str = "") -> Linked:
    """For the holder of a link to the content. Raises InvalidCapability, ShareNotFound, FileNotFound."""
    holder = check_capability(capability, file_id, Use.CONTENT)
    taking = taking_of(holder, file_id)
    return Linked(connections.files.get(holder.owner, file_id), taking, link_of(capability, taking))


def allowed(use: Use) -> Callable[[str, str], File]:
    """The file in the path, for the holder of a capability of this use. Raises InvalidCapability, FileNotFound."""

    def file(file_id: RecordId, capability: str = "") -> File:
        return connections.files.get(check_capability(capability, file_id, use).owner, file_id)

    return file
