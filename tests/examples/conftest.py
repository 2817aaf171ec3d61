"""An example of the streaming runtime on the local stack, with the requirements that it names."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.integration.conftest import ROOT, Running, options, running

EXAMPLES = ROOT / "layers" / "streaming_runtime" / "examples"
PATIENCE_SECONDS = 60
# A pause that no test waits for: what arrives did so before the next chunk was made.
NEVER_S = 3600


@contextmanager
def example(
    folder: Path, name: str, *, parameters: Mapping[str, str] | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """The example of this name; `env` are variables of its function."""
    arguments = [*options("--parameter", parameters or {}), *options("--env", env or {})]
    template = str(EXAMPLES / name / "template.yaml")
    # As fast as it goes, however large.
    with running(folder / "log", "--template", template, *arguments, LOCAL_STREAM_BYTES_PER_S="0") as up:
        yield up


def client(up: Running) -> httpx.Client:
    """Asks the example's Function URL."""
    return httpx.Client(base_url=up.ready["AppUrl"], timeout=PATIENCE_SECONDS, trust_env=False)


def first_chunk(asking: httpx.Client, path: str, method: str = "GET", **more: Any) -> bytes:
    """What arrives first, of an answer that is left then."""
    with asking.stream(method, path, **more) as response:
        assert response.status_code == 200
        return next(response.iter_bytes())
