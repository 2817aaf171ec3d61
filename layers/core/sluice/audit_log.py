"""The audit record, who did what: a line of JSON for each request that acts, in a log group of its own.

The middleware writes what was noted of a request (`audit.note`), with its outcome, under the names that
docs/operations.md explains. Of a path that is its template and the ids in it; of a query and of headers nothing.

IAM actions: logs:CreateLogStream and logs:PutLogEvents (write).
"""

import json
import os
import sys
import time
from asyncio import Task, create_task
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
from anyio import CancelScope
from anyio.to_thread import run_sync
from aws_lambda_powertools import Logger
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sluice import audit, settings
from sluice.files import ID
from sluice.snapshot import after_restore

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

# What a record in a path is, by the first segment; Companion calls the file's id the upload's.
KINDS = {"files": "file", "archives": "archive", "drops": "drop", "shares": "share", "tokens": "token"}
# A request waits so long for CloudWatch, at most twice. Then the lines go elsewhere for a while.
CALL_SECONDS = 1
PAUSE_SECONDS = 30.0

logger = Logger()


class AuditLog:
    """The log group of the audit record; without one, or while it takes nothing, the function's own log."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._stream = ""
        self._name_stream()
        self._paused_until = 0.0
        after_restore(self._name_stream)

    @classmethod
    def connect(cls) -> "AuditLog":
        return cls(settings.AUDIT_LOG_GROUP.read())

    def _name_stream(self) -> None:
        """As the environment's stream in the function's own log group, or where it is not told one, as no other."""
        self._stream = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME") or uuid4().hex

    @cached_property
    def _client(self) -> "CloudWatchLogsClient":
        # Made when the first line is written, so that a health check does not wait for it.
        retries: Any = {"mode": "standard", "total_max_attempts": 2}
        config = Config(retries=retries, connect_timeout=CALL_SECONDS, read_timeout=CALL_SECONDS)
        return boto3.client("logs", config=config)

    def write(self, line: dict[str, Any]) -> None:
        """Never fails: what cannot be recorded must not harm what it records."""
        text = json.dumps(line)
        if self._group and time.monotonic() >= self._paused_until:
            try:
                self._put(text)
            except (BotoCoreError, ClientError):
                logger.exception("the audit log group does not answer: its lines are here")
                self._paused_until = time.monotonic() + PAUSE_SECONDS
            else:
                return
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def _put(self, text: str) -> None:
        client = self._client
        try:
            self._put_event(text)
        except client.exceptions.ResourceNotFoundException:
            # Another request of this environment may be faster.
            with suppress(client.exceptions.ResourceAlreadyExistsException):
                self._client.create_log_stream(logGroupName=self._group, logStreamName=self._stream)
            self._put_event(text)

    def _put_event(self, text: str) -> None:
        self._client.put_log_events(
            logGroupName=self._group,
            logStreamName=self._stream,
            logEvents=[{"timestamp": time.time_ns() // 10**6, "message": text}],
        )


class Audited:
    """ASGI middleware that writes the lines. `unheard` are the templates of the paths that are open to everybody."""

    def __init__(self, app: ASGIApp, log: AuditLog, unheard: Collection[str]) -> None:
        self._app = app
        self._log = log
        self._unheard = unheard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, self._log, self._unheard, send)
        try:
            with audit.noting(exchange.noted):
                await self._app(scope, receive, exchange.send)
        finally:
            with CancelScope(shield=True):  # also when the invocation's time is over
                await exchange.end()


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, log: AuditLog, unheard: Collection[str], send: Send) -> None:
        context = scope.get("aws.event", {}).get("requestContext", {})
        self.noted: dict[str, Any] = {"request_id": context.get("requestId")}
        self._scope = scope
        self._log = log
        self._unheard = unheard
        self._send = send
        self._began = time.monotonic()
        self._status: int | None = None
        self._bytes = 0
        self._complete = False
        self._opening: Task[None] | None = None

    async def send(self, message: Message) -> None:
        is_body = message["type"] == "http.response.body"
        more = message.get("more_body", False)
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif is_body and more and self._opening is None and self._action:
            # Beside the sending, which does not wait for it.
            self._opening = create_task(self._write({"audit": "opened", **self._line()}))
        await self._send(message)
        if is_body:
            self._bytes += len(message.get("body", b""))
            self._complete = not more

    async def end(self) -> None:
        if not self._action:
            return
        if self._status is None:
            # An error that nobody knows leaves as an exception, and is answered outside of the middleware.
            self._status = 500
            self.noted["code"] = "internal_error"
        done = {"bytes": self._bytes, "milliseconds": round((time.monotonic() - self._began) * 1000)}
        if self._opening is None:
            await self._write({"audit": "answered", **self._line(), **done})
        else:
            await self._opening
            await self._write({"audit": "ended", **self._line(), **done, "complete": self._complete})

    @property
    def _action(self) -> str | None:
        """Method and template of the route; None where there is none, or where anybody may ask."""
        route, method = self._scope.get("route"), self._scope["method"]
        path: str | None = getattr(route, "path", None)
        if path is None or path in self._unheard or method not in getattr(route, "methods", ()):
            return None
        return f"{method} {path}"

    def _line(self) -> dict[str, Any]:
        context, client = self._scope.get("aws.context"), self._scope.get("client")
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "service": os.environ.get("POWERTOOLS_SERVICE_NAME"),
            "action": self._action,
            "status": self._status,
            # That of the connection, as the front door saw it; behind CloudFront the viewer's (cloudfront.py).
            "source_ip": client[0] if client else None,
            "lambda_request_id": getattr(context, "aws_request_id", None),
            "trace_id": os.environ.get("_X_AMZN_TRACE_ID", "").partition(";")[0].removeprefix("Root=") or None,
            **self._ids(),
            **self.noted,
        }
        return {name: value for name, value in line.items() if value is not None}

    def _ids(self) -> dict[str, str]:
        """The record that the path names. What is no id of ours stays unsaid: it may be anything, a token as well."""
        kind = KINDS.get(str(self._action).partition("/")[2].partition("/")[0], "file")
        params = self._scope.get("path_params", {})
        found = params.get("id") or params.get("upload_id") or ""
        return {kind: found} if ID.fullmatch(found) else {}

    async def _write(self, line: dict[str, Any]) -> None:
        await run_sync(self._log.write, line)
