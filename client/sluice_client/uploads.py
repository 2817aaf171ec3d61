"""Upload a file and follow it until the server has given its verdict.

The file is read once, from its beginning to its end: the bytes that are hashed are the bytes that are sent, also when
they are sent again. Up to WHOLE_BYTES a file is one request to the API, with its digests. A larger one of one part is
declared with its digests before it is sent. Of any other each part's URL is locked to the part's SHA-256, and the
digests of the whole go with `complete`, so that the server compares them.

Memory: max(part size, HELD_BYTES) over all files together. Parts have 8 to 64 MiB up to 625 GiB; a part of more than
HELD_BYTES is read, and sent, alone.
"""

import asyncio
import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import httpx

from sluice_client.contract import PASSING, Sluice, problem, unreachable
from sluice_client.digests import SHA_256, Running, hexdigest
from sluice_client.errors import Problem, SluiceError, WrongBytes
from sluice_client.memory import Memory
from sluice_client.progress import Meter, say
from sluice_client.rates import Rate
from sluice_client.records import File, Part, Received, Upload
from sluice_client.sources import Held, Source
from sluice_client.states import Status
from sluice_client.watching import follow

WHOLE_BYTES = 4 * 1024 * 1024  # what `PUT /files/{filename}` takes
SMALL_BYTES = 8 * 1024 * 1024  # up to these a file is one part: `mode` `single` in the contract
HELD_BYTES = 256 * 1024 * 1024  # of files in memory at once
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
# What stands for itself in a path however often it is decoded on the way: no separators, no escapes, no dot segments.
PLAIN_NAME = re.compile(r"(?!\.{1,2}$)[^/\\?%#;\x00-\x1f\x7f]+")


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


class Uploads:
    """What all files of one run share: connections, memory and rate."""

    def __init__(self, sluice: Sluice, *, connections: int, rate: Rate | None = None) -> None:
        self.sluice = sluice
        self.connections = connections
        self.slots = asyncio.Semaphore(connections)
        self.memory = Memory(HELD_BYTES)
        self.rate = rate or Rate()
        self.whole = True  # until the API says that this caller has to go by `POST /files`

    async def put(
        self, source: Source | Held, meter: Meter, *, names: tuple[str, ...], fingerprint: str | None = None
    ) -> Uploaded:
        """Upload `source` with its digests `names`, and wait for the server's verdict.

        With a `fingerprint` it resumes what an earlier run began. Raises WrongBytes when other bytes arrived, in the
        server's judgement or by the digests that it found, or when the file changes meanwhile; SluiceError when the
        server does not take it.
        """
        try:
            return await _Putting(self, source, meter, names).run(fingerprint)
        except Problem as refusal:
            if fingerprint is None or refusal.code not in CONTRADICTIONS:
                raise
            say(f"{source.path}: the upload that was resumed is of other bytes [{refusal.code}]; it begins anew")
            return await _Putting(self, source, meter, names).run(None)

    async def send_part(self, part: Part, data: bytearray, meter: Meter) -> httpx.Response:
        """One attempt. What does not arrive is taken back from the `meter`."""
        sent = 0

        async def body() -> AsyncIterator[bytes]:
            nonlocal sent
            for offset in range(0, len(data), CHUNK_BYTES):
                chunk = bytes(memoryview(data)[offset : offset + CHUNK_BYTES])
                await self.rate.take(len(chunk))
                yield chunk
                sent += len(chunk)
                meter.advance(len(chunk))

        headers = {**part.headers, "Content-Length": str(len(data))}
        arrived = False
        try:
            response = await self.sluice.http.put(part.url, content=body(), headers=headers, follow_redirects=True)
            arrived = has_arrived(response)
            return response
        finally:
            if not arrived:
                meter.advance(-sent)


def compare(file: File, digests: dict[str, str]) -> None:
    """Raises WrongBytes unless the server's digests are those of what was sent."""
    for name, digest in digests.items():
        if file.digests.get(name) != digest:
            raise WrongBytes(
                f"The server holds other bytes than were sent: its {name} is {file.digests.get(name)}, "
                f"here it is {digest}.",
                f"`sluice rm {file.id}` removes it; upload again.",
            )


@dataclass(frozen=True, slots=True)
class Block:
    """A part in memory; `digest` where its URL is locked to one."""

    number: int
    data: bytearray
    digest: str | None


class Sender:
    """The parts of one upload: their signatures, and attempts until each has arrived."""

    def __init__(self, uploads: Uploads, meter: Meter, upload: Upload) -> None:
        self._uploads, self._sluice, self._meter, self._upload = uploads, uploads.sluice, meter, upload
        self.digests: dict[int, str] = {}  # of each part
        self._signing = asyncio.Lock()
        self._unsigned: set[int] = set()
        self._signed: dict[int, Part] = {}

    async def send(self, block: Block) -> None:
        # Before a connection is free for it: none of them waits for a signature.
        part = self._upload.signed.get(block.number) or await self._sign(block)
        async with self._uploads.slots:
            await self._send(part, block)

    async def _send(self, part: Part, block: Block) -> None:
        failures = resigned = 0
        while True:
            error: SluiceError
            retry_after = None
            try:
                response = await self._uploads.send_part(part, block.data, self._meter)
            except httpx.TransportError as failure:
                error = unreachable(failure, httpx.URL(part.url).host)
            else:
                if has_arrived(response):
                    return
                error, retry_after = problem(response), response.headers.get("retry-after")
                if _is_stale(error) and resigned < RESIGNS:
                    resigned += 1
                    part = await self._sign(block)
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

    async def _sign(self, block: Block) -> Part:
        """One call at a time; whoever makes it asks for all that have come to wait meanwhile."""
        self._unsigned.add(block.number)
        async with self._signing:
            if block.number not in self._signed:
                numbers, self._unsigned = self._unsigned, set()
                file_id = self._upload.file.id
                if block.digest is None:
                    self._signed |= await self._sluice.sign(file_id, numbers)
                else:
                    digests = {number: self.digests[number] for number in numbers}
                    self._signed |= await self._sluice.sign_locked(file_id, digests)
        return self._signed.pop(block.number)

    async def complete(self, digests: dict[str, str], size: int | None = None) -> File:
        """S3 may take minutes over the parts of a large file, longer than an answer can wait: then the record knows."""
        file_id = self._upload.file.id
        try:
            return await self._sluice.complete(file_id, digests, self.digests, size)
        except SluiceError as error:
            if isinstance(error, Problem) and error.status not in PASSING:
                raise
            file = await self._sluice.file(file_id)
            if file.status == Status.UPLOADING:
                raise error from None
            return file


class _Putting:
    """One upload of one file."""

    def __init__(self, uploads: Uploads, source: Source | Held, meter: Meter, names: tuple[str, ...]) -> None:
        self._uploads, self._sluice, self._source, self._meter = uploads, uploads.sluice, source, meter
        self._names = names
        self._whole = Running(names)

    async def run(self, fingerprint: str | None) -> Uploaded:
        if self._source.size > SMALL_BYTES:
            return await self._put(fingerprint, None)
        await self._uploads.memory.take(self._source.size)
        try:
            data = await self._source.read(0, self._source.size)
            self._source.confirm()
            await self._whole.update(data)
            plain = PLAIN_NAME.fullmatch(self._source.label.filename)
            if self._uploads.whole and plain and len(data) <= WHOLE_BYTES:
                try:
                    return await self._put_whole(data, fingerprint)
                except Problem as refusal:
                    if refusal.code != "owner_only":  # a capability to upload
                        raise
                    self._uploads.whole = False
            return await self._put(fingerprint, data)
        finally:
            self._uploads.memory.give(self._source.size)

    async def _put_whole(self, data: bytearray, fingerprint: str | None) -> Uploaded:
        """In one request, which stores nothing twice."""
        digests, label = self._whole.hexdigests(), self._source.label
        self._meter.begin("upload", len(data))
        await self._uploads.rate.take(len(data))

        async def send(key: str) -> File:
            return await self._sluice.put_small(
                label.filename,
                data,
                folder=label.folder,
                content_type=label.content_type,
                digests=digests,
                idempotency_key=key,
            )

        try:
            file = await send(_idempotency_key(fingerprint, digests))
            anew = file.status in (Status.FAILED, Status.ABORTED)
        except Problem as refusal:
            anew = refusal.code in ("file_not_found", "idempotency_key_reused")
            if not anew:
                raise
        if anew:  # what the key stood for was deleted since, or came to nothing
            file = await send(secrets.token_hex())
        self._meter.reach(len(data))
        return await self._followed(file, digests, self._meter.end())

    async def _put(self, fingerprint: str | None, small: bytearray | None) -> Uploaded:
        upload = await self._begin(fingerprint, small)
        sender = Sender(self._uploads, self._meter, upload)
        self._meter.begin("upload", self._source.size, sum(part.size for part in _arrived(upload).values()))
        try:
            await self._send(upload, sender, small)
            self._source.confirm()
        except (BaseExceptionGroup, WrongBytes) as failure:
            first = first_of(failure)
            if isinstance(first, WrongBytes):
                # Parts of a file that has changed are never resumed. Where they cannot be removed now, they expire.
                with suppress(SluiceError):
                    await self._sluice.delete(upload.file.id)
            raise first from None
        self._meter.reach(self._source.size)
        upload_seconds = self._meter.end()
        digests = self._whole.hexdigests()
        return await self._followed(await sender.complete(digests), digests, upload_seconds)

    async def _followed(self, file: File, digests: dict[str, str], upload_seconds: float) -> Uploaded:
        """The file once it is ready and compared: most small ones are at once."""
        hash_seconds = 0.0
        if file.status != Status.READY:
            self._meter.begin("hash", self._source.size)
            file = await follow(self._sluice, file, self._meter)
            hash_seconds = self._meter.end()
        compare(file, digests)
        return Uploaded(file, digests, upload_seconds, hash_seconds)

    async def _begin(self, fingerprint: str | None, small: bytearray | None) -> Upload:
        label = self._source.label

        async def create(fingerprint: str | None) -> Upload:
            return await self._sluice.create(
                filename=label.filename,
                size=self._source.size,
                folder=label.folder,
                content_type=label.content_type,
                fingerprint=fingerprint,
                digests=None if small is None else self._whole.hexdigests(),
                part_digest=SHA_256 if small is None else None,
            )

        upload = await create(fingerprint)
        if upload.part_digest not in (None, SHA_256):  # begun by another program, whose digests are not known here
            upload = await create(None)
        return upload

    async def _send(self, upload: Upload, sender: Sender, small: bytearray | None) -> None:
        """Reads every part in order, and sends those that have not arrived. Raises an ExceptionGroup."""
        held = asyncio.Semaphore(parts_held(self._uploads.connections, upload.part_size))
        memory = self._uploads.memory
        arrived = _arrived(upload)

        def done(block: Block, room: int) -> None:
            block.data.clear()  # httpx's requests and answers refer to each other, and keep it for a while
            memory.give(room)
            held.release()

        async with asyncio.TaskGroup() as group:
            for number in range(1, upload.part_count + 1):
                await held.acquire()
                room = 0 if small is not None else upload.size_of(number)
                await memory.take(room)
                try:
                    block = await self._read(upload, sender, number, small)
                except BaseException:
                    memory.give(room)
                    raise
                part = arrived.get(number)
                if part and part.digest == block.digest:
                    done(block, room)
                else:
                    self._meter.advance(-part.size if part else 0)
                    # A callback, because a task that is cancelled before its first step never gets to its `finally`.
                    group.create_task(sender.send(block)).add_done_callback(partial(_call, partial(done, block, room)))
                del block  # its task alone keeps it in memory while the next one is waited for

    async def _read(self, upload: Upload, sender: Sender, number: int, small: bytearray | None) -> Block:
        offset, size = (number - 1) * upload.part_size, upload.size_of(number)
        if small is not None:
            return Block(number, small[offset : offset + size], None)
        data = await self._source.read(offset, size)
        if upload.part_digest is None:
            await self._whole.update(data)
            return Block(number, data, None)
        _, digest = await asyncio.gather(
            self._whole.update(data), asyncio.to_thread(hexdigest, upload.part_digest, data)
        )
        sender.digests[number] = digest
        return Block(number, data, digest)


def _call(callback: Callable[[], None], _: asyncio.Task[None]) -> None:
    callback()


def _idempotency_key(fingerprint: str | None, digests: dict[str, str]) -> str:
    """Of this file with these bytes: the same for each run that sends it."""
    if fingerprint is None:
        return secrets.token_hex()
    return hashlib.sha256(f"{fingerprint} {digests[SHA_256]}".encode()).hexdigest()


def _arrived(upload: Upload) -> dict[int, Received]:
    """The parts received, by number, that have the size they must have."""
    return {number: part for number, part in upload.received.items() if part.size == upload.size_of(number)}


def first_of(failure: BaseException) -> BaseException:
    """What happened: in a task group the first failure cancels the other tasks."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure


def has_arrived(response: httpx.Response) -> bool:
    """Now, or before: the URL of a single PUT works once, and its 412 means that an earlier answer was lost."""
    return response.is_success or response.status_code == httpx.codes.PRECONDITION_FAILED


def _is_stale(error: Problem) -> bool:
    return error.status == 403 or error.code == STALE_CODE
