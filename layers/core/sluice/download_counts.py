"""How often a share's files were taken: what `max_downloads` is held to.

A link is one opening of a share and one record in it: a file, or the archive (the share's own id). Its first request
counts one download, in the transaction that checks that one is left. Further ranges by the same link are part of that
download: a client that fetches a file over eight connections, or goes on where it was cut off, takes one. A further
request for the whole is another download.

A whole answer that breaks before its last byte gives its count back, but for one that ranges of the same link live on:
or whoever fetches a file in ranges, beside a whole answer that he breaks off, would take it for nothing. So the item
of a link has two numbers: what it has `counted`, and how much of that is `kept`, 1 once a range has come.

This counts honestly; it is no protection against copies: who has a file once has it.

IAM actions: dynamodb:GetItem (begin, check), dynamodb:UpdateItem (begin, give_back).
"""

import random
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from sluice.errors import Busy, ShareUsedUp
from sluice.shares import Share, key_of, key_of_part, not_found

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

ATTEMPTS = 10  # at a transaction that others get in the way of: 3 s of waiting at most
LONGEST_WAIT_SECONDS = 0.6
# Why a transaction was cancelled, where the same may succeed when it is asked again:
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
PASSING = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
REFUSED = "ConditionalCheckFailed"

logger = Logger()


@dataclass(frozen=True, slots=True)
class _Link:
    """What its item says."""

    counted: int
    kept: int


class DownloadCounts:
    """Those of all shares."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def check(self, share: Share, opening: str, record_id: str) -> None:
        """Whether a request by this link would be answered; nothing is counted. Raises ShareUsedUp."""
        if share.used_up and not self._link(_link_key(share, opening, record_id)).counted:
            raise used_up(share)

    def begin(self, share: Share, opening: str, record_id: str, whole: bool) -> None:
        """Count what a request takes: the whole, or a range. Raises ShareUsedUp, ShareNotFound, Busy."""
        key = _link_key(share, opening, record_id)
        for attempt in range(ATTEMPTS):
            if not whole:
                link = self._link(key)
                if link.counted and (link.kept or self._keep(key)):
                    return
            if self._count(share, key, whole):
                return
            _pause(attempt)
        raise Busy("Many download from this share at this moment; ask again.")

    def give_back(self, share: Share, opening: str, record_id: str) -> None:
        """An answer with the whole has broken before its last byte. Nothing happens where ranges live on its count."""
        record, link = key_of(share.owner, share.id), _link_key(share, opening, record_id)
        for attempt in range(ATTEMPTS):
            codes = self._transact(
                self._update(record, "ADD downloads :change", "downloads > :zero", {":change": -1, ":zero": 0}),
                self._update(link, "ADD counted :change", "counted > kept", {":change": -1}),
            )
            if not PASSING & {*codes}:
                return
            _pause(attempt)
        logger.warning("the count of a broken download stays", share=share.id, record=record_id)

    def _count(self, share: Share, key: dict[str, Any], whole: bool) -> bool:
        """One more of the share and by the link; False where others got in the way."""
        record = key_of(share.owner, share.id)
        left = "expires_at > :now AND (attribute_not_exists(max_downloads) OR downloads < max_downloads)"
        values = {":change": 1, ":zero": 0, ":end": share.expires_at}
        if whole:
            update = "SET forget_at = :end, kept = if_not_exists(kept, :zero) ADD counted :change"
            link = self._update(key, update, None, values)
        else:
            update = "SET forget_at = :end, kept = :change ADD counted :change"
            link = self._update(key, update, "attribute_not_exists(counted) OR counted = :zero", values)
        one_more = self._update(record, "ADD downloads :change", left, {":change": 1, ":now": int(time.time())})
        codes = self._transact(one_more, link)
        # Where the link's write is refused as well, a range of this link was faster: it may have had the last one, and
        # then this one belongs to it.
        if codes and codes[0] == REFUSED and codes[1] == "None":
            item = self._client.get_item(TableName=self._table, Key=record, ConsistentRead=True).get("Item")
            ended = item is None or int(item["expires_at"]["N"]) <= time.time()
            raise not_found(share.id) if ended else used_up(share)
        return not codes

    def _keep(self, key: dict[str, Any]) -> bool:
        """Let ranges live on what the link has counted; False where that was given back a moment ago."""
        told = self._update(key, "SET kept = :one", "counted >= :one", {":one": 1})
        try:
            self._client.update_item(**told["Update"])
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _link(self, key: dict[str, Any]) -> _Link:
        item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return _Link(int(item["counted"]["N"]), int(item["kept"]["N"])) if item else _Link(0, 0)

    def _update(self, key: dict[str, Any], update: str, condition: str | None, values: dict[str, int]) -> Any:
        return {
            "Update": {
                "TableName": self._table,
                "Key": key,
                "UpdateExpression": update,
                **({"ConditionExpression": condition} if condition else {}),
                "ExpressionAttributeValues": {name: {"N": str(value)} for name, value in values.items()},
            }
        }

    def _transact(self, *writes: "TransactWriteItemTypeDef") -> list[str]:
        """Both or none; why not, write by write."""
        try:
            self._client.transact_write_items(TransactItems=writes)
        except self._client.exceptions.TransactionCanceledException as error:
            codes = [reason.get("Code", "None") for reason in error.response["CancellationReasons"]]
            if not {*codes} & {*PASSING, REFUSED}:
                raise
            return codes
        return []


@dataclass(frozen=True, slots=True)
class Taking:
    """One request by a share's link."""

    counts: DownloadCounts
    share: Share
    opening: str
    record_id: str

    def check(self) -> None:
        """As DownloadCounts does."""
        self.counts.check(self.share, self.opening, self.record_id)

    def begin(self, whole: bool) -> None:
        """As DownloadCounts does."""
        self.counts.begin(self.share, self.opening, self.record_id, whole)

    def counted(self, chunks: Generator[bytes, None, None], whole: bool) -> Generator[bytes, None, None]:
        """The chunks, counted before the first of them; given back where the whole is not read to its end.

        Raises what `begin` raises, before anything is read.
        """
        self.begin(whole)
        ended = False
        try:
            with closing(chunks):
                yield from chunks
            ended = True
        finally:
            if whole and not ended:
                self._give_back()

    def _give_back(self) -> None:
        try:
            self.counts.give_back(self.share, self.opening, self.record_id)
        except (BotoCoreError, ClientError) as error:  # what broke the answer is what has to be seen
            logger.warning("the count of a broken download stays", share=self.share.id, error=str(error))


def used_up(share: Share) -> ShareUsedUp:
    """What its holder is told."""
    many = "1 download, and it was" if share.max_downloads == 1 else f"{share.max_downloads} downloads, and they were"
    return ShareUsedUp(f"This share allows {many} made.")


def _link_key(share: Share, opening: str, record_id: str) -> dict[str, Any]:
    return key_of_part(share, f"links/{opening}/{record_id}")


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0, min(LONGEST_WAIT_SECONDS, 0.02 * 2**attempt)))  # noqa: S311 - jitter, no secret
