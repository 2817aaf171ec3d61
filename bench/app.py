"""The app that every carrier carries. It costs as little as it can, so that what is measured is the carrier."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from bench.payload import LINE, chunk_of

app = FastAPI()


async def _once(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk


async def _repeated(chunk: bytes, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield chunk


@app.get("/line")
async def line() -> StreamingResponse:
    """A stream of one line."""
    return StreamingResponse(_once(LINE), media_type="text/plain")


@app.get("/chunks")
async def chunks(count: int, size: int) -> StreamingResponse:
    """`count` chunks of `size` bytes."""
    return StreamingResponse(_repeated(chunk_of(size), count), media_type="application/octet-stream")


@app.get("/answer")
async def answer(size: int) -> Response:
    """`size` bytes at once."""
    return Response(chunk_of(size), media_type="application/octet-stream")


@app.get("/json")
async def json() -> dict[str, object]:
    """A small JSON answer."""
    return {"id": "01J8Z", "state": "complete", "parts": [1, 2, 3]}


@app.get("/events", response_class=EventSourceResponse)
async def events(count: int, first: float) -> AsyncIterator[ServerSentEvent]:
    """Events a second apart, the first after `first` seconds; each says when it was made (time.monotonic())."""
    await asyncio.sleep(first)
    for number in range(count):
        if number:
            await asyncio.sleep(1)
        yield ServerSentEvent(data=time.monotonic())


_START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
_BODY = {"type": "http.response.body", "body": LINE, "more_body": False}


async def plain(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """The same line from ASGI alone, without a framework."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send(_START)
    await send(_BODY)
