"""The `detail` of an event: what the API tells the owner, without links, capabilities and passwords.

IAM action: dynamodb:GetItem (of).
"""

from typing import TYPE_CHECKING, Any

from functions.publisher.changes import Event, Kind
from sluice import drops, shares
from sluice.downloads import Download
from sluice.files import File, from_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

VERSION = "1"  # rises when a member goes or changes its meaning; new members come without


class Details:
    """`events/schemas` has the schema of each kind."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def of(self, event: Event) -> dict[str, Any]:
        """The detail. What stands in another record is read as it is now, and null where it is gone."""
        subject = event.subject
        detail: dict[str, Any] = {"version": VERSION, "id": event.id, "time": event.time, "owner": subject.owner}
        if isinstance(subject, Download):
            return detail | self._of_download(subject)
        if event.kind is Kind.DROP_RECEIVED:
            detail |= {"drop": self._titled(drops.PARTITION, subject, subject.drop)}
        return detail | {"file": subject.public(to_owner=True)}

    def _of_download(self, download: Download) -> dict[str, Any]:
        # Of an archive the record is none of a file.
        item = self._client.get_item(
            TableName=self._table, Key={"owner": {"S": download.owner}, "id": {"S": download.record}}
        ).get("Item")
        return {
            "share": self._titled(shares.PARTITION, download, download.share),
            "file": from_item(item).public(to_owner=True) if item else None,
            "record": download.record,
            "download": download.id,
            "sent_bytes": download.sent_bytes,
            "size": download.size,
            "ended": download.ended,
        }

    def _titled(self, partition: str, subject: File | Download, record_id: str | None) -> dict[str, Any]:
        """The id and the title of a drop or a share. Nothing else of its record is read: it may have a password."""
        item = self._client.get_item(
            TableName=self._table,
            Key={"owner": {"S": partition + subject.owner}, "id": {"S": str(record_id)}},
            ProjectionExpression="title",
        ).get("Item", {})
        return {"id": record_id, "title": item["title"]["S"] if "title" in item else None}
