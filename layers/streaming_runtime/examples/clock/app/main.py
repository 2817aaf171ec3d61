import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent

app = FastAPI()
SECONDS = 30
INTERVAL_S = float(os.environ.get("INTERVAL_S", "1"))


@app.get("/clock", response_class=EventSourceResponse)
async def clock() -> AsyncIterator[ServerSentEvent]:
    for second in range(SECONDS):
        yield ServerSentEvent(event="tick", id=str(second), data={"time": datetime.now(UTC).isoformat()})
        await asyncio.sleep(INTERVAL_S)
    yield ServerSentEvent(event="end", data={})
