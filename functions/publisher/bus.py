"""The EventBridge bus.

IAM action: events:PutEvents (send).
"""

import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from functions.publisher.changes import Kind
from sluice import settings
from sluice.limits import KIB

# Of one request: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
MAX_ENTRIES = 10
MAX_BYTES = 256 * KIB
ATTEMPTS = 4  # at the entries of a request that EventBridge did not take: with these pauses up to a second
PAUSE_SECONDS = 0.15

logger = Logger()


class Bus:
    """Where the events of this stack go."""

    def __init__(self, client: Any, name: str, source: str) -> None:
        self._client = client
        self._name = name
        self._source = source

    @classmethod
    def connect(cls) -> "Bus":
        config = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=2, read_timeout=5)
        client: Any = boto3.client("events", config=config)
        return cls(client, settings.EVENT_BUS_NAME.read(), settings.EVENT_SOURCE.read())

    def send(self, told: Sequence[tuple[Kind, Mapping[str, Any]]]) -> set[int]:
        """Send these kinds with their details; the places (from 0 on) of those that EventBridge did not take."""
        entries: list[dict[str, str]] = [
            {"EventBusName": self._name, "Source": self._source, "DetailType": kind, "Detail": _json(detail)}
            for kind, detail in told
        ]
        unsent: set[int] = set()
        for places in _requests(entries):
            left = places
            for attempt in range(ATTEMPTS):
                if attempt:
                    time.sleep(random.uniform(0, PAUSE_SECONDS * 2**attempt))  # noqa: S311 - jitter, no secret
                results = self._client.put_events(Entries=[entries[place] for place in left])["Entries"]
                codes = {place: result["ErrorCode"] for place, result in zip(left, results, strict=True) if _no(result)}
                if not (left := list(codes)):
                    break
                logger.warning("EventBridge did not take some entries", codes=sorted({*codes.values()}))
            unsent.update(left)
        return unsent


def _requests(entries: Sequence[Mapping[str, str]]) -> Iterator[list[int]]:
    """The places of the entries that go together in one request, in order."""
    places: list[int] = []
    size = 0
    for place, entry in enumerate(entries):
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html#eb-putevent-size
        weight = sum(len(entry[name].encode()) for name in ("Source", "DetailType", "Detail"))
        if places and (len(places) == MAX_ENTRIES or size + weight > MAX_BYTES):
            yield places
            places, size = [], 0
        places.append(place)
        size += weight
    if places:
        yield places


def _no(result: Mapping[str, Any]) -> bool:
    return "ErrorCode" in result


def _json(detail: Mapping[str, Any]) -> str:
    return json.dumps(detail, ensure_ascii=False, separators=(",", ":"))
