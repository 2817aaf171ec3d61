"""How a local stack ends: cleanly when told, loudly when a part of it fails, and never with a process left behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import ROOT, START_SECONDS, TINY, TINY_ARGUMENTS, Running, running

# "Within seconds", on a machine that is busy.
END_SECONDS = 20


def descendants(pid: int) -> set[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listed.splitlines())}
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in {pid, *found}} - found:
        found |= more
    return found


def alive(pids: set[int]) -> dict[int, str]:
    """Those of `pids` that run; a zombie that nobody has collected yet does not."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return {int(pid): args for pid, stat, args in rows if int(pid) in pids and not stat.startswith("Z")}


def assert_gone(pids: set[int]) -> None:
    deadline = time.monotonic() + END_SECONDS
    while left := alive(pids):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Running]:
    """A stack with an open stream, a function at work, and a process that a function has started and left."""
    with running(tmp_path / "log", *TINY_ARGUMENTS) as up:
        httpx.get(f"{up.ready['api']}/spawn", trust_env=False).raise_for_status()
        gate = tmp_path / "gate"
        url = f"{up.ready['stream']}/gate?gate={gate}"
        with httpx.stream("GET", url, trust_env=False) as stream:
            stream.raise_for_status()
            yield up


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_nothing_is_left(busy: Running, number: signal.Signals, status: int) -> None:
    """Ctrl-C and even SIGKILL end the stack within seconds, with every process that it or a function has started."""
    pids = descendants(busy.process.pid)
    assert len(pids) >= 6  # the guard, moto, three functions, and what one of them has started
    busy.process.send_signal(number)
    assert busy.process.wait(END_SECONDS) == status
    assert_gone(pids)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("local.aws", "moto, which plays the AWS services, ended"),
        ("guard.py", "the guard, which lets no process outlive the stack, ended"),
    ],
)
def test_part_that_ends_ends_the_stack(busy: Running, program: str, words: str) -> None:
    """Without moto, or its guard, the stack says so, ends with status 1, and leaves nothing."""
    pids = descendants(busy.process.pid)
    (part,) = (pid for pid, text in alive(pids).items() if program in text)
    os.kill(part, signal.SIGKILL)
    assert busy.process.wait(END_SECONDS) == 1
    assert f"[local] {words}" in busy.log.read_text()
    assert_gone(pids)


def test_function_that_cannot_start_ends_the_stack(tmp_path: Path) -> None:
    """A function that does not come up keeps the stack from being ready, and its reason is the last word."""
    shutil.copytree(TINY.parent, tmp_path / "tiny")
    (tmp_path / "tiny" / "worker" / "app.py").write_text("import nothing_of_that_name\n")
    ended = subprocess.run(
        [sys.executable, "-m", "local", "--template", str(tmp_path / "tiny" / "template.yaml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "[local] Worker does not start: Runtime.ImportModuleError" in ended.stderr
    assert "nothing_of_that_name" in ended.stderr.splitlines()[-1]
