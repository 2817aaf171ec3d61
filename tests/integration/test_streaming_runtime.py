"""The streaming runtime as Lambda runs it: the exec wrapper, a process, an app built on FastAPI."""

import asyncio
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from local.runtime_api import EnvironmentGone, FunctionError, Invocation, Response, RuntimeApi

pytestmark = pytest.mark.anyio

LAYER = Path(__file__).parents[2] / "layers" / "streaming_runtime"

APP = """
import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, RedirectResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.background import BackgroundTask
from starlette.middleware.gzip import GZipMiddleware

logger = logging.getLogger("app")
done = []


@asynccontextmanager
async def lifespan(app):
    print("startup", flush=True)
    yield {"pool": "open"}
    print("shutdown", flush=True)


app = FastAPI(lifespan=lifespan)
app.add_middleware(GZipMiddleware, minimum_size=500)


@app.get("/state")
async def state(request: Request) -> dict[str, object]:
    context = request.scope["aws.context"]
    logger.warning("asked for state")
    return {"pool": request.state.pool, "id": context.aws_request_id, "function": context.function_name, "done": done}


@app.get("/gated")
async def gated(gate: str) -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"first"
        with await asyncio.to_thread(open, gate) as opened:  # blocks until the client opens its end
            yield opened.read().encode()
    return StreamingResponse(chunks())


@app.get("/threads", response_class=StreamingResponse)
def threads() -> Iterator[bytes]:
    for number in range(5):
        yield b"%d\\n" % number


@app.get("/lines")
async def lines() -> AsyncIterator[dict[str, int]]:
    for number in range(3):
        yield {"number": number}


@app.get("/events", response_class=EventSourceResponse)
async def events() -> AsyncIterator[ServerSentEvent]:
    for number in range(3):
        yield ServerSentEvent(data={"number": number}, event="progress", id=str(number))


@app.get("/file")
async def file() -> FileResponse:
    return FileResponse(__file__)


@app.get("/background")
async def background() -> StreamingResponse:
    return StreamingResponse(iter([b"x"]), background=BackgroundTask(done.append, "background"))


@app.post("/echo")
async def echo(request: Request) -> StreamingResponse:
    return StreamingResponse(request.stream(), headers={"x-size": request.headers["content-length"]})


@app.get("/cookies")
async def cookies(request: Request) -> RedirectResponse:
    response = RedirectResponse("/state", status_code=307)
    for name, value in request.cookies.items():
        response.set_cookie(name, value * 2)
    return response


@app.get("/raise")
async def raising() -> None:
    raise LookupError("before")


@app.get("/break", response_class=StreamingResponse)
async def breaking() -> AsyncIterator[bytes]:
    yield b"half"
    raise LookupError("after")


@app.get("/big")
async def big(mib: int, seed: int = 0) -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(mib):
            yield hashlib.sha256(b"%d %d" % (seed, number)).digest() * (1 << 15)
    return StreamingResponse(chunks(), headers={"content-encoding": "identity"})


@app.get("/rss")
async def rss() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


@app.get("/forever", response_class=StreamingResponse)
async def forever() -> AsyncIterator[bytes]:
    try:
        yield b"begun"
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)
"""


class Environment:
    """A process under the exec wrapper, and the Runtime API that it talks to."""

    def __init__(self, api: RuntimeApi, process: asyncio.subprocess.Process) -> None:
        self.api = api
        self.process = process

    async def invoke(self, path: str, method: str = "GET", seconds: float = 30, **event: Any) -> Response:
        path, _, query = path.partition("?")
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": query,
            "requestContext": {"http": {"method": method, "path": path, "sourceIp": "192.0.2.1"}, "stage": "$default"},
            "isBase64Encoded": False,
            **event,
            "headers": {"host": "127.0.0.1", **event.get("headers", {})},
        }
        deadline_ms = int((time.time() + seconds) * 1000)
        return await self.api.invoke(
            Invocation(json.dumps(event).encode(), deadline_ms, "arn:aws:lambda:x:1:function:f")
        )

    async def request(self, path: str, method: str = "GET", **event: Any) -> tuple[dict[str, Any], bytes]:
        """The prelude's fields and the body."""
        prelude, body = (await everything(await self.invoke(path, method, **event))).split(bytes(8), 1)
        return json.loads(prelude), body

    async def end(self) -> str:
        """Wait for the process to leave; what it printed."""
        out, _ = await self.process.communicate()
        return out.decode()


async def everything(response: Response) -> bytes:
    return b"".join([piece async for piece in response])


async def read_into(received: bytearray, response: Response) -> None:
    async for piece in response:
        received += piece


@asynccontextmanager
async def environment(folder: Path, handler: str = "stream_app.app", **variables: str) -> AsyncIterator[Environment]:
    """Start a process as Lambda starts it: `<wrapper> <python> <the managed runtime's arguments>`."""
    (folder / "stream_app.py").write_text(APP)
    api = RuntimeApi(int(variables.get("AWS_LAMBDA_MAX_CONCURRENCY", "1")))
    process = await asyncio.create_subprocess_exec(
        LAYER / "streaming-bootstrap", sys.executable, "/var/runtime/bootstrap.py",
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(LAYER),
            "PYTHONWARNINGS": "error",
            "AWS_LAMBDA_RUNTIME_API": await api.start(),
            "AWS_LAMBDA_FUNCTION_NAME": "stream",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "LAMBDA_TASK_ROOT": str(folder),
            "_HANDLER": handler,
            **variables,
        },
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Environment(api, process)
        assert api.violations == []
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
        await api.close()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_chunk_reaches_the_client_before_the_next_is_produced(tmp_path: Path) -> None:
    """The app opens a pipe after its first chunk, and the client opens the other end only when it has that chunk."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    async with environment(tmp_path) as stream:
        pieces = aiter(await stream.invoke(f"/gated?gate={gate}"))
        received = b""
        while not received.endswith(b"first"):
            received += await anext(pieces)
        await asyncio.to_thread(gate.write_text, "second")
        assert b"".join([piece async for piece in pieces]) == b"second"


async def test_the_shapes_of_fastapi_and_starlette(tmp_path: Path) -> None:
    """Threads, JSON lines, events, files, redirects with cookies, bodies, background tasks: as under any server."""
    async with environment(tmp_path) as stream:
        assert (await stream.request("/threads"))[1] == b"0\n1\n2\n3\n4\n"
        head, body = await stream.request("/lines")
        assert head["headers"]["content-type"] == "application/jsonl"
        assert [json.loads(line) for line in body.splitlines()] == [{"number": n} for n in range(3)]
        head, body = await stream.request("/events")
        assert head["headers"]["content-type"].startswith("text/event-stream")
        assert body.decode().count("event: progress\n") == 3
        head, body = await stream.request("/file")
        assert body == APP.encode()
        assert head["headers"]["content-length"] == str(len(body))
        head, body = await stream.request("/file", "HEAD")
        assert (head["statusCode"], body) == (405, b"")
        head, body = await stream.request("/file", headers={"accept-encoding": "gzip"})
        assert head["headers"]["content-encoding"] == "gzip"
        assert len(body) < len(APP)
        head, _ = await stream.request("/cookies", cookies=["a=1", "b=2"])
        assert (head["statusCode"], head["headers"]["location"]) == (307, "/state")
        assert [cookie.partition(";")[0] for cookie in head["cookies"]] == ["a=11", "b=22"]
        head, body = await stream.request(
            "/echo", "POST", body="w6k=", isBase64Encoded=True, headers={"content-length": "2"}
        )
        assert (head["headers"]["x-size"], body.decode()) == ("2", "é")
        await stream.request("/background")
        body = (await stream.request("/state"))[1]
        assert json.loads(body) | {"id": ""} == {"pool": "open", "id": "", "function": "stream", "done": ["background"]}


async def test_failures_before_and_after_the_first_byte(tmp_path: Path) -> None:
    """Starlette answers 500 before the first byte; after it the stream fails. Both are in the log, with request id."""
    async with environment(tmp_path) as stream:
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


async def test_a_large_body_is_whole_and_memory_stays_flat(tmp_path: Path) -> None:
    """192 MiB to a reader who pauses: the bytes are right, and the process holds a few of its chunks at most."""
    async with environment(tmp_path) as stream:
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


async def test_sigterm_cleans_up_and_shuts_the_app_down(tmp_path: Path) -> None:
    """A stream under way fails, its `finally` runs, then the lifespan's end, and the process leaves with 0."""
    async with environment(tmp_path) as stream:
        pieces = aiter(await stream.invoke("/forever"))
        received = b""
        while not received.endswith(b"begun"):
            received += await anext(pieces)
        stream.process.send_signal(signal.SIGTERM)
        with pytest.raises(FunctionError, match=r"Runtime\.Shutdown"):
            await anext(pieces)
        lines = (await stream.end()).splitlines()
        assert stream.process.returncode == 0
    printed = [line for line in lines if not line.startswith("{")]
    assert printed == ["startup", "cleaned up", "shutdown"]


async def test_an_environment_without_more_work_leaves(tmp_path: Path) -> None:
    """403 on `/next`: shutdown, exit status 0, no second request."""
    async with environment(tmp_path) as stream:
        await stream.api.ready.wait()
        stream.api.retire()
        assert (await stream.end()).split() == ["startup", "shutdown"]
        assert stream.process.returncode == 0


async def test_a_snapshot_is_taken_between_startup_and_work(tmp_path: Path) -> None:
    """With SnapStart `/restore/next` comes after the app's startup and before the first `/next`."""
    async with environment(tmp_path, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") as stream:
        assert json.loads((await stream.request("/state"))[1])["pool"] == "open"
        assert stream.api.restored


async def test_without_the_runtime_api_the_process_ends(tmp_path: Path) -> None:
    """A lost API is looked for a few times, then the process leaves with 1: it never spins."""
    async with environment(tmp_path) as stream:
        await stream.api.ready.wait()
        await stream.api.close()
        log = await stream.end()
        assert stream.process.returncode == 1
    assert log.count("trying again") == 4


@pytest.mark.parametrize(
    ("handler", "error_type"),
    [("nowhere.app", "Runtime.ImportModuleError"), ("stream_app.nothing", "Runtime.HandlerNotFound")],
)
async def test_an_app_that_cannot_be_imported_is_an_init_error(tmp_path: Path, handler: str, error_type: str) -> None:
    """The invocation that waits for the environment gets the reason; the process leaves with 1."""
    async with environment(tmp_path, handler) as stream:
        with pytest.raises(FunctionError) as failed:
            await stream.invoke("/")
        assert failed.value.error_type == error_type
        assert json.loads(failed.value.payload)["errorMessage"]
        await stream.end()
        assert stream.process.returncode == 1


async def test_two_hundred_streams_in_one_environment(tmp_path: Path) -> None:
    """With AWS_LAMBDA_MAX_CONCURRENCY they are all open at once, and each ends as itself."""
    async with environment(tmp_path, AWS_LAMBDA_MAX_CONCURRENCY="200") as stream:
        responses = await asyncio.gather(*(stream.invoke("/forever", seconds=8) for _ in range(199)))
        streams = [aiter(response) for response in responses]
        for pieces in streams:
            received = b""
            while not received.endswith(b"begun"):
                received += await anext(pieces)
        assert json.loads((await stream.request("/state"))[1])["pool"] == "open"
        stream.process.terminate()
        ends = await asyncio.gather(*(anext(pieces) for pieces in streams), return_exceptions=True)
        assert [end.error_type for end in ends if isinstance(end, FunctionError)] == ["Runtime.Shutdown"] * 199
        await stream.end()


async def test_a_killed_process_breaks_its_stream(tmp_path: Path) -> None:
    """Half a body is never taken for a whole one."""
    async with environment(tmp_path) as stream:
        pieces = aiter(await stream.invoke("/forever"))
        received = b""
        while not received.endswith(b"begun"):
            received += await anext(pieces)
        stream.process.kill()
        with pytest.raises(EnvironmentGone):
            await anext(pieces)
