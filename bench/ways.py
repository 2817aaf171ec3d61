"""One way to read an object and hash it, in a process of its own: `python -m bench.ways WAY TASK`, the task as JSON.

The clocks run around reading and hashing alone: not around imports, clients, or the start of a server. What they and
`/proc` showed goes to stdout as JSON. Each way imports what it uses, because imports are memory.
"""

import hashlib
import json
import mmap
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

MIB = 1024 * 1024
BUCKET = "bench"
# Seconds between two looks at the memory of a program that is not ours to ask.
LOOK_EVERY = 0.02
CHUNK = MIB

# RFC 9530's names, as Sluice has them, and those of hashlib and openssl.
NAMES = {"sha-256": "sha256", "md5": "md5"}

Digested = dict[str, str]


@dataclass(frozen=True)
class Task:
    """What to read, and what to make of it."""

    url: str
    """Scheme, host and port of the origin."""
    key: str
    size: int
    file: str
    """The same object as a file, in the page cache."""
    certificate: str
    digests: tuple[str, ...]
    connections: int = 1
    part_bytes: int = 8 * MIB

    def new_hash(self) -> Any:
        return hashlib.new(NAMES[self.digests[0]], usedforsecurity=False)

    def digested(self, found: Any) -> Digested:
        return {self.digests[0]: found.hexdigest()}


class Outcome(NamedTuple):
    """What one process reports of itself; other programs that it started are in it."""

    digests: Digested
    seconds: float
    cpu_seconds: float
    base_bytes: int
    """RSS before the work: imports and, as a Lambda function makes them when it is imported, clients."""
    peak_bytes: int


class Programs:
    """Other programs' shares of CPU time and memory."""

    def __init__(self) -> None:
        self.cpu_seconds = 0.0
        self.peak_bytes = 0

    @contextmanager
    def watch(self, *processes: subprocess.Popen[bytes]) -> Iterator[None]:
        """Add up the peaks of these, which the block starts to wait for and the caller ends."""
        peaks = dict.fromkeys((process.pid for process in processes), 0)
        done = threading.Event()

        def look() -> None:
            while not done.wait(LOOK_EVERY):
                for pid in peaks:
                    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
                        peaks[pid] = _memory("VmHWM:", pid) or peaks[pid]

        looking = threading.Thread(target=look)
        looking.start()
        try:
            yield
        finally:
            done.set()
            looking.join()
            self.peak_bytes += sum(peaks.values())


Way = Callable[[Task, Programs], Callable[[], Digested]]


def ours(task: Task, _: Programs) -> Callable[[], Digested]:
    """As the job does it, but for the record: states are taken at every checkpoint, and written nowhere."""
    from sluice.digests import Digests  # noqa: PLC0415
    from sluice.objects import Objects  # noqa: PLC0415
    from sluice.reader import read  # noqa: PLC0415

    objects = Objects.connect()

    def work() -> Digested:
        version = objects.head(task.key).version
        written = time.monotonic()
        with (
            Digests(task.digests) as digests,
            read(objects, version, part_bytes=task.part_bytes, connections=task.connections) as buffers,
        ):
            for buffer in buffers:
                digests.update(buffer)
                if time.monotonic() - written >= 1:
                    digests.states()
                    written = time.monotonic()
            if digests.offset != task.size:
                raise RuntimeError(f"{digests.offset} bytes came, not {task.size}")
            return digests.hexdigests()

    return work


def bare(task: Task, _: Programs) -> Callable[[], Digested]:
    """The hash alone, over the same bytes in memory."""
    with Path(task.file).open("rb") as file:
        # Populated: without page faults while the clock runs.
        held = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, prot=mmap.PROT_READ)

    def work() -> Digested:
        hashed = task.new_hash()
        hashed.update(held)
        return task.digested(hashed)

    return work


def openssl(task: Task, programs: Programs) -> Callable[[], Digested]:
    """`openssl dgst` of the file."""
    name = task.digests[0]

    def work() -> Digested:
        command = ["openssl", "dgst", f"-{NAMES[name]}", "-r", task.file]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process, programs.watch(process):
            return {name: _first_word(process)}

    return work


def curl_openssl(task: Task, programs: Programs) -> Callable[[], Digested]:
    """`curl | openssl dgst`."""
    name = task.digests[0]

    def work() -> Digested:
        command = ["openssl", "dgst", f"-{NAMES[name]}", "-r"]
        with (
            subprocess.Popen(_curl(task), stdout=subprocess.PIPE) as fetch,
            subprocess.Popen(command, stdin=fetch.stdout, stdout=subprocess.PIPE) as digest,
            programs.watch(fetch, digest),
        ):
            return {name: _first_word(digest)}

    return work


def curl(task: Task, programs: Programs) -> Callable[[], Digested]:
    """Reading without hashing, by as many as there are connections, part by part as ours: what the origin gives."""
    parts = [f"{at}-{at + task.part_bytes - 1}" for at in range(0, task.size, task.part_bytes)]

    def work() -> Digested:
        with ExitStack() as running:
            processes = []
            for number in range(task.connections):
                mine = parts[number :: task.connections] if task.connections > 1 else ["0-"]
                processes.append(running.enter_context(subprocess.Popen(_curl(task, *mine), stdout=subprocess.DEVNULL)))
            running.enter_context(programs.watch(*processes))
            if any(process.wait() for process in processes):
                raise RuntimeError("curl failed")
        return {}

    return work


def iter_chunks(task: Task, _: Programs) -> Callable[[], Digested]:
    """boto3's body, chunk by chunk."""
    client = _client()

    def work() -> Digested:
        body = client.get_object(Bucket=BUCKET, Key=task.key)["Body"]
        return task.digested(_hash(task, body.iter_chunks(CHUNK)))

    return work


def download_fileobj(task: Task, _: Programs) -> Callable[[], Digested]:
    """boto3's transfer manager, into a file object that hashes what is written to it."""
    client = _client()

    class Sink:
        def __init__(self) -> None:
            self.hashed = task.new_hash()

        def write(self, data: bytes) -> int:
            self.hashed.update(data)
            return len(data)

    def work() -> Digested:
        sink = Sink()
        client.download_fileobj(BUCKET, task.key, sink)
        return task.digested(sink.hashed)

    return work


def smart_open(task: Task, _: Programs) -> Callable[[], Digested]:
    """smart_open's file of an S3 object."""
    library: Any = import_module("smart_open")
    client = _client()

    def work() -> Digested:
        with library.open(f"s3://{BUCKET}/{task.key}", "rb", transport_params={"client": client}) as file:
            return task.digested(_hash(task, iter(lambda: file.read(CHUNK), b"")))

    return work


def powertools(task: Task, _: Programs) -> Callable[[], Digested]:
    """Powertools' file of an S3 object."""
    from aws_lambda_powertools.utilities.streaming.s3_object import S3Object  # noqa: PLC0415

    client = _client()

    def work() -> Digested:
        with S3Object(bucket=BUCKET, key=task.key, boto3_client=client) as file:
            return task.digested(_hash(task, iter(lambda: file.read(CHUNK), b"")))

    return work


def go(task: Task, programs: Programs) -> Callable[[], Digested]:
    """The object posted by curl to the server in Go, whose CPU time and memory it is."""
    server = subprocess.Popen([os.environ["BENCH_MD5SERVER"]], stdout=subprocess.PIPE)
    address = first_line(server)

    def work() -> Digested:
        command = ["curl", "--silent", "--fail", "--request", "POST", "--header", "Expect:", "--upload-file", task.file]
        try:
            with programs.watch(server):
                before = _scheduled(server.pid)
                posted = subprocess.run([*command, f"http://{address}/"], check=True, stdout=subprocess.PIPE)
                programs.cpu_seconds += _scheduled(server.pid) - before
        finally:
            server.kill()
        return {"md5": posted.stdout.decode()}

    return work


# `bench.hashing` says which of them are measured where.
WAYS: dict[str, Way] = {
    way.__name__: way
    for way in (
        *(ours, bare, openssl, curl, curl_openssl),
        *(iter_chunks, download_fileobj, smart_open, powertools, go),
    )
}  # fmt: skip


def run(way: str, task: Task) -> Outcome:
    programs = Programs()
    work = WAYS[way](task, programs)
    base = _memory("VmRSS:")
    begun, cpu = time.monotonic(), time.process_time()
    digests = work()
    seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
    if programs.peak_bytes:  # then this process only watches
        return Outcome(digests, seconds, programs.cpu_seconds or _children_cpu_seconds(), 0, programs.peak_bytes)
    return Outcome(digests, seconds, cpu, base, _memory("VmHWM:"))


def _hash(task: Task, chunks: Iterable[bytes]) -> Any:
    hashed = task.new_hash()
    for chunk in chunks:
        hashed.update(chunk)
    return hashed


def _client() -> Any:
    import boto3  # noqa: PLC0415

    return boto3.client("s3")


def _curl(task: Task, *ranges: str) -> list[str]:
    """A curl that writes these bytes, one range after the other over one connection; without any, the whole object."""
    fetch = ["--silent", "--fail", "--cacert", task.certificate, f"{task.url}/{BUCKET}/{task.key}"]
    if not ranges:
        return ["curl", *fetch]
    each = (["--next", "--range", one, *fetch] for one in ranges)
    return ["curl", *islice(chain.from_iterable(each), 1, None)]  # not before the first


def _first_word(process: subprocess.Popen[bytes]) -> str:
    said, _ = process.communicate()
    return said.decode().split()[0]


def _memory(name: str, pid: int | str = "self") -> int:
    """Bytes; 0 of a process that has ended and was not waited for."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


def _children_cpu_seconds() -> float:
    """Of the programs that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _scheduled(pid: int) -> float:
    """CPU time of all threads of another process so far, in seconds."""
    accounts = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(account.read_text().split()[0]) for account in accounts) / 1e9


def first_line(process: subprocess.Popen[bytes]) -> str:
    """What a server says of where it listens."""
    if process.stdout is None:
        raise ValueError("its output is not piped")
    return process.stdout.readline().decode().strip()


def as_arguments(way: str, task: Task) -> list[str]:
    return [way, json.dumps(asdict(task))]


if __name__ == "__main__":
    told = json.loads(sys.argv[2])
    told["digests"] = tuple(told["digests"])
    print(json.dumps(run(sys.argv[1], Task(**told))._asdict()))
