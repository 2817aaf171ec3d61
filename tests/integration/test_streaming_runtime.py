"""The streaming runtime as Lambda runs it: the exec wrapper, a process, an app built on FastAPI."""

import asyncio
import hashlib
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from local.runtime_api import EnvironmentGone, FunctionError
from tests.integration.runtime_process import APPS, environment, everything, read_into, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_chunk_reaches_the_client_before_the_next_is_produced(tmp_path: Path) -> None:
    """The app opens a pipe after its first chunk, and the client opens the other end only when it has that chunk."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    async with environment() as stream:
        pieces = aiter(await stream.invoke(f"/gated?gate={gate}"))
        await until(pieces, b"first")
        await asyncio.to_thread(gate.write_text, "second")
        assert b"".join([piece async for piece in pieces]) == b"second"


async def test_a_prelude_comes_before_the_first_bytes(tmp_path: Path) -> None:
    """Where that is asked for, and the stream goes on: together they might be held back.

    A reader that is busy may find both at once nevertheless, but not always.
    """
    gate = tmp_path / "gate"
    gate.touch()
    async with environment(STREAMING_RUNTIME_PRELUDE="streams") as stream:
        for _ in range(20):
            first = await anext(aiter(await stream.invoke(f"/gated?gate={gate}")))
            if first.endswith(bytes(8)):
                return
    pytest.fail("the first bytes always came with the prelude")


async def test_the_shapes_of_fastapi_and_starlette() -> None:
    """Threads, JSON lines, events, files, redirects with cookies, bodies, background tasks: as under any server."""
    async with environment() as stream:
        assert (await stream.request("/threads"))[1] == b"0\n1\n2\n3\n4\n"
        head, body = await stream.request("/lines")
        assert head["headers"]["content-type"] == "application/jsonl"
        assert [json.loads(line) for line in body.splitlines()] == [{"number": n} for n in range(3)]
        head, body = await stream.request("/events")
        assert head["headers"]["content-type"].startswith("text/event-stream")
        assert body.decode().count("event: progress\n") == 3
        head, body = await stream.request("/file")
        whole = (APPS / "stream_app.py").read_bytes()
        assert body == whole
        assert head["headers"]["content-length"] == str(len(body))
        head, body = await stream.request("/file", "HEAD")
        assert (head["statusCode"], body) == (405, b"")
        head, body = await stream.request("/file", headers={"accept-encoding": "gzip"})
        assert head["headers"]["content-encoding"] == "gzip"
        assert len(body) < len(whole)
        head, _ = await stream.request("/cookies", cookies=["a=1", "b=2"])
        assert (head["statusCode"], head["headers"]["location"]) == (307, "/state")
        assert [cookie.partition(";")[0] for cookie in head["cookies"]] == ["a=11", "b=22"]
        head, body = await stream.request(
            "/echo", "POST", body="w6k=", isBase64Encoded=True, headers={"content-length": "2"}
        )
        assert (head["headers"]["x-size"], body.decode()) == ("2", "é")
        await stream.request("/background")
        state = json.loads((await stream.request("/state"))[1])
        assert (state["pool"], state["function"], state["done"]) == ("open", "stream", ["background"])
        assert 0 < state["left_ms"] <= 30_000


async def test_failures_before_and_after_the_first_byte() -> None:
    """Starlette answers 500 before the first byte; after it the stream fails. Both are in the log, with request id."""
    async with environment() as stream:
        head, body = await stream.request("/raise")
        assert (head["statusCode"], body) == (500, b"Internal Server Error")
        response = await stream.invoke("/break")
        received = bytearray()
        with pytest.raises(FunctionError, match="LookupError"):
            await read_into(received, response)
        assert received.endswith(bytes(8) + b"half")
        stream.process.terminate()
        log = await stream.end()
    failures = [json.loads(line) for line in log.splitlines() if '"errorType": "LookupError"' in line]
    assert [failure["errorMessage"] for failure in failures] == ["before", "after"]
    assert all(len(failure["requestId"]) == 36 for failure in failures)


async def test_a_large_body_is_whole_and_memory_stays_flat() -> None:
    """192 MiB to a reader who pauses: the bytes are right, and the process holds a few of its chunks at most."""
    async with environment() as stream:
        await stream.request("/big?mib=4")
        before = int((await stream.request("/rss"))[1])
        digest = hashlib.sha256()
        response = await stream.invoke("/big?mib=192&seed=7")
        count = 0
        async for piece in response:
            digest.update(piece)
            count += 1
            if count % 500 == 1:
                await asyncio.sleep(0.01)  # slower than the app
        after = int((await stream.request("/rss"))[1])
    head = {"statusCode": 200, "headers": {"content-encoding": "identity"}, "cookies": []}
    wanted = hashlib.sha256(json.dumps(head).encode() + bytes(8))
    for number in range(192):
        wanted.update(hashlib.sha256(b"7 %d" % number).digest() * (1 << 15))
    assert digest.digest() == wanted.digest()
    assert after - before < 8 * 1024


async def test_sigterm_cleans_up_and_shuts_the_app_down() -> None:
    """A stream under way fails, its `finally` runs, then the lifespan's end, and the process leaves with 0."""
    async with environment() as stream:
        pieces = aiter(await stream.invoke("/forever"))
        await until(pieces, b"begun")
        stream.process.send_signal(signal.SIGTERM)
        with pytest.raises(FunctionError, match=r"Runtime\.Shutdown"):
            await anext(pieces)
        lines = (await stream.end()).splitlines()
        assert stream.process.returncode == 0
    printed = [line for line in lines if not line.startswith("{")]
    assert printed == ["startup", "cleaned up", "shutdown"]


async def test_an_environment_without_more_work_leaves() -> None:
    """403 on `/next`: shutdown, exit status 0, no second request."""
    async with environment() as stream:
        await stream.api.ready.wait()
        stream.api.retire()
        assert (await stream.end()).split() == ["startup", "shutdown"]
        assert stream.process.returncode == 0


async def test_a_snapshot_is_taken_between_startup_and_work() -> None:
    """With SnapStart `/restore/next` comes after the app's startup and before the first `/next`."""
    async with environment(AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") as stream:
        assert json.loads((await stream.request("/state"))[1])["pool"] == "open"
        assert stream.api.restored


async def test_without_the_runtime_api_the_process_ends() -> None:
    """A lost API is looked for a few times, then the process leaves with 1: it never spins."""
    async with environment() as stream:
        await stream.api.ready.wait()
        await stream.api.close()
        log = await stream.end()
        assert stream.process.returncode == 1
    assert log.count("trying again") == 4


@pytest.mark.parametrize(
    ("handler", "error_type"),
    [("nowhere.app", "Runtime.ImportModuleError"), ("stream_app.nothing", "Runtime.HandlerNotFound")],
)
async def test_an_app_that_cannot_be_imported_is_an_init_error(handler: str, error_type: str) -> None:
    """The invocation that waits for the environment gets the reason; the process leaves with 1."""
    async with environment(handler) as stream:
        with pytest.raises(FunctionError) as failed:
            await stream.invoke("/")
        assert failed.value.error_type == error_type
        assert json.loads(failed.value.payload)["errorMessage"]
        assert "ResourceWarning" not in await stream.end()
        assert stream.process.returncode == 1


EXITS_IN_IMPORT = "import sys\nsys.exit('no database')\n"
# As Starlette does it: it says so, and raises on.
EXITS_IN_STARTUP = """
import sys

async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
    sys.exit("no database")
"""


@pytest.mark.parametrize(
    ("source", "error_type"),
    [(EXITS_IN_IMPORT, "SystemExit"), (EXITS_IN_STARTUP, "Runtime.StartupFailed")],
    ids=["in its import", "in its startup"],
)
async def test_an_app_that_exits_while_it_starts_is_an_init_error(tmp_path: Path, source: str, error_type: str) -> None:
    """`sys.exit` is how many say that their configuration is wrong, and whoever invokes learns what they said."""
    (tmp_path / "leaves.py").write_text(source)
    async with environment("leaves.app", LAMBDA_TASK_ROOT=str(tmp_path)) as leaves:
        invoking = asyncio.create_task(leaves.invoke("/"))
        await leaves.end()
        leaves.api.gone()
        with pytest.raises(FunctionError) as failed:
            await invoking
        assert failed.value.error_type == error_type
        assert json.loads(failed.value.payload)["errorMessage"] == "no database"
        assert leaves.process.returncode == 1


EXITS_LATER = """
import asyncio, sys

async def endpoint(scope, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/begun":
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    if scope["path"] == "/interrupt":
        raise KeyboardInterrupt
    if scope["path"] == "/thread":
        await asyncio.to_thread(sys.exit, "no database")
    if scope["path"] != "/":
        sys.exit("no database")
    await send({"type": "http.response.body", "body": b"whole"})

async def leave():
    sys.exit("left behind")

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        return
    if scope["path"] == "/beside":
        beside = asyncio.create_task(leave())
        await asyncio.wait([beside])
        beside.exception()
        scope = {**scope, "path": "/"}
    # As a middleware does it: the endpoint is a task of its own.
    await asyncio.create_task(endpoint(scope, send))
"""


async def test_an_endpoint_that_exits_costs_its_invocation_alone(tmp_path: Path) -> None:
    """`sys.exit` in a task of its own, which any middleware makes, would end the loop and leave Lambda unanswered."""
    (tmp_path / "exits_later.py").write_text(EXITS_LATER)
    async with environment("exits_later.app", LAMBDA_TASK_ROOT=str(tmp_path)) as lambda_:
        for path in ("/exit", "/begun", "/thread", "/interrupt"):
            with pytest.raises(FunctionError, match="KeyboardInterrupt" if path == "/interrupt" else "SystemExit"):
                await lambda_.request(path)
            assert (await lambda_.request("/"))[1] == b"whole"
        assert (await lambda_.request("/beside"))[1] == b"whole"
        assert (await lambda_.request("/"))[1] == b"whole"
        log = await lambda_.stop()
    assert sum("would have ended the process" in str(line["message"]) for line in log) >= 4
    assert lambda_.process.returncode == 0


async def test_two_hundred_streams_in_one_environment() -> None:
    """With AWS_LAMBDA_MAX_CONCURRENCY they are all open at once, and each ends as itself."""
    async with environment(AWS_LAMBDA_MAX_CONCURRENCY="200") as stream:
        responses = await asyncio.gather(*(stream.invoke("/forever", seconds=8) for _ in range(199)))
        streams = [aiter(response) for response in responses]
        for pieces in streams:
            await until(pieces, b"begun")
        assert json.loads((await stream.request("/state"))[1])["pool"] == "open"
        stream.process.terminate()
        ends = await asyncio.gather(*(anext(pieces) for pieces in streams), return_exceptions=True)
        assert [end.error_type for end in ends if isinstance(end, FunctionError)] == ["Runtime.Shutdown"] * 199
        await stream.end()


SHOWS_PATH = """
import json, sys

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(sys.path).encode()})
"""


async def test_modules_are_looked_for_where_the_managed_runtime_looks(tmp_path: Path) -> None:
    """The function, both folders of its layers, Python's own, the managed runtime's libraries: in this order."""
    (tmp_path / "shows.py").write_text(SHOWS_PATH)
    async with environment("shows.app", LAMBDA_TASK_ROOT=str(tmp_path), LAMBDA_RUNTIME_DIR="/var/runtime") as shows:
        path = json.loads((await shows.request("/"))[1])
    layers = f"/opt/python/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    assert path[:3] == [str(tmp_path), layers, "/opt/python"]
    assert path[-1] == "/var/runtime"


async def test_a_killed_process_breaks_its_stream() -> None:
    """Half a body is never taken for a whole one."""
    async with environment() as stream:
        pieces = aiter(await stream.invoke("/forever"))
        await until(pieces, b"begun")
        stream.process.kill()
        with pytest.raises(EnvironmentGone):
            await anext(pieces)


@pytest.mark.parametrize("end", ["SIGTERM", "403"])
async def test_the_process_ends_whatever_hangs_in_it(tmp_path: Path, end: str) -> None:
    """A thread that never returns, and tasks that ignore their cancellation, are left behind."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    async with environment(STREAMING_RUNTIME_SHUTDOWN_MS="600") as stream:
        held = asyncio.create_task(everything(await stream.invoke(f"/gated?gate={gate}", seconds=1.5)))
        if end == "403":
            stream.api.retire()
        else:
            stream.process.terminate()
        with pytest.raises(FunctionError):
            await held
        async with asyncio.timeout(20):
            await stream.end()
        assert stream.process.returncode == 0
