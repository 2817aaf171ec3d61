"""The progress of one file as server-sent events, until it ends or the invocation must."""

import math
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from anyio import sleep
from anyio.to_thread import run_sync
from fastapi.sse import ServerSentEvent

from sluice.errors import FileNotFound
from sluice.files import ENDED, File, Files, Status
from sluice.limits import LIST_PARTS_PAGE
from sluice.objects import Objects, UploadMissing

RETRY_MILLISECONDS = 1_000  # what a client waits before it comes back when we end first
# A read of the record costs less than the patience of who watches. Parts are counted by S3's lists, which cost more the
# more there are: the pause is for each list of 1,000.
RECORD_PAUSE_SECONDS, LIST_PAUSE_SECONDS = 0.1, 0.5


async def follow(
    files: Files, objects: Objects, file: File, seen: int | None, out_of_time: Callable[[], bool]
) -> AsyncIterator[ServerSentEvent]:
    """Every change of the file, from `file` on; what a client saw up to revision `seen` is not repeated.

    The last event is named after the state that the file ended in. Without one, time ran out: the client comes back.
    """
    yield ServerSentEvent(comment="following", retry=RETRY_MILLISECONDS)
    file = await run_sync(_counted, objects, file)
    shown = file.progress() if seen is not None and seen >= file.revision else None
    while file.status not in ENDED:
        if out_of_time():
            return
        if file.progress() != shown:
            shown = file.progress()
            yield ServerSentEvent(event="progress", data=shown, id=str(file.revision))
        await sleep(_pause_seconds(file))
        try:
            file = await run_sync(lambda known: _counted(objects, files.get(known.owner, known.id)), file)
        except FileNotFound:
            file = replace(file, status=Status.ABORTED, reason="deleted")
    yield ServerSentEvent(event=file.status, data=file.public(), id=str(file.revision))


def _pause_seconds(file: File) -> float:
    if file.status is not Status.UPLOADING:
        return RECORD_PAUSE_SECONDS
    return LIST_PAUSE_SECONDS * math.ceil(file.part_count / LIST_PARTS_PAGE)


def _counted(objects: Objects, file: File) -> File:
    """The file with the bytes that have arrived of an unfinished upload, which only S3 knows."""
    if file.status is not Status.UPLOADING or file.upload_id is None:
        return file
    try:
        return replace(file, received_bytes=sum(part.size for part in objects.parts(file.key, file.upload_id)))
    except UploadMissing:  # completed or aborted a moment ago: the record will say
        return file
