"""Download a file, comparing its sha-256 while it is being written.

It comes in blocks over several connections, and is written and hashed in order. So what a run leaves behind is the
beginning of the file, from where the next run goes on; and the hash is that of all that is there.

Memory: HELD_BYTES over all files together.
"""

import asyncio
import hashlib
import os
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, BinaryIO

import httpx

from sluice_client.contract import PASSING, Sluice, problem, unreachable
from sluice_client.digests import SHA_256
from sluice_client.errors import Problem, SluiceError, WrongBytes
from sluice_client.memory import Memory
from sluice_client.output import lost
from sluice_client.partials import locked, partial_path, publish, refuse_existing
from sluice_client.progress import Meter, say
from sluice_client.rates import Rate
from sluice_client.records import File
from sluice_client.states import Status
from sluice_client.threads import apart
from sluice_client.uploads import first_of

# Beyond so many bytes Lambda's streams have 2 MB/s, and S3 itself is faster:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
DIRECT_BYTES = 6 * 1024 * 1024
BLOCK_BYTES = 4 * 1024 * 1024  # of one request: what each connection may have received in vain when it all ends
PIECE_BYTES = 512 * 1024  # of one write
HELD_BYTES = 256 * 1024 * 1024  # of files in memory at once
BLOCKS_PER_CONNECTION = 2  # one on its way, and one that waits for it
# An attempt that brought this many bytes was worth it: only attempts in a row that did not count as failures.
WORTHWHILE_BYTES = 1024 * 1024
GOES_ON = "The same command goes on from there."


class Altered(WrongBytes):
    """What has arrived is not the file, or its beginning: it is of no use to the next run."""


def check_ready(file: File) -> None:
    if file.status != Status.READY:
        why = f" ({file.reason})" if file.reason else ""
        raise SluiceError(f"{file.filename} is {file.status}{why}: only what is ready is served.")
    if SHA_256 not in file.digests or not file.content:
        raise WrongBytes("Its record has no sha-256 or no link, so nothing could be compared.")


class Downloads:
    """What all files of one run share: connections, memory and rate."""

    def __init__(
        self,
        sluice: Sluice,
        *,
        connections: int,
        rate: Rate | None = None,
        renew: Callable[[File], Awaitable[File]] | None = None,
    ) -> None:
        """`renew` has fresh links for a file; without, those of its owner are asked for."""
        self.sluice = sluice
        self.connections = connections
        self.slots = asyncio.Semaphore(connections)
        self.memory = Memory(HELD_BYTES)
        self.rate = rate or Rate()
        self.renew = renew or (lambda file: sluice.file(file.id))

    async def save(self, file: File, target: Path, meter: Meter, *, force: bool) -> float:
        """Download to `target`, which appears only when all of it is there and right. Answers the seconds it took.

        What broke off is gone on with. Raises WrongBytes for wrong or missing bytes, SluiceError where `target` exists
        and `force` is not set.
        """
        check_ready(file)
        if not force:
            refuse_existing(target)
        partial = partial_path(target, file.id)
        try:
            with locked(partial) as sink:
                keep = file.size > DIRECT_BYTES
                try:
                    seconds = await self._save(file, sink, meter)
                    publish(partial, target, force=force)
                except Altered:
                    keep = False
                    raise
                except SluiceError as error:
                    if keep and not error.hint:
                        error.hint = GOES_ON
                    raise
                finally:
                    if not keep or not os.fstat(sink.fileno()).st_size:
                        partial.unlink(missing_ok=True)
        except OSError as error:
            raise SluiceError(f"{target}: {error.strerror or error}.") from None
        return seconds

    async def _save(self, file: File, sink: BinaryIO, meter: Meter) -> float:
        """Once more from the beginning where what was there already proves wrong."""
        hashed = hashlib.sha256(usedforsecurity=False)
        there = await asyncio.to_thread(_hash, sink, hashed)
        if there > file.size:
            hashed, there = hashlib.sha256(usedforsecurity=False), 0
        while True:
            sink.seek(there)
            sink.truncate()
            meter.begin("download", file.size, there)
            try:
                await _Download(self, file, sink, meter, hashed=hashed, there=there).run()
                return meter.end()
            except Altered:
                if not there:
                    raise
                say(f"{file.filename}: what an earlier run has left is not of this file; it is downloaded anew")
                hashed, there = hashlib.sha256(usedforsecurity=False), 0

    async def write(self, file: File, sink: BinaryIO, meter: Meter) -> float:
        """Download into `sink`; whoever reads it must wait for the verdict. Answers the seconds."""
        check_ready(file)
        meter.begin("download", file.size)
        hashed = hashlib.sha256(usedforsecurity=False)
        await _Download(self, file, sink, meter, hashed=hashed, there=0, blocking=True).run()
        return meter.end()


def _hash(sink: IO[bytes], hashed: "hashlib._Hash") -> int:
    """Takes in what is there; answers how many bytes that is."""
    there = 0
    while piece := sink.read(BLOCK_BYTES):
        hashed.update(piece)
        there += len(piece)
    return there


class _Block:
    """A slice of the file that is on its way."""

    def __init__(self, first: int, stop: int) -> None:
        self.first, self.stop, self.size = first, stop, stop - first
        self.data = bytearray()
        self.grown = asyncio.Event()
        self.ended = False

    def end(self, _: asyncio.Task[None]) -> None:
        self.ended = True
        self.grown.set()


class _Download:
    """One file on its way down, from `there` on. `blocking`: whoever reads the sink may take any time."""

    def __init__(
        self,
        downloads: Downloads,
        file: File,
        sink: BinaryIO,
        meter: Meter,
        *,
        hashed: "hashlib._Hash",
        there: int,
        blocking: bool = False,
    ) -> None:
        self._downloads, self._sluice, self._file = downloads, downloads.sluice, file
        self._sink, self._meter, self._hash, self._blocking = sink, meter, hashed, blocking
        self._there = there
        self._received = there
        self._etag: str | None = None
        self._s3: str | None = None  # where the link has led to
        self._led = asyncio.Event()  # the first answer has come, and says where the link leads
        self._renewing = asyncio.Lock()

    async def run(self) -> None:
        """Raises WrongBytes, SluiceError, OSError of the sink's."""
        try:
            await self._blocks()
        except BaseExceptionGroup as failure:
            raise first_of(failure) from None
        found = self._hash.hexdigest()
        if found != self._file.digests[SHA_256]:
            raise Altered(f"Wrong bytes arrived: their sha-256 is {found}, it should be {self._file.digests[SHA_256]}.")

    async def _blocks(self) -> None:
        pending: deque[_Block] = deque()
        memory, most = self._downloads.memory, BLOCKS_PER_CONNECTION * self._downloads.connections
        offset = self._there
        try:
            async with asyncio.TaskGroup() as group:
                while pending or offset < self._file.size:
                    while offset < self._file.size and len(pending) < most:
                        block = _Block(offset, min(offset + BLOCK_BYTES, self._file.size))
                        if not memory.try_take(block.size):
                            if pending:  # to wait with blocks in hand would be to wait for each other
                                break
                            await memory.take(block.size)
                        pending.append(block)
                        group.create_task(self._fetch(block)).add_done_callback(block.end)
                        offset = block.stop
                    await self._write(pending[0])
                    memory.give(pending.popleft().size)
        finally:
            for block in pending:
                memory.give(block.size)

    async def _write(self, block: _Block) -> None:
        """Piece by piece as it comes, so that little is lost with this process."""
        written = 0
        while written < block.size:
            there = len(block.data)
            if there - written < PIECE_BYTES and not block.ended:
                block.grown.clear()
                await block.grown.wait()
                continue
            await self._take(block.data[written:there])
            written = there

    async def _take(self, data: bytearray) -> None:
        def take() -> None:
            self._hash.update(data)
            view = memoryview(data)
            while view:  # a raw file may take less
                view = view[self._sink.write(view) :]
            if self._blocking:
                self._sink.flush()

        if not self._blocking:
            await asyncio.to_thread(take)
            return
        try:
            await apart(take)
        except OSError as error:
            raise lost(error) from None

    async def _fetch(self, block: _Block) -> None:
        failures = 0
        if block.first != self._there:  # or each connection would start a function to ask it the same
            await self._led.wait()
        while len(block.data) < block.size:
            before = len(block.data)
            async with self._downloads.slots:
                used = self._s3  # not before: while this waited, others may have been led elsewhere
                error, retry_after = await self._attempt(block)
            if len(block.data) == block.size:
                break
            failures = 1 if len(block.data) - before >= WORTHWHILE_BYTES else failures + 1
            if failures == self._sluice.retry.attempts:
                raise error
            await asyncio.sleep(self._sluice.retry.delay(failures, retry_after))
            if isinstance(error, Problem) and error.status in {401, 403}:
                await self._renew(used)

    async def _renew(self, used: str | None) -> None:
        """The URL of S3 has expired, or the link that led there."""
        async with self._renewing:
            if used is not None and self._s3 == used:
                self._s3 = None
            elif used is None:
                self._file = await self._downloads.renew(self._file)
                check_ready(self._file)

    async def _attempt(self, block: _Block) -> tuple[SluiceError, str | None]:
        """Receive as much as one connection gives; answers why it gave no more, and the `Retry-After`.

        Raises what no other try can mend.
        """
        begin, size = block.first + len(block.data), self._file.size
        headers = {} if (begin, block.stop) == (0, size) else {"Range": f"bytes={begin}-{block.stop - 1}"}
        if headers and self._etag:
            headers["If-Match"] = self._etag
        link = (size > DIRECT_BYTES and self._file.direct) or self._file.content or ""
        url = self._s3 or link
        try:
            async with self._sluice.http.stream("GET", url, headers=headers, follow_redirects=True) as response:
                if not response.is_success:
                    await response.aread()
                    return self._refused(problem(response)), response.headers.get("retry-after")
                if response.history:
                    self._s3 = str(response.url)
                self._led.set()
                await self._receive(response, begin, block)
        except httpx.TransportError as failure:
            error = unreachable(failure, httpx.URL(url).host)
            if not error.connected:
                return error, None
            return WrongBytes(f"{self._short()}: {error}"), None
        except httpx.TooManyRedirects:
            raise SluiceError("The download is redirected in circles.") from None
        return WrongBytes(f"{self._short()}."), None

    async def _receive(self, response: httpx.Response, begin: int, block: _Block) -> None:
        """The bytes that are not here yet: a server may ignore the Range and begin at the beginning."""
        size, stop, skip, ranged = self._file.size, block.stop, begin, response.status_code == 206
        if ranged:
            skip = 0
            if response.headers.get("content-range") != f"bytes {begin}-{stop - 1}/{size}":
                raise Altered("The server sent another range than was asked for.")
        etag = response.headers.get("etag", "")
        if etag.startswith('"'):  # a weak one never matches (RFC 9110, section 13.1.1)
            if self._etag not in (None, etag):
                raise _replaced()
            self._etag = etag
        missing = stop - begin
        async for chunk in response.aiter_raw():
            await self._downloads.rate.take(len(chunk))
            fresh = chunk[skip:]
            skip = max(0, skip - len(chunk))
            if len(fresh) > missing and (ranged or stop == size):
                raise Altered(f"More bytes arrived than the {size:,} of the file.")
            block.data += fresh[:missing]
            block.grown.set()
            self._received += min(len(fresh), missing)
            self._meter.advance(min(len(fresh), missing))
            missing -= min(len(fresh), missing)
            if not missing and not ranged and stop < size:
                return

    def _short(self) -> str:
        return f"Only {self._received:,} of {self._file.size:,} bytes arrived"

    def _refused(self, refusal: Problem) -> Problem:
        """A link that expired (401, 403) is renewed before the next attempt."""
        if refusal.status in {412, 416}:
            raise _replaced()
        if refusal.status in PASSING or (refusal.status in {401, 403} and refusal.code not in FINAL):
            return refusal
        raise refusal


# A share's end, which no fresh link changes.
FINAL = frozenset({"share_used_up", "owner_only"})


def _replaced() -> Altered:
    return Altered("The file was replaced while it was being downloaded.", "Get it again.")
