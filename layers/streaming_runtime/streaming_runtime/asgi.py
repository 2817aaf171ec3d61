"""The words of ASGI: https://asgi.readthedocs.io/en/latest/specs/main.html."""

from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# 2.4: after the client has left, `send` raises an OSError. Starlette then needs no task that listens for it.
VERSION = {"version": "3.0", "spec_version": "2.4"}
# The lifespan protocol counts its versions by itself.
LIFESPAN_VERSION = {"version": "3.0", "spec_version": "2.0"}
