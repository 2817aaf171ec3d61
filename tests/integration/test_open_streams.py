"""How many streams one link holds open: the leases over a real table, and the bound through a real stack."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from sluice import open_streams
from sluice.errors import TooManyStreams
from sluice.open_streams import LEASE_SECONDS, MICROSECONDS, SLOTS, Lease, OpenStreams
from tests.integration import journey
from tests.integration import proxy as network
from tests.integration.conftest import Stack, standing, thorough
from tests.integration.journey import MIB, PATIENCE_SECONDS
from tests.integration.test_api import problem
from tests.integration.test_worst import capability_of
from tests.integration.world import TABLE, World, world

MOST = 3


@pytest.fixture(scope="module")
def one_world() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture
def here(one_world: World) -> World:
    return one_world.fresh()


@pytest.fixture
def link() -> str:
    """Another one for each test."""
    return f"{random.getrandbits(64):016x}"


def opened(here: World, link: str) -> Lease:
    lease = OpenStreams(*here.files.connection, MOST).begin("alice", link)
    assert lease is not None
    return lease


def slots(here: World, link: str) -> dict[str, int]:
    """Which are taken, and until when."""
    key = {"owner": {"S": f"streams/alice/{link}"}, "id": {"S": SLOTS}}
    client, _ = here.near_files.connection
    item: Any = client.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item", {})
    return {name: int(value["N"]) for name, value in item.items() if name.startswith("slot_")}


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    clock = open_streams._now
    monkeypatch.setattr(open_streams, "_now", lambda: clock() + int(seconds * MICROSECONDS))


def test_so_many_streams_and_no_more(here: World, link: str) -> None:
    """Of one link; what ends makes room, and other links have room of their own."""
    leases = [opened(here, link) for _ in range(MOST)]
    with pytest.raises(TooManyStreams, match=r"has 3 streams open") as refused:
        opened(here, link)
    assert refused.value.headers == {"Retry-After": "10"}
    opened(here, f"{link}-2")
    leases[1].end()
    opened(here, link)
    assert len(slots(here, link)) == MOST


def test_of_many_that_open_at_once_as_many_get_in_as_may(here: World, link: str) -> None:
    """Never one too many."""

    def tried(_: int) -> bool:
        try:
            opened(here, link)
        except TooManyStreams:
            return False
        return True

    with ThreadPoolExecutor(24) as pool:
        assert sum(pool.map(tried, range(24))) == MOST
    assert len(slots(here, link)) == MOST


def test_the_slot_of_an_environment_that_died_is_free_after_a_minute(
    here: World, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not before. Should the one that was taken for dead come back, it takes nothing from its successor."""
    gone = [opened(here, link) for _ in range(MOST)]
    later(monkeypatch, LEASE_SECONDS - 5)
    with pytest.raises(TooManyStreams):
        opened(here, link)
    later(monkeypatch, 10)
    for _ in range(MOST):
        opened(here, link)
    taken = slots(here, link)
    for lease in gone:
        lease.renew()
        lease.end()
    assert slots(here, link) == taken


def test_a_stream_keeps_its_slot_as_long_as_it_lasts(here: World, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By renewals, each for a minute more."""
    leases = [opened(here, link) for _ in range(MOST)]
    for _ in range(4):
        later(monkeypatch, open_streams.RENEW_SECONDS)
        for lease in leases:
            lease.renew()
        with pytest.raises(TooManyStreams):
            opened(here, link)
    for lease in leases:
        lease.end()
    assert slots(here, link) == {}


def test_an_answer_that_is_lost_takes_one_slot(here: World, link: str) -> None:
    """DynamoDB wrote and nobody heard: the write that is repeated finds its own."""
    here.proxy.fail("UpdateItem", network.lose)
    lease = opened(here, link)
    assert len(slots(here, link)) == 1
    here.proxy.fail("UpdateItem", network.lose)
    lease.renew()
    lease.end()
    assert slots(here, link) == {}


def test_a_table_that_is_busy_lets_nobody_in(here: World, link: str) -> None:
    """Or whoever floods it could open as many as he likes: the client is told to come back."""
    here.proxy.fail_always("UpdateItem", network.throttled)
    with pytest.raises(ClientError, match=r"ProvisionedThroughputExceeded|Throttling"):
        opened(here, link)


def test_opening_and_ending_is_one_write_each(here: World, link: str) -> None:
    """As docs/cost.md counts them; without a bound there is none."""
    here.proxy.forget()
    opened(here, link).end()
    assert [request.operation for request in here.proxy.requests] == ["UpdateItem", "UpdateItem"]
    assert OpenStreams(*here.files.connection, 0).begin("alice", link) is None
    assert len(here.proxy.requests) == 2


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with standing(tmp_path_factory.mktemp("bounded"), parameters={"StreamsPerLink": "2"}) as up:
        yield up


@pytest.fixture
def owner(bounded: Stack) -> Iterator[httpx.Client]:
    with journey.client(bounded.api, bounded.token) as client:
        yield client


def streaming(open_ones: ExitStack, url: str, **headers: str) -> httpx.Response:
    """An answer whose head has come, and whose body nobody reads."""
    request = httpx.stream("GET", url, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False)
    return open_ones.enter_context(request)


def refused(answer: httpx.Response) -> None:
    answer.read()
    problem(answer, 429, "too_many_streams")
    assert answer.headers["retry-after"] == "10"


def test_a_link_to_the_feed_has_two_streams(owner: httpx.Client) -> None:
    """The third is refused, and another link of the same owner is let in."""
    link = owner.get("/files").json()["links"]["events"]
    with ExitStack() as open_ones:
        assert [streaming(open_ones, link).status_code for _ in range(2)] == [200, 200]
        refused(streaming(open_ones, link))
        other = link
        while capability_of(other) == capability_of(link):  # those that are made in one second are the same
            other = owner.get("/files").json()["links"]["events"]
        assert streaming(open_ones, other).status_code == 200


@thorough
def test_progress_of_a_file_has_two_streams_whose_ends_make_room(owner: httpx.Client) -> None:
    """A stream that ends in order gives its slot back at once."""
    file = journey.create(owner, 9 * MIB)
    link = file["links"]["events"]
    with ExitStack() as open_ones:
        streams = [streaming(open_ones, link) for _ in range(2)]
        refused(streaming(open_ones, link))
        owner.delete(f"/files/{file['id']}").raise_for_status()
        for stream in streams:
            assert "event: aborted" in stream.read().decode()
        again = streaming(open_ones, link)
        assert (again.status_code, "event: aborted" in again.read().decode()) == (200, True)


def test_many_ranges_at_once_all_come(bounded: Stack, owner: httpx.Client) -> None:
    """A download manager opens sixteen connections: S3 sends those that are too many for the link."""
    data = journey.random_bytes(20 * MIB)
    file = journey.ended(owner, journey.upload(owner, data, "many.bin"))
    link = file["links"]["content"]
    with ExitStack() as open_ones:
        ways = [streaming(open_ones, link) for _ in range(3)]
        assert [way.status_code for way in ways] == [200, 200, 307]
        assert ways[2].headers["location"].startswith(bounded.aws)

    step = len(data) // 16

    def part(number: int) -> bytes:
        ranged = {"Range": f"bytes={number * step}-{(number + 1) * step - 1}"}
        answer = httpx.get(link, headers=ranged, follow_redirects=True, timeout=PATIENCE_SECONDS, trust_env=False)
        assert answer.status_code == 206
        return answer.content

    with ThreadPoolExecutor(16) as pool:
        assert b"".join(pool.map(part, range(16))) == data


def test_one_person_does_not_use_up_a_share(bounded: Stack, owner: httpx.Client) -> None:
    """Each opening is in one of the lanes, and a lane that is full turns nobody away who is in another."""
    file = journey.ended(owner, journey.upload(owner, journey.random_bytes(20 * MIB), "shared.bin"))
    share = owner.post("/shares", json={"files": [file["id"]], "expires_in": 600}).json()

    def link() -> str:
        with journey.client(bounded.api, share["capability"]) as holder:
            return str(holder.post(f"/shares/{share['id']}/open").json()["files"][0]["links"]["content"])

    with ExitStack() as open_ones:
        one = link()
        assert [streaming(open_ones, one).status_code for _ in range(3)] == [200, 200, 307]
        # Another opening is in the same lane by a chance of 1 in 10: eight in a row never are.
        assert 200 in (streaming(open_ones, link()).status_code for _ in range(8))
