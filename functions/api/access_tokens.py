"""Access tokens that owners make for their machines: named, with an end, and kept as a hash in the files' table.

A token names its owner and its record, so that one read finds the record. The rest of it is 256 random bits, for which
a fast hash is enough (https://pages.nist.gov/800-63-4/sp800-63b.html#lookupsecrets). It begins with `sluice.`, so that
scanners can find one that was published (https://docs.github.com/code-security/secret-scanning).

IAM actions: dynamodb:GetItem (find), dynamodb:Query (page), dynamodb:PutItem (create), dynamodb:DeleteItem (revoke).
"""

import base64
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sluice import pages
from sluice.errors import TokenNotFound
from sluice.files import ID, new_id, now, rfc3339
from sluice.tokens import hashed

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

PARTITION = "tokens/"  # and the owner: no owner has a slash, so no list of files ever meets a token
RANDOM_BYTES = 32
_TOKEN = re.compile(r"sluice\.([\w-]{2,172})\.([0-9a-z]{26})\.[\w-]{43}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessToken:
    owner: str
    id: str = field(default_factory=new_id)
    name: str
    created_at: str = field(default_factory=now)
    expires_at: int  # epoch seconds

    def public(self) -> dict[str, Any]:
        shown = {"id": self.id, "name": self.name, "created_at": self.created_at}
        return shown | {"expires_at": rfc3339(self.expires_at)}


class AccessTokens:
    """Those of all owners."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def create(self, record: AccessToken) -> str:
        """Keep the record, and answer the token, which nobody can show again."""
        owner = base64.urlsafe_b64encode(record.owner.encode()).decode().rstrip("=")
        token = f"sluice.{owner}.{record.id}.{secrets.token_urlsafe(RANDOM_BYTES)}"
        item = {
            **_key(record.owner, record.id),
            "name": {"S": record.name},
            "hash": {"S": hashed(token)},
            "created_at": {"S": record.created_at},
            "expires_at": {"N": str(record.expires_at)},
            "forget_at": {"N": str(record.expires_at)},  # DynamoDB's TTL, which is up to two days late
        }
        self._client.put_item(TableName=self._table, Item=item)
        return token

    def find(self, token: str) -> AccessToken | None:
        """The record of a valid token; None for any other. A token is invalid from the moment that it is revoked."""
        said = _TOKEN.fullmatch(token)
        if not said:
            return None
        try:
            owner = base64.urlsafe_b64decode(said[1] + "=" * (-len(said[1]) % 4)).decode("ascii")
        except ValueError:
            return None
        key = _key(owner, said[2])
        item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        if item is None or not hmac.compare_digest(item["hash"]["S"], hashed(token)):
            return None
        record = _record(owner, item)
        return record if record.expires_at > time.time() else None

    def page(self, owner: str, limit: int, cursor: str | None = None) -> tuple[list[AccessToken], str | None]:
        """At most `limit` that have not ended, newest first, and the cursor of the next page. Raises InvalidCursor."""
        connection = (self._client, self._table)
        found, following = pages.newest(connection, PARTITION + owner, limit, cursor, pages.not_ended())
        return [_record(owner, item) for item in found], following

    def revoke(self, owner: str, token_id: str) -> None:
        """End it now. Raises TokenNotFound."""
        missing = TokenNotFound("You have no access token with this id.", id=token_id[:40])
        if not ID.fullmatch(token_id):
            raise missing
        try:
            self._client.delete_item(
                TableName=self._table, Key=_key(owner, token_id), ConditionExpression="attribute_exists(id)"
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            raise missing from None


def _record(owner: str, item: Mapping[str, Any]) -> AccessToken:
    return AccessToken(
        owner=owner,
        id=item["id"]["S"],
        name=item["name"]["S"],
        created_at=item["created_at"]["S"],
        expires_at=int(item["expires_at"]["N"]),
    )


def _key(owner: str, token_id: str) -> dict[str, Any]:
    return {"owner": {"S": PARTITION + owner}, "id": {"S": token_id}}
