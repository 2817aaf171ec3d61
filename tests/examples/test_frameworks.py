"""Frameworks as they come from PyPI, carried by the streaming runtime."""

import csv
import json
import re
import time
from datetime import datetime
from pathlib import Path

import anyio
import httpx
import pytest
from httpx_sse import connect_sse
from mcp import Client

from tests.examples.conftest import NEVER_S, PATIENCE_SECONDS, Example, client, first_chunk

# Of its function, half of which is the app's: a margin of more than the other half counts as that.
TIMEOUT_S = 6
EARLY = {"STREAMING_RUNTIME_DEADLINE_MARGIN_MS": str(TIMEOUT_S * 1000)}
STOPPED = re.compile(r"\t(\S+Z)\t\S+\tstopped after \d+ ticks")


def stops(log: Path, number: int) -> list[float]:
    """When the log says that `finally` ran, so many times, as `time.time()` says it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found := STOPPED.findall(log.read_text())) < number:
        assert time.monotonic() < deadline, log.read_text()
    return [datetime.fromisoformat(at).timestamp() for at in found]


def test_litestar(example: Example) -> None:
    """Its streams and its server-sent events arrive one by one."""
    with example("litestar") as up, client(up) as asking:
        assert first_chunk(asking, "/text", params={"pause": NEVER_S}) == b"line 0\n"
        assert asking.get("/text", params={"pause": 0}).text == "".join(f"line {number}\n" for number in range(10))
        with connect_sse(asking, "GET", "/events", params={"pause": NEVER_S}) as source:
            first = next(source.iter_sse())
            assert (first.event, first.id, first.data) == ("tick", "0", "0")
        with connect_sse(asking, "GET", "/events", params={"pause": 0}) as source:
            assert [event.data for event in source.iter_sse()] == [str(number) for number in range(10)]


@pytest.mark.parametrize(("name", "parameters"), [("django", {"SecretKey": "secret"}), ("quart", {})])
def test_endless_streams_of_inner_tasks(example: Example, name: str, parameters: dict[str, str]) -> None:
    """Events arrive one by one. At the deadline `finally` has run before the client sees the end."""
    with example(name, parameters=parameters, env=EARLY, timeout=TIMEOUT_S) as up, client(up) as asking:
        with asking.stream("GET", "/events", params={"pause": NEVER_S}) as response:
            assert response.headers["content-type"] == "text/event-stream"
            received = response.iter_text()
            assert next(received) == "data: 0\n\n"
            with pytest.raises(httpx.RemoteProtocolError):
                next(received)
        broken = time.time()
        assert stops(up.log, 1)[0] <= broken
        # The same environment answers the next request.
        with pytest.raises(httpx.RemoteProtocolError):
            asking.get("/events", params={"pause": 0.1})
        broken = time.time()
        assert stops(up.log, 2)[1] <= broken
    log = up.log.read_text()
    assert log.count("Runtime.DeadlineReached") == 2
    assert "never retrieved" not in log


def test_powertools(example: Example) -> None:
    """The resolver's routes answer beside one that streams; what neither has is the resolver's 404."""
    with example("powertools") as up, client(up) as asking:
        assert first_chunk(asking, "/numbers", params={"pause": NEVER_S}) == b"0\n"
        hello = asking.get("/hello/you")
        assert (hello.status_code, hello.json()) == (200, {"hello": "you"})
        assert hello.headers["content-type"] == "application/json"
        assert asking.get("/none").json() == {"statusCode": 404, "message": "Not found"}


def test_mcp(example: Example) -> None:
    """A tool's progress reaches the client while the tool runs, and its result at the end."""

    async def use(url: str) -> None:
        seen: list[tuple[float, float | None]] = []
        first = anyio.Event()

        async def report(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001
            seen.append((progress, total))
            first.set()

        async with Client(f"{url}/mcp") as server:
            assert [tool.name for tool in (await server.list_tools()).tools] == ["count"]
            result = await server.call_tool("count", {"to": 3, "pause": 0}, progress_callback=report)
            assert result.structured_content == {"result": "counted to 3"}
            assert seen == [(1, 3), (2, 3), (3, 3)]
            first = anyio.Event()
            async with anyio.create_task_group() as calls:
                endless = {"to": 2, "pause": NEVER_S}
                calls.start_soon(lambda: server.call_tool("count", endless, progress_callback=report))
                with anyio.fail_after(PATIENCE_SECONDS):
                    await first.wait()
                calls.cancel_scope.cancel()

    with example("mcp") as up:
        anyio.run(use, up.ready["AppUrl"].rstrip("/"))


def test_datasette(example: Example) -> None:
    """Pages and JSON as ever, and a CSV export that is larger than what a function can answer at once."""
    with example("datasette") as up, client(up) as asking:
        assert "squares" in asking.get("/numbers").text
        rows = asking.get("/numbers/squares.json", params={"_size": 2, "_shape": "array"}).json()
        assert rows == [{"number": n, "square": n**2, "cube": n**3} for n in range(2)]
        with asking.stream("GET", "/numbers/squares.csv", params={"_stream": "1"}) as response:
            lines = [*response.iter_lines()]
        assert response.num_bytes_downloaded > 6 * 1024 * 1024
        exported = [*csv.DictReader(lines)]
        assert len(exported) == 300_000
        assert exported[-1] == {"number": "299999", "square": str(299999**2), "cube": str(299999**3)}
        assert json.loads(asking.get("/-/versions.json").text)["datasette"]["version"]
