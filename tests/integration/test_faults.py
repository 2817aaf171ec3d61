"""What the world does to an upload and a hashing job, and how they come through it.

Each test is a real table and bucket behind a network that fails on purpose; nobody waits: pauses are only noted.
"""

import base64
import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from functions.api.schemas import CreateFile
from sluice.capabilities import Caller
from sluice.composites import composite
from sluice.digests import Digests
from sluice.errors import FileNotFound
from sluice.files import File, Status, new_id
from sluice.hashing import Reason
from sluice.limits import MIB
from sluice.objects import Version
from sluice.reader import Patience, Unreadable
from tests.integration import proxy as network
from tests.integration.world import BUCKET, World, content, digests, failed, ready, run, world

SMALL = content(3 * MIB + 17)  # one PUT, four buffers
LARGE = content(9 * MIB)  # two parts
ATTEMPTS = Patience().attempts  # of the reader for one range, in a row
SDK_ATTEMPTS = 5  # what Files.connect and Objects.connect ask for, the first one among them


@pytest.fixture(scope="module")
def one_world() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture
def here(one_world: World, pauses: list[float]) -> World:  # noqa: ARG001 - the pauses are noted in every test
    return one_world.fresh()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of the reader and of the SDK, which are noted and not made."""
    made: list[float] = []

    def note(patience: Patience, attempt: int) -> float:
        made.append(pause(patience, attempt))
        return 0.0

    pause = Patience.pause
    monkeypatch.setattr(Patience, "pause", note)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=made.append))
    return made


# ---------------------------------------------------------------- the network to S3


@pytest.mark.parametrize("data", [b"", b"a", SMALL, LARGE], ids=["empty", "byte", "small", "parts"])
def test_a_good_day(here: World, data: bytes) -> None:
    """Without faults an object is read by one plain request, and an empty one by none."""
    file, version = here.arrived(data)
    assert ready(run(here.job(), file, version), data)
    assert here.now(file).status is Status.READY
    assert here.proxy.ranges() == ([None] if data else [])


@pytest.mark.parametrize("fault", [network.slow_down, network.internal_error])
@pytest.mark.parametrize("times", [1, ATTEMPTS - 1])
def test_s3_refuses_for_a_while(here: World, pauses: list[float], fault: network.Fault, times: int) -> None:
    """503 SlowDown and 500 are asked again after a pause each, and counted."""
    file, version = here.arrived(SMALL)
    here.proxy.fail("GetObject", *[fault] * times)
    job = here.job()
    assert ready(run(job, file, version), SMALL)
    assert len(here.proxy.ranges()) == times + 1
    assert len(pauses) == job.work.retries == times


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_connection_breaks_under_the_body(here: World, reset: bool) -> None:
    """What was promised and did not come is asked for from the byte reached, and no byte before it again."""
    file, version = here.arrived(LARGE)
    here.proxy.fail("GetObject", network.cut(2 * MIB + 100, reset=reset), network.cut(MIB, reset=reset))
    assert ready(run(here.job(), file, version), LARGE)
    first, *again = here.proxy.ranges()
    assert first is None
    starts = [start_of(asked, len(LARGE)) for asked in again]
    if reset:  # throws away what the reader had not taken yet
        assert 0 <= starts[0] <= 2 * MIB + 100
        assert starts == sorted(starts)
    else:
        assert starts == [2 * MIB + 100, 3 * MIB + 100]


def start_of(asked: str | None, size: int) -> int:
    """The first byte of a range that goes to the end; without a range, of the whole."""
    if asked is None:
        return 0
    start, _, last = asked.removeprefix("bytes=").partition("-")
    assert int(last) == size - 1
    return int(start)


def test_a_connection_breaks_before_any_byte(here: World) -> None:
    """An answer of headers alone is asked for again, as it was."""
    file, version = here.arrived(SMALL)
    here.proxy.fail("GetObject", network.cut(0), network.lose)
    assert ready(run(here.job(), file, version), SMALL)
    assert set(here.proxy.ranges()) == {None}


@pytest.mark.parametrize("fault", [network.slow_down, network.lose, network.cut(0)], ids=["refused", "lost", "cut"])
def test_s3_fails_without_end(here: World, fault: network.Fault) -> None:
    """After bounded attempts the job raises, so that its message comes again, and gives the lease back at once."""
    file, version = here.arrived(SMALL)
    here.proxy.fail_always("GetObject", fault)
    with pytest.raises(Unreadable):
        run(here.job(), file, version)
    assert len(here.proxy.ranges()) == ATTEMPTS
    left = here.now(file)
    assert (left.status, left.lease_holder, left.lease_until) == (Status.HASHING, None, 0)
    here.proxy.recover()
    assert ready(run(here.job("job-2"), file, version), SMALL)


def test_a_file_that_no_job_could_read_fails(here: World) -> None:
    """When its last message has failed too, who watches is told; what ended or is being read is left alone."""
    file, version = here.arrived(SMALL)
    here.proxy.fail_always("GetObject", network.slow_down)
    job = here.job()
    with pytest.raises(Unreadable):
        run(job, file, version)
    job.give_up(file.owner, file.id, version)
    given_up = here.now(file)
    assert (given_up.status, given_up.reason) == (Status.FAILED, Reason.UNREADABLE)
    job.give_up(file.owner, file.id, version)
    job.give_up(file.owner, "0" * 26, version)
    assert here.now(file) == given_up

    held, version = here.arrived(SMALL)
    here.files.save(held, status=Status.HASHING, lease_holder="another", lease_until=int(time.time()) + 60)
    job.give_up(held.owner, held.id, version)
    assert here.now(held).status is Status.HASHING


@pytest.mark.parametrize("times", [1, 2])
def test_something_in_between_forgets_the_range(here: World, times: int) -> None:
    """A whole object where its end was asked for is not read on as if it were the end: it is asked for again."""
    file, version = here.arrived(SMALL)

    def whole(exchange: network.Exchange) -> None:
        del exchange.request_read.headers["range"]
        network.pass_on(exchange)

    here.proxy.fail("GetObject", network.cut(MIB), *[whole] * times)
    assert ready(run(here.job(), file, version), SMALL)
    assert len(here.proxy.asked("GetObject")) == 2 + times


# ---------------------------------------------------------------- the object is not what it was


def test_an_object_is_deleted_while_it_is_hashed(here: World) -> None:
    """The pinned version is gone: a verdict, not an endless repetition."""
    file, version = here.arrived(SMALL)
    here.proxy.fail("GetObject", network.cut(MIB, meanwhile=lambda: here.near_objects.delete(file.key)))
    assert failed(run(here.job(), file, version), Reason.OBJECT_MISSING)
    assert here.now(file).digests == {}


def test_an_object_was_deleted_before(here: World) -> None:
    """The event came too late."""
    file, version = here.arrived(SMALL)
    here.near_objects.delete(file.key)
    assert failed(run(here.job(), file, version), Reason.OBJECT_MISSING)


def test_an_object_is_overwritten_while_it_is_hashed(here: World) -> None:
    """The job goes on with the version that it began with, however often it has to ask."""
    file, version = here.arrived(SMALL)

    def overwrite() -> None:
        here.near_s3.put_object(Bucket=BUCKET, Key=file.key, Body=content(len(SMALL), seed=2))

    here.proxy.fail("GetObject", network.cut(MIB, meanwhile=overwrite))
    done = run(here.job(), file, version)
    assert ready(done, SMALL)
    assert done is not None
    assert done.version_id == version.version_id != here.near_objects.head(file.key).version.version_id


def test_an_object_without_versions_is_replaced_while_it_is_hashed(here: World) -> None:
    """Where the event names no version, the ETag holds: two objects are never hashed as one."""
    file, version = here.arrived(SMALL)
    unpinned = Version(version.key, version.etag, version.size, None)

    def overwrite() -> None:
        here.near_s3.put_object(Bucket=BUCKET, Key=file.key, Body=content(len(SMALL), seed=2))

    here.proxy.fail("GetObject", network.cut(MIB, meanwhile=overwrite))
    assert failed(run(here.job(), file, unpinned), Reason.OBJECT_CHANGED)


def test_an_object_is_of_another_size(here: World) -> None:
    """It is not what was promised, and is not even read; both sizes are told."""
    file, _ = here.arrived(SMALL)
    here.near_s3.put_object(Bucket=BUCKET, Key=file.key, Body=SMALL + b"!")
    done = run(here.job(), file, here.near_objects.head(file.key).version)
    assert failed(done, Reason.SIZE_MISMATCH)
    assert here.proxy.ranges() == []
    assert done is not None
    assert done.mismatch == {"name": "size", "expected": str(len(SMALL)), "found": str(len(SMALL) + 1)}


@pytest.mark.parametrize("name", ["sha-256", "md5"])
def test_a_declared_digest_is_another_one(here: World, name: str) -> None:
    """The file fails, and shows what was found."""
    declared = digests(SMALL) | {name: digests(b"other")[name]}
    file, version = here.arrived(SMALL)  # a URL that was locked to it would not take these bytes
    file = here.near_uploads.complete(file, None, declared)
    done = run(here.job(), file, version)
    assert failed(done, Reason.DIGEST_MISMATCH)
    assert done is not None
    assert done.digests == digests(SMALL)
    assert done.mismatch == {"name": name, "expected": declared[name], "found": digests(SMALL)[name]}
    assert here.now(file).public()["mismatch"] == done.mismatch


def test_declared_digests_that_hold_make_it_ready(here: World) -> None:
    """All of them compared."""
    file, version = here.arrived(LARGE, digests=digests(LARGE))
    done = run(here.job(), file, version)
    assert ready(done, LARGE)
    assert done is not None
    assert done.verified


@pytest.mark.parametrize("name", ["sha", "sha-512", "crc32c", "crc64nvme"])
def test_every_digest_that_was_declared_is_compared(here: World, name: str) -> None:
    """One that is not computed anyway is computed for the file that declares it, and shown."""
    with Digests([name]) as right, Digests([name]) as wrong:
        right.update(SMALL)
        expected, other = right.hexdigests(), wrong.hexdigests()
    for declared, reason in ((expected, None), (other, Reason.DIGEST_MISMATCH)):
        file = here.near_files.save(here.sent(SMALL), declared=declared)
        done = run(here.job(), file, here.near_objects.head(file.key).version)
        assert failed(done, reason) if reason else ready(done, SMALL, **expected)


def told(name: str, value: str, kind: str = "FULL_OBJECT") -> network.Fault:
    """S3's answer to HEAD, with this checksum as well."""

    def fault(exchange: network.Exchange) -> None:
        answer = exchange.forward()
        more = [(f"x-amz-checksum-{name}", value), ("x-amz-checksum-type", kind)]
        exchange.send(replace(answer, headers=answer.headers + more))

    return fault


@pytest.mark.parametrize(("field", "name"), [("crc64nvme", "crc64nvme"), ("crc32c", "crc32c"), ("sha256", "sha-256")])
def test_s3s_own_checksum_is_compared(here: World, field: str, name: str) -> None:
    """Of all bytes as S3 has them: it is shown where it is ours, and where it is not, both are."""
    with Digests([name]) as known:
        known.update(SMALL)
        (expected,) = known.hexdigests().values()
    file, version = here.arrived(SMALL)
    here.proxy.fail("HeadObject", told(field, base64.b64encode(bytes.fromhex(expected)).decode()))
    done = run(here.job(), file, version)
    assert ready(done, SMALL, **{name: expected})
    assert done is not None
    assert not done.verified  # S3 said what it has, and the sender nothing

    file, version = here.arrived(SMALL)
    other = bytes(len(expected) // 2)
    here.proxy.fail_always("HeadObject", told(field, base64.b64encode(other).decode()))
    waiting = run(here.job(), file, version)
    assert waiting is not None
    assert (waiting.status, waiting.hashed_bytes, waiting.lease_until) == (Status.HASHING, 0, 0)
    done = run(here.job(), file, version)
    here.proxy.recover()
    assert failed(done, Reason.CHECKSUM_MISMATCH)
    assert done is not None
    assert done.mismatch == {"name": name, "expected": other.hex(), "found": expected}
    assert done.digests == digests(SMALL) | {name: expected}


def test_a_checksum_of_checksums_is_seen_through(here: World) -> None:
    """What S3 has of the parts has to follow from what was read, and is no digest of the file."""
    file, version = here.arrived(LARGE)
    ours = composite("sha-256", [hashlib.sha256(LARGE[at : at + 8 * MIB]).hexdigest() for at in (0, 8 * MIB)])
    text = base64.b64encode(bytes.fromhex(ours)).decode()
    here.proxy.fail("HeadObject", told("sha256", f"{text}-2", "COMPOSITE"))
    assert ready(run(here.job(), file, version), LARGE)

    file, version = here.arrived(LARGE)
    here.proxy.fail_always("HeadObject", told("sha256", f"{base64.b64encode(bytes(32)).decode()}-2", "COMPOSITE"))
    assert run(here.job(), file, version) == here.now(file)
    done = run(here.job(), file, version)
    here.proxy.recover()
    assert failed(done, Reason.CHECKSUM_MISMATCH)
    assert done is not None
    assert done.mismatch == {"name": "sha-256 of the parts", "expected": "00" * 32, "found": ours}


def test_a_reading_that_went_wrong_is_repeated(here: World) -> None:
    """A byte that changed on its way once contradicts S3's checksum: another reading finds that nothing is wrong."""
    with Digests(["crc64nvme"]) as known:
        known.update(SMALL)
        (expected,) = known.hexdigests().values()
    file, version = here.arrived(SMALL)
    text = base64.b64encode(bytes.fromhex(expected)).decode()
    here.proxy.fail_always("HeadObject", told("crc64nvme", text))

    def flipped(exchange: network.Exchange) -> None:
        answer = exchange.forward()
        exchange.send(replace(answer, body=bytes([answer.body[0] ^ 1]) + answer.body[1:]))

    here.proxy.fail("GetObject", flipped)
    waiting = run(here.job(), file, version)
    assert waiting is not None
    assert (waiting.status, waiting.rereads) == (Status.HASHING, 1)
    assert ready(run(here.job(), file, version), SMALL, crc64nvme=expected)
    here.proxy.recover()


@pytest.mark.parametrize("operation", ["HeadObject", "GetObject"])
def test_an_object_is_not_for_us(here: World, operation: str) -> None:
    """A refusal that no repetition changes has a reason of its own."""
    file, version = here.arrived(SMALL)

    def forbid(exchange: network.Exchange) -> None:
        exchange.send(network.Answer(403, b"<Error><Code>AccessDenied</Code></Error>"))

    here.proxy.fail_always(operation, forbid)
    assert failed(run(here.job(), file, version), Reason.OBJECT_FORBIDDEN)


# ---------------------------------------------------------------- events: twice, late, for nobody


def test_an_event_comes_twice_while_the_file_is_hashed(here: World) -> None:
    """The second job sees the first one's lease and leaves quietly; the file is read once."""
    file, version = here.arrived(SMALL)
    second: list[File | None] = []
    here.proxy.fail("GetObject", network.before(lambda: second.append(run(here.near_job(), file, version))))
    assert ready(run(here.job(), file, version), SMALL)
    assert second == [None]


def test_an_event_comes_again_after_the_end(here: World) -> None:
    """Nothing is read and nothing written."""
    file, version = here.arrived(SMALL)
    done = run(here.job(), file, version)
    here.proxy.forget()
    assert run(here.job("job-2"), file, version) is None
    assert here.proxy.ranges() == []
    assert here.proxy.asked("PutItem") == []
    assert here.now(file) == done


def test_an_event_is_for_a_key_that_nobody_promised(here: World) -> None:
    """No record is made up for it."""
    file_id = new_id()
    version = Version(f"files/default/{file_id}", "e", 1, "v")
    assert here.job().run("default", file_id, version) is None
    assert here.proxy.ranges() == []
    with pytest.raises(FileNotFound):
        here.near_files.get("default", file_id)


def test_an_event_is_for_a_deleted_file(here: World) -> None:
    """Deleting does not wait for events under way."""
    file, version = here.arrived(SMALL)
    here.near_uploads.delete(here.now(file))
    assert run(here.job(), file, version) is None
    assert here.proxy.ranges() == []


def test_an_event_is_for_an_aborted_upload(here: World) -> None:
    """An upload that was given up stays given up."""
    file = here.sent(SMALL)
    version = here.near_objects.head(file.key).version
    here.near_uploads.delete(file)
    assert run(here.job(), file, version) is None
    assert here.now(file).status is Status.ABORTED


@pytest.mark.parametrize("gone", ["record", "all"])
def test_a_file_is_deleted_while_it_is_hashed(here: World, gone: str) -> None:
    """The job ends quietly and does not bring the record back."""
    file, version = here.arrived(SMALL)

    def delete() -> None:
        if gone == "all":
            here.near_uploads.delete(here.now(file))
        else:
            here.near_files.delete(file)

    here.proxy.fail("GetObject", network.cut(MIB, meanwhile=delete))
    assert run(here.job(), file, version) is None
    with pytest.raises(FileNotFound):
        here.now(file)


def test_the_event_comes_before_anybody_completes(here: World) -> None:
    """A single PUT is hashed as soon as it is there; completing it afterwards changes nothing, however often."""
    file = here.sent(SMALL)
    version = here.near_objects.head(file.key).version
    done = run(here.job(), file, version)
    assert ready(done, SMALL)
    assert here.uploads.complete(file, None) == here.uploads.complete(here.now(file), None) == done


def test_the_event_comes_before_completing_has_returned(here: World) -> None:
    """The object is hashed before the API hears that it exists: it answers with the file as it is by then."""
    file = here.sent(LARGE)

    def event() -> None:
        assert ready(run(here.near_job(), file, here.near_objects.head(file.key).version), LARGE)

    here.proxy.fail("CompleteMultipartUpload", network.after(event))
    assert ready(here.uploads.complete(file, None), LARGE)


def test_completing_and_the_event_meet(here: World) -> None:
    """`complete` writes between the job's reading and its taking the lease: the job takes it all the same.

    Its message is the only one: if it left as if another job had been faster, the file would never be hashed.
    """
    file = here.sent(SMALL)
    version = here.near_objects.head(file.key).version
    here.proxy.fail("PutItem", network.before(lambda: here.near_uploads.complete(file, None)))
    assert ready(run(here.job(), file, version), SMALL)


# ---------------------------------------------------------------- jobs that die, or run out of time


def test_a_dead_jobs_lease_is_taken_over(here: World) -> None:
    """Past its time a lease holds nobody off."""
    file, version = here.arrived(SMALL)
    dead = here.near_files.save(file, status=Status.HASHING, lease_holder="dead", lease_until=int(time.time()) - 1)
    assert ready(run(here.job(), dead, version), SMALL)


def test_a_living_jobs_lease_is_not(here: World) -> None:
    """Until then it does, and the record stays untouched."""
    file, version = here.arrived(SMALL)
    alive = here.near_files.save(file, status=Status.HASHING, lease_holder="alive", lease_until=int(time.time()) + 30)
    assert run(here.job(), file, version) is None
    assert here.now(file) == alive


def test_a_job_that_was_thought_dead_does_not_disturb(here: World) -> None:
    """Taken over while it was stuck, it leaves without a verdict: the other one's counts."""
    file, version = here.arrived(SMALL)

    def stuck_for_long() -> None:
        held = here.now(file)
        here.near_files.save(held, lease_until=int(time.time()) - 1)
        assert ready(run(here.near_job(), file, version), SMALL)

    here.proxy.fail("GetObject", network.before(stuck_for_long))
    assert run(here.job(), file, version) is None
    assert ready(here.now(file), SMALL)


def ticking(monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    """Each look of a job at its clock finds `step` seconds gone."""
    moments = iter(range(1_000_000))
    clock = SimpleNamespace(monotonic=lambda: next(moments) * step, time=time.time)
    monkeypatch.setattr("sluice.hashing.time", clock)


def test_progress_only_grows(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow stream, broken once, shows at least five steps, each further than the one before, from 0 to the end."""
    file, version = here.arrived(LARGE)
    ticking(monkeypatch, step=0.2)
    here.proxy.fail("GetObject", network.cut(4 * MIB + 5))
    assert ready(run(here.job(), file, version), LARGE)
    steps = here.hashed(file)
    assert steps[0] == 0
    assert len(steps[1:]) >= 5
    assert steps == sorted(set(steps))
    assert steps[-1] <= len(LARGE)


def test_each_checkpoint_renews_the_lease(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long job is never taken for a dead one."""
    file, version = here.arrived(LARGE)
    now = iter(range(1_800_000_000, 1_900_000_000))
    moments = iter(range(1_000_000))
    clock = SimpleNamespace(monotonic=lambda: float(next(moments)), time=lambda: next(now))
    monkeypatch.setattr("sluice.hashing.time", clock)
    assert ready(run(here.job(), file, version), LARGE)
    writes = [request.json()["Item"] for request in here.proxy.asked("PutItem")]
    leases = [int(item["lease_until"]["N"]) for item in writes if item["status"]["S"] == Status.HASHING]
    assert len(leases) >= 5
    assert leases == sorted(set(leases))


# ---------------------------------------------------------------- the network to DynamoDB


@pytest.mark.parametrize("operation", ["GetItem", "PutItem"])
def test_dynamodb_throttles_for_a_while(here: World, pauses: list[float], operation: str) -> None:
    """The SDK asks again, and the job does not notice."""
    file, version = here.arrived(SMALL)
    here.proxy.fail(operation, *[network.throttled] * (SDK_ATTEMPTS - 1))
    assert ready(run(here.job(), file, version), SMALL)
    assert len(pauses) == SDK_ATTEMPTS - 1


def test_dynamodb_throttles_without_end(here: World) -> None:
    """The job raises, so that its message comes again; then all is well."""
    file, version = here.arrived(SMALL)
    here.proxy.fail_always("PutItem", network.throttled)
    with pytest.raises(ClientError, match="ProvisionedThroughputExceeded"):
        run(here.job(), file, version)
    assert len(here.proxy.asked("PutItem")) == SDK_ATTEMPTS
    here.proxy.recover()
    assert ready(run(here.job("job-2"), file, version), SMALL)


def test_every_answer_to_a_write_is_lost_once(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """DynamoDB wrote, nobody heard, the SDK writes again and is refused: the job knows its own record and goes on."""
    file, version = here.arrived(LARGE)
    ticking(monkeypatch, step=0.2)
    here.proxy.fail("PutItem", *[network.lose, network.pass_on] * 20)
    assert ready(run(here.job(), file, version), LARGE)
    assert ready(here.now(file), LARGE)


def test_the_answer_to_a_creation_is_lost(here: World) -> None:
    """The client gets its file, not a conflict with itself."""
    here.proxy.fail("PutItem", network.lose)
    file, new = here.uploads.begin(Caller("default"), CreateFile(filename="a", size=1))
    assert new
    assert here.now(file) == file
