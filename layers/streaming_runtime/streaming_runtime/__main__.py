"""What the exec wrappers start, and an image without one: `python -m streaming_runtime [module.attribute]`."""

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Coroutine
from typing import Any

from . import logs, runtime
from .settings import Settings

logger = logging.getLogger(__name__)


def main() -> int:
    """Run the environment that the variables describe; the exit status of the process."""
    logs.configure(os.environ)
    # An image's CMD names the app, as it does for the managed runtime's client; elsewhere Lambda does.
    handler = {"_HANDLER": sys.argv[1]} if len(sys.argv) > 1 else {}
    settings = Settings.read({**os.environ, **handler})
    # The managed runtime's order: the function first, the layers next, its own libraries (boto3) last. Layers have two
    # folders (https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html); /opt/python is there already.
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    sys.path[:0] = [settings.task_root, f"/opt/python/lib/{version}/site-packages"]
    sys.path.append(os.environ.get("LAMBDA_RUNTIME_DIR", "/var/runtime"))
    with asyncio.Runner() as runner:
        return _to_its_end(runner.get_loop(), _run(settings))


def _to_its_end(loop: asyncio.AbstractEventLoop, life: Coroutine[Any, Any, int]) -> int:
    """Run the loop until the environment's life has ended, whatever the app does.

    A `SystemExit` or a `KeyboardInterrupt` that ends a task also ends the loop, in the middle of everything: a
    middleware runs the endpoint in a task of its own, and so may an app. The task keeps it as its exception, as any
    other, so who waits for that task learns of it and the loop can go on.
    """
    task = loop.create_task(life)
    while True:
        try:
            return loop.run_until_complete(task)
        except (SystemExit, KeyboardInterrupt) as error:
            interrupted = isinstance(error, KeyboardInterrupt) and not runtime.handles_interrupts()
            if task.done() or interrupted:
                raise
            logger.warning("The app would have ended the process: %r", error)


async def _run(settings: Settings) -> int:
    status = await runtime.run(settings)
    # Left to itself, Python would wait for every task that ignores its cancellation and for every thread.
    threading.Thread(target=_exit_at_last, args=(status, settings.shutdown * runtime.EXIT_SHARE), daemon=True).start()
    return status


def _exit_at_last(status: int, seconds: float) -> None:
    time.sleep(seconds)
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
