import asyncio
import json
from dataclasses import dataclass, field

import pytest

from sluice_client.contract import Retry, Sluice
from sluice_client.errors import SluiceError, WrongBytes
from sluice_client.progress import Meter
from sluice_client.records import File
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
        ("failed", r"failed: digest_mismatch \(md5: 00 expected, 9001.* found\)\.$"),
        ("aborted", r"aborted\.$"),
    ],
)
def test_another_end_is_an_error(deployment: Deployment, end: str, message: str) -> None:
    """The error names the state and the record's reason, with both values where they contradict each other."""
    file_id = deployment.keep(b"abc", status="hashing")
    deployment.ends_as = end
    if end == "failed":
        deployment.files[file_id].declared = {"md5": "00"}
    with pytest.raises(SluiceError, match=message):
        watched(deployment, file_id)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("digest_mismatch", WrongBytes),
        ("checksum_mismatch", WrongBytes),
        ("size_mismatch", WrongBytes),
        ("unreadable", SluiceError),
    ],
)
def test_other_bytes_are_told_apart_from_other_failures(
    deployment: Deployment, reason: str, kind: type[SluiceError]
) -> None:
    """Whichever comparison failed, other bytes arrived; a failure to read them says nothing about the bytes."""
    file_id = deployment.keep(b"abc", status="hashing")
    failed = deployment.document(file_id) | {"status": "failed", "reason": reason}
    deployment.fail("GET .*/events", Fault(502))
    deployment.fail("GET /files/[^/]*", Fault(0), Fault(200, json.dumps(failed).encode()))
    with pytest.raises(SluiceError, match=reason) as raised:
        watched(deployment, file_id)
    assert type(raised.value) is kind


@pytest.mark.parametrize(("reason", "hint"), [("malware", "Remove it"), ("not_scanned", "with a password")])
def test_what_the_scan_stopped_is_not_to_be_sent_again(deployment: Deployment, reason: str, hint: str) -> None:
    """The same bytes would end in the same way."""
    file_id = deployment.keep(b"abc", status="scanning")
    failed = deployment.document(file_id) | {"status": "failed", "reason": reason}
    deployment.fail("GET .*/events", Fault(502))
    deployment.fail("GET /files/[^/]*", Fault(0), Fault(200, json.dumps(failed).encode()))
    with pytest.raises(SluiceError, match=reason) as raised:
        watched(deployment, file_id)
    assert hint in raised.value.hint


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


@dataclass(frozen=True, slots=True)
class Recording(Retry):
    """Without patience, and with a memory of which failure in a row each was."""

    failures: list[int] = field(default_factory=list)

    def delay(self, failures: int, retry_after: str | None = None) -> float:  # noqa: ARG002 - as Retry has it
        self.failures.append(failures)
        return 0.0


def test_a_stream_that_ends_in_order_is_no_silence(deployment: Deployment) -> None:
    """Without news for minutes the client comes back as soon as it is asked to; only useless streams make it wait."""
    file_id = deployment.keep(b"abc", status="hashing")
    opaque = {"id": "4.8388608:x", "event": "progress", "data": json.dumps({"hashed_bytes": 1})}
    deployment.events.extend([[{"retry": "1"}, opaque], [{"retry": "1"}], [{"retry": "1"}], [], [], [{"retry": "1"}]])
    retry = Recording()

    async def run() -> None:
        async with Sluice(deployment.url, TOKEN, retry) as sluice:
            await follow(sluice, await sluice.file(file_id), Meter("file"))

    asyncio.run(run())
    assert retry.failures == [1, 1, 1, 2, 3, 1]
    heard = [seen.headers.get("last-event-id") for seen in deployment.requests("GET .*/events")]
    assert heard == [None, *["4.8388608:x"] * 6]


TOO_MANY = b'{"type": "urn:sluice:problem:too_many_streams", "status": 429, "code": "too_many_streams"}'
NO_ROOM = b'{"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded."}'


@pytest.mark.parametrize(
    ("body", "headers", "least"),
    [
        (TOO_MANY, {"Content-Type": "application/problem+json", "Retry-After": "10"}, 10.0),
        (NO_ROOM, {"Content-Type": "application/json"}, 0.0),
    ],
)
def test_a_stream_without_room_is_waited_for(
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    body: bytes,
    headers: dict[str, str],
    least: float,
) -> None:
    """The link has too many streams, which says for how long, or Lambda has too many, which does not."""
    waits: list[float] = []

    async def noted(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("sluice_client.watching.asyncio.sleep", noted)
    file_id = deployment.keep(b"abc", status="hashing")
    deployment.fail("GET .*/events", Fault(429, body, headers))
    assert watched(deployment, file_id).status == "ready"
    (wait,) = waits
    assert least <= wait <= max(least, QUICK.longest)
