"""The house that `sam local invoke` needs: an engine, an image, and a stack in moto where containers find it."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from typing import NoReturn

import pytest
import yaml
from samtranslator.yaml_helper import yaml_parse

from local.aws import CREDENTIALS, NO_PROFILE
from local.template import REGION
from tests.sam.artifacts import BUILD
from tests.sam.cases import ROOT, Invoke, Seeded, seeded
from tests.sam.engine import Engine, NotHere, engine
from tests.sam.image import invoke_image

SAM = ROOT / ".venv-sam" / "bin" / "sam"
# Set where Docker has to be there (continuous integration): what is missing is then a failure.
REQUIRED = "SLUICE_REQUIRE_DOCKER"
INVOKE_SECONDS = 180  # the first invocation of a function also builds its image


@pytest.fixture(scope="session")
def docker() -> Iterator[Engine]:
    try:
        with engine() as running:
            yield running
    except NotHere as missing:
        _without(missing)


@pytest.fixture(scope="session")
def image(docker: Engine) -> str:
    try:
        return invoke_image(docker, ROOT / ".aws-sam")
    except NotHere as missing:
        _without(missing)


@pytest.fixture(scope="session")
def stack(docker: Engine, image: str) -> Iterator[Seeded]:
    """The stack in a moto that listens where containers reach this machine, and nobody from outside does."""
    name = "machine"
    hosts = docker("run", "--rm", "--add-host", f"{name}:host-gateway", "--entrypoint", "cat", image, "/etc/hosts")
    address = next(line.split()[0] for line in hosts.splitlines() if line.endswith(name))
    if not _ours(address):
        pytest.fail(f"containers reach this machine as {address}, which is not an address of it (Docker Desktop?)")
    with seeded(address) as made:
        yield made


def _ours(address: str) -> bool:
    try:
        socket.create_server((address, 0)).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def invoke(docker: Engine, image: str, stack: Seeded, tmp_path_factory: pytest.TempPathFactory) -> Invoke:
    """`sam local invoke` of a function with an event; what the function answered."""
    variables = _variables(stack)
    # `--env-vars` sets only what the template declares, and it does not declare where AWS is on this machine.
    template = yaml.safe_load((BUILD / "template.yaml").read_text())
    for function, values in variables.items():
        template["Resources"][function]["Properties"]["Environment"]["Variables"] |= dict.fromkeys(values, "")
    beside = BUILD / "with-endpoint.json"  # the paths in it start there
    beside.write_text(json.dumps(template))
    settings = tmp_path_factory.mktemp("sam") / "variables.json"
    settings.write_text(json.dumps(variables))
    options = ["--template", str(beside), "--env-vars", str(settings), "--event", "-"]
    options += ["--invoke-image", image, "--skip-pull-image"]
    environment = {
        **docker.environment,
        **CREDENTIALS,
        **NO_PROFILE,
        "AWS_DEFAULT_REGION": REGION,
        "SAM_CLI_TELEMETRY": "0",
    }

    def run(function: str, event: str) -> bytes:
        # The log goes to stderr, which pytest shows where a test fails.
        done = subprocess.run(
            [str(SAM), "local", "invoke", function, *options],
            check=True,
            input=event.encode(),
            env=environment,
            stdout=subprocess.PIPE,
            timeout=INVOKE_SECONDS,
            cwd=ROOT,
        )
        return done.stdout

    return run


def _variables(stack: Seeded) -> dict[str, dict[str, str]]:
    """The environment that the template gives each function, resolved, and where the services are."""
    declared = yaml_parse((ROOT / "template.yaml").read_text())
    everywhere = declared["Globals"]["Function"]["Environment"]["Variables"]
    wanted = {
        name: {*everywhere, *declared["Resources"][name]["Properties"]["Environment"]["Variables"], "AWS_ENDPOINT_URL"}
        for name in stack.functions
    }
    return {
        name: {key: value for key, value in function.environment.items() if key in wanted[name]}
        for name, function in stack.functions.items()
    }


def _without(missing: NotHere) -> NoReturn:
    reason = f"`sam local invoke` cannot run here: {missing}"
    if os.environ.get(REQUIRED):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
