"""A stream's lease, from begin to end. What a lease does to the table: tests/integration/test_open_streams.py."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import EndpointConnectionError

from functions.stream import leases
from sluice.open_streams import LEASE_SECONDS, RENEW_SECONDS, Lease, OpenStreams
from tests.unit.core.records import client

DYNAMODB = client("dynamodb")
BEGUN, RENEWED, ENDED = "attribute_not_exists", "SET", "REMOVE"


class Table:
    """What it was asked for; `refused` are the places of requests that nobody answers. `enough` is set by the fifth."""

    def __init__(self, refused: set[int]) -> None:
        self.asked: list[str] = []
        self.enough = anyio.Event()
        self._refused = refused

    def answer(self, params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        wanted = json.loads(params["body"])
        begins = wanted["ConditionExpression"].startswith(BEGUN)
        self.asked.append(BEGUN if begins else wanted["UpdateExpression"].partition(" ")[0])
        if len(self.asked) == 5:
            anyio.from_thread.run_sync(self.enough.set)
        if len(self.asked) - 1 in self._refused:
            raise EndpointConnectionError(endpoint_url="https://dynamodb")
        return AWSResponse("", 200, HTTPHeaders(), None), {}

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        DYNAMODB.meta.events.register("before-call.dynamodb.UpdateItem", self.answer)
        try:
            lease = OpenStreams(DYNAMODB, "the-table", 1).begin("alice", "a-link")
            assert lease is not None
            yield lease
        finally:
            DYNAMODB.meta.events.unregister("before-call.dynamodb.UpdateItem", self.answer)


@pytest.mark.parametrize("refused", [set(), {1}, {2, 3}, set(range(1, 1000))])
def test_a_lease_is_renewed_until_the_stream_ends(monkeypatch: pytest.MonkeyPatch, refused: set[int]) -> None:
    """Then it is given back. A table that does not answer harms no stream."""
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.001)

    async def stream() -> list[str]:
        table = Table(refused)
        with table.lease() as lease:
            async with leases.held(lease):
                await table.enough.wait()
        return table.asked

    begun, *renewed, ended = anyio.run(stream)
    assert (begun, {*renewed}, ended) == (BEGUN, {RENEWED}, ENDED)
    assert len(renewed) >= 4


def test_a_stream_that_breaks_gives_its_slot_back() -> None:
    """Also where its time is over, and without having been renewed."""

    async def cut_off() -> list[str]:
        table = Table(set())
        with table.lease() as lease, anyio.move_on_after(0):
            async with leases.held(lease):
                await anyio.sleep_forever()
        return table.asked

    async def broken() -> list[str]:
        table = Table(set())
        with table.lease() as lease, pytest.raises(ZeroDivisionError):
            async with leases.held(lease):
                raise ZeroDivisionError
        return table.asked

    assert anyio.run(cut_off) == anyio.run(broken) == [BEGUN, ENDED]


def test_a_lease_is_renewed_twice_before_it_ends() -> None:
    """One renewal may fail."""
    assert 2 * RENEW_SECONDS < LEASE_SECONDS
