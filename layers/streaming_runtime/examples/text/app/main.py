import asyncio
import time
from collections.abc import AsyncIterator, Iterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()
LINES = 10


class PlainText(StreamingResponse):
    media_type = "text/plain"


@app.get("/text", response_class=PlainText)
async def text(pause: float = 1) -> AsyncIterator[str]:
    for number in range(LINES):
        yield f"line {number}\n"
        await asyncio.sleep(pause)


# A plain generator runs in a thread, so it may block.
@app.get("/text/sync", response_class=PlainText)
def text_sync(pause: float = 1) -> Iterator[str]:
    for number in range(LINES):
        yield f"line {number}\n"
        time.sleep(pause)


@app.get("/bytes", response_class=StreamingResponse)
async def octets(pause: float = 1) -> AsyncIterator[bytes]:
    for number in range(LINES):
        yield bytes([number]) * 1000
        await asyncio.sleep(pause)


@app.get("/bytes/sync", response_class=StreamingResponse)
def octets_sync(pause: float = 1) -> Iterator[bytes]:
    for number in range(LINES):
        yield bytes([number]) * 1000
        time.sleep(pause)
