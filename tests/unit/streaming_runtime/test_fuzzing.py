"""Whatever arrives, from the Runtime API or as an event: an answer, a request, or a clean error."""

import asyncio
import json
import random
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.effort import effort
from tests.unit.streaming_runtime.fuzzing import ANSWERS, EVENTS, NEXT, try_answer, try_event

pytestmark = pytest.mark.more
TRIES = settings(max_examples=effort(200, 3000, 20_000), deadline=None)

# What parsers stumble over, between the bytes of real messages.
WORDS = [
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b" ",
        b":",
        b";",
        b"\0",
        b"\xff",
        b"\xc2\xb2",
        b"0",
        b"-0",
        b"-1",
        b"-6",
        b"+5",
        b"1_0",
    ),
    *(b"0x5", b"ffffffffffffffff", b"9" * 5000, b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Content-Length: -5\r\n", b"Connection: close\r\n"),
]
STRANGE: list[Any] = [
    *(None, True, 0, -1, 1 << 70, 1.5, "", "/", "\ud800", "a\r\nb", "%ff", "[::1", "[::1]:8", "a:99999", "9" * 5000),
    *([], {}, [[]], [None], [["a", "b"]], {"a": None}, {"": ""}, {"a": ["b", 1]}, "2.0", "1.0", "REQUEST"),
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A few answers, one after the other, with bytes cut out, put in and repeated."""
    data = b"".join(draw(st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.sampled_from([0, 1, 2, 8, 64, len(data)])))
        put = draw(st.one_of(st.sampled_from(WORDS), st.binary(max_size=8), st.just(2 * data[begin:end])))
        data = data[:begin] + put + data[end:]
    return data


def places(value: Any) -> list[tuple[Any, Any]]:
    """Each container in it, with each of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in items for place in [(value, key), *places(inner)]]


@st.composite
def altered(draw: st.DrawFn) -> bytes:
    """An event with values that are gone, or others than one would think."""
    event = deepcopy(draw(st.sampled_from(EVENTS)))
    for _ in range(draw(st.integers(1, 4))):
        found = places(event)
        if not found:
            break
        container, key = draw(st.sampled_from(found))
        if draw(st.booleans()):
            container[key] = deepcopy(draw(st.one_of(st.sampled_from(STRANGE), st.text(max_size=8), st.integers())))
        else:
            del container[key]
    return json.dumps(event).encode()


@TRIES
@given(st.one_of(mutated(), st.binary(max_size=300)))
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-6\r\n")
@example(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n")
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
@example(b"HTTP/1.1 41 Request Entity Too Large\r\nContent-Length: 0\r\n\r\n")
@example(NEXT.replace(b"1542409706888", b"soon") + b"Content-Length: 0\r\n\r\n")
def test_an_answer_is_read_or_the_connection_is_lost(data: bytes) -> None:
    """No bytes of a server make anything else than an answer or an `OSError`, and none keep the parser busy."""
    asyncio.run(try_answer(data))


@TRIES
@given(
    st.one_of(
        altered(), st.binary(max_size=300), st.recursive(st.none(), st.lists).map(lambda v: json.dumps(v).encode())
    )
)
def test_an_event_is_a_request_or_a_fault(payload: bytes) -> None:
    """No event makes anything else than a request as ASGI has it, or a `Fault` that can be told."""
    try_event(payload)


@pytest.mark.parametrize("cut", range(3))
def test_events_that_are_cut_or_have_a_wrong_byte(cut: int) -> None:
    """An event is JSON of Lambda's making, but not of a given version."""
    chance = random.Random(cut)
    for event in EVENTS:
        whole = bytearray(json.dumps(event).encode())
        for _ in range(effort(20, 200, 2000)):
            data = bytearray(whole)
            data[chance.randrange(len(data))] = chance.randrange(256)
            try_event(bytes(data if cut else data[: chance.randrange(len(data))]))
