"""A local stack with every switch of its harshness turned round, and a template whose limits turn requests away."""

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local import aws
from tests.integration.conftest import TINY, Running, running, thorough
from tests.integration.test_local_doors import PATIENCE_SECONDS, ask
from tests.integration.test_local_queue import take

LINGER_SECONDS = 4

# Longer than an answer takes that is not held up, even on a busy machine; a test that waits it out passes.
HELD_SECONDS = 2.0


@pytest.fixture(scope="module")
def harsh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    switches = {
        "LOCAL_STREAM_BYTES_PER_S": "0",
        "LOCAL_STREAM_REMAPS_LENGTH": "0",
        "LOCAL_STREAM_LINGER_S": str(LINGER_SECONDS),
        "LOCAL_STREAM_HOLDS_PRELUDE": "1",
    }
    template = str(TINY.with_name("harsh.yaml"))
    with running(
        tmp_path_factory.mktemp("harsh") / "log", "--template", template, "--door", "stream=StreamingUrl", **switches
    ) as up:
        yield up


@pytest.fixture(scope="module")
def stream(harsh: Running) -> str:
    return str(harsh.ready["stream"])


def door(harsh: Running, name: str) -> str:
    found = re.search(rf"\[{name}\] is at (\S+)", harsh.log.read_text())
    assert found
    return found[1]


@pytest.mark.parametrize("status", [200, 302, 404])
def test_answer_without_a_body_lingers(stream: str, status: int) -> None:
    """The head of an answer without a body comes and its end never does, where the client waits for one."""
    with httpx.stream("GET", f"{stream}/status?code={status}", timeout=PATIENCE_SECONDS, trust_env=False) as answer:
        began = time.monotonic()
        assert (answer.status_code, answer.headers["transfer-encoding"]) == (status, "chunked")
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()
        assert time.monotonic() - began > LINGER_SECONDS / 2  # the head may have come a little late


@thorough
def test_stream_that_fails_may_look_whole(tmp_path: Path) -> None:
    """As one says of real Function URLs: whoever has to know compares a length or a digest. A limit still cuts it."""
    switch = {"LOCAL_STREAM_HIDES_FAILURES": "1", "LOCAL_STREAM_BYTES_PER_S": "0"}
    with running(tmp_path / "log", "--template", str(TINY), "--door", "stream=StreamingUrl", **switch) as up:
        assert ask(f"{up.ready['stream']}/fail").content == b"some"
        with pytest.raises(httpx.RemoteProtocolError):
            ask(f"{up.ready['stream']}/too-much")


def test_answer_that_ends_with_its_head_does_not_linger(stream: str) -> None:
    """HEAD, 204 and 304 have no body, whose end nobody waits for."""
    assert when_free(f"{stream}/status?code=200&length=77", "HEAD").headers["content-length"] == "77"
    for status in (204, 304):
        assert when_free(f"{stream}/status?code={status}").status_code == status


def test_stream_whose_body_came_with_its_prelude_is_held_back(stream: str, tmp_path: Path) -> None:
    """Nothing comes before the end of it. A stream that begins with its prelude alone is passed on as it is made."""
    gate = tmp_path / "gate"
    with (
        pytest.raises(httpx.ReadTimeout),
        httpx.stream("GET", f"{stream}/glued?gate={gate}", timeout=HELD_SECONDS, trust_env=False) as answer,
    ):
        answer.read()
    gate.touch()  # the function of the client that has left ends
    assert when_free(f"{stream}/glued?gate={gate}").content == b"firstsecond"


def test_streamed_answer_has_a_limit(stream: str) -> None:
    """A streamed answer is cut at 200 MB."""
    received = 0

    def receive() -> None:
        nonlocal received
        with httpx.stream("GET", f"{stream}/too-much", timeout=PATIENCE_SECONDS, trust_env=False) as answer:
            for piece in answer.iter_raw():
                received += len(piece)

    with pytest.raises(httpx.RemoteProtocolError):
        receive()
    assert 199 * 1024 * 1024 < received <= 200 * 1024 * 1024


def test_reserved_concurrency_is_a_limit(stream: str, tmp_path: Path) -> None:
    """While the one invocation that a function may run is under way, its URL answers 429."""
    when_free(f"{stream}/pid")
    gate = tmp_path / "gate"

    def answered_in_the_end() -> None:
        while ask(f"{stream}/glued?gate={gate}").status_code == 429:  # one of those below was first
            pass

    slow = threading.Thread(target=answered_in_the_end)
    slow.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (refused := ask(f"{stream}/pid")).status_code != 429:
        assert time.monotonic() < deadline
    assert refused.json()["Reason"] == "ConcurrentInvocationLimitExceeded"
    gate.touch()
    slow.join(PATIENCE_SECONDS)
    when_free(f"{stream}/pid")


def when_free(url: str, method: str = "GET") -> httpx.Response:
    """The first answer that is not `too many`: an environment that has answered counts until it asks for more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (answer := ask(url, method)).status_code == 429:
        assert time.monotonic() < deadline
    return answer


def test_function_that_may_not_run(harsh: Running) -> None:
    """A function whose reservation is 0 is 503 at an HTTP API."""
    refused = ask(door(harsh, "Closed"))
    assert (refused.status_code, refused.json()) == (503, {"message": "Service Unavailable"})


def test_messages_of_a_throttled_function_go_back(harsh: Running) -> None:
    """They wait for it until others may see them again, and are dead letters in the end, as of one that fails."""
    sqs = aws.connect(harsh.ready["aws"]).sqs
    urls = sqs.list_queues()["QueueUrls"]
    jobs, dead = (next(url for url in urls if f"-{name}-" in url) for name in ("Jobs", "Dead"))
    sqs.send_message(QueueUrl=jobs, MessageBody="nobody takes it")
    assert [message["Body"] for message in take(sqs, dead, 1)] == ["nobody takes it"]
    assert "1 message(s) wait: " in harsh.log.read_text()


def test_stage_throttles(harsh: Running) -> None:
    """After its burst a stage answers 429 in the gateway's words, before any function is asked."""
    api = door(harsh, "Narrow")
    assert [ask(api).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = ask(api)
    assert refused.json() == {"message": "Too Many Requests"}
    assert refused.headers["content-type"] == "application/json"
