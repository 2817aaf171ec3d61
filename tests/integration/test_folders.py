"""Folders, names and metadata of files over HTTP: begun with, changed, and looked for."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.integration import journey
from tests.integration.conftest import Stack
from tests.integration.journey import MIB, client, create
from tests.integration.test_api import problem
from tests.integration.test_drops import opened
from tests.integration.world import digests

NOTES = {"project": "Übung 雪", "note": "two\nlines"}


def changed(api: httpx.Client, file: dict[str, Any], **changes: Any) -> dict[str, Any]:
    answer = api.patch(f"/files/{file['id']}", json=changes)
    assert answer.status_code == 200, answer.text
    now: dict[str, Any] = answer.json()
    assert now.items() >= changes.items()
    return now


def found(api: httpx.Client, **wanted: str) -> list[str]:
    """The ids of all pages."""
    ids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = api.get("/files", params=wanted | cursor | {"limit": "3"})
        assert answer.status_code == 200, answer.text
        ids += [file["id"] for file in answer.json()["items"]]
        if answer.json()["next"] is None:
            return ids
        cursor = {"cursor": answer.json()["next"]}


def test_a_file_has_the_folder_and_the_metadata_that_it_began_with(api: httpx.Client) -> None:
    """By POST and by PUT; without them they are null."""
    file = create(api, 1, folder="2026/summer", metadata=NOTES)
    assert (file["folder"], file["metadata"]) == ("2026/summer", NOTES)
    small = api.put(f"/files/a.txt?folder={quote('2026/Übung 雪')}", content=b"x").json()
    assert (small["folder"], small["metadata"]) == ("2026/Übung 雪", None)
    nothing = create(api, 1, folder="", metadata={})
    assert (nothing["folder"], nothing["metadata"], nothing["drop"]) == (None, None, None)


@pytest.mark.parametrize("folder", ["/a", "a/", "a//b", "../a", "a/..", ".", "a\\b", "a\nb", "x" * 1_025, "a/\u202eb"])
def test_a_folder_that_cannot_be_is_refused_everywhere(api: httpx.Client, folder: str) -> None:
    """When a file is begun, put, changed or looked for."""
    problem(api.post("/files", json={"filename": "a", "size": 1, "folder": folder}), 422, "invalid_folder")
    problem(api.put("/files/a", params={"folder": folder}, content=b"x"), 422, "invalid_folder")
    problem(api.patch(f"/files/{create(api, 1)['id']}", json={"folder": folder}), 422, "invalid_folder")
    problem(api.get("/files", params={"folder": folder}), 422, "invalid_folder")


def test_half_a_character_is_no_text(api: httpx.Client) -> None:
    """JSON can say it and UTF-8 cannot."""
    for member in ('"folder": "\\ud800"', '"metadata": {"a": "\\ud800"}', '"metadata": {"\\udc00": "a"}'):
        body = f'{{"filename": "a", "size": 1, {member}}}'
        answer = api.post("/files", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_the_same_key_in_another_folder_is_another_request(api: httpx.Client) -> None:
    """An Idempotency-Key stands for the folder as well."""
    key = {"Idempotency-Key": "folders-" + journey.random_bytes(8).hex()}
    first = api.put("/files/a?folder=a", content=b"x", headers=key).json()
    assert api.put("/files/a?folder=a", content=b"x", headers=key).json()["id"] == first["id"]
    problem(api.put("/files/a?folder=b", content=b"x", headers=key), 422, "idempotency_key_reused")


def test_an_owner_changes_what_a_file_is_called(api: httpx.Client) -> None:
    """What is sent is changed, null takes it away, what is left out stays, and the bytes are what they were."""
    file = journey.ended(api, journey.upload(api, b"whole", "a.txt", folder="a", metadata=NOTES))
    now = changed(api, file, filename="Übung 雪.txt")
    assert (now["filename"], now["folder"], now["metadata"]) == ("Übung 雪.txt", "a", NOTES)
    assert now["revision"] == file["revision"] + 1
    now = changed(api, file, folder="b/c", metadata={"k": "v"})
    assert (now["filename"], now["folder"], now["metadata"]) == ("Übung 雪.txt", "b/c", {"k": "v"})
    again = changed(api, file, folder="b/c")
    assert again["revision"] == now["revision"]  # nothing to write
    now = changed(api, file, folder=None, metadata=None)
    assert (now["folder"], now["metadata"], now["status"], now["digests"]) == (None, None, "ready", file["digests"])
    sent = httpx.get(now["links"]["content"], trust_env=False)
    assert sent.content == b"whole"
    assert quote("Übung 雪.txt") in sent.headers["content-disposition"]
    assert sent.headers["etag"] == f'"{file["etag"]}"'


def test_changes_at_once_are_all_made(api: httpx.Client) -> None:
    """Each on top of the one before: none is refused, and none takes another one's away."""
    file = create(api, 1)
    changes = [{"folder": "a"}, {"filename": "b"}, *({"metadata": {"n": str(number)}} for number in range(4))]
    with ThreadPoolExecutor(len(changes)) as threads:
        made = list(threads.map(lambda change: changed(api, file, **change), changes))
    now = api.get(f"/files/{file['id']}").json()
    assert (now["folder"], now["filename"], now["revision"]) == ("a", "b", file["revision"] + len(changes))
    assert sorted(one["revision"] for one in made) == list(range(2, 2 + len(changes)))


def test_an_unfinished_upload_goes_on_under_another_name(api: httpx.Client) -> None:
    """Its parts, its fingerprint and its URLs stay good."""
    data = journey.random_bytes(9 * MIB)
    file = create(api, len(data), fingerprint=data[:16].hex())
    changed(api, file, filename="other.bin", folder="a")
    journey.put_parts(file["parts"][:1], data)
    resumed = create(api, len(data), fingerprint=data[:16].hex(), folder="elsewhere")
    assert (resumed["id"], resumed["filename"], resumed["folder"]) == (file["id"], "other.bin", "a")
    journey.put_parts(resumed["parts"], data)
    told = {"digests": {"sha-256": digests(data)["sha-256"]}}
    done = journey.ended(api, api.post(f"/files/{file['id']}/complete", json=told).json())
    assert (done["status"], done["filename"], done["folder"]) == ("ready", "other.bin", "a")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        *(({"filename": None}, "invalid_request"), ({"filename": ""}, "invalid_filename")),
        *(({"filename": "a/b"}, "invalid_filename"), ({"filename": "a\nb"}, "invalid_filename")),
        *(({"metadata": {"a": 1}}, "invalid_request"), ({"size": 7}, "invalid_request")),
        ({"metadata": {str(number): "" for number in range(21)}}, "invalid_request"),
    ],
)
def test_a_change_that_cannot_be_changes_nothing(api: httpx.Client, change: dict[str, Any], code: str) -> None:
    """Names are held to what they are held to at the beginning."""
    file = create(api, 1, "a.bin", folder="a")
    problem(api.patch(f"/files/{file['id']}", json={"folder": "b"} | change), 422, code)
    assert api.get(f"/files/{file['id']}").json()["revision"] == file["revision"]


def test_what_has_ended_badly_is_not_changed(api: httpx.Client) -> None:
    """A file that was given up says so; one that was deleted is not there."""
    file = create(api, 1)
    api.delete(f"/files/{file['id']}")
    assert problem(api.patch(f"/files/{file['id']}", json={"folder": "a"}), 409, "wrong_state")["state"] == "aborted"
    gone = api.put("/files/a", content=b"x").json()
    api.delete(f"/files/{gone['id']}")
    problem(api.patch(f"/files/{gone['id']}", json={"folder": "a"}), 404, "file_not_found")


def test_nobody_but_the_owner_changes_a_file(api: httpx.Client, stack: Stack) -> None:
    """Neither by a capability that began it, nor through a drop, nor as another owner."""
    for way in (api.post("/capabilities").json()["capability"], opened(api)["capability"]):
        with client(stack.api, way) as visitor:
            file = create(visitor, 1)
            problem(visitor.patch(f"/files/{file['id']}", json={"folder": "a"}), 403, "owner_only")
            assert changed(api, file, folder="a")["folder"] == "a"
    with client(stack.api, stack.other_token) as other:
        problem(other.patch(f"/files/{file['id']}", json={"folder": "b"}), 404, "file_not_found")


def test_a_page_may_change_files(stack: Stack) -> None:
    """The API's CORS rules let PATCH in."""
    asked = {"Origin": "http://localhost:5173", "Access-Control-Request-Method": "PATCH"}
    asked["Access-Control-Request-Headers"] = "authorization,content-type"
    answer = httpx.options(f"{stack.api}/files/{'0' * 26}", headers=asked, trust_env=False)
    assert "PATCH" in answer.headers["access-control-allow-methods"]


def test_lists_by_folder_name_and_drop(api: httpx.Client, stack: Stack) -> None:
    """Each by itself and together, over several pages; and a file that moves is found where it is."""
    base = f"lists-{journey.random_bytes(6).hex()}"
    drop = opened(api, max_files=10)
    with client(stack.api, drop["capability"]) as visitor:
        through = [create(visitor, 1, f"Photo {n}.JPG", folder=f"{base}/drop") for n in range(4)]
    own = [create(api, 1, f"note {n}.txt", folder=base) for n in range(4)]
    below = create(api, 1, "Photo.jpg", folder=f"{base}/a/b")
    beside = create(api, 1, folder=f"{base}-beside")
    ids = [file["id"] for file in through]
    assert sorted(found(api, folder=base)) == sorted([*ids, *(file["id"] for file in own), below["id"]])
    assert found(api, folder=f"{base}/a") == [below["id"]]
    assert found(api, folder=base, q="NOTE") == [file["id"] for file in reversed(own)]
    assert found(api, drop=drop["id"]) == list(reversed(ids))
    assert found(api, drop=drop["id"], q="photo 2", folder=f"{base}/drop", status="uploading") == [ids[2]]
    assert found(api, drop="0" * 26) == found(api, drop="x") == []
    assert {one["drop"] for one in api.get("/files", params={"folder": f"{base}/drop"}).json()["items"]} == {drop["id"]}
    changed(api, beside, folder=f"{base}/a")
    assert sorted(found(api, folder=f"{base}/a")) == sorted([below["id"], beside["id"]])
    bare = create(api, 1)
    assert bare["id"] in found(api, folder="")
    assert below["id"] not in found(api, folder="")


def test_strangers_are_not_told_of_drops(api: httpx.Client, stack: Stack) -> None:
    """Through which drop a file came is shown to its owner alone."""
    drop = opened(api)
    with client(stack.api, drop["capability"]) as visitor:
        file = create(visitor, 1)
        assert file["drop"] is None
        assert visitor.get(f"/files/{file['id']}").json()["drop"] is None
    assert api.get(f"/files/{file['id']}").json()["drop"] == drop["id"]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        *(({"q": ""}, "invalid_request"), ({"q": "x" * 256}, "invalid_request"), ({"drop": ""}, "invalid_request")),
        *(({"drop": "x" * 27}, "invalid_request"), ({"status": "new"}, "invalid_request")),
        *(({"cursor": "x"}, "invalid_cursor"), ({"cursor": ""}, "invalid_cursor")),
        *(({"cursor": "x", "q": "a"}, "invalid_cursor"), ({"cursor": "0" * 26, "folder": "a"}, "invalid_cursor")),
        *(
            ({"cursor": "b/" + "0" * 26, "folder": "a"}, "invalid_cursor"),
            ({"cursor": "x", "drop": "0" * 26}, "invalid_cursor"),
        ),
        ({"cursor": "a/" + "x" * 1_000 + "0" * 26, "folder": "a"}, "invalid_cursor"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(api: httpx.Client, wanted: dict[str, str], code: str) -> None:
    """Each by name, and a cursor of another list as well."""
    problem(api.get("/files", params=wanted), 422, code)
