import random
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import ProtocolError

from sluice import reader
from sluice.objects import ObjectChanged, ObjectMissing, Objects, Version, WrongRange
from tests.unit.core.records import client

S3 = client("s3")
OBJECTS = Objects(S3, "the-bucket")


class Wire:
    """The bytes that come over one connection until it breaks, as urllib3 hands them out."""

    def __init__(self, data: bytes, until: int | None = None) -> None:
        self._data, self._breaks, self._at = data[:until], until is not None, 0

    def read(self, amount: int) -> bytes:
        taken = self._data[self._at : self._at + amount]
        self._at += len(taken)
        if not taken and self._breaks:
            raise ProtocolError("Connection broken: IncompleteRead")
        return taken

    def close(self) -> None:
        self._at = len(self._data)


def answer(data: bytes, until: int | None = None, *, start: int = 0, of: int | None = None) -> dict[str, Any]:
    """The object, or as a range its bytes from `start` on where it has `of` bytes in all; broken at `until`."""
    body = {"Body": StreamingBody(Wire(data, until), len(data))}  # type: ignore[arg-type]  # any readable will do
    whole = of is None or (start, len(data)) == (0, of)
    return body if whole else body | {"ContentRange": f"bytes {start}-{start + len(data) - 1}/{of}"}


def asked(range_header: str | None) -> dict[str, Any]:
    expected = {"Bucket": "the-bucket", "Key": "k", "IfMatch": '"e"', "VersionId": "v"}
    return expected | ({"Range": range_header} if range_header else {})


def version(data: bytes) -> Version:
    return Version("k", "e", len(data), "v")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that the reader would have made."""
    made: list[float] = []
    monkeypatch.setattr("sluice.reader.time", type("clock", (), {"sleep": staticmethod(made.append)}))
    return made


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 60), max_size=8), buffer=st.integers(1, 64))
def test_cut_connections_go_on_at_the_byte_reached(data: bytes, cuts: list[int], buffer: int) -> None:
    """Wherever connections break, the buffers are the object, in order, and no byte is asked for twice."""
    with pytest.MonkeyPatch.context() as patch, Stubber(S3) as s3:
        patch.setattr(reader, "BUFFER_BYTES", buffer)
        patch.setattr(reader, "ATTEMPTS", len(cuts) + 1)
        patch.setattr("sluice.reader.time", type("clock", (), {"sleep": staticmethod(lambda _: None)}))
        reached = 0
        for cut in cuts:
            if reached + cut >= len(data):
                break
            s3.add_response(
                "get_object",
                answer(data[reached:], cut, start=reached, of=len(data)),
                asked(f"bytes={reached}-{len(data) - 1}" if reached else None),
            )
            reached += cut
        if reached < len(data):
            s3.add_response(
                "get_object",
                answer(data[reached:], start=reached, of=len(data)),
                asked(f"bytes={reached}-{len(data) - 1}" if reached else None),
            )
        buffers = list(reader.read(OBJECTS, version(data)))
        s3.assert_no_pending_responses()
    assert b"".join(buffers) == data
    assert all(0 < len(one) <= buffer for one in buffers)


@given(data=st.binary(min_size=1, max_size=100), ends=st.tuples(st.integers(0, 100), st.integers(0, 100)))
def test_a_range_is_read_and_nothing_else(data: bytes, ends: tuple[int, int]) -> None:
    """From `start` up to `stop`; nothing is asked for where that is nothing."""
    start, stop = sorted(min(end, len(data)) for end in ends)
    with Stubber(S3) as s3:
        if start < stop:
            whole = (start, stop) == (0, len(data))
            s3.add_response(
                "get_object",
                answer(data[start:stop], start=start, of=len(data)),
                asked(None if whole else f"bytes={start}-{stop - 1}"),
            )
        assert b"".join(reader.read(OBJECTS, version(data), start, stop)) == data[start:stop]
        s3.assert_no_pending_responses()


def test_an_empty_object_is_not_asked_for() -> None:
    """It has no bytes, and no range either."""
    with Stubber(S3):
        assert list(reader.read(OBJECTS, version(b""))) == []


def test_a_short_answer_that_ends_as_if_whole_is_asked_for_again(pauses: list[float]) -> None:
    """An answer without a length that stops early counts as broken."""
    with Stubber(S3) as s3:
        short = {"Body": StreamingBody(Wire(b"abc"), None)}  # type: ignore[arg-type]  # as above
        s3.add_response("get_object", short, asked(None))
        s3.add_response("get_object", answer(b"de", start=3, of=5), asked("bytes=3-4"))
        assert b"".join(reader.read(OBJECTS, version(b"abcde"))) == b"abcde"
    assert len(pauses) == 1


@pytest.mark.parametrize("sent", [{}, {"ContentRange": "bytes 0-4/5"}], ids=["whole", "other range"])
def test_another_range_than_was_asked_for_is_asked_for_again(pauses: list[float], sent: dict[str, str]) -> None:
    """What forgot the range once may remember it; no byte of the wrong answer is passed on."""
    data = b"abcde"
    with Stubber(S3) as s3:
        s3.add_response("get_object", answer(data, 3), asked(None))
        s3.add_response("get_object", answer(data) | sent, asked("bytes=3-4"))
        s3.add_response("get_object", answer(b"de", start=3, of=5), asked("bytes=3-4"))
        assert b"".join(reader.read(OBJECTS, version(data))) == data
        s3.assert_no_pending_responses()
    assert len(pauses) == 2


def test_ranges_that_are_never_right_are_given_up(pauses: list[float]) -> None:
    """An object store without ranges is an error after bounded attempts, not a file of repeated beginnings."""
    with Stubber(S3) as s3:
        for _ in range(reader.ATTEMPTS):
            s3.add_response("get_object", answer(b"abcde"), asked("bytes=3-4"))
        with pytest.raises(WrongRange):
            list(reader.read(OBJECTS, version(b"abcde"), 3))
        s3.assert_no_pending_responses()
    assert len(pauses) == reader.ATTEMPTS - 1


def test_pauses_double_and_then_the_error_is_raised(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """A bounded number of attempts without a byte, each after a longer pause, under 15 seconds in all."""
    monkeypatch.setattr(random, "uniform", lambda _low, high: high)
    with Stubber(S3) as s3:
        for _ in range(reader.ATTEMPTS):
            s3.add_client_error("get_object", "SlowDown", http_status_code=503)
        with pytest.raises(ClientError, match="SlowDown"):
            list(reader.read(OBJECTS, version(b"abc")))
        s3.assert_no_pending_responses()
    assert len(pauses) == reader.ATTEMPTS - 1
    assert all(later == 2 * earlier for earlier, later in pairwise(pauses))
    assert sum(pauses) < 15


def test_a_byte_renews_the_attempts(pauses: list[float]) -> None:
    """A bad line that still brings something is read to the end, however often it breaks."""
    data = b"abcdefghij" * 2
    with Stubber(S3) as s3:
        for at in range(len(data)):
            s3.add_response("get_object", answer(data[at:], 1, start=at, of=len(data)))
        assert b"".join(reader.read(OBJECTS, version(data))) == data
    assert len(pauses) > reader.ATTEMPTS


@pytest.mark.parametrize(
    ("code", "status", "raised"),
    [("NoSuchKey", 404, ObjectMissing), ("PreconditionFailed", 412, ObjectChanged), ("AccessDenied", 403, ClientError)],
)
def test_what_asking_again_cannot_help_is_raised_at_once(
    pauses: list[float], code: str, status: int, raised: type[Exception]
) -> None:
    """Deleted, replaced and forbidden are answers, not failures of the network."""
    with Stubber(S3) as s3:
        s3.add_client_error("get_object", code, http_status_code=status)
        with pytest.raises(raised):
            list(reader.read(OBJECTS, version(b"abc")))
    assert pauses == []


def test_a_reader_that_is_left_early_lets_its_connection_go() -> None:
    """Closing the generator closes the answer, so no connection is held for a client that went away."""
    body = StreamingBody(Wire(b"a" * 10), 10)  # type: ignore[arg-type]  # as above
    closed: list[bool] = []
    body.close = lambda: closed.append(True)  # type: ignore[method-assign]  # to see it
    with Stubber(S3) as s3, pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "BUFFER_BYTES", 4)
        s3.add_response("get_object", {"Body": body})
        buffers = reader.read(OBJECTS, version(b"a" * 10))
        assert next(iter(buffers)) == b"aaaa"
        buffers.close()  # type: ignore[attr-defined]  # an iterator by its type, a generator in truth
    assert closed == [True]
