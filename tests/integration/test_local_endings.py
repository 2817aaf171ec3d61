"""How a local stack ends: cleanly when told, loudly when a part of it fails, and never with a process left behind."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.conftest import ROOT, START_SECONDS, TINY, TINY_ARGUMENTS, Running, running, thorough

END_SECONDS = 60  # which is "within seconds" on a busy machine


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


@thorough
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


LOCAL = (sys.executable, "-m", "local", *TINY_ARGUMENTS)


@contextlib.contextmanager
def started(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A command in a group of its own, as a terminal starts it; whatever of it is left is killed at the end."""
    environ = {**os.environ, **options.pop("env", {})}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    with subprocess.Popen(command, cwd=ROOT, env=environ, text=True, start_new_session=True, **pipes) as process:
        try:
            yield process
        finally:
            with_children = {process.pid, *descendants(process.pid)}
            for pid in alive(with_children):
                os.kill(pid, signal.SIGKILL)


def until(process: subprocess.Popen[str], word: str) -> None:
    """Read stderr up to the line that holds `word`."""
    assert process.stderr
    lines = []
    for line in process.stderr:
        lines.append(line)
        if word in line:
            return
    raise AssertionError("".join(lines))


@pytest.mark.parametrize(
    "moment",
    [
        *(" local.template\n", "[Api] is at"),
        *(
            pytest.param(moment, marks=thorough)
            for moment in (
                " local\n",
                " local.guard",
                " local.doors",
                " local.schedules",
                " samtranslator.public.open_api",
            )
        ),
        pytest.param(" samtranslator.public.open_api", marks=thorough),
        pytest.param(" encodings.idna\n", marks=thorough),
    ],
)
def test_ctrl_c_at_any_moment_of_the_start(moment: str) -> None:
    """While it imports, loads the template, makes the stack or warms functions: it ends without a traceback."""
    with started(sys.executable, "-X", "importtime", *LOCAL[1:]) as stack:
        until(stack, moment)
        pids = descendants(stack.pid)
        os.killpg(stack.pid, signal.SIGINT)
        _, said = stack.communicate(timeout=START_SECONDS)
        assert stack.returncode in (0, -signal.SIGINT)
        assert "Traceback" not in said
        assert_gone(pids)


@thorough
def test_ctrl_c_twice(busy: Running) -> None:
    """Somebody who cannot wait loses nothing by it."""
    pids = descendants(busy.process.pid)
    for _ in range(20):
        busy.process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            busy.process.wait(0.05)
    assert busy.process.wait(END_SECONDS) == 0
    assert_gone(pids)
    assert "Traceback" not in busy.log.read_text()


@thorough
def test_nohup_is_heeded(tmp_path: Path) -> None:
    """A stack that was started to outlive its terminal does; SIGTERM ends it."""
    with (tmp_path / "log").open("w") as log, started("nohup", *LOCAL, stderr=log) as stack:
        assert stack.stdout
        ready = json.loads(stack.stdout.readline().removeprefix("ready "))
        stack.send_signal(signal.SIGHUP)
        assert httpx.get(f"{ready['api']}/x", trust_env=False).status_code == 200
        stack.send_signal(signal.SIGTERM)
        assert stack.wait(END_SECONDS) == 0


@pytest.fixture
def _hears_hangups() -> Iterator[None]:
    """A test run under `nohup` hears none, and neither does what it starts."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_hears_hangups")
@pytest.mark.parametrize(
    ("send", "number"),
    [
        (os.kill, signal.SIGKILL),
        (os.killpg, signal.SIGINT),  # Ctrl-C
        pytest.param(os.kill, signal.SIGTERM, marks=thorough),
        pytest.param(os.killpg, signal.SIGHUP, marks=thorough),  # the terminal is closed
    ],
)
@pytest.mark.parametrize("program", ["up", pytest.param("demo", marks=thorough)])
def test_make_leaves_nothing(
    tmp_path: Path, program: str, send: Callable[[int, int], None], number: signal.Signals
) -> None:
    """However `make` ends, even by SIGKILL, what it has started ends within seconds."""
    makefile = tmp_path / "Makefile"
    (recipe,) = re.findall(
        rf"^\t@exec \$\(BIN\)/python -m local\.{program} (?:.*\\\n)*.*$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    ports = "".join(f"{name}_PORT := 0\n" for name in ("API", "STREAM", "AWS"))
    # Not what the `make` that runs the tests was told.
    environ = {"TMPDIR": str(tmp_path), "MAKEFLAGS": "", "ARGS": ""}
    makefile.write_text(f"BIN := {Path(sys.executable).parent}\n{ports}{program}:\n{recipe}\n")
    with (
        (tmp_path / "log").open("w") as log,
        started("make", "-f", str(makefile), program, stderr=log, env=environ) as make,
    ):
        pids: set[int] = set()
        deadline = time.monotonic() + START_SECONDS
        while sum("local.aws" in text for text in alive(pids).values()) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)
            pids = descendants(make.pid)
        send(make.pid, number)
        pids |= descendants(make.pid)
        make.wait(END_SECONDS)
        assert_gone(pids)


@pytest.mark.parametrize("part", ["local.demo", pytest.param("-m local.up --parent", marks=thorough)])
def test_killed_demo_leaves_nothing(part: str, tmp_path: Path) -> None:
    """SIGKILL to the demo or to its stack: all that it has started ends, the stack's own processes among it."""
    with (
        (tmp_path / "log").open("w") as log,
        started(sys.executable, "-m", "local.demo", stderr=log, env={"TMPDIR": str(tmp_path)}) as demo,
    ):
        pids: set[int] = {demo.pid}
        deadline = time.monotonic() + START_SECONDS
        while sum("awslambdaric" in text for text in alive(pids).values()) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)
            pids |= descendants(demo.pid)
        (victim,) = (pid for pid, text in alive(pids).items() if part in text)
        os.kill(victim, signal.SIGKILL)
        assert demo.wait(END_SECONDS) == (-signal.SIGKILL if victim == demo.pid else 1)
        assert_gone(pids)


@thorough
def test_killed_function_is_replaced(busy: Running) -> None:
    """SIGKILL to a function's process fails what it works on, and nothing else."""
    pids = alive(descendants(busy.process.pid))
    for pid, text in pids.items():
        if "awslambdaric" in text:
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + END_SECONDS
    while busy.log.read_text().count("an environment ended by signal 9") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert httpx.get(f"{busy.ready['api']}/x", trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "cannot read {path}: No such file or directory. Name a template with --template"),
        pytest.param("", "{path} is empty", marks=thorough),
        pytest.param(
            "Resources: {A: {Type: AWS::Kinesis::Stream}}",
            "A is a AWS::Kinesis::Stream: nothing plays that here",
            marks=thorough,
        ),
        (
            "Resources: {A: {Type: AWS::Lambda::Url, Properties: {InvokeMode: BUFFERED}}}",
            "{path} holds something that cannot be used: KeyError: 'AuthType'",
        ),
        pytest.param(
            "Parameters: {Size: {Type: Number, Default: ten}}\nResources: {Q: {Type: AWS::SQS::Queue}}",
            "The parameter Size has to be a number, not 'ten'. To give it another: --parameter Size=VALUE",
            marks=thorough,
        ),
    ],
)
def test_template_that_cannot_run_is_told(tmp_path: Path, template: str | None, message: str) -> None:
    """In one line, which is the last, and with status 1."""
    path = tmp_path / "template.yaml"
    if template is not None:
        path.write_text(template)
    with started(sys.executable, "-m", "local", "--template", str(path)) as stack:
        _, said = stack.communicate(timeout=START_SECONDS)
    assert stack.returncode == 1
    assert said.splitlines()[-1].startswith("[local] " + message.format(path=path))
    assert "Traceback" not in said


def test_port_in_use_is_told() -> None:
    """Which, and what to set."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with started(*LOCAL, "--aws-port", port) as stack:
            _, said = stack.communicate(timeout=START_SECONDS)
    assert stack.returncode == 1
    why = f"cannot listen on port {port}, which is to be that of aws: Address already in use. Choose another port, or 0"
    assert said.splitlines()[-1].startswith(f"[local] {why}")


@thorough
def test_ready_line_that_nobody_reads() -> None:
    """A pipe without a reader, and a closed stdout, end the stack: nobody knows where it is."""
    with started(*LOCAL) as stack:
        assert stack.stdout
        assert stack.stderr
        stack.stdout.close()
        said = stack.stderr.read()
        assert stack.wait(END_SECONDS) == 1
    assert said.splitlines()[-1] == "[local] the ready line cannot be written to stdout: Broken pipe"
    with started("sh", "-c", 'exec "$@" >&-', "sh", *LOCAL) as stack:
        _, said = stack.communicate(timeout=START_SECONDS)
    assert stack.returncode == 1
    assert said.startswith("[local] stdout is closed")


@thorough
def test_log_that_nobody_reads_harms_nothing() -> None:
    """stderr may be a pipe without a reader or be closed: what would be said is lost, and nothing else."""
    for redirection in ("2>&1 >&3 3>&- | true", "3>&- 2>&-"):
        with started("bash", "-c", f'("$@" {redirection}) 3>&1', "bash", *LOCAL) as shell:
            assert shell.stdout
            ready = json.loads(shell.stdout.readline().removeprefix("ready "))
            assert httpx.get(f"{ready['api']}/exit", trust_env=False).status_code == 500
            assert httpx.get(f"{ready['api']}/x", trust_env=False).status_code == 200
            mine = alive(descendants(shell.pid))
            (stack,) = (pid for pid, text in mine.items() if text.startswith(f"{sys.executable} -m local --template"))
            os.kill(stack, signal.SIGTERM)
            assert shell.stdout.read() == ""
