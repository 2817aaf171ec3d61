"""An archive: its bytes, streamed or by a redirect to S3, and its progress."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Annotated

from anyio import sleep
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.background import BackgroundTask

from functions.stream import connections, content
from functions.stream.auth import RecordId, check_capability, taking_of
from functions.stream.events import (
    LONGEST_PAUSE_SECONDS,
    PAUSE_GROWTH,
    RETRY_MILLISECONDS,
    SHORTEST_PAUSE_SECONDS,
    looked,
)
from functions.stream.invocation import seconds_left
from functions.stream.routes.contents import SHARED_URL_SECONDS, Body, transfer_of
from functions.stream.routes.events import EVENTS_MARGIN_SECONDS, EVENTS_SECONDS, LastEventId, SeenToTheEnd
from functions.stream.zipped import Zipped
from sluice import archives
from sluice.archives import CONTENT_TYPE, Archive, ArchiveStatus, Member
from sluice.capabilities import Use
from sluice.download_counts import Taking
from sluice.errors import ArchiveNotFound, ArchiveNotReady, ContentMissing, InvalidCapability
from sluice.files import Status
from sluice.objects import ObjectMissing, Version

router = APIRouter()


def allowed(use: Use) -> Callable[[str, str], Archive]:
    """The archive in the path, for the holder of a capability of this use."""

    def archive(archive_id: RecordId, capability: str = "") -> Archive:
        holder = check_capability(capability, archive_id, use)
        if holder.share is not None:  # a share's holder follows its archive for as long as the share lives
            connections.shares.get(holder.owner, holder.share)
        return connections.archives.get(holder.owner, archive_id)

    return archive


@dataclass(frozen=True, slots=True)
class Representation:
    """What preconditions and ranges are about. S3 has an ETag of its own for what it has put together."""

    etag: str
    size: int
    arrived_at: str | None = None  # it has no time of its own


@router.api_route("/archives/{id}/content", methods=["GET", "HEAD"], response_model=None)
def send(request: Request, archive: Annotated[Archive, Depends(allowed(Use.ARCHIVE))]) -> Response:
    if archive.status is not ArchiveStatus.READY:
        raise ArchiveNotReady(f"The archive is {archive.status}.", state=archive.status, reason=archive.reason)
    # What was put together needs no list. Another one is larger than the limit only where that was lowered since.
    members = [] if archive.version else connections.archives.members(archive)
    return answer(request, archive, members)


@router.api_route("/shares/{id}/archive", methods=["GET", "HEAD"], response_model=None)
def send_shared(request: Request, share_id: RecordId, capability: str = "") -> Response:
    """What is left of the share's files, for whoever has opened it."""
    holder = check_capability(capability, share_id, Use.ARCHIVE)
    taking = taking_of(holder, share_id)
    if taking is None:
        raise InvalidCapability("The capability is not of a share.")
    share = taking.share
    found = connections.files.many(share.owner, connections.shares.file_ids(share))
    members = archives.members_of([file for file in found if file.status is Status.READY])
    if not members:
        raise ContentMissing("No file of the share is left.")
    layout = archives.layout(members)
    # Of the very same files and names, or what was deleted since would be handed out.
    made = connections.archives.of_share(share.owner, share.id)
    if made and made.etag == layout.etag and made.version:
        return answer(request, made, [], taking)
    if layout.size > connections.stream_limit or not all(member.crc32 for member in members):
        state = made.status if made and made.etag == layout.etag else None
        raise ArchiveNotReady("It has to be put together first: POST /archives with the share.", state=state)
    streamed = Archive(
        owner=share.owner,
        filename=archives.archive_filename(share),
        count=len(members),
        size=layout.size,
        etag=layout.etag,
    )
    return answer(request, streamed, members, taking)


def answer(request: Request, archive: Archive, members: Sequence[Member], taking: Taking | None = None) -> Response:
    """The archive of these members, streamed; or a redirect, where it was put together in S3."""
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
    whole = (start, stop) == (0, archive.size)
    headers["Content-Length"] = str(stop - start)
    if ranged:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{archive.size}"
    status = 206 if ranged else 200
    if request.method == "HEAD" and taking:
        taking.check()
    if version := archive.version:
        check(version)
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        if taking:
            taking.begin(whole)
        return redirect(archive, version, taking)
    if stop - start > connections.stream_limit:
        raise ArchiveNotReady("The archive is larger than one streamed answer, and was not put together in S3.")
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    zipped = Zipped(connections.files, connections.objects, archive, members)
    chunks = zipped.chunks(start, stop, partial(seconds_left, request))
    transfer = transfer_of(archive.owner, archive.id, stop - start, taking)
    return Body(taking.counted(chunks, whole) if taking else chunks, status, headers, transfer)


def check(version: Version) -> None:
    """Whether S3 still has what it has put together. Raises ContentMissing."""
    try:
        connections.objects.head(version.key, version.version_id)
    except ObjectMissing:
        raise ContentMissing("The archive was deleted from its bucket; make another one.") from None


def redirect(archive: Archive, version: Version, taking: Taking | None) -> Response:
    seconds = SHARED_URL_SECONDS if taking else None
    disposition = content.disposition(archive.filename)
    signed = connections.objects.sign_get(version, CONTENT_TYPE, disposition, seconds=seconds)
    # With a body, though a short one: an answer without a body may not end on a Function URL that streams.
    headers = {"Location": signed.url, "Cache-Control": "no-store"}
    told = BackgroundTask(transfer_of(archive.owner, archive.id, archive.size, taking).redirected)
    return PlainTextResponse("The archive is at the address in Location.\n", 307, headers, background=told)


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
