"""The jobs that build archives, over moto and through the bad network: small parts, and every way in which one ends."""

import itertools
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Event

import pytest
from botocore.exceptions import ClientError

from functions.api.archives import Archiver
from functions.api.schemas import CreateArchive
from functions.hasher import archives as building
from functions.hasher.archives import Build, Reason
from sluice import archives, copying
from sluice.archives import Archive, Archives, ArchiveStatus
from sluice.files import File, Status
from sluice.hashing import ATTEMPTS, StillHeld
from sluice.limits import KIB
from sluice.shares import Share, Shares
from tests.integration.conftest import thorough
from tests.integration.proxy import Fault, at_it, before, internal_error, lose, says, slow_down
from tests.integration.world import BUCKET, OPTIONS, World, content, digests, world
from tests.unit.core.records import a_file

LEAST = KIB  # of a part
SIZES = (10, 5 * KIB, 0, 3 * KIB, 17 * KIB, 300)
BODIES = [content(size, seed) for seed, size in enumerate(SIZES)]
LIMIT = 2 * KIB  # what streams
# A job that died needs nobody to wait for its lease, and each part is a checkpoint.
OPTIONS_HERE = replace(OPTIONS, part_bytes=KIB, lease_seconds=0)
SLICED = replace(OPTIONS_HERE, slice_seconds=1e-9)


class Killed(BaseException):
    """The process ends here: not even what follows an error is done."""


@pytest.fixture(scope="module")
def one_world() -> Iterator[World]:
    with world() as here:
        yield here


@pytest.fixture
def here(one_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Parts of a thousandth of their size, one after the other."""
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    for name, value in {"MIN_PART_BYTES": LEAST, "SENT_BYTES": 2 * LEAST, "COPIED_BYTES": 4 * LEAST}.items():
        monkeypatch.setattr(copying, name, value)
    for name in ("COPIERS", "SENDERS"):
        monkeypatch.setattr(building, name, 1)
    monkeypatch.setattr(building, "CHECKPOINT_SECONDS", 0.001)
    return one_world.fresh()


@dataclass(frozen=True)
class Made:
    """An archive that is to be built, and the bytes that it should have."""

    archive: Archive
    files: Sequence[File]
    whole: bytes


def kept(here: World, data: bytes, *, crc32: str | None = "", **changes: object) -> File:
    """A ready file with its object; without `crc32` None, with the right one."""
    crc32 = f"{zlib.crc32(data):08x}" if crc32 == "" else crc32
    file = a_file(status=Status.READY, size=len(data), digests=digests(data), crc32=crc32, **changes)
    made = here.near_s3.put_object(Bucket=BUCKET, Key=file.key, Body=data)
    file = replace(file, etag=made["ETag"].strip('"'), version_id=made["VersionId"])
    return here.near_files.create(file)


def begun(here: World, *, crc32: str | None = "", bodies: Sequence[bytes] = BODIES, limit: int = LIMIT) -> Made:
    files = [kept(here, data, crc32=crc32, filename=f"{number}.bin") for number, data in enumerate(bodies)]
    archiver = Archiver(here.near_files, here.near_objects, here.near_queue, limit)
    archive = archiver.begin("default", CreateArchive(files=[file.id for file in files]))
    known = [replace(one, crc32=f"{zlib.crc32(data):08x}") for one, data in zip(files, bodies, strict=True)]
    layout = archives.layout(archives.members_of(known))
    pieces = layout.pieces(0, layout.size)
    whole = b"".join(one if isinstance(one, bytes) else bodies[one.index][one.start : one.stop] for one in pieces)
    assert (archive.status, archive.size) == (ArchiveStatus.BUILDING, len(whole))
    return Made(archive, files, whole)


def build(here: World, holder: str = "job-1", options: object = OPTIONS_HERE, *, near: bool = False) -> Build:
    files, objects = (here.near_files, here.near_objects) if near else (here.files, here.objects)
    return Build(files, objects, holder, lambda: 600.0, options=options, stream_limit=LIMIT)  # type: ignore[arg-type]


def run(made: Made, one: Build, *, last: bool = False) -> Archive | None:
    return one.run(made.archive.owner, made.archive.id, last=last)


def now(here: World, made: Made) -> Archive:
    return Archives(*here.near_files.connection, here.near_objects).get(made.archive.owner, made.archive.id)


def is_ready(here: World, made: Made) -> bool:
    """S3 has the whole archive, and nothing else is left of its making."""
    archive = now(here, made)
    assert (archive.status, archive.reason) == (ArchiveStatus.READY, None)
    assert (archive.uploads, archive.lease_holder, archive.reading) == ({}, None, {})
    assert archive.version
    stored = here.near_s3.get_object(Bucket=BUCKET, Key=archive.key, VersionId=archive.version_id)
    assert stored["Body"].read() == made.whole
    assert stored["ContentType"] == "application/zip"
    assert archive.built_bytes == archive.size
    listed = here.near_s3.list_object_versions(Bucket=BUCKET, Prefix=archive.prefix).get("Versions", [])
    assert {one["Key"] for one in listed} <= {archive.key, archive.list_key, f"{archive.prefix}files-1.json.gz"}
    return True


def finished(here: World, made: Made) -> int:
    """How many jobs without faults it takes."""
    for count in itertools.count(1):
        left = run(made, build(here, f"job-{count + 1}", near=True))
        if left is None or left.status is not ArchiveStatus.BUILDING:
            return count
    raise AssertionError


@contextmanager
def killed(here: World, write: int, *, early: bool) -> Iterator[None]:
    """The process ends at its `write`-th write of a record: before DynamoDB heard of it, or just after."""
    events = here.files._client.meta.events
    name = f"{'before' if early else 'after'}-call.dynamodb.PutItem"
    writes = iter([*[None] * write, Killed])

    def end(**_: object) -> None:
        if next(writes, None):
            raise Killed

    events.register(name, end)
    try:
        yield
    except Killed:
        pass
    finally:
        events.unregister(name, end)


def test_one_job_builds_it(here: World) -> None:
    """What S3 has in the end is the archive, byte by byte; most of it was copied."""
    made = begun(here)
    left = run(made, build(here))
    assert left == now(here, made)
    assert is_ready(here, made)
    parts = [request.headers for request in here.proxy.asked("UploadPart")]
    copied = [one for one in parts if "x-amz-copy-source" in one]
    assert len(copied) > 4
    assert all("versionId" in one["x-amz-copy-source"] and "x-amz-copy-source-if-match" in one for one in copied)
    assert all("x-amz-checksum-crc32" in one for one in parts if "x-amz-copy-source" not in one)


def shared(here: World) -> Share:
    files = [kept(here, data, filename=f"{number}.bin") for number, data in enumerate(BODIES)]
    share = Share(owner="default", count=len(files), size=sum(SIZES), expires_at=int(time.time()) + 600)
    Shares(*here.near_files.connection).create(share, [file.id for file in files])
    return share


def archiver(here: World) -> Archiver:
    return Archiver(here.near_files, here.near_objects, here.queue, LIMIT)


def messages(here: World, archive: Archive) -> int:
    meant = {"owner": archive.owner, "id": archive.id}
    return sum(message.get("Archiving") == meant for message in here.messages())


def test_a_message_that_was_never_sent_is_sent_when_somebody_asks_again(here: World) -> None:
    """A share has one archive for all: it must not wait for a job that nobody has heard of."""
    share = shared(here)
    here.messages()
    here.proxy.fail_always("SendMessage", says(400, "AccessDenied"))
    with pytest.raises(ClientError):
        archiver(here).begin("default", CreateArchive(share=share.id), share)
    here.proxy.recover()
    made = archiver(here).begin("default", CreateArchive(share=share.id), share)
    assert made.status is ArchiveStatus.BUILDING
    assert messages(here, made) == 1
    held = Archives(*here.near_files.connection, here.near_objects).save(made, lease_until=int(time.time()) + 60)
    assert archiver(here).begin("default", CreateArchive(share=share.id), share) == held
    assert messages(here, made) == 0


def test_many_who_ask_for_a_share_at_once_have_one_archive(here: World) -> None:
    """Whoever is slower gets that of the fastest, and leaves none behind."""
    share = shared(here)
    here.messages()
    with ThreadPoolExecutor(8) as asking:
        made = list(
            asking.map(lambda _: archiver(here).begin("default", CreateArchive(share=share.id), share), range(8))
        )
    assert len({archive.id for archive in made}) == 1
    assert messages(here, made[0]) >= 1


def test_what_has_failed_is_not_tried_again_at_once(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt would copy what it can: the failure is told for some minutes."""
    share = shared(here)
    made = archiver(here).begin("default", CreateArchive(share=share.id), share)
    table = Archives(*here.near_files.connection, here.near_objects)
    failed = table.save(made, status=ArchiveStatus.FAILED, reason=Reason.UNREADABLE)
    assert archiver(here).begin("default", CreateArchive(share=share.id), share) == failed
    # Of this very class: other tests import the function's modules anew.
    monkeypatch.setitem(Archiver.begin.__globals__, "FAILED_SECONDS", -1)
    assert archiver(here).begin("default", CreateArchive(share=share.id), share).id != failed.id


def test_the_whole_of_a_small_object_is_copied_without_a_range(here: World) -> None:
    """S3 copies a range of an object only where that has more than 5 MB."""
    made = begun(here)
    here.proxy.forget()
    version = here.near_objects.head(made.files[1].key).version
    upload = here.objects.create_upload("archives/x", "application/zip")
    here.objects.copy_part("archives/x", upload, 1, version, start=0, stop=version.size)
    here.objects.copy_part("archives/x", upload, 2, version, start=1, stop=version.size)
    whole, part = (one.headers for one in here.proxy.asked("UploadPart"))
    assert "x-amz-copy-source-range" not in whole
    assert part["x-amz-copy-source-range"] == f"bytes=1-{version.size - 1}"


def test_any_number_of_jobs_build_it(here: World) -> None:
    """Each makes what is missing, and hands over; no part is made twice."""
    made = begun(here)
    for number in itertools.count():
        left = run(made, build(here, f"job-{number}", SLICED))
        assert left
        assert left.lease_holder is None
        if left.status is not ArchiveStatus.BUILDING:
            break
        assert number < 50
    assert number > 2
    assert is_ready(here, made)
    (target,) = copying.plan(archives.layout(archives.members_of(made.files)), len(made.files))
    assert len(here.proxy.asked("UploadPart")) == len(target.parts)


# Before a write is what there is after the one before it: each of the two at every other write.
@pytest.mark.parametrize(
    ("write", "early"),
    [
        pytest.param(write, early, marks=[] if early is (write % 2 == 0) else thorough)
        for write in range(5)
        for early in (True, False)
    ],
)
def test_a_job_is_killed_at_any_write(here: World, write: int, early: bool) -> None:
    """The next one goes on with what S3 has."""
    made = begun(here)
    with killed(here, write, early=early):
        run(made, build(here))
    finished(here, made)
    assert is_ready(here, made)


@pytest.mark.parametrize(
    ("write", "early"),
    [
        *((1, True), (4, False), (9, True)),
        *(pytest.param(write, early, marks=thorough) for write, early in ((1, False), (4, True), (9, False))),
    ],
)
def test_a_job_is_killed_between_two_levels(
    here: World, write: int, early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces that are made are not made again, and go when the archive is there."""
    monkeypatch.setattr(copying, "MAX_PARTS", 4)
    made = begun(here)
    with killed(here, write, early=early):
        run(made, build(here))
    finished(here, made)
    assert is_ready(here, made)


@pytest.mark.parametrize(
    ("operation", "faults"),
    [
        ("UploadPart", [slow_down, internal_error]),
        pytest.param("UploadPart", [lose], marks=thorough),
        pytest.param("UploadPart", [says(200, "InternalError")], marks=thorough),
        pytest.param("CompleteMultipartUpload", [lose], marks=thorough),
        ("CompleteMultipartUpload", [says(200, "InternalError"), internal_error]),
        ("ListParts", [slow_down]),
        ("GetObject", [slow_down, internal_error]),
        ("PutItem", [lose]),
    ],
)
def test_what_fails_once_is_tried_again(here: World, operation: str, faults: list[Fault]) -> None:
    """By the same job or by the next one."""
    made = begun(here)
    here.proxy.fail(operation, *faults)
    left = run(made, build(here))
    if left and left.status is ArchiveStatus.BUILDING:
        assert left.lease_holder is None
        finished(here, made)
    assert is_ready(here, made)


def test_s3_takes_long_to_put_it_together(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job hands over, and the next one finds the object."""
    monkeypatch.setattr(building, "LEAST_COMPLETE_SECONDS", 0.1)
    monkeypatch.setattr(building, "DEADLINE_MARGIN_SECONDS", 599.9)
    made, until = begun(here), Event()
    here.proxy.fail("CompleteMultipartUpload", at_it(until))
    left = run(made, build(here))
    assert left
    assert left.status is ArchiveStatus.BUILDING
    until.set()
    finished(here, made)
    assert is_ready(here, made)


@thorough
def test_aws_refuses_for_long(here: World) -> None:
    """The job fails and gives the lease back, so that its message comes again."""
    made = begun(here)
    here.proxy.fail_always("UploadPart", slow_down)
    with pytest.raises(ClientError):
        run(made, build(here))
    assert now(here, made).lease_holder is None
    here.proxy.recover()
    finished(here, made)
    assert is_ready(here, made)


@pytest.mark.parametrize("index", [0, 1, 4])
def test_a_file_is_deleted_before_it_is_in(here: World, index: int) -> None:
    """The archive has failed, says for which file, and leaves no upload behind."""
    made = begun(here)
    here.near_objects.delete(made.files[index].key)
    left = run(made, build(here))
    assert left
    assert (left.status, left.reason, left.file) == (
        ArchiveStatus.FAILED,
        Reason.OBJECT_MISSING,
        made.files[index].id,
    )
    uploads = here.near_s3.list_multipart_uploads(Bucket=BUCKET, Prefix=left.prefix).get("Uploads", [])
    assert uploads == []
    assert left.uploads == {}


def test_other_bytes_make_no_archive(here: World) -> None:
    """S3 compares the whole with the CRC-32 that follows from those of the files."""
    made = begun(here, crc32="00000000")
    left = run(made, build(here))
    assert left
    assert (left.status, left.reason) == (ArchiveStatus.FAILED, Reason.CHECKSUM_MISMATCH)


def test_crcs_that_are_missing_are_read(here: World) -> None:
    """Also by several jobs, of which each reads on where the last one stopped."""
    made = begun(here, crc32=None)
    for number in itertools.count():
        left = run(made, build(here, f"job-{number}", SLICED))
        if left is None or left.status is not ArchiveStatus.BUILDING:
            break
        assert number < 50
    assert is_ready(here, made)
    assert [file.crc32 for file in here.near_files.several("default", [one.id for one in made.files])] == [
        f"{zlib.crc32(data):08x}" for data in BODIES
    ]


def test_a_large_file_is_read_by_several_jobs(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The states of its digests stand in the archive's record meanwhile, and each byte is read once."""
    monkeypatch.setattr(building, "MAX_SINGLE_PUT_BYTES", 0)
    data = content(9 * KIB + 5)
    made = begun(here, crc32=None, bodies=[data])
    offsets = []
    for number in range(50):
        if now(here, made).lists > 1:
            break
        left = run(made, build(here, f"job-{number}", SLICED))
        assert left
        offsets.append(int(left.reading.get("offset", len(data))))
    assert len(offsets) > 5
    assert offsets == sorted(offsets)
    finished(here, made)
    assert is_ready(here, made)


def test_an_archive_that_only_lacks_a_crc_streams_then(here: World) -> None:
    """Nothing is put together of what is small."""
    made = begun(here, crc32=None, bodies=[b"x", b"yz"])
    left = run(made, build(here))
    assert left
    assert (left.status, left.version, left.lists) == (ArchiveStatus.READY, None, 2)
    members = Archives(*here.near_files.connection, here.near_objects).members(left)
    assert [member.crc32 for member in members] == [f"{zlib.crc32(data):08x}" for data in (b"x", b"yz")]
    assert here.proxy.asked("UploadPart") == []


def test_a_file_that_is_not_what_was_hashed_makes_no_archive(here: World) -> None:
    """Reading for the CRC compares the SHA-256."""
    good, bad = kept(here, b"x", crc32=None), kept(here, b"yz", crc32=None)
    here.near_files.save(bad, digests=digests(b"other"))
    archiver = Archiver(here.near_files, here.near_objects, here.near_queue, LIMIT)
    made = Made(archiver.begin("default", CreateArchive(files=[good.id, bad.id])), [good, bad], b"")
    left = run(made, build(here))
    assert left
    assert (left.status, left.reason, left.file) == (ArchiveStatus.FAILED, Reason.DIGEST_MISMATCH, bad.id)


def test_an_archive_that_is_deleted_is_left_alone(here: World) -> None:
    """At any moment: no job goes on with it, and nothing of it stays."""
    made = begun(here)
    archiver = Archiver(here.near_files, here.near_objects, here.near_queue, LIMIT)
    here.proxy.fail("CompleteMultipartUpload", before(lambda: archiver.delete(now(here, made))))
    assert run(made, build(here)) is None
    assert run(made, build(here)) is None


def test_two_jobs_do_not_build_one_archive(here: World) -> None:
    """A duplicate of the message finds it held; the same message that comes back too soon has to come again."""
    made = begun(here)
    held = replace(OPTIONS_HERE, lease_seconds=60)
    with killed(here, 2, early=False):
        run(made, build(here, "job-1", held))
    assert now(here, made).lease_holder == "job-1"
    assert run(made, build(here, "job-2", held)) is None
    with pytest.raises(StillHeld):
        run(made, build(here, "job-1", held))


def test_an_archive_that_kills_every_job_fails(here: World) -> None:
    """After ten jobs that got no further whoever watches is told."""
    made = begun(here)
    for number in range(ATTEMPTS):
        with killed(here, 1, early=True):
            run(made, build(here, f"job-{number}"))
    left = run(made, build(here))
    assert left
    assert (left.status, left.reason) == (ArchiveStatus.FAILED, Reason.UNREADABLE)


def test_the_last_receive_of_a_message_renews_it(here: World) -> None:
    """Nothing else happens then, so that no message dies while its archive gets on."""
    made = begun(here)
    left = run(made, build(here), last=True)
    assert left
    assert (left.status, left.attempts, left.lease_holder) == (ArchiveStatus.BUILDING, 0, None)
    given_up = build(here).give_up(made.archive.owner, made.archive.id)
    assert given_up
    assert (given_up.status, given_up.reason) == (ArchiveStatus.FAILED, Reason.UNREADABLE)
