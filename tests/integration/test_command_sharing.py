"""The `sluice` command hands files on: shares, archives, exports, against the local stack."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.integration import journey
from tests.integration.conftest import Stack, thorough
from tests.integration.test_client import ROOT, sluice


@pytest.fixture
def folder(stack: Stack, tmp_path: Path) -> Path:
    """A folder that was put: its name is its folder at the server."""
    root = tmp_path / f"given {os.urandom(4).hex()}"
    for name, size in (("a.txt", 1000), ("b/c.bin", 7_000_000)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(journey.random_bytes(size))
    put = sluice(stack, tmp_path, "put", "-r", "-q", root.name)
    assert put.returncode == 0, put.stderr
    return root


def test_a_share_reaches_somebody_without_an_account(stack: Stack, tmp_path: Path, folder: Path) -> None:
    """By its link and its password alone, until it is ended."""
    settings = {"SLUICE_API": stack.api, "SLUICE_TOKEN": stack.token, "PYTHONPATH": str(ROOT / "client")}
    theirs = {
        "SLUICE_API": "",
        "SLUICE_TOKEN": "",
        "XDG_CONFIG_HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT / "client"),
    }

    def run(variables: dict[str, str], *arguments: str, said: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sluice_client", *arguments, "--password-stdin"],
            env=os.environ | variables | {"NO_PROXY": "127.0.0.1"},
            cwd=tmp_path,
            input=f"{said}\n",
            text=True,
            capture_output=True,
            check=False,
        )

    made = run(settings, "share", "--folder", folder.name, "--json", said="geheim")
    assert made.returncode == 0, made.stderr
    share = json.loads(made.stdout)
    link = share["links"]["page"]
    wrong = run(theirs, "get", "--share", link, "-o", "got", said="falsch")
    assert (wrong.returncode, "[wrong_password]" in wrong.stderr) == (1, True)
    got = run(theirs, "get", "--share", link, "-o", "got", said="geheim")
    assert got.returncode == 0, got.stderr
    back = tmp_path / "got" / folder.name
    assert (back / "a.txt").read_bytes() == (folder / "a.txt").read_bytes()
    assert (back / "b" / "c.bin").read_bytes() == (folder / "b" / "c.bin").read_bytes()
    assert sluice(stack, tmp_path, "share", "rm", share["id"]).returncode == 0
    ended = run(theirs, "get", "--share", link, "-o", "more", said="geheim")
    assert (ended.returncode, "[share_not_found]" in ended.stderr) == (1, True)


@thorough
def test_a_drop_is_listed_until_it_is_ended(stack: Stack, tmp_path: Path) -> None:
    """Its link is told once."""
    made = sluice(stack, tmp_path, "drop", "--max-files", "2", "--title", "T", "--json")
    assert made.returncode == 0, made.stderr
    drop = json.loads(made.stdout)
    assert "/#drop=" in drop["links"]["page"]
    assert drop["id"].encode() in sluice(stack, tmp_path, "drop", "ls").stdout
    assert sluice(stack, tmp_path, "drop", "rm", drop["id"]).returncode == 0


def test_a_folder_comes_as_one_zip(stack: Stack, tmp_path: Path, folder: Path) -> None:
    """In which every file has its bytes."""
    get = sluice(stack, tmp_path, "get", "--folder", folder.name, "--archive", "-o", "all.zip")
    assert get.returncode == 0, get.stderr
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.read(f"{folder.name}/b/c.bin") == (folder / "b" / "c.bin").read_bytes()
        assert len(archive.namelist()) == 2


def test_an_export_is_what_sha256sum_checks(stack: Stack, tmp_path: Path, folder: Path) -> None:
    """With the folders, as they are here."""
    export = sluice(stack, tmp_path, "export", "sha256", "--folder", folder.name)
    assert export.returncode == 0, export.stderr
    checked = subprocess.run(["sha256sum", "-c"], cwd=tmp_path, input=export.stdout, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert len(checked.stdout.splitlines()) == 2
