"""The file: its record, its states, and the DynamoDB table that keeps it.

IAM actions: dynamodb:GetItem (get, was_deleted), dynamodb:BatchGetItem (several, many), dynamodb:PutItem (create, save,
delete), dynamodb:UpdateItem (keep_crc32), dynamodb:DeleteItem (delete), for the claims of a transaction (create) what
they do. `listing` and `feed` ask the indexes for what is written here.
"""

import math
import os
import random
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config

from sluice import limits, settings
from sluice.errors import Busy, Conflict, FileNotFound, TooManyFiles, WrongState

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


class Status(StrEnum):
    UPLOADING = "uploading"
    ASSEMBLING = "assembling"
    HASHING = "hashing"
    SCANNING = "scanning"  # hashed, and nobody gets it before the verdict of the malware scan
    READY = "ready"
    FAILED = "failed"
    ABORTED = "aborted"


# `uploading -> hashing` because S3's event proves that all bytes are there, even where nobody called `complete` (a
# single PUT), and `uploading -> ready` because nothing is left to read where S3 has checked it all. A state leads to
# itself where only the progress moves on, or where the sender says what its digests are: of a file that is `ready`
# already they may prove that other bytes arrived than were sent.
TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.UPLOADING: frozenset(Status),
    Status.ASSEMBLING: frozenset({Status.ASSEMBLING, Status.HASHING, Status.FAILED}),
    Status.HASHING: frozenset({Status.HASHING, Status.SCANNING, Status.READY, Status.FAILED}),
    Status.SCANNING: frozenset({Status.SCANNING, Status.READY, Status.FAILED}),
    Status.READY: frozenset({Status.READY, Status.FAILED}),
    Status.FAILED: frozenset(),
    Status.ABORTED: frozenset(),
}
ENDED = frozenset({Status.READY, Status.FAILED, Status.ABORTED})
HASHED = frozenset({Status.SCANNING, Status.READY})


class Mode(StrEnum):
    SINGLE = "single"  # one presigned PUT
    MULTIPART = "multipart"


def now() -> str:
    """The present moment as RFC 3339 UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rfc3339(epoch_seconds: int) -> str:
    """A moment as RFC 3339 UTC with seconds."""
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat().replace("+00:00", "Z")


def in_days(days: int) -> int:
    """The moment so many days from now, in epoch seconds."""
    return int(time.time()) + days * 86_400


# Crockford's base 32 sorts as the numbers do and has no letters that are mistaken for digits.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SHIFTS = range(125, -1, -5)  # of each character's five bits
ID = re.compile(f"[{_ALPHABET}]{{26}}")


def new_id() -> str:
    """26 URL-safe characters: 48 bits of milliseconds, then 80 random bits. Later ids sort after earlier ones."""
    return _characters(time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10)))


def id_to_bytes(one: str) -> bytes:
    """The 16 bytes of an id that `new_id` made."""
    return sum(_ALPHABET.index(character) << shift for character, shift in zip(one, _SHIFTS, strict=True)).to_bytes(16)


def earlier(one: str, seconds: int) -> str:
    """The first id of the moment so many seconds before that of this id."""
    milliseconds = int.from_bytes(id_to_bytes(one)) >> 80
    return _characters(max(0, milliseconds - seconds * 1_000) << 80)


def id_of_bytes(packed: bytes) -> str:
    """The id that these bytes are of."""
    return _characters(int.from_bytes(packed))


def _characters(number: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in _SHIFTS)


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One file from the promise to upload it to its end. Sizes in bytes, digests in lower-case hex by RFC 9530 name."""

    owner: str
    id: str = field(default_factory=new_id)
    status: Status = Status.UPLOADING
    revision: int = 1
    filename: str
    folder: str | None = None  # where its sender has it: `a/b`, checked by the API
    metadata: dict[str, str] | None = None  # whatever its sender or its owner notes about it
    size: int
    content_type: str
    mode: Mode
    part_size: int
    fingerprint: str | None = None  # what a client knows an unfinished upload by; dropped when it can no longer resume
    part_digest: str | None = None  # the digest of each part, which its URL is locked to, where the client wants that
    declared: dict[str, str] = field(default_factory=dict)  # digests that the client says the file has
    digests: dict[str, str] = field(default_factory=dict)  # digests that the hasher found
    verified: bool = False  # the sender's own digest, of the whole or of every part, was compared and held
    crc32: str | None = None  # of all bytes, in hex: a ZIP needs it before the first of them
    mismatch: dict[str, str] | None = None  # what contradicts it, where it failed so: name, expected, found
    received_bytes: int = 0
    hashed_bytes: int = 0
    resumes: bool = True  # False: a hashing job that is interrupted starts over, as states cannot be saved there
    etag: str | None = None
    version_id: str | None = None
    reason: str | None = None  # why it failed
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)
    arrived_at: str | None = None  # when all its bytes were there, which then never change
    expires_at: int | None = None  # epoch seconds: an upload that is not finished by then is over
    forget_at: int | None = None  # epoch seconds, DynamoDB's TTL: the record of what came to nothing goes by itself
    upload_id: str | None = None
    # Where only the client knows the size: the most that it may be, until all bytes have arrived. Then `size` is what
    # the owner's quota has promised for it.
    size_limit: int | None = None
    own_parts: int | None = None  # where the client cuts the file as it likes: into how many, 0 until it has said so
    drop: str | None = None  # the id of the drop that it came through: who came the same way sees it, besides the owner
    capability: str | None = None  # the id of the capability to upload that began it, which sees it besides the owner
    composite: str | None = None  # of the digests of its parts, each of which its sender vouched for (`composites`)
    resumed: bool = False  # more than one sender may have parts in it: only their digests tell whose the bytes are
    rereads: int = 0  # readings that contradicted what was promised, each followed by another
    lease_holder: str | None = None  # the hashing job that may write, until lease_until (epoch seconds)
    lease_until: int = 0
    digest_states: dict[str, str] = field(default_factory=dict)  # after hashed_bytes, for the job that goes on
    attempts: int = 0  # hashing jobs begun since the last one that got on

    def __post_init__(self) -> None:
        if not OWNER.fullmatch(self.owner):
            raise ValueError(f"{self.owner!r} cannot own files: it would not fit into a key")

    @property
    def key(self) -> str:
        """The S3 key: chosen here, never by a client."""
        return f"{KEY_PREFIX}{self.owner}/{self.id}"

    @property
    def most_bytes(self) -> int:
        """The most that was promised for it: its size, once that is known."""
        return self.size if self.size_limit is None else self.size_limit

    @property
    def part_count(self) -> int:
        if self.own_parts is not None:
            return max(1, self.own_parts)
        return limits.part_count(self.size, self.part_size)

    def public(self, *, to_owner: bool = False) -> dict[str, Any]:
        """The HTTP contract's file without its links. Through which drop it came is told to its owner alone."""
        shown: dict[str, Any] = {name: getattr(self, name) for name in _PUBLIC}
        if not to_owner:
            shown["drop"] = None
        if self.size_limit is not None:
            shown["size"] = None
        if self.own_parts is not None:
            shown |= {"part_size": None, "part_count": self.own_parts or None}
        if self.expires_at is not None:
            shown["expires_at"] = rfc3339(self.expires_at)
        return shown

    def progress(self) -> dict[str, Any]:
        """The data of one `progress` event."""
        shown = {name: getattr(self, name) for name in ("status", "received_bytes", "hashed_bytes")}
        shown |= {"verified": True} if self.verified else {}
        return shown | {"size": self.size if self.size_limit is None else None}


KEY_PREFIX = "files/"
# What S3 takes in a key without escaping, and no slash. `.` and `..` would be taken out of a URL's path by clients.
OWNER = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.@=-]{1,128}")
TOMBSTONES = "deleted/"  # and the owner: a partition of what was deleted; no owner has a slash
# Longer than a URL that was given out can still be used, and its event can wait in the queue.
TOMBSTONE_DAYS = 15
# Keys in one BatchGetItem, https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
BATCH_KEYS = 100
READERS = 8  # batches that are read at once: 100,000 records, one batch after the other, would take 20 s
BATCH_ATTEMPTS = 8  # at the keys that DynamoDB was too busy for: with these pauses about 6 s
# Why a transaction was cancelled that may succeed later:
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
THROTTLED = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded"})
# Of the folder in the key of an index, which has 1,024 bytes: an id and a slash come behind it.
PLACE_BYTES = 960
EXPIRED = "expired"  # why an upload is aborted that nobody finished in time
UPLOAD_MISSING = "upload_missing"  # why a file failed that S3 knows neither an upload nor an object of
_PRIVATE = {
    *("owner", "declared", "forget_at", "upload_id", "size_limit", "own_parts", "capability", "crc32"),
    *("arrived_at", "composite", "resumed", "lease_holder", "lease_until", "digest_states", "attempts", "rereads"),
}
# What DynamoDB gives back as Decimal.
_NUMBERS = {
    *("revision", "size", "part_size", "own_parts", "received_bytes", "hashed_bytes", "expires_at", "forget_at"),
    *("lease_until", "attempts", "size_limit", "rereads"),
}
_PUBLIC = [f.name for f in fields(File) if f.name not in _PRIVATE] + ["part_count"]


def owner_and_id(key: str) -> tuple[str, str] | None:
    """The owner and the id in an S3 key, or None where the key is not one of ours."""
    owner, _, file_id = key.removeprefix(KEY_PREFIX).partition("/")
    return (owner, file_id) if key.startswith(KEY_PREFIX) and owner and ID.fullmatch(file_id) else None


class ClaimsRefused(Exception):
    """The conditions of some of the writes that were to come with a new record did not hold: `places`, from 0 on."""

    def __init__(self, places: Sequence[int]) -> None:
        super().__init__(places)
        self.places = places


class Files:
    """The table. Every write but the first is conditional on the revision that was read."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    @classmethod
    def connect(cls) -> "Files":
        # `standard` retries throttling and 5xx with backoff and jitter.
        config = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=3, read_timeout=5)
        return cls(boto3.client("dynamodb", config=config), settings.TABLE_NAME.read())

    @property
    def connection(self) -> tuple["DynamoDBClient", str]:
        """The table, for what else is kept in it."""
        return self._client, self._table

    def create(self, file: File, claims: Sequence["TransactWriteItemTypeDef"] = ()) -> File:
        """Write a new record, and in the same transaction the `claims`, writes of what else is kept in the table.

        Raises ClaimsRefused, Conflict where another transaction is at the same items: try again.
        """
        self._put(file, "attribute_not_exists(id)", {}, claims)
        return file

    def get(self, owner: str, file_id: str) -> File:
        """The record as last written. Raises FileNotFound, for another owner's file as well."""
        item = None
        if ID.fullmatch(file_id):  # of a key that is too long DynamoDB would say that we made a mistake
            key = {"owner": {"S": owner}, "id": {"S": file_id}}
            item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        if item is None:
            raise FileNotFound("You have no file with this id.", id=file_id[:40])
        return seen(from_item(item))

    def save(self, file: File, claims: Sequence["TransactWriteItemTypeDef"] = (), /, **changes: Any) -> File:
        """Write `file` with `changes` if nobody wrote since it was read; the revision goes up by one.

        Raises WrongState where the state machine has no such way, Conflict where somebody was faster; with `claims`
        what `create` does besides.
        """
        status = changes.get("status", file.status)
        if status not in TRANSITIONS[file.status]:
            raise WrongState(f"A file that is {file.status} cannot become {status}.", state=file.status)
        moment = now()
        if status is not Status.UPLOADING:
            changes["fingerprint"] = None
        if status in (Status.HASHING, *HASHED) and status is not file.status and file.arrived_at is None:
            changes["arrived_at"] = moment
        changed = replace(file, **changes, revision=file.revision + 1, updated_at=moment)
        self._put(changed, "revision = :read", {":read": {"N": str(file.revision)}}, claims)
        return changed

    def delete(self, file: File) -> None:
        """Forget the file, but not that it was deleted: a URL that was given out before may still bring its bytes."""
        tombstone = _tombstone(file.owner, file.id) | {"forget_at": {"N": str(in_days(TOMBSTONE_DAYS))}}
        tombstone |= changed(file.owner, now())
        self._client.put_item(TableName=self._table, Item=tombstone)
        self._client.delete_item(TableName=self._table, Key={"owner": {"S": file.owner}, "id": {"S": file.id}})

    def keep_crc32(self, file: File, crc32: str) -> None:
        """Note the CRC-32 (hex) of these bytes. The revision stays, and nobody is told: the file has not changed.

        Who writes the record at this moment may lose it: then whoever needs it reads the file once more.
        """
        with suppress(self._client.exceptions.ConditionalCheckFailedException):  # deleted
            self._client.update_item(
                TableName=self._table,
                Key={"owner": {"S": file.owner}, "id": {"S": file.id}},
                UpdateExpression="SET crc32 = :crc32",
                ConditionExpression="etag = :etag",
                ExpressionAttributeValues={":crc32": {"S": crc32}, ":etag": {"S": str(file.etag)}},
            )

    def was_deleted(self, owner: str, file_id: str) -> bool:
        """Whether there was such a file within the last TOMBSTONE_DAYS, and somebody deleted it."""
        key = _tombstone(owner, file_id)
        return "Item" in self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)

    def several(self, owner: str, ids: Iterable[str]) -> list[File]:
        """The records of these ids as last written, in this order, without those that are not there (any more).

        Raises Busy where DynamoDB does not give all of them.
        """
        wanted = list(dict.fromkeys(ids))
        found: dict[str, File] = {}
        for start in range(0, len(wanted), BATCH_KEYS):
            keys: list[Any] = [{"owner": {"S": owner}, "id": {"S": one}} for one in wanted[start : start + BATCH_KEYS]]
            for attempt in range(BATCH_ATTEMPTS):
                answer = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
                for item in answer["Responses"].get(self._table, []):
                    file = seen(from_item(item))
                    found[file.id] = file
                if not (left := answer.get("UnprocessedKeys", {}).get(self._table)):
                    break
                keys = list(left["Keys"])
                time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - jitter, no secret
            else:
                raise Busy("The table has more to do than it can; ask again.")
        return [found[one] for one in wanted if one in found]

    def many(self, owner: str, ids: Iterable[str], seconds: float = math.inf) -> list[File]:
        """As `several`, a number of batches at once. Raises TooManyFiles where so many seconds are not enough."""
        wanted = list(dict.fromkeys(ids))
        batches = [wanted[start : start + BATCH_KEYS] for start in range(0, len(wanted), BATCH_KEYS)]
        found: list[File] = []
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(READERS) as readers:
            # So many at a time that nobody waits for long after the time is over.
            for start in range(0, len(batches), READERS):
                if time.monotonic() > until:
                    raise TooManyFiles(f"There are more files than can be read in {seconds:.0f} s.")
                for files in readers.map(partial(self.several, owner), batches[start : start + READERS]):
                    found += files
        return found

    def _put(
        self, file: File, condition: str, values: dict[str, Any], claims: Sequence["TransactWriteItemTypeDef"]
    ) -> None:
        item = _to_item(file)
        arguments: Any = {
            "TableName": self._table,
            "Item": item,
            "ConditionExpression": condition,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        } | ({"ExpressionAttributeValues": values} if values else {})
        if claims:
            return self._transact(file, item, [{"Put": arguments}, *claims])
        try:
            self._client.put_item(**arguments)
        except self._client.exceptions.ConditionalCheckFailedException as error:
            # When the answer to a write is lost, the SDK writes again and meets our own record: that is no conflict.
            if error.response.get("Item") != item:
                raise Conflict("The file was changed or deleted meanwhile; read it again.", id=file.id) from None
        return None

    def _transact(self, file: File, item: Mapping[str, Any], writes: Sequence["TransactWriteItemTypeDef"]) -> None:
        try:
            self._client.transact_write_items(TransactItems=writes)
        except self._client.exceptions.TransactionCanceledException as error:
            reasons = error.response["CancellationReasons"]
            if reasons[0].get("Item") == item:  # an attempt whose answer was lost has written all of it
                return
            codes = [reason.get("Code") for reason in reasons]
            refused = [place for place, code in enumerate(codes[1:]) if code == "ConditionalCheckFailed"]
            if refused and codes[0] != "ConditionalCheckFailed":
                raise ClaimsRefused(refused) from None
            if THROTTLED & {*codes}:
                raise Busy("The table has more to do than it can; ask again.") from None
            if not {"TransactionConflict", "ConditionalCheckFailed"} & {*codes}:
                raise
            raise Conflict("Others write at this moment; ask again.", id=file.id) from None


def seen(file: File) -> File:
    """The file as it stands now: an upload whose time is over has been aborted, without anybody who writes that.

    S3 aborts the upload by the bucket's lifecycle rule, and DynamoDB forgets the record.
    """
    if file.status is not Status.UPLOADING or file.expires_at is None or file.expires_at > time.time():
        return file
    return expired(file, file.expires_at)


def expired(file: File, at: int) -> File:
    """An upload that nobody finished by `at` (epoch seconds), as it reads from then on."""
    # A revision of its own, for who has seen the last one written and waits for news.
    return replace(file, status=Status.ABORTED, reason=EXPIRED, revision=file.revision + 1, updated_at=rfc3339(at))


def _tombstone(owner: str, file_id: str) -> dict[str, Any]:
    return {"owner": {"S": TOMBSTONES + owner}, "id": {"S": file_id}}


def changed(owner: str, moment: str) -> dict[str, Any]:
    """What puts an item into the index `changes`, from which the owner's feed is read; `moment` as `now` says it."""
    return {"feed": {"S": owner}, "changed": {"S": moment}}


def place(folder: str | None, file_id: str = "") -> str:
    """Where a file stands in the index `places`; without an id, what everything in and below the folder begins with.

    Files without a folder stand behind a slash alone, as no folder begins with one. Of a very long folder only the
    beginning fits, so whoever asks for one has to look at the records.
    """
    text = f"{folder or ''}/"
    if len(text.encode()) > PLACE_BYTES:
        text = text.encode()[:PLACE_BYTES].decode(errors="ignore")
    return text + file_id


_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


def _to_item(file: File) -> dict[str, Any]:
    values = {f.name: getattr(file, f.name) for f in fields(File)}
    item: dict[str, Any] = {name: _serialize(value) for name, value in values.items() if value is not None}
    places = {"place": {"S": place(file.folder, file.id)}, "folded": {"S": file.filename.casefold()}}
    return item | places | changed(file.owner, file.updated_at)


def from_item(item: Mapping[str, Any]) -> File:
    known = {f.name for f in fields(File)}
    values: dict[str, Any] = {name: _deserialize(value) for name, value in item.items() if name in known}
    for name in _NUMBERS & values.keys():
        values[name] = int(values[name])
    return File(**values | {"status": Status(values["status"]), "mode": Mode(values["mode"])})
