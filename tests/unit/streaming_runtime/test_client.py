import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from streaming_runtime import client as client_module
from streaming_runtime.client import ApiError, Client, EnvironmentRetired, Invocation, ResponseStream
from streaming_runtime.errors import Document, Fault

pytestmark = pytest.mark.anyio

INVOCATION = Invocation("r-1", b"{}", 0, "arn:f", None, None, None, None, "attempt-1")
EVENT = (
    b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: r-1\r\nLambda-Runtime-Deadline-Ms: 12345\r\n"
    b'Lambda-Runtime-Invoked-Function-Arn: arn:f\r\nContent-Length: 7\r\n\r\n{"a":1}'
)
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


class Script:
    """A Runtime API that gives the nth request the nth answer, and hangs up after one that is not right.

    None is to hang up without an answer. What came in is in `requests`; every connection is counted.
    """

    def __init__(self, answers: list[bytes | None]) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._answers = iter(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await _until(reader, b"\r\n\r\n"):
                self.requests.append(head + await self._body(reader, head.lower()))
                answer = next(self._answers, None)
                if answer is None:
                    return
                writer.write(answer)
                await writer.drain()
                if answer not in (EVENT, ACCEPTED) and b"\r\n0\r\n" not in answer:
                    return
        finally:
            writer.close()

    async def _body(self, reader: asyncio.StreamReader, head: bytes) -> bytes:
        if b"transfer-encoding: chunked" in head:
            return await _until(reader, b"\r\n\r\n")
        _, _, length = head.partition(b"content-length: ")
        return await reader.readexactly(int(length.partition(b"\r\n")[0])) if length else b""


async def _until(reader: asyncio.StreamReader, end: bytes) -> bytes:
    try:
        return await reader.readuntil(end)
    except asyncio.IncompleteReadError:
        return b""


@asynccontextmanager
async def serving(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[Client]:
    """A client of a Runtime API that serves each connection so."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    client = Client(f"{host}:{port}")
    try:
        yield client
    finally:
        client.close()
        server.close()


@asynccontextmanager
async def scripted(*answers: bytes | None) -> AsyncIterator[tuple[Script, Client]]:
    script = Script(list(answers))
    async with serving(script.serve) as client:
        yield script, client


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many attempts as always, but without the pauses between them."""
    monkeypatch.setattr(client_module, "RECONNECT_DELAYS", (0.0,) * len(client_module.RECONNECT_DELAYS))


async def test_next_reads_an_event_whose_length_is_given() -> None:
    """Names of headers in any case; what Lambda does not say is None."""
    async with scripted(EVENT) as (script, client):
        assert await client.next() == Invocation("r-1", b'{"a":1}', 12345, "arn:f", None, None, None, None, None)
    assert script.requests[0].startswith(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: 127.0.0.1")


async def test_next_reads_an_event_in_chunks() -> None:
    """Go sends a longer answer chunked; an interim answer before it says nothing."""
    head = EVENT.replace(b"Content-Length: 7", b"Transfer-Encoding: chunked").partition(b"\r\n\r\n")[0]
    answer = b"HTTP/1.1 100 Continue\r\n\r\n" + head + b'\r\n\r\n3\r\n{"a\r\n4;x=y\r\n":1}\r\n0\r\nTrailer: 1\r\n\r\n'
    async with scripted(answer, EVENT) as (script, client):
        assert (await client.next()).event == b'{"a":1}'
        assert (await client.next()).event == b'{"a":1}'
        assert script.connections == 1


async def test_a_403_on_next_means_to_leave() -> None:
    """No other request follows."""
    async with scripted(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}") as (script, client):
        with pytest.raises(EnvironmentRetired):
            await client.next()
        assert len(script.requests) == 1


async def test_a_500_on_next_is_not_tried_again() -> None:
    """The state cannot be recovered, says the API's documentation."""
    async with scripted(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\ndead") as (script, client):
        with pytest.raises(ApiError, match="500: dead"):
            await client.next()
        assert len(script.requests) == 1


@pytest.mark.parametrize(
    "broken",
    [None, b"HTTP/1.1 200 OK\r\nLambda-Run", EVENT[:-1], b"SSH-2.0-OpenSSH\r\n\r\n", b"\r\n\r\n"],
    ids=["without an answer", "in the head", "in the event", "not HTTP", "nothing said"],
)
async def test_a_lost_connection_is_made_anew(broken: bytes | None) -> None:
    """Wherever in the answer it was lost."""
    async with scripted(broken, EVENT) as (script, client):
        assert (await client.next()).request_id == "r-1"
        assert script.connections == 2


async def test_reconnecting_ends() -> None:
    """Five attempts, as the managed runtime makes, and then the error: it never spins."""
    async with scripted() as (script, client):
        with pytest.raises(ConnectionError):
            await client.next()
        assert script.connections == len(client_module.RECONNECT_DELAYS) + 1 == 5


async def test_a_connection_that_was_closed_while_idle_is_not_used() -> None:
    """An answer with `Connection: close` is the last on its connection."""
    closing = EVENT.replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\nConnection: close")
    async with scripted(closing, EVENT) as (script, client):
        await client.next()
        await client.next()
        assert script.connections == 2


async def test_an_error_is_posted_with_type_and_echo() -> None:
    """The type is a header as well, and the invocation id goes back."""
    async with scripted(ACCEPTED, ACCEPTED) as (script, client):
        await client.post_error(INVOCATION, Document(Fault("Runtime.Oops", "no"), "r-1"))
        await client.post_init_error(Document(Fault("Runtime.Oops", "no")))
    posted, init = script.requests
    assert posted.startswith(b"POST /2018-06-01/runtime/invocation/r-1/error HTTP/1.1\r\n")
    assert b"\r\nLambda-Runtime-Function-Error-Type: Runtime.Oops\r\n" in posted
    assert b"\r\nLambda-Runtime-Invocation-Id: attempt-1\r\n" in posted
    assert json.loads(posted.partition(b"\r\n\r\n")[2])["requestId"] == "r-1"
    assert init.startswith(b"POST /2018-06-01/runtime/init/error HTTP/1.1\r\n")
    assert b"Invocation-Id" not in init


async def test_a_stream_is_one_chunk_for_each_write() -> None:
    """Head, chunks as they were written, an empty one left out, and the end."""
    async with scripted(ACCEPTED) as (script, client):
        stream = await client.respond(INVOCATION)
        await stream.write(b"pre", b"one")
        await stream.write(b"")
        await stream.end(b"two")
    head, _, body = script.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /2018-06-01/runtime/invocation/r-1/response HTTP/1.1\r\n")
    for line in (
        b"Lambda-Runtime-Function-Response-Mode: streaming",
        b"Content-Type: application/vnd.awslambda.http-integration-response",
        b"Transfer-Encoding: chunked",
        b"Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
        b"Lambda-Runtime-Invocation-Id: attempt-1",
    ):
        assert line in head.split(b"\r\n")
    assert body == b"3\r\npre\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


@pytest.mark.parametrize("status", [b"400 Bad Request", b"413 Too Large", b"500 Oops"])
async def test_a_response_that_lambda_refuses_is_an_error(status: bytes) -> None:
    """The answer to the end of a stream is read, not assumed."""
    async with scripted(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n") as (_, client):
        stream = await client.respond(INVOCATION)
        with pytest.raises(ApiError) as refused:
            await stream.end(b"x")
        assert refused.value.status == int(status[:3])


async def test_a_stream_that_lost_its_connection_raises_oserror() -> None:
    """At the latest at its end, which nobody has accepted then."""
    async with scripted(None) as (_, client):
        stream = await client.respond(INVOCATION)
        with pytest.raises(OSError, match=r".*"):
            await stream.end(b"x")


async def test_a_stream_that_writes_little_sees_its_refusal_soon() -> None:
    """Long before `WRITES_PER_TURN`: an event a second would go on for a minute."""
    refused = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await refused.wait()
        writer.close()

    async def write_a_little(stream: ResponseStream) -> None:
        for _ in range(client_module.WRITES_PER_TURN - 1):
            await stream.write(b"event")
            await asyncio.sleep(client_module.LOOK_SECONDS / 5)

    async with serving(refuse) as client:
        with pytest.raises(ApiError) as error:
            await write_a_little(await client.respond(INVOCATION))
        assert error.value.status == 413
        refused.set()


async def test_whoever_only_writes_lets_others_have_their_turn() -> None:
    """Else neither a deadline nor another invocation would be seen as long as the kernel has room."""
    turns, held = 0, asyncio.Event()

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        held.set()

    async with serving(hold) as client:
        stream = await client.respond(INVOCATION)
        await stream.write(b"first")
        others = asyncio.create_task(take_turns())
        for _ in range(4 * client_module.WRITES_PER_TURN):
            if not stream.pass_on(b"x"):
                await stream.flush()
        assert 3 <= turns < client_module.WRITES_PER_TURN
        others.cancel()
        client.close()
        await asyncio.wait_for(held.wait(), 10)
