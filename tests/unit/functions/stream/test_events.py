from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from botocore.stub import Stubber
from fastapi.sse import ServerSentEvent

from functions.stream import events
from functions.stream.events import follow
from sluice.files import File, Files, Status, _to_item
from sluice.objects import Objects
from tests.unit.core.records import a_file, client

DYNAMODB, S3 = client("dynamodb"), client("s3")
FILES, OBJECTS = Files(DYNAMODB, "the-table"), Objects(S3, "the-bucket")


@pytest.fixture(autouse=True)
def dynamodb() -> Iterator[Stubber]:
    with Stubber(DYNAMODB) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture(autouse=True)
def s3() -> Iterator[Stubber]:
    with Stubber(S3) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been made."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(events, "sleep", sleep)
    return made


def hashing(**changes: Any) -> File:
    values: dict[str, Any] = {"status": Status.HASHING, "revision": 3, "received_bytes": 20971520}
    return a_file(id="0" * 26, created_at="t", updated_at="t", **values | changes)


def seen(
    file: File, *, last: int | None = None, out_of_time: Callable[[], bool] = lambda: False
) -> list[ServerSentEvent]:
    """All that a watcher is sent, after the opening comment."""

    async def collect() -> list[ServerSentEvent]:
        return [event async for event in follow(FILES, OBJECTS, file, last, out_of_time)]

    opening, *rest = anyio.run(collect)
    assert opening.retry
    assert opening.event is None
    return rest


def then(dynamodb: Stubber, *records: File) -> None:
    for record in records:
        dynamodb.add_response("get_item", {"Item": _to_item(record)})


def told(events: list[ServerSentEvent]) -> list[tuple[str | None, str | None, int | None]]:
    return [(one.event, one.id, one.data["hashed_bytes"]) for one in events]


def test_every_change_is_told_until_the_end(dynamodb: Stubber) -> None:
    """progress with the revision as id, then one event named after the end, with the whole file, then nothing."""
    done = hashing(revision=5, status=Status.READY, hashed_bytes=20971520, digests={"sha-256": "ab"})
    then(dynamodb, hashing(revision=4, hashed_bytes=7), done)
    found = seen(hashing())
    assert told(found) == [("progress", "3", 0), ("progress", "4", 7), ("ready", "5", 20971520)]
    assert found[0].data == {"status": "hashing", "received_bytes": 20971520, "hashed_bytes": 0, "size": 20971520}
    assert found[-1].data == done.public()


def test_what_did_not_change_is_not_repeated(dynamodb: Stubber, pauses: list[float]) -> None:
    """Reading the same record again tells nothing; the pauses are the short ones."""
    then(dynamodb, hashing(), hashing(), hashing(revision=4, status=Status.FAILED, reason="size_mismatch"))
    assert [one.event for one in seen(hashing())] == ["progress", "failed"]
    assert pauses == [events.RECORD_PAUSE_SECONDS] * 3


def test_a_watcher_that_comes_back_is_not_told_again(dynamodb: Stubber) -> None:
    """Last-Event-ID names the revision that it knows."""
    then(dynamodb, hashing(revision=4, hashed_bytes=7), hashing(revision=5, status=Status.READY))
    assert [one.id for one in seen(hashing(), last=3)] == ["4", "5"]


def test_a_watcher_that_missed_something_is_told_the_present(dynamodb: Stubber) -> None:
    """An older id gets the present state at once."""
    then(dynamodb, hashing(revision=4, status=Status.READY))
    assert [one.id for one in seen(hashing(), last=2)] == ["3", "4"]


@pytest.mark.parametrize("end", [Status.READY, Status.FAILED, Status.ABORTED])
@pytest.mark.parametrize("last", [None, 3])
def test_a_file_that_has_ended_is_told_at_once(end: Status, last: int | None) -> None:
    """Whoever comes late, or comes back after the last event, gets it and the end of the stream."""
    assert [one.event for one in seen(hashing(status=end), last=last)] == [end]


def test_out_of_time_ends_without_a_verdict() -> None:
    """The watcher is expected back: no ready, failed or aborted is made up."""
    assert seen(hashing(), out_of_time=lambda: True) == []


def test_a_file_that_is_deleted_meanwhile_was_aborted(dynamodb: Stubber) -> None:
    """The stream ends with the one event that says that nothing more will come."""
    dynamodb.add_response("get_item", {})
    assert [one.event for one in seen(hashing())] == ["progress", "aborted"]


def test_arriving_parts_are_progress(dynamodb: Stubber, s3: Stubber, pauses: list[float]) -> None:
    """While a file is uploaded only S3 knows what has arrived; the revision stays."""
    uploading = hashing(status=Status.UPLOADING, received_bytes=0, revision=1)
    part = {"PartNumber": 1, "Size": 8388608, "ETag": '"a"'}
    s3.add_response("list_parts", {"Parts": []})
    s3.add_response("list_parts", {"Parts": [part]})
    then(dynamodb, uploading, hashing(status=Status.ABORTED, revision=2))
    found = seen(uploading)
    assert [(one.event, one.id, one.data["received_bytes"]) for one in found[:2]] == [
        ("progress", "1", 0),
        ("progress", "1", 8388608),
    ]
    assert pauses == [events.LIST_PAUSE_SECONDS] * 2


def test_an_upload_that_s3_has_just_completed_is_no_error(dynamodb: Stubber, s3: Stubber) -> None:
    """Between S3's completing and the record's saying so there is no upload to list."""
    s3.add_client_error("list_parts", "NoSuchUpload", http_status_code=404)
    then(dynamodb, hashing(revision=2, status=Status.READY))
    assert [one.event for one in seen(hashing(status=Status.UPLOADING, revision=1))] == ["progress", "ready"]
