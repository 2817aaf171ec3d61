"""A REST API, which streams where an integration says so: https://docs.aws.amazon.com/apigateway/latest/developerguide/
response-transfer-mode-lambda.html"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from local import payload_v1
from local.asgi import Send
from local.door import TooLarge, Unrouted, Unstaged, error_answer
from local.function_url import FunctionUrl, parted
from local.payload import Answer, MalformedAnswer, MalformedRequest, Request
from local.router import Stage
from local.routes import CATCH_ALL, Route
from local.runtime_api import STREAMED_PRELUDE_TYPE, Response

# Seconds that a REST API waits for its function unless its integration says less; https://docs.aws.amazon.com/
# apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
REST_API_TIMEOUT_S = 29

# Bytes within which a streamed answer has to end its prelude, from the page above.
PRELUDE_LIMIT = 16 * 1024


@dataclass(frozen=True)
class RestApi(FunctionUrl):
    """One route of a REST API. Bodies of its `binary` media types are base64 in events, and decoded in answers."""

    stage: Stage = field(default_factory=Stage)
    route: Route = CATCH_ALL
    binary: tuple[str, ...] = ()
    timeout: float = REST_API_TIMEOUT_S  # seconds

    def event(self, request: Request) -> bytes:
        path = self.stage.inside(request.path.decode("latin-1"))
        return payload_v1.event(
            request,
            api_id=self.name.lower(),
            path=path,
            resource=self.route.path,
            stage=self.stage,
            # Unlike an HTTP API, a REST API leaves them as they were sent.
            path_parameters=self.route.variables(path.rstrip("/") or "/") or {},
            binary=self._is_binary(request.header(b"content-type")),
        )

    def answer(self, request: Request, payload: bytes) -> Answer:
        accepted = request.header(b"accept").partition(",")[0]
        return payload_v1.answer(payload, default_type=self.default_type, decoded=self._is_binary(accepted))

    def failure(self, error: Exception) -> Answer:
        match error:
            case MalformedRequest():
                return error_answer(400, "Bad Request")
            case Unstaged():
                return _typed(403, "Forbidden", b"ForbiddenException")
            case Unrouted():
                return _typed(403, "Missing Authentication Token", b"MissingAuthenticationTokenException")
            case TooLarge():
                return _typed(413, "Request Too Long", b"RequestTooLargeException")
            case TimeoutError():
                return error_answer(504, "Endpoint request timed out")
        return _typed(502, "Internal server error", b"InternalServerErrorException")

    async def serve(self, request: Request, message: bytes, send: Send) -> None:
        if self.streaming:
            await super().serve(request, message, send)
            return
        await self.serve_in_time(request, message, send, self.timeout)

    async def begin(self, response: Response, pieces: AsyncIterator[bytes]) -> tuple[Answer, bytes]:
        """As of a Function URL, but that an answer without a prelude is none."""
        if response.content_type != STREAMED_PRELUDE_TYPE:
            raise MalformedAnswer("it does not begin with a prelude, as a function that streams to a REST API must")
        head, first = await parted(pieces, PRELUDE_LIMIT)
        return payload_v1.prelude(head, self.default_type), first

    def _is_binary(self, media_type: str) -> bool:
        kind = media_type.partition(";")[0].strip().lower()
        return any(pattern == "*/*" or (kind and fnmatchcase(kind, pattern.lower())) for pattern in self.binary)


@dataclass(frozen=True)
class Mock(RestApi):
    """A route with a mock integration, which answers by itself: SAM makes them for preflights."""

    given: Answer = field(default_factory=lambda: Answer(200, []))

    async def serve(self, request: Request, message: bytes, send: Send) -> None:  # noqa: ARG002
        await self.reply(send, request, self.given)


def _typed(status: int, text: str, kind: bytes) -> Answer:
    told = error_answer(status, text)
    return Answer(told.status, [*told.headers, (b"x-amzn-errortype", kind)], told.body)
