import asyncio
import base64
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import pytest

from local import runtime_api
from local.runtime_api import (
    BUFFERED_RESPONSE_LIMIT,
    TRAILER_LIMIT,
    WAITING_LIMIT,
    EnvironmentGone,
    FunctionError,
    Invocation,
    Response,
    RuntimeApi,
)

pytestmark = pytest.mark.anyio

NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: lambda\r\n\r\n"
FAILURE = json.dumps({"errorMessage": "no", "errorType": "Oops", "stackTrace": []}).encode()


class Wire:
    """A connection of a runtime reduced to its bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, address: str) -> Self:
        host, port = address.split(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def another(self) -> "Wire":
        """A second connection to the same Runtime API."""
        host, port = self._writer.get_extra_info("peername")
        return await Wire.to(f"{host}:{port}")

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        start, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return int(start.split()[1]), headers, await self._reader.readexactly(int(headers["content-length"]))

    async def next(self) -> dict[str, str]:
        await self.send(NEXT)
        status, headers, _ = await self.answer()
        assert status == 200
        return headers

    async def begin(self, call: dict[str, str], what: str = "response", *lines: str) -> None:
        """The head of an answer to the call with these headers."""
        head = [
            f"POST /2018-06-01/runtime/invocation/{call['lambda-runtime-aws-request-id']}/{what} HTTP/1.1",
            "Host: lambda",
            f"Lambda-Runtime-Invocation-Id: {call['lambda-runtime-invocation-id']}",
            *lines,
        ]
        await self.send("\r\n".join([*head, "", ""]).encode())

    def close(self) -> None:
        self._writer.close()


STREAMED = (
    "Lambda-Runtime-Function-Response-Mode: streaming",
    "Transfer-Encoding: chunked",
    "Content-Type: text/plain",
    "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def trailers(error_type: str, body: bytes) -> bytes:
    lines = f"Lambda-Runtime-Function-Error-Type: {error_type}\r\nLambda-Runtime-Function-Error-Body: "
    return b"0\r\n" + lines.encode() + base64.b64encode(body) + b"\r\n\r\n"


def a_call(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: lambda\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def an_invocation(event: object = None) -> Invocation:
    return Invocation(
        json.dumps(event).encode(), int(time.time() * 1000) + 5000, "arn:aws:lambda:eu-west-1:1:function:f"
    )


async def read_into(received: bytearray, response: Response) -> None:
    async for piece in response:
        received += piece


async def everything(response: Response) -> bytes:
    return b"".join([piece async for piece in response])


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def api() -> AsyncIterator[RuntimeApi]:
    api = RuntimeApi()
    yield api
    await api.close()


@pytest.fixture
async def wire(api: RuntimeApi) -> AsyncIterator[Wire]:
    wire = await Wire.to(await api.start())
    yield wire
    wire.close()


async def test_an_event_goes_out_with_all_that_lambda_says_of_it(api: RuntimeApi, wire: Wire) -> None:
    """`/next` waits for an invocation and carries its id, deadline, function and trace, and who asks for it."""
    invocation = Invocation(b'{"a": 1}', 12345, "arn:f", "r-1", "Root=1", "Y3R4", '{"cognitoIdentityId": "i"}', "t-1")
    invoking = asyncio.create_task(api.invoke(invocation))
    await wire.send(NEXT)
    status, headers, body = await wire.answer()
    assert (status, body) == (200, b'{"a": 1}')
    assert headers["lambda-runtime-aws-request-id"] == "r-1"
    assert headers["lambda-runtime-deadline-ms"] == "12345"
    assert headers["lambda-runtime-invoked-function-arn"] == "arn:f"
    assert headers["lambda-runtime-trace-id"] == "Root=1"
    assert headers["lambda-runtime-client-context"] == "Y3R4"
    assert headers["lambda-runtime-cognito-identity"] == '{"cognitoIdentityId": "i"}'
    assert headers["lambda-runtime-aws-tenant-id"] == "t-1"
    assert headers["lambda-runtime-invocation-id"]
    assert api.ready.is_set()
    invoking.cancel()


async def test_a_buffered_response_comes_whole(api: RuntimeApi, wire: Wire) -> None:
    """Without the streaming mode a response is not streaming, and the connection serves the next call."""
    for text in (b'"one"', b""):
        invoking = asyncio.create_task(api.invoke(an_invocation()))
        call = await wire.next()
        await wire.begin(call, "response", f"Content-Length: {len(text)}", "Content-Type: application/json")
        await wire.send(text)
        response = await invoking
        assert not response.streaming
        assert response.content_type == "application/json"
        assert response.finished.is_set()
        assert await everything(response) == text
        assert (await wire.answer())[0] == 202
    assert api.violations == []


async def test_a_chunk_is_there_before_the_next_is_sent(api: RuntimeApi, wire: Wire) -> None:
    """A streamed response is read while it is written."""
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    await wire.begin(await wire.next(), "response", *STREAMED)
    response = await invoking
    assert response.streaming
    pieces = aiter(response)
    for text in (b"first", b"second"):
        await wire.send(chunk(text))
        assert await anext(pieces) == text
    assert not response.finished.is_set()
    await wire.send(b"0\r\n\r\n")
    assert [piece async for piece in pieces] == []
    assert response.finished.is_set()
    assert (await wire.answer())[0] == 202


async def test_error_trailers_raise_after_the_last_chunk(api: RuntimeApi, wire: Wire) -> None:
    """What was sent before the failure still arrives, then the failure does."""
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    await wire.begin(await wire.next(), "response", *STREAMED)
    await wire.send(chunk(b"half"), trailers("Runtime.StreamError", FAILURE))
    pieces = aiter(await invoking)
    assert await anext(pieces) == b"half"
    with pytest.raises(FunctionError) as failed:
        await anext(pieces)
    assert failed.value.error_type == "Runtime.StreamError"
    assert failed.value.payload == FAILURE
    assert (await wire.answer())[0] == 202
    assert api.violations == []


async def test_a_posted_error_fails_the_invocation(api: RuntimeApi, wire: Wire) -> None:
    """`/error` raises from `invoke` with what was posted; the environment goes on."""
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    await wire.begin(await wire.next(), "error", f"Content-Length: {len(FAILURE)}")
    await wire.send(FAILURE)
    with pytest.raises(FunctionError) as failed:
        await invoking
    assert (failed.value.error_type, failed.value.payload) == ("Oops", FAILURE)
    assert (await wire.answer())[0] == 202
    asking = asyncio.create_task(wire.next())
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    await asking
    invoking.cancel()


async def test_an_init_error_fails_every_invocation(api: RuntimeApi, wire: Wire) -> None:
    """A function that cannot start fails those who wait already and those who come later."""
    waiting = asyncio.create_task(api.invoke(an_invocation()))
    await wire.send(a_call("POST", "init/error", FAILURE))
    assert (await wire.answer())[0] == 202
    for failing in (waiting, api.invoke(an_invocation())):
        with pytest.raises(FunctionError, match="Oops"):
            await failing
    assert api.init_error is not None
    assert not api.ready.is_set()


async def test_a_reader_who_pauses_pauses_the_runtime(api: RuntimeApi, wire: Wire) -> None:
    """Unread, a response holds a bounded number of bytes here and in the kernel; read, all of it comes."""
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    await wire.begin(await wire.next(), "response", *STREAMED)
    response = await invoking
    sent = 0
    size = 64 << 20

    async def stream() -> None:
        nonlocal sent
        while sent < size:
            await wire.send(chunk(bytes(1 << 20)))
            sent += 1 << 20
        await wire.send(b"0\r\n\r\n")

    streaming = asyncio.create_task(stream())
    before = -1
    while sent > before:
        before = sent
        await asyncio.wait({streaming}, timeout=0.2)
    assert not streaming.done()
    assert sum([len(piece) async for piece in response]) == size
    await streaming
    assert (await wire.answer())[0] == 202


async def test_a_reader_who_leaves_does_not_stop_the_function(api: RuntimeApi, wire: Wire) -> None:
    """As on Lambda: a discarded response runs to its end, and the invocation is finished then."""
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    await wire.begin(await wire.next(), "response", *STREAMED)
    response = await invoking
    response.discard()
    for _ in range(4):
        await wire.send(chunk(bytes(WAITING_LIMIT)))
    assert not response.finished.is_set()
    await wire.send(b"0\r\n\r\n")
    assert (await wire.answer())[0] == 202
    assert response.finished.is_set()


async def test_a_connection_that_breaks_in_the_body_breaks_the_response(api: RuntimeApi, wire: Wire) -> None:
    """Half a response is never a whole one."""
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    await wire.begin(await wire.next(), "response", *STREAMED)
    await wire.send(chunk(b"half"))
    pieces = aiter(await invoking)
    assert await anext(pieces) == b"half"
    wire.close()
    with pytest.raises(EnvironmentGone):
        await anext(pieces)
    assert api.violations == []


async def test_an_environment_that_is_gone_answers_nothing(api: RuntimeApi, wire: Wire) -> None:
    """The end of the process fails what it had, what waits for it, and what comes later."""
    out = asyncio.create_task(api.invoke(an_invocation()))
    await wire.next()
    waiting = asyncio.create_task(api.invoke(an_invocation()))
    await asyncio.sleep(0)
    api.gone()
    for failing in (out, waiting, api.invoke(an_invocation())):
        with pytest.raises(EnvironmentGone):
            await failing


async def test_a_retired_environment_is_told_to_leave(api: RuntimeApi, wire: Wire) -> None:
    """An open `/next` is answered 403, and so is the one after it."""
    await wire.send(NEXT)
    await api.ready.wait()
    api.retire()
    assert (await wire.answer())[0] == 403
    await wire.send(NEXT)
    assert (await wire.answer())[0] == 403
    assert api.violations == []


async def test_a_runtime_that_hangs_up_while_it_waits_costs_no_invocation(api: RuntimeApi, wire: Wire) -> None:
    """The invocation goes to the connection that asks next."""
    await wire.send(NEXT)
    await api.ready.wait()
    wire.close()
    again = await wire.another()
    asking = asyncio.create_task(again.next())
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    call = await asking
    await again.begin(call, "response", "Content-Length: 2")
    await again.send(b"{}")
    assert await everything(await invoking) == b"{}"
    again.close()


async def test_an_invocation_whose_caller_left_is_not_handed_out(api: RuntimeApi, wire: Wire) -> None:
    """What nobody waits for any more costs the function nothing."""
    left = asyncio.create_task(api.invoke(an_invocation("left")))
    await asyncio.sleep(0)
    left.cancel()
    invoking = asyncio.create_task(api.invoke(an_invocation("here")))
    await wire.send(NEXT)
    assert (await wire.answer())[2] == b'"here"'
    invoking.cancel()


@pytest.mark.parametrize(
    ("lines", "body", "status"),
    [
        (("Lambda-Runtime-Function-Response-Mode: buffered", "Content-Length: 0"), b"", 400),
        (("Lambda-Runtime-Function-Response-Mode: streaming", "Content-Length: 0"), b"", 400),
        (STREAMED, trailers("Oops", b"no JSON"), 400),
        (STREAMED, trailers("Oops", b'{"errorType": "Oops"}'), 400),
        (STREAMED, trailers("Oops", json.dumps({"errorType": "O", "errorMessage": "x" * TRAILER_LIMIT}).encode()), 400),
        (STREAMED[:3], trailers("Oops", FAILURE), 400),
        (STREAMED, b"0\r\nLambda-Runtime-Function-Error-Type: Oops\r\n\r\n", 400),
    ],
)
async def test_a_breach_is_refused_and_noted(
    api: RuntimeApi, wire: Wire, lines: tuple[str, ...], body: bytes, status: int
) -> None:
    """Each wrong mode, length or trailer is a 4xx and a violation."""
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    await wire.begin(await wire.next(), "response", *lines)
    await wire.send(body)
    assert (await wire.answer())[0] == status
    assert len(api.violations) == 1
    invoking.cancel()


async def test_an_answer_needs_an_open_invocation_and_its_echo(api: RuntimeApi, wire: Wire) -> None:
    """An unknown request id and a wrong Lambda-Runtime-Invocation-Id are refused."""
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    call = await wire.next()
    for wrong in ("lambda-runtime-aws-request-id", "lambda-runtime-invocation-id"):
        other = await wire.another()
        await other.begin({**call, wrong: "other"}, "response", "Content-Length: 0")
        assert (await other.answer())[0] == 400
        other.close()
    assert len(api.violations) == 2
    invoking.cancel()


async def test_an_environment_is_idle_only_while_it_asks(api: RuntimeApi, wire: Wire) -> None:
    """Having answered is not enough: work after the response is done before the next `/next`."""
    await wire.send(NEXT)
    await api.idle.wait()
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    _, call, _ = await wire.answer()
    assert not api.idle.is_set()
    await wire.begin(call, "response", "Content-Length: 2")
    await wire.send(b"{}")
    await everything(await invoking)
    assert (await wire.answer())[0] == 202
    assert not api.idle.is_set()
    await wire.send(NEXT)
    await api.idle.wait()


async def test_one_invocation_at_a_time_unless_more_are_allowed(wire: Wire, api: RuntimeApi) -> None:
    """A second `/next` while the first is unanswered is a breach at a concurrency of 1."""
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    await wire.next()
    await wire.send(NEXT)
    assert (await wire.answer())[0] == 403
    assert len(api.violations) == 1
    invoking.cancel()


async def test_a_second_connection_is_no_second_place(
    wire: Wire, api: RuntimeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the first connection lives, its invocation is out, and more is not to be had on another."""
    monkeypatch.setattr(runtime_api, "DROPPED_SECONDS", 0.01)
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    await wire.next()
    other = await wire.another()
    await other.send(NEXT)
    assert (await other.answer())[0] == 403
    assert len(api.violations) == 1
    other.close()
    invoking.cancel()


async def test_an_invocation_is_over_when_its_connection_was_lost(api: RuntimeApi, wire: Wire) -> None:
    """The runtime that comes back on a new connection gets the next one; whoever invoked the first is told."""
    lost = asyncio.create_task(api.invoke(an_invocation("lost")))
    await wire.next()
    wire.close()
    invoking = asyncio.create_task(api.invoke(an_invocation("next")))
    again = await wire.another()
    call = await again.next()
    with pytest.raises(EnvironmentGone):
        await lost
    await again.begin(call, "response", "Content-Length: 2")
    await again.send(b"{}")
    assert await everything(await invoking) == b"{}"
    assert api.violations == []
    again.close()


async def test_an_answer_may_come_on_another_connection(api: RuntimeApi, wire: Wire) -> None:
    """A runtime may lose an idle connection while it works: as long as it asks for nothing more, nothing is over."""
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    call = await wire.next()
    again = await wire.another()
    wire.close()
    await again.begin(call, "response", "Content-Length: 2")
    await again.send(b"{}")
    assert await everything(await invoking) == b"{}"
    assert api.violations == []
    again.close()


async def test_a_response_that_nobody_reads_may_break_too(api: RuntimeApi, wire: Wire) -> None:
    """Its end lies behind bytes that nobody takes; it is seen when the runtime asks for more, and what came is kept."""
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    await wire.begin(await wire.next(), "response", *STREAMED)
    response = await invoking
    await wire.send(chunk(bytes(3 * WAITING_LIMIT)))
    wire.close()
    assert not response.finished.is_set()
    again = await wire.another()
    await again.send(NEXT)
    await api.idle.wait()
    assert response.finished.is_set()
    received = bytearray()
    with pytest.raises(EnvironmentGone):
        await read_into(received, response)
    assert received == bytes(3 * WAITING_LIMIT)
    assert api.violations == []
    again.close()


async def test_an_invocation_has_one_answer(api: RuntimeApi, wire: Wire) -> None:
    """A response or an error after either of them is refused."""
    for first in ("response", "error"):
        for second in ("response", "error"):
            once = await wire.another()
            invoking = asyncio.create_task(api.invoke(an_invocation()))
            call = await once.next()
            for what, status in ((first, 202), (second, 400)):
                await once.begin(call, what, f"Content-Length: {len(FAILURE)}")
                await once.send(FAILURE)
                assert (await once.answer())[0] == status
            await asyncio.wait({invoking})
            assert isinstance(invoking.exception(), FunctionError) == (first == "error")
            once.close()
    assert len(api.violations) == 4


async def test_an_error_has_no_place_in_a_response(api: RuntimeApi, wire: Wire) -> None:
    """Once its first byte is out, a response fails by its trailers or its connection."""
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    call = await wire.next()
    await wire.begin(call, "response", *STREAMED)
    response = await invoking
    other = await wire.another()
    await other.begin(call, "error", f"Content-Length: {len(FAILURE)}")
    await other.send(FAILURE)
    assert (await other.answer())[0] == 400
    await wire.send(chunk(b"whole"), b"0\r\n\r\n")
    assert await everything(response) == b"whole"
    assert len(api.violations) == 1
    other.close()


async def test_a_request_waits_for_its_turn(api: RuntimeApi, wire: Wire) -> None:
    """Nothing is sent behind an open `/next`."""
    await wire.send(NEXT)
    await api.idle.wait()
    await wire.send(NEXT)
    assert (await wire.answer())[0] == 400
    assert len(api.violations) == 1


@pytest.mark.parametrize("call", [("GET", "restore/next"), ("POST", "restore/error"), ("POST", "init/error")])
async def test_what_belongs_before_the_first_next_is_refused_after_it(
    api: RuntimeApi, wire: Wire, call: tuple[str, str]
) -> None:
    """An environment is initialized, restored, and then it works: never the other way round."""
    await wire.send(NEXT)
    await api.ready.wait()
    other = await wire.another()
    await other.send(a_call(*call, FAILURE))
    assert (await other.answer())[0] == 403
    assert len(api.violations) == 1
    other.close()


async def test_a_restore_that_fails_fails_every_invocation(api: RuntimeApi, wire: Wire) -> None:
    """`/restore/error` follows `/restore/next` and nothing else."""
    await wire.send(a_call("GET", "restore/next"))
    assert (await wire.answer())[0] == 200
    assert api.restored
    await wire.send(a_call("POST", "restore/error", FAILURE))
    assert (await wire.answer())[0] == 202
    with pytest.raises(FunctionError, match="Oops"):
        await api.invoke(an_invocation())
    assert api.restore_error is not None
    assert api.violations == []


async def test_a_restore_error_needs_a_restore(api: RuntimeApi, wire: Wire) -> None:
    """Without a snapshot nothing can fail after it."""
    await wire.send(a_call("POST", "restore/error", FAILURE))
    assert (await wire.answer())[0] == 403
    assert len(api.violations) == 1


@pytest.mark.parametrize(("method", "path"), [("POST", "invocation/next"), ("GET", "init/error"), ("GET", "nothing")])
async def test_no_other_calls_are_known(api: RuntimeApi, wire: Wire, method: str, path: str) -> None:
    """A wrong method or path is a 404 and the end of the connection."""
    await wire.send(a_call(method, path))
    status, headers, _ = await wire.answer()
    assert (status, headers["connection"]) == (404, "close")
    assert len(api.violations) == 1


async def test_chunk_extensions_say_nothing(api: RuntimeApi, wire: Wire) -> None:
    """HTTP has whoever does not know them ignore them (RFC 9112, 7.1.1). A stream without a type is one of bytes."""
    invoking = asyncio.create_task(api.invoke(an_invocation()))
    await wire.begin(await wire.next(), "response", *STREAMED[:2])
    await wire.send(b"5;name=value\r\nwhole\r\n0;last\r\n\r\n")
    response = await invoking
    assert response.content_type == "application/octet-stream"
    assert await everything(response) == b"whole"
    assert (await wire.answer())[0] == 202
    assert api.violations == []


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", NEXT.replace(b" HTTP", b"  HTTP")])
async def test_what_is_not_http_is_noted(api: RuntimeApi, wire: Wire, sent: bytes) -> None:
    """Nonsense, a missing Host, a request line that is not one: the connection ends without an answer."""
    await wire.send(sent)
    with pytest.raises(asyncio.IncompleteReadError):
        await wire.answer()
    assert len(api.violations) == 1


HANDLER = """
def handler(event, context):
    if "fail" in event:
        raise ValueError(event["fail"])
    return "x" * event["size"] if "size" in event else {"event": event, "id": context.aws_request_id}
"""


async def test_the_managed_runtime_works_against_it(tmp_path: Path) -> None:
    """awslambdaric answers, fails and answers again; a response of more than 6 MB fails as on Lambda."""
    (tmp_path / "function.py").write_text(HANDLER)
    api = RuntimeApi()
    environ = {"AWS_LAMBDA_RUNTIME_API": await api.start(), "PYTHONPATH": str(tmp_path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "awslambdaric", "function.handler", env=environ, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        invocation = an_invocation({"a": "ü"})
        response = await api.invoke(invocation)
        assert json.loads(await everything(response)) == {"event": {"a": "ü"}, "id": invocation.request_id}
        assert not response.streaming
        with pytest.raises(FunctionError) as failed:
            await api.invoke(an_invocation({"fail": "broken"}))
        assert failed.value.error_type == "ValueError"
        assert json.loads(failed.value.payload)["errorMessage"] == "broken"
        response = await api.invoke(an_invocation({"size": BUFFERED_RESPONSE_LIMIT - 2}))
        assert len(await everything(response)) == BUFFERED_RESPONSE_LIMIT
        with pytest.raises(FunctionError, match=r"Function\.ResponseSizeTooLarge"):
            await api.invoke(an_invocation({"size": BUFFERED_RESPONSE_LIMIT - 1}))
        assert api.violations == []
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await api.close()
