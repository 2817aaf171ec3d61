"""What moto does as AWS does it, because Sluice relies on it: in the stack that people start, and in the tests."""

import base64
import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local import tokens
from sluice.digests import Digests
from tests.integration.conftest import thorough
from tests.integration.world import BUCKET, KEYS, TABLE, World, world

ALGORITHMS = {
    "SHA256": "sha-256",
    "SHA512": "sha-512",
    "SHA1": "sha",
    "MD5": "md5",
    "CRC32": "crc32",
    "CRC64NVME": "crc64nvme",
}


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    with world() as made:
        yield made


def checksum(algorithm: str, data: bytes) -> str:
    with Digests((ALGORITHMS[algorithm],)) as one:
        one.update(data)
        return base64.b64encode(bytes.fromhex(one.hexdigests()[ALGORITHMS[algorithm]])).decode()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_s3_compares_a_put_with_its_checksum(here: World, algorithm: str) -> None:
    """Other bytes are refused and not stored; of the right ones it keeps the checksum, as S3 does."""
    wanted: Any = {"Bucket": BUCKET, "Key": algorithm}
    with pytest.raises(ClientError, match="BadDigest"):
        here.near_s3.put_object(**wanted, Body=b"other", **{f"Checksum{algorithm}": checksum(algorithm, b"bytes")})
    assert here.near_s3.list_objects_v2(Bucket=BUCKET, Prefix=algorithm)["KeyCount"] == 0
    here.near_s3.put_object(**wanted, Body=b"bytes", **{f"Checksum{algorithm}": checksum(algorithm, b"bytes")})
    head = here.near_s3.head_object(**wanted, ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == checksum(algorithm, b"bytes")


def test_s3_keeps_the_checksums_of_parts(here: World) -> None:
    """It wants one for each, lists them, and makes that of the object of them."""
    made = here.near_s3.create_multipart_upload(
        Bucket=BUCKET, Key="parts", ChecksumAlgorithm="SHA256", ChecksumType="COMPOSITE"
    )
    about: Any = {"Bucket": BUCKET, "Key": "parts", "UploadId": made["UploadId"]}
    plain: Any = boto3.client(
        "s3",
        endpoint_url=here.near_s3.meta.endpoint_url,
        config=Config(request_checksum_calculation="when_required"),
        **KEYS,
    )
    with pytest.raises(ClientError, match="Checksum Type mismatch"):
        plain.upload_part(**about, PartNumber=1, Body=b"x")
    with pytest.raises(ClientError, match="BadDigest"):
        here.near_s3.upload_part(**about, PartNumber=1, Body=b"y", ChecksumSHA256=checksum("SHA256", b"x"))
    part = here.near_s3.upload_part(**about, PartNumber=1, Body=b"x", ChecksumSHA256=checksum("SHA256", b"x"))
    (listed,) = here.near_s3.list_parts(**about)["Parts"]
    assert listed["ChecksumSHA256"] == checksum("SHA256", b"x")
    parts = [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": listed["ChecksumSHA256"]}]
    here.near_s3.complete_multipart_upload(**about, MultipartUpload={"Parts": parts})
    head = here.near_s3.head_object(Bucket=BUCKET, Key="parts", ChecksumMode="ENABLED")
    composite = base64.b64encode(hashlib.sha256(hashlib.sha256(b"x").digest()).digest()).decode()
    assert (head["ChecksumSHA256"].partition("-")[0], head["ChecksumType"]) == (composite, "COMPOSITE")


def test_no_write_that_was_confirmed_is_lost_beside_a_refused_transaction(here: World) -> None:
    """moto puts the whole table back as it was when a transaction is refused."""
    dynamodb, table = here.near_files.connection
    key = {"owner": {"S": "t"}, "id": {"S": "taken"}}
    dynamodb.put_item(TableName=table, Item=key)
    refused: Any = {"Put": {"TableName": table, "Item": key, "ConditionExpression": "attribute_not_exists(id)"}}

    def refuse() -> None:
        for _ in range(60):
            with pytest.raises(ClientError):
                dynamodb.transact_write_items(TransactItems=[refused])

    beside = threading.Thread(target=refuse)
    beside.start()
    names = [{"owner": {"S": "t"}, "id": {"S": str(number)}} for number in range(60)]
    for name in names:
        dynamodb.put_item(TableName=table, Item=name)
    beside.join()
    assert all("Item" in dynamodb.get_item(TableName=table, Key=name) for name in names)


@thorough
def test_no_message_that_was_sent_is_lost_beside_a_deletion(here: World) -> None:
    """moto deletes by making a list of the other messages, and looks through a set that others change."""
    queue_url = here.near_sqs.create_queue(QueueName="busy")["QueueUrl"]
    sent, threads = 100, 3
    taken: list[str] = []

    def send(sender: int) -> None:
        for number in range(sent):
            here.near_sqs.send_message(QueueUrl=queue_url, MessageBody=f"{sender} {number}")

    def take() -> None:
        while len(taken) < sent * threads:
            received = here.near_sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            if not received.get("Messages"):
                return
            for message in received["Messages"]:
                here.near_sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
                taken.append(message["Body"])

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that threads meet in the middle of what they do
    try:
        with ThreadPoolExecutor() as pool:
            work = [*(pool.submit(send, sender) for sender in range(threads)), *(pool.submit(take) for _ in range(3))]
        for one in work:
            one.result()
    finally:
        sys.setswitchinterval(interval)
    assert {*taken} == {f"{sender} {number}" for sender in range(threads) for number in range(sent)}


def test_a_token_is_added_beside_the_old_ones(here: World) -> None:
    """It is shown once, and kept as a hash."""
    secrets = boto3.client("secretsmanager", endpoint_url=here.near_s3.meta.endpoint_url, **KEYS)
    secrets.create_secret(Name="tokens", SecretString='{"bob": "old"}')
    added = [tokens.add(secrets, "tokens", owner) for owner in ("alice", "alice", "bob")]
    kept = json.loads(secrets.get_secret_value(SecretId="tokens")["SecretString"])
    assert kept == {"alice": [*map(tokens.hashed, added[:2])], "bob": ["old", tokens.hashed(added[2])]}


def test_every_kind_of_attribute_comes_back_from_the_table(here: World) -> None:
    """Also one inside another, and what is empty: moto is told to write the member that is there, and no other."""
    kinds: dict[str, Any] = {
        "text": {"S": "Übung"},
        "nothing": {"S": ""},
        "number": {"N": "12.50"},
        "bytes": {"B": bytes(range(256))},
        "true": {"BOOL": True},
        "false": {"BOOL": False},
        "null": {"NULL": True},
        "texts": {"SS": ["a", "b"]},
        "numbers": {"NS": ["1", "2"]},
        "list": {"L": [{"S": "S"}, {"L": []}, {"M": {"N": {"N": "0"}}}]},
        "map": {"M": {"S": {"M": {}}, "L": {"L": [{"BOOL": False}]}}},
    }
    table, _ = here.near_files.connection
    table.put_item(TableName=TABLE, Item=KEY_OF_KINDS | kinds)
    item = table.get_item(TableName=TABLE, Key=KEY_OF_KINDS)["Item"]
    assert {name: _sorted(value) for name, value in item.items()} == KEY_OF_KINDS | kinds
    assert table.query(
        TableName=TABLE,
        KeyConditionExpression="#owner = :owner",
        ExpressionAttributeNames={"#owner": "owner"},
        ExpressionAttributeValues={":owner": KEY_OF_KINDS["owner"]},
    )["Items"] == [item]


KEY_OF_KINDS: dict[str, Any] = {"owner": {"S": "kinds"}, "id": {"S": "all"}}


def _sorted(value: Any) -> dict[str, Any]:
    """A set has no order."""
    return {kind: sorted(members) if kind in ("SS", "NS") else members for kind, members in value.items()}
