"""Upload a file and follow it until the server has given its verdict.

The file is read once, from its beginning to its end: the bytes that are hashed are the bytes that are sent, also when
they are sent again. A small file is declared with its digests before it is sent. Of a larger one each part's URL is
locked to the part's SHA-256, and the digests of the whole go with `complete`, so that the server compares them.

Memory: max(part size, min(2 * connections * part size, HELD_BYTES)). Parts have 8 to 64 MiB up to 625 GiB, so that is
64 to 256 MiB with four connections; a part of more than HELD_BYTES is read, and sent, alone.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import httpx

from sluice_client.contract import PASSING, File, Part, Received, Sluice, Upload, problem, unreachable
from sluice_client.digests import SHA_256, Running, hexdigest
from sluice_client.errors import Problem, SluiceError, WrongBytes
from sluice_client.progress import Meter, say
from sluice_client.sources import Source
from sluice_client.states import Status
from sluice_client.watching import follow

SMALL_BYTES = 8 * 1024 * 1024  # up to these a file is one part: `mode` `single` in the contract
HELD_BYTES = 256 * 1024 * 1024  # of parts in memory at once
CHUNK_BYTES = 256 * 1024  # of a body at a time: beyond the socket's buffers more gains nothing

# S3 answers 403 for a URL that has expired, 400 ExpiredToken when the credentials that signed it have.
STALE_CODE = "ExpiredToken"
# S3's 400 for a body that came too slowly, and its 409 while another attempt at a URL that works once is still at it.
PASSING_CODES = frozenset({"RequestTimeout", "ConditionalRequestConflict"})
# S3's 400 for bytes that are not those of the signed checksum.
ALTERED_CODES = frozenset({"BadDigest", "XAmzContentChecksumMismatch"})
RESIGNS = 3  # fresh URLs for one part before a 403 is believed
# Of an upload that was resumed: it is not, or no longer, this file's.
CONTRADICTIONS = frozenset({"digests_differ", "digests_needed", "parts_differ"})


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file that is ready, and the digests of the bytes that were sent. Times in seconds."""

    file: File
    digests: dict[str, str]
    upload_seconds: float
    hash_seconds: float


def parts_held(connections: int, part_size: int) -> int:
    """How many parts are in memory at once, within HELD_BYTES: of each connection one on its way and one ready."""
    return max(1, min(2 * connections, HELD_BYTES // part_size))


async def put(
    sluice: Sluice, source: Source, meter: Meter, *, connections: int, names: tuple[str, ...], fingerprint: str | None
) -> Uploaded:
    """Upload `source` with its digests `names`, and wait for the server's verdict.

    With a `fingerprint` it resumes what an earlier run began. Raises WrongBytes when other bytes arrived, in the
    server's judgement or by the digests that it found, or when the file changes meanwhile; SluiceError when the server
    does not take it.
    """
    try:
        return await _Putting(sluice, source, meter, connections, names).run(fingerprint)
    except Problem as refusal:
        if fingerprint is None or refusal.code not in CONTRADICTIONS:
            raise
        say(f"{source.filename}: the upload that was resumed is of other bytes [{refusal.code}]; it begins anew")
        return await _Putting(sluice, source, meter, connections, names).run(None)


@dataclass(frozen=True, slots=True)
class _Block:
    """A part in memory; `digest` where its URL is locked to one."""

    number: int
    data: bytearray
    digest: str | None


class _Putting:
    """One upload of one file."""

    def __init__(self, sluice: Sluice, source: Source, meter: Meter, connections: int, names: tuple[str, ...]) -> None:
        self._sluice, self._source, self._meter, self._connections = sluice, source, meter, connections
        self._whole = Running(names)
        self._parts: dict[int, str] = {}  # the digest of each
        self._signing = asyncio.Lock()
        self._unsigned: set[int] = set()
        self._signed: dict[int, Part] = {}

    async def run(self, fingerprint: str | None) -> Uploaded:
        small = await self._small()
        upload = await self._begin(fingerprint, small)
        self._meter.begin("upload", self._source.size, sum(part.size for part in _arrived(upload).values()))
        try:
            await self._send(upload, small)
            self._source.confirm()
        except (BaseExceptionGroup, WrongBytes) as failure:
            first = _first(failure)
            if isinstance(first, WrongBytes):
                # Parts of a file that has changed are never resumed. Where they cannot be removed now, they expire.
                with suppress(SluiceError):
                    await self._sluice.delete(upload.file.id)
            raise first from None
        self._meter.reach(self._source.size)
        upload_seconds = self._meter.end()

        file = await self._complete(upload.file.id)
        self._meter.begin("hash", self._source.size)
        file = await follow(self._sluice, file, self._meter)
        done = Uploaded(file, self._whole.hexdigests(), upload_seconds, self._meter.end())
        for name, digest in done.digests.items():
            if file.digests.get(name) != digest:
                raise WrongBytes(
                    f"{self._source.path}: the server holds other bytes than were sent: its {name} is "
                    f"{file.digests.get(name)}, here it is {digest}.",
                    f"`sluice rm {file.id}` removes it; upload again.",
                )
        return done

    async def _small(self) -> bytearray | None:
        """The whole of a file that is one part, and hashed."""
        if self._source.size > SMALL_BYTES:
            return None
        data = await self._source.read(0, self._source.size)
        await self._whole.update(data)
        return data

    async def _begin(self, fingerprint: str | None, small: bytearray | None) -> Upload:
        async def create(fingerprint: str | None) -> Upload:
            return await self._sluice.create(
                filename=self._source.filename,
                size=self._source.size,
                content_type=self._source.content_type,
                fingerprint=fingerprint,
                digests=None if small is None else self._whole.hexdigests(),
                part_digest=SHA_256 if small is None else None,
            )

        upload = await create(fingerprint)
        if upload.part_digest not in (None, SHA_256):  # begun by another program, whose digests are not known here
            upload = await create(None)
        return upload

    async def _send(self, upload: Upload, small: bytearray | None) -> None:
        """Reads every part in order, and sends those that have not arrived. Raises an ExceptionGroup."""
        held = asyncio.Semaphore(parts_held(self._connections, upload.part_size))
        slots = asyncio.Semaphore(self._connections)
        arrived = _arrived(upload)

        async def send(block: _Block) -> None:
            try:
                # Before a connection is free for it: none of them waits for a signature.
                part = upload.signed.get(block.number) or await self._sign(upload, block)
                async with slots:
                    await self._send_part(upload, part, block)
            finally:
                block.data.clear()  # httpx's requests and answers refer to each other, and keep it for a while
                held.release()

        async with asyncio.TaskGroup() as group:
            for number in range(1, upload.part_count + 1):
                await held.acquire()
                block = await self._read(upload, number, small)
                part = arrived.get(number)
                if part and part.digest == block.digest:
                    held.release()
                else:
                    self._meter.advance(-part.size if part else 0)
                    group.create_task(send(block))
                del block  # its task alone keeps it in memory while the next one is waited for

    async def _read(self, upload: Upload, number: int, small: bytearray | None) -> _Block:
        offset, size = (number - 1) * upload.part_size, upload.size_of(number)
        if small is not None:
            return _Block(number, small[offset : offset + size], None)
        data = await self._source.read(offset, size)
        if upload.part_digest is None:
            await self._whole.update(data)
            return _Block(number, data, None)
        _, digest = await asyncio.gather(
            self._whole.update(data), asyncio.to_thread(hexdigest, upload.part_digest, data)
        )
        self._parts[number] = digest
        return _Block(number, data, digest)

    async def _send_part(self, upload: Upload, part: Part, block: _Block) -> None:
        failures = resigned = 0
        while True:
            error: SluiceError
            retry_after = None
            try:
                response = await self._put(part, block)
            except httpx.TransportError as failure:
                error = unreachable(failure, httpx.URL(part.url).host)
            else:
                if _has_arrived(response):
                    return
                error, retry_after = problem(response), response.headers.get("retry-after")
                if _is_stale(error) and resigned < RESIGNS:
                    resigned += 1
                    part = await self._sign(upload, block)
                    continue
                if response.status_code not in PASSING and error.code not in PASSING_CODES | ALTERED_CODES:
                    raise error
            failures += 1
            if failures == self._sluice.retry.attempts:
                error.hint = "Run the same command again: what has arrived is not sent twice."
                if isinstance(error, Problem) and error.code in ALTERED_CODES:
                    error.hint = f"Part {block.number} was altered on its way to S3 each time. Try another network."
                raise error
            await asyncio.sleep(self._sluice.retry.delay(failures, retry_after))

    async def _sign(self, upload: Upload, block: _Block) -> Part:
        """One call at a time; whoever makes it asks for all that have come to wait meanwhile."""
        self._unsigned.add(block.number)
        async with self._signing:
            if block.number not in self._signed:
                numbers, self._unsigned = self._unsigned, set()
                if block.digest is None:
                    self._signed |= await self._sluice.sign(upload.file.id, numbers)
                else:
                    digests = {number: self._parts[number] for number in numbers}
                    self._signed |= await self._sluice.sign_locked(upload.file.id, digests)
        return self._signed.pop(block.number)

    async def _put(self, part: Part, block: _Block) -> httpx.Response:
        sent = 0

        async def body() -> AsyncIterator[bytes]:
            nonlocal sent
            for offset in range(0, len(block.data), CHUNK_BYTES):
                chunk = bytes(memoryview(block.data)[offset : offset + CHUNK_BYTES])
                yield chunk
                sent += len(chunk)
                self._meter.advance(len(chunk))

        headers = {**part.headers, "Content-Length": str(len(block.data))}
        arrived = False
        try:
            response = await self._sluice.http.put(part.url, content=body(), headers=headers, follow_redirects=True)
            arrived = _has_arrived(response)
            return response
        finally:
            if not arrived:
                self._meter.advance(-sent)

    async def _complete(self, file_id: str) -> File:
        """S3 may take minutes over the parts of a large file, longer than an answer can wait: then the record knows."""
        try:
            return await self._sluice.complete(file_id, self._whole.hexdigests(), self._parts)
        except SluiceError as error:
            if isinstance(error, Problem) and error.status not in PASSING:
                raise
            file = await self._sluice.file(file_id)
            if file.status == Status.UPLOADING:
                raise error from None
            return file


def _arrived(upload: Upload) -> dict[int, Received]:
    """The parts received, by number, that have the size they must have."""
    return {number: part for number, part in upload.received.items() if part.size == upload.size_of(number)}


def _first(failure: BaseException) -> BaseException:
    """What happened: in a task group the first failure cancels the other tasks."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure


def _has_arrived(response: httpx.Response) -> bool:
    """Now, or before: the URL of a single PUT works once, and its 412 means that an earlier answer was lost."""
    return response.is_success or response.status_code == httpx.codes.PRECONDITION_FAILED


def _is_stale(error: Problem) -> bool:
    return error.status == 403 or error.code == STALE_CODE
