"""What the app alone costs: calls of it in this process, with the same scope and a `send` that does nothing.

`python -m bench.inprocess CALLS CHUNKS` prints microseconds as JSON: of one call of each app, and of one more chunk.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bench.app import app, plain

App = Callable[[dict[str, Any], Callable[[], Awaitable[dict[str, Any]]], Callable[[Any], Awaitable[None]]], Any]
ROUNDS = 7
CHUNK = 1024
HEADERS = [(b"host", b"127.0.0.1"), (b"accept", b"*/*"), (b"user-agent", b"bench"), (b"x-forwarded-proto", b"https")]


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(_: Any) -> None:
    return


def scope(path: str, query: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "headers": HEADERS.copy(),
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "https",
        "query_string": query.encode(),
        "server": ("127.0.0.1", 443),
        "client": ("192.0.2.1", 0),
        "state": {},
    }


async def microseconds(called: App, path: str, query: str, calls: int) -> float:
    begun = time.perf_counter()
    for _ in range(calls):
        await called(scope(path, query), receive, send)
    return (time.perf_counter() - begun) / calls * 1e6


async def measure(calls: int, chunks: int) -> dict[str, list[float]]:
    """Each of a few rounds' results."""
    results: dict[str, list[float]] = {"plain": [], "line": [], "json": [], "chunk": []}
    for _ in range(ROUNDS):
        results["plain"].append(await microseconds(plain, "/line", "", calls))
        results["line"].append(await microseconds(app, "/line", "", calls))
        results["json"].append(await microseconds(app, "/json", "", calls))
        none = await microseconds(app, "/chunks", f"size={CHUNK}&count=0", 10)
        many = await microseconds(app, "/chunks", f"size={CHUNK}&count={chunks}", 1)
        results["chunk"].append((many - none) / chunks)
    return results


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(int(sys.argv[1]), int(sys.argv[2])))))
