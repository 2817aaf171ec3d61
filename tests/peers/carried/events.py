"""A test client's request as an event.

Not made by `local.payload`: an error there and its like in the runtime would cancel out.
"""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Request:
    """What the test client was asked to send, whole. `root_path` is the stage, if any."""

    method: str
    scheme: str
    host: str
    port: int
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes
    root_path: str
    source_ip: str

    @classmethod
    def of(cls, request: Any, root_path: str, source_ip: str) -> "Request":
        path, _, query = request.url.raw_path.decode().partition("?")
        prefix = root_path.rstrip("/")
        body = request.read()
        return cls(
            method=request.method,
            scheme=request.url.scheme,
            host=request.url.netloc.decode().rpartition("@")[2].removesuffix(f":{request.url.port}"),
            port=request.url.port or PORTS[request.url.scheme],
            # A stage is part of the path, where the tests do not always have it.
            path=path if path.startswith(prefix) else prefix + path,
            query=query,
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
            body=body if isinstance(body, bytes) else b"".join(body),
            root_path=root_path,
            source_ip=source_ip,
        )


def version_2(request: Request) -> bytes:
    """What a Function URL says, or an HTTP API with a stage."""
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for given, value in request.headers:
        name = given.lower()
        if name == "cookie":
            cookies += re.split("; *", value)
        else:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    http = {"method": request.method, "path": request.path, "protocol": "HTTP/1.1", "sourceIp": request.source_ip}
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.path,
        "rawQueryString": request.query,
        **({"cookies": cookies} if cookies else {}),
        "headers": headers | {"x-forwarded-proto": request.scheme, "x-forwarded-port": str(request.port)},
        "requestContext": {
            "domainName": request.host,
            "http": http,
            "stage": request.root_path.strip("/") or "$default",
        },
        **({"body": base64.b64encode(request.body).decode()} if request.body else {}),
        "isBase64Encoded": bool(request.body),
    }
    return json.dumps(event).encode()


def version_1(request: Request) -> bytes:
    """What a REST API says: what repeats is in lists, the query decoded, the stage apart."""
    headers: dict[str, list[str]] = {}
    for name, value in request.headers:
        headers.setdefault(name, []).append(value)
    headers |= {"X-Forwarded-Proto": [request.scheme], "X-Forwarded-Port": [str(request.port)]}
    parameters: dict[str, list[str]] = {}
    for name, value in parse_qsl(request.query, keep_blank_values=True):
        parameters.setdefault(name, []).append(value)
    stage = request.root_path.strip("/")
    event = {
        "version": "1.0",
        "resource": "/{proxy+}",
        "path": (request.path.removeprefix(f"/{stage}") if stage else request.path) or "/",
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": {name: values[-1] for name, values in parameters.items()} or None,
        "multiValueQueryStringParameters": parameters or None,
        "requestContext": {
            "domainName": request.host,
            "path": request.path,
            "stage": stage or "prod",
            "protocol": "HTTP/1.1",
            "identity": {"sourceIp": request.source_ip},
        },
        "body": base64.b64encode(request.body).decode() if request.body else None,
        "isBase64Encoded": bool(request.body),
    }
    return json.dumps(event).encode()


VERSIONS: dict[str, Callable[[Request], bytes]] = {"1.0": version_1, "2.0": version_2}
