"""The Lambda Runtime API of one execution environment, on loopback, with response streaming.

What a runtime sees of Lambda: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html and, for streaming,
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming. It is strict on
purpose: what the real service forgives today, a runtime must not come to rely on. Every breach of the protocol is
answered 4xx and noted in `RuntimeApi.violations`.
"""

import asyncio
import base64
import binascii
import json
import socket
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import h11

from local.runtime_wire import READ_SIZE, Connection, Violation, headers_of

API_VERSION = "2018-06-01"
STREAMED_PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response"

# Bytes of a buffered response: "6 MB", https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
BUFFERED_RESPONSE_LIMIT = 6 * 1024 * 1024
# Bytes of all trailers. The real API is a Go server, and Go refuses more (net/http transfer.go, seeUpcomingDoubleCRLF).
TRAILER_LIMIT = 4096
# Bytes of a streamed response that may wait for its consumer: at 512 KiB the runtime's own writes block.
WAITING_LIMIT = 8 * READ_SIZE
# The same, once the end of its connection is looked for: more than both kernels' buffers (Linux: tcp_rmem, tcp_wmem)
# hold, because the end comes after all that they hold.
LOOK_AHEAD_LIMIT = 64 * 1024 * 1024
# Seconds in which the end of a connection is seen here that the runtime has dropped before it asked for more.
DROPPED_SECONDS = 1.0


@dataclass(frozen=True)
class Invocation:
    """What `/next` hands out: the event as JSON bytes, the deadline in epoch milliseconds."""

    event: bytes
    deadline_ms: int
    function_arn: str
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    trace_id: str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0"
    client_context: str | None = None
    cognito_identity: str | None = None
    tenant_id: str | None = None


class FunctionError(Exception):
    """The function failed. `payload` is the JSON that it posted: errorMessage, errorType, stackTrace."""

    def __init__(self, error_type: str, payload: bytes) -> None:
        super().__init__(error_type)
        self.error_type = error_type
        self.payload = payload


class EnvironmentGone(Exception):
    """The process ended, broke off its answer, or the API was closed while an invocation was out."""


class Response:
    """One function's answer, whose body arrives while it is read.

    Iterate over it once for the body. The iteration raises `FunctionError` after the last piece when the function
    failed on the way (error trailers), and `EnvironmentGone` when the connection broke. While nobody iterates, the
    runtime is held back.
    """

    def __init__(self, *, streaming: bool, content_type: str) -> None:
        self.streaming = streaming
        self.content_type = content_type
        self.finished = asyncio.Event()
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._waiting = 0  # bytes in `_pieces`
        self._limit = WAITING_LIMIT
        self._taken = asyncio.Event()
        self._discarding = False
        self._failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while (piece := await self._pieces.get()) is not None:
                self._waiting -= len(piece)
                self._taken.set()
                yield piece
            if self._failure is not None:
                raise self._failure
        finally:
            self.discard()

    def discard(self) -> None:
        """Say that nobody reads on: like Lambda, let the function run to its end and throw its bytes away."""
        self._discarding = True
        self._taken.set()

    def _look_ahead(self) -> None:
        """Take what is on its way, read or not: only after all of it can be seen that the runtime has hung up."""
        self._limit = LOOK_AHEAD_LIMIT
        self._taken.set()

    def _add(self, piece: bytes) -> None:
        if not self._discarding:
            self._pieces.put_nowait(piece)
            self._waiting += len(piece)

    async def _feed(self, piece: bytes) -> None:
        """Hand one piece over; wait while too much is waiting."""
        self._add(piece)
        while self._waiting >= self._limit and not self._discarding:
            self._taken.clear()
            await self._taken.wait()

    def _finish(self, failure: Exception | None = None) -> None:
        if not self.finished.is_set():
            self._failure = failure
            self._pieces.put_nowait(None)
            self.finished.set()


@dataclass
class _Pending:
    """An invocation on its way, and where its answer goes."""

    invocation: Invocation
    answer: asyncio.Future[Response]
    # The connection that it went out on, then the one that its answer comes in on.
    carrier: Connection = field(init=False, repr=False)
    # Echoed by the runtime on its answer; tells one attempt of a request from the next.
    invocation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    response: Response | None = None

    def fail(self, error: Exception) -> None:
        if self.response is not None:
            self.response._finish(error)
            self.response.discard()
        elif not self.answer.done():
            self.answer.set_exception(error)


class RuntimeApi:
    """The API of one environment; AWS_LAMBDA_MAX_CONCURRENCY says how many invocations it may have out at once."""

    def __init__(self, max_concurrency: int = 1) -> None:
        self.ready = asyncio.Event()
        # Set while a `/next` is open: only then is the environment free, and not as soon as it has answered.
        self.idle = asyncio.Event()
        self.init_error: FunctionError | None = None
        self.restored_at: float | None = None  # by time.monotonic: when the snapshot would have been taken
        self.restore_error: FunctionError | None = None
        self.violations: list[str] = []
        self._max_concurrency = max_concurrency
        self._waiting: deque[_Pending] = deque()
        self._asking: dict[Connection, asyncio.Future[_Pending | None]] = {}
        self._out: dict[str, _Pending] = {}
        self._over: Exception | None = None
        self._retired = False
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def restored(self) -> bool:
        return self.restored_at is not None

    async def start(self) -> str:
        """Listen on a free loopback port; the value for AWS_LAMBDA_RUNTIME_API. Raises OSError when that cannot be."""
        # Made here, because asyncio takes every failure for an address that it need not listen on.
        listener = socket.create_server(("127.0.0.1", 0))
        try:
            self._server = await asyncio.start_server(self._accept, sock=listener, limit=READ_SIZE)
        except BaseException:
            listener.close()
            raise
        host, port = listener.getsockname()
        return f"{host}:{port}"

    async def invoke(self, invocation: Invocation) -> Response:
        """Have the function answer. Returns when its response begins (streamed) or is there (buffered).

        Raises `FunctionError` when the function answered with an error or failed to start, `EnvironmentGone` when it is
        no more.
        """
        if self._over is not None:
            raise self._over
        pending = _Pending(invocation, asyncio.get_running_loop().create_future())
        self._waiting.append(pending)
        self._hand_out()
        return await pending.answer

    def gone(self) -> None:
        """The process has ended: what is pending fails, and so does every later `invoke`."""
        self._end(EnvironmentGone("the environment's process has ended"))

    def retire(self) -> None:
        """Let the environment go: every `/next`, open or later, is answered 403."""
        self._retired = True
        self._hand_out()

    async def close(self) -> None:
        """Stop listening, break every connection, fail what is pending."""
        self._end(EnvironmentGone("the Runtime API was closed"))
        if self._server is not None:
            self._server.close()
        for connection in self._connections.values():
            connection.transport.abort()
        if self._connections:
            await asyncio.wait(self._connections.keys())

    def _end(self, reason: Exception) -> None:
        self._over = self._over or reason
        for pending in (*self._waiting, *self._out.values()):
            pending.fail(reason)
        self._waiting.clear()
        self._out.clear()

    def _hand_out(self) -> None:
        """Give what waits to those who ask; None, when the environment is to go."""
        while self._asking and self._retired:
            self._first_asking()[1].set_result(None)
        while self._asking and self._waiting:
            pending = self._waiting.popleft()
            if not pending.answer.done():  # else whoever invoked has left meanwhile
                self._out[pending.invocation.request_id] = pending
                pending.carrier, ask = self._first_asking()
                ask.set_result(pending)
        self._note_idle()

    def _first_asking(self) -> tuple[Connection, asyncio.Future[_Pending | None]]:
        first = next(iter(self._asking))
        return first, self._asking.pop(first)

    def _note_idle(self) -> None:
        if self._asking:
            self.idle.set()
        else:
            self.idle.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is served by a task")
        self._connections[task] = writer
        try:
            await Connection(reader, writer).serve(self._answer, self.violations)
        finally:
            del self._connections[task]
            writer.close()

    async def _answer(self, http: Connection, request: h11.Request) -> None:
        path = request.target.decode("ascii")
        headers = headers_of(request)
        match request.method.decode("ascii"), path.removeprefix(f"/{API_VERSION}/runtime/").split("/"):
            case "GET", ["invocation", "next"]:
                await self._next(http)
            case "POST", ["invocation", request_id, "response"]:
                await self._response(http, headers, self._pending(http, request_id, headers))
            case "POST", ["invocation", request_id, "error"]:
                await self._error(http, headers, self._pending(http, request_id, headers))
            case "POST", ["init", "error"]:
                await self._init_error(http, headers)
            case "GET", ["restore", "next"]:
                await self._restore(http)
            case "POST", ["restore", "error"]:
                await self._restore_error(http, headers)
            case method, _:
                raise Violation(HTTPStatus.NOT_FOUND, f"no such call: {method} {path}")

    async def _next(self, http: Connection) -> None:
        self.ready.set()
        await self._make_room(http)
        pending = await self._ask(http)
        if pending is None:
            refusal = {"errorType": "Forbidden", "errorMessage": "State transition is not allowed"}
            await http.reply(HTTPStatus.FORBIDDEN, refusal)
            return
        invocation = pending.invocation
        headers = [
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", invocation.request_id),
            ("Lambda-Runtime-Deadline-Ms", str(invocation.deadline_ms)),
            ("Lambda-Runtime-Invoked-Function-Arn", invocation.function_arn),
            ("Lambda-Runtime-Trace-Id", invocation.trace_id),
            ("Lambda-Runtime-Invocation-Id", pending.invocation_id),
        ]
        optional = [
            ("Lambda-Runtime-Client-Context", invocation.client_context),
            ("Lambda-Runtime-Cognito-Identity", invocation.cognito_identity),
            ("Lambda-Runtime-Aws-Tenant-Id", invocation.tenant_id),
        ]
        headers += [(name, value) for name, value in optional if value is not None]
        await http.reply(HTTPStatus.OK, invocation.event, headers)

    async def _make_room(self, http: Connection) -> None:
        """Return when one more invocation may be asked for; raise `Violation` when too many are out.

        A runtime that has lost a connection asks again on a new one: an invocation that it had there, and did not
        answer, is over.
        """
        while len(self._asking) + len(self._out) >= self._max_concurrency:
            lost = next((pending for pending in self._out.values() if pending.carrier.ended.done()), None)
            if lost is not None:
                self._settle(lost)
                lost.fail(EnvironmentGone("the runtime lost its connection before it had answered"))
            elif not await self._one_drops(http):
                what = f"more than {self._max_concurrency} invocations asked for at once"
                raise Violation(HTTPStatus.FORBIDDEN, what)

    async def _one_drops(self, http: Connection) -> bool:
        """Whether the runtime has hung up on a connection other than this one, which may take a moment to be seen."""
        for pending in self._out.values():
            if pending.response is not None:
                pending.response._look_ahead()
        carriers = {*self._asking, *(pending.carrier for pending in self._out.values())} - {http}
        ends = [carrier.ended for carrier in carriers]
        if not ends:
            return False
        dropped, _ = await asyncio.wait(ends, timeout=DROPPED_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        return bool(dropped)

    async def _ask(self, http: Connection) -> _Pending | None:
        """Wait for an invocation; None when the environment is to go.

        Raises `ConnectionError` when the runtime hangs up first, so that no invocation is handed to nobody.
        """
        ask: asyncio.Future[_Pending | None] = asyncio.get_running_loop().create_future()
        self._asking[http] = ask
        self._hand_out()
        hung_up = asyncio.ensure_future(http.hung_up())
        first: set[asyncio.Future[Any]] = {ask, hung_up}
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._asking.pop(http, None)
            self._note_idle()
            hung_up.cancel()
            await asyncio.wait({hung_up})
        if ask.done() and hung_up.cancelled():
            return ask.result()
        if ask.done() and (pending := ask.result()) is not None:
            self._settle(pending)
            self._waiting.appendleft(pending)
            self._hand_out()
        hung_up.result()
        raise ConnectionError("the runtime hung up while it waited for an invocation")

    def _pending(self, http: Connection, request_id: str, headers: dict[str, str]) -> _Pending:
        """The invocation that a response or error is for, still unanswered."""
        pending = self._out.get(request_id)
        if pending is None:
            raise Violation(HTTPStatus.BAD_REQUEST, f"no invocation {request_id} is out")
        if pending.response is not None:
            raise Violation(HTTPStatus.BAD_REQUEST, f"invocation {request_id} has already been answered")
        echoed = headers.get("lambda-runtime-invocation-id")
        if echoed != pending.invocation_id:
            what = f"Lambda-Runtime-Invocation-Id is {echoed}, not {pending.invocation_id}"
            raise Violation(HTTPStatus.BAD_REQUEST, what)
        pending.carrier = http
        return pending

    async def _response(self, http: Connection, headers: dict[str, str], pending: _Pending) -> None:
        mode = headers.get("lambda-runtime-function-response-mode")
        if mode is None:
            await self._buffered(http, pending, headers.get("content-type", "application/json"))
        elif mode != "streaming":
            raise Violation(HTTPStatus.BAD_REQUEST, f"unknown response mode {mode}")
        elif headers.get("transfer-encoding", "").lower() != "chunked":
            raise Violation(HTTPStatus.BAD_REQUEST, "a streamed response must be chunked")
        else:
            content_type = headers.get("content-type", "application/octet-stream")
            await self._streamed(http, pending, content_type, headers.get("trailer", ""))

    async def _buffered(self, http: Connection, pending: _Pending, content_type: str) -> None:
        try:
            body = await http.body(limit=BUFFERED_RESPONSE_LIMIT)
        except Violation as too_large:
            document = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": too_large.what}
            self._settle(pending)
            pending.fail(FunctionError(document["errorType"], json.dumps(document).encode()))
            await http.reply(too_large.status, document)
            return
        response = Response(streaming=False, content_type=content_type)
        if body:
            response._add(body)
        response._finish()
        self._settle(pending)
        self._begin(pending, response)
        await http.reply(HTTPStatus.ACCEPTED, {"status": "OK"})

    async def _streamed(self, http: Connection, pending: _Pending, content_type: str, announced: str) -> None:
        response = Response(streaming=True, content_type=content_type)
        self._begin(pending, response)
        failure: Exception | None = EnvironmentGone("the response was broken off")
        try:
            async for piece in http.pieces():
                await response._feed(piece)
            failure = _trailed_error(http.trailers, announced)
        finally:
            self._settle(pending)
            response._finish(failure)
        await http.reply(HTTPStatus.ACCEPTED, {"status": "OK"})

    async def _error(self, http: Connection, headers: dict[str, str], pending: _Pending) -> None:
        error = _posted_error(headers, await http.body(limit=BUFFERED_RESPONSE_LIMIT))
        self._settle(pending)
        pending.fail(error)
        await http.reply(HTTPStatus.ACCEPTED, {"status": "OK"})

    async def _restore_error(self, http: Connection, headers: dict[str, str]) -> None:
        if not self.restored or self.ready.is_set():
            raise Violation(HTTPStatus.FORBIDDEN, "a restore error that does not follow /restore/next")
        self.restore_error = _posted_error(headers, await http.body(limit=BUFFERED_RESPONSE_LIMIT))
        self._end(self.restore_error)
        await http.reply(HTTPStatus.ACCEPTED, {"status": "OK"})

    async def _restore(self, http: Connection) -> None:
        """SnapStart: here the snapshot is taken, and this answer is read in an environment restored from it."""
        if self.ready.is_set():
            raise Violation(HTTPStatus.FORBIDDEN, "a snapshot after the first /next")
        self.restored_at = time.monotonic()
        await http.reply(HTTPStatus.OK)

    async def _init_error(self, http: Connection, headers: dict[str, str]) -> None:
        if self.ready.is_set():
            raise Violation(HTTPStatus.FORBIDDEN, "an init error after the first /next")
        self.init_error = _posted_error(headers, await http.body(limit=BUFFERED_RESPONSE_LIMIT))
        self._end(self.init_error)
        await http.reply(HTTPStatus.ACCEPTED, {"status": "OK"})

    def _begin(self, pending: _Pending, response: Response) -> None:
        pending.response = response
        if pending.answer.done():  # whoever asked has left
            response.discard()
        else:
            pending.answer.set_result(response)

    def _settle(self, pending: _Pending) -> None:
        self._out.pop(pending.invocation.request_id, None)


def _posted_error(headers: dict[str, str], body: bytes) -> FunctionError:
    """The failure in the body of `/error` or `/init/error`; its type may also stand in a header."""
    error = _error_document(body)
    return FunctionError(headers.get("lambda-runtime-function-error-type") or error["errorType"], body)


def _trailed_error(trailers: dict[str, str], announced: str) -> FunctionError | None:
    """The failure that the trailers of a streamed response tell of, if any; `announced` is its `Trailer` header."""
    if not trailers:
        return None
    names = {name.strip().lower() for name in announced.split(",")}
    if unannounced := trailers.keys() - names:
        raise Violation(HTTPStatus.BAD_REQUEST, f"trailers that no Trailer header announced: {sorted(unannounced)}")
    if sum(len(f"{name}: {value}\r\n") for name, value in trailers.items()) > TRAILER_LIMIT:
        raise Violation(HTTPStatus.BAD_REQUEST, f"more than {TRAILER_LIMIT} bytes of trailers")
    try:
        error_type = trailers["lambda-runtime-function-error-type"]
        payload = base64.b64decode(trailers["lambda-runtime-function-error-body"], validate=True)
    except (KeyError, binascii.Error) as error:
        raise Violation(HTTPStatus.BAD_REQUEST, f"unusable error trailers: {error!r}") from error
    _error_document(payload)
    return FunctionError(error_type, payload)


def _error_document(body: bytes) -> dict[str, str]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise Violation(HTTPStatus.BAD_REQUEST, f"an error that is no JSON: {error}") from error
    if not isinstance(document, dict) or not {"errorMessage", "errorType"} <= document.keys():
        raise Violation(HTTPStatus.BAD_REQUEST, f"an error without errorMessage and errorType: {body[:200]!r}")
    return document
