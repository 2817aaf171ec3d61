"""An HTTP API, which buffers: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api.html"""

import asyncio
import time
from dataclasses import dataclass

from local.door import FAILURES, Door, HeadTooLarge, Send, TooLarge, TooManyRequests, error_answer
from local.environments import Throttled
from local.payload import Answer, MalformedRequest, Request, event
from local.rates import TokenBucket

# Seconds that an HTTP API waits for its function; https://docs.aws.amazon.com/apigateway/latest/developerguide/http-
# api-quotas.html
HTTP_API_TIMEOUT_S = 30

# Bytes of a request line and of the values of the headers, from the same page.
HEAD_LIMIT = 10240


@dataclass(frozen=True)
class HttpApi(Door):
    """An HTTP API whose only route is `$default`; `throttle` is that of its stage."""

    throttle: TokenBucket | None = None

    preflight_status = 204
    default_type = "text/plain; charset=utf-8"
    id_header = b"apigw-requestid"

    def admit(self, request: Request) -> Request:
        if request.head_size > HEAD_LIMIT:
            raise HeadTooLarge(f"its request line and headers have {request.head_size} bytes, of {HEAD_LIMIT}")
        admitted = super().admit(request)
        if self.throttle is not None and not self.throttle.take(time.monotonic()):
            raise TooManyRequests(f"its stage lets {self.throttle.rate:g} requests a second through")
        return admitted

    def event(self, request: Request) -> bytes:
        return event(request, api_id=self.name.lower(), decoded_path=True)

    def failure(self, error: Exception) -> Answer:
        match error:
            case MalformedRequest():
                return error_answer(400, "Bad Request")
            case TooManyRequests():
                return error_answer(429, "Too Many Requests")
            case HeadTooLarge():
                return error_answer(431, "Request Header Fields Too Large")
            case TooLarge():
                return error_answer(413, "Request Entity Too Large")
            case Throttled() | TimeoutError():
                return error_answer(503, "Service Unavailable")
        return error_answer(500, "Internal Server Error")

    async def serve(self, request: Request, message: bytes, send: Send) -> None:
        work = asyncio.create_task(self.buffered(message))
        done, _ = await asyncio.wait({work}, timeout=HTTP_API_TIMEOUT_S)
        if not done:  # the function runs on, and nobody hears of it
            work.add_done_callback(lambda task: task.cancelled() or task.exception())
            await self.fail(send, request, TimeoutError(f"an HTTP API waits {HTTP_API_TIMEOUT_S} s and no longer"))
            return
        try:
            given = work.result()
        except FAILURES as error:
            await self.fail(send, request, error)
        else:
            await self.reply(send, request, given)
