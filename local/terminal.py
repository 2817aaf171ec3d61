"""What the person at the terminal reads."""

import sys


def say(name: str, message: str) -> None:
    """A line for the person at the terminal. stdout is kept for the one line that says that all is ready."""
    print(f"[{name}] {message}", file=sys.stderr, flush=True)
