"""What API and stream function keep of their start. Forks of one process are the nearest thing to a snapshot."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
# Imports the function as its runtime does, and then continues twice from there. Each copy tells what it has before and
# after the hooks that Lambda's runtime runs in it.
SCRIPT = """
import hashlib, json, os, random, socket, sys
from importlib import import_module

app = import_module(sys.argv[1]).app
from snapshot_restore_py import get_after_restore
from aws_lambda_powertools.utilities.parameters import base
from sluice.files import new_id

def connections():
    # All sockets but the pair by which an event loop wakes itself.
    numbers = [one for one in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{one}")]
    sockets = [int(number) for number in numbers if os.readlink(f"/proc/self/fd/{number}").startswith("socket:")]
    found = [socket.socket(fileno=os.dup(number)) for number in sockets]
    return [str(one) for one in found if one.family != socket.AF_UNIX]

def told():
    (audited,) = [one for one in app.user_middleware if one.cls.__name__ == "Audited"]
    return {
        "numbers": hashlib.sha256(repr(random.getstate()).encode()).hexdigest(),
        "stream": audited.kwargs["log"]._stream,
    }

secrets = [str(one.store) for one in base.DEFAULT_PROVIDERS.values() if one.store]
kept = {"connections": connections(), "secrets": secrets}
state = random.getstate()
copies = []
for _ in range(2):
    reading, writing = os.pipe()
    if os.fork() == 0:
        random.setstate(state)  # a fork takes new numbers by itself, a snapshot does not
        before = told()
        for hook, arguments, keywords in get_after_restore():
            hook(*arguments, **keywords)
        os.write(writing, json.dumps({"before": before, "after": told() | {"id": new_id()[10:]}}).encode())
        os._exit(0)
    os.wait()
    copies.append(json.loads(os.read(reading, 65536)))
print(json.dumps({"kept": kept, "copies": copies}))
"""
SETTINGS = {
    "ACCESS_TOKEN_SECRET": "the-tokens",
    "AUDIT_LOG_GROUP": "the-group",
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
    "AWS_SECRET_ACCESS_KEY": "b",
    "BUCKET_NAME": "the-bucket",
    "CAPABILITY_KEY_SECRET": "the-key",
    "OIDC_CLIENT_ID": "a-client",
    "OIDC_ISSUER": "https://issuer.example",
    "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "layers" / "core"))),
    "QUEUE_URL": "https://sqs.example/queue",
    "STREAM_URL": "https://stream.example/",
    "TABLE_NAME": "the-table",
}


@pytest.fixture(scope="module", params=["functions.api.app", "functions.stream.app"])
def thawed(request: pytest.FixtureRequest) -> Any:
    command = [sys.executable, "-c", SCRIPT, request.param]
    done = subprocess.run(command, check=True, env=SETTINGS, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_copies_of_a_start_differ(thawed: Any) -> None:
    """They are the same until the hooks; then each has its own numbers, its own log stream, and makes its own ids."""
    one, other = thawed["copies"]
    assert one["before"] == other["before"]
    for name in ("numbers", "stream", "id"):
        assert one["after"][name] != other["after"][name], name
    assert one["after"]["stream"] != one["before"]["stream"]


def test_a_start_connects_to_nobody(thawed: Any) -> None:
    """No snapshot has a connection that is closed by then, a secret that was replaced, or an issuer's old keys."""
    assert thawed["kept"] == {"connections": [], "secrets": []}
