"""All that happens to an owner's files, live."""

from collections.abc import AsyncIterator
from functools import partial
from time import monotonic
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from functions.stream import auth, connections
from functions.stream.counting import counted, link_of
from functions.stream.feed import follow
from functions.stream.invocation import seconds_left
from sluice.capabilities import ALL_FILES, Use
from sluice.feed import Feed, cursor_of
from sluice.files import now

# A watcher that has left is not noticed, and its environment is paid for until the stream ends.
QUIET_SECONDS = 60.0  # without any event
FEED_SECONDS = 300.0  # with events
FEED_MARGIN_SECONDS = 10.0  # before the invocation's end: the stream ends in order, not cut off by the runtime

router = APIRouter()


def watched(
    capability: str = "", cursor: str = "", last_event_id: Annotated[str, Header(alias="last-event-id")] = ""
) -> Feed:
    """The feed of the link's owner, from where the watcher is. Raises InvalidCapability, InvalidCursor.

    An EventSource that comes back asks by the same link, and says besides what it has seen since.
    """
    owner = auth.check_capability(capability, ALL_FILES, Use.FEED).owner
    begin = cursor_of(last_event_id or cursor) if last_event_id or cursor else now()
    return Feed(connections.files, connections.downloads, owner, begin)


async def open_stream(feed: Annotated[Feed, Depends(watched)], capability: str = "") -> AsyncIterator[None]:
    """Count the stream while it lasts. Raises TooManyStreams."""
    async with counted(feed.owner, link_of(capability)):
        yield


@router.get("/events", response_class=EventSourceResponse, dependencies=[Depends(open_stream)])
async def events(
    request: Request, feed: Annotated[Feed, Depends(watched)], capability: str = ""
) -> AsyncIterator[ServerSentEvent]:
    ends = monotonic() + min(FEED_SECONDS, seconds_left(request) - FEED_MARGIN_SECONDS)
    check_access = partial(auth.check_capability, capability, ALL_FILES, Use.FEED)
    async for event in follow(feed, check_access, QUIET_SECONDS, lambda: monotonic() > ends):
        yield event
