"""A file's bytes, streamed or by a redirect to S3."""

from collections.abc import Generator, Mapping
from functools import partial
from typing import Annotated, Literal

from anyio import CancelScope
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.types import Receive, Scope, Send

from functions.stream import connections, content, stored
from functions.stream.auth import Linked, linked
from functions.stream.invocation import seconds_left
from functions.stream.transfers import Transfer
from sluice.download_counts import Taking
from sluice.downloads import Download
from sluice.errors import NotReady
from sluice.files import File

# How long the address is good to which a share's link is redirected: each such redirect counts as a download, and what
# it leads to can be asked for again and again. S3 looks at the time when a download begins.
SHARED_URL_SECONDS = 60

router = APIRouter()


@router.api_route("/files/{id}/content", methods=["GET", "HEAD"], response_model=None)
def send(
    request: Request,
    link: Annotated[Linked, Depends(linked)],
    direct: bool = False,
    disposition: Literal["attachment", "inline"] = "attachment",
) -> Response:
    file, taking = link.file, link.taking
    if not content.available(file, direct=direct):
        raise NotReady(f"The file is {file.status}.", state=file.status, reason=file.reason)
    headers = content.headers(file, inline=disposition == "inline" and content.can_be_shown(file.content_type))
    if content.not_modified(file, request.headers):
        return Response(status_code=304, headers=headers)
    source = stored.Stored(connections.files, connections.objects, file)
    if direct:
        source.check()
        return redirect(request, file, source, headers["Content-Disposition"], taking)
    # RFC 9110, section 14.2: only GET has ranges.
    ranged = content.byte_range(file, request.headers) if request.method == "GET" else None
    start, stop = ranged or (0, file.size)
    headers["Content-Length"] = str(stop - start)
    if ranged:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    status = 206 if ranged else 200
    if request.method == "HEAD":
        if taking:
            taking.check()
        source.check()
        return Response(status_code=status, headers=headers)
    if start == stop or stop - start > connections.stream_limit:
        source.check()
        return redirect(request, file, source, headers["Content-Disposition"], taking)
    chunks = source.chunks(start, stop, partial(seconds_left, request))
    if taking:
        chunks = taking.counted(chunks, whole=(start, stop) == (0, file.size))
    return Body(chunks, status, headers, transfer_of(file.owner, file.id, stop - start, taking))


def transfer_of(owner: str, record_id: str, size: int, taking: Taking | None) -> Transfer:
    """So many bytes of a file or an archive, which the owner's feed tells of."""
    share = taking.share.id if taking else None
    return Transfer(connections.downloads, Download(owner=owner, record=record_id, size=size, share=share))


def redirect(request: Request, file: File, source: stored.Stored, disposition: str, taking: Taking | None) -> Response:
    """To S3, for the method of the request: it sends what is too much for a stream, and what has no bytes."""
    seconds = None
    if taking:
        seconds = SHARED_URL_SECONDS
        if request.method == "HEAD":
            taking.check()
        else:
            taking.begin(whole=content.byte_range(file, request.headers) in (None, (0, file.size)))
    signed = connections.objects.sign_get(source.version, file.content_type, disposition, request.method, seconds)
    # With a body, though a short one: an answer without a body may not end on a Function URL that streams.
    headers = {"Location": signed.url, "Cache-Control": "no-store"}
    # Told after the answer, which does not wait for it. Who asks for the head downloads nothing.
    transfer = transfer_of(file.owner, file.id, file.size, taking)
    told = BackgroundTask(transfer.redirected) if request.method == "GET" else None
    return PlainTextResponse("The file is at the address in Location.\n", 307, headers, background=told)


class Body(StreamingResponse):
    """A body that begins when its first bytes are here, and is ended with its response.

    What S3 refuses before that is answered by a problem. A client that went away leaves no threads and no connection to
    S3 behind.
    """

    def __init__(
        self,
        chunks: Generator[bytes, None, None],
        status_code: int,
        headers: Mapping[str, str],
        transfer: Transfer,
    ) -> None:
        super().__init__(chunks, status_code, headers)
        self._chunks = chunks
        self._transfer = transfer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await run_sync(next, self._chunks)  # the empty chunk
            async with self._transfer.counted(send) as counting:
                await super().__call__(scope, receive, counting)
        finally:
            # Not on the event loop: it waits for threads, and may give a count back. And to its end, come what may.
            with CancelScope(shield=True):
                await run_sync(self._chunks.close)
