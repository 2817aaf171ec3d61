"""The worst that an outsider can do with one link of each kind: docs/security.md has the table."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.integration import journey
from tests.integration.conftest import Stack, thorough
from tests.integration.journey import MIB, PATIENCE_SECONDS, client, create, ended, put_parts, upload
from tests.integration.test_api import problem

ROOT = Path(__file__).parents[2]
DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text())
# The page and Companion's protocol are no part of the document.
COMPANION = [("POST", "/companion/{capability}/s3/multipart"), ("GET", "/companion/{capability}/s3/params")]
METHODS = ("get", "head", "post", "put", "patch", "delete")
OPEN = {"/healthz", "/auth"}  # for monitors, and for whoever wants to sign in
NOBODYS = "0" * 26  # the id of a record of a kind that no link is for: without one the path would be another
REFUSED = (401, 403, 404, 405)
GIVEN, OTHER = b"what the link is for", b"what it is not for"

CONTENT = {"GET /files/{id}/content", "HEAD /files/{id}/content"}
ARCHIVE = {"GET /archives/{id}/content", "HEAD /archives/{id}/content"}
EXPORTS = {"GET /files.jsonl", "GET /files.csv", "GET /files.sha256"}
BEGINNING = {"POST /files", *(f"{method} {path}" for method, path in COMPANION)}
UPLOAD = {
    "GET /files/{id}",
    "DELETE /files/{id}",
    "GET /files/{id}/parts",
    "POST /files/{id}/parts",
    "POST /files/{id}/complete",
}

# Kind of link -> what it reaches of the record that it was made for, and what of any other record of its owner.
REACHES: dict[str, tuple[set[str], set[str]]] = {
    "content": (CONTENT, set()),
    "events": ({"GET /files/{id}/events"}, set()),
    "feed": ({"GET /events"}, {"GET /events"}),
    "export": (EXPORTS, EXPORTS),
    "archive": (ARCHIVE, set()),
    "archive events": ({"GET /archives/{id}/events"}, set()),
    "share": ({"POST /shares/{id}/open", "POST /archives"}, set()),
    "file of a share": (CONTENT, set()),
    "archive of a share": ({"GET /shares/{id}/archive", "HEAD /shares/{id}/archive"}, set()),
    "drop": (UPLOAD | BEGINNING | {"GET /drops/{id}"}, BEGINNING),
    "capability to upload": (
        UPLOAD | BEGINNING | {"PUT /files/{filename}", "POST /digest"},
        BEGINNING | {"PUT /files/{filename}", "POST /digest"},
    ),
}


@dataclass(frozen=True)
class Records:
    """One of each kind, by the first segment of the paths that name it."""

    files: str
    archives: str
    drops: str
    shares: str


@dataclass(frozen=True)
class Owned:
    """What an owner has: what links were made for, everything else, and the links by their kind."""

    given: Mapping[str, Records]
    other: Records
    capabilities: Mapping[str, str]
    links: Mapping[str, str]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def capability_of(link: str) -> str:
    (found,) = parse_qs(urlsplit(link).query)["capability"]
    return found


def made(api: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    answer = api.post(path, json=body)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


@pytest.fixture(scope="module")
def owned(stack: Stack) -> Owned:
    with client(stack.api, stack.token) as api:
        files = [ended(api, upload(api, data, f"{data[-3:].decode()}.txt")) for data in (GIVEN, OTHER)]
        given = files[0]
        archives = [made(api, "/archives", files=[file["id"]]) for file in files]
        shares = [made(api, "/shares", files=[file["id"]], expires_in=600) for file in files]
        drops = [made(api, "/drops", max_files=100, expires_in=600) for _ in files]
        listed = api.get("/files").json()["links"]
        uploading = made(api, "/capabilities")["capability"]
        with client(stack.api, shares[0]["capability"]) as holder:
            opened = holder.post(f"/shares/{shares[0]['id']}/open").json()
        with client(stack.api, drops[0]["capability"]) as guest, client(stack.api, uploading) as page:
            begun = {"drop": create(guest, 5)["id"], "capability to upload": create(page, 5)["id"]}
    links = {
        "content": given["links"]["content"],
        "events": given["links"]["events"],
        "feed": listed["events"],
        "export": listed["jsonl"],
        "archive": archives[0]["links"]["content"],
        "archive events": archives[0]["links"]["events"],
        "file of a share": opened["files"][0]["links"]["content"],
        "archive of a share": opened["links"]["archive"],
    }
    capabilities = {kind: capability_of(link) for kind, link in links.items()} | {
        "share": shares[0]["capability"],
        "drop": drops[0]["capability"],
        "capability to upload": uploading,
    }
    mine, theirs = (
        Records(file["id"], archive["id"], drop["id"], share["id"])
        for file, archive, drop, share in zip(files, archives, drops, shares, strict=True)
    )
    own = {kind: Records(begun.get(kind, mine.files), mine.archives, mine.drops, mine.shares) for kind in capabilities}
    return Owned(own, theirs, capabilities, links)


def operations() -> Iterator[tuple[str, str, bool]]:
    """Method, path, and whether it is the stream host's: all that the document has, but for what anybody may ask."""
    for path, found in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in found and path not in OPEN:
                yield method.upper(), path, "servers" in found
    for method, path in COMPANION:
        yield method, path, False


def body_for(path: str, records: Records) -> dict[str, Any]:
    """What the route would take from its owner."""
    bodies: dict[str, dict[str, Any]] = {
        "/files": {"filename": "a.txt", "size": 1},
        "/files/{id}": {"folder": "taken"},
        "/files/{id}/parts": {"parts": [{"number": 1, "digest": "0" * 64}]},
        "/drops": {"max_files": 1, "expires_in": 60},
        "/shares": {"files": [records.files], "expires_in": 60},
        "/archives": {"share": records.shares},
        "/companion/{capability}/s3/multipart": {"filename": "a.txt", "type": "text/plain", "metadata": {}},
    }
    return bodies.get(path, {})


def reached(stack: Stack, capability: str, records: Records) -> set[str]:
    """Every operation that was not refused, asked for with this capability as each host takes it."""
    found = set()
    with client(stack.api, capability) as api, client(stack.stream) as stream:
        for method, path, streams in operations():
            noun = path.split("/")[1]
            values = {"{id}": getattr(records, noun, NOBODYS), "{filename}": "a.txt", "{capability}": capability}
            address = path
            for name, value in values.items():
                address = address.replace(name, value)
            if streams:
                request = stream.build_request(method, address, params={"capability": capability})
                answer = stream.send(request, stream=True)  # events have no end
                answer.close()
            elif method == "GET":
                answer = api.get(address, params={"filename": "a.txt"} if "companion" in path else None)
            else:
                answer = api.request(method, address, json=body_for(path, records))
            if answer.status_code not in REFUSED:
                found.add(f"{method} {path}")
    return found


# What every program has is tried at every turn; the others where there is time.
@pytest.mark.parametrize(
    "kind", [kind if kind in ("content", "share") else pytest.param(kind, marks=thorough) for kind in REACHES]
)
def test_a_link_reaches_what_it_is_for_and_nothing_else(
    stack: Stack, owned: Owned, api: httpx.Client, kind: str
) -> None:
    """Of every operation of both hosts, tried on the link's own record and on its owner's others."""
    own, others = REACHES[kind]
    capability = owned.capabilities[kind]
    before = api.get(f"/files/{owned.other.files}").json()
    assert reached(stack, capability, owned.other) == others
    assert reached(stack, capability, owned.given[kind]) == own
    after = api.get(f"/files/{owned.other.files}").json()
    assert (after["revision"], after["status"]) == (before["revision"], "ready")


@pytest.fixture(scope="module")
def elsewhere(stack: Stack) -> Records:
    """What another owner has."""
    with client(stack.api, stack.other_token) as other:
        file = ended(other, upload(other, b"another owner's"))
        archive = made(other, "/archives", files=[file["id"]])
        share = made(other, "/shares", files=[file["id"]], expires_in=60)
        drop = made(other, "/drops", max_files=1, expires_in=60)
    return Records(file["id"], archive["id"], drop["id"], share["id"])


@pytest.mark.parametrize("kind", REACHES)
def test_no_link_works_for_another_owner(stack: Stack, owned: Owned, elsewhere: Records, kind: str) -> None:
    """What the other owner has is as unknown to it as what nobody has."""
    assert reached(stack, owned.capabilities[kind], elsewhere) == REACHES[kind][1]
    with client(stack.api, stack.other_token) as other:
        assert other.get(f"/files/{elsewhere.files}").json()["status"] == "ready"


@pytest.mark.parametrize("kind", ["feed", "export"])
def test_what_is_told_of_all_files_opens_none(stack: Stack, owned: Owned, kind: str) -> None:
    """Names, folders, notes and digests of every file are in it, and neither a link nor a capability."""
    with httpx.stream("GET", owned.links[kind], timeout=PATIENCE_SECONDS, trust_env=False) as answer:
        assert answer.status_code == 200
        if kind == "feed":
            with client(stack.api, stack.token) as api:
                api.patch(f"/files/{owned.other.files}", json={"metadata": {"note": "a word"}})
        text = ""
        for line in answer.iter_lines():
            text += line
            if owned.other.files in line and (kind == "export" or "a word" in line):
                break
    assert owned.other.files in text
    assert "links" not in text
    assert "capability" not in text


def test_a_share_is_spent_by_whoever_has_its_link(stack: Stack, api: httpx.Client) -> None:
    """All its downloads, so that nobody else gets one; the owner sees how many were made, and its files stay."""
    file = ended(api, upload(api, GIVEN))
    share = made(api, "/shares", files=[file["id"]], expires_in=600, max_downloads=2)
    with client(stack.api, share["capability"]) as outsider:
        opened = outsider.post(f"/shares/{share['id']}/open").json()
        for _ in range(2):
            assert httpx.get(opened["files"][0]["links"]["content"], trust_env=False).content == GIVEN
        problem(outsider.post(f"/shares/{share['id']}/open"), 403, "share_used_up")
    assert api.get(f"/shares/{share['id']}").json()["downloads"] == 2
    assert api.get(f"/files/{file['id']}").json()["status"] == "ready"


def test_a_drop_is_filled_by_whoever_has_its_link(stack: Stack, api: httpx.Client) -> None:
    """To its last place and no further, by nothing larger than it takes; giving up makes no room for more."""
    drop = made(api, "/drops", max_files=2, expires_in=600, max_file_bytes=10)
    with client(stack.api, drop["capability"]) as outsider:
        problem(outsider.post("/files", json={"filename": "a", "size": 11}), 413, "file_too_large")
        for _ in range(2):
            assert outsider.delete(f"/files/{create(outsider, 10)['id']}").status_code == 204
        problem(outsider.post("/files", json={"filename": "a", "size": 1}), 403, "drop_full")
    assert api.get(f"/drops/{drop['id']}").json()["files"] == 2


def companion_begun(outsider: httpx.Client, capability: str) -> httpx.Response:
    new = {"filename": "a.txt", "type": "text/plain", "metadata": {"size": 1}}
    return outsider.post(f"/companion/{capability}/s3/multipart", json=new)


def test_an_address_of_companion_ends_with_its_drop(stack: Stack, api: httpx.Client) -> None:
    """It is the drop's capability in a path: ended at once, also for an upload that was begun."""
    drop = made(api, "/drops", max_files=5, expires_in=600)
    with client(stack.api) as outsider:
        begun = companion_begun(outsider, drop["capability"])
        assert begun.status_code == 200, begun.text
        assert api.delete(f"/drops/{drop['id']}").status_code == 204
        assert companion_begun(outsider, drop["capability"]).status_code == 404
        where = f"/companion/{drop['capability']}/s3/multipart/{begun.json()['uploadId']}"
        assert outsider.get(where, params={"key": begun.json()["key"]}).status_code == 404


def sent(method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> int:
    kind = {"Content-Type": "application/octet-stream"} if body else {}
    return httpx.request(
        method, url, content=body, headers={**kind, **(headers or {})}, timeout=PATIENCE_SECONDS, trust_env=False
    ).status_code


def test_a_url_of_a_part_takes_that_part_alone(api: httpx.Client) -> None:
    """No other number, file, method or length; what it puts in place of the sender's bytes is never `ready`."""
    data = journey.random_bytes(9 * MIB)
    declared = {"sha-256": sha256(data)}
    begun = create(api, len(data), digests=declared)
    first, second = begun["parts"]
    url = first["url"]
    stolen = bytes(first["size"])
    assert sent("PUT", url, stolen + b"x") == 403
    assert sent("PUT", url.replace("partNumber=1", "partNumber=2"), stolen) == 403
    assert sent("PUT", url.replace(begun["id"], create(api, len(data))["id"]), stolen) == 403
    assert sent("GET", url) == 403
    assert sent("DELETE", url) == 403
    put_parts([first, second], data)
    assert sent("PUT", url, stolen) == 200  # the worst: other bytes of the same length, before the upload is completed
    assert api.post(f"/files/{begun['id']}/complete").status_code == 202
    file = ended(api, begun)
    assert (file["status"], file["reason"], file["verified"]) == ("failed", "digest_mismatch", False)
    assert sent("GET", file["links"]["content"]) == 409
    assert sent("PUT", url, stolen) == 404  # and nothing once it is


def test_a_url_of_a_part_that_is_locked_takes_its_bytes_alone(api: httpx.Client) -> None:
    """With `part_digest` whoever has the URL can put what the sender has, and nothing else."""
    data = journey.random_bytes(9 * MIB)
    begun = create(api, len(data), part_digest="sha-256")
    size = begun["part_size"]
    wanted = [{"number": number, "digest": sha256(data[(number - 1) * size : number * size])} for number in (1, 2)]
    parts = api.post(f"/files/{begun['id']}/parts", json={"parts": wanted}).json()["parts"]
    stolen = bytes(parts[0]["size"])
    assert sent("PUT", parts[0]["url"], stolen, parts[0]["headers"]) == 400
    assert sent("PUT", parts[0]["url"], stolen) == 403  # without the header that was signed
    put_parts(parts, data)
    assert api.post(f"/files/{begun['id']}/complete").status_code == 202
    assert ended(api, begun)["verified"] is True


def test_a_url_of_a_put_stores_nothing_twice(api: httpx.Client) -> None:
    """What has arrived is not replaced, and with a digest nothing else arrives."""
    begun = create(api, len(GIVEN), digests={"sha-256": sha256(GIVEN)})
    (part,) = begun["parts"]
    stolen = bytes(len(GIVEN))
    assert sent("PUT", part["url"], stolen, part["headers"]) == 400
    put_parts([part], GIVEN)
    assert sent("PUT", part["url"], GIVEN, part["headers"]) == 412
    assert sent("PUT", part["url"], stolen, part["headers"]) in (400, 412)
    assert sent("GET", part["url"]) == 403
    assert sent("DELETE", part["url"]) == 403
    api.post(f"/files/{begun['id']}/complete")
    file = ended(api, begun)
    assert file["verified"] is True
    assert httpx.get(file["links"]["content"], trust_env=False).content == GIVEN


def test_a_url_of_a_put_without_a_digest_takes_other_bytes_once(api: httpx.Client) -> None:
    """Whoever is faster is the sender: the file is never called verified, and a digest that comes late fails it."""
    begun = create(api, len(GIVEN))
    (part,) = begun["parts"]
    assert sent("PUT", part["url"], bytes(len(GIVEN)), part["headers"]) == 200
    assert sent("PUT", part["url"], GIVEN, part["headers"]) == 412
    api.post(f"/files/{begun['id']}/complete")
    file = ended(api, begun)
    assert (file["status"], file["verified"]) == ("ready", False)
    late = api.post(f"/files/{begun['id']}/complete", json={"digests": {"sha-256": sha256(GIVEN)}})
    assert late.status_code == 202
    assert api.get(f"/files/{begun['id']}").json()["reason"] == "digest_mismatch"


def altered(url: str, old: str, new: str) -> str:
    assert old in url
    return url.replace(old, new)


def test_a_url_of_a_download_is_for_one_version(owned: Owned) -> None:
    """It reads exactly these bytes for an hour: no other file, version, name or method, and it lists nothing."""
    redirect = httpx.get(f"{owned.links['content']}&direct=1", trust_env=False)
    url = redirect.headers["location"]
    query = parse_qs(urlsplit(url).query)
    assert int(query["X-Amz-Expires"][0]) <= 3600
    assert httpx.get(url, trust_env=False).content == GIVEN
    (version,) = query["versionId"]
    for wrong in (
        altered(url, owned.given["content"].files, owned.other.files),
        altered(url, version, "null"),
        altered(url, "X-Amz-Expires=", "X-Amz-Expires=9"),
        f"{url}&response-content-type=text%2Fhtml",
        url.replace(urlsplit(url).path, "/" + urlsplit(url).path.split("/")[1]),
    ):
        assert sent("GET", wrong) in (400, 403), wrong
    for method in ("PUT", "DELETE", "POST"):
        assert sent(method, url, b"x") in (400, 403, 405), method
