"""The emulator of Lambda Managed Instances, whose environments serve several invocations at once.

AWS_LAMBDA_MAX_CONCURRENCY makes the emulator one. It then starts `/var/runtime/bootstrap` and nothing else, as a user
who may not read this checkout. So it gets a `/var` of its own (a mount namespace, which takes root) with a bootstrap
that only waits; the Runtime API is a port on loopback, and the process that it serves is started here.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.integration.runtime_process import APPS, BOOTSTRAP, LAYER
from tests.rie.emulator import (
    POLL_SECONDS,
    Emulator,
    NotHere,
    binary,
    connected,
    free_addresses,
    listening,
    options,
    started,
)

OWN_VAR = """
mount -t tmpfs none /var
mkdir /var/task /var/runtime
printf '#!/bin/sh\\nexec sleep infinity\\n' > /var/runtime/bootstrap
chmod 755 /var/runtime/bootstrap
exec "$@"
"""
UNSHARED = ["unshare", "--mount", "sh", "-euc", OWN_VAR, "sh"]


def namespaces() -> None:
    """Raises `NotHere` when there is no mount namespace to be had."""
    try:
        subprocess.run([*UNSHARED, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotHere("it takes root on Linux, and `unshare --mount`") from error


class ManagedEmulator(Emulator):
    """Takes as many invocations at once as the process asks for."""

    async def post(self, event: bytes, **headers: str) -> httpx.Response:
        """The function's answer, as soon as the process asks for an event: the emulator itself lets none wait."""
        while True:
            answer = await super().post(event, **headers)
            if answer.headers.get("error-type") != "Runtime.Unavailable":
                return answer
            await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def managed(folder: Path, concurrency: int) -> AsyncIterator[ManagedEmulator]:
    """The emulator, and our process under it; `folder` is where the log of both goes."""
    events, api = free_addresses(2)
    log = folder / "log"
    environ = {"AWS_LAMBDA_MAX_CONCURRENCY": str(concurrency), "_HANDLER": "stream_app.app"}
    function = {
        "PYTHONPATH": str(LAYER),
        "PYTHONWARNINGS": "error",
        "LAMBDA_TASK_ROOT": str(APPS),
        "AWS_LAMBDA_RUNTIME_API": api,
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
    }
    async with started([*UNSHARED, binary(), *options(events, api)], log, environ) as process:
        await listening(process, api)
        async with (
            started([BOOTSTRAP, sys.executable, "-m", "awslambdaric"], log, {**environ, **function}),
            connected(process, events) as client,
        ):
            yield ManagedEmulator(client, process, log)
