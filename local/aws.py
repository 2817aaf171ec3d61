"""The AWS services of this machine: moto, in a process of its own, and the clients that speak to it."""

import asyncio
import logging
import os
import re
import socket
import sys
import threading
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from local.checksums import make_s3_check_checksums
from local.guard import Guard
from local.template import REGION

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client
    from types_boto3_secretsmanager import SecretsManagerClient
    from types_boto3_sqs import SQSClient

# moto takes any; what matters is that nothing of the developer's own account is ever used.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_SESSION_TOKEN": "local"}

# Files that do not exist: neither a function nor the stack may read the profile of the person whose machine this is.
NO_PROFILE = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


FORM = "application/x-www-form-urlencoded"


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


async def start(listener: socket.socket, guard: Guard) -> asyncio.subprocess.Process:
    """Start moto on a socket that listens already: who connects before it has come up waits, and nobody polls."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "local.aws", str(listener.fileno())),
        # Answers CORS from the bucket's own rules instead of letting every origin in.
        env=kept | CREDENTIALS | NO_PROFILE | {"MOTO_DISABLE_GLOBAL_CORS": "true"},
        stdout=sys.stderr,
        pass_fds=[listener.fileno()],
        start_new_session=True,
    )
    guard.watch(process.pid)
    listener.close()
    return process


def make_like_aws() -> None:
    """Let moto do what functions rely on AWS for, in this process: for the stack that people start, and for tests."""
    make_dynamodb_atomic()
    make_s3_check_checksums()
    make_missing_objects_missing()


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


@cache
def make_missing_objects_missing() -> None:
    """Let moto answer 404 to a signed URL of an object that is not there, in this process.

    It takes a `response-content-encoding` in the URL for a header of the request, misses that, and refuses with 403.
    """
    from moto.s3.responses import S3Response  # noqa: PLC0415 - as below

    check = S3Response._invalid_headers

    def of_the_request(self: S3Response, url: str, headers: dict[str, str]) -> bool:
        return check(self, re.sub(r"(?<=[?&])response-[^&]*", "", url), headers)

    S3Response._invalid_headers = of_the_request  # type: ignore[method-assign]


def _serve(fd: int) -> None:
    # Imported here: moto takes longer to import than all else in this module, which others import for `connect` alone.
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server  # noqa: PLC0415

    from local.forms import understood  # noqa: PLC0415

    make_like_aws()

    # Failures only: a line for each request would bury everything else.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = understood(DomainDispatcherApplication(create_backend_app))

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        # `curl --data-binary` calls every body a form. S3 takes a PUT's bytes as they are; moto parses the form, then
        # waits for ever for the bytes that its parser took.
        if environ["REQUEST_METHOD"] == "PUT" and environ.get("CONTENT_TYPE", "").startswith(FORM):
            environ["CONTENT_TYPE"] = "application/octet-stream"
        return moto(environ, start_response)

    make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler, fd=fd).serve_forever()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
