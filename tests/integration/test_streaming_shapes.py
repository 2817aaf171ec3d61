"""Starlette's and FastAPI's shapes under the streaming runtime: what they do under any server, they do here."""

import asyncio
import base64
import hashlib
import json
import os
import random
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.runtime_api import FunctionError
from tests.integration.runtime_process import (
    APPS,
    DELIMITER,
    Environment,
    environment,
    everything,
    parted,
    read_into,
)

pytestmark = pytest.mark.anyio

ALPHABET = (APPS / "static" / "alphabet.txt").read_bytes()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def shapes() -> AsyncIterator[Environment]:
    """One environment for all tests that leave nothing behind in it."""
    async with environment("shapes.app") as running:
        yield running


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A pipe: whoever opens one end waits for the other."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("handler", ["listeners.app", "listeners.listening"])
async def test_disconnect_is_told_when_the_response_is_over(handler: str) -> None:
    """`is_disconnected` is false while the response lasts, true in a background task, and true in a stream that is
    stopped, whether it has asked before or not; the same where Starlette listens in a task of its own."""
    async with environment(handler) as listeners:
        assert (await listeners.request("/connected"))[1] == b"000"
        assert (await listeners.request("/afterwards"))[1] == b"[true]"
        for asking, sent in (("true", b"connected"), ("false", b"begun")):
            received = bytearray()
            with pytest.raises(FunctionError, match=r"Runtime\.DeadlineReached"):
                await read_into(received, await listeners.invoke(f"/forever?asking={asking}", seconds=1))
            assert received.endswith(DELIMITER + sent)
        assert (await listeners.request("/connected"))[1] == b"000"
        listeners.process.terminate()
        said = [line for line in (await listeners.end()).splitlines() if not line.startswith("{")]
        assert said == ["disconnected", "disconnected"]


@pytest.mark.parametrize("where", ["http-before", "http-between", "asgi-before"])
async def test_middleware_that_fails_before_the_first_byte_is_a_server_error(shapes: Environment, where: str) -> None:
    """Starlette's 500 is the answer, whole."""
    head, body = await shapes.request("/stream", headers={"x-fail": where})
    assert (head["statusCode"], body) == (500, b"Internal Server Error")


@pytest.mark.parametrize(("where", "sent"), [("http-after", b"half"), ("asgi-after", b"one")])
async def test_middleware_that_fails_after_it_breaks_the_stream(shapes: Environment, where: str, sent: bytes) -> None:
    """What was sent arrives, and the failure after it, under its own name."""
    received = bytearray()
    with pytest.raises(FunctionError) as failed:
        await read_into(received, await shapes.invoke("/stream", headers={"x-fail": where}))
    assert received.endswith(DELIMITER + sent)
    assert (failed.value.error_type, json.loads(failed.value.payload)["errorMessage"]) == ("LookupError", where)


async def test_exceptions_with_a_handler_are_answers(shapes: Environment) -> None:
    """An HTTPException, and one of the app's own."""
    head, body = await shapes.request("/teapot")
    assert (head["statusCode"], head["headers"]["x-handle"]) == (418, "spout")
    assert json.loads(body) == {"detail": {"short": True}}
    head, body = await shapes.request("/busy")
    assert (head["statusCode"], head["headers"]["retry-after"]) == (409, "1")
    assert json.loads(body) == {"busy": "the handler's", "path": "/busy"}


async def test_a_compressed_stream_streams(gate: Path) -> None:
    """All of the first chunk can be decompressed before the second one is made; both are right."""
    first = random.Random(200_000).randbytes(200_000)
    async with environment("shapes.zipped") as shapes:
        response = await shapes.invoke(f"/gated?gate={gate}&first=200000", headers={"accept-encoding": "gzip"})
        pieces = aiter(response)
        prelude, compressed = (await until_delimiter(pieces)).split(DELIMITER, 1)
        assert json.loads(prelude)["headers"]["content-encoding"] == "gzip"
        gunzip = zlib.decompressobj(16 + zlib.MAX_WBITS)
        plain = gunzip.decompress(compressed)
        while len(plain) < len(first):
            plain += gunzip.decompress(await anext(pieces))
        assert plain == first
        await asyncio.to_thread(gate.write_bytes, b"second")
        assert b"".join([gunzip.decompress(piece) async for piece in pieces]) == b"second"
        assert gunzip.eof


async def until_delimiter(pieces: AsyncIterator[bytes]) -> bytes:
    received = await anext(pieces)
    while DELIMITER not in received:
        received += await anext(pieces)
    return received


async def test_a_request_body_of_six_megabytes_in_base64(shapes: Environment) -> None:
    """As large as an event may be: `request.stream()` has all of it."""
    body = random.Random(6).randbytes(6 * 1024 * 1024 // 4 * 3)
    _, answer = await shapes.request("/digest", "POST", body=base64.b64encode(body).decode(), isBase64Encoded=True)
    assert json.loads(answer) == {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}


async def test_events_resume_after_the_last_one_seen(shapes: Environment) -> None:
    """`Last-Event-ID` arrives, and the stream goes on behind it."""
    _, body = await shapes.request("/events", headers={"last-event-id": "2"})
    assert [line for line in body.decode().splitlines() if line.startswith("id: ")] == ["id: 3", "id: 4"]


async def test_models_are_lines_of_json(shapes: Environment) -> None:
    """A line break inside of a value is none of the stream."""
    head, body = await shapes.request("/lines")
    assert head["headers"]["content-type"] == "application/jsonl"
    assert [json.loads(line) for line in body.splitlines()] == [{"number": n, "text": "ü\n" * n} for n in range(3)]


async def test_parts_of_a_file(shapes: Environment) -> None:
    """One range, several, and one that the file does not have."""
    head, body = await shapes.request("/file", headers={"range": "bytes=2-4"})
    assert (head["statusCode"], head["headers"]["content-range"], body) == (206, "bytes 2-4/27", b"cde")
    head, body = await shapes.request("/file", headers={"range": "bytes=0-1,-3"})
    assert head["statusCode"] == 206
    assert head["headers"]["content-type"].startswith("multipart/byteranges; boundary=")
    assert head["headers"]["content-length"] == str(len(body))
    assert b"\n\nab\n" in body.replace(b"\r", b"")
    assert b"\n\nyz\n\n" in body.replace(b"\r", b"")
    head, _ = await shapes.request("/file", headers={"range": "bytes=99-"})
    assert (head["statusCode"], head["headers"]["content-range"]) == (416, "bytes */27")


async def test_static_files(shapes: Environment) -> None:
    """A mount serves them, their heads, what has not changed, and nothing else."""
    head, body = await shapes.request("/static/alphabet.txt")
    assert (head["statusCode"], body) == (200, ALPHABET)
    etag = head["headers"]["etag"]
    head, body = await shapes.request("/static/alphabet.txt", "HEAD")
    assert (head["statusCode"], head["headers"]["content-length"], body) == (200, "27", b"")
    head, body = await shapes.request("/static/alphabet.txt", headers={"if-none-match": etag})
    assert (head["statusCode"], body) == (304, b"")
    assert (await shapes.request("/static/%2e%2e/shapes.py"))[0]["statusCode"] == 404


async def test_a_mounted_app_knows_where_it_is(shapes: Environment) -> None:
    """Its `root_path` is the mount, and a stage before it."""
    _, body = await shapes.request("/mounted/where")
    assert json.loads(body) == {"root_path": "/mounted", "path": "/mounted/where", "link": "/where"}
    http = {"method": "GET", "path": "/prod/mounted/where", "sourceIp": "192.0.2.1"}
    _, body = await shapes.request("/prod/mounted/where", requestContext={"http": http, "stage": "prod"})
    assert json.loads(body) == {"root_path": "/prod/mounted", "path": "/prod/mounted/where", "link": "/where"}


async def test_answers_without_a_body(shapes: Environment) -> None:
    """204, and HEAD of a stream: a head and no byte, at once."""
    head, body = await shapes.request("/gone", "DELETE")
    assert (head["statusCode"], body) == (204, b"")
    head, body = await shapes.request("/stream", "HEAD")
    assert (head["statusCode"], body) == (200, b"")


async def test_an_endless_stream_without_a_body_ends() -> None:
    """HEAD is answered at once, and the app that goes on producing what nobody gets holds the environment no longer."""
    async with environment("listeners.app") as listeners:
        head, body = await listeners.request("/endless", "HEAD", seconds=3)
        assert (head["statusCode"], body) == (200, b"")
        assert (await listeners.request("/connected"))[1] == b"000"
        assert [line for line in await listeners.stop() if "before its deadline" in line["message"]] == []


async def test_a_cookie_may_be_set_twice(shapes: Environment) -> None:
    """Each has a place of its own beside the headers."""
    head, body = await shapes.request("/cookies")
    assert [cookie.split("=")[1].partition(";")[0] for cookie in head["cookies"]] == ["oat", "rye"]
    assert "set-cookie" not in head["headers"]
    assert body == b"jar"


async def test_a_websocket_cannot_be_reached(shapes: Environment) -> None:
    """Lambda has none: the route is there, and a request for it finds nothing, whatever it asks for."""
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "x"}
    assert (await shapes.request("/socket"))[0]["statusCode"] == 404
    assert (await shapes.request("/socket", headers=upgrade))[0]["statusCode"] == 404


async def test_context_variables_end_with_their_invocation() -> None:
    """What one invocation puts there, in its task or in a thread of it, the next does not find."""
    async with environment("listeners.app") as listeners:
        assert (await listeners.request("/mood?new=cheerful"))[1] == b'"cheerful"'
        assert (await listeners.request("/mood"))[1] == b'"unset"'


async def test_a_background_task_that_fails_fails_alone() -> None:
    """The response before it is whole, its failure is logged under its request id, and the next invocation works."""
    async with environment("shapes.app") as shapes:
        answer = await everything(await shapes.invoke("/background"))
        assert parted(answer)[1] == b"whole"
        assert (await shapes.request("/stream"))[1] == b"onetwo"
        log = await shapes.stop()
    (failure,) = [line for line in log if line.get("errorType") == "LookupError"]
    assert failure["errorMessage"] == "too late"
    assert len(failure["requestId"]) == 36
