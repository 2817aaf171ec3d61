"""What `streaming-bootstrap` starts: `python -m streaming_runtime`."""

import asyncio
import os
import sys
import threading
import time

from . import logs, runtime
from .settings import Settings


def main() -> int:
    """Run the environment that the variables describe; the exit status of the process."""
    logs.configure(os.environ)
    settings = Settings.read()
    # The managed runtime's order: the function first, the layers next, its own libraries (boto3) last. Layers have two
    # folders (https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html); /opt/python is there already.
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    sys.path[:0] = [settings.task_root, f"/opt/python/lib/{version}/site-packages"]
    sys.path.append(os.environ.get("LAMBDA_RUNTIME_DIR", "/var/runtime"))
    return asyncio.run(_run(settings))


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
