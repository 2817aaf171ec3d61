"""`make demo` with a stack that is only a process with a ready line, before a deployment of the tests'."""

import json
import os
from pathlib import Path

import pytest

from local import demo
from local.demo import DemoError
from tests.unit.client.deployment import TOKEN, Deployment, Fault

READY = """
import json, os, pathlib, signal
pathlib.Path("pid").write_text(str(os.getpid()))
print("ready", json.dumps({ready}), flush=True)
signal.pause()
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deployment: Deployment) -> Path:
    """A folder in which `python -m local.up` says where the deployment is, and waits."""
    root = tmp_path / "root"
    (root / "local").mkdir(parents=True)
    starting(root, READY.format(ready={"api": deployment.url, "token": TOKEN}))
    monkeypatch.setattr(demo, "ROOT", root)
    return root


def starting(root: Path, program: str) -> None:
    (root / "local" / "up.py").write_text(program)


def assert_gone(root: Path) -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(int((root / "pid").read_text()), 0)


@pytest.mark.parametrize("size", [0, 5000])
def test_a_file_goes_through_and_nothing_runs_on(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], size: int
) -> None:
    """The summary has the three rates, and every digest is the same everywhere."""
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    demo.run(file, tmp_path)
    shown = capfd.readouterr().out
    assert shown.count(f"{size:,}") >= 3
    assert shown.count("the same in") == 4
    assert "ANOTHER" not in shown
    assert_gone(root)


def test_what_the_shell_says_of_networks_is_not_for_loopback(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither proxies, in whichever case, nor certificates that are not there get in the way of the demo."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "socks5://203.0.113.1:1080")
    monkeypatch.setenv("no_proxy", "example.com")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    demo.run(file, tmp_path)
    assert_gone(root)


def test_wrong_bytes_end_it(root: Path, tmp_path: Path, deployment: Deployment) -> None:
    """What the client refuses fails the demo; the stack goes too."""
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    deployment.fail("GET .*/content", Fault(alter=True))
    with pytest.raises(DemoError, match="`sluice get` ended with exit code 3"):
        demo.run(file, tmp_path)
    assert_gone(root)


def test_a_digest_that_hashlib_does_not_confirm_ends_it(root: Path, tmp_path: Path, deployment: Deployment) -> None:
    """The record's md5 is compared here, because the client compares sha-256 alone."""
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    document = deployment.document(deployment.keep(b"12345")) | {"id": "file-2"}
    document["digests"]["md5"] = "0" * 32
    deployment.fail("PUT /files/.*", Fault(201, json.dumps(document).encode()))
    deployment.fail("GET /files/file-2", Fault(200, json.dumps(document).encode()))
    with pytest.raises(DemoError, match="the record's md5 is not that of the original"):
        demo.run(file, tmp_path)
    assert_gone(root)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import sys; sys.exit('no moto here')", "did not start"),
        ("import sys; print('no moto here', file=sys.stderr, flush=True); print('hello')", "said 'hello"),
    ],
)
def test_a_stack_that_does_not_start_shows_why(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], program: str, message: str
) -> None:
    """The end of its stderr is shown."""
    starting(root, program)
    with pytest.raises(DemoError, match=message):
        demo.run(root / "local" / "up.py", tmp_path)
    assert "no moto here" in capfd.readouterr().err


def test_a_stack_that_is_never_ready_is_ended(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time that a slow machine needs it is given up, and ended even when it does not want to."""
    monkeypatch.setattr(demo, "START_SECONDS", 3)
    monkeypatch.setattr(demo, "STOP_SECONDS", 0.1)
    program = "import os, pathlib, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    starting(root, program + "pathlib.Path('pid').write_text(str(os.getpid()))\nsignal.pause()")
    with pytest.raises(DemoError, match="not ready after 3 s"):
        demo.run(root / "local" / "up.py", tmp_path)
    assert_gone(root)


def test_a_file_that_is_not_there_starts_nothing(root: Path, tmp_path: Path) -> None:
    """The name is looked at before the stack is started."""
    with pytest.raises(DemoError, match=r"cannot read .*missing: No such file or directory"):
        demo.run(tmp_path / "missing", tmp_path)
    assert not (root / "pid").exists()


def test_what_is_no_file_starts_nothing(root: Path, tmp_path: Path) -> None:
    """A folder; what could be read once; what has no end. None of them is even opened."""
    os.mkfifo(tmp_path / "fifo")
    for path, message in (
        (tmp_path, "is a folder"),
        (tmp_path / "fifo", "no regular"),
        (Path("/dev/zero"), "no regular"),
    ):
        with pytest.raises(DemoError, match=message):
            demo.run(path, tmp_path)
    assert not (root / "pid").exists()
