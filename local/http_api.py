"""An HTTP API, which buffers: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api.html"""

import asyncio

from local.door import FAILURES, Door, Send, TooLarge, error_answer
from local.environments import Throttled
from local.payload import Answer, Request, event

# Seconds that an HTTP API waits for its function; https://docs.aws.amazon.com/apigateway/latest/developerguide/http-
# api-quotas.html
HTTP_API_TIMEOUT_S = 30


class HttpApi(Door):
    """An HTTP API whose only route is `$default`."""

    preflight_status = 204
    default_type = "text/plain; charset=utf-8"
    id_header = b"apigw-requestid"

    def event(self, request: Request) -> bytes:
        return event(request, api_id=self.name.lower(), decoded_path=True)

    def failure(self, error: Exception) -> Answer:
        match error:
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
