import asyncio
import hashlib
import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_client import uploads
from sluice_client.contract import Sluice
from sluice_client.errors import Problem, SluiceError, WrongBytes
from sluice_client.progress import Meter
from sluice_client.sources import Label, Source
from sluice_client.uploads import Uploaded
from tests.unit.client.deployment import CHECKSUM, QUICK, TOKEN, Deployment, Fault, Stored

MIB = 1024 * 1024
CONTENT = os.urandom(10_500)  # eleven parts of the deployment's 1,000 bytes


@pytest.fixture(autouse=True)
def small_scale(monkeypatch: pytest.MonkeyPatch, deployment: Deployment) -> None:
    """Files of more than one part, of one, and of one request, in bytes instead of mebibytes."""
    monkeypatch.setattr(uploads, "WHOLE_BYTES", 100)
    monkeypatch.setattr(uploads, "SMALL_BYTES", 1000)
    deployment.single_bytes = 1000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(CONTENT)
    return path


def put(
    deployment: Deployment,
    path: Path,
    connections: int = 3,
    meter: Meter | None = None,
    fingerprint: str | None = "secret",
    **label: str,
) -> Uploaded:
    async def run() -> Uploaded:
        async with Sluice(deployment.url, TOKEN, QUICK) as sluice:
            source, names = Source.open(path, Label.of(path, **label)), ("sha-256", "md5")
            return await uploads.Uploads(sluice, connections=connections).put(
                source, meter or Meter("file"), names=names, fingerprint=fingerprint
            )

    return asyncio.run(run())


def digests(content: bytes) -> dict[str, str]:
    return {
        "sha-256": hashlib.sha256(content).hexdigest(),
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
    }


def sent(deployment: Deployment) -> list[int]:
    """The numbers of the parts that were sent, in order."""
    return sorted(int(seen.path.rpartition("/")[2]) for seen in deployment.requests("PUT /s3/.*"))


@pytest.mark.parametrize("size", [101, 1000, 1001, 10_500])
def test_every_byte_arrives_once(deployment: Deployment, path: Path, size: int) -> None:
    """Each part is its slice, with its length and the headers that were signed, without the token."""
    os.truncate(path, size)
    file = put(deployment, path).file
    assert deployment.files[file.id].content == CONTENT[:size]
    assert file.digests == digests(CONTENT[:size])
    assert file.verified
    assert sent(deployment) == list(range(1, max(1, -(-size // 1000)) + 1))
    for seen in deployment.requests("PUT /s3/.*"):
        number = int(seen.path.rpartition("/")[2])
        assert seen.headers["content-length"] == str(min(1000, size - (number - 1) * 1000))
        assert "transfer-encoding" not in seen.headers
        assert seen.headers["x-amz-test"] == str(number)
        assert "authorization" not in seen.headers


@pytest.mark.parametrize("size", [0, 1, 100])
def test_a_little_file_is_one_request(deployment: Deployment, path: Path, size: int) -> None:
    """With its digests, which the server compares; nothing is signed, completed or waited for."""
    os.truncate(path, size)
    done = put(deployment, path)
    (seen,) = deployment.seen
    assert (seen.method, seen.path, seen.body) == ("PUT", "/files/file.bin", CONTENT[:size])
    assert done.file.digests == done.digests == digests(CONTENT[:size])
    assert done.file.verified
    file = deployment.files[done.file.id]
    assert (file.declared, file.content_type) == (digests(CONTENT[:size]), "application/octet-stream")


def test_a_little_file_that_is_sent_again_is_stored_once(deployment: Deployment, path: Path) -> None:
    """After a lost answer, and by the next run: the key is that of this file with these bytes under this name."""
    os.truncate(path, 100)
    deployment.fail("PUT /files/.*", Fault(503), Fault(503))
    assert put(deployment, path).file.id == put(deployment, path).file.id == "file-1"
    assert len({seen.headers["idempotency-key"] for seen in deployment.seen}) == 1
    os.utime(path, (1, 1))
    assert put(deployment, path, fingerprint="another").file.id == "file-2"
    assert put(deployment, path, fingerprint=None).file.id == "file-3"
    assert put(deployment, path, fingerprint=None).file.id == "file-4"


def test_a_little_file_that_was_deleted_is_stored_anew(deployment: Deployment, path: Path) -> None:
    """Its key stands for a file that is gone, so it gets another one."""
    os.truncate(path, 100)
    put(deployment, path)
    del deployment.files["file-1"]
    deployment.gone.add("file-1")
    assert put(deployment, path).file.id == "file-2"


@pytest.mark.parametrize("name", ["a/b", "a?b", "a\\b", "a%2fb", "a%b", "a#b", "a;b", "..", ".", "a\nb"])
def test_a_name_that_a_path_cannot_hold_goes_otherwise(deployment: Deployment, path: Path, name: str) -> None:
    """By POST /files: gateways take paths apart, and decode them once more than was meant."""
    os.truncate(path, 100)
    file = put(deployment, path, name=name).file
    assert deployment.files[file.id].filename == name
    assert not deployment.requests("PUT /files.*")


@pytest.mark.parametrize("name", ["Übung 雪 🎉.txt", "a b", "a+b&c=d@e~", "…", ".hidden", "'\"(x)"])
def test_other_names_stand_in_the_path(deployment: Deployment, path: Path, name: str) -> None:
    """Percent-encoded, whole."""
    os.truncate(path, 100)
    assert deployment.files[put(deployment, path, name=name).file.id].filename == name
    assert deployment.requests("PUT /files/.*")


def test_a_capability_sends_files_by_post(deployment: Deployment, path: Path) -> None:
    """PUT /files/{filename} is for owners; it is tried once in a run."""
    os.truncate(path, 100)
    deployment.whole_refused = True
    assert put(deployment, path).file.verified
    assert sent(deployment) == [1]


def test_the_folder_goes_along(deployment: Deployment, path: Path) -> None:
    """By every way in."""
    for size in (100, 1000, 10_500):
        os.truncate(path, size)
        assert deployment.files[put(deployment, path, folder="a/b c").file.id].folder == "a/b c"


def test_the_server_learns_what_the_file_is(deployment: Deployment, path: Path) -> None:
    """Name, size, type and fingerprint go with the first call."""
    file = deployment.files[put(deployment, path).file.id]
    assert (file.filename, file.size, file.content_type) == ("file.bin", len(CONTENT), "application/octet-stream")
    assert file.fingerprint == "secret"


def test_a_small_file_is_declared_before_it_is_sent(deployment: Deployment, path: Path) -> None:
    """Its one URL is locked to the sha-256 that went with POST /files, and nothing is hashed by the server."""
    os.truncate(path, 1000)
    put(deployment, path)
    (created,) = deployment.requests("POST /files")
    assert created.json()["digests"] == digests(CONTENT[:1000])
    assert CHECKSUM in deployment.requests("PUT /s3/.*")[0].headers
    assert not deployment.requests("GET .*/events")


def test_what_was_hashed_is_declared_at_the_end(deployment: Deployment, path: Path) -> None:
    """Each part's URL is locked to its sha-256; `complete` has those of all parts and the digests of the whole."""
    put(deployment, path)
    parts = [{"number": n + 1, "digest": digests(CONTENT[n * 1000 :][:1000])["sha-256"]} for n in range(11)]
    assert deployment.requests("POST /files")[0].json()["part_digest"] == "sha-256"
    signed = [part for seen in deployment.requests("POST .*/parts") for part in seen.json()["parts"]]
    assert sorted(signed, key=lambda part: int(part["number"])) == parts
    assert all(CHECKSUM in seen.headers for seen in deployment.requests("PUT /s3/.*"))
    (completed,) = deployment.requests("POST .*/complete")
    assert completed.json() == {"digests": digests(CONTENT), "parts": parts}


@pytest.mark.parametrize("size", [1000, 10_500])
def test_no_byte_is_read_twice(deployment: Deployment, path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when parts are sent again."""
    os.truncate(path, size)
    reads: list[tuple[int, int]] = []
    read = Source.read

    async def counted(self: Source, offset: int, size: int) -> bytearray:
        reads.append((offset, size))
        return await read(self, offset, size)

    monkeypatch.setattr(Source, "read", counted)
    deployment.fail("PUT /s3/.*", *[Fault(503)] * 3, Fault(403))
    put(deployment, path)
    assert reads == [(offset, min(1000, size - offset)) for offset in range(0, size, 1000)]


@given(st.integers(1, 32), st.integers(8 * MIB, 5 * 1024 * MIB))
def test_parts_in_memory_are_bounded(connections: int, part_size: int) -> None:
    """Two for each connection, fewer where they are large, and one at least."""
    held = uploads.parts_held(connections, part_size)
    assert 1 <= held <= 2 * connections
    assert held == 1 or held * part_size <= uploads.HELD_BYTES


def test_large_parts_go_one_at_a_time(deployment: Deployment, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the budget has room for one part alone, the next is read when it has gone."""
    monkeypatch.setattr(uploads, "HELD_BYTES", 1999)
    put(deployment, path, connections=4)
    assert deployment.most_in_flight == 1
    assert deployment.files["file-1"].content == CONTENT


@pytest.mark.parametrize("size", [1000, 10_500])
def test_a_bit_that_flips_on_the_way_is_sent_again(deployment: Deployment, path: Path, size: int) -> None:
    """S3 refuses the bytes that are not those of the digest; the part goes again from memory."""
    os.truncate(path, size)
    deployment.fail("PUT /s3/.*/1", Fault(alter=True), Fault(alter=True))
    file = put(deployment, path).file
    assert deployment.files[file.id].content == CONTENT[:size]
    assert file.verified
    assert sent(deployment).count(1) == 3


@pytest.mark.parametrize("code", ["BadDigest", "XAmzContentChecksumMismatch"])
def test_a_way_that_always_alters_is_told(deployment: Deployment, path: Path, code: str) -> None:
    """After as many tries as any part has: which part, and that it is the network's doing. What arrived stays."""
    refused = Fault(400, f"<Error><Code>{code}</Code></Error>".encode())
    deployment.fail("PUT /s3/.*/2", *[refused] * QUICK.attempts)
    with pytest.raises(Problem) as raised:
        put(deployment, path, connections=1)
    assert raised.value.code == code
    assert "Part 2 was altered on its way" in raised.value.hint
    assert list(deployment.files["file-1"].parts) == [1]


def test_parts_go_in_parallel_and_no_more_than_asked(deployment: Deployment, path: Path) -> None:
    """With three connections three bodies are under way at once, never four."""
    deployment.gate = threading.Event()

    def open_gate_when_full() -> None:
        with deployment.full:
            assert deployment.full.wait_for(lambda: deployment.in_flight == 3, timeout=30)
        assert deployment.gate
        deployment.gate.set()

    opener = threading.Thread(target=open_gate_when_full)
    opener.start()
    put(deployment, path, connections=3)
    opener.join()
    assert deployment.most_in_flight == 3


def test_what_has_arrived_is_not_sent_again(deployment: Deployment, path: Path) -> None:
    """The next run resumes an upload that broke off: only parts that are missing, or are not those of this file, go."""
    deployment.fail("PUT /s3/.*/7", *[Fault(503)] * QUICK.attempts)
    with pytest.raises(Problem, match="503") as raised:
        put(deployment, path, connections=1)
    assert "again" in raised.value.hint
    assert sorted(deployment.files["file-1"].parts) == [1, 2, 3, 4, 5, 6]
    deployment.files["file-1"].parts[2] = b"short"
    deployment.files["file-1"].parts[4] = bytes(1000)
    deployment.seen.clear()
    file = put(deployment, path).file
    assert (file.id, file.verified) == ("file-1", True)
    assert sent(deployment) == [2, 4, 7, 8, 9, 10, 11]
    assert deployment.files["file-1"].content == CONTENT


@pytest.mark.parametrize("code", ["digests_differ", "digests_needed", "parts_differ"])
def test_an_upload_that_is_not_this_files_is_begun_anew(deployment: Deployment, path: Path, code: str) -> None:
    """A completion that contradicts what was resumed: a new upload without the fingerprint, and the old one stays."""
    body = json.dumps({"code": code, "detail": "d"}).encode()
    deployment.fail("POST .*/file-1/complete", Fault(409, body, {"Content-Type": "application/problem+json"}))
    file = put(deployment, path).file
    assert (file.id, file.verified) == ("file-2", True)
    assert deployment.files["file-2"].content == CONTENT
    assert deployment.files["file-2"].fingerprint is None
    assert "file-1" in deployment.files


def test_digests_that_were_declared_before_are_another_files(deployment: Deployment, path: Path) -> None:
    """An earlier run had declared other digests, and died: what it began is not completed as this file."""
    deployment.files["file-1"] = Stored(
        "file.bin", len(CONTENT), "secret", None, part_digest="sha-256", declared={"sha-256": "0" * 64}
    )
    assert put(deployment, path).file.id == "file-2"


def test_an_upload_of_another_program_is_not_gone_on_with(deployment: Deployment, path: Path) -> None:
    """Digests of parts that are not known here could not be compared."""
    deployment.files["file-1"] = Stored("file.bin", len(CONTENT), "secret", None, part_digest="crc32c")
    assert put(deployment, path).file.id == "file-2"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(503, headers={"Retry-After": "0"}),
        Fault(500),
        Fault(400, b"<Error><Code>RequestTimeout</Code></Error>"),
        Fault(409, b"<Error><Code>ConditionalRequestConflict</Code></Error>"),
    ],
)
def test_a_part_that_fails_is_sent_again(deployment: Deployment, path: Path, fault: Fault) -> None:
    """What passes is tried again, to the same URL."""
    deployment.fail("PUT /s3/.*/2", fault, fault)
    assert deployment.files[put(deployment, path).file.id].content == CONTENT
    tries = deployment.requests("PUT /s3/.*/2")
    assert len(tries) == 3
    assert len({seen.query["signature"][0] for seen in tries}) == 1


@pytest.mark.parametrize("fault", [Fault(403), Fault(400, b"<Error><Code>ExpiredToken</Code></Error>")])
def test_an_expired_url_is_signed_again(deployment: Deployment, path: Path, fault: Fault) -> None:
    """The part goes to a fresh URL; the others keep theirs."""
    deployment.fail("PUT /s3/.*/2", fault)
    assert deployment.files[put(deployment, path).file.id].content == CONTENT
    signed = [part["number"] for seen in deployment.requests("POST .*/parts") for part in seen.json()["parts"]]
    assert sorted(signed) == sorted([*range(1, 12), 2])
    assert len({seen.query["signature"][0] for seen in deployment.requests("PUT /s3/.*/2")}) == 2


def test_a_put_whose_answer_was_lost_has_arrived(deployment: Deployment, path: Path) -> None:
    """412 of a URL that works once says that the bytes are there already."""
    deployment.once = True
    deployment.fail("PUT /s3/.*/1", Fault(lost=True))
    file = put(deployment, path).file
    assert deployment.files[file.id].content == CONTENT
    assert sent(deployment).count(1) == 2


def test_a_403_that_stays_is_believed(deployment: Deployment, path: Path) -> None:
    """Fresh URLs that are refused as well end the upload with S3's own code."""
    denied = Fault(403, b"<Error><Code>AccessDenied</Code></Error>")
    deployment.fail("PUT /s3/.*/2", *[denied] * 20)
    with pytest.raises(Problem) as raised:
        put(deployment, path)
    assert raised.value.code == "AccessDenied"


def test_a_refusal_stops_the_other_parts(deployment: Deployment, path: Path) -> None:
    """An upload that is gone from S3 fails at once with the reason; nothing is completed."""
    deployment.fail("PUT /s3/.*/1", Fault(404, b"<Error><Code>NoSuchUpload</Code></Error>"))
    with pytest.raises(Problem) as raised:
        put(deployment, path, connections=1)
    assert raised.value.code == "NoSuchUpload"
    assert sent(deployment) == [1]
    assert not deployment.requests("POST .*/complete")


def test_a_completion_that_outlasts_its_answer_is_followed(deployment: Deployment, path: Path) -> None:
    """When every answer to `complete` timed out but the record says it is under way, its events are waited for."""

    class Assembling(Meter):
        def end(self) -> float:
            deployment.files["file-1"].status = "assembling"
            return super().end()

    deployment.fail("POST .*/complete", *[Fault(504)] * QUICK.attempts)
    assert put(deployment, path, meter=Assembling("file")).file.status == "ready"


def test_a_completion_that_never_began_is_an_error(deployment: Deployment, path: Path) -> None:
    """When the record says that nothing happened, the upload failed."""
    deployment.fail("POST .*/complete", *[Fault(504)] * QUICK.attempts)
    with pytest.raises(Problem, match="504"):
        put(deployment, path)


@pytest.mark.parametrize("size", [1001, 10_500])
def test_the_server_compares_what_was_declared(deployment: Deployment, path: Path, size: int) -> None:
    """Other bytes than were sent make the file `failed` there, and the error has both values."""
    os.truncate(path, size)
    deployment.wrong_digest = True
    right, wrong = (hashlib.sha256(content).hexdigest() for content in (CONTENT[:size], CONTENT[:size] + b"!"))
    with pytest.raises(WrongBytes, match=f"failed: digest_mismatch .*{right} expected, {wrong} found"):
        put(deployment, path)
    assert deployment.files["file-1"].status == "failed"


def test_a_server_that_compares_nothing_is_not_believed(deployment: Deployment, path: Path) -> None:
    """A ready file that is not verified is compared here; the error says how to remove what is there."""
    deployment.believes = True
    assert not put(deployment, path).file.verified
    deployment.wrong_digest = True
    with pytest.raises(WrongBytes, match="other bytes") as raised:
        put(deployment, path)
    assert "sluice rm file-2" in raised.value.hint


def test_a_little_file_is_sent_as_it_was_read(deployment: Deployment, path: Path) -> None:
    """What is written while it is on its way changes nothing: the bytes in memory were hashed, and go."""
    os.truncate(path, 100)

    class Writing(Meter):
        def begin(self, phase: str, total: int | None, done: int = 0) -> None:
            super().begin(phase, total, done)
            path.write_bytes(b"another content")

    file = put(deployment, path, meter=Writing("file")).file
    assert deployment.files[file.id].content == CONTENT[:100]


@pytest.mark.parametrize("size", [500, 10_500])
def test_a_file_that_changes_meanwhile_is_not_completed(deployment: Deployment, path: Path, size: int) -> None:
    """A change between two parts, or after the last, ends the upload, and what was sent is removed."""
    os.truncate(path, size)

    class Writing(Meter):
        def advance(self, count: int) -> None:
            super().advance(count)
            path.write_bytes(b"another content")

    with pytest.raises(WrongBytes, match="changed"):
        put(deployment, path, meter=Writing("file"))
    assert not deployment.requests("POST .*/complete")
    assert not deployment.files


def test_a_failed_verdict_is_an_error(deployment: Deployment, path: Path) -> None:
    """What the server gave up is told with its reason."""
    deployment.ends_as = "failed"
    with pytest.raises(SluiceError, match="failed: unreadable"):
        put(deployment, path)


def test_progress_never_counts_a_byte_twice(deployment: Deployment, path: Path) -> None:
    """Bytes of a part that failed are taken back: at the end the count is the size."""
    counts: list[int] = []

    class Counting(Meter):
        def advance(self, count: int) -> None:
            counts.append(count)

    deployment.fail("PUT /s3/.*/2", Fault(503), Fault(403))
    put(deployment, path, meter=Counting("file"))
    assert sum(counts) == len(CONTENT)
    assert min(counts) == -1000
