import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from botocore.stub import Stubber

from sluice.files import Status, _to_item, new_id
from tests.unit.core.records import a_file
from tests.unit.functions.modules import imported

KEY = f"files/alice/{new_id()}"


@dataclass
class Context:
    """What Lambda hands to a handler."""

    function_name: str = "hasher"
    memory_limit_in_mb: int = 3538
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:hasher"
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 600_000


@pytest.fixture(scope="module")
def hasher() -> Iterator[ModuleType]:
    with imported("functions.hasher.app") as module:
        yield module


@pytest.fixture(autouse=True)
def dynamodb(hasher: ModuleType) -> Iterator[Stubber]:
    """No call is made but the expected ones; those to S3 never."""
    with Stubber(hasher.files._client) as stubber, Stubber(hasher.objects._client):
        yield stubber
        stubber.assert_no_pending_responses()


def notification(key: str = KEY, *, event: str = "ObjectCreated:Put", bucket: str = "the-bucket") -> dict[str, Any]:
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": "2026-11-21T10:00:00.000Z",
        "eventName": event,
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 5, "eTag": "abc", "versionId": "v1"}},
    }
    return {"Records": [record]}


def handled(hasher: ModuleType, *bodies: str, receives: int = 1) -> list[str]:
    """The ids of the messages, `0`, `1` ..., that have to come again; each is received for the `receives`-th time."""
    message = {
        "receiptHandle": "r",
        "eventSource": "aws:sqs",
        "attributes": {"ApproximateReceiveCount": str(receives)},
    }
    event = {"Records": [message | {"messageId": str(number), "body": body} for number, body in enumerate(bodies)]}
    answer = hasher.handler(event, Context())
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


@pytest.mark.parametrize(
    "body",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "the-bucket", "RequestId": "x", "HostId": "y"},
        notification(event="ObjectRemoved:Delete"),
        notification(bucket="another-bucket"),
        notification("else/alice/x"),
        notification("files/alice"),
        notification("files/alice/a/b"),
        {"Records": []},
    ],
)
def test_what_is_not_about_a_file_of_ours_is_taken_quietly(hasher: ModuleType, body: dict[str, Any]) -> None:
    """No record is read, and the message does not come again."""
    assert handled(hasher, json.dumps(body)) == []


def test_a_file_that_nobody_promised_is_taken_quietly(hasher: ModuleType, dynamodb: Stubber) -> None:
    """The record is looked for under the owner and the id that the key names."""
    owner, file_id = KEY.split("/")[1:]
    key = {"owner": {"S": owner}, "id": {"S": file_id}}
    dynamodb.add_response("get_item", {}, {"TableName": "the-table", "Key": key, "ConsistentRead": True})
    assert handled(hasher, json.dumps(notification())) == []


def test_a_key_comes_form_encoded(hasher: ModuleType, dynamodb: Stubber) -> None:
    """An owner's name with a space and an umlaut is found again."""
    file_id = new_id()
    key = {"owner": {"S": "ä b"}, "id": {"S": file_id}}
    dynamodb.add_response("get_item", {}, {"TableName": "the-table", "Key": key, "ConsistentRead": True})
    assert handled(hasher, json.dumps(notification(f"files/%C3%A4+b/{file_id}"))) == []


@pytest.mark.parametrize("event", ["ObjectCreated:Put", "ObjectCreated:CompleteMultipartUpload", "ObjectCreated:Copy"])
def test_every_way_to_create_an_object_counts(hasher: ModuleType, dynamodb: Stubber, event: str) -> None:
    """A file that has ended already is left alone, whatever the event is called."""
    file = a_file(owner="alice", id=KEY.rpartition("/")[2], status=Status.READY)
    dynamodb.add_response("get_item", {"Item": _to_item(file)})
    assert handled(hasher, json.dumps(notification(event=event))) == []


@pytest.mark.parametrize("body", ["", "{", "null", "[]", "{}"])
def test_a_message_that_cannot_be_read_ends_as_a_dead_letter(hasher: ModuleType, body: str) -> None:
    """It fails alone: it comes again until the queue gives it up, and its neighbours are done."""
    assert handled(hasher, json.dumps(notification("else/x")), body, json.dumps({"Records": []})) == ["1"]


@pytest.mark.parametrize(("receives", "ends"), [(4, False), (5, True)])
def test_the_last_message_takes_its_file_along(
    hasher: ModuleType, monkeypatch: pytest.MonkeyPatch, receives: int, ends: bool
) -> None:
    """What fails the last time that the queue gives it out ends the file; before that it may still succeed."""
    given_up: list[str] = []

    def run(*_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(hasher.Job, "run", run)
    monkeypatch.setattr(hasher.Job, "give_up", lambda _, __, file_id: given_up.append(file_id))
    assert handled(hasher, json.dumps(notification()), receives=receives) == ["0"]
    assert given_up == ([KEY.rpartition("/")[2]] if ends else [])


def test_a_record_that_cannot_be_read_lets_the_message_come_again(hasher: ModuleType, dynamodb: Stubber) -> None:
    """A failure of DynamoDB is not the end of a file."""
    dynamodb.add_client_error("get_item", "InternalServerError", http_status_code=500)
    assert handled(hasher, json.dumps(notification())) == ["0"]
