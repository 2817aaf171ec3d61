"""The reader over real connections that fail in every way a seed can think of: right bytes or the right error."""

import os
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from sluice import reader
from sluice.limits import KIB
from sluice.objects import ObjectChanged, ObjectForbidden, ObjectMissing, Objects, Version
from sluice.reader import Buffers, Patience, Unreadable
from sluice.signing import Signed
from sluice.wire import Connection, Source
from tests.integration import certificates, origin
from tests.integration.origin import Origin
from tests.integration.proxy import Exchange, Fault
from tests.integration.world import content

SEEDS = range(300 if os.environ.get("ENDURANCE") else 24)
PART = 2 * KIB
DATA = content(9 * PART + 77)
# A stall costs this much of real time. Attempts: more than any seed's faults in a row, and what a busy machine adds.
SOON = Patience(stall_seconds=0.15, attempts=16, first_pause_seconds=0.0005, longest_pause_seconds=0.002)
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


def test_a_byte_renews_the_attempts(served: tuple[Origin, Objects], connections: int) -> None:
    """A bad line that still brings something is read to the end, however often it breaks."""
    data = DATA[: 3 * SOON.attempts]
    version = served[0].hold(data, then=origin.cut(1))
    with reading(served, version, connections) as buffers:
        assert taken(buffers) == data
        assert buffers.retries == len(data) - 1


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
    connection = Connection(Source(served[1], version), connect_seconds=5, stall_seconds=5)
    connection.interrupt()
    with pytest.raises(ConnectionAbortedError):
        connection.read_into(memoryview(bytearray(PART)), 0, len(DATA))
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
