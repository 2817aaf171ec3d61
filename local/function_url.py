"""A Function URL, which streams if its function does: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from local.asgi import Receive, Send
from local.distributions import SIGNED_BY
from local.door import BODILESS, EVENT_LIMIT, FAILURES, Broken, Door, TooLarge, error_answer, start
from local.environments import Throttled, reason
from local.harshness import Harshness
from local.payload import PRELUDE_END, Answer, Headers, MalformedAnswer, MalformedRequest, Request, event, prelude
from local.rates import Pace
from local.runtime_api import STREAMED_PRELUDE_TYPE, Response
from local.terminal import say

# Bytes of a streamed answer; https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
STREAMED_LIMIT = 200 * 1024 * 1024

# Bytes of a streamed answer that come at full speed;
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
BURST = 6 * 1024 * 1024

# What a stream calls a header that its function gave: the body is chunked, whatever its length.
# https://github.com/cargo-lambda/cargo-lambda/issues/862
REMAPPED = {b"content-length": b"x-amzn-remapped-content-length"}

# Bytes of a prelude: more than any client takes as headers.
PRELUDE_LIMIT = 64 * 1024


@dataclass(frozen=True)
class FunctionUrl(Door):
    """A Function URL, whose answers stream when `streaming` (InvokeMode RESPONSE_STREAM).

    `callers` are the distributions whose signed requests it takes (AuthType AWS_IAM); None is everybody (NONE). It lets
    nobody else in, whatever keys a request is signed with.
    """

    streaming: bool = False
    harshness: Harshness = field(default_factory=Harshness)
    callers: frozenset[str] | None = None

    preflight_status = 200
    default_type = "application/json"
    id_header = b"x-amzn-requestid"

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if self.callers is not None and scope.get(SIGNED_BY) not in self.callers:
            body = b'{"Message":"Forbidden"}'
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"x-amzn-errortype", b"AccessDeniedException"),
            ]
            await send(start(Answer(403, headers)))
            await send({"type": "http.response.body", "body": body, "more_body": False})
            return
        await super().__call__(scope, receive, send)

    def event(self, request: Request) -> bytes:
        return event(request, api_id=self.name.lower(), decoded_path=False)

    def failure(self, error: Exception) -> Answer:
        match error:
            case MalformedRequest():
                return error_answer(400, "Bad Request")
            case TooLarge():
                limit = f"Request must be smaller than {EVENT_LIMIT} bytes for the InvokeFunction operation"
                return error_answer(413, limit)
            case Throttled():
                body = {"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded."}
                return Answer(429, [(b"content-type", b"application/json")], json.dumps(body).encode())
        return Answer(502, [(b"content-type", b"application/json")], b"Internal Server Error")

    async def serve(self, request: Request, message: bytes, send: Send) -> None:
        try:
            if self.streaming:
                await self._stream(request, message, send)
            else:
                await self.reply(send, request, await self.buffered(request, message))
        except FAILURES as error:
            await self.fail(send, request, error)

    def headers(self, request: Request, given: Headers) -> Headers:
        return [*super().headers(request, given), (b"x-amzn-trace-id", request.trace_id.encode("latin-1"))]

    async def _stream(self, request: Request, message: bytes, send: Send) -> None:
        response = await self.pool.invoke(message)
        pieces = aiter(response)
        try:
            head, first = await self.begin(response, pieces)
            pieces = _with_first(first, pieces)
            if first and self.harshness.stream_holds_prelude:
                pieces = await _held_back(pieces)
            headers = self.headers(request, head.headers)
            if self.harshness.stream_remaps_length:
                headers = [(REMAPPED.get(name, name), value) for name, value in headers]
            await send(start(Answer(head.status, headers)))
            sent = await self._pass_on(request, head, pieces, send)
        finally:
            response.discard()
        if not sent and self.harshness.stream_linger_s and ends_by_its_body(request, head.status):
            await asyncio.sleep(self.harshness.stream_linger_s)
            raise Broken("an answer without a body")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def begin(self, response: Response, pieces: AsyncIterator[bytes]) -> tuple[Answer, bytes]:
        """What a streamed answer says before its body, and the part of the body that came along."""
        if response.content_type != STREAMED_PRELUDE_TYPE:
            # Without a prelude a streaming Function URL passes the bytes on, be it the JSON of a handler that does not
            # stream.
            return Answer(200, [(b"content-type", response.content_type.encode("latin-1"))]), b""
        head, first = await parted(pieces, PRELUDE_LIMIT)
        return prelude(head), first

    async def _pass_on(self, request: Request, head: Answer, pieces: AsyncIterator[bytes], send: Send) -> int:
        """How many bytes the body had."""
        sent = 0
        rate = self.harshness.stream_bytes_per_s
        pace = Pace(rate, BURST) if rate else None
        try:
            async for piece in pieces:
                sent += len(piece)
                if sent > STREAMED_LIMIT:
                    raise MalformedAnswer(f"it is larger than {STREAMED_LIMIT} bytes")
                if pace is not None and (delay := pace.delay(len(piece), time.monotonic())):
                    await asyncio.sleep(delay)
                if head.status not in BODILESS:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except FAILURES as error:
            where = f"{request.method} {request.path.decode('latin-1')}"
            say(self.name, f"{where} broken off after {sent} bytes: {reason(error)}")
            if isinstance(error, MalformedAnswer) or not self.harshness.stream_hides_failures:
                raise Broken(where) from error
        return sent


def ends_by_its_body(request: Request, status: int) -> bool:
    """Whether the client waits for the end of the body, which other answers do not have."""
    return request.method != "HEAD" and status not in BODILESS


async def parted(pieces: AsyncIterator[bytes], limit: int) -> tuple[bytes, bytes]:
    """The prelude of a streamed answer, of no more than `limit` bytes, and the part of the body that came along."""
    head = bytearray()
    async for piece in pieces:
        head += piece
        end = head.find(PRELUDE_END)
        if end >= 0:
            return bytes(head[:end]), bytes(head[end + len(PRELUDE_END) :])
        if len(head) > limit:
            break
    raise MalformedAnswer(f"no prelude within its first {len(head)} bytes")


async def _with_first(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for piece in pieces:
        yield piece


async def _held_back(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same, all of it at once when it has ended."""
    held = [piece async for piece in pieces]

    async def released() -> AsyncIterator[bytes]:
        for piece in held:
            yield piece

    return released()
