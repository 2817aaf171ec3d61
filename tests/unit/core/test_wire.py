from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.objects import ObjectChanged, ObjectForbidden, ObjectMissing, Version
from sluice.wire import Expired, Refused, WrongAnswer, check, refusal

VERSION = Version("k", "abc-2", 100, "v1")


def document(code: str, message: str = "") -> bytes:
    return f"<?xml?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>R</RequestId></Error>".encode()


def headers(**values: str | None) -> Message:
    made = Message()
    for name, value in values.items():
        if value is not None:
            made[name.replace("_", "-")] = value
    return made


@pytest.mark.parametrize(
    ("status", "body", "meant"),
    [
        (404, document("NoSuchKey"), ObjectMissing),
        (404, document("NoSuchVersion"), ObjectMissing),
        (404, b"", ObjectMissing),
        (412, document("PreconditionFailed"), ObjectChanged),
        (416, document("InvalidRange"), ObjectChanged),
        (403, document("AccessDenied", "Access Denied"), ObjectForbidden),
        (403, document("InvalidObjectState"), ObjectForbidden),
        (403, b"", ObjectForbidden),
        (403, document("AccessDenied", "Request has expired"), Expired),
        (403, document("AccessDenied", "Request has expired."), Expired),
        (400, document("ExpiredToken", "The provided token has expired."), Expired),
        (403, document("ExpiredToken"), Expired),
        (500, document("InternalError"), Refused),
        (503, document("SlowDown"), Refused),
        (429, b"", Refused),
        (307, document("TemporaryRedirect"), Refused),
        (400, document("RequestTimeout"), Refused),
        (500, b"<html>\xff</html>", Refused),
    ],
)
def test_what_s3_means(status: int, body: bytes, meant: type[Exception]) -> None:
    """Gone, replaced, forbidden, too late, and not now are five different things."""
    assert type(refusal(status, body)) is meant


@given(status=st.integers(300, 599), body=st.binary(max_size=200))
def test_any_refusal_has_a_meaning(status: int, body: bytes) -> None:
    """Its text says the status, whatever came with it."""
    assert str(refusal(status, body)).startswith(f"S3 answers {status}")


def test_the_code_is_said_and_the_url_is_not() -> None:
    """A refusal ends in a log."""
    assert str(refusal(503, document("SlowDown", "reduce your rate"))) == "S3 answers 503 SlowDown"


@given(ends=st.lists(st.integers(0, 100), min_size=2, max_size=2, unique=True))
def test_the_right_answer_passes(ends: list[int]) -> None:
    """A whole object as 200, a part of it as 206, with ETag and length."""
    start, stop = sorted(ends)
    whole = (start, stop) == (0, 100)
    told = None if whole else f"bytes {start}-{stop - 1}/100"
    found = headers(ETag='"abc-2"', Content_Length=str(stop - start), Content_Range=told)
    check(200 if whole else 206, found, VERSION, start, stop)


@pytest.mark.parametrize(
    ("start", "stop", "status", "length", "told"),
    [
        (0, 100, 206, "100", "bytes 0-99/100"),
        (0, 100, 200, "100", "bytes 0-99/100"),
        (0, 100, 200, "99", None),
        (0, 100, 200, None, None),
        (7, 100, 200, "100", None),
        (7, 100, 206, "93", None),
        (7, 100, 206, "100", "bytes 0-99/100"),
        (7, 100, 206, "93", "bytes 7-98/100"),
        (7, 100, 206, "93", "bytes 7-99/101"),
        (7, 100, 206, "93", "bytes 7-99/*"),
        (7, 100, 206, "92", "bytes 7-99/100"),
        (7, 100, 206, "+93", "bytes 7-99/100"),
        (7, 100, 200, "93", "bytes 7-99/100"),
        (0, 50, 200, "50", None),
    ],
)
def test_other_bytes_than_were_asked_for_are_not_read(
    start: int, stop: int, status: int, length: str | None, told: str | None
) -> None:
    """The whole for a part, a part for the whole, other ends, another size, no length or a wrong one."""
    with pytest.raises(WrongAnswer):
        check(status, headers(ETag='"abc-2"', Content_Length=length, Content_Range=told), VERSION, start, stop)


@pytest.mark.parametrize("etag", ['"abc-3"', '"abc"', 'W/"abc-2"', '""'])
def test_another_etag_is_another_object(etag: str) -> None:
    """Even where its length is the same."""
    with pytest.raises(ObjectChanged):
        check(200, headers(ETag=etag, Content_Length="100"), VERSION, 0, 100)


def test_an_answer_without_an_etag_is_not_believed() -> None:
    """It may be the object; who asks again may be told."""
    with pytest.raises(WrongAnswer):
        check(200, headers(Content_Length="100"), VERSION, 0, 100)


def test_a_body_in_chunks_is_not_taken_for_the_object() -> None:
    """The lengths of the chunks would be read as the object's bytes, whatever else the answer says."""
    with pytest.raises(WrongAnswer, match="chunked"):
        check(200, headers(ETag='"abc-2"', Content_Length="100", Transfer_Encoding="chunked"), VERSION, 0, 100)
