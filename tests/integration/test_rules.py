"""The deployment's limits: what the template's parameters say, the API answers, here over moto."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities import parameters
from fastapi.testclient import TestClient

from tests.integration import proxy as network
from tests.integration.world import BUCKET, KEYS, TABLE, World, environment, world
from tests.unit.functions.modules import evicted

TOKENS = {name: f"token-of-{name}" for name in ("default", "bytes", "uploads", "both", "small")}
RULES = {
    "MAX_FILE_BYTES": "1000",
    "CONTENT_TYPES": "image/*,application/pdf",
    "OWNER_BYTES": "1500",
    "OWNER_UPLOADS": "2",
}


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture(scope="module")
def app(here: World) -> Iterator[Any]:
    """The API with rules of its own."""
    variables = {"TABLE_NAME": TABLE, "BUCKET_NAME": BUCKET, "STREAM_URL": "https://stream.example", **RULES}
    variables |= {"ACCESS_TOKEN_SECRET": "the-tokens", "CAPABILITY_KEY_SECRET": "the-key"}
    with environment(here.proxy.url, QUEUE_URL=here.queue_url, **variables):
        secrets = boto3.client("secretsmanager", endpoint_url=here.proxy.url, **KEYS)
        for name, text in (("the-tokens", json.dumps(TOKENS)), ("the-key", "k" * 64)):
            secrets.create_secret(Name=name, SecretString=text)
        before = evicted("functions.api")
        parameters.clear_caches()  # type: ignore[no-untyped-call]  # Powertools left its signature bare
        # Mangum takes the thread's event loop; where there is none it makes one that nobody closes.
        with closing(asyncio.new_event_loop()) as loop:
            asyncio.set_event_loop(loop)
            module = import_module("functions.api.app")
            asyncio.set_event_loop(None)
        yield module.app
        parameters.clear_caches()  # type: ignore[no-untyped-call]
        evicted("functions.api")
        sys.modules.update(before)


def client(app: Any, owner: str = "default") -> TestClient:
    return TestClient(app, headers={"Authorization": f"Bearer {TOKENS[owner]}"}, base_url="https://api.example")


def promise(**changes: Any) -> dict[str, Any]:
    return {"filename": "a.png", "size": 100, "content_type": "image/png"} | changes


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document: dict[str, Any] = answer.json()
    assert (answer.status_code, document["code"]) == (status, code)
    return document


def test_a_file_beyond_the_limit_is_refused(app: Any) -> None:
    """413 with the limit, whichever way it comes; what fits exactly is taken."""
    document = problem(client(app).post("/files", json=promise(size=1001)), 413, "file_too_large")
    assert (document["limit"], document["size"]) == (1000, 1001)
    answer = client(app).put("/files/a.png", content=bytes(1001), headers={"Content-Type": "image/png"})
    problem(answer, 413, "file_too_large")
    small = client(app).put("/files/a.png", content=bytes(1000), headers={"Content-Type": "image/png"})
    assert small.status_code == 201
    assert client(app).delete(f"/files/{small.json()['id']}").status_code == 204


@pytest.mark.parametrize("content_type", ["text/html", "imagery/png", "application/pdfx", "application/octet-stream"])
def test_a_type_that_is_not_taken_is_refused(app: Any, content_type: str) -> None:
    """415 with those that are; a body's own type counts as well."""
    document = problem(client(app).post("/files", json=promise(content_type=content_type)), 415, "content_type_refused")
    assert (document["content_type"], document["allowed"]) == (content_type, ["image/*", "application/pdf"])
    answer = client(app).put("/files/a", content=b"x", headers={"Content-Type": content_type})
    problem(answer, 415, "content_type_refused")


def test_a_type_that_was_not_said_is_not_taken(app: Any) -> None:
    """It would be a way around the rule."""
    problem(client(app).post("/files", json={"filename": "a", "size": 1}), 415, "content_type_refused")


@pytest.mark.parametrize("content_type", ["image/svg+xml", "IMAGE/PNG", "application/pdf; version=1.7"])
def test_a_type_that_is_taken(app: Any, content_type: str) -> None:
    """Within a range or by name, in capitals and with parameters."""
    file = client(app).post("/files", json=promise(content_type=content_type, size=1))
    assert file.status_code == 201
    client(app).delete(f"/files/{file.json()['id']}")


def test_an_owner_has_so_many_bytes(app: Any) -> None:
    """403 with what the quota is and how much of it is used; deleting makes room."""
    first = client(app, "bytes").post("/files", json=promise(size=1000)).json()
    document = problem(client(app, "bytes").post("/files", json=promise(size=501)), 403, "quota_exceeded")
    assert (document["quota"], document["limit"], document["used"]) == ("bytes", 1500, 1000)
    assert client(app, "bytes").delete(f"/files/{first['id']}").status_code == 204
    assert client(app, "bytes").post("/files", json=promise(size=501)).status_code == 201


def test_an_owner_has_so_many_open_uploads(app: Any) -> None:
    """The third is refused, and through a drop as well, which is not told the owner's numbers."""
    owner = client(app, "uploads")
    drop = owner.post("/drops", json={"max_files": 5, "expires_in": 60}).json()
    for _ in range(2):
        assert owner.post("/files", json=promise(size=1)).status_code == 201
    document = problem(owner.post("/files", json=promise(size=1)), 403, "quota_exceeded")
    assert (document["quota"], document["limit"], document["used"]) == ("uploads", 2, 2)
    stranger = TestClient(app, headers={"Authorization": f"Bearer {drop['capability']}"})
    document = problem(stranger.post("/files", json=promise(size=1)), 403, "quota_exceeded")
    assert {"quota", "limit", "used"}.isdisjoint(document)
    assert owner.get(f"/drops/{drop['id']}").json()["files"] == 0


def test_a_drop_cannot_allow_more_than_the_deployment(app: Any) -> None:
    """Its own limits come on top."""
    wanted = {"max_files": 5, "max_file_bytes": 10**6, "content_types": ["*/*"], "expires_in": 60}
    drop = client(app, "both").post("/drops", json=wanted).json()
    stranger = TestClient(app, headers={"Authorization": f"Bearer {drop['capability']}"})
    problem(stranger.post("/files", json=promise(size=1001)), 413, "file_too_large")
    problem(stranger.post("/files", json=promise(content_type="text/html")), 415, "content_type_refused")


# ---------------------------------------------------------------- small files, and a network that loses answers

IMAGE = {"Content-Type": "image/png"}


@pytest.mark.parametrize("operation", ["PutObject", "PutItem", "HeadObject"])
def test_a_small_file_whose_answer_was_lost_is_there_once(app: Any, here: World, operation: str) -> None:
    """The SDK asks again, and meets what it has done itself: that is no failure."""
    here.proxy.fail(operation, network.lose)
    file = client(app, "small").put("/files/a.png", content=b"x", headers=IMAGE)
    assert file.status_code == 201, file.text
    record = here.near_files.get("small", file.json()["id"])
    assert here.near_objects.head(record.key).version.size == 1
    versions = here.near_s3.list_object_versions(Bucket=BUCKET, Prefix=record.key)["Versions"]
    assert len(versions) == 1
    assert client(app, "small").delete(f"/files/{record.id}").status_code == 204


def test_a_small_file_that_failed_is_finished_by_the_next_attempt(
    app: Any, here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 refuses for long: 503. The same key goes on with the same file, whose name was kept."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    headers = IMAGE | {"Idempotency-Key": "the-key-of-a-client"}
    here.proxy.fail_always("PutObject", network.slow_down)
    answer = client(app, "small").put("/files/late.png", content=b"x", headers=headers)
    assert answer.headers["retry-after"]
    problem(answer, 503, "busy")
    here.proxy.recover()
    (waiting,) = client(app, "small").get("/files?status=uploading").json()["items"]
    file = client(app, "small").put("/files/late.png", content=b"x", headers=headers).json()
    assert (file["id"], file["status"]) == (waiting["id"], "ready")
    assert client(app, "small").get("/files?status=uploading").json()["items"] == []
