"""What a client of the HTTP contract does, step by step, for the tests that look at one step."""

import json
import os
from collections.abc import Generator
from dataclasses import dataclass
from time import monotonic
from typing import Any

import httpx

MIB = 1024 * 1024
PATIENCE_SECONDS = 60  # the longest wait for anything on a busy machine


def client(base_url: str, token: str | None = None) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=base_url, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False)


@dataclass(frozen=True)
class Event:
    name: str
    data: dict[str, Any]
    id: str


def events(url: str, **headers: str) -> Generator[Event, None, None]:
    """The server-sent events at `url`, until the server ends the stream."""
    with httpx.stream("GET", url, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        late = monotonic() + PATIENCE_SECONDS  # pings keep a stream alive that tells nothing any more
        for line in answer.iter_lines():
            assert monotonic() < late, f"no end of the events after {PATIENCE_SECONDS} s"
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                yield Event(fields["event"], json.loads(fields["data"]), fields["id"])
                fields = {}


def create(api: httpx.Client, size: int, filename: str = "file.bin", **more: Any) -> dict[str, Any]:
    answer = api.post("/files", json={"filename": filename, "size": size, **more})
    assert answer.status_code in (200, 201), answer.text
    created: dict[str, Any] = answer.json()
    return created


def put_parts(parts: list[dict[str, Any]], data: bytes) -> None:
    for part in parts:
        body = data[part["offset"] : part["offset"] + part["size"]]
        answer = httpx.put(
            part["url"], content=body, headers=part["headers"], timeout=PATIENCE_SECONDS, trust_env=False
        )
        assert answer.status_code == 200, answer.text


def upload(api: httpx.Client, data: bytes, filename: str = "file.bin", **more: Any) -> dict[str, Any]:
    """The file after `complete`."""
    created = create(api, len(data), filename, **more)
    put_parts(created["parts"], data)
    answer = api.post(f"/files/{created['id']}/complete")
    assert answer.status_code == 202, answer.text
    completed: dict[str, Any] = answer.json()
    return completed


def ended(api: httpx.Client, file: dict[str, Any]) -> dict[str, Any]:
    """The file once the hasher is done with it."""
    *_, last = events(file["links"]["events"])
    assert last.name in ("ready", "failed", "aborted")
    shown: dict[str, Any] = api.get(f"/files/{file['id']}").json()
    return shown


def random_bytes(size: int) -> bytes:
    return os.urandom(size)
