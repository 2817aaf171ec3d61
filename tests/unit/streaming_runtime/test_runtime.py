import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import pytest

from local.runtime_api import EnvironmentGone, FunctionError, Invocation, Response, RuntimeApi
from streaming_runtime import runtime
from streaming_runtime.asgi import App, Message, Receive, Scope, Send
from streaming_runtime.lifespan import Lifespan
from streaming_runtime.logs import request_id
from streaming_runtime.runtime import Worker
from streaming_runtime.settings import Settings

pytestmark = pytest.mark.anyio

Carry = Callable[..., AbstractAsyncContextManager[Any]]
Event = Callable[..., dict[str, Any]]

START: Message = {"type": "http.response.start", "status": 200, "headers": []}


def body(data: bytes = b"", more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def test_the_app_is_stopped_before_its_deadline(carry: Carry, event: Event) -> None:
    """Its `finally` runs, its stream fails in good time, and the next invocation is served."""
    cleaned_up: list[str] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"first", more=True))
        try:
            if scope["path"] == "/slow":
                await asyncio.Event().wait()
        finally:
            cleaned_up.append(scope["path"])
        await send(body())

    async with carry(app, margin=0.2) as environment:
        begun = time.monotonic()
        response = await environment.invoke(event("/slow"), seconds=0.5)
        with pytest.raises(FunctionError, match=r"Runtime\.DeadlineReached"):
            [piece async for piece in response]
        assert 0.2 < time.monotonic() - begun < 0.5
        assert cleaned_up == ["/slow"]
        assert (await environment.get("/next"))[1] == b"first"


async def test_an_app_may_end_its_stream_itself_when_it_is_stopped(carry: Carry) -> None:
    """An SSE endpoint that says goodbye has a whole response."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await send(body(b"goodbye"))

    async with carry(app, margin=0.2) as environment:
        assert (await environment.get(seconds=0.4))[1] == b"goodbye"


async def test_the_app_is_told_of_its_end_by_receive_too(carry: Carry) -> None:
    """While it is being stopped, `receive` says http.disconnect, as after any other end."""

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(START)
        await send(body((await receive())["type"].encode()))

    async with carry(app, margin=0.2) as environment:
        assert (await environment.get(seconds=0.4))[1] == b"http.disconnect"


async def test_an_app_hears_that_its_client_left_before_it_is_cancelled(carry: Carry) -> None:
    """Django and Quart run a request in a task of its own, which nobody ends when the one around it is cancelled."""
    seen: list[str] = []

    async def work(send: Send) -> None:
        await send(START)
        await send(body(b"first", more=True))
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cleaned up")

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        working, leaving = asyncio.ensure_future(work(send)), asyncio.ensure_future(receive())
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        working.cancel()
        await asyncio.wait({working})
        seen.append("over")

    async with carry(app, margin=0.2) as environment:
        with pytest.raises(FunctionError, match=r"Runtime\.DeadlineReached"):
            await environment.get(seconds=0.4)
        assert seen == ["cleaned up", "over"]


async def test_a_stuck_app_does_not_take_the_next_invocation_down(carry: Carry, event: Event) -> None:
    """Its invocation is failed for it, what it sends later goes nowhere, and the environment serves on."""
    released, refused = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"first", more=True))
        while scope["path"] == "/stuck" and not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
        try:
            await send(body(b"last"))
        except OSError:
            refused.set()

    async with carry(app, margin=0.2) as environment:
        response = await environment.invoke(event("/stuck"), seconds=0.4)
        with pytest.raises(FunctionError, match=r"Runtime\.DeadlineReached"):
            [piece async for piece in response]
        assert (await environment.get("/next"))[1] == b"firstlast"
        assert not refused.is_set()
        released.set()
        await refused.wait()


async def test_a_reader_who_never_reads_costs_no_more_than_the_invocation(carry: Carry, event: Event) -> None:
    """Backpressure holds the app until the deadline; the connection is broken off, and the next one works."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        for _ in range(200 if scope["path"] == "/big" else 1):
            await send(body(bytes(1 << 20), more=True))
        await send(body())

    async with carry(app, margin=0.2) as environment:
        response = await environment.invoke(event("/big"), seconds=0.6)
        assert len((await environment.get("/small"))[1]) == 1 << 20
        # Whether the kernel still had room for the trailers is for the kernel to say.
        with pytest.raises((EnvironmentGone, FunctionError)):
            [piece async for piece in response]


async def test_many_invocations_share_one_loop_and_nothing_else(carry: Carry) -> None:
    """At a concurrency of 20, all are open at once, and each knows its own request id, deadline and context."""
    together = asyncio.Barrier(20)

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        await together.wait()
        context = scope["aws.context"]
        assert request_id.get() == await asyncio.to_thread(request_id.get) == context.aws_request_id
        seconds = round(context.get_remaining_time_in_millis() / 1000)
        await send(START)
        await send(body(f"{scope['path']} {seconds}".encode()))

    async with carry(app, concurrency=20) as environment:
        answers = await asyncio.gather(*(environment.get(f"/{n}", seconds=100 + n) for n in range(20)))
    assert [text for _, text in answers] == [f"/{n} {100 + n}".encode() for n in range(20)]


async def test_the_trace_is_in_the_environment_as_long_as_the_invocation(carry: Carry, event: Event) -> None:
    """X-Ray's SDK finds it where the managed runtime puts it."""
    seen: list[str | None] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        seen.append(os.environ.get("_X_AMZN_TRACE_ID"))
        await send(START)
        await send(body())

    async with carry(app) as environment:
        for trace_id in ("Root=1-a", "Root=1-b"):
            response = await environment.invoke(event(), trace_id=trace_id)
            await response.finished.wait()
    assert seen == ["Root=1-a", "Root=1-b"]
    assert "_X_AMZN_TRACE_ID" not in os.environ


async def test_a_malformed_request_is_answered_in_words(carry: Carry, caplog: pytest.LogCaptureFixture) -> None:
    """The caller and the log learn what is wrong with it; the app is not called."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"called"))

    async with carry(app) as environment:
        with caplog.at_level(logging.WARNING), pytest.raises(FunctionError, match=r"Runtime\.MalformedEvent"):
            await environment.invoke({"version": "2.0", "requestContext": {"http": {}}})
        assert "KeyError: 'method'" in caplog.text
        assert (await environment.get())[1] == b"called"


async def test_state_is_shared_by_copy(carry: Carry) -> None:
    """What one request puts into `state` is not seen by the next."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(repr(scope["state"]).encode()))
        scope["state"]["mine"] = 1

    async with carry(app) as environment:
        for _ in range(2):
            assert (await environment.get())[1] == b"{}"


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000])
async def test_an_event_that_cannot_be_parsed_costs_its_invocation_alone(carry: Carry, event: Event, deep: str) -> None:
    """Whoever may invoke the function directly may send what he likes; the neighbour's stream goes on."""
    go_on = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"begun", more=True))
        await go_on.wait()
        await send(body(b"ended"))

    async with carry(app, concurrency=2) as environment:
        neighbour = await environment.invoke(event("/"))
        arn = "arn:aws:lambda:eu-west-1:1:function:f"
        deadline_ms = int((time.time() + 10) * 1000)
        for context in (None, deep[:3500]):
            bad = Invocation(deep.encode(), deadline_ms, arn, client_context=context)
            with pytest.raises(FunctionError, match=r"Runtime\.MalformedEvent"):
                await environment.api.invoke(bad)
        go_on.set()
        assert b"".join([piece async for piece in neighbour]).endswith(b"begunended")


async def test_a_deadline_in_the_last_message_still_delivers_it(carry: Carry, event: Event) -> None:
    """The app has ended its stream itself, and the reader has only now the time to take it."""
    size = 16 << 20
    stopped = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        try:
            await send(body(bytes(size)))
        finally:
            stopped.set()

    async with carry(app, margin=2.0) as environment:
        response = await environment.invoke(event("/"), seconds=3)
        await stopped.wait()
        assert len(b"".join([piece async for piece in response]).split(bytes(8), 1)[1]) == size
        assert (await environment.get())[1] == bytes(size)


@asynccontextmanager
async def at_work(
    app: App, event: dict[str, Any], seconds: float, margin: float
) -> AsyncIterator[tuple[Worker, Response]]:
    """A worker whose app has begun its response; the worker must have left by itself for the block to end."""
    api = RuntimeApi()
    settings = Settings(await api.start(), "", ".", 1, snap_start=False, deadline_margin=margin, shutdown=2)
    worker = Worker(settings, app, Lifespan(app))
    working = asyncio.create_task(worker.work())
    deadline_ms = int((time.time() + seconds) * 1000)
    yield worker, await api.invoke(Invocation(json.dumps(event).encode(), deadline_ms, "arn"))
    await working
    await api.close()


async def test_all_that_follows_sigterm_fits_into_lambdas_time() -> None:
    """Clean-up, the failure of the stream, shutdown and exit may each take their longest before Lambda kills."""
    assert 2 * runtime.LAST_CLEAN_UP_SHARE + runtime.SHUTDOWN_SHARE + runtime.EXIT_SHARE < 1


@pytest.mark.parametrize("reads", [True, False])
async def test_leaving_ends_a_worker_whatever_the_app_does(event: Event, reads: bool) -> None:
    """An app that ignores its cancellation, and a task of it that writes to a reader who does not read."""
    begun = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)

        async def pump() -> None:
            with suppress(OSError):
                while True:
                    await send(body(bytes(1 << 20), more=True))
                    begun.set()

        pumping = asyncio.create_task(pump())
        while not pumping.done():
            try:
                await asyncio.wait({pumping})
            except asyncio.CancelledError:
                continue

    async with at_work(app, event("/"), seconds=60, margin=1.0) as (worker, response):
        if reads:
            response.discard()
        await begun.wait()
        worker.leave()
        worker.leave()


async def test_leaving_twice_does_not_break_off_what_the_app_still_says(event: Event) -> None:
    """SIGTERM may come during a deadline's stop, and may come again: the stop goes on."""
    cleaning, go_on = asyncio.Event(), asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"hello ", more=True))
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await go_on.wait()
            await send(body(b"and bye"))

    async with at_work(app, event("/"), seconds=2, margin=1.5) as (worker, response):
        await cleaning.wait()
        worker.leave()
        worker.leave()
        go_on.set()
        assert b"".join([piece async for piece in response]).endswith(b"hello and bye")
