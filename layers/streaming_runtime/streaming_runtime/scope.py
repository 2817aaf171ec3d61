"""An HTTP event as an ASGI scope and a body: Function URLs and HTTP APIs (payload 2.0), REST APIs (1.0).

https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads,
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html,
https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope
"""

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from . import asgi
from .context import LambdaContext
from .errors import Fault

# Characters of a path that stand for themselves (RFC 3986, 3.3), and the sign of those that are encoded.
_PATH_SAFE = "/:@!$&'()*+,;=~%"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def http_request(payload: bytes, context: LambdaContext) -> tuple[asgi.Scope, bytes]:
    """The scope and the body of an event in JSON. Raises `Fault` when the event is no HTTP request."""
    try:
        event = json.loads(payload)
        request = event["requestContext"]
        if "elb" in request or event.get("type") == "REQUEST":
            raise ValueError("it is of a load balancer, or asks an authorizer")
        http = _version_2(event, request) if event.get("version") == "2.0" else _version_1(event, request)
        headers = [(name.lower().encode(), value.encode()) for name, value in http["headers"]]
        scope = {
            "type": "http",
            "asgi": asgi.VERSION,
            "http_version": (http["protocol"] or "HTTP/1.1").removeprefix("HTTP/"),
            "method": http["method"].upper(),
            **_paths(http["path"], http["prefix"]),
            "query_string": http["query"].encode(),
            "headers": headers,
            **_addresses(dict(headers), http["source_ip"]),
            "aws.event": event,
            "aws.context": context,
        }
        return scope, _body(event)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise Fault(
            "Runtime.NotAnHttpRequest",
            "This function answers HTTP requests: the event must be one of a Function URL, an HTTP API or a REST API. "
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
    raw_path = quote(path or "/", safe=_PATH_SAFE)
    return {
        "path": unquote(raw_path),  # ASGI wants the prefix in both
        "raw_path": raw_path.encode("ascii"),
        "root_path": prefix if raw_path == prefix or raw_path.startswith(prefix + "/") else "",
    }


def _addresses(headers: dict[bytes, bytes], source_ip: str | None) -> asgi.Scope:
    """Who asked whom, by which scheme: the front door says it in headers."""
    scheme = headers.get(b"x-forwarded-proto", b"https").decode()
    try:
        host = urlsplit("//" + headers.get(b"host", b"").decode())
        port = host.port or int(headers.get(b"x-forwarded-port", 0)) or _DEFAULT_PORTS.get(scheme)
    except ValueError:  # the client's own words, and no reason to refuse what it asks
        server = None
    else:
        server = (host.hostname, port) if host.hostname else None
    return {"scheme": scheme, "server": server, "client": (source_ip, 0) if source_ip else None}


def _body(event: dict[str, Any]) -> bytes:
    body = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
