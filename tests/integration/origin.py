"""S3 on loopback as the reader sees it: one object, whole or in ranges, and the faults that a test wants."""

import gzip
import random
import re
import select
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sluice.objects import Objects, Version
from tests.integration.proxy import Answer, Exchange, Fault, Proxy
from tests.integration.world import connected

PATIENCE_SECONDS = 30  # of a test for what must happen
NOWHERE = ("127.0.0.1", 9)  # the proxy's upstream, which no fault here asks


class Origin(Proxy):
    """Answers GETs of `data`, each by the next fault of `faults`, then by `then`. Closing it waits for every client.

    `If-Match` is kept, as S3 does, unless `lenient`: then only the ETag of the answer tells that it is another object.
    """

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(NOWHERE)
        self._changed = threading.Condition()
        self.accepted = self._open = 0
        self.hold(b"")

    def hold(self, data: bytes, *faults: Fault, then: Fault | None = None) -> Version:
        """From now on this is the object, with these faults; its version."""
        self.forget()
        self.accepted = 0
        self.data, self.etag, self.lenient = data, f"etag-{random.getrandbits(64):x}", False
        self.fail("GetObject", *faults)
        self.fail_always("GetObject", then or right)
        return Version("the/key", self.etag, len(data), "v1")

    def asked_times(self, times: int) -> bool:
        """Wait until this many requests have come."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.requests) >= times, PATIENCE_SECONDS)

    def left_alone(self) -> bool:
        """Wait until every connection to here is closed."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, PATIENCE_SECONDS)

    def fault_for(self, operation: str) -> Fault:
        with self._changed:
            self._changed.notify_all()
            return super().fault_for(operation)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self.accepted, self._open = self.accepted + 1, self._open + 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def handle_error(self, *_: object) -> None:
        """A client that left is what many tests are about."""


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[tuple[Origin, Objects]]:
    """The origin, and the bucket as Lambda would connect to it."""
    with Origin() as origin:
        scheme = "http"
        if tls:
            scheme = "https"
            # The handshake is the business of the connection's own thread, as a client may never finish it.
            origin.socket = tls.wrap_socket(origin.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=origin.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield origin, connected(f"{scheme}://127.0.0.1:{origin.server_port}")[1]
        finally:
            origin.shutdown()
            thread.join()


def asked(exchange: Exchange, size: int) -> tuple[int, int, bool]:
    """The bytes asked for, as start and stop, and whether by a range."""
    match = re.fullmatch(r"bytes=(\d+)-(\d+)", exchange.request_read.headers.get("range", ""))
    return (int(match[1]), int(match[2]) + 1, True) if match else (0, size, False)


def answer(exchange: Exchange, **changes: str | None) -> Answer:
    """What S3 answers, with other headers (None: without) where a fault wants them."""
    origin: Any = exchange.server
    if not origin.lenient and exchange.request_read.headers.get("if-match") != f'"{origin.etag}"':
        return error(412, "PreconditionFailed")
    start, stop, ranged = asked(exchange, len(origin.data))
    body = origin.data[start:stop]
    headers: dict[str, str | None] = {"ETag": f'"{origin.etag}"', "Content-Length": str(len(body))}
    if ranged:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(origin.data)}"
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    return Answer(206 if ranged else 200, body, [(name, value) for name, value in headers.items() if value is not None])


def error(status: int, code: str, message: str = "") -> Answer:
    document = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return Answer(status, document, [("Content-Length", str(len(document)))])


def right(exchange: Exchange) -> None:
    exchange.send(answer(exchange))


def head(exchange: Exchange) -> None:
    """What S3 says of an object whose checksum it was never told. boto3 would keep the connection for ever."""
    origin: Any = exchange.server
    exchange.request_read.headers["if-match"] = f'"{origin.etag}"'
    exchange.send(answer(exchange, Connection="close"), 0)
    exchange.close_connection = True


def refuse(status: int, code: str, message: str = "") -> Fault:
    def fault(exchange: Exchange) -> None:
        exchange.send(error(status, code, message))

    return fault


def cut(after: int, *, reset: bool = False) -> Fault:
    """All is promised, `after` bytes come, then the connection ends."""

    def fault(exchange: Exchange) -> None:
        exchange.send(answer(exchange), after)
        exchange.hang_up(reset=reset)

    return fault


def stall(after: int) -> Fault:
    """All is promised, `after` bytes come, then nothing until the client gives up."""

    def fault(exchange: Exchange) -> None:
        exchange.send(answer(exchange), after)
        exchange.wfile.flush()
        exchange.connection.recv(1)
        exchange.close_connection = True

    return fault


def silent(exchange: Exchange) -> None:
    """No answer at all until the client gives up."""
    exchange.connection.recv(1)
    exchange.close_connection = True


def short(less: int) -> Fault:
    """A whole answer of its own, but of fewer bytes than were asked for."""

    def fault(exchange: Exchange) -> None:
        whole = answer(exchange)
        body = whole.body[: max(0, len(whole.body) - less)]
        changed = [(name, str(len(body)) if name == "Content-Length" else value) for name, value in whole.headers]
        exchange.send(Answer(whole.status, body, changed))

    return fault


def slowly(exchange: Exchange) -> None:
    """The right answer in many small pieces."""
    whole = answer(exchange)
    exchange.send(whole, 0)
    for start in range(0, len(whole.body), 700):
        exchange.wfile.write(whole.body[start : start + 700])
        exchange.wfile.flush()


def drip(exchange: Exchange, data: bytes) -> None:
    """A byte now and then, until the client gives up."""
    left = select.poll()
    left.register(exchange.connection, select.POLLIN)
    with suppress(OSError):
        for at in range(len(data)):
            if left.poll(10):  # milliseconds between two bytes
                break
            exchange.connection.sendall(data[at : at + 1])
    exchange.close_connection = True


def trickle(after: int) -> Fault:
    """All is promised, `after` bytes come as they should, and then a byte now and then."""

    def fault(exchange: Exchange) -> None:
        whole = answer(exchange)
        exchange.send(whole, after)
        exchange.wfile.flush()
        drip(exchange, whole.body[after:])

    return fault


def slow_head(exchange: Exchange) -> None:
    """A status, and then a header that never ends."""
    exchange.wfile.write(b"HTTP/1.1 200 OK\r\nX-Header: ")
    drip(exchange, b"x" * 60_000)


def slow_refusal(exchange: Exchange) -> None:
    """A refusal that promises a long document."""
    exchange.send(Answer(503, b"", [("Content-Length", "60000")]))
    drip(exchange, b"x" * 60_000)


def endless_continue(exchange: Exchange) -> None:
    """One interim answer after the other, as fast as they go, until the client gives up."""
    with suppress(OSError):
        while True:
            exchange.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 10)
    exchange.close_connection = True


def after_interim(status: str, times: int = 1) -> Fault:
    """The right answer behind others that announce it."""

    def fault(exchange: Exchange) -> None:
        exchange.wfile.write(f"HTTP/1.1 {status}\r\nLink: </x>\r\n\r\n".encode() * times)
        right(exchange)

    return fault


def followed_by(extra: bytes, *, apart: bool = False) -> Fault:
    """The right answer, and bytes that nobody asked for: at once, or in a packet of their own."""

    def fault(exchange: Exchange) -> None:
        whole = answer(exchange)
        if apart:
            exchange.send(whole)
            exchange.wfile.flush()
            exchange.wfile.write(extra)
        else:
            exchange.send(Answer(whole.status, whole.body + extra, whole.headers))

    return fault


def redirect(status: int, location: str | None) -> Fault:
    def fault(exchange: Exchange) -> None:
        document = b"<Error><Code>TemporaryRedirect</Code><Endpoint>elsewhere</Endpoint></Error>"
        where = [] if location is None else [("Location", location)]
        exchange.send(Answer(status, document, [("Content-Length", str(len(document))), *where]))

    return fault


def encoded(name: str, encode: Callable[[bytes], bytes] | None, *, honest_length: bool = True) -> Fault:
    """The object in an encoding; without `encode` only the header says so. The length is the body's or the object's."""

    def fault(exchange: Exchange) -> None:
        whole = answer(exchange, Content_Encoding=name)
        body = encode(whole.body) if encode else whole.body
        length = len(body) if honest_length else len(whole.body)
        headers = [(name, str(length) if name == "Content-Length" else value) for name, value in whole.headers]
        exchange.send(Answer(whole.status, body, headers))
        exchange.close_connection = True

    return fault


def byteranges(exchange: Exchange) -> None:
    """The range as the only part of a multipart document."""
    start, stop, _ = asked(exchange, len(answer(exchange).body))
    whole = answer(exchange)
    part = f"--B\r\nContent-Range: bytes {start}-{stop - 1}/{len(whole.body)}\r\n\r\n".encode()
    body = part + whole.body + b"\r\n--B--\r\n"
    told = {"ETag": dict(whole.headers)["ETag"], "Content-Type": "multipart/byteranges; boundary=B"}
    exchange.send(Answer(206, body, [*told.items(), ("Content-Length", str(len(body)))]))


def of_status(status: int) -> Fault:
    """The right answer under another status: 200 for 206, 206 for 200."""

    def fault(exchange: Exchange) -> None:
        whole = answer(exchange)
        exchange.send(Answer(status, whole.body, whole.headers))

    return fault


def empty(status: int) -> Fault:
    """No body at all, and no length but 0."""

    def fault(exchange: Exchange) -> None:
        exchange.send(Answer(status, b"", [*answer(exchange, Content_Length="0").headers]))

    return fault


def with_headers(**changes: str | None) -> Fault:
    def fault(exchange: Exchange) -> None:
        exchange.send(answer(exchange, **changes))
        exchange.close_connection = True  # the length may be a lie

    return fault


def whole_for_part(exchange: Exchange) -> None:
    """Something in between forgets the range."""
    exchange.request_read.headers.pop("range", None)
    right(exchange)


def hung_up(exchange: Exchange) -> None:
    exchange.hang_up()


def garbage(exchange: Exchange) -> None:
    exchange.wfile.write(b"\x00\xffwhat is this\r\n\r\n")
    exchange.hang_up()


def unframed(exchange: Exchange) -> None:
    """Half of the body without a length: it ends as if it were whole."""
    whole = answer(exchange, Content_Length=None)
    exchange.send(whole, len(whole.body) // 2)
    exchange.hang_up()


def switched(*, lenient: bool) -> Fault:
    """From now on another object of the same size is there, with another ETag."""

    def fault(exchange: Exchange) -> None:
        origin: Any = exchange.server
        origin.data, origin.etag = bytes(byte ^ 0x55 for byte in origin.data), origin.etag + "-other"
        origin.lenient = lenient
        origin.fail_always("GetObject", right)
        right(exchange)

    return fault


def from_now_on(fault: Fault) -> Fault:
    def first(exchange: Exchange) -> None:
        origin: Any = exchange.server
        origin.recover()
        origin.fail_always("GetObject", fault)
        fault(exchange)

    return first


def from_byte(position: int, fault: Fault, reached: threading.Event) -> Fault:
    """All is well before this byte, and from there on this fault; that it came so far is then said."""

    def there(exchange: Exchange) -> None:
        start, stop, _ = asked(exchange, len(answer(exchange).body))
        if start >= position:
            reached.set()
            fault(exchange)
        elif stop <= position:
            right(exchange)
        else:
            cut(position - start)(exchange)

    return there


def odd_etag(form: str) -> Fault:
    """The right answer, whose ETag is written in another way than S3's."""

    def fault(exchange: Exchange) -> None:
        origin: Any = exchange.server
        exchange.send(answer(exchange, ETag=form.format(origin.etag)))

    return fault


Made = Callable[[random.Random], Fault]

# Each kind of trouble that passes, made up from a seed.
PASSING: tuple[Made, ...] = (
    lambda seed: cut(seed.randrange(0, 3000)),
    lambda seed: cut(seed.randrange(0, 3000), reset=True),
    lambda seed: short(seed.randrange(1, 3000)),
    lambda seed: refuse(*seed.choice([(500, "InternalError"), (502, ""), (503, "SlowDown"), (504, ""), (429, "")])),
    lambda _: refuse(403, "AccessDenied", "Request has expired"),
    lambda _: refuse(400, "ExpiredToken", "The provided token has expired."),
    lambda seed: with_headers(Content_Range=f"bytes {seed.randrange(5)}-{seed.randrange(9)}/{seed.randrange(9)}"),
    lambda seed: with_headers(Content_Length=str(seed.randrange(1, 9000))),
    lambda _: with_headers(ETag=None),
    lambda _: slowly,
    lambda _: garbage,
    lambda _: unframed,
    lambda _: hung_up,
    lambda _: whole_for_part,
)

EXTRA = (b"\r\n", b"x" * 5000, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong", b"HTTP/1.1 503 Busy\r\n\r\n")
# Each kind of misbehaviour that S3 does not show, and what stands in between may. It costs one attempt at the most.
STRANGE: tuple[Made, ...] = (
    lambda seed: trickle(seed.randrange(0, 3000)),
    lambda _: slow_head,
    lambda seed: encoded("gzip", gzip.compress, honest_length=seed.random() < 0.5),
    lambda seed: encoded("deflate", zlib.compress, honest_length=seed.random() < 0.5),
    lambda seed: encoded(seed.choice(["gzip", "br", "aws-chunked", "identity, gzip", "GZIP"]), None),
    lambda seed: encoded(seed.choice(["identity", "Identity", " identity "]), None),
    lambda seed: redirect(seed.choice([301, 302, 303, 307, 308]), None),
    lambda seed: redirect(seed.choice([301, 302, 303, 307, 308]), "http://127.0.0.1:9/elsewhere"),
    lambda seed: odd_etag(seed.choice(['W/"{}"', ' W/"{}"', "W/{}"])),
    lambda seed: odd_etag(seed.choice(["{}", ' "{}" ', '\t"{}"', '"{}'])),
    lambda _: byteranges,
    lambda _: of_status(200),
    lambda _: of_status(206),
    lambda seed: followed_by(seed.choice(EXTRA), apart=seed.random() < 0.5),
    lambda seed: after_interim(
        seed.choice(["100 Continue", "102 Processing", "103 Early Hints"]), seed.randrange(1, 4)
    ),
    lambda _: empty(200),
    lambda _: empty(206),
    lambda _: empty(204),
    lambda seed: with_headers(Content_Range=f"bytes 0-{seed.randrange(9)}/*"),
    lambda seed: with_headers(Content_Length=seed.choice(["-1", "1e3", "0x10", "9" * 30, "", "10, 10"])),
)
