from collections.abc import Iterator

import pytest

from tests.unit.client.deployment import Deployment


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    with Deployment() as running:
        yield running
