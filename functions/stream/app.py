"""The data plane: streams contents and progress to whoever holds a link that allows it."""

from collections.abc import AsyncIterator, Callable, Generator, Mapping
from functools import partial
from time import monotonic
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import Depends, FastAPI, Header, Path, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from functions.stream import content, stored
from functions.stream.events import follow, revision_of
from sluice import capabilities, problems, secrets, settings, tokens
from sluice.capabilities import Use
from sluice.errors import InvalidCapability, NotReady
from sluice.files import ENDED, File, Files
from sluice.objects import Objects

# Of one event stream. Lambda does not notice a watcher that has left, and the environment is paid for until the stream
# ends; a watcher that is still there comes back by itself, which costs one request and one read.
EVENTS_SECONDS = 60.0
EVENTS_MARGIN_SECONDS = 10.0  # before the invocation's end: the stream ends in order, not cut off by the runtime

files = Files.connect()
objects = Objects.connect()
stream_limit = settings.STREAM_LIMIT_BYTES.read()

# No redirects to a path without a slash at its end: they have no body, and a Function URL may not end such an answer.
app = FastAPI(title="Sluice streams", version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
problems.install(app)


def allowed(use: Use) -> Callable[[str, str], File]:
    """The file in the path, for the holder of a capability of this use. Raises InvalidCapability, FileNotFound."""

    def file(file_id: Annotated[str, Path(alias="id")], capability: str = "") -> File:
        key = secrets.read(settings.CAPABILITY_KEY_SECRET)
        owner = capabilities.holder_of(capability, key, file_id, use).owner
        if not tokens.is_owner(owner, secrets.read(settings.ACCESS_TOKEN_SECRET)):
            raise InvalidCapability("Its owner has no access any more.")
        return files.get(owner, file_id)

    return file


@app.get("/healthz")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.api_route("/files/{id}/content", methods=["GET", "HEAD"], response_model=None)
def send(request: Request, file: Annotated[File, Depends(allowed(Use.CONTENT))], direct: bool = False) -> Response:
    if not content.available(file, direct=direct):
        raise NotReady(f"The file is {file.status}.", state=file.status, reason=file.reason)
    headers = content.headers(file)
    if content.not_modified(file, request.headers):
        return Response(status_code=304, headers=headers)
    source = stored.Stored(files, objects, file)
    if direct:
        source.check()
        return redirect(request, file, source)
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
    if start == stop or stop - start > stream_limit:
        source.check()
        return redirect(request, file, source)
    return Body(source.chunks(start, stop, partial(seconds_left, request)), status, headers)


def redirect(request: Request, file: File, source: stored.Stored) -> Response:
    """To S3, for the method of the request: it sends what is too much for a stream, and what has no bytes."""
    disposition = content.disposition(file.filename)
    signed = objects.sign_get(source.version, file.content_type, disposition, request.method)
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


class SeenToTheEnd(Exception):
    """Who comes back has seen the last event already."""


@app.exception_handler(SeenToTheEnd)
def no_content(_: Request, __: SeenToTheEnd) -> Response:
    return Response(status_code=204)  # the answer after which an EventSource does not come back


LastEventId = Annotated[str, Header(alias="last-event-id")]


def watched(file: Annotated[File, Depends(allowed(Use.EVENTS))], last_event_id: LastEventId = "") -> File:
    """The file, if there is still something to tell of it. Raises SeenToTheEnd."""
    if file.status in ENDED and revision_of(last_event_id) >= file.revision:
        raise SeenToTheEnd
    return file


@app.get("/files/{id}/events", response_class=EventSourceResponse)
async def events(
    request: Request, file: Annotated[File, Depends(watched)], last_event_id: LastEventId = ""
) -> AsyncIterator[ServerSentEvent]:
    ends = monotonic() + min(EVENTS_SECONDS, seconds_left(request) - EVENTS_MARGIN_SECONDS)
    async for event in follow(files, objects, file, last_event_id, lambda: monotonic() > ends):
        yield event


def seconds_left(request: Request) -> float:
    """What the invocation still has; without end where no Lambda runtime carries the app."""
    context = request.scope.get("aws.context")
    return context.get_remaining_time_in_millis() / 1000 if context else float("inf")
