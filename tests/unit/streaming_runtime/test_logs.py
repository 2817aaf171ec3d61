import io
import json
import logging
import os
import re
import struct
import sys
import time
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


def test_json_lines_carry_the_tenant(root_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the function isolates its tenants."""
    monkeypatch.setattr(sys, "stdout", out := io.StringIO())
    logs.configure({"AWS_LAMBDA_LOG_FORMAT": "JSON"})
    token = logs.tenant_id.set("blue")
    root_logger.error("with")
    logs.tenant_id.reset(token)
    root_logger.error("without")
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first["tenantId"] == "blue"
    assert "tenantId" not in second
    assert "tenant_id" not in first | second


@pytest.mark.parametrize(("level", "name"), [(25, "INFO"), (5, "NOTSET"), (35, "WARNING"), (99, "CRITICAL")])
def test_a_level_without_a_name_is_the_named_one_below(
    root_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch, level: int, name: str
) -> None:
    """Lambda's filter knows the named ones alone."""
    monkeypatch.setattr(sys, "stdout", out := io.StringIO())
    logs.configure({"AWS_LAMBDA_LOG_FORMAT": "JSON"})
    root_logger.setLevel(1)
    root_logger.log(level, "x")
    assert json.loads(out.getvalue())["level"] == name


def test_a_level_that_is_none_stops_nothing(root_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said, and logging goes on as it was."""
    monkeypatch.setattr(sys, "stdout", out := io.StringIO())
    logs.configure({"AWS_LAMBDA_LOG_LEVEL": "loud"})
    assert "AWS_LAMBDA_LOG_LEVEL=LOUD is no level" in out.getvalue()
    assert root_logger.level == logging.WARNING


def test_text_lines_carry_level_time_and_request(root_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The managed runtime's format, separated by tabs."""
    monkeypatch.setattr(sys, "stdout", out := io.StringIO())
    logs.configure({})
    token = logs.request_id.set("r-1")
    root_logger.warning("Careful.")
    logs.request_id.reset(token)
    root_logger.info("unseen")
    assert re.fullmatch(r"\[WARNING\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\tr-1\tCareful\.\n", out.getvalue())


def frames(data: bytes) -> Iterator[tuple[int, str]]:
    """Type and text of each frame; the time of each must be now."""
    while data:
        kind, length, microseconds = struct.unpack(">IIQ", data[:16])
        assert abs(microseconds / 1e6 - time.time()) < 60
        yield kind, data[16 : 16 + length].decode()
        data = data[16 + length :]


@pytest.mark.parametrize(("log_format", "kinds"), [("JSON", (0xA55A0016, 0xA55A0012)), ("", (0xA55A0017, 0xA55A0013))])
def test_a_record_of_several_lines_is_one_frame(
    root_logger: logging.Logger, log_format: str, kinds: tuple[int, int]
) -> None:
    """Lambda's own pipe, where it gives one, takes types, lengths and times beside the text."""
    root_logger.handlers[:] = []  # pytest's own would show the surrogate to what cannot take one
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        logs.configure({"AWS_LAMBDA_LOG_FORMAT": log_format, "_LAMBDA_TELEMETRY_LOG_FD": str(writing)})
        root_logger.error("two\nlines \N{SNOWMAN}\ud800")
        root_logger.log(logging.WARNING + 1, "a level without a name")
        os.close(writing)
        first, second = frames(pipe.read())
    assert (first[0], second[0]) == kinds
    assert "\N{SNOWMAN}" in first[1]
    assert "a level without a name" in second[1]


def test_a_pipe_that_is_gone_does_not_stop_the_app(
    root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be logged is said on stderr, as `logging` does it."""
    reading, writing = os.pipe()
    logs.configure({"_LAMBDA_TELEMETRY_LOG_FD": str(writing)})
    os.close(reading)
    root_logger.error("unheard")
    os.close(writing)
    assert "Broken pipe" in capsys.readouterr().err
