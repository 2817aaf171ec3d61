"""A ready file whose object is not what its record says: the stream function over moto, through the bad network."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event
from types import ModuleType
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from sluice import capabilities
from sluice.capabilities import Holder, Use
from sluice.files import File, Status
from tests.integration.proxy import Answer, Exchange, Fault
from tests.integration.test_content import counted
from tests.integration.world import BUCKET, World, content, digests, world
from tests.unit.core.records import a_file
from tests.unit.functions.modules import CAPABILITY_KEY, imported, noted_downloads

LIMIT = 1000  # the STREAM_LIMIT_BYTES of the tests
# The ways in which something is asked before the first byte: method, bytes of the file, and what is added to its link.
WAYS = [
    *(("GET", 100, ""), ("GET", 0, ""), ("GET", LIMIT + 1, ""), ("GET", 100, "&direct=1")),
    *(("HEAD", 100, ""), ("HEAD", 0, ""), ("HEAD", LIMIT + 1, ""), ("HEAD", 100, "&direct=1")),
]
ways = pytest.mark.parametrize(("method", "size", "more"), WAYS)


@pytest.fixture(scope="module")
def everything() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture
def here(everything: World) -> World:
    return everything.fresh()


@pytest.fixture(scope="module")
def module() -> Iterator[ModuleType]:
    with imported("functions.stream.app") as stream, noted_downloads(stream):
        yield stream


@pytest.fixture
def stream(module: ModuleType, here: World, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """The function, whose table and bucket are behind the network."""
    monkeypatch.setattr(module.contents.connections, "files", here.files)
    monkeypatch.setattr(module.contents.connections, "objects", here.objects)
    return TestClient(module.app, follow_redirects=False)


def kept(here: World, data: bytes, storage: Any = "STANDARD", **changes: Any) -> File:
    """A ready file with its object."""
    file = a_file(status=Status.READY, size=len(data), digests=digests(data))
    made = here.near_s3.put_object(Bucket=BUCKET, Key=file.key, Body=data, StorageClass=storage)
    told = {"etag": made["ETag"].strip('"'), "version_id": made["VersionId"]}
    return here.near_files.create(replace(file, **told | changes))


def asked(stream: TestClient, file: File, method: str = "GET", more: str = "") -> httpx.Response:
    capability = capabilities.issue(CAPABILITY_KEY, Holder(file.owner), file.id, Use.CONTENT, 60)
    answer: httpx.Response = stream.request(method, f"/files/{file.id}/content?capability={capability}{more}")
    return answer


def refused(answer: httpx.Response, status: int, code: str) -> bool:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if answer.request.method != "HEAD":
        assert (answer.json()["code"], answer.json()["status"]) == (code, status)
    return True


def forget(here: World, file: File) -> None:
    """Somebody's hand deletes this version."""
    here.near_s3.delete_object(Bucket=BUCKET, Key=file.key, VersionId=file.version_id)


@ways
def test_what_is_there_is_answered(
    *, stream: TestClient, here: World, capsys: pytest.CaptureFixture[str], method: str, size: int, more: str
) -> None:
    """200 or 307, and no alarm."""
    file = kept(here, content(size))
    status = 307 if more or (method == "GET" and not 0 < size <= LIMIT) else 200
    assert asked(stream, file, method, more).status_code == status
    assert counted(capsys) == []


@ways
def test_an_object_that_is_gone(
    *, stream: TestClient, here: World, capsys: pytest.CaptureFixture[str], method: str, size: int, more: str
) -> None:
    """410, also where nothing but a redirect was asked for, and an alarm."""
    file = kept(here, content(size))
    forget(here, file)
    assert refused(asked(stream, file, method, more), 410, "object_missing")
    assert counted(capsys) == ["FilesLost"]


@ways
def test_a_deletion_that_names_no_version(
    *, stream: TestClient, here: World, capsys: pytest.CaptureFixture[str], method: str, size: int, more: str
) -> None:
    """Hides the object, and not its version, which is what is asked for."""
    file = kept(here, content(size))
    here.near_s3.delete_object(Bucket=BUCKET, Key=file.key)
    assert asked(stream, file, method, more).status_code in {200, 307}
    assert counted(capsys) == []


@ways
def test_another_object_than_the_one_that_was_hashed(
    *, stream: TestClient, here: World, capsys: pytest.CaptureFixture[str], method: str, size: int, more: str
) -> None:
    """409, and an alarm. (A version never changes: this is a bucket whose versions somebody has tampered with.)"""
    file = kept(here, content(size), etag="0" * 32)
    assert refused(asked(stream, file, method, more), 409, "object_changed")
    assert counted(capsys) == ["FilesLost"]


@ways
@pytest.mark.parametrize("storage", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object(
    *,
    stream: TestClient,
    here: World,
    capsys: pytest.CaptureFixture[str],
    storage: str,
    method: str,
    size: int,
    more: str,
) -> None:
    """409, though S3 answers HEAD as if all were well: it refuses the bytes until somebody restores them."""
    file = kept(here, content(size), storage)
    assert refused(asked(stream, file, method, more), 409, "object_forbidden")
    assert counted(capsys) == ["FilesLost"]


def test_a_restored_object_is_sent(stream: TestClient, here: World) -> None:
    """For as long as S3 has a copy of it."""
    data = content(100)
    file = kept(here, data, "GLACIER")
    restored = {"Bucket": BUCKET, "Key": file.key, "VersionId": file.version_id}
    here.near_s3.restore_object(**restored, RestoreRequest={"Days": 1})
    assert asked(stream, file).content == data
    assert asked(stream, file, "HEAD").status_code == 200


@ways
def test_an_object_that_may_not_be_read(
    *, stream: TestClient, here: World, capsys: pytest.CaptureFixture[str], method: str, size: int, more: str
) -> None:
    """409, and an alarm: a policy of the bucket or of its key denies what the function's role allows."""

    def denied(exchange: Exchange) -> None:
        document = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        exchange.send(Answer(403, document if exchange.command == "GET" else b""))

    file = kept(here, content(size))
    for operation in ("GetObject", "HeadObject"):
        here.proxy.fail_always(operation, denied)
    assert refused(asked(stream, file, method, more), 409, "object_forbidden")
    assert counted(capsys) == ["FilesLost"]


def hung_up(exchange: Exchange) -> None:
    exchange.hang_up(reset=True)


def refusing(exchange: Exchange) -> None:
    exchange.send(Answer(503, b""))


@ways
@pytest.mark.parametrize("fault", [refusing, hung_up], ids=["refusing", "hung up"])
def test_a_bucket_that_does_not_answer(
    *,
    module: ModuleType,
    stream: TestClient,
    here: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fault: Fault,
    method: str,
    size: int,
    more: str,
) -> None:
    """503 with Retry-After long before the reader loses its patience; nothing is lost, and nobody alarmed."""
    monkeypatch.setattr(module.contents.stored, "FIRST_BYTE_SECONDS", 0.2)
    file = kept(here, content(size))
    for operation in ("GetObject", "HeadObject"):
        here.proxy.fail_always(operation, fault)
    answer = asked(stream, file, method, more)
    assert refused(answer, 503, "busy")
    assert int(answer.headers["retry-after"]) > 0
    assert counted(capsys) == []


@pytest.mark.parametrize("more", ["", "&direct=1"])
def test_a_bucket_that_says_nothing(
    module: ModuleType, stream: TestClient, here: World, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    """A connection that hangs is not waited for to the end of a socket's time-out."""
    monkeypatch.setattr(module.contents.stored, "FIRST_BYTE_SECONDS", 0.2)
    answered = Event()

    def silent(exchange: Exchange) -> None:
        answered.wait(30)
        exchange.hang_up()

    file = kept(here, content(100))
    for operation in ("GetObject", "HeadObject"):
        here.proxy.fail_always(operation, silent)
    assert refused(asked(stream, file, more=more), 503, "busy")
    assert not answered.is_set()
    answered.set()


@pytest.mark.parametrize("fault", [refusing, hung_up], ids=["refusing", "hung up"])
def test_a_short_trouble_is_waited_for(stream: TestClient, here: World, fault: Fault) -> None:
    """What passes within the first byte's time nobody sees."""
    data = content(100)
    file = kept(here, data)
    here.proxy.fail("GetObject", fault)
    here.proxy.fail("HeadObject", fault)
    assert asked(stream, file).content == data
    assert asked(stream, file, "HEAD").status_code == 200


@pytest.mark.parametrize(("method", "more"), [("GET", ""), ("HEAD", ""), ("GET", "&direct=1")])
def test_a_file_that_its_owner_deletes_meanwhile(
    stream: TestClient, here: World, capsys: pytest.CaptureFixture[str], method: str, more: str
) -> None:
    """404, and no alarm: its object went first, and then its record."""
    file = kept(here, content(100))

    def deleted(exchange: Exchange) -> None:
        forget(here, file)
        here.near_files.delete(file)
        exchange.send(exchange.forward())

    for operation in ("GetObject", "HeadObject"):
        here.proxy.fail(operation, deleted)
    assert refused(asked(stream, file, method, more), 404, "file_not_found")
    assert counted(capsys) == []


@pytest.mark.parametrize("lose", [forget, lambda *_: None], ids=["missing", "there"])
def test_a_verified_file_that_is_still_hashed(
    stream: TestClient, here: World, capsys: pytest.CaptureFixture[str], lose: Callable[[World, File], None]
) -> None:
    """What is wrong with its object is a problem as well, but no alarm: the hasher's verdict will say it."""
    file = kept(here, content(100), status=Status.HASHING, verified=True, digests={})
    lose(here, file)
    answer = asked(stream, file, more="&direct=1")
    assert answer.status_code == 307 or refused(answer, 410, "object_missing")
    assert (answer.status_code == 307) == (lose is not forget)
    assert counted(capsys) == []
