"""What a share's links give to programs that nobody here wrote: its files, and all of them as one archive."""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.programs import run
from tests.integration.conftest import Stack
from tests.integration.journey import MIB, client, ended, upload

FILES = {
    "a.txt": b"a" * 100_000,
    "empty": b"",
    "con.txt": b"a device to Windows",
    "sunrise \N{SUNRISE OVER MOUNTAINS}.bin": os.urandom(300_000),
    "large.bin": os.urandom(3 * MIB),
}
READ = """
import sys
from remotezip import RemoteZip
with RemoteZip(sys.argv[1]) as archive:
    sys.stdout.buffer.write(archive.read(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def folder(stack: Stack) -> str:
    """A folder with all of them, ready."""
    with client(stack.api, stack.token) as api:
        for name, data in FILES.items():
            assert ended(api, upload(api, data, name, folder="programs/in"))["status"] == "ready"
    return "programs"


def opened(stack: Stack, **wanted: Any) -> dict[str, Any]:
    """A new share as its holder sees it."""
    with client(stack.api, stack.token) as api:
        share = api.post("/shares", json={"expires_in": 3600, **wanted}).raise_for_status().json()
    with client(stack.api, share["capability"]) as holder:
        seen: dict[str, Any] = holder.post(f"/shares/{share['id']}/open").raise_for_status().json()
    return seen


@pytest.fixture(scope="module")
def archive(stack: Stack, folder: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As curl takes it by the share's link."""
    path = tmp_path_factory.mktemp("archive") / "all.zip"
    run("curl", "-q", "-sSfL", "-o", str(path), opened(stack, folder=folder)["links"]["archive"])
    return path


def unpacked(where: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (where / "programs" / "in").iterdir()}


def test_unzip_tests_and_unpacks_it(archive: Path, tmp_path: Path) -> None:
    """Info-ZIP's, which most systems have."""
    assert b"No errors detected" in run("unzip", "-t", str(archive))
    run("unzip", "-q", str(archive), "-d", str(tmp_path))
    assert unpacked(tmp_path) == FILES


def test_bsdtar_unpacks_it(archive: Path, tmp_path: Path) -> None:
    """libarchive's, which macOS and Windows have."""
    run("bsdtar", "-xf", str(archive), "-C", str(tmp_path))
    assert unpacked(tmp_path) == FILES


def test_7z_tests_and_unpacks_it(archive: Path, tmp_path: Path) -> None:
    """7-Zip's."""
    run("7z", "t", str(archive))
    run("7z", "x", f"-o{tmp_path}", str(archive))
    assert unpacked(tmp_path) == FILES


@pytest.mark.parametrize("name", FILES)
def test_remotezip_takes_one_file_by_ranges(stack: Stack, folder: str, name: str) -> None:
    """Only the directory, and the bytes of that file."""
    url = opened(stack, folder=folder)["links"]["archive"]
    out = run(sys.executable, "-c", READ, url, f"programs/in/{name}")
    assert out == FILES[name]


def test_aria2c_counts_once(stack: Stack, folder: str, tmp_path: Path) -> None:
    """Eight connections with a range each are one download, the last that there is; the next one is refused."""
    seen = opened(stack, folder=folder, max_downloads=1)
    url = next(file["links"]["content"] for file in seen["files"] if file["filename"] == "large.bin")
    run("aria2c", "-x8", "-s8", "-k1M", "--no-conf", "--no-netrc", f"--dir={tmp_path}", "--out=got", url)
    digest = hashlib.sha256((tmp_path / "got").read_bytes()).digest()
    assert digest == hashlib.sha256(FILES["large.bin"]).digest()
    again = httpx.get(url, trust_env=False)
    assert (again.status_code, again.json()["code"]) == (403, "share_used_up")


@pytest.mark.parametrize("had", [1, MIB])
def test_curl_goes_on_with_an_archive(stack: Stack, folder: str, tmp_path: Path, archive: Path, had: int) -> None:
    """Each share of the same files has the same archive, byte for byte."""
    (tmp_path / "got").write_bytes(archive.read_bytes()[:had])
    url = opened(stack, folder=folder)["links"]["archive"]
    run("curl", "-q", "-sSfL", "-C", "-", "-o", str(tmp_path / "got"), url)
    assert (tmp_path / "got").read_bytes() == archive.read_bytes()
