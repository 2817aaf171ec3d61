from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from sluice.download_counts import DownloadCounts, Taking
from sluice.files import File, Status
from sluice.open_streams import LANES, lane
from sluice.shares import Share
from tests.unit.core.records import a_file, client
from tests.unit.functions.modules import imported


@pytest.fixture(scope="module")
def counting() -> Iterator[ModuleType]:
    with imported("functions.stream.counting") as module:
        yield module


def a_file_of(**changes: Any) -> File:
    return a_file(id="0" * 26, status=Status.HASHING, **changes)


def test_what_a_stream_is_counted_by(counting: ModuleType) -> None:
    """By its link; where its holder gets further links as he likes, by what he gets them by."""
    assert counting.link_of_events("one", a_file_of()) == counting.link_of("one") != counting.link_of("two")
    for way in ("drop", "capability"):
        links = {counting.link_of_events(text, a_file_of(**{way: "x" * 26})) for text in ("one", "two")}
        assert links == {lane("uploads/" + "x" * 26, "0" * 26)}


def test_further_openings_of_a_share_are_further_lanes_and_no_more(counting: ModuleType) -> None:
    """A thousand openings, by which its holder takes all of its files and its archive: ten lanes."""
    share = Share(owner="alice", count=2, size=2, expires_at=2**40)
    counts = DownloadCounts(client("dynamodb"), "the-table")
    links = {
        counting.link_of(f"capability-{opening}", Taking(counts, share, f"{opening:026d}", record))
        for opening in range(1000)
        for record in ("0" * 26, share.id)
    }
    assert len(links) == LANES
    assert {counting.link_of_share(share.id, f"{opening:026d}") for opening in range(1000)} == links


def test_many_people_are_spread_over_lanes() -> None:
    """Each is always in the same, and all of them are used."""
    people = [f"{number:026d}" for number in range(1000)]
    lanes = [lane("shares/a", one) for one in people]
    assert lanes == [lane("shares/a", one) for one in people]
    assert len(set(lanes)) == LANES
    assert not {*lanes} & {lane("shares/b", one) for one in people}
