"""An archive of 1,000 files on its way: ours against zipstream-ng and stream-zip, which read the same objects by boto3.

All take turns in one run, each in a process of its own that reads from one origin on loopback, which waits before each
answer as S3 does. `plan` is what ours needs before the first byte, and what S3's copies leave to do for a large one.
"""

import hashlib
import json
import os
import statistics
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from random import Random
from typing import Any

import boto3
import stream_zip
import zipstream
from botocore.config import Config

from bench.report import number, processor, table
from functions.stream.zipped import Zipped
from sluice import archives, copying
from sluice.archives import Archive, Member
from sluice.files import Files
from sluice.objects import Objects

FILES, QUICK_FILES, ROUNDS, QUICK_ROUNDS = 1_000, 100, 3, 1
SIZES = (10_000, 100_000)  # bytes of a file
LATENCY_SECONDS = 0.02  # of S3's first byte within a region; its documentation speaks of 100 to 200 ms
OURS, ZIPSTREAM, STREAM_ZIP = "ours", "zipstream-ng", "stream-zip"
PLANNED = 4_000, 250_000_000  # files and bytes of each: 1 TB


def body(number: int, size: int) -> bytes:
    return Random(number).randbytes(size)  # noqa: S311 - the same bytes in each process


def bench(*, quick: bool, cpus: int, json_path: Path | None) -> None:
    """Measure, and print the tables. `cpus` is the runtime bench's alone."""
    del cpus
    count, rounds = (QUICK_FILES, QUICK_ROUNDS) if quick else (FILES, ROUNDS)
    samples: dict[str, Any] = {}
    for each in SIZES:
        samples[str(each)] = measured(count, each, rounds)
    print(f"{processor()}. {rounds} rounds of {count} files; {LATENCY_SECONDS * 1000:.0f} ms to each first byte.\n")
    rows = []
    for text, ways in samples.items():
        size = int(text)
        for name, found in ways.items():
            seconds, cpu, grown, first = (statistics.median(column) for column in zip(*found, strict=True))
            rate = count * size / seconds / 1e6
            shown = [number(rate, 1), number(count / seconds), number(cpu * 1e9 / (count * size), 2)]
            rows.append([f"{size // 1000} KB, {name}", *shown, number(grown / 1e6, 1), number(first * 1000)])
    print(table(["", "MB/s", "files/s", "CPU s per GB", "memory at most, MB", "first byte, ms"], rows))
    print()
    print(planned())
    if json_path is not None:
        json_path.write_text(json.dumps(samples, indent=1) + "\n")


def planned() -> str:
    """What it takes to know all of an archive of 1 TB, and to plan its copies."""
    count, size = PLANNED
    members = [member(index, size, b"") for index in range(count)]
    begun = time.perf_counter()
    layout = archives.layout(members)
    known = time.perf_counter()
    targets = copying.plan(layout, count)
    ended = time.perf_counter()
    parts = [part for target in targets for part in target.parts]
    sent = sum(copying.size(part) for part in parts if isinstance(part, copying.Sent))
    return (
        f"{count} files of {size / 1e6:.0f} MB: size and ETag known in {(known - begun) * 1000:.0f} ms; planned in "
        f"{(ended - known) * 1000:.0f} ms: {len(parts)} parts, of which {sent / 1e9:.0f} GB pass through."
    )


def measured(count: int, size: int, rounds: int) -> dict[str, list[list[float]]]:
    samples: dict[str, list[list[float]]] = {name: [] for name in WAYS}
    context = get_context("spawn")
    told: Queue[Any] = context.Queue()
    origin = context.Process(target=serve, args=(count, size, told), daemon=True)
    origin.start()
    url = told.get()
    try:
        for round_ in range(rounds):
            names = [*WAYS]
            for name in names if round_ % 2 == 0 else reversed(names):
                one = context.Process(target=run, args=(name, url, count, size, told))
                one.start()
                samples[name].append(told.get())
                one.join()
    finally:
        origin.kill()
    return samples


def serve(count: int, size: int, told: "Queue[Any]") -> None:
    """The origin: objects by number, each answer after LATENCY_SECONDS."""
    bodies = [body(number, size) for number in range(count)]

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 20

        def do_GET(self) -> None:
            data = bodies[int(self.path.partition("?")[0].rpartition("/")[2])]
            time.sleep(LATENCY_SECONDS)
            self.send_response_only(200)
            self.send_header("ETag", '"etag"')
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        told.put(f"http://127.0.0.1:{server.server_port}")
        server.serve_forever()


def member(number: int, size: int, data: bytes) -> Member:
    sha256, crc32 = hashlib.sha256(data).hexdigest(), f"{zlib.crc32(data):08x}"
    return Member(str(number), f"folder/{number:06}.bin", size, 0, sha256, "etag", "v1", crc32)


def run(name: str, url: str, count: int, size: int, told: "Queue[Any]") -> None:
    """One archive from the first request to the last byte: seconds, CPU seconds, bytes that were added to those of the
    process, and seconds to the first byte."""
    os.environ |= {"AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": "eu-west-1", "BUCKET_NAME": "bench"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "TABLE_NAME": "bench"}
    members = [member(number, size, body(number, size)) for number in range(count)]
    Path("/proc/self/clear_refs").write_text("5")  # the most is counted from here on
    before = memory("VmRSS")
    chunks = WAYS[name](members)
    begun, cpu, first, received = time.perf_counter(), time.process_time(), 0.0, 0
    for chunk in chunks:
        first = first or (time.perf_counter() - begun if chunk else 0.0)
        received += len(chunk)
    seconds = time.perf_counter() - begun
    assert received > count * size  # nosec B101  # noqa: S101 - what came short was not measured
    told.put([seconds, time.process_time() - cpu, memory("VmHWM") - before, first])


def memory(name: str) -> float:
    """Bytes of this process, as Linux counts them under this name."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)]
    return float(line.split()[1]) * 1024


def ours(members: list[Member]) -> Iterator[bytes]:
    layout = archives.layout(members)
    archive = Archive(owner="bench", filename="a.zip", count=len(members), size=layout.size, etag=layout.etag)
    zipped = Zipped(Files.connect(), Objects.connect(), archive, members)
    return zipped.chunks(0, layout.size, lambda: 600.0)


class ByBoto3:
    """The objects as people read them: one after the other, each a stream."""

    def __init__(self) -> None:
        self._client: Any = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))

    def chunks(self, one: Member) -> Iterator[bytes]:
        yield from self._client.get_object(Bucket="bench", Key=f"files/bench/{one.file_id}")["Body"].iter_chunks(
            1 << 16
        )


def by_zipstream(members: list[Member]) -> Iterator[bytes]:
    zipped, source = zipstream.ZipStream(), ByBoto3()
    for one in members:
        zipped.add(source.chunks(one), one.path)
    return iter(zipped)


def by_stream_zip(members: list[Member]) -> Iterator[bytes]:
    moment = datetime(2026, 11, 29, tzinfo=UTC)
    source, stored = ByBoto3(), stream_zip.NO_COMPRESSION_32
    return iter(
        stream_zip.stream_zip(
            (one.path, moment, 0o644, stored(one.size, int(one.crc32 or "", 16)), source.chunks(one)) for one in members
        )
    )


WAYS: dict[str, Callable[[list[Member]], Iterator[bytes]]] = {
    OURS: ours,
    ZIPSTREAM: by_zipstream,
    STREAM_ZIP: by_stream_zip,
}
