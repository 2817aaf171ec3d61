"""What is asked of EventBridge."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.publisher.bus import ATTEMPTS, MAX_BYTES, MAX_ENTRIES, Bus
from functions.publisher.changes import Kind

# Bytes of an event: next to nothing, several in a request, and two that do not fit into one together.
SIZES = st.lists(st.sampled_from([0, 100, MAX_BYTES // 5, MAX_BYTES // 3, MAX_BYTES // 2]), max_size=25)


class EventBridge:
    """Refuses the entries of these numbers so often, and all others never."""

    def __init__(self, refusals: dict[int, int]) -> None:
        self.refusals = dict(refusals)
        self.requests: list[list[dict[str, str]]] = []
        self.taken: list[int] = []

    def put_events(self, Entries: list[dict[str, str]]) -> Any:  # noqa: N803 - boto3's name
        self.requests.append(Entries)
        results = [self._result(json.loads(entry["Detail"])["number"]) for entry in Entries]
        return {"Entries": results, "FailedEntryCount": sum("ErrorCode" in result for result in results)}

    def _result(self, number: int) -> dict[str, str]:
        if self.refusals.get(number, 0) > 0:
            self.refusals[number] -= 1
            return {"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"}
        self.taken.append(number)
        return {"EventId": f"event-{number}"}


@pytest.fixture(scope="module", autouse=True)
def at_once() -> Iterator[None]:
    """Between two attempts nobody waits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("functions.publisher.bus.PAUSE_SECONDS", 0)
        yield


@given(
    SIZES,
    st.dictionaries(st.integers(min_value=0, max_value=24), st.integers(min_value=1, max_value=ATTEMPTS + 1)),
)
def test_every_event_is_sent_or_named(sizes: list[int], refusals: dict[int, int]) -> None:
    """Each once; only what was refused is sent again, and what was refused to the end is named."""
    bridge = EventBridge(refusals)
    told = [(Kind.FILE_READY, {"number": number, "text": "x" * size}) for number, size in enumerate(sizes)]
    unsent = Bus(bridge, "a-bus", "sluice.here").send(told)
    assert unsent == {number for number in range(len(sizes)) if refusals.get(number, 0) >= ATTEMPTS}
    assert sorted(bridge.taken) == [number for number in range(len(sizes)) if number not in unsent]


@given(SIZES)
def test_requests_are_what_eventbridge_takes(sizes: list[int]) -> None:
    """At most ten entries and 256 KB in each, in order, none empty."""
    bridge = EventBridge({})
    told = [(Kind.FILE_FAILED, {"number": number, "text": "ä" * (size // 2)}) for number, size in enumerate(sizes)]
    Bus(bridge, "a-bus", "sluice.here").send(told)
    assert bridge.taken == list(range(len(sizes)))
    for entries in bridge.requests:
        assert 1 <= len(entries) <= MAX_ENTRIES
        assert sum(len(f"{one['Source']}{one['DetailType']}{one['Detail']}".encode()) for one in entries) <= MAX_BYTES
        assert {(one["EventBusName"], one["Source"], one["DetailType"]) for one in entries} == {
            ("a-bus", "sluice.here", "File Failed")
        }
