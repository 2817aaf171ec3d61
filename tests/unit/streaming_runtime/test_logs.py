import io
import json
import logging
import re
import sys
from collections.abc import Iterator

import pytest

from streaming_runtime import logs


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """The root logger as a new process has it: no handlers, level WARNING."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    root.setLevel(logging.WARNING)
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_lines_carry_the_request_and_the_failure(
    root_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys of the managed runtime, and those of `extra`."""
    monkeypatch.setattr(sys, "stdout", out := io.StringIO())
    logs.configure({"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"})
    token = logs.request_id.set("r-1")
    try:
        raise ValueError("bad\nworse")
    except ValueError:
        root_logger.exception("It %s.", "failed", extra={"file_id": 7})
    finally:
        logs.request_id.reset(token)
    root_logger.info({"a": 1})
    root_logger.debug("unseen")
    failure, plain = (json.loads(line) for line in out.getvalue().splitlines())
    assert failure["requestId"] == "r-1"
    assert (failure["level"], failure["message"], failure["file_id"]) == ("ERROR", "It failed.", 7)
    assert (failure["errorType"], failure["errorMessage"]) == ("ValueError", "bad\nworse")
    assert "raise ValueError" in failure["stackTrace"][-1]
    assert plain["message"] == {"a": 1}
    assert "requestId" not in plain


def test_text_lines_carry_level_time_and_request(root_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The managed runtime's format, separated by tabs."""
    monkeypatch.setattr(sys, "stdout", out := io.StringIO())
    logs.configure({})
    token = logs.request_id.set("r-1")
    root_logger.warning("Careful.")
    logs.request_id.reset(token)
    root_logger.info("unseen")
    assert re.fullmatch(r"\[WARNING\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\tr-1\tCareful\.\n", out.getvalue())
