"""The progress of one file as server-sent events, until it ends or the stream must."""

import math
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TypeVar

from anyio import sleep
from anyio.to_thread import run_sync
from botocore.exceptions import BotoCoreError, ClientError
from fastapi.sse import ServerSentEvent

from functions.stream.reconnecting import RETRY_MILLISECONDS, retry_milliseconds
from sluice import problems
from sluice.errors import FileNotFound
from sluice.files import ENDED, File, Files, Status
from sluice.limits import LIST_PARTS_PAGE, MIN_PART_BYTES
from sluice.objects import Objects, UploadMissing

T = TypeVar("T")

# Between two reads: short after a change, since others follow then, and longer while nothing changes.
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, PAUSE_GROWTH = 0.1, 1.0, 1.5
# Parts are counted by S3's lists, which cost forty times what a read of the record does: the least pause for each list
# of 1,000.
LIST_PAUSE_SECONDS = 0.5


async def follow(
    files: Files, objects: Objects, file: File, seen: str, out_of_time: Callable[[], bool]
) -> AsyncIterator[ServerSentEvent]:
    """Every change of the file, from `file` on; what the event with the id `seen` showed is not repeated.

    The last event is named after the state that the file ended in. Without one, time ran out: the client comes back,
    the later the longer nothing has happened.
    """
    yield ServerSentEvent(comment="following", retry=RETRY_MILLISECONDS)
    file = await run_sync(looked, partial(_counted, objects, file), file)
    new = states(
        file,
        partial(_present, files, objects),
        over=lambda now: now.status in ENDED,
        told=File.progress,
        seen=file.progress() if event_id(file) == seen else None,
        out_of_time=out_of_time,
        least_pause_seconds=_least_pause_seconds,
    )
    news = monotonic()
    async for now in new:
        if now.status in ENDED:
            yield ServerSentEvent(event=now.status, data=now.public(), id=event_id(now))
            return
        news = monotonic()
        yield ServerSentEvent(event="progress", data=now.progress(), id=event_id(now))
    yield ServerSentEvent(retry=retry_milliseconds(monotonic() - news))


async def states(
    known: T,
    look: Callable[[T], T],
    *,
    over: Callable[[T], bool],
    told: Callable[[T], object],
    seen: object,
    out_of_time: Callable[[], bool],
    least_pause_seconds: Callable[[T], float] = lambda _: 0,
) -> AsyncIterator[T]:
    """What `look` makes of the known, each time that what is `told` of it is new; the last one is that in which it is
    over. Where time runs out there is no last one. `seen` was told before.
    """
    pause = SHORTEST_PAUSE_SECONDS
    while not over(known):
        if out_of_time():
            return
        if told(known) != seen:
            seen = told(known)
            pause = SHORTEST_PAUSE_SECONDS
            yield known
        await sleep(max(pause, least_pause_seconds(known)))
        pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE_SECONDS)
        known = await run_sync(looked, partial(look, known), known)
    yield known


def event_id(file: File) -> str:
    """The revision, which tells all that the record says, and the bytes that have arrived, which S3 alone may know."""
    return f"{file.revision}-{file.received_bytes}"


def revision_of(last_event_id: str) -> int:
    """The revision that a client has seen: 0 for an id that is not one of ours. Earlier ids were the revision alone."""
    match = re.match(r"\d{1,19}(?=-|$)", last_event_id, re.ASCII)
    return int(match[0]) if match else 0


def _least_pause_seconds(file: File) -> float:
    if file.status is not Status.UPLOADING:
        return 0
    # Of a file that its client cuts nobody knows how many parts there are: no more than of the least size.
    parts = file.part_count if file.own_parts is None else max(1, file.received_bytes // MIN_PART_BYTES)
    return LIST_PAUSE_SECONDS * math.ceil(parts / LIST_PARTS_PAGE)


def looked(look: Callable[[], T], known: T) -> T:
    """What `look` finds; while AWS refuses for now, what is known already: the next look comes soon."""
    try:
        return look()
    except (BotoCoreError, ClientError) as error:
        if problems.of_aws(error) is None:
            raise
        return known


def _present(files: Files, objects: Objects, known: File) -> File:
    try:
        return _counted(objects, files.get(known.owner, known.id))
    except FileNotFound:
        return replace(known, status=Status.ABORTED, reason="deleted")


def _counted(objects: Objects, file: File) -> File:
    """The file with the bytes that have arrived of an unfinished upload, which only S3 knows."""
    if file.status is not Status.UPLOADING or file.upload_id is None:
        return file
    try:
        return replace(file, received_bytes=sum(part.size for part in objects.parts(file.key, file.upload_id)))
    except UploadMissing:  # completed or aborted a moment ago: the record will say
        return file
