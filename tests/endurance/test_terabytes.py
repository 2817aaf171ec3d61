"""An object as large as S3 takes, 48.8 TiB, hashed by hundreds of jobs one after the other.

Nobody could wait for its bytes, so most are left out: each job reads a few at the place that the one before it left,
and then the record is moved on by a stretch that was "read" meanwhile. Offsets, ranges, states and counts are real.
What the digests must come to says an implementation of SHA-256 that has nothing in common with ours but the standard.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from awscrt.checksums import crc64nvme

from sluice.files import ENDED, File, Status
from sluice.hashing import Options
from sluice.limits import MAX_OBJECT_BYTES, MAX_PART_BYTES, MAX_PARTS
from sluice.objects import Version
from tests.integration.conftest import thorough
from tests.integration.proxy import Answer, Exchange
from tests.integration.world import OPTIONS, World, run, world
from tests.unit.core.records import a_file

pytestmark = thorough

JOBS = 300
PART = 128  # bytes of a buffer
READ = 2 * PART  # bytes that each job hashes before its time is over
# What one job and the stretch behind it come to; the last one has what is left.
STEP = MAX_OBJECT_BYTES // JOBS // PART * PART
ETAG = "0123456789abcdef0123456789abcdef-10000"
HUGE: Options = replace(OPTIONS, digests=("sha-256", "crc64nvme"), part_bytes=PART, connections=2, slice_seconds=2.0)


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    with world() as made:
        made.proxy.fail_always("HeadObject", head)
        made.proxy.fail_always("GetObject", get)
        yield made


def made(start: int, stop: int) -> bytes:
    """The object's bytes: each 32 of them are the digest of their place."""
    first, last = start // 32, -(-stop // 32)
    blocks = b"".join(hashlib.sha256(b"%d" % block).digest() for block in range(first, last))
    return blocks[start - first * 32 : stop - first * 32]


def head(exchange: Exchange) -> None:
    exchange.send(Answer(200, b"", [("ETag", f'"{ETAG}"'), ("Content-Length", str(MAX_OBJECT_BYTES))]))


def get(exchange: Exchange) -> None:
    """One range of it, as S3 would answer."""
    match = re.fullmatch(r"bytes=(\d+)-(\d+)", exchange.request_read.headers["range"])
    assert match
    start, last = int(match[1]), int(match[2])
    body = made(start, last + 1)
    exchange.send(
        Answer(
            206,
            body,
            [
                ("ETag", f'"{ETAG}"'),
                ("Content-Length", str(len(body))),
                ("Content-Range", f"bytes {start}-{last}/{MAX_OBJECT_BYTES}"),
            ],
        )
    )


def moved_on(file: File, to: int) -> dict[str, object]:
    """The record as if all bytes up to `to` had been read: only the count of a state at a block's end tells of them."""
    states = {}
    for name, state in file.digest_states.items():
        version, of, at, words, tail = state.split(":")
        assert (of, int(at), tail) == (name, file.hashed_bytes, "")
        states[name] = f"{version}:{of}:{to}:{words}:{tail}"
    return {"hashed_bytes": to, "digest_states": states}


class Ticks:
    """A clock that the test owns: each look at it is a second later."""

    def __init__(self) -> None:
        self._gone = 0

    def monotonic(self) -> float:
        self._gone += 1
        return self._gone

    def time(self) -> float:
        return 1_800_000_000 + self._gone


def test_an_object_as_large_as_s3_takes(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three hundred jobs, each from the byte that was reached; the digests are those of a message of so many bits."""
    monkeypatch.setattr("sluice.hashing.time", Ticks())
    monkeypatch.setattr("sluice.hashing.LEAST_READ_RATE", 0)  # of seconds that are none
    huge = a_file(size=MAX_OBJECT_BYTES, part_size=MAX_PART_BYTES, status=Status.ASSEMBLING)
    file = here.near_files.create(huge)
    assert file.part_count == MAX_PARTS
    version = Version(file.key, ETAG, MAX_OBJECT_BYTES, None)
    sampled: list[bytes] = []
    offset = 0
    for number in range(JOBS):
        left = run(here.job(f"job-{number}", options=HUGE), file, version)
        assert left is not None
        assert (left.status, left.reason, left.attempts) == (Status.HASHING, None, 0)
        assert left.hashed_bytes == offset + READ
        assert left.lease_holder is None
        assert max(map(len, left.digest_states.values())) < 150
        sampled.append(made(offset, offset + READ))
        # The last stretch ends a little before the object does.
        offset = STEP * (number + 1) if number < JOBS - 1 else MAX_OBJECT_BYTES - PART
        here.near_files.save(left, **moved_on(left, offset))
    ended = run(here.job("job-last", options=HUGE), file, version)
    sampled.append(made(offset, MAX_OBJECT_BYTES))
    assert ended is not None
    assert ended.status in ENDED
    assert (ended.status, ended.hashed_bytes) == (Status.READY, MAX_OBJECT_BYTES)
    message = b"".join(sampled)
    assert ended.digests == {
        "sha-256": sha256_of_blocks(message, MAX_OBJECT_BYTES),
        "crc64nvme": f"{crc64nvme(message):016x}",
    }


def test_the_other_implementation_is_one() -> None:
    """Of a message that is all there it says what hashlib says."""
    message = made(0, 64 * 50)
    assert sha256_of_blocks(message, len(message)) == hashlib.sha256(message).hexdigest()


# ---------------------------------------------------------------- SHA-256, as FIPS 180-4 has it


def sha256_of_blocks(blocks: bytes, size: int) -> str:
    """The digest after these whole blocks, if the message has `size` bytes, a multiple of 64."""
    words = [_root(prime, 2) for prime in _primes(8)]
    padding = b"\x80" + bytes(55) + (8 * size).to_bytes(8)
    for start in range(0, len(blocks) + 64, 64):
        words = _compressed(words, (blocks + padding)[start : start + 64])
    return "".join(f"{word:08x}" for word in words)


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def _root(number: int, degree: int) -> int:
    """The first 32 bits of the fraction of the square root (degree 2) or cube root (3)."""
    wanted = number << 32 * degree
    low, high = 0, 1 << 40
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= wanted else (low, middle)
    return low & 0xFFFFFFFF


_CONSTANTS = [_root(prime, 3) for prime in _primes(64)]


def _turned(word: int, *by: int) -> int:
    return _xor((word >> bits | word << 32 - bits) & 0xFFFFFFFF for bits in by)


def _xor(words: Iterable[int]) -> int:
    result = 0
    for word in words:
        result ^= word
    return result


def _compressed(words: list[int], block: bytes) -> list[int]:
    schedule = [int.from_bytes(block[at : at + 4]) for at in range(0, 64, 4)]
    for at in range(16, 64):
        early, late = schedule[at - 15], schedule[at - 2]
        mixed = (_turned(early, 7, 18) ^ early >> 3) + (_turned(late, 17, 19) ^ late >> 10)
        schedule.append((schedule[at - 16] + schedule[at - 7] + mixed) & 0xFFFFFFFF)
    a, b, c, d, e, f, g, h = words
    for constant, word in zip(_CONSTANTS, schedule, strict=True):
        first = h + _turned(e, 6, 11, 25) + (e & f ^ ~e & g) + constant + word
        second = _turned(a, 2, 13, 22) + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = (first + second) & 0xFFFFFFFF, a, b, c, (d + first) & 0xFFFFFFFF, e, f, g
    return [(old + new) & 0xFFFFFFFF for old, new in zip(words, (a, b, c, d, e, f, g, h), strict=True)]
