"""The lines of the README about `sam local`, run as they stand there, in containers and with the stack of `make up`."""

import json
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from local.aws import CREDENTIALS
from local.template import REGION
from tests.sam import readme
from tests.sam.cases import CASES, READY, ROOT, Answer, Case, Seeded
from tests.sam.conftest import HEADING, Running
from tests.sam.engine import Engine

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient

SAM = ".venv-sam/bin/sam local"
INVOCATIONS = [line for line in readme.lines(HEADING) if line.startswith(f"{SAM} invoke ")]
API, LAMBDA = "http://127.0.0.1:3000", "http://127.0.0.1:3001"  # the ports of `sam local`, where nothing else is said
INVOKE_SECONDS = 240  # a function's first invocation builds its image as well
BY_EVENT = {case.event: case for case in CASES}


def shell(line: str) -> bytes:
    """The standard output of a line. Its log goes to stderr, which pytest shows where a test fails."""
    done = subprocess.run(
        ["/bin/bash", "-c", line], cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=INVOKE_SECONDS
    )
    return done.stdout


def answers(url: str) -> Callable[[str], bool]:
    """Whether something answers there, whatever it is."""

    def ready(_: str) -> bool:
        try:
            urllib.request.urlopen(url).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    return ready


@pytest.fixture(scope="module")
def functions(stack: Seeded, running: Running, image_options: str) -> Iterator["LambdaClient"]:
    del stack
    with running(readme.line(HEADING, f"{SAM} start-lambda") + image_options, answers(LAMBDA)):
        yield boto3.client(
            "lambda",
            endpoint_url=LAMBDA,
            region_name=REGION,
            config=Config(read_timeout=INVOKE_SECONDS, retries={"total_max_attempts": 1}, proxies={}),
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )


def test_every_function_has_a_line() -> None:
    """The README invokes each of the functions."""
    assert {line.split()[3] for line in INVOCATIONS} == {case.function for case in CASES}


@pytest.mark.parametrize("line", INVOCATIONS)
def test_invoke(line: str, stack: Seeded, image_options: str) -> None:
    """The line answers as the event's function does: the token of the events is the one of the README's stack."""
    found = re.fullmatch(rf"{re.escape(SAM)} invoke (\w+) -e events/([\w-]+)\.json", line)
    assert found, line
    case = BY_EVENT[found[2]]
    assert case.function == found[1]
    raw = shell(line + image_options)
    if "example-token" in (ROOT / f"events/{case.event}.json").read_text():
        case.check(stack, raw)
    else:
        case.unknown(raw)


def test_start_api(stack: Seeded, docker: Engine, running: Running, image_options: str) -> None:
    """Asked by curl it says that it is well, and lists the files of its owner; Ctrl-C ends its container too."""
    del stack
    before = docker("ps", "--all", "--quiet")
    with running(readme.line(HEADING, f"{SAM} start-api") + image_options, answers(f"{API}/healthz")):
        assert json.loads(shell(readme.line(HEADING, f"curl {API}/healthz"))) == {"status": "ok"}
        listed = json.loads(shell(readme.line(HEADING, 'curl -H "Authorization: Bearer example-token"')))
        assert READY in {item["id"] for item in listed["items"]}
    assert docker("ps", "--all", "--quiet") == before


@pytest.mark.parametrize("case", CASES, ids=str)
def test_event(case: Case, stack: Seeded, functions: "LambdaClient") -> None:
    """The built function, with its layers as /opt, answers the event as it does in a process of this machine."""
    response = functions.invoke(FunctionName=case.function, Payload=stack.event(case.event).encode())
    case.check(stack, response["Payload"].read())


def test_start_lambda_is_asked_by_curl(functions: "LambdaClient") -> None:
    """Without an SDK: one POST, whose answer is the function's."""
    del functions
    answer = Answer.of(shell(readme.line(HEADING, f"curl --data-binary @events/api-healthz.json {LAMBDA}/")))
    assert (answer.status, answer.json) == (200, {"status": "ok"})
