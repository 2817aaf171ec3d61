"""`sluice get`: what broke off and is gone on with, folders, shares, and several at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sluice_client import downloads
from sluice_client.partials import locked, partial_path
from tests.unit.client.deployment import Deployment, Fault, jwt_of
from tests.unit.client.test_cli import process_environment, sluice

CONTENT = os.urandom(1_000_000)
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def small_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks, all worth keeping, in kilobytes instead of megabytes."""
    monkeypatch.setattr(downloads, "DIRECT_BYTES", 1000)
    monkeypatch.setattr(downloads, "BLOCK_BYTES", 100_000)
    monkeypatch.setattr(downloads, "PIECE_BYTES", 10_000)


def ranges(deployment: Deployment) -> list[str]:
    return [seen.headers.get("range", "") for seen in deployment.requests("GET .*/content")]


def test_a_large_file_comes_in_blocks(deployment: Deployment, tmp_path: Path) -> None:
    """Each is asked for once, pinned to the object of the first answers, and nothing is left but the file."""
    done = sluice("get", deployment.keep(CONTENT), "-o", "out", api=deployment.url, cwd=tmp_path)
    assert done.exit_code == 0
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert sorted(ranges(deployment)) == sorted(f"bytes={n}-{n + 99_999}" for n in range(0, 1_000_000, 100_000))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_link_is_asked_once_where_it_leads(deployment: Deployment, tmp_path: Path) -> None:
    """Several connections would start as many functions; all go to S3 itself."""
    deployment.redirect_content = True
    assert sluice("get", deployment.keep(CONTENT), "-o", "out", api=deployment.url, cwd=tmp_path).exit_code == 0
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert len(deployment.requests("GET .*/content")) == 1
    assert len(deployment.requests("GET /elsewhere/.*")) == 10


@pytest.mark.parametrize("there", [0, 1, 99_999, 100_000, 999_999, 1_000_000])
def test_what_an_earlier_run_left_is_gone_on_with(deployment: Deployment, tmp_path: Path, there: int) -> None:
    """Only what is missing is asked for."""
    file_id = deployment.keep(CONTENT)
    partial_path(tmp_path / "out", file_id).write_bytes(CONTENT[:there])
    assert sluice("get", file_id, "-o", "out", api=deployment.url, cwd=tmp_path).exit_code == 0
    assert (tmp_path / "out").read_bytes() == CONTENT
    asked = [map(int, each.removeprefix("bytes=").split("-")) for each in ranges(deployment)]
    assert sum(last - first + 1 for first, last in asked) == len(CONTENT) - there
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("left", [b"x", CONTENT[:5000] + b"x", CONTENT + b"x", b"x" * len(CONTENT)])
def test_what_is_not_of_this_file_is_thrown_away(deployment: Deployment, tmp_path: Path, left: bytes) -> None:
    """Its sha-256 tells, and it is downloaded from the start, once."""
    file_id = deployment.keep(CONTENT)
    partial_path(tmp_path / "out", file_id).write_bytes(left)
    assert sluice("get", file_id, "-o", "out", api=deployment.url, cwd=tmp_path).exit_code == 0
    assert (tmp_path / "out").read_bytes() == CONTENT


def test_a_file_that_was_replaced_leaves_nothing_to_go_on_with(deployment: Deployment, tmp_path: Path) -> None:
    """412 in the middle: exit code 3, and the next run begins at the start."""
    deployment.fail("GET .*/content", Fault(), Fault(412))
    done = sluice("get", deployment.keep(CONTENT), "-o", "out", api=deployment.url, cwd=tmp_path)
    assert done.exit_code == 3
    assert "replaced" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_ends_early_is_gone_on_with(deployment: Deployment, tmp_path: Path, number: int) -> None:
    """Ctrl-C, SIGTERM and `kill -9`: what has been written is not asked for again."""
    content = os.urandom(24 * MIB)
    file_id = deployment.keep(content)
    command = [sys.executable, "-m", "sluice_client", "get", "-c", "1", file_id, "-o", "out"]
    variables = process_environment(deployment)
    partial = partial_path(tmp_path / "out", file_id)
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen([*command, "--limit-rate", "4M"], env=variables, cwd=tmp_path, stderr=subprocess.PIPE) as get:
        signal.signal(signal.SIGINT, before)
        deadline = time.monotonic() + 60
        while not (partial.exists() and partial.stat().st_size > MIB):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        get.send_signal(number)
        get.communicate(timeout=30)
    assert get.returncode == (-9 if number == signal.SIGKILL else 130)
    there = partial.stat().st_size
    assert not (tmp_path / "out").exists()
    deployment.seen.clear()
    done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_bytes() == content
    assert ranges(deployment)[0].startswith(f"bytes={there}-")


def test_two_at_once_do_not_mix(deployment: Deployment, tmp_path: Path) -> None:
    """The second says that the first is at it."""
    file_id = deployment.keep(CONTENT)
    with locked(partial_path(tmp_path / "out", file_id)):
        done = sluice("get", file_id, "-o", "out", api=deployment.url, cwd=tmp_path)
    assert done.exit_code == 1
    assert "Another `sluice get`" in done.stderr


def test_nothing_is_written_through_a_link(deployment: Deployment, tmp_path: Path) -> None:
    """Somebody may have put one where the partial file goes."""
    file_id = deployment.keep(CONTENT)
    (tmp_path / "precious").write_bytes(b"precious")
    partial_path(tmp_path / "out", file_id).symlink_to("precious")
    assert sluice("get", file_id, "-o", "out", api=deployment.url, cwd=tmp_path).exit_code == 1
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_several_files_come_into_a_folder(deployment: Deployment, tmp_path: Path) -> None:
    """Which is made; one that fails does not keep the others, and is named."""
    first, second = deployment.keep(b"1", "a"), deployment.keep(b"2", "b", status="uploading")
    third = deployment.keep(b"3", "c")
    done = sluice("get", first, second, third, "-o", "new", api=deployment.url, cwd=tmp_path)
    assert done.exit_code == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == {"a": b"1", "c": b"3"}
    assert f"sluice: {second}: b is uploading" in done.stderr


def test_a_folder_comes_with_its_folders(deployment: Deployment, tmp_path: Path) -> None:
    """The last part of its name is kept; equal names are told apart; nothing leaves the folder."""
    for folder, name in (
        ("a/b", "x.txt"),
        ("a/b", "X.txt"),
        ("a/b/c", "y"),
        ("a/b/.ssh", "../z"),
        ("a/bc", "other"),
        (None, "top"),
    ):
        deployment.files[deployment.keep(name.encode(), name)].folder = folder
    done = sluice("get", "--folder", "a/b", "-o", "out", api=deployment.url, cwd=tmp_path)
    assert done.exit_code == 0
    found = {str(path.relative_to(tmp_path / "out")) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"b/x.txt", "b/X (2).txt", "b/c/y", "b/_ssh/z"}
    deployment.seen.clear()
    done = sluice("get", "--folder", "a/b", "-o", "out", api=deployment.url, cwd=tmp_path)
    assert (done.exit_code, done.stderr.count("is there already")) == (0, 4)
    assert not deployment.requests("GET .*/content")


LONG = "é" * 125 + ".docx"  # 255 bytes


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        # No file can have the path of a folder, in whichever order they came.
        ([(None, "x"), ("x", "y")], ["x (2)", "x/y"]),
        ([("x", "y"), (None, "X")], ["x/y", "X (2)"]),
        ([(None, "a.b"), ("a.b/c", "y"), (None, "a.b")], ["a (2).b", "a.b/c/y", "a (3).b"]),
        ([("x", "y"), ("x/y", "z")], ["x/y (2)", "x/y/z"]),
        # Names that some file system takes for the same: by case, by accents, by what is at their end.
        ([(None, "é"), (None, "e\u0301")], ["é", "e\u0301 (2)"]),
        ([(None, "straße"), (None, "STRASSE")], ["straße", "STRASSE (2)"]),
        ([(None, "x"), (None, "x.")], ["x", "x. (2)"]),
        ([(None, "x"), (None, "x"), (None, "x (2)")], ["x", "x (2)", "x (2) (2)"]),
        # A number costs a name of full length some of its end.
        ([(None, LONG), (None, LONG)], [LONG, "é" * 123 + " (2).docx"]),
        ([(None, "é" * 127), (None, "é" * 127)], ["é" * 127, "é" * 125 + " (2)"]),
        ([(None, "x." + "é" * 126), (None, "x." + "é" * 126)], ["x." + "é" * 126, "x." + "é" * 124 + " (2)"]),
    ],
)
def test_every_tree_can_be_laid_out(
    deployment: Deployment, tmp_path: Path, kept: list[tuple[str | None, str]], expected: list[str]
) -> None:
    """Each file has a path of its own, and all are there already when the command is run again."""
    for number, (folder, name) in enumerate(kept):
        deployment.files[deployment.keep(b"%d" % number, name)].folder = folder
    command = ["get", "--share", f"{deployment.url}/#share={jwt_of({'record': 's-1'})}"]
    done = sluice(*command, cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    found = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {path: b"%d" % number for number, path in enumerate(expected)}
    done = sluice(*command, cwd=tmp_path)
    assert (done.exit_code, done.stderr.count("is there already")) == (0, len(expected))


def test_an_empty_folder_is_told(deployment: Deployment) -> None:
    """It may be a slip of the pen."""
    done = sluice("get", "--folder", "nowhere", api=deployment.url)
    assert (done.exit_code, "no file in nowhere" in done.stderr) == (1, True)


@pytest.mark.parametrize("password", [None, "geheim"])
def test_a_share_is_had_by_its_link_alone(deployment: Deployment, tmp_path: Path, password: str | None) -> None:
    """Without a token: all its pages, in their folders, and what it says of their bytes is compared."""
    deployment.password = password
    for number in range(5):
        deployment.files[deployment.keep(b"%d" % number * 2000, f"{number}")].folder = "f" if number % 2 else None
    link = f"{deployment.url}/#share={jwt_of({'record': 's-1'})}"
    arguments = ["get", "--share", link, "-o", "got"] + (["--password-stdin"] if password else [])
    done = subprocess.run(
        [sys.executable, "-m", "sluice_client", *arguments],
        env=process_environment(deployment, SLUICE_API="", SLUICE_TOKEN=""),
        input=f"{password}\n",
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = {
        str(path.relative_to(tmp_path / "got")): path.read_bytes() for path in tmp_path.rglob("?") if path.is_file()
    }
    assert found == {f"f/{n}" if n % 2 else f"{n}": b"%d" % n * 2000 for n in range(5)}


@pytest.mark.parametrize(
    "file_id", [".bashrc", "..", "x/../../.ssh/authorized_keys", "/no/such/place", "C:evil", "", "a" * 65, "a\n", "é"]
)
@pytest.mark.parametrize("option", ["--share", "--folder", "one of several"])
def test_what_has_no_id_is_not_had(deployment: Deployment, tmp_path: Path, file_id: str, option: str) -> None:
    """Ids name files here, and a link leads to anybody's server: nothing is asked for, and nothing is written."""
    deployment.files[deployment.keep(CONTENT, "..", file_id="f")].folder = "a"
    deployment.renamed["f"] = file_id
    (tmp_path / "here").mkdir()
    arguments = {
        "--share": ["--share", f"{deployment.url}/#share={jwt_of({'record': 's-1'})}"],
        "--folder": ["--folder", "a"],
        "one of several": ["f"],
    }
    done = sluice("get", *arguments[option], "--force", api=deployment.url, cwd=tmp_path / "here")
    assert (done.exit_code, "does not answer as a Sluice does" in done.stderr) == (1, True)
    assert not deployment.requests("GET .*/content")
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("..", "_"),
        ("../../x", "_/_/x"),
        ("/etc", "etc"),
        ("C:", "C_"),
        ("C:/x", "C_/x"),
        ("a\\..\\..\\b", "b"),
        ("a/./b", "a/_/b"),
        (".ssh", "_ssh"),
        ("~", "~"),
    ],
)
def test_folders_of_a_share_stay_below_the_present_one(
    deployment: Deployment, tmp_path: Path, folder: str, expected: str
) -> None:
    """Whatever the server calls them."""
    deployment.files[deployment.keep(b"1", "x")].folder = folder
    link = f"{deployment.url}/#share={jwt_of({'record': 's-1'})}"
    (tmp_path / "here").mkdir()
    assert sluice("get", "--share", link, cwd=tmp_path / "here").exit_code == 0
    assert (tmp_path / "here" / expected / "x").read_bytes() == b"1"
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_a_share_does_not_go_through_links_out_of_the_folder(deployment: Deployment, tmp_path: Path) -> None:
    """A folder of that name may be a link to another place; what else is in the share comes."""
    deployment.files[deployment.keep(b"1", "x")].folder = "away/below"
    deployment.keep(b"2", "y")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "away").symlink_to(tmp_path / "elsewhere")
    done = sluice("get", "--share", f"{deployment.url}/#share={jwt_of({'record': 's-1'})}", cwd=tmp_path / "here")
    assert (done.exit_code, "leads out of" in done.stderr) == (1, True)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (tmp_path / "here" / "y").read_bytes() == b"2"


def test_the_folder_itself_may_be_a_link(deployment: Deployment, tmp_path: Path) -> None:
    """It is what the person named."""
    deployment.files[deployment.keep(b"1", "x")].folder = "a"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to("elsewhere")
    assert sluice("get", "--folder", "a", "-o", "out", api=deployment.url, cwd=tmp_path).exit_code == 0
    assert (tmp_path / "elsewhere" / "a" / "x").read_bytes() == b"1"


def test_a_password_that_nobody_can_be_asked_for(deployment: Deployment) -> None:
    """Without a terminal and --password-stdin that is one sentence; a wrong one is the server's word."""
    deployment.password = "geheim"
    link = f"{deployment.url}/#share={jwt_of({'record': 's-1'})}"
    done = sluice("get", "--share", link)
    assert (done.exit_code, "stdin is no terminal" in done.stderr) == (2, True)


def test_the_links_of_a_share_end(deployment: Deployment, tmp_path: Path) -> None:
    """No record can be asked for another one: the share is opened anew by the same command."""
    deployment.keep(CONTENT)
    deployment.fail("GET .*/content", Fault(403))
    done = sluice("get", "--share", f"{deployment.url}/#share={jwt_of({'record': 's-1'})}", cwd=tmp_path)
    assert done.exit_code == 1
    assert "opens the share anew" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give ids"),
        (["id", "--folder", "a"], "Give ids"),
        (["--folder", "a", "-o", "-"], "one file alone"),
        (["a", "b", "-o", "-"], "one file alone"),
        (["--share", "nonsense"], "no link to a share"),
        (["a", "../b"], "is no id"),
    ],
)
def test_what_does_not_go_together_is_told(arguments: list[str], message: str) -> None:
    """Before anything is sent."""
    done = sluice("--api", "http://127.0.0.1:1", "get", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_nothing_stays_of_what_never_began(deployment: Deployment, tmp_path: Path) -> None:
    """No empty file that the next run would have nothing from."""
    deployment.fail("GET .*/content", *[Fault(410)] * 20)
    assert sluice("get", deployment.keep(CONTENT), api=deployment.url, cwd=tmp_path).exit_code == 1
    assert list(tmp_path.iterdir()) == []
