import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.digests import ALGORITHMS, Digests


@given(st.binary(max_size=4096), st.lists(st.integers(0, 4096), max_size=12))
def test_any_cutting_gives_the_digests_of_the_whole(data: bytes, cuts: list[int]) -> None:
    """However a stream is cut into buffers, empty ones among them, hashlib agrees."""
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    with Digests() as digests:
        for start, stop in pairwise(edges):
            digests.update(data[start:stop])
        found = digests.hexdigests()
    assert found == {"sha-256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest()}  # noqa: S324


def test_nothing_has_digests_too() -> None:
    """An empty file has the well-known digests of no bytes."""
    with Digests() as digests:
        assert digests.hexdigests() == {
            "sha-256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "md5": "d41d8cd98f00b204e9800998ecf8427e",
        }


def test_a_buffer_is_free_again_after_update() -> None:
    """What the caller writes into it afterwards does not count: every digest has taken it by then."""
    buffer = bytearray(b"a" * 1_000_000)
    with Digests() as digests:
        digests.update(buffer)  # type: ignore[arg-type]  # a reused buffer is what this is about
        buffer[:] = b"b" * 1_000_000
        assert digests.hexdigests()["sha-256"] == hashlib.sha256(b"a" * 1_000_000).hexdigest()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_one_alone_can_be_asked_for(name: str) -> None:
    """Only the digests that were named are computed."""
    with Digests([name]) as digests:
        digests.update(b"abc")
        assert digests.hexdigests() == {name: hashlib.new(ALGORITHMS[name], b"abc").hexdigest()}


def test_digests_can_be_read_on_the_way() -> None:
    """Asking in between does not disturb what follows."""
    with Digests() as digests:
        digests.update(b"ab")
        assert digests.hexdigests()["sha-256"] == hashlib.sha256(b"ab").hexdigest()
        digests.update(b"c")
        assert digests.hexdigests()["sha-256"] == hashlib.sha256(b"abc").hexdigest()


def test_the_threads_end_with_it() -> None:
    """Outside of the block nothing runs on, and nothing can be added."""
    with Digests() as digests:
        pass
    with pytest.raises(RuntimeError):
        digests.update(b"late")
