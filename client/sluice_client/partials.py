"""A file on its way down: beside its target, named so that the next run finds it, and locked while one writes."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sluice_client.errors import SluiceError

# Linux, macOS and the BSDs; Windows has neither users nor links to be wary of here.
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def partial_path(target: Path, file_id: str) -> Path:
    """Beside the target, since a rename is atomic only within one file system. Short, for targets with long names."""
    return target.parent / f".sluice-{file_id}.part"


@contextmanager
def locked(path: Path) -> Iterator[BinaryIO]:
    """The partial file, made where there is none, positioned at its beginning.

    Raises SluiceError while another `sluice` has it, or when somebody else could write to it; OSError.
    """
    with os.fdopen(os.open(path, _FLAGS, 0o666), "r+b", buffering=0) as file:
        if sys.platform != "win32":
            import fcntl  # noqa: PLC0415 (Windows has none)

            found = os.fstat(file.fileno())
            if found.st_uid != os.geteuid() or found.st_nlink > 1:
                raise SluiceError(f"{path} is somebody else's.", "Remove it, or take another folder with -o.")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SluiceError("Another `sluice get` is downloading it to this folder.", "Wait for that.") from None
        yield file


def publish(partial: Path, target: Path, *, force: bool) -> None:
    """Give the file its name; atomic, and without `force` never in place of another file that appeared meanwhile."""
    if force:
        partial.replace(target)
        return
    try:
        target.hardlink_to(partial)
    except OSError:  # it exists, or the file system has no hard links
        refuse_existing(target)
        partial.rename(target)
    else:
        partial.unlink()


def refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise SluiceError(f"{target} exists already.", "--force replaces it, -o names another path.")
