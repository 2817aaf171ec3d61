"""AWS's Runtime Interface Emulator (https://github.com/aws/aws-lambda-runtime-interface-emulator), run directly.

The SAM CLI ships the binary for the containers of `sam local invoke`. It needs none of them: it starts the process that
it is given, is the Runtime API to it, and takes events by HTTP.
"""

import asyncio
import importlib.metadata
import os
import platform
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.integration.runtime_process import APPS, BOOTSTRAP, LAYER

ROOT = Path(__file__).parents[2]
SAM_ENVIRONMENT = ROOT / ".venv-sam"
# Names another binary than the SAM CLI's.
BINARY = "SLUICE_RIE"

# Bytes of one answer; the emulator gathers a streamed one in memory first, under the limit of a buffered one.
RESPONSE_LIMIT = 6 * 1024 * 1024 + 100

START_SECONDS = 30
STOP_SECONDS = 10
POLL_SECONDS = 0.02
ENVIRON = {
    "PATH": os.environ["PATH"],
    "AWS_LAMBDA_FUNCTION_NAME": "stream",
    # Seconds for an invocation; the start of the process counts as part of the first one.
    "AWS_LAMBDA_FUNCTION_TIMEOUT": "30",
}


class NotHere(Exception):
    """This machine lacks what is needed; the message says what, and how to get it."""


def binary() -> Path:
    """The emulator for this machine. Raises `NotHere`."""
    if named := os.environ.get(BINARY):
        return Path(named)
    machine = {"amd64": "x86_64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
    name = f"aws-lambda-rie-{machine}"
    packages = [str(folder) for folder in SAM_ENVIRONMENT.glob("lib/python*/site-packages")]
    for cli in importlib.metadata.distributions(name="aws-sam-cli", path=packages):
        for file in cli.files or ():
            if file.name == name and sys.platform == "linux":
                return Path(str(cli.locate_file(file)))
    raise NotHere(
        f"there is no {name} in {SAM_ENVIRONMENT.name}; on Linux `make test-rie` gets it with the SAM CLI, "
        f"and {BINARY} may name one"
    )


class Emulator:
    """A running emulator, and the process behind it."""

    def __init__(self, client: httpx.AsyncClient, process: asyncio.subprocess.Process, log: Path) -> None:
        self._client = client
        self._process = process
        self._log = log

    async def post(self, event: bytes, **headers: str) -> httpx.Response:
        """The function's answer to an event, as it comes out; `x_amz_...` are headers of Lambda's Invoke."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._client.post("/2015-03-31/functions/function/invocations", content=event, headers=named)

    async def end(self) -> str:
        """End it, which ends the function's process; what both of them printed."""
        await stop(self._process)
        return self._log.read_text()


@asynccontextmanager
async def emulator(folder: Path, handler: str = "stream_app.app", **variables: str) -> AsyncIterator[Emulator]:
    """The emulator with our bootstrap; `folder` is where its log goes. Raises `NotHere`."""
    events, api = free_addresses(2)
    # As the managed runtime's own bootstrap calls an exec wrapper. The emulator takes the last word for the handler.
    command: list[str | Path] = [
        binary(),
        *options(events, api),
        BOOTSTRAP,
        sys.executable,
        "-m",
        "awslambdaric",
        handler,
    ]
    environ = {"PYTHONPATH": str(LAYER), "PYTHONWARNINGS": "error", "LAMBDA_TASK_ROOT": str(APPS), **variables}
    async with started(command, folder / "log", environ) as process, connected(process, events) as client:
        yield Emulator(client, process, folder / "log")


def options(events: str, api: str) -> list[str]:
    """Where the emulator takes events, and where it is the Runtime API."""
    return ["--runtime-interface-emulator-address", events, "--runtime-api-address", api]


@asynccontextmanager
async def started(
    command: Sequence[str | Path], log: Path, environ: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process for as long as the block takes; what it prints goes to the end of `log`."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command, env={**ENVIRON, **environ}, stdout=output, stderr=asyncio.subprocess.STDOUT
        )
    try:
        yield process
    finally:
        await stop(process)


async def stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


@asynccontextmanager
async def connected(process: asyncio.subprocess.Process, events: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the emulator, once it listens."""
    await listening(process, events)
    # Loopback, and no proxy of the environment in between. How long an answer takes is the emulator's to say.
    async with httpx.AsyncClient(base_url=f"http://{events}", timeout=None, trust_env=False) as client:  # noqa: S113
        yield client


async def listening(process: asyncio.subprocess.Process, address: str) -> None:
    """Wait until the process listens there."""
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(START_SECONDS):
        while True:
            assert process.returncode is None, "the emulator has ended; its log says why"
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                await asyncio.sleep(POLL_SECONDS)
            else:
                writer.close()
                await writer.wait_closed()
                return


def free_addresses(count: int) -> list[str]:
    """Loopback addresses that nobody listens at."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [f"127.0.0.1:{listener.getsockname()[1]}" for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()
