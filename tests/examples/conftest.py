"""The streaming runtime's examples on the local stack, each with the requirements that it names."""

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from tests.integration.conftest import Running, options, running
from tests.integration.runtime_process import LAYER

PATIENCE_SECONDS = 60
# A pause that no test waits for: what arrives did so before the next chunk was made.
NEVER_S = 3600


class Example(Protocol):
    """Starts the example of this name; `env` are variables of its function, `timeout` its seconds."""

    def __call__(
        self,
        name: str,
        *,
        parameters: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        timeout: int | None = None,
    ) -> AbstractContextManager[Running]: ...


@pytest.fixture(scope="session")
def store() -> Iterator[Path]:
    """Where the stacks install: examples with the same requirements share an environment."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def example(tmp_path: Path, store: Path) -> Example:
    @contextmanager
    def start(
        name: str,
        *,
        parameters: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        timeout: int | None = None,
    ) -> Iterator[Running]:
        place = copied(name, Path(tempfile.mkdtemp(dir=tmp_path)), store)
        arguments = [*options("--parameter", parameters or {}), *options("--env", env or {})]
        template = place / "template.yaml"
        if timeout is not None:
            template.write_text(re.sub(r"Timeout: \d+", f"Timeout: {timeout}", template.read_text()))
        # As fast as it goes, however large.
        with running(place / "log", "--template", str(template), *arguments, LOCAL_STREAM_BYTES_PER_S="0") as up:
            yield up

    return start


def copied(name: str, layer: Path, store: Path) -> Path:
    """The example beside the layer's files. In the layer's own folder `sam build` would copy all that is installed."""
    place = layer / "examples" / name
    shutil.copytree(LAYER / "examples" / name, place, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    for part in ("streaming_runtime", "streaming-bootstrap"):
        (layer / part).symlink_to(LAYER / part)
    (place / ".local").symlink_to(store)
    return place


def client(up: Running) -> httpx.Client:
    """Asks the example's Function URL."""
    return httpx.Client(base_url=up.ready["AppUrl"], timeout=PATIENCE_SECONDS, trust_env=False)


def first_chunk(asking: httpx.Client, path: str, method: str = "GET", **more: Any) -> bytes:
    """What arrives first, of an answer that is left then."""
    with asking.stream(method, path, **more) as response:
        assert response.status_code == 200
        return next(response.iter_bytes())
