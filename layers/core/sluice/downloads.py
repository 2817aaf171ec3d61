"""Downloads: how far each one is and how it ended, for the owner's feed. A day later they are forgotten.

What is told here is news, not a ledger: a write that fails is logged, and the download goes on.

IAM actions: dynamodb:PutItem (save), dynamodb:BatchGetItem (several).
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from sluice import settings
from sluice.errors import Busy
from sluice.files import BATCH_KEYS, changed, new_id, now

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

DOWNLOADS = "downloads/"  # and the owner: a partition of the table; no owner has a slash
REMEMBERED_SECONDS = 86_400  # as long as a watcher may have been away
# The table is waited for no longer than this, twice: what is told of a download must not outlast it by much.
CONNECT_SECONDS, ANSWER_SECONDS, ATTEMPTS = 1, 2, 2


class Ending(StrEnum):
    COMPLETE = "complete"  # the last byte was sent
    BROKEN = "broken"  # it was not
    REDIRECTED = "redirected"  # S3 sends the bytes, and does not tell how many


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One answer with the bytes of a file or an archive, or a part of them; `size` is what it has to send."""

    owner: str
    record: str  # the id of the file or the archive
    size: int
    id: str = field(default_factory=new_id)
    share: str | None = None  # the id of the share, where it came by one
    sent_bytes: int = 0
    ended: Ending | None = None

    @property
    def revision(self) -> int:
        """Rises with every write: each has more bytes than the one before, or is the end."""
        return self.sent_bytes + (self.ended is not None)

    def public(self) -> dict[str, Any]:
        """The data of one `download` event."""
        return {
            "id": self.record,
            "download": self.id,
            "share": self.share,
            "sent_bytes": self.sent_bytes,
            "size": self.size,
            "ended": self.ended,
        }


class Downloads:
    """Those of all owners."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    @classmethod
    def connect(cls) -> "Downloads":
        """With a client of its own, which gives up soon."""
        retries: Any = {"mode": "standard", "total_max_attempts": ATTEMPTS}
        config = Config(retries=retries, connect_timeout=CONNECT_SECONDS, read_timeout=ANSWER_SECONDS)
        return cls(boto3.client("dynamodb", config=config), settings.TABLE_NAME.read())

    def save(self, download: Download) -> None:
        item: dict[str, Any] = {
            "owner": {"S": DOWNLOADS + download.owner},
            "id": {"S": download.id},
            "record": {"S": download.record},
            "sent_bytes": {"N": str(download.sent_bytes)},
            "size": {"N": str(download.size)},
            "forget_at": {"N": str(int(time.time()) + REMEMBERED_SECONDS)},
            **changed(download.owner, now()),
        }
        for name in ("share", "ended"):
            if (value := getattr(download, name)) is not None:
                item[name] = {"S": value}
        self._client.put_item(TableName=self._table, Item=item)

    def several(self, owner: str, ids: Iterable[str]) -> dict[str, Download]:
        """Those of at most BATCH_KEYS ids that are still known, as last written. Raises Busy."""
        keys: list[Any] = [{"owner": {"S": DOWNLOADS + owner}, "id": {"S": one}} for one in dict.fromkeys(ids)]
        if not keys:
            return {}
        if len(keys) > BATCH_KEYS:
            raise ValueError(f"{len(keys)} ids are more than one request takes")
        answer = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
        if answer.get("UnprocessedKeys"):
            raise Busy("The table has more to do than it can; ask again.")
        return {one.id: one for one in map(from_item, answer["Responses"].get(self._table, []))}


def from_item(item: Mapping[str, Any]) -> Download:
    return Download(
        owner=item["owner"]["S"].removeprefix(DOWNLOADS),
        id=item["id"]["S"],
        record=item["record"]["S"],
        share=item["share"]["S"] if "share" in item else None,
        sent_bytes=int(item["sent_bytes"]["N"]),
        size=int(item["size"]["N"]),
        ended=Ending(item["ended"]["S"]) if "ended" in item else None,
    )
