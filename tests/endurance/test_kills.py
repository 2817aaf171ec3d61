"""The hasher's own process, killed again and again over one file of 300 MB."""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Condition
from typing import Any

import boto3
import pytest

from local.runtime_api import EnvironmentGone, Invocation, RuntimeApi
from sluice.files import ENDED, File, Status
from sluice.limits import KIB, MIB
from tests.integration.proxy import Answer, Exchange
from tests.integration.world import BUCKET, KEYS, REGION, TABLE, TEMPLATE, World, content, ready, world
from tests.unit.core.records import a_file

pytestmark = pytest.mark.anyio

ROOT = TEMPLATE.parent
SIZE = 300_000_000
KILLS = 10
# What may be read twice, of all bytes: what was under way when a process died, and was in no checkpoint yet.
READ_TWICE = 0.05
# Bytes a second. What is lost with a process is what came since its last checkpoint, and moto and the proxy take some
# 20 ms for one: at this pace that is a megabyte.
PACE = 40_000_000
PIECE = 128 * KIB
ESTABLISHED = "01"
ETAG = "0123456789abcdef0123456789abcdef"
VARIABLES = {
    "TABLE_NAME": TABLE,
    "BUCKET_NAME": BUCKET,
    "READ_CONNECTIONS": "1",
    "READ_PART_BYTES": str(128 * KIB),
    "CHECKPOINT_SECONDS": "0.01",
    "LEASE_SECONDS": "1",
    "POWERTOOLS_METRICS_NAMESPACE": "Sluice",
    "POWERTOOLS_SERVICE_NAME": "hasher",
    "AWS_XRAY_SDK_ENABLED": "false",
    "POWERTOOLS_TRACE_DISABLED": "true",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": KEYS["aws_access_key_id"],
    "AWS_SECRET_ACCESS_KEY": KEYS["aws_secret_access_key"],
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_LAMBDA_FUNCTION_NAME": "hasher",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
    "AWS_LAMBDA_LOG_GROUP_NAME": "hasher",
    "AWS_LAMBDA_LOG_STREAM_NAME": "local",
}


class Bucket:
    """One object, served at S3's pace; it counts the bytes that it has given to the kernel."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.served = 0
        self._more = Condition()

    def head(self, exchange: Exchange) -> None:
        exchange.send(Answer(200, b"", [("ETag", f'"{ETAG}"'), ("Content-Length", str(len(self.data)))]))

    def get(self, exchange: Exchange) -> None:
        asked = exchange.request_read.headers.get("range")
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        headers = [("ETag", f'"{ETAG}"'), ("Content-Length", str(len(self.data) - start))]
        if asked:
            headers.append(("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"))
        exchange.send(Answer(206 if asked else 200, b"", headers))
        try:
            self._body(exchange, start)
        except OSError:  # the process was killed
            exchange.close_connection = True

    def _body(self, exchange: Exchange, start: int) -> None:
        begun = time.monotonic()
        for at in range(start, len(self.data), PIECE):
            piece = memoryview(self.data)[at : at + PIECE]
            exchange.wfile.write(piece)
            with self._more:
                self.served += len(piece)
                self._more.notify_all()
            time.sleep(max(0.0, begun + (at - start) / PACE - time.monotonic()))

    def wait_for(self, served: int) -> None:
        with self._more:
            self._more.wait_for(lambda: self.served >= served)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture
def queue_url(here: World) -> str:
    """Where the hasher would hand over to; nobody reads it."""
    url: str = boto3.client("sqs", endpoint_url=here.proxy.url, **KEYS).create_queue(QueueName="completed")["QueueUrl"]
    return url


class Hasher:
    """One environment of the hasher, under Lambda's own runtime client."""

    def __init__(self, api: RuntimeApi, process: asyncio.subprocess.Process) -> None:
        self.api = api
        self.process = process

    async def invoke(self, payload: bytes) -> dict[str, Any]:
        deadline_ms = int((time.time() + 900) * 1000)
        response = await self.api.invoke(Invocation(payload, deadline_ms, "arn:aws:lambda:x:1:function:hasher"))
        answer: dict[str, Any] = json.loads(b"".join([piece async for piece in response]))
        return answer

    def stop(self) -> None:
        """Hold it where it is."""
        self.process.send_signal(signal.SIGSTOP)

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()
        self.api.gone()


@asynccontextmanager
async def hasher(here: World, queue_url: str) -> AsyncIterator[Hasher]:
    api = RuntimeApi()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "awslambdaric", "functions.hasher.app.handler",
        cwd=ROOT,
        env={
            **VARIABLES,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'core'}",
            "QUEUE_URL": queue_url,
            "AWS_ENDPOINT_URL": here.proxy.url,
            "AWS_LAMBDA_RUNTIME_API": await api.start(),
        },
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    running = Hasher(api, process)
    try:
        yield running
    finally:
        if process.returncode is None:
            await running.kill()
        await api.close()


def message(file: File, **changes: Any) -> bytes:
    """SQS's event with S3's notification of the file's object."""
    created = {
        "eventVersion": "2.1",
        "eventName": "ObjectCreated:CompleteMultipartUpload",
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": file.key, "eTag": ETAG, "size": file.size, **changes}},
    }
    record = {
        "messageId": "m-1",
        "receiptHandle": "r-1",
        "eventSource": "aws:sqs",
        "attributes": {"ApproximateReceiveCount": "1"},
        "body": json.dumps({"Records": [created]}),
    }
    return json.dumps({"Records": [record]}).encode()


def unread(port: int) -> int:
    """Bytes from `port` that have arrived, and that no process has read: `proc(5)`, /proc/net/tcp."""
    queued = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, _, remote, state, queues, *_ = line.split()
        if state == ESTABLISHED and int(remote.partition(":")[2], 16) == port:
            queued += int(queues.partition(":")[2], 16)
    return queued


async def killed_on_the_way(here: World, queue_url: str, bucket: Bucket, file: File, after: int) -> int:
    """One process: it gets messages until it takes the file on, and is killed when so many bytes were served.

    Returns how many bytes of the object it has read.
    """
    before = bucket.served
    async with hasher(here, queue_url) as running:
        reached = asyncio.create_task(asyncio.to_thread(bucket.wait_for, before + after))
        while True:
            # The right event, which comes too early as long as the dead job's lease lasts, and one of another version.
            for payload in (message(file), message(file, eTag="older")):
                working = asyncio.create_task(running.invoke(payload))
                await asyncio.wait({working, reached}, return_when=asyncio.FIRST_COMPLETED)
                if reached.done():
                    running.stop()
                    read = bucket.served - before - unread(here.proxy.server_port)
                    await running.kill()
                    with pytest.raises(EnvironmentGone):
                        await working
                    return read
                assert working.result() == {"batchItemFailures": []}
                assert here.now(file).status not in ENDED


async def test_a_process_that_is_killed_ten_times_reads_next_to_nothing_again(here: World, queue_url: str) -> None:
    """It ends ready, with the right digests, and less than 5 % of the bytes were read a second time."""
    chance = random.Random(300)
    bucket = Bucket((content(MIB, 300) * (SIZE // MIB + 1))[:SIZE])
    here.proxy.fail_always("HeadObject", bucket.head)
    here.proxy.fail_always("GetObject", bucket.get)
    file = here.near_files.create(a_file(size=SIZE, status=Status.ASSEMBLING))
    read = 0
    for _ in range(KILLS):
        read += await killed_on_the_way(here, queue_url, bucket, file, chance.randrange(2 * MIB, SIZE // (KILLS + 1)))
        assert here.now(file).status not in ENDED
    before = bucket.served
    async with hasher(here, queue_url) as running:
        while here.now(file).status not in ENDED:
            await running.invoke(message(file))
        # Once more, when all is over.
        await running.invoke(message(file))
    assert ready(here.now(file), bucket.data)
    again = (read + bucket.served - before) / SIZE - 1
    assert 0 < again < READ_TWICE
