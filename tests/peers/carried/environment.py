"""One execution environment in the event loop in which it is started.

All of the runtime but its `main` and its lifespan: the tests' apps are closures, which no handler's name leads to, and
the test client runs their lifespan itself, because the tests want its errors.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from local.payload import PRELUDE_END, Answer, MalformedAnswer, prelude
from local.runtime_api import Invocation, Response, RuntimeApi
from streaming_runtime import asgi
from streaming_runtime.lifespan import Lifespan
from streaming_runtime.runtime import Worker
from streaming_runtime.settings import Settings

# Seconds of an invocation. Apps that wait for their client to leave use them up.
TIMEOUT = 12.0
# Seconds in which the worker leaves once it is told to.
LEAVING = 10.0


class Environment:
    """Carries requests to one app. `raised` is what the app raised in the last of them."""

    def __init__(self, app: asgi.App, state: dict[str, Any]) -> None:
        self.raised: list[BaseException] = []
        self.debug: dict[str, Any] | None = None
        self.open = True
        self._app = app
        self._state = state

    async def start(self) -> None:
        self._api = RuntimeApi()
        variables = {
            "AWS_LAMBDA_RUNTIME_API": await self._api.start(),
            "_HANDLER": "tests.app",
            # The suites' own client has the head before the app goes on.
            "STREAMING_RUNTIME_PRELUDE": "streams",
        }
        lifespan = Lifespan(self._watched)
        lifespan.state = self._state
        self._worker = Worker(Settings.read(variables), self._watched, lifespan)
        self._working = asyncio.create_task(self._worker.work())

    async def stop(self) -> list[str]:
        """Let it leave; the breaches of the Runtime API's protocol."""
        self.open = False
        self._worker.leave()
        _, left = await asyncio.wait({self._working}, timeout=LEAVING)
        await self._api.close()
        return [*self._api.violations, *(["the worker did not leave"] if left else [])]

    async def invoke(self, event: bytes) -> tuple[Answer, AsyncIterator[bytes], bytes]:
        """The answer's prelude, the pieces of its body, and the first of them."""
        self.raised.clear()
        self.debug = None
        deadline_ms = int((time.time() + TIMEOUT) * 1000)
        arn = "arn:aws:lambda:eu-west-1:123456789012:function:f"
        self._response: Response = await self._api.invoke(Invocation(event, deadline_ms, arn))
        pieces, head = aiter(self._response), b""
        async for piece in pieces:
            head += piece
            begin, mark, first = head.partition(PRELUDE_END)
            if mark:
                return prelude(begin), pieces, first
        raise MalformedAnswer("no prelude")

    async def next(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        return await anext(pieces, None)

    async def rest(self) -> None:
        """Until the app has returned, background tasks included: only then does the runtime ask for more."""
        await asyncio.wait_for(self._api.idle.wait(), TIMEOUT)

    async def discard(self) -> None:
        """The client leaves, of which Lambda tells nobody: the app runs to its end."""
        self._response.discard()
        if self._response.finished.is_set():
            await self.rest()

    async def _watched(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """The app, with what the test client wants to know of it."""

        async def watched(message: asgi.Message) -> None:
            if message["type"] == "http.response.debug":  # an extension by which templates are looked at
                self.debug = message["info"]
            else:
                await send(message)

        # The tests compare all headers, and know none of those that a front door adds.
        scope["headers"] = [header for header in scope["headers"] if not header[0].startswith(b"x-forwarded-")]
        scope["extensions"] = {"http.response.debug": {}}
        try:
            await self._app(scope, receive, watched)
        except BaseException as error:
            self.raised.append(error)
            raise
