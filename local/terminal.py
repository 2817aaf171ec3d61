"""What the person at the terminal reads."""

import contextlib
import sys


def say(name: str, message: str) -> None:
    """A line for the person at the terminal. stdout is kept for the one line that says that all is ready."""
    # A full disk, or a terminal that was closed, must not stop what the line is about.
    with contextlib.suppress(OSError):
        print(f"[{name}] {message}", file=sys.stderr, flush=True)
