"""The bodies of requests: read for callers who are known, and no further than their limit.

FastAPI parses a body before it asks any dependency, so a stranger could keep a function busy with JSON that nobody
wants. The routes of this class ask in another order: who calls, how long the body is, what is in it.
"""

import re
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, get_args

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.types import Message

from functions.api import auth
from sluice.errors import BodyTooLarge, IncompleteBody
from sluice.limits import MAX_JSON_BYTES

_LENGTH = re.compile("[0-9]{1,15}")


class Route(APIRoute):
    """A route for callers with a token, whose JSON is at most `max_bytes` of its model, or MAX_JSON_BYTES, long."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        most = self._max_bytes()

        async def handle_in_order(request: Request) -> Response:
            await self.authenticate(request)
            return await handle(request if most is None else await _read(request, most))

        return handle_in_order

    async def authenticate(self, request: Request) -> None:
        await auth.authenticate(request)

    def _max_bytes(self) -> int | None:
        """None where FastAPI reads no body."""
        if self.body_field is None:
            return None
        annotation = self.body_field.field_info.annotation
        models = get_args(annotation) or (annotation,)  # `Model | None` where the body may be left out
        return max(getattr(model, "max_bytes", MAX_JSON_BYTES) for model in models)


async def received(request: Request, most: int | None = None) -> AsyncIterator[bytes]:
    """The body as it comes, of at most `most` bytes. Raises BodyTooLarge, IncompleteBody."""
    text, size = request.headers.get("content-length"), 0
    if text is not None and not _LENGTH.fullmatch(text):
        raise IncompleteBody("Content-Length is not a number.")
    length = None if text is None else int(text)
    _check_size(length or 0, most)
    try:
        async for chunk in request.stream():
            size += len(chunk)
            _check_size(size, most)
            yield chunk
    except ClientDisconnect:
        raise IncompleteBody(f"The connection ended after {size} bytes.", received=size) from None
    if length is not None and size != length:
        raise IncompleteBody(f"Content-Length says {length} bytes, {size} came.", expected=length, received=size)


async def _read(request: Request, most: int) -> Request:
    """The same request with its body, whole, still to be received."""
    whole = b"".join([chunk async for chunk in received(request, most)])

    async def receive() -> Message:
        return {"type": "http.request", "body": whole, "more_body": False}

    return Request(request.scope, receive)


def _check_size(size: int, most: int | None) -> None:
    if most is not None and size > most:
        raise BodyTooLarge(f"The body of this request may have at most {most} bytes.", limit=most)
