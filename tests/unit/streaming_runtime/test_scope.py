import base64
import json
from typing import Any, cast
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mangum.handlers.api_gateway import APIGateway, HTTPGateway
from mangum.types import LambdaConfig

from streaming_runtime.asgi import Scope
from streaming_runtime.client import Invocation
from streaming_runtime.context import LambdaContext
from streaming_runtime.errors import Fault
from streaming_runtime.scope import Request, read

CONTEXT = LambdaContext(Invocation("r-1", b"", 0, "arn:f", None, None, None, None, None))


EVENTS = "/_lambda/event"


def asked(event: object) -> Request:
    return read(json.dumps(event).encode(), CONTEXT, EVENTS)


def request(event: object) -> tuple[Scope, bytes]:
    it = asked(event)
    return it.scope, it.body


def version_2(path: str = "/", stage: str = "$default", **overrides: Any) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "a=1&a=2&b=%20",
        "cookies": ["s=1", "t=2"],
        "headers": {"host": "id.lambda-url.eu-west-1.on.aws", "x-forwarded-proto": "https", "accept": "a, b"},
        "requestContext": {"http": {"method": "PUT", "path": path, "sourceIp": "192.0.2.1"}, "stage": stage},
        "isBase64Encoded": False,
        **overrides,
    }


def version_1(path: str = "/files", full_path: str = "/prod/files") -> dict[str, Any]:
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": "GET",
        "headers": {"Host": "id.execute-api.eu-west-1.amazonaws.com", "X-Forwarded-Proto": "https"},
        "multiValueHeaders": {"Accept": ["a", "b"]},
        "multiValueQueryStringParameters": {"a": ["1", "2"]},
        "requestContext": {"path": full_path, "stage": "prod", "identity": {"sourceIp": "192.0.2.1"}},
        "body": None,
        "isBase64Encoded": False,
    }


def test_a_function_urls_event_becomes_a_scope() -> None:
    """Method, repeated query keys, cookies, client, scheme: nothing of the request is lost."""
    event = version_2("/files/x")
    scope, body = request(event)
    assert scope["type"] == "http"
    assert scope["method"] == "PUT"
    assert scope["path"] == "/files/x"
    assert scope["raw_path"] == b"/files/x"
    assert scope["root_path"] == ""
    assert scope["query_string"] == b"a=1&a=2&b=%20"
    assert scope["scheme"] == "https"
    assert scope["client"] == ("192.0.2.1", 0)
    assert (b"cookie", b"s=1; t=2") in scope["headers"]
    assert (b"accept", b"a, b") in scope["headers"]
    assert scope["aws.event"] == event
    assert scope["aws.context"] is CONTEXT
    assert body == b""


def test_a_rest_apis_event_becomes_a_scope() -> None:
    """Payload 1.0: repeated headers and query keys stay apart; the stage is the root path and part of the path."""
    scope, _ = request(version_1())
    assert scope["method"] == "GET"
    assert (scope["path"], scope["root_path"]) == ("/prod/files", "/prod")
    assert scope["query_string"] == b"a=1&a=2"
    assert [value for name, value in scope["headers"] if name == b"accept"] == [b"a", b"b"]
    assert scope["client"] == ("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("path", "full_path", "root_path"),
    [
        ("/a b", "/prod/a%20b", "/prod"),
        ("/files/", "/prod/files", "/prod"),
        ("/", "/prod", "/prod"),
        ("/a b", "/a%20b", ""),
    ],
)
def test_the_stage_is_found_however_the_two_paths_are_written(path: str, full_path: str, root_path: str) -> None:
    """One may be encoded and the other not; what is left of the path is the app's, and never nothing."""
    scope, _ = request(version_1(path, full_path))
    assert (scope["path"], scope["root_path"]) == (unquote(full_path), root_path)


def test_behind_a_custom_domain_there_is_no_stage_in_the_path() -> None:
    """The client's path is the app's path, then."""
    scope, _ = request(version_1(path="/files", full_path="/files"))
    assert (scope["path"], scope["root_path"]) == ("/files", "")


@pytest.mark.parametrize(
    ("path", "root_path"), [("/dev/files", "/dev"), ("/dev", "/dev"), ("/development", ""), ("/files", "")]
)
def test_a_named_stage_of_an_http_api_is_the_root_path(path: str, root_path: str) -> None:
    """Only where the path really begins with it."""
    assert request(version_2(path, stage="dev"))[0]["root_path"] == root_path


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=50))
def test_every_path_survives_encoded_once(text: str) -> None:
    """`path` is what the client meant, `raw_path` decodes to it, whether or not the door encoded it."""
    encoded = "/" + quote(text, safe="")
    scope, _ = request(version_2(encoded))
    assert scope["path"] == "/" + text
    assert scope["raw_path"].isascii()
    assert unquote(scope["raw_path"].decode()) == "/" + text
    if "%" not in text:
        assert request(version_2("/" + text))[0]["path"] == "/" + text


@given(st.binary(max_size=200))
def test_a_base64_body_arrives_as_its_bytes(data: bytes) -> None:
    """Function URLs encode what is not text."""
    assert request(version_2(body=base64.b64encode(data).decode(), isBase64Encoded=True))[1] == data


def test_a_text_body_arrives_as_utf_8() -> None:
    """A body that the door took for text."""
    assert request(version_2(body="grün"))[1] == "grün".encode()


@pytest.mark.parametrize(
    ("headers", "server", "scheme"),
    [
        ({"host": "example.org"}, ("example.org", 443), "https"),
        ({"host": "example.org", "x-forwarded-proto": "http"}, ("example.org", 80), "http"),
        ({"host": "example.org:8443"}, ("example.org", 8443), "https"),
        ({"host": "[2001:db8::1]:8443"}, ("2001:db8::1", 8443), "https"),
        ({"host": "example.org", "x-forwarded-port": "8080"}, ("example.org", 8080), "https"),
        ({"host": "example.org", "x-forwarded-port": "eighty"}, ("example.org", 443), "https"),
        ({"host": "example.org", "x-forwarded-port": "-1"}, ("example.org", 443), "https"),
        ({"host": "example.org", "x-forwarded-port": "65536"}, ("example.org", 443), "https"),
        ({"host": "example.org", "x-forwarded-port": "²"}, ("example.org", 443), "https"),
        ({"host": "example.org", "x-forwarded-port": "9" * 5000}, ("example.org", 443), "https"),
        ({"host": "example.org:eighty"}, None, "https"),
        ({"host": "example.org:65536"}, None, "https"),
        ({"host": "[2001:db8"}, None, "https"),
        ({"host": "example.org/admin"}, None, "https"),
        ({"host": "user@example.org"}, None, "https"),
        ({"host": "two words"}, None, "https"),
        ({}, None, "https"),
    ],
)
@pytest.mark.parametrize("domain", [None, "id.lambda-url.eu-west-1.on.aws"])
def test_the_server_is_whom_the_client_named(
    headers: dict[str, str], server: tuple[str, int] | None, scheme: str, domain: str | None
) -> None:
    """A Host that makes no sense is no reason to refuse the request: then it is the domain that Lambda says."""
    event = version_2(headers=headers)
    event["requestContext"]["domainName"] = domain
    scope, _ = request(event)
    known = (domain, 443) if domain else None
    assert (scope["server"], scope["scheme"]) == (server or known, scheme)


@pytest.mark.parametrize(
    ("protocol", "version"),
    [("HTTP/1.0", "1.0"), ("HTTP/1.1", "1.1"), ("HTTP/2.0", "2"), ("HTTP/2", "2"), ("HTTP/3.0", "3"), (None, "1.1")],
)
def test_the_version_of_http_is_written_as_asgi_has_it(protocol: str | None, version: str) -> None:
    """From 2 on without a minor number."""
    event = version_2()
    event["requestContext"]["http"]["protocol"] = protocol
    assert request(event)[0]["http_version"] == version


def mangums(handler: type[HTTPGateway | APIGateway], event: dict[str, Any]) -> Scope:
    config = LambdaConfig(api_gateway_base_path="/", text_mime_types=[], exclude_headers=[])
    return dict(handler(event, cast(Any, CONTEXT), config).scope)


def test_a_function_urls_scope_is_mangums_and_more() -> None:
    """Mangum's lacks the raw path, and takes the port of a host without one for 80."""
    event = version_2("/files/a%20b")
    ours, theirs = request(event)[0], mangums(HTTPGateway, event)
    differing = {key for key in ours if ours[key] != theirs.get(key)}
    assert differing == {"raw_path", "server", "asgi", "headers"}
    assert ours["headers"] == [tuple(pair) for pair in theirs["headers"]]
    assert (theirs["raw_path"], theirs["server"][1]) == (None, 80)


def test_where_mangums_scope_of_a_rest_api_falls_short() -> None:
    """Repeated cookies become one that no parser reads, and the stage is lost, so that the app's links are wrong."""
    event = version_1()
    event["multiValueHeaders"]["Cookie"] = ["s=1", "t=2"]
    ours, theirs = request(event)[0], mangums(APIGateway, event)
    assert [value for name, value in ours["headers"] if name == b"cookie"] == [b"s=1; t=2"]
    assert [value for name, value in theirs["headers"] if name == b"cookie"] == [b"s=1, t=2"]
    assert (ours["path"], ours["root_path"]) == ("/prod/files", "/prod")
    assert (theirs["path"], theirs["root_path"]) == ("/files", "")


def test_a_host_that_mangum_cannot_read() -> None:
    """A literal IPv6 address has more than one colon."""
    event = version_2(headers={"host": "[2001:db8::1]:8443"})
    assert request(event)[0]["server"] == ("2001:db8::1", 8443)
    with pytest.raises(ValueError, match="too many values"):
        mangums(HTTPGateway, event)


def balanced(**overrides: Any) -> dict[str, Any]:
    """A load balancer's event: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html"""
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/t/1"}},
        "httpMethod": "GET",
        "path": "/a%20b",
        "queryStringParameters": {"q": "x%20y"},
        "headers": {
            "host": "lb-1.eu-west-1.elb.amazonaws.com",
            "x-forwarded-for": "198.51.100.9, 192.0.2.1",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "body": "",
        "isBase64Encoded": False,
        **overrides,
    }


def test_a_load_balancers_event_becomes_a_scope() -> None:
    """Path and query stay encoded once; the client is whom the load balancer saw, whatever the client says."""
    it = asked(balanced())
    assert (it.scope["path"], it.scope["raw_path"], it.scope["query_string"]) == ("/a b", b"/a%20b", b"q=x%20y")
    assert it.scope["client"] == ("192.0.2.1", 0)
    assert it.scope["server"] == ("lb-1.eu-west-1.elb.amazonaws.com", 443)
    assert it.pack is not None


def test_a_load_balancer_with_lists_keeps_what_repeats() -> None:
    """A target group can have multi-value headers switched on."""
    several = balanced(
        headers=None,
        queryStringParameters=None,
        multiValueHeaders={"Host": ["lb"], "Accept": ["a", "b"]},
        multiValueQueryStringParameters={"a": ["1", "2"]},
    )
    scope = asked(several).scope
    assert scope["query_string"] == b"a=1&a=2"
    assert [value for name, value in scope["headers"] if name == b"accept"] == [b"a", b"b"]


@pytest.mark.parametrize(
    "event",
    [None, 1, "version requestContext", [], {}, {"Records": []}, {"version": "2.0", "requestContext": {}},
     {**version_1(), "type": "REQUEST"}, {**version_2(), "type": "REQUEST", "routeArn": "arn"},
     {"requestContext": {"connectionId": "c", "routeKey": "$connect"}}],
)  # fmt: skip
def test_what_is_no_http_is_a_post_of_the_event(event: object) -> None:
    """Of queues, schedules, other functions, an authorizer, a WebSocket: to a path of its own, in JSON."""
    it = asked(event)
    assert (it.scope["method"], it.scope["path"]) == ("POST", EVENTS)
    assert it.scope["headers"] == [(b"content-type", b"application/json")]
    assert json.loads(it.body) == it.scope["aws.event"] == event


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"\xff", b"[" * 100_000, json.dumps({"requestContext": {"http": 1}, "version": "2.0"}).encode(),
     json.dumps({"requestContext": {"elb": {}}, "httpMethod": 7, "path": "/"}).encode()],
)  # fmt: skip
def test_a_malformed_event_is_refused_in_words(payload: bytes) -> None:
    """It costs its invocation alone."""
    with pytest.raises(Fault, match="event") as refused:
        read(payload, CONTEXT, EVENTS)
    assert refused.value.error_type == "Runtime.MalformedEvent"


@pytest.mark.parametrize("http", [{"method": ""}, {"method": 7}, {"method": "GET", "sourceIp": 7}])
def test_a_request_without_a_method_or_from_no_address_is_malformed(http: dict[str, object]) -> None:
    """The app gets what ASGI promises it, or nothing."""
    event = version_2()
    event["requestContext"]["http"] = http
    with pytest.raises(Fault, match="is no word"):
        asked(event)


def test_an_encoded_prefix_is_decoded_as_the_path_is() -> None:
    """ASGI has neither encoded, and a `root_path` that does not begin the `path` is cut off nowhere."""
    scope, _ = request(version_1("/files", "/%41/files"))
    assert (scope["path"], scope["root_path"], scope["raw_path"]) == ("/A/files", "/A", b"/%41/files")
