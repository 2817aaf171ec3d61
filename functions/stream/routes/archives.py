"""An archive: its bytes, streamed or by a redirect to S3, and its progress."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Annotated

from anyio import sleep
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from functions.stream import connections, content
from functions.stream.auth import RecordId, check_capability
from functions.stream.events import (
    LONGEST_PAUSE_SECONDS,
    PAUSE_GROWTH,
    RETRY_MILLISECONDS,
    SHORTEST_PAUSE_SECONDS,
    looked,
)
from functions.stream.invocation import seconds_left
from functions.stream.routes.contents import Body
from functions.stream.routes.events import EVENTS_MARGIN_SECONDS, EVENTS_SECONDS, LastEventId, SeenToTheEnd
from functions.stream.zipped import Zipped
from sluice.archives import CONTENT_TYPE, Archive, ArchiveStatus
from sluice.capabilities import Use
from sluice.errors import ArchiveNotFound, ArchiveNotReady, ContentMissing
from sluice.objects import ObjectMissing, Version

router = APIRouter()


def allowed(use: Use) -> Callable[[str, str], Archive]:
    """The archive in the path, for the holder of a capability of this use."""

    def archive(archive_id: RecordId, capability: str = "") -> Archive:
        return connections.archives.get(check_capability(capability, archive_id, use).owner, archive_id)

    return archive


@dataclass(frozen=True, slots=True)
class Representation:
    """What preconditions and ranges are about. S3 has an ETag of its own for what it has put together."""

    etag: str
    size: int


@router.api_route("/archives/{id}/content", methods=["GET", "HEAD"], response_model=None)
def send(request: Request, archive: Annotated[Archive, Depends(allowed(Use.ARCHIVE))]) -> Response:
    if archive.status is not ArchiveStatus.READY:
        raise ArchiveNotReady(f"The archive is {archive.status}.", state=archive.status, reason=archive.reason)
    shown = Representation(archive.object_etag or archive.etag, archive.size)
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": content.disposition(archive.filename),
        "Content-Type": CONTENT_TYPE,
        "ETag": content.etag(shown),
        "X-Content-Type-Options": "nosniff",
    }
    if content.not_modified(shown, request.headers):
        return Response(status_code=304, headers=headers)
    # RFC 9110, section 14.2: only GET has ranges.
    ranged = content.byte_range(shown, request.headers) if request.method == "GET" else None
    start, stop = ranged or (0, archive.size)
    headers["Content-Length"] = str(stop - start)
    if ranged:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{archive.size}"
    status = 206 if ranged else 200
    if version := archive.version:
        check(version)
        return Response(status_code=status, headers=headers) if request.method == "HEAD" else redirect(archive, version)
    if stop - start > connections.stream_limit:  # the limit was lowered since the archive was made
        raise ArchiveNotReady("The archive is larger than one streamed answer, and was not put together in S3.")
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    zipped = Zipped(connections.files, connections.objects, archive, connections.archives.members(archive))
    return Body(zipped.chunks(start, stop, partial(seconds_left, request)), status, headers)


def check(version: Version) -> None:
    """Whether S3 still has what it has put together. Raises ContentMissing."""
    try:
        connections.objects.head(version.key, version.version_id)
    except ObjectMissing:
        raise ContentMissing("The archive was deleted from its bucket; make another one.") from None


def redirect(archive: Archive, version: Version) -> Response:
    signed = connections.objects.sign_get(version, CONTENT_TYPE, content.disposition(archive.filename))
    # With a body, though a short one: an answer without a body may not end on a Function URL that streams.
    headers = {"Location": signed.url, "Cache-Control": "no-store"}
    return PlainTextResponse("The archive is at the address in Location.\n", 307, headers)


def watched(archive: Annotated[Archive, Depends(allowed(Use.EVENTS))], last_event_id: LastEventId = "") -> Archive:
    """The archive, if there is still something to tell of it. Raises SeenToTheEnd."""
    if archive.status is not ArchiveStatus.BUILDING and last_event_id == str(archive.revision):
        raise SeenToTheEnd
    return archive


@router.get("/archives/{id}/events", response_class=EventSourceResponse)
async def events(
    request: Request, archive: Annotated[Archive, Depends(watched)], last_event_id: LastEventId = ""
) -> AsyncIterator[ServerSentEvent]:
    ends = monotonic() + min(EVENTS_SECONDS, seconds_left(request) - EVENTS_MARGIN_SECONDS)
    yield ServerSentEvent(comment="following", retry=RETRY_MILLISECONDS)
    seen, pause = last_event_id, SHORTEST_PAUSE_SECONDS
    while archive.status is ArchiveStatus.BUILDING:
        if monotonic() > ends:
            return
        if str(archive.revision) != seen:
            seen, pause = str(archive.revision), SHORTEST_PAUSE_SECONDS
            yield ServerSentEvent(event="progress", data=archive.progress(), id=seen)
        await sleep(pause)
        pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE_SECONDS)
        try:
            look = partial(connections.archives.get, archive.owner, archive.id)
            archive = await run_sync(looked, look, archive)
        except ArchiveNotFound:
            data = archive.public() | {"status": ArchiveStatus.FAILED, "reason": "deleted"}
            yield ServerSentEvent(event=ArchiveStatus.FAILED, data=data, id="deleted")
            return
    yield ServerSentEvent(event=archive.status, data=archive.public(), id=str(archive.revision))
