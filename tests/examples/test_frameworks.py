"""Frameworks as they come from PyPI, carried by the streaming runtime."""

import csv
import json
from pathlib import Path

import anyio
import httpx
import pytest
from httpx_sse import connect_sse
from mcp import Client

from tests.examples.conftest import NEVER_S, PATIENCE_SECONDS, client, example, first_chunk

# The app is stopped so soon after a request came, of the 60 seconds that its function has.
STOPPED_AFTER_S = 3
EARLY = {"STREAMING_RUNTIME_DEADLINE_MARGIN_MS": str((60 - STOPPED_AFTER_S) * 1000)}


def test_litestar(tmp_path: Path) -> None:
    """Its streams and its server-sent events arrive one by one."""
    with example(tmp_path, "litestar") as up, client(up) as asking:
        assert first_chunk(asking, "/text", params={"pause": NEVER_S}) == b"line 0\n"
        assert asking.get("/text", params={"pause": 0}).text == "".join(f"line {number}\n" for number in range(10))
        with connect_sse(asking, "GET", "/events", params={"pause": NEVER_S}) as source:
            first = next(source.iter_sse())
            assert (first.event, first.id, first.data) == ("tick", "0", "0")
        with connect_sse(asking, "GET", "/events", params={"pause": 0}) as source:
            assert [event.data for event in source.iter_sse()] == [str(number) for number in range(10)]


@pytest.mark.parametrize(("name", "parameters"), [("django", {"SecretKey": "secret"}), ("quart", {})])
def test_endless_streams_of_inner_tasks(tmp_path: Path, name: str, parameters: dict[str, str]) -> None:
    """The first event arrives alone. At the deadline `finally` has run before the invocation is answered."""
    with example(tmp_path, name, parameters=parameters, env=EARLY) as up, client(up) as asking:
        assert first_chunk(asking, "/events", params={"pause": NEVER_S}) == b"data: 0\n\n"
        received: list[str] = []
        with asking.stream("GET", "/events?pause=0.1") as response:
            assert response.headers["content-type"] == "text/event-stream"
            with pytest.raises(httpx.RemoteProtocolError):
                received.extend(response.iter_lines())
        # The same environment answers the next request.
        with pytest.raises(httpx.RemoteProtocolError):
            asking.get("/events?pause=0.1")
    log = up.log.read_text()
    number = int(received[-2].removeprefix("data: "))
    stopped = log.index(f"stopped after {number + 1} ticks")
    assert stopped < log.index("Runtime.DeadlineReached")
    assert "never retrieved" not in log


def test_powertools(tmp_path: Path) -> None:
    """The resolver's routes answer beside one that streams; what neither has is the resolver's 404."""
    with example(tmp_path, "powertools") as up, client(up) as asking:
        assert first_chunk(asking, "/numbers", params={"pause": NEVER_S}) == b"0\n"
        hello = asking.get("/hello/you")
        assert (hello.status_code, hello.json()) == (200, {"hello": "you"})
        assert hello.headers["content-type"] == "application/json"
        assert asking.get("/none").json() == {"statusCode": 404, "message": "Not found"}


def test_mcp(tmp_path: Path) -> None:
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

    with example(tmp_path, "mcp") as up:
        anyio.run(use, up.ready["AppUrl"].rstrip("/"))


def test_datasette(tmp_path: Path) -> None:
    """Pages and JSON as ever, and a CSV export that is larger than what a function can answer at once."""
    with example(tmp_path, "datasette") as up, client(up) as asking:
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
