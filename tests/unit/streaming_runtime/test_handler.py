from pathlib import Path

import pytest

from streaming_runtime.errors import Document, Fault
from streaming_runtime.handler import load


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "handler_fixture"
    package.mkdir()
    (package / "good.py").write_text("async def app(scope, receive, send): ...\nnumber = 1\n")
    (package / "broken.py").write_text("def (\n")
    (package / "needy.py").write_text("import a_module_that_nobody_has\n")
    (package / "failing.py").write_text("raise LookupError('no table')\n")


@pytest.mark.parametrize("handler", ["handler_fixture.good.app", "handler_fixture/good.app"])
def test_an_app_is_found_by_module_and_attribute(handler: str) -> None:
    """With dots or, as Lambda allows, with slashes."""
    assert load(handler).__name__ == "app"


@pytest.mark.parametrize(
    ("handler", "error_type"),
    [
        ("app", "Runtime.MalformedHandlerName"),
        ("handler_fixture.none.app", "Runtime.ImportModuleError"),
        ("handler_fixture.needy.app", "Runtime.ImportModuleError"),
        ("handler_fixture.broken.app", "Runtime.UserCodeSyntaxError"),
        ("handler_fixture.good.none", "Runtime.HandlerNotFound"),
        ("handler_fixture.good.number", "Runtime.HandlerNotFound"),
    ],
)
def test_what_cannot_be_found_fails_under_the_managed_runtimes_type(handler: str, error_type: str) -> None:
    """Each kind of failure has the name under which people search for it."""
    with pytest.raises(Fault) as failed:
        load(handler)
    assert failed.value.error_type == error_type


def test_a_missing_import_names_the_line_that_wants_it() -> None:
    """The stack trace leads into the app's module, not into the import system."""
    with pytest.raises(Fault) as failed:
        load("handler_fixture.needy.app")
    (frame,) = Document(failed.value).stack_trace
    assert "import a_module_that_nobody_has" in frame


def test_what_the_module_raises_goes_through() -> None:
    """The app's own failure keeps its type."""
    with pytest.raises(LookupError, match="no table"):
        load("handler_fixture.failing.app")
