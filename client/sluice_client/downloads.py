"""Download a file, comparing its sha-256 while it is being written."""

import asyncio
import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import httpx

from sluice_client.contract import PASSING, File, Sluice, problem, unreachable
from sluice_client.errors import Problem, SluiceError, WrongBytes
from sluice_client.progress import Meter
from sluice_client.states import Status

# Beyond so many bytes Lambda's streams have 2 MB/s, and S3 itself is faster:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
DIRECT_BYTES = 6 * 1024 * 1024
# An attempt that brought this many bytes was worth it: only attempts in a row that did not count as failures.
WORTHWHILE_BYTES = 8 * 1024 * 1024


def check_ready(file: File) -> None:
    if file.status != Status.READY:
        why = f" ({file.reason})" if file.reason else ""
        raise SluiceError(f"{file.filename} is {file.status}{why}: only what is ready is served.")
    if "sha-256" not in file.digests or not file.content:
        raise WrongBytes(f"{file.filename}: its record has no sha-256 or no link, so nothing could be compared.")


async def save(sluice: Sluice, file: File, target: Path, meter: Meter, *, force: bool) -> float:
    """Download to `target`, which appears only when all of it is there and right. Answers the seconds it took.

    Raises WrongBytes for wrong or missing bytes, SluiceError where `target` exists and `force` is not set.
    """
    if not force:
        _refuse_existing(target)
    # Beside the target, since a rename is atomic only within one file system. The name is short, for long targets.
    partial = target.parent / f".sluice-{secrets.token_hex(8)}.part"
    try:
        try:
            with partial.open("xb") as sink:
                seconds = await write(sluice, file, sink, meter)
            _publish(partial, target, force=force)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise SluiceError(f"{target}: {error.strerror or error}.") from None
    return seconds


async def write(sluice: Sluice, file: File, sink: BinaryIO, meter: Meter) -> float:
    """Download into `sink`; whoever reads it must wait for the verdict. Answers the seconds. Raises as `save` does."""
    check_ready(file)
    meter.begin("download", file.size)
    await _Download(sluice, file, sink, meter).run()
    return meter.end()


def _publish(partial: Path, target: Path, *, force: bool) -> None:
    """Give the file its name; atomic, and without `force` never in place of another file that appeared meanwhile."""
    if force:
        partial.replace(target)
        return
    try:
        target.hardlink_to(partial)
    except OSError:  # it exists, or the file system has no hard links
        _refuse_existing(target)
        partial.rename(target)


def _refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise SluiceError(f"{target} exists already.", "--force replaces it, -o names another path.")


class _Download:
    """One file on its way down, over as many connections as it takes."""

    def __init__(self, sluice: Sluice, file: File, sink: BinaryIO, meter: Meter) -> None:
        self._sluice, self._file, self._sink, self._meter = sluice, file, sink, meter
        self._hash = hashlib.sha256(usedforsecurity=False)
        self._received = 0
        self._etag: str | None = None
        self._retry_after: str | None = None

    async def run(self) -> None:
        failures = 0
        while True:
            before = self._received
            error = await self._attempt()
            if self._received == self._file.size:
                break
            failures = 1 if self._received - before >= WORTHWHILE_BYTES else failures + 1
            if failures == self._sluice.retry.attempts:
                raise error
            await asyncio.sleep(self._sluice.retry.delay(failures, self._retry_after))
            self._file = await self._sluice.file(self._file.id)  # the link may have expired
            check_ready(self._file)
        found = self._hash.hexdigest()
        if found != self._file.digests["sha-256"]:
            raise WrongBytes(
                f"{self._file.filename}: wrong bytes arrived: their sha-256 is {found}, "
                f"it should be {self._file.digests['sha-256']}."
            )

    async def _attempt(self) -> SluiceError:
        """Receive as much as one connection gives; answers why it gave no more. Raises what no other try can mend."""
        headers, self._retry_after = {}, None
        if self._received:
            headers["Range"] = f"bytes={self._received}-"
            if self._etag:
                headers["If-Match"] = self._etag
        url = (self._file.size > DIRECT_BYTES and self._file.direct) or self._file.content or ""
        try:
            async with self._sluice.http.stream("GET", url, headers=headers, follow_redirects=True) as response:
                if not response.is_success:
                    await response.aread()
                    self._retry_after = response.headers.get("retry-after")
                    return self._refused(problem(response))
                async for chunk in self._fresh(response):
                    self._take(chunk)
        except httpx.TransportError as failure:
            error = unreachable(failure, httpx.URL(url).host)
            return WrongBytes(f"{self._short()}: {error}", "Try again later.")
        except httpx.TooManyRedirects:
            raise SluiceError("The download is redirected in circles.") from None
        return WrongBytes(f"{self._short()}.", "Try again later.")

    def _short(self) -> str:
        return f"{self._file.filename}: only {self._received:,} of {self._file.size:,} bytes arrived"

    def _refused(self, refusal: Problem) -> Problem:
        """A link that expired (401, 403) is renewed before the next attempt."""
        if refusal.status in {412, 416}:
            raise WrongBytes(f"{self._file.filename} was replaced while it was being downloaded.", "Get it again.")
        if refusal.status in PASSING or refusal.status in {401, 403}:
            return refusal
        raise refusal

    async def _fresh(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """The bytes that are not here yet: a server may ignore the Range and begin again."""
        skip = 0
        if response.status_code == 206:
            if response.headers.get("content-range", "").partition("/")[0] != self._rest():
                raise WrongBytes(f"{self._file.filename}: the server sent another range than was asked for.")
        else:
            skip = self._received
        etag = response.headers.get("etag", "")
        self._etag = etag if etag.startswith('"') else None  # a weak one never matches (RFC 9110, section 13.1.1)
        async for chunk in response.aiter_raw():
            if skip < len(chunk):
                yield chunk[skip:]
            skip = max(0, skip - len(chunk))

    def _rest(self) -> str:
        return f"bytes {self._received}-{self._file.size - 1}"

    def _take(self, chunk: bytes) -> None:
        self._received += len(chunk)
        if self._received > self._file.size:
            raise WrongBytes(f"{self._file.filename}: more bytes arrived than the {self._file.size:,} of the file.")
        self._hash.update(chunk)
        self._sink.write(chunk)
        self._meter.advance(len(chunk))
