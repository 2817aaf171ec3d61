"""What the tiny streaming runtime calls: a generator of what to send, as the path asks."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def answer(event: dict[str, Any]) -> Iterator[bytes]:  # noqa: PLR0912  one for each path
    query = event.get("queryStringParameters", {})
    match event["rawPath"]:
        case "/gate":  # the second piece only after the file is there
            yield prelude(headers={"content-type": "text/event-stream"})
            yield b"first"
            wait_for(Path(query["gate"]))
            yield b"second"
        case "/glued":  # the same, but the first piece comes with the prelude
            yield prelude() + b"first"
            wait_for(Path(query["gate"]))
            yield b"second"
        case "/drain":  # more than all buffers hold, then a sign
            yield prelude()
            for _ in range(256):
                yield bytes(65536)
            Path(query["gate"]).touch()
        case "/status":
            length = {"content-length": query["length"]} if "length" in query else {}
            yield prelude(statusCode=int(query["code"]), headers=length)
        case "/exit":
            yield prelude()
            yield b"some"
            os._exit(4)
        case "/fail":
            yield prelude()
            yield b"some"
            raise RuntimeError("in the middle")
        case "/sleep":
            yield prelude()
            yield b"some"
            time.sleep(60)
        case "/pid":
            yield prelude()
            yield str(os.getpid()).encode()
        case "/mute":
            time.sleep(60)
        case "/raise":
            raise RuntimeError("before the first byte")
        case "/no-end":
            yield b"{}"
        case "/too-much":
            yield prelude()
            for _ in range(201):
                yield bytes(1024 * 1024)
        case _:
            yield prelude(statusCode=200, headers={"content-type": "application/json"}, cookies=["a=1", "b=2"])
            yield json.dumps(event).encode()


def prelude(**said: Any) -> bytes:
    return json.dumps({"statusCode": 200, **said}).encode() + bytes(8)


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)
