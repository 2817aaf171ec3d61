"""Environments as real processes of the tiny streaming runtime, and the pool that keeps them."""

import asyncio
import errno
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from local import environments
from local.environments import Pool, Throttled, TimedOut, reason
from local.functions import Function
from local.guard import Guard
from local.payload import PRELUDE_END
from local.runtime_api import EnvironmentGone, FunctionError

TINY = Path(__file__).parent / "tiny"
FUNCTION = Function(
    name="Tiny",
    arn="arn:aws:lambda:eu-west-1:123456789012:function:tiny",
    timeout=30,
    root=TINY / "streaming",
    command=(sys.executable, str(TINY / "layer" / "stream.py")),
    environment={"LAMBDA_TASK_ROOT": str(TINY / "streaming"), "_HANDLER": "app.answer", "PYTHONUNBUFFERED": "1"},
)


@asynccontextmanager
async def pool(function: Function = FUNCTION, limit: int = 4, starts: int = 4) -> AsyncIterator[Pool]:
    guard = Guard()
    made = Pool(function, guard, asyncio.Semaphore(starts), limit)
    try:
        yield made
    finally:
        await made.close()
        guard.close()


async def ask(made: Pool, path: str, **query: str) -> bytes:
    """The body of the answer to one event."""
    response = await made.invoke(json.dumps({"rawPath": path, "queryStringParameters": query}).encode())
    return b"".join([piece async for piece in response]).partition(PRELUDE_END)[2]


def test_warm_environment_is_used_again() -> None:
    """One invocation after the other runs in the same process."""

    async def scenario() -> None:
        async with pool() as made:
            assert await ask(made, "/pid") == await ask(made, "/pid")

    asyncio.run(scenario())


def test_invocations_at_once_get_an_environment_each(tmp_path: Path) -> None:
    """While one environment works, another is started; none gets two invocations."""

    async def scenario() -> None:
        async with pool() as made:
            gate = tmp_path / "gate"
            working = [asyncio.create_task(ask(made, "/gate", gate=str(gate))) for _ in range(2)]
            first = await ask(made, "/pid")
            assert not any(task.done() for task in working)
            gate.touch()
            assert await asyncio.gather(*working) == [b"firstsecond"] * 2
            assert int(first) != os.getpid()

    asyncio.run(scenario())


def test_what_is_answered_soon_starts_few() -> None:
    """Many at once get an answer each, and those that came up are done before more are started."""

    async def scenario() -> None:
        async with pool(limit=30, starts=1) as made:
            await ask(made, "/pid")
            answers = await asyncio.gather(*(ask(made, "/pid") for _ in range(30)))
            assert len(answers) == 30
            await asyncio.gather(*made._tasks)  # a start that nobody waits for is given up when it is its turn
            assert len(made._all) < 15

    asyncio.run(scenario())


def test_more_than_the_limit_waits_its_turn(tmp_path: Path) -> None:
    """At the limit an invocation waits for the environment that is first free."""

    async def scenario() -> None:
        async with pool(limit=1) as made:
            pid = await ask(made, "/pid")
            gate = tmp_path / "gate"
            working = asyncio.create_task(ask(made, "/gate", gate=str(gate)))
            waiting = asyncio.create_task(ask(made, "/pid"))
            done, _ = await asyncio.wait({working, waiting}, timeout=0.2)
            assert not done
            gate.touch()
            assert await waiting == pid

    asyncio.run(scenario())


def test_waiting_too_long_is_throttled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits longer than the bound is turned away, and the environment serves the next."""

    async def scenario() -> None:
        async with pool(limit=1) as made:
            pid = await ask(made, "/pid")
            gate = tmp_path / "gate"
            event = {"rawPath": "/gate", "queryStringParameters": {"gate": str(gate)}}
            working = await made.invoke(json.dumps(event).encode())
            with monkeypatch.context() as short:
                short.setattr(environments, "WAIT_S", 0.2)
                with pytest.raises(Throttled, match="all 1 environments were busy"):
                    await ask(made, "/pid")
            gate.touch()
            working.discard()
            assert await ask(made, "/pid") == pid

    asyncio.run(scenario())


def test_failure_of_the_function_keeps_the_environment() -> None:
    """An exception before the first byte is a function error with its words, and the process goes on."""

    async def scenario() -> None:
        async with pool() as made:
            pid = await ask(made, "/pid")
            with pytest.raises(FunctionError) as failed:
                await ask(made, "/raise")
            assert reason(failed.value) == "RuntimeError: before the first byte"
            assert await ask(made, "/pid") == pid

    asyncio.run(scenario())


def test_crash_fails_the_invocation_and_is_replaced(capfd: pytest.CaptureFixture[str]) -> None:
    """A process that ends takes its invocation with it; the next gets a new process."""

    async def scenario() -> None:
        async with pool(limit=1) as made:
            pid = await ask(made, "/pid")
            with pytest.raises(EnvironmentGone):
                await ask(made, "/exit")
            assert await ask(made, "/pid") != pid

    asyncio.run(scenario())
    assert "[Tiny] an environment ended with exit status 4" in capfd.readouterr().err


def test_timeout_kills_the_environment(capfd: pytest.CaptureFixture[str]) -> None:
    """Past its timeout the process is killed: what waits for its answer fails, and so does an answer that has begun."""

    async def scenario() -> None:
        async with pool(replace(FUNCTION, timeout=1), limit=1) as made:
            pid = await ask(made, "/pid")
            with pytest.raises(EnvironmentGone):
                await ask(made, "/sleep")
            assert await ask(made, "/pid") != pid
            with pytest.raises(TimedOut, match="Timeout of 1 s"):
                await ask(made, "/mute")

    asyncio.run(scenario())
    assert "[Tiny] timed out after 1 s" in capfd.readouterr().err


def test_timeout_ends_with_the_invocation() -> None:
    """An environment that has answered in time is not killed when its timeout would have come."""

    async def scenario() -> None:
        async with pool(replace(FUNCTION, timeout=2)) as made:
            pid = await ask(made, "/pid")
            end = asyncio.get_running_loop().time() + 2.4
            while asyncio.get_running_loop().time() < end:
                assert await ask(made, "/pid") == pid

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            replace(FUNCTION, command=(sys.executable, "-c", "raise SystemExit(5)")),
            "ended before its handler was ready",
        ),
        (replace(FUNCTION, environment={**FUNCTION.environment, "_HANDLER": "none.answer"}), "ended before"),
    ],
)
def test_function_that_does_not_start(function: Function, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A process that ends before its first `/next` fails who waits for it, with its log on stderr."""

    async def scenario() -> None:
        async with pool(function) as made:
            with pytest.raises(EnvironmentGone, match=message):
                await made.warm()

    asyncio.run(scenario())
    assert "[Tiny] " in capfd.readouterr().err


def test_import_error_of_a_managed_handler_is_told() -> None:
    """What the managed runtime says about a handler that cannot be imported is the reason of the failure."""
    command = (sys.executable, "-m", "awslambdaric", "none.handler")
    function = replace(FUNCTION, command=command, environment={**os.environ, **FUNCTION.environment})

    async def scenario() -> None:
        async with pool(function) as made:
            with pytest.raises(FunctionError) as failed:
                await made.warm()
            assert "Unable to import module 'none'" in reason(failed.value)

    asyncio.run(scenario())


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    """Until the block ends this process may open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_descriptors_everyone_is_told_and_later_served() -> None:
    """Out of file descriptors, each who waits is turned away at once; once there are some, the pool is as before."""

    async def scenario() -> None:
        async with pool(limit=2) as made:
            with no_more_descriptors():
                waiting = [asyncio.create_task(ask(made, "/pid")) for _ in range(7)]
                told = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), environments.WAIT_S / 2)
            for error in told:
                assert isinstance(error, Throttled)
                assert "Too many open files: this process may have" in str(error)
            assert len({*await asyncio.gather(*(ask(made, "/pid") for _ in range(7)))}) <= 2

    asyncio.run(scenario())


def test_warm_environment_works_on_without_descriptors() -> None:
    """Only what is new needs one."""

    async def scenario() -> None:
        async with pool() as made:
            pid = await ask(made, "/pid")
            with no_more_descriptors():
                assert await ask(made, "/pid") == pid

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("what", "name", "error"),
    [
        (subprocess, "Popen", BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))),
        (subprocess, "Popen", OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))),
        (threading.Thread, "start", RuntimeError("can't start new thread")),
    ],
)
def test_without_processes_or_threads_nothing_is_left(
    what: object, name: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that cannot be forked, or that nobody could wait for, is none; and no descriptor stays open."""

    def refuse(*_: object, **__: object) -> None:
        raise error

    async def scenario() -> None:
        async with pool(limit=1) as made:
            with monkeypatch.context() as scarce:
                scarce.setattr(what, name, refuse)
                with pytest.raises(Throttled, match="no environment can be started"):
                    await ask(made, "/pid")
            assert await ask(made, "/pid")

    asyncio.run(scenario())


def test_any_failure_to_start_gives_the_place_back() -> None:
    """Whatever the reason: who waits is told, and the next is tried again."""

    async def scenario() -> None:
        async with pool(replace(FUNCTION, root=Path("/nowhere")), limit=1) as made:
            for _ in range(3):
                with pytest.raises(OSError, match="nowhere"):
                    await made.warm()
        async with pool(replace(FUNCTION, environment={"\0": ""}), limit=1) as made:
            for _ in range(3):
                with pytest.raises(ValueError, match=r"null byte|illegal environment"):
                    await made.warm()

    asyncio.run(scenario())
