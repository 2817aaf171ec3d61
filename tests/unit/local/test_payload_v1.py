"""Payload format 1.0: what a REST API makes of an answer."""

import json
from typing import Any

import pytest

from local.payload import MalformedAnswer
from local.payload_v1 import answer, prelude


def given(document: Any, *, decoded: bool = False) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    made = answer(json.dumps(document).encode(), default_type="application/json", decoded=decoded)
    return made.status, made.headers, made.body


def test_nothing_is_needed() -> None:
    """No field of an answer is mandatory: an empty one is 200 without a body."""
    assert given({}) == (200, [(b"content-type", b"application/json")], b"")


def test_several_values_count_before_one() -> None:
    """`multiValueHeaders` gives each of its values; `headers` counts for other names only."""
    document = {
        "statusCode": "201",
        "headers": {"A": "single", "b": 1, "content-type": "text/html"},
        "multiValueHeaders": {"a": ["1", "2"], "Content-Type": ["text/plain"]},
    }
    assert given(document) == (201, [(b"b", b"1"), (b"a", b"1"), (b"a", b"2"), (b"content-type", b"text/plain")], b"")


def test_base64_is_decoded_for_who_accepts_it() -> None:
    """A client that does not accept a binary media type gets the text that the function gave."""
    document = {"body": "iQ==", "isBase64Encoded": True}
    assert given(document, decoded=True)[2] == b"\x89"
    assert given(document)[2] == b"iQ=="
    assert given({"body": "iQ=="}, decoded=True)[2] == b"iQ=="


@pytest.mark.parametrize(
    "document",
    [
        "text",
        None,
        [],
        {"status": 200},
        {"body": {}},
        {"statusCode": "ok"},
        {"statusCode": 99},
        {"headers": ["x"]},
        {"multiValueHeaders": {"a": "1"}},
        {"multiValueHeaders": ["x"]},
        {"multiValueHeaders": {"a": ["1\n2"]}},
    ],
)
def test_what_is_no_answer(document: Any) -> None:
    """Anything but the known fields, each of its type, is malformed: a 502 for the client."""
    with pytest.raises(MalformedAnswer):
        given(document)


def test_prelude_has_several_values_and_cookies() -> None:
    """A streamed answer begins with the same fields, and cookies."""
    said = {"statusCode": 203, "cookies": ["a=1"], "multiValueHeaders": {"x": ["1", "2"]}}
    made = prelude(json.dumps(said).encode(), "application/json")
    assert made.status == 203
    assert made.headers == [
        (b"content-type", b"application/json"),
        (b"set-cookie", b"a=1"),
        (b"x", b"1"),
        (b"x", b"2"),
    ]
