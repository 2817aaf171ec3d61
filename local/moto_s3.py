"""moto's S3 as S3 is: its objects are on a disk, and it keeps its word on uploads, checksums, events and versions.

Each mending is a function of its own, which says what is wrong in moto 5.2. tests/integration/test_local_s3.py holds
them all to what S3 does.
"""

import base64
import copy
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import md5
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from moto.core.utils import utcnow
from moto.s3 import models, notifications, responses
from moto.s3.exceptions import (
    EntityTooSmall,
    InvalidPart,
    InvalidPartOrder,
    MalformedXML,
    NoSuchUpload,
    S3ClientError,
)
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, FakeMultipart, MultipartDict, S3Backend
from moto.s3.responses import S3Response
from moto.s3.utils import _VersionedKeyStore

from local.checksums import ALGORITHMS, DEFAULT_TYPES, PREFIX, checksum, of_parts
from local.objects import Folder, Stored
from local.s3 import STORED, posted, request_id

MOST_COPIED_BYTES = 5 * 1024**3  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html


def mend(folder: Folder) -> None:
    """Everything below, in this process."""
    _keep_objects_on_disk(folder)
    _take_bodies_from_the_door()
    _do_one_thing_at_a_time()
    _forget_what_is_gone()
    _list_versions_without_copies()
    _complete_without_copies()
    _know_uploads()
    _keep_checksums()
    _compute_checksums()
    _send_events_like_s3()
    # It compares headers with what the query says of them, half of it wrongly: the door has checked the signature.
    S3Response._invalid_headers = lambda *_: False  # type: ignore[method-assign]


def _keep_objects_on_disk(folder: Folder) -> None:
    """moto keeps a temporary file for each object, and reads all of it whenever it wants any of it."""

    def value(key: Any) -> Stored:
        return key._stored  # type: ignore[no-any-return]

    def set_value(key: Any, data: Stored | bytes | str) -> None:
        if buffer := vars(key).pop("_value_buffer", None):
            buffer.close()
        if isinstance(data, str):
            data = data.encode()
        key._stored = data if isinstance(data, Stored) else folder.stored(data)
        key.contentsize = len(key._stored)

    def etag(key: Any) -> str:
        if key._etag is None:
            key._etag = _hex(key._stored.checksum("MD5"))
        return f'"{key._etag}"'

    def state(key: Any) -> dict[str, Any]:
        return {name: value for name, value in vars(key).items() if name != "lock"}

    def set_state(key: Any, state: dict[str, Any]) -> None:
        vars(key).update(state, lock=threading.Lock())

    def dispose(key: Any, garbage: bool = False) -> None:  # noqa: ARG001 - as moto has it
        key._stored = Stored()
        key.disposed = True

    FakeKey.value = property(value, set_value)  # type: ignore[assignment, method-assign]
    FakeKey.etag = property(etag)  # type: ignore[assignment, method-assign]
    FakeKey.__getstate__ = state  # type: ignore[method-assign, assignment]
    FakeKey.__setstate__ = set_state  # type: ignore[method-assign, assignment]
    FakeKey.dispose = dispose  # type: ignore[method-assign, assignment]
    del FakeKey.__del__  # it warns of keys that nobody disposed of: their bytes go by themselves


def _take_bodies_from_the_door() -> None:
    set_up = S3Response.setup_class

    def with_stored(self: Any, request: Any, *arguments: Any, **options: Any) -> None:
        set_up(self, request, *arguments, **options)
        if STORED in request.environ:
            self.body = request.environ[STORED]

    S3Response.setup_class = with_stored  # type: ignore[method-assign]


def _do_one_thing_at_a_time() -> None:
    """moto looks at a condition first and writes afterwards: of two `If-None-Match: *` both would write.

    Bodies come and go without this lock.
    """
    lock = threading.RLock()

    def alone(answer: Any) -> Any:
        def locked(self: S3Response, *arguments: Any) -> Any:
            with lock:
                return answer(self, *arguments)

        return locked

    S3Response.bucket_response = alone(S3Response.bucket_response)  # type: ignore[method-assign]
    S3Response.key_response = alone(S3Response.key_response)  # type: ignore[method-assign]


def _forget_what_is_gone() -> None:
    """moto remembers every object that ever was, and every copy that it made of one to list it."""

    def new(kind: Any, *_: Any, **__: Any) -> Any:
        return object.__new__(kind)

    for kind in (FakeKey, FakeMultipart, FakeDeleteMarker):
        kind.__new__ = staticmethod(new)  # type: ignore[assignment]


def _list_versions_without_copies() -> None:
    """moto copies all versions of all objects, bytes included, and looks for those that were asked for afterwards."""
    list_versions = S3Backend.list_object_versions

    def listed(self: S3Backend, bucket_name: str, *, prefix: str = "", **options: Any) -> Any:
        bucket = copy.copy(self.get_bucket(bucket_name))
        bucket.keys = _VersionedKeyStore(
            {name: list(versions) for name, versions in bucket.keys.iterlists() if name.startswith(prefix)}
        )
        near: Any = SimpleNamespace(get_bucket=lambda _: bucket)
        return list_versions(near, bucket_name, prefix=prefix, **options)

    for kind in (FakeKey, FakeDeleteMarker):
        kind.__deepcopy__ = lambda version, _: copy.copy(version)  # type: ignore[union-attr]
    S3Backend.list_object_versions = listed  # type: ignore[method-assign, assignment]


@dataclass(frozen=True)
class _Named:
    """A part as a request to complete names it."""

    number: int
    etag: str
    checksums: dict[str, str]


@dataclass(frozen=True)
class _Completion:
    """What a request to complete says."""

    parts: list[_Named]
    size: int | None = None
    checksums: dict[str, str] = field(default_factory=dict)


def _complete_without_copies() -> None:
    """moto puts all bytes together in memory, twice, and compares neither the size nor the order of the parts."""

    def asked(self: S3Response, body: bytes) -> _Completion:
        size = self.headers.get("x-amz-mp-object-size")
        sent = {name: value for name in ALGORITHMS if (value := self.headers.get(PREFIX + name.lower()))}
        return _Completion(_named(body), int(size) if size else None, sent)

    def completed(self: FakeMultipart, asked: _Completion) -> tuple[Stored, str, tuple[str, str, int] | None]:
        if not asked.parts:
            raise MalformedXML
        if any(first.number >= second.number for first, second in pairwise(asked.parts)):
            raise InvalidPartOrder
        parts = [_part(self, named) for named in asked.parts]
        if any(part.contentsize < vars(models)["S3_UPLOAD_PART_MIN_SIZE"] for part in parts[:-1]):
            raise EntityTooSmall
        stored = Stored.joined(part.value for part in parts)
        if asked.size is not None and asked.size != len(stored):
            raise S3ClientError(
                "InvalidRequest", "The provided 'x-amz-mp-object-size' header does not match what was computed."
            )
        found = _checksum_of(self, parts)
        for algorithm, value in asked.checksums.items():
            if found is None or algorithm != _algorithm(self) or value.partition("-")[0] != found[1]:
                raise S3ClientError("BadDigest", f"The {algorithm} you specified did not match what we calculated.")
        etags = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
        return stored, f"{md5(etags, usedforsecurity=False).hexdigest()}-{len(parts)}", found

    S3Response._complete_multipart_body = asked  # type: ignore[method-assign, assignment]
    FakeMultipart.complete = completed  # type: ignore[method-assign, assignment]


def _named(body: bytes) -> list[_Named]:
    def text(element: Any, name: str) -> str | None:
        found = element.getElementsByTagName(name)
        return found[0].firstChild.data if found and found[0].firstChild else None

    named = []
    try:
        for element in minidom.parseString(body).getElementsByTagName("Part"):  # nosec B318  # noqa: S318 - of who may do all
            checksums = {name: value for name in ALGORITHMS if (value := text(element, f"Checksum{name}"))}
            named.append(
                _Named(int(text(element, "PartNumber") or ""), (text(element, "ETag") or "").strip('"'), checksums)
            )
    except (ExpatError, ValueError):
        raise MalformedXML from None
    return named


def _part(upload: FakeMultipart, named: _Named) -> Any:
    part: Any = upload.parts.get(named.number)
    if part is None or part.etag.strip('"') != named.etag:
        raise InvalidPart
    algorithm = _algorithm(upload)
    if any((part.checksum_algorithm, part.checksum_value) != told for told in named.checksums.items()):
        raise InvalidPart
    if algorithm and _type(upload) == "COMPOSITE" and algorithm not in named.checksums:
        raise S3ClientError(
            "InvalidRequest",
            f"The upload was created using a {algorithm.lower()} checksum. The complete request must include the "
            f"checksum for each part. It was missing for part {named.number} in the request.",
        )
    return part


def _algorithm(upload: FakeMultipart) -> str | None:
    told: str | None = upload.metadata.get("x-amz-checksum-algorithm")
    return told.upper() if told else None


def _type(upload: FakeMultipart) -> str:
    default = DEFAULT_TYPES.get(_algorithm(upload) or "", "COMPOSITE")
    return str(upload.metadata.get("x-amz-checksum-type") or default)


def _checksum_of(upload: FakeMultipart, parts: list[Any]) -> tuple[str, str, int] | None:
    algorithm = _algorithm(upload)
    if algorithm is None:
        return None
    kept = [(part.checksum_value or part.value.checksum(algorithm), part.contentsize) for part in parts]
    if _type(upload) == "FULL_OBJECT":
        return "FULL_OBJECT", of_parts(algorithm, kept), len(parts)
    return "COMPOSITE", checksum(algorithm, [_decoded(value) for value, _ in kept]), len(parts)


def _know_uploads() -> None:
    """moto breaks (500) where an upload is not there, knows no key of it, and counts its parts by their places."""

    def missing(_: MultipartDict, upload_id: str) -> Any:
        raise NoSuchUpload(upload_id=upload_id)

    begin = FakeMultipart.__init__

    def begun(self: Any, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        self.initiated = utcnow()

    def parts_after(self: FakeMultipart, part_number_marker: int, max_parts: int) -> Iterator[FakeKey]:
        first = bisect_right(self.partlist, part_number_marker)
        yield from (self.parts[number] for number in self.partlist[first : first + max_parts])

    def more_parts(self: S3Backend, bucket_name: str, multipart_id: str, next_part_number_marker: int) -> bool:
        return self.get_bucket(bucket_name).multiparts[multipart_id].partlist[-1] > next_part_number_marker

    list_uploads, answer = S3Response.list_multipart_uploads, S3Response._key_response

    def listed(self: Any) -> Any:
        uploads = self.backend.list_multipart_uploads(self.bucket_name)
        return _changed(self, list_uploads, lambda told: _date(told["Uploads"], uploads))

    def of_its_key(self: Any, request: Any, full_url: str) -> Any:
        upload_id = request.args.get("uploadId")
        if upload_id is not None and request.method != "OPTIONS":
            upload = self.backend.get_bucket(self.bucket_name).multiparts.get(upload_id)
            if upload is not None and upload.key_name != self.parse_key_name():
                raise NoSuchUpload(upload_id=upload_id)
        return answer(self, request, full_url)

    MultipartDict.__missing__ = missing  # type: ignore[attr-defined]
    FakeMultipart.__init__ = begun  # type: ignore[method-assign]
    FakeMultipart.list_parts = parts_after  # type: ignore[method-assign]
    S3Backend.is_truncated = more_parts  # type: ignore[method-assign]
    S3Response.list_multipart_uploads = listed  # type: ignore[method-assign]
    S3Response._key_response = of_its_key  # type: ignore[method-assign]


def _date(told: list[dict[str, Any]], uploads: Any) -> None:
    for upload in told:
        upload["Initiated"] = uploads[upload["UploadId"]].initiated


def _keep_checksums() -> None:
    """moto forgets the checksum of a PUT that names no algorithm, and lists parts without theirs.

    What S3 has of parts is what it was told when they came.
    """
    put_object, upload_part, list_parts = S3Response.put_object, S3Response.upload_part, S3Response.list_parts

    def put(self: Any) -> Any:
        answer = put_object(self)
        if sent := _sent(self.headers):
            key = self.backend.get_object(self.bucket_name, self.parse_key_name())
            key.checksum_algorithm, key.checksum_value = sent
            key.checksum_type = "FULL_OBJECT"
            answer[1][PREFIX + sent[0].lower()] = sent[1]
        return answer

    def put_part(self: Any) -> Any:
        upload = self.backend.get_bucket(self.bucket_name).multiparts[self._get_param("uploadId")]
        number, sent, wanted = self._get_int_param("partNumber"), _sent(self.headers), _algorithm(upload)
        if not 1 <= number <= 10_000:
            raise S3ClientError("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
        if wanted and (sent is None or sent[0] != wanted):
            actual = sent[0].lower() if sent else "null"
            raise S3ClientError(
                "InvalidRequest",
                f"Checksum Type mismatch occurred, expected checksum Type: {wanted.lower()}, "
                f"actual checksum Type: {actual}",
            )
        answer = upload_part(self)
        if sent:
            part = upload.parts[number]
            part.checksum_algorithm, part.checksum_value = sent
            answer[1][PREFIX + sent[0].lower()] = sent[1]
        return answer

    def listed(self: Any) -> Any:
        upload = self.backend.get_bucket(self.bucket_name).multiparts[self._get_param("uploadId")]
        algorithm = _algorithm(upload)

        def add(told: Any) -> None:
            for part in told["Parts"] if algorithm else ():
                part[f"Checksum{algorithm}"] = upload.parts[part["PartNumber"]].checksum_value

        return _changed(self, list_parts, add)

    S3Response.put_object = put  # type: ignore[method-assign]
    S3Response.upload_part = put_part  # type: ignore[method-assign]
    S3Response.list_parts = listed  # type: ignore[method-assign]


def _compute_checksums() -> None:
    """moto computes none of what is copied in parts, copies that of parts for one of the whole, and tells no type."""
    head_object, copy_part, copy_object = S3Response.head_object, S3Backend.upload_part_copy, S3Backend.copy_object

    def computed(body: Stored | bytes, algorithm: str) -> bytes:
        return checksum(algorithm, body if isinstance(body, Stored) else [body]).encode()

    def head(self: Any, *arguments: Any, **options: Any) -> Any:
        status, headers, body = head_object(self, *arguments, **options)
        key = self.backend.get_object(self.bucket_name, self.parse_key_name(), self._get_param("versionId"))
        name = f"{PREFIX}{key.checksum_algorithm.lower()}" if key and key.checksum_algorithm else ""
        if name in headers:
            composite = key.checksum_type == "COMPOSITE"
            headers[name] = f"{key.checksum_value}-{key.checksum_parts}" if composite else key.checksum_value
            headers[f"{PREFIX}type"] = key.checksum_type
        return status, headers, body

    def copied_part(self: Any, dest_bucket_name: str, multipart_id: str, *arguments: Any, **options: Any) -> Any:
        part: Any = copy_part(self, dest_bucket_name, multipart_id, *arguments, **options)
        if algorithm := _algorithm(self.get_bucket(dest_bucket_name).multiparts[multipart_id]):
            part.checksum_algorithm, part.checksum_value = algorithm, part.value.checksum(algorithm)
        return part

    def copied(self: Any, src_key: Any, dest_bucket_name: str, dest_key_name: str, *rest: Any, **options: Any) -> None:
        if src_key.size > MOST_COPIED_BYTES:
            raise S3ClientError(
                "InvalidRequest",
                "The specified copy source is larger than the maximum allowable size for a copy source: "
                f"{MOST_COPIED_BYTES}",
            )
        copy_object(self, src_key, dest_bucket_name, dest_key_name, *rest, **options)
        new = self.get_bucket(dest_bucket_name).keys[dest_key_name]
        if new.checksum_algorithm:
            new.checksum_type, new.checksum_parts = "FULL_OBJECT", None
            new.checksum_value = new.value.checksum(new.checksum_algorithm)

    vars(responses)["compute_checksum"] = computed
    S3Response.head_object = head  # type: ignore[method-assign]
    S3Backend.upload_part_copy = copied_part  # type: ignore[method-assign]
    S3Backend.copy_object = copied  # type: ignore[method-assign]


def _send_events_like_s3() -> None:
    """moto tells no version, no order and no request, and of an upload that is completed twice."""
    describe, put_object = notifications._get_s3_event, S3Backend.put_object
    lock, last = threading.Lock(), 0

    def sequencer() -> str:
        nonlocal last
        with lock:
            last = max(last + 1, time.time_ns())
            return f"{last:016X}"

    def described(event_name: str, bucket: FakeBucket, key: Any, notification_id: str) -> Any:
        event = describe(event_name, bucket, key, notification_id)
        about = event["Records"][0]["s3"]["object"]
        if bucket.is_versioned:
            about["versionId"] = key.version_id
        about["sequencer"] = sequencer()
        event["Records"][0]["responseElements"] = {"x-amz-request-id": request_id.get()}
        return event

    def put(self: Any, *arguments: Any, **options: Any) -> Any:
        if options.get("multipart") is not None:
            options["disable_notification"] = True  # another one follows
        if posted.get():
            options["request_method"] = "POST"
        return put_object(self, *arguments, **options)

    notifications._get_s3_event = described
    S3Backend.put_object = put  # type: ignore[method-assign]


def _changed(response: Any, answer: Any, change: Any) -> Any:
    """The answer, with its result changed before it becomes XML."""
    serialized = response.serialized

    def changed(result: Any) -> Any:
        change(result.result)
        return serialized(result)

    response.serialized = changed
    try:
        return answer(response)
    finally:
        del response.serialized


def _sent(headers: Any) -> tuple[str, str] | None:
    """The algorithm and the value of a request's checksum."""
    for algorithm in ALGORITHMS:
        if value := headers.get(PREFIX + algorithm.lower()):
            return algorithm, value
    return None


def _hex(value: str) -> str:
    return _decoded(value).hex()


def _decoded(value: str) -> bytes:
    return base64.b64decode(value)
