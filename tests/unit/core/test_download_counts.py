from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from sluice import download_counts
from sluice.download_counts import ATTEMPTS, DownloadCounts, Taking, used_up
from sluice.errors import Busy, ShareUsedUp
from sluice.shares import Share
from tests.unit.core.records import client

SHARE = Share(owner="alice", count=1, size=1, max_downloads=1, expires_at=2**33)
RECORD: dict[str, Any] = {"Item": {"expires_at": {"N": str(SHARE.expires_at)}}}


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[DownloadCounts, Stubber]]:
    monkeypatch.setattr(download_counts, "LONGEST_WAIT_SECONDS", 0)
    table = client("dynamodb")
    with Stubber(table) as stubber:
        yield DownloadCounts(table, "the-table"), stubber
        stubber.assert_no_pending_responses()


def cancelled(stubber: Stubber, *codes: str) -> None:
    stubber.add_client_error(
        "transact_write_items",
        "TransactionCanceledException",
        modeled_fields={"CancellationReasons": [{"Code": code} for code in codes]},
    )


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
@pytest.mark.parametrize("place", [0, 1])
def test_what_passes_is_asked_again(dynamodb: tuple[DownloadCounts, Stubber], code: str, place: int) -> None:
    """Others are at the same item, or at too many: the next attempt counts, or gives back."""
    counts, stubber = dynamodb
    for _ in range(2):
        cancelled(stubber, *(["None", code][:: 1 if place else -1]))
        stubber.add_response("transact_write_items", {})
    counts.begin(SHARE, "opening", "file", whole=True)
    counts.give_back(SHARE, "opening", "file")


def test_what_does_not_pass_in_time_is_busy(dynamodb: tuple[DownloadCounts, Stubber]) -> None:
    """The client is told to come back; a count that cannot be given back stays."""
    counts, stubber = dynamodb
    for _ in range(2 * ATTEMPTS):
        cancelled(stubber, "TransactionConflict", "None")
    with pytest.raises(Busy):
        counts.begin(SHARE, "opening", "file", whole=True)
    counts.give_back(SHARE, "opening", "file")


@pytest.mark.parametrize(
    ("most", "told"),
    [
        (1, "This share allows 1 download, and it was made."),
        (2, "This share allows 2 downloads, and they were made."),
    ],
)
def test_a_share_that_is_used_up_says_how_many_it_allows(most: int, told: str) -> None:
    """One is no plural."""
    assert used_up(replace(SHARE, max_downloads=most)).detail == told


def test_a_share_that_is_used_up_is_not_asked_again(dynamodb: tuple[DownloadCounts, Stubber]) -> None:
    """The first refusal is the answer."""
    counts, stubber = dynamodb
    cancelled(stubber, "ConditionalCheckFailed", "None")
    stubber.add_response("get_item", RECORD)
    with pytest.raises(ShareUsedUp):
        counts.begin(SHARE, "opening", "file", whole=True)


def test_a_mistake_of_ours_is_no_busy_table(dynamodb: tuple[DownloadCounts, Stubber]) -> None:
    """It is seen, not repeated."""
    counts, stubber = dynamodb
    cancelled(stubber, "ValidationError", "None")
    with pytest.raises(ClientError):
        counts.begin(SHARE, "opening", "file", whole=True)


def test_what_broke_an_answer_is_what_is_raised(dynamodb: tuple[DownloadCounts, Stubber]) -> None:
    """Also where the table does not take the count back."""
    counts, stubber = dynamodb

    def breaking() -> Iterator[bytes]:
        yield b"a"
        raise RuntimeError("S3 has gone")

    stubber.add_response("transact_write_items", {})
    cancelled(stubber, "ValidationError", "None")
    with pytest.raises(RuntimeError, match="S3 has gone"):
        list(Taking(counts, SHARE, "opening", "file").counted((one for one in breaking()), whole=True))
