"""A kept-alive HTTP/1.1 connection, no more of it than the Runtime API needs, on a bare socket.

asyncio's streams would copy each chunk and keep in memory what the kernel does not take. Here the kernel is the only
buffer: a chunk leaves by one `sendmsg` from where the app made it, and a slow reader is felt at once.

Theory of operation
===================

What goes out is a *request*, and what comes back is the *answer* to it: a *response*, in this package, is what an
invocation gets.

One task at a time uses a connection, and every `await` of it may be cancelled. Three things make that safe:

1. What is to be sent is in `_unsent` before the first byte of it leaves, and taken from there only as the kernel
   takes it. So a call that is cancelled leaves a whole number of requests and chunks, part of them sent: the next
   call goes on with the rest.
2. What was received stays in `_received` until a whole answer is there, and is taken at once. So reading an answer
   can be cancelled and begun anew.
3. `_busy` is true from the first byte of a request to the last of its answer. Where it stayed true (a cancelled
   request, a `Connection: close`) nothing else may be sent, and whoever wants to asks `usable` first and opens
   another connection.

Reading and writing watch for each other: while a write waits for the kernel, an answer that arrives wakes it, because
an answer that comes before the end of a request is a refusal, and nobody reads the rest. `close` wakes whoever waits
with a `ConnectionAbortedError`, so that no task hangs on a socket that is gone.

The loop is told to watch the socket once, and not for each wait: to tell it takes as long as one of its turns. What
comes while nobody waits stays in the kernel, and the loop watches no more until somebody does.
"""

import asyncio
import platform
import socket
from collections.abc import Mapping
from typing import NamedTuple, Self

# Bytes of an answer's head. The largest header that Lambda sends is the client context, 3,583 bytes in base64.
HEAD_LIMIT = 64 * 1024

# Bytes asked of the socket at a time.
RECEIVE_SIZE = 64 * 1024

_DECIMAL = frozenset("0123456789")
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")

Buffer = bytes | memoryview

USER_AGENT = f"streaming-runtime (Python {platform.python_version()})"


class Answer(NamedTuple):
    """What came back; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection, one request at a time. Every failure of it is an `OSError`."""

    def __init__(self, host: str, sock: socket.socket) -> None:
        self._host = host
        self._socket = sock
        self._fd = sock.fileno()  # asyncio formats the whole socket into an exception each time that it looks one up
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._unsent: tuple[Buffer, ...] = ()
        self._busy = False
        self._waiter: asyncio.Future[None] | None = None
        # What the loop was told of the socket.
        self._watched = False
        self._writing = False

    @classmethod
    async def open(cls, address: str) -> Self:
        """Connect to `host:port`, or to port 80 of `host`."""
        host, _, port = address.partition(":")
        sock = socket.socket()
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a chunk waits for no acknowledgement
            await asyncio.get_running_loop().sock_connect(sock, (host, int(port or 80)))
        except BaseException:
            sock.close()
            raise
        return cls(address, sock)

    @property
    def usable(self) -> bool:
        """Whether another request may be sent: nothing is under way, and the other side has not hung up."""
        return not (self._busy or self._unsent or self.answered)

    def close(self) -> None:
        """Drop the connection. Whoever is in the middle of using it gets a `ConnectionAbortedError`."""
        self._busy = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionAbortedError("the connection was closed on this side"))
        self._forget_waiter()
        self._unwatch()
        self._socket.close()

    async def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Send a whole request and read the answer to it."""
        await self.write(self.head(method, path, {**headers, "Content-Length": str(len(body))}), body)
        return await self.answer()

    def head(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}", f"User-Agent: {USER_AGENT}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    async def write(self, *parts: Buffer) -> bool:
        """Send the parts. Returns True when the kernel has taken all of them, False when an answer came before that.

        Cancelled, it leaves what is not sent to the next call: half a chunk would break the framing.
        """
        self._busy = True
        if self._unsent and not await self.flush():
            return False
        return self.pass_on(parts) or await self.flush()

    def pass_on(self, parts: tuple[Buffer, ...]) -> bool:
        """Send of the parts what the kernel takes at once; whether that was all, else `flush` sends the rest.

        Only between the first and the last `write` of a request, and when nothing is `unsent`.
        """
        self._unsent = parts
        return self._hand_over()

    async def flush(self) -> bool:
        """Send what is left. Returns as `write` does."""
        while not self._hand_over():
            await self._wait(writable=True)
            if self.answered:
                return False
        return True

    def _hand_over(self) -> bool:
        """Give the kernel what it takes of what is left; whether that was all."""
        try:
            sent = self._socket.sendmsg(self._unsent) if self._unsent else 0
        except BlockingIOError:
            return False
        whole = sent == sum(map(len, self._unsent))
        self._unsent = () if whole else _after(self._unsent, sent)
        return whole

    @property
    def unsent(self) -> bool:
        """Whether a cancelled call has left something."""
        return bool(self._unsent)

    @property
    def answered(self) -> bool:
        """Whether there is something to read: an answer, or the news that the other side has hung up."""
        if self._received:
            return True
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True  # reading it raises the same again
        return True

    async def answer(self) -> Answer:
        """Read the answer to what was sent."""
        try:
            return await self._read_answer()
        except ValueError as error:
            raise ConnectionError(f"no HTTP answer came: {error}") from error

    async def _read_answer(self) -> Answer:
        """Takes nothing from what was received before all of the answer is there: a cancelled call can be repeated."""
        status, headers, begin = await self._read_head()
        while 100 <= status < 200:
            del self._received[:begin]
            status, headers, begin = await self._read_head()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body, end = await self._read_chunks(begin)
        else:
            end = begin + _number(headers.get("content-length", "0"), _DECIMAL)
            body = await self._read(begin, end)
        del self._received[:end]
        self._busy = headers.get("connection", "").lower() == "close"
        return Answer(status, headers, body)

    async def _read_head(self) -> tuple[int, dict[str, str], int]:
        """Status, headers, and where the body begins."""
        end = await self._find(b"\r\n\r\n", 0)
        start, *lines = self._received[:end].decode("latin-1").split("\r\n")
        version, status, *_ = start.split(" ", 2)
        if not version.startswith("HTTP/1.") or len(status) != 3 or status < "100":
            raise ValueError(f"it begins with {start[:80]!r}")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return _number(status, _DECIMAL), headers, end + 4

    async def _read_chunks(self, begin: int) -> tuple[bytes, int]:
        """The body, and where it ends."""
        body = bytearray()
        while True:
            line = await self._find(b"\r\n", begin)
            size = _number(self._received[begin:line].decode("latin-1").partition(";")[0].strip(), _HEXADECIMAL)
            begin = line + 2
            if not size:
                break
            body += await self._read(begin, begin + size)
            begin += size + 2
            if await self._read(begin - 2, begin) != b"\r\n":
                raise ValueError("a chunk does not end where it says")
        while (line := await self._find(b"\r\n", begin)) > begin:
            begin = line + 2  # a trailer, of which the Runtime API has none that matter
        return bytes(body), line + 2

    async def _find(self, mark: bytes, begin: int) -> int:
        """Where the mark is, at `begin` or after it."""
        while (found := self._received.find(mark, begin)) < 0:
            if len(self._received) - begin > HEAD_LIMIT:
                raise ValueError(f"no end of a head within {HEAD_LIMIT} bytes")
            await self._receive()
        return found

    async def _read(self, begin: int, end: int) -> bytes:
        while len(self._received) < end:
            await self._receive()
        with memoryview(self._received) as received:
            return bytes(received[begin:end])

    async def _receive(self) -> None:
        """Wait until more has been received."""
        before = len(self._received)
        self._take()
        while len(self._received) == before:
            await self._wait(writable=False)

    def _take(self) -> None:
        """Receive what there is."""
        try:
            data = self._socket.recv(RECEIVE_SIZE)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionResetError("the other side hung up")
        self._received += data

    async def _wait(self, *, writable: bool) -> None:
        """Wait until something has been received or, when `writable`, can be written."""
        self._waiter = waiter = self._loop.create_future()
        if not self._watched:
            self._watched = True
            self._loop.add_reader(self._fd, self._readable)
        self._writing = writable
        if writable:
            self._loop.add_writer(self._fd, _wake, waiter)
        try:
            await waiter
        finally:
            self._forget_waiter()

    def _readable(self) -> None:
        """Receive for whoever waits: what stays in the kernel is told again at the loop's next turn."""
        if self._waiter is None or self._waiter.done():
            self._unwatch()
            return
        try:
            self._take()
        except OSError as error:
            self._waiter.set_exception(error)
        else:
            self._waiter.set_result(None)

    def _forget_waiter(self) -> None:
        self._waiter = None
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._fd)

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = False
            self._loop.remove_reader(self._fd)


def _number(text: str, digits: frozenset[str]) -> int:
    """A number as HTTP writes it. Python takes more for one, and a length below 0 would be read for ever."""
    if not text or not digits.issuperset(text):
        raise ValueError(f"{text[:80]!r} is no number")
    return int(text, 16 if digits is _HEXADECIMAL else 10)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _after(parts: tuple[Buffer, ...], sent: int) -> tuple[Buffer, ...]:
    """What is left of the parts after so many bytes."""
    for index, part in enumerate(parts):
        if sent < len(part):
            return (memoryview(part)[sent:], *parts[index + 1 :])
        sent -= len(part)
    return ()
