from collections.abc import Iterator

import pytest
import snapshot_restore_py as hooks

from sluice.snapshot import after_restore


@pytest.fixture(autouse=True)
def no_hooks() -> Iterator[None]:
    """The library's registries are the process's own, and other tests have no hooks."""
    yield
    hooks.get_after_restore().clear()


@pytest.mark.parametrize(("start", "registered"), [("snap-start", 1), ("on-demand", 0), ("provisioned-concurrency", 0)])
def test_a_hook_is_for_snapshots_alone(monkeypatch: pytest.MonkeyPatch, start: str, registered: int) -> None:
    """Where Lambda starts an environment in another way, AWS's library of hooks is not even imported."""
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", start)
    after_restore(no_hooks)
    assert len(hooks.get_after_restore()) == registered
