"""The feed: what happened to an owner's files, in the order of time, from the index `changes`.

The index has one entry for each file, each deletion and each download: when it changed last. So a look costs what has
changed since the look before, not what there is; the records of what is new are then read consistently.

The index follows the table with a delay, and the times in it are those of the writers' clocks. So each look goes back
and leaves out what it has seen: usually RECENT_SECONDS, which is more than index and clocks need on any day; and every
THOROUGH_SECONDS as far as a write can be late, which is LATEST_SECONDS: an attempt that the SDK repeats to its end may
land 40 s after the moment that it carries (five of 5 s, with pauses of 15 s in all). Whoever comes back with a cursor
may have left just before a thorough look: a feed begins these two together before its cursor.

Nobody writes when an upload expires: the feed does not tell it, `expires_at` does. When a record is forgotten by its
TTL, the feed says nothing either.

IAM actions: dynamodb:Query (of the index), dynamodb:BatchGetItem.
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from sluice.downloads import DOWNLOADS, Downloads
from sluice.errors import InvalidCursor
from sluice.files import BATCH_KEYS, TOMBSTONE_DAYS, TOMBSTONES, Files, now

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

RECENT_SECONDS, THOROUGH_SECONDS, LATEST_SECONDS = 5, 10, 50
OVERLAP_SECONDS = THOROUGH_SECONDS + LATEST_SECONDS
# Entries of the index in one read: 130 KB and 16 read units at most. A minute of an owner has at most 60,000 of them:
# 1,000 writes a second are what one key of an index takes.
PAGE_ENTRIES = 1_000
CURSOR = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
# Behind this deletions are forgotten, and with them that anything was missed.
OLDEST_CURSOR = timedelta(days=TOMBSTONE_DAYS - 1)


class Kind(StrEnum):
    FILE = "file"
    DELETED = "deleted"
    DOWNLOAD = "download"


@dataclass(frozen=True, slots=True)
class Change:
    """One event of the feed; who has it goes on from `cursor`."""

    kind: Kind
    data: dict[str, Any]
    cursor: str


class Entry(NamedTuple):
    """One of the index: `partition` is the owner, with what tells the kind."""

    changed: str
    partition: str
    id: str


def cursor_of(text: str) -> str:
    """Where a watcher goes on, who sends back what he got. Raises InvalidCursor."""
    try:
        moment = datetime.fromisoformat(text) if CURSOR.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None:
        raise InvalidCursor("Take the `id` of an event, or links.events of GET /files, as it is.")
    if datetime.now(UTC) - moment > OLDEST_CURSOR:
        raise InvalidCursor(f"After {OLDEST_CURSOR.days} days deletions are forgotten: read GET /files anew.")
    return min(text, now())


class Feed:
    """What one watcher has not seen yet of one owner's changes. Blocks; for one thread at a time."""

    def __init__(self, files: Files, downloads: Downloads, owner: str, cursor: str) -> None:
        self.cursor = cursor
        self._files = files
        self._downloads = downloads
        self.owner = owner
        self._client: DynamoDBClient
        self._client, self._table = files.connection
        self._since = _earlier(cursor, OVERLAP_SECONDS)  # where this pass through the index begins
        self._began = cursor  # when
        self._thorough_at: str | None = None  # when the last thorough one began that came to its end
        self._thorough = True
        self._after: dict[str, Any] | None = None  # where it goes on
        self._waiting: deque[Entry] = deque()  # found in the index, and not told yet
        self._seen: set[Entry] = set()
        self._revisions: dict[str, int] = {}  # of what was told; files that are deleted have GONE

    @property
    def behind(self) -> bool:
        """Whether the next look is due at once: the last one did not come to the end of the index."""
        return bool(self._waiting) or self._after is not None

    def look(self) -> list[Change]:
        """What is new, the oldest first, at most BATCH_KEYS of it. What fails is as if it had not been tried."""
        if not self._waiting:
            self._read_index()
        some = [self._waiting[place] for place in range(min(BATCH_KEYS, len(self._waiting)))]
        changes = list(self._told(some))
        for _ in some:
            self._waiting.popleft()
        if not self.behind:
            self._end()
        return changes

    def _begin(self, moment: str) -> None:
        """The next pass, where an entry can still turn up."""
        self._began = moment
        if self._thorough_at is None:  # the first pass, which may have failed before
            return
        self._thorough = self._thorough_at <= _earlier(moment, THOROUGH_SECONDS)
        recent = _earlier(self.cursor, RECENT_SECONDS)
        self._since = _earlier(self._thorough_at, LATEST_SECONDS) if self._thorough else recent

    def _read_index(self) -> None:
        if self._after is None:
            self._begin(now())
        query: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": "changes",
            "KeyConditionExpression": "feed = :owner AND changed >= :since",
            "ExpressionAttributeValues": {":owner": {"S": self.owner}, ":since": {"S": self._since}},
            "Limit": PAGE_ENTRIES,
        }
        if self._after:
            query["ExclusiveStartKey"] = self._after
        answer = self._client.query(**query)
        found = [Entry(item["changed"]["S"], item["owner"]["S"], item["id"]["S"]) for item in answer["Items"]]
        self._waiting.extend(entry for entry in found if entry not in self._seen)
        self._after = answer.get("LastEvaluatedKey")

    def _told(self, entries: Sequence[Entry]) -> Iterator[Change]:
        """What these stand for, without what is told already. Nothing is noted before all is read."""
        files = self._files.several(self.owner, (entry.id for entry in entries if entry.partition == self.owner))
        ids = [entry.id for entry in entries if entry.partition == DOWNLOADS + self.owner]
        downloads = self._downloads.several(self.owner, ids)
        records = {file.id: file for file in files}
        for entry in entries:
            self._seen.add(entry)
            # A clock that is ahead must not lead the watcher past what others write.
            self.cursor = max(self.cursor, min(entry.changed, self._began))
            if entry.partition == TOMBSTONES + self.owner:
                if self._is_news(entry.id, GONE):
                    yield Change(Kind.DELETED, {"id": entry.id}, self.cursor)
            elif entry.id in downloads:
                download = downloads[entry.id]
                if self._is_news(download.id, download.revision):
                    yield Change(Kind.DOWNLOAD, download.public(), self.cursor)
            elif entry.id in records:
                file = records[entry.id]
                self._seen.add(Entry(file.updated_at, self.owner, file.id))  # the index may still have an earlier one
                if self._is_news(file.id, file.revision):
                    yield Change(Kind.FILE, file.public(to_owner=True), self.cursor)

    def _is_news(self, record_id: str, revision: int) -> bool:
        """Whether this is later than what was told of it, which from here on it is no more."""
        news = revision > self._revisions.get(record_id, 0)
        if news:
            self._revisions[record_id] = revision
        return news

    def _end(self) -> None:
        """Of a pass: keep in mind what a later one can find again."""
        self.cursor = max(self.cursor, self._began)
        if self._thorough or self._thorough_at is None:
            self._thorough_at = self._began
        oldest = _earlier(self._thorough_at, LATEST_SECONDS)
        self._seen = {entry for entry in self._seen if entry.changed >= oldest}
        kept = {entry.id for entry in self._seen}
        self._revisions = {one: revision for one, revision in self._revisions.items() if one in kept}


GONE = 1 << 62  # above all revisions


def _earlier(moment: str, seconds: int) -> str:
    earlier = datetime.fromisoformat(moment) - timedelta(seconds=seconds)
    return earlier.isoformat(timespec="milliseconds").replace("+00:00", "Z")
