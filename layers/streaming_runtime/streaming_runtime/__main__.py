"""What `streaming-bootstrap` starts: `python -m streaming_runtime`."""

import asyncio
import os
import sys

from . import logs, runtime
from .settings import Settings


def main() -> int:
    """Run the environment that the variables describe; the exit status of the process."""
    logs.configure(os.environ)
    settings = Settings.read()
    # The managed runtime's order: the function first, its own libraries (boto3) last.
    sys.path.insert(0, settings.task_root)
    sys.path.append(os.environ.get("LAMBDA_RUNTIME_DIR", "/var/runtime"))
    return asyncio.run(runtime.run(settings))


if __name__ == "__main__":
    sys.exit(main())
