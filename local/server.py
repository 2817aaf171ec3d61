"""An HTTP server for a door, on the event loop that runs already."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator

import uvicorn

from local.asgi import Application
from local.descriptors import Complaints
from local.door import Broken
from local.terminal import say

# Seconds that a connection may lie idle: longer than clients keep theirs, so that none is closed while a request is on
# its way.
KEEP_ALIVE_S = 75

# Bytes of a request line and headers: more than any door takes, so that the door itself says no.
HEAD_LIMIT = 1024 * 1024

# Seconds that answers may take to end once the door is told to close.
CLOSING_S = 1


class Server(uvicorn.Server):
    """Serves one door to at most so many connections, and leaves signals to whoever runs the loop.

    On one connection more, a request is answered 503 and the connection closed.
    """

    def __init__(self, door: Application, connections: int) -> None:
        logging.getLogger("uvicorn.error").addFilter(_worth_reading)
        super().__init__(
            uvicorn.Config(
                door,
                http="h11",
                h11_max_incomplete_event_size=HEAD_LIMIT,
                interface="asgi3",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                limit_concurrency=connections,
                timeout_graceful_shutdown=CLOSING_S,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


_complaints = Complaints(lambda text: say("local", text))


def _worth_reading(record: logging.LogRecord) -> bool:
    """uvicorn reports every exception. Why an answer was broken off has been said; cancelling is how doors close.

    And it reports every request that it refuses because of too many connections.
    """
    if record.msg == "Exceeded concurrency limit.":
        _complaints.refused()
        return False
    return not (record.exc_info and isinstance(record.exc_info[1], Broken | asyncio.CancelledError))
