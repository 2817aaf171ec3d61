import asyncio
import logging
import time

import pytest

from streaming_runtime.asgi import Receive, Scope, Send
from streaming_runtime.errors import Fault
from streaming_runtime.lifespan import Lifespan

pytestmark = pytest.mark.anyio


async def test_startup_and_shutdown_run_once_each_in_their_order() -> None:
    """The app is told, answers, and what it put into `state` is there."""
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (scope["type"], scope["asgi"]) == ("lifespan", {"version": "3.0", "spec_version": "2.0"})
        scope["state"]["pool"] = "open"
        for kind in ("startup", "shutdown"):
            told.append((await receive())["type"])
            await send({"type": f"lifespan.{kind}.complete"})

    lifespan = Lifespan(app)
    await lifespan.startup()
    assert told == ["lifespan.startup"]
    assert lifespan.state == {"pool": "open"}
    await lifespan.shutdown(seconds=5)
    assert told == ["lifespan.startup", "lifespan.shutdown"]


async def test_an_app_without_lifespan_is_served_all_the_same() -> None:
    """An app may refuse the scope or leave at once; there is nothing to shut down then."""

    async def refuses(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise NotImplementedError("http only")

    async def leaves(_scope: Scope, _receive: Receive, _send: Send) -> None:
        return

    for app in (refuses, leaves):
        lifespan = Lifespan(app)
        await lifespan.startup()
        await lifespan.shutdown(seconds=0)


async def test_an_app_that_refuses_the_scope_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Django raises before it asks for a message. One that raises after it has asked had begun something."""

    async def refuses(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError("http only")

    async def breaks(_scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()
        raise ValueError("in the middle")

    caplog.set_level(logging.INFO)
    for app in (refuses, breaks):
        await Lifespan(app).startup()
    assert [record.levelno for record in caplog.records] == [logging.INFO, logging.WARNING]


async def test_a_startup_that_fails_raises_what_the_app_says() -> None:
    """Also when the app raises right after it said so, as Starlette does."""

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        raise RuntimeError("no database")

    with pytest.raises(Fault, match="no database") as failed:
        await Lifespan(app).startup()
    assert failed.value.error_type == "Runtime.StartupFailed"


async def test_a_shutdown_that_hangs_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    """The environment has no more time than Lambda gives it."""

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await asyncio.Event().wait()

    lifespan = Lifespan(app)
    await lifespan.startup()
    begun = time.monotonic()
    await lifespan.shutdown(seconds=0.05)
    assert time.monotonic() - begun < 5
    assert "took more than 0.05 s" in caplog.text
