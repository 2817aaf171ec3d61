import struct
import zlib
from collections.abc import AsyncIterator
from typing import Annotated

import anyio
from fastapi import FastAPI, Query
from fastapi.responses import StreamingResponse

app = FastAPI()
ITERATIONS = 64


class PngResponse(StreamingResponse):
    media_type = "image/png"


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file: https://www.w3.org/TR/png-3/#5Chunk-layout"""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def grey(x: float, y: float) -> int:
    """How fast this point leaves the Mandelbrot set."""
    point = complex(x, y)
    value = 0j
    for iteration in range(ITERATIONS):
        value = value * value + point
        if abs(value) > 2:
            return 255 - iteration * 255 // ITERATIONS
    return 0


@app.get("/mandelbrot.png", response_class=PngResponse)
async def mandelbrot(size: Annotated[int, Query(ge=1, le=2000)] = 400, pause: float = 0.02) -> AsyncIterator[bytes]:
    yield b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0))
    deflate = zlib.compressobj()
    for row in range(size):
        points = bytes(grey(3 * column / size - 2.25, 3 * row / size - 1.5) for column in range(size))
        # Flushed, so that the browser can draw this row before the next one is computed.
        yield chunk(b"IDAT", deflate.compress(b"\0" + points) + deflate.flush(zlib.Z_SYNC_FLUSH))
        await anyio.sleep(pause)
    yield chunk(b"IDAT", deflate.flush()) + chunk(b"IEND", b"")
