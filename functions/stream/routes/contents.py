"""A file's bytes, streamed or by a redirect to S3."""

from collections.abc import Generator, Mapping
from functools import partial
from typing import Annotated, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from functions.stream import connections, content, stored
from functions.stream.auth import allowed
from functions.stream.invocation import seconds_left
from sluice.capabilities import Use
from sluice.errors import NotReady
from sluice.files import File

router = APIRouter()


@router.api_route("/files/{id}/content", methods=["GET", "HEAD"], response_model=None)
def send(
    request: Request,
    file: Annotated[File, Depends(allowed(Use.CONTENT))],
    direct: bool = False,
    disposition: Literal["attachment", "inline"] = "attachment",
) -> Response:
    if not content.available(file, direct=direct):
        raise NotReady(f"The file is {file.status}.", state=file.status, reason=file.reason)
    headers = content.headers(file, inline=disposition == "inline" and content.can_be_shown(file.content_type))
    if content.not_modified(file, request.headers):
        return Response(status_code=304, headers=headers)
    source = stored.Stored(connections.files, connections.objects, file)
    if direct:
        source.check()
        return redirect(request, file, source, headers["Content-Disposition"])
    # RFC 9110, section 14.2: only GET has ranges.
    ranged = content.byte_range(file, request.headers) if request.method == "GET" else None
    start, stop = ranged or (0, file.size)
    headers["Content-Length"] = str(stop - start)
    if ranged:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    status = 206 if ranged else 200
    if request.method == "HEAD":
        source.check()
        return Response(status_code=status, headers=headers)
    if start == stop or stop - start > connections.stream_limit:
        source.check()
        return redirect(request, file, source, headers["Content-Disposition"])
    return Body(source.chunks(start, stop, partial(seconds_left, request)), status, headers)


def redirect(request: Request, file: File, source: stored.Stored, disposition: str) -> Response:
    """To S3, for the method of the request: it sends what is too much for a stream, and what has no bytes."""
    signed = connections.objects.sign_get(source.version, file.content_type, disposition, request.method)
    # With a body, though a short one: an answer without a body may not end on a Function URL that streams.
    headers = {"Location": signed.url, "Cache-Control": "no-store"}
    return PlainTextResponse("The file is at the address in Location.\n", 307, headers)


class Body(StreamingResponse):
    """A body that begins when its first bytes are here, and is ended with its response.

    What S3 refuses before that is answered by a problem. A client that went away leaves no threads and no connection to
    S3 behind.
    """

    def __init__(self, chunks: Generator[bytes, None, None], status_code: int, headers: Mapping[str, str]) -> None:
        super().__init__(chunks, status_code, headers)
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await run_sync(next, self._chunks)  # the empty chunk
            await super().__call__(scope, receive, send)
        finally:
            self._chunks.close()
