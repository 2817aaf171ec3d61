"""How much one owner may have: bytes, stored or promised, and unfinished uploads.

The count stands beside the files and rises in the transaction that makes a file, so it never says less than there is.
Nothing lowers it: files go in many ways, and unfinished ones by themselves. Instead it is made anew from the records
before anybody is refused, and once a day.

IAM actions: dynamodb:GetItem, dynamodb:Query and dynamodb:PutItem (recount), dynamodb:UpdateItem (whoever writes what
`claim` says).
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluice.errors import Busy, QuotaExceeded
from sluice.files import Status

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

PARTITION = "quotas/"  # and the owner: no owner has a slash, so no list of files ever meets a count
COUNT_SECONDS = 86_400  # how long a count is gone on from, so that one of before the quotas were set does not last

PAGE_RECORDS = 1_000  # about 1 MB, the most that DynamoDB reads at once
PAGES_AT_ONCE = 100  # about 5 s


@dataclass(frozen=True, slots=True)
class Used:
    bytes: int
    uploads: int


class Quotas:
    """Those of each owner, all alike; 0 means no limit."""

    def __init__(self, client: "DynamoDBClient", table: str, max_bytes: int, max_uploads: int) -> None:
        self._client = client
        self._table = table
        self._max_bytes = max_bytes
        self._max_uploads = max_uploads

    @property
    def limited(self) -> bool:
        return bool(self._max_bytes or self._max_uploads)

    def claim(self, owner: str, size: int, uploads: int = 1) -> "TransactWriteItemTypeDef":
        """The write that takes `size` bytes and so many uploads, where both are left by a count that is not too old."""
        conditions = ["counted_at > :old"]
        values = {":old": int(time.time()) - COUNT_SECONDS, ":size": size, ":one": 1, ":new": uploads}
        if self._max_bytes:
            conditions.append("used_bytes <= :bytes")
            values[":bytes"] = self._max_bytes - size
        if self._max_uploads and uploads:
            conditions.append("used_uploads < :uploads")
            values[":uploads"] = self._max_uploads
        return {
            "Update": {
                "TableName": self._table,
                "Key": _key(owner),
                "UpdateExpression": "ADD used_bytes :size, used_uploads :new, changes :one",
                "ConditionExpression": " AND ".join(conditions),
                "ExpressionAttributeValues": _numbers(values),
            }
        }

    def recount(self, owner: str, size: int, uploads: int = 1) -> None:
        """Count what the owner has. Raises QuotaExceeded where that leaves no room for so much more.

        Raises Busy where there is more than can be counted at once: the next call goes on from there.
        """
        known = self._client.get_item(TableName=self._table, Key=_key(owner), ConsistentRead=True).get("Item", {})
        used, cursor = self._count(owner, known)
        changes = int(known["changes"]["N"]) if known else 0
        if cursor is None:
            count = {"used_bytes": used.bytes, "used_uploads": used.uploads, "counted_at": int(time.time())}
            item = {**_key(owner), **_numbers(count | {"changes": changes + 1})}
        else:
            self._refuse(used, size, uploads)
            part = {"part_bytes": used.bytes, "part_uploads": used.uploads, "part_changes": changes}
            item = {**known, **_key(owner), **_numbers(part | {"changes": changes}), "cursor": {"S": cursor}}
        # Not where others were faster: but who has no room by this count had none, and who has some tries again.
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(id) OR changes = :known",
                ExpressionAttributeValues=_numbers({":known": changes}),
            )
        if cursor is not None:
            raise Busy("The owner's files are being counted; ask again.")
        self._refuse(used, size, uploads)

    def _refuse(self, used: Used, size: int, uploads: int) -> None:
        if self._max_bytes and used.bytes + size > self._max_bytes:
            raise QuotaExceeded(
                f"The owner has {used.bytes} of {self._max_bytes} bytes; delete files, or ask for more.",
                quota="bytes",
                limit=self._max_bytes,
                used=used.bytes,
            )
        if self._max_uploads and used.uploads + uploads > self._max_uploads:
            raise QuotaExceeded(
                f"The owner has {used.uploads} unfinished uploads; finish or delete some.",
                quota="uploads",
                limit=self._max_uploads,
                used=used.uploads,
            )

    def _count(self, owner: str, known: Mapping[str, Any]) -> tuple[Used, str | None]:
        """All that is not aborted or expired; what failed keeps its object until it is deleted.

        And where to go on, as a former count that nobody has overtaken left it in `known`, when there is more.
        """
        used, cursor, moment = Used(0, 0), None, time.time()
        if "cursor" in known and known["part_changes"] == known["changes"]:
            used = Used(int(known["part_bytes"]["N"]), int(known["part_uploads"]["N"]))
            cursor = known["cursor"]["S"]
        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "#owner = :owner",
            "ProjectionExpression": "#size, #status, expires_at",
            "ExpressionAttributeNames": {"#owner": "owner", "#size": "size", "#status": "status"},
            "ExpressionAttributeValues": {":owner": {"S": owner}},
            "ConsistentRead": True,
            "Limit": PAGE_RECORDS,
        }
        for _ in range(PAGES_AT_ONCE):
            if cursor:
                query["ExclusiveStartKey"] = {"owner": {"S": owner}, "id": {"S": cursor}}
            answer = self._client.query(**query)
            for item in answer["Items"]:
                uploading = item["status"]["S"] == Status.UPLOADING
                expired = uploading and int(item["expires_at"]["N"]) <= moment
                if item["status"]["S"] != Status.ABORTED and not expired:
                    used = Used(used.bytes + int(item["size"]["N"]), used.uploads + uploading)
            cursor = answer.get("LastEvaluatedKey", {}).get("id", {}).get("S")
            if cursor is None:
                break
        return used, cursor


def _numbers(values: Mapping[str, int]) -> dict[str, Any]:
    return {name: {"N": str(value)} for name, value in values.items()}


def _key(owner: str) -> dict[str, Any]:
    return {"owner": {"S": PARTITION + owner}, "id": {"S": "used"}}
