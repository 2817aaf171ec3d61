"""What the doors to functions have in common: a request becomes an event, the function's answer becomes the response.

They tell failures as AWS does, and why on stderr. A client that leaves early does not stop the function, as on Lambda:
the rest of its answer is read and thrown away. A failure in the middle of an answer breaks the connection, because its
status has long been sent.
"""

import asyncio
import json
from collections.abc import Coroutine, MutableMapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

from local.asgi import Message, Receive, Send
from local.cors import Cors
from local.environments import Throttled, TimedOut, reason
from local.payload import Answer, Headers, MalformedAnswer, MalformedRequest, Request, answer, requested
from local.runtime_api import EnvironmentGone, FunctionError, Response
from local.terminal import say

# Bytes of an event, and of a buffered answer; https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
EVENT_LIMIT = 6 * 1024 * 1024
BUFFERED_LIMIT = 6 * 1024 * 1024

# Statuses whose answers have no body.
BODILESS = {204, 304}


class TooLarge(Exception):
    """A request of more bytes than Lambda takes."""


class HeadTooLarge(Exception):
    """A request line and headers of more bytes than a gateway takes."""


class TooManyRequests(Exception):
    """More requests than the stage of an API lets through."""


class Broken(Exception):
    """An answer that cannot be completed: the server closes the connection, so that the client sees it is not whole."""


class Unrouted(Exception):
    """A request that no route of an API takes."""


class Unstaged(Unrouted):
    """A request to no stage of an API."""


class Invoker(Protocol):
    """What runs a function on an event: a pool of its environments."""

    async def invoke(self, event: bytes) -> Response: ...


REFUSALS = (HeadTooLarge, MalformedRequest, TooManyRequests)
FAILURES = (EnvironmentGone, FunctionError, MalformedAnswer, OSError, Throttled, TimedOut, Unrouted)


@dataclass(frozen=True)
class Door:
    """An ASGI application before one function. `name` is the logical id of the resource whose part it plays."""

    name: str
    pool: Invoker
    cors: Cors

    preflight_status: ClassVar[int]
    default_type: ClassVar[str]
    id_header: ClassVar[bytes]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        request, whole = await _read(scope, receive)
        try:
            request = self.admit(request)
        except REFUSALS as error:
            await self.fail(send, request, error)
            return
        preflight = self.cors.preflight(request)
        if preflight is not None:
            await _send(send, request, Answer(self.preflight_status, preflight))
            return
        message = self.event(request)
        if not whole or len(message) > EVENT_LIMIT:
            await self.fail(send, request, TooLarge(f"the event is larger than {EVENT_LIMIT} bytes"))
            return
        await self.serve(request, message, send)

    def admit(self, request: Request) -> Request:
        """The request as a function may see it. Raises one of `REFUSALS`."""
        path, headers = requested(request.path, request.headers)
        return replace(request, path=path, headers=headers)

    def event(self, request: Request) -> bytes:
        raise NotImplementedError

    def failure(self, error: Exception) -> Answer:
        """What AWS answers to a failure."""
        raise NotImplementedError

    async def serve(self, request: Request, message: bytes, send: Send) -> None:
        raise NotImplementedError

    async def serve_in_time(self, request: Request, message: bytes, send: Send, seconds: float) -> None:
        """Answer with the whole of what the function says, or with a failure when that comes too late."""
        try:
            given = await in_time(self.buffered(request, message), seconds)
        except FAILURES as error:
            await self.fail(send, request, error)
        else:
            await self.reply(send, request, given)

    async def buffered(self, request: Request, message: bytes) -> Answer:
        return self.answer(request, await _collect(await self.pool.invoke(message)))

    def answer(self, request: Request, payload: bytes) -> Answer:  # noqa: ARG002  a REST API asks the request
        """What a function's buffered answer says. Raises `MalformedAnswer`."""
        return answer(payload, default_type=self.default_type)

    async def reply(self, send: Send, request: Request, given: Answer) -> None:
        await _send(send, request, Answer(given.status, self.headers(request, given.headers), given.body))

    async def fail(self, send: Send, request: Request, error: Exception) -> None:
        told = self.failure(error)
        say(self.name, f"{request.method} {request.path.decode('latin-1')} -> {told.status}: {reason(error)}")
        await self.reply(send, request, told)

    def headers(self, request: Request, given: Headers) -> Headers:
        return [*self.cors.apply(request, given), (self.id_header, request.id.encode())]


async def in_time(work: Coroutine[Any, Any, Answer], seconds: float) -> Answer:
    """What `work` gives. Raises `TimeoutError` when it is late: the function runs on, and nobody hears of it."""
    task = asyncio.create_task(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.add_done_callback(lambda late: late.cancelled() or late.exception())
        raise TimeoutError(f"its API waits {seconds:g} s and no longer")
    return task.result()


async def _read(scope: MutableMapping[str, Any], receive: Receive) -> tuple[Request, bool]:
    """The request, and whether its body is whole. One that is too large is read to its end, or nobody hears why."""
    body, whole, more = bytearray(), True, True
    while more:
        part = await receive()
        if part["type"] == "http.disconnect":
            raise Broken("the client left before its request was whole")
        more = part.get("more_body", False)
        whole = whole and len(body) + len(part.get("body", b"")) <= EVENT_LIMIT
        if whole:
            body += part.get("body", b"")
    client = scope["client"]
    request = Request(
        method=scope["method"],
        path=scope["raw_path"],
        query=scope["query_string"],
        headers=[(bytes(name), bytes(value)) for name, value in scope["headers"]],
        body=bytes(body),
        client=client[0] if client else "",
        protocol=f"HTTP/{scope['http_version']}",
    )
    return request, whole


async def _collect(response: Response) -> bytes:
    payload = bytearray()
    try:
        async for piece in response:
            payload += piece
            if len(payload) > BUFFERED_LIMIT:
                raise MalformedAnswer(f"it is larger than {BUFFERED_LIMIT} bytes")
    finally:
        response.discard()
    return bytes(payload)


async def _send(send: Send, request: Request, given: Answer) -> None:
    body = b"" if given.status in BODILESS else given.body
    headers = [(name, value) for name, value in given.headers if name != b"content-length"]
    told = next((value for name, value in given.headers if name == b"content-length"), None)
    if request.method == "HEAD" and told is not None:  # what a GET would have sent
        headers.append((b"content-length", told))
    elif given.status not in BODILESS:
        headers.append((b"content-length", str(len(body)).encode()))
    await send(start(Answer(given.status, headers)))
    await send({"type": "http.response.body", "body": body, "more_body": False})


def start(given: Answer) -> Message:
    return {"type": "http.response.start", "status": given.status, "headers": given.headers}


def error_answer(status: int, text: str) -> Answer:
    return Answer(status, [(b"content-type", b"application/json")], json.dumps({"message": text}).encode())
