"""The reader over real connections that fail in every way a seed can think of: right bytes or the right error."""

import gc
import gzip
import random
import select
import socket
import ssl
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from sluice import reader
from sluice.files import Status
from sluice.hashing import Job, Reason
from sluice.limits import KIB
from sluice.objects import ObjectChanged, ObjectForbidden, ObjectMissing, Objects, Version
from sluice.reader import Buffers, Patience, Unreadable
from sluice.signing import Signed
from sluice.wire import Connection, Refused, Source, TooSlow, WrongAnswer
from tests.effort import effort
from tests.integration import certificates, origin
from tests.integration.conftest import more
from tests.integration.origin import Origin
from tests.integration.proxy import Exchange, Fault
from tests.integration.world import OPTIONS, World, content, failed, ready, run, world

SEEDS = range(effort(12, 60, 300))
PART = 2 * KIB
DATA = content(9 * PART + 77)
# A stall costs this much of real time. Attempts: more than any seed's faults in a row, and what a busy machine adds.
SOON = Patience(
    stall_seconds=0.15, least_rate=4 * KIB, attempts=16, first_pause_seconds=0.0005, longest_pause_seconds=0.002
)
NEVER = replace(SOON, connect_seconds=3600, stall_seconds=3600)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Origin, Objects]]:
    with origin.serving() as serving:
        yield serving


@pytest.fixture(params=[1, 4])
def connections(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@contextmanager
def reading(served: tuple[Origin, Objects], version: Version, connections: int, **options: Any) -> Iterator[Buffers]:
    """A read in small parts, after which no thread of the reader is left and no connection to the origin."""
    chosen: dict[str, Any] = {"part_bytes": PART, "patience": SOON, "connections": connections}
    try:
        with reader.read(served[1], version, **chosen | options) as buffers:
            yield buffers
    finally:
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("reader")]
        assert served[0].left_alone()


def taken(buffers: Iterator[memoryview]) -> bytes:
    return b"".join(map(bytes, buffers))


# ---------------------------------------------------------------- whatever happens

ENDINGS: tuple[tuple[Fault, type[Exception]], ...] = (
    (origin.refuse(404, "NoSuchVersion"), ObjectMissing),
    (origin.refuse(403, "AccessDenied", "Access Denied"), ObjectForbidden),
    (origin.refuse(416, "InvalidRange"), ObjectChanged),
    (origin.switched(lenient=False), ObjectChanged),
    (origin.switched(lenient=True), ObjectChanged),
    (origin.refuse(503, "SlowDown"), Unreadable),
    (origin.cut(0), Unreadable),
)


@more
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_the_bytes_are_right_or_the_error_is(
    served: tuple[Origin, Objects], connections: int, seed: int
) -> None:
    """Troubles that pass cost attempts, and one that stays ends the read by its name; no wrong byte is ever seen."""
    made = random.Random(seed)
    faults = [made.choice(origin.PASSING)(made) for _ in range(made.randrange(9))]
    if seed % 10 == 0:
        faults.insert(made.randrange(len(faults) + 1), made.choice([origin.silent, origin.stall(made.randrange(3000))]))
    met: list[type[Exception]] = []
    if seed % 3 == 0:
        fault, error = made.choice(ENDINGS)
        faults.insert(made.randrange(len(faults) + 1), origin.from_now_on(noting(fault, error, met)))
    start, part_bytes = made.choice([0, made.randrange(len(DATA))]), made.choice([PART, 3 * PART])
    version = served[0].hold(DATA, *faults)
    got, raised = bytearray(), []
    with reading(served, version, connections, start=start, part_bytes=part_bytes) as buffers:
        try:
            for buffer in buffers:
                got += buffer
        except (ObjectMissing, ObjectForbidden, ObjectChanged, Unreadable) as ended:
            raised.append(type(ended))
    assert raised == met[:1]
    assert DATA[start:].startswith(got)
    assert raised or start + len(got) == len(DATA)


def noting(fault: Fault, error: type[Exception], met: list[type[Exception]]) -> Fault:
    """The fault, which leaves in `met` the error that it must end in."""

    def noted(exchange: Exchange) -> None:
        met.append(error)
        fault(exchange)

    return noted


# ---------------------------------------------------------------- whatever stands in between

STRANGE_SEEDS = range(effort(48, 144, 1000))  # at least each of the endings once, by every third
# What does not pass, the error that it ends in, and that one's cause.
STRANGE_ENDINGS: tuple[tuple[Fault, type[Exception], type[Exception] | None], ...] = (
    (origin.trickle(0), Unreadable, TooSlow),
    (origin.slow_head, Unreadable, TooSlow),
    (origin.encoded("gzip", gzip.compress), Unreadable, WrongAnswer),
    (origin.encoded("gzip", None), Unreadable, WrongAnswer),
    (origin.encoded("deflate", zlib.compress, honest_length=False), Unreadable, WrongAnswer),
    (origin.redirect(301, None), Unreadable, Refused),
    (origin.redirect(302, "http://127.0.0.1:9/elsewhere"), Unreadable, Refused),
    (origin.redirect(307, "/the/key"), Unreadable, Refused),
    (origin.odd_etag('W/"{}"'), Unreadable, WrongAnswer),
    (origin.odd_etag('"{}-other"'), ObjectChanged, None),
    (origin.byteranges, Unreadable, WrongAnswer),
    (origin.empty(206), Unreadable, WrongAnswer),
    (origin.after_interim("103 Early Hints"), Unreadable, Refused),
    (origin.with_headers(Content_Range="bytes 0-1/2"), Unreadable, WrongAnswer),
    (origin.with_headers(Content_Length="1"), Unreadable, WrongAnswer),
    (origin.switched(lenient=True), ObjectChanged, None),
)


@more
@pytest.mark.parametrize("seed", STRANGE_SEEDS)
def test_whatever_stands_in_between_the_bytes_are_right_or_the_reason_is(
    served: tuple[Origin, Objects], seed: int
) -> None:
    """An origin that S3 never is costs attempts, or ends the read for its true reason; no wrong byte is ever seen.

    Nothing stays behind: no thread, no connection (`reading`), and nothing that still refers to a buffer.
    """
    made = random.Random(f"strange {seed}")
    kinds = [*origin.STRANGE * 2, *origin.PASSING]
    faults = [made.choice(kinds)(made) for _ in range(made.randrange(1, 9))]
    met: list[type[Exception]] = []
    patience, cause = SOON, None
    if seed % 3 == 0:
        fault, error, cause = STRANGE_ENDINGS[seed // 3 % len(STRANGE_ENDINGS)]
        faults = [*faults[:2], origin.from_now_on(noting(fault, error, met))]
        patience = replace(SOON, attempts=6)
    start, part_bytes = made.choice([0, made.randrange(len(DATA))]), made.choice([PART, 3 * PART])
    version = served[0].hold(DATA, *faults)
    options = {"start": start, "part_bytes": part_bytes, "patience": patience}
    buffer = memoryview(b"")
    got, raised, causes, memories = bytearray(), [], [], []
    with reading(served, version, made.choice([1, 4]), **options) as buffers:
        try:
            for buffer in buffers:
                got += buffer
                memories += [buffer.obj, *(memory for memory, *_ in buffers._under_way)]
        except (ObjectMissing, ObjectForbidden, ObjectChanged, Unreadable) as ended:
            raised.append(type(ended))
            causes.append(type(ended.__cause__))
            memories += [memory for memory, *_ in buffers._under_way]
    assert raised == met[:1]
    assert not raised or cause in (None, *causes)
    assert DATA[start:].startswith(got)
    assert raised or start + len(got) == len(DATA)
    del buffer, buffers
    assert not held(memories) or (gc.collect() and not held(memories))


def held(memories: list[Any]) -> bool:
    """Whether anything but this list refers to one of them."""
    times = Counter(map(id, memories))
    # The loop and the call do as well.
    return any(sys.getrefcount(memory) > times[id(memory)] + 2 for memory in memories)


@pytest.fixture(scope="module")
def one_world() -> Iterator[World]:
    with world() as made:
        yield made


@more
@pytest.mark.parametrize("seed", STRANGE_SEEDS[::5])
def test_whatever_stands_in_between_the_verdict_is_right(
    served: tuple[Origin, Objects], one_world: World, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole job over such an origin, which answers HEAD without a checksum: nothing but reading finds it out.

    The file becomes ready with the digests of its bytes, or fails because the object was changed, or its message comes
    again and the next job, over a good line, finishes it.
    """
    made = random.Random(f"job {seed}")
    faults = [made.choice(origin.STRANGE)(made) for _ in range(made.randrange(1, 5))]
    met: list[type[Exception]] = []
    if seed % 2 == 0:
        fault, error, _ = STRANGE_ENDINGS[seed // 10 % len(STRANGE_ENDINGS)]
        faults.append(origin.from_now_on(noting(fault, error, met)))
    file = one_world.sent(DATA)
    version = served[0].hold(DATA, *faults)
    served[0].fail_always("HeadObject", origin.head)
    monkeypatch.setitem(reader.read.__wrapped__.__kwdefaults__, "patience", replace(SOON, attempts=6))  # type: ignore[attr-defined]  # contextmanager's
    options = replace(OPTIONS, part_bytes=PART, connections=made.choice([1, 4]))
    try:
        left = run(Job(one_world.near_files, served[1], "job-1", lambda: 600.0, options), file, version)
    except Unreadable:
        assert met == [Unreadable] * len(met) != []
        left = one_world.now(file)
    if ObjectChanged in met:
        assert failed(left, Reason.OBJECT_CHANGED)
        return
    if left and left.status is Status.HASHING:
        assert (left.lease_holder, left.lease_until) == (None, 0)
        served[0].recover()
        served[0].fail_always("HeadObject", origin.head)
        served[0].fail_always("GetObject", origin.right)
        left = run(Job(one_world.near_files, served[1], "job-2", lambda: 600.0, options), file, version)
    assert ready(left, DATA)
    assert served[0].left_alone()


# ---------------------------------------------------------------- what is asked


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 5 * PART])
def test_a_good_day(served: tuple[Origin, Objects], connections: int, size: int) -> None:
    """One connection asks once, without a range; several ask for each part once; an empty object is not asked for."""
    version = served[0].hold(DATA[:size])
    with reading(served, version, connections) as buffers:
        sizes = [(len(buffer), bytes(buffer)) for buffer in buffers]
        assert buffers.retries == 0
    assert b"".join(data for _, data in sizes) == DATA[:size]
    assert [length for length, _ in sizes] == [min(PART, size - at) for at in range(0, size, PART)]
    if connections == 1 or size <= PART:
        assert served[0].ranges() == ([None] if size else [])
    else:
        expected = {f"bytes={at}-{min(at + PART, size) - 1}" for at in range(0, size, PART)}
        assert sorted(served[0].ranges(), key=str) == sorted(expected)
    assert served[0].accepted <= connections


@pytest.mark.parametrize("ends", [(0, 1), (5, 5 * PART), (PART, len(DATA)), (len(DATA) - 1, len(DATA)), (9, 9)])
def test_a_range_is_read_and_nothing_else(
    served: tuple[Origin, Objects], connections: int, ends: tuple[int, int]
) -> None:
    """From `start` up to `stop`; nothing is asked for where that is nothing."""
    start, stop = ends
    version = served[0].hold(DATA)
    with reading(served, version, connections, start=start, stop=stop) as buffers:
        assert taken(buffers) == DATA[start:stop]
    assert bool(served[0].requests) == (start < stop)


def test_a_broken_answer_goes_on_at_the_byte_reached(served: tuple[Origin, Objects]) -> None:
    """Whether the connection is cut or stalls: no byte that came is asked for again."""
    version = served[0].hold(DATA, origin.cut(5000), origin.stall(3000), origin.cut(1))
    with reading(served, version, 1) as buffers:
        assert taken(buffers) == DATA
        assert buffers.retries == 3
    last = len(DATA) - 1
    assert served[0].ranges() == [None, f"bytes=5000-{last}", f"bytes=8000-{last}", f"bytes=8001-{last}"]


def test_progress_renews_the_attempts(served: tuple[Origin, Objects], connections: int) -> None:
    """A bad line that still brings what the least rate wants is read to the end, however often it breaks."""
    data = DATA[: 3 * SOON.attempts]
    version = served[0].hold(data, then=origin.cut(1))
    with reading(served, version, connections, patience=replace(SOON, least_rate=0.001)) as buffers:
        assert taken(buffers) == data
        assert buffers.retries == len(served[0].requests) - 1 >= len(data) - 1


def test_a_byte_now_and_then_is_no_progress(served: tuple[Origin, Objects], connections: int) -> None:
    """Bytes that come at less than the least rate, over all attempts, do not pay for more of them."""
    version = served[0].hold(DATA, then=origin.cut(1))
    patience = replace(SOON, least_rate=1e9)
    with reading(served, version, connections, patience=patience) as buffers, pytest.raises(Unreadable):
        next(buffers)
    assert len(served[0].requests) <= connections * SOON.attempts


def test_slow_parts_add_up(served: tuple[Origin, Objects]) -> None:
    """Whoever breaks once in each part, and is slow, is not followed from part to part for ever."""
    version = served[0].hold(content(2 * SOON.attempts * PART), then=origin.cut(PART))
    patience = replace(SOON, least_rate=1e9)
    with reading(served, version, 1, patience=patience) as buffers, pytest.raises(Unreadable):
        taken(buffers)
    # A busy machine may be slow where the origin is not.
    assert SOON.attempts <= len(served[0].requests) <= 2 * SOON.attempts


@pytest.mark.parametrize("after", [0, 1, 700])
def test_a_trickle_is_not_followed(served: tuple[Origin, Objects], connections: int, after: int) -> None:
    """Where bytes come far too slowly they are asked for anew, over another connection, and none of them twice."""
    version = served[0].hold(DATA, origin.trickle(after), origin.trickle(after))
    with reading(served, version, connections) as buffers:
        assert taken(buffers) == DATA
        assert 2 <= buffers.retries < SOON.attempts  # a busy machine may be slow where the origin is not
    assert served[0].accepted >= connections + 2
    if connections == 1:
        starts = [int(asked.removeprefix("bytes=").partition("-")[0]) for asked in served[0].ranges() if asked]
        assert after <= starts[0] < starts[1]


def test_a_trickle_without_end_is_unreadable(served: tuple[Origin, Objects], connections: int) -> None:
    """After as many attempts as any other trouble; the cause says so."""
    version = served[0].hold(DATA, then=origin.trickle(0))
    patience = replace(SOON, attempts=2)
    with reading(served, version, connections, patience=patience) as buffers:
        with pytest.raises(Unreadable, match="bytes in 2 attempts") as raised:
            next(buffers)
        assert isinstance(raised.value.__cause__, TooSlow)


@pytest.mark.parametrize("head", [origin.slow_head, origin.slow_refusal, origin.endless_continue])
def test_headers_that_never_end_are_not_followed(served: tuple[Origin, Objects], connections: int, head: Fault) -> None:
    """Byte by byte, one 100 Continue after the other, or a refusal whose document never ends."""
    version = served[0].hold(DATA, head)
    with reading(served, version, connections) as buffers:
        assert taken(buffers) == DATA
        assert buffers.retries == 1


def test_a_slow_consumer_is_not_a_slow_origin(served: tuple[Origin, Objects], monkeypatch: pytest.MonkeyPatch) -> None:
    """Time that passes between two reads of the socket counts for nothing, however long."""
    version = served[0].hold(DATA)
    source = Source(served[1], version)
    connection = Connection(connect_seconds=5, stall_seconds=5, least_rate=4 * KIB)
    got = bytearray(len(DATA))
    away = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + away, time=time.time)
    monkeypatch.setattr("sluice.wire.time", clock)
    with closing(connection):
        for at in range(0, len(DATA), 100):
            view = memoryview(got)[at : at + 100]
            assert connection.read_into(source, view, at, len(DATA)) == len(view)
            away += 1000.0
    assert got == DATA
    assert len(served[0].requests) == 1
    assert served[0].left_alone()


@pytest.mark.parametrize("extra", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
def test_what_comes_behind_an_answer_is_not_the_next_one(served: tuple[Origin, Objects], extra: bytes) -> None:
    """The connection is given up, without an attempt lost, whether the bytes come with the body or behind it."""
    version = served[0].hold(DATA, then=origin.followed_by(extra))
    source = Source(served[1], version)
    connection = Connection(connect_seconds=5, stall_seconds=5, least_rate=4 * KIB)
    with closing(connection):
        for start in range(0, len(DATA) - PART, PART):
            got = bytearray(PART)
            assert connection.read_into(source, memoryview(got), start, start + PART) == PART
            assert got == DATA[start : start + PART]
            if connection._socket is not None:
                arrived = select.poll()
                arrived.register(connection._socket, select.POLLIN)
                assert arrived.poll(origin.PATIENCE_SECONDS * 1000)
    assert served[0].accepted == len(served[0].requests) == len(DATA) // PART
    assert served[0].left_alone()


def test_no_redirect_is_followed(served: tuple[Origin, Objects], connections: int) -> None:
    """To another host it would take the signature along, and S3 names no other for a bucket's own region."""
    with origin.serving() as (other, _):
        version = served[0].hold(DATA, then=origin.redirect(307, f"{other.url}/the/key"))
        with reading(served, version, connections) as buffers, pytest.raises(Unreadable, match="307"):
            next(buffers)
        assert other.requests == []


def test_no_encoding_is_asked_for(served: tuple[Origin, Objects], connections: int) -> None:
    """The bytes as they are, and S3 is to say so, whatever it has stored as the object's encoding."""
    version = served[0].hold(DATA)
    with reading(served, version, connections) as buffers:
        assert taken(buffers) == DATA
    for request in served[0].requests:
        assert request.headers["accept-encoding"] == "identity"
        assert "response-content-encoding=identity" in request.path


def test_attempts_without_a_byte_are_bounded(served: tuple[Origin, Objects]) -> None:
    """Then the read ends with the last failure as the cause, and goes on failing for whoever asks again."""
    version = served[0].hold(DATA, origin.cut(PART), then=origin.refuse(503, "SlowDown"))
    with reading(served, version, 1) as buffers:
        assert bytes(next(buffers)) == DATA[:PART]
        for _ in range(2):
            with pytest.raises(Unreadable, match="503 SlowDown") as raised:
                next(buffers)
        assert isinstance(raised.value.__cause__, OSError)
        wait([filled for *_, filled in buffers._under_way], origin.PATIENCE_SECONDS)
    assert len(served[0].requests) == SOON.attempts  # the first one, whose answer broke, is one of them


@pytest.mark.parametrize("document", [(403, "AccessDenied", "Request has expired"), (400, "ExpiredToken", "")])
def test_an_expired_url_is_signed_again(
    served: tuple[Origin, Objects], document: tuple[int, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One URL serves all requests until S3 says that it has expired."""
    signed = count_signatures(served[1], monkeypatch)
    version = served[0].hold(DATA, origin.right, origin.refuse(*document))
    with reading(served, version, 4) as buffers:
        assert taken(next_one(buffers)) == DATA[:PART]
        before = len(signed)
        assert taken(buffers) == DATA[PART:]
    assert before <= 4 + reader.SPARE_BUFFERS
    assert len(signed) > 1
    assert len(served[0].requests) == 11


def next_one(buffers: Iterator[memoryview]) -> Iterator[memoryview]:
    yield next(buffers)


def test_a_url_that_is_about_to_expire_is_signed_again(
    served: tuple[Origin, Objects], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is used, not after S3 refused it."""
    monkeypatch.setattr("sluice.signing.URL_SECONDS", 30)
    signed = count_signatures(served[1], monkeypatch)
    version = served[0].hold(DATA, origin.cut(100), origin.cut(100))
    with reading(served, version, 1) as buffers:
        assert taken(buffers) == DATA
    assert len(signed) == len(served[0].requests) == 3


def count_signatures(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> list[Signed]:
    signed: list[Signed] = []
    sign = objects.sign_read

    def counting(version: Version) -> Signed:
        signed.append(sign(version))
        return signed[-1]

    monkeypatch.setattr(objects, "sign_read", counting)
    return signed


# ---------------------------------------------------------------- memory


def test_memory_is_a_buffer_for_each_connection_and_two(served: tuple[Origin, Objects], connections: int) -> None:
    """The same buffers come again and again, however long the object is; who kept one finds it closed."""
    version = served[0].hold(content(40 * PART))
    memories: dict[int, Any] = {}
    with reading(served, version, connections) as buffers:
        kept = next(buffers)
        for buffer in buffers:
            memories[id(buffer.obj)] = buffer.obj  # kept, so that no other one gets its id
        with pytest.raises(ValueError, match="released"):
            kept[0]
    assert len(memories) <= connections + reader.SPARE_BUFFERS
    assert {len(memory) for memory in memories.values()} == {PART}


def test_little_is_held_for_little(served: tuple[Origin, Objects], connections: int) -> None:
    """A small object, and a last part that is the second one, take the memory that they need."""
    for size in (1, PART + 1):
        version = served[0].hold(DATA[:size])
        with reading(served, version, connections) as buffers:
            memories: list[Any] = [buffer.obj for buffer in buffers]
        assert sum(len(memory) for memory in memories) == size


def test_a_consumer_that_takes_its_time_is_waited_for(served: tuple[Origin, Objects]) -> None:
    """All buffers are filled meanwhile, no more is asked for, and it goes on from there."""
    version = served[0].hold(DATA)
    with reading(served, version, 4) as buffers:
        first = bytes(next(buffers))
        assert served[0].asked_times(4 + reader.SPARE_BUFFERS)
        wait([filled for *_, filled in buffers._under_way], origin.PATIENCE_SECONDS)
        assert len(served[0].requests) == 4 + reader.SPARE_BUFFERS
        assert first + taken(buffers) == DATA


# ---------------------------------------------------------------- leaving


class Away(Exception):
    """What a consumer raises in the middle."""


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("then", [origin.right, origin.stall(700), origin.silent, origin.refuse(503, "SlowDown")])
@pytest.mark.parametrize("away", [None, Away])
def test_leaving_ends_everything(
    served: tuple[Origin, Objects], connections: int, count: int, then: Fault, away: type[Exception] | None
) -> None:
    """By a break or an exception, while bytes come and while they do not, for an hour."""
    reached = threading.Event()
    version = served[0].hold(DATA, then=origin.from_byte(count * PART, then, reached))
    with suppress(Away), reading(served, version, connections, patience=NEVER) as buffers:
        assert b"".join(bytes(next(buffers)) for _ in range(count)) == DATA[: count * PART]
        assert reached.wait(origin.PATIENCE_SECONDS)
        if away:
            raise away


def test_leaving_cuts_a_pause_short(served: tuple[Origin, Objects], connections: int) -> None:
    """Of half an hour, more or less."""
    version = served[0].hold(DATA, then=origin.refuse(503, "SlowDown"))
    patience = replace(NEVER, first_pause_seconds=3600, longest_pause_seconds=3600)
    with reading(served, version, connections, patience=patience):
        assert served[0].asked_times(1)


def test_the_deadline_ends_a_read_that_stalls(served: tuple[Origin, Objects], connections: int) -> None:
    """The margin remains to the caller; what had been retried last is the cause."""
    version = served[0].hold(DATA, then=origin.from_byte(PART + 5, origin.silent, threading.Event()))
    patience = replace(NEVER, margin_seconds=3600)
    left = iter([9000.0])
    with reading(served, version, connections, patience=patience, seconds_left=lambda: next(left, 3600.2)) as buffers:
        next(buffers)
        with pytest.raises(Unreadable, match="time is over") as raised:
            taken(buffers)
    assert isinstance(raised.value.__cause__, OSError)


def test_what_has_come_is_handed_over_after_the_deadline(served: tuple[Origin, Objects]) -> None:
    """Only waiting is cut short: the caller decides about the rest."""
    version = served[0].hold(DATA[:PART])
    left = iter([1000.0])
    with reading(served, version, 1, seconds_left=lambda: next(left, -1.0)) as buffers:
        assert taken(buffers) == DATA[:PART]


@contextmanager
def deaf() -> Iterator[int]:
    """A port that answers no attempt to connect: its queue is full."""
    with closing(socket.socket()) as listening, closing(socket.socket()) as first, closing(socket.socket()) as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


@contextmanager
def mute() -> Iterator[int]:
    """A port that accepts and says nothing, not even in TLS."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("port", [deaf, mute])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_leaving_does_not_wait_for_a_connection(
    served: tuple[Origin, Objects],
    connections: int,
    port: Callable[[], Any],
    scheme: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither for TCP's handshake nor for that of TLS, with all the patience in the world."""
    with port() as number:
        url = f"{scheme}://127.0.0.1:{number}/k?q"
        monkeypatch.setattr(served[1], "sign_read", lambda _: Signed(url, {}, 2**40))
        version = Version("k", "e", 50 * PART, None)
        with reading(served, version, connections, patience=NEVER) as buffers:
            while not any(connection._socket for connection in buffers._connections):
                threading.Event().wait(0.001)


@pytest.mark.parametrize("port", [deaf, mute])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nobody_waits_for_ever_for_a_connection(
    served: tuple[Origin, Objects], port: Callable[[], Any], scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for either handshake nor for the first byte of an answer."""
    with port() as number:
        url = f"{scheme}://127.0.0.1:{number}/k?q"
        monkeypatch.setattr(served[1], "sign_read", lambda _: Signed(url, {}, 2**40))
        patience = replace(SOON, attempts=2, connect_seconds=0.03, stall_seconds=0.03)
        with (
            reading(served, Version("k", "e", 1, None), 1, patience=patience) as buffers,
            pytest.raises(Unreadable) as raised,
        ):
            next(buffers)
        assert isinstance(raised.value.__cause__, TimeoutError)


def test_what_was_interrupted_opens_no_connection(served: tuple[Origin, Objects]) -> None:
    """Leaving finds some threads between two sockets."""
    version = served[0].hold(DATA)
    source = Source(served[1], version)
    connection = Connection(connect_seconds=5, stall_seconds=5, least_rate=0)
    connection.interrupt()
    with pytest.raises(ConnectionAbortedError):
        connection.read_into(source, memoryview(bytearray(PART)), 0, len(DATA))
    connection.close()
    assert served[0].requests == []


# ---------------------------------------------------------------- addresses and TLS


def test_every_address_of_a_name_is_tried(
    served: tuple[Origin, Objects], connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3's names have several, and one that does not answer is no reason to give up."""
    known: Callable[..., list[Any]] = socket.getaddrinfo
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))
        refused = known(*nobody.getsockname(), type=socket.SOCK_STREAM)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: refused + known(*args, **options))
        version = served[0].hold(DATA)
        with reading(served, version, connections) as buffers:
            assert taken(buffers) == DATA
            assert buffers.retries == 0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> certificates.Authority:
    return certificates.Authority(tmp_path_factory.mktemp("tls"))


def test_tls_trusts_whom_boto3_trusts(
    authority: certificates.Authority, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the bundle of AWS_CA_BUNDLE the bytes come, through cuts as well; without it nobody is believed."""
    with origin.serving(authority.server("127.0.0.1")) as served:
        version = served[0].hold(DATA, origin.cut(3000), origin.stall(500))
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
        with reading(served, version, connections) as buffers:
            assert taken(buffers) == DATA
        monkeypatch.delenv("AWS_CA_BUNDLE")
        with reading(served, version, connections) as buffers, pytest.raises(Unreadable) as raised:
            next(buffers)
        assert isinstance(raised.value.__cause__, ssl.SSLCertVerificationError)


def test_a_certificate_for_another_name_is_not_believed(
    authority: certificates.Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However well it is signed."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    with origin.serving(authority.server("127.0.0.2")) as served:
        version = served[0].hold(DATA)
        with reading(served, version, 1) as buffers, pytest.raises(Unreadable) as raised:
            next(buffers)
        assert isinstance(raised.value.__cause__, ssl.SSLCertVerificationError)
        assert served[0].requests == []
