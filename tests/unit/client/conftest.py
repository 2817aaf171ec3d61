from collections.abc import Iterator

import pytest

from tests.unit.client.deployment import Deployment


@pytest.fixture(autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command keeps what it remembers, and finds what it was told, where no person's is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    monkeypatch.delenv("SLUICE_PROFILE", raising=False)


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    with Deployment() as running:
        yield running
