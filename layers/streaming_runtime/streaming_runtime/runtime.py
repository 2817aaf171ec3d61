"""The life of one execution environment: start the app, carry invocations to it, leave."""

import asyncio
import gc
import logging
import os
import signal
import time
from contextlib import suppress

from . import asgi, snapshot
from .client import ApiError, Client, EnvironmentRetired, Invocation
from .context import LambdaContext
from .cycle import Cycle
from .errors import Document, Fault
from .handler import load
from .lifespan import Lifespan
from .logs import request_id, tenant_id
from .scope import Request, read
from .settings import Settings
from .whole import for_an_event

logger = logging.getLogger(__name__)

# The part of the deadline's margin that the app's clean-up gets before a deadline, and then again the sending.
CLEAN_UP_SHARE = 0.4

# The part of its clean-up in which the app has heard that its client left and is not cancelled yet. Django and Quart
# run a request in tasks of their own: they end these in order when they hear it, and leave them behind when they are
# cancelled.
NOTICE_SHARE = 0.5

# The parts of the time after SIGTERM that the app's clean-up under a response gets, and then again the sending of its
# failure; the app's shutdown; and what is left of the app by then, to end by itself.
LAST_CLEAN_UP_SHARE = 0.2
SHUTDOWN_SHARE = 0.4
EXIT_SHARE = 0.1


def handles_interrupts() -> bool:
    """Whether Ctrl-C, and Lambda's signals, are heard by the loop: then a `KeyboardInterrupt` is the app's own."""
    return signal.getsignal(signal.SIGINT) is not signal.default_int_handler


async def run(settings: Settings) -> int:
    """Serve until Lambda has no more work or says SIGTERM; the exit status of the process."""
    try:
        return await _live(settings, Client(settings.api))
    except OSError:
        logger.exception("The Runtime API failed.")
        return 1


async def _live(settings: Settings, client: Client) -> int:
    """From the app's startup to its shutdown. Raises `OSError` when the Runtime API fails."""
    try:
        app = _load(settings.handler)
        lifespan = Lifespan(app)
        await lifespan.startup()
    except BaseException as error:  # a module may call `sys.exit`, and a native extension may panic
        logger.exception("The app cannot be started.")
        await client.post_init_error(Document(error))
        return 1
    finally:
        client.close()
    try:
        status = await snapshot.take(client) if settings.snap_start else 0
        client.close()
        if status == 0:
            await _serve([Worker(settings, app, lifespan) for _ in range(settings.concurrency)])
        return status
    finally:
        await lifespan.shutdown(settings.shutdown * SHUTDOWN_SHARE)


def _load(handler: str) -> asgi.App:
    # Nothing that an import makes is garbage, and looking through it again and again costs 4 % of a cold start.
    gc.disable()
    try:
        return load(handler)
    finally:
        gc.freeze()
        gc.enable()


async def _serve(workers: list["Worker"]) -> None:
    """Let all workers work until they leave, SIGTERM comes, or one of them fails; its `OSError` is raised."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for worker in workers:
            worker.leave()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    tasks = [loop.create_task(worker.work()) for worker in workers]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    stop()
    for failure in await asyncio.gather(*tasks, return_exceptions=True):
        if failure is not None:
            raise failure


async def _nothing(_scope: asgi.Scope, _receive: asgi.Receive, send: asgi.Send) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": b"Not Found"})


def _segments(path: str) -> list[str]:
    return [segment for segment in path.casefold().split("/") if segment]


def _wake(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


async def _run_and_wake(cycle: Cycle, app: asgi.App, turn: asyncio.Future[None]) -> None:
    try:
        await cycle.run(app)
    finally:
        _wake(turn)


class Worker:
    """Takes one invocation after the other."""

    def __init__(self, settings: Settings, app: asgi.App, lifespan: Lifespan) -> None:
        self._settings = settings
        self._app = app
        self._lifespan = lifespan
        self._reserved = _segments(settings.event_path)
        self._client = Client(settings.api)
        self._loop = asyncio.get_running_loop()
        self._leaving = False
        # The task that waits for an event, while it does.
        self._asking: asyncio.Task[None] | None = None
        # What the invocation at hand waits for: that the app ends, its time does, or the worker leaves.
        self._turn: asyncio.Future[None] = self._loop.create_future()
        # Apps that would not stop. The loop itself holds tasks weakly only.
        self._stuck: set[asyncio.Task[None]] = set()

    def leave(self) -> None:
        """Stop the invocation at hand, if any, and take no more. To say it again changes nothing."""
        if not self._leaving:
            self._leaving = True
            _wake(self._turn)
            if self._asking is not None:
                self._asking.cancel()

    async def work(self) -> None:
        """Work until there is no more. Raises `OSError` when the Runtime API cannot be worked with."""
        try:
            while not self._leaving:
                self._asking = asyncio.current_task()
                invocation = await self._client.next()
                self._asking = None
                await self._respond(invocation)
        except EnvironmentRetired:
            return
        except asyncio.CancelledError:
            if not self._leaving:
                raise
        finally:
            self._client.close()

    async def _respond(self, invocation: Invocation) -> None:
        """One invocation, under its own request id; whatever goes wrong costs this invocation alone."""
        request, tenant = request_id.set(invocation.request_id), tenant_id.set(invocation.tenant_id)
        self._set_trace(invocation.trace_id)
        try:
            await self._carry(invocation)
        except ApiError as error:
            logger.warning("%s", error)
            if error.status >= 500:  # "Container error. Non-recoverable state. Runtime should exit promptly."
                raise
        except OSError as error:
            logger.warning("The response could not be delivered: %r", error)
        except Exception as error:
            logger.exception("The runtime failed.")
            with suppress(OSError):
                await self._client.post_error(invocation, Document(error, invocation.request_id))
        finally:
            self._set_trace(None)
            tenant_id.reset(tenant)
            request_id.reset(request)

    async def _carry(self, invocation: Invocation) -> None:
        """One invocation from event to response."""
        try:
            request = read(invocation.event, LambdaContext(invocation), self._settings.event_path)
        except Fault as fault:
            logger.warning("%s", fault)
            await self._client.post_error(invocation, Document(fault, invocation.request_id))
            return
        request.scope["state"] = self._lifespan.state.copy()
        cycle = Cycle(self._client, invocation, request, self._settings)
        app = _nothing if self._reserves(request) else self._app
        try:
            await self._run(app, cycle, invocation.deadline_ms)
        finally:
            # Also where its failure could not be told: a task that the app has left behind would else begin to respond,
            # on the connection of the next invocation.
            cycle.over()

    def _reserves(self, request: Request) -> bool:
        """Whether a client asks for the path that is for events: no outsider may be taken for one of them.

        However it is spelled, since routers overlook case and slashes.
        """
        if request.pack is for_an_event:
            return False
        path = request.scope["path"].removeprefix(request.scope["root_path"])
        return _segments(path) == self._reserved

    async def _run(self, app: asgi.App, cycle: Cycle, deadline_ms: int) -> None:
        """The app for one invocation, until it ends or its time does."""
        left = max(0.0, deadline_ms / 1000 - time.time())
        # An invocation so short that the margin would eat it up keeps half of its time.
        margin = min(self._settings.deadline_margin, left / 2)
        # What `asyncio.wait` does, by hand: that one takes another turn of the loop, and three times as long.
        self._turn = turn = self._loop.create_future()
        running = self._loop.create_task(_run_and_wake(cycle, app, turn))
        timer = self._loop.call_later(left - margin, _wake, turn)
        try:
            if not self._leaving:
                await turn
        except asyncio.CancelledError:
            running.cancel()
            raise
        finally:
            timer.cancel()
        if not running.done():
            grace = margin * CLEAN_UP_SHARE
            if self._leaving:
                grace = min(grace, self._settings.shutdown * LAST_CLEAN_UP_SHARE)
                reason = Fault("Runtime.Shutdown", "The environment was shut down before the response was complete.")
            else:
                reason = Fault("Runtime.DeadlineReached", f"The app was stopped {margin:.1f} s before its deadline.")
            await self._stop(cycle, running, reason, grace)
        if running.done() and not running.cancelled():
            running.result()

    async def _stop(self, cycle: Cycle, running: asyncio.Task[None], reason: Fault, grace: float) -> None:
        """Tell the app that its client left, cancel it, and see to the response in its place.

        It has `grace` seconds for the first two together, and the response has as many.
        """
        logger.error("%s", reason)
        cycle.interrupt(reason)
        await asyncio.wait({running}, timeout=grace * NOTICE_SHARE)
        if not running.done():
            running.cancel()
            await asyncio.wait({running}, timeout=grace * (1 - NOTICE_SHARE))
        if running.done() and not running.cancelled():
            return
        if not running.done():
            logger.error("It is not done with that in time; the invocation ends without it.")
            self._stuck.add(running)
            running.add_done_callback(self._forget)
        try:
            async with asyncio.timeout(grace):
                await cycle.fail(reason)
        finally:
            # The app may be in the middle of a write that nobody takes.
            self._client.close()

    def _forget(self, task: asyncio.Task[None]) -> None:
        """Let go of an app that ended after all. How it ended is of no interest: its invocation has its response."""
        self._stuck.discard(task)
        if not task.cancelled():
            task.exception()

    def _set_trace(self, trace_id: str | None) -> None:
        """Tell X-Ray's SDK, which reads a variable, what the invocation belongs to. Several at once it cannot tell."""
        if trace_id is None or self._settings.concurrency > 1:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        else:
            os.environ["_X_AMZN_TRACE_ID"] = trace_id
