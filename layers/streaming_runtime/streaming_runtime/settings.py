"""What the environment variables say; all but the last two are Lambda's own."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

# Lambda kills a runtime 0.6 s after SIGTERM; the rest of the 2 s of an environment's shutdown is for its extensions:
# `runtimeDeadlineShare` and `defaultRuntimeShutdownTimeout` in the two shutdown.go of
# https://github.com/aws/aws-lambda-runtime-interface-emulator.
SHUTDOWN_MS = 600


@dataclass(frozen=True)
class Settings:
    """How this environment runs."""

    api: str
    handler: str
    task_root: str
    concurrency: int
    snap_start: bool
    deadline_margin: float
    """Seconds before an invocation's deadline at which the app is cancelled, so that its stream still ends properly."""
    shutdown: float
    """Seconds after SIGTERM within which everything ends."""

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Raises `KeyError` or `ValueError` with the variable's name."""
        return cls(
            api=environ["AWS_LAMBDA_RUNTIME_API"],
            handler=environ["_HANDLER"],
            task_root=environ.get("LAMBDA_TASK_ROOT", "."),
            concurrency=_whole(environ, "AWS_LAMBDA_MAX_CONCURRENCY", default=1, least=1),
            snap_start=environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start",
            deadline_margin=_whole(environ, "STREAMING_RUNTIME_DEADLINE_MARGIN_MS", default=1000, least=0) / 1000,
            shutdown=_whole(environ, "STREAMING_RUNTIME_SHUTDOWN_MS", default=SHUTDOWN_MS, least=0) / 1000,
        )


def _whole(environ: Mapping[str, str], name: str, *, default: int, least: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdecimal() or int(text) < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {text!r}")
    return int(text)
