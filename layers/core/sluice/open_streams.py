"""How many streams a link holds open at once. Each occupies an environment of the stream function while it lasts.

Environments share no memory, so the count stands in the files' table: a link has one item with a number of slots, and
a stream that opens takes a free one, in a conditional write that names the slot and when its lease ends. Two streams
never get the same slot, and no read is needed: a slot is tried at random, and a refusal says which are free. A stream
renews its lease while it lasts and gives the slot back at its end. The lease of an environment that died ends by
itself.

IAM actions: dynamodb:UpdateItem (begin, and of a lease renew and end).
"""

import hashlib
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sluice.errors import TooManyStreams

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

PARTITION = "streams/"  # and the owner, a slash and the link: no owner has a slash, so no list ever meets an item
SLOTS = "slots"  # the sort key of a link's one item
# A slot of an environment that died is lost for so long at most; nobody honest should have to wait longer.
LEASE_SECONDS = 60
RENEW_SECONDS = 25.0  # twice within a lease, so that one renewal may fail
# At slots that were free a moment ago: that others take one each time means that as many streams open at this moment.
ATTEMPTS = 8
# A link that many people have (a share's, a drop's) has so many items, over which the people are spread: one of them
# fills one, and the rest go on.
LANES = 10
MICROSECONDS = 1_000_000  # of a lease's end: fine enough that no two streams have the same


class OpenStreams:
    """Those of all links; at most `most` of each, or any number where that is 0."""

    def __init__(self, client: "DynamoDBClient", table: str, most: int) -> None:
        self._client = client
        self._table = table
        self._most = most

    def begin(self, owner: str, link: str) -> "Lease | None":
        """Count one more; None where there is no bound. Raises TooManyStreams."""
        if not self._most:
            return None
        lease = Lease(self._client, self._table, {"owner": {"S": f"{PARTITION}{owner}/{link}"}, "id": {"S": SLOTS}})
        slots = [f"slot_{number}" for number in range(self._most)]
        free = slots
        for _ in range(ATTEMPTS):
            held = lease.take(random.choice(free))  # noqa: S311 - no secret
            if held is None:
                return lease
            moment = _now()
            free = [slot for slot in slots if held.get(slot, 0) < moment]
            if not free:
                break
        raise TooManyStreams(f"This link has {self._most} streams open, which is as many as it may have.")


class Lease:
    """One open stream. Blocks; for one thread at a time."""

    def __init__(self, client: "DynamoDBClient", table: str, key: dict[str, Any]) -> None:
        self._client = client
        self._table = table
        self._key = key
        self._slot = ""
        self._until = 0

    def take(self, slot: str) -> dict[str, int] | None:
        """Take the slot; where another stream has it, when the leases of all slots end."""
        return self._write(slot, f"attribute_not_exists({slot}) OR {slot} < :held", _now())

    def renew(self) -> None:
        """Where it ended before and another stream has the slot, the rest of this one is not counted."""
        self._write(self._slot, f"{self._slot} = :held", self._until)

    def end(self) -> None:
        """Give the slot back."""
        with suppress(self._client.exceptions.ConditionalCheckFailedException):  # another stream has it
            self._client.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression=f"REMOVE {self._slot}",
                ConditionExpression=f"{self._slot} = :held",
                ExpressionAttributeValues={":held": {"N": str(self._until)}},
            )

    def _write(self, slot: str, condition: str, held: int) -> dict[str, int] | None:
        until = _now() + LEASE_SECONDS * MICROSECONDS
        values = {":until": until, ":held": held, ":forget": until // MICROSECONDS + LEASE_SECONDS}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression=f"SET {slot} = :until, forget_at = :forget",
                ConditionExpression=condition,
                ExpressionAttributeValues={name: {"N": str(value)} for name, value in values.items()},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            told: Any = error.response
            found = {name: int(value["N"]) for name, value in told.get("Item", {}).items() if name.startswith("slot_")}
            # The SDK asks again where an answer is lost: then this very write is what stands in its way.
            if found.get(slot) != until:
                return found
        self._slot, self._until = slot, until
        return None


def lane(gate: str, person: str) -> str:
    """The name of one of the LANES of a link that many people have; the same person is always in the same."""
    return f"{gate}/{hashlib.sha256(person.encode()).digest()[0] % LANES}"


def _now() -> int:
    return time.time_ns() // 1_000
