"""Contents on their way from S3 through the stream function: whole, in ranges, spoilt, and left in the middle."""

import asyncio
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import pytest
from botocore.stub import Stubber
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect
from starlette.types import Message

from sluice import capabilities
from sluice.capabilities import Holder, Use
from sluice.files import File, Status, _to_item
from sluice.objects import ObjectChanged, ObjectForbidden, ObjectMissing, Objects, Version
from sluice.reader import Unreadable
from tests.integration import origin
from tests.integration.origin import Origin
from tests.integration.proxy import Fault
from tests.integration.world import content
from tests.unit.core.records import a_file
from tests.unit.functions.modules import CAPABILITY_KEY, imported, noted_downloads

DATA = b"The quick brown fox."
LIMIT = 1000  # the STREAM_LIMIT_BYTES of the tests


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Origin, Objects]]:
    with origin.serving() as serving:
        yield serving


@pytest.fixture(scope="module")
def stream(served: tuple[Origin, Objects]) -> Iterator[ModuleType]:
    """The function, whose bucket is the origin."""
    with imported("functions.stream.app") as module, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.contents.connections, "objects", served[1])
        with noted_downloads(module):
            yield module


@pytest.fixture
def dynamodb(stream: ModuleType) -> Iterator[Stubber]:
    with Stubber(stream.contents.connections.files._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def client(stream: ModuleType, served: tuple[Origin, Objects]) -> Iterator[TestClient]:
    """Behind whom no thread and no connection to S3 remains."""
    yield TestClient(stream.app, follow_redirects=False)
    assert left_nothing(served[0])


def left_nothing(served: Origin) -> bool:
    readers = [thread for thread in threading.enumerate() if thread.name.startswith("reader")]
    return not readers and served.left_alone()


def a_ready_file(version: Version, data: bytes = DATA) -> File:
    """The record of this version, whose digest is that of `data`."""
    digests = {"sha-256": hashlib.sha256(data).hexdigest()}
    told = {"size": version.size, "etag": version.etag, "version_id": version.version_id}
    return a_file(status=Status.READY, digests=digests, **told)


def counted(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The metrics that were counted once each, for the alarms of the service `stream`."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    found = [line for line in lines if "_aws" in line]
    for line in found:
        (told,) = line["_aws"]["CloudWatchMetrics"]
        (metric,) = told["Metrics"]
        assert (told["Namespace"], told["Dimensions"], line["service"]) == ("Sluice", [["service"]], "stream")
        assert line[metric["Name"]] == [1.0]
    return [line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] for line in found]


def link(dynamodb: Stubber, file: File) -> str:
    """The path that the API would hand out, and the record that it leads to."""
    dynamodb.add_response("get_item", {"Item": _to_item(file)})
    capability = capabilities.issue(CAPABILITY_KEY, Holder(file.owner), file.id, Use.CONTENT, 60)
    return f"/files/{file.id}/content?capability={capability}"


def test_the_whole_file(client: TestClient, dynamodb: Stubber, served: tuple[Origin, Objects]) -> None:
    """200 and the bytes, through a cut as well, which asks S3 for nothing but them."""
    version = served[0].hold(DATA, origin.cut(7))
    get = client.get(link(dynamodb, a_ready_file(version)))
    assert (get.status_code, get.content) == (200, DATA)
    assert served[0].ranges() == [None, "bytes=7-19"]


def test_a_range(client: TestClient, dynamodb: Stubber, served: tuple[Origin, Objects]) -> None:
    """206, which bytes of how many, and S3 is asked for those alone, of exactly this version."""
    version = served[0].hold(DATA)
    answer = client.get(link(dynamodb, a_ready_file(version)), headers={"Range": "bytes=4-8"})
    assert (answer.status_code, answer.content) == (206, b"quick")
    assert answer.headers["content-range"] == f"bytes 4-8/{len(DATA)}"
    assert answer.headers["content-length"] == "5"
    (asked,) = served[0].requests
    assert (asked.headers["range"], asked.headers["if-match"]) == ("bytes=4-8", f'"{version.etag}"')
    assert "versionId=v1" in asked.path


def test_a_small_range_of_a_large_file(client: TestClient, dynamodb: Stubber, served: tuple[Origin, Objects]) -> None:
    """The limit is for one response."""
    data = content(10 * LIMIT)
    file = a_ready_file(served[0].hold(data), data)
    answer = client.get(link(dynamodb, file), headers={"Range": f"bytes=5-{LIMIT + 4}"})
    assert (answer.status_code, answer.content) == (206, data[5 : LIMIT + 5])


@pytest.mark.parametrize("data", [DATA[:-1] + b"!", DATA[:-1]], ids=["altered", "short"])
def test_other_bytes_than_the_hashed_ones_break_the_transfer(
    *,
    stream: ModuleType,
    client: TestClient,
    dynamodb: Stubber,
    served: tuple[Origin, Objects],
    capsys: pytest.CaptureFixture[str],
    data: bytes,
) -> None:
    """A mismatch is an error of the transfer itself: it cannot end as if all were well. It is counted for the alarm."""
    file = a_ready_file(served[0].hold(data))
    with pytest.raises(stream.contents.content.DigestMismatch):
        client.get(link(dynamodb, file))
    assert counted(capsys) == ["Contradictions"]


@pytest.mark.parametrize(
    ("then", "failure", "metrics"),
    [
        (origin.refuse(404, "NoSuchVersion"), ObjectMissing, ["FilesLost"]),
        (origin.refuse(403, "AccessDenied"), ObjectForbidden, ["FilesLost"]),
        (origin.refuse(412, "PreconditionFailed"), ObjectChanged, ["FilesLost"]),
        (origin.refuse(500, "InternalError"), Unreadable, []),
    ],
    ids=["missing", "forbidden", "changed", "unreadable"],
)
def test_what_s3_refuses_in_the_middle_breaks_the_transfer(
    *,
    stream: ModuleType,
    client: TestClient,
    dynamodb: Stubber,
    served: tuple[Origin, Objects],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    then: Fault,
    failure: type[Exception],
    metrics: list[str],
) -> None:
    """The answer has begun: it can only break. A file that is lost is counted, a network that is down is not."""
    monkeypatch.setattr(stream.contents.stored, "BUFFER_BYTES", 10)
    monkeypatch.setattr(
        stream.contents.stored,
        "PATIENCE",
        replace(stream.contents.stored.PATIENCE, attempts=2, first_pause_seconds=0.001),
    )
    data = content(500)
    file = a_ready_file(served[0].hold(data, then=origin.from_byte(100, then, threading.Event())), data)
    path = link(dynamodb, file)
    if metrics:  # it is still there for its owner
        dynamodb.add_response("get_item", {"Item": _to_item(file)})
    with pytest.raises(failure):
        client.get(path)
    assert counted(capsys) == metrics


@pytest.mark.parametrize("then", [origin.right, origin.stall(9)], ids=["flowing", "stalling"])
def test_who_goes_away_leaves_nothing_behind(
    stream: ModuleType,
    dynamodb: Stubber,
    served: tuple[Origin, Objects],
    monkeypatch: pytest.MonkeyPatch,
    then: Fault,
) -> None:
    """No thread and no connection to S3 waits for a client that is gone, or for a garbage collector."""
    monkeypatch.setattr(stream.contents.stored, "BUFFER_BYTES", 10)
    monkeypatch.setattr(stream.contents.connections, "stream_limit", 10_000)
    data = content(5000)
    file = a_ready_file(served[0].hold(data, then=origin.from_byte(100, then, threading.Event())), data)
    path, _, query = link(dynamodb, file).partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": [],
    }
    sent: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))
        if len(sent) > 3:
            raise OSError("the client has gone")

    with pytest.raises(ClientDisconnect):
        asyncio.run(stream.app(scope, receive, send))
    assert b"".join(sent) == data[:30]
    assert left_nothing(served[0])
