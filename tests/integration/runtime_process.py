"""The streaming runtime as Lambda runs it: a process under the exec wrapper, and a Runtime API that it talks to."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from local.runtime_api import Invocation, Response, RuntimeApi

LAYER = Path(__file__).parents[2] / "layers" / "streaming_runtime"
BOOTSTRAP = LAYER / "streaming-bootstrap"
# LAMBDA_TASK_ROOT: the apps that are carried.
APPS = Path(__file__).parent / "apps"
DELIMITER = bytes(8)


class Environment:
    """A process under the exec wrapper, and the Runtime API that it talks to."""

    def __init__(self, api: RuntimeApi, process: asyncio.subprocess.Process) -> None:
        self.api = api
        self.process = process

    async def invoke(self, path: str, method: str = "GET", seconds: float = 30, **fields: Any) -> Response:
        deadline_ms = int((time.time() + seconds) * 1000)
        payload = event(path, method, **fields)
        return await self.api.invoke(Invocation(payload, deadline_ms, "arn:aws:lambda:x:1:function:f"))

    async def request(
        self, path: str, method: str = "GET", seconds: float = 30, **fields: Any
    ) -> tuple[dict[str, Any], bytes]:
        """The prelude's fields and the body."""
        return parted(await everything(await self.invoke(path, method, seconds, **fields)))

    async def end(self) -> str:
        """Wait for the process to leave; what it printed."""
        out, _ = await self.process.communicate()
        return out.decode()

    async def stop(self) -> list[dict[str, Any]]:
        """Tell it to leave; the lines of its log."""
        self.process.terminate()
        return [json.loads(line) for line in (await self.end()).splitlines() if line.startswith("{")]


def event(path: str, method: str = "GET", headers: Mapping[str, str] | None = None, **fields: Any) -> bytes:
    """A Function URL's event: `path` with its query."""
    path, _, query = path.partition("?")
    document = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "192.0.2.1"}, "stage": "$default"},
        "isBase64Encoded": False,
        "headers": {"host": "127.0.0.1", **(headers or {})},
        **fields,
    }
    return json.dumps(document).encode()


def parted(answer: bytes) -> tuple[dict[str, Any], bytes]:
    """The prelude's fields and the body of a streamed answer."""
    prelude, body = answer.split(DELIMITER, 1)
    return json.loads(prelude), body


async def everything(response: Response) -> bytes:
    return b"".join([piece async for piece in response])


async def read_into(received: bytearray, response: Response) -> None:
    async for piece in response:
        received += piece


async def until(pieces: AsyncIterator[bytes], end: bytes) -> bytes:
    """Read until what came ends like this."""
    received = b""
    while not received.endswith(end):
        received += await anext(pieces)
    return received


def environment(handler: str = "stream_app.app", **variables: str) -> AbstractAsyncContextManager[Environment]:
    """The runtime under the layer's wrapper."""
    return started(BOOTSTRAP, handler, **variables)


@asynccontextmanager
async def started(bootstrap: Path, handler: str = "stream_app.app", **variables: str) -> AsyncIterator[Environment]:
    """Start a process as Lambda starts it: `<wrapper> <python> <the managed runtime's arguments>`."""
    api = RuntimeApi(int(variables.get("AWS_LAMBDA_MAX_CONCURRENCY", "1")))
    process = await asyncio.create_subprocess_exec(
        bootstrap, sys.executable, "/var/runtime/bootstrap.py",
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(LAYER),
            "PYTHONWARNINGS": "error",
            "AWS_LAMBDA_RUNTIME_API": await api.start(),
            "AWS_LAMBDA_FUNCTION_NAME": "stream",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            # Nobody kills it here, and the machine may be busy.
            "STREAMING_RUNTIME_SHUTDOWN_MS": "10000",
            "LAMBDA_TASK_ROOT": str(APPS),
            "_HANDLER": handler,
            **variables,
        },
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Environment(api, process)
        assert api.violations == []
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
        await api.close()
