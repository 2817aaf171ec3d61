"""What the command answers, on stdout. A stdout that is full, closed or not read any more is one sentence, or none."""

import errno
import json
import os
import sys
from typing import Any, BinaryIO

from sluice_client.errors import OutputLost
from sluice_client.names import printable


def print_line(line: str) -> None:
    """A name goes to a terminal escaped, but to a file or a pipe byte for byte, for `sha256sum -c`."""
    if sys.stdout is not None and sys.stdout.isatty():
        print_text(line)
    else:
        write(os.fsencode(line) + b"\n")


def print_text(line: str) -> None:
    """For people: nothing in it controls the terminal. By `print`, which rich's bars step aside for."""
    _checked()
    try:
        print(printable(line), flush=True)
    except OSError as error:
        raise lost(error) from None


def print_json(document: dict[str, Any]) -> None:
    write(json.dumps(document).encode() + b"\n")


def write(data: bytes) -> None:
    """All of it, at once. Raises OutputLost."""
    try:
        stream = binary()
        stream.write(data)
        stream.flush()
    except OSError as error:
        raise lost(error) from None


def binary() -> BinaryIO:
    """Raises OutputLost where there is no stdout (`>&-`)."""
    _checked()
    return sys.stdout.buffer


def _checked() -> None:
    if sys.stdout is None:
        raise OutputLost("stdout is closed.", left=False)


def lost(error: OSError) -> OutputLost:
    """The error for one of stdout's, from where nothing more is written to it, not at the end of the program either."""
    silence()
    return OutputLost(f"stdout: {error.strerror or error}.", left=error.errno == errno.EPIPE)


def silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
