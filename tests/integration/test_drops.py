"""Letting others in: capabilities to upload and drops, through the front door and the real handler."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import jwt
import pytest

from tests.integration import journey
from tests.integration.conftest import Stack
from tests.integration.journey import MIB, client, create
from tests.integration.test_api import problem

UNKNOWN = "0" * 26
Client = Callable[[str], httpx.Client]


def opened(api: httpx.Client, **changes: Any) -> dict[str, Any]:
    answer = api.post("/drops", json={"max_files": 3, "expires_in": 600} | changes)
    assert answer.status_code == 201, answer.text
    drop: dict[str, Any] = answer.json()
    return drop


def seconds_until(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp() - time.time()


def test_a_capability_uploads_in_the_owners_name(api: httpx.Client, holder: Client) -> None:
    """The page that has it does what an upload needs, and its files are the owner's."""
    granted = api.post("/capabilities", json={"expires_in": 600})
    assert granted.status_code == 201
    document = granted.json()
    assert document["links"]["companion"] == f"{api.base_url}/companion/{document['capability']}".replace("//c", "/c")
    assert 590 < seconds_until(document["expires_at"]) <= 600
    page = holder(document["capability"])
    file = journey.ended(page, journey.upload(page, b"by a page"))
    assert file["status"] == "ready"
    assert api.get(f"/files/{file['id']}").json()["digests"] == file["digests"]
    assert file["id"] in [one["id"] for one in api.get("/files").json()["items"]]
    assert page.put("/files/small.txt", content=b"small").status_code == 201


def test_a_capability_to_upload_does_nothing_else(api: httpx.Client, holder: Client) -> None:
    """It stands in addresses and in pages: who finds it there neither lists, reads nor deletes what the owner has."""
    file = journey.ended(api, journey.upload(api, b"private"))
    page = holder(api.post("/capabilities", json={"expires_in": 60}).json()["capability"])
    problem(page.get("/files"), 403, "owner_only")
    digests = {"digests": {"sha-256": "0" * 64}}
    for method, path, body in (("GET", "", None), ("DELETE", "", None), ("POST", "/complete", digests)):
        problem(page.request(method, f"/files/{file['id']}{path}", json=body), 404, "file_not_found")
    own = journey.ended(api, journey.upload(page, b"a page's own"))
    assert set(page.get(f"/files/{own['id']}").json()["links"]) == {"self", "events"}
    assert problem(page.delete(f"/files/{own['id']}"), 409, "wrong_state")["state"] == "ready"
    assert api.get(f"/files/{file['id']}").json()["status"] == "ready"
    assert page.delete(f"/files/{create(page, 1)['id']}").status_code == 204


def test_a_capability_needs_no_body_and_lasts_as_links_do(api: httpx.Client) -> None:
    """Six hours, unless somebody says otherwise."""
    assert 21_590 < seconds_until(api.post("/capabilities").json()["expires_at"]) <= 21_600
    assert 21_590 < seconds_until(api.post("/capabilities", json={}).json()["expires_at"]) <= 21_600


@pytest.mark.parametrize("seconds", [0, -1, 7 * 86_400 + 1, "60", 1.5, True])
def test_a_capability_ends_within_a_week(api: httpx.Client, seconds: Any) -> None:
    """Nothing takes it back, so it does not last longer."""
    document = problem(api.post("/capabilities", json={"expires_in": seconds}), 422, "invalid_request")
    assert "expires_in" in document["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/capabilities"),
        ("POST", "/drops"),
        ("GET", "/drops"),
        ("DELETE", f"/drops/{UNKNOWN}"),
    ],
)
def test_no_capability_begets_another(api: httpx.Client, holder: Client, method: str, path: str) -> None:
    """Letting others in takes the access token; neither the owner's own capability nor a drop's is enough."""
    for capability in (api.post("/capabilities").json()["capability"], opened(api)["capability"]):
        problem(holder(capability).request(method, path, json={"max_files": 1, "expires_in": 60}), 403, "owner_only")


def test_a_drop_has_the_shape_of_the_contract(api: httpx.Client) -> None:
    """Its limits as they were asked for, its end, and links for an Uppy page and for people."""
    before = time.time()
    drop = opened(api, max_file_bytes=MIB, content_types=["Image/*", "application/pdf"])
    assert (drop["max_files"], drop["max_file_bytes"], drop["files"]) == (3, MIB, 0)
    assert drop["content_types"] == ["image/*", "application/pdf"]
    assert abs(datetime.fromisoformat(drop["expires_at"]).timestamp() - before - 600) < 60
    base = str(api.base_url).rstrip("/")
    assert drop["links"] == {
        "self": f"{base}/drops/{drop['id']}",
        "companion": f"{base}/companion/{drop['capability']}",
        "page": f"{base}/#drop={drop['capability']}",
    }
    claims = jwt.decode(drop["capability"], options={"verify_signature": False})
    assert claims["exp"] == datetime.fromisoformat(drop["expires_at"]).timestamp()


def test_an_owner_has_the_link_of_a_drop_again(api: httpx.Client, holder: Client) -> None:
    """It is the same each time, lets guests in until the drop ends, and is in no list."""
    drop = opened(api, title="Photos", owner_name="Alice & Co")
    for _ in range(2):
        assert api.get(f"/drops/{drop['id']}").json()["links"] == drop["links"]
    guest = holder(drop["links"]["page"].partition("#drop=")[2])
    assert guest.get(f"/drops/{drop['id']}").json()["owner_name"] == "Alice & Co"
    assert create(guest, 1)["status"] == "uploading"
    (listed,) = (one for one in api.get("/drops?limit=100").json()["items"] if one["id"] == drop["id"])
    assert listed["links"] == {"self": drop["links"]["self"]}


def test_an_owner_sees_how_full_a_drop_is(api: httpx.Client, holder: Client) -> None:
    """Each file that was begun takes a place."""
    drop = opened(api)
    create(holder(drop["capability"]), 1)
    shown = api.get(f"/drops/{drop['id']}").json()
    assert (shown["files"], shown["max_files"]) == (1, 3)


@pytest.mark.parametrize(
    "change",
    [
        {"max_files": 0},
        {"max_files": 1_000_001},
        {"max_files": "3"},
        {"max_file_bytes": 0},
        {"content_types": []},
        {"content_types": ["image"]},
        {"content_types": ["image/*"] * 51},
        {"content_types": [f"image/{number}" + "x" * 9_000 for number in range(6)]},
        {"content_types": ["heic"]},
        *({"owner_name": text} for text in (7, "x" * 101, "two\nlines", "a\0", "photo\u202egnp.exe")),
        *({"title": text} for text in (7, "x" * 201, "two\nlines", "a\tb", "a\0", "photo\u202egnp.exe")),
        *({"message": text} for text in (["a"], "x" * 2_001, "a\0b", "a\rb", "a\x85b", "photo\u2066gnp")),
        {"expires_in": 0},
        {"expires_in": 366 * 86_400 + 1},
        {"expires_in": None},
        {"owner": "other"},
    ],
)
def test_a_drop_that_cannot_be_is_refused(api: httpx.Client, change: dict[str, Any]) -> None:
    """Each limit says what is wrong with it, by name."""
    answer = api.post("/drops", json={"max_files": 1, "expires_in": 60} | change)
    assert next(iter(change)) in problem(answer, 422, "invalid_request")["detail"]


def test_who_comes_through_a_drop_uploads_and_sees_their_file(api: httpx.Client, holder: Client) -> None:
    """Create, parts, complete and watch; it belongs to the owner, who alone can read and delete it."""
    stranger = holder(opened(api)["capability"])
    data = journey.random_bytes(9 * MIB)
    created = create(stranger, len(data))
    journey.put_parts(created["parts"][:1], data)
    left = stranger.get(f"/files/{created['id']}/parts").json()
    assert [part["number"] for part in left["received"]] == [1]
    journey.put_parts(left["parts"], data)
    completed = stranger.post(f"/files/{created['id']}/complete")
    assert completed.status_code == 202
    file = journey.ended(stranger, completed.json())
    assert file["status"] == "ready"
    assert set(file["links"]) == {"self", "events"}
    mine = api.get(f"/files/{file['id']}").json()
    assert httpx.get(mine["links"]["content"], trust_env=False).content == data
    problem(stranger.delete(f"/files/{file['id']}"), 409, "wrong_state")
    assert api.delete(f"/files/{file['id']}").status_code == 204


def test_who_comes_through_a_drop_sees_nothing_else(api: httpx.Client, holder: Client) -> None:
    """Neither the owner's files nor those that came another way; there is no list, and no other route."""
    drop, other = opened(api), opened(api)
    stranger = holder(drop["capability"])
    for file in (create(api, 1), create(holder(other["capability"]), 1)):
        for method, path in (("GET", ""), ("GET", "/parts"), ("POST", "/complete"), ("DELETE", "")):
            problem(stranger.request(method, f"/files/{file['id']}{path}"), 404, "file_not_found")
        assert api.get(f"/files/{file['id']}").json()["status"] == "uploading"
    problem(stranger.get("/files"), 403, "owner_only")
    problem(stranger.put("/files/a.txt", content=b"a"), 403, "owner_only")
    problem(stranger.post("/digest", content=b"a"), 403, "owner_only")


def test_a_full_drop_takes_no_more(api: httpx.Client, holder: Client) -> None:
    """The one after the last is told how many there are."""
    stranger = holder(opened(api, max_files=2)["capability"])
    for _ in range(2):
        create(stranger, 1)
    answer = stranger.post("/files", json={"filename": "a", "size": 1})
    assert problem(answer, 403, "drop_full")["limit"] == 2


def test_a_drop_takes_what_it_says(api: httpx.Client, holder: Client) -> None:
    """Size and content type are checked before anything is promised, so that no place is lost to them."""
    drop = opened(api, max_files=1, max_file_bytes=10, content_types=["image/*"])
    stranger = holder(drop["capability"])
    wanted = {"filename": "a", "size": 10, "content_type": "image/png"}
    large = problem(stranger.post("/files", json=wanted | {"size": 11}), 413, "file_too_large")
    assert (large["limit"], large["size"]) == (10, 11)
    text = problem(stranger.post("/files", json=wanted | {"content_type": "text/html"}), 415, "content_type_refused")
    assert (text["content_type"], text["allowed"]) == ("text/html", ["image/*"])
    assert stranger.post("/files", json=wanted).status_code == 201


def test_a_drop_takes_extensions(api: httpx.Client, holder: Client) -> None:
    """Beside types; a picture whose type the browser does not know is one, and a refusal is in words."""
    drop = opened(api, content_types=["image/*", "application/pdf", ".TAR.gz"])
    assert drop["content_types"] == ["image/*", "application/pdf", ".tar.gz"]
    stranger = holder(drop["capability"])
    for filename in ("IMG_1.HEIC", "a.tar.gz"):
        assert stranger.post("/files", json={"filename": filename, "size": 1, "content_type": ""}).status_code == 201
    text = problem(stranger.post("/files", json={"filename": "notes.txt", "size": 1}), 415, "content_type_refused")
    assert text["detail"] == "This drop accepts images, PDF files and .tar.gz files; notes.txt is plain text."


def test_a_drop_at_its_longest_is_kept(api: httpx.Client) -> None:
    """Fifty types, each as long as one may be."""
    types = [f"application/{number:02}" + "x" * 241 for number in range(50)]
    drop = opened(api, content_types=types)
    assert api.get(f"/drops/{drop['id']}").json()["content_types"] == types


def test_an_owner_ends_a_drop(api: httpx.Client, holder: Client) -> None:
    """At once and for all that was given out; what came through stays, and ending it again finds nothing."""
    drop = opened(api)
    stranger = holder(drop["capability"])
    file = create(stranger, 1)
    assert api.delete(f"/drops/{drop['id']}").status_code == 204
    problem(stranger.post("/files", json={"filename": "a", "size": 1}), 404, "drop_not_found")
    problem(stranger.get(f"/files/{file['id']}"), 404, "drop_not_found")
    problem(stranger.post(f"/files/{file['id']}/complete"), 404, "drop_not_found")
    assert api.get(f"/files/{file['id']}").json()["status"] == "uploading"
    problem(api.delete(f"/drops/{drop['id']}"), 404, "drop_not_found")
    problem(api.get(f"/drops/{drop['id']}"), 404, "drop_not_found")


def test_another_owners_drop_is_not_found(stack: Stack, api: httpx.Client) -> None:
    """Nobody ends or counts what is not theirs."""
    drop = opened(api)
    with client(stack.api, stack.other_token) as other:
        problem(other.get(f"/drops/{drop['id']}"), 404, "drop_not_found")
        problem(other.delete(f"/drops/{drop['id']}"), 404, "drop_not_found")
    assert api.get(f"/drops/{drop['id']}").status_code == 200


@pytest.mark.parametrize("drop_id", [UNKNOWN, "x", "x" * 3000, "used"])
def test_an_unknown_drop_is_not_found(api: httpx.Client, drop_id: str) -> None:
    """Whatever it is called, and not repeated at length."""
    answer = api.get(f"/drops/{drop_id}")
    problem(answer, 404, "drop_not_found")
    assert len(answer.content) < 500


def test_an_altered_capability_is_none(api: httpx.Client, holder: Client) -> None:
    """As a bearer token it is as good as no token; so is a link's, which is for reading."""
    good = opened(api)["capability"]
    head, claims, signature = good.split(".")
    owner = jwt.encode({"sub": "default", "use": "upload", "exp": int(time.time()) + 60}, "k" * 64, algorithm="HS256")
    link = httpx.URL(create(api, 1)["links"]["content"]).params["capability"]
    for bad in (
        good[:-2],
        f"{head}.{claims}.{signature[::-1]}",
        f"{owner.rpartition('.')[0]}.{signature}",
        owner,
        link,
    ):
        problem(holder(bad).post("/files", json={"filename": "a", "size": 1}), 401, "unauthorized")


def test_a_drop_says_what_it_is_for(api: httpx.Client, holder: Client) -> None:
    """A title and a message, which its owner and its guests read as they were written; blank ones are none."""
    title, message = (
        "Photos of the wedding \N{RING} \u05e9\u05dc\u05d5\u05dd",
        "Dear all,\r\n\n\tthank you: *all* of <b>them</b>.",
    )
    for wanted, shown in (
        ((title, message), (title, message)),
        ((" ", "\n"), (None, None)),
        ((None, None), (None, None)),
    ):
        drop = opened(api, title=wanted[0], message=wanted[1])
        told = api.get(f"/drops/{drop['id']}").json()
        guests = holder(drop["capability"]).get(f"/drops/{drop['id']}").json()
        for one in (drop, told, guests):
            assert (one["title"], one["message"]) == shown


def test_a_guest_knows_the_rules_and_nothing_else(api: httpx.Client, holder: Client) -> None:
    """How many files may still come, but not how many others have sent; neither the owner nor anything of his."""
    drop = opened(api, title="Photos", max_file_bytes=MIB, content_types=["image/*", ".heic"])
    guest = holder(drop["capability"])
    for left in (3, 2, 1, 0):
        answer = guest.get(f"/drops/{drop['id']}")
        assert answer.status_code == 200
        assert answer.json() == {
            "title": "Photos",
            "message": None,
            "owner_name": None,
            "max_file_bytes": MIB,
            "content_types": ["image/*", ".heic"],
            "files_left": left,
            "expires_at": drop["expires_at"],
        }
        assert guest.post("/files", json={"filename": "a.heic", "size": 1}).status_code == (201 if left else 403)


def test_a_guest_sees_no_other_drop(api: httpx.Client, holder: Client) -> None:
    """Whether there is one or not; and his own one no more when it has ended."""
    one, other = opened(api), opened(api)
    guest = holder(one["capability"])
    for drop_id in (other["id"], UNKNOWN, "x", one["id"][:-1]):
        problem(guest.get(f"/drops/{drop_id}"), 404, "drop_not_found")
    problem(holder(api.post("/capabilities").json()["capability"]).get(f"/drops/{one['id']}"), 403, "owner_only")
    problem(guest.delete(f"/drops/{one['id']}"), 403, "owner_only")
    api.delete(f"/drops/{one['id']}").raise_for_status()
    problem(guest.get(f"/drops/{one['id']}"), 404, "drop_not_found")


def test_an_owner_lists_his_drops(stack: Stack) -> None:
    """Newest first, page by page, without those that have ended, and nobody else's."""
    with client(stack.api, stack.other_token) as other, client(stack.api, stack.token) as api:
        drops = [opened(other, title=f"{number}") for number in range(5)]
        foreign = opened(api)
        other.delete(f"/drops/{drops[3]['id']}").raise_for_status()
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = other.get("/drops", params={"limit": "2"} | cursor).json()
            assert len(page["items"]) <= 2
            found += page["items"]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        ours = [drop["id"] for drop in drops]
        assert [drop["id"] for drop in found if drop["id"] in ours] == [ours[number] for number in (4, 2, 1, 0)]
        assert foreign["id"] not in [drop["id"] for drop in found]
        shown = other.get(f"/drops/{ours[4]}").json()
        assert found[0] == shown | {"links": {"self": shown["links"]["self"]}}
        assert "capability" not in found[0]


@pytest.mark.parametrize(
    ("query", "code"),
    [("limit=0", "invalid_request"), ("limit=101", "invalid_request"), ("cursor=x", "invalid_cursor")],
)
def test_a_list_of_drops_that_cannot_be_is_refused(api: httpx.Client, query: str, code: str) -> None:
    """As that of files."""
    problem(api.get(f"/drops?{query}"), 422, code)
