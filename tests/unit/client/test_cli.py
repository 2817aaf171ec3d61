"""The command line; as a process of its own where signals, pipes and terminals matter."""

import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from contextlib import chdir, suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sluice_client import uploads
from sluice_client.cli import app
from tests.unit.client.deployment import TOKEN, Deployment, Fault

ROOT = Path(__file__).parents[3]
CONTENT = os.urandom(2500)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def environment(api: str | None, token: str | None) -> dict[str, str | None]:
    """The settings of the command, and no others than these; None unsets."""
    return {"SLUICE_API": api, "SLUICE_TOKEN": token, "COLUMNS": "200", "NO_PROXY": "127.0.0.1"}


def process_environment(deployment: Deployment, **more: str) -> dict[str, str]:
    wanted = os.environ | environment(deployment.url, TOKEN) | {"PYTHONPATH": str(ROOT / "client")} | more
    return {name: value for name, value in wanted.items() if value is not None}


def sluice(*arguments: str, api: str | None = None, token: str | None = TOKEN, cwd: Path = ROOT) -> Result:
    """Runs the command in this process; its output never holds the token, whatever happens."""
    with chdir(cwd):
        done = CliRunner().invoke(app, arguments, env=environment(api, token), prog_name="sluice")
    if token:
        assert token.strip() not in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def test_help_needs_no_settings_and_no_httpx(deployment: Deployment) -> None:
    """Exit codes are told, and what makes the start slow is not imported."""
    done = sluice("--help", token=None)
    assert done.exit_code == 0
    assert "3 other bytes arrived" in done.stdout
    code = "import sys, sluice_client.cli; assert not {'httpx', 'rich.progress'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], env=process_environment(deployment), check=True)


@pytest.mark.parametrize(
    ("arguments", "token", "message"),
    [
        (["ls"], TOKEN, "SLUICE_API"),
        (["--api", "ftp://host", "ls"], TOKEN, "no http(s) URL"),
        (["--api", "http://127.0.0.1:1", "ls"], None, "SLUICE_TOKEN"),
        (["--api", "http://127.0.0.1:1", "ls"], "two\nlines", "characters that no token has"),
        (["--api", "http://127.0.0.1:1", "ls"], "tök", "characters that no token has"),
        (["rm", "../secrets"], TOKEN, "is no id"),
        (["get", "-o", "-", "--json", "id"], TOKEN, "both want stdout"),
        (["ls", "--status", "nothing"], TOKEN, "nothing"),
        (["put"], TOKEN, "FILE"),
    ],
)
def test_misuse_is_told_before_anything_is_sent(arguments: list[str], token: str | None, message: str) -> None:
    """Exit code 2, and what is wrong in words."""
    done = sluice(*arguments, token=token)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "setting",
    [
        {"ALL_PROXY": "socks5://127.0.0.1:1"},  # wants a package that nobody has installed
        {"ALL_PROXY": "ftp://127.0.0.1:1"},
        {"no_proxy": "[::"},
        {"SSL_CERT_FILE": "/nowhere"},
        {"SSL_CERT_FILE": os.devnull},
    ],
)
def test_a_shell_whose_network_settings_cannot_be_used(deployment: Deployment, setting: dict[str, str]) -> None:
    """Exit code 2, and one line that says what is wrong and names the variables; no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "sluice_client", "ls"],
        env=process_environment(deployment, **setting),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert all(name.upper() in done.stderr for name in setting)


def test_put_prints_what_sha256sum_prints(deployment: Deployment, tmp_path: Path) -> None:
    """stdout holds the lines of sha256sum and nothing else; the ids are on stderr."""
    for name in ("a b.bin", "new\nline"):
        (tmp_path / name).write_bytes(CONTENT)
    done = sluice("put", "--", "a b.bin", "new\nline", api=deployment.url, cwd=tmp_path)
    assert done.exit_code == 0
    assert done.stdout_bytes.decode() == f"{SHA256}  a b.bin\n\\{SHA256}  new\\nline\n"
    assert re.search("a b.bin is file-[12]", done.stderr)  # they are sent at once


def test_put_prints_md5_when_asked(deployment: Deployment, tmp_path: Path) -> None:
    """The line of md5sum; the sha-256 is compared all the same."""
    (tmp_path / "a").write_bytes(CONTENT)
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    assert sluice("put", "--md5", "a", api=deployment.url, cwd=tmp_path).stdout == f"{md5}  a\n"


def test_put_goes_on_with_the_other_files(deployment: Deployment, tmp_path: Path) -> None:
    """One file that cannot be read does not keep the others; the exit code is the gravest."""
    (tmp_path / "a").write_bytes(CONTENT)
    done = sluice("put", "missing", "a", api=deployment.url, cwd=tmp_path)
    assert done.exit_code == 2
    assert "missing: No such file" in done.stderr
    assert done.stdout_bytes.decode() == f"{SHA256}  a\n"


def test_other_bytes_at_the_server_are_exit_code_3(deployment: Deployment, tmp_path: Path) -> None:
    """A digest that is not the local file's is never printed as if it were."""
    (tmp_path / "a").write_bytes(CONTENT)
    deployment.wrong_digest = True
    done = sluice("put", "a", api=deployment.url, cwd=tmp_path)
    assert (done.exit_code, done.stdout) == (3, "")
    assert f"digest_mismatch (sha-256: {SHA256} expected, " in done.stderr


def test_put_says_who_compared(deployment: Deployment, tmp_path: Path) -> None:
    """Verified is what the server says is verified, and nothing else."""
    (tmp_path / "a").write_bytes(CONTENT)
    assert "a is file-1: verified" in sluice("put", "a", api=deployment.url, cwd=tmp_path).stderr
    deployment.believes = True
    assert "hashed, not verified by the server" in sluice("put", "a", api=deployment.url, cwd=tmp_path).stderr


def test_files_alike_do_not_share_an_upload(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same name, size and time elsewhere is another file: what an interrupted run has sent of the first stays."""
    monkeypatch.setattr(uploads, "SMALL_BYTES", 1000)
    deployment.single_bytes = 1000
    for folder, content in (("a", CONTENT), ("b", CONTENT[::-1])):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.bin").write_bytes(content)
        os.utime(tmp_path / folder / "x.bin", (1, 1))
    deployment.fail("PUT /s3/file-1/3", Fault(404))
    assert sluice("put", "-c", "1", "a/x.bin", api=deployment.url, cwd=tmp_path).exit_code == 1
    assert sluice("put", "b/x.bin", api=deployment.url, cwd=tmp_path).exit_code == 0
    assert deployment.files["file-2"].content == CONTENT[::-1]
    assert sorted(deployment.files["file-1"].parts) == [1, 2]
    deployment.seen.clear()
    assert sluice("put", "a/x.bin", api=deployment.url, cwd=tmp_path).exit_code == 0
    assert deployment.files["file-1"].content == CONTENT
    assert len(deployment.requests("PUT /s3/.*")) == 1


def test_without_a_key_nothing_is_resumed(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state folder that cannot be written is told once, and no fingerprint is sent."""
    for name in ("a", "b", "state"):
        (tmp_path / name).write_bytes(CONTENT)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    done = sluice("put", "a", "b", api=deployment.url, cwd=tmp_path)
    assert done.exit_code == 0
    assert done.stderr.count("will not be resumed") == 1
    assert [file.fingerprint for file in deployment.files.values()] == [None, None]


def test_the_gravest_exit_code_wins(deployment: Deployment, tmp_path: Path) -> None:
    """Bytes that could not be verified weigh more than a file that is not there, in whatever order."""
    (tmp_path / "a").write_bytes(CONTENT)
    deployment.wrong_digest = True
    assert sluice("put", "missing", "a", "missing", api=deployment.url, cwd=tmp_path).exit_code == 3


def test_get_takes_the_name_made_safe(deployment: Deployment, tmp_path: Path) -> None:
    """A hostile name becomes one in this folder; a second get does not replace it, with --force it does."""
    file_id = deployment.keep(CONTENT, "../../\x1b[31mevil\u202e.txt")
    done = sluice("get", file_id, api=deployment.url, cwd=tmp_path)
    assert done.exit_code == 0
    (path,) = tmp_path.iterdir()
    assert path.name == "_[31mevil_.txt"
    assert path.read_bytes() == CONTENT
    assert "\x1b" not in done.stderr
    path.write_bytes(b"precious")
    assert sluice("get", file_id, api=deployment.url, cwd=tmp_path).exit_code == 1
    assert path.read_bytes() == b"precious"
    assert sluice("get", "--force", file_id, api=deployment.url, cwd=tmp_path).exit_code == 0
    assert path.read_bytes() == CONTENT


def test_get_writes_to_a_folder_a_path_or_stdout(deployment: Deployment, tmp_path: Path) -> None:
    """-o decides; stdout carries the bytes alone."""
    file_id = deployment.keep(CONTENT, "name.bin")
    (tmp_path / "folder").mkdir()
    assert sluice("get", file_id, "-o", "folder", api=deployment.url, cwd=tmp_path).exit_code == 0
    done = sluice("get", file_id, "-o", "other", "--json", api=deployment.url, cwd=tmp_path)
    assert json.loads(done.stdout)["path"] == "other"
    assert sluice("get", file_id, "-o", "-", api=deployment.url).stdout_bytes == CONTENT
    assert (tmp_path / "folder" / "name.bin").read_bytes() == (tmp_path / "other").read_bytes() == CONTENT
    done = sluice("get", file_id, "-o", "no such folder/", api=deployment.url, cwd=tmp_path)
    assert (done.exit_code, "No such file or directory" in done.stderr) == (1, True)
    assert not (tmp_path / "no such folder").exists()


@pytest.mark.parametrize("output", ["out", "-"])
def test_wrong_bytes_are_exit_code_3(deployment: Deployment, tmp_path: Path, output: str) -> None:
    """Nothing is left in the folder; a pipe's reader learns it from the code."""
    deployment.fail("GET .*/content", Fault(alter=True))
    done = sluice("get", deployment.keep(CONTENT), "-o", output, api=deployment.url, cwd=tmp_path)
    assert done.exit_code == 3
    assert "Wrong bytes" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_get_leaves_nothing(deployment: Deployment, tmp_path: Path, number: int) -> None:
    """Ctrl-C, SIGTERM and a terminal that closes, amid a download, remove the partial file; exit code 130."""
    file_id = deployment.keep(CONTENT)
    deployment.stall = threading.Event()
    command = [sys.executable, "-m", "sluice_client", "get", file_id, "-o", "out"]
    # A shell that runs the tests in the background has them ignore SIGINT, `nohup` SIGHUP, and what they start as well.
    before = signal.signal(number, signal.SIG_DFL)
    with subprocess.Popen(command, env=process_environment(deployment), cwd=tmp_path, stderr=subprocess.PIPE) as get:
        signal.signal(number, before)
        assert deployment.stalled.wait(30)
        get.send_signal(number)
        _, stderr = get.communicate(timeout=30)
    assert get.returncode == 130
    assert b"interrupted" in stderr
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_is_no_traceback(deployment: Deployment) -> None:
    """`sluice get -o - | head` ends quietly."""
    file_id = deployment.keep(os.urandom(3_000_000))
    command = [sys.executable, "-m", "sluice_client", "get", file_id, "-o", "-"]
    with subprocess.Popen(
        command, env=process_environment(deployment), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as get:
        assert get.stdout
        assert get.stderr
        get.stdout.read(10)
        get.stdout.close()
        stderr = get.stderr.read()
        get.wait(30)
    assert get.returncode == 1
    assert b"Traceback" not in stderr


def test_ls_shows_names_escaped_and_json_whole(deployment: Deployment) -> None:
    """A line a file for people, an object a line for programs, both without a control character."""
    deployment.keep(CONTENT, "evil\x1b]0;\u202e\n.txt")
    deployment.keep(CONTENT, "[red]b", status="failed")
    done = sluice("ls", api=deployment.url)
    assert done.stdout_bytes.decode().splitlines() == [
        "file-1  hashed        2.5 kB  2026-01-02 03:04:05  evil\\x1b]0;\\u202e\\n.txt",
        "file-2  failed        2.5 kB  2026-01-02 03:04:05  [red]b",
    ]
    deployment.files["file-1"].vouched = True
    assert sluice("ls", api=deployment.url).stdout.startswith("file-1  verified ")
    done = sluice("ls", "--json", "--status", "ready", api=deployment.url)
    (line,) = done.stdout_bytes.decode().splitlines()
    assert line.isprintable()
    assert json.loads(line)["filename"] == "evil\x1b]0;\u202e\n.txt"


def test_rm_deletes_what_is_there(deployment: Deployment) -> None:
    """An id that is not there is told with its problem's code; the others go."""
    deployment.keep(CONTENT)
    done = sluice("rm", "nobody", "file-1", api=deployment.url)
    assert done.exit_code == 1
    line = "sluice: nobody: You have no file with this id. [file_not_found] `sluice ls` shows your files."
    assert done.stderr.splitlines() == [line, "file-1 is deleted"]
    assert not deployment.files


def test_rm_of_what_is_not_there_fails_and_a_lost_answer_does_not(deployment: Deployment) -> None:
    """An id that never was is an error; a deletion that nobody heard of is none."""
    assert sluice("rm", "file-1", api=deployment.url).exit_code == 1
    file_id = deployment.keep(CONTENT)
    deployment.fail("DELETE .*", Fault(lost=True))
    done = sluice("rm", file_id, api=deployment.url)
    assert (done.exit_code, done.stderr) == (0, f"{file_id} is deleted\n")


@pytest.mark.parametrize("status", ["uploading", "aborted"])
def test_rm_of_an_upload_says_that_the_list_still_has_it(deployment: Deployment, status: str) -> None:
    """The server keeps its record for a while, so it is not called deleted."""
    deployment.keep(CONTENT, status=status)
    done = sluice("rm", "file-1", api=deployment.url)
    assert (done.exit_code, done.stderr) == (0, "file-1 is aborted: it leaves the list by itself\n")


def test_the_wrong_token_is_told_and_not_shown(deployment: Deployment) -> None:
    """401 is one line with the setting's name."""
    done = sluice("ls", api=deployment.url, token="not-this-one")
    assert done.exit_code == 1
    assert done.stderr == (
        "sluice: The token is not one of this deployment. [unauthorized] "
        "Set SLUICE_TOKEN to a token of this deployment, or `sluice login` to it.\n"
    )


def test_a_terminal_gets_bars_and_escaped_names(deployment: Deployment, tmp_path: Path) -> None:
    """On a terminal: bars with the name as text, and the checksum line without control characters."""
    (tmp_path / "[b]\x07evil").write_bytes(CONTENT)
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-m", "sluice_client", "put", "[b]\x07evil"]
    variables = process_environment(deployment, TERM="xterm")
    put = subprocess.Popen(command, env=variables, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = _everything(terminal)
    assert put.wait(30) == 0
    assert b"\x07" not in shown
    assert "━".encode() in shown
    assert f"{SHA256}  [b]\\x07evil\r\n".encode() in shown


def _everything(terminal: int) -> bytes:
    """All that was written to a terminal, whose end Linux tells as EIO."""
    shown = b""
    with open(terminal, "rb", buffering=0) as reader, suppress(OSError):
        while more := reader.read(65536):
            shown += more
    return shown
