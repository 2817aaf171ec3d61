"""An object of any size that is nowhere: `python -m bench.simulated` prints its port and serves `/bench/object-SIZE`.

Its bytes are a pattern over and over, whose length is no multiple of anything, sent from memory.
"""

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.payload import PATTERN

PERIOD = len(PATTERN) - 3  # bytes; a prime number
# Bytes of one send: enough that calls cost nothing.
SEND = 8 * PERIOD
REPEATED = memoryview(PATTERN[:PERIOD] * 9)


def pieces(start: int, stop: int) -> Iterator[memoryview]:
    """The object's bytes from `start` up to `stop`."""
    while start < stop:
        at = start % PERIOD
        piece = REPEATED[at : at + min(SEND, stop - start)]
        yield piece
        start += len(piece)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._head()

    def do_GET(self) -> None:
        for piece in pieces(*self._head()):
            self.connection.sendall(piece)

    def _head(self) -> tuple[int, int]:
        """Send the head; what is to follow it."""
        size = int(self.path.partition("?")[0].rpartition("-")[2])
        start, stop = 0, size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        self.send_response(206 if asked else 200)
        if asked:
            start, stop = int(asked[1]), min(int(asked[2] or size) + 1, size)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("ETag", f'"simulated-{size}"')
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        return start, stop

    def log_message(self, *_: object) -> None:
        """Requests are many, and nobody reads them."""


class Server(ThreadingHTTPServer):
    daemon_threads = True


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()
