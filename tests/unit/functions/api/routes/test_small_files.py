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

from sluice.errors import Problem
from tests.unit.functions.api.requests import sent
from tests.unit.functions.modules import imported


@pytest.fixture(scope="module")
def small() -> Iterator[ModuleType]:
    with imported("functions.api.routes.small_files") as module:
        yield module


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
