"""The hashing bench's tables: what it aims at first, then every row, then what a terabyte costs."""

import math
import os
import platform
import ssl
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench import cost
from bench.carriers import versions
from bench.origin import CIPHERS, LIMIT, LIMITED, PLAIN, TLS, nginx_version
from bench.report import cell, number, processor, table

SIMULATED = "simulated"
GO = "12 lines of Go, posted to"
IMPORT_OURS, IMPORT_BOTO3 = "`import functions.hasher.app`", "`import boto3`, the same clients"
SHA, BOTH, MD5 = ("sha-256",), ("sha-256", "md5"), ("md5",)

# By place, row and measure.
Samples = dict[str, dict[str, dict[str, list[float]]]]

# Times the bare hash.
LEAST_RATE = 0.95
MOST_CPU = 1.45
# Times what N connections give to N `curl`s that do not hash.
LEAST_OF_LIMIT = 0.95
# MB (10^6 bytes, less than MiB) beyond the imports, with 4 connections and parts of 8 MiB.
MOST_MEMORY = 64
# Times `import boto3` and the same clients.
MOST_IMPORT = 1.15

COLUMNS = (
    ("mb_per_s", "MB/s", 0),
    ("cpu_s_per_gb", "CPU s per GB", 2),
    ("served_cpu_s_per_gb", "nginx: CPU s per GB", 2),
    ("busy_percent", "all CPUs busy, %", 0),
    ("peak_mb", "peak RSS, MB", 1),
    ("beyond_mb", "beyond the imports, MB", 1),
)


@dataclass(frozen=True)
class Found:
    """Everything that a run found out."""

    sizes: Mapping[str, int]
    single: int
    rows: Mapping[str, Sequence[str]]
    rivals: Sequence[str]
    """Those that can choose their digest."""
    python: Sequence[str]
    """Those of them that are Python."""
    missing: Mapping[str, str]
    samples: Samples
    imports: Mapping[str, Sequence[float]]
    others: Sequence[float]
    """What everything else took of all CPUs while a row was measured, in percent."""

    def median(self, place: str, row: str, measure: str) -> float | None:
        values = self.samples.get(place, {}).get(row, {}).get(measure)
        return statistics.median(values) if values else None


def ours(digests: Sequence[str], connections: int) -> str:
    return f"ours, {' + '.join(digests)}, N = {connections}"


def bare(name: str) -> str:
    return f"bare {name}, in memory"


def openssl(name: str) -> str:
    return f"`openssl dgst`, {name}, a file"


def served(connections: int) -> str:
    return "`curl`, no hash" if connections == 1 else f"{connections} x `curl` by parts, no hash"


def bytes_of(size: int) -> str:
    return f"{size // 2**30:,} GiB" if size >= 2**30 else f"{size // 2**20} MiB"


def cpus() -> int:
    return len(os.sched_getaffinity(0))


def document(found: Found) -> dict[str, Any]:
    """Everything, ready for JSON."""
    return _machine() | vars(found)


def tables(found: Found) -> str:
    """All of it in Markdown."""
    parts = [
        _conditions(found),
        f"### Target: at least {LEAST_RATE} of the bare hash's rate, at most {MOST_CPU} of its CPU seconds",
        _against_the_hash(found),
        "### Target: at least as fast as each of the others, with less memory than each Python one",
        _against_rivals(found),
        f"### Target: at least {LEAST_OF_LIMIT} of N limited connections",
        _of_the_limit(found),
        f"### Target: less than {MOST_MEMORY} MB beyond the imports, N = 4 x 8 MiB",
        _memory(found),
        f"### Target: an import of at most {MOST_IMPORT} of boto3's with the same clients",
        _imports(found),
    ]
    for place, rows in found.rows.items():
        parts += [f"### {place}, {bytes_of(found.sizes[place])}", _rows(found, place, rows)]
    parts += ["### A terabyte on Lambda", _cost(found), "### A watcher", cost.watching()]
    return "\n\n".join([*parts, "### The worst holder of a link", cost.worst()])


def _machine() -> dict[str, Any]:
    return {
        "machine": f"{processor()}, {cpus()} CPUs, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "nginx": nginx_version(),
        "packages": versions("boto3", "awscrt", "smart-open", "aws-lambda-powertools"),
        "load_average": os.getloadavg(),
    }


def _conditions(found: Found) -> str:
    machine = _machine()
    missing = "".join(f"\n- {name}: not measured, {why}" for name, why in found.missing.items())
    return f"""\
{machine["machine"]}. Python {machine["python"]}, {machine["openssl"]}, {machine["nginx"]}, {machine["packages"]}.
Everything else on the machine took {number(statistics.median(found.others), 0)} % of the CPUs meanwhile, and
{number(max(found.others), 0)} % while the unluckiest row was measured: with more than a few, do not quote anything.

The {cpus()} CPUs are shared by what is measured and by nginx, and nothing is pinned. With both digests, or under TLS,
there is more to do than two CPUs can do at once: *all CPUs busy* near 100 % says that this was the limit. TLS is 1.3
with {CIPHERS}. A limited connection has about {LIMIT / 1e6:,.0f} MB/s, less what nginx's timers
take, which is what the `curl`s show; ways that read by a single one read {bytes_of(found.single)}.
Simulated objects of more than 2 GiB are not checked by digest; everything else is.
{missing}""".rstrip()


def _against_the_hash(found: Found) -> str:
    """Of several digests: the rate against the slowest alone, the CPU seconds against all of them."""
    rows = []
    for digests in (SHA, BOTH):
        for connections in (1, 4):
            name, cells = ours(digests, connections), []
            for place in (PLAIN, TLS):
                rate = _ratio(found.median(place, name, "mb_per_s"), _bare_rate(found, digests))
                cpu = _ratio(found.median(place, name, "cpu_s_per_gb"), _bare_cpu(found, digests))
                cells += [_at_least(rate, LEAST_RATE), _at_most(cpu, MOST_CPU)]
            rows.append([name, *cells])
    return table(["", *(f"{place}, {what}" for place in (PLAIN, TLS) for what in ("MB/s", "CPU s"))], rows)


def _against_rivals(found: Found) -> str:
    """Our figures by theirs. Theirs are of sha-256, as ours beside them; Go's are of md5, as ours beside it."""
    seen = ((PLAIN, 1), (PLAIN, 4), (TLS, 1), (TLS, 4), (LIMITED, 8))
    rows = []
    for rival in found.rivals:
        rates = [
            _ratio(found.median(place, ours(SHA, connections), "mb_per_s"), found.median(place, rival, "mb_per_s"))
            for place, connections in seen
        ]
        peaks = [
            _ratio(found.median(PLAIN, ours(SHA, connections), "peak_mb"), found.median(PLAIN, rival, "peak_mb"))
            for connections in (1, 4)
        ]
        judged = [_at_most(peak, 1) if rival in found.python else number(peak, 2) for peak in peaks]
        rows.append([rival, *(_at_least(rate, 1) for rate in rates), *judged])
    go = _ratio(found.median(PLAIN, ours(MD5, 1), "mb_per_s"), found.median(PLAIN, GO, "mb_per_s"))
    rows.append([GO, _at_least(go, 1), *["-"] * (len(seen) + 1)])
    head = ["ours / theirs", *(f"{place}, N = {connections}: MB/s" for place, connections in seen)]
    return table([*head, "N = 1: peak RSS", "N = 4: peak RSS"], rows)


def _of_the_limit(found: Found) -> str:
    """Against as many `curl`s, or the slower digest where that is less; and against N times the limit."""
    rows = []
    for digests in (SHA, BOTH):
        bare_rate = _bare_rate(found, digests) or math.inf
        for connections in (1, 4, 8):
            limit = min(connections * LIMIT / 1e6, bare_rate)
            given = min(found.median(LIMITED, served(connections), "mb_per_s") or limit, bare_rate)
            rate = found.median(LIMITED, ours(digests, connections), "mb_per_s")
            judged = _at_least(_ratio(rate, given), LEAST_OF_LIMIT)
            of_limit = _at_least(_ratio(rate, limit), LEAST_OF_LIMIT)
            rows.append([ours(digests, connections), number(rate, 0), number(given, 0), judged, of_limit])
    return table(["", "MB/s", "N x `curl`, or the hash alone", "ratio", "of N x the limit, or the hash alone"], rows)


def _memory(found: Found) -> str:
    seen = [(PLAIN, ours(SHA, 4)), (PLAIN, ours(BOTH, 4)), (TLS, ours(BOTH, 4))]
    seen += [(SIMULATED, row) for row in found.samples.get(SIMULATED, {})]
    rows = []
    for place, row in seen:
        beyond = found.median(place, row, "beyond_mb")
        size = "" if place == SIMULATED else f", {bytes_of(found.sizes[place])}"
        peak, rate = found.median(place, row, "peak_mb"), found.median(place, row, "mb_per_s")
        rows.append([f"{place}, {row}{size}", number(peak), _at_most(beyond, MOST_MEMORY, 1), number(rate, 0)])
    return table(["", "peak RSS, MB", "beyond the imports, MB", "MB/s"], rows)


def _imports(found: Found) -> str:
    base = _median(found.imports.get(IMPORT_BOTO3))
    rows = [
        [name, cell(values, 0), "-" if name == IMPORT_BOTO3 else _at_most(_ratio(_median(values), base), MOST_IMPORT)]
        for name, values in found.imports.items()
    ]
    return table(["median (min to max)", "ms", f"/ {IMPORT_BOTO3}"], rows)


def _rows(found: Found, place: str, rows: Sequence[str]) -> str:
    lines = []
    for row in rows:
        of = found.samples.get(place, {}).get(row, {})
        lines.append([row, *(cell(of.get(measure, ()), digits) for measure, _, digits in COLUMNS)])
    return table(["median (min to max)", *(title for _, title, _ in COLUMNS)], lines)


def _cost(found: Found) -> str:
    row = ours(BOTH, 4)
    cpu, rate = found.median(TLS, row, "cpu_s_per_gb"), found.median(TLS, row, "mb_per_s")
    slowest = found.median(PLAIN, bare("md5"), "cpu_s_per_gb")
    if cpu is None or rate is None or slowest is None:
        return "Not modelled: nothing was measured."
    return cost.tables(cpu, slowest, rate)


def _bare_rate(found: Found, digests: Sequence[str]) -> float | None:
    """Of the slowest of them."""
    rates = [found.median(PLAIN, bare(name), "mb_per_s") for name in digests]
    return min((rate for rate in rates if rate is not None), default=None)


def _bare_cpu(found: Found, digests: Sequence[str]) -> float | None:
    """Of all of them together."""
    return sum(found.median(PLAIN, bare(name), "cpu_s_per_gb") or 0 for name in digests) or None


def _median(values: Sequence[float] | None) -> float | None:
    return statistics.median(values) if values else None


def _ratio(value: float | None, other: float | None) -> float | None:
    return None if value is None or not other else value / other


def _at_least(value: float | None, limit: float, digits: int = 2) -> str:
    return _judged(value, value is not None and value >= limit, digits)


def _at_most(value: float | None, limit: float, digits: int = 2) -> str:
    return _judged(value, value is not None and value <= limit, digits)


def _judged(value: float | None, met: bool, digits: int) -> str:
    return "-" if value is None else f"{number(value, digits)} {'yes' if met else '**no**'}"
