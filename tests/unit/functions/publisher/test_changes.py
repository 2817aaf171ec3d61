"""Which changes of the table are events."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.publisher.changes import OF_STATUS, Event, Kind, events
from functions.publisher.details import Details
from sluice import drops, shares
from sluice.downloads import DOWNLOADS, Download, Ending
from sluice.files import ENDED, TOMBSTONES, TRANSITIONS, File, Status, _to_item, new_id
from tests.unit.core.records import a_file

DROP, SHARE = "01m7z2a3z8163h38qzq6y7y8bz", "01m7z2a3z8163h38qzq6y7y8sh"
NOW = "2026-11-30T12:00:00.000Z"
# What of a record is nobody's business, each with a value that is found wherever it turns up.
PRIVATE: dict[str, Any] = {
    "upload_id": "secret-upload",
    "capability": "secret-capability",
    "lease_holder": "secret-lease",
    "composite": "secret-composite",
    "digest_states": {"sha-256": "secret-state"},
    "declared": {"sha-256": "secret-declaration"},
}


def record(
    old: dict[str, Any] | None, new: dict[str, Any] | None, moment: float | str | None = None, number: int = 1
) -> dict[str, Any]:
    """As Lambda gets it from the stream."""
    item = new or old or {}
    images = {name: image for name, image in (("OldImage", old), ("NewImage", new)) if image is not None}
    keys = {name: item[name] for name in ("owner", "id") if name in item}
    change: dict[str, Any] = {"Keys": keys, "SequenceNumber": str(number), **images}
    change["ApproximateCreationDateTime"] = time.time() if moment is None else moment
    kind = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
    return {"eventID": "e", "eventName": kind, "eventSource": "aws:dynamodb", "dynamodb": change}


def of_file(old: File | None, new: File | None, moment: float | None = None) -> list[Event]:
    return events(record(_to_item(old) if old else None, _to_item(new) if new else None, moment))


def of_download(download: Download) -> dict[str, Any]:
    item: dict[str, Any] = {
        "owner": {"S": DOWNLOADS + download.owner},
        "id": {"S": download.id},
        "record": {"S": download.record},
        "sent_bytes": {"N": str(download.sent_bytes)},
        "size": {"N": str(download.size)},
        "changed": {"S": NOW},
    }
    return item | {name: {"S": value} for name in ("share", "ended") if (value := getattr(download, name))}


class NoTable(Details):
    """Where nothing is kept but what the event itself has."""

    def __init__(self) -> None:
        super().__init__(self, "no-table")  # type: ignore[arg-type]

    def get_item(self, **_: Any) -> dict[str, Any]:
        return {}


statuses = st.sampled_from(list(Status))
drops_of = st.sampled_from([None, DROP])


@given(statuses, statuses, st.booleans(), st.booleans(), drops_of)
def test_each_end_is_told_once(before: Status, after: Status, was: bool, is_now: bool, drop: str | None) -> None:
    """By the change that leads to it, and by that which makes a ready file verified; a drop's file with its drop."""
    old = a_file(status=before, verified=was, drop=drop)
    new = replace(old, status=after, verified=is_now, revision=old.revision + 1)
    told = [event.kind for event in of_file(old, new)]
    if after not in ENDED or (before is after and not (is_now and not was)):
        assert told == []
    else:
        with_drop = [Kind.DROP_RECEIVED] if after is Status.READY and drop else []
        assert told == [OF_STATUS[after], *with_drop]


@given(st.lists(st.integers(min_value=0, max_value=9), min_size=1, max_size=30), drops_of)
def test_every_history_ends_in_one_event(steps: list[int], drop: str | None) -> None:
    """Whatever way the state machine takes, a file that has an end is told of with that end, and never before."""
    file: File | None = None
    told: list[Event] = []
    new = a_file(drop=drop)
    for step in steps:
        told += of_file(file, new)
        file = new
        ways = sorted(TRANSITIONS[file.status])
        if not ways:
            break
        new = replace(file, status=ways[step % len(ways)], revision=file.revision + 1)
    assert file is not None
    mine = [event for event in told if event.kind is not Kind.DROP_RECEIVED]
    assert bool(mine) == (file.status in ENDED)
    assert all(event.kind is OF_STATUS[file.status] for event in mine[-1:])
    assert len({event.id for event in told}) == len(told)


def test_a_file_that_is_made_ready_is_told() -> None:
    """Also where the stream has no state before it."""
    (event,) = of_file(None, a_file(status=Status.READY))
    assert (event.kind, event.time) == (Kind.FILE_READY, event.subject.updated_at)  # type: ignore[union-attr]


def test_the_same_change_makes_the_same_events() -> None:
    """With the same ids, by which a receiver knows them; each kind has an id of its own."""
    old = a_file(status=Status.HASHING, drop=DROP)
    new = replace(old, status=Status.READY, revision=7)
    assert of_file(old, new) == of_file(old, new)
    assert [event.id for event in of_file(old, new)] == [f"file-ready:{old.id}:7", f"drop-received:{old.id}:7"]


def test_an_upload_that_expired_is_aborted_when_its_record_goes() -> None:
    """As whoever asks the API has seen it since it expired; what is deleted before has not expired."""
    file = a_file(expires_at=1_800_000_000, revision=3)
    assert of_file(file, None, moment=1_799_999_999) == []
    (event,) = of_file(file, None, moment=1_800_600_000)
    assert events(record(_to_item(file), None, "2027-01-22T06:40:00+00:00")) == [event]  # by the command line
    assert isinstance(event.subject, File)
    assert (event.kind, event.id) == (Kind.FILE_ABORTED, f"file-aborted:{file.id}:4")
    assert (event.subject.status, event.subject.reason) == (Status.ABORTED, "expired")
    assert event.time == event.subject.updated_at == "2027-01-15T08:00:00Z"


@pytest.mark.parametrize("status", sorted({*Status} - {Status.UPLOADING}))
def test_other_records_that_go_are_no_event(status: Status) -> None:
    """Their end was told, or their owner deleted them."""
    assert of_file(a_file(status=status, expires_at=1), None) == []


@given(st.sampled_from([None, *Ending]), st.sampled_from([None, *Ending]), st.sampled_from([None, SHARE]))
def test_downloads_from_shares_are_told_when_they_end(
    before: Ending | None, after: Ending | None, share: str | None
) -> None:
    """Once; those of the owner never."""
    going = Download(owner="default", record=new_id(), size=9, share=share, ended=before)
    ended = replace(going, sent_bytes=9, ended=after)
    told = events(record(of_download(going), of_download(ended)))
    assert [event.subject for event in told] == ([ended] if share and after and not before else [])


def test_a_download_whose_sender_died_is_told_when_it_is_forgotten() -> None:
    """As broken, with the bytes that were known last."""
    going = Download(owner="default", record=new_id(), size=9, share=SHARE, sent_bytes=4)
    assert events(record(None, of_download(going))) == []
    (event,) = events(record(of_download(going), None))
    assert event.subject == replace(going, ended=Ending.BROKEN)
    assert (event.kind, event.time) == (Kind.SHARE_DOWNLOADED, NOW)


@pytest.mark.parametrize("partition", [drops.PARTITION, shares.PARTITION, TOMBSTONES, "archives/", "quotas/"])
def test_what_else_is_kept_in_the_table_is_no_event(partition: str) -> None:
    """Whatever its record says."""
    item = {"owner": {"S": f"{partition}default"}, "id": {"S": SHARE}, "status": {"S": "ready"}}
    assert events(record(None, item)) == events(record(item, None)) == []


@pytest.mark.parametrize("broken", [{}, {"dynamodb": {}}, record(None, {"owner": {"S": "a"}, "id": {"S": "b"}})])
def test_what_cannot_be_understood_is_an_error(broken: dict[str, Any]) -> None:
    """And not silently no event."""
    with pytest.raises((KeyError, TypeError)):
        events(broken)


@given(st.sampled_from(sorted(OF_STATUS)), drops_of)
def test_nothing_private_is_told(status: Status, drop: str | None) -> None:
    """Capabilities, uploads, leases and states of digests stay in the record."""
    old = a_file(drop=drop, **PRIVATE)
    for event in of_file(old, replace(old, status=status)):
        assert "secret" not in json.dumps(NoTable().of(event))
