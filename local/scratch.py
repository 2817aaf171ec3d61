"""A folder on a disk for the bytes of objects, which is gone when the stack is.

The guard removes it, however the stack ends. Where the guard was killed too, the next stack does: each folder holds a
file that its stack has locked, and the system takes the lock back from who is dead.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PREFIX = "local-objects-"
LOCK = "lock"
IN_MEMORY = {"tmpfs", "ramfs"}
MOUNTS = Path("/proc/self/mounts")  # Linux's
ON_DISK = Path("/var/tmp")  # nosec B108  # noqa: S108 - kept over a reboot, so not in memory (hier(7))


@dataclass(frozen=True)
class Scratch:
    """The folder is kept from being swept as long as some process has `lock` open."""

    path: Path
    lock: int


def make() -> Scratch:
    """A new folder; those of the dead are removed first."""
    parent = place()
    sweep(parent)
    # Under another name until it is locked, so that nobody takes it for one of the dead.
    new = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=parent))
    lock = os.open(new / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return Scratch(new.rename(new.with_name(new.name.removeprefix("."))), lock)


@cache
def of_this_process() -> Path:
    """One that is removed when this process ends."""
    scratch = make()
    atexit.register(shutil.rmtree, scratch.path, ignore_errors=True)
    return scratch.path


def sweep(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's, or one that another stack removes at this moment
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def place() -> Path:
    """Where TMPDIR says; else where temporary files usually are, unless that is memory."""
    usual = Path(tempfile.gettempdir())
    if "TMPDIR" in os.environ or not in_memory(usual) or not os.access(ON_DISK, os.W_OK):
        return usual
    return ON_DISK


def in_memory(path: Path, mounts: str | None = None) -> bool:
    """Whether the path's file system is memory; `mounts` is what /proc/self/mounts says."""
    if mounts is None:
        mounts = MOUNTS.read_text() if MOUNTS.exists() else ""
    found = {Path(point): kind for _, point, kind, *_ in map(str.split, mounts.splitlines())}
    resolved = path.resolve()
    for parent in (resolved, *resolved.parents):
        if parent in found:
            return found[parent] in IN_MEMORY
    return False
