"""Typed calls of the HTTP contract. The token goes with calls of the API, never to the stream host or to S3."""

import asyncio
import base64
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from sluice_client import records
from sluice_client.errors import Misuse, Problem, SluiceError, Unreachable
from sluice_client.records import AccessToken, Archive, Drop, File, Me, Opened, Part, Share, Upload

T = TypeVar("T")

PAGE = 100  # files of one list call

# 408 and 429 ask for patience; the 5xx are what AWS answers for a while under load and during a deployment.
PASSING = frozenset({408, 429, 500, 502, 503, 504})

CONNECT_SECONDS = 10.0
# The HTTP API itself gives up after 30 s; the event stream is never silent for more than 15 s.
SILENCE_SECONDS = 60.0

# What httpx reads from the environment: https://www.python-httpx.org/environment_variables/
NETWORK_VARIABLES = "Look at HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR."

LATER = "Try again later."
# By the contract's code; by status where there is none, because a proxy or the gateway answered.
HINTS: Mapping[str | int, str] = {
    "unauthorized": "Set SLUICE_TOKEN to a token of this deployment, or `sluice login` to it.",
    "token_expired": "`sluice login` signs you in again.",
    "access_denied": "Ask your administrator.",
    "admin_only": "Ask your administrator.",
    "sign_in_needed": "`sluice login` signs you in with your own account.",
    "token_not_found": "`sluice tokens ls` shows your access tokens.",
    "sign_in_unavailable": LATER,
    "file_not_found": "`sluice ls` shows your files.",
    "share_not_found": "Its link may have ended; `sluice share ls` shows your own shares.",
    "drop_not_found": "`sluice drop ls` shows your drops.",
    "file_too_large": "It is more than this deployment takes.",
    "body_too_large": "It is more than this deployment takes.",
    "quota_exceeded": "`sluice rm` makes room.",
    "share_used_up": "Ask for a new link.",
    "wrong_password": "Ask the person who gave you the link.",
    "too_many_tries": LATER,
    "busy": LATER,
    "conflict": LATER,
    401: "Set SLUICE_TOKEN to a token of this deployment, or `sluice login` to it.",
    429: LATER,
    503: LATER,
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


class Sluice:
    """One deployment. Errors are Problem (the server said no) and Unreachable (no whole answer came).

    `renew` gets another token in place of one that does not count any more. Raises Misuse when the environment says
    something of proxies or certificates that cannot be used.
    """

    def __init__(
        self,
        api: str,
        token: str | None,
        retry: Retry = Retry(),
        renew: Callable[[httpx.AsyncClient, str], Awaitable[str | None]] | None = None,
    ) -> None:
        self.api = api.rstrip("/")
        self.has_token = bool(token)
        self._token = token
        self._renew = renew
        self._renewing = asyncio.Lock()
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
        size: int | None,
        folder: str | None = None,
        content_type: str | None = None,
        fingerprint: str | None = None,
        digests: Mapping[str, str] | None = None,
        part_digest: str | None = None,
    ) -> Upload:
        """A new upload, or the unfinished one of the same fingerprint and size. With one it is safe to send again.

        Without a `size` its client cuts it into parts as it likes, and says at the end how large it is.
        """
        optional = {
            "folder": folder,
            "content_type": content_type,
            "fingerprint": fingerprint,
            "digests": digests,
            "part_digest": part_digest,
        }
        wanted = {"filename": filename, "size": size} | {name: value for name, value in optional.items() if value}
        return _parsed(Upload.parse, await self._call("POST", "/files", json=wanted))

    async def put_small(
        self,
        filename: str,
        data: bytes | bytearray,
        *,
        folder: str | None,
        content_type: str | None,
        digests: Mapping[str, str],
        idempotency_key: str,
    ) -> File:
        """A whole file in one request. The same key within a day is the same file, however often it is sent."""
        headers = {"Repr-Digest": _digest_header(digests), "Idempotency-Key": idempotency_key}
        headers |= {"Content-Type": content_type} if content_type else {}
        params = {"folder": folder} if folder else {}
        path = f"/files/{quote(filename, safe='')}"
        answer = await self._call("PUT", path, params=params, content=bytes(data), headers=headers)
        return _parsed(File.parse, answer)

    async def file(self, file_id: str) -> File:
        return _parsed(File.parse, await self._call("GET", f"/files/{file_id}"))

    async def sign(self, file_id: str, numbers: Iterable[int]) -> dict[int, Part]:
        """Fresh URLs of these parts."""
        params = {"numbers": ",".join(map(str, numbers))}
        return _parsed(records.signed, await self._call("GET", f"/files/{file_id}/parts", params=params))

    async def sign_locked(self, file_id: str, digests: Mapping[int, str]) -> dict[int, Part]:
        """Fresh URLs of these parts of a file with a `part_digest`, each takes the bytes of its digest alone."""
        wanted = [{"number": number, "digest": digest} for number, digest in digests.items()]
        return _parsed(records.signed, await self._call("POST", f"/files/{file_id}/parts", json={"parts": wanted}))

    async def complete(
        self,
        file_id: str,
        digests: Mapping[str, str] | None = None,
        parts: Mapping[int, str] | None = None,
        size: int | None = None,
    ) -> File:
        """Make the parts the file. `digests` are the sender's of the whole, `parts` has those of each part.

        `size` is that of a file of which it was not known before.
        """
        body: dict[str, Any] = ({"digests": dict(digests)} if digests else {}) | (
            {} if size is None else {"size": size}
        )
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

    async def change(self, file_id: str, **members: str | None) -> File:
        """Another `filename` or `folder`; None removes a folder."""
        return _parsed(File.parse, await self._call("PATCH", f"/files/{file_id}", json=members))

    async def files(self, **wanted: str | None) -> AsyncIterator[File]:
        """The caller's files, page by page; `wanted` are `status`, `folder`, `drop` and `q`. Without, newest first."""
        async for file in self._pages("/files", File.parse, wanted):
            yield file

    async def exports(self, wanted: Mapping[str, str | None]) -> Mapping[str, str]:
        """Links to the list of these files in one piece, by form."""
        params = {"limit": 1} | {name: value for name, value in wanted.items() if value}
        answer = await self._call("GET", "/files", params=params)
        return _parsed(lambda document: dict(document.get("links") or {}), answer)

    async def sign_in(self) -> Mapping[str, Any] | None:
        """What is needed to sign in; None where tokens alone let in."""
        try:
            response = await self._call("GET", "/auth")
        except Problem as refusal:
            if refusal.status == 404:  # of before there was a sign-in
                return None
            raise
        return _parsed(lambda document: dict(document["sign_in"] or {}), response) or None

    async def me(self) -> Me:
        return _parsed(Me.parse, await self._call("GET", "/me"))

    async def owners(self) -> list[str]:
        """For an administrator."""
        return _parsed(lambda document: list(map(str, document["items"])), await self._call("GET", "/owners"))

    async def make_token(self, name: str, expires_in: int) -> AccessToken:
        wanted = {"name": name, "expires_in": expires_in}
        return _parsed(AccessToken.parse, await self._call("POST", "/tokens", json=wanted))

    async def tokens(self, owner: str | None = None) -> AsyncIterator[AccessToken]:
        async for token in self._pages("/tokens", AccessToken.parse, {"owner": owner}):
            yield token

    async def revoke_token(self, token_id: str, owner: str | None = None) -> None:
        await self._call("DELETE", f"/tokens/{token_id}", params=_of(owner))

    async def share(self, **wanted: Any) -> Share:
        return _parsed(Share.parse, await self._call("POST", "/shares", json=wanted))

    async def shares(self, owner: str | None = None) -> AsyncIterator[Share]:
        async for share in self._pages("/shares", Share.parse, {"owner": owner}):
            yield share

    async def end_share(self, share_id: str, owner: str | None = None) -> None:
        await self._call("DELETE", f"/shares/{share_id}", params=_of(owner))

    async def open_share(self, share_id: str, capability: str, password: str | None) -> AsyncIterator[Opened]:
        """What a share holds, page by page, to whoever has its capability. Each opening has links of its own."""
        body: dict[str, str] = {"password": password} if password is not None else {}
        while True:
            path = f"/shares/{share_id}/open"
            answer = await self._call("POST", path, json=body, headers=_bearer(capability))
            opened = _parsed(Opened.parse, answer)
            yield opened
            if not opened.next:
                return
            body["cursor"] = opened.next

    async def pack(self, capability: str | None = None, **wanted: Any) -> Archive:
        """An archive of `files`, a `folder`, a `drop`, or a `share`, for whoever has the capability of that."""
        answer = await self._call("POST", "/archives", json=wanted, headers=_bearer(capability))
        return _parsed(Archive.parse, answer)

    async def archive(self, archive_id: str, capability: str | None = None) -> Archive:
        answer = await self._call("GET", f"/archives/{archive_id}", headers=_bearer(capability))
        return _parsed(Archive.parse, answer)

    async def drop(self, **wanted: Any) -> Drop:
        return _parsed(Drop.parse, await self._call("POST", "/drops", json=wanted))

    async def drops(self, owner: str | None = None) -> AsyncIterator[Drop]:
        async for drop in self._pages("/drops", Drop.parse, {"owner": owner}):
            yield drop

    async def end_drop(self, drop_id: str, owner: str | None = None) -> None:
        await self._call("DELETE", f"/drops/{drop_id}", params=_of(owner))

    async def _pages(
        self, path: str, parse: Callable[[dict[str, Any]], T], wanted: Mapping[str, str | None]
    ) -> AsyncIterator[T]:
        params: dict[str, Any] = {"limit": PAGE} | {name: value for name, value in wanted.items() if value}
        while True:
            response = await self._call("GET", path, params=params)
            for item in _parsed(lambda document: [parse(each) for each in document["items"]], response):
                yield item
            if not (cursor := response.json().get("next")):
                return
            params["cursor"] = cursor

    async def _call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **arguments: Any
    ) -> httpx.Response:
        """Every call may be sent again: each reads, says what shall be, or begins what ends by itself."""
        failures = 0
        while True:
            error: SluiceError
            retry_after, used = None, self._token
            try:
                response = await self.http.request(
                    method,
                    self.api + path,
                    headers={**_bearer(used), **(headers or {})},
                    follow_redirects=False,
                    **arguments,
                )
            except (UnicodeEncodeError, httpx.LocalProtocolError):
                # A shell hands on any bytes; what is no text cannot be said in JSON, a header or a URL.
                raise Misuse("What was asked for has characters that cannot be sent.") from None
            except httpx.TransportError as failure:
                error = unreachable(failure, httpx.URL(self.api).netloc.decode())
            else:
                if response.is_success:
                    return response
                error, retry_after = problem(response), response.headers.get("retry-after")
                if error.status == 401 and "Authorization" not in (headers or {}) and await self._renewed(used):
                    continue
                passes = response.status_code in PASSING and error.code != "too_many_tries"
                if not passes and error.code != "conflict":
                    raise error
            failures += 1
            if failures == self.retry.attempts:
                raise error
            await asyncio.sleep(self.retry.delay(failures, retry_after))

    async def _renewed(self, used: str | None) -> bool:
        """Whether there is another token than the one that was used."""
        if used is None or self._renew is None:
            return False
        async with self._renewing:  # one renewal for all calls that met the same
            if self._token == used:
                self._token = await self._renew(self.http, used) or used
        return self._token != used


def _of(owner: str | None) -> dict[str, str]:
    return {"owner": owner} if owner else {}


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
    return Problem(str(detail), HINTS.get(code or status, ""), status=status, code=code)


def unreachable(error: httpx.TransportError, host: str) -> Unreachable:
    """A timeout's own text is empty, so its class says what it was."""
    connected = not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
    hint = "Is the address right, and the network up?"
    return Unreachable(f"{host}: {str(error).rstrip('.') or type(error).__name__}.", hint, connected=connected)


def _bearer(capability: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {capability}"} if capability else {}


def _digest_header(digests: Mapping[str, str]) -> str:
    """RFC 9530, section 3."""
    encoded = {name: base64.b64encode(bytes.fromhex(value)).decode() for name, value in digests.items()}
    return ", ".join(f"{name}=:{value}:" for name, value in encoded.items())


def _parsed(parse: Callable[[dict[str, Any]], T], response: httpx.Response) -> T:
    try:
        return parse(response.json())
    except (ValueError, KeyError, TypeError, AttributeError):
        host = response.request.url.host
        raise SluiceError(f"{host} does not answer as a Sluice does.", "Is the address that of the API?") from None
