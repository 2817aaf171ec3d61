"""`make up DATA=dir`: what was confirmed is there again after any end of the stack, and nothing else is touched."""

import hashlib
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local import aws
from local.data import DATABASE, OBJECTS
from local.streams import queue_name
from local.template import REGION
from tests.integration.conftest import ROOT, STOP_SECONDS, running, thorough
from tests.integration.journey import (
    MIB,
    PATIENCE_SECONDS,
    client,
    create,
    ended,
    events,
    put_parts,
    random_bytes,
    upload,
)

BUCKET, TABLE, QUEUE, DEAD, SECRET = "bucket", "table", "queue", "dead-letters", "secret"

LEASE_SECONDS = 1  # of a worker, after which what it held comes back


class Services:
    """moto in a process of its own that keeps its data, as the stack has it, and clients of it."""

    def __init__(self, folder: Path) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.folder = folder
        with listener:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local.aws", str(listener.fileno()), str(folder), str(LEASE_SECONDS)],
                cwd=ROOT,
                pass_fds=[listener.fileno()],
            )
        clients = aws.connect(self.url)
        self.s3: Any = clients.s3
        self.sqs: Any = clients.sqs
        self.dynamodb: Any = clients.dynamodb
        self.secrets: Any = clients.secrets

    def make(self) -> "Services":
        """What a template would make at each start."""
        self.dynamodb.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "owner", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("owner", "id")],
            BillingMode="PAY_PER_REQUEST",
        )
        self.dead = self.sqs.create_queue(QueueName=DEAD)["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
        made = self.sqs.create_queue(
            QueueName=QUEUE, Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "1000"}
        )
        self.queue = made["QueueUrl"]
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        self.secret = self.secrets.create_secret(Name=SECRET, SecretString="made up")["ARN"]
        return self

    def again(self) -> "Services":
        """The next ones over the same folder, after SIGKILL."""
        self.close()
        return Services(self.folder).make()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()

    def messages(self, url: str, **more: Any) -> list[dict[str, Any]]:
        received: list[dict[str, Any]] = self.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
            **more,
        ).get("Messages", [])
        return received

    def versions(self) -> dict[str, Any]:
        listed = self.s3.list_object_versions(Bucket=BUCKET)
        return {name: listed.get(name, []) for name in ("Versions", "DeleteMarkers")}

    @contextmanager
    def sending(self, half: bytes) -> Iterator[None]:
        """An object of which one half comes, and the other never does."""
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "region_name": REGION}
        config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
        s3: Any = boto3.client("s3", endpoint_url=self.url, config=config, **keys)  # type: ignore[call-overload]
        path = s3.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "half"}).removeprefix(self.url)
        with socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2]))) as connection:
            connection.sendall(f"PUT {path} HTTP/1.1\r\nHost: {self.url.removeprefix('http://')}\r\n".encode())
            connection.sendall(f"Content-Length: {2 * len(half)}\r\n\r\n".encode() + half)
            late = monotonic() + PATIENCE_SECONDS
            while not self.files():
                assert monotonic() < late
                sleep(0.01)
            yield

    def files(self) -> int:
        return len(list((self.folder / OBJECTS).iterdir()))


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Callable[[Services | None], Services]]:
    """Services over one folder; those that are given are killed first."""
    with ExitStack() as closing_all:

        def start(before: Services | None = None) -> Services:
            started = Services(tmp_path).make() if before is None else before.again()
            closing_all.callback(started.close)
            return started

        yield start


Start = Callable[..., Services]


def test_items_are_kept(services: Start) -> None:
    """Of every type and through every operation that writes; and what was deleted stays deleted."""
    here = services()
    key = {"owner": {"S": "ö"}, "id": {"S": "1"}}
    every = {
        "binary": {"B": b"\x00\xff"},
        "binaries": {"BS": [b"1", b"\xff"]},
        "map": {"M": {"$bytes": {"S": "x"}, "list": {"L": [{"B": b"\xfe"}, {"BOOL": False}, {"NULL": True}]}}},
        "number": {"N": "1.50"},
        "numbers": {"NS": ["1", "2"]},
        "strings": {"SS": ["a", "b"]},
    }
    here.dynamodb.put_item(TableName=TABLE, Item=key | every)
    here.dynamodb.update_item(
        TableName=TABLE,
        Key=key,
        UpdateExpression="SET told = :told ADD #count :one",
        ExpressionAttributeNames={"#count": "count"},
        ExpressionAttributeValues={":told": {"S": "yes"}, ":one": {"N": "1"}},
    )
    others = [{"owner": {"S": "others"}, "id": {"S": str(number)}} for number in range(6)]
    here.dynamodb.batch_write_item(RequestItems={TABLE: [{"PutRequest": {"Item": item}} for item in others[:4]]})
    here.dynamodb.delete_item(TableName=TABLE, Key=others[0])
    here.dynamodb.batch_write_item(RequestItems={TABLE: [{"DeleteRequest": {"Key": others[1]}}]})
    here.dynamodb.transact_write_items(
        TransactItems=[
            {"Delete": {"TableName": TABLE, "Key": others[2]}},
            {"Put": {"TableName": TABLE, "Item": others[4]}},
        ]
    )
    with pytest.raises(ClientError, match="TransactionCanceled"):
        here.dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": TABLE, "Item": others[0]}},
                {
                    "ConditionCheck": {
                        "TableName": TABLE,
                        "Key": others[5],
                        "ConditionExpression": "attribute_exists(id)",
                    }
                },
            ]
        )
    here.dynamodb.execute_statement(Statement=f"INSERT INTO \"{TABLE}\" VALUE {{'owner': 'others', 'id': 'partiql'}}")
    before = here.dynamodb.scan(TableName=TABLE)["Items"]
    assert key | every | {"told": {"S": "yes"}, "count": {"N": "1"}} in before
    assert sorted(item["id"]["S"] for item in before) == ["1", "3", "4", "partiql"]
    assert services(here).dynamodb.scan(TableName=TABLE)["Items"] == before


@thorough
def test_template_may_change(services: Start) -> None:
    """A table that is not made keeps its items until it is, one that is deleted does not; other keys are refused."""
    here = services()
    here.dynamodb.put_item(TableName=TABLE, Item={"owner": {"S": "me"}, "id": {"S": "1"}})
    here.close()
    with closing(Services(here.folder)) as other:
        with pytest.raises(
            ClientError, match="have no key number of type N, as the template says now: use another folder"
        ):
            other.dynamodb.create_table(
                TableName=TABLE,
                KeySchema=[{"AttributeName": "number", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "number", "AttributeType": "N"}],
                BillingMode="PAY_PER_REQUEST",
            )
        assert other.dynamodb.list_tables()["TableNames"] == []
    again = services(here)
    assert again.dynamodb.scan(TableName=TABLE)["Count"] == 1
    again.dynamodb.delete_table(TableName=TABLE)
    assert services(again).dynamodb.scan(TableName=TABLE)["Count"] == 0


@thorough
def test_messages_are_kept(services: Start) -> None:
    """With all that belongs to them, until they are deleted; dead letters too."""
    here = services()
    attributes = {
        "kind": {"DataType": "Binary", "BinaryValue": b"\xff"},
        "why": {"DataType": "String", "StringValue": "ö"},
    }
    for body in ("kept", "deleted", "dead", "purged"):
        url = here.dead if body == "purged" else here.queue
        here.sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes, MessageGroupId="group")
    here.sqs.purge_queue(QueueUrl=here.dead)
    first = {message["Body"]: message for message in here.messages(here.queue, VisibilityTimeout=0)}
    assert first.keys() == {"kept", "deleted", "dead"}
    here.sqs.delete_message(QueueUrl=here.queue, ReceiptHandle=first["deleted"]["ReceiptHandle"])
    here.sqs.send_message_batch(
        QueueUrl=here.queue,
        Entries=[{"Id": "1", "MessageBody": "later", "DelaySeconds": 900}, {"Id": "2", "MessageBody": "new"}],
    )
    again = services(here)
    # By a receipt handle from before.
    again.sqs.delete_message(QueueUrl=again.queue, ReceiptHandle=first["kept"]["ReceiptHandle"])
    (dead, new) = again.messages(again.queue, VisibilityTimeout=0)
    assert (dead["Body"], new["Body"]) == ("dead", "new")
    assert dead["MessageAttributes"] == attributes
    assert dead["MessageId"] == first["dead"]["MessageId"]
    assert dead["Attributes"]["MessageGroupId"] == "group"
    assert dead["Attributes"]["ApproximateReceiveCount"] == "2"
    assert dead["Attributes"]["SentTimestamp"] == first["dead"]["Attributes"]["SentTimestamp"]
    assert [message["Body"] for message in again.messages(again.queue)] == [
        "new"
    ]  # the other has been received too often
    (buried,) = services(again).messages(again.dead)
    assert (buried["Body"], buried["MessageId"]) == ("dead", dead["MessageId"])


@thorough
def test_message_in_flight_comes_back(services: Start) -> None:
    """Soon, however long it would have been invisible, and as if nobody had received it: its worker ended too."""
    here = services()
    here.sqs.send_message(QueueUrl=here.queue, MessageBody="worked on")
    assert here.messages(here.queue, WaitTimeSeconds=10)
    for _ in range(3):  # more often than a message may be received
        stopped = monotonic()
        here = services(here)
        (message,) = here.messages(here.queue, WaitTimeSeconds=10)
        assert monotonic() - stopped >= LEASE_SECONDS
        assert message["Attributes"]["ApproximateReceiveCount"] == "1"


def test_objects_are_kept(services: Start) -> None:
    """Bytes, versions, delete markers, metadata, tags, checksums: what can be asked of them answers as before."""
    here = services()
    put = {
        "Body": b"first",
        "ContentType": "text/plain",
        "ContentDisposition": "attachment",
        "Metadata": {"$bytes": "x", "owner": "me"},
        "Tagging": "kind=a",
        "ChecksumAlgorithm": "SHA256",
    }
    first = here.s3.put_object(Bucket=BUCKET, Key="a/ö ?", **put)
    here.s3.put_object(Bucket=BUCKET, Key="a/ö ?", Body=b"second")
    here.s3.put_object_tagging(Bucket=BUCKET, Key="a/ö ?", Tagging={"TagSet": [{"Key": "kind", "Value": "b"}]})
    here.s3.delete_object(Bucket=BUCKET, Key="a/ö ?")
    here.s3.copy_object(
        Bucket=BUCKET,
        Key="copy",
        CopySource={"Bucket": BUCKET, "Key": "a/ö ?", "VersionId": first["VersionId"]},
        MetadataDirective="REPLACE",
        Metadata={"replaced": "yes"},
    )
    for name in ("deleted", "empty"):
        made = here.s3.put_object(Bucket=BUCKET, Key=name, Body=name.encode() if name == "deleted" else b"")
    here.s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "deleted"}]})
    doomed = here.s3.put_object(Bucket=BUCKET, Key="doomed", Body=b"doomed")
    here.s3.delete_object(Bucket=BUCKET, Key="doomed", VersionId=doomed["VersionId"])
    before, told = here.versions(), everything(here)
    again = services(here)
    assert again.versions() == before
    assert everything(again) == told
    assert again.s3.head_object(Bucket=BUCKET, Key="empty")["VersionId"] == made["VersionId"]
    assert again.s3.get_object(Bucket=BUCKET, Key="copy", Range="bytes=1-3")["Body"].read() == b"irs"
    # The marker can be taken away, and what it hid is there.
    (marker,) = (one for one in before["DeleteMarkers"] if one["Key"] == "a/ö ?")
    again.s3.delete_object(Bucket=BUCKET, Key="a/ö ?", VersionId=marker["VersionId"])
    assert again.s3.get_object(Bucket=BUCKET, Key="a/ö ?")["Body"].read() == b"second"


def everything(here: Services) -> list[Any]:
    """All that S3 tells of each version."""
    told: list[Any] = []
    for version in here.versions()["Versions"]:
        named = {"Bucket": BUCKET, "Key": version["Key"], "VersionId": version["VersionId"]}
        answer = here.s3.get_object(**named, ChecksumMode="ENABLED")
        told += [answer["Body"].read(), here.s3.get_object_tagging(**named)["TagSet"]]
        told.append(here.s3.head_object(**named, ChecksumMode="ENABLED"))
        told[-1].pop("ResponseMetadata")
    return told


def test_upload_goes_on_after_a_restart(services: Start) -> None:
    """What arrived of it is listed as before, the rest is sent, and it completes; a completion can be asked again."""
    here = services()
    parts = [random_bytes(5 * MIB), random_bytes(5 * MIB), b"end"]
    created = here.s3.create_multipart_upload(
        Bucket=BUCKET, Key="parts", ContentType="text/plain", Metadata={"owner": "me"}, ChecksumAlgorithm="SHA256"
    )
    about = {"Bucket": BUCKET, "Key": "parts", "UploadId": created["UploadId"]}
    here.s3.upload_part(**about, PartNumber=2, Body=b"wrong", ChecksumAlgorithm="SHA256")
    for number in (1, 2):
        here.s3.upload_part(**about, PartNumber=number, Body=parts[number - 1], ChecksumAlgorithm="SHA256")
    given_up = here.s3.create_multipart_upload(Bucket=BUCKET, Key="given up")["UploadId"]
    here.s3.upload_part(Bucket=BUCKET, Key="given up", UploadId=given_up, PartNumber=1, Body=b"gone")
    here.s3.abort_multipart_upload(Bucket=BUCKET, Key="given up", UploadId=given_up)
    listed, uploads = (here.s3.list_parts(**about)["Parts"], here.s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"])
    again = services(here)
    assert again.s3.list_parts(**about)["Parts"] == listed
    assert again.s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"] == uploads
    assert len(uploads) == 1
    again.s3.upload_part(**about, PartNumber=3, Body=parts[2], ChecksumAlgorithm="SHA256")
    named = [
        {key: part[key] for key in ("PartNumber", "ETag", "ChecksumSHA256")}
        for part in again.s3.list_parts(**about)["Parts"]
    ]
    completed = again.s3.complete_multipart_upload(**about, MultipartUpload={"Parts": named})
    told = everything(again)
    last = services(again)
    assert everything(last) == told
    assert told[0] == b"".join(parts)
    assert last.s3.complete_multipart_upload(**about, MultipartUpload={"Parts": named})["ETag"] == completed["ETag"]
    assert last.files() == 3
    assert "Uploads" not in last.s3.list_multipart_uploads(Bucket=BUCKET)


@thorough
def test_secret_is_kept(services: Start) -> None:
    """Its value and its ARN, whatever the template would make up."""
    here = services()
    assert here.secrets.get_secret_value(SecretId=SECRET)["SecretString"] == "made up"
    here.secrets.put_secret_value(SecretId=SECRET, SecretString="set")
    again = services(here)
    assert again.secret == here.secret
    assert again.secrets.get_secret_value(SecretId=here.secret)["SecretString"] == "set"
    again.secrets.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    assert services(again).secrets.get_secret_value(SecretId=SECRET)["SecretString"] == "made up"


@thorough
def test_nothing_grows_with_what_is_gone(services: Start) -> None:
    """Files of objects, of overwritten parts and of bodies that were cut off go; so do records."""
    here = services()
    here.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    for _ in range(5):
        here.s3.put_object(Bucket=BUCKET, Key="same", Body=random_bytes(1000))
    assert here.files() == 1
    about = {
        "Bucket": BUCKET,
        "Key": "parts",
        "UploadId": here.s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"],
    }
    for _ in range(5):
        here.s3.upload_part(**about, PartNumber=1, Body=random_bytes(1000))
    assert here.files() == 2
    here.s3.abort_multipart_upload(**about)
    here.s3.delete_object(Bucket=BUCKET, Key="same")
    assert here.files() == 0
    with here.sending(b"x" * 100_000):
        again = services(here)
    assert again.files() == 0
    again.close()
    with closing(sqlite3.connect(here.folder / DATABASE)) as database:
        assert database.execute("SELECT kind FROM record").fetchall() == [("secret",)]


def test_event_is_kept_with_its_object(services: Start) -> None:
    """An object that is there after the end has its event in the queue, however the end came between the two."""
    here = services()
    notify(here)
    here.s3.put_object(Bucket=BUCKET, Key="told", Body=b"x")
    again = services(here)
    (message,) = again.messages(again.queue)
    (record,) = json.loads(message["Body"])["Records"]
    assert record["s3"]["object"]["key"] == "told"


def notify(here: Services) -> None:
    """Let the bucket tell the queue of what comes, and forget the message that tries that out."""
    arn = here.sqs.get_queue_attributes(QueueUrl=here.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    configuration = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    here.s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=configuration)
    here.sqs.purge_queue(QueueUrl=here.queue)


@pytest.mark.parametrize("writes_of_each", [pytest.param(1, marks=thorough), 30])
def test_what_was_confirmed_survives_a_kill_at_any_moment(services: Start, writes_of_each: int) -> None:
    """Under load from several sides: items, messages, objects with their events, parts. The rest is there or is not."""
    here = services()
    notify(here)
    about = {
        "Bucket": BUCKET,
        "Key": "parts",
        "UploadId": here.s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"],
    }
    item = {"owner": {"S": "me"}, "id": {"S": "counted"}}
    writes: dict[str, Callable[[int], Any]] = {
        "item": lambda number: here.dynamodb.put_item(
            TableName=TABLE, Item={"owner": {"S": "me"}, "id": {"S": f"{number:05}"}}
        ),
        "count": lambda _: here.dynamodb.update_item(
            TableName=TABLE, Key=item, UpdateExpression="ADD n :one", ExpressionAttributeValues={":one": {"N": "1"}}
        ),
        "message": lambda number: here.sqs.send_message(QueueUrl=here.dead, MessageBody=str(number)),
        "object": lambda number: here.s3.put_object(Bucket=BUCKET, Key=f"{number:05}", Body=str(number).encode()),
        "part": lambda number: here.s3.upload_part(**about, PartNumber=number + 1, Body=str(number).encode()),
    }
    confirmed = dict.fromkeys(writes, 0)
    enough = threading.Semaphore(0)

    def work(name: str) -> None:
        try:
            while True:
                writes[name](confirmed[name])
                confirmed[name] += 1
                if confirmed[name] == writes_of_each:
                    enough.release()
        except (BotoCoreError, ClientError):
            return

    threads = [threading.Thread(target=work, args=[name]) for name in writes]
    for thread in threads:
        thread.start()
    for _ in writes:
        assert enough.acquire(timeout=PATIENCE_SECONDS)
    here.close()
    for thread in threads:
        thread.join()
    again = services(here)
    items = {one["id"]["S"]: one for one in again.dynamodb.scan(TableName=TABLE)["Items"]}
    assert_first(confirmed["item"], len(items) - 1)
    assert_first(confirmed["count"], int(items["counted"]["n"]["N"]))
    assert_first(confirmed["message"], int(number_of_messages(again, again.dead)))
    objects = again.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert_first(confirmed["object"], len(objects))
    assert [one["Key"] for one in objects] == [f"{number:05}" for number in range(len(objects))]
    assert int(number_of_messages(again, again.queue)) == len(objects)
    assert_first(confirmed["part"], len(again.s3.list_parts(**about)["Parts"]))
    for one in objects:
        assert again.s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read() == str(int(one["Key"])).encode()


def assert_first(confirmed: int, there: int) -> None:
    assert confirmed <= there <= confirmed + 1


def number_of_messages(here: Services, url: str) -> str:
    name = "ApproximateNumberOfMessages"
    attributes: dict[str, str] = here.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"]
    return attributes[name]


# ---------------------------------------------------------------- the whole stack


def owned(up: Any, token: str | None = None) -> httpx.Client:
    return client(up.ready["api"], token or up.ready["token"])


def added_owner(up: Any, token: str) -> None:
    """What `make token` does."""
    secrets = aws.connect(up.ready["aws"]).secrets
    owners = json.loads(secrets.get_secret_value(SecretId="local-AccessToken")["SecretString"])
    owners["added"] = ["sha256:" + hashlib.sha256(token.encode()).hexdigest()]
    secrets.put_secret_value(SecretId="local-AccessToken", SecretString=json.dumps(owners))


def test_a_change_is_kept_with_its_item(services: Callable[[Services | None], Services]) -> None:
    """Until the reader of the table's stream has had it; an item that is there again after a restart is no change."""
    running: Services | None = None
    for number in ("1", "2"):
        running = services(running)
        fifo: Any = {"QueueName": queue_name(TABLE), "Attributes": {"FifoQueue": "true"}}
        queue = running.sqs.create_queue(**fifo)["QueueUrl"]
        running.dynamodb.put_item(TableName=TABLE, Item={"owner": {"S": "a"}, "id": {"S": number}})
    assert running is not None
    told = [json.loads(message["Body"])["dynamodb"]["Keys"]["id"]["S"] for message in running.messages(queue)]
    assert told == ["1", "2"]


@thorough
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_stack_goes_on_where_it_was(tmp_path: Path, end: signal.Signals) -> None:
    """Files, half-sent uploads, links, tokens: after Ctrl-C and after SIGKILL a client sees no difference."""
    kept = ["--data", str(tmp_path / "my data")]
    # The links that were given out name the doors, so these have to be where they were.
    kept += [word for port in ("--api-port", "--stream-port", "--aws-port") for word in (port, str(free_port()))]
    whole, halves = random_bytes(100_000), random_bytes(17 * MIB)
    with running(tmp_path / "log", *kept, module="local.up") as up:
        assert up.ready["data"] == str(tmp_path / "my data")
        added_owner(up, "another token")
        with owned(up) as api:
            ready = ended(api, upload(api, whole, "whole.bin"))
            half = create(api, len(halves), "half.bin")
            put_parts(half["parts"][:1], halves)
        up.process.send_signal(end)
        up.process.wait(STOP_SECONDS)
    with running(tmp_path / "log", *kept, module="local.up") as again, owned(again) as api:
        assert again.ready["token"] == up.ready["token"]
        assert api.get(f"/files/{ready['id']}").json()["status"] == "ready"
        assert httpx.get(ready["links"]["content"], trust_env=False).content == whole
        left = api.get(f"/files/{half['id']}/parts").json()
        assert [part["number"] for part in left["received"]] == [1]
        put_parts(left["parts"], halves)
        completed = api.post(f"/files/{half['id']}/complete")
        shown = ended(api, completed.json())
        assert shown["status"] == "ready"
        assert httpx.get(shown["links"]["content"], trust_env=False).content == halves
        assert {file["filename"] for file in api.get("/files").json()["items"]} == {"whole.bin", "half.bin"}
        with owned(again, "another token") as other:
            assert other.get("/files").json()["items"] == []


@thorough
@pytest.mark.parametrize("begun", [False, True])
def test_hashing_goes_on_after_a_kill(tmp_path: Path, begun: bool) -> None:
    """A file that was completed when the stack was killed becomes ready after the restart, soon."""
    kept = ["--data", str(tmp_path / "data")]
    data = random_bytes(192 * MIB)
    with running(tmp_path / "log", *kept, module="local.up") as up:
        with owned(up) as api:
            completed = upload(api, data, "large.bin")
        if begun:
            next(event for event in events(completed["links"]["events"]) if event.data["status"] != "uploading")
        up.process.kill()
        up.process.wait()
    with running(tmp_path / "log", *kept, module="local.up") as again, owned(again) as api:
        file = ended(api, api.get(f"/files/{completed['id']}").json())
        assert file["status"] == "ready"
        assert file["digests"]["sha-256"] == hashlib.sha256(data).hexdigest()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@thorough
def test_stack_without_data_says_so(tmp_path: Path) -> None:
    """In words beside the ready line, with what to do about it."""
    with running(tmp_path / "log", module="local.up") as up:
        assert "data" not in up.ready
        assert "keeps its data no longer than it runs" in up.log.read_text()
        assert "make up DATA=DIR" in up.log.read_text()


def test_unusable_folder_ends_the_start(tmp_path: Path) -> None:
    """With one sentence and status 1."""
    (tmp_path / "file").touch()
    ended_at_once = subprocess.run(
        [sys.executable, "-m", "local.up", "--data", str(tmp_path / "file")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=STOP_SECONDS,
        check=False,
    )
    assert ended_at_once.returncode == 1
    assert ended_at_once.stdout == ""
    assert ended_at_once.stderr == f"[local] {tmp_path / 'file'} is a file, and DATA has to be a folder\n"
