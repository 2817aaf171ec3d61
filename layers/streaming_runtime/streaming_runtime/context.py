"""`scope["aws.context"]`: what Lambda says about one invocation, as the managed runtime's context object has it."""

import json
import os
import time
from types import SimpleNamespace
from typing import Any

from . import logs
from .client import Invocation

TRACE_FIELDS = ("traceparent", "tracestate", "baggage")


class LambdaContext:
    """https://docs.aws.amazon.com/lambda/latest/dg/python-context.html"""

    def __init__(self, invocation: Invocation) -> None:
        self.aws_request_id = invocation.request_id
        self.invoked_function_arn = invocation.function_arn
        self.tenant_id = invocation.tenant_id
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
        self.client_context = _client_context(invocation.client_context)
        self.identity = _identity(invocation.cognito_identity)
        self._deadline_ms = invocation.deadline_ms
        self._trace = _trace(invocation.client_context)

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends this invocation; never less than 0."""
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def w3c(self) -> dict[str, str]:
        """What the caller of the Invoke API passed along of its own trace: https://www.w3.org/TR/trace-context/"""
        return dict(self._trace)

    def log(self, message: object) -> None:
        """Put a text into the log as it is."""
        logs.write(message)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if not name.startswith("_"))
        return f"{type(self).__name__}({fields})"


def _client_context(header: str | None) -> SimpleNamespace | None:
    """What a caller of the Invoke API passed along: client, custom, env."""
    if header is None:
        return None
    fields = _object(header)
    client = fields.get("client")
    return SimpleNamespace(
        client=SimpleNamespace(**client) if isinstance(client, dict) else None,
        custom=fields.get("custom"),
        env=fields.get("env"),
    )


def _trace(header: str | None) -> dict[str, str]:
    fields = _object(header or "{}").get("w3c")
    given = fields.items() if isinstance(fields, dict) else ()
    return {name: value for name, value in given if name in TRACE_FIELDS and isinstance(value, str)}


def _identity(header: str | None) -> SimpleNamespace:
    """The Cognito identity of a mobile caller, if any."""
    fields = _object(header or "{}")
    return SimpleNamespace(
        cognito_identity_id=fields.get("cognitoIdentityId"),
        cognito_identity_pool_id=fields.get("cognitoIdentityPoolId"),
    )


def _object(header: str) -> dict[str, Any]:
    """The JSON object in a header; empty where it is none: callers write it, and must not break the environment."""
    try:
        fields = json.loads(header)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
