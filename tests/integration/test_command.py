"""The `sluice` command with folders, streams and names, against the local stack."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.integration import journey
from tests.integration.conftest import Stack, thorough
from tests.integration.test_client import ROOT, sluice


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder of files of every way in, and of names that are hard to put into a path."""
    root = tmp_path / f"tree {os.urandom(4).hex()}"
    for name, size in (("a", 0), ("b/small ?#%41 雪.txt", 1000), ("b/c/single", 5_000_000), ("b/c/parts", 9_000_000)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(journey.random_bytes(size))
    return root


def test_a_folder_goes_up_and_comes_back(stack: Stack, tree: Path) -> None:
    """With its folders; all of it verified; a second run sends nothing, not from another machine either."""
    cwd = tree.parent
    put = sluice(stack, cwd, "put", "-r", "--json", tree.name)
    assert put.returncode == 0, put.stderr
    files = [json.loads(line)["file"] for line in put.stdout.splitlines()]
    assert all(file["verified"] for file in files)
    assert {f"{file['folder']}/{file['filename']}" for file in files} == {
        f"{tree.name}/{name}" for name in ("a", "b/small ?#%41 雪.txt", "b/c/single", "b/c/parts")
    }
    for variables in ({}, {"XDG_STATE_HOME": str(cwd / "elsewhere")}):
        again = sluice(stack, cwd, "put", "-r", "--json", tree.name, **variables)
        assert again.returncode == 0, again.stderr
        assert all(json.loads(line)["already_there"] for line in again.stdout.splitlines())
    get = sluice(stack, cwd, "get", "--folder", tree.name, "-o", "back")
    assert get.returncode == 0, get.stderr
    found = {path.relative_to(cwd / "back"): path.read_bytes() for path in (cwd / "back").rglob("*") if path.is_file()}
    assert found == {path.relative_to(cwd): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def test_a_stream_of_unknown_size_becomes_a_verified_file(stack: Stack, tmp_path: Path) -> None:
    """Two parts and a rest come through a pipe."""
    content = journey.random_bytes(17_000_000)
    reader, writer = os.pipe()

    def write() -> None:
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(content)

    thread = threading.Thread(target=write)
    thread.start()
    settings = {"SLUICE_API": stack.api, "SLUICE_TOKEN": stack.token, "PYTHONPATH": str(ROOT / "client")}
    put = subprocess.run(
        [sys.executable, "-m", "sluice_client", "put", "-", "--name", "stream.bin", "--json"],
        env=os.environ | settings | {"NO_PROXY": "127.0.0.1", "XDG_STATE_HOME": str(tmp_path)},
        stdin=reader,
        capture_output=True,
        check=False,
    )
    os.close(reader)
    thread.join()
    assert put.returncode == 0, put.stderr
    file = json.loads(put.stdout)["file"]
    assert (file["size"], file["verified"]) == (len(content), True)
    assert file["digests"]["sha-256"] == hashlib.sha256(content).hexdigest()


@thorough
def test_a_little_file_that_is_put_twice_is_stored_once(stack: Stack, tmp_path: Path) -> None:
    """Even where this machine has forgotten that it did; --again makes another file of it."""
    (tmp_path / "a").write_bytes(os.urandom(100))

    def put(*more: str) -> str:
        done = sluice(stack, tmp_path, "put", "--json", "a", *more)
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["file"]["id"])

    first = put()
    (tmp_path.parent / "state" / "sluice" / "uploaded.sqlite").unlink()
    assert put() == first
    assert put("--again") != first
    assert sluice(stack, tmp_path, "rm", first).returncode == 0
    (tmp_path.parent / "state" / "sluice" / "uploaded.sqlite").unlink()
    assert put() != first


@thorough
def test_a_file_is_renamed(stack: Stack, tmp_path: Path) -> None:
    """And found under its new name and folder."""
    (tmp_path / "a").write_bytes(b"a")
    file_id = json.loads(sluice(stack, tmp_path, "put", "--json", "a", "--again").stdout)["file"]["id"]
    folder = f"moved {file_id}"
    moved = sluice(stack, tmp_path, "mv", file_id, "--name", "b.txt", "--folder", folder)
    assert moved.returncode == 0, moved.stderr
    assert sluice(stack, tmp_path, "ls", "-q", "--folder", folder).stdout.decode().split() == [file_id]
    assert b"b.txt" in sluice(stack, tmp_path, "ls", "--name", "B.TXT", "--folder", folder).stdout


@thorough
def test_a_large_download_is_gone_on_with(stack: Stack, tmp_path: Path) -> None:
    """From S3 by ranges, after what an earlier run left; and anew, where that is of something else."""
    content = journey.random_bytes(20_000_000)
    (tmp_path / "file").write_bytes(content)
    file_id = json.loads(sluice(stack, tmp_path, "put", "--json", "file").stdout)["file"]["id"]
    for left in (content[:9_999_999], b"x" * 9_999_999):
        (tmp_path / f".sluice-{file_id}.part").write_bytes(left)
        get = sluice(stack, tmp_path, "get", file_id, "-o", "back", "--force")
        assert get.returncode == 0, get.stderr
        assert (tmp_path / "back").read_bytes() == content
        assert b"10.0 MB of it was there already" in get.stderr
    assert not list(tmp_path.glob(".sluice*"))
