"""The CRC-32 of every file, which archives need and nobody sees."""

import hashlib
import itertools
import zlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from functions.api.schemas import CreateFile
from sluice.capabilities import Caller
from sluice.files import File, Status
from sluice.limits import KIB
from tests.integration.world import OPTIONS, World, content, digests, ready, run, small_parts, world

PART = KIB
DATA = content(5 * PART + 17)
CRC32 = f"{zlib.crc32(DATA):08x}"
OPTIONS_HERE = replace(OPTIONS, part_bytes=PART, checkpoint_seconds=0.001)


@pytest.fixture(scope="module")
def one_world() -> Iterator[World]:
    with world() as here:
        yield here


@pytest.fixture
def here(one_world: World) -> World:
    return one_world.fresh()


@pytest.fixture
def in_parts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        small_parts(patch, 2 * PART)
        yield


def put_by_s3(here: World) -> File:
    """A file that is ready without a reading: S3 has compared the PUT with the sender's SHA-256."""
    sent = here.sent(DATA, digests={"sha-256": hashlib.sha256(DATA).hexdigest()})
    return here.near_uploads.complete(sent, None)


@pytest.mark.usefixtures("in_parts")
def test_hashing_finds_it_and_keeps_it_to_itself(here: World) -> None:
    """It is computed beside the digests of the file, and is none of them."""
    file, version = here.arrived(DATA)
    assert ready(run(here.job(options=OPTIONS_HERE), file, version), DATA)
    assert here.now(file).crc32 == CRC32
    assert CRC32 not in str(here.now(file).public())


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("wanted", ["declared", "configured"])
def test_who_asks_for_it_sees_it(here: World, wanted: str) -> None:
    """As any digest that the sender declares or the deployment wants."""
    declared = {"crc32": CRC32} if wanted == "declared" else {}
    options = replace(OPTIONS_HERE, digests=("sha-256", "md5", "crc32")) if wanted == "configured" else OPTIONS_HERE
    file, version = here.arrived(DATA, digests=declared)
    assert ready(run(here.job(options=options), file, version), DATA, crc32=CRC32)
    assert here.now(file).crc32 == CRC32


@pytest.mark.usefixtures("in_parts")
def test_it_survives_any_number_of_jobs(here: World) -> None:
    """Each job goes on with the CRC where the one before stopped."""
    file, version = here.arrived(DATA)
    for number in itertools.count():
        left = run(here.job(f"job-{number}", options=replace(OPTIONS_HERE, slice_seconds=1e-9)), file, version)
        if left is None or left.status is not Status.HASHING:
            break
    assert number > 2
    assert ready(left, DATA)
    assert here.now(file).crc32 == CRC32


@pytest.mark.usefixtures("in_parts")
def test_a_job_of_an_older_version_goes_on_without_it(here: World) -> None:
    """A checkpoint that has no CRC is still one: not a byte is read again for it."""
    file, version = here.arrived(DATA)
    run(here.job(options=replace(OPTIONS_HERE, slice_seconds=1e-9)), file, version)
    left = here.now(file)
    states = {name: state for name, state in left.digest_states.items() if name != "crc32"}
    here.near_files.save(left, digest_states=states)
    job = here.job("job-2", options=OPTIONS_HERE)
    assert ready(run(job, file, version), DATA)
    assert job.work.hashed_bytes == len(DATA) - left.hashed_bytes
    assert here.now(file).crc32 is None


def test_a_file_that_was_never_read_is_read_for_it(here: World) -> None:
    """S3's event has it read once, and who watches the file or the feed is told nothing: the file is what it was."""
    file = put_by_s3(here)
    assert (file.status, file.crc32) == (Status.READY, None)
    version = here.near_objects.head(file.key).version
    for _ in range(2):
        assert run(here.job(), file, version) is None
    assert here.now(file) == replace(file, crc32=CRC32)
    assert len(here.proxy.ranges()) == 1


def test_the_event_comes_before_anybody_completes_the_file(here: World) -> None:
    """Then the hasher finds S3's verdict, and reads the file for its CRC at once."""
    file = here.sent(DATA, digests={"sha-256": hashlib.sha256(DATA).hexdigest()})
    version = here.near_objects.head(file.key).version
    left = run(here.job(), file, version)
    assert left
    assert left.status is Status.READY
    assert here.now(file) == replace(left, crc32=CRC32)
    assert len(here.proxy.ranges()) == 1


def test_other_bytes_have_no_crc(here: World, caplog: pytest.LogCaptureFixture) -> None:
    """What S3 sends is only believed where its SHA-256 is the record's."""
    file = put_by_s3(here)
    version = here.near_objects.head(file.key).version
    other = {"sha-256": hashlib.sha256(b"other").hexdigest()}
    here.near_files.save(file, digests=file.digests | other)
    assert run(here.job(), file, version) is None
    assert here.now(file).crc32 is None
    assert "no crc32 of a hashed file" in caplog.text


def test_a_body_that_passes_through_the_api_needs_no_reading(here: World) -> None:
    """Its CRC is known with its digests."""
    promised, _ = here.near_uploads.begin(Caller("default"), CreateFile(filename="a", size=len(DATA)))
    file = here.near_uploads.put(promised, DATA, digests(DATA)["sha-256"])
    assert (file.status, file.crc32) == (Status.READY, CRC32)


def test_a_deleted_file_stays_deleted(here: World) -> None:
    """To note a CRC makes no record anew."""
    file = put_by_s3(here)
    here.near_files.delete(file)
    here.near_files.keep_crc32(file, CRC32)
    assert here.near_files.several(file.owner, [file.id]) == []
