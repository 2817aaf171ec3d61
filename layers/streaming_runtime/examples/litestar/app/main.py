import asyncio
from collections.abc import AsyncIterator

from litestar import Litestar, get
from litestar.response import ServerSentEvent, ServerSentEventMessage, Stream


async def lines(pause: float) -> AsyncIterator[str]:
    for number in range(10):
        yield f"line {number}\n"
        await asyncio.sleep(pause)


async def ticks(pause: float) -> AsyncIterator[ServerSentEventMessage]:
    for number in range(10):
        yield ServerSentEventMessage(event="tick", id=str(number), data=str(number))
        await asyncio.sleep(pause)


@get("/text")
async def text(pause: float = 1) -> Stream:
    return Stream(lines(pause), media_type="text/plain")


@get("/events")
async def events(pause: float = 1) -> ServerSentEvent:
    return ServerSentEvent(ticks(pause))


app = Litestar([text, events])
