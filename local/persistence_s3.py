"""Lets moto's S3 write what it knows of objects and uploads to a `Store`. Their bytes are files already (objects.py).

There is one record for each key, with all its versions and delete markers, one for each upload in progress, and one for
each of its parts. What a request changes is one transaction, the message that tells of it included: whoever finds an
object after a restart finds its event as well. A file goes once no record names it any more.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from weakref import WeakValueDictionary

from moto.s3.models import (
    FakeAcl,
    FakeBucket,
    FakeDeleteMarker,
    FakeGrant,
    FakeGrantee,
    FakeKey,
    FakeMultipart,
    S3Backend,
)
from moto.s3.responses import S3Response
from moto.s3.utils import _VersionedKeyStore
from requests.structures import CaseInsensitiveDict

from local.data import Record, Store, dumps, loads
from local.objects import Blob, Folder, Slice, Stored, remove
from local.persistence import around

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}

# The attributes of moto's objects, parts and uploads that are kept as they are.
KEPT_OF_OBJECTS = (
    *("_etag", "_is_versioned", "_storage_class", "_version_id", "bucket_key_enabled", "checksum_algorithm"),
    *("checksum_parts", "checksum_type", "checksum_value", "encryption", "kms_key_id", "lock_legal_status"),
    *("lock_mode", "lock_until", "website_redirect_location"),
)
KEPT_OF_UPLOADS = ("id", "key_name", "kms_key_id", "sse_encryption", "storage", "tags")


def persist_objects(store: Store, folder: Folder) -> None:
    """Let S3 of this process keep all objects and uploads in `store`, and remove the files that nothing there names.

    Call this before `moto_s3.mend`, whose lock then also holds around the writing.
    """
    written: dict[str, set[str]] = {}  # the uploads of each bucket that have a record
    touched = _Touched()
    unnamed: deque[Any] = deque()
    # A file whose object is gone may be named by a record until the change is written.
    folder.remove = unnamed.append
    kept = _Kept(store, folder)

    def remove_unnamed() -> None:
        while unnamed:
            remove(unnamed.popleft())

    def note(method: Callable[..., Any], keys: Any, key: str, *rest: Any) -> Any:
        touched.keys.add((getattr(keys, "bucket_name", None), key))
        return method(keys, key, *rest)

    def write_through(answer: Callable[..., Any], response: S3Response, request: Any, *rest: Any) -> Any:
        if request.method in SAFE_METHODS:
            remove_unnamed()
            return answer(response, request, *rest)
        touched.keys.clear()
        with store.together():
            answered = answer(response, request, *rest)
            store.write(changes(response, request))
        remove_unnamed()
        return answered

    def changes(response: S3Response, request: Any) -> Iterator[Record]:
        backend, name = response.backend, response.bucket_name
        if name in backend.buckets:
            touched.keys.add((name, response.parse_key_name()))  # what is not the contents: tags, a lock
            yield from _uploads(backend.buckets[name], request.args)
        for bucket_name, key in touched.keys:
            if bucket_name in backend.buckets:
                versions = backend.buckets[bucket_name].keys.getlist(key)
                yield Record(
                    "object", bucket_name, dumps(key), [_version(one, backend) for one in versions or ()] or None
                )

    def _uploads(bucket: FakeBucket, query: Any) -> Iterator[Record]:
        known, now = written.setdefault(bucket.name, set()), set(bucket.multiparts)
        for upload_id in known - now:
            store.forget("part", upload_id)
            yield Record("upload", bucket.name, upload_id)
        for upload_id in now - known:
            yield Record("upload", bucket.name, upload_id, _upload(bucket.multiparts[upload_id]))
        written[bucket.name] = now
        upload_id, number = query.get("uploadId"), query.get("partNumber", "")
        if upload_id in now and number.isdecimal() and (part := bucket.multiparts[upload_id].parts.get(int(number))):
            yield Record("part", upload_id, str(int(number)), _object(part))

    @around(S3Backend, "create_bucket")
    def create_bucket(make: Callable[..., FakeBucket], backend: S3Backend, *args: Any, **kwargs: Any) -> FakeBucket:
        bucket = make(backend, *args, **kwargs)
        kept.fill(bucket, backend)
        bucket.keys.bucket_name = bucket.name  # type: ignore[attr-defined]
        written[bucket.name] = set(bucket.multiparts)
        return bucket

    @around(S3Backend, "delete_bucket")
    def delete_bucket(delete: Callable[..., Any], backend: S3Backend, bucket_name: str) -> Any:
        deleted = delete(backend, bucket_name)
        if deleted is not None:
            store.forget("object", bucket_name)
            store.forget("upload", bucket_name)
            for upload_id in written.pop(bucket_name, ()):
                store.forget("part", upload_id)
        return deleted

    for name in ("__setitem__", "pop", "setlist"):
        around(_VersionedKeyStore, name)(note)
    for name in ("bucket_response", "key_response"):
        around(S3Response, name)(write_through)


class _Touched(threading.local):
    """The keys, each with its bucket, that the request of this thread has changed."""

    def __init__(self) -> None:
        self.keys: set[tuple[str | None, str]] = set()


class _Kept:
    """The objects and uploads of buckets that have not been made yet, and the files that are theirs."""

    def __init__(self, store: Store, folder: Folder) -> None:
        self._folder = folder
        self._blobs: WeakValueDictionary[str, Blob] = WeakValueDictionary()
        self._objects = {name: self._read(store, "object", name) for name in store.parents("object")}
        self._uploads = {name: store.read("upload", name) for name in store.parents("upload")}
        self._parts = {name: self._read(store, "part", name) for name in store.parents("part")}
        for file in folder.path.iterdir():
            if file.name not in self._blobs:
                remove(file)

    def _read(self, store: Store, kind: str, parent: str) -> list[Record]:
        """Records with their bytes as `Stored`, which keeps the files from being removed."""

        def with_bytes(value: Any) -> Any:
            return value | {"stored": self._stored(value["stored"])} if "stored" in value else value

        return [
            Record(kind, parent, one.id, [*map(with_bytes, one.value)] if kind == "object" else with_bytes(one.value))
            for one in store.read(kind, parent)
        ]

    def _stored(self, value: Any) -> Stored:
        slices = []
        for name, of_file, start, size in value["slices"]:
            blob = self._blobs.get(name) or Blob(self._folder.path / name, of_file, self._folder.remove)
            self._blobs[name] = blob
            slices.append(Slice(blob, start, size))
        return Stored(slices, value["checksums"])

    def fill(self, bucket: FakeBucket, backend: S3Backend) -> None:
        for record in self._objects.pop(bucket.name, ()):
            versions: list[Any] = []
            for value in record.value:
                versions.append(_restored_version(value, loads(record.id), bucket, backend, versions))
            bucket.keys.setlist(loads(record.id), versions)
        for record in self._uploads.pop(bucket.name, ()):
            upload = _restored_upload(record.value, bucket)
            for part in self._parts.pop(upload.id, ()):
                upload.parts[int(part.id)] = _restored_object(part.value, int(part.id), bucket)
            upload.partlist = sorted(upload.parts)
            bucket.multiparts[upload.id] = upload


# ---------------------------------------------------------------- moto's classes and their records


def _version(version: Any, backend: S3Backend) -> dict[str, Any]:
    if isinstance(version, FakeDeleteMarker):
        return {"marker": version.version_id, "last_modified": version.last_modified.isoformat()}
    tags = backend.tagger.get_tag_dict_for_resource(version.arn)
    upload = version.multipart and {"id": version.multipart.id, "numbers": version.multipart.partlist}
    return _object(version) | {"tags": tags, "upload": upload}


def _restored_version(value: Any, name: str, bucket: FakeBucket, backend: S3Backend, before: list[Any]) -> Any:
    if "marker" in value:
        hidden = before[-1] if before else FakeKey(name, b"", bucket.account_id, bucket.region_name)
        marker = FakeDeleteMarker(hidden)
        marker._version_id = value["marker"]
        marker.last_modified = datetime.fromisoformat(value["last_modified"])
        return marker
    key = _restored_object(value, name, bucket)
    backend.tagger.tag_resource(key.arn, backend.tagger.convert_dict_to_tags_input(value["tags"]))
    if value["upload"]:
        key.multipart = FakeMultipart(name, CaseInsensitiveDict(), bucket.account_id, bucket.region_name)
        key.multipart.id, key.multipart.partlist = value["upload"]["id"], value["upload"]["numbers"]
    return key


def _object(key: FakeKey) -> dict[str, Any]:
    stored: Any = key.value
    return {
        **{name: getattr(key, name) for name in KEPT_OF_OBJECTS},
        "acl": _acl(key.acl),
        "last_modified": key.last_modified.isoformat(),
        "metadata": list(key.metadata.items()),
        "stored": {
            "slices": [[one.blob.path.name, one.blob.size, one.start, one.size] for one in stored.slices],
            "checksums": stored.checksums,
        },
    }


def _restored_object(value: Any, name: Any, bucket: FakeBucket) -> FakeKey:
    key = FakeKey(name, value["stored"], bucket.account_id, bucket.region_name, bucket_name=bucket.name)
    for attribute in KEPT_OF_OBJECTS:
        setattr(key, attribute, value[attribute])
    key.acl = _restored_acl(value["acl"])
    key.last_modified = datetime.fromisoformat(value["last_modified"])
    key.metadata.clear()
    key.metadata.update(value["metadata"])
    return key


def _upload(upload: Any) -> dict[str, Any]:
    return {
        **{name: getattr(upload, name) for name in KEPT_OF_UPLOADS},
        "acl": _acl(upload.acl),
        "initiated": upload.initiated.isoformat(),
        "metadata": list(upload.metadata.items()),
    }


def _restored_upload(value: Any, bucket: FakeBucket) -> Any:
    upload: Any = FakeMultipart(
        value["key_name"], CaseInsensitiveDict(value["metadata"]), bucket.account_id, bucket.region_name
    )
    for attribute in KEPT_OF_UPLOADS:
        setattr(upload, attribute, value[attribute])
    upload.acl = _restored_acl(value["acl"])
    upload.initiated = datetime.fromisoformat(value["initiated"])
    return upload


def _acl(acl: FakeAcl | None) -> Any:
    return acl and [
        [[[whose.id, whose.uri, whose.display_name] for whose in grant.grantees], grant.permissions]
        for grant in acl.grants
    ]


def _restored_acl(grants: Any) -> FakeAcl | None:
    if grants is None:
        return None
    return FakeAcl([FakeGrant([FakeGrantee(*whose) for whose in grantees], allowed) for grantees, allowed in grants])
