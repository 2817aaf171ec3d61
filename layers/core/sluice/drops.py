"""Drops: letter boxes through which people without an account upload to an owner. They stand in the files' table.

IAM actions: dynamodb:GetItem (get, took_at), dynamodb:Query (page), dynamodb:PutItem (create), dynamodb:UpdateItem
(end, and whoever writes what `claim` says).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sluice import pages
from sluice.errors import DropNotFound
from sluice.files import ID, TOMBSTONE_DAYS, new_id, now, rfc3339

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

# What was put while the drop took files may be announced as late as the queue keeps a message.
REMEMBERED_SECONDS = TOMBSTONE_DAYS * 86_400
PARTITION = "drops/"  # and the owner: no owner has a slash, so no list of files ever meets a drop


@dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    """What may come through, and how many files did. Without `content_types` any type that the deployment takes."""

    owner: str
    id: str = field(default_factory=new_id)
    max_files: int
    max_file_bytes: int | None = None
    content_types: tuple[str, ...] | None = None
    title: str | None = None
    message: str | None = None
    owner_name: str | None = None  # as its owner has typed it
    files: int = 0  # that were ever begun, whatever became of them
    created_at: str = field(default_factory=now)
    expires_at: int  # epoch seconds

    def public(self) -> dict[str, Any]:
        """What its owner may see."""
        shown: dict[str, Any] = {name: getattr(self, name) for name in _PUBLIC}
        return shown | {"expires_at": rfc3339(self.expires_at)}

    def for_guests(self) -> dict[str, Any]:
        """What whoever comes through it may know: nothing of other guests but that the drop may be full."""
        shown: dict[str, Any] = {name: getattr(self, name) for name in _FOR_GUESTS}
        left = max(0, self.max_files - self.files)
        return shown | {"files_left": left, "expires_at": rfc3339(self.expires_at)}


_TEXTS = ("title", "message", "owner_name")  # what people are shown who come through
_FOR_GUESTS = (*_TEXTS, "max_file_bytes", "content_types")
_PUBLIC = ("id", *_FOR_GUESTS, "max_files", "files", "created_at")


class Drops:
    """Those of all owners."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def create(self, drop: Drop) -> None:
        item: dict[str, Any] = {
            **_key(drop.owner, drop.id),
            "max_files": {"N": str(drop.max_files)},
            "files": {"N": str(drop.files)},
            "created_at": {"S": drop.created_at},
            "expires_at": {"N": str(drop.expires_at)},
            # DynamoDB's TTL: later than the end, because events come late.
            "forget_at": {"N": str(drop.expires_at + REMEMBERED_SECONDS)},
        }
        if drop.max_file_bytes is not None:
            item["max_file_bytes"] = {"N": str(drop.max_file_bytes)}
        if drop.content_types is not None:
            item["content_types"] = {"L": [{"S": name} for name in drop.content_types]}
        item |= {name: {"S": text} for name in _TEXTS if (text := getattr(drop, name))}
        self._client.put_item(TableName=self._table, Item=item)

    def get(self, owner: str, drop_id: str) -> Drop:
        """The drop as it is now. Raises DropNotFound, for one that has ended as well."""
        item = None
        if ID.fullmatch(drop_id):
            key = _key(owner, drop_id)
            item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        # DynamoDB removes what has expired up to two days late.
        if item is None or int(item["expires_at"]["N"]) <= time.time():
            raise DropNotFound("There is no drop with this id, or it has ended.", id=drop_id[:40])
        return _drop(owner, item)

    def page(self, owner: str, limit: int, cursor: str | None = None) -> tuple[list[Drop], str | None]:
        """At most `limit` of the owner's drops that have not ended, newest first, and the cursor of the next page.

        Where most have ended a page may be short, or even empty, and still have a next one. Raises InvalidCursor.
        """
        partition = PARTITION + owner
        found, following = pages.newest((self._client, self._table), partition, limit, cursor, pages.not_ended())
        return [_drop(owner, item) for item in found], following

    def end(self, drop: Drop) -> None:
        """Let nobody in any more. What came through stays the owner's."""
        moment = int(time.time())
        self._client.update_item(
            TableName=self._table,
            Key=_key(drop.owner, drop.id),
            UpdateExpression="SET expires_at = :now, forget_at = :later",
            ConditionExpression="attribute_exists(id)",
            ExpressionAttributeValues=_numbers({":now": moment, ":later": moment + REMEMBERED_SECONDS}),
        )

    def took_at(self, owner: str, drop_id: str, moment: float) -> bool:
        """Whether the drop took files at this moment (epoch seconds). One that nobody remembers had ended."""
        item = self._client.get_item(TableName=self._table, Key=_key(owner, drop_id), ConsistentRead=True).get("Item")
        return item is not None and moment <= int(item["expires_at"]["N"])

    def claim(self, drop: Drop) -> "TransactWriteItemTypeDef":
        """The write that takes one of the drop's places, where there is one left and the drop has not been ended."""
        return {
            "Update": {
                "TableName": self._table,
                "Key": _key(drop.owner, drop.id),
                "UpdateExpression": "SET files = files + :one",
                "ConditionExpression": "files < max_files AND expires_at > :now",
                "ExpressionAttributeValues": _numbers({":one": 1, ":now": int(time.time())}),
            }
        }


def _drop(owner: str, item: Mapping[str, Any]) -> Drop:
    most, types = item.get("max_file_bytes"), item.get("content_types")
    return Drop(
        owner=owner,
        id=item["id"]["S"],
        max_files=int(item["max_files"]["N"]),
        max_file_bytes=int(most["N"]) if most else None,
        content_types=tuple(name["S"] for name in types["L"]) if types else None,
        files=int(item["files"]["N"]),
        created_at=item["created_at"]["S"],
        expires_at=int(item["expires_at"]["N"]),
        **{name: item[name]["S"] for name in _TEXTS if name in item},
    )


def _numbers(values: dict[str, int]) -> dict[str, Any]:
    return {name: {"N": str(value)} for name, value in values.items()}


def _key(owner: str, drop_id: str) -> dict[str, Any]:
    return {"owner": {"S": PARTITION + owner}, "id": {"S": drop_id}}
