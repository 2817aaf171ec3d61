"""Pinned versions of objects as an ordered stream of buffers, over one connection or several.

An object is read in parts, each into a buffer that is used again and again, by one thread for each connection. A part
is only begun with a buffer in hand, in the order of the object, so whoever is slow or stops cannot block anybody.
Memory: (connections + SPARE_BUFFERS) x part_bytes, however large the object is, and however many there are.
"""

import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from threading import TIMEOUT_MAX, Event, Lock
from typing import NamedTuple

from botocore.exceptions import BotoCoreError

from sluice.limits import LEAST_READ_RATE, MIB
from sluice.objects import Objects, Version
from sluice.wire import Connection, Source

PART_BYTES = 8 * MIB  # what one request asks for: its latency is then a small share of its time
SPARE_BUFFERS = 2  # beside one for each connection: one that the consumer has, one that is ready for it

# What may pass when the same bytes are asked for again: a network, TLS, S3's own trouble, no credentials at the moment.
PASSING = (OSError, HTTPException, BotoCoreError)


class Unreadable(Exception):
    """The bytes did not come, or too slowly, however often they were asked for, or not in time.

    The cause is the last failure.
    """


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a read waits, and how often it tries."""

    connect_seconds: float = 5.0  # for a connection, TLS included: S3 is in the same region
    stall_seconds: float = 20.0  # without headers, then with less than `least_rate`; S3's slow answers take a few
    least_rate: float = LEAST_READ_RATE  # bytes per second of one connection, while it is waited for
    attempts: int = 10  # in a row that bring less than that: with these pauses about 16 s of refusals
    first_pause_seconds: float = 0.1  # doubled with each attempt
    longest_pause_seconds: float = 10.0
    margin_seconds: float = 5.0  # of `seconds_left` that remain to the caller

    def pause(self, attempt: int) -> float:
        """Before asking again after this attempt, the first being 1: any time up to the limit, so that many readers do
        not return at once (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/)."""
        limit = min(self.first_pause_seconds * 2.0 ** (attempt - 1), self.longest_pause_seconds)
        return random.uniform(0, limit)  # noqa: S311 - jitter, no secret


@dataclass(slots=True)
class Row:
    """The attempts of one connection since it last kept the least rate: how many failed, and what they brought."""

    failed: int = 0
    received: int = 0  # bytes
    seconds: float = 0.0  # of waiting and pausing; what the consumer takes is not among them


class Stretch(NamedTuple):
    """Bytes from `start` up to `stop` (exclusive) for one buffer, of an answer that goes up to `end`."""

    source: Source
    start: int
    stop: int
    end: int


class Buffers(Iterator[memoryview]):
    """The buffers in order, each valid until the next is asked for. `retries`: how often bytes were asked for again."""

    def __init__(
        self,
        stretches: Iterator[Stretch],
        *,
        buffer_bytes: int | None = None,
        connections: int,
        seconds_left: Callable[[], float],
        patience: Patience,
    ) -> None:
        self.retries = 0
        self._stretches = stretches
        self._buffer_bytes = buffer_bytes  # None: as many as the stretch has, where no later one has more
        self._seconds_left = seconds_left
        self._patience = patience
        self._connections = [
            Connection(patience.connect_seconds, patience.stall_seconds, patience.least_rate)
            for _ in range(connections)
        ]
        self._idle = deque((connection, Row()) for connection in self._connections)
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="reader")
        self._stopped = Event()
        self._lock = Lock()
        self._failure: BaseException | None = None  # the last one, passing or not
        self._over = False
        self._under_way: deque[tuple[bytearray, memoryview, Future[None]]] = deque()
        self._free: list[bytearray] = []
        self._held: tuple[bytearray, memoryview] | None = None
        self._begin_parts()

    def __next__(self) -> memoryview:
        self._take_back()
        self._begin_parts()
        if not self._under_way:
            raise StopIteration
        memory, view, filled = self._under_way[0]
        self._wait(filled)
        self._under_way.popleft()
        self._held = memory, view
        return view

    def close(self) -> None:
        """End every thread and socket, whatever they are at."""
        self._stopped.set()
        for connection in self._connections:
            connection.interrupt()
        self._threads.shutdown(cancel_futures=True)
        for connection in self._connections:
            connection.close()
        # What a failure's traceback still refers to must not keep the buffers.
        self._under_way.clear()
        self._free.clear()
        self._failure = None

    def _take_back(self) -> None:
        if self._held is not None:
            memory, view = self._held
            view.release()  # who kept it shall not see another part's bytes
            self._free.append(memory)
            self._held = None

    def _begin_parts(self) -> None:
        """Have as many parts under way or ready as there are buffers."""
        most = len(self._connections) + SPARE_BUFFERS
        while len(self._under_way) < most and (stretch := next(self._stretches, None)):
            # What nobody writes to costs no memory: buffers for many small objects are as small as these.
            memory = self._free.pop() if self._free else bytearray(self._buffer_bytes or stretch.stop - stretch.start)
            view = memoryview(memory)[: stretch.stop - stretch.start]
            filled = self._threads.submit(self._fill, view, stretch)
            self._under_way.append((memory, view, filled))

    def _wait(self, filled: Future[None]) -> None:
        left = self._seconds_left() - self._patience.margin_seconds
        try:
            filled.result(min(left, TIMEOUT_MAX))
        except TimeoutError as late:
            raise Unreadable("the time is over") from (self._failure or late)

    def _fill(self, view: memoryview, stretch: Stretch) -> None:
        if self._over:  # in an earlier part: parts begin in order
            raise Unreadable("an earlier part could not be read")
        connection, row = self._idle.popleft()
        try:
            done = 0
            while done < len(view):
                done += self._read_on(connection, row, view[done:], stretch._replace(start=stretch.start + done))
        except BaseException:
            self._over = True
            raise
        finally:
            self._idle.append((connection, row))

    def _read_on(self, connection: Connection, row: Row, view: memoryview, stretch: Stretch) -> int:
        """How many bytes one attempt brings: none where it fails and may be made again."""
        begun = time.monotonic()
        count = 0
        try:
            count = connection.read_into(stretch.source, view, stretch.start, stretch.end)
        except PASSING as error:
            self._failure = error
            row.failed += 1
            if row.failed == self._patience.attempts:
                raise Unreadable(f"{row.received} bytes in {row.failed} attempts: {error}") from error
            if self._stopped.wait(self._patience.pause(row.failed)):
                raise
            with self._lock:
                self.retries += 1
        row.received += count
        row.seconds += time.monotonic() - begun
        if count and row.received >= self._patience.least_rate * row.seconds:
            row.failed, row.received, row.seconds = 0, 0, 0.0
        return count


@contextmanager
def read(
    objects: Objects,
    version: Version,
    start: int = 0,
    stop: int | None = None,
    *,
    part_bytes: int = PART_BYTES,
    connections: int = 1,
    seconds_left: Callable[[], float] = lambda: math.inf,
    patience: Patience = Patience(),
) -> Iterator[Buffers]:
    """The bytes from `start` up to `stop` (exclusive; None: the end), in buffers of `part_bytes`, the last one shorter.

    One connection is one plain stream, without a Range when it is the whole object; more ask for a part each. Leaving
    the context ends all threads and sockets at once; only a name that is being looked up is waited for.

    Raises ObjectMissing, ObjectChanged and ObjectForbidden as soon as the reading gets there, and Unreadable when
    `patience` or, less its margin, the time of `seconds_left` is over.
    """
    stop = version.size if stop is None else stop
    source = Source(objects, version)
    buffers = Buffers(
        (Stretch(source, at, to, stop if connections == 1 else to) for at, to in parts(start, stop, part_bytes)),
        connections=connections,
        seconds_left=seconds_left,
        patience=patience,
    )
    try:
        yield buffers
    finally:
        buffers.close()


@contextmanager
def read_several(
    objects: Objects,
    wanted: Iterable[tuple[Version, int, int]],
    *,
    part_bytes: int,
    connections: int,
    seconds_left: Callable[[], float] = lambda: math.inf,
    patience: Patience = Patience(),
) -> Iterator[Buffers]:
    """The bytes of each version from one place up to another, one after the other; else as `read` does.

    No buffer has bytes of two of them. While one is taken the next ones are asked for, so that many small objects do
    not cost a round trip each.
    """
    stretches = (
        Stretch(source, at, to, to)
        for version, start, stop in wanted
        for source in (Source(objects, version),)
        for at, to in parts(start, stop, part_bytes)
    )
    buffers = Buffers(
        stretches,
        buffer_bytes=part_bytes,
        connections=connections,
        seconds_left=seconds_left,
        patience=patience,
    )
    try:
        yield buffers
    finally:
        buffers.close()


def parts(start: int, stop: int, part_bytes: int) -> Iterator[tuple[int, int]]:
    """The bytes from `start` up to `stop` in parts, each as (start, stop); all but the last of `part_bytes`."""
    return ((at, min(at + part_bytes, stop)) for at in range(start, stop, part_bytes))
