"""Execution environments: the processes of a function, kept warm, one invocation at a time each."""

import asyncio
import contextlib
import json
import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any

from local.concurrency import Concurrency
from local.descriptors import advice, scarce
from local.functions import Function
from local.guard import Guard
from local.runtime_api import EnvironmentGone, FunctionError, Invocation, Response, RuntimeApi
from local.terminal import say

# Environments of one function at once. An account has 1,000 by default; a machine with a few cores has to stop sooner.
CONCURRENCY = 32

# Seconds that an invocation waits for an environment before it is turned away. Lambda turns it away at once, but can
# start more.
WAIT_S = 60

# Seconds for an environment to come up. Lambda allows 10 (its Init phase), with a processor for each; here they share a
# few.
INIT_S = 60

# Seconds to wait for the rest of the log once the process has ended: something that it started may hold the pipe open.
LOG_END_S = 1

# Seconds in which an environment that has answered usually asks for more. So long it counts as about to be free.
SOON_S = 0.1

# Seconds that an invocation waits for one of those that are at work before another is started for it. Lambda starts one
# at once, on other machines; here a start takes seconds of a processor, and most answers come sooner than this.
PATIENCE_S = 0.05

# Bytes of a log that are read at a time.
LOG_READ_SIZE = 64 * 1024


class Throttled(Exception):
    """No environment became free in time, as many invocations run as may, or this machine cannot start another now."""


class TimedOut(Exception):
    """The function ran longer than its template allows; its environment was killed."""


class Environment:
    """One process of a function, and the Runtime API that it alone talks to."""

    def __init__(self, function: Function, guard: Guard) -> None:
        self.function = function
        self._guard = guard
        self._api = RuntimeApi()
        self._alarm: asyncio.TimerHandle | None = None
        self._killed = False
        self._life: asyncio.Task[None] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._timed_out = False

    @property
    def usable(self) -> bool:
        return self._life is not None and not self._life.done() and not self._killed

    async def start(self) -> None:
        """Start the process and wait for its first `/next`.

        Raises `FunctionError` or `EnvironmentGone` when none comes, `Throttled` when this machine has no more of what a
        process needs, OSError when the process cannot be started at all.
        """
        try:
            self._life = asyncio.create_task(self._live(*self._launch(await self._api.start())))
        except Exception as error:
            await self._api.close()
            if scarce(error):
                raise Throttled(f"no environment can be started. {advice(error)}") from error
            raise
        ready = asyncio.create_task(self._api.ready.wait())
        done, _ = await asyncio.wait({ready, self._life}, timeout=INIT_S, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if ready not in done:
            await self.close()
            gone = EnvironmentGone("it ended before its handler was ready" if done else f"not ready after {INIT_S} s")
            raise self._api.init_error or gone

    def _launch(self, address: str) -> tuple[asyncio.Future[int], asyncio.Task[None]]:
        """Start the process: its exit status, once it has ended, and what passes its log on."""
        # Not asyncio's subprocess: that starts it and then looks for a descriptor or a thread to wait with; when there
        # is none, nobody knows the process any more.
        log, end_of_log = os.pipe()
        try:
            process = subprocess.Popen(
                self.function.command,
                cwd=self.function.root,
                env={**self.function.environment, "AWS_LAMBDA_RUNTIME_API": address},
                stdin=subprocess.DEVNULL,
                stdout=end_of_log,
                stderr=end_of_log,
                start_new_session=True,
            )
            self._guard.watch(process.pid)
            try:
                status = _status(process)
            except RuntimeError:
                self._guard.end(process.pid)
                process.wait()
                raise
        except BaseException:
            os.close(log)
            raise
        finally:
            os.close(end_of_log)
        self._process = process
        return status, asyncio.create_task(_pass_on(self.function.name, log))

    async def invoke(self, event: bytes) -> Response:
        """Hand one event over; returns when the response begins. From now until `rest` the function's timeout runs.

        Raises `FunctionError` when the function fails, `TimedOut`, and `EnvironmentGone` when its process ends.
        """
        timeout = self.function.timeout
        self._alarm = asyncio.get_running_loop().call_later(timeout, self._time_out)
        invocation = Invocation(event, int((time.time() + timeout) * 1000), self.function.arn)
        try:
            return await self._api.invoke(invocation)
        except EnvironmentGone as error:
            if self._timed_out:
                raise TimedOut(f"no answer within its Timeout of {timeout} s") from error
            raise

    async def rest(self) -> None:
        """Return when the runtime asks for the next invocation, or has ended. Until then the timeout runs."""
        if self._life is None:
            return
        idle = asyncio.create_task(self._api.idle.wait())
        await asyncio.wait({idle, self._life}, return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        self._disarm()

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

    def kill(self) -> None:
        self._killed = True
        # Once it has ended, its number may be another's.
        if self._process is not None and self._process.returncode is None:
            self._guard.end(self._process.pid)

    async def close(self) -> None:
        self._disarm()
        self.kill()
        if self._life is None:
            await self._api.close()
        else:
            await self._life

    def _time_out(self) -> None:
        self._timed_out = True
        say(self.function.name, f"timed out after {self.function.timeout} s (its Timeout); its environment is killed")
        self.kill()

    async def _live(self, ended: asyncio.Future[int], log: asyncio.Task[None]) -> None:
        """Wait until the process ends; then end what it has started, and tell those who wait for it."""
        status = await ended
        if self._process is not None:
            self._guard.end(self._process.pid)
        await asyncio.wait({log}, timeout=LOG_END_S)
        log.cancel()
        if not self._killed and self._api.init_error is None:
            how = f"by signal {-status}" if status < 0 else f"with exit status {status}"
            say(self.function.name, f"an environment ended {how}; the next invocation gets a new one")
        self._api.gone()
        await self._api.close()


class Pool:
    """The environments of one function: as many as there are invocations at once, and no more than `limit`."""

    def __init__(
        self,
        function: Function,
        guard: Guard,
        starts: asyncio.Semaphore,
        limit: int = CONCURRENCY,
        allowed: Concurrency | None = None,
    ) -> None:
        """`starts` bounds how many environments come up at the same time, `allowed` how many invocations run.

        Both are shared by all functions.
        """
        self._allowed = allowed or Concurrency()
        self.function = function
        self._guard = guard
        self._starts = starts
        self._limit = limit
        self._all: set[Environment] = set()
        self._idle: list[Environment] = []
        self._answering: dict[Environment, Response | None] = {}  # None: it has failed
        self._starting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: deque[asyncio.Future[Environment]] = deque()

    async def warm(self) -> None:
        """Have one environment ready. Raises what starting it raises."""
        self._release(await self._acquire())

    async def invoke(self, event: bytes) -> Response:
        """Run the function on one event.

        Raises `Throttled`, and what `Environment.start` and `Environment.invoke` raise.
        """
        if not self._allowed.begin(self.function.name):
            raise Throttled("as many invocations run as its concurrency allows")
        try:
            environment = await self._acquire()
        except BaseException:
            self._allowed.end(self.function.name)
            raise
        response = None
        try:
            response = await environment.invoke(event)
        except asyncio.CancelledError:  # nobody will ever take the answer
            environment.kill()
            raise
        finally:
            self._answering[environment] = response
            self._spawn(self._reuse(environment, response))
        return response

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(environment.close() for environment in self._all))

    async def _acquire(self) -> Environment:
        """The environment that was used last, or else the one that is first free or ready."""
        while self._idle:
            environment = self._idle.pop()
            if environment.usable:
                return environment
            self._all.discard(environment)
        place: asyncio.Future[Environment] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(WAIT_S):
                if self._all:
                    await asyncio.wait({place}, timeout=PATIENCE_S)
                self._grow()
                return await place
        except (TimeoutError, asyncio.CancelledError) as error:
            if not place.cancel() and not place.cancelled():  # it came at the very moment that the wait was over
                self._release(place.result())
            if isinstance(error, TimeoutError):
                raise Throttled(f"all {self._limit} environments were busy for {WAIT_S} s") from None
            raise

    def _next_place(self) -> asyncio.Future[Environment] | None:
        """The place of whoever has waited longest and still does."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                return place
        return None

    def _awaited(self) -> bool:
        return any(not place.done() for place in self._waiting)

    def _grow(self) -> None:
        answered = sum(response is None or response.finished.is_set() for response in self._answering.values())
        while self._starting + answered < len(self._waiting) and len(self._all) < self._limit:
            environment = Environment(self.function, self._guard)
            self._all.add(environment)
            self._starting += 1
            self._spawn(self._start(environment))

    async def _start(self, environment: Environment) -> None:
        try:
            async with self._starts:
                if not self._awaited():  # others became free meanwhile
                    self._all.discard(environment)
                    return
                await environment.start()
        except Exception as error:  # noqa: BLE001  whatever it is: who waits is told, and the place is free again
            self._all.discard(environment)
            if (place := self._next_place()) is not None:
                place.set_exception(error)
            else:
                say(self.function.name, f"an environment did not start: {reason(error)}")
        else:
            self._release(environment)
        finally:
            self._starting -= 1
        self._grow()  # for those who wait still: one start was for one of them

    async def _reuse(self, environment: Environment, response: Response | None) -> None:
        if response is not None:
            await response.finished.wait()
        rest = asyncio.create_task(environment.rest())
        done, _ = await asyncio.wait({rest}, timeout=SOON_S)
        del self._answering[environment]
        if not done:  # it works on after its answer, and nobody should wait for that
            self._grow()
            await rest
        self._allowed.end(self.function.name)
        self._release(environment)

    def _release(self, environment: Environment) -> None:
        if not environment.usable:
            self._all.discard(environment)
            self._grow()
        elif (place := self._next_place()) is not None:
            place.set_result(environment)
        else:
            self._idle.append(environment)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _status(process: subprocess.Popen[bytes]) -> asyncio.Future[int]:
    """The exit status of a process, once it has ended. Raises RuntimeError when no thread can wait for it."""
    loop = asyncio.get_running_loop()
    status: asyncio.Future[int] = loop.create_future()

    def tell(code: int) -> None:
        if not status.done():
            status.set_result(code)

    def wait() -> None:
        code = process.wait()
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(tell, code)

    threading.Thread(target=wait, name=f"waits for {process.pid}", daemon=True).start()
    return status


def reason(error: Exception) -> str:
    """Why an invocation failed, in one line; of a `FunctionError`, what the function itself said."""
    if isinstance(error, FunctionError):
        said = json.loads(error.payload)
        return f"{said['errorType']}: {said['errorMessage']}"
    return str(error)


async def _pass_on(name: str, pipe: int) -> None:
    """Say each line that comes out of `pipe`, until its end; close it."""
    log, rest = asyncio.StreamReader(), b""
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(log), os.fdopen(pipe, "rb", buffering=0)
    )
    with contextlib.closing(transport):
        while chunk := await log.read(LOG_READ_SIZE):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                say(name, line.decode(errors="replace"))
        if rest:
            say(name, rest.decode(errors="replace"))
