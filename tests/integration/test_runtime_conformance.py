"""A connection to the Runtime API may break after any byte.

Whichever it is, nobody takes half a response for a whole one, and the next invocation is served.
"""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from local.runtime_api import RuntimeApi
from streaming_runtime import client as client_module
from streaming_runtime.asgi import Receive, Scope, Send
from tests.effort import effort
from tests.integration.conftest import more
from tests.integration.in_process import PRELUDE, START, WHOLE, Outcome, body, outcome, working
from tests.integration.interference import Cut, Direction, Relay, listening

# Bytes from one cut to the next, odd so that FIN and RST take turns. 1 cuts after every byte, and takes 90 s.
STEP = effort(74, 7, 1)


@dataclass(frozen=True)
class Exchange:
    """One kind of invocation, and what comes of it when nothing breaks."""

    path: str
    right: Outcome
    request: str = ""
    concurrency: int = 1
    # How often it is cut on each way, if not at every STEP.
    cuts: int | None = None
    # An answer that is posted again when its connection breaks.
    repeated: bool = False


CHUNKS = Outcome(PRELUDE + b"".join(b"%d" % number * 50 for number in range(5)), WHOLE)
EXCHANGES = {
    "small": Exchange("/small", Outcome(PRELUDE + b"hello", WHOLE)),
    "chunks": Exchange("/chunks", CHUNKS),
    "trailers": Exchange("/trailers", Outcome(PRELUDE + b"half", "LookupError")),
    "error": Exchange("/error", Outcome(b"", "LookupError"), repeated=True),
    "large event": Exchange("/size", Outcome(PRELUDE + b"5000000", WHOLE), request="x" * 5_000_000, cuts=4),
    "three at once": Exchange("/chunks", CHUNKS, concurrency=3),
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    request = await receive()
    await send(START)
    match scope["path"]:
        case "/small":
            await send(body(b"hello"))
        case "/size":
            await send(body(b"%d" % len(request["body"])))
        case "/chunks":
            for number in range(5):
                await send(body(b"%d" % number * 50, more=True))
            await send(body())
        case "/trailers":
            await send(body(b"half", more=True))
            raise LookupError("no more")
        case "/error":
            raise LookupError("nothing")


@dataclass
class Told:
    """The app, and how many bytes had come down whenever it was called."""

    relay: Relay
    after: list[int] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.after.append(self.relay.passed["down"])
        await app(scope, receive, send)


@dataclass
class Seen:
    """Two rounds of invocations: what had passed the relay at each stage, and what came of them."""

    relay: Relay
    asked: int
    """Bytes up when the first round was asked for."""
    told: int
    """Bytes down when the app was told of it."""
    over: dict[Direction, int]
    """Bytes when the second round was asked for."""
    first: list[Outcome]
    second: list[Outcome]
    violations: list[str]
    failures: list[BaseException]

    @property
    def answered(self) -> int:
        """Bytes up at the end of the first round's answer: what followed was as many bytes of asking as at first."""
        return self.over["up"] - self.asked


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many attempts as always, but without the pauses between them."""
    monkeypatch.setattr(client_module, "RECONNECT_DELAYS", (0.0,) * len(client_module.RECONNECT_DELAYS))


def descriptors() -> set[tuple[str, str]]:
    """Number and target of each open descriptor: a socket's target is unlike that of every other."""
    found = set()
    for link in Path("/dev/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed, as the listing's own always is
            found.add((link.name, str(link.readlink())))
    return found


@pytest.fixture(autouse=True, scope="module")
def garbage_is_new() -> Iterator[None]:
    """The collector passes over what is there already: a process that has run other tests has a second's work of it."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def nothing_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No new descriptor, no failure that nobody took. A warning of the collector fails the test by itself."""
    gc.collect()
    before = descriptors()
    yield
    gc.collect()
    # Not compared as counts: a server of another test may still be closing what its clients have left.
    assert descriptors() - before == set()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def two_rounds(exchange: Exchange, cut: Cut | None = None) -> Seen:
    """The exchange twice, over a relay that cuts."""
    api = RuntimeApi(exchange.concurrency)
    relay = Relay(await api.start(), cut)
    told = Told(relay)

    async def all_ask() -> None:
        """Until every worker asks, and a connection that was cut has been replaced: one may be cut while it asks."""
        while (  # noqa: ASYNC110 - no event tells that all of them do
            len(api._asking) < exchange.concurrency or (relay.done and relay.connections == exchange.concurrency)
        ):
            await asyncio.sleep(0)

    async def one_round() -> list[Outcome]:
        invoking = (outcome(api, exchange.path, exchange.request) for _ in range(exchange.concurrency))
        return list(await asyncio.gather(*invoking))

    async with listening(relay) as address, working(api, address, told, exchange.concurrency) as workers:
        await api.idle.wait()
        asked = relay.passed["up"]
        first = await one_round()
        await all_ask()
        over = dict(relay.passed)
        second = await one_round()
        api.retire()
        failures = await workers.ended()
    await api.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return Seen(relay, asked, told.after[0], over, first, second, api.violations, failures)


def cuts(exchange: Exchange, uncut: Seen) -> Iterator[Cut]:
    """Cuts from the first byte to the second round's asking, in steps, and around each boundary in both ways."""
    boundaries: dict[Direction, list[int]] = {
        "up": [0, uncut.asked, uncut.answered, uncut.over["up"]],
        "down": [0, uncut.told, uncut.over["down"]],
    }
    for direction, marks in boundaries.items():
        end = uncut.over[direction]
        step = (end // exchange.cuts if exchange.cuts else STEP * exchange.concurrency) | 1
        yield from (Cut(direction, after, reset=after % 2 == 1) for after in range(0, end, step))
        for after in (mark + near for mark in marks for near in ((0,) if exchange.cuts else (-1, 0, 1))):
            if 0 <= after <= end:
                yield from (Cut(direction, after, reset) for reset in (False, True))


def fates(exchange: Exchange, uncut: Seen, cut: Cut) -> set[Literal["right", "lost"]]:
    """What may become of an invocation whose connection breaks there.

    Lost is what was on its way down, and an answer that had not all gone up, unless the runtime posts it again. At the
    very end of the asking and of the telling it is for the kernel to say which came first.
    """
    if cut.direction == "up":
        lost, edge = uncut.asked < cut.after < uncut.answered and not exchange.repeated, uncut.asked
    else:
        lost, edge = 0 < cut.after < uncut.told, uncut.told
    return {"right", "lost"} if cut.after == edge else {"lost"} if lost else {"right"}


def wrong(exchange: Exchange, uncut: Seen, cut: Cut) -> list[object]:
    """What was not as it must be."""
    seen = asyncio.run(two_rounds(exchange, cut))
    right = exchange.right
    lost = [one for one in seen.first if one != right]
    allowed = fates(exchange, uncut, cut) if exchange.concurrency == 1 else {"right", "lost"}
    found: list[object] = []
    if (
        not all(one.is_a_known_part_of(right) for one in lost)
        or len(lost) > 1
        or {"lost" if lost else "right"} - allowed
    ):
        found.append(seen.first)
    if any(one != right for one in seen.second):
        found.append(seen.second)
    # An error whose acceptance was lost is posted again: a breach that the cut has made, and that costs a connection.
    again = [violation for violation in seen.violations if exchange.repeated and violation.startswith("no invocation")]
    if seen.failures or seen.violations != again:
        found.append((seen.failures, seen.violations))
    if not seen.relay.done or seen.relay.connections != exchange.concurrency + 1 + len(again):
        found.append(seen.relay)
    return found


@more
@pytest.mark.parametrize("name", EXCHANGES)
def test_a_connection_may_break_after_any_byte(name: str) -> None:
    """Which byte it is says whether the invocation is lost, and known to be; one new connection serves the next."""
    exchange = EXCHANGES[name]
    uncut = asyncio.run(two_rounds(exchange))
    assert uncut.first == uncut.second == [exchange.right] * exchange.concurrency
    assert (uncut.failures, uncut.violations, uncut.relay.connections) == ([], [], exchange.concurrency)
    assert {cut: found for cut in cuts(exchange, uncut) if (found := wrong(exchange, uncut, cut))} == {}


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_may_break_while_the_app_works(reset: bool) -> None:
    """Nothing is on its way then, so nothing is lost: a response and an error go out on a new connection."""

    async def main() -> None:
        api = RuntimeApi()
        relay = Relay(await api.start())

        async def breaking(scope: Scope, receive: Receive, send: Send) -> None:
            await relay.hang_up(reset=reset)
            await app(scope, receive, send)

        async with listening(relay) as address, working(api, address, breaking) as workers:
            for number, exchange in enumerate((EXCHANGES["small"], EXCHANGES["error"]), 2):
                assert await outcome(api, exchange.path) == exchange.right
                assert relay.connections == number
            api.retire()
            assert await workers.ended() == []
        await api.close()
        assert api.violations == []

    asyncio.run(main())


async def cut_for_good(exchange: Exchange, cut: Cut) -> tuple[Outcome, list[BaseException], int]:
    """The exchange once, over a relay that lets nobody through after the cut: its end, the worker's, the attempts."""
    api = RuntimeApi()
    relay = Relay(await api.start(), cut)
    async with listening(relay) as address, working(api, address, Told(relay)) as workers:
        invoking = asyncio.create_task(outcome(api, exchange.path))
        failures = await workers.ended()
        first = await invoking
    await api.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return first, failures, relay.connections


@more
@pytest.mark.parametrize("name", ["small", "error"])
def test_a_runtime_without_an_api_leaves(name: str) -> None:
    """When nothing answers any more, each call is tried so often and no more, and the worker ends with the error."""
    exchange = EXCHANGES[name]
    uncut = asyncio.run(two_rounds(exchange))
    attempts = 1 + len(client_module.RECONNECT_DELAYS)
    for direction, end in uncut.over.items():
        for after in range(0, end, 6 * STEP):
            cut = Cut(direction, after, reset=after % 2 == 1, for_good=True)
            first, failures, connections = asyncio.run(cut_for_good(exchange, cut))
            assert first == exchange.right or first.is_a_known_part_of(exchange.right), cut
            assert [isinstance(failure, OSError) for failure in failures] == [True], cut
            assert connections <= 1 + 2 * attempts, cut
