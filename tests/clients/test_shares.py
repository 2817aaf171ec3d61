"""What programs that nobody here wrote take by a share's link is one download, however they go about it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.test_downloads import run
from tests.integration.conftest import Stack, standing
from tests.integration.journey import MIB, client, ended, upload

DATA = os.urandom(9 * MIB + 1)


@dataclass(frozen=True)
class Shared:
    """A share of one file for one download, as its owner sees it, and a link to the file."""

    owner: httpx.Client
    id: str
    link: str

    def downloads(self) -> int:
        count: int = self.owner.get(f"/shares/{self.id}").json()["downloads"]
        return count


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Started here alone: the one that all tests share is told to linger, and these programs wait."""
    with standing(tmp_path_factory.mktemp("stack")) as up:
        yield up


@pytest.fixture(scope="module")
def owner(stack: Stack) -> Iterator[httpx.Client]:
    with client(stack.api, stack.token) as api:
        yield api


@pytest.fixture(scope="module")
def file(owner: httpx.Client) -> dict[str, Any]:
    return ended(owner, upload(owner, DATA, "random.bin"))


@pytest.fixture(params=["", "&direct=1"], ids=["content", "direct"])
def share(stack: Stack, owner: httpx.Client, file: dict[str, Any], request: pytest.FixtureRequest) -> Shared:
    wanted = {"files": [file["id"]], "expires_in": 600, "max_downloads": 1}
    made = owner.post("/shares", json=wanted).raise_for_status().json()
    with client(stack.api, made["capability"]) as holder:
        (shown,) = holder.post(f"/shares/{made['id']}/open").raise_for_status().json()["files"]
    return Shared(owner, made["id"], f"{shown['links']['content']}{request.param}")


def test_aria2c_takes_one_over_eight_connections(share: Shared, tmp_path: Path) -> None:
    """It may begin with the whole, break that off and go on in ranges."""
    run("aria2c", "-x8", "-s8", "-k1M", "--no-conf", "--no-netrc", f"--dir={tmp_path}", "--out=got", share.link)
    assert (tmp_path / "got").read_bytes() == DATA
    assert share.downloads() == 1


@pytest.mark.parametrize("had", [0, 3 * MIB])
def test_curl_goes_on_with_it(share: Shared, tmp_path: Path, had: int) -> None:
    """`curl -C -`: what is missing of a download that broke, by the link that it began with or by another."""
    got = tmp_path / "got"
    got.write_bytes(DATA[:had])
    run("curl", "-q", "-sSfL", "-C", "-", "-o", str(got), share.link)
    assert got.read_bytes() == DATA
    assert share.downloads() == 1


@pytest.mark.parametrize("had", [0, 3 * MIB])
def test_wget_goes_on_with_it(share: Shared, tmp_path: Path, had: int) -> None:
    """`wget -c`, twice: the second time all is there, and nothing more is taken."""
    got = tmp_path / "got"
    got.write_bytes(DATA[:had])
    for _ in range(2):
        run("wget", "--no-config", "-q", "-c", "-O", str(got), share.link)
        assert got.read_bytes() == DATA
        assert share.downloads() == 1
