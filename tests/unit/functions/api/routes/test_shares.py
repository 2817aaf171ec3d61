"""Who may open a share, and how many of its files come at once."""

import time
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import jwt
import pytest
from botocore.stub import Stubber
from fastapi.testclient import TestClient

from sluice import capabilities
from sluice.capabilities import Holder, Use
from sluice.files import File, Status, _to_item, id_to_bytes, new_id
from sluice.limits import MIB
from tests.unit.core.records import a_file
from tests.unit.functions.modules import CAPABILITY_KEY, imported

SHARE = "01kab3x5w8mfq2t7hj9rv0c6de"


@pytest.fixture(scope="module")
def api() -> Iterator[ModuleType]:
    with imported("functions.api.app") as module:
        yield module


@pytest.fixture
def dynamodb(api: ModuleType) -> Iterator[Stubber]:  # noqa: ARG001 - the clients of this very app
    with Stubber(import_module("functions.api.connections").files._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def client(api: ModuleType, dynamodb: Stubber) -> TestClient:  # noqa: ARG001 - nothing is reached unseen
    return TestClient(api.app, raise_server_exceptions=False, base_url="https://api.example")


def bearer(owner: str = "alice", record: str = SHARE, use: Use = Use.SHARE, seconds: int = 60) -> dict[str, str]:
    return {"Authorization": f"Bearer {capabilities.issue(CAPABILITY_KEY, Holder(owner), record, use, seconds)}"}


def record(count: int, ends: float = 60) -> dict[str, Any]:
    numbers = {"count": count, "size": 1, "downloads": 0, "expires_at": int(time.time() + ends)}
    texts = {"owner": "shares/alice", "id": SHARE, "created_at": "2026-11-29T12:46:44.200Z"}
    return {name: {"N": str(value)} for name, value in numbers.items()} | {n: {"S": text} for n, text in texts.items()}


def refused(client: TestClient, headers: dict[str, str]) -> tuple[int, str]:
    answer = client.post(f"/shares/{SHARE}/open", headers=headers)
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(
    "held",
    [bearer(owner="stranger"), bearer(owner="nobody-at-all"), bearer(record=new_id()), bearer(seconds=-1)],
    ids=["owner gone", "no owner", "another share", "over"],
)
def test_what_is_not_there_for_its_holder(client: TestClient, held: dict[str, str]) -> None:
    """One answer, without a look at the table: a share whose owner is gone, another one, one whose time is over."""
    assert refused(client, held) == (404, "share_not_found")


def test_an_ended_share_is_not_there(client: TestClient, dynamodb: Stubber) -> None:
    """Deleted, or over and not yet removed by the table."""
    for answer in ({}, {"Item": record(1, ends=-1)}):
        dynamodb.add_response("get_item", answer)
        assert refused(client, bearer()) == (404, "share_not_found")


def test_what_opens_no_share(client: TestClient) -> None:
    """Links to contents, capabilities to upload, an access token, nothing, and what somebody else has signed."""
    upload = capabilities.issue_upload(CAPABILITY_KEY, "alice", int(time.time()) + 60)
    forged = jwt.encode(
        {"sub": "alice", "record": SHARE, "use": "share", "exp": time.time() + 60}, "x" * 64, algorithm="HS256"
    )
    tokens = [upload, forged, "token-of-alice", "", "x"]
    offered = [{"Authorization": f"Bearer {token}"} for token in tokens]
    for headers in ({}, *offered, *(bearer(use=use) for use in set(Use) - {Use.SHARE})):
        assert refused(client, headers) == (401, "unauthorized")


def test_a_thousand_files_fit_an_answer(client: TestClient, dynamodb: Stubber) -> None:
    """With the longest names and owners, within what Lambda sends; the next thousand come by a cursor."""
    owner_files = [longest(new_id()) for _ in range(1000)]
    dynamodb.add_response("get_item", {"Item": record(2001)})
    dynamodb.add_response("get_item", {"Item": {"ids": {"B": b"".join(id_to_bytes(file.id) for file in owner_files)}}})
    for start in range(0, 1000, 100):
        items = [_to_item(file) for file in owner_files[start : start + 100]]
        dynamodb.add_response("batch_get_item", {"Responses": {"the-table": items}})
    answer = client.post(f"/shares/{SHARE}/open", headers=bearer())
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["files"]) == 1000
    assert answer.json()["next"] == "1"
    assert len(answer.content) < 5.5 * MIB


def longest(file_id: str) -> File:
    digests = {"sha-256": "0" * 64, "md5": "0" * 32, "sha-512": "0" * 128, "crc64nvme": "0" * 16}
    folder = "/".join(["\N{GRINNING FACE}" * 63] * 4)
    return a_file(
        owner="alice",
        id=file_id,
        status=Status.READY,
        filename="\N{GRINNING FACE}" * 255,
        folder=folder,
        digests=digests,
    )


@pytest.mark.parametrize("cursor", ["3", "999", "-1", "x", "", "1.0", "\u0661", " 1"])
def test_a_cursor_that_is_not_ours(client: TestClient, dynamodb: Stubber, cursor: str) -> None:
    """Beyond the last page, and what is no page."""
    dynamodb.add_response("get_item", {"Item": record(2001)})
    answer = client.post(f"/shares/{SHARE}/open", headers=bearer(), json={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")
