"""The doors of a local stack: what AWS answers to a request, be the function well or not."""

import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.conftest import Running, thorough

PATIENCE_SECONDS = 60
PAGE = "http://page.example"


@pytest.fixture(scope="module")
def api(tiny: Running) -> str:
    return str(tiny.ready["api"])


@pytest.fixture(scope="module")
def stream(tiny: Running) -> str:
    return str(tiny.ready["stream"])


@pytest.fixture(scope="module")
def buffered_url(tiny: Running) -> str:
    """The Function URL that does not stream; only the log says where a second one is."""
    found = re.search(r"\[BufferedUrl\] is at (\S+)", tiny.log.read_text())
    assert found
    return found[1]


def ask(url: str, method: str = "GET", **more: Any) -> httpx.Response:
    return httpx.request(method, url, timeout=PATIENCE_SECONDS, trust_env=False, **more)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_request_reaches_the_function(api: str) -> None:
    """The function sees method, path, query, headers, cookies, body and the Host that the client asked for."""
    answer = ask(
        f"{api}/a/b?x=1&x=2", "POST", content=b'{"y": 1}', headers={"content-type": "application/json", "cookie": "k=v"}
    )
    event = answer.json()
    assert (event["rawPath"], event["rawQueryString"], event["body"]) == ("/a/b", "x=1&x=2", '{"y": 1}')
    assert (event["cookies"], event["queryStringParameters"]) == (["k=v"], {"x": "1,2"})
    assert event["requestContext"]["http"]["method"] == "POST"
    assert event["headers"]["host"] == urlsplit(api).netloc
    assert answer.headers["apigw-requestid"] == event["requestContext"]["requestId"]


def test_environment_names_the_local_doors(api: str, stream: str, tiny: Running) -> None:
    """What the template says about doors and queues is true here, and the services are at the stack's own address."""
    environment = ask(f"{api}/env").json()
    assert environment["STREAM_URL"] == f"{stream}/"
    assert environment["API_URL"] == api
    assert environment["AWS_ENDPOINT_URL"] == tiny.ready["aws"]
    assert environment["QUEUE_URL"].startswith(tiny.ready["aws"])
    assert environment["AWS_LAMBDA_RUNTIME_API"].startswith("127.0.0.1:")


def test_answer_comes_back(api: str) -> None:
    """Binary bodies, cookies, inferred JSON and answers without a body arrive as HTTP means them."""
    assert ask(f"{api}/binary").content == bytes(range(256))
    cookies = ask(f"{api}/cookies")
    assert cookies.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2"]
    assert cookies.headers["content-type"] == "text/plain; charset=utf-8"
    assert ask(f"{api}/spawn").headers["content-type"] == "application/json"
    unchanged = ask(f"{api}/not-modified")
    assert (unchanged.status_code, unchanged.headers["etag"], unchanged.content) == (304, '"a"', b"")


def test_head_has_the_headers_alone(api: str, stream: str) -> None:
    """HEAD answers without a body, with the length that the function tells."""
    assert ask(f"{api}/binary", "HEAD").content == b""
    answer = ask(f"{stream}/status?code=200&length=77", "HEAD")
    assert (answer.headers["x-amzn-remapped-content-length"], answer.content) == ("77", b"")


def test_length_of_a_stream_is_renamed(stream: str, buffered_url: str) -> None:
    """The Content-Length of a function that streams comes under another name; a buffered answer has its own."""
    answer = ask(f"{stream}/status?code=200&length=0")
    assert "content-length" not in answer.headers
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.headers["x-amzn-remapped-content-length"] == "0"
    assert ask(f"{buffered_url}/binary").headers["content-length"] == "256"


def spoken(url: str, request: bytes) -> tuple[int, dict[str, Any]]:
    """Status and JSON of the answer to these bytes."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), PATIENCE_SECONDS) as connection:
        connection.sendall(request)
        with HTTPResponse(connection) as answer:
            answer.begin()
            return answer.status, json.loads(answer.read())


@pytest.mark.parametrize("door", ["api", "stream"])
def test_request_line_may_hold_a_whole_url(tiny: Running, door: str) -> None:
    """A request as for a proxy reaches the function with its path, and with the host of its URL."""
    line = b"GET http://other.example:1/a/b?c=d HTTP/1.1\r\nHost: localhost\r\n\r\n"
    status, event = spoken(tiny.ready[door], line)
    assert (status, event["rawPath"], event["rawQueryString"]) == (200, "/a/b", "c=d")
    assert event["headers"]["host"] == "other.example:1"
    assert event["requestContext"]["domainName"] == "other.example"


@pytest.mark.parametrize("door", ["api", "stream"])
@pytest.mark.parametrize("line", [b"CONNECT door.example:443", b"OPTIONS *", b"GET ftp://door.example/"])
def test_request_for_no_path_is_refused(tiny: Running, door: str, line: bytes) -> None:
    """No tunnels, and nothing about the server itself."""
    refused = spoken(tiny.ready[door], line + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert refused == (400, {"message": "Bad Request"})


@pytest.mark.parametrize("door", ["api", "stream"])
def test_headers_of_the_connection_stay_at_the_door(tiny: Running, door: str) -> None:
    """The function gets no hop-by-hop header; it gets the cookies of all Cookie headers, and an IPv6 host whole."""
    sent = {"host": "[::1]:8080", "connection": "close, x-mine", "x-mine": "1", "te": "trailers", "x-other": "2"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    cookies = "Cookie: a=1; b=2\r\ncookie: c=3\r\n"
    body = "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
    status, event = spoken(tiny.ready[door], f"POST / HTTP/1.1\r\n{lines}{cookies}{body}".encode())
    assert (status, event["cookies"]) == (200, ["a=1", "b=2", "c=3"])
    assert event["requestContext"]["domainName"] == "[::1]"
    assert event["headers"].keys() == {
        *("host", "x-other", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "x-amzn-trace-id")
    }


def test_function_url_tells_the_trace(stream: str, buffered_url: str) -> None:
    """Answers of a Function URL carry the trace header that their function was given."""
    for url in (stream, buffered_url):
        answer = ask(url)
        assert answer.headers["x-amzn-trace-id"] == answer.json()["headers"]["x-amzn-trace-id"]


@pytest.mark.parametrize("count", [1, 3])
def test_large_heads_are_refused_by_an_http_api(api: str, stream: str, count: int) -> None:
    """10,240 bytes of request line and header values pass an HTTP API, one more is 431; a Function URL takes more."""

    line, host = "GET / HTTP/1.1", urlsplit(api).netloc

    def sent(size: int) -> bytes:
        left = size - len(line) - len(host)
        first = left // count
        values = [first] * (count - 1) + [left - first * (count - 1)]
        return "\r\n".join([line, f"Host: {host}", *(f"X-A: {'a' * value}" for value in values), "\r\n"]).encode()

    assert spoken(api, sent(10_240))[0] == 200
    for size in (10_241, 200_000):
        assert spoken(api, sent(size)) == (431, {"message": "Request Header Fields Too Large"})
    assert spoken(stream, sent(200_000))[0] == 200


def test_connection_is_kept(api: str) -> None:
    """One connection carries request after request."""
    with httpx.Client(base_url=api, timeout=PATIENCE_SECONDS, trust_env=False) as client:
        ports = set()
        for _ in range(3):
            with client.stream("GET", "/") as answer:
                ports.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
                answer.read()
    assert len(ports) == 1


@pytest.mark.parametrize("path", ["raise", "exit", "malformed", "large", "sleep"])
def test_failing_function(api: str, buffered_url: str, path: str) -> None:
    """A function that fails, ends, times out, or answers nonsense or too much is 500 at one door, 502 at the other."""
    of_api, of_url = ask(f"{api}/{path}"), ask(f"{buffered_url}/{path}")
    assert (of_api.status_code, of_api.json()) == (500, {"message": "Internal Server Error"})
    assert (of_url.status_code, of_url.text) == (502, "Internal Server Error")
    assert ask(f"{api}/").status_code == 200


def test_too_large_a_request(api: str, stream: str) -> None:
    """An event of more than 6 MB, which base64 makes of 5 MB of bytes, is refused by the door."""
    of_api = ask(api, "POST", content=bytes(5_000_000))
    assert (of_api.status_code, of_api.json()) == (413, {"message": "Request Entity Too Large"})
    assert ask(api, "POST", content=b"a" * 5_000_000, headers={"content-type": "text/plain"}).status_code == 200
    of_url = ask(stream, "POST", content=bytes(7_000_000))
    assert of_url.status_code == 413
    assert "smaller than 6291456 bytes" in of_url.json()["message"]


@pytest.mark.parametrize(("door", "status"), [("api", 204), ("stream", 200)])
def test_preflight_is_answered_at_the_door(tiny: Running, door: str, status: int) -> None:
    """A preflight gets what the template's CORS says, and reaches no function."""
    asked = {"origin": PAGE, "access-control-request-method": "GET"}
    answer = ask(tiny.ready[door], "OPTIONS", headers=asked)
    assert (answer.status_code, answer.content) == (status, b"")
    assert answer.headers["access-control-allow-origin"] == PAGE
    other = ask(tiny.ready[door], "OPTIONS", headers={**asked, "origin": "http://evil.example"})
    assert "access-control-allow-origin" not in other.headers


def test_answers_and_failures_can_be_read_across_origins(api: str, stream: str) -> None:
    """A page of the template's origins can read answers, and also that the function failed."""
    answer = ask(f"{api}/cookies", headers={"origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-expose-headers"] == "x-seen"
    assert ask(f"{api}/raise", headers={"origin": PAGE}).headers["access-control-allow-origin"] == PAGE
    streamed = ask(stream, headers={"origin": PAGE})
    assert streamed.headers["access-control-expose-headers"] == "etag"


def test_pieces_arrive_as_they_are_made(stream: str, tmp_path: Path) -> None:
    """A streamed piece is at the client before the function makes the next one."""
    gate = tmp_path / "gate"
    with httpx.stream("GET", f"{stream}/gate?gate={gate}", timeout=PATIENCE_SECONDS, trust_env=False) as answer:
        pieces = answer.iter_bytes()
        assert answer.headers["content-type"] == "text/event-stream"
        assert next(pieces) == b"first"
        gate.touch()
        assert b"".join(pieces) == b"second"


def test_streamed_head_of_the_answer(stream: str) -> None:
    """Status, headers and cookies of the prelude become those of the response; a bodiless status ends at once."""
    answer = ask(f"{stream}/")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.json()["requestContext"]["requestId"] == answer.headers["x-amzn-requestid"]
    for status in (204, 302, 304):
        assert ask(f"{stream}/status?code={status}").status_code == status


@pytest.mark.parametrize("path", ["raise", "no-end", pytest.param("mute", marks=thorough)])
def test_failure_before_the_first_byte(stream: str, path: str) -> None:
    """A failure while nothing is sent yet is a 502."""
    answer = ask(f"{stream}/{path}")
    assert (answer.status_code, answer.text) == (502, "Internal Server Error")


@pytest.mark.parametrize("path", ["exit", "fail", pytest.param("sleep", marks=thorough)])
def test_failure_in_the_middle_breaks_the_connection(stream: str, path: str) -> None:
    """A crash, an exception and a timeout after the first byte leave the client with an answer that is not whole."""
    with httpx.stream("GET", f"{stream}/{path}", timeout=PATIENCE_SECONDS, trust_env=False) as answer:
        pieces = answer.iter_bytes()
        assert (answer.status_code, next(pieces)) == (200, b"some")
        with pytest.raises(httpx.RemoteProtocolError):
            next(pieces)


def test_client_that_leaves_does_not_stop_the_function(stream: str, tmp_path: Path) -> None:
    """A function whose client has left runs to its end, as on Lambda."""
    gate = tmp_path / "gate"
    with httpx.stream("GET", f"{stream}/drain?gate={gate}", timeout=PATIENCE_SECONDS, trust_env=False) as answer:
        next(answer.iter_raw())
    wait_for(gate)


def test_client_that_leaves_before_it_has_asked(api: str) -> None:
    """A connection that ends in the middle of a request harms nobody."""
    address = urlsplit(api)
    with socket.create_connection((address.hostname, address.port)) as half:
        half.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
    assert ask(api).status_code == 200


def test_many_at_once(stream: str, tmp_path: Path) -> None:
    """Twenty streams are open at the same time, each with an environment of its own."""
    gate = tmp_path / "gate"
    together = threading.Barrier(20)

    def watch(_: int) -> bytes:
        with httpx.stream("GET", f"{stream}/gate?gate={gate}", timeout=PATIENCE_SECONDS, trust_env=False) as answer:
            pieces = answer.iter_bytes()
            first = next(pieces)
            together.wait(PATIENCE_SECONDS)
            gate.touch()
            return first + b"".join(pieces)

    with ThreadPoolExecutor(20) as watchers:
        assert set(watchers.map(watch, range(20))) == {b"firstsecond"}


def test_log_says_why(api: str, tiny: Running) -> None:
    """stderr tells each failure with the door, the request and the reason, and never the query."""
    ask(f"{api}/raise?capability=secret")
    log = tiny.log.read_text()
    assert "[Api] GET /raise -> 500: RuntimeError: as asked" in log
    assert "capability=secret" not in log


def test_ready_line_is_complete(tiny: Running) -> None:
    """The ready line names every door, by its logical id where nobody gave it a name, and the services."""
    assert list(tiny.ready) == ["api", "stream", "BufferedUrl", "aws"]
    assert len({*tiny.ready.values()}) == 4
