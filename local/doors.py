"""The doors to the functions: an HTTP API and a Function URL. A request becomes an event, the function's answer becomes
the response.

Both tell failures as AWS does, and why on stderr. A client that leaves early does not stop the function, as on Lambda:
the rest of its answer is read and thrown away. A failure in the middle of an answer breaks the connection, because its
status has long been sent.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, ClassVar

from local.cors import Cors
from local.environments import Pool, Throttled, TimedOut, reason, say
from local.functions import named
from local.payload import PRELUDE_END, Answer, Headers, MalformedAnswer, Request, answer, event, prelude
from local.runtime_api import STREAMED_PRELUDE_TYPE, EnvironmentGone, FunctionError, Response
from local.template import Resolver, Template, TemplateError

# The types of the resources that a door is made for.
KINDS = ("AWS::ApiGatewayV2::Api", "AWS::Lambda::Url")

# Bytes of an event, and of a buffered answer; https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
EVENT_LIMIT = 6 * 1024 * 1024
BUFFERED_LIMIT = 6 * 1024 * 1024

# Bytes of a streamed answer, from the same page.
STREAMED_LIMIT = 200 * 1024 * 1024

# Bytes of a prelude: more than any client takes as headers.
PRELUDE_LIMIT = 64 * 1024

# Seconds that an HTTP API waits for its function; https://docs.aws.amazon.com/apigateway/latest/developerguide/http-
# api-quotas.html
HTTP_API_TIMEOUT_S = 30

# Statuses whose answers have no body.
_BODILESS = {204, 304}

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class TooLarge(Exception):
    """A request of more bytes than Lambda takes."""


class Broken(Exception):
    """An answer that cannot be completed: the server closes the connection, so that the client sees it is not whole."""


_FAILURES = (EnvironmentGone, FunctionError, MalformedAnswer, OSError, Throttled, TimedOut)


@dataclass(frozen=True)
class Door:
    """An ASGI application before one function. `name` is the logical id of the resource whose part it plays."""

    name: str
    pool: Pool
    cors: Cors

    preflight_status: ClassVar[int]
    default_type: ClassVar[str]
    id_header: ClassVar[bytes]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        request, whole = await _read(scope, receive)
        preflight = self.cors.preflight(request)
        if preflight is not None:
            await _send(send, request, Answer(self.preflight_status, preflight))
            return
        message = self.event(request)
        if not whole or len(message) > EVENT_LIMIT:
            await self.fail(send, request, TooLarge(f"the event is larger than {EVENT_LIMIT} bytes"))
            return
        await self.serve(request, message, send)

    def event(self, request: Request) -> bytes:
        raise NotImplementedError

    def failure(self, error: Exception) -> Answer:
        """What AWS answers to a failure."""
        raise NotImplementedError

    async def serve(self, request: Request, message: bytes, send: Send) -> None:
        raise NotImplementedError

    async def buffered(self, message: bytes) -> Answer:
        payload = await _collect(await self.pool.invoke(message))
        return answer(payload, default_type=self.default_type)

    async def reply(self, send: Send, request: Request, given: Answer) -> None:
        await _send(send, request, Answer(given.status, self.headers(request, given.headers), given.body))

    async def fail(self, send: Send, request: Request, error: Exception) -> None:
        told = self.failure(error)
        say(self.name, f"{request.method} {request.path.decode('latin-1')} -> {told.status}: {reason(error)}")
        await self.reply(send, request, told)

    def headers(self, request: Request, given: Headers) -> Headers:
        return [*self.cors.apply(request, given), (self.id_header, request.id.encode())]


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
                return _message(413, "Request Entity Too Large")
            case Throttled() | TimeoutError():
                return _message(503, "Service Unavailable")
        return _message(500, "Internal Server Error")

    async def serve(self, request: Request, message: bytes, send: Send) -> None:
        work = asyncio.create_task(self.buffered(message))
        done, _ = await asyncio.wait({work}, timeout=HTTP_API_TIMEOUT_S)
        if not done:  # the function runs on, and nobody hears of it
            work.add_done_callback(lambda task: task.cancelled() or task.exception())
            await self.fail(send, request, TimeoutError(f"an HTTP API waits {HTTP_API_TIMEOUT_S} s and no longer"))
            return
        try:
            given = work.result()
        except _FAILURES as error:
            await self.fail(send, request, error)
        else:
            await self.reply(send, request, given)


@dataclass(frozen=True)
class FunctionUrl(Door):
    """A Function URL, whose answers stream when `streaming` (InvokeMode RESPONSE_STREAM)."""

    streaming: bool = False

    preflight_status = 200
    default_type = "application/json"
    id_header = b"x-amzn-requestid"

    def event(self, request: Request) -> bytes:
        return event(request, api_id=self.name.lower(), decoded_path=False)

    def failure(self, error: Exception) -> Answer:
        match error:
            case TooLarge():
                limit = f"Request must be smaller than {EVENT_LIMIT} bytes for the InvokeFunction operation"
                return _message(413, limit)
            case Throttled():
                body = {"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded."}
                return Answer(429, [(b"content-type", b"application/json")], json.dumps(body).encode())
        return Answer(502, [(b"content-type", b"application/json")], b"Internal Server Error")

    async def serve(self, request: Request, message: bytes, send: Send) -> None:
        try:
            if self.streaming:
                await self._stream(request, message, send)
            else:
                await self.reply(send, request, await self.buffered(message))
        except _FAILURES as error:
            await self.fail(send, request, error)

    async def _stream(self, request: Request, message: bytes, send: Send) -> None:
        response = await self.pool.invoke(message)
        pieces = aiter(response)
        try:
            start, first = await _begin(response, pieces)
            await send(_start(Answer(start.status, self.headers(request, start.headers))))
            await self._pass_on(request, start, _with_first(first, pieces), send)
        finally:
            response.discard()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pass_on(self, request: Request, start: Answer, pieces: AsyncIterator[bytes], send: Send) -> None:
        sent = 0
        try:
            async for piece in pieces:
                sent += len(piece)
                if sent > STREAMED_LIMIT:
                    raise MalformedAnswer(f"it is larger than {STREAMED_LIMIT} bytes")
                if start.status not in _BODILESS:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except _FAILURES as error:
            where = f"{request.method} {request.path.decode('latin-1')}"
            say(self.name, f"{where} broken off after {sent} bytes: {reason(error)}")
            raise Broken(where) from error


def declared(template: Template, resolver: Resolver, pools: Mapping[str, Pool]) -> dict[str, Door]:
    """The doors of a template by logical id."""
    doors: dict[str, Door] = {}
    for name, resource in template.of_type("AWS::ApiGatewayV2::Api").items():
        properties = resolver(resource["Properties"])
        # SAM's own HTTP API is an OpenAPI document; one that is written out has resources for its routes.
        body = properties.get("Body")
        cors = properties.get("CorsConfiguration", {}) if body is None else body.get("x-amazon-apigateway-cors", {})
        reference = _written_out(name, template, resolver) if body is None else _in_openapi(name, body)
        doors[name] = HttpApi(name, pools[named(reference, template, resolver)], Cors.of(cors))
    for name, resource in template.of_type("AWS::Lambda::Url").items():
        properties = resolver(resource["Properties"])
        if properties["AuthType"] != "NONE":
            raise TemplateError(f"{name} has the AuthType {properties['AuthType']}: only NONE is played here")
        streaming = properties.get("InvokeMode") == "RESPONSE_STREAM"
        function = named(properties["TargetFunctionArn"], template, resolver)
        doors[name] = FunctionUrl(name, pools[function], Cors.of(properties.get("Cors", {})), streaming)
    return doors


def _in_openapi(name: str, body: Mapping[str, Any]) -> str:
    """The function behind an HTTP API that has the one route `$default` and no authorizer."""
    match body.get("paths"):
        case {"$default": {"x-amazon-apigateway-any-method": dict(route)}} if len(body["paths"]) == 1:
            if "security" in route:
                raise TemplateError(f"{name} has an authorizer: none is played here yet (local/doors.py)")
            uri = str(route["x-amazon-apigateway-integration"]["uri"])
            return uri.partition("/functions/")[2].removesuffix("/invocations")
    raise TemplateError(f"{name} has other routes than $default: only that one is played here (local/doors.py)")


def _written_out(name: str, template: Template, resolver: Resolver) -> str:
    """The same of one whose route and integration are resources."""
    declared = [resolver(route["Properties"]) for route in template.of_type("AWS::ApiGatewayV2::Route").values()]
    match [route for route in declared if route["ApiId"] == resolver.refs[name]]:
        case [{"RouteKey": "$default", "Target": str(target)} as route]:
            if route.get("AuthorizationType", "NONE") != "NONE":
                raise TemplateError(f"{name} has an authorizer: none is played here yet (local/doors.py)")
            for integration, resource in template.of_type("AWS::ApiGatewayV2::Integration").items():
                if target == f"integrations/{resolver.refs[integration]}":
                    return str(resolver(resource["Properties"]["IntegrationUri"]))
    raise TemplateError(f"{name} has other routes than $default: only that one is played here (local/doors.py)")


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


async def _begin(response: Response, pieces: AsyncIterator[bytes]) -> tuple[Answer, bytes]:
    """What a streamed answer says before its body, and the part of the body that came along."""
    if response.content_type != STREAMED_PRELUDE_TYPE:
        # Without a prelude a streaming Function URL passes the bytes on, be it the JSON of a handler that does not
        # stream.
        return Answer(200, [(b"content-type", response.content_type.encode("latin-1"))]), b""
    head = bytearray()
    async for piece in pieces:
        head += piece
        end = head.find(PRELUDE_END)
        if end >= 0:
            return prelude(bytes(head[:end])), bytes(head[end + len(PRELUDE_END) :])
        if len(head) > PRELUDE_LIMIT:
            break
    raise MalformedAnswer(f"no prelude within its first {len(head)} bytes")


async def _with_first(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for piece in pieces:
        yield piece


async def _send(send: Send, request: Request, given: Answer) -> None:
    body = b"" if given.status in _BODILESS else given.body
    headers = [(name, value) for name, value in given.headers if name != b"content-length"]
    told = next((value for name, value in given.headers if name == b"content-length"), None)
    if request.method == "HEAD" and told is not None:  # what a GET would have sent
        headers.append((b"content-length", told))
    elif given.status not in _BODILESS:
        headers.append((b"content-length", str(len(body)).encode()))
    await send(_start(Answer(given.status, headers)))
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _start(given: Answer) -> Message:
    return {"type": "http.response.start", "status": given.status, "headers": given.headers}


def _message(status: int, text: str) -> Answer:
    return Answer(status, [(b"content-type", b"application/json")], json.dumps({"message": text}).encode())
