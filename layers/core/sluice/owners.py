"""Owners: whether one has access, and the list of those who have made anything that others can use.

Whoever signs in is known to the issuer alone, so that an administrator could not ask for his drops and shares by name:
each owner is noted when he makes the first of them.

IAM actions: secretsmanager:GetSecretValue (has_access), dynamodb:PutItem (note), dynamodb:Query (names).
"""

from typing import TYPE_CHECKING, Any

from sluice import secrets, settings, tokens

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

PARTITION = "owners/"  # no owner has a slash, so no list of files ever meets it
MAX_NAMES = 10_000  # in one answer: 1.3 MB of the longest


def has_access(name: str) -> bool:
    """Whether this owner has access now. With an owner all ends that was given out in his name."""
    signed_in = settings.OIDC_ISSUER.read() is not None
    return tokens.is_owner(name, secrets.read(settings.ACCESS_TOKEN_SECRET), sign_in=signed_in)


class Owners:
    """The names in the table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table
        self._noted: set[str] = set()  # by this environment, so that a busy owner is not written again and again

    def note(self, name: str) -> None:
        if name not in self._noted:
            self._client.put_item(TableName=self._table, Item={"owner": {"S": PARTITION}, "id": {"S": name}})
            self._noted.add(name)

    def names(self) -> list[str]:
        """In the order of the alphabet, the first MAX_NAMES; those with a token in the secret as well."""
        found = set(tokens.owners(secrets.read(settings.ACCESS_TOKEN_SECRET)))
        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "#owner = :owner",
            "ExpressionAttributeNames": {"#owner": "owner"},
            "ExpressionAttributeValues": {":owner": {"S": PARTITION}},
        }
        while len(found) < MAX_NAMES:
            answer = self._client.query(**query)
            found |= {item["id"]["S"] for item in answer["Items"]}
            if "LastEvaluatedKey" not in answer:
                break
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        return sorted(found)[:MAX_NAMES]
