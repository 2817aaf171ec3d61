"""How the feed is sent: its events, its pauses and its ends. What is told: tests/unit/core/test_feed.py."""

from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from fastapi.sse import ServerSentEvent

from functions.stream import feed as module
from functions.stream.feed import follow
from functions.stream.reconnecting import RETRY_MILLISECONDS
from sluice.downloads import Downloads
from sluice.errors import ExpiredCapability, InvalidCapability
from sluice.feed import Feed
from sluice.files import Files, Status, _to_item
from tests.unit.core.records import a_file, client

DYNAMODB = client("dynamodb")
CURSOR = "2020-11-29T12:00:00.000Z"
QUIET = 60.0


@pytest.fixture(autouse=True)
def dynamodb() -> Iterator[Stubber]:
    with Stubber(DYNAMODB) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


class Clock:
    """Time passes by pauses alone."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "monotonic", made.monotonic)
    monkeypatch.setattr(module, "sleep", made.sleep)
    return made


def sent(
    *, quiet: float = QUIET, check_access: Callable[[], object] = lambda: None, looks: int = 10**9
) -> list[ServerSentEvent]:
    """All that a watcher is sent, who may look so often."""
    left = iter(range(looks - 1))

    def out_of_time() -> bool:
        return next(left, None) is None

    async def collect() -> list[ServerSentEvent]:
        feed = Feed(Files(DYNAMODB, "the-table"), Downloads(DYNAMODB, "the-table"), "default", CURSOR)
        return [event async for event in follow(feed, check_access, quiet, out_of_time)]

    return anyio.run(collect)


def quiet(dynamodb: Stubber, looks: int) -> None:
    for _ in range(looks):
        dynamodb.add_response("query", {"Items": []})


def moves(dynamodb: Stubber, revision: int) -> None:
    """The index names a change, and the record has it."""
    file = a_file(
        id="0" * 26, status=Status.HASHING, revision=revision, updated_at=f"2020-11-29T12:00:0{revision}.000Z"
    )
    entry = {name: {"S": value} for name, value in {"feed": "default", "owner": "default", "id": file.id}.items()}
    dynamodb.add_response("query", {"Items": [entry | {"changed": {"S": file.updated_at}}]})
    dynamodb.add_response("batch_get_item", {"Responses": {"the-table": [_to_item(file)]}})


def test_the_stream_says_where_it_begins_and_ends(dynamodb: Stubber) -> None:
    """The first and the last thing sent is a cursor without an event, which an EventSource keeps."""
    moves(dynamodb, 2)
    opening, event, last = sent(looks=1)
    assert (opening.id, opening.event, opening.data, opening.retry) == (CURSOR, None, None, RETRY_MILLISECONDS)
    assert (event.event, event.id, event.data["revision"]) == ("file", "2020-11-29T12:00:02.000Z", 2)
    assert last.event is last.data is None
    assert last.id
    assert event.id
    assert last.id > event.id


def test_it_ends_after_a_minute_in_which_nothing_happened(dynamodb: Stubber, clock: Clock) -> None:
    """With fewer looks the longer it is quiet, and never more than a second between two."""
    looks = len(pauses_of(QUIET)) + 1
    quiet(dynamodb, looks)
    opening, last = sent()
    assert (opening.event, last.event) == (None, None)
    assert last.retry is not None
    assert opening.retry == RETRY_MILLISECONDS
    assert 2_500 <= last.retry <= 5_000
    assert QUIET <= clock.now < QUIET + 1
    assert looks < 80
    assert clock.pauses[0] == module.SHORTEST_PAUSE_SECONDS
    assert clock.pauses == sorted(clock.pauses)
    assert clock.pauses[-1] == module.LONGEST_PAUSE_SECONDS < 1


def pauses_of(seconds: float) -> list[float]:
    pauses = [module.SHORTEST_PAUSE_SECONDS]
    while sum(pauses) < seconds:
        pauses.append(min(pauses[-1] * module.PAUSE_GROWTH, module.LONGEST_PAUSE_SECONDS))
    return pauses


def test_a_change_makes_it_wait_for_more(dynamodb: Stubber, clock: Clock) -> None:
    """The minute and the pauses begin anew."""
    quiet(dynamodb, 10)
    moves(dynamodb, 2)
    quiet(dynamodb, 5)
    sent(looks=16)
    assert clock.pauses[10] == module.SHORTEST_PAUSE_SECONDS < clock.pauses[9]
    assert clock.pauses[10:] == sorted(clock.pauses[10:])


@pytest.mark.parametrize("more", [0, 1])
def test_many_changes_at_once_are_no_hurry(dynamodb: Stubber, clock: Clock, more: int) -> None:
    """A folder is on its way. One look a second tells as much of it as five, each of which reads the same anew."""
    count = module.MANY_CHANGES - 1 + more
    told = [a_file(id=f"{number:026d}", updated_at="2020-11-29T12:00:01.000Z") for number in range(count)]
    entries = [
        {"feed": {"S": "default"}, "owner": {"S": "default"}, "id": {"S": file.id}, "changed": {"S": file.updated_at}}
        for file in told
    ]
    dynamodb.add_response("query", {"Items": entries})
    dynamodb.add_response("batch_get_item", {"Responses": {"the-table": [_to_item(file) for file in told]}})
    quiet(dynamodb, 1)
    sent(looks=2)
    assert clock.pauses == [module.LONGEST_PAUSE_SECONDS if more else module.SHORTEST_PAUSE_SECONDS]


@pytest.mark.parametrize("operation", ["query", "batch_get_item"])
@pytest.mark.parametrize(("code", "status"), [("ThrottlingException", 400), ("ServiceUnavailable", 503)])
def test_a_table_that_refuses_for_now_ends_nothing(dynamodb: Stubber, operation: str, code: str, status: int) -> None:
    """What it did not tell comes with a later look."""
    if operation == "batch_get_item":
        entry = {name: {"S": value} for name, value in {"feed": "default", "owner": "default", "id": "0" * 26}.items()}
        dynamodb.add_response("query", {"Items": [entry | {"changed": {"S": "2020-11-29T12:00:02.000Z"}}]})
        dynamodb.add_client_error(operation, code, http_status_code=status)
        file = a_file(id="0" * 26, status=Status.HASHING, revision=2)
        dynamodb.add_response(operation, {"Responses": {"the-table": [_to_item(file)]}})
    else:
        dynamodb.add_client_error(operation, code, http_status_code=status)
        moves(dynamodb, 2)
    assert [one.event for one in sent(looks=2)] == [None, "file", None]


def test_a_mistake_of_ours_breaks_the_stream(dynamodb: Stubber) -> None:
    """What AWS will go on refusing is not to be hidden."""
    dynamodb.add_client_error("query", "AccessDeniedException", http_status_code=400)
    with pytest.raises(ClientError, match="AccessDenied"):
        sent()


@pytest.mark.parametrize("problem", [InvalidCapability("gone"), ExpiredCapability("over")])
def test_it_ends_with_its_owners_access_and_with_its_link(dynamodb: Stubber, problem: Exception) -> None:
    """Whoever comes back is told so; before each look it is asked."""
    checks = iter([None, problem])
    moves(dynamodb, 2)

    def check() -> None:
        if failure := next(checks):
            raise failure

    assert [one.event for one in sent(check_access=check)] == [None, "file"]


def test_nothing_is_told_while_nobody_knows_who_has_access(dynamodb: Stubber) -> None:
    """Secrets Manager refuses for a while: the next look asks again."""
    checks: Iterator[Any] = iter([GetParameterError("throttled"), None])
    moves(dynamodb, 2)

    def check() -> None:
        if failure := next(checks):
            raise failure

    assert [one.event for one in sent(check_access=check, looks=2)] == [None, "file", None]


def test_a_long_way_to_catch_up_is_made_without_pauses(dynamodb: Stubber, clock: Clock) -> None:
    """Also over pages on which nothing is new; a table that refuses is left alone for a moment."""
    page = {"Items": [], "LastEvaluatedKey": {"id": {"S": "0" * 26}}}
    for _ in range(3):
        dynamodb.add_response("query", page)
    dynamodb.add_client_error("query", "ThrottlingException")
    dynamodb.add_response("query", page)
    moves(dynamodb, 2)
    sent(looks=6)
    assert clock.pauses == [module.SHORTEST_PAUSE_SECONDS]
