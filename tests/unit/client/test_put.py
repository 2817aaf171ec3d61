"""`sluice put`: many files, folders, stdin; what is not sent again, and what ends it all."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sluice_client import uploads
from tests.unit.client.deployment import TOKEN, Deployment, Fault
from tests.unit.client.test_cli import process_environment, sluice

CONTENT = os.urandom(2500)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("photos/a.jpg", "photos/2024/b.jpg", "photos/2024/c.tmp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def places(deployment: Deployment) -> set[str]:
    return {f"{file.folder}/{file.filename}" for file in deployment.files.values()}


def test_a_folder_goes_with_its_folders(deployment: Deployment, tree: Path) -> None:
    """Its own name among them; the lines are those of sha256sum, in the order of names."""
    done = sluice("put", "-r", "photos", "--exclude", "*.tmp", api=deployment.url, cwd=tree)
    assert done.exit_code == 0
    assert places(deployment) == {"photos/a.jpg", "photos/2024/b.jpg"}
    names = ("photos/2024/b.jpg", "photos/a.jpg")
    assert done.stdout.splitlines() == [f"{hashlib.sha256(name.encode()).hexdigest()}  {name}" for name in names]


def test_what_is_there_is_not_sent_again(deployment: Deployment, tree: Path) -> None:
    """Same folder, name and bytes, verified: by another machine, too. Other bytes, and what nobody verified, go."""
    assert sluice("put", "-r", "photos", api=deployment.url, cwd=tree).exit_code == 0
    first = sluice("put", "-r", "photos", "--json", api=deployment.url, cwd=tree)
    for path in tree.rglob("*.*"):
        os.utime(path, (1, 1))  # this machine knows none of them any more
    (tree / "photos" / "a.jpg").write_bytes(b"photos/A.jpg")
    deployment.seen.clear()
    done = sluice("put", "-r", "photos", "--json", api=deployment.url, cwd=tree)
    assert [seen.path for seen in deployment.requests("(PUT|POST) .*")] == ["/files/a.jpg"]
    for each, there in ((first, [True, True, True]), (done, [True, True, False])):
        assert [json.loads(line)["already_there"] for line in each.stdout.splitlines()] == there
    deployment.seen.clear()
    deployment.believes = True
    assert sluice("put", "-r", "photos", api=deployment.url, cwd=tree).exit_code == 0
    assert len(deployment.requests("PUT /files/.*")) == 3


def test_again_sends_what_is_there(deployment: Deployment, tree: Path) -> None:
    """As a file of its own each time."""
    for _ in range(3):
        assert sluice("put", "--again", "photos/a.jpg", api=deployment.url, cwd=tree).exit_code == 0
    assert len(deployment.files) == 3


def test_a_dry_run_sends_nothing(deployment: Deployment, tree: Path) -> None:
    """It prints the paths that would go, without those that are there."""
    assert sluice("put", "-r", "photos/2024", "--folder", "photos", api=deployment.url, cwd=tree).exit_code == 0
    deployment.seen.clear()
    done = sluice("put", "-r", "photos", "--dry-run", api=deployment.url, cwd=tree)
    assert (done.exit_code, done.stdout) == (0, "photos/a.jpg\n")
    assert not deployment.requests("(PUT|POST) .*")


def test_quiet_says_what_went_wrong(deployment: Deployment, tree: Path) -> None:
    """And nothing else."""
    done = sluice("put", "-q", "photos/a.jpg", "nowhere", api=deployment.url, cwd=tree)
    assert done.exit_code == 2
    assert done.stderr == "sluice: nowhere: No such file or directory.\n"


@pytest.mark.parametrize("size", [50, 2500])
def test_after_an_interruption_finished_files_are_not_sent_again(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Whatever their size: the server is asked for each, and what was deleted meanwhile goes again."""
    monkeypatch.setattr(uploads, "WHOLE_BYTES", 100)
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(CONTENT[:size])
    assert sluice("put", "a", "b", "c", api=deployment.url, cwd=tmp_path).exit_code == 0
    del deployment.files["file-2"]
    deployment.gone.add("file-2")
    deployment.seen.clear()
    done = sluice("put", "a", "b", "c", api=deployment.url, cwd=tmp_path)
    assert done.exit_code == 0
    assert done.stderr.count("there already, verified") == 2
    assert len(done.stdout.splitlines()) == 3
    assert len(deployment.files) == 3


def test_a_wrong_token_is_tried_once(deployment: Deployment, tmp_path: Path) -> None:
    """The next file would meet the same: one line says it, and another how many were not tried."""
    for number in range(20):
        (tmp_path / f"{number}").write_bytes(b"x")
    names = [f"{number}" for number in range(20)]
    done = sluice("put", "-c", "1", *names, api=deployment.url, token="not-this-one", cwd=tmp_path)
    assert done.exit_code == 1
    assert len(deployment.seen) <= 2  # two files are under way at once
    assert done.stderr.count("[unauthorized]") == 1
    assert "the other 18 were not tried" in done.stderr


def test_nobody_there_is_told_once(tmp_path: Path) -> None:
    """Where nothing listens nothing will for the next file."""
    with Deployment() as gone:
        url = gone.url
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).write_bytes(b"x")
    done = sluice("put", "-c", "1", "a", "b", "c", "d", api=url, cwd=tmp_path)
    assert done.exit_code == 1
    assert done.stderr.count("Is the address right") == 1
    assert "the other 2 were not tried" in done.stderr


def test_each_refusal_names_its_file(deployment: Deployment, tmp_path: Path) -> None:
    """With several files it is of no use otherwise; and a folder is called one."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "a").write_bytes(b"x")
    body = json.dumps({"code": "quota_exceeded", "detail": "There is no room."}).encode()
    deployment.fail("PUT /files/a", Fault(403, body, {"Content-Type": "application/problem+json"}))
    done = sluice("put", "a", "folder", api=deployment.url, cwd=tmp_path)
    assert done.exit_code == 2
    assert sorted(done.stderr.splitlines()[-2:]) == [
        "sluice: a: There is no room. [quota_exceeded] `sluice rm` makes room.",
        "sluice: folder: It is a folder. `sluice put -r` uploads what is in it.",
    ]


def test_json_tells_what_failed(deployment: Deployment, tmp_path: Path) -> None:
    """In its place among the others, with its code."""
    (tmp_path / "b").write_bytes(b"x")
    done = sluice("put", "--json", "a", "b", api=deployment.url, cwd=tmp_path)
    first, second = map(json.loads, done.stdout.splitlines())
    assert first == {
        "path": "a",
        "error": {"code": None, "message": "No such file or directory.", "hint": None, "exit_code": 2},
    }
    assert second["file"]["id"] == "file-1"


def test_stdin_becomes_a_file(deployment: Deployment, tmp_path: Path) -> None:
    """Under the name that it was given; the line has that name, too."""
    command = [sys.executable, "-m", "sluice_client", "put", "-", "--name", "dump.sql", "--folder", "db"]
    done = subprocess.run(
        command, env=process_environment(deployment), cwd=tmp_path, input=CONTENT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == f"{hashlib.sha256(CONTENT).hexdigest()}  dump.sql\n"
    assert places(deployment) == {"db/dump.sql"}


def test_a_fifo_is_read_to_its_end(deployment: Deployment, tmp_path: Path) -> None:
    """As `sluice put <(program)` has it."""
    os.mkfifo(tmp_path / "fifo")
    writer = threading.Thread(target=lambda: (tmp_path / "fifo").write_bytes(CONTENT))
    writer.start()
    done = sluice("put", "fifo", api=deployment.url, cwd=tmp_path)
    writer.join()
    assert (done.exit_code, places(deployment)) == (0, {"None/fifo"})
    assert deployment.files["file-1"].content == CONTENT


def test_ctrl_c_does_not_wait_for_a_producer(deployment: Deployment, tmp_path: Path) -> None:
    """One that says nothing more is left alone, and what it has said is given up."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    command = [sys.executable, "-m", "sluice_client", "put", "fifo"]
    with subprocess.Popen(command, env=process_environment(deployment), cwd=tmp_path, stderr=subprocess.PIPE) as put:
        signal.signal(signal.SIGINT, before)
        with fifo.open("wb") as producer:  # which is open as soon as the command reads
            producer.write(b"x")
            producer.flush()
            put.send_signal(signal.SIGINT)
            _, stderr = put.communicate(timeout=30)
    assert put.returncode == 130
    assert b"interrupted" in stderr


@pytest.mark.parametrize("command", [["ls"], ["put", "a", "b"], ["put", "--json", "a", "b"], ["--help"]])
def test_a_full_disk_is_one_sentence(deployment: Deployment, tmp_path: Path, command: list[str]) -> None:
    """Nothing that was to be said is lost silently, and there is no traceback."""
    deployment.keep(b"x")
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sluice_client", *command],
            env=process_environment(deployment),
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines().count(f"sluice: stdout: {os.strerror(errno.ENOSPC)}.") == 1
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_enough_is_no_error_of_ours(deployment: Deployment) -> None:
    """`sluice ls | head -1` says nothing on stderr."""
    for _ in range(500):
        deployment.keep(b"x", "name" * 50)
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m sluice_client ls | head -1"],
        env=process_environment(deployment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (len(done.stdout.splitlines()), done.stderr) == (1, "")


def test_nobody_who_listens_is_no_traceback(deployment: Deployment, tmp_path: Path) -> None:
    """Without stderr the result is the same; without stdout it is an error."""
    (tmp_path / "a").write_bytes(b"x")
    for redirection, code in (("2>&-", 0), ("2>/dev/full", 0), (">&-", 1)):
        done = subprocess.run(
            ["sh", "-c", f"{sys.executable} -m sluice_client put a {redirection}"],
            env=process_environment(deployment),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "b", "--name", "c"], "one file alone"),
        (["-"], "needs a --name"),
        (["a", "--include", "*"], "go with -r"),
        (["a", "--limit-rate", "fast"], "no amount of bytes"),
    ],
)
def test_what_does_not_go_together_is_told(arguments: list[str], message: str) -> None:
    """Before anything is sent."""
    done = sluice("--api", "http://127.0.0.1:1", "put", *arguments, token=TOKEN)
    assert done.exit_code == 2
    assert message in done.stderr


def test_bytes_that_are_no_text_are_sent_as_well_as_they_can_be(deployment: Deployment, tmp_path: Path) -> None:
    """A name of any bytes is a file's, and so may a folder's be; the rest of an argument is not guessed."""
    odd = os.fsdecode(b"\xff")
    (tmp_path / f"a{odd}").write_bytes(b"x")
    (tmp_path / "b").write_bytes(b"x")
    done = sluice("put", f"a{odd}", "--folder", odd, "--name", odd, api=deployment.url, cwd=tmp_path)
    assert done.exit_code == 0
    assert places(deployment) == {"\N{REPLACEMENT CHARACTER}/\N{REPLACEMENT CHARACTER}"}
    for arguments in (
        ["put", "b", "--content-type", "a\nb"],
        ["put", "b", "--content-type", "雪"],
        ["mv", "file-1", "--name", odd],
    ):
        done = sluice(*arguments, api=deployment.url, cwd=tmp_path)
        assert (done.exit_code, "cannot be sent" in done.stderr) == (2, True), done.stderr
