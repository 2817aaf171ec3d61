"""Log lines as the managed runtime writes them: text or JSON, each with the request id that it belongs to."""

import json
import logging
import struct
import sys
import time
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

# The invocation that the running code belongs to. Tasks and Starlette's worker threads inherit it.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
# The tenant that it works for, where the function isolates its tenants.
tenant_id: ContextVar[str | None] = ContextVar("tenant_id", default=None)

TEXT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"

# The type of a frame: its sign, whether it holds JSON or text, and the level in the bits between.
_FRAME = 0xA55A0002
_FRAME_OF_TEXT = 1
_FRAME_LEVELS = {logging.DEBUG: 2, logging.INFO: 3, logging.WARNING: 4, logging.ERROR: 5, logging.CRITICAL: 6}

# What every record has; anything else came in by `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "aws_request_id", "tenant_id"}

# Lambda's names for levels that Python has under others.
_NAMES = {"TRACE": "DEBUG", "FATAL": "CRITICAL"}


def configure(environ: Mapping[str, str]) -> None:
    """Log as AWS_LAMBDA_LOG_FORMAT and AWS_LAMBDA_LOG_LEVEL say, to Lambda's own pipe or, without one, to stdout."""
    # A pipe would be written only when 8 KiB are full, and an environment is frozen between invocations.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    in_json = environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
    pipe = environ.get("_LAMBDA_TELEMETRY_LOG_FD")
    handler = FrameHandler(int(pipe), in_json=in_json) if pipe else logging.StreamHandler(sys.stdout)
    handler.addFilter(_add_ids)
    handler.setFormatter(JsonFormatter() if in_json else TextFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    level = environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    if level:
        try:
            root.setLevel(_NAMES.get(level, level))
        except ValueError:  # a variable that somebody else set, and no reason not to run
            root.warning("AWS_LAMBDA_LOG_LEVEL=%s is no level; that of Python's logging stays.", level)


def write(message: object) -> None:
    """Put a text into the log as it is, past Python's logging: what a context's `log` does."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, FrameHandler):
            handler.write(str(message))
            return
    sys.stdout.write(str(message))


def _add_ids(record: logging.LogRecord) -> bool:
    record.aws_request_id = request_id.get() or ""
    record.tenant_id = tenant_id.get()
    return True


def _named(level: int) -> int:
    """The level among those with a name that it comes to; a library may have any of its own."""
    return min(logging.CRITICAL, max(logging.NOTSET, level)) // 10 * 10


class FrameHandler(logging.Handler):
    """Writes each record as one frame, so that one of several lines stays one entry of the log.

    The pipe and its frames are those of Lambda's managed runtimes (awslambdaric, `FramedTelemetryLogSink`), all numbers
    big-endian: 4 bytes of type, 4 of length, 8 of time (epoch microseconds), then the text in UTF-8.
    """

    def __init__(self, pipe: int, *, in_json: bool) -> None:
        super().__init__()
        self._pipe = open(pipe, "wb", buffering=0, closefd=False)  # noqa: SIM115 - as long as the environment lives
        self._type = _FRAME if in_json else _FRAME | _FRAME_OF_TEXT

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.write(self.format(record), _named(record.levelno), record.created)
        except Exception:  # noqa: BLE001 - logging's own rule: a record that cannot be written must not stop the app
            self.handleError(record)

    def write(self, text: str, level: int = logging.NOTSET, at: float | None = None) -> None:
        """One frame; `at` in epoch seconds, now where there is none."""
        data = text.encode("utf-8", "replace")
        kind = self._type | _FRAME_LEVELS.get(level, 0) << 2
        moment = time.time() if at is None else at
        self._pipe.write(struct.pack(">IIQ", kind, len(data), int(moment * 1e6)) + data)


class TextFormatter(logging.Formatter):
    """Tabs between level, time, request id and message."""

    def __init__(self) -> None:
        super().__init__(TEXT, "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the keys of the managed runtime, and those of `extra`."""

    def __init__(self) -> None:
        super().__init__()
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": logging.getLevelName(_named(record.levelno)),
            "message": record.msg if isinstance(record.msg, dict) and not record.args else record.getMessage(),
            "logger": record.name,
        }
        if getattr(record, "aws_request_id", ""):
            line["requestId"] = record.aws_request_id  # type: ignore[attr-defined]  # set by the handler's filter
        if getattr(record, "tenant_id", None) is not None:
            line["tenantId"] = record.tenant_id  # type: ignore[attr-defined]  # as above
        if record.exc_info and record.exc_info[0] is not None:
            line["errorType"] = record.exc_info[0].__name__
            line["errorMessage"] = str(record.exc_info[1])
            line["stackTrace"] = traceback.format_tb(record.exc_info[2])
            line["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD and name not in line}
        return json.dumps(line, default=str, ensure_ascii=False)
