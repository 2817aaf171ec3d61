"""A stream of a table in a local stack, from the write to the function."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import aws
from tests.integration.conftest import Running, running
from tests.integration.test_local_queue import take

TEMPLATE = Path(__file__).parent / "templates" / "streams" / "template.yaml"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("streams") / "log", "--template", str(TEMPLATE)) as up:
        yield up


@pytest.fixture(scope="module")
def services(stack: Running) -> aws.Services:
    return aws.connect(stack.ready["aws"])


@pytest.fixture(scope="module")
def queues(services: aws.Services) -> dict[str, str]:
    urls = services.sqs.list_queues()["QueueUrls"]
    return {name: next(url for url in urls if f"-{name}-" in url) for name in ("Seen", "Dead")}


@pytest.fixture(scope="module")
def table(services: aws.Services) -> str:
    (name,) = services.dynamodb.list_tables()["TableNames"]
    return name


def item(name: str, kind: str = "good", **more: Any) -> dict[str, Any]:
    return {"id": {"S": name}, "kind": {"S": kind}, **more}


def changes(services: aws.Services, url: str, count: int) -> list[dict[str, Any]]:
    return [json.loads(message["Body"]) for message in take(services.sqs, url, count)]


def test_changes_come_in_order_and_as_they_are(services: aws.Services, queues: dict[str, str], table: str) -> None:
    """By every operation that writes, with the image of the stream; what writes the same again is no change."""
    write = services.dynamodb
    write.put_item(TableName=table, Item=item("a", n={"N": "1"}, b={"B": b"\0\xff"}))
    write.put_item(TableName=table, Item=item("a", n={"N": "1"}, b={"B": b"\0\xff"}))
    write.put_item(TableName=table, Item=item("filtered", "other"))
    write.update_item(
        TableName=table,
        Key={"id": {"S": "a"}},
        UpdateExpression="SET n = n + :one REMOVE b",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    put: Any = {"TableName": table, "Item": item("b")}
    refused: Any = {**put, "ConditionExpression": "attribute_not_exists(id)"}
    other: Any = {**put, "Item": item("c")}
    write.transact_write_items(TransactItems=[{"Put": put}])
    with pytest.raises(write.exceptions.TransactionCanceledException):
        write.transact_write_items(TransactItems=[{"Put": other}, {"Put": refused}])
    write.batch_write_item(RequestItems={table: [{"DeleteRequest": {"Key": {"id": {"S": "b"}}}}]})
    write.delete_item(TableName=table, Key={"id": {"S": "a"}})
    records = changes(services, queues["Seen"], 5)
    told = [(record["eventName"], record["dynamodb"].get("NewImage")) for record in records]
    assert told == [
        ("INSERT", item("a", n={"N": "1"}, b={"B": "AP8="})),
        ("MODIFY", item("a", n={"N": "2"})),
        ("INSERT", item("b")),
        ("REMOVE", None),
        ("REMOVE", None),
    ]
    assert not any("OldImage" in record["dynamodb"] for record in records)
    numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in records]
    assert numbers == sorted({*numbers})
    assert {record["eventSource"] for record in records} == {"aws:dynamodb"}


@pytest.mark.parametrize("kind", ["fail", "raise"])
def test_what_fails_is_given_up_and_holds_nothing_up(
    services: aws.Services, queues: dict[str, str], table: str, kind: str
) -> None:
    """After one more attempt its place is told to the destination; what came before and behind is done."""
    names = [f"{kind}-{number}" for number in range(5)]
    for number, name in enumerate(names):
        services.dynamodb.put_item(TableName=table, Item=item(name, kind if number == 2 else "good"))
    (dead,) = changes(services, queues["Dead"], 1)
    batch = dead["DDBStreamBatchInfo"]
    assert dead["requestContext"]["condition"] == "RetryAttemptsExhausted"
    lost = [record["dynamodb"]["Keys"]["id"]["S"] for record in dead["Records"]]
    assert names[2] in lost
    assert batch["batchSize"] == len(lost)
    left = {*names} - {*lost}
    while left:  # those before it may come twice, as the function has failed with them
        (seen,) = changes(services, queues["Seen"], 1)
        left.discard(seen["dynamodb"]["Keys"]["id"]["S"])
