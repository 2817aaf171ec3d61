"""What a share's links count, over a real table: by one after the other, by many at once, and by answers that break."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import ModuleType
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect
from starlette.types import Message

from sluice import capabilities
from sluice.capabilities import Holder, Use
from sluice.download_counts import DownloadCounts, Taking
from sluice.errors import Problem, ShareNotFound, ShareUsedUp
from sluice.files import File, Status, new_id
from sluice.reader import Unreadable
from sluice.shares import PAGE_FILES, Share, Shares
from tests.integration.conftest import thorough
from tests.integration.world import World, content, run, world
from tests.unit.functions.modules import CAPABILITY_KEY, imported

DATA = content(900)  # below the STREAM_LIMIT_BYTES of `imported`
LIMIT = 1000


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture(scope="module")
def shares(here: World) -> Shares:
    return Shares(*here.near_files.connection)


@pytest.fixture(scope="module")
def counts(here: World) -> DownloadCounts:
    return DownloadCounts(*here.near_files.connection)


@pytest.fixture(scope="module")
def stream(here: World, shares: Shares, counts: DownloadCounts) -> Iterator[ModuleType]:
    """The function, over this table and this bucket."""
    with imported("functions.stream.app") as module, pytest.MonkeyPatch.context() as patch:
        connections = module.contents.connections
        patch.setattr(connections, "files", here.near_files)
        patch.setattr(connections, "objects", here.near_objects)
        patch.setattr(connections, "shares", shares)
        patch.setattr(connections, "download_counts", counts)
        yield module


@pytest.fixture(scope="module")
def file(here: World) -> File:
    arrived, version = here.arrived(DATA)
    done = run(here.near_job(), arrived, version)
    assert done is not None
    assert done.status is Status.READY
    return done


def a_share(shares: Shares, max_downloads: int | None, *ids: str) -> Share:
    share = Share(
        owner="default", count=len(ids) or 1, size=1, max_downloads=max_downloads, expires_at=int(time.time()) + 600
    )
    shares.create(share, ids or [new_id()])
    return share


def downloads(shares: Shares, share: Share) -> int:
    return shares.get(share.owner, share.id).downloads


def link(share: Share, file: File, opening: str | None = None) -> str:
    holder = Holder(share.owner, share.id, opening or new_id())
    capability = capabilities.issue(CAPABILITY_KEY, holder, file.id, Use.CONTENT, 60)
    return f"/files/{file.id}/content?capability={capability}"


def test_the_list_of_files_is_kept_in_order(shares: Shares) -> None:
    """As many items as it takes, each of which is one page of an answer."""
    ids = [new_id() for _ in range(2 * PAGE_FILES + 1)]
    share = a_share(shares, None, *ids)
    assert list(shares.file_ids(share)) == ids
    found, cursor = shares.page_ids(share)
    pages = 1
    while cursor is not None:
        more, cursor = shares.page_ids(share, cursor)
        found, pages = found + more, pages + 1
    assert (found, pages) == (ids, 3)
    shares.end(share)
    with pytest.raises(ShareNotFound):
        list(shares.file_ids(share))


def test_ranges_go_on_with_what_has_begun(shares: Shares, counts: DownloadCounts) -> None:
    """By the same link for nothing, by another one not at all; the whole once more is another download."""
    share = a_share(shares, 1)
    counts.begin(share, "a", "file", whole=True)
    for _ in range(3):
        counts.begin(share, "a", "file", whole=False)
    for opening, record, whole in (("b", "file", False), ("a", "another", False), ("a", "file", True)):
        with pytest.raises(ShareUsedUp):
            counts.begin(share, opening, record, whole=whole)
    assert downloads(shares, share) == 1


def test_a_broken_answer_is_not_counted(shares: Shares, counts: DownloadCounts) -> None:
    """The download is there again, for whoever is first: also for him, who goes on where it broke, once."""
    share = a_share(shares, 1)
    counts.begin(share, "a", "file", whole=True)
    counts.give_back(share, "a", "file")
    assert downloads(shares, share) == 0
    counts.begin(share, "a", "file", whole=False)
    counts.begin(share, "a", "file", whole=False)
    assert downloads(shares, share) == 1
    counts.give_back(share, "a", "file")
    assert downloads(shares, share) == 1


def test_what_ranges_live_on_is_not_given_back(shares: Shares, counts: DownloadCounts) -> None:
    """Or whoever breaks off one answer, and fetches the rest beside it, would take the file for nothing."""
    share = a_share(shares, 2)
    counts.begin(share, "a", "file", whole=True)
    counts.begin(share, "a", "file", whole=False)
    counts.begin(share, "a", "file", whole=True)
    assert downloads(shares, share) == 2
    for _ in range(3):
        counts.give_back(share, "a", "file")
    assert downloads(shares, share) == 1


def test_nothing_is_given_back_that_was_not_counted(shares: Shares, counts: DownloadCounts) -> None:
    """By a link that took nothing, twice, and of a share that has ended, which stays ended."""
    share = a_share(shares, 1)
    counts.begin(share, "a", "file", whole=True)
    counts.give_back(share, "b", "file")
    assert downloads(shares, share) == 1
    shares.end(share)
    counts.give_back(share, "a", "file")
    with pytest.raises(ShareNotFound):
        shares.get(share.owner, share.id)


def test_what_has_ended_is_not_taken(shares: Shares, counts: DownloadCounts) -> None:
    """Deleted or over, in the same write: whoever read the share a moment before comes too late."""
    share = a_share(shares, 1)
    shares.end(share)
    with pytest.raises(ShareNotFound):
        counts.begin(share, "a", "file", whole=True)
    over = replace(a_share(shares, 1), expires_at=int(time.time()) - 1)
    shares.create(over, [new_id()])
    with pytest.raises(ShareNotFound):
        counts.begin(over, "a", "file", whole=False)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=thorough) for seed in (1, 2))])
def test_counts_are_those_of_the_rules(shares: Shares, counts: DownloadCounts, seed: int) -> None:
    """Whatever follows what: never more than were allowed, and what is shown is what the links have."""
    chance = random.Random(seed)
    most = chance.randint(1, 5)
    share = a_share(shares, most)
    counted, kept = Counter[str](), Counter[str]()
    for _ in range(120):
        opening, action = chance.choice("abc"), chance.choice(["whole", "range", "range", "break", "break"])
        if action == "break":
            counts.give_back(share, opening, "file")
            counted[opening] -= counted[opening] > kept[opening]
        else:
            whole = action == "whole"
            free = not whole and counted[opening] > 0
            allowed = free or counted.total() < most
            try:
                counts.begin(share, opening, "file", whole=whole)
            except ShareUsedUp:
                assert not allowed
            else:
                assert allowed
                counted[opening] += not free
                kept[opening] = max(kept[opening], not whole)
        assert downloads(shares, share) == counted.total() <= most


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "ranges"])
def test_many_at_once_take_what_there_is(shares: Shares, counts: DownloadCounts, whole: bool) -> None:
    """Of five downloads, for forty links at once; four ranges of each link are one."""
    share = a_share(shares, 5)

    def take(number: int) -> str:
        try:
            counts.begin(share, str(number % 40), "file", whole=whole)
        except Problem as refused:
            return refused.code
        return str(number % 40)

    with ThreadPoolExecutor(40) as at_once:
        told = Counter(at_once.map(take, range(40 if whole else 160)))
    assert told.pop("share_used_up") == (35 if whole else 140)
    assert list(told.values()) == [1 if whole else 4] * 5
    assert downloads(shares, share) == 5


def test_a_client_that_leaves_has_taken_nothing(stream: ModuleType, shares: Shares, file: File) -> None:
    """Where it is noticed: the count goes back, and the link works again."""
    share = a_share(shares, 1, file.id)
    path = link(share, file)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            assert downloads(shares, share) == 1  # counted before the first byte
            raise OSError("the client has gone")

    parts = urlsplit(path)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": "GET",
        "path": parts.path,
        "query_string": parts.query.encode(),
        "headers": [],
    }
    with pytest.raises(ClientDisconnect):
        asyncio.run(stream.app(scope, receive, send))
    assert downloads(shares, share) == 0
    assert TestClient(stream.app).get(path).content == DATA
    assert downloads(shares, share) == 1


def test_what_s3_does_not_give_is_not_counted(here: World, stream: ModuleType, shares: Shares) -> None:
    """A problem before the first byte, by a stream and by a redirect: the file is gone from the bucket."""
    arrived, version = here.arrived(content(50))
    gone = run(here.near_job(), arrived, version)
    assert gone is not None
    share = a_share(shares, 1, gone.id)
    here.near_objects.delete(gone.key)
    for query in ("", "&direct=1"):
        answer = TestClient(stream.app, follow_redirects=False).get(f"{link(share, gone)}{query}")
        assert (answer.status_code, answer.json()["code"]) == (410, "object_missing")
    assert downloads(shares, share) == 0


def test_bytes_that_break_off_are_not_counted(counts: DownloadCounts, shares: Shares) -> None:
    """S3 fails after the first bytes: the answer breaks, and the download is there again; a range's count stays."""

    def breaking() -> Iterator[bytes]:
        yield b""
        yield b"some"
        raise Unreadable

    for whole, left in ((True, 0), (False, 1)):
        share = a_share(shares, 1)
        with pytest.raises(Unreadable):
            list(Taking(counts, share, "a", "file").counted((chunk for chunk in breaking()), whole=whole))
        assert downloads(shares, share) == left


def test_a_large_file_is_a_redirect_that_counts(here: World, stream: ModuleType, shares: Shares) -> None:
    """Each range of it as well, where that is too large for a stream, for a minute."""
    data = content(3 * LIMIT)
    arrived, version = here.arrived(data)
    large = run(here.near_job(), arrived, version)
    assert large is not None
    share = a_share(shares, 1, large.id)
    client, path = TestClient(stream.app, follow_redirects=False), link(share, large)
    for headers in ({}, {"Range": f"bytes=1-{2 * LIMIT}"}):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 307
        assert "X-Amz-Expires=60&" in answer.headers["location"]
    assert client.get(path, headers={"Range": "bytes=5-9"}).content == data[5:10]
    assert client.get(path).status_code == 403
    assert downloads(shares, share) == 1


def test_a_shares_link_is_for_its_owners_file_alone(stream: ModuleType, shares: Shares, file: File) -> None:
    """Of a share that there never was, or of another owner: nothing comes by it."""
    share = a_share(shares, None, file.id)
    client = TestClient(stream.app)
    for changed in (replace(share, id=new_id()), replace(share, owner="alice")):
        answer = client.get(link(changed, file))
        assert (answer.status_code, answer.json()["code"]) == (404, "share_not_found")
    gone = client.get(link(replace(share, owner="stranger"), file))
    assert (gone.status_code, gone.json()["code"]) == (403, "invalid_capability")
