"""The progress of one file, live."""

from collections.abc import AsyncIterator
from time import monotonic
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from functions.stream import connections
from functions.stream.auth import allowed
from functions.stream.counting import counted, link_of_events
from functions.stream.events import follow, revision_of
from functions.stream.invocation import seconds_left
from sluice.capabilities import Use
from sluice.files import ENDED, File

# Of one event stream. Lambda does not notice a watcher that has left, and the environment is paid for until the stream
# ends; a watcher that is still there comes back by itself, which costs one request and one read.
EVENTS_SECONDS = 60.0
EVENTS_MARGIN_SECONDS = 10.0  # before the invocation's end: the stream ends in order, not cut off by the runtime

router = APIRouter()
LastEventId = Annotated[str, Header(alias="last-event-id")]


class SeenToTheEnd(Exception):
    """Who comes back has seen the last event already."""


def install(app: FastAPI) -> None:
    """Teach the app the answer after which an EventSource does not come back."""

    @app.exception_handler(SeenToTheEnd)
    def no_content(_: Request, __: SeenToTheEnd) -> Response:
        return Response(status_code=204)


def watched(file: Annotated[File, Depends(allowed(Use.EVENTS))], last_event_id: LastEventId = "") -> File:
    """The file, if there is still something to tell of it. Raises SeenToTheEnd."""
    if file.status in ENDED and revision_of(last_event_id) >= file.revision:
        raise SeenToTheEnd
    return file


async def open_stream(file: Annotated[File, Depends(watched)], capability: str = "") -> AsyncIterator[None]:
    """Count the stream while it lasts. Raises TooManyStreams."""
    async with counted(file.owner, link_of_events(capability, file)):
        yield


@router.get("/files/{id}/events", response_class=EventSourceResponse, dependencies=[Depends(open_stream)])
async def events(
    request: Request, file: Annotated[File, Depends(watched)], last_event_id: LastEventId = ""
) -> AsyncIterator[ServerSentEvent]:
    ends = monotonic() + min(EVENTS_SECONDS, seconds_left(request) - EVENTS_MARGIN_SECONDS)
    async for event in follow(connections.files, connections.objects, file, last_event_id, lambda: monotonic() > ends):
        yield event
