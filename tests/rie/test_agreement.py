"""The Runtime API of this repository and AWS's own: the same process, the same events, the same bytes."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

from local.runtime_api import FunctionError, Invocation
from tests.integration.runtime_process import Environment, environment, event, read_into
from tests.rie.emulator import Emulator, emulator

pytestmark = pytest.mark.anyio

EVENTS = {
    "no bytes": event("/chunks?sizes="),
    "one chunk": event("/chunks?sizes=1"),
    "odd chunks": event("/chunks?sizes=1,0,2,65535,0,65537,262147"),
    "five megabytes": event("/big?mib=5&seed=3"),
    "threads": event("/threads"),
    "JSON lines": event("/lines"),
    "events": event("/events"),
    "file": event("/file"),
    "gzip": event("/file", headers={"accept-encoding": "gzip"}),
    "no method": event("/file", "HEAD"),
    "cookies": event("/cookies", cookies=["a=1", "b=2"]),
    "body": event("/echo", "POST", body="w6k=", isBase64Encoded=True, headers={"content-length": "2"}),
    "client error": event("/big?mib=many"),
    "server error": event("/raise"),
    "half a body": event("/break"),
    "no HTTP request": b'{"Records": []}',
}


class Both(NamedTuple):
    ours: Environment
    aws: Emulator


@pytest.fixture(scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    async with environment() as ours, emulator(tmp_path_factory.mktemp("rie")) as aws:
        yield Both(ours, aws)


@pytest.mark.parametrize("payload", EVENTS.values(), ids=EVENTS)
async def test_both_hand_on_the_same_bytes(both: Both, payload: bytes) -> None:
    """Prelude and body, or the error in place of them; the emulator hides how a broken answer ended."""
    invocation = Invocation(payload, 2**53, "arn:aws:lambda:us-east-1:012345678912:function:stream")
    received = bytearray()
    try:
        response = await both.ours.api.invoke(invocation)
    except FunctionError as error:
        received += error.payload
    else:
        with suppress(FunctionError):
            await read_into(received, response)
    theirs = (await both.aws.post(payload)).content
    assert without_request_id(bytes(received)) == without_request_id(theirs)


def without_request_id(answer: bytes) -> bytes | dict[str, Any]:
    """An error document names the invocation, of which each side has its own."""
    try:
        document: dict[str, Any] = json.loads(answer)
    except ValueError:
        return answer
    return {**document, "requestId": ""}
