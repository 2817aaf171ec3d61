"""HTTP to the event of payload format 2.0, and a function's answer back to HTTP.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html and
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html.
"""

import base64
import binascii
import json
import re
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from local.template import ACCOUNT

Headers = list[tuple[bytes, bytes]]

# The route that takes what no other does, and the stage that has no place in a path.
DEFAULT = "$default"

# What follows the prelude of a streamed response.
PRELUDE_END = bytes(8)

# The only types whose body reaches a function as text; all others, form data and a missing type too, come as base64.
# AWS does not document the list; it was found out against the real service.
_TEXT = {"application/javascript", "application/json", "application/xml"}

# Headers that belong to one connection: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1, with those that RFC 2616
# counted among them.
_HOP_BY_HOP = {
    *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te"),
    *(b"trailer", b"transfer-encoding", b"upgrade"),
}

# The server writes it itself.
_WRITTEN_HERE = {b"date"}

_ABSOLUTE_FORM = re.compile(rb"https?://(?:[^/@]*@)?([^/@]+)(/.*)?", re.IGNORECASE | re.DOTALL)

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_HEADER_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class MalformedAnswer(Exception):
    """The function's answer is none that a door could send on."""


class MalformedRequest(Exception):
    """A request that no door takes."""


def _trace_id() -> str:
    """https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader"""
    return f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"


@dataclass(frozen=True)
class Request:
    """An HTTP request as a door took it: names of headers in lower case, path and query as they were sent."""

    method: str
    path: bytes
    query: bytes
    headers: Headers
    body: bytes
    client: str
    protocol: str = "HTTP/1.1"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    made_trace_id: str = field(default_factory=_trace_id)

    @property
    def trace_id(self) -> str:
        """The client's, if it has sent one."""
        sent = self.header(b"x-amzn-trace-id")
        return sent if "Root=" in sent else self.made_trace_id

    @property
    def head_size(self) -> int:
        """Bytes of its request line and of the values of its headers."""
        target = self.path + (b"?" + self.query if self.query else b"")
        line = len(self.method) + 1 + len(target) + 1 + len(self.protocol)
        return line + sum(len(value) for _, value in self.headers)

    def header(self, name: bytes) -> str:
        """Its value; the values of a repeated header joined by commas; empty when there is none."""
        return b",".join(value for key, value in self.headers if key == name).decode("latin-1")


@dataclass(frozen=True)
class Answer:
    """What goes back over HTTP, or, when it streams, what comes before the bytes."""

    status: int
    headers: Headers
    body: bytes = b""


def requested(target: bytes, headers: Headers) -> tuple[bytes, Headers]:
    """The path that a request line means, and the headers that a function may see.

    A target may be a whole URL, whose host then counts and not the Host header (RFC 9112, 3.2.2). Raises
    `MalformedRequest` for what is no path: `*`, and the host and port of a CONNECT.
    """
    kept = end_to_end(headers)
    if absolute := _ABSOLUTE_FORM.fullmatch(target):
        host, path = absolute.groups()
        kept = [(b"host", host), *((name, value) for name, value in kept if name != b"host")]
        target = path or b"/"
    if not target.startswith(b"/"):
        raise MalformedRequest(f"its target {target[:80]!r} is no path")
    return target, kept


def end_to_end(headers: Headers) -> Headers:
    """Without those of one connection, and those that its Connection header names; never without a host."""
    named = {
        token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")
    } - {b"host"}
    return [(name, value) for name, value in headers if name not in _HOP_BY_HOP | named]


def event(
    request: Request,
    *,
    api_id: str,
    decoded_path: bool,
    route: str = DEFAULT,
    stage: str = DEFAULT,
    path_parameters: Mapping[str, str] | None = None,
    stage_variables: Mapping[str, str] | None = None,
) -> bytes:
    """The event for `request`, as JSON.

    A Function URL gives the path as it was sent, an HTTP API decoded (`decoded_path`), and up to a decoded `?` only.
    """
    now = time.time()
    path = request.path.decode("latin-1")
    if decoded_path:
        path = unquote(path).partition("?")[0]
    domain, port = _host(request.header(b"host"))
    headers = {key.decode("latin-1"): request.header(key) for key, _ in request.headers if key != b"cookie"}
    forwarded = {
        "x-forwarded-for": ", ".join(filter(None, (headers.get("x-forwarded-for"), request.client))),
        "x-forwarded-port": port or "80",
        "x-forwarded-proto": "http",
        "x-amzn-trace-id": request.trace_id,
    }
    sent = [value.decode("latin-1") for name, value in request.headers if name == b"cookie"]
    cookies = [cookie.strip() for one in sent for cookie in one.split(";") if cookie.strip()]
    query = _query(request.query)
    text = is_text(request.header(b"content-type"), request.body)
    body = request.body.decode() if text else base64.b64encode(request.body).decode()
    document = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": request.query.decode("latin-1"),
        **({"cookies": cookies} if cookies else {}),
        "headers": headers | forwarded,
        **({"queryStringParameters": query} if query else {}),
        "requestContext": {
            "accountId": ACCOUNT if decoded_path else "anonymous",
            "apiId": api_id,
            "domainName": domain,
            "domainPrefix": domain.partition(".")[0],
            "http": {
                "method": request.method,
                "path": path,
                "protocol": request.protocol,
                "sourceIp": request.client,
                "userAgent": request.header(b"user-agent"),
            },
            "requestId": request.id,
            "routeKey": route,
            "stage": stage,
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        **({"pathParameters": path_parameters} if path_parameters else {}),
        **({"stageVariables": stage_variables} if stage_variables else {}),
        **({"body": body} if request.body else {}),
        "isBase64Encoded": bool(request.body) and not text,
    }
    return json.dumps(document).encode()


def answer(payload: bytes, *, default_type: str) -> Answer:
    """What a buffered answer says; `default_type` is the content type where it says none. Raises `MalformedAnswer`."""
    document = parsed(payload)
    if not isinstance(document, dict) or "statusCode" not in document:
        return Answer(200, [(b"content-type", b"application/json")], payload)
    content = content_of(document, decoded=bool(document.get("isBase64Encoded")))
    return Answer(status_of(document), headers_of(document, default_type), content)


def prelude(payload: bytes) -> Answer:
    """What the prelude of a streamed answer says. Raises `MalformedAnswer`."""
    document = parsed(payload)
    if not isinstance(document, dict):
        raise MalformedAnswer("its prelude is not an object")
    return Answer(status_of({"statusCode": 200, **document}), headers_of(document, "application/octet-stream"))


def parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError as error:
        raise MalformedAnswer(f"it is not JSON: {payload[:80]!r}") from error


def content_of(document: Mapping[str, Any], *, decoded: bool) -> bytes:
    """The body that an answer says, `decoded` from base64 or as it is. Raises `MalformedAnswer`."""
    body = document.get("body")
    if body is None:
        body = ""
    if not isinstance(body, str):
        raise MalformedAnswer(f"its body is a {type(body).__name__}, not a string")
    try:
        return base64.b64decode(body, validate=True) if decoded else body.encode()
    except (binascii.Error, UnicodeEncodeError) as error:
        raise MalformedAnswer(f"its body is not what isBase64Encoded says: {error}") from error


def status_of(document: Mapping[str, Any]) -> int:
    try:
        status = int(document["statusCode"])
    except (TypeError, ValueError):
        status = 0
    if not 200 <= status <= 599:
        raise MalformedAnswer(f"its statusCode is {document['statusCode']!r}")
    return status


def headers_of(document: Mapping[str, Any], default_type: str) -> Headers:
    given = document.get("headers") or {}
    cookies = document.get("cookies") or []
    if not isinstance(given, dict) or not isinstance(cookies, list):
        raise MalformedAnswer("its headers are no object, or its cookies no list")
    # A list is refused: https://github.com/CodeGenieApp/serverless-express/issues/355
    if wrong := next((name for name, value in given.items() if isinstance(value, dict | list)), None):
        raise MalformedAnswer(f"its header {wrong!r} is no string")
    pairs = [(str(name).lower(), _text_of(value)) for name, value in given.items() if value is not None]
    if not any(name == "content-type" for name, _ in pairs):
        pairs.append(("content-type", default_type))
    pairs += [("set-cookie", str(cookie)) for cookie in cookies]
    for name, value in pairs:
        if not _HEADER_NAME.fullmatch(name) or _NO_HEADER_VALUE.search(value):
            raise MalformedAnswer(f"no header can be {name!r}: {value!r}")
    encoded = [(name.encode(), _latin1(value.strip())) for name, value in pairs]
    return [(name, value) for name, value in end_to_end(encoded) if name not in _WRITTEN_HERE]


def _host(host: str) -> tuple[str, str]:
    """Name and port of a Host header, the port perhaps empty; an IPv6 address keeps its brackets."""
    if host.startswith("["):
        address, bracket, rest = host.partition("]")
        return address + bracket, rest.removeprefix(":")
    name, _, port = host.partition(":")
    return name, port


def _text_of(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool | int | float) else str(value)


def _latin1(value: str) -> bytes:
    """As an ASGI server meant it, which decodes the bytes of a header as latin-1; what is not, as UTF-8."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


def _query(query: bytes) -> dict[str, str]:
    """Its parameters, decoded; the values of a repeated one joined by commas."""
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


def is_text(content_type: str, body: bytes) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in _TEXT and not kind.startswith("text/"):
        return False
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
