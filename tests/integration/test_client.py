"""The `sluice` command against the local stack."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sluice_client.fingerprints import KEY_BYTES, fingerprint
from sluice_client.sources import Source
from tests.integration import journey
from tests.integration.conftest import Stack, standing, thorough
from tests.integration.proxy import flipping, serving

ROOT = Path(__file__).parents[2]
NOWHERE = ("127.0.0.1", 9)  # until the services are up


def sluice(stack: Stack, cwd: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    settings = {"SLUICE_API": stack.api, "SLUICE_TOKEN": stack.token, "PYTHONPATH": str(ROOT / "client")}
    return subprocess.run(
        [sys.executable, "-m", "sluice_client", *arguments],
        cwd=cwd,
        env=os.environ
        | settings
        | {
            "NO_PROXY": "127.0.0.1",
            "XDG_STATE_HOME": str(cwd.parent / "state"),
            "XDG_CONFIG_HOME": str(cwd.parent / "config"),
        }
        | variables,
        capture_output=True,
        check=False,
        timeout=journey.PATIENCE_SECONDS,
    )


@pytest.mark.parametrize("size", [0, 8 * journey.MIB, 20_000_000])
def test_a_file_goes_up_and_comes_back(stack: Stack, tmp_path: Path, size: int) -> None:
    """put prints the line of sha256sum; get brings the same bytes back under the same name."""
    content = journey.random_bytes(size)
    (tmp_path / "Übung 雪.bin").write_bytes(content)
    put = sluice(stack, tmp_path, "put", "--json", "Übung 雪.bin")
    assert put.returncode == 0, put.stderr
    file = json.loads(put.stdout)["file"]
    assert file["digests"] == {
        "sha-256": hashlib.sha256(content).hexdigest(),
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
    }
    (tmp_path / "down").mkdir()
    get = sluice(stack, tmp_path, "get", file["id"], "-o", "down")
    assert get.returncode == 0, get.stderr
    assert (tmp_path / "down" / "Übung 雪.bin").read_bytes() == content


def test_an_upload_is_resumed_and_its_parts_are_compared(stack: Stack, tmp_path: Path) -> None:
    """A part that arrived before and holds other bytes is sent again, and the file is verified."""
    path, state = tmp_path / "file.bin", tmp_path / "state"
    path.write_bytes(journey.random_bytes(20_000_000))
    key = state / "sluice" / "fingerprint-key"
    key.parent.mkdir(parents=True)
    key.write_bytes(os.urandom(KEY_BYTES))
    secret = fingerprint(Source.open(path), key.read_bytes())
    with journey.client(stack.api, stack.token) as api:
        created = journey.create(api, 20_000_000, fingerprint=secret, part_digest="sha-256")
        for number, content in ((1, path.read_bytes()[: 8 * journey.MIB]), (2, bytes(8 * journey.MIB))):
            wanted = {"parts": [{"number": number, "digest": hashlib.sha256(content).hexdigest()}]}
            part = api.post(f"/files/{created['id']}/parts", json=wanted).json()["parts"][0]
            journey.put_parts([part | {"offset": 0}], content)
    put = sluice(stack, tmp_path, "put", "--json", "file.bin", XDG_STATE_HOME=str(state))
    assert put.returncode == 0, put.stderr
    file = json.loads(put.stdout)["file"]
    assert (file["id"], file["verified"]) == (created["id"], True)
    assert file["digests"]["sha-256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("size", [5_000_000, pytest.param(20_000_000, marks=thorough)])
def test_a_bit_that_flips_on_the_way_is_sent_again(tmp_path: Path, size: int) -> None:
    """S3 refuses what a network altered between the command and it; the part goes again, and the file is verified."""
    (tmp_path / "file.bin").write_bytes(journey.random_bytes(size))
    operation = "UploadPart" if size > 8 * journey.MIB else "PutObject"
    with serving(NOWHERE) as network, standing(tmp_path, env={"AWS_ENDPOINT_URL_S3": network.url}) as stack:
        host, port = stack.aws.removeprefix("http://").split(":")
        network.upstream = (host, int(port))
        network.fail(operation, flipping)
        put = sluice(stack, tmp_path, "put", "--json", "file.bin")
    assert put.returncode == 0, put.stderr
    file = json.loads(put.stdout)["file"]
    assert file["verified"]
    assert file["digests"]["sha-256"] == hashlib.sha256((tmp_path / "file.bin").read_bytes()).hexdigest()
    assert len(network.asked(operation)) == (4 if size > 8 * journey.MIB else 2)


def test_files_are_listed_and_removed(stack: Stack, tmp_path: Path) -> None:
    """What was put is in the list, and is not after rm; nor can it be had then."""
    (tmp_path / "a").write_bytes(b"a")
    file_id = json.loads(sluice(stack, tmp_path, "put", "--json", "a").stdout)["file"]["id"]
    ids = [
        json.loads(line)["id"]
        for line in sluice(stack, tmp_path, "ls", "--json", "--status", "ready").stdout.splitlines()
    ]
    assert file_id in ids
    assert sluice(stack, tmp_path, "rm", file_id).returncode == 0
    assert file_id.encode() not in sluice(stack, tmp_path, "ls").stdout
    gone = sluice(stack, tmp_path, "get", file_id)
    assert gone.returncode == 1
    assert b"[file_not_found]" in gone.stderr


def test_what_is_not_ready_is_not_served(stack: Stack, tmp_path: Path) -> None:
    """An upload that was begun has a state and no content."""
    with journey.client(stack.api, stack.token) as api:
        file_id = journey.create(api, 5)["id"]
    get = sluice(stack, tmp_path, "get", file_id)
    assert get.returncode == 1
    assert b"file.bin is uploading" in get.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_servers_words_reach_the_person(stack: Stack, tmp_path: Path) -> None:
    """A filename that the API refuses is told in its own words, with its code."""
    (tmp_path / "new\nline").write_bytes(b"a")
    put = sluice(stack, tmp_path, "put", "new\nline")
    assert put.returncode == 1
    assert b"[invalid_filename]" in put.stderr


@thorough
def test_doors_without_room_are_waited_for(tmp_path: Path) -> None:
    """The gateway's 429 and Lambda's own have no problem in them: files go up and come back all the same."""
    folder, back = tmp_path / "many", tmp_path / "back"
    folder.mkdir()
    back.mkdir()
    contents = {f"{number}.bin": journey.random_bytes(1000 + number) for number in range(6)}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "parts.bin").write_bytes(contents.setdefault("parts.bin", journey.random_bytes(9 * journey.MIB)))
    few = {"ApiRequestsPerSecond": "3", "StreamConcurrency": "1"}
    with standing(tmp_path, parameters=few) as narrow:
        put = sluice(narrow, tmp_path, "put", "-r", "many")
        assert put.returncode == 0, put.stderr
        got = sluice(narrow, back, "get", "--folder", "many")
        assert got.returncode == 0, got.stderr
        with journey.client(narrow.api, narrow.token) as api:
            answers = [api.get("/files") for _ in range(20)]
    assert {path.name: path.read_bytes() for path in back.rglob("*.bin")} == contents
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].json() == {"message": "Too Many Requests"}
