"""Two senders who share all that they can share: fingerprints, names, sizes, drops and capabilities.

Whatever they do and in whichever order, no file becomes `ready` whose bytes are not one sender's own, and none
`verified` by another's digests.
"""

import hashlib
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from functions.api.schemas import CompletedPart, CreateFile
from functions.hasher.assembly import assemble
from sluice.capabilities import Caller
from sluice.composites import composite
from sluice.drops import Drop
from sluice.errors import DigestsDiffer, FileNotFound, Problem
from sluice.files import ENDED, File, Status, in_days, new_id
from sluice.hashing import Reason
from sluice.listing import Listing
from sluice.objects import ObjectMissing, Version
from tests.effort import effort
from tests.integration import proxy as network
from tests.integration.conftest import more, thorough
from tests.integration.world import World, content, digests, put, ready, run, small_parts, world

PART = 512  # bytes
SIZE = 2 * PART + 17  # three parts
EXAMPLES = effort(2, 8, 30)
SENDERS = {"ann": content(SIZE, seed=1), "bob": content(SIZE, seed=2)}
SMALL = {name: data[: PART - 3] for name, data in SENDERS.items()}
FINGERPRINTS = ("holiday.mov", "report.pdf")


@pytest.fixture(scope="module")
def one_world() -> Iterator[World]:
    with world() as made, pytest.MonkeyPatch.context() as patch:
        small_parts(patch, PART)
        patch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
        patch.setattr("sluice.queue.DELAY_SECONDS", 0)
        yield made


@pytest.fixture
def here(one_world: World) -> World:
    here = one_world.fresh()
    here.messages()
    return here


def part_digest(data: bytes, number: int) -> str:
    return hashlib.sha256(data[(number - 1) * PART : number * PART]).hexdigest()


def listed(data: bytes, count: int) -> list[CompletedPart]:
    return [CompletedPart(number=number, digest=part_digest(data, number)) for number in range(1, count + 1)]


def begun(here: World, data: bytes, caller: Caller | None = None, **wanted: Any) -> tuple[File, bool]:
    return here.near_uploads.begin(caller or Caller("default"), CreateFile(filename="a", size=len(data), **wanted))


def send(here: World, file: File, data: bytes, *numbers: int) -> None:
    wanted = {number: part_digest(data, number) for number in numbers} if file.part_digest else None
    for part in here.near_uploads.sign(file, numbers, wanted):
        put(part, data)


def hashed(here: World, file: File) -> File:
    """The file after every message that there is for it, in the order that S3 and the queue have them."""
    for _ in range(5):
        with suppress(ObjectMissing):
            run(here.near_job(), file, here.near_objects.head(file.key).version)
        if here.now(file).status in ENDED:
            break
    return here.now(file)


class Senders(RuleBasedStateMachine):
    """They meet by the same fingerprint, of the same owner, through the same drop or by the same capability."""

    here: ClassVar[World]
    uploads = Bundle("uploads")  # (file id, who believes that it is his)

    def __init__(self) -> None:
        super().__init__()
        self.owner = new_id()
        drop = Drop(owner=self.owner, max_files=1000, expires_at=in_days(1))
        self.here.near_uploads._admission._drops.create(drop)
        self.ways = [Caller(self.owner), Caller(self.owner, drop.id), Caller(self.owner, capability=new_id())]
        self.files: set[str] = set()

    @rule(
        target=uploads,
        sender=st.sampled_from([*SENDERS]),
        way=st.integers(0, 2),
        small=st.booleans(),
        fingerprint=st.sampled_from(FINGERPRINTS),
        declares=st.booleans(),
        locked=st.booleans(),
    )
    def begin(self, *, sender: str, way: int, small: bool, fingerprint: str, declares: bool, locked: bool) -> Any:
        data = (SMALL if small else SENDERS)[sender]
        wanted: dict[str, Any] = {"fingerprint": fingerprint}
        wanted |= {"digests": {"sha-256": digests(data)["sha-256"]}} if declares else {}
        wanted |= {"part_digest": "sha-256"} if locked else {}
        file, _ = begun(self.here, data, self.ways[way], **wanted)
        self.files.add(file.id)
        return file.id, sender

    @rule(upload=uploads, number=st.integers(1, 3))
    def send_one(self, upload: tuple[str, str], number: int) -> None:
        file = self.file(upload)
        if number <= file.part_count:
            try:
                send(self.here, file, self.data(upload), number)
            except urllib.error.HTTPError as refused:  # another sender's lock, or an object that is there already
                refused.close()
            except Problem:
                pass

    @rule(upload=uploads)
    def send_all(self, upload: tuple[str, str]) -> None:
        for number in (1, 2, 3):
            self.send_one(upload, number)

    @rule(upload=uploads, says=st.sampled_from(["nothing", "the whole", "the parts", "etags"]))
    def complete(self, upload: tuple[str, str], says: str) -> None:
        file, data = self.file(upload), self.data(upload)
        own = {"sha-256": digests(data)["sha-256"]} if says == "the whole" else {}
        parts = listed(data, file.part_count) if says == "the parts" else None
        if says == "etags":
            arrived = self.here.near_uploads.received(file)
            parts = [CompletedPart(number=part.number, etag=part.etag) for part in arrived]
        with suppress(Problem):
            done = self.here.near_uploads.complete(file, parts, own)
            # Whoever named his own bytes and is told `verified` has his own.
            if own and done.verified:
                assert done.digests.get("sha-256", own["sha-256"]) == own["sha-256"]

    @rule(upload=uploads)
    def assemble(self, upload: tuple[str, str]) -> None:
        """The message of a completion that the API did not see to its end."""
        file = self.file(upload)
        with suppress(ObjectMissing):
            assemble(self.here.near_files, self.here.near_objects, file.owner, file.id, 60.0, last=False)

    @rule(upload=uploads)
    def hash(self, upload: tuple[str, str]) -> None:
        hashed(self.here, self.file(upload))

    @invariant()
    def no_mixture_is_ready(self) -> None:
        for file_id in self.files:
            file = self.here.near_files.get(self.owner, file_id)
            if file.status is not Status.READY and not file.verified:
                continue
            version = Version(file.key, str(file.etag), file.size, file.version_id)
            answer = self.here.near_s3.get_object(Bucket=self.here.near_objects.bucket, Key=version.key)
            body: bytes = answer["Body"].read()
            whole = SMALL if file.size < PART else SENDERS
            assert body in whole.values()
            if file.verified:
                declared = file.declared.get("sha-256") or file.composite
                count = file.part_count
                own = [digests(body)["sha-256"], composite("sha-256", [str(p.digest) for p in listed(body, count)])]
                assert declared in own

    def file(self, upload: tuple[str, str]) -> File:
        return self.here.near_files.get(self.owner, upload[0])

    def data(self, upload: tuple[str, str]) -> bytes:
        return (SMALL if self.file(upload).size < PART else SENDERS)[upload[1]]


@more
def test_no_mixture_of_two_senders_is_ever_ready(here: World) -> None:
    """Whatever they declare, send, complete and hash, in whichever order."""
    Senders.here = here
    run_state_machine_as_test(
        Senders,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_two_senders_who_meet_make_no_file_without_their_digests(here: World) -> None:
    """The first sends a part, the second the others; neither may complete by saying nothing."""
    ann, bob = SENDERS.values()
    file, _ = begun(here, ann, fingerprint="x.bin")
    send(here, file, ann, 1)
    met, new = begun(here, bob, fingerprint="x.bin")
    assert (met.id, new) == (file.id, False)
    send(here, met, bob, 2, 3)
    with pytest.raises(Problem, match="resumed") as raised:
        here.near_uploads.complete(met, None)
    assert raised.value.code == "digests_needed"
    here.near_uploads.complete(met, None, {"sha-256": digests(ann)["sha-256"]})
    done = hashed(here, file)
    assert (done.status, done.reason, done.verified) == (Status.FAILED, Reason.DIGEST_MISMATCH, False)


def test_a_part_that_is_replaced_behind_a_completion_is_noticed(here: World) -> None:
    """The API died after the record said `assembling`, and the other sender's URL works: the hasher goes on."""
    ann, bob = SENDERS.values()
    file, _ = begun(here, ann, fingerprint=new_id(), part_digest="sha-256")
    send(here, file, ann, 1, 2, 3)
    stolen = here.near_uploads.sign(file, [2], {2: part_digest(bob, 2)})
    here.proxy.fail_always("CompleteMultipartUpload", network.says(503, "SlowDown"))
    here.uploads.complete(file, listed(ann, 3))
    here.proxy.recover()
    put(stolen[0], bob)
    assemble(here.near_files, here.near_objects, file.owner, file.id, 60.0, last=False)
    done = hashed(here, file)
    assert (done.status, done.reason, done.verified) == (Status.FAILED, Reason.DIGEST_MISMATCH, False)


def test_parts_that_were_locked_verify_the_file_on_its_way_in(here: World) -> None:
    """Before the whole is read: S3 has put together the very parts that their sender had."""
    ann = SENDERS["ann"]
    file, _ = begun(here, ann, fingerprint=new_id(), part_digest="sha-256")
    send(here, file, ann, 1, 2, 3)
    done = here.near_uploads.complete(file, listed(ann, 3))
    during: list[File] = []
    version = here.near_objects.head(file.key).version
    here.proxy.fail("GetObject", network.before(lambda: during.append(here.now(file))))
    assert ready(run(here.job(), done, version), ann)
    assert [(one.status, one.verified) for one in during] == [(Status.HASHING, True)]
    assert here.now(file).verified


def test_a_stored_part_whose_bit_flips_is_never_ready(here: World) -> None:
    """S3 keeps the digest that the part had when it came: what is read now does not follow from it."""
    ann = SENDERS["ann"]
    file, _ = begun(here, ann, part_digest="sha-256")
    send(here, file, ann, 1, 2, 3)
    with flipped_part(here, file, 2):
        here.near_uploads.complete(file, None)
    done = hashed(here, file)
    assert done.status is Status.FAILED
    assert done.reason in (Reason.CHECKSUM_MISMATCH, Reason.DIGEST_MISMATCH)
    assert not done.verified


@contextmanager
def flipped_part(here: World, file: File, number: int) -> Iterator[None]:
    """One bit of a part that S3 has stored."""
    from moto.s3.models import s3_backends

    backend = next(iter(s3_backends["123456789012"].values()))
    part = backend.get_bucket(here.near_objects.bucket).multiparts[str(file.upload_id)].parts[number]
    assert part.etag  # was computed of the right bytes
    flipped: Any = part  # mypy takes the setter for missing
    whole = bytes(part.value)
    flipped.value = bytes([whole[0] ^ 1]) + whole[1:]
    yield


def test_ten_at_once_with_one_fingerprint_make_one_upload(here: World) -> None:
    """In the table and in S3."""
    owner = Caller(new_id())
    barrier = threading.Barrier(10)

    def one(_: int) -> str:
        barrier.wait()
        return begun(here, SENDERS["ann"], owner, fingerprint="the same")[0].id

    with ThreadPoolExecutor(10) as threads:
        ids = set(threads.map(one, range(10)))
    assert len(ids) == 1
    assert len(Listing(here.near_files).page(owner.owner, 100)[0]) == 1
    uploads = here.near_s3.list_multipart_uploads(Bucket=here.near_objects.bucket).get("Uploads", [])
    assert len([one for one in uploads if one["Key"].startswith(f"files/{owner.owner}/")]) == 1


@thorough
def test_what_a_create_reads_does_not_grow(here: World) -> None:
    """With a hundred unfinished uploads of the same fingerprint and other sizes, or other digests, as with none."""
    owner, counts = Caller(new_id()), []
    for number in range(100):
        data = SENDERS["ann"] + bytes(number % 2)
        here.proxy.forget()
        other = {"sha-256": hashlib.sha256(b"%d" % number).hexdigest()}
        here.uploads.begin(owner, CreateFile(filename="a", size=len(data), fingerprint="f", digests=other))
        counts.append(len(here.proxy.asked("GetItem")) + len(here.proxy.asked("Query")))
    assert max(counts) <= 2


def test_another_digest_is_another_file(here: World) -> None:
    """The fingerprint means the new one from then on, and the old one goes on by its id."""
    ann, bob = SENDERS.values()
    fingerprint = new_id()
    first, _ = begun(here, ann, fingerprint=fingerprint, digests=digests(ann))
    second, new = begun(here, bob, fingerprint=fingerprint, digests=digests(bob))
    assert new
    assert begun(here, bob, fingerprint=fingerprint, digests=digests(bob))[0].id == second.id != first.id
    send(here, first, ann, 1, 2, 3)
    here.near_uploads.complete(first, None)
    assert hashed(here, first).verified


@pytest.mark.parametrize("when", ["hashing", "ready"])
@pytest.mark.parametrize("right", [True, False])
def test_a_digest_that_comes_late_counts(here: World, when: str, right: bool) -> None:
    """S3's event is often faster than the sender's last word: the verdict is the server's all the same."""
    ann = SENDERS["ann"]
    file, version = here.arrived(ann)
    declared = {"sha-256": digests(ann)["sha-256"] if right else "0" * 64}
    if when == "ready":
        assert ready(run(here.near_job(), file, version), ann)
        here.near_uploads.complete(here.now(file), None, declared)
    else:
        job = here.near_job()
        judge = job._judge

        def declare_first(*arguments: Any) -> bool:
            if not here.now(file).declared:
                here.near_uploads.complete(here.now(file), None, declared)
            return judge(*arguments)

        patched: Any = job
        patched._judge = declare_first
        run(job, file, version)
    done = hashed(here, file)
    assert (done.status, done.verified) == ((Status.READY, True) if right else (Status.FAILED, False))
    if right:
        with pytest.raises(DigestsDiffer):
            here.near_uploads.complete(done, None, {"sha-256": "0" * 64})
        assert here.now(file) == done


def test_a_put_that_was_locked_to_its_sha_256_is_ready_at_once(here: World) -> None:
    """S3 has compared it, and its ETag is its MD5: nobody reads it for that, neither `complete` nor the hasher."""
    data = SMALL["ann"]
    file, _ = begun(here, data, digests={"sha-256": digests(data)["sha-256"]})
    send(here, file, data, 1)
    done = here.near_uploads.complete(file, None)
    assert ready(done, data)
    assert done.verified

    again, _ = begun(here, data, digests={"sha-256": digests(data)["sha-256"]})
    send(here, again, data, 1)
    here.proxy.forget()
    here.proxy.fail_always("GetObject", network.says(404, "NoSuchKey"))
    by_event = run(here.job(), again, here.near_objects.head(again.key).version)
    assert ready(by_event, data)


def test_other_bytes_than_those_of_the_lock_are_refused(here: World) -> None:
    """By S3, and nothing is stored."""
    data, other = SMALL.values()
    file, _ = begun(here, data, digests={"sha-256": digests(data)["sha-256"]})
    with pytest.raises(urllib.error.HTTPError) as raised:
        send(here, file, other, 1)
    with raised.value as refused:
        assert refused.code == 400
    with pytest.raises(ObjectMissing):
        here.near_objects.head(file.key)


def test_what_comes_after_its_drops_end_is_not_taken(here: World) -> None:
    """A URL outlives the drop that it was given out for; what was put before the end is the owner's."""
    drops = here.near_uploads._admission._drops
    for late in (False, True):
        drop = Drop(owner="default", max_files=5, expires_at=in_days(1))
        drops.create(drop)
        data = SMALL["ann"]
        file, _ = begun(here, data, Caller("default", drop.id))
        send(here, file, data, 1)
        drops.end(drop)
        version = here.near_objects.head(file.key).version
        moment = in_days(0) + (5 if late else -5)
        done = here.near_job().run(file.owner, file.id, version, put_at=moment)
        if late:
            assert done is None
            assert (here.now(file).status, here.now(file).reason) == (Status.ABORTED, "drop_ended")
            with pytest.raises(ObjectMissing):
                here.near_objects.head(file.key)
        else:
            assert ready(done, data)


def test_a_capability_reaches_what_was_begun_by_it(here: World) -> None:
    """Neither the fingerprint nor the id of another way in leads to its uploads."""
    owner = new_id()
    ways = [Caller(owner), Caller(owner, capability="one"), Caller(owner, capability="two"), Caller(owner, "d" * 26)]
    drops = here.near_uploads._admission._drops
    drops.create(Drop(owner=owner, id="d" * 26, max_files=5, expires_at=in_days(1)))
    files = [begun(here, SENDERS["ann"], way, fingerprint="the same")[0] for way in ways]
    assert len({file.id for file in files}) == len(ways)
    with pytest.raises(FileNotFound):
        here.near_files.get(new_id(), files[0].id)
