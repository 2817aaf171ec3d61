"""How long the API and the stream function take to start, and how much of that a snapshot leaves out (SnapStart)."""

import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.carriers import ROOT
from bench.environment import BenchError
from bench.report import cell, processor, table
from bench.runtime import say
from local.runtime_api import RuntimeApi

LAYERS = ROOT / "layers"
FULL, QUICK = 21, 3  # starts of each function
PATIENCE = 60.0  # seconds for a start
MILLISECONDS = 1000
# Without what tells where AWS is: a start asks nobody.
VARIABLES = {
    "ACCESS_TOKEN_SECRET": "tokens",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
    "AWS_LAMBDA_FUNCTION_NAME": "bench",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_XRAY_SDK_ENABLED": "false",
    "BUCKET_NAME": "bench",
    "CAPABILITY_KEY_SECRET": "key",
    "LAMBDA_TASK_ROOT": str(ROOT),
    "PATH": os.environ["PATH"],
    "PYTHONPATH": os.pathsep.join(map(str, (ROOT, LAYERS / "core", LAYERS / "streaming_runtime"))),
    "QUEUE_URL": "https://sqs.example/queue",
    "STREAM_URL": "https://stream.example/",
    "TABLE_NAME": "bench",
}


# As Lambda starts each: the managed runtime, and the streaming runtime in its place.
WAYS = {
    "API": (sys.executable, "-m", "awslambdaric", "functions.api.app.handler"),
    "stream": (str(LAYERS / "streaming_runtime/streaming-bootstrap"), sys.executable, "functions.stream.app.app"),
}


@dataclass(frozen=True)
class Start:
    """Of one environment, in milliseconds: to where a snapshot is taken, and from there to the first `next`."""

    before: float
    after: float


def bench(*, quick: bool, cpus: int, json_path: Path | None) -> None:  # noqa: ARG001  a start has one thread
    starts: dict[str, list[Start]] = {name: [] for name in WAYS}
    turns = QUICK if quick else FULL
    for turn in range(turns + 1):
        say(f"start {turn} of {turns}")
        for name, command in WAYS.items():
            start = asyncio.run(one(command))
            if turn:  # the first one of each compiles modules and fills the page cache
                starts[name].append(start)
    print(f"{turns} starts of each, in turns; {processor()}, Python {platform.python_version()}\n")
    rows = [
        [name, cell([one.before for one in found], 0), cell([one.after for one in found], 1)]
        for name, found in starts.items()
    ]
    print(table(["ms, median (min to max)", "a snapshot leaves out", "what is left of a start"], rows))
    if json_path is not None:
        json_path.write_text(
            json.dumps({name: [asdict(one) for one in found] for name, found in starts.items()}) + "\n"
        )


async def one(command: Sequence[str]) -> Start:
    """Start a process, and let it go on from its snapshot as soon as that could be taken."""
    api = RuntimeApi()
    variables = {**VARIABLES, "AWS_LAMBDA_RUNTIME_API": await api.start(), "_HANDLER": command[-1]}
    begun = time.monotonic()
    # What it prints is the managed runtime's farewell.
    process = await asyncio.create_subprocess_exec(*command, env=variables, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL)
    try:
        await asyncio.wait_for(api.ready.wait(), PATIENCE)
        ready = time.monotonic()
    except TimeoutError:
        raise BenchError(f"{' '.join(command)} is not ready after {PATIENCE:.0f} s") from None
    finally:
        process.kill()
        await process.wait()
        await api.close()
    if api.restored_at is None:
        raise BenchError(f"{' '.join(command)} took no snapshot")
    return Start((api.restored_at - begun) * MILLISECONDS, (ready - api.restored_at) * MILLISECONDS)
