"""Cross-origin answers of a door."""

import pytest

from local.cors import Cors
from local.payload import Headers, Request

PAGE = b"https://page.example"
CORS = Cors.of(
    {
        "AllowOrigins": [PAGE.decode()],
        "AllowMethods": ["GET", "PUT"],
        "AllowHeaders": ["Range"],
        "ExposeHeaders": ["etag"],
        "MaxAge": 60,
    }
)


def request(method: str = "GET", **headers: bytes) -> Request:
    named = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    return Request(method=method, path=b"/", query=b"", headers=named, body=b"", client="")


def preflight(cors: Cors = CORS, origin: bytes = PAGE, method: bytes = b"PUT", **more: bytes) -> Headers | None:
    return cors.preflight(request("OPTIONS", origin=origin, access_control_request_method=method, **more))


def test_http_api_spells_the_same_in_lower_case() -> None:
    """The configuration of an HTTP API means what that of a Function URL means."""
    assert Cors.of({"allowOrigins": ["*"], "maxAge": 5}) == Cors.of({"AllowOrigins": ["*"], "MaxAge": 5})


def test_preflight_is_answered() -> None:
    """A preflight of an allowed page, method and header gets the headers that let it go on."""
    assert preflight(access_control_request_headers=b"RANGE") == [
        (b"access-control-allow-origin", PAGE),
        (b"access-control-allow-methods", b"GET,PUT"),
        (b"access-control-allow-headers", b"range"),
        (b"access-control-max-age", b"60"),
    ]


@pytest.mark.parametrize(
    "asked",
    [
        {"origin": b"https://page.example.evil"},
        {"origin": b"http://page.example"},
        {"method": b"DELETE"},
        {"access_control_request_headers": b"range, x-other"},
    ],
)
def test_preflight_of_what_is_not_allowed_gets_nothing(asked: dict[str, bytes]) -> None:
    """A preflight of another page, method or header is answered without a header that lets it go on."""
    assert preflight(**asked) == []  # type: ignore[arg-type]  # mypy cannot tell the keywords apart


def test_other_requests_are_no_preflight() -> None:
    """OPTIONS without what makes it a preflight, other methods, and a door without CORS go to the function."""
    assert CORS.preflight(request("OPTIONS")) is None
    assert CORS.preflight(request("GET", origin=PAGE, access_control_request_method=b"PUT")) is None
    assert preflight(Cors()) is None


def test_answer_lets_the_page_read() -> None:
    """An answer to an allowed page says so, whatever the function said; one to another page does not."""
    said = [(b"access-control-allow-origin", b"*"), (b"x", b"y")]
    assert CORS.apply(request(origin=PAGE), said) == [
        (b"x", b"y"),
        (b"access-control-allow-origin", PAGE),
        (b"access-control-expose-headers", b"etag"),
        (b"vary", b"Origin"),
    ]
    assert CORS.apply(request(origin=b"https://other"), said) == [(b"x", b"y"), (b"vary", b"Origin")]
    assert Cors().apply(request(origin=PAGE), said) == said


@pytest.mark.parametrize(
    ("origins", "credentials", "allowed"),
    [(["*"], False, b"*"), (["*"], True, PAGE), (["https://*"], False, PAGE), (["http://*"], False, None)],
)
def test_wildcards(origins: list[str], credentials: bool, allowed: bytes | None) -> None:
    """`*` allows every origin, by its name where credentials are allowed; `https://*` every one of that scheme."""
    cors = Cors.of({"AllowOrigins": origins, "AllowCredentials": credentials})
    assert dict(cors.apply(request(origin=PAGE), [])).get(b"access-control-allow-origin") == allowed
