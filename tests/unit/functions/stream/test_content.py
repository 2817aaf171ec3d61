import base64
import hashlib
import re
from collections.abc import Callable
from email.message import Message
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.api.schemas import check_filename
from functions.stream import content
from functions.stream.content import DigestMismatch, byte_range, checked, disposition, not_modified
from sluice.digests import SUPPORTED
from sluice.errors import InvalidFilename, PreconditionFailed, RangeNotSatisfiable
from sluice.files import File, Status
from tests.unit.core.records import a_file

DIGEST = hashlib.sha256(b"abcde").hexdigest()


def ready(size: int = 5, data: bytes | None = None, **more: Any) -> File:
    digest = DIGEST if data is None else hashlib.sha256(data).hexdigest()
    return a_file(status=Status.READY, size=size, etag="abc-2", digests={"sha-256": digest, "md5": "0" * 32}, **more)


def kept(name: str) -> bool:
    try:
        check_filename(name)
    except InvalidFilename:
        return False
    return True


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=255).filter(kept)
# RFC 6266 as we use it: a quoted string without escapes, then RFC 8187's ext-value of attr-chars and percent escapes.
DISPOSITION = re.compile(
    r'(?:attachment|inline); filename="([ !#-\[\]-~]*)"'
    r"(?:; filename\*=UTF-8''((?:%[0-9A-F]{2}|[A-Za-z0-9!#$&+.^_`|~-])+))?"
)


@given(NAMES)
@example('evil".txt')
@example("a; filename=b")
@example("%22%0d%0aSet-Cookie")
@example("雪🎉\u200f.txt")
@example("back\u2028line")
def test_a_name_comes_back_from_the_header(name: str) -> None:
    """Every name that is kept survives the header, parsed strictly; no quote, CR or LF can end it early."""
    header = disposition(name)
    match = DISPOSITION.fullmatch(header)
    assert match, header
    plain, extended = match.groups()
    assert (unquote(extended, errors="strict") if extended else plain) == name
    assert header.isascii()
    assert header.isprintable()


@given(st.text(st.characters(codec="utf-8")))
@example('\r\nSet-Cookie: a=1\r\n\r\n"')
def test_no_name_at_all_can_break_the_header(name: str) -> None:
    """Even a name that should have been refused long before cannot leave its place."""
    assert DISPOSITION.fullmatch(disposition(name)) or name == ""


@given(NAMES)
def test_another_parser_sees_one_attachment(name: str) -> None:
    """The standard library's MIME parser finds the type and the plain name, and no parameter of the client's making."""
    message = Message()
    message["Content-Disposition"] = disposition(name)
    assert message.get_content_disposition() == "attachment"
    names = {key for key, _ in message.get_params(header="content-disposition", unquote=False) or []}
    assert names <= {"attachment", "filename", "filename*"}


@given(size=st.integers(0, 40), first=st.none() | st.integers(0, 60), last=st.none() | st.integers(0, 60))
def test_ranges_are_those_of_rfc_9110(size: int, first: int | None, last: int | None) -> None:
    """Against the RFC's words, byte by byte: which bytes of the file does the range select?"""
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    if first is None:
        selected = None if last is None or size == 0 else [at for at in range(size) if at >= size - last]
    elif last is not None and last < first:
        selected = None
    else:
        selected = [at for at in range(size) if at >= first and (last is None or at <= last)]
    if selected is None:
        assert byte_range(ready(size), {"range": header}) is None
    elif selected:
        assert byte_range(ready(size), {"range": header}) == (selected[0], selected[-1] + 1)
    else:
        with pytest.raises(RangeNotSatisfiable) as raised:
            byte_range(ready(size), {"range": header})
        assert raised.value.headers == {"Content-Range": f"bytes */{size}"}


@pytest.mark.parametrize("last", [0, 1, 500])
def test_the_end_of_an_empty_file_is_the_whole_of_it(last: int) -> None:
    """A player that asks for the last bytes gets 200 and none; bytes from the first one on it still does not have."""
    assert byte_range(ready(0), {"range": f"bytes=-{last}"}) is None
    with pytest.raises(RangeNotSatisfiable):
        byte_range(ready(0), {"range": f"bytes={last}-"})


@pytest.mark.parametrize(
    "header",
    [
        *("", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=0-1,3-4", "items=0-1", "bytes=--1"),
        *("bytes=\uff11-\uff12", "bytes=0-0x1", "bytes 0-1"),
        *("bytes=" + "9" * 5000 + "-", "bytes=-" + "9" * 5000, "bytes=0-" + "9" * 5000),
    ],
)
def test_what_is_no_single_range_of_bytes_means_the_whole(header: str) -> None:
    """RFC 9110, 14.2: a Range that is not understood is ignored; 5,000 digits are not understood either."""
    assert byte_range(ready(), {"range": header}) is None


@pytest.mark.parametrize("digits", [19, 20, 21, 40, 100])
def test_a_number_beyond_any_file_is_a_number(digits: int) -> None:
    """The end of the range is then the file's, a suffix is the whole of it, and a start behind the file is a 416."""
    large = "9" * digits
    assert byte_range(ready(), {"range": f"bytes=0-{large}"}) == (0, 5)
    assert byte_range(ready(), {"range": f"bytes=3-{large}"}) == (3, 5)
    assert byte_range(ready(), {"range": f"bytes=-{large}"}) == (0, 5)
    assert byte_range(ready(), {"range": f"bytes={'0' * (digits - 1)}1-2"}) == (1, 3)
    for start in (f"{large}-", f"{large}-{large}"):
        with pytest.raises(RangeNotSatisfiable):
            byte_range(ready(), {"range": f"bytes={start}"})


@given(st.text(max_size=40), st.integers(0, 10))
def test_no_range_header_crashes(text: str, size: int) -> None:
    """Nonsense gives the whole, a range within the file, or 416."""
    try:
        found = byte_range(ready(size), {"range": f"bytes={text}"})
    except RangeNotSatisfiable:
        return
    assert found is None or 0 <= found[0] < found[1] <= size


def test_the_unit_is_case_insensitive_and_spaces_are_allowed() -> None:
    """As list elements and range units are in RFC 9110."""
    assert byte_range(ready(), {"range": "Bytes= 1-2 "}) == (1, 3)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [('"abc-2"', (1, 3)), ('"other"', None), ('W/"abc-2"', None), ("Sat, 21 Nov 2026 10:00:00 GMT", None), ("", None)],
)
def test_a_range_of_another_file_is_not_sent(condition: str, expected: tuple[int, int] | None) -> None:
    """If-Range compares strongly: with anything but this very ETag the whole is sent."""
    assert byte_range(ready(), {"range": "bytes=1-2", "if-range": condition}) == expected


@pytest.mark.parametrize("tags", ['"abc-2"', "*", '"x", "abc-2"', 'W/"abc-2"', ' W/"x" ,W/"abc-2"'])
def test_a_known_file_is_not_sent_again(tags: str) -> None:
    """If-None-Match compares weakly, as caches send it."""
    assert not_modified(ready(), {"if-none-match": tags})


@pytest.mark.parametrize("tags", ['"abc"', "abc-2", "", '"x", "y"'])
def test_an_unknown_file_is_sent(tags: str) -> None:
    """Another ETag, or none, is no reason for a 304."""
    assert not not_modified(ready(), {"if-none-match": tags})
    assert not not_modified(ready(), {})


@pytest.mark.parametrize("tags", ['"other"', 'W/"abc-2"', "abc-2", ""])
def test_a_request_for_another_file_fails(tags: str) -> None:
    """If-Match compares strongly, and goes before If-None-Match."""
    with pytest.raises(PreconditionFailed):
        not_modified(ready(), {"if-match": tags, "if-none-match": '"abc-2"'})


@pytest.mark.parametrize("tags", ['"abc-2"', "*", '"x", "abc-2"'])
def test_a_request_for_this_file_passes(tags: str) -> None:
    """The ETag alone or among others, or any."""
    assert not not_modified(ready(), {"if-match": tags})


def test_the_headers_describe_the_whole_file() -> None:
    """Digests in RFC 9530's form, the declared type without a charset of ours, and nothing for a browser to guess."""
    file = a_file(
        status=Status.READY, etag="e", content_type="text/html", digests={"sha-256": DIGEST, "md5": "ab" * 16}
    )
    found = content.headers(file)
    sha256 = base64.b64encode(bytes.fromhex(DIGEST)).decode()
    md5 = base64.b64encode(b"\xab" * 16).decode()
    assert found["Repr-Digest"] == f"sha-256=:{sha256}:, md5=:{md5}:"
    assert found["ETag"] == '"e"'
    assert found["Content-Type"] == "text/html"
    assert found["Content-Disposition"].startswith("attachment;")
    assert found["X-Content-Type-Options"] == "nosniff"
    assert found["Accept-Ranges"] == "bytes"


def test_only_digests_that_http_knows_are_headers() -> None:
    """S3's own checksum is in the record, and has no name in the registry of RFC 9530."""
    file = a_file(digests={"crc64nvme": "00" * 8, "sha": "ff"})
    assert content.headers(file)["Repr-Digest"] == "sha=:/w==:"
    assert set(SUPPORTED) - content.REGISTERED == {"crc32", "crc64nvme"}


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_the_right_bytes_pass_unchanged(data: bytes, cuts: list[int]) -> None:
    """In whatever buffers they come."""
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    buffers = [data[start:stop] for start, stop in pairwise(edges)]
    assert b"".join(checked(buffers, ready(data=data))) == data


def flip(data: bytes, at: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def cut_short(data: bytes, at: int) -> bytes:
    return data[: at % len(data)]


@pytest.mark.parametrize("spoil", [flip, cut_short, lambda data, _: data + data[:1], lambda *_: b""])
@given(data=st.binary(min_size=1, max_size=100), at=st.integers(0, 100), each=st.integers(1, 40))
def test_wrong_bytes_never_arrive_whole(spoil: Callable[[bytes, int], bytes], data: bytes, at: int, each: int) -> None:
    """One bit altered, cut short, longer or empty: the transfer breaks before its last buffer."""
    wrong = spoil(data, at)
    arrived: list[bytes] = []
    with pytest.raises(DigestMismatch):
        arrived.extend(checked((wrong[i : i + each] for i in range(0, len(wrong), each)), ready(data=data)))
    assert len(b"".join(arrived)) < max(len(wrong), 1)


def test_a_buffer_is_passed_on_before_the_one_after_the_next_is_read() -> None:
    """Only one buffer is held back: checking costs no memory and no waiting for the end."""
    read: list[int] = []

    def source() -> "object":
        for number in range(4):
            read.append(number)
            yield b"x"

    stream = checked(source(), ready(data=b"xxxx"))  # type: ignore[arg-type]  # a generator is iterable
    assert next(stream) == b"x"
    assert read == [0, 1]


ARRIVED = "2026-11-21T10:00:00.900Z"  # the first second of which Last-Modified tells
AT, BEFORE, AFTER = (f"Sat, 21 Nov 2026 {time} GMT" for time in ("10:00:00", "09:59:59", "10:00:01"))
OTHER_FORMS = ("Saturday, 21-Nov-26 10:00:00 GMT", "Sat Nov 21 10:00:00 2026")
NO_DATES = (
    "",
    "yesterday",
    "2026-11-21T10:00:00Z",
    f"{AT}, {AT}",
    "0",
    BEFORE[:-4],
    f"{BEFORE[:-3]}+0100",
    "Sat, 32 Nov",
)
TAG, OTHER = '"abc-2"', '"other"'


def test_the_time_is_that_of_the_bytes() -> None:
    """In whole seconds, never later than they came; a record of before times were kept tells none."""
    assert content.headers(ready(arrived_at=ARRIVED, updated_at="2026-12-01T00:00:00.000Z"))["Last-Modified"] == AT
    assert "Last-Modified" not in content.headers(ready())


@pytest.mark.parametrize(
    ("request_headers", "answer"),
    [
        ({"if-modified-since": AT}, 304),
        ({"if-modified-since": AFTER}, 304),
        ({"if-modified-since": BEFORE}, 200),
        ({"if-unmodified-since": AT}, 200),
        ({"if-unmodified-since": AFTER}, 200),
        ({"if-unmodified-since": BEFORE}, 412),
        ({"if-unmodified-since": BEFORE, "if-match": TAG}, 200),
        ({"if-unmodified-since": AFTER, "if-match": OTHER}, 412),
        ({"if-match": "*", "if-none-match": TAG}, 304),
        ({"if-modified-since": AT, "if-none-match": OTHER}, 200),
        ({"if-modified-since": BEFORE, "if-none-match": TAG}, 304),
        ({"if-unmodified-since": BEFORE, "if-none-match": TAG}, 412),
        ({"if-unmodified-since": AT, "if-modified-since": AT}, 304),
        *(({"if-modified-since": text}, 304) for text in OTHER_FORMS),
        *(({"if-modified-since": text}, 200) for text in NO_DATES),
        *(({"if-unmodified-since": text}, 200) for text in NO_DATES),
    ],
)
def test_preconditions_count_in_the_order_of_rfc_9110(request_headers: dict[str, str], answer: int) -> None:
    """A date counts where no ETag stands beside it, in each of its three forms; what is no date does not count."""
    file = ready(arrived_at=ARRIVED)
    if answer == 412:
        with pytest.raises(PreconditionFailed):
            not_modified(file, request_headers)
    else:
        assert not_modified(file, request_headers) is (answer == 304)


def test_dates_mean_nothing_for_a_file_without_one() -> None:
    """RFC 9110, 13.1.3 and 13.1.4: then they are ignored."""
    assert not not_modified(ready(), {"if-modified-since": AFTER, "if-unmodified-since": BEFORE})


@pytest.mark.parametrize(
    ("condition", "expected"),
    [*((text, (1, 3)) for text in (AT, *OTHER_FORMS)), *((text, None) for text in (BEFORE, AFTER, *NO_DATES))],
)
def test_a_range_of_a_time_is_sent_of_this_very_time(condition: str, expected: tuple[int, int] | None) -> None:
    """If-Range compares strongly with a date as well: a later one does not do."""
    assert byte_range(ready(arrived_at=ARRIVED), {"range": "bytes=1-2", "if-range": condition}) == expected


@pytest.mark.parametrize(
    "content_type",
    [
        *("image/png", "IMAGE/JPEG", "image/heic", "audio/mpeg", "video/webm;codecs=vp8,opus", "application/pdf"),
        *("text/plain", "text/plain; charset=utf-8", "Text/Plain;"),
    ],
)
def test_what_runs_nothing_can_be_shown(content_type: str) -> None:
    """Images, audio, video, PDF and plain text, whatever their parameters."""
    assert content.can_be_shown(content_type)
    assert content.headers(ready(content_type=content_type), inline=True)["Content-Disposition"].startswith("inline; ")


@pytest.mark.parametrize(
    "content_type",
    [
        *("image/svg+xml", "image/SVG+xml; x=image/png", "image/svg", "image/x+xml", "image/xml"),
        *("text/html", "text/xml", "audio/", "video"),
        *("application/xhtml+xml", "text/javascript", "text/css", "text/csv", "application/octet-stream", "image", ""),
        *("application/x-shockwave-flash", "multipart/x-mixed-replace", "text/html;image/png", "text/plainx", "*/*"),
    ],
)
def test_what_may_run_something_cannot(content_type: str) -> None:
    """SVG is an image and may have scripts; what is not known to be safe is none."""
    assert not content.can_be_shown(content_type)


def test_nothing_that_is_shown_has_an_origin() -> None:
    """As a download it does no harm either."""
    for inline in (False, True):
        assert content.headers(ready(), inline=inline)["Content-Security-Policy"] == "sandbox"
