"""Which shares hold a file, and how much is read to find out."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from sluice.files import earlier, id_to_bytes, new_id
from sluice.shares import LOOKED_AT, PAGE_FILES, Shares
from tests.unit.core.records import client

DYNAMODB = client("dynamodb")
SHARES = Shares(DYNAMODB, "the-table")


@pytest.fixture
def table() -> Iterator[Stubber]:
    with Stubber(DYNAMODB) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def record(share_id: str, count: int = 1) -> dict[str, Any]:
    numbers = {"count": count, "size": 1, "downloads": 0, "expires_at": int(time.time()) + 60}
    texts = {"owner": "shares/alice", "id": share_id, "created_at": "2026-11-29T12:46:44.200Z"}
    return {name: {"N": str(value)} for name, value in numbers.items()} | {n: {"S": text} for n, text in texts.items()}


def ids(*files: str) -> dict[str, Any]:
    return {"Item": {"ids": {"B": b"".join(map(id_to_bytes, files))}}}


def found(file_id: str) -> tuple[list[str], str | None]:
    shares, following = SHARES.holding("alice", file_id, 100)
    return [share.id for share in shares], following


def test_shares_from_before_the_file_are_not_looked_at(table: Stubber) -> None:
    """Newest first, they end the list: a minute earlier at least, because clocks differ."""
    file_id = new_id()
    newer, older = new_id(), earlier(file_id, 61)
    table.add_response("query", {"Items": [record(newer), record(older)]})
    table.add_response("get_item", ids(new_id(), file_id))
    assert found(file_id) == ([newer], None)


def test_a_clock_that_is_behind_hides_no_share(table: Stubber) -> None:
    """The share's id may be of a moment shortly before the file's."""
    file_id = new_id()
    share = earlier(file_id, 59)
    table.add_response("query", {"Items": [record(share)]})
    table.add_response("get_item", ids(file_id))
    assert found(file_id) == ([share], None)


def test_an_answer_reads_a_hundred_lists_and_no_more(table: Stubber) -> None:
    """The largest share has so many of them; the next one is left to the next page."""
    file_id = new_id()
    large, next_one = new_id(), new_id()
    table.add_response("query", {"Items": [record(large, LOOKED_AT * PAGE_FILES), record(next_one)]})
    for _ in range(LOOKED_AT):
        table.add_response("get_item", ids(new_id()))
    assert found(file_id) == ([], large)


def test_an_id_is_found_where_it_begins(table: Stubber) -> None:
    """Bytes of two neighbours that together look like it are not it."""
    file_id = new_id()
    packed = id_to_bytes(file_id)
    table.add_response("query", {"Items": [record(new_id(), 2)]})
    table.add_response("get_item", {"Item": {"ids": {"B": bytes(8) + packed + bytes(8)}}})
    assert found(file_id) == ([], None)


def test_a_share_that_ends_meanwhile_holds_nothing(table: Stubber) -> None:
    """Its list is gone before its record is read again."""
    table.add_response("query", {"Items": [record(new_id())]})
    table.add_response("get_item", {})
    assert found(new_id()) == ([], None)


@pytest.mark.parametrize("file_id", ["z" * 26, "8" + "0" * 25, "x", "../" + "0" * 23, ""])
def test_what_is_no_id_is_in_no_share(table: Stubber, file_id: str) -> None:  # noqa: ARG001 - nothing is asked of it
    """Nothing is read for it."""
    assert found(file_id) == ([], None)
