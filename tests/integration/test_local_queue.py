"""The event source mapping of a local stack, against its queues."""

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from local import aws
from tests.integration.conftest import Running

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def sqs(tiny: Running) -> "SQSClient":
    return aws.connect(tiny.ready["aws"]).sqs


@pytest.fixture(scope="module")
def queues(sqs: "SQSClient") -> dict[str, str]:
    """The URLs of the template's queues by logical id."""
    urls = sqs.list_queues()["QueueUrls"]
    return {name: next(url for url in urls if f"-{name}-" in url) for name in ("Jobs", "Dead", "Done")}


def take(sqs: "SQSClient", url: str, count: int) -> list[dict[str, Any]]:
    """The next `count` messages of a queue, which are then gone from it."""
    taken: list[dict[str, Any]] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(taken) < count:
        assert time.monotonic() < deadline, taken
        received = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1, MessageSystemAttributeNames=["All"])
        for message in received.get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            taken.append(dict(message))
    return taken


def left(sqs: "SQSClient", url: str) -> int:
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"]) + int(attributes["ApproximateNumberOfMessagesNotVisible"])


def until_empty(sqs: "SQSClient", url: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left(sqs, url):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_messages_are_worked_on_and_deleted(sqs: "SQSClient", queues: dict[str, str]) -> None:
    """Each message reaches the function once, as a record of aws:sqs, and leaves the queue."""
    for body in ("one", "two", "three"):
        sqs.send_message(QueueUrl=queues["Jobs"], MessageBody=body)
    done = {message["Body"] for message in take(sqs, queues["Done"], 3)}
    assert done == {"aws:sqs one", "aws:sqs two", "aws:sqs three"}
    until_empty(sqs, queues["Jobs"])
    assert left(sqs, queues["Done"]) == 0


def test_what_fails_ends_with_the_dead_letters(sqs: "SQSClient", queues: dict[str, str]) -> None:
    """What the function reports, or raises for, comes back once and is then dead; its neighbours are not repeated."""
    for body in ("fail", "good"):
        sqs.send_message(QueueUrl=queues["Jobs"], MessageBody=body)
    assert [message["Body"] for message in take(sqs, queues["Done"], 1)] == ["aws:sqs good"]
    sqs.send_message(QueueUrl=queues["Jobs"], MessageBody="raise")
    dead = take(sqs, queues["Dead"], 2)
    assert {message["Body"] for message in dead} == {"fail", "raise"}
    assert all(int(message["Attributes"]["ApproximateReceiveCount"]) >= 2 for message in dead)
    until_empty(sqs, queues["Jobs"])
    assert left(sqs, queues["Done"]) == 0


def test_attributes_reach_the_function(sqs: "SQSClient", queues: dict[str, str]) -> None:
    """What a sender says beside the body, and what SQS says of the message, is in the record as Lambda has it."""
    sqs.send_message(
        QueueUrl=queues["Jobs"],
        MessageBody="show",
        MessageGroupId="tenant",
        MessageAttributes={"bytes": {"DataType": "Binary", "BinaryValue": bytes([0, 255])}},
    )
    (message,) = take(sqs, queues["Done"], 1)
    record = json.loads(message["Body"])
    assert record["messageAttributes"]["bytes"]["binaryValue"] == "AP8="
    assert record["attributes"]["MessageGroupId"] == "tenant"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["attributes"].keys() >= {"SenderId", "SentTimestamp", "ApproximateFirstReceiveTimestamp"}
