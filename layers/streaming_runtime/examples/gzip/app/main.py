import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import StreamingResponse

app = FastAPI()
# It flushes after each chunk. It leaves server-sent events as they are.
app.add_middleware(GZipMiddleware)


class PlainText(StreamingResponse):
    media_type = "text/plain"


@app.get("/log", response_class=PlainText)
async def log(pause: float = 1) -> AsyncIterator[str]:
    for number in range(10):
        yield f"request {number} was answered 200 OK\n" * 100
        await asyncio.sleep(pause)
