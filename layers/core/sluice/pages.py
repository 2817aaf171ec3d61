"""A page of what one owner has in a partition of the table: newest first, as later ids sort behind earlier ones.

IAM action: dynamodb:Query.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sluice.errors import InvalidCursor
from sluice.files import ID

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

PAGE_READS = 10  # of the table or an index for one answer
FILTERED_READ = 100  # records looked at in one read of a filtered list: about 100 KB, 13 read units


@dataclass(frozen=True, slots=True)
class Condition:
    """What DynamoDB leaves out after it has read it: a filter expression, and the names and values in it."""

    expression: str
    values: Mapping[str, Any]
    names: Mapping[str, str] = field(default_factory=dict)


def not_ended() -> Condition:
    """Of records with an `expires_at`, which DynamoDB removes up to two days late."""
    return Condition("expires_at > :now", {":now": {"N": str(int(time.time()))}})


def newest(
    connection: tuple["DynamoDBClient", str],
    partition: str,
    limit: int,
    cursor: str | None,
    condition: Condition | None = None,
) -> tuple[list[dict[str, Any]], str | None]:
    """At most `limit` items, and the cursor of the next page. Raises InvalidCursor.

    With a condition a page may be short, or even empty, and still have a next one: an answer reads PAGE_READS times.
    """
    if cursor is not None and not ID.fullmatch(cursor):
        raise InvalidCursor("Take `next` of the page before as it is.")
    client, table = connection
    query: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": "#owner = :owner",
        "ExpressionAttributeNames": {"#owner": "owner"},
        "ExpressionAttributeValues": {":owner": {"S": partition}},
        "ScanIndexForward": False,
        "Limit": limit,
    }
    if condition:
        query["FilterExpression"] = condition.expression
        query["ExpressionAttributeNames"] |= condition.names
        query["ExpressionAttributeValues"] |= condition.values
        # DynamoDB applies a filter after its limit: such a page is gathered from several larger reads.
        query["Limit"] = max(limit, FILTERED_READ)
    found: list[dict[str, Any]] = []
    for _ in range(PAGE_READS):
        if cursor:
            query["ExclusiveStartKey"] = {"owner": {"S": partition}, "id": {"S": cursor}}
        answer = client.query(**query)
        found += answer["Items"]
        cursor = answer.get("LastEvaluatedKey", {}).get("id", {}).get("S")
        if len(found) > limit:
            found = found[:limit]
            cursor = found[-1]["id"]["S"]
        if cursor is None or len(found) == limit:
            break
    return found, cursor
