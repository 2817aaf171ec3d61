"""The process that ends what the stack has left behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from local.guard import Guard, remaining

SLEEPER = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]


@pytest.mark.parametrize(
    ("lines", "left"),
    [([], set()), (["+1\n", "+2\n", "-1\n"], {2}), (["+1\n", "-1\n", "+1\n"], {1}), (["-1\n"], set())],
)
def test_remaining_groups(lines: list[str], left: set[int]) -> None:
    """What was announced and not taken back is left."""
    assert remaining(lines) == left


def test_pipe_that_ends_ends_the_groups() -> None:
    """When the stack's end of the pipe closes, the guard kills what it watches, and not what was taken back."""
    guard = Guard()
    watched = subprocess.Popen(SLEEPER, start_new_session=True)
    released = subprocess.Popen(SLEEPER, start_new_session=True)
    try:
        guard.watch(watched.pid)
        guard.watch(released.pid)
        guard.end(released.pid)
        assert released.wait(timeout=10) < 0
        assert watched.poll() is None
        guard.close()
        assert watched.wait(timeout=10) < 0
    finally:
        watched.kill()
        released.kill()


def test_pipe_that_ends_removes_the_folders(tmp_path: Path) -> None:
    """All that is in them goes as well, once the groups are dead."""
    guard = Guard()
    folder = tmp_path / "a folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_bytes(b"x")
    guard.remove(folder)
    guard.close()
    assert not folder.exists()
