"""An ASGI application whose second piece waits for a file."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs


async def app(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    gate = Path(parse_qs(scope["query_string"].decode())["gate"][0])
    headers = [(b"content-type", b"text/event-stream"), (b"x-path", scope["path"].encode())]
    await send({"type": "http.response.start", "status": 203, "headers": headers})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    while not await asyncio.to_thread(gate.exists):  # noqa: ASYNC110  the test makes it, in another process
        await asyncio.sleep(0.02)
    await send({"type": "http.response.body", "body": b"second"})
