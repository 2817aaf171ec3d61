"""`make deploy` with the real SAM CLI, whose CloudFormation is moto: what a change set is asked for.

The template has the real parameters and nothing to build or to send.
"""

import asyncio
import json
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from local import aws
from local.deploy import overrides, written
from local.guard import Guard
from local.template import REGION
from tests.sam.cases import ROOT

SECONDS = 300

# What `make test-sam` exports, and what would come from a person's own account.
OF_MAKE = ("ARCH", "ARGS", "AWS_", "MAKE", "MFLAGS", "ORIGINS", "PARAMS")

DECLARED = yaml_parse((ROOT / "template.yaml").read_text())["Parameters"]
RESOURCES = {"Topic": {"Type": "AWS::SNS::Topic"}}

Deploy = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """That of a person whose AWS is a moto."""
    guard = Guard()
    with asyncio.Runner() as runner:
        listener = socket.create_server(("127.0.0.1", 0))
        host, port = listener.getsockname()
        process = runner.run(aws.start(listener, guard))
        # What a make gives to another one is nothing that a person's shell has.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OF_MAKE)}
        here = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_DEFAULT_REGION": REGION}
        try:
            yield {**kept, **aws.CREDENTIALS, **aws.NO_PROFILE, **here}
        finally:
            guard.end(process.pid)
            runner.run(process.wait())
            guard.close()


@pytest.fixture(scope="module")
def cloudformation(environment: dict[str, str]) -> Any:
    return aws.connect(environment["AWS_ENDPOINT_URL"]).cloudformation


@pytest.fixture
def deploy(tmp_path: Path, environment: dict[str, str]) -> Deploy:
    """`make deploy` that says what it would build, and makes a change set without executing it."""

    def run(*variables: str, configured: str = "", options: str = "") -> subprocess.CompletedProcess[str]:
        config = tmp_path / "samconfig.toml"
        config.write_text((ROOT / "samconfig.toml").read_text().replace("resolve_s3 = true", configured))
        template = tmp_path / "template.json"
        template.write_text(json.dumps({"Parameters": DECLARED, "Resources": RESOURCES}))
        arguments = (
            f"--config-file {config} --template {template} --no-confirm-changeset --no-execute-changeset {options}"
        )
        return subprocess.run(
            ["make", "deploy", "SELF=echo would", f"ARGS={arguments}", *variables],
            cwd=ROOT,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    return run


def asked(cloudformation: Any, stack: str) -> dict[str, str]:
    """The parameters of the one change set."""
    every = cloudformation.list_change_sets(StackName=stack)["Summaries"]
    (summary,) = (one for one in every if one["StackName"] == stack)  # moto lists those of all stacks
    described = cloudformation.describe_change_set(ChangeSetName=summary["ChangeSetId"], StackName=stack)
    return {one["ParameterKey"]: one["ParameterValue"] for one in described["Parameters"]}


def test_a_new_stack_gets_what_is_named(cloudformation: Any, deploy: Deploy) -> None:
    """Values with spaces, commas, quotes and a dollar sign arrive as they were written, beside samconfig.toml's."""
    done = deploy(
        "ORIGINS=https://a.example, https://b.example",
        """PARAMS=OwnerBytes=5 ContentTypes="image/*, it's $x" HashDigests='"md5"'""",
        configured='parameter_overrides = "OwnerUploads=3 OwnerBytes=4"',
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "would build ARCH=x86_64" in done.stdout
    assert asked(cloudformation, "sluice") == {
        "Architecture": "x86_64",
        "AllowedOrigins": "https://a.example,https://b.example",
        "ContentTypes": "image/*, it's $x",
        "HashDigests": '"md5"',
        "OwnerBytes": "5",
        "OwnerUploads": "3",
    }


def test_a_stack_keeps_what_is_not_named(cloudformation: Any, deploy: Deploy) -> None:
    """The stack's architecture is the one that is built for, and SAM asks for the previous value of all the others."""
    before = {"Architecture": "arm64", "OwnerBytes": "7"}
    declared = {name: DECLARED[name] for name in before}
    cloudformation.create_stack(
        StackName="ours",
        TemplateBody=json.dumps({"Parameters": declared, "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in before.items()],
    )
    done = deploy("PARAMS=OwnerUploads=2", options="--stack-name ours")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "would build ARCH=arm64" in done.stdout
    assert asked(cloudformation, "ours") == {**before, "OwnerUploads": "2"}


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (["PARAMS=Owner=5"], "no parameter of the template: Owner. There are: Architecture, AllowedOrigins,"),
        (["ARCH=arm"], "Architecture=arm: it is one of x86_64, arm64"),
        (["ARGS=--parameter-overrides OwnerBytes=5"], "parameters go into PARAMS"),
    ],
)
def test_what_is_refused_is_not_built(variables: list[str], told: str, deploy: Deploy) -> None:
    """A mistake ends it before anything is built or asked of AWS."""
    done = deploy(*variables)
    assert done.returncode != 0
    assert told in done.stderr
    assert "would build" not in done.stdout


def test_sam_reads_what_was_written(tmp_path: Path) -> None:
    """Any value survives the file that it is handed over in, whatever SAM takes for a quote or an escape."""
    odd = ["", '"', "''", "a b", 'a\\ b\\"c\\\\', "\"'", "a=b,c", "\\", '\\\\" \\']
    odd += ["ü${x}", "[1]", "file://x", "ParameterKey=a", "1", "no"]
    values = {f"Parameter{number}": value for number, value in enumerate(odd)}
    path = tmp_path / "parameters.yaml"
    path.write_text(written(values))
    assert overrides(f"file://{path}") == values


def test_nothing_to_deploy_is_no_failure() -> None:
    """A second deployment of the same ends well: samconfig.toml says so to every `sam deploy`."""
    assert re.search(r"^fail_on_empty_changeset = false$", (ROOT / "samconfig.toml").read_text(), re.MULTILINE)
