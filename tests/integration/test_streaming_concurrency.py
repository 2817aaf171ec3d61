"""Two invocations at once in one environment: threads, logs and deadlines are each one's own."""

import asyncio
import os
from pathlib import Path

import pytest

from local.runtime_api import FunctionError
from tests.integration.runtime_process import DELIMITER, Environment, environment, everything, read_into, until

pytestmark = pytest.mark.anyio

TWO_AT_ONCE = {"AWS_LAMBDA_MAX_CONCURRENCY": "2"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def pipe(folder: Path, name: str) -> Path:
    """Whoever opens one end waits for the other."""
    path = folder / name
    os.mkfifo(path)
    return path


async def release(gate: Path, text: bytes) -> None:
    await asyncio.to_thread(gate.write_bytes, text)


@pytest.mark.parametrize(("path", "answer"), [("/blocked", b'"on"'), ("/blocking", b"firston")])
async def test_code_that_blocks_holds_nobody_up(tmp_path: Path, path: str, answer: bytes) -> None:
    """A plain `def` waits for a pipe that is opened only when the other invocation has its answer."""
    gate = pipe(tmp_path, "gate")
    async with environment("shapes.app", **TWO_AT_ONCE) as shapes:
        held = asyncio.create_task(shapes.request(f"{path}?gate={gate}"))
        assert (await shapes.request("/stream"))[1] == b"onetwo"
        assert not held.done()
        await release(gate, b"on")
        assert (await held)[1] == answer


async def test_log_lines_of_two_at_once_are_not_mixed_up(tmp_path: Path) -> None:
    """Both begin, both wait in threads, both end: every line has the request id of the invocation that it names."""
    gates = {name: pipe(tmp_path, name) for name in ("left", "right")}
    async with environment("shapes.app", **TWO_AT_ONCE) as shapes:
        both = [asyncio.create_task(begun_and_whole(shapes, name, gate)) for name, gate in gates.items()]
        for name, gate in reversed(gates.items()):
            await release(gate, name.encode())
        assert await asyncio.gather(*both) == [b"left", b"right"]
        log = await shapes.stop()
    said = {name: [line for line in log if line["message"].split()[0] == name] for name in gates}
    for name, lines in said.items():
        assert [line["message"] for line in lines] == [
            f"{name} {what}" for what in ("begins", "waits", "goes on", "ends")
        ]
        assert len({line["requestId"] for line in lines}) == 1
    assert said["left"][0]["requestId"] != said["right"][0]["requestId"]


async def begun_and_whole(shapes: Environment, name: str, gate: Path) -> bytes:
    """The last bytes of an invocation that waits at the gate."""
    answer = await everything(await shapes.invoke(f"/gated?gate={gate}&name={name}"))
    return answer.split(DELIMITER, 1)[1][5:]


async def test_each_of_two_at_once_has_its_own_deadline(tmp_path: Path) -> None:
    """The one with little time is stopped; the other goes on, and ends when it wants to."""
    soon, late = pipe(tmp_path, "soon"), pipe(tmp_path, "late")
    async with environment("shapes.app", **TWO_AT_ONCE) as shapes:
        patient = aiter(await shapes.invoke(f"/gated?gate={late}", seconds=60))
        received = bytearray()
        with pytest.raises(FunctionError, match=r"Runtime\.DeadlineReached"):
            await read_into(received, await shapes.invoke(f"/gated?gate={soon}", seconds=1))
        assert len(received.split(DELIMITER, 1)[1]) == 5
        assert (await shapes.request("/stream"))[1] == b"onetwo"
        await release(late, b"in the end")
        await until(patient, b"in the end")
        assert [piece async for piece in patient] == []
        await release(soon, b"")  # the thread that the app has left behind
