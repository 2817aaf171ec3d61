"""What the stack does about the number of its file descriptors."""

import errno
import os
import resource
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from local import descriptors
from local.descriptors import WANTED, for_connections, handler, patient, scarce

RAISED = """
import resource
from local.descriptors import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
raise_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""
EMFILE = OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.mark.parametrize(
    ("soft", "hard", "raised"), [(256, 4096, 4096), (256, 512, 512), (256, 256, 256), (64, 10_000, WANTED)]
)
def test_the_soft_limit_is_raised(soft: int, hard: int, raised: int) -> None:
    """To what is wanted, or to what the hard limit allows, which stays."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip(f"the hard limit here is less than {hard}")
    program = RAISED.format(soft=soft, hard=hard)
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(raised), str(hard)]


def test_connections_leave_room_for_environments() -> None:
    """All doors together have half of the descriptors, and each at least one connection that is served."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert for_connections(3) * 3 <= soft // 2
    assert for_connections(10**9) == 2


@pytest.mark.parametrize(
    ("error", "is_scarce"),
    [
        (EMFILE, True),
        (BlockingIOError(errno.EAGAIN, ""), True),
        (RuntimeError("can't start new thread"), True),
        (FileNotFoundError(errno.ENOENT, ""), False),
        (RuntimeError("something else"), False),
        (OSError(), False),
    ],
)
def test_what_is_scarce(error: Exception, is_scarce: bool) -> None:
    """What may be there again in a moment, and nothing else."""
    assert scarce(error) is is_scarce


def test_a_loop_says_once_that_connections_wait() -> None:
    """It reports one failure for each connection that might wait: all are one line. Others stay as they are."""
    said: list[str] = []
    others: list[Any] = []
    loop: Any = SimpleNamespace(default_exception_handler=others.append)
    handle = handler(said.append)
    for _ in range(2048):
        handle(loop, {"message": "socket.accept() out of system resource", "exception": EMFILE})
    (line,) = said
    assert line.startswith("new connections wait: Too many open files: this process may have")
    handle(loop, {"message": "Exception in callback x._start_serving()", "exception": ValueError("fd -1")})
    assert others == []
    handle(loop, {"message": "else", "exception": ValueError("else")})
    handle(loop, {"message": "no exception"})
    assert [context["message"] for context in others] == ["else", "no exception"]


def test_a_threaded_server_waits_for_a_descriptor(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It would ask again and again, as fast as it can; now it says one line and pauses."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)

    def refuse() -> None:
        raise EMFILE

    failures: list[object] = []
    server = patient(SimpleNamespace(get_request=refuse, handle_error=lambda *about: failures.append(about)))
    for _ in range(3):
        with pytest.raises(OSError, match="Too many open files"):
            server.get_request()
    assert pauses == [descriptors.RETRY_S] * 3
    for error in (EMFILE, ValueError("a fault")):
        try:
            raise error
        except (OSError, ValueError):
            server.handle_error("request", "client")
    assert failures == [("request", "client")]  # of the fault; the other is one line, and that has been said
    assert capfd.readouterr().err.count("new connections wait") == 1
