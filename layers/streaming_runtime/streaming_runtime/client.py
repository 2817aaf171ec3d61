"""The Runtime API as a runtime speaks it: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html."""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import NoReturn

from .connection import Answer, Buffer, Connection
from .errors import BODY_TRAILER, CAUSE_HEADER, TYPE_HEADER, Document

logger = logging.getLogger(__name__)

ROOT = "/2018-06-01/runtime"

# Seconds to wait before each new attempt after a lost connection; awslambdaric tries five times, with the same pauses.
RECONNECT_DELAYS = (0.1, 0.2, 0.4, 0.8)

# Writes after which a stream lets the other tasks of the event loop have a turn: an app that never waits for anything
# but a fast reader would otherwise keep its own deadline, and the other invocations, from being seen.
WRITES_PER_TURN = 64

# Seconds of writing after which a stream looks whether it has been refused.
LOOK_SECONDS = 0.1


# Seconds between the prelude of a stream and its first bytes. Lambda is reported to hold every sixth stream back until
# its end where it gets both at once, and this pause to help:
# https://github.com/aws/aws-lambda-nodejs-runtime-interface-client/issues/94
PRELUDE_SECONDS = 0.025


class EnvironmentRetired(Exception):
    """Lambda has no more work for this environment."""


class ApiError(OSError):
    """The Runtime API refused a call. To an app that is sending it is an `OSError`, as any client is that has left."""

    def __init__(self, call: str, answer: Answer) -> None:
        super().__init__(f"{call} was answered {answer.status}: {answer.body[:500].decode('utf-8', 'replace')}")
        self.status = answer.status


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event to respond to, until `deadline_ms` (epoch milliseconds)."""

    request_id: str
    event: bytes
    deadline_ms: int
    function_arn: str
    trace_id: str | None
    client_context: str | None
    cognito_identity: str | None
    tenant_id: str | None
    # Sent by Lambda since 2026 and echoed on the response: tells one attempt of a request from another.
    invocation_id: str | None

    @classmethod
    def of(cls, answer: Answer) -> "Invocation":
        """What `/next` was answered. Raises `ConnectionError` when that is no invocation."""
        header = answer.headers.get
        try:
            return cls(
                request_id=answer.headers["lambda-runtime-aws-request-id"],
                event=answer.body,
                deadline_ms=int(answer.headers["lambda-runtime-deadline-ms"]),
                function_arn=answer.headers["lambda-runtime-invoked-function-arn"],
                trace_id=header("lambda-runtime-trace-id"),
                client_context=header("lambda-runtime-client-context"),
                cognito_identity=header("lambda-runtime-cognito-identity"),
                tenant_id=header("lambda-runtime-aws-tenant-id"),
                invocation_id=header("lambda-runtime-invocation-id"),
            )
        except (KeyError, ValueError) as error:
            raise ConnectionError(f"what came is no invocation: {error!r}") from error

    def path(self, call: str) -> str:
        return f"{ROOT}/invocation/{self.request_id}/{call}"

    @property
    def echo(self) -> dict[str, str]:
        return {"Lambda-Runtime-Invocation-Id": self.invocation_id} if self.invocation_id else {}


class Client:
    """One invocation at a time, over one connection that is kept.

    A lost connection is made anew a few times (`RECONNECT_DELAYS`); then its `OSError` is raised.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: Connection | None = None

    async def next(self) -> Invocation:
        """Wait, without limit, for the next event. Raises `EnvironmentRetired` when there will be none."""
        answer = await self._call("GET", f"{ROOT}/invocation/next")
        if answer.status == 403:
            raise EnvironmentRetired
        if answer.status != 200:
            raise ApiError("GET next", answer)
        return Invocation.of(answer)

    async def restored(self) -> None:
        """Say that the snapshot may be taken; returns in the environment that is restored from it (SnapStart)."""
        answer = await self._call("GET", f"{ROOT}/restore/next")
        if answer.status != 200:
            raise ApiError("GET restore/next", answer)

    async def post_error(self, invocation: Invocation, error: Document) -> None:
        """Respond with a failure; only as long as no response was begun."""
        headers = {CAUSE_HEADER: error.cause(), **invocation.echo}
        await self._post_error(invocation.path("error"), error, error.header_type, headers)

    async def post_init_error(self, error: Document, error_type: str | None = None) -> None:
        """Say that the app cannot be started."""
        await self._post_error(f"{ROOT}/init/error", error, error_type or error.header_type, {})

    async def post_restore_error(self, error: Document, error_type: str) -> None:
        """Say that the environment cannot go on from its snapshot."""
        await self._post_error(f"{ROOT}/restore/error", error, error_type, {})

    async def _post_error(self, path: str, error: Document, error_type: str, more: dict[str, str]) -> None:
        await self._post(path, error.json(), {TYPE_HEADER: error_type, **more})

    async def post_response(self, invocation: Invocation, body: bytes) -> None:
        """Respond with a whole body."""
        await self._post(invocation.path("response"), body, invocation.echo)

    async def _post(self, path: str, body: bytes, more: dict[str, str]) -> None:
        answer = await self._call("POST", path, {"Content-Type": "application/json", **more}, body)
        if answer.status != 202:
            raise ApiError(f"POST {path}", answer)

    async def respond(self, invocation: Invocation) -> "ResponseStream":
        """Begin a streamed response; nothing is sent before its first chunk."""
        for delay in (*RECONNECT_DELAYS, None):
            try:
                return ResponseStream(await self._connected(), invocation)
            except OSError as error:
                await self._pause(delay, error)
        raise AssertionError("the last attempt returns or raises")

    async def _call(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        for delay in (*RECONNECT_DELAYS, None):
            try:
                return await (await self._connected()).request(method, path, headers or {}, body)
            except OSError as error:
                await self._pause(delay, error)
        raise AssertionError("the last attempt returns or raises")

    async def _connected(self) -> Connection:
        if self._connection is None or not self._connection.usable:
            self.close()
            self._connection = await Connection.open(self._address)
        return self._connection

    async def _pause(self, delay: float | None, error: OSError) -> None:
        self.close()
        if delay is None:
            raise error
        logger.warning("The connection to the Runtime API was lost (%r); trying again in %s s.", error, delay)
        await asyncio.sleep(delay)

    def close(self) -> None:
        """Drop the connection; a response under way breaks off."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class ResponseStream:
    """A chunked response. `end` makes it whole, `fail` says in its trailers that it is not. One caller at a time.

    A call that is cancelled has taken its chunks nevertheless: what is left of them goes out before anything else.
    """

    def __init__(self, connection: Connection, invocation: Invocation) -> None:
        self._connection = connection
        self._path = invocation.path("response")
        # Until the other tasks have a turn, and until the next look for a refusal.
        self._writes_left = WRITES_PER_TURN
        self._look_at = time.monotonic() + LOOK_SECONDS
        self._unsent: tuple[Buffer, ...] = (
            connection.head(
                "POST",
                self._path,
                {
                    "Content-Type": "application/vnd.awslambda.http-integration-response",
                    "Lambda-Runtime-Function-Response-Mode": "streaming",
                    "Transfer-Encoding": "chunked",
                    "Trailer": f"{TYPE_HEADER}, {BODY_TRAILER}",
                    **invocation.echo,
                },
            ),
        )

    @property
    def unsent(self) -> bool:
        """Whether a cancelled call has left something."""
        return self._connection.unsent

    def pass_on(self, chunk: bytes) -> bool:
        """Send one more chunk after others, as far as that needs no wait; whether that is all, else `flush` goes on."""
        self._writes_left -= 1
        sent = self._connection.pass_on(_framed(chunk))
        return sent and self._writes_left > 0 and time.monotonic() < self._look_at

    async def flush(self) -> None:
        """Send what is left, let others have their turn, and look for a refusal, if it is time for that."""
        if not await self._connection.flush():
            await self._refused()
        if self._writes_left <= 0:
            self._writes_left = WRITES_PER_TURN
            await asyncio.sleep(0)
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            if self._connection.answered:
                await self._refused()

    async def begin(self, prelude: bytes, chunk: Buffer) -> None:
        """Send the prelude in a write of its own, and after a pause the first chunk."""
        parts = (*self._unsent, *_framed(prelude))
        self._unsent = _framed(bytes(chunk)) if chunk else ()
        if not await self._connection.write(*parts):
            await self._refused()
        await asyncio.sleep(PRELUDE_SECONDS)
        await self.write()

    async def write(self, *chunks: Buffer) -> None:
        """Send the chunks at once. Returns when the kernel has them; raises `OSError` when nobody takes them."""
        if not await self._connection.write(*self._parts(chunks)):
            await self._refused()
        self._writes_left -= 1
        await self.flush()

    async def end(self, *chunks: Buffer) -> None:
        """Send the last chunks and the end, and wait until Lambda has accepted the response."""
        await self._last(chunks, b"0\r\n\r\n")

    async def finish(self) -> None:
        """Go on with an `end` that was cancelled."""
        await self.flush()
        await self._accepted()

    async def fail(self, error: Document) -> None:
        """End the response as one that failed on the way."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in error.trailers().items())
        await self._last((), b"0\r\n" + lines.encode("ascii") + b"\r\n")

    def _parts(self, chunks: tuple[Buffer, ...]) -> list[Buffer]:
        parts: list[Buffer] = [*self._unsent]
        self._unsent = ()
        for chunk in chunks:
            if chunk:  # a chunk of no bytes would end the body
                parts += _framed(chunk)
        return parts

    async def _last(self, chunks: tuple[Buffer, ...], tail: bytes) -> None:
        if not await self._connection.write(*self._parts(chunks), tail):
            await self._refused()
        await self._accepted()

    async def _refused(self) -> NoReturn:
        """Say why the response is not wanted: the answer to it came before its end."""
        raise ApiError(f"POST {self._path}", await self._connection.answer())

    async def _accepted(self) -> None:
        answer = await self._connection.answer()
        if answer.status != 202:
            raise ApiError(f"POST {self._path}", answer)


def _framed(chunk: Buffer) -> tuple[Buffer, ...]:
    return (b"%x\r\n" % len(chunk), chunk, b"\r\n")
