"""What the streaming runtime carries in its tests: the ways in which FastAPI and Starlette answer, and fail."""

import asyncio
import hashlib
import logging
import os
import random
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, RedirectResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.background import BackgroundTask
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

logger = logging.getLogger("app")
say = partial(print, flush=True)
done: list[str] = []


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:  # noqa: ARG001 - Starlette passes it
    say("startup")
    yield {"pool": "open", "environment": secrets.token_hex(8)}
    say("shutdown")


app = FastAPI(lifespan=lifespan)
app.add_middleware(GZipMiddleware, minimum_size=500)


async def failing(scope: Scope, receive: Receive, send: Send) -> NoReturn:  # noqa: ARG001 - ASGI passes them
    """An app that no framework protects: its failure is the runtime's."""
    raise LookupError("before")


@app.get("/state")
async def state(request: Request) -> dict[str, object]:
    context = request.scope["aws.context"]
    logger.warning("asked for state")
    return {
        "pool": request.state.pool,
        "environment": request.state.environment,
        "id": context.aws_request_id,
        "left_ms": context.get_remaining_time_in_millis(),
        "function": context.function_name,
        "done": done,
    }


@app.get("/passed-along")
async def passed_along(request: Request) -> dict[str, object]:
    """What a caller of Lambda's Invoke may say beside the event."""
    context = request.scope["aws.context"]
    return {
        "custom": context.client_context.custom if context.client_context else None,
        "tenant": context.tenant_id,
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
    }


@app.get("/gated")
async def gated(gate: str) -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"first"
        with await asyncio.to_thread(open, gate) as opened:  # blocks until the client opens its end
            yield opened.read().encode()

    return StreamingResponse(chunks())


@app.get("/threads", response_class=StreamingResponse)
def threads() -> Iterator[bytes]:
    for number in range(5):
        yield b"%d\n" % number


@app.get("/lines")
async def lines() -> AsyncIterator[dict[str, int]]:
    for number in range(3):
        yield {"number": number}


@app.get("/events", response_class=EventSourceResponse)
async def events() -> AsyncIterator[ServerSentEvent]:
    for number in range(3):
        yield ServerSentEvent(data={"number": number}, event="progress", id=str(number))


@app.get("/file")
async def file() -> FileResponse:
    return FileResponse(__file__)


@app.get("/background")
async def background() -> StreamingResponse:
    return StreamingResponse(iter([b"x"]), background=BackgroundTask(done.append, "background"))


@app.post("/echo")
async def echo(request: Request) -> StreamingResponse:
    return StreamingResponse(request.stream(), headers={"x-size": request.headers["content-length"]})


@app.get("/cookies")
async def cookies(request: Request) -> RedirectResponse:
    response = RedirectResponse("/state", status_code=307)
    for name, value in request.cookies.items():
        response.set_cookie(name, value * 2)
    return response


@app.get("/raise")
async def raising() -> None:
    raise LookupError("before")


@app.get("/break", response_class=StreamingResponse)
async def breaking(message: str = "after") -> AsyncIterator[bytes]:
    yield b"half"
    raise LookupError(message)


@app.get("/big")
async def big(mib: int, seed: int = 0) -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(mib):
            yield hashlib.sha256(b"%d %d" % (seed, number)).digest() * (1 << 15)

    return StreamingResponse(chunks(), headers={"content-encoding": "identity"})


@app.get("/chunks", response_class=StreamingResponse)
async def chunks(sizes: str) -> AsyncIterator[bytes]:
    """Random bytes, the same for the same sizes, in chunks of these sizes: `1,0,65537`."""
    source = random.Random(sizes)
    for size in filter(None, sizes.split(",")):
        yield source.randbytes(int(size))


@app.get("/rss")
async def rss() -> int:
    """The most memory that this process ever had, in KiB."""
    status = Path("/proc/self/status").read_text()  # noqa: ASYNC240 - no disk is asked
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


@app.get("/forever", response_class=StreamingResponse)
async def forever() -> AsyncIterator[bytes]:
    try:
        yield b"begun"
        await asyncio.Event().wait()
    finally:
        say("cleaned up")
