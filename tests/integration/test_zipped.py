"""Archives on their way through the stream function, over moto and through the bad network."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import Barrier
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from functions.stream import zipped
from sluice import archives, capabilities
from sluice.archives import Archive, Archives, ArchiveStatus
from sluice.capabilities import Holder, Use
from sluice.objects import ObjectMissing
from tests.integration.proxy import Exchange, cut, pass_on, slow_down
from tests.integration.test_archiving import kept
from tests.integration.test_content import counted
from tests.integration.world import World, content, world
from tests.unit.functions.modules import CAPABILITY_KEY, imported

LIMIT = 1_000_000
BODIES = [content(size, seed) for seed, size in enumerate((700, 0, 5000, 20, 30_000))]


@pytest.fixture(scope="module")
def one_world() -> Iterator[World]:
    with world() as here:
        yield here


@pytest.fixture
def here(one_world: World) -> World:
    return one_world.fresh()


@pytest.fixture(scope="module")
def module() -> Iterator[ModuleType]:
    with imported("functions.stream.app") as stream:
        yield stream


@pytest.fixture
def stream(module: ModuleType, here: World, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """The function, whose table and bucket are behind the network."""
    connections = module.contents.connections
    monkeypatch.setattr(connections, "files", here.files)
    monkeypatch.setattr(connections, "objects", here.objects)
    monkeypatch.setattr(connections, "archives", Archives(*here.files.connection, here.objects))
    monkeypatch.setattr(connections, "stream_limit", LIMIT)
    return TestClient(module.app, follow_redirects=False)


class Made:
    """An archive of these bodies that is ready, its link, and all its bytes."""

    def __init__(self, here: World, bodies: Sequence[bytes] = BODIES, *, spoilt: int | None = None) -> None:
        self.files = [kept(here, data, filename=f"{number}.bin") for number, data in enumerate(bodies)]
        members = archives.members_of(self.files)
        if spoilt is not None:
            members[spoilt] = replace(members[spoilt], sha256=hashlib.sha256(b"other").hexdigest())
        self.layout = archives.layout(members)
        archive = Archive(
            owner="default",
            filename="a.zip",
            count=len(members),
            size=self.layout.size,
            etag=self.layout.etag,
            status=ArchiveStatus.READY,
        )
        Archives(*here.near_files.connection, here.near_objects).create(archive, members)
        capability = capabilities.issue(CAPABILITY_KEY, Holder("default"), archive.id, Use.ARCHIVE, 600)
        self.url = f"/archives/{archive.id}/content?capability={capability}"
        pieces = self.layout.pieces(0, self.layout.size)
        self.whole = b"".join(
            one if isinstance(one, bytes) else bodies[one.index][one.start : one.stop] for one in pieces
        )


def test_the_whole_and_any_range(stream: TestClient, here: World) -> None:
    """Byte by byte."""
    made = Made(here)
    answer = stream.get(made.url)
    assert (answer.status_code, answer.content) == (200, made.whole)
    assert answer.headers["content-length"] == str(len(made.whole))
    for start in (0, 5, 100, 740, 1000, 6000, len(made.whole) - 30):
        answer = stream.get(made.url, headers={"Range": f"bytes={start}-{start + 29}"})
        assert (answer.status_code, answer.content) == (206, made.whole[start : start + 30])


def test_a_range_reads_what_it_sends(stream: TestClient, here: World) -> None:
    """Of each file only the bytes that are asked for, and of the others none."""
    made = Made(here)
    start, _ = made.layout.body(4)
    assert stream.get(made.url, headers={"Range": f"bytes={start + 10}-{start + 19}"}).content == BODIES[4][10:20]
    assert here.proxy.ranges()[-1:] == ["bytes=10-19"]
    assert len([one for one in here.proxy.ranges() if one]) == 1


def test_files_are_read_ahead(stream: TestClient, here: World) -> None:
    """As many at once as there are connections, in the order of the archive."""
    bodies = [content(100, seed) for seed in range(2 * zipped.CONNECTIONS)]
    made = Made(here, bodies)
    together = Barrier(zipped.CONNECTIONS, timeout=30)

    def wait_for_the_others(exchange: Exchange) -> None:
        together.wait()
        pass_on(exchange)

    here.proxy.fail("GetObject", pass_on, *[wait_for_the_others] * len(bodies))  # the first one is the list's
    assert stream.get(made.url).content == made.whole


def test_what_fails_once_is_asked_again(stream: TestClient, here: World) -> None:
    """Nobody notices."""
    made = Made(here)
    here.proxy.fail("GetObject", pass_on, slow_down, cut(100), cut(10, reset=True))
    assert stream.get(made.url).content == made.whole


def received(stream: TestClient, url: str, failure: type[Exception]) -> bytes:
    """What comes before the answer breaks."""
    got: list[bytes] = []

    def receive() -> None:
        with stream.stream("GET", url) as answer:
            assert answer.status_code == 200
            got.extend(answer.iter_raw())

    with pytest.raises(failure):
        receive()
    return b"".join(got)


def test_other_bytes_than_the_hashed_ones_break_the_transfer(
    stream: TestClient, here: World, module: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last bytes of that file are not sent, and somebody is told."""
    made = Made(here, [content(zipped.CHUNK_BYTES), content(1000, 2)], spoilt=1)
    got = received(stream, made.url, module.contents.content.DigestMismatch)
    assert made.whole.startswith(got)
    assert len(got) < made.layout.body(1)[1]
    assert counted(capsys) == ["Contradictions"]


def test_a_first_file_of_other_bytes_is_a_problem(
    stream: TestClient, here: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing has been sent by then."""
    made = Made(here, spoilt=0)
    answer = stream.get(made.url)
    assert (answer.status_code, answer.json()["code"]) == (409, "object_changed")
    assert answer.json()["file"] == made.files[0].id
    assert counted(capsys) == ["Contradictions"]


def test_a_file_that_is_gone_in_the_middle_breaks_the_transfer(stream: TestClient, here: World) -> None:
    """Never an archive that looks whole."""
    made = Made(here)
    here.near_objects.delete(made.files[4].key)
    here.near_files.delete(made.files[4])
    got = received(stream, made.url, ObjectMissing)
    assert made.whole.startswith(got)
    assert len(got) < made.layout.body(4)[1]


@pytest.mark.parametrize("recorded", [True, False])
def test_a_first_file_that_is_gone_is_a_problem(
    stream: TestClient, here: World, capsys: pytest.CaptureFixture[str], recorded: bool
) -> None:
    """It names the file; where the record is still there somebody is told."""
    made = Made(here)
    here.near_objects.delete(made.files[0].key)
    if not recorded:
        here.near_files.delete(made.files[0])
    answer = stream.get(made.url)
    assert (answer.status_code, answer.json()["code"]) == (410, "object_missing")
    assert answer.json()["file"] == made.files[0].id
    assert ("FilesLost" in str(counted(capsys))) == recorded


def test_s3_does_not_answer(stream: TestClient, here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is told to come back."""
    monkeypatch.setattr("functions.stream.stored.FIRST_BYTE_SECONDS", 0.5)
    made = Made(here)
    here.proxy.fail("GetObject", pass_on)
    here.proxy.fail_always("GetObject", slow_down)
    assert stream.get(made.url).json()["code"] == "busy"
