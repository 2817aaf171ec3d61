"""Examples of FastAPI alone: a chunk arrives before the next is made, in whatever form."""

import json
import zlib

import httpx
import pytest
from httpx_sse import connect_sse

from tests.examples.conftest import NEVER_S, Example, client, first_chunk


def test_text(example: Example) -> None:
    """Text and bytes, by generators of both kinds, arrive chunk by chunk and whole."""
    with example("text") as up, client(up) as asking:
        for path in ("/text", "/text/sync"):
            assert first_chunk(asking, path, params={"pause": NEVER_S}) == b"line 0\n"
            whole = asking.get(path, params={"pause": 0})
            assert whole.headers["content-type"] == "text/plain; charset=utf-8"
            assert whole.text == "".join(f"line {number}\n" for number in range(10))
        for path in ("/bytes", "/bytes/sync"):
            assert first_chunk(asking, path, params={"pause": NEVER_S}) == bytes(1000)
            whole = asking.get(path, params={"pause": 0})
            assert whole.content == b"".join(bytes([number]) * 1000 for number in range(10))


def test_custom_response(example: Example) -> None:
    """The image has its media type; its first row arrives before the second is computed, and all rows are there."""
    with example("custom_response") as up, client(up) as asking:
        with asking.stream("GET", "/mandelbrot.png", params={"pause": NEVER_S}) as response:
            assert response.headers["content-type"] == "image/png"
            received = b""
            pieces = response.iter_bytes()
            while b"IDAT" not in received:
                received += next(pieces)
        image = asking.get("/mandelbrot.png", params={"pause": 0, "size": 40}).content
    assert received.startswith(b"\x89PNG\r\n\x1a\n")
    chunks = dict.fromkeys((b"IHDR", b"IDAT", b"IEND"), b"")
    at = 8
    while at < len(image):
        length = int.from_bytes(image[at : at + 4])
        chunks[image[at + 4 : at + 8]] += image[at + 8 : at + 8 + length]
        at += length + 12
    pixels = zlib.decompress(chunks[b"IDAT"])
    assert len(pixels) == 40 * 41
    assert len(set(pixels)) > 2  # shades


def test_json_lines(example: Example) -> None:
    """Each line is a document of its own."""
    with example("json_lines") as up, client(up) as asking:
        line = first_chunk(asking, "/readings", params={"pause": NEVER_S})
        assert line.endswith(b"\n")
        assert json.loads(line).keys() == {"at", "celsius"}
        whole = asking.get("/readings", params={"pause": 0, "count": 1000})
        assert whole.headers["content-type"] == "application/jsonl"
        assert len([json.loads(line) for line in whole.text.splitlines()]) == 1000


def test_clock(example: Example) -> None:
    """Thirty ticks and an end; each tick is sent before the next."""
    with example("clock", env={"INTERVAL_S": "0.01"}) as up, client(up) as asking:
        with connect_sse(asking, "GET", "/clock") as source:
            events = [*source.iter_sse()]
        assert [event.id for event in events[:30]] == [str(second) for second in range(30)]
        assert events[30].event == "end"
    with (
        example("clock", env={"INTERVAL_S": str(NEVER_S)}) as up,
        client(up) as asking,
        connect_sse(asking, "GET", "/clock") as source,
    ):
        assert next(source.iter_sse()).json().keys() == {"time"}


def test_errors(example: Example) -> None:
    """Before the first byte an error is an answer, in the middle a broken transfer; an event can say it in order."""
    with example("errors") as up, client(up) as asking:
        assert asking.get("/before").status_code == 500
        received: list[str] = []
        with asking.stream("GET", "/middle") as response:
            assert response.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                received.extend(response.iter_lines())
        assert received == ["row 0", "row 1", "row 2"]
        with connect_sse(asking, "GET", "/events") as source:
            *rows, failed = source.iter_sse()
        assert [row.json() for row in rows] == ["row 0", "row 1", "row 2"]
        assert (failed.event, failed.json()) == ("failed", "the database has gone away")
        assert "ConnectionError: the database has gone away" in up.log.read_text()


def test_gzip(example: Example) -> None:
    """Each compressed chunk can be read before the next is made; whoever asks for none gets none."""
    with example("gzip") as up, client(up) as asking:
        first = first_chunk(asking, "/log", params={"pause": NEVER_S})
        assert first == b"request 0 was answered 200 OK\n" * 100
        whole = asking.get("/log", params={"pause": 0})
        assert whole.headers["content-encoding"] == "gzip"
        assert whole.num_bytes_downloaded < len(whole.content) / 10
        plain = asking.get("/log", params={"pause": 0}, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == whole.content
