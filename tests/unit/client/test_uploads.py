import asyncio
import hashlib
import os
import threading
from pathlib import Path

import pytest

from sluice_client import uploads
from sluice_client.contract import Sluice
from sluice_client.errors import Problem, SluiceError, Unverified
from sluice_client.progress import Meter
from sluice_client.sources import Source
from sluice_client.uploads import Uploaded
from tests.unit.client.deployment import QUICK, TOKEN, Deployment, Fault

CONTENT = os.urandom(10_500)  # eleven parts of the deployment's 1,000 bytes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(CONTENT)
    return path


def put(deployment: Deployment, path: Path, connections: int = 3, meter: Meter | None = None) -> Uploaded:
    async def run() -> Uploaded:
        async with Sluice(deployment.url, TOKEN, QUICK) as sluice:
            source = Source.open(path)
            return await uploads.put(sluice, source, meter or Meter("file"), connections, ("sha-256", "md5"))

    return asyncio.run(run())


def sent(deployment: Deployment) -> list[int]:
    """The numbers of the parts that were sent, in order."""
    return sorted(int(seen.path.rpartition("/")[2]) for seen in deployment.requests("PUT /s3/.*"))


@pytest.mark.parametrize("size", [0, 1, 1000, 1001, 10_500])
def test_every_byte_arrives_once(deployment: Deployment, path: Path, size: int) -> None:
    """Each part is its slice, with its length and the headers that were signed, without the token."""
    os.truncate(path, size)
    file = put(deployment, path).file
    assert deployment.files[file.id].content == CONTENT[:size]
    assert file.digests["sha-256"] == hashlib.sha256(CONTENT[:size]).hexdigest()
    assert sent(deployment) == list(range(1, max(1, -(-size // 1000)) + 1))
    for seen in deployment.requests("PUT /s3/.*"):
        number = int(seen.path.rpartition("/")[2])
        assert seen.headers["content-length"] == str(min(1000, size - (number - 1) * 1000))
        assert "transfer-encoding" not in seen.headers
        assert seen.headers["x-amz-test"] == str(number)
        assert "authorization" not in seen.headers


def test_the_server_learns_what_the_file_is(deployment: Deployment, path: Path) -> None:
    """Name, size, type and fingerprint go with the first call."""
    file = deployment.files[put(deployment, path).file.id]
    assert (file.filename, file.size, file.content_type) == ("file.bin", len(CONTENT), "application/octet-stream")
    assert file.fingerprint == Source.open(path).fingerprint


def test_parts_go_in_parallel_and_no_more_than_asked(deployment: Deployment, path: Path) -> None:
    """With three connections three bodies are under way at once, never four."""
    deployment.gate = threading.Event()

    def open_gate_when_full() -> None:
        with deployment.full:
            assert deployment.full.wait_for(lambda: deployment.in_flight == 3, timeout=30)
        assert deployment.gate
        deployment.gate.set()

    opener = threading.Thread(target=open_gate_when_full)
    opener.start()
    put(deployment, path, connections=3)
    opener.join()
    assert deployment.most_in_flight == 3


def test_what_has_arrived_is_not_sent_again(deployment: Deployment, path: Path) -> None:
    """The next run resumes an upload that broke off: only parts that are missing or of a wrong size go."""
    deployment.fail("PUT /s3/.*/7", *[Fault(503)] * QUICK.attempts)
    with pytest.raises(Problem, match="503") as raised:
        put(deployment, path, connections=1)
    assert "again" in raised.value.hint
    assert sorted(deployment.files["file-1"].parts) == [1, 2, 3, 4, 5, 6]
    deployment.files["file-1"].parts[2] = b"short"
    deployment.seen.clear()
    assert put(deployment, path).file.id == "file-1"
    assert sent(deployment) == [2, 7, 8, 9, 10, 11]
    assert deployment.files["file-1"].content == CONTENT


def test_parts_that_were_not_listed_at_first_are_signed_in_batches(deployment: Deployment, path: Path) -> None:
    """More parts than the first answer lists: the rest is asked for, and what of it has arrived is skipped."""
    deployment.listed_parts = 4
    deployment.fail("PUT /s3/.*/9", *[Fault(503)] * QUICK.attempts)
    with pytest.raises(Problem):
        put(deployment, path, connections=1)
    deployment.seen.clear()
    put(deployment, path)
    assert sent(deployment) == [9, 10, 11]
    assert deployment.files["file-1"].content == CONTENT


def test_a_large_upload_asks_for_a_hundred_parts_at_a_time(deployment: Deployment, tmp_path: Path) -> None:
    """250 parts: URLs are signed as they are needed, not all at once."""
    deployment.part_size, deployment.listed_parts = 10, 100
    path = tmp_path / "file"
    path.write_bytes(os.urandom(2500))
    put(deployment, path, connections=2)
    asked = [seen.query["numbers"] for seen in deployment.requests("GET .*/parts")]
    assert asked == [["101-200"], ["201-250"]]
    assert deployment.files["file-1"].content == path.read_bytes()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(503, headers={"Retry-After": "0"}),
        Fault(500),
        Fault(400, b"<Error><Code>RequestTimeout</Code></Error>"),
        Fault(409, b"<Error><Code>ConditionalRequestConflict</Code></Error>"),
    ],
)
def test_a_part_that_fails_is_sent_again(deployment: Deployment, path: Path, fault: Fault) -> None:
    """What passes is tried again, to the same URL."""
    deployment.fail("PUT /s3/.*/2", fault, fault)
    assert deployment.files[put(deployment, path).file.id].content == CONTENT
    tries = deployment.requests("PUT /s3/.*/2")
    assert len(tries) == 3
    assert len({seen.query["signature"][0] for seen in tries}) == 1


@pytest.mark.parametrize("fault", [Fault(403), Fault(400, b"<Error><Code>ExpiredToken</Code></Error>")])
def test_an_expired_url_is_signed_again(deployment: Deployment, path: Path, fault: Fault) -> None:
    """The part goes to a fresh URL; the others keep theirs."""
    deployment.fail("PUT /s3/.*/2", fault)
    assert deployment.files[put(deployment, path).file.id].content == CONTENT
    assert [seen.query["numbers"] for seen in deployment.requests("GET .*/parts")] == [["2"]]
    assert len({seen.query["signature"][0] for seen in deployment.requests("PUT /s3/.*/2")}) == 2


def test_a_put_whose_answer_was_lost_has_arrived(deployment: Deployment, path: Path) -> None:
    """412 of a URL that works once says that the bytes are there already."""
    deployment.once = True
    deployment.fail("PUT /s3/.*/1", Fault(lost=True))
    file = put(deployment, path).file
    assert deployment.files[file.id].content == CONTENT
    assert sent(deployment).count(1) == 2


def test_a_403_that_stays_is_believed(deployment: Deployment, path: Path) -> None:
    """Fresh URLs that are refused as well end the upload with S3's own code."""
    denied = Fault(403, b"<Error><Code>AccessDenied</Code></Error>")
    deployment.fail("PUT /s3/.*/2", *[denied] * 20)
    with pytest.raises(Problem) as raised:
        put(deployment, path)
    assert raised.value.code == "AccessDenied"


def test_a_refusal_stops_the_other_parts(deployment: Deployment, path: Path) -> None:
    """An upload that is gone from S3 fails at once with the reason; nothing is completed."""
    deployment.fail("PUT /s3/.*/1", Fault(404, b"<Error><Code>NoSuchUpload</Code></Error>"))
    with pytest.raises(Problem) as raised:
        put(deployment, path, connections=1)
    assert raised.value.code == "NoSuchUpload"
    assert sent(deployment) == [1]
    assert not deployment.requests("POST .*/complete")


def test_a_completion_that_outlasts_its_answer_is_followed(deployment: Deployment, path: Path) -> None:
    """When every answer to `complete` timed out but the record says it is under way, its events are waited for."""

    class Assembling(Meter):
        def end(self) -> float:
            deployment.files["file-1"].status = "assembling"
            return super().end()

    deployment.fail("POST .*/complete", *[Fault(504)] * QUICK.attempts)
    assert put(deployment, path, meter=Assembling("file")).file.status == "ready"


def test_a_completion_that_never_began_is_an_error(deployment: Deployment, path: Path) -> None:
    """When the record says that nothing happened, the upload failed."""
    deployment.fail("POST .*/complete", *[Fault(504)] * QUICK.attempts)
    with pytest.raises(Problem, match="504"):
        put(deployment, path)


def test_other_bytes_at_the_server_are_noticed(deployment: Deployment, path: Path) -> None:
    """The server's sha-256 must be the local file's; else the error says how to remove what is there."""
    deployment.wrong_digest = True
    with pytest.raises(Unverified, match="other bytes") as raised:
        put(deployment, path)
    assert "sluice rm file-1" in raised.value.hint


@pytest.mark.parametrize("size", [500, 10_500])
def test_a_file_that_changes_meanwhile_is_not_completed(deployment: Deployment, path: Path, size: int) -> None:
    """A change between two parts, or after the last, ends the upload, and what was sent is removed."""
    os.truncate(path, size)

    class Writing(Meter):
        def advance(self, count: int) -> None:
            super().advance(count)
            path.write_bytes(b"another content")

    with pytest.raises(Unverified, match="changed"):
        put(deployment, path, meter=Writing("file"))
    assert not deployment.requests("POST .*/complete")
    assert not deployment.files


def test_a_failed_verdict_is_an_error(deployment: Deployment, path: Path) -> None:
    """What the server gave up is told with its reason."""
    deployment.ends_as = "failed"
    with pytest.raises(SluiceError, match="failed: digest_mismatch"):
        put(deployment, path)


def test_progress_never_counts_a_byte_twice(deployment: Deployment, path: Path) -> None:
    """Bytes of a part that failed are taken back: at the end the count is the size."""
    counts: list[int] = []

    class Counting(Meter):
        def advance(self, count: int) -> None:
            counts.append(count)

    deployment.fail("PUT /s3/.*/2", Fault(503), Fault(403))
    put(deployment, path, meter=Counting("file"))
    assert sum(counts) == len(CONTENT)
    assert min(counts) == -1000
