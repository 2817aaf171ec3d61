"""The control plane's contract, through the front door, the Runtime API and the real handler."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration import journey
from tests.integration.conftest import Stack
from tests.integration.issuer import issuing
from tests.integration.journey import MIB, client

MAX_OBJECT_BYTES = 10_000 * 5 * 1024 * MIB
UNKNOWN = "0" * 26


@pytest.fixture
def other(stack: Stack) -> Iterator[httpx.Client]:
    """The API as another owner sees it."""
    with journey.client(stack.api, stack.other_token) as client:
        yield client


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document: dict[str, Any] = answer.json()
    assert (answer.status_code, document["code"]) == (status, code), document
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document


def test_health_needs_no_token(stack: Stack) -> None:
    """GET /healthz answers anybody."""
    with journey.client(stack.api) as nobody:
        assert nobody.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize(("method", "path"), [("GET", "/files"), ("POST", "/files"), ("GET", f"/files/{UNKNOWN}")])
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Bearer", "Basic dXNlcjpwYXNz", "Bearer \u00e9"])
def test_no_token_no_answer(stack: Stack, method: str, path: str, authorization: str | None) -> None:
    """Without one of the deployment's tokens every route answers 401 and says which scheme it wants."""
    headers = {b"Authorization": authorization.encode()} if authorization else {}
    answer = httpx.request(method, stack.api + path, headers=headers, trust_env=False)
    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_new_file_has_the_shape_of_the_contract(api: httpx.Client) -> None:
    """POST /files answers 201 with the file, its first parts and absolute links."""
    answer = api.post("/files", json={"filename": "a.bin", "size": 20 * MIB, "content_type": "text/plain"})
    file = answer.json()
    assert answer.status_code == 201
    assert file["status"] == "uploading"
    assert (file["mode"], file["part_size"], file["part_count"]) == ("multipart", 8 * MIB, 3)
    assert [(part["number"], part["offset"], part["size"]) for part in file["parts"]] == [
        (1, 0, 8 * MIB),
        (2, 8 * MIB, 8 * MIB),
        (3, 16 * MIB, 4 * MIB),
    ]
    assert all("X-Amz-Signature=" in part["url"] for part in file["parts"])
    assert all(part["expires_at"].endswith("Z") for part in file["parts"])
    assert answer.headers["location"] == file["links"]["self"]
    assert httpx.get(file["links"]["self"], headers=api.headers, trust_env=False).json()["id"] == file["id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", file["created_at"])
    assert "upload_id" not in file
    assert "owner" not in file


@pytest.mark.parametrize("size", [0, 1, 8 * MIB])
def test_small_file_is_a_single_put(api: httpx.Client, size: int) -> None:
    """Up to 8 MiB, and with nothing in it, a file is one PUT of exactly its size."""
    file = journey.create(api, size)
    assert file["mode"] == "single"
    assert [(part["number"], part["offset"], part["size"]) for part in file["parts"]] == [(1, 0, size)]


def test_single_put_is_refused_the_second_time(api: httpx.Client) -> None:
    """The URL of a single PUT works once: what arrived cannot be replaced behind the hasher's back."""
    file = journey.create(api, 3)
    part = file["parts"][0]
    assert httpx.put(part["url"], content=b"abc", headers=part["headers"], trust_env=False).status_code == 200
    assert httpx.put(part["url"], content=b"xyz", headers=part["headers"], trust_env=False).status_code == 412


@pytest.mark.parametrize("size", [-1, 1.5, "10", True])
def test_size_must_be_a_whole_number_from_zero(api: httpx.Client, size: Any) -> None:
    """A size that is negative or no whole number is named in the problem."""
    document = problem(api.post("/files", json={"filename": "a", "size": size}), 422, "invalid_request")
    assert "size" in document["detail"]


def test_size_beyond_s3_is_too_large(api: httpx.Client) -> None:
    """48.8 TiB is the most; one byte more is a 413 that says the limit."""
    assert journey.create(api, MAX_OBJECT_BYTES)["part_count"] == 10_000
    answer = api.post("/files", json={"filename": "a", "size": MAX_OBJECT_BYTES + 1})
    assert problem(answer, 413, "file_too_large")["limit"] == MAX_OBJECT_BYTES


@pytest.mark.parametrize(
    "filename",
    [
        "x" * 300,
        "../../etc/passwd",
        "a/b",
        "a\\b",
        "a\r\nSet-Cookie: x=1",
        "a\0b",
        "",
        "  ",
        "..",
        "photo\u202egnp.exe",
    ],
)
def test_filename_that_cannot_be_kept_is_refused(api: httpx.Client, filename: str) -> None:
    """Paths, control characters, reordering characters, nothing and more than 255 characters are no filename."""
    problem(api.post("/files", json={"filename": filename, "size": 1}), 422, "invalid_filename")


@pytest.mark.parametrize(
    "filename",
    ['say "hi".txt', "semi;colon=.txt", "100%.txt", "\U0001f30a sluice.png", "\u05e9\u05dc\u05d5\u05dd\u200f.txt"],
)
def test_filename_is_data_that_comes_back_as_it_was(api: httpx.Client, filename: str) -> None:
    """Quotes, emoji and right-to-left marks are kept in the record and come back in Content-Disposition."""
    file = journey.upload(api, b"x", filename)
    assert journey.ended(api, file)["filename"] == filename
    answer = httpx.get(file["links"]["content"], trust_env=False)
    disposition = answer.headers["content-disposition"]
    assert disposition.isascii()
    extended = re.search(r"filename\*=UTF-8''(\S+)", disposition)
    plain = re.search(r'filename="([^"]*)"', disposition)
    assert plain
    assert (httpx.URL("http://x/" + extended[1]).path[1:] if extended else plain[1]) == filename


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"null", b"[]", b'{"filename": "a"', b'"text"'])
def test_body_that_is_no_json_object_is_told_so(api: httpx.Client, body: bytes) -> None:
    """What cannot be parsed is a 400, what is JSON but no file a 422."""
    answer = api.post("/files", content=body, headers={"Content-Type": "application/json"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) in ((400, "invalid_json"), (422, "invalid_request"))


@pytest.mark.parametrize(
    "more",
    [
        {"content_type": "text/html\r\nX: y"},
        {"content_type": "nonsense"},
        {"digests": {"sha-256": "12"}},
        {"digests": {"sha-1": "0" * 40}},
        {"fingerprint": ""},
        {"fingerprint": "f" * 1025},
        {"unknown": 1},
    ],
)
def test_other_members_are_checked(api: httpx.Client, more: dict[str, Any]) -> None:
    """A content type, digest or fingerprint that cannot be used, and a member nobody knows, are refused by name."""
    document = problem(api.post("/files", json={"filename": "a", "size": 1, **more}), 422, "invalid_request")
    assert next(iter(more)) in document["detail"]


@pytest.mark.parametrize(
    "content_type",
    ["video/webm;codecs=vp8,opus", 'video/mp4; codecs="avc1.42E01E, mp4a.40.2"', 'Text/Plain;a="\\";b";'],
)
@pytest.mark.parametrize("size", [5, 9 * MIB])
def test_a_download_has_the_type_that_was_declared(api: httpx.Client, size: int, content_type: str) -> None:
    """Commas, quotes, escapes, capitals and all, whether it went in one part or in several."""
    file = journey.ended(api, journey.upload(api, bytes(size), "a", content_type=content_type))
    assert file["content_type"] == content_type
    answer = httpx.head(file["links"]["content"], trust_env=False)
    assert answer.headers["content-type"] == content_type


def test_a_type_that_nobody_declares_is_guessed(api: httpx.Client) -> None:
    """From the name: a browser that does not know HEIC says nothing."""
    for said in ({}, {"content_type": None}, {"content_type": ""}):
        assert journey.create(api, 1, "IMG_1.HEIC", **said)["content_type"] == "image/heic"
    assert api.put("/files/IMG_1.HEIC", content=b"x").json()["content_type"] == "image/heic"
    assert journey.create(api, 1, "a")["content_type"] == "application/octet-stream"


def test_unknown_route_and_method_are_problems(api: httpx.Client) -> None:
    """404 and 405 of the router are problems like all others."""
    problem(api.get("/nothing/here"), 404, "not_found")
    problem(api.put("/files"), 405, "method_not_allowed")


def test_unknown_id_is_not_found(api: httpx.Client) -> None:
    """Every route of a file that is not there answers 404."""
    for method, path in (("GET", ""), ("GET", "/parts"), ("POST", "/complete"), ("DELETE", "")):
        problem(api.request(method, f"/files/{UNKNOWN}{path}"), 404, "file_not_found")


def test_another_owners_file_is_not_found(api: httpx.Client, other: httpx.Client) -> None:
    """What belongs to another owner looks exactly like what does not exist, and stays as it was."""
    file = journey.create(api, 1)
    for method, path in (("GET", ""), ("GET", "/parts"), ("POST", "/complete"), ("DELETE", "")):
        problem(other.request(method, f"/files/{file['id']}{path}"), 404, "file_not_found")
    assert file["id"] not in [item["id"] for item in other.get("/files?limit=100").json()["items"]]
    assert api.get(f"/files/{file['id']}").json()["status"] == "uploading"


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()  # noqa: S324 - S3's ETag


def test_same_fingerprint_resumes(api: httpx.Client, other: httpx.Client) -> None:
    """The same fingerprint and size of the same owner, unfinished, is the same file with what has arrived of it."""
    data = journey.random_bytes(17 * MIB)
    fingerprint = journey.random_bytes(8).hex()
    file = journey.create(api, len(data), fingerprint=fingerprint)
    journey.put_parts(file["parts"][1:2], data)
    again = api.post("/files", json={"filename": "file.bin", "size": len(data), "fingerprint": fingerprint})
    assert again.status_code == 200
    assert again.json()["id"] == file["id"]
    assert again.json()["received"] == [
        {"number": 2, "size": 8 * MIB, "etag": md5(data[8 * MIB : 16 * MIB]), "digest": None}
    ]
    assert [part["number"] for part in again.json()["parts"]] == [1, 3]
    assert journey.create(api, len(data) + 1, fingerprint=fingerprint)["id"] != file["id"]
    assert journey.create(other, len(data), fingerprint=fingerprint)["id"] != file["id"]
    journey.put_parts(again.json()["parts"], data)
    problem(api.post(f"/files/{file['id']}/complete"), 409, "digests_needed")
    digests = {"sha-256": hashlib.sha256(data).hexdigest()}
    assert api.post(f"/files/{file['id']}/complete", json={"digests": digests}).status_code == 202
    assert journey.create(api, len(data), fingerprint=fingerprint)["id"] != file["id"]


def test_resuming_client_may_declare_digests(api: httpx.Client) -> None:
    """A digest that a client declares when it resumes counts as one that it declared at first."""
    fingerprint = journey.random_bytes(8).hex()
    first = journey.create(api, 3, fingerprint=fingerprint)
    again = journey.create(api, 3, fingerprint=fingerprint, digests={"md5": "0" * 32})
    assert again["id"] == first["id"]
    journey.put_parts(first["parts"], b"abc")  # before its URL was locked to the digest
    shown = journey.ended(api, api.post(f"/files/{first['id']}/complete").json())
    assert (shown["status"], shown["reason"]) == ("failed", "digest_mismatch")


def test_parts_are_signed_on_demand(api: httpx.Client) -> None:
    """`numbers` takes numbers and ranges; without it the first missing parts come."""
    file = journey.create(api, 300 * 8 * MIB)
    asked = api.get(f"/files/{file['id']}/parts", params={"numbers": "1-3,7,300"}).json()
    assert [part["number"] for part in asked["parts"]] == [1, 2, 3, 7, 300]
    assert len(api.get(f"/files/{file['id']}/parts").json()["parts"]) == 100


@pytest.mark.parametrize("numbers", ["0", "10001", "4", "1-4", "3-1", "", "x", "1,,2", "-1", "1-2-3", "9" * 50])
def test_part_that_the_file_does_not_have_is_refused(api: httpx.Client, numbers: str) -> None:
    """Part numbers are from 1 to the file's count, written as numbers or ranges."""
    file = journey.create(api, 20 * MIB)
    answer = api.get(f"/files/{file['id']}/parts", params={"numbers": numbers})
    problem(answer, 422, "invalid_part_number")


def test_at_most_a_thousand_parts_an_answer(api: httpx.Client) -> None:
    """1,000 URLs fit into one buffered answer, 1,001 are refused."""
    file = journey.create(api, 2_000 * 8 * MIB)
    assert len(api.get(f"/files/{file['id']}/parts", params={"numbers": "1-1000"}).json()["parts"]) == 1_000
    problem(api.get(f"/files/{file['id']}/parts", params={"numbers": "1-1001"}), 422, "invalid_part_number")


def test_completing_without_all_parts_says_which(api: httpx.Client) -> None:
    """A completion with a missing part is refused with its number, and the upload goes on."""
    data = journey.random_bytes(17 * MIB)
    file = journey.create(api, len(data))
    journey.put_parts(file["parts"][::2], data)
    assert problem(api.post(f"/files/{file['id']}/complete"), 409, "parts_missing")["missing"] == [2]
    journey.put_parts(file["parts"][1:2], data)
    assert api.post(f"/files/{file['id']}/complete").status_code == 202


def test_completing_a_single_put_that_never_came(api: httpx.Client) -> None:
    """A single PUT that has not arrived is a missing part."""
    file = journey.create(api, 5)
    assert problem(api.post(f"/files/{file['id']}/complete"), 409, "parts_missing")["missing"] == [1]


def test_listed_parts_must_be_those_that_arrived(api: httpx.Client) -> None:
    """`parts` may be given, quoted or not, but then they must be all parts with S3's ETags; none is not all."""
    data = journey.random_bytes(9 * MIB)
    file = journey.create(api, len(data))
    journey.put_parts(file["parts"], data)
    arrived = api.get(f"/files/{file['id']}/parts").json()["received"]
    right = [{"number": part["number"], "etag": f'"{part["etag"]}"'} for part in arrived]
    for wrong in ([], right[:1], [right[0], right[1] | {"etag": "0" * 32}]):
        problem(api.post(f"/files/{file['id']}/complete", json={"parts": wrong}), 409, "parts_differ")
    for number in (0, 10_001):
        listed = {"parts": [{"number": number, "etag": "x"}]}
        problem(api.post(f"/files/{file['id']}/complete", json=listed), 422, "invalid_request")
    assert api.post(f"/files/{file['id']}/complete", json={"parts": right}).status_code == 202


def test_completing_twice_is_completing_once(api: httpx.Client) -> None:
    """`complete` answers 202 however often it is called, before and after the hash."""
    data = journey.random_bytes(9 * MIB)
    file = journey.upload(api, data)
    assert api.post(f"/files/{file['id']}/complete").status_code == 202
    assert journey.ended(api, file)["status"] == "ready"
    again = api.post(f"/files/{file['id']}/complete")
    assert (again.status_code, again.json()["status"]) == (202, "ready")


@pytest.mark.parametrize("size", [5, 9 * MIB])
def test_aborted_upload_cannot_be_completed(api: httpx.Client, size: int) -> None:
    """DELETE gives an upload up, as often as it is called; nothing can be sent, completed or signed after it."""
    data = journey.random_bytes(size)
    file = journey.create(api, size)
    assert api.delete(f"/files/{file['id']}").status_code == 204
    assert api.delete(f"/files/{file['id']}").status_code == 204
    assert api.get(f"/files/{file['id']}").json()["status"] == "aborted"
    assert problem(api.post(f"/files/{file['id']}/complete"), 409, "wrong_state")["state"] == "aborted"
    problem(api.get(f"/files/{file['id']}/parts", params={"numbers": "1"}), 409, "wrong_state")
    *_, last = journey.events(file["links"]["events"])
    assert last.name == "aborted"
    assert data


def test_deleted_file_is_gone_with_its_object(api: httpx.Client) -> None:
    """DELETE of a ready file leaves neither record nor any version of the object."""
    file = journey.ended(api, journey.upload(api, b"soon gone"))
    assert api.delete(f"/files/{file['id']}").status_code == 204
    problem(api.get(f"/files/{file['id']}"), 404, "file_not_found")
    problem(httpx.get(file["links"]["content"], trust_env=False), 404, "file_not_found")


def test_list_is_paged_newest_first_and_filtered(api: httpx.Client) -> None:
    """GET /files walks the caller's files by cursor, each once; `status` keeps those in that state."""
    made = [journey.create(api, 1)["id"] for _ in range(5)]
    api.delete(f"/files/{made[2]}")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = api.get("/files", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen))
    assert [file_id for file_id in seen if file_id in made] == made[::-1]
    aborted = api.get("/files", params={"status": "aborted", "limit": 100}).json()["items"]
    assert made[2] in [item["id"] for item in aborted]
    assert {item["status"] for item in aborted} == {"aborted"}


def test_list_refuses_what_it_cannot_use(api: httpx.Client) -> None:
    """A limit of none or too many, a state that does not exist and a made-up cursor are problems."""
    for query in ({"limit": 0}, {"limit": 101}, {"limit": "x"}, {"status": "lost"}):
        problem(api.get("/files", params=query), 422, "invalid_request")
    problem(api.get("/files", params={"cursor": "../x"}), 422, "invalid_cursor")


def kept_by_nobody(answer: httpx.Response) -> bool:
    told = answer.headers
    assert told["content-type"] in ("application/json", "application/problem+json")
    return (told["cache-control"], told["x-content-type-options"]) == ("no-store", "nosniff")


def test_no_answer_with_a_capability_is_kept_on_the_way(stack: Stack, api: httpx.Client) -> None:
    """Nor any other JSON, nor a problem, of the API, of Companion's protocol, and of the stream host."""
    capability = api.post("/capabilities")
    drop = api.post("/drops", json={"max_files": 1, "expires_in": 60})
    file = api.post("/files", json={"filename": "a", "size": 1})
    url = f"/files/{file.json()['id']}"
    companion = f"/companion/{capability.json()['capability']}/s3"
    with journey.client(stack.api) as nobody, journey.client(stack.stream) as stream:
        for answer in (
            *(capability, drop, file, api.get("/drops"), api.get(f"/drops/{drop.json()['id']}"), api.get("/files")),
            *(api.get(url), api.get(f"{url}/parts"), api.post(f"{url}/complete"), api.patch(url, json={"folder": "a"})),
            *(api.post("/digest", content=b"x"), api.put("/files/a", content=b"x"), api.get("/healthz")),
            *(nobody.get("/files"), api.get("/nowhere"), api.put("/files"), api.get("/files?limit=x")),
            *(nobody.get(f"{companion}/params?filename=a"), nobody.get("/companion/x/s3/params?filename=a")),
            nobody.post(f"{companion}/multipart", json={"filename": "a"}),
            *(
                stream.get(f"{url}/content"),
                stream.get("/nowhere"),
                stream.get("/healthz"),
                stream.get(f"{url}/events"),
            ),
        ):
            assert kept_by_nobody(answer), answer.request.url


def test_without_an_issuer_nobody_signs_in(api: httpx.Client, stack: Stack) -> None:
    """Access tokens for machines are made with a token of the secret then."""
    assert httpx.get(f"{stack.api}/auth", trust_env=False).json() == {"sign_in": None}
    with issuing() as issuer, client(stack.api, issuer.token()) as stranger:
        problem(stranger.get("/files"), 401, "unauthorized")
    made = api.post("/tokens", json={"name": "backup", "expires_in": 600}).json()
    with client(stack.api, made["token"]) as machine:
        assert machine.get("/me").json()["owner"] == "default"
