"""Typed calls of the HTTP contract. The token goes with calls of the API, never to the stream host or to S3."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from sluice_client.errors import Misuse, Problem, SluiceError, Unreachable

T = TypeVar("T")

PAGE = 100  # files of one list call

# 408 and 429 ask for patience; the 5xx are what AWS answers for a while under load and during a deployment.
PASSING = frozenset({408, 429, 500, 502, 503, 504})

CONNECT_SECONDS = 10.0
# The HTTP API itself gives up after 30 s; the event stream is never silent for more than 15 s.
SILENCE_SECONDS = 60.0

# What httpx reads from the environment: https://www.python-httpx.org/environment_variables/
NETWORK_VARIABLES = "Look at HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR."

HINTS = {
    401: "Set SLUICE_TOKEN to a token of this deployment.",
    404: "`sluice ls` shows your files.",
    413: "It is more than this deployment takes.",
    429: "Try again later.",
    503: "Try again later.",
}


@dataclass(frozen=True, slots=True)
class Retry:
    """How long to be patient with what may pass: `attempts` in a row, with exponential backoff and full jitter."""

    attempts: int = 6
    base: float = 0.25  # seconds
    longest: float = 20.0  # seconds, for what the server asks with Retry-After as well

    def delay(self, failures: int, retry_after: str | None = None) -> float:
        """Seconds to wait after the `failures`-th failure in a row (1 is the first)."""
        asked = float(retry_after) if retry_after and retry_after.isdecimal() else 0.0
        jittered = random.uniform(0, self.base * 2 ** min(failures - 1, 30))  # noqa: S311 (not a secret)
        return min(self.longest, max(asked, jittered))


@dataclass(frozen=True, slots=True)
class File:
    """The server's record of a file; `json` is all of it, as it came."""

    id: str
    status: str
    filename: str
    size: int
    received_bytes: int
    hashed_bytes: int
    digests: Mapping[str, str]
    verified: bool  # the sender's own digest, of the whole or of every part, was compared and held
    reason: str | None
    created_at: str
    content: str | None
    direct: str | None  # leads to S3 itself
    events: str | None
    json: dict[str, Any]

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        links = document.get("links") or {}
        return cls(
            id=str(document["id"]),
            status=str(document["status"]),
            filename=str(document["filename"]),
            size=int(document["size"] or 0),  # null while only its client knows it
            received_bytes=int(document.get("received_bytes") or 0),
            hashed_bytes=int(document.get("hashed_bytes") or 0),
            digests=dict(document.get("digests") or {}),
            verified=document.get("verified") is True,
            reason=document.get("reason"),
            created_at=str(document.get("created_at") or ""),
            content=links.get("content"),
            direct=links.get("direct"),
            events=links.get("events"),
            json=document,
        )

    def after(self, event: dict[str, Any]) -> Self:
        """The record with what an event said of it."""
        return self.parse({**self.json, **event})


@dataclass(frozen=True, slots=True)
class Part:
    """A slice of the file and the URL that takes it. Offset and size in bytes."""

    number: int
    offset: int
    size: int
    url: str
    headers: Mapping[str, str]

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        return cls(
            number=int(document["number"]),
            offset=int(document["offset"]),
            size=int(document["size"]),
            url=str(document["url"]),
            headers=dict(document.get("headers") or {}),
        )


@dataclass(frozen=True, slots=True)
class Received:
    """A part that has arrived: its bytes, and its digest by the file's `part_digest` where it has one."""

    size: int
    digest: str | None


@dataclass(frozen=True, slots=True)
class Upload:
    """What `POST /files` answers: the file, its cut, the parts signed at once and, on a resume, what had arrived."""

    file: File
    part_size: int  # bytes of every part but the last
    part_count: int
    part_digest: str | None
    signed: Mapping[int, Part]
    received: Mapping[int, Received]

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        return cls(
            file=File.parse(document),
            part_size=int(document["part_size"]),
            part_count=int(document["part_count"]),
            part_digest=document.get("part_digest"),
            signed=_signed(document),
            received={
                int(part["number"]): Received(int(part["size"]), part.get("digest"))
                for part in document.get("received") or []
            },
        )

    def size_of(self, number: int) -> int:
        """Bytes of the part; 0 of the only one of an empty file."""
        return max(0, min(self.part_size, self.file.size - (number - 1) * self.part_size))


class Sluice:
    """One deployment. Errors are Problem (the server said no) and Unreachable (no whole answer came).

    Raises Misuse when the environment says something of proxies or certificates that cannot be used.
    """

    def __init__(self, api: str, token: str, retry: Retry = Retry()) -> None:
        self._api = api.rstrip("/")
        self._authorization = {"Authorization": f"Bearer {token}"}
        self.retry = retry
        try:
            self.http = httpx.AsyncClient(
                timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS, pool=None),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
                headers={"User-Agent": "sluice", "Accept-Encoding": "identity"},
            )
        except (httpx.InvalidURL, ImportError, OSError, ValueError) as error:
            raise Misuse(f"The shell's proxy or certificates cannot be used: {error}", NETWORK_VARIABLES) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def create(
        self,
        *,
        filename: str,
        size: int,
        content_type: str | None = None,
        fingerprint: str | None = None,
        digests: Mapping[str, str] | None = None,
        part_digest: str | None = None,
    ) -> Upload:
        """A new upload, or the unfinished one of the same fingerprint and size. With one it is safe to send again."""
        optional = {
            "content_type": content_type,
            "fingerprint": fingerprint,
            "digests": digests,
            "part_digest": part_digest,
        }
        wanted = {"filename": filename, "size": size} | {name: value for name, value in optional.items() if value}
        return _parsed(Upload.parse, await self._call("POST", "/files", json=wanted))

    async def file(self, file_id: str) -> File:
        return _parsed(File.parse, await self._call("GET", f"/files/{file_id}"))

    async def sign(self, file_id: str, numbers: Iterable[int]) -> dict[int, Part]:
        """Fresh URLs of these parts."""
        params = {"numbers": ",".join(map(str, numbers))}
        return _parsed(_signed, await self._call("GET", f"/files/{file_id}/parts", params=params))

    async def sign_locked(self, file_id: str, digests: Mapping[int, str]) -> dict[int, Part]:
        """Fresh URLs of these parts of a file with a `part_digest`, each takes the bytes of its digest alone."""
        wanted = [{"number": number, "digest": digest} for number, digest in digests.items()]
        return _parsed(_signed, await self._call("POST", f"/files/{file_id}/parts", json={"parts": wanted}))

    async def complete(
        self, file_id: str, digests: Mapping[str, str] | None = None, parts: Mapping[int, str] | None = None
    ) -> File:
        """Make the parts the file. `digests` are the sender's of the whole, `parts` has those of each part."""
        body: dict[str, Any] = {"digests": dict(digests)} if digests else {}
        if parts:
            body["parts"] = [{"number": number, "digest": digest} for number, digest in sorted(parts.items())]
        return _parsed(File.parse, await self._call("POST", f"/files/{file_id}/complete", json=body))

    async def delete(self, file_id: str) -> None:
        """What is gone already counts as deleted: it may be this call's work, whose answer was lost."""
        try:
            await self._call("DELETE", f"/files/{file_id}")
        except Problem as refusal:
            if refusal.code != "file_not_found":
                raise

    async def files(self, status: str | None = None) -> AsyncIterator[File]:
        """The caller's files, newest first, page by page."""
        params: dict[str, Any] = {"limit": PAGE} | ({"status": status} if status else {})
        while True:
            response = await self._call("GET", "/files", params=params)
            for item in _parsed(_items, response):
                yield item
            if not (cursor := response.json().get("next")):
                return
            params["cursor"] = cursor

    async def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Every call of the contract may be sent again: each either reads or says what shall be."""
        failures = 0
        while True:
            error: SluiceError
            retry_after = None
            try:
                response = await self.http.request(
                    method, self._api + path, headers=self._authorization, follow_redirects=False, **arguments
                )
            except httpx.TransportError as failure:
                error = unreachable(failure, httpx.URL(self._api).netloc.decode())
            else:
                if response.is_success:
                    return response
                error, retry_after = problem(response), response.headers.get("retry-after")
                if response.status_code not in PASSING and error.code != "conflict":
                    raise error
            failures += 1
            if failures == self.retry.attempts:
                raise error
            await asyncio.sleep(self.retry.delay(failures, retry_after))


def problem(response: httpx.Response) -> Problem:
    """The error in an answer whose body has been read: RFC 9457 of ours, XML of S3, or whatever a proxy sends."""
    status = response.status_code
    code, detail = None, f"{response.request.url.host} answered {status} {response.reason_phrase}".rstrip()
    kind = response.headers.get("content-type", "").partition(";")[0]
    if kind == "application/problem+json":
        try:
            document = response.json()
            code, detail = document.get("code"), document.get("detail") or document.get("title") or detail
        except (ValueError, AttributeError):
            detail += ", with a problem that cannot be read"
    elif found := re.search(rb"<Code>(\w+)</Code>", response.content):
        return Problem(detail, status=status, code=found[1].decode())
    return Problem(str(detail), HINTS.get(status, ""), status=status, code=code)


def unreachable(error: httpx.TransportError, host: str) -> Unreachable:
    """A timeout's own text is empty, so its class says what it was."""
    return Unreachable(f"{host}: {error or type(error).__name__}", "Is the address right, and the network up?")


def _signed(document: dict[str, Any]) -> dict[int, Part]:
    parts = [Part.parse(part) for part in document.get("parts") or []]
    return {part.number: part for part in parts}


def _items(document: dict[str, Any]) -> list[File]:
    return [File.parse(item) for item in document["items"]]


def _parsed(parse: Callable[[dict[str, Any]], T], response: httpx.Response) -> T:
    try:
        return parse(response.json())
    except (ValueError, KeyError, TypeError, AttributeError):
        host = response.request.url.host
        raise SluiceError(f"{host} does not answer as a Sluice does.", "Is the address that of the API?") from None
