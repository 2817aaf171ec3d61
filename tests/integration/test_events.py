"""Each event of `events/` runs through its function: the process that Lambda would start, on the template's stack."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from local.template import REGION
from tests.sam.cases import CASES, ENV_VARS, EVENTS, ROOT, Case, Invoke, Seeded, processes, seeded

# What each function has in every local stack, word for word.
SAME = ("AUDIT_LOG_GROUP", "BUCKET_NAME", "CLOUDFRONT_SECRET", "SETTINGS_VERSION", "TABLE_NAME")


@pytest.fixture(scope="module")
def stack() -> Iterator[Seeded]:
    with seeded("127.0.0.1") as made:
        yield made


@pytest.fixture(scope="module")
def invoke(stack: Seeded) -> Iterator[Invoke]:
    with processes(stack.functions) as started:
        yield started


def test_every_event_has_a_case() -> None:
    """No file in `events/` goes untested, and no function is without an event."""
    files = {path for path in EVENTS.iterdir() if path.is_file()}
    assert files == {ENV_VARS, *(EVENTS / f"{case.event}.json" for case in CASES)}
    assert {case.function for case in CASES} == {"ApiFunction", "HasherFunction", "PublisherFunction", "StreamFunction"}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_event_about_what_exists(case: Case, stack: Seeded, invoke: Invoke) -> None:
    """An event about files that the stack knows gets the answer that it is an example of."""
    case.check(stack, invoke(case.function, stack.event(case.event)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_event_as_it_lies_there(case: Case, invoke: Invoke) -> None:
    """An event that nobody has adapted is answered too: refused where its token is nobody's, else taken quietly."""
    case.unknown(invoke(case.function, (EVENTS / f"{case.event}.json").read_text()))


def test_environments_from_a_snapshot_write_an_audit_record_each(stack: Seeded, invoke: Invoke) -> None:
    """Lambda tells them no log stream: each makes up its own, and none writes into that of another."""
    for case in CASES:
        if case.event in ("api-list", "stream-events"):
            invoke(case.function, stack.event(case.event))
    group = stack.functions["ApiFunction"].environment["AUDIT_LOG_GROUP"]
    keys: Any = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "aws_session_token": "local"}
    logs = boto3.client("logs", endpoint_url=stack.services.url, region_name=REGION, **keys)
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    names = [one["logStreamName"] for one in streams]
    assert [name for name in names if not re.fullmatch("[0-9a-f]{32}", name)] == []
    assert len(names) >= len(("ApiFunction", "StreamFunction"))


def default(name: str) -> int:
    """The port that `make up` takes."""
    (port,) = re.findall(rf"^{name} \?= (\d+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return int(port)


def test_env_vars_are_those_of_the_local_stack(stack: Seeded) -> None:
    """`events/env.json` names what every local stack has, as it does."""
    (named,) = json.loads(ENV_VARS.read_text()).values()
    here = urlsplit(named.pop("AWS_ENDPOINT_URL"))
    assert (here.hostname, here.port) == ("172.17.0.1", default("AWS_PORT"))
    assert urlsplit(named.pop("STREAM_URL")).port == default("STREAM_PORT")
    made = stack.functions["ApiFunction"].environment
    for name in ("ACCESS_TOKEN_SECRET", "CAPABILITY_KEY_SECRET"):
        assert stack.services.secrets.describe_secret(SecretId=named.pop(name))["ARN"] == made[name]
    for name, function in (("QUEUE_URL", "ApiFunction"), ("DEAD_LETTERS_URL", "PublisherFunction")):
        queue, url = urlsplit(named.pop(name)), urlsplit(stack.functions[function].environment[name])
        assert (queue.netloc, queue.path) == (here.netloc, url.path)
    assert named == {name: made[name] for name in SAME}
