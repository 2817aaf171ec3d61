"""Pages of an owner's files: of the table here; of the indexes in tests/integration/test_listing.py."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from hypothesis import given
from hypothesis import strategies as st

from sluice import files, pages
from sluice.errors import InvalidCursor
from sluice.files import File, Files, Status
from sluice.listing import Filter, Listing
from tests.unit.core.records import a_file, client

DYNAMODB = client("dynamodb")


@pytest.fixture
def table() -> Listing:
    return Listing(Files(DYNAMODB, "the-table"))


@pytest.mark.parametrize("cursor", ["", "!", "x" * 5000, "0" * 25])
def test_a_cursor_of_ones_own_making_is_refused(table: Listing, cursor: str) -> None:
    """A cursor is the last id of the page before; anything else never reaches DynamoDB."""
    with pytest.raises(InvalidCursor):
        table.page("default", 10, cursor)


def answering(query: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """As a `with`: every Query is answered by this function of its parameters."""

    def answer(params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        return AWSResponse("", 200, HTTPHeaders(), None), query(json.loads(params["body"]))

    @contextmanager
    def registered() -> Iterator[None]:
        DYNAMODB.meta.events.register("before-call.dynamodb.Query", answer)
        try:
            yield
        finally:
            DYNAMODB.meta.events.unregister("before-call.dynamodb.Query", answer)

    return registered()


@dataclass
class Owned:
    """One owner's files, oldest first, listed as DynamoDB does: the limit counts what is read, the filter follows."""

    records: list[File]
    limits: list[int]  # of the reads so far

    @classmethod
    def of(cls, *statuses: Status) -> "Owned":
        return cls([a_file(id=f"{number:026}", status=status) for number, status in enumerate(statuses)], [])

    def query(self, params: dict[str, Any]) -> dict[str, Any]:
        assert params["ScanIndexForward"] is False
        self.limits.append(params["Limit"])
        last = params.get("ExclusiveStartKey", {}).get("id", {}).get("S", "z")
        after = [file for file in reversed(self.records) if file.id < last]
        read = after[: params["Limit"]]
        wanted = params["ExpressionAttributeValues"].get(":status", {}).get("S")
        answer: dict[str, Any] = {"Items": [files._to_item(one) for one in read if wanted in (None, one.status)]}
        if len(read) == params["Limit"]:  # also where it was the last one: DynamoDB does not look further
            answer["LastEvaluatedKey"] = {"owner": {"S": "default"}, "id": {"S": read[-1].id}}
        return answer


@given(
    statuses=st.lists(st.sampled_from([Status.READY, Status.FAILED, Status.HASHING]), max_size=40),
    wanted=st.none() | st.just(Status.READY),
    limit=st.integers(1, 12),
    filtered_read=st.integers(1, 12),
    reads=st.integers(1, 3),
)
def test_pages_are_the_list_whatever_is_filtered(
    statuses: list[Status], wanted: Status | None, limit: int, filtered_read: int, reads: int
) -> None:
    """Page by page each file of the wanted state comes once, newest first, and no answer is too long or too dear."""
    owned, table = Owned.of(*statuses), Listing(Files(DYNAMODB, "the-table"))
    walked: list[File] = []
    cursor: str | None = None
    with answering(owned.query), pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "FILTERED_READ", filtered_read)
        patch.setattr(pages, "PAGE_READS", reads)
        for _ in range(len(statuses) + 2):
            before = len(owned.limits)
            page, cursor = table.page("default", limit, cursor, Filter(status=wanted))
            assert len(page) <= limit
            assert 1 <= len(owned.limits) - before <= reads
            walked += page
            if cursor is None:
                break
    assert cursor is None
    assert walked == [file for file in reversed(owned.records) if wanted in (None, file.status)]


def test_a_plain_page_reads_what_it_shows(table: Listing) -> None:
    """One read of `limit` records; nothing is paid for that nobody sees."""
    owned = Owned.of(*[Status.READY] * 9)
    with answering(owned.query):
        page, cursor = table.page("default", 3, None)
    assert [file.id for file in page] == [file.id for file in owned.records[:5:-1]]
    assert (cursor, owned.limits) == (page[-1].id, [3])


def test_a_filtered_page_reads_many_records_at_once(table: Listing) -> None:
    """A wanted one among a hundred is found by one read, and the next page goes on behind the last one shown."""
    statuses = [Status.FAILED, Status.FAILED, *[Status.READY] * 98]
    owned = Owned.of(*statuses)
    with answering(owned.query):
        first, cursor = table.page("default", 1, None, Filter(status=Status.FAILED))
        second, _ = table.page("default", 1, cursor, Filter(status=Status.FAILED))
    assert [file.id for file in first + second] == [owned.records[1].id, owned.records[0].id]
    assert owned.limits[0] == pages.FILTERED_READ == 100


def test_a_filtered_page_is_cut_where_it_is_full(table: Listing) -> None:
    """One read may find more than a page: the rest comes with the next page, and none of it is lost."""
    owned = Owned.of(*[Status.READY] * 5)
    with answering(owned.query):
        first, cursor = table.page("default", 2, None, Filter(status=Status.READY))
        second, last = table.page("default", 3, cursor, Filter(status=Status.READY))
    assert [len(first), len(second)] == [2, 3]
    assert first + second == owned.records[::-1]
    assert (cursor, last) == (first[-1].id, None)


def test_a_filtered_page_gives_up_in_time(table: Listing) -> None:
    """After ten reads without a find the page is empty and has a cursor: no answer reads a whole table."""
    owned = Owned.of(Status.FAILED, *[Status.READY] * (pages.PAGE_READS * pages.FILTERED_READ))
    with answering(owned.query):
        page, cursor = table.page("default", 20, None, Filter(status=Status.FAILED))
        assert (page, cursor, len(owned.limits)) == ([], owned.records[1].id, pages.PAGE_READS)
        page, cursor = table.page("default", 20, cursor, Filter(status=Status.FAILED))
    assert (page, cursor) == ([owned.records[0]], None)


@pytest.mark.parametrize("wanted", [Filter(folder="a/b"), Filter(folder="a"), Filter(q="X"), Filter(folder="", q="x")])
def test_a_cursor_of_another_list_is_refused(table: Listing, wanted: Filter) -> None:
    """One that does not begin as the entries of this folder do never reaches DynamoDB."""
    for cursor in ("", "!", "other/" + "0" * 25, "a/b/" + "0" * 25 + "!"):
        with pytest.raises(InvalidCursor):
            table.page("default", 10, cursor, wanted)


@pytest.mark.parametrize(
    ("wanted", "held"),
    [
        (Filter(), True),
        (Filter(folder="a"), True),
        (Filter(folder="a/b"), True),
        (Filter(folder="a/b/c"), False),
        (Filter(folder="a/"), False),
        (Filter(folder=""), False),
        (Filter(q="STRASSE"), True),
        (Filter(q="mov"), True),
        (Filter(q="movie"), False),
        (Filter(drop="d"), True),
        (Filter(drop="e"), False),
        (Filter(status=Status.READY), False),
        (Filter(status=Status.UPLOADING, folder="a", q=".", drop="d"), True),
    ],
)
def test_a_filter_holds_all_that_it_says(wanted: Filter, *, held: bool) -> None:
    """A folder means what is below it as well; a part of the name whatever its case, as Unicode folds it."""
    assert wanted.holds(a_file(filename="Stra\xdfe.MOV", folder="a/b", drop="d")) is held
