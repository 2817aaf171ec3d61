import json
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.stub import Stubber
from fastapi.testclient import TestClient

from sluice import capabilities
from sluice.files import File, Status, _to_item, new_id
from sluice.limits import MAX_JSON_BYTES, MAX_OBJECT_BYTES, MIB
from tests.unit.core.records import a_file
from tests.unit.functions.modules import CAPABILITY_KEY, imported

ALICE = {"Authorization": "Bearer token-of-alice"}


@pytest.fixture(scope="module")
def api() -> Iterator[ModuleType]:
    with imported("functions.api.app") as module:
        yield module


@pytest.fixture(scope="module")
def connections(api: ModuleType) -> ModuleType:  # noqa: ARG001 - imported with it, and gone with it
    """The clients of this very app."""
    return import_module("functions.api.connections")


@pytest.fixture
def dynamodb(connections: ModuleType) -> Iterator[Stubber]:
    with Stubber(connections.files._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def s3(connections: ModuleType) -> Iterator[Stubber]:
    with Stubber(connections.objects._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def client(api: ModuleType, dynamodb: Stubber, s3: Stubber) -> TestClient:  # noqa: ARG001 - nothing is reached unseen
    return TestClient(api.app, raise_server_exceptions=False, base_url="https://api.example")


def test_the_longest_lists_fit(api: ModuleType) -> None:
    """As many parts as S3 knows, with the longest ETag and digest, and files of an archive, indented as people do."""
    etag, digest = f'"{"f" * 32}-10000"', "f" * 128
    lists = {
        "/files/{id}/parts": [{"number": 10_000, "digest": digest}] * 1_000,
        "/archives": ["0" * 26] * 100_000,
        "/files/{id}/complete": [{"number": 10_000, "etag": etag, "digest": digest}] * 10_000,
        "/companion/{capability}/s3/multipart/{upload_id}/complete": [{"PartNumber": 10_000, "ETag": etag}] * 10_000,
    }
    limits = {route.path: route._max_bytes() for route in every(api.app.routes) if getattr(route, "body_field", None)}
    for path, parts in lists.items():
        assert len(json.dumps({"parts": parts}, indent=1)) < limits[path] < 6 * MIB
    shared = json.dumps({"files": ["0" * 26] * 100_000, "message": "\U0001f389" * 2_000})
    assert len(shared) < limits["/shares"] < 6 * MIB
    assert {limits[path] for path in limits.keys() - lists.keys() - {"/shares"}} == {MAX_JSON_BYTES}


def known(dynamodb: Stubber, file: File) -> File:
    """The table answers with this record, asked by its own owner and id."""
    key = {"owner": {"S": file.owner}, "id": {"S": file.id}}
    expected = {"TableName": "the-table", "Key": key, "ConsistentRead": True}
    dynamodb.add_response("get_item", {"Item": _to_item(file)}, expected)
    return file


ROUTES = [
    ("POST", "/archives"),
    ("GET", f"/archives/{'0' * 26}"),
    ("DELETE", f"/archives/{'0' * 26}"),
    ("POST", "/capabilities"),
    ("POST", "/digest"),
    ("POST", "/drops"),
    ("GET", f"/drops/{'0' * 26}"),
    ("DELETE", f"/drops/{'0' * 26}"),
    ("GET", "/files"),
    ("POST", "/files"),
    ("PUT", "/files/a.txt"),
    ("GET", f"/files/{'0' * 26}"),
    ("PATCH", f"/files/{'0' * 26}"),
    ("GET", "/drops"),
    ("GET", f"/files/{'0' * 26}/parts"),
    ("POST", f"/files/{'0' * 26}/parts"),
    ("POST", f"/files/{'0' * 26}/complete"),
    ("DELETE", f"/files/{'0' * 26}"),
    ("POST", "/shares"),
    ("GET", "/shares"),
    ("GET", f"/shares/{'0' * 26}"),
    ("DELETE", f"/shares/{'0' * 26}"),
    ("POST", f"/shares/{'0' * 26}/open"),
    ("GET", "/me"),
    ("GET", "/owners"),
    ("GET", "/tokens"),
    ("POST", "/tokens"),
    ("DELETE", f"/tokens/{'0' * 26}"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic token-of-alice", "token-of-alice", "Bearer é"],
)
def test_every_route_wants_a_token(client: TestClient, method: str, path: str, authorization: str | None) -> None:
    """Missing, empty, wrong or of another scheme: 401 before anything is read, even where an owner's token is empty."""
    headers = {} if authorization is None else {"Authorization": authorization.encode()}
    answer = client.request(method, path, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthorized"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_stranger_is_refused_whatever_the_body(client: TestClient, method: str, path: str) -> None:
    """Who asks comes first: what is sent is neither parsed nor measured."""
    for body in (b"{", b"x" * 2**20):
        headers = {"Authorization": "Bearer wrong", "Content-Type": "application/json"}
        assert client.request(method, path, content=body, headers=headers).status_code == 401


def test_every_body_has_a_limit(api: ModuleType) -> None:
    """No route reads JSON but in the order of `Route`."""
    reading = [route for route in every(api.app.routes) if getattr(route, "body_field", None)]
    assert len(reading) == 12
    assert [route.path for route in reading if not hasattr(route, "authenticate")] == []


def test_no_other_route_exists(api: ModuleType) -> None:
    """The list above is all that needs a token; what is open besides is listed here, each with its reason."""
    routes = {
        (method, route.path)
        for route in every(api.app.routes)
        for method in route.methods
        if method != "HEAD" and not route.path.startswith("/companion/{capability}/")  # which says who may
    }
    wanted = {(method, path.replace("0" * 26, "{id}").replace("a.txt", "{filename}")) for method, path in ROUTES}
    page = {("GET", "/"), ("GET", "/assets/{name}")}  # asks for a token itself
    public = {("GET", "/healthz"), ("GET", "/openapi.json"), ("GET", "/auth")}  # for monitors, and before a sign-in
    assert routes == {*wanted, *page, *public}


def every(routes: Iterable[Any]) -> Iterator[Any]:
    """Those of included routers as well."""
    for route in routes:
        included = getattr(route, "original_router", None)
        yield from every(included.routes) if included else [route]


def test_health_needs_no_token(client: TestClient) -> None:
    """A probe has none."""
    assert client.get("/healthz").json() == {"status": "ok"}


def test_a_small_file_is_one_put(client: TestClient, dynamodb: Stubber) -> None:
    """201 with the file, the one URL with its headers, and absolute links that carry capabilities."""
    dynamodb.add_response("put_item", {})
    wanted = {"filename": "Übung 🎉.txt", "size": 5, "content_type": "text/plain"}
    answer = client.post("/files", json=wanted, headers=ALICE)
    assert answer.status_code == 201
    file = answer.json()
    assert wanted.items() <= file.items()
    assert (file["mode"], file["part_count"], file["status"], file["revision"]) == ("single", 1, "uploading", 1)
    (part,) = file["parts"]
    assert (part["number"], part["offset"], part["size"]) == (1, 0, 5)
    assert part["headers"] == {"Content-Type": "text/plain", "If-None-Match": "*"}
    assert f"/files/alice/{file['id']}" in part["url"]
    assert file["received"] == []
    assert file["links"]["self"] == answer.headers["location"] == f"https://api.example/files/{file['id']}"
    for use in capabilities.LINKS:
        link = urlsplit(file["links"][use])
        assert link.geturl().startswith(f"https://stream.example/files/{file['id']}/{use}?")
        (capability,) = parse_qs(link.query)["capability"]
        assert capabilities.holder_of(capability, CAPABILITY_KEY, file["id"], use).owner == "alice"


def test_a_large_file_is_many_parts(client: TestClient, dynamodb: Stubber, s3: Stubber) -> None:
    """The first hundred are signed at once; the rest is asked for later."""
    s3.add_response("create_multipart_upload", {"UploadId": "upload-1"})
    dynamodb.add_response("put_item", {})
    answer = client.post("/files", json={"filename": "a", "size": 1000 * MIB}, headers=ALICE)
    file = answer.json()
    assert (file["mode"], file["part_size"], file["part_count"]) == ("multipart", 8 * MIB, 125)
    assert [part["number"] for part in file["parts"]] == list(range(1, 101))
    assert [part["offset"] for part in file["parts"][:2]] == [0, 8 * MIB]


def test_the_largest_answer_fits_into_lambdas(client: TestClient, dynamodb: Stubber) -> None:
    """A thousand URLs with a session token as long as Lambda's are below 6 MB."""
    size = 10_000 * 8 * MIB
    file = known(dynamodb, a_file(owner="alice", size=size, status=Status.FAILED))
    assert client.get(f"/files/{file.id}/parts?numbers=1-1000", headers=ALICE).status_code == 409
    file = known(dynamodb, a_file(owner="alice", size=size, upload_id="u" * 130))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("functions.api.uploads.Uploads.received", lambda *_: [])
        answer = client.get(f"/files/{file.id}/parts?numbers=1-1000", headers=ALICE)
    session_token = 1500  # characters, URL-encoded; the test's credentials have none
    assert len(answer.json()["parts"]) == 1000
    assert len(answer.content) + 1000 * session_token < 6 * 10**6


def test_the_same_fingerprint_resumes(client: TestClient, dynamodb: Stubber, s3: Stubber) -> None:
    """200 with the unfinished file, what has arrived of it, and URLs for what has not."""
    file = a_file(owner="alice", fingerprint="f")
    dynamodb.add_response("get_item", {"Item": {"file_id": {"S": file.id}}})
    known(dynamodb, file)
    dynamodb.add_response("put_item", {})
    s3.add_response("list_parts", {"Parts": [{"PartNumber": 2, "Size": 8 * MIB, "ETag": '"e"'}]})
    wanted = {"filename": "a", "size": file.size, "fingerprint": "f"}
    answer = client.post("/files", json=wanted, headers=ALICE)
    assert answer.status_code == 200
    assert answer.json()["id"] == file.id
    assert answer.json()["received"] == [{"number": 2, "size": 8 * MIB, "etag": "e", "digest": None}]
    assert [part["number"] for part in answer.json()["parts"]] == [1, 3]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"size": -1}, 422, "invalid_request"),
        ({"size": MAX_OBJECT_BYTES + 1}, 413, "file_too_large"),
        ({"size": 10**30}, 413, "file_too_large"),
        ({"size": "5"}, 422, "invalid_request"),
        ({"filename": "x" * 300}, 422, "invalid_filename"),
        ({"filename": "../x"}, 422, "invalid_filename"),
        ({"filename": "a\r\nb"}, 422, "invalid_filename"),
        ({"filename": "photo\u202egnp.exe"}, 422, "invalid_filename"),
        ({"filename": "\ud800"}, 422, "invalid_filename"),
        ({"content_type": "text/html\r\nX: 1"}, 422, "invalid_request"),
        ({"fingerprint": "\ud800"}, 422, "invalid_request"),
        ({"\ud800": 1}, 422, "invalid_request"),
        ({"digests": {"\ud800": "a"}}, 422, "invalid_request"),
        ({"key": "files/default/x"}, 422, "invalid_request"),
    ],
)
def test_a_bad_promise_is_a_clear_problem(client: TestClient, change: dict[str, Any], status: int, code: str) -> None:
    """Each with its code; nothing was written."""
    body = json.dumps({"filename": "a", "size": 1} | change)  # ASCII: half characters as escapes
    answer = client.post("/files", content=body, headers=ALICE | {"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("body", [b"{", b"size=1", b"\xff", b'{"size": ' + b"9" * 5000 + b"}", b"[" * 50_000])
def test_a_body_that_is_no_json(client: TestClient, body: bytes) -> None:
    """400, however it is broken."""
    answer = client.post("/files", content=body, headers=ALICE | {"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/parts"), ("POST", "/complete"), ("DELETE", "")],
)
def test_another_owners_file_is_unknown(client: TestClient, dynamodb: Stubber, method: str, path: str) -> None:
    """It is looked for among the caller's own: 404, as if it did not exist."""
    file_id = new_id()
    key = {"owner": {"S": "alice"}, "id": {"S": file_id}}
    dynamodb.add_response("get_item", {}, {"TableName": "the-table", "Key": key, "ConsistentRead": True})
    answer = client.request(method, f"/files/{file_id}{path}", headers=ALICE)
    assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found")


def test_an_id_of_any_length_is_unknown(client: TestClient) -> None:
    """Not a mistake of ours, and not repeated at length."""
    answer = client.get(f"/files/{'x' * 3000}", headers=ALICE)
    assert answer.status_code == 404
    assert len(answer.content) < 500


@pytest.mark.parametrize("numbers", ["0", "10001", "4", "1-4", "", "a"])
def test_parts_that_the_file_does_not_have(client: TestClient, dynamodb: Stubber, s3: Stubber, numbers: str) -> None:
    """0, 10,001 and the number after the last one are refused."""
    file = known(dynamodb, a_file(owner="alice"))
    s3.add_response("list_parts", {"Parts": []})
    answer = client.get(f"/files/{file.id}/parts", params={"numbers": numbers}, headers=ALICE)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_part_number")


@pytest.mark.parametrize(
    "body", [{"parts": [{"number": 0, "etag": "a"}]}, {"parts": [{"number": 10_001, "etag": "a"}]}]
)
def test_completing_with_impossible_parts(client: TestClient, dynamodb: Stubber, body: dict[str, Any]) -> None:
    """Refused by their numbers alone."""
    file = known(dynamodb, a_file(owner="alice"))
    answer = client.post(f"/files/{file.id}/complete", json=body, headers=ALICE)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("status", [Status.HASHING, Status.READY, Status.FAILED])
@pytest.mark.parametrize("body", [b"", b"{}", b'{"parts": null}'])
def test_completing_again_is_no_error(client: TestClient, dynamodb: Stubber, status: Status, body: bytes) -> None:
    """202 with the file as it is, with or without a body."""
    file = known(dynamodb, a_file(owner="alice", status=status))
    headers = ALICE | ({"Content-Type": "application/json"} if body else {})
    answer = client.post(f"/files/{file.id}/complete", content=body, headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (202, status)


def test_completing_after_an_abort(client: TestClient, dynamodb: Stubber) -> None:
    """409 that says the state."""
    file = known(dynamodb, a_file(owner="alice", status=Status.ABORTED))
    answer = client.post(f"/files/{file.id}/complete", headers=ALICE)
    assert (answer.status_code, answer.json()["code"], answer.json()["state"]) == (409, "wrong_state", "aborted")


def test_completing_with_a_missing_part(client: TestClient, dynamodb: Stubber, s3: Stubber) -> None:
    """409 that names it."""
    file = known(dynamodb, a_file(owner="alice"))
    s3.add_response("list_parts", {"Parts": [{"PartNumber": 1, "Size": 8 * MIB, "ETag": '"e"'}]})
    answer = client.post(f"/files/{file.id}/complete", headers=ALICE)
    assert (answer.status_code, answer.json()["code"], answer.json()["missing"]) == (409, "parts_missing", [2, 3])


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "status=gone", "cursor=x", "cursor="])
def test_a_list_that_cannot_be_asked_for(client: TestClient, query: str) -> None:
    """422 for a page, a state or a cursor that does not exist."""
    assert client.get(f"/files?{query}", headers=ALICE).status_code == 422


def test_a_list_is_of_the_callers_own(client: TestClient, dynamodb: Stubber) -> None:
    """The query is for the token's owner; `next` leads on from the last one shown."""
    file = a_file(owner="alice")
    key = {"owner": {"S": "alice"}, "id": {"S": file.id}}
    expected = {
        "TableName": "the-table",
        "KeyConditionExpression": "#owner = :owner",
        "ExpressionAttributeNames": {"#owner": "owner"},
        "ExpressionAttributeValues": {":owner": {"S": "alice"}},
        "ScanIndexForward": False,
        "Limit": 1,
    }
    dynamodb.add_response("query", {"Items": [_to_item(file)], "LastEvaluatedKey": key}, expected)
    answer = client.get("/files?limit=1", headers=ALICE).json()
    assert [item["id"] for item in answer["items"]] == [file.id] == [answer["next"]]
    assert set(answer["items"][0]["links"]) == {"self", "content", "direct", "events"}


def test_a_part_can_be_locked_to_its_digest(client: TestClient, dynamodb: Stubber, s3: Stubber) -> None:
    """Its URL comes with the checksum that it takes; without the digest there is none, but what arrived is told."""
    file = known(dynamodb, a_file(owner="alice", part_digest="sha-256"))
    s3.add_response("list_parts", {"Parts": []})
    wanted = {"parts": [{"number": 2, "digest": "ab" * 32}]}
    answer = client.post(f"/files/{file.id}/parts", json=wanted, headers=ALICE)
    assert answer.status_code == 200
    (part,) = answer.json()["parts"]
    assert (part["number"], list(part["headers"])) == (2, ["X-Amz-Checksum-Sha256"])
    known(dynamodb, file)
    s3.add_response("list_parts", {"Parts": []})
    assert client.get(f"/files/{file.id}/parts", headers=ALICE).json() == {"parts": [], "received": []}


@pytest.mark.parametrize(
    ("part_digest", "part", "code"),
    [
        ("sha-256", {"number": 4, "digest": "ab" * 32}, "invalid_part_number"),
        ("sha-256", {"number": 10_001, "digest": "ab" * 32}, "invalid_request"),
        ("sha-256", {"number": 1, "digest": "ab" * 20}, "invalid_part_digest"),
        ("sha-256", {"number": 1, "digest": "AB" * 32}, "invalid_request"),
        (None, {"number": 1, "digest": "ab" * 32}, "invalid_part_digest"),
    ],
)
def test_a_lock_that_does_not_fit(
    client: TestClient, dynamodb: Stubber, part_digest: str | None, part: dict[str, Any], code: str
) -> None:
    """A part that the file does not have, a digest of another kind, and a file that was begun without."""
    file = known(dynamodb, a_file(owner="alice", part_digest=part_digest))
    answer = client.post(f"/files/{file.id}/parts", json={"parts": [part]}, headers=ALICE)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_a_locked_part_has_no_url_without_its_digest(client: TestClient, dynamodb: Stubber, s3: Stubber) -> None:
    """Asked for by number, the answer says what is missing."""
    file = known(dynamodb, a_file(owner="alice", part_digest="crc32c"))
    s3.add_response("list_parts", {"Parts": []})
    answer = client.get(f"/files/{file.id}/parts?numbers=1", headers=ALICE)
    assert (answer.status_code, answer.json()["code"]) == (409, "part_digest_needed")
