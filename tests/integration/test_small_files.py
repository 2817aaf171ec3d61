"""Small bodies through the front door: a file in one request, and digests of what nobody keeps."""

import base64
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from tests.integration import journey
from tests.integration.conftest import Stack
from tests.integration.journey import MIB
from tests.integration.test_api import problem
from tests.integration.world import digests

MAX_BODY_BYTES = 4 * MIB
CONFUSED = base64.b64encode(hashlib.sha256(b"another").digest()).decode()


def promise(data: bytes, algorithm: str = "sha256") -> str:
    return base64.b64encode(hashlib.new(algorithm, data).digest()).decode()


def names(api: httpx.Client) -> set[str]:
    return {file["filename"] for file in api.get("/files?limit=100").json()["items"]}


@pytest.mark.parametrize("size", [0, 1, MIB, MAX_BODY_BYTES])
def test_a_small_file_is_one_request(api: httpx.Client, size: int) -> None:
    """201 with the digests of what streamed in; S3's event and the hasher find the same, and it comes back."""
    data = journey.random_bytes(size)
    answer = api.put("/files/photo.png", content=data, headers={"Content-Type": "image/png"})
    assert answer.status_code == 201, answer.text
    file = answer.json()
    assert (file["filename"], file["size"], file["content_type"]) == ("photo.png", size, "image/png")
    assert file["digests"].items() >= digests(data).items()
    assert answer.headers["location"] == file["links"]["self"]
    ended = journey.ended(api, file)
    assert (ended["status"], ended["reason"]) == ("ready", None)
    assert ended["digests"].items() >= digests(data).items()
    content = httpx.get(ended["links"]["content"], trust_env=False, follow_redirects=True)  # to S3, if it is empty
    assert content.content == data
    assert content.headers["content-type"] == "image/png"


@pytest.mark.parametrize("filename", ["Übung 🎉.txt", 'say "hi".txt', "100%.txt", "100%25.txt", "a+b c.txt", "a#b"])
def test_a_name_in_the_path_comes_back_as_it_is(api: httpx.Client, filename: str) -> None:
    """Percent-encoded on the way, whatever is in it."""
    answer = api.put(f"/files/{quote(filename, safe='')}", content=b"x")
    assert answer.json()["filename"] == filename


@pytest.mark.parametrize("filename", ["..%0d", "a%00b", "%20", "a%5Cb", "x" * 256, "photo%E2%80%AEgnp.exe"])
def test_a_name_that_cannot_be_kept_is_refused(api: httpx.Client, filename: str) -> None:
    """As it is by POST /files."""
    problem(api.put(f"/files/{filename}", content=b"x"), 422, "invalid_filename")


def test_a_content_type_is_checked(api: httpx.Client) -> None:
    """Without one it is bytes."""
    assert api.put("/files/a", content=b"x").json()["content_type"] == "application/octet-stream"
    bad = api.put("/files/a", content=b"x", headers={"Content-Type": "nonsense"})
    assert "content_type" in problem(bad, 422, "invalid_request")["detail"]


def test_a_body_that_is_too_large_is_refused(api: httpx.Client) -> None:
    """One byte more than fits is a 413 that says the limit, and nothing is kept."""
    answer = api.put("/files/too-large.bin", content=bytes(MAX_BODY_BYTES + 1))
    assert problem(answer, 413, "body_too_large")["limit"] == MAX_BODY_BYTES
    assert "too-large.bin" not in names(api)


def test_a_body_may_come_in_chunks(api: httpx.Client) -> None:
    """Without a Content-Length it is counted as it comes, and the limit is the same."""

    def chunks(total: int) -> Iterator[bytes]:
        yield from (bytes(MIB) for _ in range(total // MIB))
        yield bytes(total % MIB)

    file = api.put("/files/chunks.bin", content=chunks(2 * MIB + 1)).json()
    assert file["digests"].items() >= digests(bytes(2 * MIB + 1)).items()
    problem(api.put("/files/too-many-chunks.bin", content=chunks(MAX_BODY_BYTES + 1)), 413, "body_too_large")


@pytest.mark.parametrize("header", ["Repr-Digest", "Content-Digest"])
def test_a_promised_digest_is_kept_to(api: httpx.Client, header: str) -> None:
    """RFC 9530: the right one is taken, in the record as well; with a wrong one nothing is kept, and both are told."""
    data = b"what was meant"
    good = f"sha-256=:{promise(data)}:, sha-512=:{promise(data, 'sha512')}:, unixsum=:AAA=:"
    file = api.put("/files/promised.txt", content=data, headers={header: good}).json()
    assert file["digests"]["sha-512"] == hashlib.sha512(data).hexdigest()
    assert journey.ended(api, file)["digests"]["sha-512"] == hashlib.sha512(data).hexdigest()

    answer = api.put("/files/confused.txt", content=data, headers={header: f"sha-256=:{CONFUSED}:"})
    document = problem(answer, 422, "digest_mismatch")
    assert (document["name"], document["found"]) == ("sha-256", hashlib.sha256(data).hexdigest())
    assert document["expected"] == hashlib.sha256(b"another").hexdigest()
    assert "confused.txt" not in names(api)


@pytest.mark.parametrize(
    "value", ["sha-256", "sha-256=abc", "sha-256=:abc:", "sha-256=:!:", 'sha-256="x"', "SHA-256=:x"]
)
def test_a_digest_that_cannot_be_understood_is_refused(api: httpx.Client, value: str) -> None:
    """Whoever sends one wants it checked."""
    answer = api.put("/files/unclear.txt", content=b"x", headers={"Content-Digest": value})
    problem(answer, 422, "invalid_digest")
    assert "unclear.txt" not in names(api)


@pytest.mark.parametrize("size", [0, 1, 3 * MIB + 17])
def test_digests_of_a_body(api: httpx.Client, size: int) -> None:
    """What the deployment's files get, and the size; nothing is kept."""
    before = names(api)
    data = journey.random_bytes(size)
    assert api.post("/digest", content=data).json() == {"digests": digests(data), "size": size}
    assert names(api) == before


def test_a_digest_that_was_promised_is_computed_and_compared(api: httpx.Client) -> None:
    """So that a client can ask for another one than usual."""
    asked = {"Content-Digest": f"sha-512=:{promise(b'x', 'sha512')}:"}
    answer: dict[str, Any] = api.post("/digest", content=b"x", headers=asked).json()
    assert answer["digests"] == digests(b"x") | {"sha-512": hashlib.sha512(b"x").hexdigest()}
    problem(api.post("/digest", content=b"y", headers=asked), 422, "digest_mismatch")


@pytest.mark.parametrize(("method", "path"), [("PUT", "/files/a.txt"), ("POST", "/digest")])
def test_nobody_sends_a_body_without_a_token(stack: Stack, method: str, path: str) -> None:
    """As on every route."""
    with journey.client(stack.api) as nobody:
        problem(nobody.request(method, path, content=b"x"), 401, "unauthorized")


def test_a_repeated_request_is_the_same_file(api: httpx.Client) -> None:
    """With the same key, at once or when it is ready, it is one file; without one, or with another, it is a new one."""
    data = journey.random_bytes(1000)
    headers = {"Idempotency-Key": f'"{uuid4()}"'}
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: api.put("/files/a.bin", content=data, headers=headers), range(4)))
    assert {answer.status_code for answer in answers} == {201}
    (file_id,) = {answer.json()["id"] for answer in answers}
    journey.ended(api, answers[0].json())
    again = api.put("/files/a.bin", content=data, headers=headers)
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (201, file_id, "ready")
    others = [api.put("/files/a.bin", content=data, headers=more) for more in ({}, {"Idempotency-Key": str(uuid4())})]
    assert len({file_id, *(other.json()["id"] for other in others)}) == 3


@pytest.mark.parametrize("change", ["body", "name", "type"])
def test_a_key_is_for_one_request(api: httpx.Client, change: str) -> None:
    """Another one is told so, and nothing is kept of it."""
    headers = {"Idempotency-Key": str(uuid4())}
    assert api.put("/files/one.txt", content=b"one", headers=headers).status_code == 201
    if change == "type":
        headers["Content-Type"] = "text/html"
    name, body = ("other.txt" if change == "name" else "one.txt"), (b"two" if change == "body" else b"one")
    before = len(api.get("/files?limit=100").json()["items"])
    problem(api.put(f"/files/{name}", content=body, headers=headers), 422, "idempotency_key_reused")
    assert len(api.get("/files?limit=100").json()["items"]) == before


def test_a_key_is_of_one_owner(stack: Stack, api: httpx.Client) -> None:
    """Who guesses another owner's key learns nothing by it."""
    headers = {"Idempotency-Key": str(uuid4())}
    mine = api.put("/files/a", content=b"x", headers=headers).json()
    with journey.client(stack.api, stack.other_token) as other:
        assert other.put("/files/a", content=b"x", headers=headers).json()["id"] != mine["id"]


def test_a_file_that_was_deleted_does_not_come_back_by_its_key(api: httpx.Client) -> None:
    """It is gone, and whoever repeats the request learns that."""
    headers = {"Idempotency-Key": str(uuid4())}
    file = api.put("/files/a", content=b"x", headers=headers).json()
    journey.ended(api, file)
    assert api.delete(f"/files/{file['id']}").status_code == 204
    problem(api.put("/files/a", content=b"x", headers=headers), 404, "file_not_found")
