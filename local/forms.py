"""A form that a browser POSTs to a bucket: its policy is looked at, and what it allows becomes the PUT that is meant.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

import base64
import json
import re
import time
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from local.bodies import Sink, Source
from local.refusal import Refused, access_denied

PIECE_BYTES = 256 * 1024
FIELDS_BYTES = 20_000  # all that comes before the file
FREE = {"policy", "x-amz-signature", "file"}  # what a policy need not speak of


@dataclass(frozen=True)
class Form:
    """The fields by lower-case name: S3 does not look at the case. Nothing after the file counts."""

    fields: Mapping[str, str]
    filename: str

    @property
    def key(self) -> str:
        return self.fields["key"].replace("${filename}", self.filename)


def is_form(content_type: str) -> bool:
    return content_type.lower().startswith("multipart/form-data")


def parse(source: Source, content_type: str) -> "Reading":
    """Raises Refused."""
    boundary = parse_options_header(content_type)[1].get("boundary")
    if not boundary:
        raise _malformed()
    return Reading(source, boundary.encode("latin-1"))


class Reading:
    """Reads a form: first the fields, then the file."""

    def __init__(self, source: Source, boundary: bytes) -> None:
        self._source = source
        self._decoder = MultipartDecoder(boundary, FIELDS_BYTES + PIECE_BYTES)

    def form(self) -> Form:
        """Up to the file. Raises Refused."""
        fields: dict[str, str] = {}
        name, value = "", b""
        while True:
            match self._event():
                case File(name="file", filename=filename):
                    return Form(fields, filename.replace("\\", "/").rpartition("/")[2])
                case Field(name=found):
                    name, value = found.lower(), b""
                case File(name=found):
                    name, value = found.lower(), b""
                case Data(data=data, more_data=more):
                    value += data
                    if sum(map(len, fields.values())) + len(value) > FIELDS_BYTES:
                        raise Refused(
                            400,
                            "MaxPostPreDataLengthExceeded",
                            "Your POST request fields preceding the upload file were too large.",
                        )
                    if not more:
                        fields[name] = value.decode(errors="replace")
                case Epilogue():
                    raise Refused(400, "InvalidArgument", "POST requires exactly one file upload per request.")

    def file(self, sink: Sink, least: int, most: int) -> None:
        """All of the file, which has as many bytes as that. Raises Refused."""
        while True:
            match self._event():
                case Data(data=data, more_data=more):
                    sink.write(bytes(data))
                    if not more or sink.size > most:
                        _check_size(sink.size, least, most)
                        return
                case _:
                    raise _malformed()

    def _event(self) -> Any:
        try:
            while isinstance(event := self._decoder.next_event(), NeedData):
                self._decoder.receive_data(self._source.read(PIECE_BYTES) or None)
        except (RequestEntityTooLarge, ValueError):
            raise _malformed() from None
        return event


def check(form: Form, bucket: str) -> tuple[int, int]:
    """That the policy allows these fields; the least and the most bytes of the file. Raises Refused."""
    if "key" not in form.fields:
        raise Refused(
            400,
            "InvalidArgument",
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
            {"ArgumentName": "key"},
        )
    expires, conditions = _policy(form.fields["policy"])
    if time.time() > expires:
        raise _not_allowed("Policy expired.")
    told = {**form.fields, "key": form.key, "bucket": bucket}
    least, most, allowed = 0, 5 * 1024**3, set(FREE)
    for condition in conditions:
        match condition:
            case ["content-length-range", low, high] if _whole(low) and _whole(high):
                least, most = max(least, int(low)), min(most, int(high))
                continue
            case [str(kind), str(target), str(value)] if target.startswith("$"):
                name = target[1:].lower()
                kept = _keeps(kind.lower(), told.get(name, ""), value, condition)
            case {**pairs} if len(pairs) == 1:
                ((key, wanted),) = pairs.items()
                name = str(key).lower()
                kept = told.get(name, "") == wanted
            case _:
                raise _invalid(f"Invalid Simple-Condition: {json.dumps(condition)}")
        if not kept:
            raise _not_allowed(f"Policy Condition failed: {json.dumps(condition)}")
        allowed.add(name)
    more = [name for name in form.fields if name not in allowed and not name.startswith("x-ignore-")]
    if more:
        raise _not_allowed(f"Extra input fields: {', '.join(more)}")
    return least, most


def _check_size(size: int, least: int, most: int) -> None:
    """Raises Refused."""
    if size < least:
        raise Refused(
            400,
            "EntityTooSmall",
            "Your proposed upload is smaller than the minimum allowed size",
            {"ProposedSize": str(size), "MinSizeAllowed": str(least)},
        )
    if size > most:
        raise Refused(
            400,
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed size",
            {"ProposedSize": str(size), "MaxSizeAllowed": str(most)},
        )


def _policy(text: str) -> tuple[float, list[Any]]:
    try:
        policy = json.loads(base64.b64decode(text))
        expiration, conditions = policy["expiration"], policy["conditions"]
        moment = time.strptime(re.sub(r"\.\d+Z$", "Z", expiration), "%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, TypeError, KeyError):
        raise _invalid("Invalid Policy: it needs an expiration and conditions.") from None
    if not isinstance(conditions, list):
        raise _invalid("Invalid 'conditions' value: must be a List.")
    return timegm(moment), conditions


def _keeps(kind: str, found: str, value: str, condition: Any) -> bool:
    match kind:
        case "eq":
            return found == value
        case "starts-with":
            return found.startswith(value)
        case _:
            raise _invalid(f"Invalid Condition: {json.dumps(condition)}")


def _whole(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.isdecimal())


def _invalid(message: str) -> Refused:
    return Refused(400, "InvalidPolicyDocument", message)


def _not_allowed(message: str) -> Refused:
    return access_denied(f"Invalid according to Policy: {message}")


def _malformed() -> Refused:
    return Refused(400, "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data.")
