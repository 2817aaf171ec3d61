"""A file's bytes, streamed or by a redirect to S3."""

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response

from functions.stream import connections, content, sending, stored
from functions.stream.auth import Linked, linked
from functions.stream.invocation import seconds_left
from sluice.download_counts import Taking
from sluice.errors import NotReady, TooManyStreams
from sluice.files import File

router = APIRouter()


@router.api_route("/files/{id}/content", methods=["GET", "HEAD"], response_model=None)
def send(
    request: Request,
    link: Annotated[Linked, Depends(linked)],
    direct: bool = False,
    disposition: Literal["attachment", "inline"] = "attachment",
) -> Response:
    file, taking = link.file, link.taking
    told = taking is not None or disposition != "inline"  # nobody tells the owner of his own looks
    if not content.available(file, direct=direct and not connections.malware_scan):
        raise NotReady(f"The file is {file.status}.", state=file.status, reason=file.reason)
    headers = content.headers(file, inline=disposition == "inline" and content.can_be_shown(file.content_type))
    if content.not_modified(file, request.headers):
        return Response(status_code=304, headers=headers)
    source = stored.Stored(connections.files, connections.objects, file)
    if direct:
        source.check()
        return redirect(request, file, source, headers["Content-Disposition"], taking, told=told)
    span = content.span(file, request.method, request.headers)
    headers |= span.headers
    if request.method == "HEAD":
        if taking:
            taking.check()
        source.check()
        return Response(status_code=span.status, headers=headers)
    if span.size == 0 or span.size > connections.stream_limit:
        source.check()
        return redirect(request, file, source, headers["Content-Disposition"], taking, told=told)
    try:
        lease = connections.open_streams.begin(file.owner, link.link)
    except TooManyStreams:  # S3 can send it as well, and costs nothing for as long as that takes
        source.check()
        return redirect(request, file, source, headers["Content-Disposition"], taking, told=told)
    chunks = source.chunks(span.start, span.stop, partial(seconds_left, request))
    if taking:
        chunks = taking.counted(chunks, whole=span.whole)
    transfer = sending.transfer_of(file.owner, file.id, span.size, taking) if told else None
    return sending.Body(chunks, span.status, headers, transfer, lease)


def redirect(
    request: Request, file: File, source: stored.Stored, disposition: str, taking: Taking | None, *, told: bool
) -> Response:
    """To S3, for the method of the request: it sends what is too much for a stream, and what has no bytes."""
    head = request.method == "HEAD"
    if taking and head:
        taking.check()
    elif taking:
        taking.begin(whole=content.span(file, request.method, request.headers).whole)
    seconds = sending.url_seconds(taking)
    signed = connections.objects.sign_get(source.version, file.content_type, disposition, request.method, seconds)
    transfer = sending.transfer_of(file.owner, file.id, file.size, taking) if told and not head else None
    return sending.redirect(signed.url, "file", transfer)
