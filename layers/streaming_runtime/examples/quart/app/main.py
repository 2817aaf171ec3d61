import asyncio
import logging
from collections.abc import AsyncIterator

from quart import Quart, Response, request

app = Quart(__name__)
logger = logging.getLogger(__name__)


async def ticks(pause: float) -> AsyncIterator[str]:
    number = 0
    try:
        while True:
            yield f"data: {number}\n\n"
            number += 1
            await asyncio.sleep(pause)
    finally:
        logger.warning("stopped after %d ticks", number)


@app.get("/events")
async def events() -> Response:
    response = Response(ticks(request.args.get("pause", 1.0, float)), content_type="text/event-stream")
    response.timeout = None  # Quart ends streams after a minute; here Lambda's deadline does
    return response
