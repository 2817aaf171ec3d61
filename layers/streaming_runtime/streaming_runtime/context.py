"""`scope["aws.context"]`: what Lambda says about one invocation, as the managed runtime's context object has it."""

import json
import os
import time
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from . import logs
from .client import Invocation

TRACE_FIELDS = ("traceparent", "tracestate", "baggage")

# What a context shows of itself.
FIELDS = (
    "aws_request_id",
    "invoked_function_arn",
    "tenant_id",
    "function_name",
    "function_version",
    "memory_limit_in_mb",
    "log_group_name",
    "log_stream_name",
    "client_context",
    "identity",
)


def _variable(name: str) -> property:
    """A text of the environment's, read when it is asked for: most apps ask for none, and each costs a microsecond."""
    return property(lambda _: os.environ.get(name, ""))


class LambdaContext:
    """https://docs.aws.amazon.com/lambda/latest/dg/python-context.html"""

    function_name = _variable("AWS_LAMBDA_FUNCTION_NAME")
    function_version = _variable("AWS_LAMBDA_FUNCTION_VERSION")
    memory_limit_in_mb = _variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
    log_group_name = _variable("AWS_LAMBDA_LOG_GROUP_NAME")
    log_stream_name = _variable("AWS_LAMBDA_LOG_STREAM_NAME")

    def __init__(self, invocation: Invocation) -> None:
        self.aws_request_id = invocation.request_id
        self.invoked_function_arn = invocation.function_arn
        self.tenant_id = invocation.tenant_id
        self._invocation = invocation

    @cached_property
    def client_context(self) -> SimpleNamespace | None:
        """What a caller of the Invoke API passed along: client, custom, env."""
        header = self._invocation.client_context
        if header is None:
            return None
        fields = _object(header)
        client = fields.get("client")
        return SimpleNamespace(
            client=SimpleNamespace(**client) if isinstance(client, dict) else None,
            custom=fields.get("custom"),
            env=fields.get("env"),
        )

    @cached_property
    def identity(self) -> SimpleNamespace:
        """The Cognito identity of a mobile caller, if any."""
        fields = _object(self._invocation.cognito_identity)
        return SimpleNamespace(
            cognito_identity_id=fields.get("cognitoIdentityId"),
            cognito_identity_pool_id=fields.get("cognitoIdentityPoolId"),
        )

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends this invocation; never less than 0."""
        return max(0, self._invocation.deadline_ms - int(time.time() * 1000))

    def w3c(self) -> dict[str, str]:
        """What the caller of the Invoke API passed along of its own trace: https://www.w3.org/TR/trace-context/"""
        fields = _object(self._invocation.client_context).get("w3c")
        given = fields.items() if isinstance(fields, dict) else ()
        return {name: value for name, value in given if name in TRACE_FIELDS and isinstance(value, str)}

    def log(self, message: object) -> None:
        """Put a text into the log as it is."""
        logs.write(message)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in FIELDS)
        return f"{type(self).__name__}({fields})"


def _object(header: str | None) -> dict[str, Any]:
    """The JSON object in a header; empty where it is none: callers write it, and must not break the environment."""
    try:
        fields = json.loads(header or "{}")
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
