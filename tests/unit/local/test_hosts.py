"""Which requests the local stack answers."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from local import hosts

PORTS = st.one_of(st.just(""), st.integers(0, 65535).map(lambda port: f":{port}"))


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "127.0.0.1:5000",
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "localhost:",
            "[::1]",
            "[::1]:80",
        ),
        *("the-bucket.localhost:5000", "a.b.localhost", "127.0.0.2:1"),
    ],
)
def test_loopback_is_answered(host: str) -> None:
    """Every name and address that never leaves this machine, with any port."""
    assert hosts.misdirected(host) is None


@pytest.mark.parametrize(
    "host",
    [
        *("", ":80", "evil.example", "127.0.0.1.evil.example:5000", "localhost.evil.example", "notlocalhost"),
        *(
            "0.0.0.0:5000",
            "[::]:5000",
            "192.168.0.1",
            "[fe80::1]",
            "127.1",
            "2130706433",
            "[::1",
            "::1",
            "[localhost]x",
        ),
        *("localhost:65536", "localhost:x", "localhost:1:2", "127.0.0.1,evil.example", "evil.example@localhost"),
        *("localhost/", "localhost evil", "localhost\n", "\u2460.localhost", "169.254.169.254", "localhost:\u0661"),
    ],
)
def test_other_hosts_are_misdirected(host: str) -> None:
    """Names that a page can have, addresses that others have, and what is no host, get a sentence."""
    refusal = hosts.misdirected(host)
    assert refusal
    assert refusal.endswith(".")


def test_a_setting_allows_names() -> None:
    """LOCAL_HOSTS is a list; a star stands for what comes before the dot, and for nothing else."""
    more = hosts.allowed({"LOCAL_HOSTS": "Host.docker.internal, 172.17.0.1,*.amazonaws.com,"})
    assert hosts.allowed({}) == frozenset()
    for host in ("host.docker.internal:5000", "HOST.docker.internal", "172.17.0.1:5000", "b.s3.amazonaws.com"):
        assert hosts.misdirected(host, more) is None
    for host in ("docker.internal", "172.17.0.11", "amazonaws.com", "evilamazonaws.com", "x.host.docker.internal"):
        assert hosts.misdirected(host, more)


@given(st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z0-9-]{1,20}){1,3}", fullmatch=True), PORTS)
def test_no_registered_name_is_answered(name: str, port: str) -> None:
    """A name with a dot is answered only when it ends in localhost or is an address of loopback."""
    if not (name.endswith(".localhost") or name.startswith("127.")):
        assert hosts.misdirected(name + port)


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_header_is_judged(host: str) -> None:
    """Whatever stands in the header, the answer is a sentence or None."""
    refusal = hosts.misdirected(host, frozenset({"*.x"}))
    assert refusal is None or refusal


@given(st.ip_addresses(), PORTS)
def test_addresses_are_answered_when_they_are_loopback(address: Any, port: str) -> None:
    """Of each family, in the brackets that IPv6 needs."""
    host = f"[{address}]" if address.version == 6 else str(address)
    assert (hosts.misdirected(host + port) is None) == address.is_loopback


@pytest.mark.parametrize(
    ("headers", "page"),
    [
        ({}, False),
        ({"origin": "null"}, True),
        ({"origin": "http://127.0.0.1:8080"}, True),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "same-origin"}, True),
    ],
)
def test_pages_are_known_by_their_headers(headers: dict[str, str], page: bool) -> None:
    """Browsers send one of the two with whatever a page asks for."""
    assert hosts.from_a_page(headers) is page


def answered(headers: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("nobody reads a request that is refused")

    async def send(message: Any) -> None:
        sent.append(message)

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    asyncio.run(hosts.asgi(application, ())({"type": "http", "headers": headers}, receive, send))
    return sent[0]["status"], sent[1]["body"]


def test_a_door_answers_its_own_hosts() -> None:
    """Others, none and two of them are refused as 421."""
    assert answered([(b"host", b"localhost:1")]) == (204, b"")
    for wrong in ([], [(b"host", b"evil.example")], [(b"host", b"localhost"), (b"host", b"evil.example")]):
        status, body = answered(wrong)
        assert status == 421
        assert body.endswith(b".\n")


@Request.application
def store(request: Request) -> Response:
    """Stands for S3: its CORS rules allow one origin."""
    allowed = request.headers.get("Origin") == "http://page.example"
    headers = {"Access-Control-Allow-Origin": "http://page.example"} if allowed else {}
    return Response(b"done" + request.get_data(), 200, headers)


def asked(app: Any, method: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> tuple[int, bytes]:
    answer = Client(app).open("/", "http://localhost:5000", method=method, headers=list(headers), data=body)
    return answer.status_code, answer.get_data()


def test_services_answer_programs() -> None:
    """The same request with an `Origin` is refused, even with that of the services themselves."""
    services = hosts.for_programs(store)
    assert asked(services, "POST", body=b"!") == (200, b"done!")
    for name, value in (("Origin", "http://localhost:5000"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")):
        assert asked(services, "GET", [(name, value)])[0] == 403


def test_pages_post_where_the_bucket_allows_them() -> None:
    """A POST needs a preflight that succeeds; browsers themselves see to it for the other methods."""
    s3 = hosts.for_allowed_pages(store)
    foreign, page = ("Origin", "http://evil.example"), ("Origin", "http://page.example")
    for headers in ([], [page], [("Origin", "http://localhost:5000")]):
        assert asked(s3, "POST", headers, b"!") == (200, b"done!")
    for headers in ([foreign], [("Origin", "null")]):
        assert asked(s3, "POST", headers)[0] == 403
        assert asked(s3, "PUT", headers)[0] == 200


def test_services_answer_their_own_hosts() -> None:
    """Others are refused as 421."""
    services = hosts.wsgi(store, ())
    assert asked(services, "GET") == (200, b"done")
    assert Client(services).get("/", "http://evil.example").status_code == 421
