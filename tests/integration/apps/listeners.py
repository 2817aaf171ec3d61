"""Apps that ask whether their client is still there, and what their context says.

No middleware: Starlette's own would ask in their place, and has a context of its own.
"""

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from functools import partial

from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

say = partial(print, flush=True)
mood: ContextVar[str] = ContextVar("mood", default="unset")

app = FastAPI()
after_the_response: list[bool] = []


async def listening(scope: Scope, receive: Receive, send: Send) -> None:
    """The app for a Starlette that has to listen for its client's leaving in a task of its own, as below ASGI 2.4."""
    if scope["type"] == "http":
        scope["asgi"] = {"version": "3.0", "spec_version": "2.3"}
    await app(scope, receive, send)


@app.get("/connected")
async def connected(request: Request, tasks: BackgroundTasks) -> StreamingResponse:
    async def answers() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"%d" % await request.is_disconnected()

    async def note() -> None:
        after_the_response.append(await request.is_disconnected())

    tasks.add_task(note)
    return StreamingResponse(answers(), background=tasks)


@app.get("/afterwards")
async def afterwards() -> list[bool]:
    return after_the_response


@app.get("/forever")
async def forever(request: Request, asking: bool) -> StreamingResponse:
    """Says when it is stopped whether its client is there; `asking` says whether it has asked before."""

    async def begun() -> AsyncIterator[bytes]:
        try:
            yield b"connected" if asking and not await request.is_disconnected() else b"begun"
            await asyncio.Event().wait()
        finally:
            say("disconnected" if await request.is_disconnected() else "connected")

    return StreamingResponse(begun())


@app.head("/endless")
async def endless() -> StreamingResponse:
    async def ticks() -> AsyncIterator[bytes]:
        while True:
            yield b"tick"
            await asyncio.sleep(0)

    return StreamingResponse(ticks())


@app.get("/mood")
async def set_mood(new: str | None = None) -> str:
    """What the context says, after `new` was put there by the task, and by a thread of it."""
    if new is not None:
        mood.set(new)
        await asyncio.to_thread(mood.set, "of a thread")
    return mood.get()
