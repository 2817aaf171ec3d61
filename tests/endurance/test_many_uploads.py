"""Fifty uploads of twenty parts at once, through the whole local stack."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from sluice.limits import KIB, MIB
from tests.integration import journey
from tests.integration.conftest import ROOT, Running, options, running, thorough
from tests.integration.test_local_endings import alive, descendants
from tests.integration.world import digests

pytestmark = thorough

UPLOADS, PARTS, WAVES = 50, 20, 2  # the first wave warms up
PART_BYTES = 64 * KIB
SIZE = PARTS * PART_BYTES - 17
# What an API process may be larger by, after the later waves, than the largest was after the first: its share of a
# wave is 1,000 parts of 62 MiB in all. Nearly 2 MiB have been seen, where one came to run some code for the first time.
GROWTH_BYTES = 4 * MIB
PATIENCE_SECONDS = 300
PATHS = (Path(__file__).parent / "small_parts", ROOT, ROOT / "layers" / "core", ROOT / "layers" / "streaming_runtime")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Running]:
    paths = os.pathsep.join(map(str, PATHS))
    arguments = options("--env", {"PYTHONPATH": paths})
    with running(tmp_path / "log", *arguments, module="local.up", S3_UPLOAD_PART_MIN_SIZE="1") as up:
        yield up


def memory(up: Running) -> dict[int, int]:
    """The proportional set size of each environment of the API function, in bytes: https://docs.kernel.org/filesystems/proc.html"""
    processes = alive(descendants(up.process.pid))
    environments = [pid for pid, arguments in processes.items() if "functions.api" in arguments]
    return {pid: pss(pid) for pid in environments}


def pss(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (kib,) = (line.split()[1] for line in lines if line.startswith("Pss:"))
    return int(kib) * KIB


def upload(up: Running, data: bytes) -> str:
    """The id of the file, completed."""
    with journey.client(up.ready["api"], up.ready["token"]) as api:
        created = journey.create(api, len(data))
        assert (created["mode"], created["part_count"]) == ("multipart", PARTS)
        journey.put_parts(created["parts"], data)
        answer = api.post(f"/files/{created['id']}/complete")
        assert answer.status_code == 202, answer.text
        return str(created["id"])


def ended(api: httpx.Client) -> dict[str, dict[str, str]]:
    """The digests of all files by id, once none is at work any more."""
    late = time.monotonic() + PATIENCE_SECONDS
    while True:
        page = api.get("/files", params={"limit": 100}).json()
        files: list[dict[str, Any]] = page["items"]
        while page["next"]:
            page = api.get("/files", params={"limit": 100, "cursor": page["next"]}).json()
            files += page["items"]
        working = {file["status"] for file in files} & {"uploading", "assembling", "hashing"}
        if not working:
            assert {file["status"] for file in files} == {"ready"}
            return {file["id"]: file["digests"] for file in files}
        assert time.monotonic() < late, working
        time.sleep(0.2)


def test_fifty_uploads_of_twenty_parts_at_once(stack: Running) -> None:
    """All become ready with the right digests, and no process of the API outgrows those of the first wave."""
    expected: dict[str, dict[str, str]] = {}
    sizes: list[dict[int, int]] = []
    with (
        ThreadPoolExecutor(UPLOADS) as clients,
        journey.client(stack.ready["api"], stack.ready["token"]) as api,
    ):
        for _ in range(WAVES):
            contents = [journey.random_bytes(SIZE) for _ in range(UPLOADS)]
            ids = list(clients.map(lambda data: upload(stack, data), contents))
            expected |= {file_id: digests(data) for file_id, data in zip(ids, contents, strict=True)}
            found = ended(api)
            assert {file_id: found[file_id] | known for file_id, known in expected.items()} == found
            sizes.append(memory(stack))
    assert len(expected) == WAVES * UPLOADS
    first, last = sizes[0], sizes[-1]
    assert first.keys() <= last.keys()
    # Not each with what it was itself: one that had only begun to import when the first wave ended grows by 50 MiB.
    assert max(last.values()) - max(first.values()) < GROWTH_BYTES
