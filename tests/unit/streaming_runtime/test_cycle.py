import asyncio
import base64
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.runtime_api import FunctionError, Response
from streaming_runtime.asgi import App, Message, Receive, Scope, Send
from streaming_runtime.cycle import NEXT, Event, State
from streaming_runtime.settings import Prelude

pytestmark = pytest.mark.anyio

Carry = Callable[..., AbstractAsyncContextManager[Any]]


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(data: bytes = b"", more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def saying(*messages: Message) -> App:
    """An app that sends these messages and nothing else."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


async def read_into(received: bytearray, response: Response) -> None:
    async for piece in response:
        received += piece


async def failure_of(carry: Carry, app: App) -> FunctionError:
    """What the client sees of an app whose response must fail."""
    async with carry(app) as environment:
        with pytest.raises(FunctionError) as failed:
            await environment.get()
        return failed.value


async def test_a_chunk_reaches_the_client_before_the_next_is_produced(carry: Carry) -> None:
    """The app goes on only when the client has said that it has the first chunk."""
    has_first = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"first", more=True))
        await has_first.wait()
        await send(body(b"second"))

    async with carry(app) as environment:
        response = await environment.invoke(event_of("/"))
        pieces = aiter(response)
        received = b""
        while not received.endswith(b"first"):
            received += await anext(pieces)
        has_first.set()
        assert b"".join([piece async for piece in pieces]) == b"second"


class Model:
    """What ASGI and the runtime's README say of a sequence of messages; one that is refused changes nothing."""

    def __init__(self, method: str) -> None:
        self.received = b""
        self.over = False
        self._head: bytes | None = None
        self._bodiless = method == "HEAD"
        self._length: int | None = None
        self._body = b""

    def takes(self, message: Message) -> bool:
        """Whether the message is in its place; what the client has by then is in `received`."""
        match message:
            case {"type": "http.response.start", "status": int(status)} if self._head is None:
                return self._begin(status, dict(message.get("headers", ())))
            case {"type": "http.response.body"} if self._head is not None and not self.over:
                return self._add(self._head, message.get("body", b""), message.get("more_body", False))
        return False

    def _begin(self, status: int, headers: dict[bytes, bytes]) -> bool:
        length = headers.get(b"content-length")
        bodiless = self._bodiless or status in {204, 304}
        if length is not None and not bodiless:
            if not length.isdigit():
                return False
            self._length = int(length)
        self._bodiless = bodiless
        fields = {name.decode(): value.decode() for name, value in headers.items()}
        self._head = json.dumps({"statusCode": status, "headers": fields, "cookies": []}).encode() + bytes(8)
        return True

    def _add(self, head: bytes, data: object, more: bool) -> bool:
        if self._bodiless:
            data = b""
        if not isinstance(data, bytes | bytearray | memoryview):
            return False
        whole = self._body + bytes(data)
        last = self._bodiless or not more
        if self._length is not None and (len(whole) > self._length or (last and len(whole) < self._length)):
            return False
        self._body, self.over = whole, last
        self.received = head + whole
        return True


CHUNK = st.binary(max_size=100) | st.integers(0, 300_000).map(bytes)
LENGTH = st.integers(0, 12).map(lambda length: b"%d" % length) | st.just(b"many")
START = st.builds(start, st.sampled_from([200, 204, 304])) | st.builds(
    lambda length: start(200, (b"content-length", length)), LENGTH
)
# Starlette passes on whatever kind of bytes an app yields.
KIND = st.sampled_from([bytes, bytes, bytearray, memoryview])
BODY = st.builds(lambda kind, data, more: body(kind(data), more), KIND, CHUNK | st.binary(max_size=6), st.booleans())
ODD = st.sampled_from(
    [
        {},
        {"type": "http.response.start"},
        {"type": "http.response.body"},
        {"type": "http.response.body", "more_body": True},
        {"type": "http.response.body", "body": "text"},
        {"type": "http.response.trailers"},
        {"type": "websocket.accept"},
    ]
)
STOP = st.sampled_from([LookupError("stop"), asyncio.CancelledError()])
# Most apps begin with a start; what follows may be anything, in any order.
STEPS = st.builds(
    lambda first, then: [*first, *then],
    st.lists(START, max_size=1),
    st.lists(BODY | BODY | BODY | START | ODD | STOP, max_size=12),
)


@given(steps=STEPS, method=st.sampled_from(["GET", "GET", "HEAD"]), stubborn=st.booleans())
@settings(max_examples=200)
def test_every_sequence_of_messages_has_its_one_end(
    carry: Carry, steps: list[Message | BaseException], method: str, stubborn: bool
) -> None:
    """Legal or not: a whole response, byte for byte, or a failure after the bytes that were taken; then the next one.

    A stubborn app ignores that a message was refused, and goes on.
    """

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        for step in steps if scope["path"] == "/" else [start(), body(b"next")]:
            if isinstance(step, BaseException):
                raise step
            with suppress(*([Exception] if stubborn else [])):
                await send(step)

    async def main() -> None:
        async with carry(app) as environment:
            assert await end_of(environment, event_of("/", method)) == expected(steps, method, stubborn)
            assert (await environment.get("/next"))[1] == b"next"

    asyncio.run(main())


def expected(steps: list[Message | BaseException], method: str, stubborn: bool) -> tuple[bytes, str]:
    """The bytes that a client gets, and how they end: whole, or failed, and why where the app itself said so."""
    model = Model(method)
    end = "Runtime.IncompleteResponse"
    for step in steps:
        if isinstance(step, BaseException):
            end = "LookupError" if isinstance(step, LookupError) else "Runtime.Cancelled"
            break
        if not model.takes(step) and not stubborn:
            end = "refused"
            break
    return model.received, "whole" if model.over else end


async def end_of(environment: Any, event: dict[str, Any]) -> tuple[bytes, str]:
    received = bytearray()
    try:
        await read_into(received, await environment.invoke(event))
    except FunctionError as error:
        own = {"LookupError", "Runtime.Cancelled", "Runtime.IncompleteResponse"}
        return bytes(received), error.error_type if error.error_type in own else "refused"
    return bytes(received), "whole"


async def test_the_prelude_has_status_headers_and_cookies(carry: Carry) -> None:
    """Set-Cookie has its own list; the response is of Lambda's HTTP integration type."""
    app = saying(start(201, (b"X-A", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2; Path=/")), body(b"x"))
    async with carry(app) as environment:
        response = await environment.invoke(event_of("/"))
        assert response.streaming
        assert response.content_type == "application/vnd.awslambda.http-integration-response"
        prelude, _ = b"".join([piece async for piece in response]).split(bytes(8), 1)
    assert json.loads(prelude) == {"statusCode": 201, "headers": {"x-a": "1"}, "cookies": ["a=1", "b=2; Path=/"]}


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_a_response_without_body_ends_at_once(carry: Carry, method: str, status: int) -> None:
    """HEAD, 204 and 304 are whole with the first body message, and bytes that the app adds go nowhere."""
    answered = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start(status, (b"content-length", b"1000")))
        await send(body(b"x", more=True))
        await answered.wait()
        await send(body(b"y"))

    async with carry(app) as environment:
        response = await environment.invoke(event_of("/", method))
        received = b"".join([piece async for piece in response])
        answered.set()
    assert received.endswith(bytes(8))


async def test_a_failure_before_the_first_byte_is_an_error_and_no_response(carry: Carry) -> None:
    """`/error` carries type, message and the app's own frames, as the managed runtime shapes them."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start())
        raise LookupError("no such thing")

    failed = await failure_of(carry, app)
    document = json.loads(failed.payload)
    assert failed.error_type == document["errorType"] == "LookupError"
    assert document["errorMessage"] == "no such thing"
    assert document["requestId"]
    assert len(document["stackTrace"]) == 1
    assert "raise LookupError" in document["stackTrace"][0]


async def test_a_failure_after_the_first_byte_is_in_the_trailers(carry: Carry) -> None:
    """What was sent arrives; then the response fails instead of ending."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"half", more=True))
        raise LookupError("no more")

    async with carry(app) as environment:
        response = await environment.invoke(event_of("/"))
        received = bytearray()
        with pytest.raises(FunctionError) as failed:
            await read_into(received, response)
        assert received.endswith(bytes(8) + b"half")
        assert failed.value.error_type == "LookupError"
        assert json.loads(failed.value.payload)["errorMessage"] == "no more"
        with pytest.raises(FunctionError):  # and the environment serves on
            await environment.get()


async def test_a_failure_after_the_end_changes_nothing(carry: Carry) -> None:
    """A background task may fail: the client has its whole response."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"whole"))
        raise LookupError("too late")

    async with carry(app) as environment:
        assert (await environment.get())[1] == b"whole"


@pytest.mark.parametrize(
    "said",
    [
        [],
        [start()],
        [start(), body(b"half", more=True)],
        [start(200, (b"content-length", b"5")), body(b"half")],
        [start(200, (b"content-length", b"5")), body(b"half", more=True), body()],
        [start(200, (b"content-length", b"3")), body(b"half")],
        [start(200, (b"content-length", b"3")), body(b"h", more=True), body(b"alf")],
        [body(b"no start")],
        [start(), start(), body()],
        [start(), {"type": "http.response.pathsend", "path": "/etc/passwd"}],
        [start(200, (b"x", b"a\r\nset-cookie: b")), body()],
    ],
)
async def test_a_response_that_is_not_right_is_never_whole(carry: Carry, said: list[Message]) -> None:
    """Unfinished, shorter or longer than declared, out of order, with a forged header: the invocation fails."""
    assert (await failure_of(carry, saying(*said))).error_type


async def test_the_app_receives_the_body_once_and_then_the_end(carry: Carry) -> None:
    """`receive` gives the whole request, blocks while the response is open, and says disconnect after it."""
    received: list[Message] = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        received.append(await receive())
        waiting = asyncio.ensure_future(receive())
        await send(start())
        await send(body(b"x", more=True))
        assert not waiting.done()
        await send(body())
        received.append(await waiting)

    async with carry(app) as environment:
        data = bytes(range(256))
        await environment.get(body=base64.b64encode(data).decode(), isBase64Encoded=True)
    assert received == [{"type": "http.request", "body": data, "more_body": False}, {"type": "http.disconnect"}]


async def test_the_work_after_a_response_is_done_before_the_next_invocation(carry: Carry) -> None:
    """Background tasks run while the environment is not frozen yet."""
    done: list[str] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        done.append("begin " + scope["path"])
        await send(start())
        await send(body())
        await asyncio.sleep(0.01)
        done.append("end " + scope["path"])

    async with carry(app) as environment:
        await asyncio.gather(environment.get("/1"), environment.get("/2"))
    assert done == ["begin /1", "end /1", "begin /2", "end /2"]


def event_of(path: str, method: str = "GET") -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": path,
        "headers": {},
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "192.0.2.1"}},
    }


async def test_whoever_cancels_his_sending_when_the_client_leaves_loses_nothing(carry: Carry) -> None:
    """Some frameworks race the two: `http.disconnect` comes only when the last byte has been delivered."""

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(start())
        sending = asyncio.ensure_future(send(body(bytes(8 << 20))))
        listening = asyncio.ensure_future(receive())
        _, pending = await asyncio.wait({sending, listening}, return_when=asyncio.FIRST_COMPLETED)
        for one in pending:
            one.cancel()

    async with carry(app) as environment:
        assert len((await environment.get())[1]) == 8 << 20


async def test_a_send_that_was_cancelled_while_it_waited_for_another_was_never_made(carry: Carry) -> None:
    """So the response is short of its Content-Length, and fails: what ends whole has no hole in it."""
    size = 16 << 20
    blocked = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start(200, (b"content-length", b"%d" % (size + 10))))
        large = asyncio.ensure_future(send(body(bytes(size), more=True)))
        await asyncio.sleep(0)  # it goes first
        while not large.done() and not blocked.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(send(body(b"0123456789", more=True)), 0.01)
            blocked.set()
        await large
        await send(body())

    async with carry(app) as environment:
        response = await environment.invoke(event_of("/"))
        await blocked.wait()
        received = bytearray()
        with pytest.raises(FunctionError, match="RuntimeError") as failed:
            await read_into(received, response)
        assert b"10 bytes short" in failed.value.payload


async def test_sends_that_are_cancelled_again_and_again_pile_nothing_up(carry: Carry) -> None:
    """A frame is taken when those before it have left; the others are not, however often the app tries."""
    tried = asyncio.Event()
    taken = bytearray()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(bytes(16 << 20), more=True))
        for _ in range(1100):  # more than the kernel takes in one call, were each kept
            with suppress(TimeoutError):
                await asyncio.wait_for(send(body(b"frame", more=True)), 0.0001)
        tried.set()
        await send(body(b"end"))

    async with carry(app) as environment:
        reading = asyncio.ensure_future(environment.invoke(event_of("/")))
        response = await reading
        await asyncio.wait({asyncio.ensure_future(read_into(taken, response)), asyncio.ensure_future(tried.wait())})
    assert taken.endswith(b"end")


LARGE = bytes(16 << 20)  # more than the kernel holds


async def test_a_later_chunk_that_the_kernel_has_no_room_for_arrives_before_the_app_goes_on(carry: Carry) -> None:
    """A stream may then be silent for long, and half of an event would stay here."""
    has_it = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"first", more=True))
        await send(body(LARGE, more=True))
        await has_it.wait()
        await send(body())

    async with carry(app) as environment:
        received = bytearray()
        async for piece in await environment.invoke(event_of("/")):
            received += piece
            if received.endswith(b"first" + LARGE):
                has_it.set()
    assert has_it.is_set()


@pytest.mark.parametrize("cancelled", [True, False])
async def test_later_chunks_of_several_tasks_do_not_cut_each_other(carry: Carry, cancelled: bool) -> None:
    """Also where the task whose chunk is half sent is cancelled: its chunk counts, and goes first."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"first", more=True))
        large = asyncio.ensure_future(send(body(LARGE, more=True)))
        for _ in range(3):
            await asyncio.sleep(0)
        assert not large.done()
        if cancelled:
            large.cancel()
            await asyncio.wait({large})
        await send(body(b"second", more=True))
        await send(body(b"third", more=True))
        assert large.done()
        await send(body())

    async with carry(app) as environment:
        received = (await environment.get())[1]
    assert received == b"first" + LARGE + b"secondthird"


@pytest.mark.parametrize("said", [b"12345", b"123456"])
async def test_a_length_that_was_declared_holds_for_each_chunk(carry: Carry, said: bytes) -> None:
    """However many there are: a byte too many is refused, and the right number is whole."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start(200, (b"content-length", b"5")))
        for byte in said:
            await send(body(bytes([byte]), more=True))
        await send(body())

    if len(said) == 5:
        async with carry(app) as environment:
            assert (await environment.get())[1] == said
    else:
        assert b"longer than its Content-Length" in (await failure_of(carry, app)).payload


async def test_no_chunk_overtakes_one_that_waits_for_its_head(carry: Carry) -> None:
    """Where the head goes out by itself, the first chunk is held back for a moment."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start())
        first = asyncio.ensure_future(send(body(b"first", more=True)))
        for _ in range(3):
            await asyncio.sleep(0)
        assert not first.done()
        await send(body(b"second", more=True))
        await send(body())

    async with carry(app, prelude=Prelude.ALWAYS) as environment:
        assert (await environment.get())[1] == b"firstsecond"


@pytest.mark.parametrize("stage", [b"", b"half"])
async def test_what_is_no_exception_costs_its_invocation_alone(carry: Carry, stage: bytes) -> None:
    """A panic of a native extension, say; and an exception that cannot even be shown."""

    class Panic(BaseException):
        pass

    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start())
        if stage:
            await send(body(stage, more=True))
        match scope["path"]:
            case "/panic":
                raise Panic
            case "/unspeakable":
                raise Unspeakable
        await send(body(b"whole"))

    async with carry(app) as environment:
        for path, kind in (("/panic", "Panic"), ("/unspeakable", "Unspeakable")):
            with pytest.raises(FunctionError, match=kind):
                await environment.get(path)
        assert (await environment.get("/next"))[1] == stage + b"whole"


TRIES = 10


@pytest.mark.parametrize("wanted", Prelude)
@pytest.mark.parametrize("kind", ["stream", "known length", "at once"])
async def test_the_prelude_goes_out_before_the_first_bytes_where_it_is_wanted(
    carry: Carry, wanted: Prelude, kind: str
) -> None:
    """In a write of its own; by default that of an answer which may go on for long."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start(200, *([(b"content-length", b"4")] if kind == "known length" else [])))
        if kind != "at once":
            await send(body(b"ab", more=True))
        await send(body(b"cd"))

    apart = False
    async with carry(app, prelude=wanted) as environment:
        for _ in range(TRIES):  # a reader that is busy may find both at once
            pieces = [piece async for piece in await environment.invoke(event_of("/"))]
            assert b"".join(pieces).split(bytes(8))[1] == (b"cd" if kind == "at once" else b"abcd")
            apart = apart or pieces[0].endswith(bytes(8))
    assert apart == (wanted is Prelude.ALWAYS or (wanted is Prelude.STREAMS and kind == "stream"))


@pytest.mark.parametrize(
    ("method", "status", "sent", "wanted"),
    [
        ("GET", 307, b"", b"\n"),
        ("GET", 200, b"x", b"x"),
        ("HEAD", 200, b"", b""),
        ("GET", 204, b"", b""),
        ("GET", 304, b"", b""),
    ],
)
async def test_an_empty_body_is_filled_where_that_is_wanted(
    carry: Carry, method: str, status: int, sent: bytes, wanted: bytes
) -> None:
    """With one line end, and without the length that it had. What may have no body stays without."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start(status, (b"content-length", b"%d" % len(sent)), (b"location", b"/elsewhere")))
        await send(body(sent))

    for fill_empty in (True, False):
        async with carry(app, fill_empty=fill_empty) as environment:
            event = event_of("/", method)
            prelude, received = b"".join([piece async for piece in await environment.invoke(event)]).split(bytes(8), 1)
        filled = fill_empty and wanted != sent
        assert received == (wanted if fill_empty else sent)
        assert ("content-length" in json.loads(prelude)["headers"]) is not filled
        assert json.loads(prelude)["headers"]["location"] == "/elsewhere"


async def test_a_head_that_a_rest_api_would_refuse_is_warned_of(carry: Carry, caplog: pytest.LogCaptureFixture) -> None:
    """It goes out all the same: other front doors take more."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start(200, (b"x-large", b"x" * int(scope["path"][1:]))))
        await send(body(b"ok"))

    async with carry(app) as environment:
        assert (await environment.get("/16000"))[1] == b"ok"
        assert "The head of the response" not in caplog.text
        assert (await environment.get("/17000"))[1] == b"ok"
    assert "REST APIs take 16384" in caplog.text


def test_the_table_has_one_end() -> None:
    """From every state it is reached, by a loss at once; nothing leads out of it, and no step of an app leads back."""
    order = list(State)
    assert set(NEXT) == set(State)
    for state, steps in NEXT.items():
        assert steps[Event.LOST] is State.OVER
        assert Event.FAILURE in steps
        assert all(order.index(then) >= order.index(state) for then in steps.values())
    assert set(NEXT[State.OVER].values()) == {State.OVER}
