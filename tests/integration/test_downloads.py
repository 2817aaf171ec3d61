"""What the owner hears of downloads: the stream function over moto, and the whole of it through the stack."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from sluice import capabilities
from sluice.capabilities import Holder, Use
from sluice.downloads import Downloads
from sluice.feed import Feed
from sluice.files import File, now
from tests.integration import journey
from tests.integration import proxy as network
from tests.integration.conftest import Stack
from tests.integration.test_stored import LIMIT, kept
from tests.integration.world import TABLE, World, content, environment, world
from tests.unit.functions.modules import CAPABILITY_KEY, imported


@pytest.fixture(scope="module")
def everything() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture
def here(everything: World) -> World:
    return everything.fresh()


@pytest.fixture(scope="module")
def module() -> Iterator[ModuleType]:
    with imported("functions.stream.app") as stream:
        yield stream


@pytest.fixture
def stream(module: ModuleType, here: World, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """The function, whose table and bucket are behind the network."""
    monkeypatch.setattr(module.contents.connections, "files", here.files)
    monkeypatch.setattr(module.contents.connections, "objects", here.objects)
    with environment(here.proxy.url, TABLE_NAME=TABLE):
        monkeypatch.setattr(module.contents.connections, "downloads", Downloads.connect())
    return TestClient(module.app, follow_redirects=False, raise_server_exceptions=False)


def asked(stream: TestClient, file: File, method: str = "GET", more: str = "", **headers: str) -> httpx.Response:
    capability = capabilities.issue(CAPABILITY_KEY, Holder(file.owner), file.id, Use.CONTENT, 60)
    path = f"/files/{file.id}/content?capability={capability}{more}"
    answer: httpx.Response = stream.request(method, path, headers=headers)
    return answer


def heard(here: World, file: File, since: str) -> list[dict[str, Any]]:
    """The downloads of this file in its owner's feed."""
    feed = Feed(here.near_files, Downloads(*here.near_files.connection), file.owner, since)
    changes = feed.look()
    while feed.behind:
        changes += feed.look()
    return [change.data for change in changes if change.kind == "download" and change.data["id"] == file.id]


@pytest.mark.parametrize(
    ("size", "more", "headers", "told"),
    [
        (100, "", {}, (100, 100, "complete")),
        (100, "", {"Range": "bytes=10-19"}, (10, 10, "complete")),
        (0, "", {}, (0, 0, "redirected")),
        (LIMIT + 1, "", {}, (0, LIMIT + 1, "redirected")),
        (100, "&direct=1", {}, (0, 100, "redirected")),
    ],
    ids=str,
)
def test_each_answer_with_bytes_is_told_of(
    *, stream: TestClient, here: World, size: int, more: str, headers: dict[str, str], told: tuple[int, int, str]
) -> None:
    """What it had to send, what it sent, and how it ended."""
    since = now()
    file = kept(here, content(size))
    assert asked(stream, file, more=more, **headers).status_code in {200, 206, 307}
    (download,) = heard(here, file, since)
    assert (download["sent_bytes"], download["size"], download["ended"]) == told
    assert (download["share"], download["download"] != file.id) == (None, True)


def test_no_bytes_are_no_download(stream: TestClient, here: World) -> None:
    """HEAD, a file that is known, a range that is not there, and an object that is gone."""
    since = now()
    file = kept(here, content(100))
    assert asked(stream, file, "HEAD").status_code == 200
    assert asked(stream, file, "HEAD", "&direct=1").status_code == 307
    assert asked(stream, file, **{"If-None-Match": f'"{file.etag}"'}).status_code == 304
    assert asked(stream, file, Range="bytes=100-").status_code == 416
    here.near_objects.delete(file.key)
    assert asked(stream, file).status_code == 410
    assert heard(here, file, since) == []


@pytest.mark.parametrize(
    ("size", "more", "headers"),
    [(100, "", {}), (100, "", {"Range": "bytes=0-9"}), (0, "", {}), (LIMIT + 1, "", {}), (100, "&direct=1", {})],
    ids=str,
)
def test_a_look_by_the_owners_own_link_is_no_download(
    *, stream: TestClient, here: World, size: int, more: str, headers: dict[str, str]
) -> None:
    """He asks for it `inline`: the bytes are the same, and his feed tells of nothing."""
    since = now()
    file = kept(here, content(size))
    assert asked(stream, file, more=f"{more}&disposition=inline", **headers).status_code in {200, 206, 307}
    assert heard(here, file, since) == []


def test_other_bytes_than_were_hashed_break_the_download(stream: TestClient, here: World) -> None:
    """And the owner hears that it broke."""
    since = now()
    file = kept(here, content(100), digests={"sha-256": "0" * 64})
    asked(stream, file)
    (download,) = heard(here, file, since)
    assert (download["sent_bytes"], download["ended"]) == (0, "broken")


def test_a_table_that_refuses_news_gives_the_bytes(stream: TestClient, here: World) -> None:
    """The download is whole; nobody hears of it."""
    since = now()
    file = kept(here, content(100))
    here.proxy.fail_always("PutItem", network.throttled)
    answer = asked(stream, file)
    assert (answer.status_code, answer.content) == (200, content(100))
    assert heard(here, file, since) == []


def test_a_download_is_heard_while_it_runs(stack: Stack) -> None:
    """By a stream that is as slow as Lambda's: rising bytes, and `complete` with all of them."""
    data = journey.random_bytes(10 * journey.MIB)
    with journey.client(stack.api, stack.token) as api:
        file = journey.ended(api, journey.upload(api, data))
        link = api.get("/files", params={"limit": 1}).json()["links"]["events"]
    assert httpx.get(file["links"]["content"], timeout=journey.PATIENCE_SECONDS, trust_env=False).content == data
    sent = []
    for event in journey.events(link):
        if event.name == "download" and event.data["id"] == file["id"]:
            sent.append(event.data["sent_bytes"])
            if event.data["ended"]:
                break
    assert event.data["ended"] == "complete"
    assert sent == sorted(sent)
    assert sent[-1] == event.data["size"] == len(data)
