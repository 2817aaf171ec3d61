"""ASGI's lifespan, once per environment: https://asgi.readthedocs.io/en/latest/specs/lifespan.html."""

import asyncio
import logging
from typing import Any

from . import asgi
from .errors import Fault

logger = logging.getLogger(__name__)


class Lifespan:
    """Starts the app up and shuts it down. `state` is what the app's startup put there."""

    def __init__(self, app: asgi.App) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._task: asyncio.Task[None] | None = None
        self._to_app: asyncio.Queue[asgi.Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[asgi.Message] = asyncio.Queue()

    async def startup(self) -> None:
        """Run the app's startup. Raises `Fault` when it fails; an app without lifespan has none to run."""
        scope = {"type": "lifespan", "asgi": asgi.LIFESPAN_VERSION, "state": self.state}
        self._task = asyncio.create_task(self._run(scope))
        reply = await self._tell(self._task, "lifespan.startup")
        if reply is None:
            self._task = None
        elif reply["type"] == "lifespan.startup.failed":
            raise Fault("Runtime.StartupFailed", reply.get("message") or "The app's startup failed.")

    async def shutdown(self, seconds: float) -> None:
        """Run the app's shutdown, for so long at most."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(seconds):
                reply = await self._tell(self._task, "lifespan.shutdown")
        except TimeoutError:
            logger.warning("The app's shutdown took more than %s s.", seconds)
            return
        if reply is not None and reply["type"] == "lifespan.shutdown.failed":
            logger.error("The app's shutdown failed: %s", reply.get("message", ""))

    async def _run(self, scope: asgi.Scope) -> None:
        asked = False

        async def receive() -> asgi.Message:
            nonlocal asked
            asked = True
            return await self._to_app.get()

        try:
            await self._app(scope, receive, self._from_app.put)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - how an app says that it knows no lifespan is not specified
            # A SystemExit must not get out of the task either: it would end the loop before Lambda has been told.
            # An app that never asked for a message refused the scope itself, as Django's does: nothing was begun.
            logger.log(logging.WARNING if asked else logging.INFO, "The app's lifespan ended: %r", error)

    async def _tell(self, task: asyncio.Task[None], kind: str) -> asgi.Message | None:
        """Send one message and wait for its reply; None when the app ends without one."""
        self._to_app.put_nowait({"type": kind})
        reply = asyncio.create_task(self._from_app.get())
        await asyncio.wait({task, reply}, return_when=asyncio.FIRST_COMPLETED)
        if not reply.done():
            reply.cancel()
            return None
        return reply.result()
