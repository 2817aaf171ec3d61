"""The local stack, started as a person starts it."""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.template import REGION
from tests.integration.journey import client

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "unit" / "local" / "tiny" / "template.yaml"
TINY_ARGUMENTS = ("--template", str(TINY), "--door", "api=Api", "--door", "stream=StreamingUrl")

thorough = pytest.mark.thorough
more = pytest.mark.more

# A machine that is busy with other things imports moto, boto3 and FastAPI several times over.
START_SECONDS = 120
STOP_SECONDS = 30


@dataclass(frozen=True)
class Running:
    """A `python -m local` that is ready: its process, what its ready line says, and where its stderr goes."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]
    log: Path


@dataclass(frozen=True)
class Stack:
    """The stack of template.yaml: URLs without a slash at the end, the tokens of the owners `default` and `other`."""

    api: str
    stream: str
    aws: str
    token: str
    other_token: str
    region: str
    log: Path
    direct_api: str = ""  # behind CloudFront
    direct_stream: str = ""


@contextmanager
def running(log: Path, *arguments: str, module: str = "local", **environ: str) -> Iterator[Running]:
    """`python -m local` until the block ends. When it does not start, the failure shows its log.

    With `local.up` as the `module` it is Sluice's own stack.
    """
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            # Tests that are killed leave no stack.
            [sys.executable, "-m", module, "--parent", str(os.getpid()), *arguments],
            cwd=ROOT,
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        try:
            yield Running(process, _ready(process, log), log)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(STOP_SECONDS) == 0
        finally:
            process.kill()


def _ready(process: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    late = threading.Timer(START_SECONDS, process.kill)
    late.start()
    try:
        line = process.stdout.readline() if process.stdout else ""
    finally:
        late.cancel()
    word, _, document = line.partition(" ")
    assert word == "ready", f"the local stack did not start:\n{log.read_text()}"
    ready: dict[str, Any] = json.loads(document)
    return ready


def options(option: str, values: Mapping[str, str]) -> list[str]:
    """An option of `python -m local`, once for each value."""
    return [argument for name, value in values.items() for argument in (option, f"{name}={value}")]


@contextmanager
def standing(
    folder: Path,
    *,
    parameters: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    cloudfront: bool = False,
    **environ: str,
) -> Iterator[Stack]:
    """The whole stack of template.yaml, with two owners; `env` are variables of its functions."""
    tokens = {"default": secrets.token_urlsafe(), "other": secrets.token_urlsafe()}
    arguments = [*options("--parameter", parameters or {}), *options("--env", env or {})]
    arguments += ["--cloudfront"] if cloudfront else []
    with running(folder / "log", *arguments, module="local.up", SLUICE_TOKEN=json.dumps(tokens), **environ) as up:
        yield Stack(
            api=up.ready["api"],
            stream=up.ready["stream"],
            aws=up.ready["aws"],
            token=up.ready["token"],
            other_token=tokens["other"],
            region=REGION,
            log=up.log,
            direct_api=up.ready.get("HttpApi", ""),
            direct_stream=up.ready.get("StreamFunctionUrl", ""),
        )


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests that use it. Streamed answers without a body do not end in it: the product has none."""
    with standing(tmp_path_factory.mktemp("stack"), LOCAL_STREAM_LINGER_S="900") as up:
        yield up


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    """The API, with the token of the owner `default`."""
    with client(stack.api, stack.token) as owner:
        yield owner


@pytest.fixture
def holder(stack: Stack) -> Iterator[Callable[[str], httpx.Client]]:
    """The API, with this bearer token."""
    with ExitStack() as clients:
        yield lambda token: clients.enter_context(client(stack.api, token))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The stack of the smallest functions, whose paths ask for what Sluice's never do; its streams are fast."""
    fast = {"LOCAL_STREAM_BYTES_PER_S": "0"}
    with running(tmp_path_factory.mktemp("tiny") / "log", *TINY_ARGUMENTS, **fast) as up:
        yield up
