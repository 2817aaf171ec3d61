"""Upload a file and follow it until the server has verified it.

Memory: a few READ_BYTES for each connection, whatever the size of the file and of its parts.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import httpx

from sluice_client.contract import MAX_PARTS_ASKED, PASSING, File, Part, Sluice, Upload, problem, unreachable
from sluice_client.errors import Problem, SluiceError, Unverified
from sluice_client.progress import Meter
from sluice_client.sources import Source
from sluice_client.states import Status
from sluice_client.watching import follow

# S3 answers 403 for a URL that has expired, 400 ExpiredToken when the credentials that signed it have.
STALE_CODE = "ExpiredToken"
# S3's 400 for a body that came too slowly, and its 409 while another attempt at a URL that works once is still at it.
PASSING_CODES = frozenset({"RequestTimeout", "ConditionalRequestConflict"})
RESIGNS = 3  # fresh URLs for one part before a 403 is believed


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file that the server verified and that is the local one. Times in seconds."""

    file: File
    upload_seconds: float
    hash_seconds: float


async def put(sluice: Sluice, source: Source, meter: Meter, connections: int, digests: tuple[str, ...]) -> Uploaded:
    """Upload `source`, resuming what an earlier run began, and wait for the server's digests.

    Raises Unverified when one of `digests` is not the local file's or the file changes meanwhile, SluiceError when the
    server does not take it.
    """
    upload = await sluice.create(
        filename=source.filename,
        size=source.size,
        content_type=source.content_type,
        fingerprint=source.fingerprint,
    )
    meter.begin("upload", source.size, sum(upload.arrived(upload.parts).values()))
    try:
        async with asyncio.TaskGroup() as group:
            hashed = group.create_task(source.digests(digests))
            if upload.file.status == Status.UPLOADING:
                await _Sending(sluice, source, meter, upload).run(connections)
        source.confirm()
    except (BaseExceptionGroup, Unverified) as failure:
        first = _first(failure)
        if isinstance(first, Unverified):
            # Parts of a file that has changed are never resumed. Where they cannot be removed now, they expire.
            with suppress(SluiceError):
                await sluice.delete(upload.file.id)
        raise first from None
    meter.reach(source.size)
    upload_seconds = meter.end()

    file = await _complete(sluice, upload.file.id)
    meter.begin("hash", source.size)
    file = await follow(sluice, file, meter)
    hash_seconds = meter.end()
    for name, digest in hashed.result().items():
        if file.digests.get(name) != digest:
            raise Unverified(
                f"{source.path}: the server holds other bytes than this file: its {name} is {file.digests.get(name)}, "
                f"here it is {digest}.",
                f"`sluice rm {file.id}` removes it; upload again.",
            )
    return Uploaded(file, upload_seconds, hash_seconds)


async def _complete(sluice: Sluice, file_id: str) -> File:
    """S3 may take minutes over the parts of a large file, longer than any answer can wait: then the record knows."""
    try:
        return await sluice.complete(file_id)
    except SluiceError as error:
        if isinstance(error, Problem) and error.status not in PASSING:
            raise
        file = await sluice.file(file_id)
        if file.status == Status.UPLOADING:
            raise error from None
        return file


def _first(failure: BaseException) -> BaseException:
    """What happened: in a task group the first failure cancels the other tasks."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure


class _Sending:
    """The parts of one upload on their way."""

    def __init__(self, sluice: Sluice, source: Source, meter: Meter, upload: Upload) -> None:
        self._sluice, self._source, self._meter, self._upload = sluice, source, meter, upload
        self._id = upload.file.id

    async def run(self, connections: int) -> None:
        """Sends every part that has not arrived, `connections` at a time. Raises an ExceptionGroup."""
        slots = asyncio.Semaphore(connections)

        async def send(part: Part) -> None:
            try:
                await self._send(part)
            finally:
                slots.release()

        async with asyncio.TaskGroup() as group:
            async for part in self._missing():
                await slots.acquire()
                group.create_task(send(part))

    async def _missing(self) -> AsyncIterator[Part]:
        """Signed no sooner than they are needed, so that the URLs of a long upload are fresh."""
        upload, parts = self._upload, self._upload.parts
        arrived = upload.arrived(parts)
        for first in range(1, upload.part_count + 1, MAX_PARTS_ASKED):
            numbers = range(first, min(first + MAX_PARTS_ASKED, upload.part_count + 1))
            missing = [number for number in numbers if number not in arrived]
            if any(number not in parts.signed for number in missing):
                parts = await self._sluice.parts(self._id, missing)
            # The first answer may not have listed every part that arrived; the one about these parts does.
            late = upload.arrived(parts)
            for number in missing:
                if number in late:
                    self._meter.advance(late[number])
                else:
                    yield parts.signed[number]

    async def _send(self, part: Part) -> None:
        failures = resigned = 0
        while True:
            error: SluiceError
            retry_after = None
            try:
                response = await self._put(part)
            except httpx.TransportError as failure:
                error = unreachable(failure, httpx.URL(part.url).host)
            else:
                if _has_arrived(response):
                    return
                error, retry_after = problem(response), response.headers.get("retry-after")
                if _is_stale(error) and resigned < RESIGNS:
                    resigned += 1
                    part = (await self._sluice.parts(self._id, [part.number])).signed[part.number]
                    continue
                if response.status_code not in PASSING and error.code not in PASSING_CODES:
                    raise error
            failures += 1
            if failures == self._sluice.retry.attempts:
                error.hint = "Run the same command again: what has arrived is not sent twice."
                raise error
            await asyncio.sleep(self._sluice.retry.delay(failures, retry_after))

    async def _put(self, part: Part) -> httpx.Response:
        sent = 0

        async def body() -> AsyncIterator[bytes]:
            nonlocal sent
            async for chunk in self._source.slice(part.offset, part.size):
                yield chunk
                sent += len(chunk)
                self._meter.advance(len(chunk))

        headers = {**part.headers, "Content-Length": str(part.size)}
        arrived = False
        try:
            response = await self._sluice.http.put(part.url, content=body(), headers=headers, follow_redirects=True)
            arrived = _has_arrived(response)
            return response
        finally:
            if not arrived:
                self._meter.advance(-sent)


def _has_arrived(response: httpx.Response) -> bool:
    """Now, or before: the URL of a single PUT works once, and its 412 means that an earlier answer was lost."""
    return response.is_success or response.status_code == httpx.codes.PRECONDITION_FAILED


def _is_stale(error: Problem) -> bool:
    return error.status == 403 or error.code == STALE_CODE
