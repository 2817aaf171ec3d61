import asyncio
import hashlib
import os
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from sluice.errors import BodyTooLarge, IncompleteBody, Problem
from tests.unit.functions.modules import imported

DISCONNECT: Message = {"type": "http.disconnect"}


@pytest.fixture(scope="module")
def small() -> Iterator[ModuleType]:
    with imported("functions.api.routes.small_files") as module:
        yield module


def sent(
    chunks: list[bytes], headers: dict[str, str] | None = None, *, whole: bool = True
) -> tuple[Request, list[Message]]:
    """A request whose body comes in these chunks, and the messages that are still to be read."""
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False} if whole else DISCONNECT)

    async def receive() -> Message:
        return messages.pop(0)

    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return Request({"type": "http", "method": "PUT", "headers": raw}, receive), messages


def read(small: ModuleType, request: Request, most: int | None = None) -> list[bytes]:
    async def all_of_it() -> list[bytes]:
        return [chunk async for chunk in small.received(request, most)]

    return asyncio.run(all_of_it())


@given(st.lists(st.binary(max_size=20), max_size=10), st.booleans())
def test_a_body_is_passed_on_as_it_comes(small: ModuleType, chunks: list[bytes], declared: bool) -> None:
    """Chunk by chunk, whether its length was said or not."""
    total = sum(map(len, chunks))
    request, _ = sent(chunks, {"content-length": str(total)} if declared else None)
    assert b"".join(read(small, request, total)) == b"".join(chunks)


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=2, max_size=10))
def test_no_more_is_read_than_is_needed_to_refuse(small: ModuleType, chunks: list[bytes]) -> None:
    """The chunk that goes beyond the limit is the last one that is looked at."""
    most = len(chunks[0])
    request, left = sent(chunks)
    with pytest.raises(BodyTooLarge):
        read(small, request, most)
    assert len(left) == len(chunks) - 1  # the rest, and the end


def test_a_length_that_is_too_large_is_refused_unread(small: ModuleType) -> None:
    """What was said is enough."""
    request, left = sent([b"x"], {"content-length": "11"})
    with pytest.raises(BodyTooLarge) as refused:
        read(small, request, 10)
    assert refused.value.extra == {"limit": 10}
    assert len(left) == 2


@pytest.mark.parametrize("length", ["0", "2", "4", "3.0", "-3", "three", "", "\u00b3", "+3", "3, 3"])
def test_a_length_that_lies_is_a_problem(small: ModuleType, length: str) -> None:
    """Neither more nor less than was said, nor what is no number, is taken for the body that was meant."""
    request, _ = sent([b"ab", b"c"], {"content-length": length})
    with pytest.raises(IncompleteBody):
        read(small, request)


def test_a_body_that_breaks_off_is_a_problem(small: ModuleType) -> None:
    """With and without a length it is not taken for a whole one."""
    for headers in (None, {"content-length": "3"}):
        request, _ = sent([b"ab"], headers, whole=False)
        with pytest.raises(IncompleteBody) as broken:
            read(small, request)
        assert broken.value.extra["received"] == 2


def measured(small: ModuleType, request: Request) -> dict[str, Any]:
    answer: dict[str, Any] = asyncio.run(small.digest_body(request, None))
    return answer


@given(st.binary(max_size=300), st.sets(st.integers(0, 300)))
def test_digests_are_of_all_chunks_together(small: ModuleType, data: bytes, cuts: set[int]) -> None:
    """However the body is cut, and nothing is asked of any service."""
    ends = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    request, _ = sent([data[start:stop] for start, stop in pairwise(ends)])
    expected = {"sha-256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest()}  # noqa: S324
    assert measured(small, request) == {"digests": expected, "size": len(data)}


def test_a_body_is_measured_in_the_memory_of_a_chunk(small: ModuleType) -> None:
    """However many there are: each is let go before the next one comes."""
    times, size = 40, 1024 * 1024

    async def receive() -> Message:
        nonlocal times
        times -= 1
        return {"type": "http.request", "body": os.urandom(size), "more_body": times > 0}

    total = times * size
    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    tracemalloc.start()
    try:
        assert measured(small, request)["size"] == total
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * size


def test_nothing_is_kept_of_a_body_that_is_refused(small: ModuleType) -> None:
    """Neither a record nor an object: no service is asked at all."""
    with Stubber(small.connections.files._client) as dynamodb, Stubber(small.connections.objects._client) as s3:
        for headers in ({"content-digest": "sha-256=:AAAA:"}, {"content-length": "9"}, {"content-type": "x"}):
            request, _ = sent([b"abc"], headers)
            with pytest.raises((Problem, small.RequestValidationError)):
                asyncio.run(small.put_small_file(request, None, None, "a.txt"))
        dynamodb.assert_no_pending_responses()
        s3.assert_no_pending_responses()
