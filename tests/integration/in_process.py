"""The streaming runtime's workers in this process, and what an invoker sees of their answers."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from local.runtime_api import EnvironmentGone, FunctionError, Invocation, Response, RuntimeApi
from streaming_runtime import asgi
from streaming_runtime.lifespan import Lifespan
from streaming_runtime.runtime import Worker
from streaming_runtime.settings import Settings

START: asgi.Message = {"type": "http.response.start", "status": 200, "headers": []}
PRELUDE = b'{"statusCode": 200, "headers": {}, "cookies": []}' + bytes(8)

# The end of an invocation that was answered, and of one that nobody answers any more. Any other is a type of failure.
WHOLE = "whole"
GONE = "gone"


def body(data: bytes = b"", *, more: bool = False) -> asgi.Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


@dataclass(frozen=True)
class Outcome:
    """What an invoker has seen: bytes, and how they ended."""

    received: bytes
    end: str

    def is_a_known_part_of(self, right: "Outcome") -> bool:
        return self.end == GONE and right.received.startswith(self.received)


async def outcome(api: RuntimeApi, path: str = "/", request: str = "", seconds: float = 30.0) -> Outcome:
    """Invoke, and read all that comes."""
    received = bytearray()
    try:
        await _read_into(received, await invoke(api, path, request, seconds))
    except FunctionError as error:
        return Outcome(bytes(received), error.error_type)
    except EnvironmentGone:
        return Outcome(bytes(received), GONE)
    return Outcome(bytes(received), WHOLE)


async def _read_into(received: bytearray, response: Response) -> None:
    async for piece in response:
        received += piece


async def invoke(api: RuntimeApi, path: str = "/", request: str = "", seconds: float = 30.0) -> Response:
    """One request of a Function URL, of which nothing is read yet."""
    event: dict[str, Any] = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {},
        "requestContext": {"http": {"method": "POST", "path": path, "sourceIp": "192.0.2.1"}, "stage": "$default"},
        "body": request,
        "isBase64Encoded": False,
    }
    deadline_ms = int((time.time() + seconds) * 1000)
    return await api.invoke(Invocation(json.dumps(event).encode(), deadline_ms, "arn:aws:lambda:x:1:function:f"))


@dataclass
class Workers:
    """The workers of one environment."""

    tasks: list[asyncio.Task[None]]

    async def ended(self) -> list[BaseException]:
        """Wait until all have left; the errors of those who did not leave in peace."""
        ends = await asyncio.gather(*self.tasks, return_exceptions=True)
        return [end for end in ends if end is not None]


@asynccontextmanager
async def working(api: RuntimeApi, address: str, app: asgi.App, concurrency: int = 1) -> AsyncIterator[Workers]:
    """An environment at work until the block ends; with a worker that fails it is gone, as its process would be.

    `address` leads to the API, directly or not.
    """
    settings = Settings(address, "", ".", concurrency, snap_start=False, deadline_margin=1.0, shutdown=2)

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            api.gone()

    workers = [Worker(settings, app, Lifespan(app)) for _ in range(concurrency)]
    tasks = [asyncio.create_task(worker.work()) for worker in workers]
    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield Workers(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
