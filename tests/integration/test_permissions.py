"""Least privilege, exactly: what each function asks AWS for is what its policies in template.yaml allow it.

The functions' real code runs here over moto, which checks no policy. Every operation is noted, presigned ones too: a
presigned URL allows no more than its signer may do.
"""

import asyncio
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from importlib import import_module
from itertools import product
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
import httpx
import pytest
from aws_lambda_powertools.utilities import parameters
from botocore import xform_name
from botocore.model import OperationModel
from fastapi.testclient import TestClient
from samtranslator.yaml_helper import yaml_parse
from starlette.types import Receive, Scope, Send

import sluice
from functions.api.cloudfront import HEADER
from functions.api.schemas import CreateFile
from sluice.capabilities import Caller
from sluice.downloads import DOWNLOADS, Download
from sluice.files import File, Mode, Status, _to_item, new_id
from sluice.limits import MIB
from sluice.objects import ObjectMissing, Version
from sluice.signing import Signed, Signer
from tests.integration.world import BUCKET, KEYS, REGION, TABLE, TEMPLATE, World, content, environment, put, world
from tests.unit.functions.modules import evicted

SOURCE = yaml_parse(TEMPLATE.read_text())
FUNCTIONS = [name for name, one in SOURCE["Resources"].items() if one["Type"] == "AWS::Serverless::Function"]
STREAM_LIMIT = 2000  # bytes
# What the template's resources are called here, and the other way round.
QUEUE = f"https://sqs.{REGION}.amazonaws.com/123456789012/the-queue"
DEAD_LETTERS = f"https://sqs.{REGION}.amazonaws.com/123456789012/the-dead-letters"
NOTHING = {"Ref": "AWS::NoValue"}  # a variable that does not exist on AWS
NAMES = {
    "FilesTableName": TABLE,
    "FilesBucketName": BUCKET,
    "AccessToken": "the-tokens",
    "CapabilityKey": "the-key",
    "CloudFrontSecret": "the-secret-of-cloudfront",
    "CompletedQueue": QUEUE,
    "AuditLogGroup": "the-audit-record",
    **{name: str(SOURCE["Parameters"][name]["Default"]) for name in ("HashDigests", "MaxFileBytes", "ContentTypes")},
    "MalwareScan": "off",
    "StreamLimitBytes": str(STREAM_LIMIT),
    "StreamsPerLink": "10",
    "OwnerBytes": str(10**9),
    "OwnerUploads": "50",
    "TransferAcceleration": "false",
    **{name: str(one["Default"]) for name, one in SOURCE["Parameters"].items() if name.startswith("Oidc")},
    "EventBusName": "default",
    "EventsDeadLetters": DEAD_LETTERS,
}
SUBSTITUTES = {"AWS::StackName": "the-stack", "DomainName": "api.example", "StreamDomainName": "stream.example"}
LOGICAL = {name: logical for logical, name in NAMES.items()}
SECRETS = {
    "the-tokens": '{"default": "the-token"}',
    "the-key": "k" * 64,
    "the-secret-of-cloudfront": '{"current": "c"}',
}
SMALL, REDIRECTED, PARTED = content(1000), content(STREAM_LIMIT + 1), content(9 * MIB)

# Allowed although no call needs it. Whoever may list the bucket is told that an object is not there (404), others only
# that they may not know (403): https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
MISSING_IS_404 = {"s3:ListBucket"}
WITHOUT_A_CALL = dict.fromkeys(FUNCTIONS, MISSING_IS_404) | {"PublisherFunction": set()}

BUS = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/${EventBusName}"

# The operations that have another name than their permission, from
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
ACTIONS = {
    "HeadObject": "GetObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "ListParts": "ListMultipartUploadParts",
    "ListObjectVersions": "ListBucketVersions",
    "DeleteObjects": "DeleteObject",
}
# What whoever holds a signed URL or form asks for.
BY_URL = {"generate_presigned_url": ["GetObject", "UploadPart", "PutObject"], "generate_presigned_post": ["PutObject"]}
OF_A_VERSION = {"GetObject": "GetObjectVersion", "DeleteObject": "DeleteObjectVersion"}

SIGN = Signer.sign

CONTEXT = SimpleNamespace(
    function_name="a-function",
    memory_limit_in_mb=3538,
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:a-function",
    aws_request_id="request-1",
)

Permission = tuple[
    str, str
]  # action, resource in the template's words: ("s3:PutObject", "${FilesBucket.Arn}/files/..")


@dataclass(frozen=True)
class Call:
    """One operation that a function asked for, or signed for somebody else to ask."""

    service: str
    operation: str
    parameters: Mapping[str, Any]

    def needs(self) -> Iterator[Permission]:
        """What AWS checks before it does this."""
        told, action = self.parameters, ACTIONS.get(self.operation, self.operation)
        match self.service:
            case "s3":
                yield from self._of_s3(action)
            case "dynamodb" if "TransactItems" in told:
                # A transaction is allowed to whom each of its writes is.
                for write in told["TransactItems"]:
                    ((kind, one),) = write.items()
                    yield f"dynamodb:{kind}Item", arn(one["TableName"])
            case "dynamodb":
                index = f"/index/{told['IndexName']}" if "IndexName" in told else ""
                for table in told.get("RequestItems") or [told["TableName"]]:
                    yield f"dynamodb:{action}", arn(table) + index
            case "logs" | "sqs":
                yield f"{self.service}:{action}", arn(told.get("logGroupName") or told["QueueUrl"])
            case "eventbridge" | "events":
                for entry in told["Entries"]:
                    yield f"events:{action}", BUS.replace(ref("EventBusName"), ref(LOGICAL[entry["EventBusName"]]))
            case "secretsmanager":
                yield f"secretsmanager:{action}", ref(LOGICAL[told["SecretId"]])
            case _:
                raise AssertionError(f"what does {self} need?")

    def _of_s3(self, action: str) -> Iterator[Permission]:
        told = self.parameters
        if "Delete" in told:
            for item in told["Delete"]["Objects"]:
                # Deleting many asks for the permission to delete always, and for that to delete versions besides.
                yield f"s3:{action}", self._object(item["Key"])
                if "VersionId" in item:
                    yield f"s3:{OF_A_VERSION[action]}", self._object(item["Key"])
        elif "Key" in told:
            yield from self._for_an_object(action)
        else:
            yield f"s3:{action}", arn(told["Bucket"])

    def _for_an_object(self, action: str) -> Iterator[Permission]:
        told = self.parameters
        if "CopySource" in told:  # botocore has written it as the header by now
            source = urlsplit(told["CopySource"])
            reading = "GetObjectVersion" if source.query.startswith("versionId=") else "GetObject"
            yield f"s3:{reading}", self._object(source.path.partition("/")[2])
        # Reading a version asks for that permission instead of the plain one.
        yield f"s3:{OF_A_VERSION[action] if 'VersionId' in told else action}", self._object(told["Key"])

    def _object(self, key: str) -> str:
        return f"{arn(self.parameters['Bucket'])}/{key}"


def arn(name: str) -> str:
    match LOGICAL[name]:
        case "FilesTableName":
            return ref("FilesTableArn", "Value")
        case "FilesBucketName":
            return f"arn:{ref('AWS::Partition')}:s3:::{ref('FilesBucketName', 'Value')}"
        case logical:
            return ref(logical, "Arn")


def ref(*names: str) -> str:
    """As Fn::Sub has it."""
    return f"${{{'.'.join(names)}}}"


@dataclass
class Deployed:
    """The functions as the template sets them up, run here one at a time, and what each of them asked for."""

    here: World
    modules: dict[str, ModuleType] = field(default_factory=dict)
    calls: dict[str, list[Call]] = field(default_factory=lambda: {name: [] for name in FUNCTIONS})
    _running: str = "nobody"

    def note(self, **event: Any) -> None:
        """What botocore tells before it builds a request, to send or to sign it."""
        if event["model"].name == "HeadBucket":  # the signer's question what URLs look like here, which nobody sends
            return
        params: Mapping[str, Any] = event["params"]
        model: OperationModel = event["model"]
        self.calls[self._running].append(Call(model.service_model.service_name, model.name, dict(params)))

    def sign(
        self,
        signer: Signer,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Signed:
        """What a function signs, as the operation that whoever uses the URL asks for."""
        reading = {"GET": "GetObject", "HEAD": "HeadObject"}
        operation = reading.get(method, "UploadPart" if "uploadId" in query else "PutObject")
        version = {"VersionId": query["versionId"]} if "versionId" in query else {}
        self.calls[self._running].append(Call("s3", operation, {"Bucket": BUCKET, "Key": key} | version))
        return SIGN(signer, method, key, query, headers, **more)

    @contextmanager
    def running(self, name: str) -> Iterator[ModuleType]:
        """This function, with its own environment; the first time without the secrets that another one has read."""
        properties = SOURCE["Resources"][name]["Properties"]
        declared = SOURCE["Globals"]["Function"]["Environment"]["Variables"] | properties["Environment"]["Variables"]
        variables = {variable: valued(value) for variable, value in declared.items() if value != NOTHING}
        variables |= {"POWERTOOLS_TRACE_DISABLED": "1"}
        variables |= {"READ_CONNECTIONS": "1"}  # what moto can do
        variables |= {"AWS_LAMBDA_LOG_STREAM_NAME": f"{name}-environment"}
        with environment(self.here.proxy.url, **variables):
            self._running = name
            if name not in self.modules:
                self.modules[name] = fresh(properties["Handler"].rpartition(".")[0])
                forget_secrets()
            yield self.modules[name]
            self._running = "nobody"

    def api(self, method: str, path: str, status: int, body: Mapping[str, Any] | None = None) -> Any:
        with self.running("ApiFunction") as module:
            client = asking(module, "the-token")
            answer = client.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def stream(self, link: str, status: int, method: str = "GET", **headers: str) -> httpx.Response:
        """The answer to a link; who watches is sent away a second later: what is known has to be told before."""
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: 11_000)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await module.app({**scope, "aws.context": context}, receive, send)

        parts = urlsplit(link)
        with self.running("StreamFunction") as module:
            client = TestClient(app, follow_redirects=False)
            answer: httpx.Response = client.request(method, f"{parts.path}?{parts.query}", headers=headers)
        assert answer.status_code == status, answer.text
        return answer

    def hash(self, version: Version, milliseconds_left: int = 600_000) -> None:
        """S3's event about this version, by way of the queue."""
        # The template's bucket is versioned: its events name one always, and the reads that follow.
        told = {"key": version.key, "size": version.size, "eTag": version.etag, "versionId": version.version_id}
        record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": told}}
        self.take({"Records": [record]}, milliseconds_left)

    def take(self, told: Mapping[str, Any], milliseconds_left: int = 600_000) -> None:
        """One message of the queue."""
        message: dict[str, Any] = {"messageId": "1", "receiptHandle": "r", "eventSource": "aws:sqs"}
        message["attributes"] = {"ApproximateReceiveCount": "1"}
        context = SimpleNamespace(**CONTEXT.__dict__, get_remaining_time_in_millis=lambda: milliseconds_left)
        with self.running("HasherFunction") as module:
            event = {"Records": [message | {"body": json.dumps(told)}]}
            assert module.handler(event, context) == {"batchItemFailures": []}

    def kept(self, data: bytes) -> Any:
        """A small file in one request."""
        with self.running("ApiFunction") as module:
            client = asking(module, "the-token")
            answer = client.put("/files/small.bin", content=data)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def created(self, data: bytes, **wanted: Any) -> Any:
        return self.api("POST", "/files", 201, {"filename": "a.bin", "size": len(data)} | wanted)

    def arrived(self, data: bytes) -> Any:
        """A completed file."""
        created = self.created(data)
        for part in created["parts"]:
            put(part, data)
        return self.api("POST", f"/files/{created['id']}/complete", 202)

    def record(self, file: Any) -> File:
        return self.here.near_files.get("default", file["id"])

    def version(self, file: Any) -> Version:
        return self.here.near_objects.head(self.record(file).key).version


def asking(module: ModuleType, token: str) -> TestClient:
    """The API through CloudFront, with this token or capability."""
    return TestClient(module.app, headers={"Authorization": f"Bearer {token}", HEADER: "c"})


def use_access_tokens(deployed: Deployed) -> None:
    """Made, shown and revoked, and used by a machine."""
    made = deployed.api("POST", "/tokens", 201, {"name": "backup", "expires_in": 60})
    deployed.api("GET", "/tokens", 200)
    with deployed.running("ApiFunction") as module:
        machine = asking(module, made["token"])
        assert machine.get("/me").json()["token"] == made["id"]
    deployed.api("DELETE", f"/tokens/{made['id']}", 204)


def valued(value: Any) -> str:
    """A variable of the template as it would be deployed here."""
    match value:
        case {"Ref": logical}:
            return NAMES[logical]
        case {"Fn::If": ["CloudFrontIsOn", then, _]}:
            return valued(then)
        case {"Fn::Sub": str(text)}:
            for name, here in SUBSTITUTES.items():
                text = text.replace(ref(name), here)
            return text
        case {"Fn::GetAtt": [logical, "Value"]}:
            return NAMES[logical]
        case _:
            return str(value)


def fresh(name: str) -> ModuleType:
    """The module and its package run anew, which nobody else gets to see: they are bound to this moto."""
    before = evicted(name.rpartition(".")[0])
    # Mangum takes the thread's event loop; where there is none it makes one that nobody closes.
    with closing(asyncio.new_event_loop()) as loop:
        asyncio.set_event_loop(loop)
        module = import_module(name)
        asyncio.set_event_loop(None)
    evicted(name.rpartition(".")[0])
    sys.modules.update(before)
    return module


def forget_secrets() -> None:
    parameters.clear_caches()  # type: ignore[no-untyped-call]  # Powertools left its signature bare


@pytest.fixture(scope="module")
def calls() -> Iterator[Mapping[str, list[Call]]]:
    """All that each function asked for while it did all that it can do."""
    with world() as here, pytest.MonkeyPatch.context() as patch:
        deployed = Deployed(here)
        secrets = boto3.client("secretsmanager", endpoint_url=here.proxy.url, **KEYS)
        for name, text in SECRETS.items():
            secrets.create_secret(Name=name, SecretString=text)
        sqs = boto3.client("sqs", endpoint_url=here.proxy.url, **KEYS)
        for url in (QUEUE, DEAD_LETTERS):
            sqs.create_queue(QueueName=url.rpartition("/")[2])
        logs = boto3.client("logs", endpoint_url=here.proxy.url, **KEYS)
        logs.create_log_group(logGroupName=NAMES["AuditLogGroup"])
        new_session = botocore.session.get_session

        def noting() -> botocore.session.Session:
            session = new_session()
            session.register("before-parameter-build", deployed.note)
            return session

        def noting_signed(signer: Signer, *arguments: Any, **more: Any) -> Signed:
            return deployed.sign(signer, *arguments, **more)

        patch.setattr(botocore.session, "get_session", noting)
        patch.setattr(Signer, "sign", noting_signed)
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        upload_all_ways(deployed)
        hash_and_stream_all_ways(deployed)
        complete_in_all_ways(deployed)
        share_in_all_ways(deployed)
        archive_in_all_ways(deployed)
        publish_in_all_ways(deployed)
        delete_in_every_state(deployed)
        use_access_tokens(deployed)
        forget_secrets()
        yield deployed.calls


def upload_all_ways(deployed: Deployed) -> None:
    """In one PUT and in parts, resumed, listed, completed too early, twice, and without its upload."""
    single = deployed.created(SMALL)
    deployed.api("POST", f"/files/{single['id']}/complete", 409)
    deployed.api("GET", f"/files/{single['id']}/parts", 200)

    large = deployed.created(PARTED, fingerprint="again", digests={"sha-256": hashlib.sha256(PARTED).hexdigest()})
    put(large["parts"][0], PARTED)
    resumed = deployed.api("POST", "/files", 200, {"filename": "a.bin", "size": len(PARTED), "fingerprint": "again"})
    assert [part["number"] for part in resumed["received"]] == [1]
    put(deployed.api("GET", f"/files/{large['id']}/parts?numbers=2", 200)["parts"][0], PARTED)
    for _ in range(2):
        assert deployed.api("POST", f"/files/{large['id']}/complete", 202)["status"] == "assembling"

    gone = deployed.created(PARTED)
    record = deployed.record(gone)
    deployed.here.near_objects.abort(record.key, str(record.upload_id))
    assert deployed.api("POST", f"/files/{gone['id']}/complete", 202)["reason"] == "upload_missing"

    assert deployed.kept(SMALL)["status"] == "ready"
    drop = deployed.api("POST", "/drops", 201, {"max_files": 1, "expires_in": 60})
    with deployed.running("ApiFunction") as module:
        visitor = asking(module, drop["capability"])
        answers = [visitor.post("/files", json={"filename": "a", "size": 1}).status_code for _ in range(2)]
    assert answers == [201, 403]
    assert len(deployed.api("GET", "/drops", 200)["items"]) == 1
    assert deployed.api("GET", f"/drops/{drop['id']}", 200)["links"] == drop["links"]
    deployed.api("DELETE", f"/drops/{drop['id']}", 204)

    assert len(deployed.api("GET", "/files?limit=2", 200)["items"]) == 2
    failed = deployed.api("GET", "/files?status=failed", 200)["items"]
    assert [file["id"] for file in failed] == [gone["id"]]
    for wanted in ("folder=", "q=A.", "drop=" + drop["id"]):
        assert deployed.api("GET", f"/files?{wanted}", 200)["items"]
    deployed.api("GET", f"/files/{gone['id']}", 200)
    deployed.api("PATCH", f"/files/{single['id']}", 200, {"folder": "a"})


def hash_and_stream_all_ways(deployed: Deployed) -> None:
    """An object that is there and one that is gone; whole, a range, its head, by redirect, watched in every state."""
    uploading = deployed.created(PARTED)
    assert "event: progress" in deployed.stream(uploading["links"]["events"], 200).text

    for data in (SMALL, REDIRECTED):
        file = deployed.arrived(data)
        deployed.hash(deployed.version(file))
        ready = deployed.api("GET", f"/files/{file['id']}", 200)
        assert ready["status"] == "ready"
        link = ready["links"]["content"]
        assert deployed.stream(link, 206, Range="bytes=1-3").content == data[1:4]
        if len(data) <= STREAM_LIMIT:
            assert deployed.stream(link, 200).content == data
        else:
            assert "X-Amz-Signature" in deployed.stream(link, 307).headers["location"]
        deployed.stream(link, 200, "HEAD")
        for method in ("GET", "HEAD"):
            deployed.stream(f"{link}&direct=1", 307, method)
        assert "event: ready" in deployed.stream(ready["links"]["events"], 200).text

    feed_and_export(deployed)

    hashing = deployed.arrived(SMALL)
    deployed.here.near_files.save(deployed.record(hashing), status=Status.HASHING)
    assert "event: progress" in deployed.stream(hashing["links"]["events"], 200).text

    handed_over = deployed.arrived(PARTED)
    deployed.hash(deployed.version(handed_over), milliseconds_left=9_900)
    assert deployed.record(handed_over).hashed_bytes == 8 * MIB
    deployed.hash(deployed.version(handed_over))
    assert deployed.record(handed_over).status is Status.READY

    missing = deployed.arrived(SMALL)
    version = deployed.version(missing)
    deployed.here.near_objects.delete(version.key)
    deployed.hash(version)
    assert deployed.record(missing).reason == "object_missing"


def feed_and_export(deployed: Deployed) -> None:
    """What has happened so far, downloads among it; all files, and those of a folder and of a drop."""
    links = deployed.api("GET", "/files", 200)["links"]
    told = deployed.stream(links["events"], 200).text
    assert "event: file" in told
    assert "event: download" in told
    for wanted in ("", "?folder=", "?drop=" + "0" * 26):
        links = deployed.api("GET", f"/files{wanted}", 200)["links"]
        for name in ("jsonl", "csv", "sha256sum"):
            assert deployed.stream(links[name], 200).content


def complete_in_all_ways(deployed: Deployed) -> None:
    """What the API could not wait for, before and after S3 was done with it, and what arrives for nobody."""
    for done in (False, True):
        created = deployed.created(PARTED)
        for part in created["parts"]:
            put(part, PARTED)
        record = deployed.here.near_files.save(deployed.record(created), status=Status.ASSEMBLING)
        if done:
            deployed.here.near_uploads.complete(record, None)
        deployed.take({"Assembling": {"owner": record.owner, "id": record.id}})
        assert deployed.version(created).size == len(PARTED)

    lost = deployed.created(PARTED)
    record = deployed.here.near_files.save(deployed.record(lost), status=Status.ASSEMBLING)
    deployed.here.near_objects.abort(record.key, str(record.upload_id))
    assert deployed.api("POST", f"/files/{lost['id']}/complete", 202)["status"] == "assembling"

    excess = deployed.here.near_uploads.begin_as_cut(
        Caller("default"), CreateFile(filename="a", size=1), Mode.MULTIPART
    )
    part = {"Key": excess.key, "UploadId": str(excess.upload_id), "PartNumber": 1}
    deployed.here.near_s3.upload_part(Bucket=BUCKET, Body=SMALL, **part)
    deployed.take({"Measuring": {"owner": excess.owner, "id": excess.id}})
    assert deployed.here.near_files.get(excess.owner, excess.id).reason == "file_too_large"

    scanning = deployed.record(deployed.arrived(SMALL))
    version = deployed.here.near_objects.head(scanning.key).version
    scanning = deployed.here.near_files.save(scanning, status=Status.HASHING, version_id=version.version_id)
    scanning = deployed.here.near_files.save(scanning, status=Status.SCANNING)
    deployed.take({"Scanning": {"owner": scanning.owner, "id": scanning.id, "until": 2**33}})
    waiting = deployed.here.near_files.save(deployed.record(deployed.arrived(SMALL)), status=Status.HASHING)
    deployed.here.near_files.save(waiting, status=Status.SCANNING)
    told = {"bucketName": BUCKET, "objectKey": scanning.key, "eTag": version.etag, "versionId": version.version_id}
    found = {"scanResultStatus": "NO_THREATS_FOUND", "threats": None}
    kind = "GuardDuty Malware Protection Object Scan Result"
    deployed.take({"detail-type": kind, "detail": {"s3ObjectDetails": told, "scanResultDetails": found}})
    assert deployed.here.near_files.get(scanning.owner, scanning.id).status is Status.READY

    hidden = deployed.arrived(SMALL)
    own = deployed.version(hidden)
    deployed.hash(own)
    deployed.here.near_s3.put_object(Bucket=BUCKET, Key=own.key, Body=b"newer")
    deployed.hash(deployed.version(hidden))
    assert deployed.version(hidden) == own

    orphan = deployed.arrived(SMALL)
    version = deployed.version(orphan)
    deployed.here.near_files.delete(deployed.record(orphan))
    deployed.hash(version)
    with pytest.raises(ObjectMissing):
        deployed.here.near_objects.head(version.key)


def share_in_all_ways(deployed: Deployed) -> None:
    """A file with a password, tried and opened, taken whole, in ranges, by redirect and too often; and a folder."""
    file = deployed.kept(SMALL)
    wanted = {"files": [file["id"]], "expires_in": 60, "password": "secret", "max_downloads": 1}
    share = deployed.api("POST", "/shares", 201, wanted)
    deployed.api("POST", "/shares", 201, {"folder": "", "expires_in": 60})
    assert len(deployed.api("GET", "/shares", 200)["items"]) == 2
    assert len(deployed.api("GET", f"/shares?file={file['id']}", 200)["items"]) == 2
    with deployed.running("ApiFunction") as module:
        holder = asking(module, share["capability"])
        path = f"/shares/{share['id']}/open"
        assert holder.post(path, json={"password": "wrong"}).status_code == 403
        links = [holder.post(path, json={"password": "secret"}).json()["files"][0]["links"]["content"] for _ in "ab"]
    deployed.stream(links[0], 200, "HEAD")
    assert deployed.stream(links[0], 200).content == SMALL
    assert deployed.stream(links[0], 206, Range="bytes=1-3").content == SMALL[1:4]
    assert deployed.stream(f"{links[0]}&direct=1", 307, Range="bytes=1-3")
    deployed.stream(links[1], 403)
    assert deployed.api("GET", f"/shares/{share['id']}", 200)["downloads"] == 1
    deployed.api("DELETE", f"/shares/{share['id']}", 204)
    deployed.stream(links[0], 404)


def publish_in_all_ways(deployed: Deployed) -> None:
    """A file that came through a drop, a download from a share, and a change that cannot be understood."""
    file = deployed.record(deployed.kept(SMALL))
    came, taken = replace(file, drop=new_id()), Download(owner=file.owner, record=file.id, size=1, share=new_id())
    download = {"record": {"S": file.id}, "share": {"S": str(taken.share)}, "ended": {"S": "complete"}}
    download |= {"sent_bytes": {"N": "1"}, "size": {"N": "1"}, "changed": {"S": file.updated_at}}
    download |= {"owner": {"S": DOWNLOADS + file.owner}, "id": {"S": taken.id}}
    with deployed.running("PublisherFunction") as module:
        for image in (_to_item(came), download, {"owner": {"S": "default"}, "id": {"S": new_id()}}):
            keys = {name: image[name] for name in ("owner", "id")}
            change = {"Keys": keys, "NewImage": image, "SequenceNumber": "1", "ApproximateCreationDateTime": 1}
            assert module.handler({"Records": [{"dynamodb": change}]}, CONTEXT) == {"batchItemFailures": []}


def in_two_levels(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("sluice.copying.MAX_PARTS", 1)
    patch.setattr("sluice.copying.MIN_PART_BYTES", 4 * MIB)
    patch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)


def archive_in_all_ways(deployed: Deployed) -> None:
    """Streamed, put together in S3 in one level and in two, of a file that was never read; and deleted meanwhile."""
    small, large = deployed.kept(SMALL), deployed.arrived(PARTED)
    deployed.hash(deployed.version(large))
    streamed = deployed.api("POST", "/archives", 201, {"files": [small["id"]]})
    assert streamed["status"] == "ready"
    assert deployed.stream(streamed["links"]["content"], 200).content[:4] == b"PK\x03\x04"
    assert deployed.api("GET", f"/archives/{streamed['id']}", 200)["status"] == "ready"
    deployed.api("DELETE", f"/archives/{streamed['id']}", 204)

    share = deployed.api("POST", "/shares", 201, {"files": [small["id"]], "expires_in": 600})
    with deployed.running("ApiFunction") as module:
        holder = asking(module, share["capability"])
        link = holder.post(f"/shares/{share['id']}/open").json()["links"]["archive"]
        assert holder.post("/archives", json={"share": share["id"]}).json()["status"] == "ready"
    assert deployed.stream(link, 200).content[:4] == b"PK\x03\x04"

    unread = deployed.created(SMALL, digests={"sha-256": hashlib.sha256(SMALL).hexdigest()})
    put(unread["parts"][0], SMALL)
    assert deployed.api("POST", f"/files/{unread['id']}/complete", 202)["status"] == "ready"
    files = {"files": [unread["id"], large["id"], small["id"]]}
    for levels in (1, 2):
        built = deployed.api("POST", "/archives", 201, files)
        with pytest.MonkeyPatch.context() as patch:
            if levels == 2:
                in_two_levels(patch)
            deployed.take({"Archiving": {"owner": "default", "id": built["id"]}})
        built = deployed.api("GET", f"/archives/{built['id']}", 200)
        assert (built["status"], built["reason"]) == ("ready", None)
        assert "X-Amz-Signature" in deployed.stream(built["links"]["content"], 307).headers["location"]
        deployed.stream(built["links"]["content"], 200, "HEAD")
        assert "event: ready" in deployed.stream(built["links"]["events"], 200).text

    handed_over = deployed.api("POST", "/archives", 201, files)
    with pytest.MonkeyPatch.context() as patch:
        in_two_levels(patch)
        deployed.take({"Archiving": {"owner": "default", "id": handed_over["id"]}}, milliseconds_left=20_000)
    assert deployed.api("GET", f"/archives/{handed_over['id']}", 200)["status"] == "building"
    deployed.api("DELETE", f"/archives/{handed_over['id']}", 204)

    lost = deployed.api("POST", "/archives", 201, {"files": [large["id"]]})
    deployed.here.near_objects.delete(deployed.record(large).key)
    deployed.take({"Archiving": {"owner": "default", "id": lost["id"]}})
    assert deployed.api("GET", f"/archives/{lost['id']}", 200)["reason"] == "object_missing"


def delete_in_every_state(deployed: Deployed) -> None:
    """Every file that is there by now, whatever became of it, and the aborted ones once more."""
    left = deployed.api("GET", "/files?limit=100", 200)["items"]
    assert {file["status"] for file in left} == set(Status) - {Status.ABORTED}
    for file in left:
        deployed.api("DELETE", f"/files/{file['id']}", 204)
    aborted = deployed.api("GET", "/files?status=aborted", 200)["items"]
    assert aborted
    for file in aborted:
        deployed.api("DELETE", f"/files/{file['id']}", 204)


# What Lambda itself acts on, and other services with the key.
OF_AWS = {"WriteLogs", "Trace", "UseKey", "TakeMessages", "ReadChanges"}


def policies(function: str) -> list[Mapping[str, Any]]:
    """The statements of the function's role, but for what AWS itself acts on: logs, traces, queue, stream, key."""
    role, _ = SOURCE["Resources"][function]["Properties"]["Role"]["Fn::GetAtt"]
    written = SOURCE["Resources"][role]["Properties"]["Policies"]
    statements = [statement for policy in written for statement in policy["PolicyDocument"]["Statement"]]
    plain = [statement["Fn::If"][1] if "Fn::If" in statement else statement for statement in statements]
    return [statement for statement in plain if statement["Sid"] not in OF_AWS]


def allowed(function: str) -> list[Permission]:
    return [
        (action, in_words(resource))
        for statement in policies(function)
        for action, resource in product(listed(statement["Action"]), listed(statement["Resource"]))
    ]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def in_words(resource: Any) -> str:
    """`!Ref A` as ${A}, `!GetAtt A.Arn` as ${A.Arn}, `!Sub` as it is: what Fn::Sub makes the same ARN of."""
    match resource:
        case {"Ref": name}:
            return ref(name)
        case {"Fn::GetAtt": [*names]}:
            return ref(*names)
        case {"Fn::Sub": str(text)}:
            return text
        case _:
            return str(resource)


def needed(calls: Iterable[Call]) -> set[Permission]:
    return {permission for call in calls for permission in call.needs()}


def covers(granted: Permission, need: Permission) -> bool:
    """As IAM compares: the action by its name, the resource with `*` for anything, slashes included."""
    return granted[0] == need[0] and fnmatchcase(need[1], granted[1])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_a_function_asks_for_it_may(function: str, calls: Mapping[str, list[Call]]) -> None:
    """On AWS none of its calls, and no URL that it signed, is refused."""
    granted = allowed(function)
    assert [need for need in sorted(needed(calls[function])) if not any(covers(one, need) for one in granted)] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_a_function_may_it_asks_for(function: str, calls: Mapping[str, list[Call]]) -> None:
    """Nothing is allowed on any resource that no call there makes use of, but for the reason written down above."""
    needs = needed(calls[function])
    unused = {granted[0] for granted in allowed(function) if not any(covers(granted, need) for need in needs)}
    assert unused == WITHOUT_A_CALL[function]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_policies_allow_plainly(function: str) -> None:
    """Without conditions that could not be judged here, on named resources, in the bucket files and archives."""
    for statement in policies(function):
        assert set(statement) == {"Sid", "Effect", "Action", "Resource"}
        assert statement["Effect"] == "Allow"
    for action, resource in allowed(function):
        assert re.fullmatch(r"[a-z0-9]+:[A-Za-z]+", action)
        of_bucket = resource.removeprefix(arn(BUCKET))
        if of_bucket != resource:
            assert of_bucket in ("", "/files/*", "/archives/*")
        else:
            assert resource == BUS or re.fullmatch(r"\$\{\w+(\.Arn|\.Value)?\}(/index/\w+)?", resource)


def test_every_call_that_the_code_can_make_was_made(calls: Mapping[str, list[Call]]) -> None:
    """So nothing above is vacuous: a call that somebody adds has to be made here as well."""
    paths = [*Path(*sluice.__path__).glob("*.py"), *TEMPLATE.parent.glob("functions/*/*.py")]
    source = "".join(path.read_text() for path in paths)
    direct = set(re.findall(r"(?:_client|sqs)\.(\w+)\(", source)) - {"get_paginator"} - BY_URL.keys()
    indirect = re.findall(r"(?:get_paginator|_sign)\(\s*\"(\w+)\"", source)
    made = {xform_name(call.operation) for noted in calls.values() for call in noted}
    signed = {xform_name(operation) for operations in BY_URL.values() for operation in operations}
    assert made == direct | {*indirect} | signed | {"get_secret_value"}  # the last one by Powertools
