"""An archive: its bytes, streamed or by a redirect to S3, and its progress."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from functions.stream import connections, content, sending
from functions.stream.auth import RecordId, check_capability, taking_of
from functions.stream.counting import counted, link_of, link_of_share
from functions.stream.events import states
from functions.stream.invocation import seconds_left
from functions.stream.reconnecting import RETRY_MILLISECONDS, retry_milliseconds
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


@dataclass(frozen=True, slots=True)
class Linked:
    """An archive, and what the streams by the link to it are counted by."""

    archive: Archive
    link: str


def allowed(use: Use) -> Callable[[str, str], Linked]:
    """The archive in the path, for the holder of a capability of this use."""

    def archive(archive_id: RecordId, capability: str = "") -> Linked:
        holder = check_capability(capability, archive_id, use)
        link = link_of(capability)
        if holder.share is not None:  # a share's holder follows its archive for as long as the share lives
            connections.shares.get(holder.owner, holder.share)
            link = link_of_share(holder.share, str(holder.opening))
        return Linked(connections.archives.get(holder.owner, archive_id), link)

    return archive


@dataclass(frozen=True, slots=True)
class Representation:
    """What preconditions and ranges are about. S3 has an ETag of its own for what it has put together."""

    etag: str
    size: int
    arrived_at: str | None = None  # it has no time of its own


@router.api_route("/archives/{id}/content", methods=["GET", "HEAD"], response_model=None)
def send(request: Request, linked: Annotated[Linked, Depends(allowed(Use.ARCHIVE))]) -> Response:
    archive = linked.archive
    if archive.status is not ArchiveStatus.READY:
        raise ArchiveNotReady(f"The archive is {archive.status}.", state=archive.status, reason=archive.reason)
    # What was put together needs no list. Another one is larger than the limit only where that was lowered since.
    members = [] if archive.version else connections.archives.members(archive)
    return answer(request, archive, members, linked.link)


@router.api_route("/shares/{id}/archive", methods=["GET", "HEAD"], response_model=None)
def send_shared(request: Request, share_id: RecordId, capability: str = "") -> Response:
    """What is left of the share's files, for whoever has opened it."""
    holder = check_capability(capability, share_id, Use.ARCHIVE)
    taking = taking_of(holder, share_id)
    if taking is None:
        raise InvalidCapability("The capability is not of a share.")
    share, link = taking.share, link_of(capability, taking)
    found = connections.files.many(share.owner, connections.shares.file_ids(share))
    members = archives.members_of([file for file in found if file.status is Status.READY])
    if not members:
        raise ContentMissing("No file of the share is left.")
    layout = archives.layout(members)
    # Of the very same files and names, or what was deleted since would be handed out.
    made = connections.archives.of_share(share.owner, share.id)
    if made and made.etag == layout.etag and made.version:
        return answer(request, made, [], link, taking)
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
    return answer(request, streamed, members, link, taking)


def answer(
    request: Request, archive: Archive, members: Sequence[Member], link: str, taking: Taking | None = None
) -> Response:
    """The archive of these members, streamed; or a redirect, where it was put together in S3. Raises TooManyStreams."""
    shown = Representation(archive.object_etag or archive.etag, archive.size)
    headers = content.described(shown, CONTENT_TYPE, content.disposition(archive.filename))
    if content.not_modified(shown, request.headers):
        return Response(status_code=304, headers=headers)
    span = content.span(shown, request.method, request.headers)
    headers |= span.headers
    head = request.method == "HEAD"
    if head and taking:
        taking.check()
    if version := archive.version:
        check(version)
        if head:
            return Response(status_code=span.status, headers=headers)
        if taking:
            taking.begin(span.whole)
        return redirect(archive, version, taking)
    if span.size > connections.stream_limit:
        raise ArchiveNotReady("The archive is larger than one streamed answer, and was not put together in S3.")
    if head:
        return Response(status_code=span.status, headers=headers)
    lease = connections.open_streams.begin(archive.owner, link)
    zipped = Zipped(connections.files, connections.objects, archive, members)
    chunks = zipped.chunks(span.start, span.stop, partial(seconds_left, request))
    if taking:
        chunks = taking.counted(chunks, span.whole)
    transfer = sending.transfer_of(archive.owner, archive.id, span.size, taking)
    return sending.Body(chunks, span.status, headers, transfer, lease)


def check(version: Version) -> None:
    """Whether S3 still has what it has put together. Raises ContentMissing."""
    try:
        connections.objects.head(version.key, version.version_id)
    except ObjectMissing:
        raise ContentMissing("The archive was deleted from its bucket; make another one.") from None


def redirect(archive: Archive, version: Version, taking: Taking | None) -> Response:
    disposition = content.disposition(archive.filename)
    seconds = sending.url_seconds(taking)
    signed = connections.objects.sign_get(version, CONTENT_TYPE, disposition, seconds=seconds)
    transfer = sending.transfer_of(archive.owner, archive.id, archive.size, taking)
    return sending.redirect(signed.url, "archive", transfer)


def watched(linked: Annotated[Linked, Depends(allowed(Use.EVENTS))], last_event_id: LastEventId = "") -> Linked:
    """The archive, if there is still something to tell of it. Raises SeenToTheEnd."""
    archive = linked.archive
    if archive.status is not ArchiveStatus.BUILDING and last_event_id == str(archive.revision):
        raise SeenToTheEnd
    return linked


async def open_stream(linked: Annotated[Linked, Depends(watched)]) -> AsyncIterator[None]:
    """Count the stream while it lasts. Raises TooManyStreams."""
    async with counted(linked.archive.owner, linked.link):
        yield


@router.get("/archives/{id}/events", response_class=EventSourceResponse, dependencies=[Depends(open_stream)])
async def events(
    request: Request, linked: Annotated[Linked, Depends(watched)], last_event_id: LastEventId = ""
) -> AsyncIterator[ServerSentEvent]:
    ends = monotonic() + min(EVENTS_SECONDS, seconds_left(request) - EVENTS_MARGIN_SECONDS)
    yield ServerSentEvent(comment="following", retry=RETRY_MILLISECONDS)
    new = states(
        linked.archive,
        present,
        over=lambda now: now.status is not ArchiveStatus.BUILDING,
        told=lambda now: str(now.revision),
        seen=last_event_id,
        out_of_time=lambda: monotonic() > ends,
    )
    news = monotonic()
    async for now in new:
        if now.status is not ArchiveStatus.BUILDING:
            yield ServerSentEvent(event=now.status, data=now.public(), id=str(now.revision))
            return
        news = monotonic()
        yield ServerSentEvent(event="progress", data=now.progress(), id=str(now.revision))
    yield ServerSentEvent(retry=retry_milliseconds(monotonic() - news))


def present(known: Archive) -> Archive:
    """As it is now; failed where it was deleted."""
    try:
        return connections.archives.get(known.owner, known.id)
    except ArchiveNotFound:
        return replace(known, status=ArchiveStatus.FAILED, reason="deleted")
