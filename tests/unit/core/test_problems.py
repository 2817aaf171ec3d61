import logging
from typing import Annotated, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from fastapi import FastAPI, Query
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict

from sluice import problems
from sluice.errors import RangeNotSatisfiable, Unauthorized


class Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    size: int


def refusal(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutItem")  # type: ignore[typeddict-item]  # what matters of it


RAISED: dict[str, Exception] = {
    "unauthorized": Unauthorized("Send a token."),
    "range": RangeNotSatisfiable("No.", headers={"Content-Range": "bytes */5"}, size=5),
    "throttled": refusal("ThrottlingException", 400),
    "throughput": refusal("ProvisionedThroughputExceededException", 400),
    "slow-down": refusal("SlowDown", 503),
    "forbidden": refusal("AccessDeniedException", 400),
    "unreachable": EndpointConnectionError(endpoint_url="http://127.0.0.1:9"),
    "bug": ZeroDivisionError("the secret is abc"),
}


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    problems.install(app)

    @app.get("/raise/{name}")
    def fail(name: str) -> None:
        raise RAISED[name]

    @app.post("/things")
    def take(wanted: Wanted, limit: Annotated[int, Query(ge=1)] = 1) -> dict[str, Any]:
        return {"name": wanted.name, "limit": limit}

    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("unauthorized", 401, "unauthorized"),
        ("range", 416, "range_not_satisfiable"),
        ("throttled", 503, "busy"),
        ("throughput", 503, "busy"),
        ("slow-down", 503, "busy"),
        ("unreachable", 503, "busy"),
        ("forbidden", 500, "internal_error"),
        ("bug", 500, "internal_error"),
    ],
)
def test_whatever_is_raised_leaves_as_a_problem(client: TestClient, name: str, status: int, code: str) -> None:
    """The media type, the status in both places, and a stable code; what AWS passes off may be asked again."""
    answer = client.get(f"/raise/{name}")
    assert answer.status_code == answer.json()["status"] == status
    assert answer.json()["code"] == code
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in answer.headers) == (status == 503)


def test_a_problem_brings_its_headers_and_members(client: TestClient) -> None:
    """What the raiser added arrives."""
    answer = client.get("/raise/range")
    assert answer.headers["content-range"] == "bytes */5"
    assert answer.json()["size"] == 5
    assert client.get("/raise/unauthorized").headers["www-authenticate"] == "Bearer"


def test_a_bug_is_logged_and_not_shown(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """The client learns that it failed, the log learns why."""
    logger = logging.getLogger(problems.logger.name)
    logger.addHandler(caplog.handler)
    try:
        answer = client.get("/raise/bug")
    finally:
        logger.removeHandler(caplog.handler)
    assert "secret" not in answer.text
    assert any(record.exc_info and "secret" in str(record.exc_info[1]) for record in caplog.records)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"nonsense", b'{"name": "a", "size": 1}x'])
def test_a_body_that_is_no_json_is_a_400_or_422(client: TestClient, body: bytes) -> None:
    """Text that cannot be parsed is 400; no body at all is a request without what the contract asks for."""
    answer = client.post("/things", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == (400 if body else 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in {"invalid_json", "invalid_request", "bad_request"}


def test_fields_that_are_wrong_are_named(client: TestClient) -> None:
    """Each fault with its place, so that a person can mend it."""
    answer = client.post("/things?limit=0", json={"size": "many"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"
    assert {fault["field"] for fault in answer.json()["errors"]} == {"query.limit", "body.name", "body.size"}


@pytest.mark.parametrize("strange", [{f"x{number}": 1 for number in range(10_000)}, {"x" * 100_000: 1}])
def test_many_faults_are_answered_shortly(client: TestClient, strange: dict[str, int]) -> None:
    """However many members a body has and however long their names, the answer stays small."""
    answer = client.post("/things", json={"name": "a", "size": 1} | strange)
    assert answer.status_code == 422
    assert 0 < len(answer.json()["errors"]) <= 20
    assert len(answer.content) < 10_000


def test_what_the_client_sent_is_not_sent_back(client: TestClient) -> None:
    """A fault says what was wanted, not what was there: that may be a secret in the wrong place, or huge."""
    answer = client.post("/things", json={"name": "a", "size": "hunter2" * 1000})
    assert "hunter2" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "code"), [("GET", "/nowhere", "not_found"), ("PUT", "/things", "method_not_allowed")]
)
def test_the_frameworks_own_answers_are_problems_too(client: TestClient, method: str, path: str, code: str) -> None:
    """Unknown routes and methods: one form for every error."""
    answer = client.request(method, path)
    assert answer.json()["code"] == code
    assert answer.headers["content-type"] == "application/problem+json"
    if code == "method_not_allowed":
        assert answer.headers["allow"] == "POST"
