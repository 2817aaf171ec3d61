"""The stack as harsh as Lambda: the one that all tests share is told to linger, and programs wait."""

from collections.abc import Iterator

import pytest

from tests.integration.conftest import Stack, standing


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with standing(tmp_path_factory.mktemp("stack")) as up:
        yield up
