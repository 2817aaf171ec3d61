"""What is known of the request at hand, for the audit record: noted where it is found out, written by `audit_log`.

No token, capability or password is ever noted: of a capability its fingerprint is.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

# Of the SHA-256 in hex: 64 bits, so that no two capabilities share one by chance.
FINGERPRINT_CHARACTERS = 16

_noted: ContextVar[dict[str, Any] | None] = ContextVar("noted", default=None)


def note(**fields: Any) -> None:
    """Add to the line of the request at hand; None says nothing. Outside of a request nothing happens."""
    noted = _noted.get()
    if noted is not None:
        noted.update({name: value for name, value in fields.items() if value is not None})


@contextmanager
def noting(noted: dict[str, Any]) -> Iterator[None]:
    """Let everything that is noted within the block be noted there."""
    token = _noted.set(noted)
    try:
        yield
    finally:
        _noted.reset(token)


def request_id() -> str | None:
    """The front door's id of the request at hand, which its client was told."""
    return (_noted.get() or {}).get("request_id")


def fingerprint(capability: str) -> str:
    """By which a capability can be recognised, and not be used."""
    return hashlib.sha256(capability.encode()).hexdigest()[:FINGERPRINT_CHARACTERS]
