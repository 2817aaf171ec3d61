"""The requests of the benches as Function URL events, and what must come back."""

import base64
import hashlib
import json

from bench.payload import LINE, chunk_of
from bench.service import Invocation

HEADERS = {
    "accept": "*/*",
    "accept-encoding": "gzip, deflate, br",
    "host": "abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "x-amzn-tls-cipher-suite": "TLS_AES_128_GCM_SHA256",
    "x-amzn-tls-version": "TLSv1.3",
    "x-amzn-trace-id": "Root=1-5759e988-bd862e3fe1be46a994272793",
    "x-forwarded-for": "192.0.2.1",
    "x-forwarded-port": "443",
    "x-forwarded-proto": "https",
}


def event(path: str, **query: float | str) -> bytes:
    """A GET as a Function URL hands it over (payload format 2.0)."""
    texts = {name: str(value) for name, value in query.items()}
    document = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "&".join(f"{name}={text}" for name, text in texts.items()),
        "queryStringParameters": texts,
        "headers": HEADERS,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abcdefghijklmnopqrstuvwxyz012345",
            "domainName": HEADERS["host"],
            "domainPrefix": "abcdefghijklmnopqrstuvwxyz012345",
            "http": {
                "method": "GET",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": HEADERS["user-agent"],
            },
            "requestId": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            "routeKey": "$default",
            "stage": "$default",
            "time": "21/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1795262400000,
        },
        "isBase64Encoded": False,
    }
    return json.dumps(document).encode()


LINE_EVENT = event("/line")
JSON_EVENT = event("/json")
# What must come back, byte for byte: event and SHA-256. Chunks that fill no buffer evenly, and those that are timed.
EXPECTED = [
    (LINE_EVENT, hashlib.sha256(LINE).hexdigest()),
    *(
        (event("/chunks", count=count, size=size), hashlib.sha256(chunk_of(size) * count).hexdigest())
        for count, size in ((0, 1), (700, 1), (1000, 1023), (64, 65536), (4, 1 << 20))
    ),
]


def digest(invocation: Invocation, *, streamed: bool) -> str:
    """SHA-256 of the body that a client would get."""
    if streamed:
        return invocation.digest
    answer = json.loads(invocation.prelude)
    body = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
    return hashlib.sha256(body).hexdigest()
