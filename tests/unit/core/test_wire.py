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


@pytest.mark.parametrize("etag", ['"abc-3"', '"abc"', 'W/"abc-3"', '"ABC-2"', '""'])
def test_another_etag_is_another_object(etag: str) -> None:
    """Even where its length is the same."""
    with pytest.raises(ObjectChanged):
        check(200, headers(ETag=etag, Content_Length="100"), VERSION, 0, 100)


@pytest.mark.parametrize("etag", ["abc-2", ' "abc-2"', '"abc-2" ', "\tabc-2"])
def test_an_etag_may_be_written_in_other_ways(etag: str) -> None:
    """Without quotes, or with blanks around it: what stands in between may write it anew."""
    check(200, headers(ETag=etag, Content_Length="100"), VERSION, 0, 100)


@pytest.mark.parametrize("etag", ['W/"abc-2"', "W/abc-2", ' W/"abc-2"'])
def test_a_weak_etag_is_a_wrong_answer_and_no_other_object(etag: str) -> None:
    """It says that the bytes may differ, so they are not put together; asking again may help, a verdict would stay."""
    with pytest.raises(WrongAnswer, match="weak"):
        check(200, headers(ETag=etag, Content_Length="100"), VERSION, 0, 100)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "aws-chunked", "identity, gzip", "x"])
def test_an_encoded_body_is_not_taken_for_the_object(encoding: str) -> None:
    """Whatever its length and range say: its bytes would be hashed as the object's."""
    with pytest.raises(WrongAnswer, match="comes as"):
        check(200, headers(ETag='"abc-2"', Content_Length="100", Content_Encoding=encoding), VERSION, 0, 100)


def test_the_second_of_two_encodings_counts_as_well() -> None:
    """Whoever added one on the way may have added a header of its own."""
    found = headers(ETag='"abc-2"', Content_Length="100", Content_Encoding="identity")
    found["Content-Encoding"] = "gzip"
    with pytest.raises(WrongAnswer, match="gzip"):
        check(200, found, VERSION, 0, 100)


@pytest.mark.parametrize("encoding", [None, "identity", "Identity", " identity ", ""])
def test_no_encoding_is_the_object_itself(encoding: str | None) -> None:
    """S3 says `identity` because the URL asks for it."""
    check(200, headers(ETag='"abc-2"', Content_Length="100", Content_Encoding=encoding), VERSION, 0, 100)


def test_an_answer_without_an_etag_is_not_believed() -> None:
    """It may be the object; who asks again may be told."""
    with pytest.raises(WrongAnswer):
        check(200, headers(Content_Length="100"), VERSION, 0, 100)


def test_a_body_in_chunks_is_not_taken_for_the_object() -> None:
    """The lengths of the chunks would be read as the object's bytes, whatever else the answer says."""
    with pytest.raises(WrongAnswer, match="chunked"):
        check(200, headers(ETag='"abc-2"', Content_Length="100", Transfer_Encoding="chunked"), VERSION, 0, 100)
