"""The tables: medians with their spread, and the ratios against what is aimed at."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.carriers import Carrier, versions

OURS, LWA, FLOOR, ALONE = "ours", "LWA + uvicorn", "floor", "the app alone"
RIVALS = (LWA, "LWA + uvicorn[standard]", "LWA + granian")


class Measure(NamedTuple):
    """One line of a table."""

    key: str
    title: str
    digits: int = 0


class Target(NamedTuple):
    """ours / LWA, at most or at least."""

    measure: Measure
    limit: float
    at_most: bool = True


START = Measure("start_ms", "start to first `next`, ms")
PSS_START = Measure("pss_start_mb", "memory after the start (PSS), MB", 1)
PSS_WORK = Measure("pss_work_mb", "memory after work (PSS), MB", 1)
FIRST = Measure("first_line_us", "first byte of a one-line stream, µs")
THROUGHPUT_64 = Measure("throughput_64k_mbs", "100 MiB in 64 KiB chunks, MB/s")
THROUGHPUT_1024 = Measure("throughput_1024k_mbs", "100 MiB in 1 MiB chunks, MB/s")
CPU_64 = Measure("cpu_64k_s_per_gb", "CPU s per GB, 64 KiB chunks", 2)
CPU_1024 = Measure("cpu_1024k_s_per_gb", "CPU s per GB, 1 MiB chunks", 2)

TARGETS = (
    Target(FIRST, 0.5),
    Target(THROUGHPUT_64, 1.5, at_most=False),
    Target(THROUGHPUT_1024, 1.5, at_most=False),
    Target(CPU_64, 0.7),
    Target(CPU_1024, 0.7),
    Target(PSS_START, 0.8),
    Target(PSS_WORK, 0.8),
    Target(START, 0.8),
)

GROUPS: tuple[tuple[str, tuple[Measure, ...]], ...] = (
    ("Start and memory", (START, PSS_START, PSS_WORK, Measure("peak_mb", "peak RSS, MB", 1))),
    (
        "Requests",
        (
            FIRST,
            Measure("first_line_p99_us", "the same, p99"),
            Measure("cycle_line_us", "one-line stream, event to next `next`, µs"),
            Measure("cycle_json_us", "small JSON, event to next `next`, µs"),
            Measure("cycle_plain_us", "a line from plain ASGI, event to next `next`, µs"),
            Measure("answer_ms", "answer of 4 MiB, to its last byte, ms", 1),
        ),
    ),
    (
        "Bodies",
        (
            THROUGHPUT_64,
            THROUGHPUT_1024,
            CPU_64,
            CPU_1024,
            Measure("chunk_1k_us", "one more chunk of 1 KiB, µs", 1),
            Measure("chunk_64k_us", "one more chunk of 64 KiB, µs", 1),
            Measure("busy_1k_percent", "the environment is busy, 1 KiB chunks, %"),
            Measure("busy_64k_percent", "the same, 64 KiB chunks, %"),
            Measure("busy_1024k_percent", "the same, 1 MiB chunks, %"),
            Measure("service_busy_1k_percent", "what plays Lambda is busy, 1 KiB chunks, %"),
            Measure("service_busy_64k_percent", "the same, 64 KiB chunks, %"),
            Measure("service_busy_1024k_percent", "the same, 1 MiB chunks, %"),
        ),
    ),
    (
        "Event streams, an event a second each",
        tuple(
            measure
            for streams in (1, 50, 200)
            for measure in (
                Measure(f"events_{streams}_p50_ms", f"{streams} streams: delay p50, ms", 2),
                Measure(f"events_{streams}_p99_ms", f"{streams} streams: delay p99, ms", 2),
                Measure(f"events_{streams}_cpu_percent", f"{streams} streams: CPU, %", 1),
            )
        ),
    ),
)

# What the runtime adds: title, what is measured of carriers, what of the app alone (a key of `bench.inprocess`).
OVERHEADS = (
    ("a request, plain ASGI", "cycle_plain_us", "plain"),
    ("a request, one-line stream from FastAPI", "cycle_line_us", "line"),
    ("a request, small JSON from FastAPI", "cycle_json_us", "json"),
    ("a chunk of 1 KiB", "chunk_1k_us", "chunk"),
    ("a chunk of 64 KiB", "chunk_64k_us", "chunk"),
)

Samples = Mapping[str, Mapping[str, Sequence[float]]]


def document(
    carriers: Sequence[Carrier], missing: Mapping[str, str], pinned: Mapping[str, list[int]], samples: Samples
) -> dict[str, Any]:
    """Everything that a run found out, ready for JSON."""
    return {
        "machine": f"{processor()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": versions("fastapi", "starlette", "anyio"),
        "pinned": dict(pinned),
        "load_average": os.getloadavg(),
        "carriers": {carrier.name: carrier.version for carrier in carriers},
        "missing": dict(missing),
        "samples": {measure: dict(of) for measure, of in samples.items()},
    }


def tables(found: Mapping[str, Any]) -> str:
    """All of it in Markdown."""
    samples: Samples = found["samples"]
    names = list(found["carriers"])
    parts = [_conditions(found), "### Targets\n\n" + _targets(samples)]
    for title, measures in GROUPS:
        rows = [_row(measure, names, samples) for measure in measures if measure.key in samples]
        parts.append(f"### {title}\n\n" + table(["median (min to max)", *names], rows))
    parts.append("### What the runtime adds, µs\n\n" + _overheads(samples))
    return "\n\n".join(parts)


def _conditions(found: Mapping[str, Any]) -> str:
    environment, service = found["pinned"]["environment"], found["pinned"]["service"]
    lines = [
        f"{found['machine']}. Python {found['python']}, {found['packages']}.",
        f"Environments are pinned to CPU {environment}, what plays Lambda to CPU {service}.",
        f"Load average at the end: {found['load_average'][0]:.1f}.",
        "",
        *(f"- {name}: {version}" for name, version in found["carriers"].items()),
        *(f"- {name}: not measured, {why}" for name, why in found["missing"].items()),
    ]
    return "\n".join(lines)


def _targets(samples: Samples) -> str:
    """Ratios, and beside them the floor's: what it does not reach, no runtime for this app does."""
    rows = []
    for measure, limit, at_most in TARGETS:
        row = [measure.title, f"{'≤' if at_most else '≥'} {limit}"]
        for rival in RIVALS:
            ratio = _ratio(samples, measure, OURS, rival)
            met = ratio is not None and (ratio <= limit if at_most else ratio >= limit)
            row += [number(ratio, 2), "not measured" if ratio is None else "yes" if met else "**no**"]
        rows.append([*row, number(_ratio(samples, measure, FLOOR, LWA), 2)])
    compared = [title for rival in RIVALS for title in (f"/ {rival}", "met")]
    return table(["ours / LWA", "target", *compared, f"floor / {LWA}"], rows)


def _ratio(samples: Samples, measure: Measure, name: str, rival: str) -> float | None:
    ours, theirs = _median(samples, measure.key, name), _median(samples, measure.key, rival)
    return None if ours is None or theirs is None else ours / theirs


def _row(measure: Measure, names: Sequence[str], samples: Samples) -> list[str]:
    return [measure.title, *(cell(samples[measure.key].get(name, ()), measure.digits) for name in names)]


def cell(values: Sequence[float], digits: int) -> str:
    if not values:
        return "-"
    median = f"{statistics.median(values):,.{digits}f}"
    return median if len(values) == 1 else f"{median} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def _overheads(samples: Samples) -> str:
    rows = []
    for title, measure, alone in OVERHEADS:
        app, floor = _median(samples, alone, ALONE), _median(samples, measure, FLOOR)
        row = [title, number(app), number(floor)]
        for name in (OURS, *RIVALS):
            carried = _median(samples, measure, name)
            over = None if carried is None or app is None else carried - app
            row.append(number(over))
            if name == OURS:
                row.append(number(None if over is None or floor is None else over - floor))
        rows.append(row)
    others = (f"{LWA} over the app", *RIVALS[1:])
    return table(["", ALONE, FLOOR, "ours over the app", "of it over the floor", *others], rows)


def number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _median(samples: Samples, measure: str, name: str) -> float | None:
    values = samples.get(measure, {}).get(name)
    return statistics.median(values) if values else None


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [_line(head, widths), "|" + "|".join("-" * (width + 2) for width in widths) + "|"]
    return "\n".join([*lines, *(_line(row, widths) for row in rows)])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
