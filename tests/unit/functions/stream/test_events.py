from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from fastapi.sse import ServerSentEvent

from functions.stream import events
from functions.stream.events import event_id, follow, revision_of
from sluice.files import File, Files, Status, _to_item
from sluice.limits import GIB
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


def seen(file: File, *, last: str = "", out_of_time: Callable[[], bool] = lambda: False) -> list[ServerSentEvent]:
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
    """progress with an id, then one event named after the end, with the whole file, then nothing."""
    done = hashing(revision=5, status=Status.READY, hashed_bytes=20971520, digests={"sha-256": "ab"})
    then(dynamodb, hashing(revision=4, hashed_bytes=7), done)
    found = seen(hashing())
    assert told(found) == [
        ("progress", "3-20971520", 0),
        ("progress", "4-20971520", 7),
        ("ready", "5-20971520", 20971520),
    ]
    assert found[0].data == {"status": "hashing", "received_bytes": 20971520, "hashed_bytes": 0, "size": 20971520}
    assert found[-1].data == done.public()


def test_what_did_not_change_is_not_repeated(dynamodb: Stubber, pauses: list[float]) -> None:
    """Reading the same record again tells nothing."""
    then(dynamodb, hashing(), hashing(), hashing(revision=4, status=Status.FAILED, reason="size_mismatch"))
    assert [one.event for one in seen(hashing())] == ["progress", "failed"]
    assert len(pauses) == 3


def test_the_pause_grows_while_nothing_changes(dynamodb: Stubber, pauses: list[float]) -> None:
    """From the shortest to the longest, which it never exceeds; after a change it is the shortest again."""
    quiet = [hashing()] * 10
    then(dynamodb, *quiet, *[hashing(revision=4, hashed_bytes=7)] * 2, hashing(revision=5, status=Status.READY))
    seen(hashing())
    growing, again = pauses[: len(quiet) + 1], pauses[len(quiet) + 1 :]
    assert growing[0] == again[0] == events.SHORTEST_PAUSE_SECONDS == 0.1
    assert growing[-1] == max(pauses) == events.LONGEST_PAUSE_SECONDS == 1.0
    assert growing == sorted(growing)
    assert growing[0] < growing[1] == again[1]


@pytest.mark.parametrize("code", ["ThrottlingException", "ProvisionedThroughputExceededException"])
def test_a_table_that_refuses_for_now_ends_no_stream(dynamodb: Stubber, code: str, pauses: list[float]) -> None:
    """Nothing is told meanwhile, and the watcher learns of the end all the same."""
    dynamodb.add_client_error("get_item", code)
    then(dynamodb, hashing(revision=4, status=Status.READY))
    assert [one.event for one in seen(hashing())] == ["progress", "ready"]
    assert len(pauses) == 2


def test_an_s3_that_refuses_for_now_ends_no_stream(dynamodb: Stubber, s3: Stubber) -> None:
    """The parts that were counted last stay those that are shown, where the next list does not come."""
    uploading = hashing(status=Status.UPLOADING, received_bytes=0, revision=1)
    s3.add_client_error("list_parts", "SlowDown", http_status_code=503)
    s3.add_response("list_parts", {"Parts": [{"PartNumber": 1, "Size": 8388608, "ETag": '"a"'}]})
    s3.add_client_error("list_parts", "SlowDown", http_status_code=503)
    then(dynamodb, uploading, uploading, hashing(status=Status.ABORTED, revision=2, received_bytes=0))
    assert [one.id for one in seen(uploading)] == ["1-0", "1-8388608", "2-0"]


def test_a_mistake_of_ours_ends_the_stream(dynamodb: Stubber) -> None:
    """What AWS will go on refusing is no pause, and is not to be hidden."""
    dynamodb.add_client_error("get_item", "AccessDeniedException", http_status_code=400)
    with pytest.raises(ClientError, match="AccessDenied"):
        seen(hashing())


@pytest.mark.parametrize("part_count", [1, 1_000, 1_001, 10_000])
def test_the_pause_is_as_long_as_the_lists_want_it(
    dynamodb: Stubber, s3: Stubber, pauses: list[float], part_count: int
) -> None:
    """Counting the parts of a large upload costs up to ten lists; what is not counted is read as often as any."""
    uploading = hashing(status=Status.UPLOADING, revision=1, size=part_count * 8388608)
    for _ in range(8):
        s3.add_response("list_parts", {"Parts": []})
    then(dynamodb, *[uploading] * 7, hashing(status=Status.ABORTED, revision=2))
    seen(uploading)
    least = 0.5 * -(-part_count // 1_000)
    assert (pauses[0], pauses[-1]) == (least, max(least, 1.0))


def test_the_pause_of_a_pipe_grows_with_it(dynamodb: Stubber, s3: Stubber, pauses: list[float]) -> None:
    """How many parts there are S3 alone knows: with what has arrived there may be more lists of them."""
    piped = hashing(status=Status.UPLOADING, revision=1, size=0, own_parts=0, received_bytes=0)
    for size in (0, 10 * GIB):
        s3.add_response("list_parts", {"Parts": [{"PartNumber": 1, "Size": size, "ETag": '"a"'}]})
    then(dynamodb, piped, hashing(status=Status.ABORTED, revision=2))
    seen(piped)
    assert pauses == [0.5, 1.5]


def test_a_watcher_that_comes_back_is_not_told_again(dynamodb: Stubber) -> None:
    """Last-Event-ID names what it knows."""
    then(dynamodb, hashing(revision=4, hashed_bytes=7), hashing(revision=5, status=Status.READY))
    assert [one.id for one in seen(hashing(), last="3-20971520")] == ["4-20971520", "5-20971520"]


def test_parts_that_arrive_between_two_streams_are_told(dynamodb: Stubber, s3: Stubber) -> None:
    """No revision rises with them: an id that named it alone would hide them until the end."""
    uploading = hashing(status=Status.UPLOADING, received_bytes=0, revision=1)
    parts = [{"PartNumber": number, "Size": 8388608, "ETag": '"a"'} for number in (1, 2)]
    s3.add_response("list_parts", {"Parts": parts})
    then(dynamodb, hashing(status=Status.ABORTED, revision=2, received_bytes=0))
    found = seen(uploading, last="1-0")
    assert [(one.event, one.id) for one in found] == [("progress", "1-16777216"), ("aborted", "2-0")]
    assert found[0].data["received_bytes"] == 16777216


@pytest.mark.parametrize("last", ["2-20971520", "2", "3", "3-7", "x"])
def test_a_watcher_that_missed_something_is_told_the_present(dynamodb: Stubber, last: str) -> None:
    """Any other id than that of the present state gets it at once; so does an earlier release's, a revision alone."""
    then(dynamodb, hashing(revision=4, status=Status.READY))
    assert [one.id for one in seen(hashing(), last=last)] == ["3-20971520", "4-20971520"]


@pytest.mark.parametrize(
    ("last", "revision"),
    [("3-7", 3), ("3", 3), ("12-0", 12), *((last, 0) for last in ("", "x", "-3", "3x", "1e3", "\u0663-7", "9" * 20))],
)
def test_the_revision_in_an_id(last: str, revision: int) -> None:
    """Tells who has seen the end; 0, which no file has, where it is not one of ours."""
    assert revision_of(last) == revision
    assert revision_of(event_id(hashing())) == 3


@pytest.mark.parametrize("end", [Status.READY, Status.FAILED, Status.ABORTED])
@pytest.mark.parametrize("last", ["", "3-20971520"])
def test_a_file_that_has_ended_is_told_at_once(end: Status, last: str) -> None:
    """Whoever comes late, or comes back after the last event, gets it and the end of the stream."""
    assert [one.event for one in seen(hashing(status=end), last=last)] == [end]


def test_out_of_time_ends_without_a_verdict() -> None:
    """The watcher is expected back: no ready, failed or aborted is made up, and the last word is when."""
    (last,) = seen(hashing(), out_of_time=lambda: True)
    assert (last.event, last.data, last.id, last.retry) == (None, None, None, 1_000)


@pytest.mark.parametrize(("changes", "least", "most"), [(True, 1_000, 1_000), (False, 2_500, 5_000)])
def test_who_saw_nothing_for_a_minute_comes_back_later(
    dynamodb: Stubber, monkeypatch: pytest.MonkeyPatch, least: int, most: int, *, changes: bool
) -> None:
    """After up to five seconds; after one, where something has happened just now."""
    moments, records = [0.0, 60.0], [hashing()]
    if changes:
        moments, records = [0.0, 59.0, 60.0], [hashing(revision=n, hashed_bytes=n) for n in (4, 5)]
    clock, looks = iter(moments), iter([*[False] * len(records), True])
    monkeypatch.setattr(events, "monotonic", lambda: next(clock))
    last = event_id(hashing())
    then(dynamodb, *records)
    *_, hint = seen(hashing(), last=last, out_of_time=lambda: next(looks))
    assert hint.retry is not None
    assert least <= hint.retry <= most


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
        ("progress", "1-0", 0),
        ("progress", "1-8388608", 8388608),
    ]
    assert pauses == [events.LIST_PAUSE_SECONDS] * 2


def test_an_upload_that_s3_has_just_completed_is_no_error(dynamodb: Stubber, s3: Stubber) -> None:
    """Between S3's completing and the record's saying so there is no upload to list."""
    s3.add_client_error("list_parts", "NoSuchUpload", http_status_code=404)
    then(dynamodb, hashing(revision=2, status=Status.READY))
    assert [one.event for one in seen(hashing(status=Status.UPLOADING, revision=1))] == ["progress", "ready"]
