"""The bench's Lambda: a Runtime API that does so little that it is never what is waited for.

Threads with blocking sockets and buffers that are kept; a body is counted and thrown away. It believes what it is told
(`local.runtime_api` is the strict one): that what is timed is also right is checked apart from the timing, by digest.
"""

import hashlib
import itertools
import queue
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field

# Bytes for what one read may bring.
BUFFER_SIZE = 1 << 20
DELIMITER = bytes(8)
# Bytes of a request that are acknowledged at once. The kernel would hold an acknowledgement back for 40 ms, and a
# carrier whose socket waits for it before its next small write (the Web Adapter's does) would be measured asleep.
PROMPT_BYTES = 64 * 1024

RUNTIME = "/2018-06-01/runtime/"
EXTENSION = "/2020-01-01/extension/"
ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"OK"}'
REGISTERED = b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: bench\r\nContent-Length: 2\r\n\r\n{}"
EVENT = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    "Lambda-Runtime-Aws-Request-Id: {request_id}\r\n"
    "Lambda-Runtime-Deadline-Ms: {deadline_ms}\r\n"
    "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:123456789012:function:bench\r\n"
    "Lambda-Runtime-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0\r\n"
    "Content-Length: {length}\r\n\r\n"
)
# Milliseconds that an invocation has: Lambda's longest, 15 minutes.
TIMEOUT_MS = 15 * 60 * 1000


@dataclass
class Invocation:
    """One event and what became of it. Times are `time.monotonic()`, in seconds, as seen here."""

    event: bytes
    keep: bool = False
    """Keep the body, with the time at which each piece of it came."""
    sent: float = 0.0
    first: float = 0.0
    """The first byte of the body after the prelude; of a buffered answer its end, for no client sees it earlier."""
    end: float = 0.0
    again: float = 0.0
    """When the environment, done with this, asked for the next; meaningless with several at once."""
    size: int = 0
    """Bytes of the body, without the prelude."""
    prelude: bytes = b""
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    failure: str | None = None
    settled: threading.Event = field(default_factory=threading.Event)

    @property
    def body(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


class Service:
    """The Runtime API, and what of the Extensions API an adapter needs, for one environment."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        host, port = self._listener.getsockname()
        self.address = f"{host}:{port}"
        self.ready = threading.Event()
        self.ready_at = 0.0
        """When the first `/next` came."""
        self.agents: set[str] = set()
        self._waiting: queue.SimpleQueue[Invocation] = queue.SimpleQueue()
        self._out: dict[str, Invocation] = {}
        self._done: deque[Invocation] = deque()
        self._ids = (f"8476a536-e9f4-11e8-9739-{number:012x}" for number in itertools.count())
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def submit(self, invocation: Invocation) -> None:
        """Hand it to the next `/next`, open or to come."""
        self._waiting.put(invocation)

    def close(self) -> None:
        for connection in (self._listener, *self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the other side was first
            finally:
                connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            self._connections.append(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        reader = Reader(connection)
        try:
            while True:
                self._answer(connection, reader)
        except OSError:
            return  # the environment has ended, or was closed

    def _answer(self, connection: socket.socket, reader: "Reader") -> None:
        method, path, headers = reader.head()
        if path == RUNTIME + "invocation/next":
            self._next(connection)
        elif path.startswith(RUNTIME + "invocation/"):
            _, _, request_id, call = path.rsplit("/", 3)
            self._take(self._out.pop(request_id), call, headers, reader)
            connection.sendall(ACCEPTED)
        elif path == EXTENSION + "register":
            reader.body(headers, Invocation(b""))
            self.agents.add(headers.get("user-agent", ""))
            connection.sendall(REGISTERED)
        elif path == EXTENSION + "event/next":
            connection.recv(1)  # never answered: Lambda would tell of a shutdown here
        else:
            raise OSError(f"{method} {path} is no call that is known here")

    def _next(self, connection: socket.socket) -> None:
        now = time.monotonic()
        if self._done:
            done = self._done.popleft()
            done.again = now
            done.settled.set()
        if not self.ready.is_set():
            self.ready_at = now
            self.ready.set()
        invocation = self._waiting.get()
        request_id = next(self._ids)
        deadline_ms = int(time.time() * 1000) + TIMEOUT_MS
        head = EVENT.format(request_id=request_id, deadline_ms=deadline_ms, length=len(invocation.event))
        answer = head.encode() + invocation.event
        self._out[request_id] = invocation
        invocation.sent = time.monotonic()
        connection.sendall(answer)

    def _take(self, invocation: Invocation, call: str, headers: dict[str, str], reader: "Reader") -> None:
        try:
            reader.body(headers, invocation)
        except OSError:
            invocation.failure = "the environment broke its answer off"
        if call == "error":
            invocation.failure = invocation.prelude.decode("utf-8", "replace")
        self._done.append(invocation)
        if invocation.failure:
            invocation.settled.set()


class Reader:
    """Reads requests from one connection, the large ones without keeping them."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray(BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        # What was received and not yet looked at lies between these two.
        self._begin = self._end = 0
        self._stamp = 0.0
        # Bytes received since the last head.
        self._of_request = 0

    def head(self) -> tuple[str, str, dict[str, str]]:
        """Method, path and headers (names in lower case) of the next request."""
        self._of_request = 0
        start, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        method, path, _ = start.split(" ", 2)
        headers = (line.partition(":") for line in lines)
        return method, path, {name.lower(): value.strip() for name, _, value in headers}

    def body(self, headers: dict[str, str], invocation: Invocation) -> None:
        """Read a body into what is noted of `invocation`; the prelude apart where there is one."""
        sink = _Sink(invocation)
        streamed = headers.get("lambda-runtime-function-response-mode") == "streaming"
        if headers.get("transfer-encoding", "").lower() == "chunked":
            while size := self._next_chunk(sink):
                self._data(size, sink, streamed)
                self._until(b"\r\n")
            while line := self._until(b"\r\n"):
                invocation.failure = f"trailer {line.decode('latin-1')}"
        else:
            self._data(int(headers.get("content-length", 0)), sink, streamed)
        invocation.end = self._stamp
        if not streamed:
            invocation.first = self._stamp

    def _next_chunk(self, sink: "_Sink") -> int:
        """The size of the next chunk; where nothing is to be kept, of the next that is not here as a whole."""
        if sink.counts_only:
            find, buffer, begin, end, count = self._buffer.find, self._buffer, self._begin, self._end, 0
            while (found := find(b"\r\n", begin, end)) > 0:
                size = int(buffer[begin:found], 16)
                after = found + size + 4
                if not size or after > end:
                    break
                begin = after
                count += size
            self._begin = begin
            sink.count(count)
        return int(self._until(b"\r\n").partition(b";")[0], 16)

    def _data(self, size: int, sink: "_Sink", streamed: bool) -> None:
        while size:
            if self._begin == self._end:
                self._fill()
            taken = min(size, self._end - self._begin)
            sink.take(self._view[self._begin : self._begin + taken], self._stamp, streamed)
            self._begin += taken
            size -= taken

    def _until(self, mark: bytes) -> bytes:
        """What comes before `mark`, which is thrown away."""
        while (found := self._buffer.find(mark, self._begin, self._end)) < 0:
            self._fill()
        line = bytes(self._view[self._begin : found])
        self._begin = found + len(mark)
        return line

    def _fill(self) -> None:
        """Receive more behind what is there."""
        rest = self._end - self._begin
        if self._begin:
            self._view[:rest] = self._buffer[self._begin : self._end]
            self._begin, self._end = 0, rest
        received = self._connection.recv_into(self._view[rest:])
        self._stamp = time.monotonic()
        if not received:
            raise ConnectionError("the other side hung up")
        self._end += received
        self._of_request += received
        if self._of_request < PROMPT_BYTES:
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # for the next; it does not last


class _Sink:
    """Counts a body, and parts the prelude from it."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._in_prelude = True

    @property
    def counts_only(self) -> bool:
        return not self._in_prelude and not self._invocation.keep

    def count(self, size: int) -> None:
        self._invocation.size += size

    def take(self, data: memoryview, stamp: float, streamed: bool) -> None:
        invocation = self._invocation
        if self._in_prelude:
            invocation.prelude += data
            if not streamed:
                invocation.size = len(invocation.prelude)
                return
            before, delimiter, after = invocation.prelude.partition(DELIMITER)
            if not delimiter or not after:
                return
            self._in_prelude = False
            invocation.prelude = before
            invocation.first = stamp
            data = memoryview(after)
        invocation.size += len(data)
        if invocation.keep:
            invocation.pieces.append((stamp, bytes(data)))
