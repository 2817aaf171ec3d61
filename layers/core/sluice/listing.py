"""The list of an owner's files: page by page, newest first, and by state, folder, drop or a part of the name.

What a page costs does not depend on how many files there are. Without a filter it is read from the table. By a drop it
comes from the index `drops`, by a folder or a name from the index `places`, whose entries are a tenth of a record, and
then one BatchGetItem reads the records. A part of a name cannot be looked up: the entries are gone through, NAMES_READ
at a time.

IAM actions: dynamodb:Query (of the table and of both indexes), dynamodb:BatchGetItem.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluice import pages
from sluice.errors import InvalidCursor
from sluice.files import ID, File, Files, Status, from_item, place, seen

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

NAMES_READ = 2_000  # entries of the index in one read for a part of a name: about 400 KB, 50 read units
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_SORT_KEY_BYTES = 1_024
WALKED = 100  # files in one page for whoever wants all of them
# What seen() shows as another state than is written.
FILTERS = {
    Status.UPLOADING: "#status = :status AND expires_at > :now",
    Status.ABORTED: "#status = :status OR (#status = :uploading AND expires_at <= :now)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which files: all that hold what is given. A folder means what is in it and below; "" what is in none."""

    status: Status | None = None
    folder: str | None = None
    drop: str | None = None  # its id
    q: str | None = None  # a part of the filename, whatever its case

    def holds(self, file: File) -> bool:
        folder = file.folder or ""
        return (
            self.status in (None, file.status)
            and (self.folder is None or folder == self.folder or bool(self.folder and _below(folder, self.folder)))
            and self.drop in (None, file.drop)
            and (self.q is None or self.q.casefold() in file.filename.casefold())
        )


class Listing:
    """Those of all owners."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._client: DynamoDBClient
        self._client, self._table = files.connection

    def page(
        self, owner: str, limit: int, cursor: str | None = None, wanted: Filter = Filter()
    ) -> tuple[list[File], str | None]:
        """At most `limit` of the owner's files, and the cursor of the next page. Raises InvalidCursor, Busy.

        Newest first; by a folder or a name, folder by folder. With a filter a page may be short, or even empty, and
        still have a next one: an answer reads `pages.PAGE_READS` times.
        """
        if wanted.drop is not None:
            return self._from_index(owner, limit, cursor, wanted, _by_drop(wanted.drop))
        if wanted.folder is not None or wanted.q is not None:
            return self._from_index(owner, limit, cursor, wanted, _by_place(owner, wanted))
        return self._from_table(owner, limit, cursor, wanted.status)

    def walk(self, owner: str, wanted: Filter = Filter()) -> Iterator[File]:
        """All of them, in the order of `page`; in memory is one page at a time. Raises Busy."""
        for page in self.pages(owner, wanted):
            yield from page

    def pages(
        self, owner: str, wanted: Filter = Filter(), after: str | None = None, size: int = WALKED
    ) -> Iterator[list[File]]:
        """All of them, or those behind the file with the id `after`, by pages of `size`. Raises FileNotFound, Busy."""
        cursor = None if after is None else self._cursor_at(owner, after, wanted)
        while True:
            page, cursor = self.page(owner, size, cursor, wanted)
            yield page
            if cursor is None:
                return

    def _cursor_at(self, owner: str, file_id: str, wanted: Filter) -> str:
        """Where a list goes on behind this file, which has to be there still where its place is by its folder."""
        if wanted.drop is None and (wanted.folder is not None or wanted.q is not None):
            return place(self._files.get(owner, file_id).folder, file_id)
        return file_id

    def _from_table(
        self, owner: str, limit: int, cursor: str | None, status: Status | None
    ) -> tuple[list[File], str | None]:
        condition = _in_state(status) if status else None
        found, following = pages.newest((self._client, self._table), owner, limit, cursor, condition)
        return [seen(from_item(item)) for item in found], following

    def _from_index(
        self, owner: str, limit: int, cursor: str | None, wanted: Filter, index: "_Index"
    ) -> tuple[list[File], str | None]:
        """Entries first, then the records that they name: these tell whether the file is still wanted."""
        found: list[File] = []
        after = cursor
        if after is not None and not (
            len(after.encode()) <= MAX_SORT_KEY_BYTES and after.startswith(index.prefix) and ID.fullmatch(after[-26:])
        ):
            raise InvalidCursor("Take `next` of the page before, with the same filter, as it is.")
        query: dict[str, Any] = {"TableName": self._table, "ScanIndexForward": False, **index.query}
        query["Limit"] = max(query["Limit"], limit)  # whoever wants many at once has few reads of the index
        for _ in range(pages.PAGE_READS):
            if after:
                query["ExclusiveStartKey"] = {"owner": {"S": owner}, "id": {"S": after[-26:]}} | index.start(after)
            answer = self._client.query(**query)
            if any(entry["owner"]["S"] != owner for entry in answer["Items"]):
                return [], None  # another owner's drop
            entries = [(entry[index.sort]["S"], entry["id"]["S"]) for entry in answer["Items"]]
            after = answer.get("LastEvaluatedKey", {}).get(index.sort, {}).get("S")
            while entries and len(found) < limit:
                some, entries = entries[: max(limit, pages.FILTERED_READ)], entries[max(limit, pages.FILTERED_READ) :]
                sorts = {file_id: sort for sort, file_id in some}
                held = [file for file in self._files.several(owner, sorts) if wanted.holds(file)]
                if len(found) + len(held) > limit or (len(found) + len(held) == limit and entries):
                    held = held[: limit - len(found)]
                    after = sorts[held[-1].id]
                found += held
            if after is None or len(found) == limit:
                break
        return found, after


@dataclass(frozen=True, slots=True)
class _Index:
    """How an index is asked, and how a cursor, the sort key of an entry, begins and says where to go on."""

    query: dict[str, Any]
    sort: str
    prefix: str = ""
    hash: dict[str, Any] | None = None

    def start(self, after: str) -> dict[str, Any]:
        return {self.sort: {"S": after}} | (self.hash or {})


def _in_state(status: Status) -> pages.Condition:
    values: dict[str, Any] = {":status": {"S": status}}
    if status in FILTERS:
        values[":now"] = {"N": str(int(time.time()))}
    if status is Status.ABORTED:
        values[":uploading"] = {"S": Status.UPLOADING}
    return pages.Condition(FILTERS.get(status, "#status = :status"), values, {"#status": "status"})


def _by_drop(drop_id: str) -> _Index:
    query = {
        "IndexName": "drops",
        "KeyConditionExpression": "#drop = :drop",
        "ExpressionAttributeNames": {"#drop": "drop"},
        "ExpressionAttributeValues": {":drop": {"S": drop_id}},
        "Limit": pages.FILTERED_READ,
    }
    return _Index(query, "id", hash={"drop": {"S": drop_id}})


def _by_place(owner: str, wanted: Filter) -> _Index:
    prefix = "" if wanted.folder is None else place(wanted.folder)
    query: dict[str, Any] = {
        "IndexName": "places",
        "KeyConditionExpression": "#owner = :owner",
        "ExpressionAttributeNames": {"#owner": "owner"},
        "ExpressionAttributeValues": {":owner": {"S": owner}},
        "Limit": pages.FILTERED_READ,
    }
    if prefix:
        query["KeyConditionExpression"] += " AND begins_with(place, :place)"
        query["ExpressionAttributeValues"][":place"] = {"S": prefix}
    if wanted.q is not None:
        query["FilterExpression"] = "contains(folded, :part)"
        query["ExpressionAttributeValues"][":part"] = {"S": wanted.q.casefold()}
        query["Limit"] = NAMES_READ
    return _Index(query, "place", prefix)


def _below(folder: str, above: str) -> bool:
    return folder.startswith(f"{above}/")
