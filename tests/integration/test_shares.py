"""Shares: files handed out by a link, through the front door and the real handlers."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from sluice.limits import MAX_PASSWORD_BYTES, MAX_SHARED_FILES
from sluice.shares import MAX_TRIES, TRIES_SECONDS
from tests.integration import journey
from tests.integration.conftest import Stack, thorough
from tests.integration.journey import client, create
from tests.integration.test_api import problem

UNKNOWN = "0" * 26
Client = Callable[[str], httpx.Client]


@pytest.fixture
def stream(stack: Stack) -> Iterator[httpx.Client]:
    with client(stack.stream) as anybody:
        yield anybody


@pytest.fixture(scope="module")
def files(stack: Stack) -> list[dict[str, Any]]:
    """Two that are ready, of 9 and of 5 bytes."""
    with client(stack.api, stack.token) as owner:
        return [small(owner, "first.txt", b"the first"), small(owner, "second.txt", b"other")]


def small(api: httpx.Client, name: str, data: bytes) -> dict[str, Any]:
    answer = api.put(f"/files/{name}", content=data)
    assert answer.status_code == 201, answer.text
    file: dict[str, Any] = answer.json()
    return file


def shared(api: httpx.Client, files: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    what = {} if files is None else {"files": [file["id"] for file in files]}
    answer = api.post("/shares", json={"expires_in": 600} | what | more)
    assert answer.status_code == 201, answer.text
    share: dict[str, Any] = answer.json()
    return share


def posted(api: httpx.Client, wanted: dict[str, Any]) -> httpx.Response:
    """Escaped, as JSON may be: httpx itself cannot send a lone surrogate."""
    return api.post("/shares", content=json.dumps(wanted), headers={"Content-Type": "application/json"})


def opened(holder: Client, share: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = holder(share["capability"]).post(f"/shares/{share['id']}/open", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def first_link(holder: Client, share: dict[str, Any], **body: Any) -> str:
    """To the content of its first file, by an opening of its own."""
    link: str = opened(holder, share, **body)["files"][0]["links"]["content"]
    return link


def listed(share: dict[str, Any]) -> dict[str, Any]:
    """As a list has it: without what lets others in."""
    shown = {name: value for name, value in share.items() if name != "capability"}
    return shown | {"links": {"self": share["links"]["self"]}}


def downloads(api: httpx.Client, share: dict[str, Any]) -> int:
    count: int = api.get(f"/shares/{share['id']}").json()["downloads"]
    return count


def test_a_share_has_the_shape_of_the_contract(api: httpx.Client, files: list[dict[str, Any]]) -> None:
    """What it was made of, its end, and a page for people with the capability in the fragment."""
    before = time.time()
    share = shared(
        api,
        files,
        title="For you",
        message="Two files.\nBye",
        owner_name="Alice & Co",
        max_downloads=3,
        password="secret",
    )
    ends = datetime.fromisoformat(share["expires_at"]).timestamp()
    assert abs(ends - before - 600) < 60
    base = str(api.base_url).rstrip("/")
    assert share == {
        "id": share["id"],
        "title": "For you",
        "message": "Two files.\nBye",
        "owner_name": "Alice & Co",
        "count": 2,
        "size": 14,
        "downloads": 0,
        "max_downloads": 3,
        "has_password": True,
        "created_at": share["created_at"],
        "expires_at": share["expires_at"],
        "capability": share["capability"],
        "links": {"self": f"{base}/shares/{share['id']}", "page": f"{base}/#share={share['capability']}"},
    }
    assert jwt.decode(share["capability"], options={"verify_signature": False})["exp"] <= ends


def test_a_blank_title_is_none(api: httpx.Client, files: list[dict[str, Any]]) -> None:
    """As of a drop."""
    share = shared(api, files, title=" ", message="", owner_name="\u00a0")
    assert share["owner_name"] is None
    assert (share["title"], share["message"], share["max_downloads"], share["has_password"]) == (
        None,
        None,
        None,
        False,
    )


def test_an_owner_sees_lists_and_ends_shares(api: httpx.Client, files: list[dict[str, Any]], stack: Stack) -> None:
    """Page by page and newest first, without the capability and the password; another owner sees none of them."""
    made = [shared(api, files, password="secret") for _ in range(3)]
    first = api.get("/shares?limit=2").json()
    assert [share["id"] for share in first["items"]] == [made[2]["id"], made[1]["id"]]
    following = api.get(f"/shares?limit=2&cursor={first['next']}").json()
    assert following["items"][0]["id"] == made[0]["id"]
    assert first["items"][1] == listed(made[1])
    shown = api.get(f"/shares/{made[0]['id']}")
    assert listed(shown.json()) == listed(made[0])
    assert "capability" not in shown.json()
    assert "secret" not in shown.text
    assert "scrypt" not in shown.text
    with client(stack.api, stack.other_token) as other:
        assert other.get("/shares").json() == {"items": [], "next": None}
        problem(other.get(f"/shares/{made[0]['id']}"), 404, "share_not_found")
        problem(other.delete(f"/shares/{made[0]['id']}"), 404, "share_not_found")
    assert api.delete(f"/shares/{made[0]['id']}").status_code == 204
    problem(api.get(f"/shares/{made[0]['id']}"), 404, "share_not_found")
    problem(api.delete(f"/shares/{made[0]['id']}"), 404, "share_not_found")
    for cursor in ("x", "", UNKNOWN + "0", "../files"):
        problem(api.get("/shares", params={"cursor": cursor}), 422, "invalid_cursor")


def test_an_owner_has_the_link_of_a_share_again(api: httpx.Client, holder: Client, files: list[dict[str, Any]]) -> None:
    """Issued anew, it opens the same share and ends with it."""
    share = shared(api, files)
    links = api.get(f"/shares/{share['id']}").json()["links"]
    page, _, capability = links["page"].partition("#share=")
    assert (links["self"], page) == (share["links"]["self"], share["links"]["page"].partition("#share=")[0])
    assert len(opened(holder, share | {"capability": capability})["files"]) == 2
    assert api.delete(f"/shares/{share['id']}").status_code == 204
    problem(holder(capability).post(f"/shares/{share['id']}/open"), 404, "share_not_found")


def test_the_shares_that_hold_a_file(api: httpx.Client) -> None:
    """Newest first and page by page; what has ended is left out, and what is no file of theirs is in none."""
    files = [small(api, f"held-{number}.txt", b"held") for number in range(3)]
    both, second, first = shared(api, files[:2]), shared(api, files[1:]), shared(api, files[:1])
    ended = shared(api, files)
    assert api.delete(f"/shares/{ended['id']}").status_code == 204

    def holding(file_id: str) -> list[str]:
        return [share["id"] for share in api.get(f"/shares?file={file_id}").json()["items"]]

    assert holding(files[0]["id"]) == [first["id"], both["id"]]
    assert holding(files[1]["id"]) == [second["id"], both["id"]]
    found, page = [], api.get(f"/shares?file={files[0]['id']}&limit=1").json()
    while page["next"] is not None:
        found += page["items"]
        page = api.get(f"/shares?file={files[0]['id']}&limit=1&cursor={page['next']}").json()
    assert found + page["items"] == [listed(first), listed(both)]
    assert holding(UNKNOWN) == holding("z" * 26) == holding("../x") == []
    problem(api.get("/shares?file="), 422, "invalid_request")
    problem(api.get(f"/shares?file={'0' * 27}"), 422, "invalid_request")


def test_what_a_holder_learns_of_a_file(
    api: httpx.Client, holder: Client, stream: httpx.Client, files: list[dict[str, Any]]
) -> None:
    """Name, folder, size, type and digests, and a link to the bytes: of its owner what he typed, and no history."""
    share = shared(api, files, title="For you", owner_name="Alice")
    found = opened(holder, share)
    assert set(found) == {"title", "message", "owner_name", "downloads_left", "expires_at", "files", "next", "links"}
    assert (found["title"], found["owner_name"], found["message"], found["next"]) == ("For you", "Alice", None, None)
    assert (found["downloads_left"], found["expires_at"]) == (None, share["expires_at"])
    assert set(found["links"]) == {"archive"}
    for file, told in zip(files, found["files"], strict=True):
        link = told["links"]["content"]
        names = ("id", "filename", "size", "content_type", "digests")
        assert told == {name: file[name] for name in names} | {"folder": None, "links": {"content": link}}
        answer = stream.get(link)
        assert answer.status_code == 200
        assert hashlib.sha256(answer.content).hexdigest() == file["digests"]["sha-256"]
    assert downloads(api, share) == 2


def test_a_share_of_a_folder_has_nothing_that_guests_put_there(api: httpx.Client, holder: Client, stack: Stack) -> None:
    """Whoever comes through a drop chooses the folder of what he sends, and shall not send it on as the owner's."""
    folder = "holiday 2026"
    drop = api.post("/drops", json={"max_files": 1, "expires_in": 600}).json()
    with client(stack.api, drop["capability"]) as guest:
        journey.ended(api, journey.upload(guest, b"trap", "photo.jpg", folder=folder))
    journey.ended(api, journey.upload(api, b"own", "photo.jpg", folder=f"{folder}/more"))
    share = shared(api, folder=folder)
    assert (share["count"], share["size"]) == (1, 3)
    (file,) = opened(holder, share)["files"]
    assert file["folder"] == f"{folder}/more"
    assert shared(api, drop=drop["id"])["count"] == 1


def test_a_share_of_a_drop_is_what_was_ready_in_it(api: httpx.Client, holder: Client, stack: Stack) -> None:
    """Fixed when it is made: what comes later is not in it, and what was deleted is left out."""
    drop = api.post("/drops", json={"max_files": 5, "expires_in": 600}).json()
    with client(stack.api, drop["capability"]) as guest:
        one = journey.ended(api, journey.upload(guest, b"one", "one.txt"))
        two = journey.ended(api, journey.upload(guest, b"two2", "two.txt"))
        create(guest, 5, "unfinished.txt")
        share = shared(api, drop=drop["id"])
        assert (share["count"], share["size"]) == (2, 7)
        journey.ended(api, journey.upload(guest, b"late", "late.txt"))
    names = {file["filename"] for file in opened(holder, share)["files"]}
    assert names == {"one.txt", "two.txt"}
    assert api.delete(f"/files/{one['id']}").status_code == 204
    assert [file["id"] for file in opened(holder, share)["files"]] == [two["id"]]
    assert api.get(f"/shares/{share['id']}").json()["count"] == 2
    assert api.delete(f"/drops/{drop['id']}").status_code == 204
    assert shared(api, drop=drop["id"])["count"] == 2  # a drop that has ended still has its files


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({}, 422, "invalid_request"),
        ({"files": []}, 422, "invalid_request"),
        ({"files": [""]}, 422, "invalid_request"),
        ({"files": [UNKNOWN]}, 404, "file_not_found"),
        ({"files": ["../../other"]}, 404, "file_not_found"),
        ({"files": ["\udcff"]}, 422, "invalid_request"),
        ({"files": [None]}, 422, "invalid_request"),
        ({"files": UNKNOWN}, 422, "invalid_request"),
        ({"files": [UNKNOWN] * (MAX_SHARED_FILES + 1)}, 422, "invalid_request"),
        ({"files": [UNKNOWN], "folder": "a"}, 422, "invalid_request"),
        ({"files": [UNKNOWN], "drop": UNKNOWN}, 422, "invalid_request"),
        ({"folder": "a", "drop": UNKNOWN}, 422, "invalid_request"),
        ({"share": UNKNOWN}, 422, "invalid_request"),
        ({"folder": "a/../b"}, 422, "invalid_folder"),
        ({"folder": "/a"}, 422, "invalid_folder"),
        ({"folder": "a//b"}, 422, "invalid_folder"),
        ({"folder": "a\\b"}, 422, "invalid_folder"),
        ({"folder": "a\u0000"}, 422, "invalid_folder"),
        ({"folder": "é" * 513}, 422, "invalid_folder"),
        ({"folder": "x" * 1025}, 422, "invalid_request"),
        ({"folder": "nothing/here"}, 409, "nothing_to_share"),
        ({"drop": UNKNOWN}, 404, "drop_not_found"),
        ({"drop": ""}, 422, "invalid_request"),
        ({"drop": "x" * 27}, 422, "invalid_request"),
    ],
    ids=str,
)
def test_what_is_no_set_of_files_is_refused(api: httpx.Client, wanted: dict[str, Any], status: int, code: str) -> None:
    """Each in its own words, and never by an error of ours."""
    problem(posted(api, {"expires_in": 60} | wanted), status, code)


@pytest.mark.parametrize(
    "change",
    [
        {"expires_in": 0},
        {"expires_in": 366 * 86_400 + 1},
        {"expires_in": "60"},
        {"max_downloads": 0},
        {"max_downloads": 10**9 + 1},
        {"max_downloads": True},
        {"title": "two\nlines"},
        {"title": "x" * 201},
        {"title": "gnp\u202eexe"},
        {"title": "\ud800"},
        {"message": "\u0007"},
        {"message": "x" * 2001},
        *({"owner_name": text} for text in (7, "x" * 101, "two\nlines", "gnp\u202eexe")),
        {"password": ""},
        {"password": "x" * 10_000},
        {"password": "é" * (MAX_PASSWORD_BYTES // 2 + 1)},
        {"password": "\ud800"},
        {"password": 1234},
        {"owner": "other"},
    ],
    ids=lambda change: str(change)[:40],
)
def test_what_a_share_cannot_be_is_refused(
    api: httpx.Client, files: list[dict[str, Any]], change: dict[str, Any]
) -> None:
    """With the name of the member; nothing that was wrong with a password repeats it."""
    body = {"files": [files[0]["id"]], "expires_in": 60} | change
    answer = posted(api, body)
    document = problem(answer, 422, "invalid_request")
    (name,) = change
    assert name in document["detail"]
    assert "xxxx" not in answer.text


def test_a_share_has_the_owners_ready_files_alone(api: httpx.Client, files: list[dict[str, Any]], stack: Stack) -> None:
    """Neither another owner's, nor one that has not arrived, nor a share of a share; and which it was is told."""
    with client(stack.api, stack.other_token) as other:
        foreign = small(other, "foreign.txt", b"foreign")
    unfinished = create(api, 5)
    share = shared(api, files)
    for one, status, code in (
        (foreign["id"], 404, "file_not_found"),
        (share["id"], 404, "file_not_found"),
        (unfinished["id"], 409, "not_ready"),
    ):
        answer = api.post("/shares", json={"files": [files[0]["id"], one], "expires_in": 60})
        assert problem(answer, status, code)["id"] == one
    twice = shared(api, [files[0], files[0]])
    assert (twice["count"], twice["size"]) == (1, 9)


def test_a_million_files_are_refused(api: httpx.Client) -> None:
    """By their number or by the size of the request, before anything is looked up."""
    answer = api.post("/shares", json={"files": [UNKNOWN] * 1_000_000, "expires_in": 60})
    assert answer.status_code in (413, 422)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/shares"), ("GET", "/shares"), ("GET", "/shares/{id}"), ("DELETE", "/shares/{id}")]
)
def test_a_holder_only_opens(
    api: httpx.Client, holder: Client, files: list[dict[str, Any]], method: str, path: str
) -> None:
    """The capability opens its share and nothing else; a capability to upload does not even that."""
    share = shared(api, files)
    body = {"files": [files[0]["id"]], "expires_in": 60}
    path = path.replace("{id}", share["id"])
    problem(holder(share["capability"]).request(method, path, json=body), 401, "unauthorized")
    upload = api.post("/capabilities").json()["capability"]
    problem(holder(upload).request(method, path, json=body), 403, "owner_only")
    problem(holder(upload).post(f"/shares/{share['id']}/open"), 401, "unauthorized")
    for method_of_files, where in (
        ("GET", "/files"),
        ("POST", "/files"),
        ("GET", f"/files/{files[0]['id']}"),
        ("DELETE", f"/files/{files[0]['id']}"),
        ("POST", "/drops"),
        ("POST", "/capabilities"),
    ):
        problem(holder(share["capability"]).request(method_of_files, where, json={}), 401, "unauthorized")


def test_only_its_own_holder_opens_a_share(api: httpx.Client, holder: Client, files: list[dict[str, Any]]) -> None:
    """Another share's capability finds nothing; no token, a rubbish one and the owner's own are told what is needed."""
    share, another = shared(api, files), shared(api, files)
    problem(holder(another["capability"]).post(f"/shares/{share['id']}/open"), 404, "share_not_found")
    problem(holder(share["capability"]).post(f"/shares/{UNKNOWN}/open"), 404, "share_not_found")
    for token in ("rubbish", share["capability"][:-2], api.headers["authorization"].removeprefix("Bearer ")):
        problem(holder(token).post(f"/shares/{share['id']}/open"), 401, "unauthorized")
    problem(holder("").post(f"/shares/{share['id']}/open"), 401, "unauthorized")
    assert holder(share["capability"]).post(f"/shares/{share['id']}/open").status_code == 200  # without a body


def test_a_share_ends_at_once(
    api: httpx.Client, holder: Client, stream: httpx.Client, files: list[dict[str, Any]]
) -> None:
    """For its holder, and for links that were handed out before, whole and ranges, streamed and direct."""
    share = shared(api, files)
    link = first_link(holder, share)
    assert stream.get(link).status_code == 200
    assert api.delete(f"/shares/{share['id']}").status_code == 204
    problem(holder(share["capability"]).post(f"/shares/{share['id']}/open"), 404, "share_not_found")
    for url in (link, f"{link}&direct=1"):
        problem(stream.get(url), 404, "share_not_found")
        problem(stream.get(url, headers={"Range": "bytes=0-1"}), 404, "share_not_found")
        assert stream.head(url).status_code == 404


def test_a_share_ends_by_itself(
    api: httpx.Client, holder: Client, stream: httpx.Client, files: list[dict[str, Any]]
) -> None:
    """At `expires_at`: its holder is told that it has ended, and no link outlives it."""
    share = shared(api, files, expires_in=2)
    link = first_link(holder, share)
    until = time.monotonic() + 60
    while (answer := holder(share["capability"]).post(f"/shares/{share['id']}/open")).status_code == 200:
        assert time.monotonic() < until
    problem(answer, 404, "share_not_found")
    claims = jwt.decode(parse_qs(urlsplit(link).query)["capability"][0], options={"verify_signature": False})
    assert claims["exp"] <= datetime.fromisoformat(share["expires_at"]).timestamp()
    assert stream.get(link).status_code in (403, 404)
    assert share["id"] not in [one["id"] for one in api.get("/shares").json()["items"]]


def test_a_deleted_file_ends_its_link(api: httpx.Client, holder: Client, stream: httpx.Client) -> None:
    """The share has it no more, and nothing is counted."""
    share = shared(api, [file := small(api, "gone.txt", b"gone")])
    link = first_link(holder, share)
    assert api.delete(f"/files/{file['id']}").status_code == 204
    problem(stream.get(link), 404, "file_not_found")
    assert opened(holder, share)["files"] == []
    assert downloads(api, share) == 0


def test_a_password_is_asked_for(api: httpx.Client, holder: Client, files: list[dict[str, Any]], stack: Stack) -> None:
    """Wrong, none, right; the same letters typed otherwise are the same password. The log has none of it."""
    share = shared(api, files, password="Zürich quokka")
    for body in ({}, {"password": "Zurich quokka"}, {"password": "x" * MAX_PASSWORD_BYTES}):
        answer = holder(share["capability"]).post(f"/shares/{share['id']}/open", json=body)
        problem(answer, 403, "wrong_password")
        assert "files" not in answer.json()
    too_long = holder(share["capability"]).post(f"/shares/{share['id']}/open", json={"password": "y" * 10_000})
    problem(too_long, 422, "invalid_request")
    assert "yyy" not in too_long.text
    assert len(opened(holder, share, password="Zu\u0308rich quokka")["files"]) == 2
    log = stack.log.read_text()
    assert "quokka" not in log
    assert "scrypt:" not in log


def test_a_hundred_guesses_at_once_are_ten(api: httpx.Client, holder: Client, files: list[dict[str, Any]]) -> None:
    """Each takes a try before it is looked at; then even the right one has to wait, and is told how long."""
    share = shared(api, files, password="right")
    guest = holder(share["capability"])

    def guess(number: int) -> str:
        answer = guest.post(f"/shares/{share['id']}/open", json={"password": f"wrong {number}"})
        code: str = answer.json()["code"]
        return code

    with ThreadPoolExecutor(20) as at_once:
        told = Counter(at_once.map(guess, range(100)))
    assert told == {"wrong_password": MAX_TRIES, "too_many_tries": 100 - MAX_TRIES}
    answer = guest.post(f"/shares/{share['id']}/open", json={"password": "right"})
    problem(answer, 429, "too_many_tries")
    assert 0 < int(answer.headers["retry-after"]) <= TRIES_SECONDS


@thorough
def test_a_right_password_costs_no_try(api: httpx.Client, holder: Client, files: list[dict[str, Any]]) -> None:
    """Whoever knows it opens the share as often as he likes."""
    share = shared(api, files, password="right")
    for _ in range(MAX_TRIES + 2):
        opened(holder, share, password="right")


@thorough
def test_the_last_download_is_one(
    api: httpx.Client, holder: Client, stream: httpx.Client, files: list[dict[str, Any]]
) -> None:
    """Of fifty who ask at once one gets it, by a link of his own or by the same; then opening is refused as well."""
    for same in (True, False):
        share = shared(api, files[:1], max_downloads=1)
        links = [first_link(holder, share)] * 50 if same else [first_link(holder, share) for _ in range(50)]

        def take(link: str) -> tuple[int, str]:
            answer = stream.get(link)
            return answer.status_code, answer.json()["code"] if answer.status_code != 200 else answer.text

        with ThreadPoolExecutor(50) as at_once:
            told = Counter(at_once.map(take, links))
        assert told == {(200, "the first"): 1, (403, "share_used_up"): 49}
        assert downloads(api, share) == 1
        refused = holder(share["capability"]).post(f"/shares/{share['id']}/open")
        problem(refused, 403, "share_used_up")


def test_ranges_of_one_link_are_one_download(
    api: httpx.Client, holder: Client, stream: httpx.Client, files: list[dict[str, Any]]
) -> None:
    """Eight connections at once, and one that goes on later; but not by the link of another opening."""
    share = shared(api, files[:1], max_downloads=1)
    link, another = first_link(holder, share), first_link(holder, share)
    ranges = [f"bytes={first}-{first}" for first in range(9)]
    with ThreadPoolExecutor(9) as at_once:
        answers = list(at_once.map(lambda one: stream.get(link, headers={"Range": one}), ranges))
    assert b"".join(answer.content for answer in answers) == b"the first"
    assert downloads(api, share) == 1
    assert stream.get(link, headers={"Range": "bytes=4-"}).content == b"first"
    problem(stream.get(another, headers={"Range": "bytes=4-"}), 403, "share_used_up")
    problem(stream.get(link), 403, "share_used_up")
    assert downloads(api, share) == 1


def test_all_bytes_are_the_whole_however_they_are_asked_for(
    api: httpx.Client, holder: Client, stream: httpx.Client, files: list[dict[str, Any]]
) -> None:
    """`Range: bytes=0-` is another download each time; or one link would do for any number of them."""
    share = shared(api, files[:1], max_downloads=2)
    link = first_link(holder, share)
    everything = {"Range": "bytes=0-"}
    for count in (1, 2):
        assert opened(holder, share)["downloads_left"] == 3 - count
        assert stream.get(link, headers=everything).content == b"the first"
        assert downloads(api, share) == count
    problem(stream.get(link, headers=everything), 403, "share_used_up")


def test_a_redirect_counts_when_it_is_given(
    api: httpx.Client, holder: Client, stream: httpx.Client, files: list[dict[str, Any]]
) -> None:
    """And is good for a minute, because S3 answers it again and again."""
    share = shared(api, files[:1], max_downloads=1)
    link = f"{first_link(holder, share)}&direct=1"
    redirect = stream.get(link)
    assert redirect.status_code == 307
    location = redirect.headers["location"]
    assert parse_qs(urlsplit(location).query)["X-Amz-Expires"] == ["60"]
    assert httpx.get(location, trust_env=False).content == b"the first"
    assert downloads(api, share) == 1
    problem(stream.get(link), 403, "share_used_up")
    assert stream.get(link, headers={"Range": "bytes=1-2"}).status_code == 307  # goes on with what it has begun


@pytest.mark.parametrize("more", ["", "&direct=1"])
def test_a_look_by_a_share_is_a_download(
    *, api: httpx.Client, holder: Client, stream: httpx.Client, files: list[dict[str, Any]], more: str
) -> None:
    """A holder who asks for it `inline` has the bytes as well: it is counted, and its owner hears of it."""
    share = shared(api, files[:1], max_downloads=1)
    feed = api.get("/files", params={"limit": 1}).json()["links"]["events"]
    link = f"{first_link(holder, share)}&disposition=inline{more}"
    assert stream.get(link).status_code == (307 if more else 200)
    assert downloads(api, share) == 1
    problem(stream.get(link), 403, "share_used_up")
    told = (event.data["id"] for event in journey.events(feed) if event.data.get("share") == share["id"])
    assert next(told) == files[0]["id"]


def test_asking_for_the_head_counts_nothing(
    api: httpx.Client, holder: Client, stream: httpx.Client, files: list[dict[str, Any]]
) -> None:
    """It is answered while a download is left, and to a link that has made one."""
    share = shared(api, files[:1], max_downloads=1)
    link, another = first_link(holder, share), first_link(holder, share)
    for url in (link, f"{link}&direct=1"):
        assert stream.head(url).status_code in (200, 307)
    assert stream.get(link, headers={"If-None-Match": "*"}).status_code == 304
    assert stream.get(link, headers={"Range": "bytes=9-"}).status_code == 416
    assert downloads(api, share) == 0
    assert stream.get(link).status_code == 200
    assert stream.head(link).status_code == 200
    for url in (another, f"{another}&direct=1"):
        assert stream.head(url).status_code == 403
    assert downloads(api, share) == 1


def test_a_share_without_a_limit_is_counted_as_well(
    api: httpx.Client, holder: Client, stream: httpx.Client, files: list[dict[str, Any]]
) -> None:
    """The owner sees how often its files were taken."""
    share = shared(api, files)
    link = first_link(holder, share)
    for _ in range(3):
        assert stream.get(link).status_code == 200
    assert (downloads(api, share), share["max_downloads"]) == (3, None)


def test_the_owners_own_links_count_nothing(
    api: httpx.Client, stream: httpx.Client, files: list[dict[str, Any]]
) -> None:
    """They are not the share's."""
    share = shared(api, files, max_downloads=1)
    link = api.get(f"/files/{files[0]['id']}").json()["links"]["content"]
    assert stream.get(link).status_code == 200
    assert downloads(api, share) == 0
