"""What an event source mapping makes of messages and answers."""

import json
from typing import Any

import pytest

from local.queue import failures, record

SENT = {"m1", "m2"}


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (b"", set()),
        (b"null", set()),
        (b"{}", set()),
        (b'{"batchItemFailures": null}', set()),
        (b'{"batchItemFailures": []}', set()),
        (b'{"batchItemFailures": [{"itemIdentifier": "m2"}]}', {"m2"}),
        (b"not JSON", SENT),
        (b'"text"', SENT),
        (b'{"batchItemFailures": {"itemIdentifier": "m2"}}', SENT),
        (b'{"batchItemFailures": [{"itemIdentifier": ""}]}', SENT),
        (b'{"batchItemFailures": [{"itemIdentifier": null}]}', SENT),
        (b'{"batchItemFailures": [{"id": "m2"}]}', SENT),
        (b'{"batchItemFailures": [{"itemIdentifier": "unknown"}]}', SENT),
        (b'{"batchItemFailures": ["m2"]}', SENT),
    ],
)
def test_partial_failures(answer: bytes, failed: set[str]) -> None:
    """Only what the answer names stays in the queue; an answer that cannot be understood keeps all of it there."""
    assert failures(answer, SENT) == failed


def test_record_is_what_a_function_gets() -> None:
    """A message becomes a record with the members that AWS documents."""
    message: Any = {
        "MessageId": "m1",
        "ReceiptHandle": "r",
        "Body": "b",
        "MD5OfBody": "md5",
        "Attributes": {"ApproximateReceiveCount": "1"},
        "MessageAttributes": {"n": {"DataType": "String", "StringValue": "v"}},
    }
    assert json.loads(json.dumps(record(message, "arn:q"))) == {
        "messageId": "m1",
        "receiptHandle": "r",
        "body": "b",
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {
            "n": {"dataType": "String", "stringValue": "v", "stringListValues": [], "binaryListValues": []}
        },
        "md5OfBody": "md5",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:q",
        "awsRegion": "eu-west-1",
    }


def test_attributes_of_a_message_come_along() -> None:
    """Bytes are base64 in an event; what SQS itself says of a message, and of its attributes, stays as it is."""
    system = {"MessageGroupId": "g", "SentTimestamp": "1", "SenderId": "s", "AWSTraceHeader": "Root=1-0-0"}
    message: Any = {
        "MessageId": "m1",
        "ReceiptHandle": "r",
        "Body": "b",
        "MD5OfBody": "md5",
        "MD5OfMessageAttributes": "md6",
        "Attributes": system,
        "MessageAttributes": {
            "bytes": {"DataType": "Binary.png", "BinaryValue": bytes([0, 255])},
            "number": {"DataType": "Number", "StringValue": "1"},
        },
    }
    shown = json.loads(json.dumps(record(message, "arn:q")))
    assert shown["attributes"] == system
    assert shown["md5OfMessageAttributes"] == "md6"
    empty: Any = {"stringListValues": [], "binaryListValues": []}
    assert shown["messageAttributes"] == {
        "bytes": {"dataType": "Binary.png", "binaryValue": "AP8=", **empty},
        "number": {"dataType": "Number", "stringValue": "1", **empty},
    }
