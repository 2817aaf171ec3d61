from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

app = FastAPI()


class PlainText(StreamingResponse):
    media_type = "text/plain"


async def rows() -> AsyncIterator[str]:
    """Three rows of a source that then breaks off."""
    for number in range(3):
        yield f"row {number}"
    raise ConnectionError("the database has gone away")


@app.get("/before")
async def before() -> StreamingResponse:
    raise ConnectionError("the database is not there")


@app.get("/middle", response_class=PlainText)
async def middle() -> AsyncIterator[str]:
    async for row in rows():
        yield f"{row}\n"


@app.get("/events", response_class=EventSourceResponse)
async def events() -> AsyncIterator[ServerSentEvent]:
    try:
        async for row in rows():
            yield ServerSentEvent(data=row)
    except ConnectionError as error:
        # An EventSource only knows that a connection ended, and would ask again at once.
        yield ServerSentEvent(event="failed", data=str(error))
