"""The real Files, Objects, Uploads and Job over moto, once through the bad network and once past it."""

import hashlib
import json
import random
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import boto3
import pytest
from moto.server import ThreadedMotoServer
from samtranslator.yaml_helper import yaml_parse

from functions.api.schemas import CreateFile
from functions.api.uploads import Uploads
from local import scratch
from local.aws import make_like_aws
from local.signatures import Keys
from sluice.capabilities import Caller
from sluice.files import File, Files, Status
from sluice.hashing import Job, Options, Reason
from sluice.limits import MIB
from sluice.objects import Objects, Version
from sluice.queue import Queue
from tests.integration.proxy import Proxy, serving

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
TABLE, BUCKET = "files", "the-bucket"
REGION: Final = "eu-west-1"
KEYS: dict[str, Any] = {
    "region_name": REGION,
    "aws_access_key_id": "AKIDEXAMPLE",
    "aws_secret_access_key": "secret",
}
# One plain stream is what moto can do; small buffers make much of little.
OPTIONS = Options(
    digests=("sha-256", "md5"),
    part_bytes=MIB,
    connections=1,
    checkpoint_seconds=1.0,
    slice_seconds=900.0,
    lease_seconds=60,
)


def small_parts(patch: pytest.MonkeyPatch, size: int) -> None:
    """What has more bytes than this goes in parts of so many, which moto takes as well."""
    patch.setattr("sluice.limits.part_size", lambda _: size)
    patch.setattr("sluice.limits.MAX_SINGLE_PUT_BYTES", size)
    patch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)


def content(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def digests(data: bytes) -> dict[str, str]:
    return {"sha-256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest()}  # noqa: S324


def put(part: dict[str, Any], data: bytes) -> None:
    """Send one part of the file, as the API said, past the bad network."""
    body = data[part["offset"] : part["offset"] + part["size"]]
    # urllib would call it a form, which moto then reads as one.
    headers = {"Content-Type": "application/octet-stream"} | part["headers"]
    send(urllib.request.Request(part["url"], body, headers, method="PUT"))


def send(request: urllib.request.Request) -> None:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request):
        pass


@dataclass(frozen=True)
class World:
    """`files`, `objects` and `uploads` are what the functions use, and go through `proxy`; `near_*` go past it."""

    proxy: Proxy
    files: Files
    objects: Objects
    near_files: Files
    near_objects: Objects
    near_s3: Any
    near_sqs: Any
    queue_url: str
    queue: Queue
    near_queue: Queue

    def fresh(self) -> "World":
        """No faults and no memory of them: the SDK retries less once it has met many failures."""
        self.proxy.recover()
        self.proxy.forget()
        files, objects = connected(self.proxy.url)
        return replace(self, files=files, objects=objects)

    @property
    def uploads(self) -> Uploads:
        return Uploads(self.files, self.objects, self.queue)

    @property
    def near_uploads(self) -> Uploads:
        return Uploads(self.near_files, self.near_objects, self.near_queue)

    def messages(self) -> list[dict[str, Any]]:
        """What waits in the queue, which is taken out."""
        found = []
        ask = {"QueueUrl": self.queue_url, "MaxNumberOfMessages": 10}
        while received := self.near_sqs.receive_message(**ask).get("Messages"):
            for message in received:
                self.near_sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(message["Body"]))
        return found

    def job(
        self, holder: str = "job-1", seconds_left: Callable[[], float] = lambda: 600.0, options: Options = OPTIONS
    ) -> Job:
        return Job(self.files, self.objects, holder, seconds_left, options)

    def near_job(self, holder: str = "job-2") -> Job:
        """A second job, whose network is well."""
        return Job(self.near_files, self.near_objects, holder, lambda: 600.0, OPTIONS)

    def sent(self, data: bytes, **wanted: Any) -> File:
        """A file whose parts have all arrived, and nothing else has happened."""
        values = {"filename": "a.bin", "size": len(data)} | wanted
        file, _ = self.near_uploads.begin(Caller("default"), CreateFile.model_validate(values))
        for part in self.near_uploads.sign(file, range(1, file.part_count + 1)):
            put(part, data)
        return file

    def arrived(self, data: bytes, **wanted: Any) -> tuple[File, Version]:
        """A completed file and what S3's event says of its object."""
        file = self.near_uploads.complete(self.sent(data, **wanted), None)
        return file, self.near_objects.head(file.key).version

    def now(self, file: File) -> File:
        return self.near_files.get(file.owner, file.id)

    def hashed(self, file: File) -> list[int]:
        """What each write of a hashing job through the proxy said of its progress, in order."""
        items = [request.json()["Item"] for request in self.proxy.asked("PutItem")]
        mine = [item for item in items if item["id"]["S"] == file.id and item["status"]["S"] == Status.HASHING]
        return [int(item["hashed_bytes"]["N"]) for item in mine]


@contextmanager
def world() -> Iterator[World]:
    """One moto with the template's table and a versioned bucket, and the proxy before it."""
    make_like_aws(scratch.of_this_process(), Keys(KEYS["aws_access_key_id"], KEYS["aws_secret_access_key"]))
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    try:
        address = moto.get_host_and_port()
        near = f"http://127.0.0.1:{address[1]}"
        send(urllib.request.Request(f"{near}/moto-api/reset", method="POST"))  # the process remembers former worlds
        properties = yaml_parse(TEMPLATE.read_text())["Resources"]["FilesTable"]["Properties"]
        schema = {name: properties[name] for name in ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")}
        dynamodb = boto3.client("dynamodb", endpoint_url=near, **KEYS)
        dynamodb.create_table(TableName=TABLE, BillingMode="PAY_PER_REQUEST", **schema)
        s3 = boto3.client("s3", endpoint_url=near, **KEYS)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        sqs = boto3.client("sqs", endpoint_url=near, **KEYS)
        queue_url = sqs.create_queue(QueueName="the-queue")["QueueUrl"]
        with serving(address) as proxy:
            queues = queue_at(proxy.url, queue_url), queue_at(near, queue_url)
            yield World(proxy, *connected(proxy.url), *connected(near), s3, sqs, queue_url, *queues)
    finally:
        moto.stop()


def connected(endpoint: str) -> tuple[Files, Objects]:
    """Connected as in Lambda, retries and time-outs included; the environment says where, and nothing is inherited."""
    with environment(endpoint, TABLE_NAME=TABLE, BUCKET_NAME=BUCKET):
        return Files.connect(), Objects.connect()


def queue_at(endpoint: str, url: str) -> Queue:
    queue = Queue(url)
    with environment(endpoint):
        assert queue._client  # is made when it is first asked for, as the environment says then
    return queue


@contextmanager
def environment(endpoint: str, **variables: str) -> Iterator[None]:
    """AWS at `endpoint`, as whom it may be, these variables, and nothing of the developer's own profile."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_DYNAMODB"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_CONFIG_FILE", "/dev/null")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("AWS_ACCESS_KEY_ID", KEYS["aws_access_key_id"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["aws_secret_access_key"])
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


def run(job: Job, file: File, version: Version) -> File | None:
    return job.run(file.owner, file.id, version)


def ready(file: File | None, data: bytes, **more: str) -> bool:
    """`more`: digests beside those of OPTIONS."""
    assert file is not None
    assert (file.status, file.reason, file.mismatch) == (Status.READY, None, None)
    assert (file.digests, file.hashed_bytes) == (digests(data) | more, len(data))
    assert (file.lease_until, file.expires_at, file.forget_at, file.digest_states) == (0, None, None, {})
    return True


def failed(file: File | None, reason: Reason) -> bool:
    assert file is not None
    assert (file.status, file.reason) == (Status.FAILED, reason)
    assert (file.lease_until, file.expires_at, file.digest_states) == (0, None, {})
    return True


def handled(handler: Callable[[dict[str, Any], Any], dict[str, Any]], body: str, receives: int = 1) -> list[str]:
    """Which messages come again when the hasher takes one that was received so often: `1`, or none."""
    attributes = {"ApproximateReceiveCount": str(receives)}
    message = {"messageId": "1", "receiptHandle": "r", "eventSource": "aws:sqs", "attributes": attributes}
    context = SimpleNamespace(
        function_name="hasher",
        memory_limit_in_mb=3008,
        invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:hasher",
        aws_request_id="request-1",
        get_remaining_time_in_millis=lambda: 600_000,
    )
    answer = handler({"Records": [message | {"body": body}]}, context)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
