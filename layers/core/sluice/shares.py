"""Shares: links through which people without an account take files out. They stand in the files' table.

A share names the files that it was made of, for good: what comes into its folder or its drop later is not in it, and
what is deleted is left out when it is opened. The ids stand beside its record, PAGE_FILES in an item, packed to 16
bytes each, so that one small read finds the files of one answer. `download_counts` counts what was taken.

IAM actions: dynamodb:GetItem (get, holding, page_ids, file_ids), dynamodb:PutItem (create), dynamodb:Query (page,
holding), dynamodb:DeleteItem (end), dynamodb:UpdateItem (take_try, give_try_back).
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sluice import pages
from sluice.errors import InvalidCursor, ShareNotFound, TooManyTries
from sluice.files import ID, earlier, id_of_bytes, id_to_bytes, new_id, now, rfc3339

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

PARTITION = "shares/"  # and the owner, for the records; and the id besides, for what belongs to one share
# Ids in one item, and files in one answer of POST /shares/{id}/open: of about 1 KB each, and Lambda sends 6 MB.
PAGE_FILES = 1_000
# Items of ids that one answer of `holding` reads: the largest share has so many, of 16 KB and two read units each.
LOOKED_AT = 100
# What a clock of another machine may be ahead: a share is made of files that were there before it.
CLOCKS_DIFFER_SECONDS = 60
BEYOND_IDS = "8"  # 26 characters of five bits are two bits more than the 16 bytes of an id
# Wrong passwords of one share within TRIES_SECONDS of the first: 960 a day, so that eight random characters are safe
# for as long as a share lives.
MAX_TRIES = 10
TRIES_SECONDS = 900


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """What may be taken, how often and until when. `count` and `size` (bytes) are those of its making."""

    owner: str
    id: str = field(default_factory=new_id)
    title: str | None = None
    message: str | None = None
    owner_name: str | None = None  # as its owner has typed it
    count: int
    size: int
    downloads: int = 0
    max_downloads: int | None = None
    password: str | None = field(default=None, repr=False)  # its hash, as `passwords` makes it
    created_at: str = field(default_factory=now)
    expires_at: int  # epoch seconds

    @property
    def used_up(self) -> bool:
        return self.downloads_left == 0

    @property
    def downloads_left(self) -> int | None:
        """None where there is no limit."""
        return None if self.max_downloads is None else max(0, self.max_downloads - self.downloads)

    def public(self) -> dict[str, Any]:
        """What its owner may see."""
        shown: dict[str, Any] = {name: getattr(self, name) for name in _PUBLIC}
        return shown | {"has_password": self.password is not None, "expires_at": rfc3339(self.expires_at)}


_TEXTS = ("title", "message", "owner_name")  # what whoever opens it is shown
_PUBLIC = ("id", *_TEXTS, "count", "size", "downloads", "max_downloads", "created_at")


class Shares:
    """Those of all owners."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def create(self, share: Share, file_ids: Sequence[str]) -> None:
        """Write the list of its files, and then the record, without which nobody asks for the list."""
        # DynamoDB's TTL. What has ended is looked for by nobody.
        forget_at = {"forget_at": {"N": str(share.expires_at)}}
        for number in range(_pages(share)):
            packed = b"".join(map(id_to_bytes, file_ids[number * PAGE_FILES : (number + 1) * PAGE_FILES]))
            page = key_of_part(share, _page_id(number)) | {"ids": {"B": packed}} | forget_at
            self._client.put_item(TableName=self._table, Item=page)
        item: dict[str, Any] = {
            **key_of(share.owner, share.id),
            **_numbers({"count": share.count, "size": share.size, "downloads": share.downloads}),
            "created_at": {"S": share.created_at},
            "expires_at": {"N": str(share.expires_at)},
            **forget_at,
        }
        if share.max_downloads is not None:
            item["max_downloads"] = {"N": str(share.max_downloads)}
        for name in (*_TEXTS, "password"):
            if (text := getattr(share, name)) is not None:
                item[name] = {"S": text}
        self._client.put_item(TableName=self._table, Item=item)

    def get(self, owner: str, share_id: str) -> Share:
        """The share as it is now. Raises ShareNotFound, for one that has ended as well."""
        item = None
        if ID.fullmatch(share_id):
            key = key_of(owner, share_id)
            item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        # DynamoDB removes what has expired up to two days late.
        if item is None or int(item["expires_at"]["N"]) <= time.time():
            raise not_found(share_id)
        return _from_item(owner, item)

    def page(self, owner: str, limit: int, cursor: str | None = None) -> tuple[list[Share], str | None]:
        """The owner's shares, newest first, and the cursor of the next page. Raises InvalidCursor.

        Where most have ended a page may be short, or even empty, and still have a next one.
        """
        partition = PARTITION + owner
        found, following = pages.newest((self._client, self._table), partition, limit, cursor, pages.not_ended())
        return [_from_item(owner, item) for item in found], following

    def holding(
        self, owner: str, file_id: str, limit: int, cursor: str | None = None
    ) -> tuple[list[Share], str | None]:
        """Those of the owner's shares that hold this file, and the cursor of the next page. Raises InvalidCursor.

        It reads the ids of at most `limit` shares, and no more than LOOKED_AT items of them: a page may be empty and
        still have a next one. Shares from before the file cannot hold it, and end the list.
        """
        if not ID.fullmatch(file_id) or file_id >= BEYOND_IDS:
            return [], None
        oldest = earlier(file_id, CLOCKS_DIFFER_SECONDS)
        page, following = self.page(owner, limit, cursor)
        found: list[Share] = []
        looked_at, last = 0, cursor
        for share in page:
            if share.id < oldest:
                return found, None
            looked_at += _pages(share)
            if looked_at > LOOKED_AT:  # never the first: none has more
                return found, last
            last = share.id
            if self._holds(share, id_to_bytes(file_id)):
                found.append(share)
        return found, following

    def end(self, share: Share) -> None:
        """Let nobody in any more, at once. The files stay; what was counted goes by itself."""
        self._client.delete_item(TableName=self._table, Key=key_of(share.owner, share.id))
        for number in range(_pages(share)):
            self._client.delete_item(TableName=self._table, Key=key_of_part(share, _page_id(number)))

    def page_ids(self, share: Share, cursor: str | None = None) -> tuple[list[str], str | None]:
        """The ids of at most PAGE_FILES of its files, and the cursor of those that follow. Raises InvalidCursor."""
        number = 0 if cursor is None else _page_number(cursor)
        if number >= _pages(share):
            raise InvalidCursor("Take `next` of the page before as it is.")
        following = str(number + 1) if number + 1 < _pages(share) else None
        return self._ids(share, number), following

    def file_ids(self, share: Share) -> Iterator[str]:
        """The ids of all its files; in memory is one page at a time. Some of the files may be gone."""
        for number in range(_pages(share)):
            yield from self._ids(share, number)

    def take_try(self, share: Share) -> int:
        """Take one of the tries at its password, before it is looked at; the time that these tries belong to.

        Raises TooManyTries, ShareNotFound.
        """
        while True:
            moment = int(time.time())
            try:
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=key_of(share.owner, share.id),
                    UpdateExpression="SET tries = tries + :one",
                    ConditionExpression="tries_until > :now AND tries < :most",
                    ExpressionAttributeValues=_numbers({":one": 1, ":now": moment, ":most": MAX_TRIES}),
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
                return int(answer["Attributes"]["tries_until"]["N"])
            except self._client.exceptions.ConditionalCheckFailedException as error:
                told: Any = error.response
            if not (item := told.get("Item")):
                raise not_found(share.id)
            until = int(item["tries_until"]["N"]) if "tries_until" in item else 0
            if until > moment:
                raise TooManyTries(until - moment)
            if (begun := self._begin_tries(share, until, moment)) is not None:
                return begun

    def give_try_back(self, share: Share, until: int) -> None:
        """The password was right."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key=key_of(share.owner, share.id),
                UpdateExpression="SET tries = tries - :one",
                ConditionExpression="tries_until = :until AND tries > :zero",
                ExpressionAttributeValues=_numbers({":one": 1, ":until": until, ":zero": 0}),
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return  # ended, or its tries begin anew

    def _begin_tries(self, share: Share, known: int, moment: int) -> int | None:
        """The first try of a new time; None where another one was faster."""
        until = moment + TRIES_SECONDS
        try:
            self._client.update_item(
                TableName=self._table,
                Key=key_of(share.owner, share.id),
                UpdateExpression="SET tries = :one, tries_until = :until",
                ConditionExpression="attribute_exists(id) AND (attribute_not_exists(tries) OR tries_until = :known)",
                ExpressionAttributeValues=_numbers({":one": 1, ":until": until, ":known": known}),
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return None
        return until

    def _holds(self, share: Share, packed_id: bytes) -> bool:
        """Not where it has ended at this moment."""
        try:
            return any(packed_id in _split(self._packed(share, number)) for number in range(_pages(share)))
        except ShareNotFound:
            return False

    def _ids(self, share: Share, number: int) -> list[str]:
        return [id_of_bytes(one) for one in _split(self._packed(share, number))]

    def _packed(self, share: Share, number: int) -> bytes:
        key = key_of_part(share, _page_id(number))
        item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        if item is None:  # ended at this moment
            raise not_found(share.id)
        return item["ids"]["B"]


def not_found(share_id: str) -> ShareNotFound:
    return ShareNotFound("There is no share with this id, or it has ended.", id=share_id[:40])


def key_of(owner: str, share_id: str) -> dict[str, Any]:
    """The key of the record in the table."""
    return {"owner": {"S": PARTITION + owner}, "id": {"S": share_id}}


def key_of_part(share: Share, part: str) -> dict[str, Any]:
    """The key of what belongs to the share: no owner has a slash, so no list of shares ever meets it."""
    return {"owner": {"S": f"{PARTITION}{share.owner}/{share.id}"}, "id": {"S": part}}


def _split(packed: bytes) -> list[bytes]:
    return [packed[start : start + 16] for start in range(0, len(packed), 16)]


def _pages(share: Share) -> int:
    return -(-share.count // PAGE_FILES)


def _page_id(number: int) -> str:
    return f"files/{number}"


def _page_number(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 3):
        raise InvalidCursor("Take `next` of the page before as it is.")
    return int(cursor)


def _numbers(values: dict[str, int]) -> dict[str, Any]:
    return {name: {"N": str(value)} for name, value in values.items()}


def _from_item(owner: str, item: Any) -> Share:
    most = item.get("max_downloads")
    texts = {name: item[name]["S"] for name in (*_TEXTS, "password") if name in item}
    return Share(
        owner=owner,
        id=item["id"]["S"],
        count=int(item["count"]["N"]),
        size=int(item["size"]["N"]),
        downloads=int(item["downloads"]["N"]),
        max_downloads=int(most["N"]) if most else None,
        created_at=item["created_at"]["S"],
        expires_at=int(item["expires_at"]["N"]),
        **texts,
    )
