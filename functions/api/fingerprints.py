"""Which unfinished upload a fingerprint means: one item beside the files, so that finding it is one read.

IAM actions: dynamodb:GetItem (find), dynamodb:PutItem (whoever writes what `claim` says).
"""

import hashlib
import time
from typing import TYPE_CHECKING, Any

from sluice.capabilities import Caller
from sluice.files import File

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

PARTITION = "fingerprints/"  # and the owner: no owner has a slash, so no list of files ever meets one


class Fingerprints:
    """Those of all owners. Each is known to one way in alone: the access token, one capability, or one drop."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def find(self, caller: Caller, fingerprint: str, size: int | None) -> str | None:
        """The id of the file that began with it last, whatever has become of that."""
        key = _key(caller, fingerprint, size)
        found = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return found["file_id"]["S"] if found else None

    def claim(self, caller: Caller, file: File, known: str | None) -> "TransactWriteItemTypeDef":
        """The write by which the file's fingerprint means it from now on, where it has meant `known` until now.

        Of many at once one wins.
        """
        size = file.size if file.size_limit is None else None  # as long as nobody knows it
        item = _key(caller, str(file.fingerprint), size) | {
            "file_id": {"S": file.id},
            "forget_at": {"N": str(file.expires_at)},
        }
        write: Any = {"TableName": self._table, "Item": item}
        if known is None:
            # DynamoDB removes what has expired up to two days late, and between two reads.
            write["ConditionExpression"] = "attribute_not_exists(id) OR forget_at <= :now"
            write["ExpressionAttributeValues"] = {":now": {"N": str(int(time.time()))}}
        else:
            write["ConditionExpression"] = "attribute_not_exists(id) OR file_id = :known"
            write["ExpressionAttributeValues"] = {":known": {"S": known}}
        return {"Put": write}


def _key(caller: Caller, fingerprint: str, size: int | None) -> dict[str, Any]:
    way = "\0".join([caller.drop or "", caller.capability or "", str(size), fingerprint])
    return {"owner": {"S": PARTITION + caller.owner}, "id": {"S": hashlib.sha256(way.encode()).hexdigest()}}
