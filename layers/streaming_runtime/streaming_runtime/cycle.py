"""One request through the app: ASGI's `receive` and `send` on one side, the invocation's response on the other.

Theory of operation
===================

Three parties move a response on, each when it likes: the app (by its messages, from any of its tasks, until it
returns or fails), the worker (which stops the app at the deadline and at SIGTERM) and Lambda (which takes the bytes,
or refuses them). `State` says how far the response is and `NEXT` is all that can happen: what the table does not have
is either the app's mistake (a `RuntimeError` in its `send`) or comes too late (an `OSError` there, as from a client
that has left).

Four rules keep it right:

1. Nothing is sent before the app's first body message, as ASGI demands. So until then (`UNBEGUN`, `HEADED`) a failure
   is a clean error; after it, it ends the stream with error trailers: what was cut off never looks whole.
2. A message is taken as a whole or not at all, though its task can be cancelled at any `await`. There is one moment
   at which it counts: when `_take` moves the state on, or `send` passes one more chunk on. Before it nothing was said.
   After it the bytes belong to the connection, which sends what a cancelled call has left before anything else.
3. `ENDING` is a state of its own because the last word can be said and not delivered: whoever is cancelled there
   leaves `fail` to deliver it, and not to add a failure to a response that is whole.
4. `OVER` is final, and every way leads to it: the worker sees to that, since a task that the app has left behind
   would else begin to respond on the connection of the next invocation.
"""

import asyncio
import logging
from collections.abc import Iterable
from enum import Enum, auto

from . import asgi
from .client import Client, Invocation, ResponseStream
from .connection import Buffer
from .errors import Document, Fault
from .prelude import prelude
from .scope import Request
from .settings import Prelude, Settings
from .whole import WholeResponse

logger = logging.getLogger(__name__)

# Statuses that never have a body (RFC 9110, 6.4.1).
BODILESS = frozenset({204, 304})
# Bytes of a head that a REST API takes from a stream:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
PRELUDE_LIMIT = 16 * 1024
# What an empty body is given where it must not stay empty: the least that no text is changed by.
FILLING = b"\n"


class State(Enum):
    """How far the response is."""

    __hash__ = object.__hash__  # that of Enum is made from the name each time, and each chunk asks the table

    UNBEGUN = auto()
    """The app has said nothing."""
    HEADED = auto()
    """Status and headers are known, and nothing is sent."""
    SENDING = auto()
    """A part of it is on its way."""
    ENDING = auto()
    """The last word is said, and not all of it delivered."""
    OVER = auto()
    """Lambda has all of it, or has told, or been told, that it gets no more."""


class Event(Enum):
    """What moves it on."""

    __hash__ = object.__hash__  # as above

    START = auto()
    """The app's `http.response.start`."""
    MORE = auto()
    """A body message with more to come."""
    LAST = auto()
    """The last body message."""
    FAILURE = auto()
    """The app failed, or was stopped."""
    DELIVERED = auto()
    """Lambda has accepted it, or the failure in its place."""
    LOST = auto()
    """Lambda takes no more."""


NEXT: dict[State, dict[Event, State]] = {
    State.UNBEGUN: {
        Event.START: State.HEADED,
        Event.FAILURE: State.UNBEGUN,
        Event.DELIVERED: State.OVER,
        Event.LOST: State.OVER,
    },
    State.HEADED: {
        Event.MORE: State.SENDING,
        Event.LAST: State.ENDING,
        Event.FAILURE: State.HEADED,
        Event.DELIVERED: State.OVER,
        Event.LOST: State.OVER,
    },
    State.SENDING: {
        Event.MORE: State.SENDING,
        Event.LAST: State.ENDING,
        Event.FAILURE: State.ENDING,
        Event.LOST: State.OVER,
    },
    State.ENDING: {Event.FAILURE: State.ENDING, Event.DELIVERED: State.OVER, Event.LOST: State.OVER},
    State.OVER: {Event.FAILURE: State.OVER, Event.LOST: State.OVER},
}


class Cycle:
    """Runs the app for one invocation, and sees to a response whatever the app does."""

    def __init__(self, client: Client, invocation: Invocation, request: Request, settings: Settings) -> None:
        self._client = client
        self._invocation = invocation
        self._request = request
        self._settings = settings
        self._state = State.UNBEGUN
        self._unread: asgi.Message | None = {"type": "http.request", "body": request.body, "more_body": False}
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._prelude = b""
        self._response: ResponseStream | WholeResponse | None = None
        self._bodiless = request.scope["method"] == "HEAD"
        # Bytes of the body still to come, where the app declared a Content-Length.
        self._missing: int | None = None
        # Apps may send from several tasks.
        self._sending = asyncio.Lock()
        # Why Lambda did not take the response, or not all of it.
        self._lost: OSError | None = None
        # Whether the app has been told, by an OSError, that nobody takes what it sends: how it ends then is no failure.
        self._told = False
        self._disconnected = asyncio.Event()
        self._interruption: Fault | None = None

    async def run(self, app: asgi.App) -> None:
        """Call the app. Raises `OSError` when Lambda takes no response, or not the one that it got (`ApiError`)."""
        failure: BaseException
        try:
            await app(self._request.scope, self.receive, self.send)
        except asyncio.CancelledError:
            failure = Fault("Runtime.Cancelled", "The app cancelled its own task.")
        except BaseException as error:  # a native extension's panic is no Exception, and must not cost the environment
            failure = error
            if not self._told:
                late = self._state in (State.ENDING, State.OVER)
                logger.exception("The app failed%s.", " after its response" if late else "")
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
        """See to the response's end: deliver what was ended already, by the app or by a call that was cancelled.

        What was not ended is ended as failed.
        """
        async with self._sending:
            before = self._state
            self._move(Event.FAILURE)
            if before is State.OVER:
                return
            document = Document(error, self._invocation.request_id)
            if self._response is None:
                await self._client.post_error(self._invocation, document)
            elif before is State.ENDING:
                await self._response.finish()
            else:
                await self._response.fail(document)
            self._end(Event.DELIVERED)

    def over(self) -> None:
        """Take nothing more: whatever is sent from here on raises an `OSError`."""
        self._end(Event.LOST)

    def _move(self, event: Event) -> None:
        self._state = NEXT[self._state][event]

    def _end(self, event: Event) -> None:
        self._move(event)
        self._disconnected.set()

    async def receive(self) -> asgi.Message:
        """The request, whole, and then `http.disconnect`; that first when the response has ended or is interrupted."""
        if self._unread is not None and not self._disconnected.is_set():
            request, self._unread = self._unread, None
            return request
        await self._disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: asgi.Message) -> None:
        """Take one message of the response. Raises `OSError` when nobody takes it any more."""
        response = self._open_to(message)
        if response is not None:
            try:
                if not response.pass_on(message["body"]):
                    async with self._sending:
                        await response.flush()
            except OSError as error:
                self._lose(error)
                raise
            return
        kind = message["type"]
        async with self._sending:
            if kind == "http.response.body" and self._state is not State.UNBEGUN:
                event = Event.MORE if message.get("more_body", False) else Event.LAST
                await self._send_body(event, message.get("body", b""))
            elif kind == "http.response.start" and self._state is State.UNBEGUN:
                self._begin(message["status"], message.get("headers", ()))
            elif kind == "http.response.start" and self._state is State.OVER and not self._status:
                raise OSError("the response has ended")  # without a word of the app's
            else:
                raise RuntimeError(f"the ASGI message {kind!r} is not expected here")

    def _open_to(self, message: asgi.Message) -> ResponseStream | WholeResponse | None:
        """The response, if the message is one more chunk that can go out without the lock: nearly every one is."""
        body, response = message.get("body"), self._response
        if (
            self._state is not State.SENDING
            or response is None
            or type(body) is not bytes
            or not body
            or self._missing is not None
            or message["type"] != "http.response.body"
            or not message.get("more_body", False)
            or self._sending.locked()
            or response.unsent
        ):
            return None
        return response

    def _begin(self, status: int, given: Iterable[tuple[bytes, bytes]]) -> None:
        headers = [(bytes(name), bytes(value)) for name, value in given]
        head = prelude(status, headers)  # what HTTP forbids is found here, and not when the stream begins
        if len(head) > PRELUDE_LIMIT:
            logger.warning("The head of the response has %s bytes; REST APIs take %s.", len(head), PRELUDE_LIMIT)
        self._status, self._headers, self._prelude = status, headers, head
        self._bodiless = self._bodiless or status in BODILESS
        lengths = [value for name, value in headers if name.lower() == b"content-length"]
        if lengths and not self._bodiless:
            self._missing = int(lengths[0])
        self._move(Event.START)

    async def _send_body(self, event: Event, body: Buffer) -> None:
        if event not in NEXT[self._state]:
            if self._bodiless and event is Event.LAST:
                return
            # An endless stream that was asked for its head alone would go on to the deadline, and be paid for.
            self._told = self._bodiless
            raise OSError("the response has ended")
        if self._bodiless:
            body, event = b"", Event.LAST
        if type(body) is not bytes:
            body = memoryview(body).cast("B")  # a TypeError for what are no bytes, before anything is sent
        missing = None if self._missing is None else self._missing_after(self._missing, len(body), event)
        try:
            await self._take(event, body, missing)
        except OSError as error:
            self._lose(error)
            raise

    def _lose(self, error: OSError) -> None:
        self._lost, self._told = error, True
        self.over()
        self._client.close()

    async def _take(self, event: Event, body: Buffer, missing: int | None) -> None:
        response, head = self._response, b""
        begins = response is None
        if response is not None:
            if response.unsent:
                await response.flush()
        elif pack := self._request.pack:
            response = WholeResponse(self._client, self._invocation, pack, self._status, self._headers)
        else:
            response = await self._client.respond(self._invocation)
            head, body = self._filled(event, body)
        # Up to here the app may be cancelled and nothing was said. From here on the message counts.
        self._response, self._missing = response, missing
        self._move(event)
        chunks: tuple[Buffer, ...] = (head, body) if head else (body,)
        if begins and self._apart(event):
            await response.begin(head, body)
            chunks = ()
        if event is Event.LAST:
            await response.end(*chunks)
            # Not before the end is delivered: an app may end its own sending as soon as it hears that its client left.
            self._end(Event.DELIVERED)
        elif chunks:
            await response.write(*chunks)

    def _filled(self, event: Event, body: Buffer) -> tuple[bytes, Buffer]:
        """The head and the first bytes, of which there are some where the settings want them."""
        if self._settings.fill_empty and event is Event.LAST and not body and not self._bodiless:
            headers = [(name, value) for name, value in self._headers if name.lower() != b"content-length"]
            return prelude(self._status, headers), FILLING
        return self._prelude, body

    def _apart(self, event: Event) -> bool:
        """Whether the head goes out before the first bytes."""
        may_go_on = event is Event.MORE and self._missing is None
        return self._settings.prelude is Prelude.ALWAYS or (self._settings.prelude is Prelude.STREAMS and may_go_on)

    @staticmethod
    def _missing_after(missing: int, sent: int, event: Event) -> int:
        """Hold the app to its Content-Length: a client that waits for the rest, or gets too much, sees no error."""
        missing -= sent
        if missing < 0:
            raise RuntimeError("the response body is longer than its Content-Length")
        if missing and event is Event.LAST:
            raise RuntimeError(f"the response body ended {missing} bytes short of its Content-Length")
        return missing
