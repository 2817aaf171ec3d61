"""Lets moto tell each change of a table whose stream a function reads: for moto's process, before it serves.

moto's own stream starts anew with its process, and is copied whole with each transaction. Here a change is a message of
the queue that plays the stream (`local.streams`), in order, and is kept as other messages are.
"""

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler
from moto.sqs.models import SQSBackend, sqs_backends

from local.data import Store
from local.persistence import around, attribute_value, named
from local.streams import queue_name, stream_arn

Image = dict[str, Any]
ONE_SHARD = "0"  # all changes of a table come in their order


def announce_changes(store: Store | None) -> None:
    """With a `store` a change and what tells of it are kept together, or neither is.

    Call this before `make_dynamodb_atomic`, whose lock then also holds around the telling.
    """
    last = 0

    @around(DynamoHandler, "call_action")
    def call_action(act: Callable[..., Any], handler: DynamoHandler) -> Any:
        nonlocal last
        queues: SQSBackend = sqs_backends[handler.current_account][handler.region]
        before = [(table, key, _image(table, key)) for table, key in _written(handler, queues)]
        if not before:
            return act(handler)
        with store.together() if store else nullcontext():
            answer = act(handler)
            if answer[0] < 300:
                for table, key, old in before:
                    new = _image(table, key)
                    if new != old:  # as on AWS, what writes the same again is no change
                        last = max(last + 1, time.time_ns())
                        told = json.dumps(_record(table, key, old, new, last), default=_base64)
                        queues.send_message(
                            queue_name(table.name), told, deduplication_id=str(last), group_id=ONE_SHARD
                        )
        return answer


def _written(handler: DynamoHandler, queues: SQSBackend) -> Iterator[tuple[Table, Image]]:
    """Table and key of each item that a request would write, where somebody reads the table's stream."""
    tables = handler.dynamodb_backend.tables
    if not any(queue_name(name) in queues.queues for name in tables):
        return
    try:
        items = list(named(handler._get_action(), handler.params))
        for name, attributes in items:
            table = tables.get(name)
            if table is not None and queue_name(name) in queues.queues:
                keys = filter(None, (table.hash_key_attr, table.range_key_attr))
                yield table, {key: attributes[key] for key in keys}
    except (AttributeError, KeyError, TypeError, ValueError):  # a request that moto will refuse
        return


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _image(table: Table, key: Image) -> Image | None:
    hash_key, *others = map(DynamoType, key.values())
    item = table.get_item(hash_key, others[0] if others else None)
    return {name: attribute_value(value) for name, value in item.attrs.items()} if item else None


def _record(table: Table, key: Image, old: Image | None, new: Image | None, number: int) -> dict[str, Any]:
    """As a function gets it: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html"""
    images = {name: image for name, image in (("NewImage", new), ("OldImage", old)) if image is not None}
    return {
        "eventID": f"{number:032x}",
        "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": table.region_name,
        "dynamodb": {
            "ApproximateCreationDateTime": time.time() // 1,
            "Keys": key,
            **images,
            "SequenceNumber": str(number),
            "SizeBytes": len(json.dumps([key, images], default=_base64)),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": stream_arn(table.name),
    }
