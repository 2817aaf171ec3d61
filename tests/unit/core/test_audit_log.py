"""The lines of the audit record: what becomes of them, and what they say of answers that go wrong."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from botocore.stub import ANY, Stubber
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient

from sluice import audit, problems
from sluice.audit_log import PAUSE_SECONDS, Audited, AuditLog
from sluice.errors import FileNotFound
from sluice.files import new_id
from tests.unit.core.records import client

LINE = {"audit": "answered", "action": "GET /files"}
PUT = {"logGroupName": "the-group", "logStreamName": "the-stream", "logEvents": ANY}
STREAM = {"logGroupName": "the-group", "logStreamName": "the-stream"}


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> AuditLog:
    """One whose group answers as the stub says."""
    monkeypatch.setenv("AWS_LAMBDA_LOG_STREAM_NAME", "the-stream")
    log = AuditLog("the-group")
    vars(log)["_client"] = client("logs")
    return log


@pytest.fixture
def logs(log: AuditLog) -> Iterator[Stubber]:
    with Stubber(log._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines of the record in the function's own log, which has others as well."""
    return [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "audit" in line]


def test_a_line_goes_to_the_group_alone(log: AuditLog, logs: Stubber, capsys: pytest.CaptureFixture[str]) -> None:
    """And not to the function's log, which is kept for another time."""
    logs.add_response("put_log_events", {}, PUT)
    log.write(LINE)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("faster", [False, True])
def test_the_first_line_of_an_environment_makes_its_stream(
    log: AuditLog, logs: Stubber, capsys: pytest.CaptureFixture[str], *, faster: bool
) -> None:
    """Also where another request of it has made it at the same moment."""
    logs.add_client_error("put_log_events", "ResourceNotFoundException", http_status_code=400)
    if faster:
        logs.add_client_error("create_log_stream", "ResourceAlreadyExistsException", http_status_code=400)
    else:
        logs.add_response("create_log_stream", {}, STREAM)
    logs.add_response("put_log_events", {}, PUT)
    log.write(LINE)
    assert capsys.readouterr().out == ""


def test_what_the_group_does_not_take_is_in_the_functions_log(
    log: AuditLog, logs: Stubber, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next lines as well, without asking, so that no request waits for it; after a pause it is asked again."""
    moment = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: moment)
    logs.add_client_error("put_log_events", "ServiceUnavailableException", http_status_code=503)
    log.write(LINE)
    log.write(LINE)
    assert printed(capsys) == [LINE, LINE]
    moment += PAUSE_SECONDS
    logs.add_response("put_log_events", {}, PUT)
    log.write(LINE)
    assert printed(capsys) == []


def test_without_a_group_all_lines_are_in_the_functions_log(capsys: pytest.CaptureFixture[str]) -> None:
    """As where a function runs without the template."""
    AuditLog("").write(LINE)
    assert printed(capsys) == [LINE]


async def _broken() -> AsyncIterator[bytes]:
    yield b"some"
    raise OSError("S3 is gone")


@pytest.fixture
def asking() -> TestClient:
    """An app that fails in each way."""
    app = FastAPI()
    problems.install(app)
    app.add_middleware(Audited, log=AuditLog(""), unheard={"/healthz"})

    @app.get("/healthz")
    def healthz() -> None:
        audit.note(owner="alice")

    @app.get("/files/{id}")
    def missing() -> None:
        audit.note(owner="alice", authenticated_by="access_token", drop=None)
        raise FileNotFound("You have no such file.")

    @app.get("/shares/{id}/archive")
    def broken() -> StreamingResponse:
        return StreamingResponse(_broken())

    @app.get("/drops")
    def unexpected() -> None:
        raise ZeroDivisionError

    return TestClient(app, raise_server_exceptions=False, client=("192.0.2.1", 1))


def test_a_refusal_has_its_code_and_the_id_of_the_path(asking: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    """But nothing else of the path, of the query or of headers."""
    file_id = new_id()
    asking.get(f"/files/{file_id}?capability=hidden", headers={"X-Forwarded-For": "203.0.113.7"})
    asking.get("/files/not-an-id-of-ours")
    line, other = printed(capsys)
    assert line.pop("time")
    assert line.pop("milliseconds") >= 0
    assert line.pop("bytes") > 0
    assert line == {
        "audit": "answered",
        "action": "GET /files/{id}",
        "status": 404,
        "code": "file_not_found",
        "owner": "alice",
        "authenticated_by": "access_token",
        "file": file_id,
        "source_ip": "192.0.2.1",
    }
    assert "file" not in other


def test_an_error_that_nobody_knows_is_a_500(asking: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    """Its answer is made outside of the middleware."""
    assert asking.get("/drops").status_code == 500
    (line,) = printed(capsys)
    assert (line["audit"], line["status"], line["code"]) == ("answered", 500, "internal_error")


def test_a_stream_that_breaks_ended_incomplete(asking: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    """With what was sent of it until then."""
    asking.get(f"/shares/{(share := new_id())}/archive")
    opened, ended = printed(capsys)
    assert (opened["audit"], opened["share"], opened["status"]) == ("opened", share, 200)
    assert (ended["audit"], ended["bytes"], ended["complete"]) == ("ended", 4, False)


def test_what_is_open_to_everybody_has_no_line(asking: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor has a path that leads nowhere, or a method that it does not know."""
    for method, path in (("GET", "/healthz"), ("GET", "/nowhere"), ("PUT", "/drops"), ("DELETE", "/files/a")):
        asking.request(method, path)
    assert printed(capsys) == []


def test_outside_of_a_request_nothing_is_noted() -> None:
    """What is shared with the hasher notes as well, and nobody reads it there."""
    audit.note(owner="alice")
    assert audit.request_id() is None
    with audit.noting({"request_id": "r-1"}):
        assert audit.request_id() == "r-1"
    assert audit.request_id() is None


def test_a_fingerprint_is_that_of_a_shell() -> None:
    """`printf %s CAPABILITY | sha256sum | cut -c1-16`, as docs/operations.md has it."""
    assert audit.fingerprint("abc") == "ba7816bf8f01cfea"
