"""An HTTP API, which buffers: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api.html"""

import time
from dataclasses import dataclass, field
from urllib.parse import unquote

from local import payload_v1
from local.asgi import Send
from local.door import Door, HeadTooLarge, TooLarge, TooManyRequests, Unrouted, error_answer
from local.environments import Throttled
from local.payload import Answer, MalformedRequest, Request, event, is_text
from local.rates import TokenBucket
from local.router import Stage
from local.routes import CATCH_ALL, Route

# Seconds that an HTTP API waits for its function at most; https://docs.aws.amazon.com/apigateway/latest/developerguide/
# http-api-quotas.html
HTTP_API_TIMEOUT_S = 30

# Bytes of a request line and of the values of the headers, from the same page.
HEAD_LIMIT = 10240


@dataclass(frozen=True)
class HttpApi(Door):
    """One route of an HTTP API. `payload_format` is 2.0, or 1.0 as of a REST API; `throttle` is that of its stage."""

    stage: Stage = field(default_factory=Stage)
    route: Route = CATCH_ALL
    payload_format: str = "2.0"
    timeout: float = HTTP_API_TIMEOUT_S  # seconds
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
        path = request.path.decode("latin-1")
        found = {name: unquote(value) for name, value in (self.route.variables(self.stage.inside(path)) or {}).items()}
        if self.payload_format == payload_v1.VERSION:
            return payload_v1.event(
                request,
                api_id=self.name.lower(),
                path=unquote(path),
                resource=self.route.path,
                stage=self.stage,
                path_parameters=found,
                binary=not is_text(request.header(b"content-type"), request.body),
                version=payload_v1.VERSION,
            )
        return event(
            request,
            api_id=self.name.lower(),
            decoded_path=True,
            route=self.route.key,
            stage=self.stage.name,
            path_parameters=found,
            stage_variables=self.stage.variables,
        )

    def answer(self, request: Request, payload: bytes) -> Answer:
        if self.payload_format == payload_v1.VERSION:
            return payload_v1.answer(payload, default_type=self.default_type, decoded=True)
        return super().answer(request, payload)

    def failure(self, error: Exception) -> Answer:  # noqa: PLR0911  one for each
        match error:
            case Unrouted():
                return error_answer(404, "Not Found")
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
        await self.serve_in_time(request, message, send, self.timeout)
