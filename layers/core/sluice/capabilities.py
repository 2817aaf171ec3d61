"""Links that carry their own permission: a JWT (RFC 7519, HS256) bound to an owner, one file, one use and a time."""

import time
from enum import StrEnum

import jwt

from sluice.errors import ExpiredCapability, InvalidCapability


class Use(StrEnum):
    CONTENT = "content"
    EVENTS = "events"


def issue(key: str, owner: str, file_id: str, use: Use, seconds: int) -> str:
    """A capability that ends in `seconds`."""
    claims = {"sub": owner, "file": file_id, "use": use, "exp": int(time.time()) + seconds}
    return jwt.encode(claims, key, algorithm="HS256")


def owner_of(capability: str, key: str, file_id: str, use: Use) -> str:
    """The owner in whose name this use of this file is allowed. Raises InvalidCapability, ExpiredCapability."""
    try:
        # Naming the one algorithm refuses `none` and key confusion (RFC 8725, section 3.1).
        claims = jwt.decode(capability, key, algorithms=["HS256"], options={"require": ["exp", "sub", "file", "use"]})
    except jwt.ExpiredSignatureError:
        raise ExpiredCapability("Ask GET /files/{id} for fresh links.") from None
    except jwt.InvalidTokenError:
        raise InvalidCapability("The capability is missing or was altered.") from None
    if claims["file"] != file_id or claims["use"] != use:
        raise InvalidCapability("The capability is for another file or another use.")
    return str(claims["sub"])
