"""Shares that are opened, and archives: many files in one answer, whose size and every CRC the server knows before."""

import asyncio
import hashlib
import os
import zipfile
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import BinaryIO

import httpx

from sluice_client.contract import PASSING, Sluice, problem, unreachable
from sluice_client.errors import Problem, SluiceError, WrongBytes
from sluice_client.links import ShareLink
from sluice_client.partials import locked, partial_path, publish, refuse_existing
from sluice_client.progress import Meter
from sluice_client.rates import Rate
from sluice_client.records import Archive, Opened
from sluice_client.states import ENDED, Status

LOOK_SECONDS = 2.0  # between two looks whether an archive has been put together


async def opened(sluice: Sluice, link: ShareLink, ask: Callable[[], str | None]) -> AsyncGenerator[Opened]:
    """The pages of a share. `ask` has its password, and is asked where one is needed."""
    try:
        async for page in sluice.open_share(link.share_id, link.capability, None):
            yield page
    except Problem as refusal:  # of the first page, if of any
        if refusal.code != "wrong_password" or (password := ask()) is None:
            raise
        async for page in sluice.open_share(link.share_id, link.capability, password):
            yield page


async def put_together(sluice: Sluice, archive: Archive, capability: str | None = None) -> Archive:
    """The archive once it can be had."""
    while archive.status not in ENDED:
        await asyncio.sleep(LOOK_SECONDS)
        archive = await sluice.archive(archive.id, capability)
    if archive.status != Status.READY or not archive.content:
        raise SluiceError(f"The archive is {archive.status}" + (f": {archive.reason}." if archive.reason else "."))
    return archive


async def save(sluice: Sluice, url: str, target: Path, meter: Meter, *, force: bool, rate: Rate) -> int:
    """Download the archive to `target`, going on where a connection broke; answers its size.

    No digest of the whole is known, so each file in it is compared with its CRC-32 when all is there.
    """
    if not force:
        refuse_existing(target)
    partial = partial_of(target)
    try:
        with locked(partial) as sink:
            try:
                sink.truncate(0)
                await _Fetching(sluice, url, meter, rate).into(sink)
                await asyncio.to_thread(_check, partial)
                size = partial.stat().st_size
                publish(partial, target, force=force)
            finally:
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise SluiceError(f"{target}: {error.strerror or error}.") from None
    return size


def partial_of(target: Path) -> Path:
    """An archive's own id is another one each time, so its target names it: by a digest, short and like no other."""
    return partial_path(target, f"archive-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}")


def _check(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
    except (zipfile.BadZipFile, EOFError) as error:
        raise WrongBytes(f"What arrived is not the archive: {error}.", "Get it again.") from None
    if wrong is not None:
        raise WrongBytes(f"{wrong} arrived with other bytes than its CRC-32 is of.", "Get it again.")


class _Fetching:
    def __init__(self, sluice: Sluice, url: str, meter: Meter, rate: Rate) -> None:
        self._sluice, self._url, self._meter, self._rate = sluice, url, meter, rate
        self._received = 0
        self._etag: str | None = None
        self._retry_after: str | None = None  # of the last refusal

    async def into(self, sink: BinaryIO) -> None:
        failures = 0
        while True:
            before = self._received
            self._retry_after = None
            error = await self._attempt(sink)
            if error is None:
                return
            failures = 1 if self._received > before else failures + 1
            if failures == self._sluice.retry.attempts:
                raise error
            await asyncio.sleep(self._sluice.retry.delay(failures, self._retry_after))

    async def _attempt(self, sink: BinaryIO) -> SluiceError | None:
        headers = {"Range": f"bytes={self._received}-", "If-Match": self._etag or "*"} if self._received else {}
        try:
            async with self._sluice.http.stream("GET", self._url, headers=headers, follow_redirects=True) as response:
                if not response.is_success:
                    await response.aread()
                    refusal = problem(response)
                    if refusal.status not in PASSING:
                        raise refusal
                    self._retry_after = response.headers.get("retry-after")
                    return refusal
                if self._received and response.status_code != httpx.codes.PARTIAL_CONTENT:
                    raise WrongBytes("The server began the archive anew.", "Get it again.")
                if not self._received:
                    length = response.headers.get("content-length") or response.headers.get(
                        "x-amzn-remapped-content-length"
                    )
                    self._meter.begin("download", int(length) if length else None)
                    self._etag = response.headers.get("etag")
                async for chunk in response.aiter_raw():
                    await self._rate.take(len(chunk))
                    await asyncio.to_thread(sink.write, chunk)
                    self._received += len(chunk)
                    self._meter.advance(len(chunk))
        except httpx.TransportError as failure:
            return unreachable(failure, httpx.URL(self._url).host)
        self._meter.end()
        return None
