from collections.abc import AsyncIterator, Iterator

import pytest
import snapshot_restore_py as hooks

from local.runtime_api import FunctionError, RuntimeApi
from streaming_runtime import snapshot
from streaming_runtime.client import Client

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_hooks() -> Iterator[None]:
    """The library's registries are the process's own, and other tests have no hooks."""
    yield
    hooks.get_before_snapshot().clear()
    hooks.get_after_restore().clear()


@pytest.fixture
async def api() -> AsyncIterator[RuntimeApi]:
    api = RuntimeApi()
    yield api
    await api.close()
    assert api.violations == []


async def take(api: RuntimeApi) -> int:
    client = Client(await api.start())
    try:
        return await snapshot.take(client)
    finally:
        client.close()


async def test_hooks_run_backwards_before_the_snapshot_and_forwards_after_it(api: RuntimeApi) -> None:
    """As the managed runtime runs them, with the arguments that they were registered with."""
    ran: list[tuple[str, bool]] = []

    def hook(name: str, *, mark: str = "") -> None:
        ran.append((name + mark, api.restored))

    hooks.register_before_snapshot(hook, "first")
    hooks.register_before_snapshot(hook, "second", mark="!")
    hooks.register_after_restore(hook, "third")
    hooks.register_after_restore(hook, "fourth")
    assert await take(api) == 0
    assert ran == [("second!", False), ("first", False), ("third", True), ("fourth", True)]


async def test_a_hook_that_fails_before_the_snapshot_is_an_init_error(api: RuntimeApi) -> None:
    """No snapshot is taken; the type is the managed runtime's, the message the hook's."""
    hooks.register_before_snapshot(int, "no number")
    assert await take(api) == snapshot.BEFORE_SNAPSHOT_FAILED
    assert isinstance(api.init_error, FunctionError)
    assert api.init_error.error_type == "Runtime.BeforeSnapshotError"
    assert b"no number" in api.init_error.payload
    assert not api.restored


async def test_a_hook_that_fails_after_the_restore_is_a_restore_error(api: RuntimeApi) -> None:
    """The environment is of no use, and says why."""
    hooks.register_after_restore(int, "no number")
    assert await take(api) == snapshot.AFTER_RESTORE_FAILED
    assert isinstance(api.restore_error, FunctionError)
    assert api.restore_error.error_type == "Runtime.AfterRestoreError"
    assert api.init_error is None
