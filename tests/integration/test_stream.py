"""The data plane's contract: contents and events through the Function URL and the streaming runtime."""

import base64
import hashlib
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
import httpx
import pytest

from sluice import capabilities
from sluice.capabilities import Holder, Use
from tests.integration import journey
from tests.integration.conftest import Stack
from tests.integration.journey import MIB
from tests.integration.test_api import problem

KEYS: Any = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}


@dataclass(frozen=True)
class Ready:
    data: bytes
    file: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.file["links"]["content"])


@pytest.fixture(scope="module")
def ready(stack: Stack) -> Ready:
    """A file of 9 MiB and a bit that is ready."""
    data = journey.random_bytes(9 * MIB + 123)
    with journey.client(stack.api, stack.token) as api:
        file = journey.ended(api, journey.upload(api, data, "nine.bin", content_type="application/x-nine"))
    assert file["status"] == "ready", file
    return Ready(data, file)


def get(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, headers=headers, timeout=journey.PATIENCE_SECONDS, trust_env=False)


def length(answer: httpx.Response) -> int:
    """What the function said in Content-Length, as a Function URL that streams passes it on."""
    assert "content-length" not in answer.headers
    return int(answer.headers["x-amzn-remapped-content-length"])


def test_content_is_as_slow_as_on_lambda(ready: Ready) -> None:
    """The first 6 MB come at full speed and the rest with 2 MB/s, of a function that has them at once."""
    began, received = time.monotonic(), 0
    with httpx.stream("GET", ready.url, timeout=journey.PATIENCE_SECONDS, trust_env=False) as answer:
        for piece in answer.iter_raw():
            received += len(piece)
            assert received <= 6 * MIB + 2_000_000 * (time.monotonic() - began)
    assert received == len(ready.data)


def test_content_comes_back_whole_with_its_digests(ready: Ready) -> None:
    """GET content streams the bytes with their type, length, name, ETag and digests."""
    answer = get(ready.url)
    assert answer.status_code == 200
    assert answer.content == ready.data
    assert answer.headers["content-type"] == "application/x-nine"
    assert length(answer) == len(ready.data)
    assert answer.headers["content-disposition"] == 'attachment; filename="nine.bin"'
    assert answer.headers["etag"] == f'"{ready.file["etag"]}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    sha256 = base64.b64encode(hashlib.sha256(ready.data).digest()).decode()
    assert f"sha-256=:{sha256}:" in answer.headers["repr-digest"]


def test_head_is_get_without_the_bytes(ready: Ready) -> None:
    """HEAD has GET's headers and no body."""
    answer = httpx.head(ready.url, trust_env=False)
    assert answer.status_code == 200
    assert length(answer) == len(ready.data)
    assert answer.headers["repr-digest"] == get(ready.url, Range="bytes=0-0").headers["repr-digest"]
    assert answer.content == b""


@pytest.mark.parametrize(
    ("value", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=5-9", 5, 9), ("bytes=9437184-", 9437184, 9437306), ("bytes=-10", 9437297, 9437306)],
)
def test_range_is_sent_as_asked(ready: Ready, value: str, first: int, last: int) -> None:
    """One range of bytes is a 206 with just these bytes."""
    answer = get(ready.url, Range=value)
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(ready.data)}"
    assert answer.content == ready.data[first : last + 1]


@pytest.mark.parametrize("value", ["bytes=99999999-", "bytes=9437307-", "bytes=-0"])
def test_range_beyond_the_file_is_not_satisfiable(ready: Ready, value: str) -> None:
    """A range that begins behind the end is a 416 that says how long the file is."""
    answer = get(ready.url, Range=value)
    problem(answer, 416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(ready.data)}"


def test_range_of_another_file_is_the_whole_of_this_one(ready: Ready) -> None:
    """If-Range with another ETag means: send all."""
    assert get(ready.url, Range="bytes=0-9", **{"If-Range": '"other"'}).status_code == 200
    assert get(ready.url, Range="bytes=0-9", **{"If-Range": f'"{ready.file["etag"]}"'}).status_code == 206


def test_preconditions_are_kept(ready: Ready) -> None:
    """If-None-Match of this ETag is a 304 without a body, If-Match of another one a 412."""
    etag = f'"{ready.file["etag"]}"'
    unchanged = get(ready.url, **{"If-None-Match": f'"x", {etag}'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert get(ready.url, **{"If-Match": etag, "Range": "bytes=0-0"}).status_code == 206
    problem(get(ready.url, **{"If-Match": '"other"'}), 412, "precondition_failed")


def test_capability_is_for_one_file_one_use_and_a_time(stack: Stack, api: httpx.Client, ready: Ready) -> None:
    """A capability that is missing, altered, expired, signed by another key, or for something else opens nothing."""
    secrets = boto3.client("secretsmanager", endpoint_url=stack.aws, region_name=stack.region, **KEYS)
    names = [secret["Name"] for secret in secrets.list_secrets()["SecretList"] if "CapabilityKey" in secret["Name"]]
    key = secrets.get_secret_value(SecretId=names[0])["SecretString"]
    base, _, good = ready.url.partition("?capability=")
    file_id = ready.file["id"]
    assert (
        get(f"{base}?capability={capabilities.issue(key, Holder('default'), file_id, Use.CONTENT, 60)}").status_code
        == 200
    )

    expired = capabilities.issue(key, Holder("default"), file_id, Use.CONTENT, -1)
    problem(get(f"{base}?capability={expired}"), 403, "expired_capability")
    head, claims, signature = good.split(".")
    altered = f"{head}.{claims}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    forged = capabilities.issue("another key, long enough for HS256!!", Holder("default"), file_id, Use.CONTENT, 60)
    for_events = ready.file["links"]["events"].partition("?capability=")[2]
    for_other = journey.create(api, 1)["links"]["content"].partition("?capability=")[2]
    for wrong in ("", "nonsense", altered, forged, for_events, for_other):
        problem(get(f"{base}?capability={wrong}"), 403, "invalid_capability")
    problem(get(base), 403, "invalid_capability")
    problem(get(f"{base.removesuffix('content')}events?capability={good}"), 403, "invalid_capability")


def test_content_waits_for_the_verdict(api: httpx.Client) -> None:
    """What is not ready is not served."""
    file = journey.create(api, 1)
    assert problem(get(file["links"]["content"]), 409, "not_ready")["state"] == "uploading"


def test_a_ready_file_whose_object_somebody_deletes(stack: Stack, api: httpx.Client) -> None:
    """Through the Function URL: 410 with a problem, however it is asked for, and a line for the alarm each time."""
    file = journey.ended(api, journey.upload(api, journey.random_bytes(1000)))
    url = file["links"]["content"]
    s3 = boto3.client("s3", endpoint_url=stack.aws, region_name=stack.region, **KEYS)
    (bucket,) = (bucket["Name"] for bucket in s3.list_buckets()["Buckets"])
    # A mere marker would leave the version there, which the record names and the function reads.
    (version,) = s3.list_object_versions(Bucket=bucket, Prefix=f"files/default/{file['id']}")["Versions"]
    s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
    problem(get(url), 410, "object_missing")
    problem(get(url, Range="bytes=1-2"), 410, "object_missing")
    problem(get(f"{url}&direct=1"), 410, "object_missing")
    assert httpx.head(url, trust_env=False).status_code == 410
    assert stack.log.read_text().count("FilesLost") >= 4


def test_direct_is_the_bytes_from_s3(stack: Stack, ready: Ready) -> None:
    """Whatever the size: a redirect that has a body, to a URL that keeps name and ranges, for GET and for HEAD."""
    url = f"{ready.url}&direct=1"
    answer = get(url)
    assert (answer.status_code, answer.headers["cache-control"], bool(answer.content)) == (307, "no-store", True)
    assert answer.headers["location"].startswith(stack.aws)
    sent = httpx.get(url, follow_redirects=True, trust_env=False, timeout=journey.PATIENCE_SECONDS)
    assert sent.content == ready.data
    assert "nine.bin" in sent.headers["content-disposition"]
    head = httpx.head(url, follow_redirects=True, trust_env=False, timeout=journey.PATIENCE_SECONDS)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(ready.data)))
    assert get(answer.headers["location"], Range="bytes=5-9").content == ready.data[5:10]


def test_preconditions_of_time(api: httpx.Client) -> None:
    """Last-Modified is when the bytes were there, whatever was renamed since; it asks and answers as an ETag does."""
    began = time.time()
    file = journey.ended(api, journey.upload(api, b"whole"))
    url = file["links"]["content"]
    first = get(url)
    moment = first.headers["last-modified"]
    assert began - 1 <= parsedate_to_datetime(moment).timestamp() <= time.time()
    api.patch(f"/files/{file['id']}", json={"filename": "b"}).raise_for_status()
    assert get(url).headers["last-modified"] == moment
    assert get(url, **{"If-Modified-Since": moment}).status_code == 304
    early = "Sat, 01 Jan 2000 00:00:00 GMT"
    problem(get(url, **{"If-Unmodified-Since": early}), 412, "precondition_failed")
    ranged = {"Range": "bytes=1-2"}
    assert [get(url, **ranged, **{"If-Range": when}).status_code for when in (moment, early)] == [206, 200]


@pytest.mark.parametrize(
    ("content_type", "how"),
    [("image/png", "inline"), ("text/plain", "inline"), ("image/svg+xml", "attachment"), ("text/html", "attachment")],
)
def test_what_is_safe_is_shown_in_place(api: httpx.Client, content_type: str, how: str) -> None:
    """Streamed and by S3; the rest stays a download, and a browser gives none of it an origin."""
    file = api.put("/files/a.x", content=b"x", headers={"Content-Type": content_type}).json()
    url = file["links"]["content"]
    for asked, expected in (
        ("", "attachment"),
        ("&disposition=attachment", "attachment"),
        ("&disposition=inline", how),
    ):
        for direct in ("", "&direct=1"):
            answer = get(url + asked + direct)
            assert answer.status_code == (307 if direct else 200)
            sent = get(answer.headers["location"]) if direct else answer
            assert (sent.content, sent.headers["content-type"]) == (b"x", content_type)
            assert sent.headers["content-disposition"] == f'{expected}; filename="a.x"'
            if not direct:
                assert sent.headers["content-security-policy"] == "sandbox"
                assert sent.headers["x-content-type-options"] == "nosniff"
    problem(get(f"{url}&disposition=other"), 422, "invalid_request")


def test_a_page_may_ask_with_dates(stack: Stack) -> None:
    """The CORS rules of the Function URL let the conditions in."""
    for condition in ("if-modified-since", "if-unmodified-since", "if-range", "if-match", "if-none-match", "range"):
        asked = {"Origin": "http://localhost:5173", "Access-Control-Request-Method": "GET"}
        asked["Access-Control-Request-Headers"] = condition
        answer = httpx.options(f"{stack.stream}/files/x/content", headers=asked, trust_env=False)
        assert condition in answer.headers["access-control-allow-headers"]


def test_declared_digest_that_is_wrong_fails_the_file(api: httpx.Client) -> None:
    """A file that is not what its client declared ends `failed` with the reason and is never served."""
    file = journey.upload(api, b"not empty")
    wrong = {"digests": {"sha-256": hashlib.sha256(b"").hexdigest()}}
    assert api.post(f"/files/{file['id']}/complete", json=wrong).status_code == 202
    shown = journey.ended(api, file)
    assert (shown["status"], shown["reason"]) == ("failed", "digest_mismatch")
    assert problem(get(shown["links"]["content"]), 409, "not_ready")["reason"] == "digest_mismatch"


def test_events_tell_the_way_from_upload_to_ready(api: httpx.Client) -> None:
    """The stream shows progress from the first part on, rises only, and ends with `ready` and the digests."""
    data = journey.random_bytes(17 * MIB)
    file = journey.create(api, len(data))
    stream = journey.events(file["links"]["events"])
    assert next(stream).data == {"status": "uploading", "received_bytes": 0, "hashed_bytes": 0, "size": len(data)}
    journey.put_parts(file["parts"][:1], data)
    assert next(stream).data["received_bytes"] == 8 * MIB
    journey.put_parts(file["parts"][1:], data)
    api.post(f"/files/{file['id']}/complete")
    *progress, last = stream
    assert {event.name for event in progress} <= {"progress"}
    assert last.name == "ready"
    assert last.data["digests"] == {
        "sha-256": hashlib.sha256(data).hexdigest(),
        "md5": hashlib.md5(data).hexdigest(),  # noqa: S324 - the digest asked for
    }
    revisions = [int(event.id.partition("-")[0]) for event in [*progress, last]]
    assert revisions == sorted(revisions)


def test_parts_that_arrive_while_nobody_watches_are_told(api: httpx.Client) -> None:
    """A watcher that comes back with its Last-Event-ID sees at once what has arrived meanwhile."""
    data = journey.random_bytes(17 * MIB)
    file = journey.create(api, len(data))
    stream = journey.events(file["links"]["events"])
    seen = next(stream).id
    stream.close()
    journey.put_parts(file["parts"][:2], data)
    again = journey.events(file["links"]["events"], **{"Last-Event-ID": seen})
    assert next(again).data["received_bytes"] == 16 * MIB
    again.close()


def test_events_resume_after_the_last_one_seen(api: httpx.Client) -> None:
    """With Last-Event-ID what was seen is not told again; who has seen the end is sent away for good."""
    file = journey.create(api, 9 * MIB)
    stream = journey.events(file["links"]["events"])
    seen = next(stream).id
    stream.close()
    again = journey.events(file["links"]["events"], **{"Last-Event-ID": seen})
    api.delete(f"/files/{file['id']}")
    (last,) = again
    assert last.name == "aborted"
    assert get(file["links"]["events"], **{"Last-Event-ID": last.id}).status_code == 204
    assert [event.name for event in journey.events(file["links"]["events"])] == ["aborted"]


def test_events_of_a_deleted_file_end(api: httpx.Client) -> None:
    """A watcher of a file that is deleted under it is told so and let go."""
    file = journey.ended(api, journey.upload(api, b"x"))
    assert api.delete(f"/files/{file['id']}").status_code == 204
    problem(get(file["links"]["events"]), 404, "file_not_found")


def test_large_content_is_sent_to_s3(stack: Stack, api: httpx.Client) -> None:
    """More than one streamed response may carry is a 307 to S3, where ranges and the name are kept."""
    data = bytes(200 * MIB)
    shown = journey.ended(api, journey.upload(api, data, "zeros.bin"))
    answer = get(shown["links"]["content"])
    assert answer.status_code == 307
    location = answer.headers["location"]
    assert location.startswith(stack.aws)
    part = get(location, Range="bytes=0-99")
    assert (part.status_code, part.content) == (206, data[:100])
    assert "zeros.bin" in part.headers["content-disposition"]
    assert get(shown["links"]["content"], Range="bytes=100-199").content == data[100:200]
    assert length(httpx.head(shown["links"]["content"], trust_env=False)) == len(data)
