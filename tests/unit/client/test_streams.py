import asyncio
import hashlib
import os
import threading
from pathlib import Path

import pytest

from sluice_client import streams, uploads
from sluice_client.contract import Sluice
from sluice_client.errors import Problem
from sluice_client.progress import Meter
from sluice_client.sources import Label
from sluice_client.uploads import Uploaded, Uploads
from tests.unit.client.deployment import QUICK, TOKEN, Deployment, Fault

CONTENT = os.urandom(10_500)


@pytest.fixture(autouse=True)
def small_scale(monkeypatch: pytest.MonkeyPatch, deployment: Deployment) -> None:
    """In bytes instead of mebibytes: two parts of 1,000, two of 2,000, two of 4,000 ..."""
    monkeypatch.setattr(uploads, "WHOLE_BYTES", 100)
    for module in (uploads, streams):
        monkeypatch.setattr(module, "SMALL_BYTES", 1000)
    monkeypatch.setattr(streams, "PART_BYTES", 1000)
    monkeypatch.setattr(streams, "STEP", 2)
    deployment.single_bytes = 1000


def put(deployment: Deployment, content: bytes, piece: int = 700) -> Uploaded:
    """What comes through a pipe in pieces."""
    reader, writer = os.pipe()

    def write() -> None:
        with os.fdopen(writer, "wb", buffering=0) as pipe:
            pipe.writelines(content[offset : offset + piece] for offset in range(0, len(content), piece))

    async def run() -> Uploaded:
        async with Sluice(deployment.url, TOKEN, QUICK) as sluice:
            label = Label.of(Path("-"), name="a.bin", folder="f")
            return await streams.put(
                Uploads(sluice, connections=2), reader, label, Meter("a.bin"), names=("sha-256", "md5")
            )

    thread = threading.Thread(target=write)
    thread.start()
    try:
        return asyncio.run(run())
    finally:
        os.close(reader)
        thread.join()


@pytest.mark.parametrize("size", [0, 1, 100, 101, 999, 1000, 1001, 2000, 10_000, 10_500])
def test_all_that_comes_arrives(deployment: Deployment, size: int) -> None:
    """Whatever its size, as one file with name and folder, verified by the digests of the whole and of each part."""
    done = put(deployment, CONTENT[:size])
    file = deployment.files[done.file.id]
    assert (file.content, file.size, file.filename, file.folder) == (CONTENT[:size], size, "a.bin", "f")
    assert done.digests["sha-256"] == hashlib.sha256(CONTENT[:size]).hexdigest()
    assert done.file.verified


def test_parts_grow(deployment: Deployment) -> None:
    """So that ten thousand of them hold a lot; each but the last is full."""
    put(deployment, CONTENT)
    (created,) = deployment.requests("POST /files")
    assert created.json()["size"] is None
    assert {n: len(body) for n, body in deployment.files["file-1"].parts.items()} == {
        1: 1000,
        2: 1000,
        3: 2000,
        4: 2000,
        5: 4000,
        6: 500,
    }
    (completed,) = deployment.requests("POST .*/complete")
    assert completed.json()["size"] == 10_500
    assert [part["number"] for part in completed.json()["parts"]] == [1, 2, 3, 4, 5, 6]


def test_ten_thousand_parts_hold_tebibytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of at most 4 GiB each, which S3 takes; up to 500 GiB none is larger than what may be in memory."""
    monkeypatch.undo()
    sizes = [streams.part_size(number) for number in range(1, streams.MAX_PARTS + 1)]
    assert sum(sizes) >= 7.8 * 2**40
    assert max(sizes) <= 5 * 2**30
    assert sum(size for size in sizes if size <= uploads.HELD_BYTES) >= 490 * 2**30


def test_what_breaks_off_is_given_up(deployment: Deployment) -> None:
    """Nobody can send it again from there, so the server need not keep it."""
    deployment.fail("PUT /s3/.*/3", Fault(404, b"<Error><Code>NoSuchUpload</Code></Error>"))
    with pytest.raises(Problem):
        put(deployment, CONTENT)
    assert deployment.gone == {"file-1"}
