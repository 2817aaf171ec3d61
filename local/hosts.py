"""Whom the local stack answers. It has no passwords, so that any web page in any browser of this machine could use it.

Two things keep pages out. A page whose own name was made to mean 127.0.0.1 (DNS rebinding) is told by the `Host` of its
requests, which is that name: only the names of loopback are answered, and those in LOCAL_HOSTS. A page that sends to
127.0.0.1 from where it is, is told by `Origin` and `Sec-Fetch-Site`, which browsers set and pages cannot change: the
bucket's CORS rules say which pages may write to it, and no page may use the other AWS services.
"""

import io
import ipaddress
import re
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from local.asgi import Application, Message, Receive, Send

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SETTING = "LOCAL_HOSTS"
LARGEST_PORT = 65535

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:(?P<port>[0-9]{1,5})?)?", re.ASCII | re.IGNORECASE)


def allowed(environ: Mapping[str, str]) -> frozenset[str]:
    """The names that LOCAL_HOSTS adds, separated by commas: `*.name` is every name under that one."""
    return frozenset(name.strip().lower() for name in environ.get(SETTING, "").split(",")) - {""}


def misdirected(host: str, more: Collection[str] = ()) -> str | None:
    """Why a request with that `Host` is not for this machine; None when it is. `more` is what `allowed` returns.

    Any port will do: a tunnel (`ssh -L`) has another one than the server, and no page can choose what stands here.
    """
    match = _HOST.fullmatch(host)
    if match is None or int(match["port"] or 0) > LARGEST_PORT:
        return "The Host header of this request is missing or not a host and a port."
    name = match["name"].lower().removesuffix(".")
    if _is_loopback(name) or name in more or any(f"*{name[dot:]}" in more for dot in _dots(name)):
        return None
    return (
        f"This server answers as localhost and 127.0.0.1, not as {name}. To allow that name, start the local stack "
        f"with {SETTING}={name}."
    )


def from_a_page(headers: Mapping[str, str]) -> bool:
    """Whether a web page sent it, by the headers' names in lower case. An address that a person types is not a page."""
    return "origin" in headers or headers.get("sec-fetch-site", "none") != "none"


def asgi(application: Application, more: Collection[str]) -> Application:
    """`application`, for requests to this machine alone."""

    async def local(scope: Message, receive: Receive, send: Send) -> None:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        refusal = misdirected(",".join(hosts), more)
        if refusal is None:
            await application(scope, receive, send)
            return
        body = f"{refusal}\n".encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": int(HTTPStatus.MISDIRECTED_REQUEST), "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return local


def wsgi(application: "WSGIApplication", more: Collection[str]) -> "WSGIApplication":
    """`application`, for requests to this machine alone."""

    def local(environ: "WSGIEnvironment", start_response: "StartResponse") -> Any:
        refusal = misdirected(environ.get("HTTP_HOST", ""), more)
        if refusal is None:
            return application(environ, start_response)
        return _refuse(start_response, HTTPStatus.MISDIRECTED_REQUEST, refusal)

    return local


def for_programs(application: "WSGIApplication") -> "WSGIApplication":
    """`application`, for no page at all: a form that a page posts across origins would be obeyed like any request."""

    def programs(environ: "WSGIEnvironment", start_response: "StartResponse") -> Any:
        if not from_a_page(_headers(environ)):
            return application(environ, start_response)
        refusal = "Web pages may use the local S3 alone, not the other AWS services."
        return _refuse(start_response, HTTPStatus.FORBIDDEN, refusal)

    return programs


def for_allowed_pages(moto: "WSGIApplication") -> "WSGIApplication":
    """`moto`, without the POSTs of pages that the bucket's CORS rules do not allow.

    A browser asks before a PUT or a DELETE of another origin, and does not show answers that it may not. But it sends a
    POST without asking, and moto deletes objects by one that nobody has signed.
    """

    def pages(environ: "WSGIEnvironment", start_response: "StartResponse") -> Any:
        origin = environ.get("HTTP_ORIGIN")
        own = f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '')}"
        if environ["REQUEST_METHOD"] != "POST" or origin in (None, own) or _lets_post(moto, environ):
            return moto(environ, start_response)
        refusal = f"The bucket's CORS rules do not let pages of {origin} send a POST."
        return _refuse(start_response, HTTPStatus.FORBIDDEN, refusal)

    return pages


def _lets_post(moto: "WSGIApplication", environ: "WSGIEnvironment") -> bool:
    """Whether S3 allows it when it is asked as a browser asks, by a preflight."""
    from werkzeug.test import run_wsgi_app  # noqa: PLC0415 - only the process of moto has use for it

    about_the_post = ("CONTENT_TYPE", "HTTP_AUTHORIZATION", "HTTP_TRANSFER_ENCODING")
    preflight = {
        **{name: value for name, value in environ.items() if name not in about_the_post},
        "REQUEST_METHOD": "OPTIONS",
        "CONTENT_LENGTH": "0",
        "wsgi.input": io.BytesIO(),
        "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST",
    }
    _, _, headers = run_wsgi_app(moto, preflight, buffered=True)
    return "Access-Control-Allow-Origin" in headers


def _headers(environ: "WSGIEnvironment") -> dict[str, str]:
    prefix = "HTTP_"
    return {
        name.removeprefix(prefix).lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith(prefix)
    }


def _refuse(start_response: "StartResponse", status: HTTPStatus, why: str) -> list[bytes]:
    body = f"{why}\n".encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _dots(name: str) -> list[int]:
    return [place for place, character in enumerate(name) if character == "."]
