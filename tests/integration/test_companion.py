"""Companion's protocol over the real app and moto, request by request as Uppy 5 and Uppy 6 send them."""

import asyncio
import base64
import json
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch as replace_value

import httpx
import pytest
from aws_lambda_powertools.utilities import parameters
from fastapi.testclient import TestClient

from functions.hasher import excess
from sluice import capabilities
from sluice.capabilities import Holder, Use
from sluice.files import File, Status, new_id
from sluice.limits import GIB, MAX_OBJECT_BYTES, MAX_POST_BYTES, MIB, MIN_PART_BYTES, UNTOLD_POST_BYTES
from sluice.objects import UploadMissing
from tests.integration import proxy as network
from tests.integration.world import BUCKET, TABLE, World, content, environment, ready, run, world
from tests.unit.functions.modules import CAPABILITY_KEY, SECRETS, evicted

DATA = content(MIN_PART_BYTES + 3)
PIECES = (DATA[:MIN_PART_BYTES], DATA[MIN_PART_BYTES:])
ALICE = {"Authorization": "Bearer token-of-alice"}


@dataclass(frozen=True)
class Uppy:
    """A client with one capability."""

    http: TestClient
    here: World
    capability: str

    def ask(self, method: str, path: str, body: Any = None, **params: str) -> httpx.Response:
        answer: httpx.Response = self.http.request(
            method, f"/companion/{self.capability}/s3/{path}", json=body, params=params
        )
        return answer

    def begin(self, filename: str = "a.bin", **metadata: Any) -> dict[str, str]:
        new = {"filename": filename, "type": "text/plain", "metadata": {"name": filename} | metadata}
        answer = self.ask("POST", "multipart", new)
        assert answer.status_code == 200, answer.text
        begun: dict[str, str] = answer.json()
        return begun

    def send(self, begun: dict[str, str], number: int, data: bytes) -> dict[str, Any]:
        """The part as Uppy lists it: with the ETag as S3 gave it."""
        answer = self.ask("GET", f"multipart/{begun['uploadId']}/{number}", key=begun["key"])
        assert answer.status_code == 200, answer.text
        assert 3590 <= answer.json()["expires"] <= 3600
        return {"PartNumber": number, "ETag": put(answer.json()["url"], data)}

    def complete(self, begun: dict[str, str], parts: list[dict[str, Any]]) -> httpx.Response:
        return self.ask("POST", f"multipart/{begun['uploadId']}/complete", {"parts": parts}, key=begun["key"])

    def listed(self, begun: dict[str, str]) -> list[dict[str, Any]]:
        answer = self.ask("GET", f"multipart/{begun['uploadId']}", key=begun["key"])
        assert answer.status_code == 200, answer.text
        parts: list[dict[str, Any]] = answer.json()
        return parts

    def record(self, begun: dict[str, str]) -> File:
        return self.here.near_files.get("alice", begun["uploadId"])

    def hashed(self, key: str) -> File | None:
        """The file after S3's event and the hasher's job."""
        version = self.here.near_objects.head(key).version
        return run(self.here.near_job(), self.here.near_files.get(*key.split("/")[1:]), version)


def put(url: str, data: bytes) -> str:
    """The ETag, as S3 says it."""
    request = urllib.request.Request(url, data, {"Content-Type": "application/octet-stream"}, method="PUT")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return str(answer.headers["ETag"])


def refused(answer: httpx.Response, status: int, code: str) -> str:
    """What Companion's clients read: `error`, and Uppy 5 `message`."""
    told = answer.json()
    assert (answer.status_code, told["code"]) == (status, code), told
    assert told["error"] == told["message"]
    assert told.keys() == {"error", "message", "code"}
    return str(told["error"])


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    with world() as here:
        yield here


@contextmanager
def deployed(here: World, endpoint: str = "", **variables: str) -> Iterator[TestClient]:
    """The API function with these settings, over `here`."""
    endpoint = endpoint or here.near_s3.meta.endpoint_url
    variables |= {"ACCESS_TOKEN_SECRET": "the-tokens", "CAPABILITY_KEY_SECRET": "the-key"}
    variables |= {"STREAM_URL": "https://stream.example", "POWERTOOLS_SERVICE_NAME": "api"}
    names = {"TABLE_NAME": TABLE, "BUCKET_NAME": BUCKET, "QUEUE_URL": here.queue_url}
    before = evicted("functions.api")
    # Mangum takes the thread's event loop; where there is none it makes one that nobody closes.
    with closing(asyncio.new_event_loop()) as loop, environment(endpoint, **variables, **names):
        asyncio.set_event_loop(loop)
        try:
            with replace_value.object(parameters, "get_secret", lambda name, **_: SECRETS[name]):
                app = import_module("functions.api.app").app
                with TestClient(app, base_url="https://api.example") as client:
                    yield client
        finally:
            asyncio.set_event_loop(None)
            evicted("functions.api")
            sys.modules.update(before)


def issued(drop: str | None = None, owner: str = "alice", seconds: int = 60) -> str:
    return capabilities.issue_upload(CAPABILITY_KEY, owner, int(time.time()) + seconds, drop)


@pytest.fixture(scope="module")
def api(here: World) -> Iterator[TestClient]:
    with deployed(here) as client:
        yield client


@pytest.fixture
def uppy(here: World, api: TestClient) -> Uppy:
    return Uppy(api, here, issued())


@pytest.mark.parametrize("metadata", [{}, {"size": str(len(DATA))}])
def test_multipart(uppy: Uppy, metadata: dict[str, Any]) -> None:
    """Begun, signed, sent, listed and completed, with the size told or not, the file is ready with its own bytes."""
    begun = uppy.begin(**metadata)
    assert begun == {"key": f"files/alice/{begun['uploadId']}", "uploadId": begun["uploadId"], "bucket": BUCKET}
    parts = [uppy.send(begun, number, piece) for number, piece in enumerate(PIECES, 1)]
    assert uppy.listed(begun) == [part | {"Size": len(piece)} for part, piece in zip(parts, PIECES, strict=True)]
    # Uppy 5 lists quoted ETags, Uppy 6 bare ones and after a pause both.
    parts[0]["ETag"] = parts[0]["ETag"].strip('"')
    answer = uppy.complete(begun, parts)
    location = f"https://api.example/files/{begun['uploadId']}"
    assert (answer.status_code, answer.json()) == (200, {"location": location, "key": begun["key"], "bucket": BUCKET})
    assert uppy.http.get(location, headers=ALICE).json()["status"] == "assembling"
    assert ready(uppy.hashed(begun["key"]), DATA)


def test_after_completion(uppy: Uppy) -> None:
    """Who resumes a complete upload is told of all its parts, sends none, and completes it as if for the first time."""
    begun = uppy.begin()
    parts = [uppy.send(begun, number, piece) for number, piece in enumerate(PIECES, 1)]
    first = uppy.complete(begun, parts).json()
    for hashed in (False, True):
        if hashed:
            uppy.hashed(begun["key"])
        listed = uppy.listed(begun)
        assert [part["PartNumber"] for part in listed] == [1, 2]
        assert all(part["ETag"] for part in listed)
        assert uppy.complete(begun, listed).json() == first
        refused(uppy.ask("GET", f"multipart/{begun['uploadId']}/2", key=begun["key"]), 409, "wrong_state")


def test_batch(uppy: Uppy) -> None:
    """Several parts are signed at once, each for itself."""
    begun = uppy.begin()
    answer = uppy.ask("GET", f"multipart/{begun['uploadId']}/batch", key=begun["key"], partNumbers="1,2")
    urls = answer.json()["presignedUrls"]
    parts = [{"PartNumber": int(number), "ETag": put(urls[number], PIECES[int(number) - 1])} for number in ("1", "2")]
    assert uppy.complete(begun, parts).status_code == 200


def test_more_parts_than_the_file_can_have(uppy: Uppy) -> None:
    """Where the size is told no URL is made for a part that a file of this size does not have."""
    begun = uppy.begin(size=len(DATA))
    path = f"multipart/{begun['uploadId']}"
    refused(uppy.ask("GET", f"{path}/3", key=begun["key"]), 400, "invalid_part_number")
    refused(uppy.ask("GET", f"{path}/batch", key=begun["key"], partNumbers="2,3"), 400, "invalid_part_number")
    refused(uppy.ask("GET", f"{path}/batch", key=begun["key"], partNumbers="2;3"), 400, "invalid_part_number")


@pytest.mark.parametrize(
    ("told", "sent", "listing", "code"),
    [
        ({}, {1: PIECES[0]}, [1, 2], "parts_missing"),  # listed and never sent
        ({}, {1: PIECES[0], 3: b"three"}, [1, 3], "parts_missing"),  # a gap
        ({}, {1: b"one", 2: b"two"}, [1, 2], "parts_missing"),  # S3 takes none before the last that is so small
        ({}, {1: PIECES[0], 2: b"two"}, [1], "parts_differ"),  # sent and not listed
        ({"size": 1 + len(DATA)}, dict(enumerate(PIECES, 1)), [1, 2], "parts_differ"),
    ],
)
def test_what_is_not_whole_is_not_completed(
    uppy: Uppy, told: dict[str, int], sent: dict[int, bytes], listing: list[int], code: str
) -> None:
    """Parts that are missing, too small, not listed or not of the file's size leave the upload as it is."""
    begun = uppy.begin("a.bin", **told)
    parts = {number: uppy.send(begun, number, data) for number, data in sent.items()}
    refused(
        uppy.complete(begun, [parts.get(number, {"PartNumber": number, "ETag": "x"}) for number in listing]), 409, code
    )
    assert uppy.record(begun).status is Status.UPLOADING


def test_part_that_was_sent_again(uppy: Uppy) -> None:
    """A list with an ETag that is no longer the part's is refused."""
    begun = uppy.begin()
    old = uppy.send(begun, 1, b"old")
    new = uppy.send(begun, 1, b"new")
    refused(uppy.complete(begun, [old]), 409, "parts_differ")
    assert uppy.complete(begun, [new]).status_code == 200
    assert ready(uppy.hashed(begun["key"]), b"new")


def test_giving_up(uppy: Uppy) -> None:
    """DELETE aborts, as often as it is asked; then nothing is listed, signed or completed, and S3 has no parts."""
    begun = uppy.begin()
    path, key = f"multipart/{begun['uploadId']}", begun["key"]
    part = uppy.send(begun, 1, b"one")
    for _ in range(2):
        answer = uppy.ask("DELETE", path, key=key)
        assert (answer.status_code, answer.json()) == (200, {})
    for method, more in (("GET", ""), ("GET", "/1")):
        refused(uppy.ask(method, path + more, key=key), 409, "wrong_state")
    refused(uppy.complete(begun, [part]), 409, "wrong_state")
    uploads = uppy.here.near_s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    assert key not in [upload["Key"] for upload in uploads]
    assert uppy.record(begun).status is Status.ABORTED


def test_giving_up_what_is_complete(uppy: Uppy) -> None:
    """A client that has lost the answer to its completion cannot lose the file with it."""
    begun = uppy.begin()
    assert uppy.complete(begun, [uppy.send(begun, 1, b"whole")]).status_code == 200
    refused(uppy.ask("DELETE", f"multipart/{begun['uploadId']}", key=begun["key"]), 409, "wrong_state")
    assert ready(uppy.hashed(begun["key"]), b"whole")


def test_failed_file_has_no_location(uppy: Uppy) -> None:
    """Neither completing nor listing calls an upload good whose file has failed."""
    begun = uppy.begin()
    part = uppy.send(begun, 1, b"whole")
    uppy.complete(begun, [part])
    version = uppy.here.near_objects.head(begun["key"]).version
    uppy.here.near_objects.delete(begun["key"])
    run(uppy.here.near_job(), uppy.record(begun), version)
    refused(uppy.complete(begun, [part]), 409, "wrong_state")
    refused(uppy.ask("GET", f"multipart/{begun['uploadId']}", key=begun["key"]), 409, "wrong_state")


def test_upload_that_s3_has_lost(uppy: Uppy) -> None:
    """Nobody is made to send parts of an upload that S3 does not know any more."""
    begun = uppy.begin()
    uppy.here.near_objects.abort(begun["key"], str(uppy.record(begun).upload_id))
    refused(uppy.ask("GET", f"multipart/{begun['uploadId']}", key=begun["key"]), 409, "wrong_state")
    refused(uppy.complete(begun, [{"PartNumber": 1, "ETag": "x"}]), 409, "wrong_state")


def test_strangers_ids_and_keys(uppy: Uppy, api: TestClient) -> None:
    """Another owner's or capability's upload, another file's key or protocol, and no file are the same: not there."""
    begun, another = uppy.begin(), uppy.begin()
    single = api.post("/files", json={"filename": "a", "size": 9 * MIB}, headers=ALICE).json()["id"]
    stranger = Uppy(api, uppy.here, issued(owner="bob"))
    cases = [
        (stranger, begun["uploadId"], begun["key"]),
        (uppy, begun["uploadId"], another["key"]),
        (uppy, begun["uploadId"], begun["key"].replace("alice", "bob")),
        (uppy, single, f"files/alice/{single}"),
        (Uppy(api, uppy.here, issued()), begun["uploadId"], begun["key"]),
        (uppy, str(uppy.record(begun).upload_id), begun["key"]),
        (uppy, "0" * 26, f"files/alice/{'0' * 26}"),
    ]
    for client, upload_id, key in cases:
        path = f"multipart/{upload_id}"
        for method, more in (("GET", ""), ("GET", "/1"), ("GET", "/batch"), ("DELETE", "")):
            refused(client.ask(method, path + more, key=key, partNumbers="1"), 404, "file_not_found")
        listed = {"parts": [{"PartNumber": 1, "ETag": "x"}]}
        refused(client.ask("POST", f"{path}/complete", listed, key=key), 404, "file_not_found")
    assert uppy.record(begun).status is Status.UPLOADING


def test_drops_are_strangers_to_each_other(here: World, api: TestClient) -> None:
    """Through a drop nobody reaches an upload of the owner's or of another drop, and its rules hold."""
    drops = [
        api.post("/drops", json={"max_files": 2, "expires_in": 60, **more}, headers=ALICE).json()
        for more in ({"max_file_bytes": 6 * MIB}, {"content_types": ["image/*"]})
    ]
    one, other = (Uppy(api, here, drop["capability"]) for drop in drops)
    begun = one.begin()
    for client in (other, Uppy(api, here, issued(drop=drops[1]["id"]))):
        refused(client.ask("GET", f"multipart/{begun['uploadId']}", key=begun["key"]), 404, "file_not_found")
    owners = Uppy(api, here, issued()).begin()
    refused(one.ask("DELETE", f"multipart/{owners['uploadId']}", key=owners["key"]), 404, "file_not_found")
    refused(other.ask("POST", "multipart", {"filename": "a", "type": "text/plain"}), 415, "content_type_refused")
    refused(one.ask("GET", f"multipart/{begun['uploadId']}/3", key=begun["key"]), 400, "invalid_part_number")
    policy = one.ask("GET", "params", filename="a").json()
    assert ["content-length-range", 0, 6 * MIB] in conditions(policy)
    refused(one.ask("POST", "multipart", {"filename": "a"}), 403, "drop_full")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("video/webm;codecs=vp8,opus", "video/webm;codecs=vp8,opus"),
        *((nothing, "image/heic") for nothing in (None, "", "undefined", "application/octet-stream", "x" * 9_000)),
    ],
)
def test_a_type_that_the_browser_does_not_know_is_guessed(uppy: Uppy, said: str | None, kept: str) -> None:
    """Uppy says so in several ways, and sends what a recorder says as it is."""
    begun = uppy.ask("POST", "multipart", {"filename": "IMG_1.HEIC", "type": said}).json()
    assert uppy.record(begun).content_type == kept
    form = uppy.ask("GET", "params", filename="IMG_1.HEIC", **({} if said is None else {"type": said})).json()
    assert form["fields"]["Content-Type"] == kept


def conditions(form: dict[str, Any]) -> list[Any]:
    found: list[Any] = json.loads(base64.b64decode(form["fields"]["policy"]))["conditions"]
    return found


@pytest.mark.parametrize(("told", "allowed"), [({}, [0, MAX_POST_BYTES]), ({"metadata[size]": "9"}, [9, 9])])
def test_one_post(uppy: Uppy, told: dict[str, str], allowed: list[int]) -> None:
    """A form for exactly one object, locked to the size where it is told; S3's event alone makes the file ready."""
    answer = uppy.ask("GET", "params", filename="a +ü.txt", type="text/plain", **told)
    form = answer.json()
    assert (answer.status_code, form["method"], form["url"][-1]) == (200, "POST", "/")
    assert 3590 <= form["expires"] <= 3600
    assert ["content-length-range", *allowed] in conditions(form)
    assert {"key": form["fields"]["key"]} in conditions(form)
    assert {"Content-Type": "text/plain"} in conditions(form)
    sent = httpx.post(form["url"], data=form["fields"], files={"file": b"nine byte"}, trust_env=False)
    assert sent.status_code == int(form["fields"]["success_action_status"]) == 201
    file = uppy.hashed(form["fields"]["key"])
    assert file is not None
    assert (file.filename, file.size, file.part_count) == ("a +ü.txt", 9, 1)
    assert ready(file, b"nine byte")


@pytest.mark.parametrize("heard_first", [0, 1])
def test_a_form_that_is_posted_twice(uppy: Uppy, heard_first: int) -> None:
    """Whichever of the two S3 announces first is the file, and no version lies above it that the bucket would keep."""
    form = uppy.ask("GET", "params", filename="a").json()
    key, bodies, sent = form["fields"]["key"], [b"once", b"twice"], []
    for body in bodies:
        assert httpx.post(form["url"], data=form["fields"], files={"file": body}, trust_env=False).is_success
        sent.append(uppy.here.near_objects.head(key).version)
    first, second = sent[heard_first], sent[1 - heard_first]
    file = uppy.here.near_files.get(*key.split("/")[1:])
    for _ in range(2):  # an event may come twice
        done = run(uppy.here.near_job(), file, first) or uppy.here.now(file)
        assert run(uppy.here.near_job(), file, second) is None
    assert ready(done, bodies[heard_first])
    listed = uppy.here.near_s3.list_object_versions(Bucket=BUCKET, Prefix=key)["Versions"]
    assert [(one["VersionId"], one["IsLatest"]) for one in listed] == [(done.version_id, True)]


def test_too_large_for_one_post(uppy: Uppy) -> None:
    """S3 takes 5 GiB in one POST."""
    told = {"metadata[size]": str(MAX_POST_BYTES + 1)}
    refused(uppy.ask("GET", "params", filename="a", **told), 413, "file_too_large")
    uppy.ask("GET", "params", **{"filename": "a", "metadata[size]": str(MAX_POST_BYTES)}).raise_for_status()


def test_unknown_size_is_shown_as_such(uppy: Uppy) -> None:
    """The API says `null` for what only the client knows, and completes nothing whose end it does not know."""
    begun = uppy.begin()
    path = f"/files/{begun['uploadId']}"
    shown = uppy.http.get(path, headers=ALICE).json()
    assert (shown["size"], shown["part_size"], shown["part_count"]) == (None, None, None)
    assert uppy.record(begun).progress()["size"] is None
    answer = uppy.http.get(f"{path}/parts?numbers=1", headers=ALICE)
    assert (answer.json()["parts"][0]["size"], answer.json()["received"]) == (None, [])
    answer = uppy.http.post(f"{path}/complete", headers=ALICE)
    assert (answer.status_code, answer.json()["code"]) == (409, "parts_differ")
    uppy.complete(begun, [uppy.send(begun, 1, b"whole")])
    shown = uppy.http.get(path, headers=ALICE).json()
    assert (shown["size"], shown["part_size"], shown["part_count"]) == (5, None, 1)


@pytest.mark.parametrize("kind", [None, "", "undefined", "null", "no type"])
def test_type_that_is_none(uppy: Uppy, kind: str | None) -> None:
    """Uppy 5 sends "undefined" for a type that the browser does not know: such a file is just bytes."""
    answer = uppy.ask("POST", "multipart", {"filename": "a", "type": kind, "metadata": None})
    assert uppy.record(answer.json()).content_type == "application/octet-stream"


@pytest.mark.parametrize("size", ["undefined", "null", "", "-1", "1.5", 1.5, True, None, [1]])
def test_size_that_is_none(uppy: Uppy, size: Any) -> None:
    """Neither a number of bytes nor the text of one: then the size is not known."""
    assert uppy.record(uppy.begin(size=size)).size_limit == MAX_OBJECT_BYTES


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "multipart", None, "invalid_request"),
        ("POST", "multipart", {"type": "text/plain"}, "invalid_request"),
        ("POST", "multipart", {"filename": "a/b"}, "invalid_filename"),
        ("GET", "params", None, "invalid_request"),
        ("GET", "multipart/{id}", None, "invalid_request"),
        ("GET", "multipart/{id}/0?key={key}", None, "invalid_request"),
        ("GET", "multipart/{id}/10001?key={key}", None, "invalid_request"),
        ("GET", "multipart/{id}/one?key={key}", None, "invalid_request"),
        ("GET", "multipart/{id}/batch?key={key}", None, "invalid_request"),
        ("POST", "multipart/{id}/complete?key={key}", {"parts": []}, "invalid_request"),
        ("POST", "multipart/{id}/complete?key={key}", {"parts": [{"PartNumber": 1}]}, "invalid_request"),
    ],
)
def test_invalid_requests(uppy: Uppy, method: str, path: str, body: Any, code: str) -> None:
    """What the protocol does not have is a 400 with an `error`."""
    begun = uppy.begin()
    url = f"/companion/{uppy.capability}/s3/{path.format(id=begun['uploadId'], key=begun['key'])}"
    assert refused(uppy.http.request(method, url, json=body), 400, code)


def test_body_that_is_no_json(uppy: Uppy) -> None:
    """Neither is that."""
    url, headers = f"/companion/{uppy.capability}/s3/multipart", {"Content-Type": "application/json"}
    answer = uppy.http.post(url, content=b"{", headers=headers)
    refused(answer, 400, "invalid_json")


def test_capabilities_of_other_kinds(uppy: Uppy, api: TestClient) -> None:
    """A capability that is altered, over, for a link, or of a drop that has ended opens nothing."""
    link = capabilities.issue(CAPABILITY_KEY, Holder("alice"), "0" * 26, Use.CONTENT, 60)
    for capability, status, code in [
        (uppy.capability[:-2], 403, "invalid_capability"),
        (link, 403, "invalid_capability"),
        ("x", 403, "invalid_capability"),
        (issued(seconds=-1), 403, "expired_capability"),
        (issued(drop="0" * 26), 404, "drop_not_found"),
    ]:
        stranger = Uppy(api, uppy.here, capability)
        refused(stranger.ask("POST", "multipart", {"filename": "a"}), status, code)
        refused(stranger.ask("GET", "params", filename="a"), status, code)


def test_limits_of_a_size_that_nobody_told(here: World) -> None:
    """What turns out to be larger than a file may be fails when it completes, says why, and leaves nothing in S3."""
    with deployed(here, MAX_FILE_BYTES=str(6 * MIB)) as client:
        uppy = Uppy(client, here, issued())
        refused(uppy.ask("POST", "multipart", {"filename": "a", "metadata": {"size": 7 * MIB}}), 413, "file_too_large")
        begun = uppy.begin()
        refused(uppy.ask("GET", f"multipart/{begun['uploadId']}/3", key=begun["key"]), 400, "invalid_part_number")
        parts = [uppy.send(begun, 1, PIECES[0]), uppy.send(begun, 2, bytes(2 * MIB))]
        for _ in range(2):
            answer = uppy.complete(begun, parts)
        refused(answer, 409, "wrong_state")
        record = uppy.record(begun)
        assert (record.status, record.reason) == (Status.FAILED, "file_too_large")
        uploads = here.near_s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        assert begun["key"] not in [upload["Key"] for upload in uploads]


@pytest.mark.parametrize("operation", ["GetItem", "ListParts"])
def test_aws_that_refuses_is_told_as_companion_tells_it(
    here: World, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is throttled, or S3 is slow: Uppy reads why, and may ask again."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    with deployed(here, here.proxy.url) as client:
        uppy = Uppy(client, here, issued())
        begun = uppy.begin()
        here.proxy.fail_always(operation, network.says(503, "SlowDown"))
        try:
            answer = uppy.ask("GET", f"multipart/{begun['uploadId']}", key=begun["key"])
        finally:
            here.proxy.recover()
        refused(answer, 503, "busy")
        assert answer.headers["Retry-After"]


def test_quota_of_a_size_that_nobody_told(here: World) -> None:
    """The owner's bytes are counted when they are known; with room made, the same upload completes."""
    with deployed(here, OWNER_BYTES=str(GIB)) as client:
        uppy = Uppy(client, here, issued(owner="bob"))
        big = uppy.begin(size=GIB - 4)
        begun = uppy.begin()
        parts = [uppy.send(begun, 1, b"5 byt")]
        refused(uppy.complete(begun, parts), 403, "quota_exceeded")
        assert here.near_files.get("bob", begun["uploadId"]).status is Status.UPLOADING
        assert uppy.ask("DELETE", f"multipart/{big['uploadId']}", key=big["key"]).status_code == 200
        assert uppy.complete(begun, parts).status_code == 200


def test_quota_of_posts_whose_size_nobody_told(here: World) -> None:
    """S3 asks nobody when a POST comes, so the most that it may bring is promised until it is known what it brought."""
    with deployed(here, OWNER_BYTES=str(2 * UNTOLD_POST_BYTES)) as client:
        uppy = Uppy(client, here, issued(owner="carol"))
        forms = [uppy.ask("GET", "params", filename="a").json() for _ in range(2)]
        assert all(["content-length-range", 0, UNTOLD_POST_BYTES] in conditions(form) for form in forms)
        refused(uppy.ask("GET", "params", filename="a"), 403, "quota_exceeded")
        httpx.post(forms[0]["url"], data=forms[0]["fields"], files={"file": b"small"}, trust_env=False)
        assert ready(uppy.hashed(forms[0]["fields"]["key"]), b"small")
        assert uppy.ask("GET", "params", **{"filename": "a", "metadata[size]": "1"}).status_code == 200


@pytest.mark.parametrize("ask", ["another URL", "the list", "completion", "nothing"])
def test_more_than_was_promised_does_not_stay(here: World, uppy: Uppy, ask: str) -> None:
    """A URL of a part says no size: what S3 holds is looked at with every request, and later where there is none."""
    here.messages()
    begun = uppy.begin(size=6)
    part = uppy.send(begun, 1, b"x" * 60)
    path = f"multipart/{begun['uploadId']}"
    match ask:
        case "another URL":
            refused(uppy.ask("GET", f"{path}/1", key=begun["key"]), 413, "file_too_large")
        case "the list":
            refused(uppy.ask("GET", path, key=begun["key"]), 413, "file_too_large")
        case "completion":
            refused(uppy.complete(begun, [part]), 413, "file_too_large")
        case _:
            assert excess.measure(here.near_files, here.near_objects, "alice", begun["uploadId"])
    file = here.near_files.get("alice", begun["uploadId"])
    assert (file.status, file.reason) == (Status.FAILED, "file_too_large")
    with pytest.raises(UploadMissing):
        here.near_objects.parts(file.key, str(file.upload_id))
    assert excess.measure(here.near_files, here.near_objects, "alice", begun["uploadId"]) is None


def test_an_upload_within_its_promise_is_measured_on(here: World, uppy: Uppy) -> None:
    """Until it ends, and nothing of it is touched."""
    begun = uppy.begin(size=60)
    uppy.send(begun, 1, b"x" * 60)
    file = here.near_files.get("alice", begun["uploadId"])
    assert excess.measure(here.near_files, here.near_objects, "alice", begun["uploadId"]) == file
    assert excess.measure(here.near_files, here.near_objects, "alice", new_id()) is None


def test_what_an_owner_gave_out_ends_with_him(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken out of the secret he has no capability, no drop and no link any more; the record stays."""
    with deployed(here) as client:
        bob = {"Authorization": "Bearer token-of-bob"}
        capability = client.post("/capabilities", headers=bob).json()["capability"]
        drop = client.post("/drops", json={"max_files": 1, "expires_in": 60}, headers=bob).json()["capability"]
        wanted = {"filename": "a", "size": 1}
        through = [{"Authorization": f"Bearer {text}"} for text in (capability, drop)]
        assert {client.post("/files", json=wanted, headers=each).status_code for each in through} == {201}
        monkeypatch.setitem(SECRETS, "the-tokens", '{"alice": "token-of-alice"}')
        for each in (bob, *through):
            answer = client.post("/files", json=wanted, headers=each)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert client.get(f"/companion/{drop}/s3/params?filename=a").status_code == 403


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        *(("a.bin", None), ("a/a.bin", "a"), ("2026/Übung 雪/a.bin", "2026/Übung 雪"), ("a/b/other name.txt", "a/b")),
        *(("/a/a.bin", "a"), ("./a//a.bin", "a"), ("a/", "a"), ("", None), ("null", None), ("undefined", None)),
        *((None, None), (7, None), ("../a.bin", None), ("a/../../a.bin", None), ("a\\b/a.bin", None)),
        *(("x" * 256 + "/a.bin", None), ("x/" * 600 + "a.bin", None), ("a\u202eb/a.bin", None)),
    ],
)
def test_a_folder_that_was_dropped_stays_one(uppy: Uppy, path: Any, kept: str | None) -> None:
    """Uppy tells each file's path with its name at the end; no upload fails for a path that cannot be kept."""
    assert uppy.record(uppy.begin("a.bin", relativePath=path)).folder == kept
    form = uppy.ask("GET", "params", **{"filename": "a.bin", "metadata[relativePath]": str(path)}).json()
    assert uppy.here.near_files.get(*form["fields"]["key"].split("/")[1:]).folder == kept


def test_a_pages_metadata_is_the_files(uppy: Uppy) -> None:
    """But for what the file says by itself: texts as they are, numbers and truths as JavaScript writes them."""
    told: dict[str, Any] = {
        "type": "text/plain",
        "size": 9,
        "relativePath": "a/a.bin",
        "caption": "Ü 雪",
        "n": 7,
        "half": 0.5,
    }
    record = uppy.record(
        uppy.begin(**told, ok=True, empty="", nothing=None, list=[1], object={"a": 1}, gone="undefined")
    )
    assert record.metadata == {"caption": "Ü 雪", "n": "7", "half": "0.5", "ok": "true", "empty": ""}
    assert (record.filename, record.size, record.folder) == ("a.bin", 9, "a")
    params = {
        "filename": "a.bin",
        "metadata[caption]": "Ü 雪",
        "metadata[name]": "a.bin",
        "metadata[]": "x",
        "more": "y",
    }
    form = uppy.ask("GET", "params", **params).json()
    assert uppy.here.near_files.get(*form["fields"]["key"].split("/")[1:]).metadata == {"caption": "Ü 雪"}


def test_metadata_that_is_too_much_fails_no_upload(uppy: Uppy) -> None:
    """As much of it is kept as fits, what comes first first."""
    many = {f"m{number}": "x" for number in range(1_000)}
    assert uppy.record(uppy.begin(**many)).metadata == dict(list(many.items())[:20])
    large = {"large": "x" * 2_048, "half": "\ud800", "": "no name", "small": "x"}
    new = json.dumps({"filename": "a.bin", "metadata": large | {"relativePath": "\ud800/a.bin"}})
    url = f"/companion/{uppy.capability}/s3/multipart"
    record = uppy.record(uppy.http.post(url, content=new, headers={"Content-Type": "application/json"}).json())
    assert (record.metadata, record.folder) == ({"small": "x"}, None)
    assert uppy.record(uppy.begin()).metadata is None
