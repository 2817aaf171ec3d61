"""The data plane: streams contents and progress to whoever holds a link that allows it."""

from collections.abc import AsyncIterator, Callable, Generator, Mapping
from functools import partial
from time import monotonic
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Path, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from functions.stream import content
from functions.stream.events import follow
from sluice import capabilities, problems, reader, secrets, settings
from sluice.capabilities import Use
from sluice.errors import NotReady
from sluice.files import ENDED, File, Files, Status
from sluice.limits import MIB
from sluice.objects import Objects, Version

# A watcher is sent away in order before the runtime cuts it off.
EVENTS_MARGIN_SECONDS = 10.0
BUFFER_BYTES = MIB  # of a download: the reader has three of them, and the first is sent when it is full

files = Files.connect()
objects = Objects.connect()
stream_limit = settings.STREAM_LIMIT_BYTES.read()

app = FastAPI(title="Sluice streams", version="1", docs_url=None, redoc_url=None)
problems.install(app)


def allowed(use: Use) -> Callable[[str, str], File]:
    """The file in the path, for the holder of a capability of this use. Raises InvalidCapability, FileNotFound."""

    def file(file_id: Annotated[str, Path(alias="id")], capability: str = "") -> File:
        key = secrets.read(settings.CAPABILITY_KEY_SECRET)
        return files.get(capabilities.owner_of(capability, key, file_id, use), file_id)

    return file


@app.get("/healthz")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.api_route("/files/{id}/content", methods=["GET", "HEAD"], response_model=None)
def send(request: Request, file: Annotated[File, Depends(allowed(Use.CONTENT))]) -> Response:
    if file.status is not Status.READY:
        raise NotReady(f"The file is {file.status}.", state=file.status, reason=file.reason)
    headers = content.headers(file)
    if content.not_modified(file, request.headers):
        return Response(status_code=304, headers=headers)
    # RFC 9110, section 14.2: only GET has ranges.
    ranged = content.byte_range(file, request.headers) if request.method == "GET" else None
    start, stop = ranged or (0, file.size)
    headers["Content-Length"] = str(stop - start)
    if ranged:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    status = 206 if ranged else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    version = Version(file.key, str(file.etag), file.size, file.version_id)
    if stop - start > stream_limit:
        signed = objects.sign_get(version, file.content_type, content.disposition(file.filename))
        return RedirectResponse(signed.url, 307, {"Cache-Control": "no-store"})

    def body() -> Generator[bytes, None, None]:
        left = partial(seconds_left, request)
        with reader.read(objects, version, start, stop, part_bytes=BUFFER_BYTES, seconds_left=left) as buffers:
            yield from content.verified(buffers, file) if ranged is None else map(bytes, buffers)

    return Body(body(), status, headers)


class Body(StreamingResponse):
    """A body that is ended with its response: who went away leaves no threads and no connection to S3 behind."""

    def __init__(self, chunks: Generator[bytes, None, None], status_code: int, headers: Mapping[str, str]) -> None:
        super().__init__(chunks, status_code, headers)
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._chunks.close()


class SeenToTheEnd(Exception):
    """Who comes back has seen the last event already."""


@app.exception_handler(SeenToTheEnd)
def no_content(_: Request, __: SeenToTheEnd) -> Response:
    return Response(status_code=204)  # the answer after which an EventSource does not come back


LastEventId = Annotated[int | None, Header(alias="last-event-id", ge=0)]


def watched(file: Annotated[File, Depends(allowed(Use.EVENTS))], last_event_id: LastEventId = None) -> File:
    """The file, if there is still something to tell of it. Raises SeenToTheEnd."""
    if file.status in ENDED and last_event_id is not None and last_event_id >= file.revision:
        raise SeenToTheEnd
    return file


@app.get("/files/{id}/events", response_class=EventSourceResponse)
async def events(
    request: Request, file: Annotated[File, Depends(watched)], last_event_id: LastEventId = None
) -> AsyncIterator[ServerSentEvent]:
    ends = monotonic() + seconds_left(request) - EVENTS_MARGIN_SECONDS
    async for event in follow(files, objects, file, last_event_id, lambda: monotonic() > ends):
        yield event


def seconds_left(request: Request) -> float:
    """What the invocation still has; without end where no Lambda runtime carries the app."""
    context = request.scope.get("aws.context")
    return context.get_remaining_time_in_millis() / 1000 if context else float("inf")
