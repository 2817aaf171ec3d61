"""The AWS services of this machine: moto, in a process of its own, and the clients that speak to it."""

import asyncio
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from local import data, hosts, scratch
from local.guard import Guard
from local.signatures import Keys, Signatures
from local.template import REGION

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client
    from types_boto3_secretsmanager import SecretsManagerClient
    from types_boto3_sqs import SQSClient

# Nothing of the developer's own account is ever used. Functions have a session token, as a role's keys come with one;
# people who use the services themselves need none.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_SESSION_TOKEN": "local"}
KEYS = Keys("local", "local", (None, "local"))
# What `sam local` gives to a function where a person has no keys (samcli/local/lambdafn/env_vars.py).
SAMS_KEYS = Keys("defaultkey", "defaultsecret")

# Files that do not exist: neither a function nor the stack may read the profile of the person whose machine this is.
NO_PROFILE = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


@dataclass(frozen=True)
class Services:
    """The clients that the stack needs, all of one moto."""

    url: str
    cloudformation: "CloudFormationClient"
    dynamodb: "DynamoDBClient"
    events: Any
    s3: "S3Client"
    secrets: "SecretsManagerClient"
    sns: Any
    sqs: "SQSClient"


def connect(url: str) -> Services:
    session = boto3.Session(
        region_name=REGION, aws_access_key_id="local", aws_secret_access_key="local", aws_session_token="local"
    )
    # moto is on this machine: it answers or it is dead, so that a second attempt only hides the failure for a while.
    config = Config(retries={"total_max_attempts": 1}, proxies={}, s3={"addressing_style": "path"})
    return Services(
        url=url,
        cloudformation=session.client("cloudformation", endpoint_url=url, config=config),
        dynamodb=session.client("dynamodb", endpoint_url=url, config=config),
        events=session.client("events", endpoint_url=url, config=config),
        s3=session.client("s3", endpoint_url=url, config=config),
        secrets=session.client("secretsmanager", endpoint_url=url, config=config),
        sns=session.client("sns", endpoint_url=url, config=config),
        sqs=session.client("sqs", endpoint_url=url, config=config),
    )


async def start(
    listener: socket.socket,
    guard: Guard,
    names: Collection[str] = (),
    folder: data.Folder | None = None,
    redelivery_s: int = 0,
) -> asyncio.subprocess.Process:
    """Start moto on a socket that listens already: who connects before it has come up waits, and nobody polls.

    It answers by loopback's names and by those. With a `folder` it keeps there what it holds, and begins with what is
    there; a message that was in flight at the last end comes back after `redelivery_s`, when no lease of its worker
    counts any more.
    """
    if folder is None:
        held = scratch.make()
        guard.remove(held.path)
        path, lock, kept = held.path, held.lock, []
    else:
        path, lock, kept = folder.path, folder.lock, [str(redelivery_s)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))}
    # Answers CORS from the bucket's own rules instead of letting every origin in.
    settings = {"MOTO_DISABLE_GLOBAL_CORS": "true", hosts.SETTING: ",".join(names)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "local.aws", str(listener.fileno()), str(path), *kept),
        env=environment | CREDENTIALS | NO_PROFILE | settings,
        stdout=sys.stderr,
        # The lock as well: as long as this process lives, nobody else has the folder.
        pass_fds=[listener.fileno(), lock],
        start_new_session=True,
    )
    guard.watch(process.pid)
    listener.close()
    if folder is None:
        os.close(lock)
    return process


@cache
def make_like_aws(folder: Path, keys: Keys = KEYS, redelivery_s: int | None = None) -> None:
    """Let moto do in this process what functions rely on AWS for: in the stack that people start, and in tests.

    The bytes of objects are in `folder`, and S3 is open to who has `keys`. With `redelivery_s` (see `start`) all else
    is kept there as well.
    """
    # Imported here, as below: they import moto.
    from local import moto_s3, moto_speed, s3  # noqa: PLC0415
    from local.changes import announce_changes  # noqa: PLC0415
    from local.objects import Folder  # noqa: PLC0415

    objects = Folder(folder / data.OBJECTS)
    queues = threading.RLock()
    store = None
    if redelivery_s is not None:
        from local.persistence import persist_records  # noqa: PLC0415
        from local.persistence_s3 import persist_objects  # noqa: PLC0415

        # First, so that the locks which follow hold around the writing as well.
        store = data.Store(folder)
        persist_records(store, redelivery_s)
        persist_objects(store, objects)
        queues = store.lock  # a request of S3's holds it already when it sends its event
    announce_changes(store)
    moto_speed.make_faster()
    make_dynamodb_atomic()
    make_sqs_atomic(queues)
    moto_s3.mend(objects)
    s3.stand_before_moto(s3.S3(objects, Signatures.of(keys, SAMS_KEYS)))


@cache
def make_dynamodb_atomic() -> None:
    """Let moto do one operation of DynamoDB at a time in this process.

    It looks at a condition first and writes afterwards, and where a transaction is refused it puts the whole table back
    as it was before: other writes of the same moment would break the one and be lost by the other.
    """
    from moto.dynamodb.responses import DynamoHandler  # noqa: PLC0415 - as below

    lock, act = threading.Lock(), DynamoHandler.call_action

    def alone(handler: DynamoHandler) -> Any:
        with lock:
            return act(handler)

    DynamoHandler.call_action = alone  # type: ignore[method-assign]


def make_sqs_atomic(lock: "threading.RLock") -> None:
    """Let moto do one operation of SQS at a time in this process, but for the time in which a receive waits.

    It deletes a message by making a list of the others, and loses what is sent while it does; two receives at once trip
    over each other's sets.
    """
    from moto.sqs.models import Queue, SQSBackend  # noqa: PLC0415 - as below

    from local.persistence import MESSAGE_OPERATIONS  # noqa: PLC0415

    def alone(operation: Callable[..., Any]) -> Callable[..., Any]:
        def locked(*arguments: Any, **named: Any) -> Any:
            with lock:
                return operation(*arguments, **named)

        return locked

    # S3 sends its events past the handler of requests, so the backend's own operations are those to hold.
    for name in MESSAGE_OPERATIONS:
        setattr(SQSBackend, name, alone(getattr(SQSBackend, name)))
    begin = Queue.__init__

    def begun(queue: Queue, *arguments: Any, **named: Any) -> None:
        begin(queue, *arguments, **named)
        # Whoever waits for messages lets go of the lock meanwhile, however often it is held.
        queue._messages_lock = threading.Condition(lock)

    Queue.__init__ = begun  # type: ignore[assignment, method-assign]


def serve(fd: int, folder: Path, keys: Keys = KEYS, redelivery_s: int | None = None) -> None:
    """moto on a socket that listens, until the process ends."""
    # Imported here: moto takes longer to import than all else in this module, which others import for `connect` alone.
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415
        DomainDispatcherApplication,
        MotoRequestHandler,
    )
    from werkzeug.serving import make_server  # noqa: PLC0415

    from local.descriptors import patient  # noqa: PLC0415

    os.umask(0o077)  # what people store is theirs alone
    make_like_aws(folder, keys, redelivery_s)
    # Failures only: a line for each request would bury everything else.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = hosts.for_allowed_pages(DomainDispatcherApplication(_service))
    guarded = hosts.wsgi(application, hosts.allowed(os.environ))
    server = make_server("127.0.0.1", 0, guarded, threaded=True, request_handler=MotoRequestHandler, fd=fd)
    patient(server).serve_forever()


def _service(name: Any) -> Any:
    """One service of moto's. Its own, by which all that is kept can be deleted, is none of AWS."""
    from moto.moto_server.werkzeug_app import create_backend_app  # noqa: PLC0415
    from werkzeug.exceptions import NotFound  # noqa: PLC0415

    if name == "moto_api":
        return NotFound("AWS has no such service.")
    return create_backend_app(name) if name == "s3" else hosts.for_programs(create_backend_app(name))


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]), redelivery_s=int(sys.argv[3]) if len(sys.argv) > 3 else None)
