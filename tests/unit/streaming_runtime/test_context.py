import json
import time

import pytest

from streaming_runtime.client import Invocation
from streaming_runtime.context import LambdaContext


def test_the_context_says_what_the_managed_runtimes_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and values of awslambdaric's context, from the headers and from the environment."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "stream")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
    client = json.dumps({"client": {"app_title": "t"}, "custom": {"a": 1}, "env": {}})
    identity = json.dumps({"cognitoIdentityId": "i", "cognitoIdentityPoolId": "p"})
    context = LambdaContext(Invocation("r-1", b"", 0, "arn:f", None, client, identity, "tenant", None))
    assert context.aws_request_id == "r-1"
    assert context.invoked_function_arn == "arn:f"
    assert (context.function_name, context.function_version, context.memory_limit_in_mb) == (
        "stream",
        "$LATEST",
        "1024",
    )
    assert context.client_context is not None
    assert context.client_context.client.app_title == "t"
    assert context.client_context.custom == {"a": 1}
    assert context.identity.cognito_identity_id == "i"
    assert context.tenant_id == "tenant"


def test_the_trace_of_a_caller_is_told_apart() -> None:
    """Its three fields where they are texts, and nothing of it in the client context."""
    client = json.dumps({"custom": {}, "w3c": {"traceparent": "00-1", "tracestate": 7, "baggage": "a=1", "other": "x"}})
    context = LambdaContext(Invocation("r-1", b"", 0, "arn:f", None, client, None, None, None))
    assert context.w3c() == {"traceparent": "00-1", "baggage": "a=1"}
    assert not hasattr(context.client_context, "w3c")


def test_a_context_logs_and_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    """`log` writes what it is given and nothing else; its repr has the fields."""
    context = LambdaContext(Invocation("r-1", b"", 0, "arn:f", None, None, None, "tenant", None))
    context.log("no line end")
    assert capsys.readouterr().out == "no line end"
    assert "aws_request_id='r-1'" in repr(context)
    assert "tenant_id='tenant'" in repr(context)
    assert "_deadline" not in repr(context)


@pytest.mark.parametrize(("ahead_ms", "least", "most"), [(5000, 4000, 5000), (-5000, 0, 0)])
def test_the_remaining_time_runs_down_to_zero(ahead_ms: int, least: int, most: int) -> None:
    """Milliseconds to the deadline, never negative."""
    deadline_ms = int(time.time() * 1000) + ahead_ms
    context = LambdaContext(Invocation("r", b"", deadline_ms, "arn:f", None, None, None, None, None))
    assert least <= context.get_remaining_time_in_millis() <= most


@pytest.mark.parametrize("header", ["no JSON", "[]", '"text"', "null", '{"client": 1, "w3c": 1}'])
def test_a_caller_cannot_break_the_environment(header: str) -> None:
    """Callers write the client context and the identity; what is no JSON object says nothing."""
    context = LambdaContext(Invocation("r-1", b"{}", 0, "arn", None, header, header, None, None))
    assert context.client_context is not None
    assert context.client_context.client is None
    assert context.identity.cognito_identity_id is None
    assert context.w3c() == {}
