"""What stands in a message of the queue: S3's notifications, GuardDuty's verdicts, or what the API left to the hasher.

Whoever may send to the queue can put anything into it: nothing is believed before it was looked at.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://docs.aws.amazon.com/guardduty/latest/ug/monitor-with-eventbridge-s3-malware-protection.html
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote, unquote_plus

from sluice.files import owner_and_id
from sluice.limits import MAX_OBJECT_BYTES
from sluice.objects import Version, bare_etag
from sluice.scans import Scan, Verdict

Meant = tuple[str, str]


class Malformed(Exception):
    """A message, or a record in one, that is not as S3 or the API makes them."""


def notification(body: str) -> dict[str, Any]:
    """What a message says. Raises Malformed."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"no JSON: {error}") from None
    if not isinstance(told, dict):
        raise Malformed("no JSON object")
    return told


def meant(by: Callable[[dict[str, Any]], Meant | None], told: dict[str, Any]) -> Meant | None:
    """The owner and the id of the file that a message of ours is about; None for another message. Raises Malformed."""
    try:
        file = by(told)
    except (KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"a message without a file: {error!r}") from None
    if file and not all(isinstance(value, str) for value in file):
        raise Malformed("a message about a file whose name is no text")
    return file


def records(told: dict[str, Any]) -> list[Any]:
    """Raises Malformed."""
    found = told.get("Records")
    if not isinstance(found, list):
        raise Malformed("no list of records")
    return found


def created(record: Any, bucket: str) -> tuple[str, str, Version] | None:
    """The owner and the id of the file whose object was made, and its version; None where it is about no file of ours.

    Raises Malformed.
    """
    event_name, where, key = (_text(record, *path) for path in (EVENT_NAME, BUCKET_NAME, KEY))
    try:
        key = unquote_plus(key)
        key.encode()  # half a surrogate pair, which JSON can say, is in no key
    except UnicodeError as error:
        raise Malformed(f"s3.object.key: {error}") from None
    named = owner_and_id(key)
    if not (event_name.startswith("ObjectCreated:") and where == bucket and named):
        return None
    told = record["s3"]["object"]
    size, version_id = told.get("size"), told.get("versionId")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_OBJECT_BYTES:
        raise Malformed("s3.object.size is not that of an object")
    if not isinstance(version_id, str | None):
        raise Malformed("s3.object.versionId is no text")
    if not (etag := bare_etag(_text(record, *ETAG))):
        raise Malformed("s3.object.eTag is empty")
    return *named, Version(key, etag, size, version_id or None)


def is_scan_result(told: Mapping[str, Any]) -> bool:
    """Whether a message is what EventBridge forwards of GuardDuty."""
    return told.get("detail-type") == SCAN_RESULT


def scanned(told: Mapping[str, Any], bucket: str) -> Scan | None:
    """What GuardDuty's event says of a version of a file; None where it is about no file of ours. Raises Malformed."""
    where, key = _text(told, *SCANNED, "bucketName"), _text(told, *SCANNED, "objectKey")
    named = owner_and_id(unquote(key))  # no key of ours has a percent sign, so this is right however it is written
    if where != bucket or not named:
        return None
    # A version that nobody names is none that was hashed.
    if not (version_id := _text(told, *SCANNED, "versionId")):
        raise Malformed("detail.s3ObjectDetails.versionId is empty")
    verdict = _text(told, *VERDICT)
    if verdict not in {*Verdict}:
        raise Malformed(f"{'.'.join(VERDICT)} is unknown: {verdict[:40]}")
    return Scan(*named, version_id, Verdict(verdict))


def put_at(record: dict[str, Any]) -> float:
    """When S3 had stored the object, in epoch seconds; 0 where the record does not say. Raises Malformed."""
    try:
        return datetime.fromisoformat(record["eventTime"]).timestamp() if "eventTime" in record else 0.0
    except (ValueError, TypeError, OverflowError) as error:
        raise Malformed(f"eventTime: {error}") from None


def request_ids(told: dict[str, Any]) -> dict[str, str]:
    """The requests that a message or one of its records goes back to, for the log: the API's, and S3's own.

    The audit record names both. Whatever else stands in their places is no id.
    """
    own = [value.get("request_id") for value in told.values() if isinstance(value, dict)]
    elements = told.get("responseElements")
    by_s3 = elements.get("x-amz-request-id") if isinstance(elements, dict) else None
    found = {"request_id": next(filter(None, own), None), "s3_request_id": by_s3}
    return {name: value for name, value in found.items() if isinstance(value, str)}


SCAN_RESULT = "GuardDuty Malware Protection Object Scan Result"
SCANNED = ("detail", "s3ObjectDetails")
VERDICT = ("detail", "scanResultDetails", "scanResultStatus")
EVENT_NAME = ("eventName",)
BUCKET_NAME = ("s3", "bucket", "name")
KEY = ("s3", "object", "key")
ETAG = ("s3", "object", "eTag")


def _text(record: Any, *path: str) -> str:
    found = record
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, str):
        raise Malformed(f"{'.'.join(path)} is no text")
    return found
