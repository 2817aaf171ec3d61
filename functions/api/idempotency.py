"""Requests that a client may repeat when it heard no answer: which file an `Idempotency-Key` stands for, for a day.

IAM actions: dynamodb:GetItem (get), dynamodb:PutItem (remember).
"""

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

PARTITION = "repeats/"  # and the owner: no owner has a slash, so no list of files ever meets one
REMEMBERED_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class First:
    """What came first under a key: the file that it became, and a hash of all that was asked for."""

    file_id: str
    request: str


class IdempotencyKeys:
    """The keys of all owners, kept beside the files."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def get(self, owner: str, key: str) -> First | None:
        found = self._client.get_item(TableName=self._table, Key=_key(owner, key), ConsistentRead=True).get("Item")
        # DynamoDB removes what has expired up to two days late.
        return _first(found) if found and int(found["forget_at"]["N"]) > time.time() else None

    def remember(self, owner: str, key: str, first: First) -> First:
        """What the key stands for from now on: this, or what an attempt that was faster has made it."""
        moment = int(time.time())
        item = _key(owner, key) | {
            "file_id": {"S": first.file_id},
            "request": {"S": first.request},
            # DynamoDB's TTL.
            "forget_at": {"N": str(moment + REMEMBERED_SECONDS)},
        }
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(id) OR forget_at <= :now",
                ExpressionAttributeValues={":now": {"N": str(moment)}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            faster: Any = error.response
            return _first(faster["Item"])
        return first


def _key(owner: str, key: str) -> dict[str, Any]:
    return {"owner": {"S": PARTITION + owner}, "id": {"S": hashlib.sha256(key.encode()).hexdigest()}}


def _first(item: Any) -> First:
    return First(item["file_id"]["S"], item["request"]["S"])
