"""The streaming runtime against what people use instead: what is measured, and how.

Carriers take turns in every round (A B C, A B C), so that whatever else the machine does meanwhile hits all of them.
"""

import json
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import report
from bench.carriers import Carrier, all_carriers
from bench.environment import BenchError, Environment, run_pinned
from bench.events import EXPECTED, JSON_EVENT, LINE_EVENT, digest, event
from bench.service import Invocation

KIB = 1024
MIB = 1024 * KIB
BODY = 100 * MIB
CHUNKS = (64 * KIB, MIB)
# Bytes of an answer that Lambda takes at once, as base64 too: a buffered one may have 6 MB.
ANSWER = 4 * MIB
# Of them in a round.
ANSWERS = 5
# Seconds until all event streams of a turn are under way and the first events, which wait for that, are through.
SETTLING = 1.5

# By measure and by carrier.
Samples = defaultdict[str, dict[str, list[float]]]


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    starts: int
    rounds: int
    invocations: int
    """One-line and JSON requests of each carrier in each round."""
    small_chunks: int
    """Chunks of 1 KiB whose slope is taken."""
    streams: tuple[int, ...]
    seconds: int
    """Length of the event streams."""


FULL = Plan(starts=11, rounds=7, invocations=200, small_chunks=10_000, streams=(1, 50, 200), seconds=10)
QUICK = Plan(starts=2, rounds=2, invocations=50, small_chunks=2_000, streams=(1, 50), seconds=4)


def bench(*, quick: bool, cpus: int, json_path: Path | None) -> None:
    """Measure, print the tables, and write the samples. Raises `BenchError`."""
    measured = _Bench(QUICK if quick else FULL, cpus)
    measured.run()
    document = report.document(measured.carriers, measured.missing, measured.pinned, measured.samples)
    print(report.tables(document))
    if json_path is not None:
        json_path.write_text(json.dumps(document, indent=1) + "\n")


class _Bench:
    def __init__(self, plan: Plan, cpus: int) -> None:
        available = sorted(os.sched_getaffinity(0))
        if len(available) < 2:
            raise BenchError("two CPUs are needed: one for the environment, one for what plays Lambda")
        self._plan = plan
        self._service_cpu = available[-1]
        self._cpus = {available[0]} if cpus == 1 else set(available)
        self.pinned = {"environment": sorted(self._cpus), "service": [self._service_cpu]}
        carriers = all_carriers()
        self.carriers = [carrier for carrier in carriers if carrier.missing is None]
        self.missing = {carrier.name: carrier.missing for carrier in carriers if carrier.missing is not None}
        self.samples: Samples = defaultdict(lambda: defaultdict(list))

    def run(self) -> None:
        os.sched_setaffinity(0, {self._service_cpu})
        for carrier in self.carriers:
            self._check(carrier)
        self._starts()
        self._warm()
        self._requests_without_framework()
        self._event_streams()
        self._app_alone()

    def _environment(self, carrier: Carrier, app: str = "app", concurrency: int = 1) -> Environment:
        return Environment(carrier, app, cpus=self._cpus, concurrency=concurrency)

    def _note(self, measure: str, carrier: str, value: float) -> None:
        self.samples[measure].setdefault(carrier, []).append(value)

    def _check(self, carrier: Carrier) -> None:
        """What is timed later is right: every byte of every shape. Also leaves the .pyc files and a warm page cache."""
        say(f"checking the bytes of {carrier.name}")
        with self._environment(carrier) as environment:
            environment.wait_until_ready()
            for asked, wanted in EXPECTED:
                (done,) = environment.invoke(asked, keep=True)
                if digest(done, streamed=carrier.streams) != wanted:
                    raise environment.broken(f"{done.size} bytes that are not those of the app, for {asked!r}")

    def _starts(self) -> None:
        for number in range(self._plan.starts):
            say(f"start {number + 1} of {self._plan.starts}")
            for carrier in self.carriers:
                with self._environment(carrier) as environment:
                    self._note("start_ms", carrier.name, environment.wait_until_ready() * 1e3)
                    if number < self._plan.rounds:
                        self._memory(environment)

    def _memory(self, environment: Environment) -> None:
        """No other environment is up, so that no shared page is shared with one."""
        name = environment.carrier.name
        self._note("pss_start_mb", name, environment.memory().pss / 1e6)
        environment.invoke(*[LINE_EVENT] * self._plan.invocations)
        environment.invoke(_body(CHUNKS[0]) if environment.carrier.streams else event("/answer", size=ANSWER))
        after = environment.memory()
        self._note("pss_work_mb", name, after.pss / 1e6)
        self._note("peak_mb", name, after.peak_rss / 1e6)

    def _warm(self) -> None:
        """Everything that one environment a carrier, started once, answers one request at a time."""
        with ExitStack() as stack:
            environments = [stack.enter_context(self._environment(carrier)) for carrier in self.carriers]
            for environment in environments:
                environment.wait_until_ready()
            for number in range(self._plan.rounds):
                say(f"round {number + 1} of {self._plan.rounds}")
                for environment in environments:
                    self._requests(environment, LINE_EVENT, "line")
                for environment in environments:
                    self._requests(environment, JSON_EVENT, "json")
                for environment in environments:
                    self._answer(environment)
                for size in CHUNKS:
                    for environment in environments:
                        self._throughput(environment, size)
                for environment in environments:
                    self._small_chunks(environment)

    def _requests_without_framework(self) -> None:
        """The same line from an app of ASGI alone, under those that run the app as it is."""
        with ExitStack() as stack:
            carriers = [carrier for carrier in self.carriers if carrier.streams]
            environments = [stack.enter_context(self._environment(carrier, "plain")) for carrier in carriers]
            for environment in environments:
                environment.wait_until_ready()
            for _ in range(self._plan.rounds):
                for environment in environments:
                    self._requests(environment, LINE_EVENT, "plain")

    def _requests(self, environment: Environment, asked: bytes, kind: str) -> None:
        name = environment.carrier.name
        environment.invoke(*[asked] * 5)  # wakes caches and connections
        done = environment.invoke(*[asked] * self._plan.invocations)
        firsts = [(invocation.first - invocation.sent) * 1e6 for invocation in done]
        self._note(f"first_{kind}_us", name, statistics.median(firsts))
        self._note(f"first_{kind}_p99_us", name, percentile(firsts, 99))
        self._note(f"cycle_{kind}_us", name, statistics.median((i.again - i.sent) * 1e6 for i in done))

    def _answer(self, environment: Environment) -> None:
        if environment.carrier.runs_the_app:
            asked = event("/answer", size=ANSWER)
            environment.invoke(asked)  # the first one pays for memory that the system has yet to find
            done = environment.invoke(*[asked] * ANSWERS)
            self._note("answer_ms", environment.carrier.name, statistics.median((i.end - i.sent) * 1e3 for i in done))

    def _throughput(self, environment: Environment, size: int) -> None:
        if not environment.carrier.streams:
            return
        name = environment.carrier.name
        environment.invoke(LINE_EVENT)
        cpu, own = environment.cpu_seconds(), time.process_time()
        (done,) = environment.invoke(_body(size))
        cpu, own = environment.cpu_seconds() - cpu, time.process_time() - own
        seconds = done.end - done.sent
        if done.size != BODY:
            raise environment.broken(f"{done.size} bytes came, not {BODY}")
        label = f"{size // KIB}k"
        self._note(f"throughput_{label}_mbs", name, BODY / 1e6 / seconds)
        self._note(f"cpu_{label}_s_per_gb", name, cpu / (BODY / 1e9))
        self._note(f"chunk_{label}_us", name, seconds / (BODY // size) * 1e6)
        self._note(f"busy_{label}_percent", name, cpu / seconds * 100)
        self._note(f"service_busy_{label}_percent", name, own / seconds * 100)

    def _small_chunks(self, environment: Environment) -> None:
        """The slope over the number of chunks: what one more of them costs."""
        if not environment.carrier.streams:
            return
        few, many = self._plan.small_chunks // 10, self._plan.small_chunks
        cpu, own = environment.cpu_seconds(), time.process_time()
        seconds = {}
        for count in (few, many):
            (done,) = environment.invoke(event("/chunks", count=count, size=KIB))
            if done.size != count * KIB:
                raise environment.broken(f"{done.size} bytes came, not {count * KIB}")
            seconds[count] = done.end - done.sent
        cpu, own = environment.cpu_seconds() - cpu, time.process_time() - own
        name = environment.carrier.name
        self._note("chunk_1k_us", name, (seconds[many] - seconds[few]) / (many - few) * 1e6)
        self._note("busy_1k_percent", name, cpu / sum(seconds.values()) * 100)
        self._note("service_busy_1k_percent", name, own / sum(seconds.values()) * 100)

    def _event_streams(self) -> None:
        carriers = [carrier for carrier in self.carriers if carrier.streams and carrier.runs_the_app]
        with ExitStack() as stack:
            environments = [
                stack.enter_context(self._environment(carrier, concurrency=max(self._plan.streams)))
                for carrier in carriers
            ]
            for environment in environments:
                environment.wait_until_ready()
            for streams in self._plan.streams:
                for environment in environments:
                    say(f"{streams} event streams of {self._plan.seconds} s under {environment.carrier.name}")
                    self._events(environment, streams)

    def _events(self, environment: Environment, streams: int) -> None:
        """Streams that begin together, and whose events are spread evenly over each second."""
        count = self._plan.seconds
        asked = [event("/events", count=count, first=number / streams) for number in range(streams)]
        invocations = [Invocation(document, keep=True) for document in asked]
        for invocation in invocations:
            environment.service.submit(invocation)
        time.sleep(SETTLING)
        begun, cpu = time.monotonic(), environment.cpu_seconds()
        time.sleep(count - SETTLING - 1)
        cpu, seconds = environment.cpu_seconds() - cpu, time.monotonic() - begun
        environment.wait_for(invocations)
        delays: list[float] = []
        for invocation in invocations:
            times = list(_events_of(invocation))
            if len(times) != count:
                raise environment.broken(f"{len(times)} events came, not {count}")
            # Not the first, which may come while other streams are still being begun.
            delays += [(came - made) * 1e3 for made, came in times[1:]]
        name = environment.carrier.name
        self._note(f"events_{streams}_p50_ms", name, statistics.median(delays))
        self._note(f"events_{streams}_p99_ms", name, percentile(delays, 99))
        self._note(f"events_{streams}_cpu_percent", name, cpu / seconds * 100)

    def _app_alone(self) -> None:
        say("the app alone, in process")
        arguments = (str(self._plan.invocations), str(self._plan.small_chunks))
        for measure, values in json.loads(run_pinned("bench.inprocess", *arguments, cpus=self._cpus)).items():
            self.samples[measure][report.ALONE] = values


def _body(size: int) -> bytes:
    return event("/chunks", count=BODY // size, size=size)


def _events_of(invocation: Invocation) -> Iterable[tuple[float, float]]:
    """When each event was made and when its last byte came."""
    pending = b""
    for came, piece in invocation.pieces:
        pending += piece
        *whole, pending = pending.split(b"\n\n")
        for text in whole:
            if text.startswith(b"data: "):
                yield float(text.removeprefix(b"data: ")), came


def percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)
