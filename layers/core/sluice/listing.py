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

from sluice.errors import InvalidCursor
from sluice.files import ID, File, Files, Status, from_item, place, seen

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

PAGE_READS = 10  # of the table or an index for one answer
FILTERED_READ = 100  # records looked at in one read of a filtered list: about 100 KB, 13 read units
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
        still have a next one: an answer reads PAGE_READS times.
        """
        if wanted.drop is not None:
            return self._from_index(owner, limit, cursor, wanted, _by_drop(wanted.drop))
        if wanted.folder is not None or wanted.q is not None:
            return self._from_index(owner, limit, cursor, wanted, _by_place(owner, wanted))
        return self._from_table(owner, limit, cursor, wanted.status)

    def walk(self, owner: str, wanted: Filter = Filter()) -> Iterator[File]:
        """All of them, in the order of `page`; in memory is one page at a time. Raises Busy."""
        cursor = None
        while True:
            page, cursor = self.page(owner, WALKED, cursor, wanted)
            yield from page
            if cursor is None:
                return

    def _from_table(
        self, owner: str, limit: int, cursor: str | None, status: Status | None
    ) -> tuple[list[File], str | None]:
        found: list[File] = []
        after = cursor
        if after is not None and not ID.fullmatch(after):
            raise InvalidCursor("Take `next` of the page before as it is.")
        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "#owner = :owner",
            "ExpressionAttributeNames": {"#owner": "owner"},
            "ExpressionAttributeValues": {":owner": {"S": owner}},
            "ScanIndexForward": False,
            "Limit": limit,
        }
        if status:
            query["FilterExpression"] = FILTERS.get(status, "#status = :status")
            query["ExpressionAttributeNames"]["#status"] = "status"
            query["ExpressionAttributeValues"][":status"] = {"S": status}
            if status in FILTERS:
                query["ExpressionAttributeValues"][":now"] = {"N": str(int(time.time()))}
            if status is Status.ABORTED:
                query["ExpressionAttributeValues"][":uploading"] = {"S": Status.UPLOADING}
            # DynamoDB applies a filter after its limit: such a page is gathered from several larger reads.
            query["Limit"] = max(limit, FILTERED_READ)
        for _ in range(PAGE_READS):
            if after:
                query["ExclusiveStartKey"] = {"owner": {"S": owner}, "id": {"S": after}}
            answer = self._client.query(**query)
            found += map(seen, map(from_item, answer["Items"]))
            after = answer.get("LastEvaluatedKey", {}).get("id", {}).get("S")
            if len(found) > limit:
                found = found[:limit]
                after = found[-1].id
            if after is None or len(found) == limit:
                break
        return found, after

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
        for _ in range(PAGE_READS):
            if after:
                query["ExclusiveStartKey"] = {"owner": {"S": owner}, "id": {"S": after[-26:]}} | index.start(after)
            answer = self._client.query(**query)
            if any(entry["owner"]["S"] != owner for entry in answer["Items"]):
                return [], None  # another owner's drop
            entries = [(entry[index.sort]["S"], entry["id"]["S"]) for entry in answer["Items"]]
            after = answer.get("LastEvaluatedKey", {}).get(index.sort, {}).get("S")
            while entries and len(found) < limit:
                some, entries = entries[: max(limit, FILTERED_READ)], entries[max(limit, FILTERED_READ) :]
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


def _by_drop(drop_id: str) -> _Index:
    query = {
        "IndexName": "drops",
        "KeyConditionExpression": "#drop = :drop",
        "ExpressionAttributeNames": {"#drop": "drop"},
        "ExpressionAttributeValues": {":drop": {"S": drop_id}},
        "Limit": FILTERED_READ,
    }
    return _Index(query, "id", hash={"drop": {"S": drop_id}})


def _by_place(owner: str, wanted: Filter) -> _Index:
    prefix = "" if wanted.folder is None else place(wanted.folder)
    query: dict[str, Any] = {
        "IndexName": "places",
        "KeyConditionExpression": "#owner = :owner",
        "ExpressionAttributeNames": {"#owner": "owner"},
        "ExpressionAttributeValues": {":owner": {"S": owner}},
        "Limit": FILTERED_READ,
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
