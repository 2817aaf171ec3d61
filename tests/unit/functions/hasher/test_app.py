import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import pytest
from botocore.stub import Stubber

from sluice.files import File, Status, _to_item, new_id
from sluice.hashing import Work
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
    """No call is made but the expected ones."""
    with Stubber(hasher.files._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture(autouse=True)
def s3(hasher: ModuleType) -> Iterator[Stubber]:
    with Stubber(hasher.objects._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def sqs(hasher: ModuleType) -> Iterator[Stubber]:
    with Stubber(hasher.queue._client) as stubber:
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
        notification("files/alice/notes.txt"),
        {"Records": []},
    ],
)
def test_what_is_not_about_a_file_of_ours_is_taken_quietly(hasher: ModuleType, body: dict[str, Any]) -> None:
    """No record is read, and the message does not come again."""
    assert handled(hasher, json.dumps(body)) == []


def test_a_file_that_nobody_promised_is_taken_quietly(hasher: ModuleType, dynamodb: Stubber) -> None:
    """The record and its tombstone are looked for under the owner and the id that the key names; the object stays."""
    owner, file_id = KEY.split("/")[1:]
    key = {"owner": {"S": owner}, "id": {"S": file_id}}
    dynamodb.add_response("get_item", {}, {"TableName": "the-table", "Key": key, "ConsistentRead": True})
    tombstone = {"owner": {"S": f"deleted/{owner}"}, "id": {"S": file_id}}
    dynamodb.add_response("get_item", {}, {"TableName": "the-table", "Key": tombstone, "ConsistentRead": True})
    assert handled(hasher, json.dumps(notification())) == []


def test_a_key_comes_form_encoded(hasher: ModuleType, dynamodb: Stubber) -> None:
    """An owner's name with a space and an umlaut is found again."""
    file_id = new_id()
    key = {"owner": {"S": "ä b"}, "id": {"S": file_id}}
    dynamodb.add_response("get_item", {}, {"TableName": "the-table", "Key": key, "ConsistentRead": True})
    dynamodb.add_response("get_item", {})
    assert handled(hasher, json.dumps(notification(f"files/%C3%A4+b/{file_id}"))) == []


@pytest.mark.parametrize("event", ["ObjectCreated:Put", "ObjectCreated:CompleteMultipartUpload", "ObjectCreated:Copy"])
def test_every_way_to_create_an_object_counts(hasher: ModuleType, dynamodb: Stubber, event: str) -> None:
    """A file that has ended already is left alone, whatever the event is called."""
    file = a_file(owner="alice", id=KEY.rpartition("/")[2], status=Status.READY)
    dynamodb.add_response("get_item", {"Item": _to_item(file)})
    assert handled(hasher, json.dumps(notification(event=event))) == []


@contextmanager
def logged() -> Iterator[list[dict[str, Any]]]:
    """What is logged within the block, line by line. The handler has the stdout of when it was made."""
    (handler,) = (one for one in logging.getLogger("hasher").handlers if isinstance(one, logging.StreamHandler))
    lines: list[dict[str, Any]] = []
    before = handler.setStream(text := io.StringIO())
    try:
        yield lines
    finally:
        handler.setStream(before)
        lines += map(json.loads, text.getvalue().splitlines())


def test_the_log_names_the_request_that_made_an_object(hasher: ModuleType, dynamodb: Stubber) -> None:
    """By S3's own id, which its event has; the lines of the next event do not have it any more."""
    event = notification()
    event["Records"][0]["responseElements"] = {"x-amz-request-id": "C3D13FE58DE4C810"}
    ended = a_file(owner="alice", id=KEY.rpartition("/")[2], status=Status.READY)
    for _ in range(2):
        dynamodb.add_response("get_item", {"Item": _to_item(ended)})
    with logged() as lines:
        assert handled(hasher, json.dumps(event), json.dumps(notification())) == []
    told = [line.get("s3_request_id") for line in lines if line.get("message") == "nothing to do"]
    assert told == ["C3D13FE58DE4C810", None]


def test_the_log_names_the_request_that_left_an_upload(hasher: ModuleType, dynamodb: Stubber, s3: Stubber) -> None:
    """By the id that the API has told its client."""
    file = a_file(owner="alice", status=Status.ASSEMBLING)
    dynamodb.add_response("get_item", {"Item": _to_item(file)})
    s3.add_client_error("list_parts", "NoSuchUpload", http_status_code=404)
    s3.add_client_error("head_object", "404", http_status_code=404)
    dynamodb.add_response("put_item", {})
    body = json.dumps({"Assembling": {"owner": "alice", "id": file.id, "request_id": "JKJaXmPLvHcESHA="}})
    with logged() as lines:
        assert handled(hasher, body, receives=5) == []
    (lost,) = (line for line in lines if line.get("message") == "lost between upload and object")
    assert lost["request_id"] == "JKJaXmPLvHcESHA="


@pytest.mark.parametrize(("receives", "again"), [(4, ["0"]), (5, [])])
def test_an_upload_that_the_api_left_is_seen_through(
    hasher: ModuleType, dynamodb: Stubber, s3: Stubber, receives: int, again: list[str]
) -> None:
    """S3 knows neither an upload nor an object: the message comes again, but for the last time, when the file fails."""
    file = a_file(owner="alice", status=Status.ASSEMBLING)
    dynamodb.add_response("get_item", {"Item": _to_item(file)})
    s3.add_client_error("list_parts", "NoSuchUpload", http_status_code=404)
    s3.add_client_error("head_object", "404", http_status_code=404)
    if not again:
        dynamodb.add_response("put_item", {})
    body = json.dumps({"Assembling": {"owner": "alice", "id": file.id}})
    assert handled(hasher, body, receives=receives) == again


@pytest.mark.parametrize("status", [503, 400])
def test_a_completion_that_s3_refuses_for_long_is_not_forgotten(
    hasher: ModuleType, dynamodb: Stubber, s3: Stubber, sqs: Stubber, status: int
) -> None:
    """The last receive of its message sends the next one: the file is neither failed nor left without anybody."""
    file = a_file(owner="alice", status=Status.ASSEMBLING)
    dynamodb.add_response("get_item", {"Item": _to_item(file)})
    s3.add_response("list_parts", {})
    s3.add_client_error("complete_multipart_upload", "SlowDown", http_status_code=status)
    body = json.dumps({"Assembling": {"owner": "alice", "id": file.id}})
    anew = {"QueueUrl": "https://sqs.example/the-queue", "MessageBody": body, "DelaySeconds": 900}
    sqs.add_response("send_message", {"MessageId": "m"}, anew)
    assert handled(hasher, body, receives=5) == []


@pytest.mark.parametrize("body", ["", "{", "null", "[]", "{}"])
def test_a_message_that_cannot_be_read_ends_as_a_dead_letter(hasher: ModuleType, body: str) -> None:
    """It fails alone: it comes again until the queue gives it up, and its neighbours are done."""
    assert handled(hasher, json.dumps(notification("else/x")), body, json.dumps({"Records": []})) == ["1"]


def changed(path: str, value: Any) -> dict[str, Any]:
    """S3's record with another value at `path`, or without one (...)."""
    (record,) = notification()["Records"]
    *way, name = path.split(".")
    place = record
    for step in way:
        place = place[step]
    if value is ...:
        del place[name]
    else:
        place[name] = value
    return dict(record)


WRONG: dict[str, list[Any]] = {
    "eventName": [..., None, 5],
    "s3": [..., None, 5, []],
    "s3.bucket": [..., "the-bucket"],
    "s3.bucket.name": [..., ["the-bucket"]],
    "s3.object": [..., None, "x"],
    "s3.object.key": [..., None, 5, [KEY], {}, KEY.replace("alice", "\ud800")],
    "s3.object.size": [..., None, "5", 5.0, True, -1, 10**19, int("9" * 4000)],
    "s3.object.eTag": [..., None, 5, "", '""'],
    "s3.object.versionId": [5, ["v1"], {}],
}
MALFORMED: list[Any] = [
    None,
    5,
    "x",
    [],
    {},
    *(changed(path, value) for path, values in WRONG.items() for value in values),
]


@pytest.mark.parametrize("record", MALFORMED)
def test_a_malformed_record_does_not_cost_its_neighbours(
    hasher: ModuleType,
    dynamodb: Stubber,
    sqs: Stubber,
    capsys: pytest.CaptureFixture[str],
    record: Any,
) -> None:
    """The nine others of a message are tried, and it does not come again. The malformed one is said and counted, and
    goes on by itself: to the dead letters."""
    for _ in range(9):
        dynamodb.add_response("get_item", {"Item": _to_item(a_file(owner="alice", status=Status.READY))})
    alone = json.dumps({"Records": [record]})
    sent = {name: value for name, value in NEXT.items() if name != "MessageGroupId"}  # nobody's in particular
    sqs.add_response("send_message", {"MessageId": "m"}, sent | {"MessageBody": alone})
    good = notification()["Records"]
    assert handled(hasher, json.dumps({"Records": [*good * 2, record, *good * 7]})) == []
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["Malformed"] for line in lines if "Malformed" in line] == [[1.0]]


@pytest.mark.parametrize("record", MALFORMED)
def test_a_malformed_record_alone_ends_as_a_dead_letter(
    hasher: ModuleType, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, record: Any
) -> None:
    """It fails its message, as often as the queue gives it out, and is sent nowhere; each time is said and counted."""
    for receives in (1, 5):
        assert handled(hasher, json.dumps({"Records": [record]}), receives=receives) == ["0"]
        assert "malformed record" in caplog.messages
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [line["Malformed"] for line in lines if "Malformed" in line] == [[1.0]]


@pytest.mark.parametrize(
    "body",
    [
        *("", "{", "null", "[]", "{}", "5", "[" * 100_000, "9" * 5000),
        *('{"Records": null}', '{"Records": {}}', '{"Records": "x"}'),
        *('{"Assembling": 5}', '{"Assembling": {"owner": "alice"}}', '{"Assembling": {"owner": "alice", "id": 5}}'),
    ],
)
def test_a_message_of_an_unknown_shape_is_counted(
    hasher: ModuleType, capsys: pytest.CaptureFixture[str], body: str
) -> None:
    """And ends as a dead letter."""
    assert handled(hasher, body) == ["0"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["Malformed"] for line in lines if "Malformed" in line] == [[1.0]]


def test_a_record_that_fails_brings_its_message_back_after_all_were_tried(
    hasher: ModuleType, dynamodb: Stubber
) -> None:
    """The second and the third of four fail; the fourth is looked at all the same."""
    ended = {"Item": _to_item(a_file(owner="alice", status=Status.READY))}
    dynamodb.add_response("get_item", ended)
    dynamodb.add_client_error("get_item", "InternalServerError", http_status_code=500)
    dynamodb.add_client_error("get_item", "InternalServerError", http_status_code=500)
    dynamodb.add_response("get_item", ended)
    assert handled(hasher, json.dumps({"Records": notification()["Records"] * 4})) == ["0"]


def test_a_malformed_record_that_cannot_be_sent_on_brings_its_message_back(
    hasher: ModuleType, dynamodb: Stubber, sqs: Stubber
) -> None:
    """Rather than be lost; its neighbour is tried."""
    dynamodb.add_response("get_item", {"Item": _to_item(a_file(owner="alice", status=Status.READY))})
    sqs.add_client_error("send_message", "ServiceUnavailable", http_status_code=503)
    assert handled(hasher, json.dumps({"Records": [{}, *notification()["Records"]]})) == ["0"]


def test_each_record_of_a_last_receive_is_sent_anew(hasher: ModuleType, dynamodb: Stubber, sqs: Stubber) -> None:
    """One message a file: their hand-overs do not meet again."""
    for _ in range(2):
        arrived(dynamodb)
        dynamodb.add_response("put_item", {})
        sqs.add_response("send_message", {"MessageId": "m"}, NEXT)
    assert handled(hasher, json.dumps({"Records": notification()["Records"] * 2}), receives=5) == []


@pytest.mark.parametrize("etag", ["abc", '"abc"', ' "abc" ', 'W/"abc"'])
def test_an_etag_is_taken_bare(hasher: ModuleType, dynamodb: Stubber, sqs: Stubber, etag: str) -> None:
    """S3's events have it without quotes, HEAD with them: a record has one form."""
    arrived(dynamodb)
    dynamodb.add_response("put_item", {})
    sqs.add_response("send_message", {"MessageId": "m"})
    with noted(hasher) as written:
        assert handled(hasher, json.dumps({"Records": [changed("s3.object.eTag", etag)]}), receives=5) == []
    assert [item["etag"]["S"] for item in written] == ["abc"]


NEXT = {"QueueUrl": "https://sqs.example/the-queue", "MessageBody": json.dumps(notification()), "DelaySeconds": 0}
NEXT["MessageGroupId"] = "alice"


def arrived(dynamodb: Stubber, **changes: Any) -> File:
    """The record that the next read finds."""
    file = a_file(owner="alice", id=KEY.rpartition("/")[2], size=5, **changes)
    dynamodb.add_response("get_item", {"Item": _to_item(file)})
    return file


def test_a_message_at_its_last_receive_is_sent_anew(hasher: ModuleType, dynamodb: Stubber, sqs: Stubber) -> None:
    """The same event, once more, and then the old message may go: the new one can be received as often again."""
    arrived(dynamodb)
    dynamodb.add_response("put_item", {})
    sqs.add_response("send_message", {"MessageId": "m"}, NEXT)
    assert handled(hasher, json.dumps(notification()), receives=5) == []


def test_a_file_whose_last_message_cannot_be_sent_fails(
    hasher: ModuleType, dynamodb: Stubber, sqs: Stubber, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody will come any more, so whoever watches is told; the message goes to the dead letters.

    It is counted as every other verdict.
    """
    waiting = arrived(dynamodb)
    sqs.add_client_error("send_message", "ServiceUnavailable", http_status_code=503)
    dynamodb.add_response("put_item", {})
    dynamodb.add_response("get_item", {"Item": _to_item(replace(waiting, status=Status.HASHING))})
    dynamodb.add_response("put_item", {})
    with noted(hasher) as written:
        assert handled(hasher, json.dumps(notification()), receives=5) == ["0"]
    assert [item["status"]["S"] for item in written] == ["hashing", "failed"]
    assert written[-1]["reason"]["S"] == "unreadable"
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["reason"] for line in lines if "Verdicts" in line] == ["unreadable"]


@contextmanager
def noted(hasher: ModuleType) -> Iterator[list[Any]]:
    """The items that are written meanwhile."""
    written: list[Any] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        written.append(params["Item"])

    events = hasher.files._client.meta.events
    events.register("before-parameter-build.dynamodb.PutItem", note)
    yield written
    events.unregister("before-parameter-build.dynamodb.PutItem", note)


@pytest.mark.parametrize(("receives", "ends"), [(4, False), (5, True)])
def test_the_last_message_takes_its_file_along(
    hasher: ModuleType, dynamodb: Stubber, receives: int, ends: bool
) -> None:
    """What fails the last time that the queue gives it out ends the file; before that it may still succeed."""
    arrived(dynamodb)
    dynamodb.add_client_error("put_item", "InternalServerError", http_status_code=500)
    if ends:
        arrived(dynamodb)
        dynamodb.add_response("put_item", {})
    assert handled(hasher, json.dumps(notification()), receives=receives) == ["0"]


def test_a_record_that_cannot_be_read_lets_the_message_come_again(hasher: ModuleType, dynamodb: Stubber) -> None:
    """A failure of DynamoDB is not the end of a file."""
    dynamodb.add_client_error("get_item", "InternalServerError", http_status_code=500)
    assert handled(hasher, json.dumps(notification())) == ["0"]


@pytest.mark.parametrize(
    ("changes", "reason", "contradictions"),
    [
        ({"status": Status.READY}, "ready", 0.0),
        ({"status": Status.FAILED, "reason": "unreadable"}, "unreadable", 0.0),
        ({"status": Status.FAILED, "reason": "checksum_mismatch"}, "checksum_mismatch", 1.0),
    ],
)
def test_a_verdict_is_counted(
    hasher: ModuleType, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], reason: str, contradictions: float
) -> None:
    """By its reason, and what contradicts once more for the alarm, which sees nothing but the service."""
    hasher.metrics.log_metrics(lambda *_: hasher.tell(a_file(**changes)))({}, Context())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    verdict, counted = [line for line in lines if "_aws" in line]
    assert (verdict["Verdicts"], verdict["reason"]) == ([1.0], reason)
    assert (counted["Contradictions"], counted["service"]) == ([contradictions], "hasher")
    assert counted["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]


def test_what_a_job_did_is_measured(hasher: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes, seconds, their rate, and how often S3 was asked again; a job that had nothing to read says nothing."""

    def measure(*_: object) -> None:
        for work in (Work(hashed_bytes=3_000_000, seconds=1.5, retries=2), Work()):
            hasher.measure(work)

    hasher.metrics.log_metrics(measure)({}, Context())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (measured,) = [line for line in lines if "HashedBytes" in line]
    names = ("HashedBytes", "HashSeconds", "HashRate", "ReadRetries")
    assert [measured[name] for name in names] == [[3_000_000.0], [1.5], [2_000_000.0], [2.0]]
