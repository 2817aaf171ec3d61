"""What may happen between a runtime and the Runtime API: a TCP relay that cuts, and one that refuses."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

# Bytes passed on at a time.
READ_SIZE = 64 * 1024

Direction = Literal["up", "down"]
# Leaving with what the kernel calls a reset: nothing lingers, for 0 seconds.
RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Cut:
    """The end of a connection as soon as `after` bytes, of all connections together, went `up` to the API or `down`.

    `for_good`: no connection works afterwards.
    """

    direction: Direction
    after: int
    reset: bool = False
    for_good: bool = False


@dataclass
class Relay:
    """Passes bytes on between a runtime and the Runtime API, so many at a time, until the cut."""

    address: str
    cut: Cut | None = None
    read_size: int = READ_SIZE
    passed: dict[Direction, int] = field(default_factory=lambda: {"up": 0, "down": 0})
    connections: int = 0
    done: bool = False
    ends: list[asyncio.StreamWriter] = field(default_factory=list)

    async def hang_up(self, *, reset: bool) -> None:
        """End every connection; return when it has ended."""
        ends, self.ends = self.ends, []
        _leave(ends, reset=reset)
        for end in ends:
            await end.wait_closed()

    async def serve(self, runtime: asyncio.StreamReader, to_runtime: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.done and self.cut is not None and self.cut.for_good:
            to_runtime.close()
            return
        host, port = self.address.split(":")
        api, to_api = await asyncio.open_connection(host, int(port))
        ends = [to_runtime, to_api]
        self.ends += ends
        pumps = [
            asyncio.create_task(self._pump("up", runtime, to_api, ends)),
            asyncio.create_task(self._pump("down", api, to_runtime, ends)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)
            _leave(ends, reset=False)

    async def _pump(
        self,
        direction: Direction,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ends: list[asyncio.StreamWriter],
    ) -> None:
        """Pass on what comes from one end; return when either end has hung up or was cut off."""
        try:
            while not self._cuts(direction, ends) and (data := await reader.read(self._room(direction))):
                self.passed[direction] += len(data)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            return

    def _room(self, direction: Direction) -> int:
        if self.done or self.cut is None or self.cut.direction != direction:
            return self.read_size
        return min(self.read_size, self.cut.after - self.passed[direction])

    def _cuts(self, direction: Direction, ends: list[asyncio.StreamWriter]) -> bool:
        if self.cut is None or self.done or self.cut.direction != direction or self.passed[direction] < self.cut.after:
            return False
        self.done = True
        _leave(ends, reset=self.cut.reset)
        return True


def _leave(ends: list[asyncio.StreamWriter], *, reset: bool) -> None:
    for end in ends:
        if reset:
            end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.transport.abort()
        else:
            end.close()


@dataclass
class Refusal:
    """Passes whole requests on, but answers the first one whose path ends in `call` itself, with `status`.

    `when`: at the "end" of the request; or at its head, after which it hangs up ("close"), reads no more ("stop") or
    reads on to the end ("drain").
    """

    address: str
    call: bytes
    status: int
    when: Literal["end", "close", "stop", "drain"] = "end"
    requests: list[bytes] = field(default_factory=list)
    done: bool = False

    async def serve(self, runtime: asyncio.StreamReader, to_runtime: asyncio.StreamWriter) -> None:
        host, port = self.address.split(":")
        api, to_api = await asyncio.open_connection(host, int(port))
        try:
            while True:
                head = await runtime.readuntil(b"\r\n\r\n")
                self.requests.append(head.split(b" ")[1].rpartition(b"/runtime/")[2])
                if not self.done and self.requests[-1].endswith(self.call):
                    self.done = True
                    to_api.close()
                    if not await self._refuse(head, runtime, to_runtime):
                        return
                    api, to_api = await asyncio.open_connection(host, int(port))
                else:
                    await _pass(head, runtime, to_api)
                    await _pass(await api.readuntil(b"\r\n\r\n"), api, to_runtime)
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # one of the two has hung up
        finally:
            to_api.close()
            to_runtime.close()

    async def _refuse(self, head: bytes, runtime: asyncio.StreamReader, to_runtime: asyncio.StreamWriter) -> bool:
        """Whether the connection works on."""
        if self.when == "end":
            await _drop(head, runtime)
        lines = f"HTTP/1.1 {self.status} No\r\nContent-Length: 2\r\n" + "Connection: close\r\n" * (self.when == "close")
        to_runtime.write(lines.encode() + b"\r\n{}")
        await to_runtime.drain()
        if self.when == "stop":
            await to_runtime.wait_closed()
        if self.when == "drain":
            await _drop(head, runtime)
        return self.when in {"end", "drain"}


async def _body(head: bytes, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The body after this head, as it is on the wire."""
    if b"transfer-encoding: chunked" in head.lower():
        while (line := await reader.readuntil(b"\r\n")) != b"0\r\n":
            yield line + await reader.readexactly(int(line, 16) + 2)
        yield line
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            yield line
        yield line
    elif length := re.search(rb"content-length: *(\d+)", head.lower()):
        yield await reader.readexactly(int(length[1]))


async def _pass(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(head)
    async for part in _body(head, reader):
        writer.write(part)
        await writer.drain()


async def _drop(head: bytes, reader: asyncio.StreamReader) -> None:
    async for _ in _body(head, reader):
        pass


@asynccontextmanager
async def listening(between: Relay | Refusal) -> AsyncIterator[str]:
    """Its address, as long as the block runs; at its end every connection is closed, and what served it has ended."""
    serving: list[tuple[asyncio.Event, asyncio.StreamWriter]] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = asyncio.Event()
        serving.append((ended, writer))
        try:
            await between.serve(reader, writer)
        finally:
            ended.set()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        server.close()
        for ended, writer in serving:
            writer.transport.abort()
            await ended.wait()
