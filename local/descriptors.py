"""File descriptors: as many as the machine allows, and what happens where there are no more.

Some systems give a process 256 of them at first, and a stack at work has more: each environment of a function takes
four, each connection one.
"""

import asyncio
import errno
import resource
import selectors
import sys
import time
from collections.abc import Callable
from typing import Any

# What the stack asks for: enough for every environment of ten functions and a few thousand connections, and fewer than
# the least that macOS allows (kern.maxfilesperproc is 10240 or more, though its hard limit says "unlimited").
WANTED = 8192

# What runs out: descriptors of the process, of the machine, processes and threads, memory.
_SCARCE = {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOBUFS}

# Seconds between two lines about connections that are refused or cannot be accepted: thousands of those a second.
SILENCE_S = 10.0

# Seconds until a server looks again whether there is a descriptor for the next connection.
RETRY_S = 0.1


def raise_limit() -> None:
    """Raise the soft limit of this process, and of all that it starts, to `WANTED` or what the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def for_connections(doors: int) -> int:
    """How many connections each of so many doors may have. Half of all are left for the functions' environments."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    least = 2  # a server of one would refuse everybody
    return max(least, (WANTED if soft == resource.RLIM_INFINITY else soft) // 2 // max(1, doors))


def scarce(error: BaseException) -> bool:
    """Whether it says that this machine has no more of something, which may be there again in a moment."""
    # Python has no class of its own for a thread that cannot be started.
    return (isinstance(error, OSError) and error.errno in _SCARCE) or "can't start new thread" in str(error)


def advice(error: BaseException) -> str:
    """What has run out, and what a person can do about it."""
    what = error.strerror if isinstance(error, OSError) else str(error)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        return f"{what}: this process may have {soft}. Close connections, or raise `ulimit -Hn`"
    return f"{what}. Close other programs, or try again later"


class Complaints:
    """Says what happens to connections, once in a while."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._next = time.monotonic()

    def waiting(self, error: BaseException) -> None:
        self._once(f"new connections wait: {advice(error)}")

    def refused(self) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._once(f"a door has too many connections for the {soft} files of this process: requests are answered 503")

    def _once(self, text: str) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + SILENCE_S
            self._say(text)


def handler(say: Callable[[str], None]) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """An exception handler for a loop: one line where connections cannot be accepted for want of descriptors.

    The loop itself tries again after a second; but it reports as many failures as the backlog is long.
    """
    complaints = Complaints(say)

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None and scarce(error):
            complaints.waiting(error)
        elif not (isinstance(error, ValueError) and "_start_serving" in str(context.get("message"))):
            # Else the server was closed before the loop tried again.
            loop.default_exception_handler(context)

    return handle


def patient(server: Any) -> Any:
    """A `socketserver` that waits while there is no descriptor for the next connection, instead of spinning.

    A request that finds none is broken off with a line, and not with a traceback.
    """
    accept, handle_error = server.get_request, server.handle_error
    complaints = Complaints(lambda text: print(f"[aws] {text}", file=sys.stderr, flush=True))

    def get_request() -> Any:
        try:
            return accept()
        except OSError as error:
            if scarce(error) and not isinstance(error, BlockingIOError):
                complaints.waiting(error)
                time.sleep(RETRY_S)
            raise

    def handle(request: Any, client: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None and scarce(error):
            complaints.waiting(error)
        else:
            handle_error(request, client)

    server.get_request, server.handle_error = get_request, handle
    # werkzeug looks after each request whether more has come. epoll takes a descriptor for that, poll none.
    vars(selectors)["DefaultSelector"] = selectors.PollSelector
    return server
