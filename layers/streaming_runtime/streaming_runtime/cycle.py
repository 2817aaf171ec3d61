"""One request through the app: ASGI's `receive` and `send` on one side, a streamed response on the other."""

import asyncio
import logging
from enum import Enum, auto

from . import asgi
from .client import Client, Invocation, ResponseStream
from .connection import Buffer
from .errors import Document, Fault
from .prelude import prelude

logger = logging.getLogger(__name__)

# Statuses that never have a body (RFC 9110, 6.4.1).
BODILESS = frozenset({204, 304})


class Answer(Enum):
    """How far the invocation's answer is."""

    OPEN = auto()
    """The app may still send; until then a failure of it can be told."""
    ENDING = auto()
    """The app has said its last word, and not all of it is delivered."""
    OVER = auto()
    """Lambda has all of it, or has told, or been told, that it gets no more."""


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
        self._answer = Answer.OPEN
        self._head: bytes | None = None
        self._stream: ResponseStream | None = None
        self._bodiless = scope["method"] == "HEAD"
        # Bytes of the body still to come, where the app declared a Content-Length.
        self._missing: int | None = None
        # Apps may send from several tasks; a message is taken as a whole or not at all.
        self._sending = asyncio.Lock()
        # Why Lambda did not take the response, or not all of it.
        self._lost: OSError | None = None
        # Whether the app has been told, by an OSError, that nobody takes what it sends: how it ends then is no failure.
        self._left = False
        self._disconnected = asyncio.Event()
        self._interruption: Fault | None = None

    async def run(self, app: asgi.App) -> None:
        """Call the app. Raises `OSError` when Lambda takes no answer, or not the one that it got (`ApiError`)."""
        failure: BaseException
        try:
            await app(self._scope, self.receive, self.send)
        except asyncio.CancelledError:
            failure = Fault("Runtime.Cancelled", "The app cancelled its own task.")
        except BaseException as error:  # a native extension's panic is no Exception, and must not cost the environment
            failure = error
            if not self._left:
                logger.exception("The app failed%s.", "" if self._answer is Answer.OPEN else " after its response")
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
        """See to the answer's end: deliver what was ended already, by the app or by a call that was cancelled, and end
        as failed what was not."""
        async with self._sending:
            if self._answer is Answer.OVER:
                return
            if self._stream is None:
                await self._client.post_error(self._invocation, self._document(error))
            elif self._answer is Answer.ENDING:
                await self._stream.finish()
            else:
                self._answer = Answer.ENDING
                await self._stream.fail(self._document(error))
            self.over()

    def _document(self, error: BaseException) -> Document:
        return Document(error, self._invocation.request_id)

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
        async with self._sending:
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
        if self._answer is not Answer.OPEN:
            if self._bodiless and not more:
                return
            # An endless stream that was asked for its head alone would go on to the deadline, and be paid for.
            self._left = self._bodiless
            raise OSError("the response has ended")
        if self._bodiless:
            body, more = b"", False
        if type(body) is not bytes:
            body = memoryview(body).cast("B")  # a TypeError for what are no bytes, before anything is sent
        missing = self._missing_after(len(body), more)
        try:
            await self._write(head, body, more, missing)
        except OSError as error:
            self._lost, self._left = error, True
            self.over()
            self._client.close()
            raise

    async def _write(self, head: bytes, body: Buffer, more: bool, missing: int | None) -> None:
        begins = self._stream is None
        if self._stream is None:
            stream = await self._client.respond(self._invocation)
            chunks: tuple[Buffer, ...] = (head, body)
        else:
            stream, chunks = self._stream, (body,)
            await stream.flush()
        # Up to here the app may be cancelled and nothing was said. From here on the message counts.
        self._stream, self._missing = stream, missing
        if more and begins and missing is None:  # it may go on for long
            await stream.begin(head, body)
        elif more:
            await stream.write(*chunks)
        else:
            self._answer = Answer.ENDING
            await stream.end(*chunks)
            # Not before the end is delivered: an app may end its own sending as soon as it hears that its client left.
            self.over()

    def _missing_after(self, sent: int, more: bool) -> int | None:
        """Hold the app to its Content-Length: a client that waits for the rest, or gets too much, sees no error."""
        if self._missing is None:
            return None
        missing = self._missing - sent
        if missing < 0:
            raise RuntimeError("the response body is longer than its Content-Length")
        if missing and not more:
            raise RuntimeError(f"the response body ended {missing} bytes short of its Content-Length")
        return missing

    def over(self) -> None:
        """Take nothing more: whatever is sent from here on raises an `OSError`."""
        self._answer = Answer.OVER
        self._disconnected.set()
