"""The stream function under the streaming runtime: what the feed costs with many watchers, and what exports do.

The table is simulated (`table.py`), so that what is measured is the function.
"""

import gzip
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.carriers import LAYER, ROOT, Carrier
from bench.environment import BenchError, Environment
from bench.events import event
from bench.report import cell, processor, table
from bench.runtime import percentile, say
from bench.service import Invocation
from bench.table import KEY, OWNER
from sluice import capabilities
from sluice.capabilities import ALL_FILES, Holder, Use

Samples = dict[str, dict[str, list[float]]]
STREAM, PLAIN = "functions.stream.app.app", "bench.plain_export.app"


@dataclass(frozen=True)
class Plan:
    watchers: tuple[int, ...]
    quiet_seconds: float
    changes: int
    records: tuple[int, ...]
    rounds: int


FULL = Plan(watchers=(1, 50, 200), quiet_seconds=15, changes=20, records=(10_000, 100_000), rounds=3)
QUICK = Plan(watchers=(1, 50), quiet_seconds=5, changes=5, records=(1_000, 10_000), rounds=1)
# Seconds until all streams are under way and their first looks, which come quickly, are over.
SETTLING = 5.0
BETWEEN_CHANGES = 1.0  # seconds
EXPORTS = [(name, encoding) for name in ("jsonl", "csv", "sha256") for encoding in ("identity", "gzip")]


def feed(*, quick: bool, cpus: int, json_path: Path | None) -> None:
    """Watchers in one environment: CPU while nothing happens and while one file changes each second, memory, delay."""
    plan = QUICK if quick else FULL
    samples: Samples = defaultdict(lambda: defaultdict(list))
    pinned = _pinned(cpus)
    with _table(0) as url:
        for watchers in plan.watchers:
            say(f"{watchers} watchers in one environment")
            with Environment(_carrier("ours", STREAM, url), cpus=pinned, concurrency=watchers) as environment:
                _watch(environment, url, watchers, plan, samples[f"{watchers:,} watchers"])
    columns = {
        "quiet_cpu": ("CPU while quiet, %", 1),
        "busy_cpu": ("CPU, a change a second, %", 1),
        "queries": ("looks/s while quiet", 1),
        "p50": ("delay of a change p50, ms", 0),
        "p99": ("p99, ms", 0),
        "pss": ("memory (PSS), MB", 1),
        "threads": ("threads", 0),
    }
    _print(samples, columns, json_path)


def _watch(environment: Environment, url: str, watchers: int, plan: Plan, samples: dict[str, list[float]]) -> None:
    environment.wait_until_ready()
    asked = event("/events", capability=_capability(Use.FEED))
    invocations = [Invocation(asked, keep=True) for _ in range(watchers)]
    for invocation in invocations:
        environment.service.submit(invocation)
    time.sleep(SETTLING)
    queries, cpu, begun = _asked(url).get("Query", 0), environment.cpu_seconds(), time.monotonic()
    time.sleep(plan.quiet_seconds)
    seconds = time.monotonic() - begun
    samples["quiet_cpu"].append((environment.cpu_seconds() - cpu) / seconds * 100)
    samples["queries"].append((_asked(url).get("Query", 0) - queries) / seconds)
    cpu, begun = environment.cpu_seconds(), time.monotonic()
    made: list[tuple[float, bytes]] = []
    for _ in range(plan.changes):
        made.append((time.monotonic(), _post(url, "change")))
        time.sleep(BETWEEN_CHANGES)
    samples["busy_cpu"].append((environment.cpu_seconds() - cpu) / (time.monotonic() - begun) * 100)
    samples["pss"].append(environment.memory().pss / 1e6)
    samples["threads"].append(environment.threads())
    delays = [
        (_came(environment, invocation, b'"updated_at":"' + moment) - at) * 1e3
        for invocation in invocations
        for at, moment in made
    ]
    samples["p50"].append(statistics.median(delays))
    samples["p99"].append(percentile(delays, 99))


def _came(environment: Environment, invocation: Invocation, text: bytes) -> float:
    """When this stream told it."""
    until = time.monotonic() + BETWEEN_CHANGES
    while True:
        for came, piece in invocation.pieces:
            if text in piece.replace(b'": "', b'":"'):
                return came
        if time.monotonic() > until:
            raise environment.broken("a watcher was not told of a change")
        time.sleep(0.05)


def exports(*, quick: bool, cpus: int, json_path: Path | None) -> None:
    """Records a second, CPU, and memory for ten times as many records, against a plain generator."""
    plan = QUICK if quick else FULL
    samples: Samples = defaultdict(lambda: defaultdict(list))
    pinned = _pinned(cpus)
    rows = [("plain generator", PLAIN, "jsonl", "identity")]
    rows += [(f"{name}{', gzip' * (encoding == 'gzip')}", STREAM, name, encoding) for name, encoding in EXPORTS]
    for round_ in range(plan.rounds):
        for title, handler, name, encoding in rows:
            say(f"round {round_ + 1} of {plan.rounds}: {title}")
            for records in plan.records:
                with (
                    _table(records) as url,
                    Environment(_carrier(title, handler, url), cpus=pinned) as environment,
                ):
                    _export(environment, name, encoding, records, samples[title], last=records == plan.records[-1])
    few, many = plan.records
    columns = {
        "rate": ("records/s", 0),
        "cpu": (f"CPU s for {many:,}", 2),
        "mb": ("MB", 1),
        "first": ("first byte, ms", 0),
        "rss_few": (f"peak RSS, {few:,} records, MB", 1),
        "rss": (f"{many:,} records, MB", 1),
    }
    _print(samples, columns, json_path)


def _export(
    environment: Environment, name: str, encoding: str, records: int, samples: dict[str, list[float]], *, last: bool
) -> None:
    environment.wait_until_ready()
    asked = json.loads(event(f"/files.{name}", capability=_capability(Use.EXPORT)))
    asked["headers"] |= {"accept-encoding": encoding}
    cpu, begun = environment.cpu_seconds(), time.monotonic()
    (done,) = environment.invoke(json.dumps(asked).encode(), keep=True)
    cpu = environment.cpu_seconds() - cpu
    body = gzip.decompress(done.body) if encoding == "gzip" else done.body
    lines = body.count(b"\n") - (name == "csv")
    if lines != records:
        raise environment.broken(f"{lines} lines came for {records} records")
    samples["rss" if last else "rss_few"].append(environment.memory().peak_rss / 1e6)
    if last:
        samples["rate"].append(records / (done.end - begun))
        samples["cpu"].append(cpu)
        samples["mb"].append(len(done.body) / 1e6)
        samples["first"].append((done.first - begun) * 1e3)


def _carrier(name: str, handler: str, url: str) -> Carrier:
    variables = {
        "_HANDLER": handler,
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, LAYER, ROOT / "layers" / "core"))),
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "TABLE_NAME": "bench",
        "BUCKET_NAME": "bench",
        "ACCESS_TOKEN_SECRET": "tokens",
        "CAPABILITY_KEY_SECRET": "key",
        "POWERTOOLS_SERVICE_NAME": "stream",
    }
    bootstrap = str(LAYER / "streaming-bootstrap")
    return Carrier(name, "", ((bootstrap, sys.executable, "/var/runtime/bootstrap.py"),), variables)


@contextmanager
def _table(records: int) -> Iterator[str]:
    command = [sys.executable, "-m", "bench.table", str(records)]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "layers" / "core")))}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=variables) as process:
        try:
            port = int(process.stdout.readline()) if process.stdout else 0
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _post(url: str, name: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(f"{url}/{name}", b"", method="POST")) as answer:  # nosec B310  # noqa: S310
        said: bytes = answer.read()
        return said


def _asked(url: str) -> dict[str, int]:
    counts: dict[str, int] = json.loads(_post(url, "asked"))
    return counts


def _capability(use: Use) -> str:
    return capabilities.issue(KEY, Holder(OWNER), ALL_FILES, use, 3600)


def _pinned(cpus: int) -> set[int]:
    """The CPUs of the environment; this process, and the table that it starts, go to the last one."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        raise BenchError("two CPUs are needed: one for the environment, one for what plays Lambda and DynamoDB")
    os.sched_setaffinity(0, {available[-1]})
    return {available[0]} if cpus == 1 else set(available)


def _print(samples: Samples, columns: dict[str, tuple[str, int]], json_path: Path | None) -> None:
    rows: Sequence[Sequence[str]] = [
        [title, *(cell(found[name], digits) for name, (_, digits) in columns.items())]
        for title, found in samples.items()
    ]
    print(f"{processor()}. Load average at the end: {os.getloadavg()[0]:.1f}.\n")
    print(table(["median (min to max)", *(words for words, _ in columns.values())], rows) + "\n")
    if json_path is not None:
        json_path.write_text(json.dumps(samples, indent=1) + "\n")
