"""The whole journey over the real template: upload, event, hash, progress, download; alone and in a crowd."""

import hashlib
import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration import journey
from tests.integration.conftest import ROOT, Stack, thorough
from tests.integration.journey import MIB

CLIENTS = 8


def travel(stack: Stack, size: int) -> str:
    """Upload, watch and download; the state that the watcher saw last."""
    data = journey.random_bytes(size)
    with journey.client(stack.api, stack.token) as api:
        file = journey.create(api, size)
        watcher = journey.events(file["links"]["events"])
        next(watcher)
        journey.put_parts(file["parts"], data)
        assert api.post(f"/files/{file['id']}/complete").status_code == 202
        *_, last = watcher
        assert last.data["digests"]["sha-256"] == hashlib.sha256(data).hexdigest()
        # That of an empty file is a redirect.
        patient: Any = {"timeout": journey.PATIENCE_SECONDS, "trust_env": False, "follow_redirects": True}
        back = httpx.get(file["links"]["content"], **patient)
        assert back.content == data
        return last.name


@thorough
def test_clients_at_once_all_verify(stack: Stack) -> None:
    """Uploading, watching and downloading 8 MiB and a byte each at the same time, they get their bytes back."""
    with ThreadPoolExecutor(CLIENTS) as clients:
        ends = list(clients.map(lambda _: travel(stack, 8 * MIB + 1), range(CLIENTS)))
    assert ends == ["ready"] * CLIENTS


@pytest.mark.parametrize("size", [0, 1, 8 * MIB, 8 * MIB + 1, pytest.param(16 * MIB, marks=thorough)])
def test_every_shape_of_file_travels(stack: Stack, size: int) -> None:
    """An empty file, one byte, a full single PUT, one byte more and whole parts only come back as they were sent."""
    assert travel(stack, size) == "ready"


def test_nothing_secret_is_logged(stack: Stack) -> None:
    """Neither an access token nor a capability nor a presigned signature ever appears in the stack's log."""
    assert travel(stack, 10) == "ready"
    with journey.client(stack.api, "a-wrong-token") as nobody:
        nobody.get("/files")
    log = stack.log.read_text()
    assert "verdict" in log
    for secret in (stack.token, stack.other_token, "a-wrong-token", "capability=", "X-Amz-Signature"):
        assert secret not in log


def test_everything_listens_on_loopback_alone(stack: Stack) -> None:
    """The doors and the AWS services are bound to 127.0.0.1."""
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
    bound = {int(port, 16): address for address, port in (line.split()[1].split(":") for line in listening)}
    for url in (stack.api, stack.stream, stack.aws):
        assert bound[urlsplit(url).port or 0] == "0100007F"


@pytest.mark.parametrize("size", [pytest.param("20000000", marks=thorough), "1000"])
def test_readme_shows_an_upload_with_curl_alone(stack: Stack, tmp_path: Path, size: str) -> None:
    """The README's curl lines, run as they stand, upload, watch and take back a file; and a small one as well."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (script,) = [block for block in blocks if "curl -sf" in block]
    known = f"API={shlex.quote(stack.api)} TOKEN={shlex.quote(stack.token)}"
    done = subprocess.run(
        ["bash", "-eu", "-c", f"{known}\n{script.replace('20000000', size)}"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "event: ready" in done.stdout
    assert (tmp_path / "back.bin").read_bytes() == (tmp_path / "big.bin").read_bytes()
