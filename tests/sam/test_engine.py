"""An engine of our own leaves nothing behind, however it ends."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sam.cases import ROOT
from tests.sam.engine import FOLDERS, PATH, PREFIX, remove_leftovers

SECONDS = 120

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("dockerd", path=PATH), reason="an engine of our own takes root and dockerd"
)


def folders() -> set[Path]:
    return set(FOLDERS.glob(f"{PREFIX}*"))


def running(folder: Path) -> list[str]:
    """The commands of the processes that this folder's engine consists of."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has ended meanwhile
            continue
        if str(folder) in command:
            found.append(command)
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=str)
def test_nothing_outlives_the_command(number: signal.Signals) -> None:
    """dockerd, containerd and containers end with the process that was killed; a folder is left to the next run."""
    before = folders()
    engine = subprocess.Popen(
        [sys.executable, "-m", "tests.sam.engine", "--own", "sh", "-c", "docker info >&2 && echo up && sleep 1000"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "DOCKER_HOST"},
    )
    assert engine.stdout
    with engine.stdout as stdout:
        assert stdout.readline() == b"up\n"
        (folder,) = folders() - before
        assert any("dockerd" in command for command in running(folder))
        engine.send_signal(number)
        engine.wait()
    deadline = time.monotonic() + SECONDS
    while running(folder):
        assert time.monotonic() < deadline, running(folder)
    assert folder.exists() == (number == signal.SIGKILL)
    remove_leftovers()
    assert not folder.exists()
    assert str(folder) not in Path("/proc/mounts").read_text()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/{folder.name}"))
