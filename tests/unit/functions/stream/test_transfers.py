"""What the owner's feed is told of a download, and how little the download minds. Through S3: integration."""

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.stub import Stubber
from starlette.types import Message

from functions.stream import transfers
from functions.stream.transfers import Transfer
from sluice.downloads import Download, Downloads
from tests.unit.core.records import client

DYNAMODB = client("dynamodb")
DOWNLOADS = Downloads(DYNAMODB, "the-table")
DOWNLOAD = Download(owner="default", record="f" * 26, size=100, share="s" * 26, id="d" * 26)


@pytest.fixture
def dynamodb() -> Iterator[Stubber]:
    with Stubber(DYNAMODB) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def saved() -> Iterator[list[tuple[int, str | None]]]:
    """What each write says: the bytes sent, and how it ended."""
    written: list[tuple[int, str | None]] = []

    def answer(params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        item = json.loads(params["body"])["Item"]
        assert (item["owner"], item["feed"]) == ({"S": "downloads/default"}, {"S": "default"})
        assert (item["record"], item["share"], item["size"]) == ({"S": "f" * 26}, {"S": "s" * 26}, {"N": "100"})
        written.append((int(item["sent_bytes"]["N"]), item.get("ended", {}).get("S")))
        return AWSResponse("", 200, HTTPHeaders(), None), {}

    DYNAMODB.meta.events.register("before-call.dynamodb.PutItem", answer)
    yield written
    DYNAMODB.meta.events.unregister("before-call.dynamodb.PutItem", answer)


class Clock:
    """Passes with the messages that are sent, each of which takes `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.now = 1000.0
        self.seconds = seconds

    def monotonic(self) -> float:
        return self.now

    async def send(self, _: Message) -> None:
        self.now += self.seconds


def run(clock: Clock, chunks: int, *, whole: bool = True, failure: Exception | None = None) -> Transfer:
    """A download of so many chunks of ten bytes each; every write is waited for before the next is sent."""
    transfer = Transfer(DOWNLOADS, DOWNLOAD)

    async def download() -> None:
        async with transfer.counted(clock.send) as counting:
            await counting({"type": "http.response.start", "status": 200})
            for _ in range(chunks):
                await counting({"type": "http.response.body", "body": b"x" * 10, "more_body": True})
                if transfer._telling:
                    await transfer._telling
            if failure:
                raise failure
            if whole:
                await counting({"type": "http.response.body", "body": b""})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfers, "monotonic", clock.monotonic)
        asyncio.run(download())
    return transfer


def test_a_short_download_is_told_of_once(saved: Sequence[tuple[int, str | None]]) -> None:
    """At its end."""
    run(Clock(0.05), 10)
    assert saved == [(100, "complete")]


def test_a_long_one_once_a_second_at_most(saved: Sequence[tuple[int, str | None]]) -> None:
    """With the bytes that were sent by then, and at its end."""
    run(Clock(0.25), 10)
    *going, last = saved
    assert last == (100, "complete")
    assert [ended for _, ended in going] == [None, None]
    assert [later - earlier for (earlier, _), (later, _) in pairwise(going)] == [40]


def test_one_that_stands_still_says_nothing(saved: Sequence[tuple[int, str | None]]) -> None:
    """However long a chunk takes, it is one write."""
    run(Clock(60), 3)
    assert len(saved) == 4


def test_one_that_breaks_says_so(saved: Sequence[tuple[int, str | None]]) -> None:
    """By a failure, which goes on as it was, or because nobody takes the rest."""
    with pytest.raises(ZeroDivisionError):
        run(Clock(0.05), 3, failure=ZeroDivisionError())
    run(Clock(0.05), 4, whole=False)
    assert saved == [(30, "broken"), (40, "broken")]


def test_a_redirect_is_its_own_end(saved: Sequence[tuple[int, str | None]]) -> None:
    """S3 does not tell what it sent."""
    Transfer(DOWNLOADS, DOWNLOAD).redirected()
    assert saved == [(0, "redirected")]


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_a_table_that_refuses_breaks_no_download(
    dynamodb: Stubber, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    """The log has it, each time."""
    for _ in range(4):
        dynamodb.add_client_error("put_item", code)
    run(Clock(1.5), 3)
    assert [record.message for record in caplog.records] == ["a download could not be told of"] * 4


def test_a_table_that_hangs_slows_no_download(dynamodb: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is sent while the first write is still under way; there is one at a time."""
    dynamodb.add_response("put_item", {})
    dynamodb.add_response("put_item", {})
    clock, hanging, writes = Clock(1.5), threading.Event(), 0
    monkeypatch.setattr(transfers, "monotonic", clock.monotonic)

    def hang(**_: object) -> None:
        nonlocal writes
        writes += 1
        assert hanging.wait(60)

    async def download() -> None:
        async with Transfer(DOWNLOADS, DOWNLOAD).counted(clock.send) as counting:
            for number in range(10):
                await counting({"type": "http.response.body", "body": b"x" * 10, "more_body": number < 9})
                await asyncio.sleep(0)
            hanging.set()

    DYNAMODB.meta.events.register("provide-client-params.dynamodb.PutItem", hang)
    try:
        asyncio.run(download())
    finally:
        DYNAMODB.meta.events.unregister("provide-client-params.dynamodb.PutItem", hang)
    assert writes == 2
