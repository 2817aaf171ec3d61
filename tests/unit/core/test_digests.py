import hashlib
import json
import random
import subprocess
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sluice
from sluice import libcrypto
from sluice.digests import SUPPORTED, THREADS_FROM_BYTES, Buffer, Digests, StateError, available
from sluice.limits import MAX_OBJECT_BYTES, MIB
from tests.unit.core.vectors import FIRST_BLOCKS, STANDARDS, ZEROS

HASHES = {"md5": "md5", "sha": "sha1", "sha-256": "sha256", "sha-512": "sha512"}
DATA = random.Random(4).randbytes(8 * MIB + 600)

# How one buffer may come: (the bytes, what lies before them in memory) -> the same bytes.
KINDS: dict[str, Callable[[bytes, int], Buffer]] = {
    "bytes": lambda data, _: data,
    "bytearray": lambda data, _: bytearray(data),
    "view": lambda data, before: memoryview(bytearray(before) + data)[before:],
    "read-only view": lambda data, before: memoryview(bytes(before) + data)[before:],
}


def _table(polynomial: int) -> list[int]:
    table = []
    for entry in range(256):
        for _ in range(8):
            entry = entry >> 1 ^ polynomial * (entry & 1)  # noqa: PLW2901 - eight steps of one division
        table.append(entry)
    return table


# Reflected polynomials: RFC 3720, section 12.1, and NVM Express, NVM Command Set, section 5.2.1.3.4.
CRCS = {"crc32c": (32, _table(0x82F63B78)), "crc64nvme": (64, _table(0x9A6C9329AC4BC9B5))}


def expected(name: str, data: bytes) -> str:
    """The digest by another way than the one that is tested."""
    if name in HASHES:
        return hashlib.new(HASHES[name], data).hexdigest()
    if name == "crc32":
        return f"{zlib.crc32(data):08x}"
    bits, table = CRCS[name]
    crc = (1 << bits) - 1
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return f"{crc ^ (1 << bits) - 1:0{bits // 4}x}"


def states_at(offset: int, names: tuple[str, ...] = SUPPORTED) -> dict[str, str]:
    with Digests(names) as digests:
        digests.update(DATA[:offset])
        return digests.states()


@pytest.fixture
def no_libcrypto(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing that could be libcrypto is to be found."""
    monkeypatch.setattr(libcrypto, "candidates", lambda: ["libcrypto-of-nowhere.so"])
    libcrypto.load.cache_clear()
    yield
    libcrypto.load.cache_clear()


@given(
    st.binary(max_size=2000),
    st.lists(
        st.tuples(st.integers(0, 2000), st.booleans(), st.sampled_from(list(KINDS)), st.integers(0, 9)), max_size=9
    ),
)
def test_however_it_is_cut_and_resumed(data: bytes, cuts: list[tuple[int, bool, str, int]]) -> None:
    """Any buffers, empty ones among them, of any kind and alignment, saved and restored anywhere: the same digests."""
    digests, start = Digests(SUPPORTED), 0
    for stop, resumed, kind, before in [*sorted(cuts), (len(data), True, "bytes", 0)]:
        digests.update(KINDS[kind](data[start:stop], before))
        start = max(start, min(stop, len(data)))
        if resumed:
            digests = Digests(SUPPORTED, digests.states(), start)
    assert digests.offset == len(data)
    assert digests.hexdigests() == {name: expected(name, data) for name in SUPPORTED}


def test_resumes_at_every_offset() -> None:
    """From 0 to 300 and around every power of two up to 8 MiB: hashes go on as hashlib does, CRCs as unbroken ones."""
    powers = {2**exponent + near for exponent in range(24) for near in (-1, 0, 1)}
    crcs = SUPPORTED[len(HASHES) :]
    hashes = {name: hashlib.new(HASHES[name]) for name in HASHES}
    view = memoryview(DATA)
    with Digests(SUPPORTED) as whole:
        for start, cut in pairwise([0, *sorted({*range(301), *powers})]):
            further = view[cut : cut + 500]
            whole.update(view[start:cut])
            with Digests(SUPPORTED, whole.states(), cut) as resumed, Digests(crcs) as unbroken:
                resumed.update(further)
                unbroken.update(view[: cut + 500])
                right = unbroken.hexdigests()
                for name, digest in hashes.items():
                    digest.update(view[start:cut])
                    on = digest.copy()
                    on.update(further)
                    right[name] = on.hexdigest()
                assert resumed.hexdigests() == right, cut


RESUMER = """
import json, sys
from sluice.digests import Digests

found = []
for states, offset, rest in json.load(sys.stdin):
    with Digests(states, states, offset) as digests:
        digests.update(bytes.fromhex(rest))
        found.append(digests.hexdigests())
json.dump([found, "awscrt" in sys.modules], sys.stdout)
"""


def test_another_process_goes_on() -> None:
    """A state is text that another process resumes from, and one without those CRCs does not load awscrt."""
    names = (*HASHES, "crc32")
    cuts = [0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 300, 65_536, 1_000_003]
    jobs = [(states_at(cut, names), cut, DATA[cut : cut + 200].hex()) for cut in cuts]
    found, awscrt_loaded = json.loads(
        subprocess.run(
            [sys.executable, "-c", RESUMER],
            input=json.dumps(jobs),
            env={"PYTHONPATH": str(Path(sluice.__file__).parents[1])},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
    )
    assert found == [{name: expected(name, DATA[: cut + 200]) for name in names} for cut in cuts]
    assert not awscrt_loaded


@pytest.mark.parametrize(("name", "boundary"), ZEROS)
def test_counts_carry(name: str, boundary: int) -> None:
    """The count of bits goes past 2^32, and that of bytes, and a state from before gives hashlib's digest after."""
    words, digest = ZEROS[name, boundary]
    tail = "00" * ((boundary - 100) % {"sha-512": 128}.get(name, 64)) if name in HASHES else ""
    with Digests([name], {name: f"1:{name}:{boundary - 100}:{words}:{tail}"}, boundary - 100) as digests:
        digests.update(bytes(200))
        assert digests.hexdigests() == {name: digest}
        resumed = Digests([name], digests.states(), boundary + 100)
    assert resumed.hexdigests() == {name: digest}


@given(st.sampled_from(list(HASHES)), st.integers(0, MAX_OBJECT_BYTES), st.data())
def test_offsets_of_the_largest_objects(name: str, offset: int, data: st.DataObject) -> None:
    """A digest is the words after the padding, which ends in the count of bits: right up to 48.8 TiB."""
    block, length = (128, 16) if name == "sha-512" else (64, 8)
    size = hashlib.new(HASHES[name]).digest_size
    words, tail = data.draw(st.binary(min_size=size, max_size=size)), DATA[: offset % block]
    state = {name: f"1:{name}:{offset}:{words.hex()}:{tail.hex()}"}
    count = (8 * offset).to_bytes(length, "little" if name == "md5" else "big")
    padding = b"\x80" + bytes((-offset - 1 - length) % block) + count

    padded = Digests([name], state, offset)
    padded.update(padding)
    last = bytes.fromhex(padded.states()[name].split(":")[3])
    if name == "md5":
        last = b"".join(last[at : at + 4][::-1] for at in range(0, size, 4))

    assert Digests([name], state, offset).hexdigests() == {name: last.hex()}
    assert Digests([name], state, offset).states() == state


@pytest.mark.parametrize(("name", "message", "digest"), STANDARDS)
def test_standards(name: str, message: bytes, digest: str) -> None:
    """The examples of RFC 1321, FIPS 180 and RFC 3720, and the check values of the CRCs."""
    with Digests([name]) as digests:
        digests.update(message)
        assert digests.hexdigests() == {name: digest}


@pytest.mark.parametrize(("name", "block", "words"), FIRST_BLOCKS)
def test_words_are_those_of_the_standard(name: str, block: bytes, words: str) -> None:
    """A state holds the words as FIPS 180 prints them, whatever the order of bytes in this machine's memory."""
    with Digests([name]) as digests:
        digests.update(block)
        assert digests.states() == {name: f"1:{name}:64:{words}:"}


@pytest.mark.parametrize("name", SUPPORTED)
def test_one_alone_can_be_asked_for(name: str) -> None:
    """Only the digests that were named are computed, and reading them on the way does not disturb what follows."""
    with Digests([name]) as digests:
        assert digests.hexdigests() == {name: expected(name, b"")}
        digests.update(b"ab")
        assert digests.hexdigests() == digests.hexdigests() == {name: expected(name, b"ab")}
        digests.update(b"c")
        assert digests.hexdigests() == {name: expected(name, b"abc")}


def test_names() -> None:
    """What is unknown is refused at once, with what there is."""
    assert all(available(name) for name in SUPPORTED)
    assert not available("sha-1")
    with pytest.raises(ValueError, match=r"'sha-1' here, only .*sha-256"):
        Digests(["md5", "sha-1"])


def test_without_awscrt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its CRCs are not available then, and are refused by name; all else works."""
    monkeypatch.setitem(sys.modules, "awscrt", None)
    assert [name for name in SUPPORTED if not available(name)] == ["crc32c", "crc64nvme"]
    with pytest.raises(ValueError, match="crc64nvme"):
        Digests(["sha-256", "crc64nvme"])
    with Digests([*HASHES, "crc32"]) as digests:
        digests.update(b"abc")
        assert digests.hexdigests() == {name: expected(name, b"abc") for name in (*HASHES, "crc32")}


DAMAGES: dict[str, Callable[[str], str]] = {
    "nothing": lambda _: "",
    "no format": lambda _: "state",
    "a later format": lambda state: "2" + state[1:],
    "no version": lambda state: state[2:],
    "another digest": lambda state: state.replace("sha-256", "sha-512"),
    "another digest's": lambda _: states_at(100)["sha"],
    "a digest in capitals": lambda state: state.replace("sha", "SHA"),
    "another offset": lambda state: state.replace(":100:", ":164:"),
    "an offset with a zero": lambda state: state.replace(":100:", ":0100:"),
    "an offset with a sign": lambda state: state.replace(":100:", ":+100:"),
    "an offset with a blank": lambda state: state.replace(":100:", ": 100:"),
    "an offset in other digits": lambda state: state.replace(":100:", ":\u0661\u0660\u0660:"),
    "a word less": lambda state: state.replace(state.split(":")[3], state.split(":")[3][8:]),
    "a word more": lambda state: state.replace(":100:", ":100:00000000"),
    "words in capitals": lambda state: state.replace(state.split(":")[3], state.split(":")[3].upper()),
    "half a byte less": lambda state: state[:-1],
    "a byte less": lambda state: state[:-2],
    "a byte more": lambda state: state + "00",
    "a whole block more": lambda state: state + "00" * 64,
    "no tail": lambda state: state.rpartition(":")[0],
    "an empty tail": lambda state: state.rpartition(":")[0] + ":",
    "no hex": lambda state: state[:-2] + "zz",
    "a line's end": lambda state: state + "\n",
    "more": lambda state: state + ":",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_states_are_refused(damage: str) -> None:
    """Whatever `states` did not write for this digest, offset and format is a StateError."""
    state = states_at(100)["sha-256"]
    damaged = DAMAGES[damage](state)
    assert damaged != state
    with pytest.raises(StateError):
        Digests(["sha-256"], {"sha-256": damaged}, 100)


@pytest.mark.parametrize("name", SUPPORTED)
@pytest.mark.parametrize("change", [lambda state: state + "00", lambda state: state.replace(":64:", ":64:00")])
def test_states_of_a_wrong_length_are_refused(name: str, change: Callable[[str], str]) -> None:
    """Every digest has as many words as it has, and at the end of a block no tail; a CRC never has one."""
    with pytest.raises(StateError):
        Digests([name], {name: change(states_at(128)[name].replace(":128:", ":64:"))}, 64)


@pytest.mark.parametrize("offset", [-1, 0, 99, 101, 10**18])
def test_states_of_another_offset_are_refused(offset: int) -> None:
    """A state fits the offset that it was saved at and no other."""
    with pytest.raises(StateError):
        Digests(SUPPORTED, states_at(100), offset)


def test_all_that_go_on_need_a_state() -> None:
    """Without one, only offset 0 is a beginning; what is left over belongs to digests that are no longer wanted."""
    with pytest.raises(StateError):
        Digests(["md5"], None, 1)
    with pytest.raises(StateError):
        Digests(["md5"], {}, 1)
    assert Digests(["md5"], {}).offset == 0
    states = states_at(100, ("md5", "sha"))
    with pytest.raises(StateError):
        Digests(["md5", "sha-256"], states, 100)
    assert Digests(["md5"], states, 100).states() == {"md5": states["md5"]}


@pytest.mark.parametrize("kind", KINDS)
def test_a_buffer_is_not_copied_and_free_again(kind: str) -> None:
    """Megabytes are taken where they lie; then the buffer may be written to, and even resized."""
    buffer = KINDS[kind](bytes(4 * MIB), 1)
    with Digests(SUPPORTED) as digests:
        digests.update(buffer)  # what is allocated once, threads and modules, is not what this is about
        tracemalloc.start()
        try:
            digests.update(buffer)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 64 * 1024
        if isinstance(buffer, bytearray):
            buffer[:] = b"other"
        digests.update(b"")
        assert digests.hexdigests()["sha-256"] == hashlib.sha256(bytes(8 * MIB)).hexdigest()


def test_bytes_count_not_items() -> None:
    """A view of larger items counts as its bytes; one with gaps is refused before any digest has taken it."""
    items = memoryview(DATA[:800]).cast("Q")
    for threads_too in (items, memoryview(DATA).cast("Q")):
        with Digests(SUPPORTED) as digests:
            digests.update(items)
            with pytest.raises(BufferError):
                digests.update(threads_too[::2])
            assert digests.offset == 800
            assert Digests(SUPPORTED, digests.states(), 800).hexdigests() == digests.hexdigests()
            assert digests.hexdigests() == {name: expected(name, DATA[:800]) for name in SUPPORTED}


def digest_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("digest")]


@pytest.mark.parametrize(
    ("names", "size", "threads"),
    [
        (("sha-256",), THREADS_FROM_BYTES, 0),
        (("sha-256", "crc64nvme", "crc32c"), THREADS_FROM_BYTES, 0),
        (("crc64nvme", "crc32c"), THREADS_FROM_BYTES, 0),
        ((), THREADS_FROM_BYTES, 0),
        (("sha-256", "md5"), THREADS_FROM_BYTES - 1, 0),
        (("sha-256", "md5", "crc64nvme"), THREADS_FROM_BYTES, 1),
    ],
)
def test_threads_where_they_gain_something(names: tuple[str, ...], size: int, threads: int) -> None:
    """One for each hash but the caller's own, for large buffers only; and none is left behind."""
    with Digests(names) as digests:
        digests.update(DATA[:size])
        assert len(digest_threads()) == threads
        assert digests.hexdigests() == {name: expected(name, DATA[:size]) for name in names}
    assert not digest_threads()


def test_the_threads_end_with_it() -> None:
    """Also after an exception nothing runs on, and nothing can be added."""

    def fail() -> NoReturn:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):  # noqa: PT012, SIM117 - what is between is what the exception leaves
        with Digests(SUPPORTED) as digests:
            digests.update(DATA)
            assert digest_threads()
            fail()
    assert not digest_threads()
    with pytest.raises(RuntimeError):
        digests.update(b"late")


def test_a_failure_waits_for_the_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """When one digest fails the buffer is not given back before the others are done with it."""

    def fail(_data: Buffer, _value: int) -> NoReturn:
        raise MemoryError

    monkeypatch.setattr(zlib, "crc32", fail)
    with Digests(["md5", "sha", "crc32"]) as digests:
        with pytest.raises(MemoryError):
            digests.update(DATA)
        assert digests.hexdigests()["md5"] == expected("md5", DATA)
        assert digests.offset == 0


@pytest.mark.usefixtures("no_libcrypto")
def test_a_failure_in_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """What went wrong in another thread is not lost, or its digest would be another stream's."""

    class OutOfMemory:
        def update(self, _data: Buffer) -> NoReturn:
            raise MemoryError

        def hexdigest(self) -> str:
            return ""

    by_name = hashlib.new
    monkeypatch.setattr(
        hashlib, "new", lambda name, **options: OutOfMemory() if name == "md5" else by_name(name, **options)
    )
    with Digests(["md5", "sha"]) as digests:
        with pytest.raises(MemoryError):
            digests.update(DATA)
        assert digests.offset == 0


def test_two_at_once() -> None:
    """Two streams hashed at the same time, one of them saved and restored all the while, know nothing of each other."""
    streams = [DATA[: 4 * MIB], DATA[4 * MIB : 8 * MIB]]
    found: list[dict[str, str]] = [{}, {}]
    together = threading.Barrier(2)

    def run(which: int) -> None:
        view = memoryview(streams[which])
        states: dict[str, str] = {}
        step = THREADS_FROM_BYTES + 1  # never at the end of a block
        together.wait()
        for start in range(0, len(view), step):
            with Digests(SUPPORTED, states, start) as digests:
                digests.update(view[start : start + step])
                states, found[which] = digests.states(), digests.hexdigests()

    threads = [threading.Thread(target=run, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for stream, digests in zip(streams, found, strict=True):
        assert {name: digests[name] for name in HASHES} == {name: expected(name, stream) for name in HASHES}


@pytest.mark.parametrize("name", SUPPORTED)
def test_the_gil_is_released(name: str) -> None:
    """Another thread runs while a buffer is taken.

    The interpreter is told not to take the GIL away from a thread for an hour, so that the other one gets it only from
    an `update` that gives it up.
    """
    wanted, ran = threading.Event(), threading.Event()

    def run() -> None:
        wanted.wait()
        ran.set()

    other = threading.Thread(target=run)
    other.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(3600)
    try:
        with Digests([name]) as digests:
            wanted.set()
            updates = 0
            while not ran.is_set() and updates < 200:  # the scheduler may be late for one, not for 200 of 8 MiB
                digests.update(DATA)
                updates += 1
            assert ran.is_set()
    finally:
        sys.setswitchinterval(interval)
        wanted.set()
        other.join()


@pytest.mark.usefixtures("no_libcrypto")
def test_without_libcrypto(caplog: pytest.LogCaptureFixture) -> None:
    """The digests are right, nothing can be saved or restored, and the log says so once."""
    for data in (b"abc", DATA[:THREADS_FROM_BYTES]):
        with Digests(SUPPORTED) as digests:
            digests.update(data)
            assert not digests.resumable
            assert digests.states() == {}
            assert digests.offset == len(data)
            assert digests.hexdigests() == {name: expected(name, data) for name in SUPPORTED}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "libcrypto-of-nowhere.so" in caplog.text


def test_saved_states_need_libcrypto(request: pytest.FixtureRequest) -> None:
    """Where it is missing, a state from elsewhere is a StateError, unless it is a CRC's."""
    states = states_at(100)
    request.getfixturevalue("no_libcrypto")
    with pytest.raises(StateError, match="md5"):
        Digests(["md5"], states, 100)
    with Digests(["crc32"], states, 100) as digests:
        assert digests.resumable
        assert digests.hexdigests() == {"crc32": expected("crc32", DATA[:100])}
