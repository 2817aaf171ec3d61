"""Sees to it that no process outlives the local stack, even when the stack itself is killed with SIGKILL.

A small process of its own holds the reading end of a pipe. While the stack lives it writes there which process groups
are its; when the pipe ends, for whatever reason, the guard kills those that are left. A pipe needs no polling, and
works on macOS too, which has no PR_SET_PDEATHSIG; that would also miss what a function has started itself.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, cast

REMOVING_S = 10
PAUSE_S = 0.05


class Guard:
    """Knows the process groups of the stack. Each is told by the pid of its leader."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            # Ctrl-C in a terminal goes to the whole foreground group, and the guard must be the last to leave.
            start_new_session=True,
        )
        self._pipe = cast(IO[bytes], self._process.stdin)

    def watch(self, group: int) -> None:
        self._tell(f"+{group}")

    def end(self, group: int) -> None:
        """Kill a group, its leader and all that it started, and forget it. None of them has anything to save."""
        kill(group)
        self._tell(f"-{group}")

    def remove(self, folder: Path) -> None:
        """Remove a folder when the stack has ended."""
        self._tell(f"={folder}")

    def wait(self) -> int:
        """Return when the guard has ended, as it must not while the stack runs."""
        return self._process.wait()

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._pipe.close()
        self.wait()

    def _tell(self, line: str) -> None:
        # Without its guard the stack ends, and then sees to its processes itself.
        with contextlib.suppress(BrokenPipeError):
            self._pipe.write(f"{line}\n".encode())
            self._pipe.flush()


def kill(group: int) -> None:
    # macOS answers EPERM for a group that has only zombies left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def remaining(lines: Iterable[str]) -> set[int]:
    """The groups that were announced (`+pid`) and not taken back (`-pid`)."""
    groups: set[int] = set()
    for line in lines:
        if line.startswith("+"):
            groups.add(int(line[1:]))
        elif line.startswith("-"):
            groups.discard(int(line[1:]))
    return groups


def folders(lines: Iterable[str]) -> set[Path]:
    """Those that were announced (`=path`)."""
    return {Path(line[1:].rstrip("\n")) for line in lines if line.startswith("=")}


def remove(folder: Path) -> None:
    """Until it is gone: who is being killed may be making a file in it."""
    late = time.monotonic() + REMOVING_S
    while folder.exists() and time.monotonic() < late:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    told = list(sys.stdin)
    for left_behind in remaining(told):
        kill(left_behind)
    for folder in folders(told):
        remove(folder)
