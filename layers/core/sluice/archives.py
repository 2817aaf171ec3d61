"""The archive: its record, its states, and the list of what is in it. It lives for a day.

The record stands in the files' table. The list is an object in the bucket, written once: for 100,000 files it has
12 MB, which one PUT and one GET carry for a thousandth of a cent, where DynamoDB would take 12,000 write units. What
was in a file when the archive was made is pinned there, so that every byte of the archive is fixed from then on.

IAM actions: dynamodb:GetItem (get, of_share), dynamodb:BatchGetItem (records), dynamodb:PutItem (create, save),
dynamodb:DeleteItem (delete), and for the list what `objects` needs: s3:PutObject (create, know), s3:GetObject
(members).
"""

import gzip
import hashlib
import json
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from sluice import zips
from sluice.errors import ArchiveNotFound, Conflict
from sluice.files import ID, KEY_PREFIX, File, new_id, now, rfc3339
from sluice.limits import MAX_FILENAME_CHARACTERS
from sluice.objects import ObjectMissing, Objects, Version
from sluice.shares import Share
from sluice.zips import Entry, Layout

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

LIVES_SECONDS = 86_400  # the lifecycle rule of the bucket deletes under ARCHIVES at the first midnight after as long
PARTITION = "archives/"  # and the owner: no owner has a slash, so no list of files ever meets an archive
ARCHIVES = "archives/"  # and the owner, a slash, the id and a slash: what S3 has of an archive
CONTENT_TYPE = "application/zip"
GZIP_LEVEL = 1  # most of the list is random: more effort takes four times as long for a twentieth less


class ArchiveStatus(StrEnum):
    BUILDING = "building"  # a CRC-32 is missing, or it is larger than one streamed answer and being put together in S3
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """One archive from its request to its end. Sizes in bytes."""

    owner: str
    id: str = field(default_factory=new_id)
    status: ArchiveStatus = ArchiveStatus.BUILDING
    revision: int = 1
    filename: str
    count: int
    size: int
    built_bytes: int = 0  # that S3 has put together so far, where it has to
    etag: str  # as the layout makes it
    share: str | None = None  # the id of the share whose files these are, with which it ends
    reason: str | None = None  # why it failed
    file: str | None = None  # the id of the file for which it failed
    created_at: str = field(default_factory=now)
    expires_at: int = field(default_factory=lambda: int(time.time()) + LIVES_SECONDS)  # epoch seconds
    lists: int = 1  # how many lists were written: the last one counts
    object_etag: str | None = None  # of the object in S3, where it was put together
    version_id: str | None = None
    uploads: dict[str, str] = field(default_factory=dict)  # by the name of an object under way: the upload's id
    reading: dict[str, Any] = field(default_factory=dict)  # of a file that is read for its CRC-32: how far, and states
    lease_holder: str | None = None  # the job that may write, until lease_until (epoch seconds)
    lease_until: int = 0
    attempts: int = 0  # jobs begun since the last one that got on

    @property
    def prefix(self) -> str:
        """What the keys of all its objects begin with."""
        return f"{ARCHIVES}{self.owner}/{self.id}/"

    @property
    def key(self) -> str:
        """Of the object, where it is put together in S3."""
        return f"{self.prefix}archive.zip"

    @property
    def list_key(self) -> str:
        return f"{self.prefix}files-{self.lists}.json.gz"

    @property
    def version(self) -> Version | None:
        """The object that was put together; None where the archive is streamed from its files."""
        return Version(self.key, self.object_etag, self.size, self.version_id) if self.object_etag else None

    def public(self) -> dict[str, Any]:
        """The HTTP contract's archive without its links."""
        shown: dict[str, Any] = {name: getattr(self, name) for name in _PUBLIC}
        return shown | {"expires_at": rfc3339(self.expires_at)}

    def progress(self) -> dict[str, Any]:
        """The data of one `progress` event."""
        return {name: getattr(self, name) for name in ("status", "built_bytes", "size")}


_PUBLIC = ("id", "status", "filename", "count", "size", "built_bytes", "reason", "file", "created_at")
_NUMBERS = {"revision", "count", "size", "built_bytes", "expires_at", "lists", "lease_until", "attempts"}


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive, pinned."""

    file_id: str
    path: str
    size: int
    modified: int  # epoch seconds
    sha256: str
    etag: str
    version_id: str | None
    crc32: str | None  # None until somebody has read it

    def version(self, owner: str) -> Version:
        return Version(f"{KEY_PREFIX}{owner}/{self.file_id}", self.etag, self.size, self.version_id)

    @property
    def entry(self) -> Entry:
        return Entry(self.path, self.size, self.modified, int(self.crc32 or "0", 16), f"{self.etag} {self.version_id}")


def archive_filename(share: Share) -> str:
    """Of the archive of a share: its title, which may be no filename."""
    name = re.sub(r"[/\\]", "_", share.title or "files")
    return f"{name[: MAX_FILENAME_CHARACTERS - len('.zip')]}.zip"


def members_of(files: Sequence[File]) -> list[Member]:
    """The files as an archive has them, in this order."""
    paths = zips.paths((file.folder, file.filename) for file in files)
    return [
        Member(
            file.id,
            path,
            file.size,
            int(datetime.fromisoformat(file.created_at).timestamp()),
            file.digests["sha-256"],
            str(file.etag),
            file.version_id,
            file.crc32,
        )
        for file, path in zip(files, paths, strict=True)
    ]


def layout(members: Sequence[Member]) -> Layout:
    """Its size and ETag are right even where CRCs are missing; its bytes are not."""
    return Layout([member.entry for member in members])


class Archives:
    """Those of all owners."""

    def __init__(self, client: "DynamoDBClient", table: str, objects: Objects) -> None:
        self._client = client
        self._table = table
        self._objects = objects

    def create(self, archive: Archive, members: Sequence[Member], instead_of: str | None = None) -> None:
        """Of a share, in the place of the one that `id_of_share` told. Raises Conflict where another took it."""
        # The list first: one that no record knows is deleted by the bucket's lifecycle rule.
        self._write(archive, members)
        self._client.put_item(TableName=self._table, Item=_to_item(archive))
        if archive.share is None:
            return
        named = {"archive": {"S": archive.id}, "forget_at": {"N": str(archive.expires_at)}}
        condition: Any = {"ConditionExpression": "attribute_not_exists(#archive)"}
        if instead_of is not None:
            values = {":known": {"S": instead_of}}
            condition = {"ConditionExpression": "#archive = :known", "ExpressionAttributeValues": values}
        condition["ExpressionAttributeNames"] = {"#archive": "archive"}  # DynamoDB keeps the word for itself
        item = _share_key(archive.owner, archive.share) | named
        try:
            self._client.put_item(TableName=self._table, Item=item, **condition)
        except self._client.exceptions.ConditionalCheckFailedException:
            # When the answer to a write is lost, the SDK writes again and meets our own: that is no conflict.
            if self.id_of_share(archive.owner, archive.share) != archive.id:
                self.delete(archive)
                raise Conflict("Another archive of this share was made at the same time.", id=archive.id) from None

    def id_of_share(self, owner: str, share_id: str) -> str | None:
        """That of the archive which was last made of this share."""
        key = _share_key(owner, share_id)
        item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return item["archive"]["S"] if item else None

    def of_share(self, owner: str, share_id: str) -> Archive | None:
        """The archive that was last made of this share, while it lives."""
        archive_id = self.id_of_share(owner, share_id)
        with suppress(ArchiveNotFound):
            return self.get(owner, archive_id) if archive_id else None
        return None

    def get(self, owner: str, archive_id: str) -> Archive:
        """The record as last written. Raises ArchiveNotFound, for another owner's and one that has ended as well."""
        item = None
        if ID.fullmatch(archive_id):
            key = _key(owner, archive_id)
            item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        # DynamoDB removes what has expired up to two days late.
        if item is None or (archive := _from_item(owner, item)).expires_at <= time.time():
            raise ArchiveNotFound("There is no archive with this id, or its day is over.", id=archive_id[:40])
        return archive

    def save(self, archive: Archive, **changes: Any) -> Archive:
        """Write `archive` with `changes` if nobody wrote since it was read. Raises Conflict."""
        changed = replace(archive, **changes, revision=archive.revision + 1)
        item = _to_item(changed)
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="revision = :read",
                ExpressionAttributeValues={":read": {"N": str(archive.revision)}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            # When the answer to a write is lost, the SDK writes again and meets our own record: that is no conflict.
            if error.response.get("Item") != item:
                raise Conflict("The archive was changed or deleted meanwhile; read it again.", id=archive.id) from None
        return changed

    def delete(self, archive: Archive) -> None:
        """Forget it: its objects go by themselves."""
        self._client.delete_item(TableName=self._table, Key=_key(archive.owner, archive.id))

    def members(self, archive: Archive) -> list[Member]:
        """What is in it. Raises ArchiveNotFound where the list is gone."""
        try:
            packed = self._objects.get(archive.list_key)
        except ObjectMissing:
            raise ArchiveNotFound("The archive was deleted.", id=archive.id) from None
        return [Member(*row) for row in json.loads(gzip.decompress(packed))]

    def know(self, archive: Archive, members: Sequence[Member], **changes: Any) -> Archive:
        """Write the list anew, with the CRCs that were missing, then the record. Raises Conflict."""
        changes["lists"] = archive.lists + 1
        self._write(replace(archive, lists=changes["lists"]), members)
        return self.save(archive, **changes)

    def _write(self, archive: Archive, members: Sequence[Member]) -> None:
        rows = json.dumps([astuple(member) for member in members], ensure_ascii=False, separators=(",", ":"))
        packed = gzip.compress(rows.encode(), GZIP_LEVEL, mtime=0)
        self._objects.put(archive.list_key, packed, "application/gzip", hashlib.sha256(packed).hexdigest())


_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


def _key(owner: str, archive_id: str) -> dict[str, Any]:
    return {"owner": {"S": PARTITION + owner}, "id": {"S": archive_id}}


def _share_key(owner: str, share_id: str) -> dict[str, Any]:
    """Of the item that says which archive is a share's; no archive's id begins so."""
    return _key(owner, f"of/{share_id}")


def _to_item(archive: Archive) -> dict[str, Any]:
    values = {one.name: getattr(archive, one.name) for one in fields(Archive)}
    item = {name: _serialize(value) for name, value in values.items() if value is not None}
    # DynamoDB's TTL.
    return item | _key(archive.owner, archive.id) | {"forget_at": {"N": str(archive.expires_at)}}


def _from_item(owner: str, item: dict[str, Any]) -> Archive:
    known = {one.name for one in fields(Archive)}
    values: dict[str, Any] = {name: _deserialize(value) for name, value in item.items() if name in known}
    for name in _NUMBERS & values.keys():
        values[name] = int(values[name])
    return Archive(**values | {"owner": owner, "status": ArchiveStatus(values["status"])})
