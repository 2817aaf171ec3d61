import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from local.runtime_api import Invocation, Response, RuntimeApi
from streaming_runtime import asgi
from streaming_runtime.lifespan import Lifespan
from streaming_runtime.runtime import Worker
from streaming_runtime.settings import Settings


class Environment:
    """An app under the runtime's workers, and the strict Runtime API that they work for, in this process."""

    def __init__(self, api: RuntimeApi) -> None:
        self.api = api

    async def invoke(self, event: object, seconds: float = 10.0, trace_id: str = "Root=1") -> Response:
        deadline_ms = int((time.time() + seconds) * 1000)
        arn = "arn:aws:lambda:eu-west-1:1:function:f"
        return await self.api.invoke(Invocation(json.dumps(event).encode(), deadline_ms, arn, trace_id=trace_id))

    async def get(self, path: str = "/", seconds: float = 10.0, **overrides: Any) -> tuple[dict[str, Any], bytes]:
        """The prelude's fields and the body of a whole response."""
        response = await self.invoke(function_url_event(path, **overrides), seconds)
        prelude, body = b"".join([piece async for piece in response]).split(bytes(8), 1)
        return json.loads(prelude), body


def function_url_event(path: str = "/", method: str = "GET", **overrides: Any) -> dict[str, Any]:
    """A Function URL's event, payload 2.0."""
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "example.lambda-url.eu-west-1.on.aws", "x-forwarded-proto": "https"},
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "192.0.2.1"}, "stage": "$default"},
        "isBase64Encoded": False,
        **overrides,
    }


@asynccontextmanager
async def carry(app: asgi.App, concurrency: int = 1, margin: float = 1.0, **more: Any) -> AsyncIterator[Environment]:
    api = RuntimeApi(concurrency)
    address = await api.start()
    settings = Settings(address, "", ".", concurrency, snap_start=False, deadline_margin=margin, shutdown=2, **more)
    workers = [Worker(settings, app, Lifespan(app)) for _ in range(concurrency)]
    working = asyncio.gather(*(worker.work() for worker in workers))
    try:
        yield Environment(api)
        api.retire()
        await working
        assert api.violations == []
    finally:
        working.cancel()
        await asyncio.wait({working})
        await api.close()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(name="carry", scope="session")
def carry_fixture() -> Callable[..., AbstractAsyncContextManager[Environment]]:
    """Carries an app: `async with carry(app) as environment`. Its end proves that the protocol was kept."""
    return carry


@pytest.fixture(name="event", scope="session")
def event_fixture() -> Callable[..., dict[str, Any]]:
    return function_url_event
