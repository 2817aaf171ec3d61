"""Files whose size nobody knows before their end, as of a pipe: their client cuts them, and says at last what came."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from sluice.files import File, Status
from sluice.hashing import Reason
from sluice.limits import GIB, MIB, MIN_PART_BYTES
from tests.integration.conftest import thorough
from tests.integration.test_companion import ALICE, deployed
from tests.integration.world import World, content, digests, failed, put, ready, run, world

DATA = content(2 * MIN_PART_BYTES + 3)
EVEN = [DATA[:MIN_PART_BYTES], DATA[MIN_PART_BYTES:-3], DATA[-3:]]
UNEVEN = [DATA[: MIN_PART_BYTES + 1], DATA[MIN_PART_BYTES + 1 :]]


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    with world() as here:
        yield here


@pytest.fixture(scope="module")
def api(here: World) -> Iterator[TestClient]:
    with deployed(here) as client:
        client.headers.update(ALICE)
        yield client


def begun(api: httpx.Client, **more: Any) -> dict[str, Any]:
    answer = api.post("/files", json={"filename": "pipe", "size": None} | more)
    assert answer.status_code == 201, answer.text
    file: dict[str, Any] = answer.json()
    return file


def sent(api: httpx.Client, file: dict[str, Any], pieces: list[bytes], first: int = 1) -> None:
    """Each piece, by a URL that is asked for when it is there."""
    for number, piece in enumerate(pieces, first):
        path = f"/files/{file['id']}/parts"
        if file["part_digest"]:
            digest = hashlib.sha256(piece).hexdigest()
            answer = api.post(path, json={"parts": [{"number": number, "digest": digest}]})
        else:
            answer = api.get(path, params={"numbers": str(number)})
        assert answer.status_code == 200, answer.text
        (part,) = answer.json()["parts"]
        assert (part["number"], part["offset"], part["size"]) == (number, None, None)
        put(part | {"offset": 0, "size": len(piece)}, piece)


def completed(api: httpx.Client, file: dict[str, Any], **told: Any) -> dict[str, Any]:
    answer = api.post(f"/files/{file['id']}/complete", json=told)
    assert answer.status_code == 202, answer.text
    now: dict[str, Any] = answer.json()
    return now


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    return problem


def record(here: World, file: dict[str, Any]) -> File:
    return here.near_files.get("alice", file["id"])


def hashed(here: World, file: dict[str, Any]) -> File | None:
    """After S3's event and the hasher's job."""
    kept = record(here, file)
    return run(here.near_job(), kept, here.near_objects.head(kept.key).version)


def listed(api: httpx.Client, file: dict[str, Any], *members: str) -> list[dict[str, Any]]:
    received = api.get(f"/files/{file['id']}/parts").json()["received"]
    return [{name: part[name] for name in ("number", *members)} for part in received]


def test_what_nobody_knows_is_null(api: TestClient) -> None:
    """Its size, its parts and how large they are; URLs of the first hundred parts are there to begin with."""
    file = begun(api, folder="pipes", content_type="text/plain")
    assert (file["mode"], file["size"], file["part_size"], file["part_count"]) == ("multipart", None, None, None)
    assert [part["number"] for part in file["parts"]] == list(range(1, 101))
    assert {(part["offset"], part["size"]) for part in file["parts"]} == {(None, None)}
    assert (file["received"], file["folder"], file["content_type"]) == ([], "pipes", "text/plain")
    assert api.get(f"/files/{file['id']}").json()["size"] is None


@pytest.mark.parametrize("pieces", [EVEN, UNEVEN, EVEN[2:]], ids=["even", "uneven", "one"])
@pytest.mark.parametrize("told", ["size", "parts", pytest.param("both", marks=thorough)])
def test_a_pipe_becomes_a_file(here: World, api: TestClient, pieces: list[bytes], told: str) -> None:
    """With its size or the list of its parts, and verified by the digest that its sender knows at the end."""
    data = b"".join(pieces)
    file = begun(api)
    sent(api, file, pieces)
    told_size = {"size": len(data)} if told != "parts" else {}
    told_parts = {"parts": listed(api, file, "etag")} if told != "size" else {}
    end = told_size | told_parts | {"digests": {"sha-256": digests(data)["sha-256"]}}
    now = completed(api, file, **end)
    assert (now["status"], now["size"], now["part_count"]) == ("assembling", len(data), len(pieces))
    done = hashed(here, file)
    assert ready(done, data)
    assert done is not None
    assert done.verified
    assert completed(api, file, **end)["status"] == "ready"
    assert completed(api, file)["size"] == len(data)


def test_an_empty_pipe_is_an_empty_file(here: World, api: TestClient) -> None:
    """Of one part, which is empty."""
    file = begun(api)
    refused(api.post(f"/files/{file['id']}/complete", json={"size": 0}), 409, "parts_missing")
    sent(api, file, [b""])
    completed(api, file, size=0)
    assert ready(hashed(here, file), b"")


@pytest.mark.parametrize(
    ("parts", "told", "code"),
    [
        ({1: 0, 2: 1}, {}, "parts_differ"),  # the server cannot know that this is all
        ({1: 0, 2: 1}, {"digests": {"md5": digests(DATA)["md5"]}}, "parts_differ"),
        ({1: 0, 2: 1}, {"size": len(DATA)}, "parts_differ"),  # the last one is missing
        ({1: 0, 2: 1, 3: 2}, {"size": len(DATA) - 1}, "parts_differ"),
        ({1: 0, 3: 2}, {"size": MIN_PART_BYTES + 3}, "parts_missing"),
        ({1: 2, 2: 0}, {"size": MIN_PART_BYTES + 3}, "parts_missing"),  # too small before the last one
        ({}, {"size": 5}, "parts_missing"),
    ],
)
def test_what_is_not_whole_is_not_completed(
    here: World, api: TestClient, parts: dict[int, int], told: dict[str, Any], code: str
) -> None:
    """The upload stays as it is, and takes what is missing."""
    file = begun(api)
    for number, piece in parts.items():
        sent(api, file, [EVEN[piece]], number)
    problem = refused(api.post(f"/files/{file['id']}/complete", json=told), 409, code)
    if code == "parts_differ" and "size" in told:
        assert (problem["size"], problem["received"]) == (
            told["size"],
            sum(len(EVEN[piece]) for piece in parts.values()),
        )
    assert record(here, file).status is Status.UPLOADING
    sent(api, file, EVEN)
    completed(api, file, size=len(DATA))
    assert ready(hashed(here, file), DATA)


@pytest.mark.parametrize("size", [0, 4, 6])
def test_a_size_that_contradicts_the_files_is_refused(here: World, api: TestClient, size: int) -> None:
    """Also of a file whose size was promised, in every state that it goes through; its own size is none."""
    file = api.post("/files", json={"filename": "a", "size": 5}).json()
    path = f"/files/{file['id']}/complete"
    refused(api.post(path, json={"size": size}), 409, "parts_differ")
    put(file["parts"][0], b"whole")
    refused(api.post(path, json={"size": size}), 409, "parts_differ")
    completed(api, file, size=5)
    assert ready(hashed(here, file), b"whole")
    refused(api.post(path, json={"size": size}), 409, "parts_differ")
    assert completed(api, file, size=5)["status"] == "ready"


@pytest.mark.parametrize("size", [-1, 1.5, "1", True])
def test_a_size_that_is_none_is_refused(api: TestClient, size: Any) -> None:
    """When it begins and when it is completed."""
    refused(api.post("/files", json={"filename": "a", "size": size}), 422, "invalid_request")
    refused(api.post("/files", json={"filename": "a"}), 422, "invalid_request")
    refused(api.post(f"/files/{begun(api)['id']}/complete", json={"size": size}), 422, "invalid_request")


@pytest.mark.parametrize(("pieces", "verified"), [(EVEN, True), (EVEN[2:], True), (UNEVEN, False)])
def test_parts_that_were_locked_verify_what_they_make(
    here: World, api: TestClient, pieces: list[bytes], verified: bool
) -> None:
    """Where all but the last have one size, so that the hasher can look at each of them; else it is only hashed."""
    file = begun(api, part_digest="sha-256")
    assert file["parts"] == []
    sent(api, file, pieces)
    assert [part["digest"] for part in listed(api, file, "digest")] == [hashlib.sha256(p).hexdigest() for p in pieces]
    completed(api, file, size=len(b"".join(pieces)))
    done = hashed(here, file)
    assert ready(done, b"".join(pieces))
    assert done is not None
    assert done.verified is verified


def test_locked_parts_take_no_other_bytes(here: World, api: TestClient) -> None:
    """As those of a file whose size is known."""
    file = begun(api, part_digest="sha-256")
    digest = hashlib.sha256(EVEN[0]).hexdigest()
    answer = api.post(f"/files/{file['id']}/parts", json={"parts": [{"number": 1, "digest": digest}]})
    (part,) = answer.json()["parts"]
    wrong = httpx.put(part["url"], content=EVEN[1], headers=part["headers"], trust_env=False)
    assert wrong.status_code == 400
    refused(api.get(f"/files/{file['id']}/parts", params={"numbers": "1"}), 409, "part_digest_needed")
    assert record(here, file).status is Status.UPLOADING


def test_a_wrong_digest_at_the_end_fails_the_file(here: World, api: TestClient) -> None:
    """What was said of the whole is compared as ever."""
    file = begun(api)
    sent(api, file, EVEN)
    completed(api, file, size=len(DATA), digests={"sha-256": "0" * 64})
    hashed(here, file)  # what contradicts is read once more
    assert failed(hashed(here, file), Reason.DIGEST_MISMATCH)


def test_a_fingerprint_finds_what_has_no_size(api: TestClient) -> None:
    """The unfinished upload, with what has arrived; a file of no bytes with the same fingerprint is another one."""
    file = begun(api, fingerprint="a pipe")
    sent(api, file, EVEN[:1])
    again = api.post("/files", json={"filename": "pipe", "size": None, "fingerprint": "a pipe"})
    assert (again.status_code, again.json()["id"]) == (200, file["id"])
    assert [part["size"] for part in again.json()["received"]] == [MIN_PART_BYTES]
    assert [part["number"] for part in again.json()["parts"]][:2] == [2, 3]
    empty = api.post("/files", json={"filename": "pipe", "size": 0, "fingerprint": "a pipe"})
    assert (empty.status_code, empty.json()["size"]) == (201, 0)
    sent(api, file, EVEN[1:], 2)
    refused(api.post(f"/files/{file['id']}/complete", json={"size": len(DATA)}), 409, "digests_needed")
    completed(api, file, size=len(DATA), digests={"sha-256": digests(DATA)["sha-256"]})


@pytest.mark.parametrize("ask", ["url", "digest", "list", "completion"])
def test_more_than_a_file_may_have_does_not_stay(here: World, ask: str) -> None:
    """Nobody knows it before it is there, so it is looked at with every request."""
    with deployed(here, MAX_FILE_BYTES=str(6 * MIB)) as client:
        client.headers.update(ALICE)
        file = begun(client, **({"part_digest": "sha-256"} if ask == "digest" else {}))
        path = f"/files/{file['id']}"
        refused(client.get(f"{path}/parts", params={"numbers": "3"}), 422, "invalid_part_number")
        sent(client, file, EVEN[:2])
        match ask:
            case "url":
                answer = client.get(f"{path}/parts", params={"numbers": "2"})
            case "digest":
                answer = client.post(f"{path}/parts", json={"parts": [{"number": 1, "digest": "0" * 64}]})
            case "list":
                answer = client.get(f"{path}/parts")
            case _:
                answer = client.post(f"{path}/complete", json={"size": 2 * MIN_PART_BYTES})
        refused(answer, 413, "file_too_large")
        assert (record(here, file).status, record(here, file).reason) == (Status.FAILED, "file_too_large")


def test_a_pipe_that_nobody_asks_about_is_measured(here: World) -> None:
    """The hasher hears of it when it begins, as of every upload that may bring more than was promised."""
    here.proxy.forget()
    with deployed(here, here.proxy.url) as client:
        client.headers.update(ALICE)
        file = begun(client)
    (sent_later,) = here.proxy.asked("SendMessage")
    assert json.loads(sent_later.json()["MessageBody"]) == {"Measuring": {"owner": "alice", "id": file["id"]}}


def test_a_pipes_bytes_count_when_they_are_known(here: World) -> None:
    """Against the owner's quota; with room made, the same upload completes."""
    with deployed(here, OWNER_BYTES=str(GIB)) as client:
        client.headers.update({"Authorization": "Bearer token-of-bob"})
        big = client.post("/files", json={"filename": "big", "size": GIB - 2}).json()
        file = begun(client)
        sent(client, file, EVEN[2:])
        refused(client.post(f"/files/{file['id']}/complete", json={"size": 3}), 403, "quota_exceeded")
        client.delete(f"/files/{big['id']}").raise_for_status()
        completed(client, file, size=3)
