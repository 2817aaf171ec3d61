"""A function's module as Lambda imports it: with the environment of the template, fresh, and gone again afterwards."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any
from unittest.mock import patch as replace_value

import pytest
from aws_lambda_powertools.utilities import parameters
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from tests.unit.core.records import aws_environment

CAPABILITY_KEY = "k" * 64
TOKENS = """{"default": "token-of-default", "alice": "token-of-alice", "bob": "token-of-bob",
  "carol": ["an-older-one", "token-of-carol"], "nobody": ""}"""
SECRETS = {"the-tokens": TOKENS, "the-key": CAPABILITY_KEY}


@contextmanager
def imported(name: str) -> Iterator[ModuleType]:
    """The module, its AWS clients pointed at nobody, its secrets known without asking."""
    package = ".".join(name.split(".")[:2])
    before = evicted(package)
    # Mangum takes the thread's event loop; where there is none it makes one that nobody closes.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with closing(loop), pytest.MonkeyPatch.context() as patch:
        aws_environment(patch)
        patch.setenv("ACCESS_TOKEN_SECRET", "the-tokens")
        patch.setenv("CAPABILITY_KEY_SECRET", "the-key")
        patch.setenv("STREAM_URL", "https://stream.example/")
        patch.setenv("STREAM_LIMIT_BYTES", "1000")
        patch.setenv("STREAMS_PER_LINK", "0")
        patch.setenv("QUEUE_URL", "https://sqs.example/the-queue")
        patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Sluice")
        patch.setenv("POWERTOOLS_SERVICE_NAME", name.split(".")[1])
        patch.setenv("POWERTOOLS_TRACE_DISABLED", "1")
        try:
            with replace_value.object(parameters, "get_secret", lambda name, **_: SECRETS[name]):
                yield import_module(name)
        finally:
            asyncio.set_event_loop(None)
            evicted(package)
            sys.modules.update(before)


def evicted(package: str) -> dict[str, ModuleType]:
    """The package and its modules that were imported, which are imported anew by the next who needs them."""
    names = [name for name in sys.modules if name == package or name.startswith(f"{package}.")]
    return {name: sys.modules.pop(name) for name in names}


@contextmanager
def noted_downloads(stream: ModuleType) -> Iterator[list[dict[str, Any]]]:
    """What the stream function writes of downloads: the items of each PutItem."""
    written: list[dict[str, Any]] = []

    def answer(params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        written.append(json.loads(params["body"])["Item"])
        return AWSResponse("", 200, HTTPHeaders(), None), {}

    events = stream.contents.connections.downloads._client.meta.events
    events.register("before-call.dynamodb.PutItem", answer)
    try:
        yield written
    finally:
        events.unregister("before-call.dynamodb.PutItem", answer)
