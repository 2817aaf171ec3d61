"""The least that streams: one `/next`, one chunked answer, error trailers when the handler fails on the way."""

import base64
import importlib
import json
import os
import sys
from collections.abc import Iterator
from http.client import HTTPConnection

API = "/2018-06-01/runtime"
PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response"


def main() -> None:
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    module, _, name = os.environ["_HANDLER"].rpartition(".")
    handler = getattr(importlib.import_module(module), name)
    http = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        http.request("GET", f"{API}/invocation/next")
        taken = http.getresponse()
        event = json.loads(taken.read())
        ids = taken.headers["Lambda-Runtime-Aws-Request-Id"], taken.headers["Lambda-Runtime-Invocation-Id"]
        answer(http, *ids, handler(event))


def answer(http: HTTPConnection, request_id: str, invocation_id: str, pieces: Iterator[bytes]) -> None:
    try:
        first = next(pieces)
    except Exception as error:  # noqa: BLE001  whatever the handler raises is told to Lambda
        headers = {"Lambda-Runtime-Invocation-Id": invocation_id}
        http.request("POST", f"{API}/invocation/{request_id}/error", describe(error), headers)
        http.getresponse().read()
        return
    http.putrequest("POST", f"{API}/invocation/{request_id}/response")
    for name, value in (
        ("Content-Type", PRELUDE_TYPE),
        ("Lambda-Runtime-Function-Response-Mode", "streaming"),
        ("Lambda-Runtime-Invocation-Id", invocation_id),
        ("Trailer", "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"),
        ("Transfer-Encoding", "chunked"),
    ):
        http.putheader(name, value)
    http.endheaders()
    trailers = b""
    try:
        send(http, first)
        for piece in pieces:
            send(http, piece)
    except Exception as error:  # noqa: BLE001
        body = base64.b64encode(describe(error)).decode()
        trailers = (
            f"Lambda-Runtime-Function-Error-Type: Tiny\r\nLambda-Runtime-Function-Error-Body: {body}\r\n".encode()
        )
    http.send(b"0\r\n" + trailers + b"\r\n")
    http.getresponse().read()


def send(http: HTTPConnection, piece: bytes) -> None:
    http.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")


def describe(error: Exception) -> bytes:
    return json.dumps({"errorMessage": str(error), "errorType": type(error).__name__}).encode()


if __name__ == "__main__":
    main()
