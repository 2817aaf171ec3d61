"""The events of `events/`, the stack that they are about, and what each function has to answer.

Whoever carries an event to a function (`sam local invoke`, or a process of this machine) is no matter here.
"""

import asyncio
import base64
import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import aws, stack, template
from local.environments import Pool
from local.functions import Function, declared
from local.guard import Guard
from sluice import capabilities, limits
from sluice.capabilities import Holder, Use
from sluice.files import File, Files, Mode, Status
from sluice.objects import Objects
from sluice.shares import Share, Shares

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import CompletedPartTypeDef

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"
# What `sam local` tells the functions of the local stack.
ENV_VARS = EVENTS / "env.json"

OWNER = "default"
TOKEN = "token-of-this-stack"
CAPABILITY_KEY = "example-key-of-at-least-32-characters"
CAPABILITY_SECONDS = 3600
PRELUDE_END = bytes(8)

# What the events name.
READY = "01kajqv8m0r3ady00000000001"
PUT = "01kajqv8m0pvt000000000000z"
MULTIPART = "01kajqv8m0mvt1part0000000z"
SHARE = "01kajqv8m0share0000000000z"
HEARD = "heard"  # the queue of all events
SMALL = b"sluice\n" * 1000
PARTS = [bytes(limits.MIN_PART_BYTES), b"the end\n"]


@dataclass(frozen=True)
class Seeded:
    """A stack in moto that holds what the events are about."""

    services: aws.Services
    functions: dict[str, Function]
    files: Files
    values: Mapping[str, str]  # what stands in an event -> what stands for it in this stack

    def event(self, name: str) -> str:
        """The event of this name, about this stack."""
        text = (EVENTS / f"{name}.json").read_text()
        for example, value in self.values.items():
            text = text.replace(example, value)
        return text


@dataclass(frozen=True)
class Answer:
    """An HTTP answer of a function, buffered (API) or raw as the streaming runtime posts it (prelude, NULs, bytes)."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, raw: bytes) -> "Answer":
        head, separator, streamed = raw.partition(PRELUDE_END)
        answer = json.loads(head)
        if not separator:
            streamed = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
        return cls(answer["statusCode"], {name.lower(): value for name, value in answer["headers"].items()}, streamed)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Case:
    """One event: the function it is for, and the checks of its answer."""

    event: str
    function: str
    check: Callable[[Seeded, bytes], None]  # the stack that the event is about is seeded
    unknown: Callable[[bytes], None]  # the event as it lies there, about a stack that knows nothing of it

    def __str__(self) -> str:
        return self.event


@contextmanager
def seeded(address: str) -> Iterator[Seeded]:
    """The stack of template.yaml in a moto that listens on a free port of `address` and ends with the context."""
    guard = Guard()
    with asyncio.Runner() as runner:
        listener = socket.create_server((address, 0))
        host, port = listener.getsockname()
        process = runner.run(aws.start(listener, guard))
        try:
            yield _make(aws.connect(f"http://{host}:{port}"))
        finally:
            guard.end(process.pid)
            runner.run(process.wait())
            guard.close()


Invoke = Callable[[str, str], bytes]


@contextmanager
def processes(functions: Mapping[str, Function]) -> Iterator[Invoke]:
    """Hands an event to a function, which runs as the process that Lambda would start; the bytes that it answered."""
    guard = Guard()
    with asyncio.Runner() as runner:
        starts = asyncio.Semaphore(1)
        pools = {name: Pool(function, guard, starts) for name, function in functions.items()}

        async def run(function: str, event: str) -> bytes:
            response = await pools[function].invoke(event.encode())
            return b"".join([chunk async for chunk in response])

        async def close() -> None:
            await asyncio.gather(*(pool.close() for pool in pools.values()))

        try:
            yield lambda function, event: runner.run(run(function, event))
        finally:
            runner.run(close())
            guard.close()


def _make(services: aws.Services) -> Seeded:
    # From snapshots: what holds there holds without them.
    transformed = template.load(ROOT / "template.yaml", {"EventBusName": "default", "SnapStart": "on"})
    doors = [*transformed.of_type("AWS::Lambda::Url"), *transformed.of_type("AWS::ApiGatewayV2::Api")]
    resolver = stack.create(
        transformed,
        services,
        doors={name: f"https://{name.lower()}.example" for name in doors},
        secrets={"AccessToken": json.dumps({OWNER: TOKEN}), "CapabilityKey": CAPABILITY_KEY},
    )
    functions = declared(transformed, resolver, services.url)
    bucket, table = resolver.refs["FilesBucket"], resolver.refs["FilesTable"]
    return seed(services, functions, bucket, table, token=TOKEN, capability_key=CAPABILITY_KEY)


def seed(
    services: aws.Services,
    functions: dict[str, Function],
    bucket: str,
    table: str,
    *,
    token: str,
    capability_key: str,
) -> Seeded:
    """Put what the events are about into a stack."""
    files, objects = Files(services.dynamodb, table), Objects(services.s3, bucket)
    put = files.create(_file(PUT, SMALL))
    multipart = replace(_file(MULTIPART, b"".join(PARTS)), mode=Mode.MULTIPART, part_size=limits.MIN_PART_BYTES)
    multipart = files.create(replace(multipart, upload_id=objects.create_upload(multipart.key, multipart.content_type)))
    values = {
        "example-token": token,
        "example-bucket": bucket,
        "example-content-capability": _capability(capability_key, Use.CONTENT),
        "example-events-capability": _capability(capability_key, Use.EVENTS),
        "example-share-capability": _capability(capability_key, Use.SHARE, SHARE),
        "example-export-capability": _capability(capability_key, Use.EXPORT, capabilities.ALL_FILES),
        "example-version-of-put": _put(services, bucket, put, SMALL),
        "example-version-of-multipart": _put_parts(services, bucket, multipart, PARTS),
    }
    ready = files.create(_file(READY, SMALL))
    version = _put(services, bucket, ready, SMALL)
    hashing = files.save(ready, status=Status.HASHING, received_bytes=ready.size, etag=_md5(SMALL), version_id=version)
    files.save(hashing, status=Status.READY, hashed_bytes=ready.size, digests=_digests(SMALL), expires_at=None)
    ends = int(time.time()) + CAPABILITY_SECONDS
    share = Share(owner=OWNER, id=SHARE, title="For you", count=1, size=ready.size, expires_at=ends)
    Shares(services.dynamodb, table).create(share, [READY])
    services.sqs.create_queue(QueueName=HEARD)
    services.events.put_rule(Name=HEARD, EventPattern=json.dumps({"source": [{"prefix": "sluice."}]}))
    queue = f"arn:aws:sqs:{template.REGION}:{template.ACCOUNT}:{HEARD}"
    services.events.put_targets(Rule=HEARD, Targets=[{"Id": "queue", "Arn": queue}])
    return Seeded(services, functions, files, values)


def _file(file_id: str, content: bytes) -> File:
    return File(
        owner=OWNER,
        id=file_id,
        filename="greeting.txt",
        size=len(content),
        content_type="text/plain",
        mode=Mode.SINGLE,
        part_size=limits.MAX_SINGLE_PUT_BYTES,
    )


def _capability(key: str, use: Use, record_id: str = READY) -> str:
    return capabilities.issue(key, Holder(OWNER), record_id, use, CAPABILITY_SECONDS)


def _put(services: aws.Services, bucket: str, file: File, content: bytes) -> str:
    """Put the object; its version."""
    return services.s3.put_object(Bucket=bucket, Key=file.key, Body=content)["VersionId"]


def _put_parts(services: aws.Services, bucket: str, file: File, contents: list[bytes]) -> str:
    upload: Any = {"Bucket": bucket, "Key": file.key, "UploadId": file.upload_id}
    parts: list[CompletedPartTypeDef] = [
        {"PartNumber": number, "ETag": services.s3.upload_part(**upload, PartNumber=number, Body=content)["ETag"]}
        for number, content in enumerate(contents, 1)
    ]
    return services.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})["VersionId"]


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _digests(content: bytes) -> dict[str, str]:
    return {"sha-256": hashlib.sha256(content).hexdigest(), "md5": _md5(content)}


# ---------------------------------------------------------------- what has to be answered


def _healthy(_: Seeded, raw: bytes) -> None:
    _still_healthy(raw)


def _created(seeded: Seeded, raw: bytes) -> None:
    answer = Answer.of(raw)
    assert answer.status == 201, answer
    asked = json.loads(json.loads(seeded.event("api-create"))["body"])
    file = answer.json
    assert {name: file[name] for name in asked} == asked
    assert (file["status"], file["mode"]) == ("uploading", "multipart")
    assert sum(part["size"] for part in file["parts"]) == file["size"]
    assert all("X-Amz-Signature" in part["url"] for part in file["parts"])
    assert seeded.files.get(OWNER, file["id"]).upload_id


def _listed(_: Seeded, raw: bytes) -> None:
    answer = Answer.of(raw)
    assert answer.status == 200, answer
    assert {PUT, MULTIPART, READY} <= {item["id"] for item in answer.json["items"]}


def _shown(_: Seeded, raw: bytes) -> None:
    answer = Answer.of(raw)
    assert answer.status == 200, answer
    assert answer.json["id"] == READY
    assert answer.json["status"] == "ready"
    assert answer.json["digests"] == _digests(SMALL)


def _opened(_: Seeded, raw: bytes) -> None:
    answer = Answer.of(raw)
    assert (answer.status, answer.json["title"]) == (200, "For you"), answer
    assert [file["id"] for file in answer.json["files"]] == [READY]


def _content(_: Seeded, raw: bytes) -> None:
    answer = Answer.of(raw)
    assert (answer.status, answer.body) == (200, SMALL)
    assert answer.headers["content-length"] == str(len(SMALL))


def _events(_: Seeded, raw: bytes) -> None:
    answer = Answer.of(raw)
    assert answer.status == 200, answer
    assert answer.headers["content-type"].startswith("text/event-stream")
    event = dict(line.split(": ", 1) for line in answer.body.decode().strip().rsplit("\n\n", 1)[-1].splitlines())
    assert event["event"] == "ready"
    assert json.loads(event["data"])["id"] == READY


def _exported(_: Seeded, raw: bytes) -> None:
    answer = Answer.of(raw)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/jsonl")
    assert {PUT, MULTIPART, READY} <= {json.loads(line)["id"] for line in answer.body.splitlines()}


def _quiet(raw: bytes) -> None:
    assert json.loads(raw) == {"batchItemFailures": []}


def _all_taken(_: Seeded, raw: bytes) -> None:
    _quiet(raw)


def _hashed(file_id: str, content: bytes) -> Callable[[Seeded, bytes], None]:
    def check(seeded: Seeded, raw: bytes) -> None:
        _quiet(raw)
        file = seeded.files.get(OWNER, file_id)
        assert (file.status, file.hashed_bytes) == (Status.READY, len(content)), file
        assert _digests(content).items() <= file.digests.items()  # S3's own checksum comes on top

    return check


def _published(seeded: Seeded, raw: bytes) -> None:
    _quiet(raw)
    url = seeded.services.sqs.get_queue_url(QueueName=HEARD)["QueueUrl"]
    (message,) = seeded.services.sqs.receive_message(QueueUrl=url)["Messages"]
    event = json.loads(message["Body"])
    assert (event["detail-type"], event["detail"]["file"]["id"]) == ("File Ready", READY)


def _problem(status: int, code: str) -> Callable[[bytes], None]:
    def check(raw: bytes) -> None:
        answer = Answer.of(raw)
        assert answer.status == status, answer
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["code"] == code

    return check


def _still_healthy(raw: bytes) -> None:
    answer = Answer.of(raw)
    assert (answer.status, answer.json) == (200, {"status": "ok"})


CASES = [
    Case("api-healthz", "ApiFunction", _healthy, _still_healthy),
    Case("api-create", "ApiFunction", _created, _problem(401, "unauthorized")),
    Case("api-list", "ApiFunction", _listed, _problem(401, "unauthorized")),
    Case("api-get", "ApiFunction", _shown, _problem(401, "unauthorized")),
    Case("api-open-share", "ApiFunction", _opened, _problem(401, "unauthorized")),
    Case("hasher-put", "HasherFunction", _hashed(PUT, SMALL), _quiet),
    Case("hasher-multipart", "HasherFunction", _hashed(MULTIPART, b"".join(PARTS)), _quiet),
    Case("hasher-assembling", "HasherFunction", _all_taken, _quiet),  # about a file that has got on meanwhile
    Case("hasher-archiving", "HasherFunction", _all_taken, _quiet),  # about an archive whose day is over
    Case("hasher-scanned", "HasherFunction", _all_taken, _quiet),  # of a file that is ready, and clean
    Case("hasher-test-event", "HasherFunction", _all_taken, _quiet),
    Case("publisher-ready", "PublisherFunction", _published, _quiet),
    Case("stream-healthz", "StreamFunction", _healthy, _still_healthy),
    Case("stream-content", "StreamFunction", _content, _problem(403, "invalid_capability")),
    Case("stream-events", "StreamFunction", _events, _problem(403, "invalid_capability")),
    Case("stream-export", "StreamFunction", _exported, _problem(403, "invalid_capability")),
]
