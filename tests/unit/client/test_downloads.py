import asyncio
import io
import json
import os
from collections import deque
from pathlib import Path

import pytest

from sluice_client import downloads
from sluice_client.contract import Retry, Sluice
from sluice_client.errors import Problem, SluiceError, WrongBytes
from sluice_client.progress import Meter
from sluice_client.records import File
from tests.unit.client.deployment import QUICK, TOKEN, Deployment, Fault

CONTENT = os.urandom(300_000)


def get(deployment: Deployment, file_id: str, target: Path, *, force: bool = False) -> None:
    async def run() -> None:
        async with Sluice(deployment.url, TOKEN, QUICK) as sluice:
            down = downloads.Downloads(sluice, connections=1)
            await down.save(await sluice.file(file_id), target, Meter("file"), force=force)

    asyncio.run(run())


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def contents(deployment: Deployment) -> list[dict[str, str]]:
    """The headers of the requests for content."""
    return [seen.headers for seen in deployment.requests("GET .*/content")]


@pytest.mark.parametrize("content", [CONTENT, b"x"])
def test_what_arrives_is_what_was_kept(deployment: Deployment, tmp_path: Path, content: bytes) -> None:
    """Byte for byte, in one request without the token, and nothing else in the folder."""
    get(deployment, deployment.keep(content), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == content
    assert names(tmp_path) == ["out"]
    (headers,) = contents(deployment)
    assert "authorization" not in headers
    assert headers["accept-encoding"] == "identity"


def test_an_empty_file_has_nothing_to_ask_for(deployment: Deployment, tmp_path: Path) -> None:
    """It appears without a request for its content."""
    get(deployment, deployment.keep(b""), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b""
    assert not contents(deployment)


def test_a_redirect_to_s3_is_followed(deployment: Deployment, tmp_path: Path) -> None:
    """307 leads to the bytes; the token does not go there."""
    deployment.redirect_content = True
    get(deployment, deployment.keep(CONTENT), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT
    (there,) = deployment.requests("GET /elsewhere/.*")
    assert "authorization" not in there.headers


@pytest.mark.parametrize("ignore_range", [False, True])
@pytest.mark.parametrize("redirect", [False, True])
def test_a_cut_body_is_continued(deployment: Deployment, tmp_path: Path, ignore_range: bool, redirect: bool) -> None:
    """Each further request begins where the last one broke, pinned to the same object, or skips what is here.

    Where the link has led to S3, S3 is asked again, and not the link.
    """
    deployment.ignore_range, deployment.redirect_content = ignore_range, redirect
    server_of_bytes = "GET /elsewhere/.*" if redirect else "GET .*/content"
    deployment.fail(server_of_bytes, Fault(cut=100_000), Fault(503), Fault(cut=150_000))
    get(deployment, deployment.keep(CONTENT), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT
    asked = [(seen.headers.get("range"), seen.headers.get("if-match")) for seen in deployment.requests(server_of_bytes)]
    assert len(contents(deployment)) == (1 if redirect else 4)
    resumed = 150_000 if ignore_range else 250_000
    assert asked == [
        (None, None),
        ("bytes=100000-299999", deployment.etag),
        ("bytes=100000-299999", deployment.etag),
        (f"bytes={resumed}-299999", deployment.etag),
    ]


def test_a_weak_etag_pins_nothing(deployment: Deployment, tmp_path: Path) -> None:
    """If-Match never matches a weak ETag, so it is not sent; the sha-256 decides."""
    deployment.etag = 'W/"1"'
    deployment.fail("GET .*/content", Fault(cut=10))
    get(deployment, deployment.keep(CONTENT), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert "if-match" not in contents(deployment)[1]


@pytest.mark.parametrize(
    ("fault", "message"),
    [(Fault(alter=True), "Wrong bytes"), (Fault(more=b"!"), "More bytes arrived than the 300,000")],
)
def test_wrong_bytes_leave_nothing(deployment: Deployment, tmp_path: Path, fault: Fault, message: str) -> None:
    """One altered bit or one byte more: not verified, no file, no partial file."""
    deployment.fail("GET .*/content", fault)
    with pytest.raises(WrongBytes, match=message):
        get(deployment, deployment.keep(CONTENT), tmp_path / "out")
    assert names(tmp_path) == []


def test_a_body_that_stays_short_leaves_nothing(deployment: Deployment, tmp_path: Path) -> None:
    """Patience ends: the error counts what arrived."""
    deployment.fail("GET .*/content", *[Fault(cut=10)] * QUICK.attempts)
    with pytest.raises(WrongBytes, match="Only 40 of 300,000 bytes"):
        get(deployment, deployment.keep(CONTENT), tmp_path / "out")
    assert names(tmp_path) == []
    assert len(contents(deployment)) == QUICK.attempts


def test_a_whole_body_that_is_too_short_is_noticed(deployment: Deployment, tmp_path: Path) -> None:
    """A response that is complete by HTTP but not by the record is continued, then given up."""
    deployment.fail("GET .*/content", *[Fault(200, CONTENT[:1000])] * QUICK.attempts)
    with pytest.raises(WrongBytes, match="Only 1,000 of 300,000 bytes"):
        get(deployment, deployment.keep(CONTENT), tmp_path / "out")
    assert names(tmp_path) == []


def test_a_replaced_object_is_not_mixed(deployment: Deployment, tmp_path: Path) -> None:
    """When the ETag is another one after a break, 412 ends it."""
    file_id = deployment.keep(CONTENT)
    deployment.fail("GET .*/content", Fault(cut=10, headers={"ETag": '"other"'}))
    deployment.etag = '"new"'
    with pytest.raises(WrongBytes, match="replaced"):
        get(deployment, file_id, tmp_path / "out")
    assert names(tmp_path) == []


def test_another_range_than_asked_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    """A 206 that begins elsewhere is not glued on."""
    wrong = Fault(206, CONTENT[20:], {"Content-Range": "bytes 20-299999/300000"})
    deployment.fail("GET .*/content", Fault(cut=10), wrong)
    with pytest.raises(WrongBytes, match="another range"):
        get(deployment, deployment.keep(CONTENT), tmp_path / "out")
    assert names(tmp_path) == []


def test_an_expired_link_is_renewed(deployment: Deployment, tmp_path: Path) -> None:
    """403 for the link: the record is asked for another."""
    deployment.fail("GET .*/content", Fault(403))
    get(deployment, deployment.keep(CONTENT), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert len(deployment.requests("GET /files/[^/]*")) == 2


def test_urls_of_s3_that_expire_do_not_end_a_link(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One connection, and two URLs that expire while a block is received: the others wait with what is out of date.

    The link itself is as good as before, and where it is of a share there is no other.
    """
    monkeypatch.setattr(downloads, "DIRECT_BYTES", 1000)
    monkeypatch.setattr(downloads, "BLOCK_BYTES", 100_000)
    monkeypatch.setattr(downloads, "BLOCKS_PER_CONNECTION", 3)
    deployment.redirect_content, deployment.s3_answers = True, deque([1, 1])

    async def renew(_: File) -> File:
        raise AssertionError("The link has not ended.")

    async def run() -> None:
        async with Sluice(deployment.url, TOKEN, Retry(attempts=4, base=0)) as sluice:
            down = downloads.Downloads(sluice, connections=1, renew=renew)
            file = await sluice.file(deployment.keep(CONTENT))
            await down.save(file, tmp_path / "out", Meter("file"), force=False)

    asyncio.run(run())
    assert (tmp_path / "out").read_bytes() == CONTENT


def test_a_refusal_is_told_at_once(deployment: Deployment, tmp_path: Path) -> None:
    """What no other try can mend is not tried again."""
    deployment.fail("GET .*/content", Fault(410))
    with pytest.raises(Problem, match="410"):
        get(deployment, deployment.keep(CONTENT), tmp_path / "out")
    assert len(contents(deployment)) == 1


def test_a_circle_of_redirects_ends(deployment: Deployment, tmp_path: Path) -> None:
    """A server that redirects to itself is told."""
    file_id = deployment.keep(CONTENT)
    deployment.fail("GET .*/content", *[Fault(307, headers={"Location": f"/files/{file_id}/content"})] * 50)
    with pytest.raises(SluiceError, match="circles"):
        get(deployment, file_id, tmp_path / "out")


@pytest.mark.parametrize("status", ["uploading", "hashing", "failed"])
def test_only_what_is_ready_is_asked_for(deployment: Deployment, tmp_path: Path, status: str) -> None:
    """The state is told, and no content is requested."""
    with pytest.raises(SluiceError, match=status):
        get(deployment, deployment.keep(CONTENT, status=status), tmp_path / "out")
    assert not contents(deployment)
    assert names(tmp_path) == []


def test_an_existing_file_is_kept(deployment: Deployment, tmp_path: Path) -> None:
    """Without force nothing is downloaded, and nothing changes; with it the new file takes the name."""
    target = tmp_path / "out"
    target.write_bytes(b"precious")
    file_id = deployment.keep(CONTENT)
    with pytest.raises(SluiceError, match="exists"):
        get(deployment, file_id, target)
    assert target.read_bytes() == b"precious"
    assert not contents(deployment)
    get(deployment, file_id, target, force=True)
    assert target.read_bytes() == CONTENT
    assert names(tmp_path) == ["out"]


def test_a_file_that_appears_meanwhile_is_kept(deployment: Deployment, tmp_path: Path) -> None:
    """A file of that name made while the bytes come is not replaced either."""
    target = tmp_path / "out"

    class Sink(Meter):
        def advance(self, count: int) -> None:
            super().advance(count)
            target.write_bytes(b"precious")

    async def run() -> None:
        async with Sluice(deployment.url, TOKEN, QUICK) as sluice:
            file = await sluice.file(deployment.keep(CONTENT))
            await downloads.Downloads(sluice, connections=1).save(file, target, Sink("file"), force=False)

    with pytest.raises(SluiceError, match="exists"):
        asyncio.run(run())
    assert target.read_bytes() == b"precious"
    assert names(tmp_path) == ["out"]


def test_a_dangling_link_is_not_written_through(deployment: Deployment, tmp_path: Path) -> None:
    """A symbolic link is a name that exists, wherever it points."""
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SluiceError, match="exists"):
        get(deployment, deployment.keep(CONTENT), tmp_path / "out")
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_missing_is_told(deployment: Deployment, tmp_path: Path) -> None:
    """An operating system's refusal is one sentence with the path."""
    with pytest.raises(SluiceError, match="out: No such file"):
        get(deployment, deployment.keep(CONTENT), tmp_path / "missing" / "out")


def test_a_download_can_go_to_any_sink(deployment: Deployment) -> None:
    """A sink that cannot be rewound gets each byte once, across breaks and servers that begin again."""
    deployment.ignore_range = True
    deployment.fail("GET .*/content", Fault(cut=100_000))
    sink = io.BytesIO()

    async def run() -> None:
        async with Sluice(deployment.url, TOKEN, QUICK) as sluice:
            file = await sluice.file(deployment.keep(CONTENT))
            await downloads.Downloads(sluice, connections=1).write(file, sink, Meter("file"))

    asyncio.run(run())
    assert sink.getvalue() == CONTENT


def test_a_large_file_comes_from_s3_itself(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond what a stream sends at full speed the direct link is taken, also to go on; others are streamed."""
    monkeypatch.setattr(downloads, "DIRECT_BYTES", 1000)
    deployment.redirect_content = True
    deployment.fail("GET /elsewhere/.*", Fault(cut=100_000))
    get(deployment, deployment.keep(CONTENT), tmp_path / "large")
    get(deployment, deployment.keep(CONTENT[:1000]), tmp_path / "small")
    assert (tmp_path / "large").read_bytes() == CONTENT
    assert [seen.query.get("direct") for seen in deployment.requests("GET .*/content")] == [["1"], None]
    assert len(deployment.requests("GET /elsewhere/file-1")) == 2


@pytest.mark.parametrize(
    ("status", "code"), [(410, "object_missing"), (409, "object_changed"), (409, "object_forbidden")]
)
def test_a_file_that_is_gone_is_told_at_once(deployment: Deployment, tmp_path: Path, status: int, code: str) -> None:
    """The server's words and its code, after one request; nothing is left."""
    body = json.dumps({"code": code, "detail": "Its bytes are gone."}).encode()
    deployment.fail("GET .*/content", Fault(status, body, {"Content-Type": "application/problem+json"}))
    with pytest.raises(Problem, match="Its bytes are gone") as raised:
        get(deployment, deployment.keep(CONTENT), tmp_path / "out")
    assert raised.value.code == code
    assert len(contents(deployment)) == 1
    assert names(tmp_path) == []


def test_a_server_that_is_busy_is_asked_again(deployment: Deployment, tmp_path: Path) -> None:
    """503 passes."""
    deployment.fail("GET .*/content", Fault(503, headers={"Retry-After": "0"}))
    get(deployment, deployment.keep(CONTENT), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT
