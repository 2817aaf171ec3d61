"""The feed over a real table, what its looks cost there, and the whole of it through a real stack."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from time import monotonic
from typing import Any

import httpx
import pytest

from sluice.downloads import Download, Downloads, Ending
from sluice.feed import Change, Feed
from sluice.files import File, Mode, Status, _to_item, new_id, now
from tests.integration import journey
from tests.integration import proxy as network
from tests.integration.conftest import Stack, thorough
from tests.integration.world import TABLE, World, world


@pytest.fixture(scope="module")
def one_world() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture
def here(one_world: World) -> World:
    return one_world.fresh()


def a_file(owner: str, **changes: Any) -> File:
    values: dict[str, Any] = {"filename": "a.txt", "size": 1, "content_type": "text/plain", "mode": Mode.SINGLE}
    return File(owner=owner, part_size=1, status=Status.HASHING, **values | changes)


def watcher(here: World, owner: str, cursor: str | None = None) -> Feed:
    return Feed(here.files, Downloads(*here.files.connection), owner, cursor or now())


def looked(feed: Feed) -> list[Change]:
    found = feed.look()
    while feed.behind:
        found += feed.look()
    return found


def told(changes: list[Change]) -> list[tuple[str, str, int | None]]:
    return [(change.kind, change.data["id"], change.data.get("revision")) for change in changes]


def test_all_that_happens_to_files_is_told_in_order(here: World) -> None:
    """Begun, changed, downloaded, deleted; of this owner alone."""
    feed, other = watcher(here, "alice"), watcher(here, "bob")
    file = here.near_files.create(a_file("alice"))
    assert told(looked(feed)) == [("file", file.id, 1)]
    saved = here.near_files.save(file, status=Status.READY)
    (change,) = looked(feed)
    assert change.data == saved.public(to_owner=True)
    downloads = Downloads(*here.near_files.connection)
    download = Download(owner="alice", record=file.id, size=10, share="s" * 26)
    for going in (replace(download, sent_bytes=4), replace(download, sent_bytes=10, ended=Ending.COMPLETE)):
        downloads.save(going)
        (change,) = looked(feed)
        assert (change.kind, change.data) == ("download", going.public())
    assert change.data == {
        "id": file.id,
        "download": download.id,
        "share": "s" * 26,
        "sent_bytes": 10,
        "size": 10,
        "ended": "complete",
    }
    here.near_files.delete(saved)
    assert told(looked(feed)) == [("deleted", file.id, None)]
    assert looked(feed) == looked(other) == []


def test_whoever_comes_back_has_missed_nothing(here: World) -> None:
    """From the cursor of any event, and from the moment of a list, whatever came after it."""
    began = now()
    files = [here.near_files.create(a_file("carol")) for _ in range(5)]
    changes = looked(watcher(here, "carol", began))
    assert [change.data["id"] for change in changes] == [file.id for file in files]
    for number, change in enumerate(changes):
        resumed = {one.data["id"] for one in looked(watcher(here, "carol", change.cursor))}
        assert resumed >= {file.id for file in files[number:]}


def filled(here: World, owner: str, count: int) -> None:
    """So many records that have not changed for long."""
    client, _ = here.near_files.connection
    file = a_file(owner, updated_at="2020-01-01T00:00:00.000Z")
    for start in range(0, count, 25):
        items = [_to_item(replace(file, id=new_id())) for _ in range(start, min(count, start + 25))]
        client.batch_write_item(RequestItems={TABLE: [{"PutRequest": {"Item": item}} for item in items]})


def cost(here: World, owner: str) -> list[tuple[str, int]]:
    """What a minute asks for in which two files change: each request, and how many keys it has."""
    feed = watcher(here, owner)
    moving = [here.near_files.create(a_file(owner)) for _ in range(2)]
    looked(feed)
    here.proxy.forget()
    for _ in range(3):
        moving = [here.near_files.save(file) for file in moving]
        assert len(looked(feed)) == 2
        assert looked(feed) == []
    return [
        (request.operation, len(request.json().get("RequestItems", {}).get(TABLE, {}).get("Keys", [])))
        for request in here.proxy.requests
    ]


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=thorough)])
def test_ten_thousand_files_cost_what_two_cost(here: World, count: int) -> None:
    """A look is one read of the index, and one of the records that it names as new."""
    filled(here, "many", count)
    asked = cost(here, "many")
    assert asked == cost(here, "few") == [("Query", 0), ("BatchGetItem", 2), ("Query", 0)] * 3


def test_a_table_that_throttles_loses_nothing(here: World) -> None:
    """What a look did not get is told by a later one."""
    feed = watcher(here, "dave")
    file = here.near_files.create(a_file("dave"))
    for operation in ("Query", "BatchGetItem"):
        here.proxy.fail(operation, network.throttled, network.internal_error)
    assert told(looked(feed)) == [("file", file.id, 1)]


# ---------------------------------------------------------------- through the stack


@contextmanager
def heard(link: str, **headers: str) -> Iterator[Iterator[journey.Event]]:
    """The events of the link; whoever has heard enough hangs up."""
    with closing(journey.events(link, **headers)) as events:
        yield events


def of(file: dict[str, Any], events: Iterator[journey.Event]) -> Iterator[journey.Event]:
    return (event for event in events if event.data["id"] == file["id"])


def feed_of(api: httpx.Client) -> str:
    return str(api.get("/files", params={"limit": 1}).json()["links"]["events"])


def test_whoever_lists_and_then_listens_misses_nothing(api: httpx.Client) -> None:
    """The link of a list begins at the list, and goes on from the id of any event."""
    link = feed_of(api)
    file = journey.create(api, 5)
    with heard(link) as events:
        first = next(of(file, events))
        assert (first.name, first.data["status"], "links" in first.data) == ("file", "uploading", False)
        assert api.delete(f"/files/{file['id']}").status_code == 204
        aborted = next(of(file, events))
        assert (aborted.data["status"], aborted.data["revision"]) == ("aborted", 2)
    later = journey.create(api, 6)
    with heard(link, **{"Last-Event-ID": aborted.id}) as events:
        assert next(of(later, events)).data["size"] == 6


def test_an_upload_is_heard_by_its_owner_and_by_nobody_else(stack: Stack, api: httpx.Client) -> None:
    """From its beginning to `ready`, with rising revisions, and its deletion."""
    with journey.client(stack.api, stack.other_token) as other:
        link, others = feed_of(api), feed_of(other)
        file = journey.ended(api, journey.upload(api, b"abc"))
        assert api.delete(f"/files/{file['id']}").status_code == 204
        mine = journey.create(other, 4)
        with heard(link) as events:
            shown = []
            for event in of(file, events):
                shown.append(event)
                if event.name == "deleted":
                    break
        assert shown[-1].data == {"id": file["id"]}
        revisions = [event.data["revision"] for event in shown[:-1]]
        assert revisions == sorted(set(revisions))
        with heard(others) as events:
            assert not any(event.data["id"] == file["id"] for event in until(mine, events))


def until(file: dict[str, Any], events: Iterator[journey.Event]) -> Iterator[journey.Event]:
    for event in events:
        yield event
        if event.data["id"] == file["id"]:
            return


def test_a_change_is_heard_within_a_second(api: httpx.Client) -> None:
    """At best of some: the machine may be busy with other things, the feed may not."""
    took = []
    with heard(feed_of(api)) as events:
        for _ in range(5):
            began = monotonic()
            file = journey.create(api, 3)
            assert next(of(file, events)).data["revision"] == 1
            took.append(monotonic() - began)
    assert min(took) < 1


@thorough
def test_many_devices_hear_the_same(api: httpx.Client) -> None:
    """Each by a stream of its own."""
    link = feed_of(api)

    def hears(name: str) -> str:
        with heard(link) as events:
            return next(str(event.data["id"]) for event in events if event.data.get("filename") == name)

    with ThreadPoolExecutor() as pool:
        all_hear = [pool.submit(hears, "loud.bin") for _ in range(5)]
        file = journey.create(api, 3, "loud.bin")
        assert {one.result(journey.PATIENCE_SECONDS) for one in all_hear} == {file["id"]}
