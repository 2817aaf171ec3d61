"""`sluice share`, `drop`, `mv`, `ls`, `export` and `login`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sluice_client.cli import app
from tests.unit.client.deployment import TOKEN, Deployment, Fault
from tests.unit.client.test_cli import environment, process_environment, sluice


def test_a_share_prints_its_link(deployment: Deployment) -> None:
    """And nothing else on stdout; the server learns what was asked for, and no more."""
    done = sluice(
        *(
            "share",
            "id-1",
            "id-2",
            "--expires",
            "2w",
            "--title",
            "T",
            "--max-downloads",
            "3",
            "--owner-name",
            "Alice & Co",
        ),
        api=deployment.url,
    )
    assert done.exit_code == 0
    assert done.stdout.startswith(f"{deployment.url}/#share=")
    assert len(done.stdout.splitlines()) == 1
    assert "Share shares-1: 2 files, 3.0 kB, until 2026-02-03 04:05 UTC." in done.stderr
    wanted = {
        "files": ["id-1", "id-2"],
        "expires_in": 14 * 86_400,
        "title": "T",
        "owner_name": "Alice & Co",
        "max_downloads": 3,
    }
    assert deployment.requests("POST /shares")[0].json() == wanted


def test_a_share_of_a_folder_or_a_drop(deployment: Deployment) -> None:
    """For a week, where nobody says otherwise."""
    assert sluice("share", "--folder", "a/b/", api=deployment.url).exit_code == 0
    assert sluice("share", "make", "--drop", "d", api=deployment.url).exit_code == 0
    week = {"expires_in": 7 * 86_400}
    asked = [seen.json() for seen in deployment.requests("POST /shares")]
    assert asked == [{"folder": "a/b"} | week, {"drop": "d"} | week]
    assert len(sluice("share", "ls", api=deployment.url).stdout.splitlines()) == 2
    assert json.loads(sluice("share", "ls", "--json", api=deployment.url).stdout.splitlines()[0])["id"] == "shares-1"


def test_a_password_comes_by_stdin(deployment: Deployment) -> None:
    """Its first line, and never by the command line, which others can see."""
    done = CliRunner().invoke(
        app,
        ["share", "id", "--password-stdin"],
        input="gehe im\r\nmore\n",
        env=environment(deployment.url, TOKEN),
    )
    assert done.exit_code == 0
    assert deployment.requests("POST /shares")[0].json()["password"] == "gehe im"
    assert "gehe im" not in done.output


def test_a_drop_prints_its_link(deployment: Deployment) -> None:
    """With its rules."""
    arguments = ["--max-files", "5", "--max-size", "1.5M", "--type", "image/*", "--type", ".heic", "--message", "M"]
    arguments += ["--owner-name", "Alice & Co"]
    done = sluice("drop", *arguments, "--expires", "12h", api=deployment.url)
    assert (done.exit_code, done.stdout.startswith(f"{deployment.url}/#drop=")) == (0, True)
    assert deployment.requests("POST /drops")[0].json() == {
        "max_files": 5,
        "max_file_bytes": 1_500_000,
        "content_types": ["image/*", ".heic"],
        "message": "M",
        "owner_name": "Alice & Co",
        "expires_in": 43_200,
    }
    assert "drops-1" in sluice("drop", "ls", api=deployment.url).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["share", "id", "--folder", "a"], "Give ids"),
        (["share", "--title", "T"], "Give ids"),
        (["share", "id", "--expires", "soon"], "no time such as"),
        (["share", "id", "--expires", "7"], "no time such as"),
        (["share", "../x"], "is no id"),
        (["share", "id", "--password"], "stdin is no terminal"),
        (["drop"], "max-files"),
        (["drop", "--max-files", "0"], "max-files"),
        (["mv", "id"], "Give a --name"),
        (["mv", "a", "b", "--name", "c"], "one file alone"),
        (["export", "pdf"], "pdf"),
        (["login", "ftp://x", "--token-stdin"], "no http(s) URL"),
    ],
)
def test_what_does_not_go_together_is_told(arguments: list[str], message: str) -> None:
    """Before anything is sent."""
    done = sluice("--api", "http://127.0.0.1:1", *arguments)
    assert done.exit_code == 2
    assert message in done.output


def test_mv_changes_what_was_named(deployment: Deployment) -> None:
    """A name, a folder, or none."""
    file_id = deployment.keep(b"x", "a")
    assert sluice("mv", file_id, "--name", "b", "--folder", "c/d", api=deployment.url).exit_code == 0
    assert (deployment.files[file_id].filename, deployment.files[file_id].folder) == ("b", "c/d")
    assert "c/d/b" in sluice("ls", api=deployment.url).stdout
    assert sluice("mv", file_id, "--folder", "", api=deployment.url).exit_code == 0
    assert (deployment.files[file_id].filename, deployment.files[file_id].folder) == ("b", None)


def test_ls_asks_for_what_is_wanted(deployment: Deployment) -> None:
    """And prints ids alone, for `xargs`."""
    deployment.files[deployment.keep(b"x")].folder = "f"
    deployment.keep(b"x")
    done = sluice("ls", "-q", "--folder", "f", "--drop", "d", "--name", "n", api=deployment.url)
    assert done.stdout == "file-1\n"
    assert deployment.seen[0].query == {"limit": ["100"], "folder": ["f"], "drop": ["d"], "q": ["n"]}


def test_an_export_is_printed_as_it_comes(deployment: Deployment) -> None:
    """Byte for byte; one that breaks off is an error, whatever was printed."""
    deployment.export = b"\\0123  a\\nb\n" * 1000
    done = sluice("export", "sha256", "--folder", "f", api=deployment.url)
    assert (done.exit_code, done.stdout_bytes) == (0, deployment.export)
    assert deployment.seen[-1].query == {"folder": ["f"]}
    deployment.fail("GET /export", Fault(cut=100))
    done = sluice("export", "sha256", "--folder", "f", api=deployment.url)
    assert (done.exit_code, "not complete" in done.stderr) == (1, True)


def test_login_keeps_what_the_deployment_has_taken(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong token is not kept; the right one opens the deployment without any variable."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    nothing = environment(None, None)

    def login(token: str) -> int:
        arguments = ["login", deployment.url, "--name", "work", "--token-stdin"]
        done = CliRunner().invoke(app, arguments, input=f"{token}\n", env=nothing)
        assert token not in done.output
        return done.exit_code

    assert login("not-this-one") == 1
    assert not (tmp_path / "sluice").exists()
    assert login(TOKEN) == 0
    deployment.keep(b"x", "there")
    assert "there" in sluice("--profile", "work", "ls", token=None).stdout
    assert "there" in sluice("ls", token=None).stdout


def test_the_version_is_told(deployment: Deployment) -> None:
    """Without a deployment, and before httpx is loaded."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "sluice_client", "--version"],
        env=process_environment(deployment, SLUICE_API=""),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout[:7]) == (0, "sluice ")
    assert "httpx" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(shell: str) -> None:
    """The script asks the command itself what there is."""
    variables = {"_SLUICE_COMPLETE": f"complete_{shell}", "COMP_WORDS": "sluice sh", "COMP_CWORD": "1"}
    more = {"_TYPER_COMPLETE_ARGS": "sluice sh", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run(
        [sys.executable, "-c", "from sluice_client.cli import app; app(prog_name='sluice')"],
        env=os.environ | variables | more | {"PYTHONPATH": str(Path(__file__).parents[3] / "client")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "share" in done.stdout, done
