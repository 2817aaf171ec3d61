"""The head of a response as Lambda's streaming integrations read it: JSON, then eight NUL bytes, then the body."""

import json
from collections.abc import Iterable

DELIMITER = bytes(8)

# Belong to one connection, and this is not the one to the client (RFC 9110, 7.6.1).
HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
# Would end a header, or the JSON.
UNSAFE = frozenset("\r\n\0")


def prelude(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The prelude for an ASGI status and headers. Raises `ValueError` for what HTTP forbids.

    Headers that repeat are joined as RFC 9110, 5.3 has it; cookies, which cannot be, have a list of their own.
    """
    if not isinstance(status, int):
        raise ValueError(f"the response status {status!r} is no number")  # noqa: TRY004 - one error for all of it
    joined: dict[str, str] = {}
    cookies: list[str] = []
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if not UNSAFE.isdisjoint(name) or not UNSAFE.isdisjoint(value):
            raise ValueError(f"the response header {name!r} holds a line break or a NUL")
        if name == "content-length" and name in joined:
            raise ValueError("the response has more than one Content-Length")
        if name == "set-cookie":
            cookies.append(value)
        elif name not in HOP_BY_HOP:
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return json.dumps({"statusCode": status, "headers": joined, "cookies": cookies}).encode("ascii") + DELIMITER
