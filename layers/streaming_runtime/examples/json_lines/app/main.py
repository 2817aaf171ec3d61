import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from random import gauss

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Reading(BaseModel):
    at: datetime
    celsius: float


# FastAPI makes JSON Lines of what an endpoint yields, and documents the schema of a line.
@app.get("/readings")
async def readings(count: int = 10, pause: float = 1) -> AsyncIterator[Reading]:
    for _ in range(count):
        yield Reading(at=datetime.now(UTC), celsius=round(gauss(21, 0.5), 2))
        await asyncio.sleep(pause)
