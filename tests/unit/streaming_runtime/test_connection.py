import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from streaming_runtime.connection import Connection

pytestmark = pytest.mark.anyio

# More than the kernel takes of one side before the other reads.
MORE_THAN_THE_KERNEL_HOLDS = 64 << 20


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Connection, socket.socket]]:
    """A connection, and the other side's socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connection = await Connection.open(f"127.0.0.1:{listening.getsockname()[1]}")
        other, _ = listening.accept()
        other.setblocking(False)
        with other:
            yield connection, other
        connection.close()


async def received(other: socket.socket, size: int) -> bytes:
    """So many bytes, read as they come."""
    data = bytearray()
    while len(data) < size:
        data += await asyncio.get_running_loop().sock_recv(other, 1 << 20)
    return bytes(data)


async def blocked(writing: asyncio.Task[bool]) -> None:
    """Wait until the writer has filled the kernel's buffers and waits itself."""
    for _ in range(10):
        await asyncio.sleep(0)
    assert not writing.done()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_parts_of_any_size_arrive_in_order() -> None:
    """Also where the kernel takes a part of a part only."""
    chance = random.Random(7)
    parts = [chance.randbytes(chance.choice([0, 1, 7, 100_000, 3_000_000])) for _ in range(40)]
    async with connected() as (connection, other):
        writing = asyncio.create_task(connection.write(*parts))
        assert await received(other, sum(map(len, parts))) == b"".join(parts)
        assert await writing


async def test_what_a_cancelled_write_leaves_goes_out_before_the_next() -> None:
    """Else the next chunk would begin in the middle of one."""
    chance = random.Random(8)
    first, second = chance.randbytes(MORE_THAN_THE_KERNEL_HOLDS), b"second"
    async with connected() as (connection, other):
        writing = asyncio.create_task(connection.write(first))
        await blocked(writing)
        writing.cancel()
        await asyncio.wait({writing})
        assert writing.cancelled()
        reading = asyncio.create_task(received(other, len(first) + len(second)))
        assert await connection.write(second)
        assert await reading == first + second


async def test_an_answer_stops_a_write_that_waits() -> None:
    """A refusal comes before the end of what is refused, and nobody reads the rest."""
    async with connected() as (connection, other):
        writing = asyncio.create_task(connection.write(bytes(MORE_THAN_THE_KERNEL_HOLDS)))
        await blocked(writing)
        other.send(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\n\r\nno")
        assert not await writing
        answer = await connection.answer()
        assert (answer.status, answer.body) == (413, b"no")
        assert not connection.usable


async def test_closing_wakes_whoever_waits() -> None:
    """A write that nobody takes ends when somebody else drops the connection."""
    async with connected() as (connection, _):
        writing = asyncio.create_task(connection.write(bytes(MORE_THAN_THE_KERNEL_HOLDS)))
        await blocked(writing)
        connection.close()
        with pytest.raises(ConnectionAbortedError):
            await writing
        assert not connection.usable


async def test_what_the_kernel_has_no_room_for_is_flushed() -> None:
    """Passing on never waits, and says what is left of it."""
    chance = random.Random(9)
    large, small = chance.randbytes(MORE_THAN_THE_KERNEL_HOLDS), b"small"
    async with connected() as (connection, other):
        assert await connection.write(small)
        assert connection.pass_on((small, small))
        assert not connection.pass_on((large, small))
        assert connection.unsent
        reading = asyncio.create_task(received(other, len(large) + 4 * len(small)))
        assert await connection.flush()
        assert await reading == small * 3 + large + small
        assert not connection.unsent


@pytest.mark.parametrize("hangs_up", [True, False])
async def test_what_comes_while_nobody_waits_keeps_no_loop_busy(hangs_up: bool) -> None:
    """It would be told again at every turn, as long as an app takes; a later call sees it nevertheless."""
    async with connected() as (connection, other):
        first = asyncio.create_task(connection.answer())
        await asyncio.sleep(0)
        other.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert (await first).status == 200
        if hangs_up:
            other.close()
        else:
            other.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        for _ in range(5):
            await asyncio.sleep(0)
        assert not asyncio.get_running_loop().remove_reader(connection._fd)
        assert connection.answered
        if hangs_up:
            with pytest.raises(ConnectionResetError):
                await connection.answer()
        else:
            assert (await connection.answer()).status == 202


async def test_a_connection_is_usable_until_the_other_side_hangs_up() -> None:
    """An idle connection that was closed meanwhile is no place for a request."""
    async with connected() as (connection, other):
        assert connection.usable
        other.close()
        with pytest.raises(ConnectionResetError):
            await connection.answer()
        assert not connection.usable


@pytest.mark.parametrize("step", [1, 2, 3, 50, 1000])
async def test_an_answer_is_read_however_it_is_cut(step: int) -> None:
    """Heads, interim answers, lengths and chunks with extensions and trailers, in pieces of any size."""
    answers = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhello"
        b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;x=y\r\nabc\r\na\r\n0123456789\r\n0\r\nT: u\r\n\r\n"
    )
    async with connected() as (connection, other):

        async def send() -> None:
            for begin in range(0, len(answers), step):
                other.send(answers[begin : begin + step])
                await asyncio.sleep(0)

        sending = asyncio.create_task(send())
        first, second = await connection.answer(), await connection.answer()
        await sending
    assert (first.status, first.headers["x-a"], first.body) == (200, "b", b"hello")
    assert (second.status, second.body) == (202, b"abc0123456789")


@pytest.mark.parametrize(
    "answer",
    [
        *(b"SMTP ready\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 41 Gone\r\n\r\n", b"x" * 200_000),
        *(b"HTTP/1.1 200 OK\r\nContent-Length: %b\r\n\r\n" % length for length in (b"x", b"-5", b"+5", b"1_0")),
        *(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b\r\n0\r\n\r\n" % chunk
            for chunk in (b"-6", b"0x1\r\na", b"", b"1\r\nab")
        ),
    ],
)
async def test_what_is_no_http_is_a_lost_connection(answer: bytes) -> None:
    """Whoever is at the other side, it is not the Runtime API."""
    async with connected() as (connection, other):
        sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(other, answer))
        with pytest.raises(ConnectionError):
            await connection.answer()
        sending.cancel()
