"""What a watcher is told while the index is late and clocks differ; over a real table: integration/test_feed.py."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice import feed as module
from sluice.downloads import DOWNLOADS, Downloads
from sluice.errors import InvalidCursor
from sluice.feed import LATEST_SECONDS, OVERLAP_SECONDS, RECENT_SECONDS, THOROUGH_SECONDS, Change, Feed, Kind, cursor_of
from sluice.files import TOMBSTONES, File, Files, Status, _to_item
from tests.unit.core.records import a_file, client

DYNAMODB = client("dynamodb")
BEGIN = datetime(2026, 11, 29, 12, tzinfo=UTC)
OWNER = "default"


def moment(seconds: float) -> str:
    return (BEGIN + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Table:
    """A table whose index follows each write after a delay of its own, at a time that a test sets."""

    time: float = 0.0
    records: dict[str, File] = field(default_factory=dict)
    downloads: dict[tuple[str, str], Any] = field(default_factory=dict)  # items by their keys
    entries: list[tuple[float, float, str, str, str]] = field(default_factory=list)  # from, to, changed, partition, id
    queries: int = 0
    reads: int = 0
    refuses: bool = False
    entries_found: int = 0

    def write(self, file: File, *, lag: float, delay: float) -> None:
        """`lag`: how far the writer's clock is behind, or how long his write was under way."""
        changed = moment(self.time - lag)
        self._leave(OWNER, file.id, delay)
        self.records[file.id] = replace(file, updated_at=changed)
        self.entries.append((self.time + delay, float("inf"), changed, OWNER, file.id))

    def delete(self, file_id: str, *, lag: float, delay: float) -> None:
        self._leave(OWNER, file_id, delay)
        del self.records[file_id]
        self.entries.append((self.time + delay, float("inf"), moment(self.time - lag), TOMBSTONES + OWNER, file_id))

    def _leave(self, partition: str, file_id: str, delay: float) -> None:
        """The entry that is there goes when the index hears of the write."""
        self.entries = [
            (begins, min(ends, self.time + delay), changed, owner, one)
            if (owner, one) == (partition, file_id)
            else (begins, ends, changed, owner, one)
            for begins, ends, changed, owner, one in self.entries
        ]

    def query(self, asked: Any) -> Any:
        self.queries += 1
        if self.refuses and self.queries % 2:
            raise ConnectionRefusedError
        assert asked["IndexName"] == "changes"
        since = asked["ExpressionAttributeValues"][":since"]["S"]
        visible = sorted(
            (changed, owner, one)
            for begins, ends, changed, owner, one in self.entries
            if begins <= self.time < ends and changed >= since
        )
        if start := asked.get("ExclusiveStartKey"):
            visible = [
                entry for entry in visible if entry > (start["changed"]["S"], start["owner"]["S"], start["id"]["S"])
            ]
        page, rest = visible[: asked["Limit"]], visible[asked["Limit"] :]
        self.entries_found += len(page)
        items = [
            {"feed": {"S": OWNER}, "changed": {"S": changed}, "owner": {"S": owner}, "id": {"S": one}}
            for changed, owner, one in page
        ]
        return {"Items": items} | ({"LastEvaluatedKey": items[-1]} if rest else {})

    def read(self, asked: Any) -> Any:
        self.reads += 1
        if self.refuses:
            raise ConnectionRefusedError
        keys = [(key["owner"]["S"], key["id"]["S"]) for key in asked["RequestItems"]["the-table"]["Keys"]]
        assert len(keys) == len({*keys})
        found = [self.downloads[key] for key in keys if key in self.downloads]
        found += [_to_item(self.records[one]) for owner, one in keys if owner == OWNER and one in self.records]
        return {"Responses": {"the-table": found}}


@contextmanager
def standing() -> Iterator[Table]:
    table = Table()

    def answer(function: Any) -> Any:
        def answered(params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
            return AWSResponse("", 200, HTTPHeaders(), None), function(json.loads(params["body"]))

        return answered

    hooks = {"Query": answer(table.query), "BatchGetItem": answer(table.read)}
    for operation, hook in hooks.items():
        DYNAMODB.meta.events.register(f"before-call.dynamodb.{operation}", hook)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "now", lambda: moment(table.time))
        try:
            yield table
        finally:
            for operation, hook in hooks.items():
                DYNAMODB.meta.events.unregister(f"before-call.dynamodb.{operation}", hook)


@pytest.fixture
def table() -> Iterator[Table]:
    with standing() as made:
        yield made


def watcher(cursor: str | None = None) -> Feed:
    return Feed(Files(DYNAMODB, "the-table"), Downloads(DYNAMODB, "the-table"), OWNER, cursor or moment(0))


def looked(feed: Feed) -> list[Change]:
    """All looks of one pass, until one fails."""
    found: list[Change] = []
    with suppress(ConnectionRefusedError):
        found += feed.look()
        while feed.behind:
            found += feed.look()
    return found


def told(changes: list[Change]) -> list[tuple[str, str, int | None]]:
    return [(change.kind, change.data["id"], change.data.get("revision")) for change in changes]


def a_file_called(number: int, **changes: Any) -> File:
    return a_file(id=f"{number:026d}", status=Status.HASHING, expires_at=None, **changes)


def test_a_change_is_told_once_and_read_once(table: Table) -> None:
    """With its revision; looks that find nothing new read no record."""
    feed = watcher()
    assert looked(feed) == []
    table.write(a_file_called(1), lag=0, delay=0)
    table.time = 0.5
    assert told(looked(feed)) == [("file", "0" * 25 + "1", 1)]
    for table.time in (1.0, 2.0):
        assert looked(feed) == []
    assert (table.queries, table.reads) == (4, 1)


def test_the_data_is_the_file_as_its_owner_sees_it(table: Table) -> None:
    """With the drop that it came through, and without links."""
    file = a_file_called(1, drop="d" * 26)
    table.write(file, lag=0, delay=0)
    (change,) = looked(watcher())
    assert change.data == table.records[file.id].public(to_owner=True)
    assert change.data["drop"] == "d" * 26


def test_an_earlier_entry_that_the_index_still_has_is_not_told_again(table: Table) -> None:
    """The record is read as it is last written, and told as that: the entry of this write comes later, and is known."""
    feed = watcher()
    table.write(a_file_called(1), lag=0, delay=0)
    table.time = 1
    table.write(a_file_called(1, revision=2), lag=0, delay=3)
    assert told(looked(feed)) == [("file", "0" * 25 + "1", 2)]
    table.time = 5
    assert looked(feed) == []
    assert table.reads == 1


def test_a_download_that_the_index_has_twice_is_told_once(table: Table) -> None:
    """Its entry of a second ago is still there beside the one of now: a batch may not ask for a key twice, either."""
    partition, one = DOWNLOADS + OWNER, "d" * 26
    table.downloads[partition, one] = {
        **{name: {"S": value} for name, value in {"owner": partition, "id": one, "record": "f" * 26}.items()},
        "size": {"N": "10"},
        "sent_bytes": {"N": "5"},
    }
    for changed in (0.5, 1.5):
        table.entries.append((0, 9e9, moment(changed), partition, one))
    table.time = 2
    feed = watcher()
    (change,) = looked(feed)
    assert (change.kind, change.data["download"], change.data["sent_bytes"]) == ("download", one, 5)
    assert looked(feed) == []


def test_a_deletion_is_the_last_word(table: Table) -> None:
    """Whatever the index still says about the file then."""
    feed = watcher()
    table.write(a_file_called(1), lag=0, delay=0)
    table.time = 1
    looked(feed)
    table.delete("0" * 25 + "1", lag=0, delay=0)
    table.entries.append((0, 9e9, moment(1.5), OWNER, "0" * 25 + "1"))
    table.time = 2
    assert told(looked(feed)) == [("deleted", "0" * 25 + "1", None)]
    assert looked(feed) == []


@pytest.mark.parametrize("late", [0.0, RECENT_SECONDS, LATEST_SECONDS / 2, LATEST_SECONDS - 1.0])
def test_a_write_that_is_late_is_told(table: Table, late: float) -> None:
    """Its moment lies behind the cursor: the SDK tried again, a clock is behind, or the index is."""
    feed = watcher()
    for table.time in range(100, 130):
        table.write(a_file_called(1, revision=int(table.time)), lag=0, delay=0)
        looked(feed)
    table.write(a_file_called(2), lag=late, delay=0)
    found: list[Change] = []
    for table.time in range(130, 130 + THOROUGH_SECONDS + 1):
        cursor = feed.cursor
        found += looked(feed)
        assert feed.cursor >= cursor, "a cursor never goes back"
    assert told(found) == [("file", "0" * 25 + "2", 1)]


def test_most_looks_go_back_a_little(table: Table) -> None:
    """Of a busy minute each finds a few seconds again, and one in ten all of it; no record is read again."""
    feed, found = watcher(), []
    for number in range(120):
        table.time = number
        table.write(a_file_called(number), lag=0, delay=0)
        table.entries_found = 0
        looked(feed)
        found.append(table.entries_found)
    assert table.reads == 120
    assert sorted(found[60:])[53] <= RECENT_SECONDS + 2
    assert max(found) <= OVERLAP_SECONDS + 2


def test_a_clock_that_is_ahead_leads_nobody_past_the_others(table: Table) -> None:
    """The cursor of an event is never later than the look that found it."""
    feed = watcher()
    table.write(a_file_called(1), lag=-3600, delay=0)
    table.time = 1
    (change,) = looked(feed)
    assert change.cursor == moment(1)
    table.write(a_file_called(2), lag=0, delay=0)
    table.time = 2
    assert told(looked(watcher(change.cursor)))[0] == ("file", "0" * 25 + "2", 1)


def test_many_changes_come_page_by_page(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of time, at most a hundred a look, each once; a look that fails is made up for."""
    monkeypatch.setattr(module, "PAGE_ENTRIES", 150)
    for number in range(1000):
        table.time = number / 1000
        table.write(a_file_called(number), lag=0, delay=0)
    table.time = 2
    feed = watcher()
    first = feed.look()
    assert len(first) == 100
    table.refuses = True
    with pytest.raises(ConnectionRefusedError):
        feed.look()
    table.refuses = False
    found = first + looked(feed)
    assert [int(change.data["id"]) for change in found] == list(range(1000))
    assert [change.cursor for change in found] == [moment(number / 1000) for number in range(1000)]


@settings(max_examples=50)
@given(seed=st.integers(0, 10**9))
def test_nothing_is_missed(seed: int) -> None:
    """However late index and writers are, whatever the table refuses, and wherever the watcher breaks off and resumes.

    The last revision of each file is told, and each deletion; a stream tells no revision twice, and none after another
    that is later.
    """
    chance = random.Random(seed)
    with standing() as table:
        revisions: dict[int, int] = {}
        gone: set[int] = set()
        known: dict[int, int] = {}
        deleted: set[int] = set()
        shown: dict[int, int] = {}
        feed = watcher()
        for _ in range(40):
            table.time += chance.choice([0.05, 0.3, 1, 7])
            for _ in range(chance.choice([0, 0, 1, 3])):
                number = chance.randrange(6)
                late = {"lag": chance.choice([-5, 0, 0, 30]), "delay": chance.choice([0, 0.2, 20])}
                if number in gone:
                    continue
                if number in revisions and chance.random() < 0.1:
                    table.delete(f"{number:026d}", **late)
                    gone.add(number)
                    continue
                revisions[number] = revisions.get(number, 0) + 1
                table.write(a_file_called(number, revision=revisions[number]), **late)
            cursor = feed.cursor
            table.refuses = chance.random() < 0.1
            changes = looked(feed)
            table.refuses = False
            broken = chance.random() < 0.2
            for change in changes[: chance.randrange(len(changes) + 1) if broken else None]:
                number, cursor = int(change.data["id"]), change.cursor
                if change.kind is Kind.DELETED:
                    deleted.add(number)
                    continue
                assert shown.get(number, 0) < change.data["revision"]
                known[number] = shown[number] = change.data["revision"]
            if broken:
                feed, shown = watcher(cursor), {}
        for _ in range(25):
            table.time += 1.5
            for change in looked(feed):
                if change.kind is Kind.DELETED:
                    deleted.add(int(change.data["id"]))
                else:
                    known[int(change.data["id"])] = change.data["revision"]
        assert deleted == gone
        assert {number: known.get(number) for number in revisions if number not in gone} == {
            number: revision for number, revision in revisions.items() if number not in gone
        }


def test_what_is_past_the_overlap_is_forgotten(table: Table) -> None:
    """A stream keeps in memory what a minute had, not what it has told."""
    feed = watcher()
    for number in range(200):
        table.time = number
        table.write(a_file_called(number), lag=0, delay=0)
        looked(feed)
        assert len(feed._seen) <= OVERLAP_SECONDS + 1
        assert len(feed._revisions) <= OVERLAP_SECONDS + 1


@pytest.mark.parametrize(
    "text", ["x", "2026-11-29", "2026-13-29T12:00:00.000Z", "9" * 24, "2026-11-29T12:00:00.000+00:00"]
)
def test_a_cursor_of_ones_own_making_is_refused(text: str) -> None:
    """It would mean a gap that nobody sees."""
    with pytest.raises(InvalidCursor):
        cursor_of(text)


def test_a_cursor_that_is_too_old_is_refused() -> None:
    """Deletions are forgotten after a time: whoever was away for longer has to read the list."""
    now = datetime.now(UTC)
    for days, refused in ((13.9, False), (14.1, True)):
        text = (now - timedelta(days=days)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if refused:
            with pytest.raises(InvalidCursor, match="anew"):
                cursor_of(text)
        else:
            assert cursor_of(text) == text


def test_a_cursor_in_the_future_is_the_present() -> None:
    """A clock that was ahead leaves no gap."""
    assert cursor_of("2999-01-01T00:00:00.000Z") < "2999"
