"""The hasher in the local stack, killed again and again over one file of 300 MB, with a queue that repeats itself."""

import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Condition
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote_plus, unquote, urlsplit

from local import aws
from sluice.limits import KIB
from sluice.queue import DELAY_SECONDS
from tests.integration.conftest import ROOT, Running, options, running, thorough
from tests.integration.journey import PATIENCE_SECONDS, random_bytes
from tests.integration.proxy import HOP_BY_HOP, Answer, Exchange, serving
from tests.integration.test_local_endings import alive, descendants
from tests.integration.world import digests

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

pytestmark = thorough

SIZE = 300_000_000
KILLS = 10
SEED = 300
# What may be read twice, of all bytes: what was under way when a process died, and was in no checkpoint yet.
READ_TWICE = 0.05
# Bytes a second. What is lost with a process is what came since its last checkpoint. moto takes some 20 ms for one, so
# that a checkpoint for each piece would be all that this test does.
PACE = 10_000_000
PIECE = 64 * KIB
# One connection, as what was read is told by its bytes; the chaos runs kill those that read over several.
SETTINGS = {
    "READ_CONNECTIONS": "1",
    "READ_PART_BYTES": str(PIECE),
    "CHECKPOINT_SECONDS": "0.03",
    "LEASE_SECONDS": "2",
}
# Longer than a process lives here and its lease together, as the template's is; and nobody waits a quarter of an hour.
VISIBILITY_SECONDS = 10
LATEST_SECONDS = 5  # a repeated message is on its way for less
ESTABLISHED = "01"
NOWHERE = ("127.0.0.1", 0)
QUEUES = ("CompletedQueue", "CompletedDeadLetters")  # logical ids


class Reads:
    """Passes an object on at a steady pace, counts its bytes, and kills who reads it at each of `points`, ascending.

    What the kernel still held when a process died, because that had not asked for it yet, was not read.
    """

    def __init__(self, points: list[int]) -> None:
        self.begun = 0
        self.bytes = 0
        self.event: dict[str, Any] = {}
        self.stack = 0  # the pid
        self._points = list(points)
        self._changed = Condition()

    def pass_on(self, exchange: Exchange) -> None:
        exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)
        with closing(HTTPConnection(*exchange.server.upstream)) as upstream:
            upstream.request("GET", exchange.path, headers=exchange.request_read.headers)
            response = upstream.getresponse()
            headers = [(name, value) for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP]
            exchange.send(Answer(response.status, b"", [*headers, ("Content-Length", str(response.length))]))
            start = re.findall(r"^bytes (\d+)-", response.getheader("Content-Range", "bytes 0-"))
            with self._changed:
                self.begun += 1
                self.event = event(exchange.path, response.headers["ETag"])
                self._changed.notify_all()
            with suppress(ConnectionError):  # it was killed
                self._body(exchange, response, int(start[0]))
        exchange.close_connection = True

    def _body(self, exchange: Exchange, response: HTTPResponse, at: int) -> None:
        port = exchange.client_address[1]
        reader = self._process(port)
        while piece := response.read(min(PIECE, self._points[0] - at) if self._points else PIECE):
            exchange.wfile.write(piece)
            at += len(piece)
            with self._changed:
                self.bytes += len(piece)
                if self._points and self._points[0] == at:
                    del self._points[0]
                    os.kill(reader, signal.SIGSTOP)
                    self.bytes -= connection(port).unread
                    os.kill(reader, signal.SIGKILL)
                    return
            time.sleep(PIECE / PACE)  # after a pause as well: nothing is caught up on

    def _process(self, port: int) -> int:
        """The hasher whose end of a connection is `port`."""
        socket_file = f"socket:[{connection(port).inode}]"
        hashers = [pid for pid, text in alive(descendants(self.stack)).items() if "functions.hasher" in text]
        (reader,) = (pid for pid in hashers if socket_file in open_files(pid))
        return reader

    def wait_for(self, begun: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.begun >= begun, PATIENCE_SECONDS)


class Connection(NamedTuple):
    inode: int
    unread: int  # bytes that have arrived, and that nobody has taken


def connection(port: int) -> Connection:
    """The connection whose one end here is `port`, as that end sees it: `proc(5)`, /proc/net/tcp."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (row,) = (row for row in rows if int(row[1].partition(":")[2], 16) == port and row[3] == ESTABLISHED)
    return Connection(inode=int(row[9]), unread=int(row[4].partition(":")[2], 16))


def open_files(pid: int) -> set[str]:
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(str(descriptor.readlink()))
    return found


def event(path: str, etag: str) -> dict[str, Any]:
    """What S3 has said of the object at `path`: as moto does, without a version."""
    _, bucket, key = unquote(urlsplit(path).path).split("/", 2)
    named = {"key": quote_plus(key), "eTag": etag.strip('"'), "size": SIZE}
    return {
        "eventVersion": "2.1",
        "eventName": "ObjectCreated:CompleteMultipartUpload",
        "s3": {"bucket": {"name": bucket}, "object": named},
    }


class Queue:
    """The stack's queue of completed objects, in the hands of somebody who repeats and misleads."""

    def __init__(self, sqs: "SQSClient", chance: random.Random) -> None:
        urls = sqs.list_queues()["QueueUrls"]
        self.url, self.dead = (next(url for url in urls if f"-{name}-" in url) for name in QUEUES)
        self.sqs = sqs
        self._chance = chance

    def hurry(self, seconds: int = VISIBILITY_SECONDS) -> None:
        """Let messages come back soon; returns when no receive is under way that does not know of it."""
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"VisibilityTimeout": str(seconds)})
        self.sqs.send_message(QueueUrl=self.url, MessageBody=json.dumps({"Event": "s3:TestEvent"}))
        self.until_empty()

    def repeat(self, event: dict[str, Any], *, misleading: bool = True) -> None:
        """The event thrice, each at any time; where its job has begun, among those of two other versions."""
        named = event["s3"]["object"]
        others = [{**named, "eTag": hashlib.md5(b"older").hexdigest()}, {**named, "versionId": "another"}]  # noqa: S324
        told = [event] * 3
        told += [{**event, "s3": {**event["s3"], "object": other}} for other in others] if misleading else []
        for one in self._chance.sample(told, len(told)):
            body = json.dumps({"Records": [one]})
            delay = self._chance.randrange(LATEST_SECONDS)
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body, DelaySeconds=delay)

    def until_empty(self) -> None:
        late = time.monotonic() + DELAY_SECONDS + PATIENCE_SECONDS
        while self.held(self.url):
            assert time.monotonic() < late
            time.sleep(0.05)

    def held(self, url: str) -> int:
        """Messages: waiting, out, and on their way."""
        said = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return sum(int(value) for name, value in said.items() if name.startswith("ApproximateNumberOfMessages"))


@contextmanager
def put(up: Running, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    settings = {"SLUICE_API": up.ready["api"], "SLUICE_TOKEN": up.ready["token"], "NO_PROXY": "127.0.0.1"}
    settings["XDG_STATE_HOME"] = str(path.parent)  # not the home of whoever runs this
    with subprocess.Popen(
        [sys.executable, "-m", "sluice_client", "put", "--json", str(path)],
        env=os.environ | settings | {"PYTHONPATH": str(ROOT / "client")},
        stdout=subprocess.PIPE,
    ) as client:
        try:
            yield client
        finally:
            client.kill()


def test_a_hasher_that_is_killed_ten_times_reads_next_to_nothing_again(tmp_path: Path) -> None:
    """One verdict, the right one; nobody's message is lost, and less than 5 % of the bytes were read a second time."""
    chance = random.Random(SEED)
    data = random_bytes(SIZE)
    (tmp_path / "file.bin").write_bytes(data)
    reads = Reads([1 + chance.randrange(SIZE * n // KILLS, SIZE * (n + 1) // KILLS) for n in range(KILLS)])
    with (
        serving(NOWHERE) as relay,
        running(
            tmp_path / "log",
            *options("--env", {**SETTINGS, "AWS_ENDPOINT_URL_S3": relay.url}),
            module="local.up",
        ) as up,
    ):
        relay.upstream = (urlsplit(up.ready["aws"]).hostname or "", urlsplit(up.ready["aws"]).port or 0)
        relay.fail_always("GetObject", reads.pass_on)
        reads.stack = up.process.pid
        queue = Queue(aws.connect(up.ready["aws"]).sqs, chance)
        queue.hurry()
        with put(up, tmp_path / "file.bin") as client:
            # The last of those that are killed gets no help: its message has to come back by itself.
            for begun in range(1, KILLS):
                reads.wait_for(begun)
                queue.repeat(reads.event)
            said, _ = client.communicate(timeout=PATIENCE_SECONDS)
        assert client.returncode == 0
        file = json.loads(said)["file"]
        assert (file["status"], file["digests"]) == ("ready", digests(data))
        queue.repeat(reads.event)  # once more, when all is over; and the message that saw the completion through comes
        queue.until_empty()
        assert queue.held(queue.dead) == 0
    log = (tmp_path / "log").read_text()
    assert log.count("an environment ended by signal 9") == KILLS
    assert log.count('"verdict"') == 1
    assert 0 < reads.bytes / SIZE - 1 < READ_TWICE
