"""Log lines as the managed runtime writes them: text or JSON, each with the request id that it belongs to."""

import json
import logging
import sys
import time
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

# The invocation that the running code belongs to. Tasks and Starlette's worker threads inherit it.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

TEXT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"

# What every record has; anything else came in by `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "aws_request_id"}


def configure(environ: Mapping[str, str]) -> None:
    """Log to stdout as AWS_LAMBDA_LOG_FORMAT and AWS_LAMBDA_LOG_LEVEL say."""
    # A pipe would be written only when 8 KiB are full, and an environment is frozen between invocations.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(_add_request_id)
    handler.setFormatter(
        JsonFormatter() if environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON" else TextFormatter()
    )
    root = logging.getLogger()
    root.addHandler(handler)
    level = environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    if level:
        root.setLevel({"TRACE": "DEBUG", "FATAL": "CRITICAL"}.get(level, level))


def _add_request_id(record: logging.LogRecord) -> bool:
    record.aws_request_id = request_id.get() or ""
    return True


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
            "level": record.levelname,
            "message": record.msg if isinstance(record.msg, dict) and not record.args else record.getMessage(),
            "logger": record.name,
        }
        if getattr(record, "aws_request_id", ""):
            line["requestId"] = record.aws_request_id  # type: ignore[attr-defined]  # set by the handler's filter
        if record.exc_info and record.exc_info[0] is not None:
            line["errorType"] = record.exc_info[0].__name__
            line["errorMessage"] = str(record.exc_info[1])
            line["stackTrace"] = traceback.format_tb(record.exc_info[2])
            line["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD and name not in line}
        return json.dumps(line, default=str, ensure_ascii=False)
