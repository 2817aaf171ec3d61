"""A kept-alive HTTP/1.1 connection, no more of it than the Runtime API needs."""

import asyncio
import platform
from collections.abc import Mapping
from typing import NamedTuple, Self

# Bytes of an answer's head. The largest header that Lambda sends is the client context, 3,583 bytes in base64.
HEAD_LIMIT = 64 * 1024

# Bytes up to which parts are joined: below it one system call is worth the copy.
JOIN_LIMIT = 256 * 1024

USER_AGENT = f"streaming-runtime (Python {platform.python_version()})"


class Answer(NamedTuple):
    """What came back; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection, one request at a time. Every failure of it is an `OSError`."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._host = host
        self._reader = reader
        self._writer = writer
        self._busy = False

    @classmethod
    async def open(cls, address: str) -> Self:
        """Connect to `host:port`, or to port 80 of `host`."""
        host, _, port = address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port or 80), limit=HEAD_LIMIT)
        # No buffer beside the kernel's: a write is done when the kernel has the bytes, so a slow reader slows the app.
        writer.transport.set_write_buffer_limits(high=0)
        return cls(address, reader, writer)

    @property
    def usable(self) -> bool:
        """Whether another request may be sent: nothing is under way, and the other side has not hung up."""
        return not (self._busy or self._reader.at_eof() or self._writer.is_closing())

    def close(self) -> None:
        """Drop the connection, and what is not sent yet with it."""
        self._writer.transport.abort()

    async def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Send a whole request and read the answer to it."""
        await self.write(self.head(method, path, {**headers, "Content-Length": str(len(body))}), body)
        return await self.answer()

    def head(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}", f"User-Agent: {USER_AGENT}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    async def write(self, *parts: bytes) -> None:
        """Send the parts in one go, and wait until the kernel has taken all of them."""
        self._busy = True
        # Not writelines(): in 3.12.0 to 3.12.8 and 3.13.0 to 3.13.1 it never pauses (gh-127655), so that a slow reader
        # would find the whole stream in our memory.
        if sum(map(len, parts)) <= JOIN_LIMIT:
            parts = (b"".join(parts),)
        for part in parts:
            self._writer.write(part)
        await self._writer.drain()

    async def answer(self) -> Answer:
        """Read the answer to what was sent."""
        try:
            return await self._read_answer()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            raise ConnectionError(f"no HTTP answer came: {error}") from error

    async def _read_answer(self) -> Answer:
        status, headers = await self._read_head()
        while 100 <= status < 200:
            status, headers = await self._read_head()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = await self._read_chunks()
        else:
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        self._busy = headers.get("connection", "").lower() == "close"
        return Answer(status, headers, body)

    async def _read_head(self) -> tuple[int, dict[str, str]]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        start, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        version, status, *_ = start.split(" ", 2)
        if not version.startswith("HTTP/1."):
            raise ValueError(f"it begins with {start[:80]!r}")
        headers = (line.partition(":") for line in lines)
        return int(status), {name.lower(): value.strip() for name, _, value in headers}

    async def _read_chunks(self) -> bytes:
        body = bytearray()
        while size := int((await self._reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        while await self._reader.readuntil(b"\r\n") != b"\r\n":
            continue  # a trailer, of which the Runtime API has none that matter
        return bytes(body)
