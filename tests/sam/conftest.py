"""The house that `sam local` needs: an engine, an image, and the stack of `make up`, as the README has it."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from local import aws
from local.guard import Guard
from tests.sam import readme
from tests.sam.cases import ENV_VARS, ROOT, Seeded, seed
from tests.sam.engine import MISSING, Engine
from tests.sam.image import AWS_IMAGE, NotHere, invoke_image

HEADING = "in Docker, with `sam local`"
# Set where Docker has to be there (continuous integration): what is missing is then a failure.
REQUIRED = "SLUICE_REQUIRE_DOCKER"
READY_SECONDS = 120  # on a machine that has other things to do
END_SECONDS = 60
POLL_SECONDS = 0.2

# Starts a line of the README, and waits until its output or the world says that it is ready.
Running = Callable[[str, Callable[[str], bool]], AbstractContextManager[str]]


@pytest.fixture(scope="session")
def docker() -> Engine:
    engine = Engine()
    if not engine.answers():
        _without(os.environ.get(MISSING, "no Docker engine answers; `make test-sam` starts one, or says what it lacks"))
    return engine


def usable_image(docker: Engine) -> str:
    """AWS's image of the runtime, or what stands in for it."""
    try:
        return invoke_image(docker, ROOT / ".aws-sam")
    except NotHere as missing:
        _without(str(missing))


@pytest.fixture(scope="session")
def image_options(docker: Engine) -> str:
    """What the lines need besides, where AWS's image of the runtime is out of reach."""
    image = usable_image(docker)
    return "" if image.startswith(AWS_IMAGE) else f" --invoke-image {image} --skip-pull-image"


@pytest.fixture(scope="session")
def guard() -> Iterator[Guard]:
    guard = Guard()
    yield guard
    guard.close()


@pytest.fixture(scope="session")
def running(guard: Guard, tmp_path_factory: pytest.TempPathFactory) -> Running:
    # A shell that starts the tests in the background lets them ignore Ctrl-C, and so what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    @contextmanager
    def run(line: str, ready: Callable[[str], bool]) -> Iterator[str]:
        """Starts a line in a terminal of its own, so to say; its output once it is ready. Ctrl-C ends it."""
        folder = tmp_path_factory.mktemp("line")
        out, err = folder / "stdout", folder / "stderr"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                ["/bin/bash", "-c", line], cwd=ROOT, stdout=stdout, stderr=stderr, start_new_session=True
            )
        guard.watch(process.pid)
        try:
            deadline = time.monotonic() + READY_SECONDS
            while not ready(out.read_text()):
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"{line}\nis not ready:\n{_end_of(out)}\n{_end_of(err)}", pytrace=False)
                time.sleep(POLL_SECONDS)
            yield out.read_text()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(END_SECONDS)
            finally:
                guard.end(process.pid)

    return run


@pytest.fixture(scope="session")
def stack(docker: Engine, running: Running) -> Iterator[Seeded]:
    """The stack of `make up`, which holds what the events are about. Its own hasher hears nothing of that."""
    del docker  # its bridge is where the stack listens
    line = readme.line(HEADING, "SLUICE_TOKEN=")
    with running(line, lambda output: output.startswith("ready ")) as output:
        services = aws.connect(json.loads(output.removeprefix("ready "))["aws"])
        (named,) = json.loads(ENV_VARS.read_text()).values()
        services.s3.put_bucket_notification_configuration(
            Bucket=named["BUCKET_NAME"], NotificationConfiguration={"QueueConfigurations": []}
        )
        key = services.secrets.get_secret_value(SecretId=named["CAPABILITY_KEY_SECRET"])["SecretString"]
        token = line.partition("SLUICE_TOKEN=")[2].split()[0]
        yield seed(services, {}, named["BUCKET_NAME"], named["TABLE_NAME"], token=token, capability_key=key)


def _end_of(path: Path) -> str:
    return "\n".join(path.read_text().splitlines()[-20:])


def _without(missing: str) -> NoReturn:
    reason = f"`sam local` cannot run here: {missing}"
    if os.environ.get(REQUIRED):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
