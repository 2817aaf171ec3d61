"""Many files as one ZIP, through the front doors of the real stack."""

import hashlib
import io
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from sluice.capabilities import Use
from tests.integration import journey
from tests.integration.conftest import Stack, thorough
from tests.integration.journey import MIB
from tests.integration.test_api import problem
from tests.integration.test_stream import get, length

UNKNOWN = "0" * 26
NAMES = ("a.txt", "a.txt", "A.TXT", "\U0001f3d4\ufe0f Größe.txt", "con.txt", "empty.bin")


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[httpx.Client]:
    with journey.client(stack.api, stack.token) as client:
        yield client


@pytest.fixture(scope="module")
def other(stack: Stack) -> Iterator[httpx.Client]:
    with journey.client(stack.api, stack.other_token) as client:
        yield client


def kept(api: httpx.Client, data: bytes, name: str = "file.bin") -> dict[str, Any]:
    """A small file in one request."""
    answer = api.put(f"/files/{name}", content=data)
    assert answer.status_code == 201, answer.text
    file: dict[str, Any] = answer.json()
    return file


def archived(api: httpx.Client, **wanted: Any) -> dict[str, Any]:
    answer = api.post("/archives", json=wanted)
    assert answer.status_code == 201, answer.text
    archive: dict[str, Any] = answer.json()
    assert answer.headers["location"] == archive["links"]["self"]
    return archive


def finished(archive: dict[str, Any]) -> dict[str, Any]:
    """The archive once nothing more happens to it."""
    *_, last = journey.events(archive["links"]["events"])
    return last.data


class Made:
    """An archive of small files, and what it should hold."""

    def __init__(self, api: httpx.Client) -> None:
        self.bodies = [journey.random_bytes(size) for size in (10, 2000, 5, 3 * MIB, 300, 0)]
        self.files = [kept(api, body, name) for body, name in zip(self.bodies, NAMES, strict=True)]
        self.archive = archived(api, files=[file["id"] for file in self.files], filename="Größe.zip")
        self.url = self.archive["links"]["content"]
        self.whole = get(self.url).content


@pytest.fixture(scope="module")
def made(api: httpx.Client) -> Made:
    return Made(api)


def test_an_archive_is_a_zip_of_the_files(made: Made) -> None:
    """Ready at once, as long as was said, and all that was sent is in it under its name."""
    assert (made.archive["status"], made.archive["count"]) == ("ready", len(NAMES))
    assert len(made.whole) == made.archive["size"]
    with zipfile.ZipFile(io.BytesIO(made.whole)) as read:
        assert read.testzip() is None
        names = ["a.txt", "a (2).txt", "A (3).TXT", NAMES[3], "con.txt", "empty.bin"]
        assert read.namelist() == names
        assert [read.read(name) for name in read.namelist()] == made.bodies


def test_headers_are_those_of_a_download(made: Made) -> None:
    """Length, name, type and ETag are known before the first byte; HEAD tells the same."""
    for answer in (get(made.url), httpx.head(made.url, trust_env=False)):
        assert answer.status_code == 200
        assert length(answer) == made.archive["size"]
        assert answer.headers["content-type"] == "application/zip"
        assert answer.headers["content-disposition"].endswith("filename*=UTF-8''Gr%C3%B6%C3%9Fe.zip")
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["x-content-type-options"] == "nosniff"
    etag = get(made.url).headers["etag"]
    assert get(made.url, **{"If-None-Match": etag}).status_code == 304
    problem(get(made.url, **{"If-Match": '"other"'}), 412, "precondition_failed")


@pytest.mark.parametrize("first", [0, 1, 29, 30, 35, 44, 54, 60, 2100, 2 * MIB, -22, -1, -300])
def test_any_range_is_that_part_of_it(made: Made, first: int) -> None:
    """Also one that begins or ends inside a header or the directory."""
    size = len(made.whole)
    start = first % size
    for stop in {start + 1, min(start + 33, size), min(start + MIB, size), size}:
        answer = get(made.url, Range=f"bytes={start}-{stop - 1}")
        assert answer.status_code == 206
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
        assert answer.content == made.whole[start:stop]


def test_a_download_can_be_resumed(made: Made) -> None:
    """The same ETag means the same bytes; with another one the whole comes anew."""
    etag = get(made.url).headers["etag"]
    assert get(made.url, Range="bytes=100-", **{"If-Range": etag}).content == made.whole[100:]
    assert get(made.url, Range="bytes=100-", **{"If-Range": '"other"'}).content == made.whole
    answer = get(made.url, Range=f"bytes={len(made.whole)}-")
    problem(answer, 416, "range_not_satisfiable")


@pytest.mark.parametrize(
    "command", [["unzip", "-tq"], ["bsdtar", "-tf"], ["7z", "t", "-bso0"], ["python3", "-m", "zipfile", "-t"]]
)
def test_the_tools_that_people_have_read_it(made: Made, command: list[str], tmp_path: Path) -> None:
    """Those that are on this machine."""
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    path = tmp_path / "archive.zip"
    path.write_bytes(made.whole)
    run = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr


def test_it_is_shown_until_it_is_deleted(api: httpx.Client, other: httpx.Client) -> None:
    """To its owner, and to nobody else."""
    file = kept(api, b"x")
    archive = archived(api, files=[file["id"]])
    shown = api.get(f"/archives/{archive['id']}").json()
    assert shown | {"links": 0} == archive | {"links": 0}
    assert shown["filename"] == "files.zip"
    for client, status in ((other, 404), (api, 204), (api, 404)):
        answer = client.delete(f"/archives/{archive['id']}")
        assert answer.status_code == status
    problem(api.get(f"/archives/{archive['id']}"), 404, "archive_not_found")
    problem(get(archive["links"]["content"]), 404, "archive_not_found")
    assert api.get(f"/files/{file['id']}").json()["status"] == "ready"


def test_a_link_is_for_one_archive_and_one_use(api: httpx.Client, made: Made) -> None:
    """The capability of another archive, of its events, or of a file does not let in."""
    file = kept(api, b"x")
    another = archived(api, files=[file["id"]])
    base = made.url.partition("?")[0]
    for link in (another["links"]["content"], made.archive["links"]["events"], file["links"]["content"]):
        problem(get(f"{base}?{link.partition('?')[2]}"), 403, "invalid_capability")
    problem(get(base), 403, "invalid_capability")
    assert Use.ARCHIVE in Use


def test_events_say_that_it_is_ready(made: Made) -> None:
    """One event for an archive that was ready at once; who has seen it stays away."""
    (event,) = journey.events(made.archive["links"]["events"])
    assert event.name == "ready"
    assert event.data == {name: value for name, value in made.archive.items() if name != "links"}
    assert get(made.archive["links"]["events"], **{"Last-Event-ID": event.id}).status_code == 204


def test_what_came_through_a_drop_is_one_archive(api: httpx.Client, stack: Stack) -> None:
    """Also after the drop has ended; a drop that never was is none."""
    drop = api.post("/drops", json={"max_files": 3, "expires_in": 600}).json()
    with journey.client(stack.api, drop["capability"]) as guest:
        ended = journey.ended(guest, journey.upload(guest, b"from a guest", "guest.txt"))
        journey.create(guest, 10)
    assert ended["status"] == "ready"
    assert api.delete(f"/drops/{drop['id']}").status_code == 204
    archive = finished(archived(api, drop=drop["id"]))
    assert (archive["status"], archive["count"]) == ("ready", 1)
    problem(api.post("/archives", json={"drop": UNKNOWN}), 404, "drop_not_found")


def test_a_file_that_was_never_read_is_read_for_it(api: httpx.Client) -> None:
    """What S3's digests made ready has no CRC yet: the archive is built as soon as it has."""
    data = journey.random_bytes(1000)
    file = journey.ended(api, journey.upload(api, data, digests={"sha-256": hashlib.sha256(data).hexdigest()}))
    assert file["status"] == "ready"
    archive = archived(api, files=[file["id"]])
    assert finished(archive)["status"] == "ready"
    with zipfile.ZipFile(io.BytesIO(get(archive["links"]["content"]).content)) as read:
        assert read.read("file.bin") == data


def test_what_cannot_be_archived(api: httpx.Client, other: httpx.Client) -> None:
    """Each mistake has its own answer, and says which file it is about."""
    mine, unfinished, foreign = kept(api, b"x"), journey.create(api, 10), kept(other, b"x")

    def refused(status: int, code: str, **wanted: Any) -> dict[str, Any]:
        answer = api.post("/archives", json=wanted)
        problem(answer, status, code)
        document: dict[str, Any] = answer.json()
        return document

    assert refused(404, "file_not_found", files=[mine["id"], foreign["id"]])["id"] == foreign["id"]
    assert refused(404, "file_not_found", files=[UNKNOWN])["id"] == UNKNOWN
    not_ready = refused(409, "not_ready", files=[mine["id"], unfinished["id"]])
    assert (not_ready["id"], not_ready["state"]) == (unfinished["id"], "uploading")
    refused(422, "invalid_request", files=[])
    refused(422, "invalid_request")
    refused(422, "invalid_request", files=[mine["id"]], folder="")
    refused(422, "invalid_request", files=["a"] * 100_001)
    refused(422, "invalid_request", files=[mine["id"] * 2])
    refused(413, "body_too_large", files=[mine["id"]] * 150_000)
    for folder in ("../a", "a/..", ".", "a/\0"):
        refused(422, "invalid_folder", folder=folder)
    refused(422, "invalid_request", folder="a" * 1025)
    refused(422, "archive_empty", folder="nobody/was/here")
    refused(422, "invalid_filename", files=[mine["id"]], filename="a/b.zip")
    assert archived(api, files=[mine["id"]] * 3)["count"] == 1


def test_a_file_that_is_deleted_later_breaks_it(api: httpx.Client) -> None:
    """Before the first byte it is a problem that names the file."""
    file = kept(api, b"x")
    archive = archived(api, files=[file["id"]])
    assert api.delete(f"/files/{file['id']}").status_code == 204
    answer = get(archive["links"]["content"])
    problem(answer, 410, "object_missing")
    assert answer.json()["file"] == file["id"]


@thorough
def test_what_is_larger_than_a_streamed_answer_is_put_together_in_s3(
    api: httpx.Client, stack: Stack, tmp_path: Path
) -> None:
    """300 MB of 40 files, with progress; then the content is a redirect to an object that unzips."""
    folder, size = tmp_path / "out", 7_500_000
    bodies = {f"{number:02}.bin": journey.random_bytes(size) for number in range(40)}
    with ThreadPoolExecutor(4) as uploads:
        sent = [*uploads.map(lambda one: journey.upload(api, one[1], one[0]), bodies.items())]
    files = [journey.ended(api, file)["id"] for file in sent]
    archive = archived(api, files=files, filename="large.zip")
    assert (archive["status"], archive["count"]) == ("building", 40)
    problem(get(archive["links"]["content"]), 409, "archive_not_ready")
    *progress, last = journey.events(archive["links"]["events"])
    assert (last.name, last.data["status"]) == ("ready", "ready")
    assert last.data["built_bytes"] == last.data["size"] == archive["size"]
    assert [event.name for event in progress] == ["progress"] * len(progress)
    assert sorted(event.data["built_bytes"] for event in progress) == [event.data["built_bytes"] for event in progress]

    url = archive["links"]["content"]
    head = httpx.head(url, trust_env=False)
    assert (head.status_code, length(head)) == (200, archive["size"])
    answer = get(url)
    assert answer.status_code == 307
    assert get(answer.headers["location"], Range="bytes=0-3").content == b"PK\x03\x04"
    path = tmp_path / "large.zip"
    with httpx.stream("GET", url, follow_redirects=True, timeout=60, trust_env=False) as stream:
        path.write_bytes(b"".join(stream.iter_bytes()))
    assert path.stat().st_size == archive["size"]
    with zipfile.ZipFile(path) as read:
        read.extractall(folder)
    assert {one.name: one.read_bytes() == bodies[one.name] for one in folder.iterdir()} == dict.fromkeys(bodies, True)
    assert api.delete(f"/archives/{archive['id']}").status_code == 204
    problem(get(url), 404, "archive_not_found")
    holders_of_a_share_have_it_put_together(api, stack, files)


def holders_of_a_share_have_it_put_together(api: httpx.Client, stack: Stack, files: list[str]) -> None:
    """Once for all of them; each redirect counts, and none is given where a file was deleted since."""
    share = shared(api, files=files, max_downloads=2)
    with journey.client(stack.api, share["capability"]) as holder:
        link = holder.post(f"/shares/{share['id']}/open").json()["links"]["archive"]
        problem(get(link), 409, "archive_not_ready")
        first, second = (archived(holder, share=share["id"]) for _ in range(2))
        assert first["id"] == second["id"]
        assert finished(first)["status"] == "ready"
        assert holder.get(f"/archives/{first['id']}").json()["status"] == "ready"
        problem(holder.delete(f"/archives/{first['id']}"), 403, "owner_only")
        for url in (link, first["links"]["content"]):
            answer = get(url)
            assert answer.status_code == 307
            assert get(answer.headers["location"], Range="bytes=0-3").content == b"PK\x03\x04"
        problem(get(second["links"]["content"]), 403, "share_used_up")
    assert api.get(f"/shares/{share['id']}").json()["downloads"] == 2

    again = shared(api, files=files)
    with journey.client(stack.api, again["capability"]) as holder:
        built = archived(holder, share=again["id"])
        assert finished(built)["status"] == "ready"
        assert api.delete(f"/files/{files[0]}").status_code == 204
        problem(get(built["links"]["content"]), 409, "archive_not_ready")
        assert archived(holder, share=again["id"])["count"] == len(files) - 1


def shared(api: httpx.Client, **wanted: Any) -> dict[str, Any]:
    answer = api.post("/shares", json={"expires_in": 600} | wanted)
    assert answer.status_code == 201, answer.text
    share: dict[str, Any] = answer.json()
    return share


def test_a_share_is_one_archive(api: httpx.Client, stack: Stack) -> None:
    """Streamed by the link that its opening gives, in any range, and counted like a file; it ends with the share."""
    bodies = {"a.txt": b"first", "b.txt": b"second"}
    files = [kept(api, body, name)["id"] for name, body in bodies.items()]
    share = shared(api, files=files, title="Holiday/2026", max_downloads=2, password="secret")
    with journey.client(stack.api, share["capability"]) as holder:
        opening = holder.post(f"/shares/{share['id']}/open", json={"password": "secret"}).json()
        link = opening["links"]["archive"]
        assert httpx.head(link, trust_env=False).status_code == 200
        whole = get(link)
        assert whole.status_code == 200
        assert whole.headers["content-disposition"] == 'attachment; filename="Holiday_2026.zip"'
        with zipfile.ZipFile(io.BytesIO(whole.content)) as read:
            assert {name: read.read(name) for name in read.namelist()} == bodies
        other = holder.post(f"/shares/{share['id']}/open", json={"password": "secret"}).json()["links"]["archive"]
        for start in (0, 10, 50):
            answer = get(other, Range=f"bytes={start}-", **{"If-Range": whole.headers["etag"]})
            assert (answer.status_code, answer.content) == (206, whole.content[start:])
        assert api.get(f"/shares/{share['id']}").json()["downloads"] == 2
        problem(get(link), 403, "share_used_up")
        problem(holder.post("/archives", json={"share": share["id"], "password": "wrong"}), 403, "wrong_password")
        problem(holder.post("/archives", json={"share": share["id"]}), 403, "wrong_password")
        problem(holder.post("/archives", json={"share": share["id"], "password": "secret"}), 403, "share_used_up")
        problem(holder.post("/archives", json={"files": files}), 403, "owner_only")
        owners = archived(api, share=share["id"])
        assert (owners["status"], owners["filename"]) == ("ready", "Holiday_2026.zip")
        assert get(owners["links"]["content"]).content == whole.content
        assert holder.get(f"/archives/{owners['id']}").status_code == 200
        another = archived(api, files=files)
        problem(holder.get(f"/archives/{another['id']}"), 404, "archive_not_found")
        assert api.delete(f"/shares/{share['id']}").status_code == 204
        problem(get(link), 404, "share_not_found")
        problem(holder.post("/archives", json={"share": share["id"]}), 404, "share_not_found")
    problem(api.post("/archives", json={"share": UNKNOWN}), 404, "share_not_found")
    problem(get(link.replace(f"/shares/{share['id']}", f"/shares/{UNKNOWN}")), 403, "invalid_capability")


def test_what_was_deleted_is_not_in_a_shares_archive(api: httpx.Client, stack: Stack) -> None:
    """As it is left out when the share is opened."""
    gone, kept_one = kept(api, b"gone", "gone.txt"), kept(api, b"kept", "kept.txt")
    share = shared(api, files=[gone["id"], kept_one["id"]])
    with journey.client(stack.api, share["capability"]) as holder:
        link = holder.post(f"/shares/{share['id']}/open").json()["links"]["archive"]
        assert api.delete(f"/files/{gone['id']}").status_code == 204
        with zipfile.ZipFile(io.BytesIO(get(link).content)) as read:
            assert read.namelist() == ["kept.txt"]
        assert api.delete(f"/files/{kept_one['id']}").status_code == 204
        problem(get(link), 410, "object_missing")
        problem(holder.post("/archives", json={"share": share["id"]}), 422, "archive_empty")
