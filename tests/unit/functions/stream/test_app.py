import hashlib
import json
import time
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import ANY
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from botocore.stub import Stubber
from fastapi import Request
from fastapi.testclient import TestClient

from sluice import capabilities
from sluice.capabilities import Holder, Use
from sluice.feed import OVERLAP_SECONDS, _earlier
from sluice.files import File, Status, _to_item, now, rfc3339
from tests.unit.core.records import a_file
from tests.unit.functions.modules import CAPABILITY_KEY, imported, noted_downloads

DATA = b"The quick brown fox."
LIMIT = 1000  # the STREAM_LIMIT_BYTES of the tests


@pytest.fixture(scope="module")
def stream() -> Iterator[ModuleType]:
    with imported("functions.stream.app") as module:
        yield module


@pytest.fixture
def dynamodb(stream: ModuleType) -> Iterator[Stubber]:
    with Stubber(stream.contents.connections.files._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def s3(stream: ModuleType) -> Iterator[Stubber]:
    with Stubber(stream.contents.connections.objects._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def downloads(stream: ModuleType) -> Iterator[list[dict[str, Any]]]:
    """What is written of downloads."""
    with noted_downloads(stream) as written:
        yield written


@pytest.fixture
def client(
    stream: ModuleType,
    dynamodb: Stubber,  # noqa: ARG001 - nothing is reached unseen
    s3: Stubber,  # noqa: ARG001
    downloads: list[Any],  # noqa: ARG001
) -> TestClient:
    return TestClient(stream.app, raise_server_exceptions=False, follow_redirects=False)


def a_ready_file(**changes: Any) -> File:
    values = {
        "status": Status.READY,
        "size": len(DATA),
        "etag": "abc-2",
        "version_id": "v1",
        "content_type": "text/plain",
        "filename": "fox 🦊.txt",
        "digests": {"sha-256": hashlib.sha256(DATA).hexdigest(), "md5": "0" * 32},
    }
    return a_file(**values | changes)


def link(dynamodb: Stubber, file: File, use: Use = Use.CONTENT) -> str:
    """The path that the API would hand out, and the record that it leads to."""
    key = {"owner": {"S": file.owner}, "id": {"S": file.id}}
    expected = {"TableName": "the-table", "Key": key, "ConsistentRead": True}
    dynamodb.add_response("get_item", {"Item": _to_item(file)}, expected)
    return (
        f"/files/{file.id}/{use}?capability={capabilities.issue(CAPABILITY_KEY, Holder(file.owner), file.id, use, 60)}"
    )


def there(s3: Stubber, file: File, **changes: Any) -> None:
    """S3 has this version of the file, and is asked for its head alone."""
    expected = {"Bucket": "the-bucket", "Key": file.key, "VersionId": "v1", "ChecksumMode": "ENABLED"}
    told = {"ETag": f'"{file.etag}"', "ContentLength": file.size, "VersionId": "v1"} | changes
    s3.add_response("head_object", told, expected)


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_head_has_all_the_headers(client: TestClient, dynamodb: Stubber, s3: Stubber) -> None:
    """200, the length, the type exactly as declared, and the name as an attachment, once S3 has the file."""
    file = a_ready_file()
    there(s3, file)
    answer = client.head(link(dynamodb, file))
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["content-length"] == str(len(DATA))
    assert (
        answer.headers["content-disposition"]
        == "attachment; filename=\"fox _.txt\"; filename*=UTF-8''fox%20%F0%9F%A6%8A.txt"
    )
    assert answer.headers["etag"] == '"abc-2"'
    assert answer.headers["repr-digest"].startswith("sha-256=:")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=-500"}])
def test_an_empty_file_is_sent_by_s3(
    client: TestClient, dynamodb: Stubber, s3: Stubber, headers: dict[str, str]
) -> None:
    """307: a Function URL may never end an answer without a body. HEAD, which ends without one, is as of any file."""
    file = a_ready_file(size=0, digests={"sha-256": hashlib.sha256().hexdigest()})
    there(s3, file)
    answer = client.get(link(dynamodb, file), headers=headers)
    assert redirects(answer)
    assert answer.content
    there(s3, file)
    head = client.head(link(dynamodb, file), headers=headers)
    assert (head.status_code, head.headers["content-length"]) == (200, "0")


def test_no_answer_is_a_redirect_without_a_body(client: TestClient) -> None:
    """A slash too many at the end of a path is not found: a redirect to the path without it would have no body."""
    assert problem(client.get("/healthz/")) == (404, "not_found")


def test_a_range_that_cannot_be_satisfied(client: TestClient, dynamodb: Stubber) -> None:
    """416 that says how large the file is."""
    answer = client.get(link(dynamodb, a_ready_file()), headers={"Range": "bytes=20-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */20"


@pytest.mark.parametrize("value", ["bytes=0-0", "bytes=20-"])
def test_head_has_no_ranges(client: TestClient, dynamodb: Stubber, s3: Stubber, value: str) -> None:
    """Only GET has them (RFC 9110, section 14.2): HEAD is about the whole file."""
    file = a_ready_file()
    there(s3, file)
    answer = client.head(link(dynamodb, file), headers={"Range": value})
    assert (answer.status_code, answer.headers["content-length"]) == (200, "20")


def test_a_known_file_is_a_304(client: TestClient, dynamodb: Stubber) -> None:
    """Without a body."""
    answer = client.get(link(dynamodb, a_ready_file()), headers={"If-None-Match": '"abc-2"'})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"abc-2"')


def test_another_files_etag_is_a_412(client: TestClient, dynamodb: Stubber) -> None:
    """A download that goes on from another file's beginning is refused."""
    answer = client.get(link(dynamodb, a_ready_file()), headers={"If-Match": '"x"', "Range": "bytes=1-"})
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")


def redirects(answer: httpx.Response) -> bool:
    """307 to the same version under the same name, with a few bytes of a body, and nobody caches that."""
    assert (answer.status_code, answer.headers["cache-control"]) == (307, "no-store")
    told = parse_qs(urlsplit(answer.headers["location"]).query)
    assert told["versionId"] == ["v1"]
    assert told["response-content-disposition"][0].startswith("attachment;")
    assert 0 < int(answer.headers["content-length"]) < 100
    return True


def test_more_than_lambda_streams_is_left_to_s3(client: TestClient, dynamodb: Stubber, s3: Stubber) -> None:
    """Once S3 has said that it has it."""
    file = a_ready_file(size=LIMIT + 1)
    there(s3, file)
    answer = client.get(link(dynamodb, file))
    assert redirects(answer)
    assert answer.content


@pytest.mark.parametrize("size", [0, 1, LIMIT + 1])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_direct_is_s3_whatever_the_size(
    client: TestClient, dynamodb: Stubber, s3: Stubber, size: int, method: str
) -> None:
    """A link with `direct=1` never sends the bytes itself."""
    file = a_ready_file(size=size)
    there(s3, file)
    assert redirects(client.request(method, f"{link(dynamodb, file)}&direct=1"))


def test_a_url_of_s3_is_for_the_method_that_asked(client: TestClient, dynamodb: Stubber, s3: Stubber) -> None:
    """S3 refuses HEAD of a URL that was signed for GET: whoever follows the redirect keeps the method."""
    file = a_ready_file()
    found = set()
    for method in ("GET", "HEAD"):
        there(s3, file)
        answer = client.request(method, f"{link(dynamodb, file)}&direct=1")
        found.add(parse_qs(urlsplit(answer.headers["location"]).query)["X-Amz-Signature"][0])
    assert len(found) == 2


def test_a_verified_file_is_direct_while_it_is_hashed(client: TestClient, dynamodb: Stubber, s3: Stubber) -> None:
    """Its bytes are what the sender had; they are streamed only when all their digests are known."""
    file = a_ready_file(status=Status.HASHING, verified=True, digests={})
    assert problem(client.get(link(dynamodb, file))) == (409, "not_ready")
    there(s3, file)
    assert redirects(client.get(f"{link(dynamodb, file)}&direct=1"))
    known = client.get(f"{link(dynamodb, file)}&direct=1", headers={"If-None-Match": '"abc-2"'})
    assert (known.status_code, "repr-digest" in known.headers) == (304, False)


def test_where_files_are_scanned_none_leaves_before_its_verdict(
    client: TestClient, stream: ModuleType, dynamodb: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However sure its digests are: neither while it is hashed once more, nor while it is scanned."""
    monkeypatch.setattr(stream.contents.connections, "malware_scan", True)
    for status in (Status.HASHING, Status.SCANNING):
        file = a_ready_file(status=status, verified=True)
        for more in ("", "&direct=1"):
            answer = client.get(f"{link(dynamodb, file)}{more}")
            assert (answer.status_code, answer.json()["state"]) == (409, status)


@pytest.mark.parametrize(
    "file",
    [
        a_ready_file(status=Status.HASHING),
        a_ready_file(status=Status.HASHING, verified=True, etag=None, version_id=None),
        *(a_ready_file(status=status, verified=True) for status in Status if status not in ("hashing", "ready")),
    ],
    ids=lambda file: f"{file.status}, {file.verified}, {file.etag}",
)
def test_nothing_else_is_direct(client: TestClient, dynamodb: Stubber, file: File) -> None:
    """Neither what nobody vouched for, nor what has no known version yet, nor what is not there or failed."""
    answer = client.get(f"{link(dynamodb, file)}&direct=1")
    assert problem(answer) == (409, "not_ready")
    assert answer.json()["state"] == file.status


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.READY])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_only_a_ready_file_is_sent(client: TestClient, dynamodb: Stubber, status: Status, method: str) -> None:
    """409 in every other state, whatever has arrived."""
    answer = client.request(method, link(dynamodb, a_ready_file(status=status)))
    assert answer.status_code == 409
    if method == "GET":
        assert (answer.json()["code"], answer.json()["state"]) == ("not_ready", status)
        assert answer.json()["title"] == "The file is not ready"


@pytest.mark.parametrize("use", capabilities.LINKS)
@pytest.mark.parametrize("query", ["", "?capability=", "?capability=x", "?capability=a.b.c", "?capability=%00"])
def test_no_link_without_a_capability(client: TestClient, use: Use, query: str) -> None:
    """403 as a problem, before anything is read: an SSE stream never begins."""
    answer = client.get(f"/files/{'0' * 26}/{use}{query}")
    assert (answer.status_code, answer.json()["code"]) == (403, "invalid_capability")


def test_a_capability_opens_nothing_else(client: TestClient) -> None:
    """Neither another file, nor another use, nor anything when its time is over."""
    mine, other = "0" * 26, "1" * 26
    capability = capabilities.issue(CAPABILITY_KEY, Holder("alice"), mine, Use.EVENTS, 60)
    for path in (f"/files/{other}/events", f"/files/{mine}/content"):
        assert client.get(f"{path}?capability={capability}").json()["code"] == "invalid_capability"
    old = capabilities.issue(CAPABILITY_KEY, Holder("alice"), mine, Use.EVENTS, -1)
    assert client.get(f"/files/{mine}/events?capability={old}").json()["code"] == "expired_capability"


def test_a_deleted_files_link_is_a_404(client: TestClient, dynamodb: Stubber) -> None:
    """A capability outlives its file, and then opens nothing."""
    dynamodb.add_response("get_item", {})
    capability = capabilities.issue(CAPABILITY_KEY, Holder("alice"), "0" * 26, Use.CONTENT, 60)
    assert client.get(f"/files/{'0' * 26}/content?capability={capability}").status_code == 404


def test_events_of_an_ended_file(client: TestClient, dynamodb: Stubber) -> None:
    """text/event-stream with a retry, the one event with its id, and the end."""
    answer = client.get(link(dynamodb, a_ready_file(revision=9, received_bytes=20, verified=True), Use.EVENTS))
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = answer.text.splitlines()
    assert "retry: 1000" in lines
    assert "event: ready" in lines
    assert "id: 9-20" in lines
    (data,) = (line.removeprefix("data: ") for line in lines if line.startswith("data: "))
    assert json.loads(data)["verified"] is True


@pytest.mark.parametrize("last", ["9-20", "9", "10-0"])
def test_the_end_is_told_once(client: TestClient, dynamodb: Stubber, last: str) -> None:
    """Whoever has seen it is told by a 204 to stay away, with an id of an earlier release as well."""
    file = a_ready_file(revision=9, received_bytes=20)
    answer = client.get(link(dynamodb, file, Use.EVENTS), headers={"Last-Event-ID": last})
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("last", ["", "-1", "x", "1e3", "8", "8-20", "9x", "9" * 5000, "\u0661-0", "é"])
def test_an_id_that_is_not_ours_has_seen_nothing(client: TestClient, dynamodb: Stubber, last: str) -> None:
    """Who sends it is told the present, as whoever has seen an earlier revision: no id is an error."""
    file = a_ready_file(revision=9, received_bytes=20)
    answer = client.get(link(dynamodb, file, Use.EVENTS), headers={"Last-Event-ID": last.encode()})
    assert answer.status_code == 200
    assert "event: ready" in answer.text


def test_a_stream_of_events_ends_after_a_minute(
    stream: ModuleType, client: TestClient, dynamodb: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order and without a verdict, however long the invocation may last: whoever has left is not noticed."""
    moments = iter([1000.0, 1059.9, 1060.1])
    monkeypatch.setattr(stream.events, "monotonic", lambda: next(moments))
    file = a_ready_file(status=Status.HASHING)
    path = link(dynamodb, file, Use.EVENTS)
    dynamodb.add_response("get_item", {"Item": _to_item(file)})
    answer = client.get(path)
    assert answer.status_code == 200
    assert [line for line in answer.text.splitlines() if line.startswith("event:")] == ["event: progress"]


def test_the_time_left_is_the_invocations(stream: ModuleType) -> None:
    """The streaming runtime says it in the scope; without one there is no end."""
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 4_500)
    assert stream.contents.seconds_left(Request({"type": "http", "aws.context": context})) == 4.5
    assert stream.contents.seconds_left(Request({"type": "http"})) == float("inf")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_streams_are_only_read(client: TestClient, method: str) -> None:
    """405 as a problem."""
    answer = client.request(method, f"/files/{'0' * 26}/content")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def feed_link(
    use: Use = Use.FEED, owner: str = "alice", record: str = capabilities.ALL_FILES, seconds: int = 60
) -> str:
    return f"/events?capability={capabilities.issue(CAPABILITY_KEY, Holder(owner), record, use, seconds)}"


def no_longer(stream: ModuleType, monkeypatch: pytest.MonkeyPatch, looks: int) -> None:
    """The stream of a feed has time for so many looks."""
    moments = iter([1000.0, *[1299.9] * (looks - 1), 1300.1])
    monkeypatch.setattr(stream.feed, "monotonic", lambda: next(moments))


@pytest.mark.parametrize("by", ["cursor", "header", "both"])
def test_the_feed_begins_where_the_watcher_is(
    stream: ModuleType, client: TestClient, dynamodb: Stubber, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """At the cursor of the link, and, of an EventSource that comes back by that link, at the last id; less a minute."""
    no_longer(stream, monkeypatch, 1)
    here, old = now(), rfc3339(int(time.time()) - 3600).replace("Z", ".000Z")
    path = feed_link() + {"cursor": f"&cursor={here}", "header": "", "both": f"&cursor={old}"}[by]
    expected = {
        "TableName": "the-table",
        "IndexName": "changes",
        "KeyConditionExpression": ANY,
        "ExpressionAttributeValues": {":owner": {"S": "alice"}, ":since": {"S": _earlier(here, OVERLAP_SECONDS)}},
        "Limit": ANY,
    }
    dynamodb.add_response("query", {"Items": []}, expected)
    answer = client.get(path, headers={} if by == "cursor" else {"Last-Event-ID": here})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    lines = answer.text.splitlines()
    assert lines[:3] == [": following", f"id: {here}", "retry: 1000"]
    assert lines[-3].startswith("id: ")
    assert lines[-2].startswith("retry: ")


@pytest.mark.parametrize("cursor", ["x", "2020-01-01T00:00:00.000Z"])
def test_a_feed_cannot_begin_where_its_past_is_forgotten(client: TestClient, cursor: str) -> None:
    """422 instead of a gap that nobody sees."""
    assert problem(client.get(f"{feed_link()}&cursor={cursor}")) == (422, "invalid_cursor")
    assert problem(client.get(feed_link(), headers={"Last-Event-ID": cursor})) == (422, "invalid_cursor")


def test_nobody_elses_feed(client: TestClient) -> None:
    """Neither without a capability, nor with one for something else, an expired one, or of an owner who is gone."""
    assert problem(client.get("/events")) == (403, "invalid_capability")
    wrong = (feed_link(Use.EXPORT), feed_link(Use.EVENTS), feed_link(record="0" * 26), feed_link(owner="gone"))
    for path in wrong:
        assert problem(client.get(path)) == (403, "invalid_capability")
    assert problem(client.get(feed_link(seconds=-1))) == (403, "expired_capability")


def test_a_redirect_is_told_of_to_the_owner(
    client: TestClient, dynamodb: Stubber, s3: Stubber, downloads: list[dict[str, Any]]
) -> None:
    """A day long, in his feed; a redirect of HEAD is no download."""
    file = a_ready_file(size=LIMIT + 1)
    there(s3, file)
    assert redirects(client.get(link(dynamodb, file)))
    there(s3, file)
    assert redirects(client.head(f"{link(dynamodb, file)}&direct=1"))
    (item,) = downloads
    assert 86_300 < int(item["forget_at"]["N"]) - time.time() <= 86_400
    shown = {name: item[name].get("S", item[name].get("N")) for name in ("owner", "feed", "record", "size", "ended")}
    assert shown == {
        "owner": f"downloads/{file.owner}",
        "feed": file.owner,
        "record": file.id,
        "size": str(LIMIT + 1),
        "ended": "redirected",
    }
