"""The floor: a Lambda runtime that is nothing but a blocking socket, and writes the bytes that the app would.

It imports the app and knows its paths, but builds no scope, calls nothing and handles no failure. What a runtime in
Python costs more than this, it spends on being one.
"""

import gc
import importlib
import json
import os
import socket
from urllib.parse import parse_qs

from bench.payload import LINE, chunk_of

NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"
RESPONSE = (
    b"POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: application/vnd.awslambda.http-integration-response\r\n"
    b"Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\r\n"
)
PRELUDE = b'{"statusCode": 200, "headers": {"content-type": "application/octet-stream"}, "cookies": []}' + bytes(8)
END = b"0\r\n\r\n"


def main() -> None:
    """Serve until the Runtime API hangs up."""
    gc.disable()  # an import makes no garbage, and a floor looks for none
    importlib.import_module("bench.app")
    gc.freeze()
    gc.enable()
    host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            connection.sendall(NEXT)
            head, body = answer(connection)
            request_id = head.partition(b"Lambda-Runtime-Aws-Request-Id: ")[2].partition(b"\r\n")[0]
            respond(connection, RESPONSE % request_id, json.loads(body))
            answer(connection)


def respond(connection: socket.socket, head: bytes, event: dict[str, str]) -> None:
    """Write the whole response to an event."""
    begin = head + framed(PRELUDE)
    if event["rawPath"] != "/chunks":
        connection.sendall(begin + framed(LINE) + END)
        return
    query = parse_qs(event["rawQueryString"])
    chunk = chunk_of(int(query["size"][0]))
    parts = (b"%x\r\n" % len(chunk), chunk, b"\r\n")
    whole = sum(map(len, parts))
    connection.sendall(begin)
    for _ in range(int(query["count"][0])):
        sent = connection.sendmsg(parts)
        if sent < whole:
            connection.sendall(b"".join(parts)[sent:])
    connection.sendall(END)


def framed(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def answer(connection: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of an answer, which has a Content-Length."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += receive(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += receive(connection)
    return head, body


def receive(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise SystemExit
    return received


if __name__ == "__main__":
    main()
