"""The records of downloads. What is told by them: tests/unit/functions/stream/test_transfers.py."""

from collections.abc import Iterator

import pytest
from botocore.stub import Stubber

from sluice.downloads import Download, Downloads, Ending
from sluice.errors import Busy
from tests.unit.core.records import client

DYNAMODB = client("dynamodb")
DOWNLOADS = Downloads(DYNAMODB, "the-table")


@pytest.fixture
def dynamodb() -> Iterator[Stubber]:
    with Stubber(DYNAMODB) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    "download",
    [
        Download(owner="alice", record="f" * 26, size=10),
        Download(owner="alice", record="f" * 26, size=10, share="s" * 26, sent_bytes=10, ended=Ending.COMPLETE),
    ],
    ids=["begun", "ended"],
)
def test_a_download_comes_back_as_it_was_saved(dynamodb: Stubber, download: Download) -> None:
    """With its share and its end, where it has them."""
    items = []
    DYNAMODB.meta.events.register_first(
        "provide-client-params.dynamodb.PutItem", lambda params, **_: items.append(params["Item"]), "note"
    )
    dynamodb.add_response("put_item", {})
    DOWNLOADS.save(download)
    DYNAMODB.meta.events.unregister("provide-client-params.dynamodb.PutItem", unique_id="note")
    dynamodb.add_response("batch_get_item", {"Responses": {"the-table": items}})
    assert DOWNLOADS.several("alice", [download.id]) == {download.id: download}


def test_nothing_is_asked_for_nothing(dynamodb: Stubber) -> None:
    """DynamoDB refuses a request without keys."""
    assert dynamodb
    assert DOWNLOADS.several("alice", []) == {}


def test_a_table_that_gives_a_part_is_busy(dynamodb: Stubber) -> None:
    """The caller asks again for all of them."""
    left = {"the-table": {"Keys": [{"owner": {"S": "downloads/alice"}, "id": {"S": "d" * 26}}]}}
    dynamodb.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": left})
    with pytest.raises(Busy):
        DOWNLOADS.several("alice", ["d" * 26])


def test_more_than_one_request_takes_is_a_mistake() -> None:
    """Of whoever calls it."""
    with pytest.raises(ValueError, match="101"):
        DOWNLOADS.several("alice", [f"{number:026d}" for number in range(101)])
