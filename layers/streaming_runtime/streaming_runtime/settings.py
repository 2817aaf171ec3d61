"""What the environment variables say; those that begin with STREAMING_RUNTIME are ours, all others Lambda's."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

# Lambda kills a runtime 0.6 s after SIGTERM; the rest of the 2 s of an environment's shutdown is for its extensions:
# `runtimeDeadlineShare` and `defaultRuntimeShutdownTimeout` in the two shutdown.go of
# https://github.com/aws/aws-lambda-runtime-interface-emulator.
SHUTDOWN_MS = 600

# No app has a route of that name by chance.
EVENT_PATH = "/_lambda/event"


class Prelude(StrEnum):
    """Which responses send their prelude in a write of its own, and a moment before their first bytes."""

    NEVER = "never"
    STREAMS = "streams"
    """Those that may go on for long."""
    ALWAYS = "always"


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
    event_path: str = EVENT_PATH
    """Where the app is asked about an event that is no HTTP."""
    prelude: Prelude = Prelude.NEVER
    fill_empty: bool = False
    """Whether a response without a body gets one of one line end, where it may have one."""

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
            event_path=_path(environ, "STREAMING_RUNTIME_EVENT_PATH", default=EVENT_PATH),
            prelude=_prelude(environ, "STREAMING_RUNTIME_PRELUDE"),
            fill_empty=_whole(environ, "STREAMING_RUNTIME_FILL_EMPTY", default=0, least=0) > 0,
        )


def _path(environ: Mapping[str, str], name: str, *, default: str) -> str:
    path = environ.get(name) or default
    if not path.startswith("/"):
        raise ValueError(f"{name} must be a path that begins with a slash, not {path!r}")
    return path


def _prelude(environ: Mapping[str, str], name: str) -> Prelude:
    text = environ.get(name) or Prelude.NEVER
    try:
        return Prelude(text)
    except ValueError:
        raise ValueError(f"{name} must be one of {', '.join(Prelude)}, not {text!r}") from None


def _whole(environ: Mapping[str, str], name: str, *, default: int, least: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdecimal() or int(text) < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {text!r}")
    return int(text)
