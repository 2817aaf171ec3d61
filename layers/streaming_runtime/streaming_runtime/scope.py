"""An event as an ASGI scope and a body: Function URLs and HTTP APIs (payload 2.0), REST APIs (1.0), load balancers.

https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads,
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html,
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html,
https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from . import asgi
from .context import LambdaContext
from .errors import Fault
from .whole import Pack, for_a_load_balancer, for_an_event

# Characters of a path that stand for themselves (RFC 3986, 3.3), and the sign of those that are encoded.
_PATH_SAFE = "/:@!$&'()*+,;=~%"
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Of a host's name or address, without the brackets around the latter.
_NAMEABLE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._~%:!$&'()*+,;=")


@dataclass(frozen=True, slots=True)
class Request:
    """What the app is asked, and how its response goes back: as a stream, or packed as a whole."""

    scope: asgi.Scope
    body: bytes
    pack: Pack | None = None


def read(payload: bytes, context: LambdaContext, event_path: str) -> Request:
    """The request that an event in JSON is. What is no HTTP is a POST of the event to `event_path`."""
    event: Any
    try:
        event = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise Fault("Runtime.MalformedEvent", f"The event cannot be read: {error}") from None
    if not _is_http(event):
        return Request(_event_scope(event, context, event_path), payload, for_an_event)
    return _http_request(event, context)


def _is_http(event: Any) -> bool:
    """Whether it is a request of somebody's, with a method and a path; an authorizer's is about one."""
    if not isinstance(event, dict) or not isinstance(request := event.get("requestContext"), dict):
        return False
    has_method = "httpMethod" in event or "http" in request
    return has_method and event.get("type") != "REQUEST" and "routeArn" not in event


def _event_scope(event: Any, context: LambdaContext, path: str) -> asgi.Scope:
    return {
        "type": "http",
        "asgi": asgi.VERSION,
        "http_version": "1.1",
        "method": "POST",
        **_paths(path, ""),
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "scheme": "https",
        "server": None,
        "client": None,
        "aws.event": event,
        "aws.context": context,
    }


def _http_request(event: dict[str, Any], context: LambdaContext) -> Request:
    """Raises `Fault` for a request that lacks what all of them have."""
    try:
        request = event["requestContext"]
        balanced = "elb" in request
        if balanced:
            http = _balanced(event)
        else:
            http = _version_2(event, request) if event.get("version") == "2.0" else _version_1(event, request)
        headers = [(name.lower().encode(), value.encode()) for name, value in http["headers"]]
        scope = {
            "type": "http",
            "asgi": asgi.VERSION,
            "http_version": _http_version(http["protocol"]),
            "method": _word(http["method"]).upper(),
            **_paths(http["path"], http["prefix"]),
            "query_string": http["query"].encode(),
            "headers": headers,
            **_addresses(dict(headers), request.get("domainName"), http["source_ip"]),
            "aws.event": event,
            "aws.context": context,
        }
        return Request(scope, _body(event), for_a_load_balancer(event) if balanced else None)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise Fault(
            "Runtime.MalformedEvent",
            "The event is no request of a Function URL, an HTTP API, a REST API or a load balancer. "
            f"({type(error).__name__}: {error})",
        ) from None


def _version_2(event: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """What payload 2.0 says: values of a repeated header are joined already, cookies apart from them."""
    http, headers = request["http"], dict(event.get("headers") or {})
    if event.get("cookies"):
        headers["cookie"] = "; ".join(event["cookies"])
    stage = request.get("stage", "$default")
    return {
        "method": http["method"],
        "path": event["rawPath"],
        "prefix": "" if stage == "$default" else f"/{stage}",
        "query": event.get("rawQueryString") or "",
        "headers": headers.items(),
        "protocol": http.get("protocol"),
        "source_ip": http.get("sourceIp"),
    }


def _version_1(event: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """What payload 1.0 says: the query is decoded, and what repeats is in lists."""
    own = event["path"]
    path = request.get("path") or own
    # Where they differ by more than what stands before (one is decoded, say), only the stage's name tells the prefix.
    known = path.endswith(own) or own == "/"
    return {
        "method": event["httpMethod"],
        "path": path,
        "prefix": path.removesuffix(own) if known else f"/{request.get('stage')}",
        "query": urlencode(
            event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}, doseq=True
        ),
        "headers": _repeated({**(event.get("headers") or {}), **(event.get("multiValueHeaders") or {})}),
        "protocol": request.get("protocol"),
        "source_ip": (request.get("identity") or {}).get("sourceIp"),
    }


def _balanced(event: dict[str, Any]) -> dict[str, Any]:
    """What a load balancer says: path and query are as the client encoded them."""
    pairs = _repeated(
        {**(event.get("queryStringParameters") or {}), **(event.get("multiValueQueryStringParameters") or {})}
    )
    headers = list(_repeated({**(event.get("headers") or {}), **(event.get("multiValueHeaders") or {})}))
    forwarded = [value for name, value in headers if name.lower() == "x-forwarded-for"]
    return {
        "method": event["httpMethod"],
        "path": event["path"],
        "prefix": "",
        "query": "&".join(f"{name}={value}" for name, value in pairs),
        "headers": headers,
        "protocol": None,
        # The last address is the one that the load balancer saw; those before it are the client's word.
        "source_ip": forwarded[-1].rpartition(",")[2].strip() if forwarded else None,
    }


def _word(value: Any) -> str:
    if not value or not isinstance(value, str):
        raise ValueError(f"{value!r} is no word")
    return value


def _http_version(protocol: str | None) -> str:
    """As ASGI writes it: 1.0, 1.1, 2."""
    version = (protocol or "HTTP/1.1").removeprefix("HTTP/")
    return version if version.startswith("1") else version.removesuffix(".0")


def _repeated(headers: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, values in headers.items():
        if isinstance(values, str):
            yield name, values
        elif name.lower() == "cookie":  # the one that is put together again before an app sees it (RFC 9113, 8.2.3)
            yield name, "; ".join(values)
        else:
            for value in values:
                yield name, value


def _paths(path: str, prefix: str) -> asgi.Scope:
    """The path as the client sent it and decoded, and the part of it that is the stage and not the app's."""
    # Some doors decode the path and some do not. What is encoded already stays as it is.
    raw_path, raw_prefix = quote(path or "/", safe=_PATH_SAFE), quote(prefix, safe=_PATH_SAFE)
    return {
        "path": unquote(raw_path),  # ASGI wants the prefix in both
        "raw_path": raw_path.encode("ascii"),
        "root_path": unquote(raw_prefix) if f"{raw_path}/".startswith(f"{raw_prefix}/") else "",
    }


def _addresses(headers: dict[bytes, bytes], domain: str | None, source_ip: str | None) -> asgi.Scope:
    """Who asked whom, by which scheme, as the front door says; where the client named no host, it was the domain."""
    scheme = headers.get(b"x-forwarded-proto", b"https").decode()
    host = _host(headers.get(b"host", b"").decode()) or _host(domain or "")
    forwarded = headers.get(b"x-forwarded-port", b"").decode()
    server = None
    if host:
        name, port = host
        server = (name, port or _port(forwarded) or _DEFAULT_PORTS.get(scheme))
    return {"scheme": scheme, "server": server, "client": (_word(source_ip), 0) if source_ip else None}


@lru_cache(maxsize=16)  # nearly all requests name the same
def _host(text: str) -> tuple[str, int | None] | None:
    """Name and port; None for what is no host (RFC 9110, 7.2): the client's own words, and no reason to refuse it."""
    try:
        parts = urlsplit(f"//{text}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or parts.netloc != text or parts.username is not None or not _NAMEABLE.issuperset(name):
        return None
    return name, port


def _port(text: str) -> int | None:
    is_short = len(text) <= len("65535")  # `int` refuses thousands of digits
    return int(text) if is_short and text.isascii() and text.isdecimal() and 0 < int(text) < 1 << 16 else None


def _body(event: dict[str, Any]) -> bytes:
    body = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
