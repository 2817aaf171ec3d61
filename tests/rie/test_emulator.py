"""The streaming runtime under AWS's own Runtime API, one invocation at a time, as `sam local invoke` has it.

The emulator takes a streamed answer and gathers it: prelude, NULs and body come out as they went in. It says nothing of
how the answer ended, and nothing of its headers, so what streaming is about is tested elsewhere.
"""

import base64
import json
import random
from pathlib import Path

import pytest

from tests.integration.runtime_process import DELIMITER, event, parted
from tests.rie.emulator import RESPONSE_LIMIT, emulator

pytestmark = pytest.mark.anyio

# What the app says of `/chunks`.
HEAD = {"statusCode": 200, "headers": {"vary": "Accept-Encoding"}, "cookies": []}


def body(sizes: str) -> bytes:
    """What the app's `/chunks` sends."""
    source = random.Random(sizes)
    return b"".join(source.randbytes(int(size)) for size in filter(None, sizes.split(",")))


async def test_bodies_come_out_byte_for_byte(tmp_path: Path) -> None:
    """No byte, one chunk, chunks of odd sizes with an empty one among them, and as many bytes as the emulator takes."""
    room = RESPONSE_LIMIT - len(json.dumps(HEAD).encode() + DELIMITER)
    most = ",".join(["65537"] * 95 + [str(room - 95 * 65537)])
    async with emulator(tmp_path) as rie:
        for sizes in ("", "1", "1,0,2,65535,0,65537,262147", most):
            answer = await rie.post(event(f"/chunks?sizes={sizes}"))
            head, received = parted(answer.content)
            assert (head["statusCode"], received) == (200, body(sizes))
        assert len(answer.content) == RESPONSE_LIMIT


async def test_more_than_the_emulator_takes_costs_this_answer_alone(tmp_path: Path) -> None:
    """Lambda streams 200 MB; the emulator holds a streamed answer to the limit of a buffered one, and says 413."""
    async with emulator(tmp_path) as rie:
        answer = await rie.post(event("/big?mib=9"))
        assert answer.json()["errorType"] == "Function.ResponseSizeTooLarge"
        assert parted((await rie.post(event("/threads"))).content)[1] == b"0\n1\n2\n3\n4\n"
        assert "was answered 413" in await rie.end()


async def test_invocations_share_the_environment_and_nothing_else(tmp_path: Path) -> None:
    """One startup; each invocation has its request id, a deadline of its own, and the function's name."""
    async with emulator(tmp_path) as rie:
        states = [json.loads(parted((await rie.post(event("/state"))).content)[1]) for _ in range(3)]
        log = await rie.end()
    assert len({state["environment"] for state in states}) == 1
    assert log.splitlines().count("startup") == 1
    ids = [state["id"] for state in states]
    assert len(set(ids)) == 3
    assert [log.count(f"START RequestId: {request_id} ") for request_id in ids] == [1, 1, 1]
    assert all(0 < state["left_ms"] <= 30_000 for state in states)
    assert {state["function"] for state in states} == {"stream"}


async def test_what_the_caller_passes_along_arrives(tmp_path: Path) -> None:
    """Client context and tenant, in the invocation that they are for and in no other; of X-Ray it knows none."""
    context = base64.b64encode(b'{"custom": {"key": "value"}}').decode()
    async with emulator(tmp_path) as rie:
        passed = {"x_amz_client_context": context, "x_amz_tenant_id": "blue"}
        answer = json.loads(parted((await rie.post(event("/passed-along"), **passed)).content)[1])
        after = json.loads(parted((await rie.post(event("/passed-along"))).content)[1])
    assert answer == {"custom": {"key": "value"}, "tenant": "blue", "trace": None}
    assert after == {"custom": None, "tenant": None, "trace": None}


async def test_a_client_context_of_any_kind_costs_its_invocation_alone(tmp_path: Path) -> None:
    """Callers write it: the environment outlives what they write."""
    async with emulator(tmp_path) as rie:
        for context in (b"no JSON", b"[]", b'"text"', b'{"client": 1}', b"null"):
            await rie.post(event("/threads"), x_amz_client_context=base64.b64encode(context).decode())
            assert parted((await rie.post(event("/threads"))).content)[1] == b"0\n1\n2\n3\n4\n"
        assert (await rie.end()).splitlines().count("startup") == 1


async def test_a_failure_before_the_first_byte_is_an_error_document(tmp_path: Path) -> None:
    """Type, message, request id and the app's own frames. The emulator answers 200 all the same, and keeps the type's
    header to itself."""
    async with emulator(tmp_path, "stream_app.failing") as rie:
        answer = await rie.post(event("/"))
        log = await rie.end()
    error = answer.json()
    assert (error["errorType"], error["errorMessage"]) == ("LookupError", "before")
    assert 'in failing\n    raise LookupError("before")\n' in error["stackTrace"][0]
    assert len(error["stackTrace"]) == 1
    assert f"START RequestId: {error['requestId']} " in log
    assert answer.status_code == 200
    assert not [name for name in answer.headers if "error" in name]


async def test_a_failure_after_the_first_byte_is_lost_in_the_emulator(tmp_path: Path) -> None:
    """It drops the trailers, and half a body looks whole; the emulator of managed instances does not."""
    async with emulator(tmp_path) as rie:
        answer = await rie.post(event("/break"))
        assert parted(answer.content)[1] == b"half"
        assert parted((await rie.post(event("/threads"))).content)[1] == b"0\n1\n2\n3\n4\n"


async def test_an_event_that_is_no_http_is_the_apps_to_take(tmp_path: Path) -> None:
    """One that has no route for events refuses it, and the invocation has failed."""
    async with emulator(tmp_path) as rie:
        for payload in (b"{}", b'{"Records": []}', b'{"version": "2.0"}', b"[1]", b'"text"', b"null", b"7"):
            error = (await rie.post(payload)).json()
            assert error["errorType"] == "Runtime.EventRefused"
            assert "answered the event with 404" in error["errorMessage"]


async def test_an_app_that_cannot_be_imported_is_an_init_error(tmp_path: Path) -> None:
    """`/init/error` is taken: the invocation that waits gets the document, with 502."""
    async with emulator(tmp_path, "nowhere.app") as rie:
        answer = await rie.post(event("/"))
    assert answer.status_code == 502
    assert answer.json()["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'nowhere'" in answer.json()["errorMessage"]


async def test_the_deadline_ends_a_stream_before_the_emulator_does(tmp_path: Path) -> None:
    """The app's clean-up runs, what it sent arrives, and the environment goes on; a time-out would end both."""
    variables = {"AWS_LAMBDA_FUNCTION_TIMEOUT": "3", "STREAMING_RUNTIME_DEADLINE_MARGIN_MS": "2000"}
    async with emulator(tmp_path, **variables) as rie:
        first = json.loads(parted((await rie.post(event("/state"))).content)[1])
        answer = await rie.post(event("/forever"))
        after = json.loads(parted((await rie.post(event("/state"))).content)[1])
        log = await rie.end()
    assert parted(answer.content)[1] == b"begun"
    assert after["environment"] == first["environment"]
    assert "cleaned up" in log.splitlines()
    assert "Task timed out" not in log
