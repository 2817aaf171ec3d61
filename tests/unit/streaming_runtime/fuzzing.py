"""What must hold whatever arrives, for the two parsers that read what others have written."""

import json
import socket
from pathlib import Path

from streaming_runtime.asgi import Scope
from streaming_runtime.client import Invocation
from streaming_runtime.connection import Answer, Connection
from streaming_runtime.context import LambdaContext
from streaming_runtime.errors import Document, Fault
from streaming_runtime.scope import read

EVENTS = [json.loads(path.read_bytes()) for path in sorted((Path(__file__).parent / "events").glob("*.json"))]

# As Lambda's own server writes them, and as HTTP allows.
NEXT = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b"Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n"
    b"Lambda-Runtime-Deadline-Ms: 1542409706888\r\n"
    b"Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-2:123456789012:function:f\r\n"
    b"Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1\r\n"
    b'Lambda-Runtime-Client-Context: {"client":{"app_title":"t"},"custom":{},"w3c":{"traceparent":"00-0-0-0"}}\r\n'
    b'Lambda-Runtime-Cognito-Identity: {"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}\r\n'
    b"Date: Sun, 29 Nov 2026 12:00:00 GMT\r\n"
)
ANSWERS = [
    NEXT + b"Content-Length: 8\r\n\r\n" + b'{"a": 1}',
    NEXT + b"Transfer-Encoding: chunked\r\n\r\n" + b'4;x=y\r\n{"a"\r\n4\r\n: 1}\r\n0\r\nT: u\r\n\r\n',
    b'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n',
    b'HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 29\r\n\r\n{"errorType":"InvalidState"}\r\n',
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 0\r\n\r\n",
]

CONTEXT = LambdaContext(Invocation("r-1", b"", 0, "arn:f", None, None, None, None, None))
EVENT_PATH = "/_lambda/event"


async def try_answer(data: bytes) -> None:
    """Read what a server says that then hangs up: answers, and at last an `OSError`."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        theirs.sendall(data)
    connection = Connection("127.0.0.1:80", ours)
    try:
        for number in range(len(data) + 1):
            answer = await connection.answer()
            assert answer.status >= 200
            assert len(answer.body) <= len(data)
            if number == 0:
                try_invocation(answer)
        raise AssertionError("it read more answers than there were bytes")
    except OSError:
        assert not connection.usable
    finally:
        connection.close()


def try_invocation(answer: Answer) -> None:
    """Read what `/next` has answered: an invocation whose context can be made, or an `OSError`."""
    invocation = Invocation.of(answer)
    context = LambdaContext(invocation)
    assert context.get_remaining_time_in_millis() >= 0
    assert isinstance(invocation.request_id, str)
    assert repr(context)


def try_event(payload: bytes) -> None:
    """Read an event: a request as ASGI has it, or a `Fault` that can be told."""
    try:
        request = read(payload, CONTEXT, EVENT_PATH)
    except Fault as fault:
        failure = json.loads(Document(fault, "r-1").json())
    else:
        assert isinstance(request.body, bytes)
        assert_asgi(request.scope)
        return
    assert failure["errorType"] == "Runtime.MalformedEvent"
    assert failure["errorMessage"]


def assert_asgi(scope: Scope) -> None:
    """https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope"""
    for name in ("method", "path", "root_path", "scheme", "http_version"):
        assert type(scope[name]) is str, name
    for name in ("raw_path", "query_string"):
        assert type(scope[name]) is bytes, name
    assert scope["method"]
    assert scope["path"].startswith(scope["root_path"])
    for name, value in scope["headers"]:
        assert type(name) is type(value) is bytes
        assert name == name.lower()
    if scope["server"] is not None:
        host, port = scope["server"]
        assert type(host) is str
        assert host
        assert port is None or type(port) is int
    if scope["client"] is not None:
        host, port = scope["client"]
        assert type(host) is str
        assert type(port) is int
