"""Examine a deployment from outside: what a person would try by hand, and what nobody can see in its own logs.

Each check has a finding for a person: `ok`, `told` (nothing is wrong, and somebody should know), `failed` with what to
do, or `skipped` with the reason. Whatever a check uploads, the examination removes.
"""

import asyncio
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit

import httpx

from sluice_client import streams
from sluice_client.contract import Sluice, unreachable
from sluice_client.digests import SHA_256
from sluice_client.downloads import DIRECT_BYTES
from sluice_client.errors import Problem, SluiceError
from sluice_client.progress import Meter, amount, say
from sluice_client.records import File
from sluice_client.sources import Held, Label
from sluice_client.uploads import Uploaded, Uploads

FOLDER = "sluice-doctor"
# One upload of each way: a request, one part, several parts, and parts of a size that nobody knew. The last two are
# more than is read ahead of a slow stream and held on the way: what is deleted meanwhile is still to be read.
REQUEST_BYTES, PART_BYTES, PARTS_BYTES, STREAM_BYTES = 1_000, 5_000_000, 25_000_000, 9_000_000
# Bytes a second of a stream after its first DIRECT_BYTES:
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
LAMBDA_RATE = 2 * 1024 * 1024
# Bytes of a stream after which both of its speeds are known.
RATE_BYTES = DIRECT_BYTES + 4 * 1024 * 1024
# Seconds that the clocks may be apart; S3 refuses a signature that is 15 minutes off, and links may end sooner.
CLOCK_SECONDS = 60
# Seconds until S3's event has led to a verdict on a small file; it is one or two where nothing is wrong.
SLOW_SECONDS = 15
# Seconds in which a stream that stays open shows its first bytes; one that is held back shows them at its end.
FIRST_BYTES_SECONDS = 5.0
FOREIGN = "https://not-yours.example"
# Lambda's invocations at once in an account, below which one link's watchers can use up all of them.
FEW_INVOCATIONS = 100


class Outcome(StrEnum):
    OK = "ok"
    TOLD = "told"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, in a sentence, and what to do about it. `figures` are numbers for programs."""

    check: str
    outcome: Outcome
    said: str
    advice: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def json(self) -> dict[str, Any]:
        return {**asdict(self), "outcome": str(self.outcome)}


class Remark(Exception):
    """A check that is not simply all right: what is to be said, and done."""

    outcome = Outcome.FAILED

    def __init__(self, said: str, advice: str = "", **figures: float) -> None:
        super().__init__(said)
        self.advice, self.figures = advice, figures


class Ill(Remark):
    """What a check was to find out is not as it has to be."""


class Told(Remark):
    """Nothing is wrong, and it should be known."""

    outcome = Outcome.TOLD


class NotNow(Remark):
    """The check cannot be made."""

    outcome = Outcome.SKIPPED


Said = str | tuple[str, Mapping[str, float]]


class Examination:
    """All checks of one deployment, in an order in which each finds what those before it have made."""

    def __init__(self, sluice: Sluice, *, origin: str | None, patience: float) -> None:
        """`origin` is where the page is served; `patience` how many seconds one check may take."""
        self._sluice, self._origin, self._patience = sluice, origin, patience
        self._uploads = Uploads(sluice, connections=4)
        self._names: set[str] = set()  # of what was uploaded, or may have been
        self._files: dict[str, File] = {}  # by the check that has uploaded it
        self._sent = b""  # the bytes of `several parts`

    @property
    def checks(self) -> Mapping[str, Callable[[], Awaitable[Said]]]:
        return {
            "address": self._address,
            "clock": self._clock,
            "sign-in": self._sign_in,
            "issuer": self._issuer,
            "versions": self._versions,
            "one request": self._one_request,
            "one part": self._one_part,
            "several parts": self._several_parts,
            "unknown size": self._unknown_size,
            "download": self._download,
            "length": self._length,
            "streaming": self._streaming,
            "empty answers": self._empty_answers,
            "rate": self._rate,
            "cut stream": self._cut_stream,
            "foreign origins": self._foreign_origins,
            "your page": self._your_page,
            "quotas": self._quotas,
        }

    async def run(self, only: Collection[str]) -> AsyncIterator[Finding]:
        """The findings of these checks, or of all where none is named, each as soon as it is there."""
        for name, check in self.checks.items():
            if not only or name in only:
                yield await self._finding(name, check)

    async def tidy(self) -> None:
        """Remove what was uploaded, also where a check ended before it knew of it."""
        if not self._names:
            return
        try:
            made = [file.id async for file in self._sluice.files(folder=FOLDER) if file.filename in self._names]
            for file_id in made:
                await self._sluice.delete(file_id)
        except SluiceError as error:
            say(f"What was uploaded to {FOLDER} could not be looked for and removed: {error}")

    def _label(self) -> Label:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        name = f"{stamp}-{secrets.token_hex(4)}.bin"
        self._names.add(name)
        return Label(name, FOLDER, "application/octet-stream")

    async def _finding(self, name: str, check: Callable[[], Awaitable[Said]]) -> Finding:
        try:
            async with asyncio.timeout(self._patience):
                said = await check()
        except TimeoutError:
            advice = "Look at the functions' logs, the queue and its dead letters; `--patience` waits for longer."
            return Finding(name, Outcome.FAILED, f"Nothing came of it within {self._patience:.0f} s.", advice)
        except Remark as remark:
            return Finding(name, remark.outcome, str(remark), remark.advice, remark.figures)
        except httpx.TransportError as error:
            host = error.request.url.netloc.decode()
            return Finding(name, Outcome.FAILED, str(unreachable(error, host)), "Is it up, and is its link right?")
        except SluiceError as error:
            code = f" [{error.code}]" if isinstance(error, Problem) and error.code else ""
            return Finding(name, Outcome.FAILED, f"{error}{code}", error.hint)
        sentence, figures = (said, {}) if isinstance(said, str) else said
        return Finding(name, Outcome.OK, sentence, figures=figures)

    # ------------------------------------------------------------------ who and where

    async def _address(self) -> Said:
        answer = await self._sluice.http.get(f"{self._sluice.api}/healthz")
        try:
            healthy = answer.is_success and isinstance(answer.json(), dict)
        except ValueError:
            healthy = False
        if not healthy:
            raise Ill(
                f"{self._sluice.api} answers {answer.status_code}, and not as a Sluice does.",
                "Is that the address of the API?",
            )
        parts = urlsplit(self._sluice.api)
        if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
            raise Ill("Everybody on the way can read what is sent: it is no https.", "Use the https address.")
        return f"{self._sluice.api} is a Sluice."

    async def _clock(self) -> Said:
        before = time.time()
        answer = await self._sluice.http.get(f"{self._sluice.api}/healthz")
        if not (date := answer.headers.get("date")):
            raise NotNow("The server says no time.")
        try:
            there = parsedate_to_datetime(date).timestamp()
        except ValueError:
            raise Ill(f"The server's Date is {date!r}.", "Something on the way changes it.") from None
        off = max(before - there - 1, there - time.time(), 0.0)  # a Date has whole seconds
        if off > CLOCK_SECONDS:
            raise Ill(
                f"This machine's clock and the server's are {off:.0f} s apart.",
                "Set the clock (NTP): signed links end too early or too late, and S3 refuses signatures.",
            )
        return "The clocks agree.", {"seconds_apart": round(off, 1)}

    async def _sign_in(self) -> Said:
        self._needs_token()
        try:
            await self._sluice.exports({})
        except Problem as refusal:
            if refusal.status == httpx.codes.UNAUTHORIZED:
                raise Ill("The token is not taken.", refusal.hint) from None
            raise
        for wrong in (None, secrets.token_urlsafe()):
            headers = {"Authorization": f"Bearer {wrong}"} if wrong else {}
            answer = await self._sluice.http.get(f"{self._sluice.api}/files", headers=headers)
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                whose = "a wrong token" if wrong else "no token"
                raise Ill(
                    f"With {whose} the list of files answers {answer.status_code} instead of 401.",
                    "Take the deployment off the network until it does: anybody may be able to read it.",
                )
        return "The token is taken; without it, or with another, nothing is."

    async def _issuer(self) -> Said:
        """As a client meets it: what it says of itself, and its keys."""
        offer = await self._sluice.sign_in()
        if offer is None:
            raise NotNow("Nobody signs in here: access tokens alone let in.")
        issuer = str(offer["issuer"])
        document = await self._json(issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise Ill(
                f"The issuer calls itself {document.get('issuer')!a}, and the deployment expects {issuer!a}.",
                "Set OidcIssuer to the letter, with or without a slash at its end.",
            )
        if not (await self._json(str(document.get("jwks_uri")))).get("keys"):
            raise Ill(f"{issuer} publishes no keys.", "Ask whoever runs the issuer.")
        if not offer.get("device_authorization_endpoint"):
            raise Told(f"People sign in at {issuer}, and not with the command: it has no device flow.")
        return f"People sign in at {issuer}."

    async def _json(self, url: str) -> dict[str, Any]:
        answer = await self._sluice.http.get(url)
        try:
            document = answer.json() if answer.is_success else None
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise Ill(f"{url} answers {answer.status_code}, and not what an issuer says.", "Is OidcIssuer right?")
        return document

    async def _versions(self) -> Said:
        self._needs_token()
        try:
            there = (await self._sluice.me()).version
        except Problem as refusal:
            if refusal.status != httpx.codes.NOT_FOUND:
                raise
            raise Told(
                "The deployment is of before 0.9.0, and does not say its version.", "Deploy a newer one."
            ) from None
        try:
            here = version("sluice-intake")
        except PackageNotFoundError:
            raise NotNow(f"The deployment is {there}; the command is one of a checkout, and has no version.") from None
        if here != there:
            raise Told(f"The command is {here}, and the deployment {there}.", "They fit best where they are the same.")
        return f"The command and the deployment are {here}."

    # ------------------------------------------------------------------ the ways in

    async def _one_request(self) -> Said:
        return await self._put("one request", secrets.token_bytes(REQUEST_BYTES))

    async def _one_part(self) -> Said:
        return await self._put("one part", secrets.token_bytes(PART_BYTES))

    async def _several_parts(self) -> Said:
        self._sent = secrets.token_bytes(PARTS_BYTES)
        return await self._put("several parts", self._sent)

    async def _unknown_size(self) -> Said:
        self._needs_token()
        with tempfile.TemporaryFile() as file:
            file.write(secrets.token_bytes(STREAM_BYTES))
            file.seek(0)
            uploaded = await streams.put(self._uploads, file.fileno(), self._label(), _meter(), names=(SHA_256,))
        self._files["unknown size"] = uploaded.file
        return self._verdict(uploaded)

    async def _put(self, check: str, data: bytes) -> Said:
        self._needs_token()
        uploaded = await self._uploads.put(Held(bytearray(data), self._label()), _meter(), names=(SHA_256,))
        self._files[check] = uploaded.file
        return self._verdict(uploaded)

    def _verdict(self, uploaded: Uploaded) -> Said:
        """What the server says of what was sent, and how long it took to."""
        figures = {
            "upload_seconds": round(uploaded.upload_seconds, 2),
            "verdict_seconds": round(uploaded.hash_seconds, 2),
        }
        if not uploaded.file.verified:
            raise Ill(
                "The file is ready and not verified, though its sender's digest was declared.",
                "Do API and hasher come from the same version? `sam deploy` again.",
            )
        if uploaded.hash_seconds > SLOW_SECONDS:
            raise Told(
                f"The verdict took {uploaded.hash_seconds:.0f} s after the last byte.",
                "Is the hasher throttled, or its queue long? Look at HasherConcurrency and the queue's oldest message.",
                **figures,
            )
        return f"{amount(uploaded.file.size)} are verified, {uploaded.hash_seconds:.1f} s after the last byte.", figures

    def _needs_token(self) -> None:
        if not self._sluice.has_token:
            raise NotNow("There is no token.")

    # ------------------------------------------------------------------ the ways out

    async def _download(self) -> Said:
        file = self._file_of("several parts")
        for link in (_link(file.content), _link(file.direct)):
            answer = await self._sluice.http.get(link, headers={"Range": "bytes=1000-4000999"}, follow_redirects=True)
            if answer.status_code != httpx.codes.PARTIAL_CONTENT or answer.content != self._sent[1000:4_001_000]:
                host = answer.request.url.host
                raise Ill(
                    f"{host} answers {answer.status_code} with other bytes than were sent.",
                    "Something between here and there changes them: a proxy, a cache, a firewall. Nothing that comes "
                    "this way can be trusted.",
                )
        return "A part of a file has the bytes that were sent, from the stream host and from S3."

    async def _length(self) -> Said:
        file = self._file_of("one request")
        async with self._sluice.http.stream("GET", _link(file.content), follow_redirects=True) as answer:
            await answer.aread()
        if answer.headers.get("content-length") == str(file.size):
            return "Downloads say how long they are."
        if answer.headers.get("x-amzn-remapped-content-length") == str(file.size):
            raise Told(
                "Content-Length of streamed downloads is renamed to x-amzn-remapped-content-length, as Lambda does.",
                "Browsers show no percentage, and some programs (fsspec, pyarrow) want `direct` links.",
            )
        raise Told("Streamed downloads do not say how long they are.", "Programs that need it take `direct` links.")

    async def _streaming(self) -> Said:
        self._needs_token()
        links = await self._sluice.exports({})
        began = time.monotonic()
        try:
            async with asyncio.timeout(FIRST_BYTES_SECONDS):
                async with self._sluice.http.stream("GET", _link(links.get("events"))) as answer:
                    if not answer.is_success:
                        raise Ill(f"The feed answers {answer.status_code}.", "Look at the stream function's log.")
                    async for _ in answer.aiter_bytes():
                        break
                    else:
                        raise Ill("The feed ended at once.", "Look at the stream function's log.")
        except TimeoutError:
            raise Ill(
                f"A stream showed nothing within {FIRST_BYTES_SECONDS:.0f} s: somebody holds it back to its end.",
                "InvokeMode has to be RESPONSE_STREAM, STREAMING_RUNTIME_PRELUDE `streams`; no proxy may buffer it.",
            ) from None
        took = time.monotonic() - began
        return f"A stream that stays open showed its first bytes after {took:.2f} s.", {"seconds": round(took, 3)}

    async def _empty_answers(self) -> Said:
        file = self._file_of("one request")
        for method, link, headers in (
            ("HEAD", _link(file.content), {}),
            ("GET", _link(file.direct), {}),
            ("GET", _link(file.content), {"If-None-Match": "*"}),
        ):
            try:
                async with asyncio.timeout(FIRST_BYTES_SECONDS):
                    await self._sluice.http.request(method, link, headers=headers, follow_redirects=False)
            except TimeoutError:
                raise Ill(
                    f"An answer to {method} with little or no body does not end.",
                    "STREAMING_RUNTIME_FILL_EMPTY=1 on the stream function gives empty answers a body.",
                ) from None
        return "Answers with little or no body end."

    async def _rate(self) -> Said:
        file = self._file_of("several parts")
        began, seen, burst = time.monotonic(), bytearray(), 0.0
        async with self._sluice.http.stream("GET", _link(file.content), follow_redirects=True) as answer:
            async for piece in answer.aiter_bytes():
                seen += piece
                if not burst and len(seen) >= DIRECT_BYTES:
                    burst, fast_bytes = time.monotonic() - began, len(seen)
                if len(seen) >= RATE_BYTES:
                    break
        took = time.monotonic() - began
        if not burst or len(seen) == fast_bytes:
            said = f"A download of {amount(file.size)} ended after {amount(len(seen))}."
            raise Ill(said, "Look at the stream function's log.")
        if bytes(seen) != self._sent[: len(seen)]:
            raise Ill("A download has other bytes than were sent.", "A proxy or a cache changes them.")
        fast, slow = fast_bytes / burst, (len(seen) - fast_bytes) / (took - burst)
        figures = {"first_bytes_per_s": round(fast), "then_bytes_per_s": round(slow)}
        said = f"{amount(fast)}/s for the first 6 MB of a stream, {amount(slow)}/s after them"
        if slow < LAMBDA_RATE / 4:
            raise Told(f"{said}.", "That is far below Lambda's own 2 MB/s: is the network slow?", **figures)
        return f"{said}; S3 itself (`direct`) has no such limit.", figures

    async def _cut_stream(self) -> Said:
        """An archive whose last file is deleted while its first is sent cannot be finished."""
        files = [self._file_of(check) for check in ("several parts", "unknown size", "one part")]
        archive = await self._sluice.pack(files=[file.id for file in files])
        seen = 0
        try:
            async with self._sluice.http.stream("GET", _link(archive.content), follow_redirects=True) as answer:
                if not answer.is_success:
                    raise Ill(f"An archive answers {answer.status_code}.", "Look at the stream function's log.")
                async for piece in answer.aiter_raw(64 * 1024):
                    if not seen:
                        await self._sluice.delete(files[-1].id)
                    seen += len(piece)
        except httpx.TransportError:
            return "A download that could not be finished broke off, and looked like it."
        if seen == archive.size:
            raise NotNow("The download was whole before its file was gone; try again.")
        raise Ill(
            f"A download that failed after {amount(seen)} of {amount(archive.size)} ended as if it were whole.",
            "Only who compares a length or a digest notices; the command does. Is a proxy between here and there?",
        )

    # ------------------------------------------------------------------ other people's pages, and the account

    async def _foreign_origins(self) -> Said:
        hosts = {"the API": f"{self._sluice.api}/files"}
        if file := self._files.get("one request"):
            hosts |= {"the stream host": _link(file.content)}
        for name, url in hosts.items():
            for origin in (FOREIGN, "null"):
                if await self._allows(url, origin):
                    raise Ill(
                        f"{name[0].upper()}{name[1:]} lets pages of {origin} read its answers.",
                        "AllowedOrigins has to name your own pages and nobody else's.",
                    )
        return "Pages of others cannot read answers."

    async def _your_page(self) -> Said:
        if self._origin is None:
            raise NotNow("--origin says where your page is.")
        if not await self._allows(f"{self._sluice.api}/files", self._origin):
            raise Ill(f"The API does not let pages of {self._origin} in.", "Add it to AllowedOrigins and deploy.")
        return f"Pages of {self._origin} may use the API."

    async def _allows(self, url: str, origin: str) -> bool:
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        }
        answer = await self._sluice.http.options(url, headers=headers)
        return answer.headers.get("access-control-allow-origin") in (origin, "*")

    async def _quotas(self) -> Said:
        host = urlsplit(self._sluice.api).hostname or ""
        if not host.endswith(".amazonaws.com"):
            raise NotNow("The address does not say which region of AWS it is in.")
        return await asyncio.to_thread(_account, host.split(".")[-3])

    # ------------------------------------------------------------------ what checks share

    def _file_of(self, check: str) -> File:
        if check not in self._files:
            raise NotNow(f"It needs the file of `{check}`.")
        return self._files[check]


@asynccontextmanager
async def examining(sluice: Sluice, *, origin: str | None, patience: float) -> AsyncIterator[Examination]:
    """An examination that leaves nothing behind, however it ends."""
    examination = Examination(sluice, origin=origin, patience=patience)
    try:
        yield examination
    finally:
        await examination.tidy()


def _account(region: str) -> Said:
    """Lambda's limit of the account, for whoever has boto3 and credentials of it."""
    try:
        import boto3  # noqa: PLC0415 - no part of the command, and slow
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    except ImportError:
        raise NotNow("boto3 is not installed here.") from None
    try:
        settings = boto3.client("lambda", region_name=region).get_account_settings()
    except (BotoCoreError, ClientError) as error:
        raise NotNow(f"There are no credentials that may ask ({type(error).__name__}).") from None
    limit = settings["AccountLimit"]["ConcurrentExecutions"]
    figures = {"concurrent_executions": limit}
    if limit < FEW_INVOCATIONS:
        raise Told(
            f"The account may run {limit} invocations at once in {region}.",
            "Each open stream is one. Ask for more at Service Quotas (Lambda, Concurrent executions).",
            **figures,
        )
    return f"The account may run {limit:,} invocations at once in {region}.", figures


def _meter() -> Meter:
    return Meter("", quiet=True)


def _link(link: str | None) -> str:
    if not link:
        raise Ill("The server gave no link to it.", "Do API and stream host come from the same version?")
    return link


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")
