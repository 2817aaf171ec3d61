"""HTTP to events of payload format 2.0, and answers back."""

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.payload import (
    Answer,
    Headers,
    MalformedAnswer,
    MalformedRequest,
    Request,
    answer,
    end_to_end,
    event,
    prelude,
    requested,
)

JSON = (b"content-type", b"application/json")


def request(body: bytes = b"", headers: Headers | None = None, **other: Any) -> Request:
    defaults = {"method": "POST", "path": b"/a", "query": b"", "client": "127.0.0.1"}
    return Request(body=body, headers=[(b"host", b"door.example:8080"), *(headers or [])], **{**defaults, **other})


def document(made: Request, *, decoded_path: bool = True) -> Any:
    return json.loads(event(made, api_id="api", decoded_path=decoded_path))


def test_event_has_the_shape_of_format_2() -> None:
    """The event has the members that AWS documents, and describes the request."""
    made = request(method="GET", headers=[(b"user-agent", b"curl"), (b"accept", b"a/b"), (b"accept", b"c/d")])
    shown = document(made)
    assert (shown["version"], shown["routeKey"], shown["rawPath"], shown["rawQueryString"]) == (
        "2.0",
        "$default",
        "/a",
        "",
    )
    assert shown["headers"] == {
        "host": "door.example:8080",
        "user-agent": "curl",
        "accept": "a/b,c/d",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-port": "8080",
        "x-forwarded-proto": "http",
        "x-amzn-trace-id": made.trace_id,
    }
    assert shown["isBase64Encoded"] is False
    assert not {"body", "cookies", "queryStringParameters"} & shown.keys()
    context = shown["requestContext"]
    assert context["http"] == {
        "method": "GET",
        "path": "/a",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "curl",
    }
    assert (context["requestId"], context["domainName"], context["domainPrefix"]) == (made.id, "door.example", "door")


def test_cookies_and_repeated_parameters() -> None:
    """Cookies leave the headers for a list of their own; values of a repeated parameter are joined by commas."""
    shown = document(request(query=b"a=1&b=%20x&a=2&c=", headers=[(b"cookie", b"k=v; l=w")]))
    assert shown["cookies"] == ["k=v", "l=w"]
    assert "cookie" not in shown["headers"]
    assert shown["queryStringParameters"] == {"a": "1,2", "b": " x", "c": ""}
    assert shown["rawQueryString"] == "a=1&b=%20x&a=2&c="


def test_two_cookie_headers_are_one_list() -> None:
    """A browser over HTTP/2 may send several Cookie headers: their cookies are in the list one by one."""
    shown = document(request(headers=[(b"cookie", b"a=1; b=2"), (b"cookie", b"c=3,4")]))
    assert shown["cookies"] == ["a=1", "b=2", "c=3,4"]


def test_trace_id_is_the_clients_or_a_new_one() -> None:
    """Every event has an X-Ray trace header; one that the client sends is kept."""
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", document(request())["headers"]["x-amzn-trace-id"])
    sent = b"Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
    assert document(request(headers=[(b"x-amzn-trace-id", sent)]))["headers"]["x-amzn-trace-id"] == sent.decode()


@pytest.mark.parametrize(
    ("host", "domain", "port"),
    [
        (b"door.example", "door.example", "80"),
        (b"door.example:8080", "door.example", "8080"),
        (b"[::1]:8080", "[::1]", "8080"),
        (b"[::1]", "[::1]", "80"),
        (b"127.0.0.1:1", "127.0.0.1", "1"),
    ],
)
def test_domain_and_port_are_those_of_the_host(host: bytes, domain: str, port: str) -> None:
    """A name, an IPv4 address and an IPv6 address, whose colons are no port."""
    shown = json.loads(
        event(
            Request("GET", b"/", b"", [(b"host", host)], b"", client="::1"),
            api_id="api",
            decoded_path=True,
        )
    )
    assert (shown["requestContext"]["domainName"], shown["headers"]["x-forwarded-port"]) == (domain, port)
    assert shown["requestContext"]["http"]["sourceIp"] == shown["headers"]["x-forwarded-for"] == "::1"


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"/a/b", b"/a/b", b"h"),
        (b"//a", b"//a", b"h"),
        (b"http://other.example/a", b"/a", b"other.example"),
        (b"HTTP://other.example:1", b"/", b"other.example:1"),
        (b"https://user:secret@[::1]:1/a@b/", b"/a@b/", b"[::1]:1"),
    ],
)
def test_target_may_be_a_whole_url(target: bytes, path: bytes, host: bytes) -> None:
    """A request line with a URL, as for a proxy, means its path, and its host instead of the Host header."""
    assert requested(target, [(b"host", b"h"), (b"a", b"b")]) in (
        (path, [(b"host", host), (b"a", b"b")]),
        (path, [(b"a", b"b"), (b"host", host)]),
    )


@pytest.mark.parametrize("target", [b"*", b"door.example:443", b"http://", b"http:///a", b"ftp://h/a", b"a", b""])
def test_target_that_is_no_path_is_refused(target: bytes) -> None:
    """`OPTIONS *` and CONNECT ask the server itself for something, and no function."""
    with pytest.raises(MalformedRequest):
        requested(target, [(b"host", b"h")])


def test_headers_of_the_connection_stay_at_the_door() -> None:
    """Hop-by-hop headers, and those that Connection names, go neither to the function nor to the client."""
    sent = [(b"connection", b"Close, X-Mine"), (b"te", b"trailers"), (b"x-mine", b"1"), (b"x-other", b"2")]
    assert end_to_end(sent) == [(b"x-other", b"2")]
    assert end_to_end([(b"connection", b"host"), (b"host", b"h")]) == [(b"host", b"h")]
    given_back = {"statusCode": 200, "headers": {"connection": "x-mine", "x-mine": "1", "upgrade": "h2", "etag": "e"}}
    shown = answer(json.dumps(given_back).encode(), default_type="x/y")
    assert shown.headers == [(b"etag", b"e"), (b"content-type", b"x/y")]


@given(
    target=st.text("abc/%", min_size=1).map(lambda text: "/" + text),
    query=st.text("a=&"),
    values=st.lists(st.binary(max_size=40)),
)
def test_head_is_measured_as_it_is_sent(target: str, query: str, values: list[bytes]) -> None:
    """The size of a head is that of its request line, and of the values of its headers."""
    headers = [(b"name", value) for value in values]
    made = Request("GET", target.encode(), query.encode(), headers, b"", client="")
    line = f"GET {target}{'?' if query else ''}{query} HTTP/1.1"
    assert made.head_size == len(line) + sum(map(len, values))


def test_header_without_a_value_is_left_out() -> None:
    """A header that is null in the answer is none; the content type is then the default."""
    payload = {"statusCode": 200, "headers": {"x-none": None, "content-type": None, "x-one": ""}}
    assert answer(json.dumps(payload).encode(), default_type="x/y").headers == [
        (b"x-one", b""),
        (b"content-type", b"x/y"),
    ]


def test_path_is_decoded_by_an_http_api_only() -> None:
    """An HTTP API decodes the path and cuts it at a decoded `?`; a Function URL passes it on as it was sent."""
    made = request(path=b"/%C3%A4%20b%3Fc")
    assert document(made)["rawPath"] == "/\u00e4 b"
    assert document(made, decoded_path=False)["rawPath"] == "/%C3%A4%20b%3Fc"


def test_forwarded_for_is_extended() -> None:
    """An x-forwarded-for that a client sends stays before the address of the client."""
    assert (
        document(request(headers=[(b"x-forwarded-for", b"10.0.0.1")]))["headers"]["x-forwarded-for"]
        == "10.0.0.1, 127.0.0.1"
    )


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        (b"application/json", True),
        (b"Application/JSON; charset=utf-8", True),
        (b"text/plain", True),
        (b"application/xml", True),
        (b"application/javascript", True),
        (b"application/x-www-form-urlencoded", False),
        (b"application/octet-stream", False),
        (b"", False),
    ],
)
def test_text_comes_as_text(content_type: bytes, text: bool) -> None:
    """The body of a few types is given as text, every other as base64."""
    shown = document(request("\u00fc".encode(), [(b"content-type", content_type)]))
    assert shown["isBase64Encoded"] is not text
    assert shown["body"] == ("\u00fc" if text else base64.b64encode("\u00fc".encode()).decode())


@given(body=st.binary(min_size=1), content_type=st.sampled_from([b"text/plain", b"application/json", b"image/png"]))
def test_no_body_is_altered(body: bytes, content_type: bytes) -> None:
    """Whatever the bytes and their type, the function can get them back."""
    shown = document(request(body, [(b"content-type", content_type)]))
    given_back = base64.b64decode(shown["body"]) if shown["isBase64Encoded"] else shown["body"].encode()
    assert given_back == body


@given(body=st.binary(), status=st.integers(200, 599))
def test_binary_answer_comes_back(body: bytes, status: int) -> None:
    """A base64 answer is the bytes that it stands for."""
    encoded = {"statusCode": status, "isBase64Encoded": True, "body": base64.b64encode(body).decode()}
    assert answer(json.dumps(encoded).encode(), default_type="x/y") == Answer(status, [(b"content-type", b"x/y")], body)


def test_answer_with_everything() -> None:
    """Headers get lower-case names and string values, cookies become headers, those of the connection are dropped."""
    payload = {
        "statusCode": "201",
        "headers": {"X-Number": 5, "X-Flag": True, "Connection": "close", "Content-Type": "a/b"},
        "cookies": ["a=1", "b=2"],
        "body": "\u00e4",
    }
    assert answer(json.dumps(payload).encode(), default_type="x/y") == Answer(
        201,
        [
            (b"x-number", b"5"),
            (b"x-flag", b"true"),
            (b"content-type", b"a/b"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
        ],
        "\u00e4".encode(),
    )


@pytest.mark.parametrize("payload", [b'{"hello": "world"}', b'"text"', b"null", b"[1]", b"3"])
def test_answer_without_a_status_is_its_own_json(payload: bytes) -> None:
    """What has no statusCode is answered as JSON with 200."""
    assert answer(payload, default_type="x/y") == Answer(200, [JSON], payload)


@pytest.mark.parametrize(
    "payload",
    [
        {"statusCode": "many"},
        {"statusCode": None},
        {"statusCode": 99},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "body": "!", "isBase64Encoded": True},
        {"statusCode": 200, "headers": ["a"]},
        {"statusCode": 200, "headers": {"set-cookie": ["a=1", "b=2"]}},
        {"statusCode": 200, "headers": {"a": {"b": "c"}}},
        {"statusCode": 200, "cookies": "a=1"},
        {"statusCode": 200, "headers": {"a b": "c"}},
        {"statusCode": 200, "headers": {"a": "b\r\nc: d"}},
        {"statusCode": 200, "cookies": ["a=1\n"]},
    ],
)
def test_malformed_answers_are_refused(payload: Any) -> None:
    """An answer that no HTTP response can be made of raises, instead of a wrong response."""
    with pytest.raises(MalformedAnswer):
        answer(json.dumps(payload).encode(), default_type="x/y")


def test_answer_that_is_no_json_is_refused() -> None:
    """Bytes that are no JSON are malformed."""
    with pytest.raises(MalformedAnswer, match="not JSON"):
        answer(b"<html>", default_type="x/y")


def test_prelude_defaults() -> None:
    """A prelude may leave out everything; one that is no object is refused."""
    assert prelude(b"{}") == Answer(200, [(b"content-type", b"application/octet-stream")])
    assert prelude(b'{"statusCode": 206, "headers": {"content-type": "a/b"}}') == Answer(
        206, [(b"content-type", b"a/b")]
    )
    with pytest.raises(MalformedAnswer):
        prelude(b"[]")
