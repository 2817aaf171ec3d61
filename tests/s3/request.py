"""Requests by signed URLs, as a client sends them and as somebody who wants more alters them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPMessage
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest

from sluice.signing import URL_SECONDS, Signed

ANSWER_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    status: int
    headers: HTTPMessage
    body: bytes


@dataclass(frozen=True)
class Request:
    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunked: bool = False  # instead of a Content-Length

    @classmethod
    def put(cls, signed: Signed, body: bytes) -> "Request":
        return cls("PUT", signed.url, signed.headers, body)

    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    def asking(self, **changes: str | None) -> "Request":
        """With these parameters in the query, without those that are None."""
        told = {name: value for name, value in (self.query() | changes).items() if value is not None}
        return replace(self, url=urlsplit(self.url)._replace(query=urlencode(told, quote_via=quote)).geturl())

    def sending(self, **headers: str | None) -> "Request":
        """With these headers (`_` for `-`), without those that are None."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        told = {name: value for name, value in (self.headers | named).items() if value is not None}
        return replace(self, headers=told)

    def sent(self) -> Answer:
        url = urlsplit(self.url)
        connection = HTTPConnection(str(url.hostname), url.port, timeout=ANSWER_SECONDS)
        try:
            # A server may refuse before it has taken everything.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(
                    self.method,
                    f"{url.path}?{url.query}",
                    iter([self.body]) if self.chunked else self.body,
                    self.headers | ({} if self.chunked else {"Content-Length": str(len(self.body))}),
                    encode_chunked=self.chunked,
                )
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()


def refused(request: Request, *statuses: int) -> Answer:
    """Refused for what it is: 404 would also be said by a server that checked nothing, so only where it is named."""
    answer = request.sent()
    assert answer.status in (400, 403, 405, *statuses), answer
    return answer


# What is made of a request that is right; the second one is as right, for another key, upload and part.
Alteration = Callable[[Request, Request], Request]


def instead(*names: str) -> Alteration:
    """With the other request's parameters of these names."""
    return lambda request, other: request.asking(**{name: other.query()[name] for name in names})


def by(method: str) -> Alteration:
    return lambda request, _: replace(request, method=method)


def one_byte_of_the_signature(request: Request, _: Request) -> Request:
    signature = request.query()["X-Amz-Signature"]
    return request.asking(**{"X-Amz-Signature": signature[:-1] + ("1" if signature[-1] == "0" else "0")})


def the_key(request: Request, other: Request) -> Request:
    return replace(request, url=urlsplit(request.url)._replace(path=urlsplit(other.url).path).geturl())


def signed_a_second_later(request: Request, _: Request) -> Request:
    date = datetime.strptime(request.query()["X-Amz-Date"], "%Y%m%dT%H%M%S%z") + timedelta(seconds=1)
    return request.asking(**{"X-Amz-Date": date.strftime("%Y%m%dT%H%M%SZ")})


def without_a_signature(request: Request, _: Request) -> Request:
    return request.asking(**{name: None for name in request.query() if name.startswith("X-Amz-")})


def no_length_signed(request: Request, _: Request) -> Request:
    names = request.query()["X-Amz-SignedHeaders"].replace("content-length;", "")
    return request.asking(**{"X-Amz-SignedHeaders": names})


QUERY: dict[str, Alteration] = {
    "signature": one_byte_of_the_signature,
    "key": the_key,
    "life": lambda request, _: request.asking(**{"X-Amz-Expires": str(2 * URL_SECONDS)}),
    "date": signed_a_second_later,
    "parameter added": lambda request, _: request.asking(**{"x-amz-acl": "public-read"}),
    "no signature": without_a_signature,
}
BODY: dict[str, Alteration] = {
    "no length signed": no_length_signed,
    "longer": lambda request, _: replace(request, body=request.body + b"x"),
    "shorter": lambda request, _: replace(request, body=request.body[:-1]),
    "empty": lambda request, _: replace(request, body=b""),
    "chunked": lambda request, _: replace(request, chunked=True),
    "chunked and longer": lambda request, _: replace(request, body=2 * request.body, chunked=True),
}
METHODS: dict[str, Alteration] = {f"as {method}": by(method) for method in ("GET", "HEAD", "POST", "DELETE")}
PART: dict[str, Alteration] = {
    **QUERY,
    **BODY,
    **METHODS,
    "upload": instead("uploadId"),
    "part number": instead("partNumber"),
    "upload and key": lambda request, other: the_key(instead("uploadId")(request, other), other),
    "as the whole object": lambda request, _: request.asking(uploadId=None, partNumber=None),
}
PUT: dict[str, Alteration] = {
    **QUERY,
    **BODY,
    **METHODS,
    "content type": lambda request, _: request.sending(Content_Type="text/html"),
    "no content type": lambda request, _: request.sending(Content_Type=None),
    "no If-None-Match": lambda request, _: request.sending(If_None_Match=None),
    "another If-None-Match": lambda request, _: request.sending(If_None_Match='"of another"'),
}
DOWNLOAD: dict[str, Alteration] = {
    **QUERY,
    "as PUT": lambda request, _: replace(request, method="PUT", body=b"other bytes"),
    "as DELETE": by("DELETE"),
    "as POST": by("POST"),
    "content type": lambda request, _: request.asking(**{"response-content-type": "text/html"}),
    "disposition": lambda request, _: request.asking(**{"response-content-disposition": "inline"}),
    "no disposition": lambda request, _: request.asking(**{"response-content-disposition": None}),
    "version": lambda request, _: request.asking(versionId="another"),
}


@contextmanager
def signing_in_the_past() -> Iterator[None]:
    """What is signed meanwhile is over already."""
    before = time.time() - 2 * URL_SECONDS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sluice.signing.time.time", lambda: before)
        yield
