import asyncio
import json

import pytest

from sluice_client.contract import File, Sluice
from sluice_client.errors import SluiceError
from sluice_client.progress import Meter
from sluice_client.watching import follow
from tests.unit.client.deployment import QUICK, TOKEN, Deployment, Fault


def watched(deployment: Deployment, file_id: str, meter: Meter | None = None) -> File:
    async def run() -> File:
        async with Sluice(deployment.url, TOKEN, QUICK) as sluice:
            return await follow(sluice, await sluice.file(file_id), meter or Meter("file"))

    return asyncio.run(run())


def progress(number: int, hashed: int) -> dict[str, str]:
    data = {"status": "hashing", "received_bytes": 3, "hashed_bytes": hashed, "size": 3}
    return {"id": str(number), "event": "progress", "data": json.dumps(data)}


def test_the_end_comes_with_the_digests(deployment: Deployment) -> None:
    """`ready` is the file as the event has it; the stream needs no token."""
    file_id = deployment.keep(b"abc", status="hashing")
    file = watched(deployment, file_id)
    assert file.status == "ready"
    assert file.digests["md5"] == "900150983cd24fb0d6963f7d28e17f72"
    (seen,) = deployment.requests("GET .*/events")
    assert "authorization" not in seen.headers


def test_a_stream_that_ends_early_is_resumed(deployment: Deployment) -> None:
    """Each further connection begins after the last event heard, wherever the one before was cut."""
    file_id = deployment.keep(b"abc", status="hashing")
    deployment.events.extend([[{"retry": "1"}, progress(5, 1)], [], [progress(6, 2), {"": "a comment"}]])
    assert watched(deployment, file_id).status == "ready"
    heard = [seen.headers.get("last-event-id") for seen in deployment.requests("GET .*/events")]
    assert heard == [None, "5", "5", "6"]


@pytest.mark.parametrize(
    "fault",
    [Fault(503), Fault(403, b"{}"), Fault(200, b"<html>"), Fault(200, b"event: progress\ndata: {no\n\n"), Fault(500)],
)
def test_a_broken_stream_is_no_verdict(deployment: Deployment, fault: Fault) -> None:
    """Whatever comes instead of events, the record is asked and the next link is tried."""
    file_id = deployment.keep(b"abc", status="hashing")
    fault.headers = {"Content-Type": "text/event-stream"} if b"data" in fault.body else {}
    deployment.fail("GET .*/events", fault)
    assert watched(deployment, file_id).status == "ready"


def test_the_record_knows_the_end_too(deployment: Deployment) -> None:
    """Where no event ever gets through, asking between the connections finds the end."""
    file_id = deployment.keep(b"abc", status="hashing")
    deployment.fail("GET .*/events", Fault(502))
    deployment.fail(
        "GET /files/[^/]*",
        Fault(0),
        Fault(200, json.dumps(deployment.document(file_id) | {"status": "ready"}).encode()),
    )
    assert watched(deployment, file_id).status == "ready"
    assert len(deployment.requests("GET .*/events")) == 1


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("failed", r"failed: digest_mismatch \(md5: 00 expected, ff found\)\.$"),
        ("aborted", r"aborted\.$"),
    ],
)
def test_another_end_is_an_error(deployment: Deployment, end: str, message: str) -> None:
    """The error names the state and the record's reason, with both values where they contradict each other."""
    file_id = deployment.keep(b"abc", status="hashing")
    deployment.ends_as = end
    with pytest.raises(SluiceError, match=message):
        watched(deployment, file_id)


def test_events_that_nobody_knows_are_passed_over(deployment: Deployment) -> None:
    """Other names, empty data and pings change nothing."""
    file_id = deployment.keep(b"abc", status="hashing")
    deployment.events.append([{"event": "news", "data": "[]"}, {"": "ping"}, {"id": "9"}, {"event": "progress"}])
    assert watched(deployment, file_id).status == "ready"


def test_progress_reaches_the_meter(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """The bytes hashed are what the person sees."""
    file_id = deployment.keep(b"abc", status="hashing")
    with Meter("file") as meter:
        meter.begin("hash", 3)
        watched(deployment, file_id, meter)
        meter.end()
    assert "hash file: 3 B in" in capsys.readouterr().err
