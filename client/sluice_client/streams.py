"""Upload what comes through stdin or a FIFO: nobody knows its size before its end, and it can be read once.

What ends within one small file's size is uploaded as one. The rest goes in parts that grow: PART_BYTES, and twice as
much after each STEP parts, so that MAX_PARTS hold 7.8 TiB. Each is hashed in memory before it is sent, so a part of
more than HELD_BYTES, which comes after 500 GiB, has to fit into memory alone.
"""

import asyncio
import os
import time
from contextlib import suppress
from functools import partial

from sluice_client.digests import SHA_256, Running, hexdigest
from sluice_client.errors import SluiceError
from sluice_client.progress import Meter
from sluice_client.sources import Held, Label
from sluice_client.threads import apart
from sluice_client.uploads import SMALL_BYTES, Block, Sender, Uploaded, Uploads, compare, first_of
from sluice_client.watching import follow

PART_BYTES = 8 * 1024 * 1024
STEP = 1_000  # parts of one size
MAX_PARTS = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
GIVE_UP_SECONDS = 5.0  # to tell the server of an upload that has no future
PIECE_BYTES = 1024 * 1024  # of one read


def part_size(number: int) -> int:
    """Bytes of the part; the last may have fewer."""
    return PART_BYTES << ((number - 1) // STEP)


async def put(uploads: Uploads, descriptor: int, label: Label, meter: Meter, *, names: tuple[str, ...]) -> Uploaded:
    """Upload all that comes out of `descriptor`, and wait for the verdict. Raises as `Uploads.put` does."""
    first = await _read(descriptor, SMALL_BYTES)
    if len(first) < SMALL_BYTES:
        return await uploads.put(Held(first, label), meter, names=names)
    sluice = uploads.sluice
    upload = await sluice.create(
        filename=label.filename,
        size=None,
        folder=label.folder,
        content_type=label.content_type,
        part_digest=SHA_256,
    )
    try:
        sender, whole = Sender(uploads, meter, upload), Running(names)
        meter.begin("upload", None)
        size = await _send(uploads, descriptor, first, sender, whole)
        seconds, digests = meter.end(), whole.hexdigests()
        file = await sender.complete(digests, size)
    except BaseException as failure:  # noqa: BLE001 (Ctrl-C among them; it is raised again)
        # Nobody can send it again from where it broke off.
        with suppress(SluiceError, TimeoutError):
            async with asyncio.timeout(GIVE_UP_SECONDS):
                await sluice.delete(upload.file.id)
        raise first_of(failure) from None
    began = time.monotonic()
    meter.begin("hash", size)
    file = await follow(sluice, file, meter)
    meter.end()
    compare(file, digests)
    return Uploaded(file, digests, seconds, time.monotonic() - began)


async def _send(uploads: Uploads, descriptor: int, first: bytearray, sender: Sender, whole: Running) -> int:
    """Sends part after part to the end; answers how many bytes came. Raises an ExceptionGroup."""
    size, number, data = 0, 1, first
    await uploads.memory.take(len(first))
    async with asyncio.TaskGroup() as group:
        while data:
            if number > MAX_PARTS:
                raise SluiceError(f"More came than {size:,} bytes, which is all that {MAX_PARTS:,} parts hold.")
            _, digest = await asyncio.gather(whole.update(data), asyncio.to_thread(hexdigest, SHA_256, data))
            sender.digests[number] = digest
            size += len(data)
            task = group.create_task(sender.send(Block(number, data, digest)))
            task.add_done_callback(partial(_forget, uploads, data, len(data)))
            number += 1
            await uploads.memory.take(part_size(number))
            data = bytearray()
            try:
                data = await _read(descriptor, part_size(number))
            finally:
                uploads.memory.give(part_size(number) - len(data))
    return size


def _forget(uploads: Uploads, data: bytearray, room: int, _: asyncio.Task[None]) -> None:
    data.clear()
    uploads.memory.give(room)


async def _read(descriptor: int, size: int) -> bytearray:
    """`size` bytes, fewer only at the end."""

    def read() -> bytearray:
        data = bytearray()
        while len(data) < size and (more := os.read(descriptor, min(PIECE_BYTES, size - len(data)))):
            data += more
        return data

    try:
        return await apart(read)
    except OSError as error:
        raise SluiceError(f"{error.strerror}.") from None
