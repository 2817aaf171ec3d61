"""Reading an object and hashing it, against what people use for that: what is measured, and how.

Every row is a process of its own. They take turns in every round (A B C, A B C), so that whatever else the machine does
meanwhile hits all of them.
"""

import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from bench import hashing_report as report
from bench.carriers import ROOT
from bench.environment import BenchError
from bench.hashing_report import BOTH, MD5, SHA
from bench.origin import LIMITED, PLAIN, TLS, Origin
from bench.runtime import say
from bench.simulated import pieces
from bench.ways import BUCKET, MIB, NAMES, Outcome, Task, as_arguments, first_line

GIB = 1024 * MIB
# Seconds for one row; a healthy one takes less than a minute.
PATIENCE = 300.0
# Bytes of the object whose digests are checked before anything is timed: its last part is a short one.
CHECKED = 32 * MIB + 4321
# In a process of its own: seconds of an import, of what a Lambda function pays for in its cold start. X-Ray's SDK
# imports and patches whatever it finds, so nothing may be found that Lambda would not find.
TIMED = """\
import sys, time
sys.modules.update(dict.fromkeys({hidden}))
begun = time.perf_counter()
{statement}
print(time.perf_counter() - begun)
"""
LAYER_REQUIREMENTS = ROOT / "layers" / "core" / "requirements.txt"
IMPORT = "import functions.hasher.app"
# The services that the import makes clients of.
CLIENTS = f"""\
from botocore.session import Session
create = Session.create_client
def noted(session, name, *more, **named):
    print(name)
    return create(session, name, *more, **named)
Session.create_client = noted
{IMPORT}
"""


@dataclass(frozen=True)
class Row:
    """One way with its arguments."""

    name: str
    way: str
    digests: tuple[str, ...] = SHA
    connections: int = 1
    python: bool = True
    parallel: bool = False
    """It reads by several connections."""
    missing: str | None = None


@dataclass(frozen=True)
class Plan:
    """How much of everything, in bytes and in turns."""

    size: int
    limited: int
    """The object for limited connections, of which a large one would take minutes."""
    single: int
    """The same, for one of them."""
    simulated: int
    rounds: int
    limited_rounds: int
    imports: int


FULL = Plan(size=2 * GIB, limited=GIB, single=128 * MIB, simulated=64 * GIB, rounds=3, limited_rounds=2, imports=11)
QUICK = Plan(
    size=256 * MIB, limited=256 * MIB, single=64 * MIB, simulated=2 * GIB, rounds=2, limited_rounds=1, imports=3
)


def ours(digests: tuple[str, ...], connections: int) -> Row:
    return Row(report.ours(digests, connections), "ours", digests, connections, parallel=connections > 1)


def served(connections: int) -> Row:
    missing = None if shutil.which("curl") else "no curl here: `apt install curl`"
    name, parallel = report.served(connections), connections > 1
    return Row(name, "curl", (), connections, python=False, parallel=parallel, missing=missing)


def rivals() -> list[Row]:
    """What else reads and hashes, sha-256 where it can be chosen."""
    no_smart_open = None if util.find_spec("smart_open") else "no smart_open here (dependency group `bench`)"
    no_powertools = None if util.find_spec("aws_lambda_powertools") else "no aws-lambda-powertools here (group `layer`)"
    no_curl = None if shutil.which("curl") else "no curl here: `apt install curl`"
    return [
        Row("boto3 `iter_chunks(1 MiB)`", "iter_chunks"),
        Row("boto3 `download_fileobj`", "download_fileobj", parallel=True),
        Row("smart_open", "smart_open", missing=no_smart_open),
        Row("Powertools `S3Object`", "powertools", missing=no_powertools),
        Row("`curl \\| openssl dgst`", "curl_openssl", python=False, missing=no_curl),
    ]


def places() -> dict[str, list[Row]]:
    """What is measured where."""
    no_curl = None if shutil.which("curl") else "no curl here: `apt install curl`"
    no_go = no_curl or (
        None if shutil.which("go") else "no go here, which builds bench/md5server.go: https://go.dev/dl"
    )
    theirs = rivals()
    return {
        PLAIN: [
            *(Row(report.bare(name), "bare", (name,)) for name in BOTH),
            *(Row(report.openssl(name), "openssl", (name,), python=False) for name in BOTH),
            *(ours(digests, connections) for digests in (SHA, BOTH) for connections in (1, 4)),
            ours(MD5, 1),
            *theirs,
            Row(report.GO, "go", MD5, python=False, missing=no_go),
            served(1),
        ],
        TLS: [
            *(ours(digests, connections) for digests in (SHA, BOTH) for connections in (1, 4)),
            *theirs,
            served(1),
        ],
        LIMITED: [
            *(ours(digests, connections) for digests in (SHA, BOTH) for connections in (1, 4, 8)),
            *theirs,
            *(served(connections) for connections in (1, 4, 8)),
        ],
    }


def bench(*, quick: bool, cpus: int, json_path: Path | None) -> None:
    """Measure, print the tables, and write the samples. Raises `BenchError`. `cpus` is the runtime bench's alone."""
    del cpus
    measured = _Bench(QUICK if quick else FULL)
    measured.run()
    found = report.Found(
        sizes={
            PLAIN: measured.plan.size,
            TLS: measured.plan.size,
            LIMITED: measured.plan.limited,
            report.SIMULATED: measured.plan.simulated,
        },
        single=measured.plan.single,
        rows={place: [row.name for row in rows] for place, rows in measured.rows.items()},
        rivals=[row.name for row in rivals() if not row.missing],
        python=[row.name for row in rivals() if row.python and not row.missing],
        missing=measured.missing,
        samples=measured.samples,
        imports=measured.imports,
        others=measured.others,
    )
    print(report.tables(found))
    if json_path is not None:
        json_path.write_text(json.dumps(report.document(found), indent=1) + "\n")


class _Bench:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        everything = places()
        self.missing = {row.name: row.missing for rows in everything.values() for row in rows if row.missing}
        self.rows = {place: [row for row in rows if not row.missing] for place, rows in everything.items()}
        self.samples: report.Samples = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
        self.imports: dict[str, list[float]] = defaultdict(list)
        self.others: list[float] = []
        self._expected: dict[tuple[int, str], str] = {}
        self._variables: dict[str, str] = {}

    def run(self) -> None:
        with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
            self._variables = variables(Path(folder))
            self._build(Path(folder) / "md5server")
            with Origin(*{CHECKED, self.plan.single, self.plan.limited, self.plan.size}) as origin:
                self._variables |= {"AWS_CA_BUNDLE": str(origin.certificate), "SSL_CERT_FILE": str(origin.certificate)}
                self._origin = origin
                self._digest_files()
                self._check()
                for number in range(self.plan.rounds):
                    self._round(PLAIN, number)
                    self._round(TLS, number)
                    if number < self.plan.limited_rounds:
                        self._round(LIMITED, number)
            self._simulated()
            self._imports()

    def _build(self, server: Path) -> None:
        """The server in Go, where there is one."""
        if report.GO in self.missing:
            return
        say("building bench/md5server.go")
        command = ["go", "build", "-o", str(server), "bench/md5server.go"]
        subprocess.run(command, cwd=ROOT, check=True)
        self._variables["BENCH_MD5SERVER"] = str(server)

    def _digest_files(self) -> None:
        say("writing the objects and hashing them")
        wanted = [(size, name) for size in self._origin.sizes for name in NAMES]
        with ThreadPoolExecutor(2) as threads:
            self._expected = dict(zip(wanted, threads.map(self._digest_file, wanted), strict=True))

    def _digest_file(self, wanted: tuple[int, str]) -> str:
        size, name = wanted
        with self._origin.file(size).open("rb") as file:
            return hashlib.file_digest(file, NAMES[name]).hexdigest()

    def _check(self) -> None:
        """What is timed later is right. Also leaves the .pyc files and a warm page cache."""
        for place, rows in self.rows.items():
            say(f"checking the digests, {place}")
            for row in rows:
                self._measure(place, row, CHECKED)

    def _round(self, place: str, number: int) -> None:
        say(f"round {number + 1}, {place}")
        several = self.plan.limited if place == LIMITED else self.plan.size
        one = self.plan.single if place == LIMITED else self.plan.size
        for row in self.rows[place]:
            self._note(place, row, *self._measure(place, row, several if row.parallel else one))

    def _measure(self, place: str, row: Row, size: int) -> tuple[Outcome, float, int]:
        """What the row's process says, and nginx's CPU seconds meanwhile, for these bytes. Raises `BenchError`."""
        task = Task(
            url=self._origin.urls[place],
            key=self._origin.key(size),
            size=size,
            file=str(self._origin.file(size)),
            certificate=str(self._origin.certificate),
            digests=row.digests,
            connections=row.connections,
        )
        served, machine, here = self._origin.cpu_seconds(), machine_cpu_seconds(), own_cpu_seconds()
        begun = time.monotonic()
        outcome = self._run(row, task)
        served, here = self._origin.cpu_seconds() - served, own_cpu_seconds() - here
        others = machine_cpu_seconds() - machine - served - here
        self.others.append(others / (time.monotonic() - begun) / report.cpus() * 100)
        wrong = [name for name, digest in outcome.digests.items() if digest != self._expected[size, name]]
        if wrong or set(outcome.digests) != set(row.digests):
            raise BenchError(f"{row.name}, {place}: not the object's digests, but {outcome.digests}")
        return outcome, served, size

    def _run(self, row: Row, task: Task) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "bench.ways", *as_arguments(row.way, task)],
            cwd=ROOT,
            env=self._variables | {"AWS_ENDPOINT_URL_S3": task.url},
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        if done.returncode != 0:
            raise BenchError(f"{row.name}, {task.url}: it failed. It printed:\n{done.stderr}")
        return Outcome(**json.loads(done.stdout))

    def _note(self, place: str, row: Row, outcome: Outcome, served: float, size: int) -> None:
        of = self.samples[place][row.name]
        of["mb_per_s"].append(size / 1e6 / outcome.seconds)
        of["cpu_s_per_gb"].append(outcome.cpu_seconds / (size / 1e9))
        of["served_cpu_s_per_gb"].append(served / (size / 1e9))
        of["busy_percent"].append((outcome.cpu_seconds + served) / outcome.seconds / report.cpus() * 100)
        of["peak_mb"].append(outcome.peak_bytes / 1e6)
        if outcome.base_bytes:
            of["beyond_mb"].append((outcome.peak_bytes - outcome.base_bytes) / 1e6)

    def _simulated(self) -> None:
        """One small object and one that no disk here would hold: memory must not tell them apart."""
        row = ours(SHA, 4)
        with simulated(self._variables) as url:
            for size in (64 * MIB, self.plan.simulated):
                say(f"{size // MIB:,} MiB that are nowhere")
                task = Task(url, f"object-{size}", size, "", "", row.digests, row.connections)
                outcome = self._run(row, task)
                if size <= 2 * GIB and outcome.digests[SHA[0]] != digest_of(size):
                    raise BenchError(f"{row.name}: not the digest of {size} simulated bytes")
                self._note(report.SIMULATED, Row(report.bytes_of(size), row.way), outcome, 0, size)

    def _imports(self) -> None:
        say("imports")
        services = self._python(CLIENTS).split()  # and writes the .pyc files
        statements = {
            report.IMPORT_OURS: IMPORT,
            report.IMPORT_BOTO3: f"import boto3\nfor name in {services}: boto3.client(name)",
        }
        hidden = not_in_the_layer()
        for _ in range(self.plan.imports):
            for name, statement in statements.items():
                program = TIMED.format(hidden=hidden, statement=statement)
                self.imports[name].append(float(self._python(program)) * 1e3)

    def _python(self, program: str) -> str:
        """What it prints, in a process of its own. Raises `BenchError`."""
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=ROOT, env=self._variables, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(f"the import failed. It printed:\n{done.stderr}")
        return done.stdout


def not_in_the_layer() -> list[str]:
    """The top-level modules of this environment that the core layer does not bring."""
    lines = LAYER_REQUIREMENTS.read_text().splitlines()
    brought = {normal(line.partition("==")[0]) for line in lines if "==" in line}
    found = metadata.packages_distributions()
    return sorted(module for module, of in found.items() if brought.isdisjoint(map(normal, of)))


def normal(name: str) -> str:
    """A distribution's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def machine_cpu_seconds() -> float:
    """CPU time that somebody had of this machine so far, another guest of its host included."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split()[1:9]]
    idle, waiting = fields[3:5]
    return (sum(fields) - idle - waiting) / os.sysconf("SC_CLK_TCK")


def own_cpu_seconds() -> float:
    """Of this process and of those that it waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + used.ru_utime + used.ru_stime


def variables(home: Path) -> dict[str, str]:
    """What Lambda sets, where the packages are, and no credentials or settings of a person."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "layers" / "core")]),
        "HOME": str(home),
        "LAMBDA_TASK_ROOT": str(ROOT),
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_EC2_METADATA_DISABLED": "true",
        "BUCKET_NAME": BUCKET,
        "TABLE_NAME": "bench",
        "QUEUE_URL": "http://127.0.0.1/queue",
        "POWERTOOLS_METRICS_NAMESPACE": "Sluice",
        "POWERTOOLS_SERVICE_NAME": "hasher",
    }


@contextmanager
def simulated(variables: dict[str, str]) -> Iterator[str]:
    """The URL of a server that makes up its bytes."""
    with ExitStack() as stack:
        command: Sequence[str] = [sys.executable, "-m", "bench.simulated"]
        server = stack.enter_context(subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE))
        stack.callback(server.terminate)
        yield f"http://127.0.0.1:{first_line(server)}"


def digest_of(size: int) -> str:
    """The SHA-256 of a simulated object."""
    hashed = hashlib.sha256()
    for piece in pieces(0, size):
        hashed.update(piece)
    return hashed.hexdigest()
