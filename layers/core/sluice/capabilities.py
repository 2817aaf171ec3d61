"""Text that carries its own permission: a JWT (RFC 7519, HS256) bound to an owner, one use and a time.

A link's capability is bound to one record as well; one for uploads lets in whoever cannot send an access token: an Uppy
page of the owner's own, or through a drop people without an account.
"""

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jwt

from sluice.errors import ExpiredCapability, InvalidCapability
from sluice.files import new_id
from sluice.limits import MAX_CAPABILITY_CHARACTERS


class Use(StrEnum):
    CONTENT = "content"
    EVENTS = "events"
    UPLOAD = "upload"
    SHARE = "share"  # of a share's holder, to open it
    ARCHIVE = "archive"
    FEED = "feed"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class Caller:
    """In whose name somebody acts, and by which way: in person, unless there is a drop or a capability."""

    owner: str
    drop: str | None = None  # the id of the drop through which an unknown person came
    capability: str | None = None  # the id of the capability to upload
    token: str | None = None  # the id of the access token that the owner has made for a machine
    admin: bool = False  # sees, and ends, what others have handed out

    @property
    def in_person(self) -> bool:
        """Signed in or with an access token. Other ways reach only what was begun by them, and take nothing out."""
        return self.drop is None and self.capability is None


LINKS = (Use.CONTENT, Use.EVENTS)  # the uses of one file, each of which has a link
ALL_FILES = "files"  # the record of what is about all of an owner's files: the feed and the exports


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a link: in whose name, through which share, where it was one, and by which opening of that."""

    owner: str
    share: str | None = None  # the id of the share, with which the link ends
    opening: str | None = None  # what tells the links of one opening from those of another


def issue(key: str, holder: Holder, record_id: str, use: Use, seconds: int) -> str:
    """A capability for this use of this record that ends in `seconds`."""
    claims = {"sub": holder.owner, "record": record_id, "use": use, "exp": int(time.time()) + seconds}
    if holder.share and holder.opening:
        claims |= {"share": holder.share, "jti": holder.opening}
    return jwt.encode(claims, key, algorithm="HS256")


def issue_upload(key: str, owner: str, expires_at: int, drop: str | None = None) -> str:
    """A capability to upload in the owner's name until `expires_at` (epoch seconds); with `drop`, through that drop.

    Without one it has an id, by which it reaches the files that were begun by it.
    """
    claims = {"sub": owner, "use": Use.UPLOAD, "exp": expires_at} | ({"drop": drop} if drop else {"jti": new_id()})
    return jwt.encode(claims, key, algorithm="HS256")


def holder_of(capability: str, key: str, record_id: str, use: Use) -> Holder:
    """In whose name, and by which way, this use of this record is allowed.

    Raises InvalidCapability, ExpiredCapability.
    """
    claims = _claims(capability, key, "record")
    if claims["record"] != record_id or claims["use"] != use:
        raise InvalidCapability("The capability is for something else, or for another use.")
    return Holder(str(claims["sub"]), claims.get("share"), claims.get("jti"))


def share_of(capability: str, key: str) -> tuple[str, str]:
    """The owner and the id of the share that its holder may open. Raises InvalidCapability, ExpiredCapability."""
    claims = _claims(capability, key, "record")
    if claims["use"] != Use.SHARE:
        raise InvalidCapability("The capability is for another use.")
    return str(claims["sub"]), str(claims["record"])


def uploader(capability: str, key: str) -> Caller:
    """In whose name, and through which drop, uploads are allowed. Raises InvalidCapability, ExpiredCapability."""
    claims = _claims(capability, key)
    ways = {name: claims[name] for name in ("drop", "jti") if name in claims}
    named = len(ways) == 1 and all(isinstance(way, str) and way for way in ways.values())
    if claims["use"] != Use.UPLOAD or "record" in claims or not named:
        raise InvalidCapability("The capability is for another use.")
    return Caller(str(claims["sub"]), ways.get("drop"), ways.get("jti"))


def _claims(capability: str, key: str, *more: str) -> dict[str, Any]:
    if len(capability) > MAX_CAPABILITY_CHARACTERS:
        raise InvalidCapability("The capability is missing or was altered.")
    try:
        # Naming the one algorithm refuses `none` and key confusion (RFC 8725, section 3.1).
        required = {"require": ["exp", "sub", "use", *more]}
        return jwt.decode(capability, key, algorithms=["HS256"], options=required)  # type: ignore[arg-type]
    except jwt.ExpiredSignatureError:
        raise ExpiredCapability("Ask GET /files/{id} for fresh links, or for a new one where you had it.") from None
    except jwt.InvalidTokenError:
        raise InvalidCapability("The capability is missing or was altered.") from None
