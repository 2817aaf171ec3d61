"""Lets moto write what it holds to a `Store`, and begin with what is there: for moto's process, before it serves.

A resource is filled when it is made. The template makes its tables, queues and secrets anew at each start, under the
same names, and each begins with the records of that name. So a template may change; what it no longer names stays in
the store until it does so again. What changes is written before the answer goes out.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.utils import unix_time_millis
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler
from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend
from moto.secretsmanager.responses import SecretsManagerResponse
from moto.sqs.models import Message, Queue, SQSBackend

from local.data import Record, Store, dumps

# Operations of DynamoDB that write items which their request does not name.
WRITE_ANYTHING = {
    *("BatchExecuteStatement", "ExecuteStatement", "ExecuteTransaction"),
    *("ImportTable", "RestoreTableFromBackup", "RestoreTableToPointInTime"),
}

# What SQS's backend does with messages. Its batches are made of these.
MESSAGE_OPERATIONS = ("change_message_visibility", "delete_message", "purge_queue", "receive_message", "send_message")


class Incompatible(ServiceException):
    """What is kept does not fit what the template makes."""

    code = "IncompatibleData"


def persist_records(store: Store, redelivery_s: int) -> None:
    """Let DynamoDB, SQS and Secrets Manager of this process keep everything in `store`.

    A message that was in flight at the last end comes back after `redelivery_s` seconds. Call this before
    `make_dynamodb_atomic`, whose lock then also holds around the writing, so that its order is that of the operations.
    """
    persist_tables(store)
    persist_queues(store, redelivery_s)
    persist_secrets(store)


def around(owner: type, name: str) -> Callable[[Callable[..., Any]], None]:
    """Put the function that follows in the place of that method, which it gets as its first argument."""

    def replace(function: Callable[..., Any]) -> None:
        method = getattr(owner, name)

        @functools.wraps(method)
        def replacement(*args: Any, **kwargs: Any) -> Any:
            return function(method, *args, **kwargs)

        setattr(owner, name, replacement)

    return replace


# ---------------------------------------------------------------- DynamoDB


def persist_tables(store: Store) -> None:
    @around(DynamoHandler, "call_action")
    def call_action(act: Callable[..., Any], handler: DynamoHandler) -> Any:
        answer = act(handler)
        if answer[0] < 300:
            store.write(_written(handler, store))
        return answer

    @around(DynamoDBBackend, "create_table")
    def create_table(make: Callable[..., Table], backend: DynamoDBBackend, name: str, **properties: Any) -> Table:
        table = make(backend, name, **properties)
        try:
            for record in store.read("item", table.table_arn):
                _put(table, record.value)
        except Incompatible:
            del backend.tables[name]
            raise
        return table

    @around(DynamoDBBackend, "delete_table")
    def delete_table(remove: Callable[..., Table], backend: DynamoDBBackend, name: str) -> Table:
        table = remove(backend, name)
        store.forget("item", table.table_arn)
        return table


def _written(handler: DynamoHandler, store: Store) -> Iterator[Record]:
    """Every item that a successful request may have written, as it is now."""
    action, backend = handler._get_action(), handler.dynamodb_backend
    if action in WRITE_ANYTHING:
        for table in backend.tables.values():
            now = {record.id: record for record in map(functools.partial(_item, table), table.all_items())}
            for record in store.read("item", table.table_arn):
                if record.id not in now:
                    yield Record(record.kind, record.parent, record.id)
            yield from now.values()
        return
    for name, attributes in named(action, handler.body):
        table = backend.get_table(name)
        hash_key = DynamoType(attributes[table.hash_key_attr])
        range_key = DynamoType(attributes[table.range_key_attr]) if table.range_key_attr else None
        item = table.get_item(hash_key, range_key)
        yield _item(table, item) if item else Record("item", table.table_arn, _key(hash_key, range_key))


def named(action: str, body: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Table and key, or all attributes, of each item that a request would write."""
    match action:
        case "PutItem":
            yield body["TableName"], body["Item"]
        case "DeleteItem" | "UpdateItem":
            yield body["TableName"], body["Key"]
        case "BatchWriteItem":
            for name, requests in body["RequestItems"].items():
                for request in requests:
                    ((_, wanted),) = request.items()
                    yield name, wanted.get("Item") or wanted["Key"]
        case "TransactWriteItems":
            for request in body["TransactItems"]:
                ((operation, wanted),) = request.items()
                if operation != "ConditionCheck":
                    yield wanted["TableName"], wanted.get("Item") or wanted["Key"]


def _item(table: Table, item: Any) -> Record:
    value = {name: attribute_value(attribute) for name, attribute in item.attrs.items()}
    return Record("item", table.table_arn, _key(item.hash_key, item.range_key), value)


def _key(*keys: DynamoType | None) -> str:
    """One text for each key: 1 and 1.0 are the same number."""
    return dumps(
        [
            None if key is None else {key.type: str(Decimal(key.value).normalize()) if key.is_number() else key.value}
            for key in keys
        ]
    )


def attribute_value(attribute: DynamoType) -> dict[str, Any]:
    match attribute.type:
        case "L":
            return {"L": [attribute_value(item) for item in attribute.value]}
        case "M":
            return {"M": {name: attribute_value(item) for name, item in attribute.value.items()}}
    return {attribute.type: attribute.value}


def _put(table: Table, attributes: dict[str, Any]) -> None:
    for name, kind in ((table.hash_key_attr, table.hash_key_type), (table.range_key_attr, table.range_key_type)):
        if name and list(attributes.get(name, {})) != [kind]:
            raise Incompatible(
                f"the items that are kept of the table {table.name} have no key {name} of type {kind}, as the template"
                " says now: use another folder, or the template that wrote this one"
            )
    table.put_item(attributes, overwrite=True)


# ---------------------------------------------------------------- SQS


def persist_queues(store: Store, redelivery_s: int) -> None:
    """Call this before `make_sqs_atomic`, which gets the store's lock and so holds it around the writing as well."""
    written: dict[tuple[str, str], tuple[Any, ...]] = {}

    def write_changes(backend: SQSBackend) -> None:
        now = {
            (queue.queue_arn, message.id): message for queue in backend.queues.values() for message in queue._messages
        }
        arns = {queue.queue_arn for queue in backend.queues.values()}
        gone = [key for key in written if key[0] in arns and key not in now]
        changed = [key for key, message in now.items() if written.get(key) != _state(message)]
        if gone or changed:
            store.write(
                [
                    *(Record("message", arn, name) for arn, name in gone),
                    *(Record("message", arn, name, _message(now[arn, name])) for arn, name in changed),
                ]
            )
        for key in gone:
            del written[key]
        written.update({key: _state(now[key]) for key in changed})

    def written_down(operation: Callable[..., Any], backend: SQSBackend, *args: Any, **kwargs: Any) -> Any:
        answer = operation(backend, *args, **kwargs)
        write_changes(backend)
        return answer

    for name in MESSAGE_OPERATIONS:
        around(SQSBackend, name)(written_down)

    @around(SQSBackend, "create_queue")
    def create_queue(make: Callable[..., Queue], backend: SQSBackend, name: str, *tags: Any, **given: Any) -> Queue:
        with store.lock:
            known = name in backend.queues
            queue = make(backend, name, *tags, **given)
            if not known:
                for record in store.read("message", queue.queue_arn):
                    message = _restored(record, redelivery_s)
                    queue._messages.append(message)
                    if queue.fifo_queue and not message.visible:
                        queue.pending_messages.add(message)
                write_changes(backend)
            return queue

    @around(SQSBackend, "delete_queue")
    def delete_queue(remove: Callable[..., None], backend: SQSBackend, queue_name: str) -> None:
        with store.lock:
            arn = backend.get_queue(queue_name).queue_arn
            remove(backend, queue_name)
            store.forget("message", arn)
            for key in [key for key in written if key[0] == arn]:
                del written[key]


def _state(message: Message) -> tuple[Any, ...]:
    """What changes about a message."""
    return message.receipt_handle, message.visible_at, message.delayed_until


# The attributes of moto's messages that are kept. `None` and 0 where a message has none.
_KEPT = (
    *("approximate_first_receive_timestamp", "approximate_receive_count", "body", "deduplication_id", "delayed_until"),
    *("group_id", "message_attributes", "receipt_handle", "sender_id", "sent_timestamp", "sequence_number"),
    *("system_attributes", "visible_at"),
)


def _message(message: Message) -> dict[str, Any]:
    kept = {name: getattr(message, name) for name in _KEPT}
    return kept | {"old_receipt_handles": [handle for handle in message._old_receipt_handles if handle]}


def _restored(record: Record, redelivery_s: int) -> Message:
    """A message as it was. A receipt handle from before still deletes it.

    One in flight comes back soon, as if it had not been received: its worker ended with the stack.
    """
    message = Message(record.id, record.value["body"])
    for name in _KEPT:
        setattr(message, name, record.value.get(name))
    message._old_receipt_handles = record.value["old_receipt_handles"]
    if not message.visible:
        message.visible_at = min(message.visible_at, unix_time_millis() + redelivery_s * 1000)
        message.approximate_receive_count -= 1
    return message


# ---------------------------------------------------------------- Secrets Manager

_KEPT_OF_SECRETS = ("arn", "created_date", "default_version_id", "last_changed_date", "versions")


def persist_secrets(store: Store) -> None:
    """The values are kept, and the ARN, which has a random end. All else is as the template says."""
    written: dict[tuple[str, str], str] = {}

    @around(SecretsManagerResponse, "call_action")
    def call_action(act: Callable[..., Any], response: SecretsManagerResponse) -> Any:
        with store.lock:
            answer = act(response)
            store.write(changes(response.backend))
            return answer

    def changes(backend: SecretsManagerBackend) -> Iterable[Record]:
        parent = f"{backend.account_id}/{backend.region_name}"
        now = {
            secret.name: {name: getattr(secret, name) for name in _KEPT_OF_SECRETS}
            for secret in backend.secrets.values()
            if isinstance(secret, FakeSecret) and not secret.is_deleted()
        }
        texts = {(parent, name): dumps(value) for name, value in now.items()}
        gone = [key for key in written if key[0] == parent and key not in texts]
        changed = [key for key in texts if written.get(key) != texts[key]]
        records = [
            *(Record("secret", *key) for key in gone),
            *(Record("secret", *key, now[key[1]]) for key in changed),
        ]
        for key in gone:
            del written[key]
        written.update({key: texts[key] for key in changed})
        return records

    @around(SecretsManagerBackend, "create_secret")
    def create_secret(make: Callable[..., str], backend: SecretsManagerBackend, name: str, **properties: Any) -> str:
        made = make(backend, name, **properties)
        secret = backend.secrets[name]
        for record in store.read("secret", f"{backend.account_id}/{backend.region_name}"):
            if record.id == name:
                for attribute in _KEPT_OF_SECRETS:
                    setattr(secret, attribute, record.value[attribute])
                return secret.to_short_dict() if isinstance(secret, FakeSecret) else made
        return made
