"""The Runtime API may refuse any call, and an invoker may read as it likes: each has an end, and the next is served."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Literal

import pytest

from local.runtime_api import RuntimeApi
from streaming_runtime.asgi import Receive, Scope, Send
from tests.integration.in_process import GONE, PRELUDE, START, WHOLE, Outcome, body, invoke, outcome, working
from tests.integration.interference import Refusal, Relay, listening

pytestmark = pytest.mark.anyio

LAYER = Path(__file__).parents[2] / "layers" / "streaming_runtime"

MIB = 1 << 20
# Bytes that may be on their way between an app and a reader who takes nothing: what both kernels hold for a connection
# (Linux: 4 MiB of tcp_wmem and 6 MiB of tcp_rmem, or 32), half a MiB in the Runtime API, and the chunk being sent.
ON_THE_WAY = 40 * MIB
LARGE = 3 * ON_THE_WAY


class Streamer:
    """An app that streams for as long as it is let, and counts what was taken from it."""

    def __init__(self) -> None:
        self.sent = 0
        self.refused = 0

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["path"] == "/raise":
            raise LookupError("nothing")
        await send(START)
        try:
            while scope["path"] == "/endless" or (scope["path"] == "/large" and self.sent < LARGE):
                await send(body(bytes(MIB), more=True))
                self.sent += MIB
            await send(body(b"done"))
        except OSError:
            self.refused += 1
            raise


RIGHT = Outcome(PRELUDE + b"done", WHOLE)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("status", [400, 403, 413, 429, 500])
async def test_a_refused_next_is_the_end(status: int) -> None:
    """403 says that there is no more work; anything else is an error. Either way the worker leaves and asks no more."""
    api = RuntimeApi()
    refusal = Refusal(await api.start(), b"/next", status)
    async with listening(refusal) as address, working(api, address, Streamer()) as workers:
        failures = await workers.ended()
    await api.close()
    assert [isinstance(failure, OSError) for failure in failures] == ([] if status == 403 else [True])
    assert refusal.requests == [b"invocation/next"]


@pytest.mark.parametrize("status", [400, 403, 413, 429])
@pytest.mark.parametrize(
    ("path", "call", "when"),
    [
        ("/", b"/response", "end"),
        ("/raise", b"/error", "end"),
        ("/endless", b"/response", "close"),
        ("/endless", b"/response", "stop"),
        ("/endless", b"/response", "drain"),
    ],
)
async def test_a_refused_answer_costs_its_invocation(
    status: int, path: str, call: bytes, when: Literal["end", "close", "stop", "drain"]
) -> None:
    """The app that streams on is stopped by an OSError, long before its deadline, and the next invocation is served."""
    api = RuntimeApi()
    refusal = Refusal(await api.start(), call, status, when)
    app = Streamer()
    async with listening(refusal) as address, working(api, address, app) as workers:
        lost, served = await asyncio.gather(outcome(api, path), outcome(api))
        assert (lost, served) == (Outcome(b"", GONE), RIGHT)
        api.retire()
        assert await workers.ended() == []
    await api.close()
    assert app.refused == (path != "/raise")
    assert api.violations == []


async def test_a_task_that_is_left_behind_does_not_touch_the_next_answer() -> None:
    """Not even where the failure of its own invocation was refused: what it sends raises an OSError."""
    begun, left_behind, ended = asyncio.Event(), set[asyncio.Task[None]](), list[BaseException]()

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        async def late() -> None:
            await begun.wait()
            try:
                await send(START)
                await send(body(b"too late"))
            except OSError as error:
                ended.append(error)

        if scope["path"] == "/raise":
            left_behind.add(asyncio.create_task(late()))
            raise LookupError("nothing")
        await send(START)
        await send(body(b"do", more=True))
        begun.set()
        await asyncio.wait(left_behind)
        await send(body(b"ne"))

    api = RuntimeApi()
    refusal = Refusal(await api.start(), b"/error", 413)
    async with listening(refusal) as address, working(api, address, app) as workers:
        lost, served = await asyncio.gather(outcome(api, "/raise"), outcome(api))
        assert (lost, served) == (Outcome(b"", GONE), RIGHT)
        assert len(ended) == 1
        api.retire()
        assert await workers.ended() == []
    await api.close()
    assert api.violations == []


@pytest.mark.parametrize(
    ("path", "call", "when"),
    [
        ("/", b"/response", "end"),
        ("/raise", b"/error", "end"),
        ("/endless", b"/response", "stop"),
        ("/endless", b"/response", "drain"),
    ],
)
async def test_a_container_error_ends_the_environment(
    path: str, call: bytes, when: Literal["end", "stop", "drain"]
) -> None:
    """500: "Non-recoverable state. Runtime should exit promptly." It asks for nothing more."""
    api = RuntimeApi()
    refusal = Refusal(await api.start(), call, 500, when)
    async with listening(refusal) as address, working(api, address, Streamer()) as workers:
        lost = asyncio.create_task(outcome(api, path))
        failures = await workers.ended()
        assert await lost == Outcome(b"", GONE)
    await api.close()
    assert "500" in str(failures)
    assert len(failures) == 1
    assert refusal.requests[-1].endswith(call)
    assert len(refusal.requests) == 2


async def left(folder: Path, call: bytes, status: int, **variables: str) -> tuple[int | None, str, list[bytes]]:
    """A process whose call is answered so: its exit status, its log, and all its calls."""
    api = RuntimeApi()
    refusal = Refusal(await api.start(), call, status)
    async with listening(refusal) as address:
        process = await asyncio.create_subprocess_exec(
            LAYER / "streaming-bootstrap", sys.executable,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(LAYER),
                "AWS_LAMBDA_RUNTIME_API": address,
                "LAMBDA_TASK_ROOT": str(folder),
                **variables,
            },
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            log, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    await api.close()
    return process.returncode, log.decode(), refusal.requests


async def test_an_init_error_never_hides_why(tmp_path: Path) -> None:
    """Whatever the answer to it, the process leaves with 1, and its log has the app's failure."""
    for exit_status, log, calls in await asyncio.gather(
        *(left(tmp_path, b"init/error", status, _HANDLER="nowhere.app") for status in (400, 403, 413, 500))
    ):
        assert exit_status == 1
        assert "No module named 'nowhere'" in log
        assert calls == [b"init/error"]


async def test_a_refused_snapshot_is_the_end(tmp_path: Path) -> None:
    """An environment that cannot be restored asks for no work, says why, and leaves with a failure."""
    (tmp_path / "function.py").write_text("async def app(scope, receive, send): raise NotImplementedError")
    variables = {"_HANDLER": "function.app", "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    for status, (exit_status, log, calls) in zip(
        (403, 500),
        await asyncio.gather(*(left(tmp_path, b"restore/next", status, **variables) for status in (403, 500))),
        strict=True,
    ):
        assert exit_status
        assert f"restore/next was answered {status}" in log
        assert b"invocation/next" not in calls


async def test_heads_and_chunks_may_come_byte_by_byte() -> None:
    """TCP keeps no boundaries: each call and each answer is right when every byte of it travels alone."""
    api = RuntimeApi()
    relay = Relay(await api.start(), read_size=1)
    async with listening(relay) as address, working(api, address, Streamer()) as workers:
        assert await outcome(api) == RIGHT
        assert (await outcome(api, "/raise")).end == "LookupError"
        assert await outcome(api, request="x" * 500) == RIGHT
        api.retire()
        assert await workers.ended() == []
    await api.close()
    assert api.violations == []


async def test_a_slow_reader_holds_the_app_back() -> None:
    """What the app could send is never more than what was read and what the kernels and the API hold."""
    api = RuntimeApi()
    app = Streamer()
    async with working(api, await api.start(), app) as workers:
        response = await invoke(api, "/large")
        await _held(app)
        assert app.sent <= ON_THE_WAY
        received = 0
        async for piece in response:
            received += len(piece)
            assert app.sent <= received + ON_THE_WAY
        assert received == LARGE + len(RIGHT.received)
        assert await outcome(api) == RIGHT
        api.retire()
        assert await workers.ended() == []
    await api.close()
    assert api.violations == []


async def test_a_reader_who_leaves_lets_the_app_end() -> None:
    """As on Lambda nobody tells the function: it streams to its end, and the next invocation is served."""
    api = RuntimeApi()
    app = Streamer()
    async with working(api, await api.start(), app) as workers:
        response = await invoke(api, "/large")
        assert (await anext(aiter(response))).startswith(PRELUDE)
        response.discard()
        assert await outcome(api) == RIGHT
        assert app.sent == LARGE
        api.retire()
        assert await workers.ended() == []
    await api.close()
    assert api.violations == []


async def _held(app: Streamer) -> None:
    """Wait until the event loop finds nothing more to do for the app."""
    turns_without = 0
    before = app.sent
    while turns_without < 100:
        await asyncio.sleep(0)
        turns_without = turns_without + 1 if app.sent == before else 0
        before = app.sent
