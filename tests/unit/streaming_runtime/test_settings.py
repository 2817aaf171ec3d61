import pytest

from streaming_runtime.settings import Prelude, Settings

LEAST = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001", "_HANDLER": "app.app"}


def test_lambdas_variables_are_enough() -> None:
    """One invocation at a time, stopped one second before its deadline; 0.6 s after SIGTERM."""
    settings = Settings.read({**LEAST, "LAMBDA_TASK_ROOT": "/var/task"})
    wanted = Settings("127.0.0.1:9001", "app.app", "/var/task", 1, snap_start=False, deadline_margin=1.0, shutdown=0.6)
    assert settings == wanted


def test_every_variable_is_read() -> None:
    """Concurrency, SnapStart, and the margin and the time after SIGTERM in milliseconds."""
    settings = Settings.read(
        {
            **LEAST,
            "AWS_LAMBDA_MAX_CONCURRENCY": "64",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
            "STREAMING_RUNTIME_DEADLINE_MARGIN_MS": "250",
            "STREAMING_RUNTIME_SHUTDOWN_MS": "1800",
            "STREAMING_RUNTIME_EVENT_PATH": "/from/lambda",
            "STREAMING_RUNTIME_PRELUDE": "always",
            "STREAMING_RUNTIME_FILL_EMPTY": "1",
        }
    )
    assert (settings.concurrency, settings.snap_start) == (64, True)
    assert (settings.deadline_margin, settings.shutdown) == (0.25, 1.8)
    assert (settings.event_path, settings.prelude, settings.fill_empty) == ("/from/lambda", Prelude.ALWAYS, True)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("STREAMING_RUNTIME_EVENT_PATH", "events", "begins with a slash"),
        ("STREAMING_RUNTIME_PRELUDE", "sometimes", "never, streams, always"),
        ("STREAMING_RUNTIME_FILL_EMPTY", "yes", "a whole number"),
    ],
)
def test_a_wrong_word_fails_by_its_name(name: str, value: str, wanted: str) -> None:
    """The message says which variable and what it takes."""
    with pytest.raises(ValueError, match=f"{name} must be .*{wanted}"):
        Settings.read({**LEAST, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_LAMBDA_MAX_CONCURRENCY", "0"),
        ("AWS_LAMBDA_MAX_CONCURRENCY", "many"),
        ("STREAMING_RUNTIME_DEADLINE_MARGIN_MS", "-1"),
        ("STREAMING_RUNTIME_DEADLINE_MARGIN_MS", "1.5"),
        ("STREAMING_RUNTIME_SHUTDOWN_MS", "-1"),
    ],
)
def test_a_wrong_value_fails_by_its_name(name: str, value: str) -> None:
    """The message says which variable and what it takes."""
    with pytest.raises(ValueError, match=f"{name} must be a whole number"):
        Settings.read({**LEAST, name: value})
