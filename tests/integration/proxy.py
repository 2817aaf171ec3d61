"""The bad network: an HTTP proxy on loopback, between the SDK and the AWS services, that fails where a test says so."""

import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

# What an answer of the services may carry that belongs to one connection only.
HOP_BY_HOP = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}
LINGER_NOT = struct.pack("ii", 1, 0)  # closing a socket then resets the connection
S3_OPERATIONS = {
    ("GET", False): "GetObject",
    ("HEAD", False): "HeadObject",
    ("PUT", False): "PutObject",
    ("GET", True): "ListParts",
    ("PUT", True): "UploadPart",
    ("POST", True): "CompleteMultipartUpload",
    ("DELETE", True): "AbortMultipartUpload",
}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def operation(self) -> str:
        """The API's name of what is asked; S3's are told by the method and whether an upload is named."""
        target = self.headers.get("x-amz-target")
        if target:
            return target.rpartition(".")[2]
        return S3_OPERATIONS.get((self.method, "uploadId" in parse_qs(urlsplit(self.path).query)), "other")

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)


class Exchange(BaseHTTPRequestHandler):
    """One request, and the ways to answer it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each body waits 40 ms for its headers to be acknowledged
    server: "Proxy"
    request_read: Request

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.request_read = Request(self.command, self.path, headers, body)
        self.server.requests.append(self.request_read)
        self.server.fault_for(self.request_read.operation)(self)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = answer  # noqa: N815 - names that http.server calls

    def forward(self) -> Answer:
        """What the services answer."""
        upstream = HTTPConnection(*self.server.upstream)
        try:
            headers_sent = self.request_read.headers | ({"host": self.server.host} if self.server.host else {})
            upstream.request(self.command, self.path, self.request_read.body, headers_sent)
            response = upstream.getresponse()
            headers = [(name, value) for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP]
            length = response.getheader("Content-Length", "0")
            body = response.read()
            # HEAD says a length that no body has.
            headers.append(("Content-Length", length if self.command == "HEAD" else str(len(body))))
            return Answer(response.status, body, headers)
        finally:
            upstream.close()

    def send(self, answer: Answer, until: int | None = None) -> None:
        """The headers, which promise all of the body, and the body up to `until`."""
        self.send_response_only(answer.status)
        for name, value in answer.headers or [("Content-Length", str(len(answer.body)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body[:until])

    def hang_up(self, *, reset: bool = False) -> None:
        """End the connection here: orderly, or with a reset that throws away what is still under way."""
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)

    def log_message(self, *_: object) -> None:
        """Requests are looked at in `requests`, not on stderr."""


Fault = Callable[[Exchange], None]


class Proxy(ThreadingHTTPServer):
    """Passes everything on, but what `fail` was told. All requests are in `requests`."""

    daemon_threads = True

    def __init__(self, upstream: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.upstream = upstream
        self.host: str | None = None  # that the services are told: where a URL was signed for them, and not for this
        self.forget()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def shutdown_request(self, request: Any) -> None:
        """As socketserver does, but a connection that is to be reset says no goodbye before."""
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(LINGER_NOT)) == LINGER_NOT:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def forget(self) -> None:
        """No faults, no requests."""
        self.requests: list[Request] = []
        self._faults: dict[str, list[Fault]] = {}
        self._always: dict[str, Fault] = {}

    def fail(self, operation: str, *faults: Fault) -> None:
        """Let the next requests of this operation fail, one in each of these ways."""
        self._faults.setdefault(operation, []).extend(faults)

    def fail_always(self, operation: str, fault: Fault) -> None:
        """Let all requests of this operation fail."""
        self._always[operation] = fault

    def recover(self) -> None:
        """From now on all is well."""
        self._faults.clear()
        self._always.clear()

    def fault_for(self, operation: str) -> Fault:
        waiting = self._faults.get(operation)
        return waiting.pop(0) if waiting else self._always.get(operation, pass_on)

    def asked(self, operation: str) -> list[Request]:
        return [request for request in self.requests if request.operation == operation]

    def ranges(self) -> list[str | None]:
        """The Range of each read of an object."""
        return [request.headers.get("range") for request in self.asked("GetObject")]


@contextmanager
def served(server: ThreadingHTTPServer) -> Iterator[None]:
    """In a thread, until the block ends."""
    with server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving(upstream: tuple[str, int]) -> Iterator[Proxy]:
    proxy = Proxy(upstream)
    with served(proxy):
        yield proxy


def pass_on(exchange: Exchange) -> None:
    exchange.send(exchange.forward())


def flipping(exchange: Exchange) -> None:
    """One bit of the request's body arrives as another."""
    asked = exchange.request_read
    exchange.request_read = replace(asked, body=bytes([asked.body[0] ^ 1]) + asked.body[1:])
    pass_on(exchange)


def slow_down(exchange: Exchange) -> None:
    """S3's refusal of more than it wants to take."""
    body = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    exchange.send(Answer(503, body))


def internal_error(exchange: Exchange) -> None:
    exchange.send(Answer(500, b"<Error><Code>InternalError</Code><Message>Please try again.</Message></Error>"))


def throttled(exchange: Exchange) -> None:
    """DynamoDB's refusal of more than it wants to take."""
    kind = b"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
    exchange.send(Answer(400, b'{"__type":"%s","message":"Rate of requests exceeds the allowed throughput."}' % kind))


def lose(exchange: Exchange) -> None:
    """The services do what was asked; nobody hears of it."""
    exchange.forward()
    exchange.hang_up()


def at_it(until: Event) -> Fault:
    """S3 says 200 and a blank now and then, does what was asked when `until` comes, and then says what came of it."""

    def fault(exchange: Exchange) -> None:
        exchange.send_response_only(200)
        exchange.send_header("Transfer-Encoding", "chunked")
        exchange.end_headers()
        while not until.wait(0.01):
            exchange.wfile.write(b"1\r\n \r\n")
        body = exchange.forward().body
        exchange.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    return fault


def says(status: int, code: str) -> Fault:
    """S3 does nothing, and says so: by the status, or inside an answer of 200."""

    def fault(exchange: Exchange) -> None:
        exchange.send(Answer(status, b"<Error><Code>%s</Code><Message>No.</Message></Error>" % code.encode()))

    return fault


def cut(after: int, *, reset: bool = False, meanwhile: Callable[[], object] | None = None) -> Fault:
    """The whole length is promised, `after` bytes come, then the connection ends; then `meanwhile` happens."""

    def fault(exchange: Exchange) -> None:
        answer = exchange.forward()
        if meanwhile:
            meanwhile()
        exchange.send(answer, after)
        exchange.hang_up(reset=reset)

    return fault


def before(happens: Callable[[], object]) -> Fault:
    """Something else happens first, then the request passes."""

    def fault(exchange: Exchange) -> None:
        happens()
        pass_on(exchange)

    return fault


def after(happens: Callable[[], object]) -> Fault:
    """Something else happens between the deed and its answer."""

    def fault(exchange: Exchange) -> None:
        answer = exchange.forward()
        happens()
        exchange.send(answer)

    return fault
