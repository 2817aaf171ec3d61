"""The streaming runtime under AWS's own Runtime API, several invocations at once.

This emulator is the younger one. It sends the invocation id that is to be echoed and the trace, reads the trailers of a
streamed answer, and hands a failure on. Its deadlines are years away (it takes milliseconds for seconds), so they are
left to the other one.
"""

import asyncio
import json
import os
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.integration.runtime_process import event, parted
from tests.rie.emulator import NotHere
from tests.rie.managed import managed, namespaces

pytestmark = pytest.mark.anyio

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


@pytest.fixture(autouse=True, scope="module")
def _namespaces() -> None:
    try:
        namespaces()
    except NotHere as missing:
        pytest.skip(f"managed instances cannot be emulated here: {missing}")


async def test_an_invocation_is_served_while_another_streams(tmp_path: Path) -> None:
    """The one waits for a pipe that is opened when the other has its answer; each has its own request id."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    async with managed(tmp_path, concurrency=2) as rie:
        held = asyncio.create_task(rie.post(event(f"/gated?gate={gate}")))
        states = [json.loads(parted((await rie.post(event("/state"))).content)[1]) for _ in range(2)]
        assert not held.done()
        await asyncio.to_thread(gate.write_text, "second")
        assert parted((await held).content)[1] == b"firstsecond"
    assert states[0]["environment"] == states[1]["environment"]
    assert states[0]["id"] != states[1]["id"]


@pytest.mark.parametrize("message", ["after", "x" * 50_000, "ä" * 5_000], ids=["short", "long", "escaped"])
async def test_a_failure_after_the_first_byte_arrives_as_one(tmp_path: Path, message: str) -> None:
    """AWS's server reads our trailers, cut to what fits: the answer is the error document, and no half body."""
    async with managed(tmp_path, concurrency=1) as rie:
        answer = await rie.post(event(f"/break?message={quote(message)}"))
        assert "error-type" in answer.headers
        assert answer.json()["errorType"] == "LookupError"
        assert message.startswith(answer.json()["errorMessage"])
        assert answer.json()["errorMessage"]
        assert parted((await rie.post(event("/threads"))).content)[1] == b"0\n1\n2\n3\n4\n"


async def test_an_answer_that_is_refused_half_way_costs_itself_alone(tmp_path: Path) -> None:
    """413 comes while the app still writes; the process takes the next invocation."""
    async with managed(tmp_path, concurrency=1) as rie:
        answer = await rie.post(event("/big?mib=64"))
        assert answer.headers["error-type"] == "Function.ResponseSizeTooLarge"
        assert parted((await rie.post(event("/threads"))).content)[1] == b"0\n1\n2\n3\n4\n"


async def test_many_invocations_at_once_are_not_mixed_up(tmp_path: Path) -> None:
    """Sixteen streams of different bytes, eight at a time, each whole and each to whom it is for."""
    sizes = [f"{number},65537,{number}" for number in range(1, 17)]
    async with managed(tmp_path, concurrency=8) as rie:
        answers = await asyncio.gather(*(rie.post(event(f"/chunks?sizes={size}")) for size in sizes))
        again = [await rie.post(event(f"/chunks?sizes={size}")) for size in sizes]
    assert [answer.content for answer in answers] == [answer.content for answer in again]
    assert len({answer.content for answer in answers}) == 16


@pytest.mark.parametrize(("concurrency", "known"), [(1, TRACE), (2, None)])
async def test_the_trace_is_told_where_there_is_one(tmp_path: Path, concurrency: int, known: str | None) -> None:
    """X-Ray's variable has it for the invocation that it belongs to, and nothing where two could be meant."""
    async with managed(tmp_path, concurrency) as rie:
        traced = await rie.post(event("/passed-along"), x_amzn_trace_id=TRACE)
        assert json.loads(parted(traced.content)[1])["trace"] == known
