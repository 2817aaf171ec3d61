"""Files of 100 KB, each in one PUT: those that S3 has compared with their SHA-256, against those that the hasher reads.

The two ways take turns in one run, over one moto: the same API code, the same hashing job, the same bytes. Seconds are
those of this machine; requests are what AWS is paid for, and do not depend on it.
"""

import hashlib
import json
import logging
import os
import statistics
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from bench.cost import DYNAMODB_READ_UNIT, DYNAMODB_WRITE_UNIT, LAMBDA_GB_SECOND, LAMBDA_REQUEST, SQS_REQUEST
from bench.environment import BenchError
from bench.report import number, processor, table
from functions.api.schemas import CreateFile
from functions.api.uploads import Uploads
from local import scratch
from local.aws import make_like_aws
from local.signatures import Keys
from sluice.capabilities import Caller
from sluice.files import File, Files, Status
from sluice.hashing import Job, Options
from sluice.limits import MIB
from sluice.objects import Objects
from sluice.queue import Queue

SIZE = 100 * 1000  # bytes of a file
FILES, ROUNDS = 200, 5  # of each way in a round
QUICK_FILES, QUICK_ROUNDS = 20, 1
TOLD = 10_000  # files that the table speaks of
HASHER_GB = 3008 / 1024
OPTIONS = Options(
    digests=("sha-256", "md5"),
    part_bytes=8 * MIB,
    connections=1,
    checkpoint_seconds=1.0,
    slice_seconds=60.0,
    lease_seconds=60,
)
LOCKED, READ = "locked to its SHA-256", "read by the hasher"
REGION, BUCKET, TABLE = "eu-west-1", "bench", "bench"
PUT, GET = 0.005e-3, 0.0004e-3  # USD: https://aws.amazon.com/s3/pricing/
# A record has between 1 and 2 KB.
PRICES = {"HeadObject": GET, "GetObject": GET, "GetItem": DYNAMODB_READ_UNIT}
PRICES |= dict.fromkeys(["PutItem", "UpdateItem"], 2 * DYNAMODB_WRITE_UNIT)
# S3's event: sent, received and deleted. The hasher's request comes with it, and the time that it takes.
PER_FILE = PUT + 3 * SQS_REQUEST + LAMBDA_REQUEST


def bench(*, quick: bool, cpus: int, json_path: Path | None) -> None:
    """Measure, and print the table. `cpus` is the runtime bench's alone."""
    del cpus
    files, rounds = (QUICK_FILES, QUICK_ROUNDS) if quick else (FILES, ROUNDS)
    make_like_aws(scratch.of_this_process(), Keys("bench", "bench"))
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    try:
        samples = measured(f"http://127.0.0.1:{moto.get_host_and_port()[1]}", files, rounds)
    finally:
        moto.stop()
    print(f"{processor()}. {rounds} rounds of {files} files of {SIZE // 1000} KB each way, one after the other.\n")
    print(report(samples))
    if json_path is not None:
        json_path.write_text(json.dumps(samples, indent=1) + "\n")


def measured(endpoint: str, files: int, rounds: int) -> dict[str, Any]:
    os.environ |= {"AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": REGION, "TABLE_NAME": TABLE}
    os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "BUCKET_NAME": BUCKET}
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # or every request would be a line
    s3: Any = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    keys = [("owner", "HASH"), ("id", "RANGE")]
    dynamodb: Any = boto3.client("dynamodb")
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
    )
    way = Way(Files.connect(), Objects.connect())
    samples: dict[str, Any] = {LOCKED: [], READ: []}
    for round_ in range(rounds):
        for name in (LOCKED, READ) if round_ % 2 == 0 else (READ, LOCKED):
            samples[name].append(way.run(files, locked=name == LOCKED))
    return samples


class Way:
    """From the bytes in S3 to a `ready` file, as the functions do it."""

    def __init__(self, files: Files, objects: Objects) -> None:
        self._files, self._objects = files, objects
        self._uploads = Uploads(files, objects, Queue("http://nowhere.example"))
        self._asked: Counter[str] = Counter()
        for client in (files.connection[0], objects._client):
            client.meta.events.register("before-send", self._count)

    def _count(self, event_name: str, **_: Any) -> None:
        self._asked[event_name.rpartition(".")[2]] += 1

    def run(self, count: int, *, locked: bool) -> dict[str, Any]:
        api = hasher = 0.0
        requests: Counter[str] = Counter()
        for _ in range(count):
            file = self._sent(os.urandom(SIZE), locked=locked)
            self._asked.clear()
            begun = time.perf_counter()
            self._uploads.complete(file, None)
            completed = time.perf_counter()
            version = self._objects.head(file.key).version
            self._asked["HeadObject"] -= 1  # S3's event says it
            told = time.perf_counter()
            Job(self._files, self._objects, "bench", lambda: 600.0, OPTIONS).run(file.owner, file.id, version)
            hasher += time.perf_counter() - told
            api += completed - begun
            self._asked["GetObject"] += 1  # the reader's own, which is no call of the SDK; for the CRC-32, if locked
            requests += self._asked
            if self._files.get(file.owner, file.id).status is not Status.READY:
                raise BenchError(f"{file.id} is not ready")
        return {"api": api / count, "hasher": hasher / count, **{name: n / count for name, n in requests.items()}}

    def _sent(self, data: bytes, *, locked: bool) -> File:
        digests = {"sha-256": hashlib.sha256(data).hexdigest()} if locked else {}
        file, _ = self._uploads.begin(Caller("bench"), CreateFile(filename="a", size=len(data), digests=digests))
        (part,) = self._uploads.sign(file, [1])
        headers = {"Content-Type": "application/octet-stream"} | part["headers"]
        with urllib.request.urlopen(urllib.request.Request(part["url"], data, headers, method="PUT")):  # nosec B310  # noqa: S310
            return file


def report(samples: dict[str, Any]) -> str:
    rows = []
    for name, rounds in samples.items():
        mean = {key: statistics.median(one.get(key, 0.0) for one in rounds) for key in {*rounds[0], "GetObject"}}
        asked = {operation: mean.get(operation, 0.0) for operation in PRICES}
        cost = PER_FILE + sum(PRICES[operation] * times for operation, times in asked.items())
        cost += mean["hasher"] * HASHER_GB * LAMBDA_GB_SECOND["x86_64"]
        times = [number(1000 * mean[phase], 2) for phase in ("api", "hasher")]
        rows.append([name, *times, *(number(each) for each in asked.values()), number(TOLD * cost, 3)])
    head = ["way", "`complete`, ms", "hasher, ms", *(f"`{name}`" for name in PRICES), f"USD for {TOLD:,}"]
    return table(head, rows)
