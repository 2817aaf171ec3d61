"""One request through the app: ASGI's `receive` and `send` on one side, a streamed response on the other."""

import asyncio
import logging

from . import asgi
from .client import Client, Invocation, ResponseStream
from .connection import Buffer
from .errors import Document, Fault
from .prelude import prelude

logger = logging.getLogger(__name__)

# Statuses that never have a body (RFC 9110, 6.4.1).
BODILESS = frozenset({204, 304})


class Cycle:
    """Runs the app for one invocation, and answers the invocation whatever the app does.

    Nothing is sent before the app's first body message, as ASGI demands, so a failure until then is a clean error and
    not half a response. A failure after it ends the stream with error trailers: what was cut off never looks whole.
    """

    def __init__(self, client: Client, invocation: Invocation, scope: asgi.Scope, body: bytes) -> None:
        self._client = client
        self._invocation = invocation
        self._scope = scope
        self._request: asgi.Message | None = {"type": "http.request", "body": body, "more_body": False}
        self._head: bytes | None = None
        self._stream: ResponseStream | None = None
        self._bodiless = scope["method"] == "HEAD"
        # Bytes of the body still to come, where the app declared a Content-Length.
        self._missing: int | None = None
        self._answered = False
        # Why Lambda did not take the response, or not all of it.
        self._lost: OSError | None = None
        # Whether the app has been told, by an OSError, that nobody takes what it sends: how it ends then is no failure.
        self._left = False
        self._disconnected = asyncio.Event()
        self._interruption: Fault | None = None

    async def run(self, app: asgi.App) -> None:
        """Call the app. Raises `OSError` when Lambda takes no answer, or not the one that it got (`ApiError`)."""
        failure: Exception
        try:
            await app(self._scope, self.receive, self.send)
        except asyncio.CancelledError:
            failure = Fault("Runtime.Cancelled", "The app cancelled its own task.")
        except Exception as error:
            failure = error
            if not self._left:
                logger.exception("The app failed%s.", " after its response" if self._answered else "")
        else:
            failure = Fault("Runtime.IncompleteResponse", "The app returned before it had completed its response.")
        if self._lost is not None:
            raise self._lost
        await self.fail(self._interruption or failure)

    def interrupt(self, reason: Fault) -> None:
        """Tell the app that its client is as good as gone. What it leaves undone fails for this reason."""
        self._interruption = reason
        self._disconnected.set()

    async def fail(self, error: BaseException) -> None:
        """End the invocation as failed, if it has not ended yet."""
        if self._answered:
            return
        self._over()
        document = Document(error, self._invocation.request_id)
        if self._stream is None:
            await self._client.post_error(self._invocation, document)
        else:
            await self._stream.fail(document)

    async def receive(self) -> asgi.Message:
        """The request, whole, and then `http.disconnect`; that first when the response has ended or is interrupted."""
        if self._request is not None and not self._disconnected.is_set():
            request, self._request = self._request, None
            return request
        await self._disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: asgi.Message) -> None:
        """Take one message of the response. Raises `OSError` when nobody takes it any more."""
        kind = message["type"]
        if kind == "http.response.start" and self._head is None:
            self._begin(message)
        elif kind == "http.response.body" and self._head is not None:
            await self._send_body(self._head, message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"the ASGI message {kind!r} is not expected here")

    def _begin(self, message: asgi.Message) -> None:
        status, headers = message["status"], [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
        head = prelude(status, headers)
        self._bodiless = self._bodiless or status in BODILESS
        lengths = [value for name, value in headers if name.lower() == b"content-length"]
        if lengths and not self._bodiless:
            self._missing = int(lengths[0])
        self._head = head

    async def _send_body(self, head: bytes, body: Buffer, more: bool) -> None:
        if self._answered:
            if self._bodiless and not more:
                return
            # An endless stream that was asked for its head alone would go on to the deadline, and be paid for.
            self._left = self._bodiless
            raise OSError("the response has ended")
        if self._bodiless:
            body, more = b"", False
        if type(body) is not bytes:
            body = memoryview(body).cast("B")  # a TypeError for what are no bytes, before anything is sent
        self._count(len(body), more)
        chunks: list[Buffer] = [body]
        if self._stream is None:
            self._stream = await self._client.respond(self._invocation)
            chunks = [head, body]
        try:
            if more:
                await self._stream.write(*chunks)
            else:
                self._over()
                await self._stream.end(*chunks)
        except OSError as error:
            self._lost, self._left = error, True
            self._over()
            self._client.close()
            raise

    def _count(self, sent: int, more: bool) -> None:
        """Hold the app to its Content-Length: a client that waits for the rest, or gets too much, sees no error."""
        if self._missing is None:
            return
        missing = self._missing - sent
        if missing < 0:
            raise RuntimeError("the response body is longer than its Content-Length")
        if missing and not more:
            raise RuntimeError(f"the response body ended {missing} bytes short of its Content-Length")
        self._missing = missing

    def _over(self) -> None:
        self._answered = True
        self._disconnected.set()
