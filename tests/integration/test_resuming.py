"""A hashing job that is handed over, killed, duplicated and misled in any order, over the real table and bucket."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec, module_from_spec
from itertools import count
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.hasher.assembly import assemble
from sluice.files import ENDED, File, Status
from sluice.hashing import ATTEMPTS, DEADLINE_MARGIN_SECONDS, Job, Reason, StillHeld
from sluice.limits import KIB
from sluice.objects import Version
from sluice.reader import Patience
from tests.effort import effort
from tests.integration import proxy as network
from tests.integration.conftest import more, thorough
from tests.integration.world import (
    BUCKET,
    KEYS,
    OPTIONS,
    TABLE,
    World,
    content,
    environment,
    failed,
    handled,
    ready,
    run,
    world,
)

EXAMPLES = effort(8, 24, 100)
PART = KIB
DATA = content(5 * PART + 17)  # six buffers
OPTIONS_HERE = replace(OPTIONS, part_bytes=PART)
RECEIVES = 5  # of one message, as the template's queue gives it out
TICK_SECONDS = 1.0  # passes with each look at the clock: there is a checkpoint after each buffer


class Clock:
    """What `hashing` takes for the time."""

    def __init__(self) -> None:
        self.gone = 0.0

    def monotonic(self) -> float:
        self.gone += TICK_SECONDS
        return self.gone

    def time(self) -> float:
        return 1_800_000_000 + self.gone

    def pass_by(self, seconds: float) -> None:
        self.gone += seconds


class Killed(BaseException):
    """The process ends here: not even what follows an error is done."""


@pytest.fixture(scope="module")
def one_world() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("sluice.hashing.time", clock)
    monkeypatch.setattr("sluice.hashing.LEAST_READ_RATE", PART / (4 * TICK_SECONDS))
    # Nobody waits before asking again.
    monkeypatch.setattr(Patience, "pause", lambda *_: 0.0)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    return clock


@pytest.fixture
def here(one_world: World, clock: Clock) -> World:  # noqa: ARG001 - every job here has its clock
    one_world.proxy.recover()
    one_world.proxy.forget()
    return one_world


def sliced(buffers: int) -> Any:
    """The options of a job that hands over after so many buffers."""
    return replace(OPTIONS_HERE, slice_seconds=buffers * TICK_SECONDS)


def job(here: World, options: Any = OPTIONS_HERE, holder: str = "job-1") -> Job:
    return here.job(holder, options=options)


@contextmanager
def killed(here: World, write: int, *, before: bool) -> Iterator[None]:
    """The process ends at its `write`-th write, the first being 0: before DynamoDB heard of it, or just after."""
    events = here.files._client.meta.events
    name = f"{'before' if before else 'after'}-call.dynamodb.PutItem"
    writes = iter([*[None] * write, Killed])

    def end(**_: Any) -> None:
        if next(writes, None):
            raise Killed

    events.register(name, end)
    try:
        yield
    except Killed:
        pass
    finally:
        events.unregister(name, end)


def begun_at(here: World) -> int:
    """The first byte that the last read of an object asked for."""
    asked = here.proxy.ranges()[-1]
    return int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0


# ---------------------------------------------------------------- handing over


def test_a_job_that_is_out_of_time_hands_over(here: World, clock: Clock) -> None:
    """Before the deadline there is a checkpoint and no lease; the next job reads from the next byte on."""
    file, version = here.arrived(DATA)
    # A look at the clock when it begins, and one after each buffer.
    deadline = clock.gone + 3 * TICK_SECONDS + DEADLINE_MARGIN_SECONDS + 0.5
    first = here.job(seconds_left=lambda: deadline - clock.gone, options=OPTIONS_HERE)
    left = run(first, file, version)
    assert left == here.now(file)
    assert left is not None
    assert (left.status, left.hashed_bytes, left.lease_holder, left.lease_until) == (Status.HASHING, 3 * PART, None, 0)
    assert left.digest_states.keys() == {"sha-256", "md5", "crc32"}
    assert (left.resumes, left.attempts) == (True, 0)
    assert first.work.hashed_bytes == 3 * PART

    second = job(here, holder="job-2")
    assert ready(run(second, file, version), DATA)
    assert begun_at(here) == 3 * PART
    assert second.work.hashed_bytes == len(DATA) - 3 * PART


@pytest.mark.parametrize("buffers", range(1, 6))
def test_any_number_of_slices_make_one_file(here: World, buffers: int) -> None:
    """Each hands over where it stops; a slice that ends with the object comes to the verdict."""
    file, version = here.arrived(DATA)
    hashed = []
    left: File | None = file
    while left and left.status not in ENDED:
        one = job(here, sliced(buffers))
        left = run(one, file, version)
        hashed.append(one.work.hashed_bytes)
    assert ready(left, DATA)
    assert len(hashed) == -(-6 // buffers)
    assert sum(hashed) == len(DATA)


def test_the_owner_does_not_see_the_states(here: World) -> None:
    """Only that hashing resumes, should it be interrupted."""
    file, version = here.arrived(DATA)
    run(job(here, sliced(1)), file, version)
    shown = here.now(file).public()
    assert shown["resumes"] is True
    assert shown.keys().isdisjoint({"digest_states", "attempts", "lease_holder", "lease_until"})


def test_s3_fails_after_some_bytes(here: World) -> None:
    """What was read is kept, and the next job goes on there at once instead of after the message's time."""
    file, version = here.arrived(DATA)
    here.proxy.fail("GetObject", network.cut(2 * PART), *[network.slow_down] * Patience().attempts)
    left = run(job(here), file, version)
    assert left is not None
    assert (left.status, left.hashed_bytes, left.lease_holder) == (Status.HASHING, 2 * PART, None)
    assert ready(run(job(here, holder="job-2"), file, version), DATA)
    assert begun_at(here) == 2 * PART


@pytest.mark.parametrize("fault", [network.slow_down, network.lose])
def test_s3_does_not_tell_about_the_object(here: World, fault: network.Fault) -> None:
    """Without an answer to HEAD the job raises, and gives the lease back."""
    file, version = here.arrived(DATA)
    here.proxy.fail_always("HeadObject", fault)
    with pytest.raises((ClientError, BotoCoreError)):
        run(job(here), file, version)
    assert here.now(file).lease_holder is None
    here.proxy.recover()
    assert ready(run(job(here), file, version), DATA)


OWNERS = (
    {"filename": "b"},
    {"folder": "b"},
    {"metadata": {"a": "b"}},
    {"filename": "b", "folder": "a", "metadata": {}},
)


@pytest.mark.parametrize(
    ("write", "changes"),
    # Each write and each change without the rest of their pairs.
    [
        pytest.param(write, changes, marks=[] if write % len(OWNERS) == number else thorough)
        for write in range(8)
        for number, changes in enumerate(OWNERS)
    ],
    ids=str,
)
def test_a_change_of_the_owners_disturbs_no_job(here: World, changes: dict[str, Any], write: int) -> None:
    """Before any of its writes, the first and the verdict among them: each byte is read once, and both stay."""
    file, version = here.arrived(DATA)
    change = network.before(lambda: here.near_uploads.change(here.now(file), changes))
    here.proxy.fail("PutItem", *[network.pass_on] * write, change)
    one = job(here)
    assert ready(run(one, file, version), DATA)
    assert one.work.hashed_bytes == len(DATA)
    assert len(here.proxy.asked("GetObject")) == 1
    now = here.now(file)
    assert {name: getattr(now, name) for name in changes} == changes


def test_a_change_that_is_taken_back_disturbs_no_job(here: World) -> None:
    """Then the record is what it was, but for its revision."""
    file, version = here.arrived(DATA)

    def there_and_back() -> None:
        for name in ("b", file.filename):
            here.near_uploads.change(here.now(file), {"filename": name})

    here.proxy.fail("PutItem", *[network.before(there_and_back)] * 20)
    assert ready(run(job(here), file, version), DATA)


def test_a_digest_and_a_name_come_before_the_verdict(here: World) -> None:
    """The digest is compared although the owner has renamed the file as well."""
    file, version = here.arrived(DATA)

    def both() -> None:
        here.near_uploads.change(here.now(file), {"filename": "b"})
        here.near_uploads.complete(here.now(file), None, {"sha-256": "0" * 64})

    here.proxy.fail("PutItem", *[network.pass_on] * 7, network.before(both))
    assert failed(run(job(here), file, version), Reason.DIGEST_MISMATCH)
    assert here.now(file).filename == "b"


def test_a_job_that_is_taken_over_writes_nothing_more(here: World) -> None:
    """Also where the owner has renamed the file besides."""
    file, version = here.arrived(DATA)

    def overtake() -> None:
        here.near_uploads.change(here.now(file), {"filename": "b"})
        here.near_files.save(here.now(file), lease_holder="job-2")

    here.proxy.fail("PutItem", *[network.pass_on] * 3, network.before(overtake))
    assert run(job(here), file, version) is None
    assert (here.now(file).lease_holder, here.now(file).filename) == ("job-2", "b")


def test_renaming_does_not_keep_a_lost_upload_alive(here: World) -> None:
    """On its last message a file that S3 knows nothing of fails, whoever renames it at this moment."""
    file = here.near_files.save(here.sent(DATA, size=len(DATA)), status=Status.ASSEMBLING, upload_id="gone")
    here.near_objects.delete(file.key)
    change = network.before(lambda: here.near_uploads.change(here.now(file), {"filename": "b"}))
    here.proxy.fail("PutItem", change)
    assemble(here.files, here.objects, file.owner, file.id, 60.0, last=True)
    assert (here.now(file).reason, here.now(file).filename) == ("upload_missing", "b")


def test_a_failure_is_not_taken_for_a_take_over(here: World) -> None:
    """A write whose answer was lost makes giving the lease back a conflict; the message still has to come again."""
    file, version = here.arrived(DATA)
    lost = [network.lose, *[network.throttled] * 4]  # DynamoDB wrote, nobody heard, and then it is busy
    here.proxy.fail("PutItem", network.pass_on, *lost)
    with pytest.raises(ClientError, match="ProvisionedThroughputExceeded"):
        run(job(here), file, version)
    assert here.now(file).lease_holder == "job-1"
    here.proxy.recover()


# ---------------------------------------------------------------- the next message


@dataclass
class Hasher:
    """The function, whose jobs take one buffer each, and its queue."""

    module: ModuleType
    queue_url: str
    sqs: Any

    def handle(self, body: str) -> list[str]:
        """Which messages come again: `1`, or none."""
        return handled(self.module.handler, body)

    def sent(self) -> list[str]:
        """The bodies of the messages in the queue, which are taken out."""
        received = self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages", [])
        for message in received:
            self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in received]


@pytest.fixture
def hasher(here: World) -> Iterator[Hasher]:
    sqs = boto3.client("sqs", endpoint_url=here.proxy.url, **KEYS)
    queue_url = sqs.create_queue(QueueName="the-queue")["QueueUrl"]
    variables = {
        "TABLE_NAME": TABLE,
        "BUCKET_NAME": BUCKET,
        "QUEUE_URL": queue_url,
        "READ_CONNECTIONS": "1",
        "READ_PART_BYTES": str(PART),
        "SLICE_SECONDS": str(TICK_SECONDS),
        "POWERTOOLS_METRICS_NAMESPACE": "Sluice",
        "POWERTOOLS_SERVICE_NAME": "hasher",
        "POWERTOOLS_TRACE_DISABLED": "1",
    }
    with environment(here.proxy.url, **variables):
        spec = find_spec("functions.hasher.app")
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        yield Hasher(module, queue_url, sqs)


def told(version: Version) -> str:
    """S3's event about this version, as the queue has it."""
    about = {"key": version.key, "size": version.size, "eTag": version.etag, "versionId": version.version_id}
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": about}}
    return json.dumps({"Records": [record]})


def test_each_invocation_sends_the_next_message(here: World, hasher: Hasher) -> None:
    """S3's own event goes round by the queue until the file is ready; then there is no message any more."""
    file, version = here.arrived(DATA)
    body, invocations = told(version), 0
    while body:
        assert hasher.handle(body) == []
        invocations += 1
        (body,) = hasher.sent() or [""]
        assert body in (told(version), "")
    assert ready(here.now(file), DATA)
    assert invocations == 6


def test_ten_records_of_one_message_are_ten_files(here: World, hasher: Hasher) -> None:
    """The third is malformed, and goes to the dead letters by itself; each of the others is hashed, and handed over
    where it needs more than one job."""
    arrived = [here.arrived(DATA[: (1 + number % 2) * PART], filename=f"{number}.bin") for number in range(9)]
    records = [json.loads(told(version))["Records"][0] for _, version in arrived]
    malformed = json.loads(told(arrived[2][1]))["Records"][0]
    malformed["s3"]["object"]["size"] = 10**20
    records.insert(2, malformed)
    assert hasher.handle(json.dumps({"Records": records})) == []
    messages = [body for _ in range(2) for body in hasher.sent()]
    alone = json.dumps({"Records": [malformed]})
    assert sorted(messages) == sorted([alone, *(told(version) for file, version in arrived if file.size > PART)])
    for body in messages:
        assert hasher.handle(body) == (["1"] if body == alone else [])
    for file, _ in arrived:
        assert ready(here.now(file), DATA[: file.size])
    assert hasher.sent() == []


def test_a_next_message_that_cannot_be_sent(here: World, hasher: Hasher) -> None:
    """The lease is back by then and the checkpoint written, so the invocation fails and its own message goes on."""
    file, version = here.arrived(DATA)
    here.proxy.fail_always("SendMessage", network.internal_error)
    assert hasher.handle(told(version)) == ["1"]
    here.proxy.recover()
    left = here.now(file)
    assert (left.status, left.hashed_bytes, left.lease_holder) == (Status.HASHING, PART, None)
    assert hasher.sent() == []
    assert hasher.handle(told(version)) == []
    assert here.now(file).hashed_bytes == 2 * PART
    assert hasher.sent() == [told(version)]


def test_a_job_dies_between_its_checkpoint_and_the_next_message(here: World, hasher: Hasher) -> None:
    """Its own message is still there, and comes again."""
    file, version = here.arrived(DATA)
    events = hasher.module.queue._client.meta.events

    def end(**_: Any) -> None:
        raise Killed

    events.register("before-call.sqs.SendMessage", end)
    with pytest.raises(Killed):
        hasher.handle(told(version))
    events.unregister("before-call.sqs.SendMessage", end)
    assert hasher.sent() == []
    assert hasher.handle(told(version)) == []
    assert here.now(file).hashed_bytes == 2 * PART


def test_a_message_comes_back_before_its_dead_jobs_lease_is_over(here: World, hasher: Hasher, clock: Clock) -> None:
    """It is no duplicate, which would leave quietly and with nobody to come after it: it stays in the queue."""
    file, version = here.arrived(DATA)
    with killed(replace(here, files=hasher.module.files), 0, before=False):
        hasher.handle(told(version))
    left = here.now(file)
    assert hasher.handle(told(version)) == ["1"]
    assert here.now(file) == left
    clock.gone += OPTIONS.lease_seconds
    assert hasher.handle(told(version)) == []
    assert here.now(file).hashed_bytes == PART


# ---------------------------------------------------------------- where nothing can be saved


@pytest.fixture
def no_libcrypto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.libcrypto.load", lambda: None)


@pytest.mark.usefixtures("no_libcrypto")
def test_what_fits_into_one_invocation_needs_no_states(here: World) -> None:
    """It is hashed as well, by hashlib; the end of a slice is none."""
    file, version = here.arrived(DATA)
    done = run(job(here, sliced(1)), file, version)
    assert ready(done, DATA)
    assert done is not None
    assert not done.resumes


@pytest.mark.usefixtures("no_libcrypto")
def test_the_time_runs_out(here: World, clock: Clock) -> None:
    """What does not fit fails, with the time left to write so."""
    file, version = here.arrived(DATA)
    deadline = clock.gone + 3 * TICK_SECONDS + DEADLINE_MARGIN_SECONDS + 0.5
    done = run(here.job(seconds_left=lambda: deadline - clock.gone, options=OPTIONS_HERE), file, version)
    assert failed(done, Reason.OUT_OF_TIME)
    assert done is not None
    assert 0 < done.hashed_bytes < len(DATA)


@pytest.mark.usefixtures("no_libcrypto")
def test_an_interrupted_job_starts_over(here: World, caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    """From zero, which the record and the log say."""
    file, version = here.arrived(DATA)
    with killed(here, 4, before=False):
        run(job(here), file, version)
    left = here.now(file)
    assert (left.hashed_bytes, left.digest_states, left.resumes) == (4 * PART, {}, False)
    clock.gone += OPTIONS.lease_seconds
    assert ready(run(job(here, holder="job-2"), file, version), DATA)
    assert begun_at(here) == 0
    assert "hashing starts over" in caplog.messages


@pytest.mark.parametrize(
    "states",
    [
        {},
        {"sha-256": "nonsense", "md5": "nonsense"},
        {"sha-256": f"1:sha-256:{PART}:{'00' * 32}:", "md5": f"1:md5:{2 * PART}:{'00' * 16}:"},
    ],
    ids=["none", "nonsense", "another-offset"],
)
def test_states_that_do_not_fit_are_not_used(here: World, states: dict[str, str]) -> None:
    """The job begins at zero, and its digests are right."""
    file, version = here.arrived(DATA)
    left = run(job(here, sliced(2)), file, version)
    assert left is not None
    here.near_files.save(left, digest_states=states)
    assert ready(run(job(here), file, version), DATA)
    assert begun_at(here) == 0


def test_more_digests_than_there_are_states(here: World) -> None:
    """A deployment that asks for another digest meanwhile makes the job start over."""
    file, version = here.arrived(DATA)
    run(job(here, sliced(2)), file, version)
    more = replace(OPTIONS_HERE, digests=(*OPTIONS_HERE.digests, "sha-512"))
    done = run(job(here, more), file, version)
    assert done is not None
    assert (done.status, set(done.digests)) == (Status.READY, {"sha-256", "md5", "sha-512"})
    assert begun_at(here) == 0


# ---------------------------------------------------------------- killed


@pytest.mark.parametrize(
    ("write", "before"),
    # What is there after a write is there before the next one: each of the two at every other write, and all of them.
    [
        pytest.param(write, before, marks=[] if before is (write % 2 == 0) else thorough)
        for write in range(8)
        for before in (True, False)
    ],
)
def test_a_job_is_killed_at_any_write(here: World, clock: Clock, write: int, before: bool) -> None:
    """While its lease counts nobody else begins; then the next job goes on from the last checkpoint."""
    file, version = here.arrived(DATA)
    with killed(here, write, before=before):
        run(job(here), file, version)
    left = here.now(file)
    if left.status is Status.HASHING:
        assert run(job(here, holder="job-2"), file, version) is None
        clock.gone += OPTIONS.lease_seconds
    ends_here = left.status not in ENDED
    done = run(job(here, holder="job-2"), file, version)
    if ends_here:
        assert ready(done, DATA)
        assert here.proxy.ranges() == [] or begun_at(here) == left.hashed_bytes or left.hashed_bytes == len(DATA)
    else:
        assert done is None
        assert ready(here.now(file), DATA)


def test_a_file_that_kills_every_job_fails(here: World, clock: Clock) -> None:
    """After so many attempts without a byte that lasts; the next receive ends it, even the last one of its message."""
    file, version = here.arrived(DATA)
    for attempt in range(ATTEMPTS):
        with killed(here, 1, before=True):
            run(job(here), file, version)
        assert (here.now(file).status, here.now(file).attempts) == (Status.HASHING, attempt + 1)
        clock.gone += OPTIONS.lease_seconds
    here.proxy.forget()
    assert failed(job(here).run(file.owner, file.id, version, last=True), Reason.UNREADABLE)
    assert here.proxy.ranges() == []


def test_progress_pays_for_more_attempts(here: World, clock: Clock) -> None:
    """A job that wrote a checkpoint before it was killed counts as none."""
    file, version = here.arrived(DATA)
    for _ in range(ATTEMPTS):
        with killed(here, 1, before=True):
            run(job(here), file, version)
        clock.gone += OPTIONS.lease_seconds
        with killed(here, 1, before=False):
            run(job(here), file, version)
        clock.gone += OPTIONS.lease_seconds
        if here.now(file).hashed_bytes == len(DATA):
            break
        assert here.now(file).attempts == 0
    assert ready(run(job(here), file, version), DATA)


def test_starting_over_is_no_progress(here: World) -> None:
    """A file whose states never fit does not go round for ever, however far each job gets."""
    file, version = here.arrived(DATA)
    run(job(here, sliced(3)), file, version)
    for _ in range(ATTEMPTS):
        here.near_files.save(here.now(file), digest_states={})
        left = run(job(here, sliced(4)), file, version)
        assert left is not None
        assert left.status is Status.HASHING
    here.near_files.save(here.now(file), digest_states={})
    assert failed(run(job(here, sliced(4)), file, version), Reason.UNREADABLE)


def test_a_trickle_is_no_progress(here: World, clock: Clock) -> None:
    """A file whose jobs bring bytes, but far more slowly than a connection may be, does not go round for ever."""
    data = content(2 * ATTEMPTS * PART)
    file, version = here.arrived(data)
    for attempt in range(ATTEMPTS):
        left = run(trickling(here, clock), file, version)
        assert left is not None
        assert (left.status, left.hashed_bytes, left.attempts) == (Status.HASHING, (attempt + 1) * PART, attempt + 1)
    assert failed(run(trickling(here, clock), file, version), Reason.UNREADABLE)


def test_a_trickle_after_a_good_beginning_is_none_either(here: World, clock: Clock) -> None:
    """The run counts as a whole: its first checkpoint may have been in time."""
    file, version = here.arrived(DATA)
    here.proxy.fail("PutItem", network.pass_on, network.after(lambda: clock.pass_by(1000.0)))
    left = run(job(here, sliced(500)), file, version)
    assert left is not None
    assert [int(item["attempts"]["N"]) for item in written(here, file)] == [1, 0, 1]
    assert (left.status, left.attempts) == (Status.HASHING, 1)


def test_a_small_file_that_came_slowly_is_ready(here: World, clock: Clock) -> None:
    """Its end is progress, whatever the rate, on the last attempt as well."""
    file, version = here.arrived(DATA[:PART])
    here.near_files.save(file, status=Status.HASHING, attempts=ATTEMPTS - 1)
    assert ready(run(trickling(here, clock), file, version), DATA[:PART])


def trickling(here: World, clock: Clock) -> Job:
    """A job that hands over after one buffer, which takes a thousand seconds."""
    here.proxy.fail("GetObject", network.before(lambda: clock.pass_by(1000.0)))
    return job(here, sliced(1))


def test_the_last_receive_of_a_message_renews_it(here: World) -> None:
    """Nothing is read under a message that would die with its job: another one is asked for instead."""
    file, version = here.arrived(DATA)
    run(job(here, sliced(2)), file, version)
    here.proxy.forget()
    left = job(here).run(file.owner, file.id, version, last=True)
    assert left == here.now(file)
    assert left is not None
    assert (left.status, left.lease_holder, left.hashed_bytes, left.attempts) == (Status.HASHING, None, 2 * PART, 0)
    assert here.proxy.ranges() == []
    assert ready(run(job(here), file, version), DATA)


# ---------------------------------------------------------------- events about other versions


@pytest.mark.parametrize("which", ["older", "newer"])
def test_an_event_about_another_version_changes_nothing(here: World, which: str) -> None:
    """The version that the first job began with is the file, whatever comes late or was written over it since.

    The other one is deleted: S3 lets go of a version that another one hides, which would be the file.
    """
    file, version = here.arrived(DATA)
    here.near_s3.put_object(Bucket=BUCKET, Key=file.key, Body=content(len(DATA), seed=2))
    other = here.near_objects.head(file.key).version
    first, late = (other, version) if which == "older" else (version, other)
    left = run(job(here, sliced(2)), file, first)
    assert run(job(here, holder="job-2"), file, late) is None
    assert here.now(file) == left
    done = run(job(here), file, first)
    assert done is not None
    assert (done.status, done.version_id) == (Status.READY, first.version_id)
    assert begun_at(here) == 2 * PART
    assert versions(here, file) == [first.version_id]


def versions(here: World, file: File) -> list[str]:
    """What the bucket has under the file's key, hidden or not."""
    listed = here.near_s3.list_object_versions(Bucket=BUCKET, Prefix=file.key)
    return [version["VersionId"] for version in listed.get("Versions", [])]


def test_a_ready_file_stays_when_its_form_is_posted_again(here: World) -> None:
    """Uppy's form can be sent twice. The second object goes, not the one whose digests are known."""
    file, version = here.arrived(DATA)
    done = run(job(here), file, version)
    here.near_s3.put_object(Bucket=BUCKET, Key=file.key, Body=DATA)
    again = here.near_objects.head(file.key).version
    assert run(job(here), file, again) is None
    assert here.now(file) == done
    assert versions(here, file) == [version.version_id]


def test_what_another_version_meets_does_not_end_the_file(here: World) -> None:
    """The last receive of a message about it fails; the file waits for a message of its own."""
    file, version = here.arrived(DATA)
    left = run(job(here, sliced(2)), file, version)
    job(here).give_up(file.owner, file.id, replace(version, version_id="another"))
    assert here.now(file) == left


# ---------------------------------------------------------------- everything at once

STEPS = st.one_of(
    st.tuples(st.just("slice"), st.integers(1, 6)),
    st.tuples(st.just("kill"), st.integers(0, 13)),
    st.tuples(st.just("cut"), st.integers(0, len(DATA))),
    st.tuples(st.just("duplicate"), st.just(0)),
)


@more
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=1, max_size=ATTEMPTS - 1), order=st.randoms(use_true_random=False))
def test_whatever_happens_there_is_one_right_verdict(
    here: World, clock: Clock, steps: list[tuple[str, int]], order: Any
) -> None:
    """As long as a message is there the file gets on; when none is left there has been one verdict, a right one."""
    file, version = here.arrived(DATA)
    here.proxy.forget()
    names = map("message-{}".format, count())
    # Their names, how often each is received by now, and from when on it can be.
    messages = [(next(names), 1, 0.0)]
    for step in [*steps, *[("nothing", 0)] * 100]:
        if not messages:
            break
        if step[0] == "duplicate":
            messages.append((next(names), 1, 0.0))
            continue
        clock.gone = max(clock.gone, min(visible for *_, visible in messages))
        received = order.choice([message for message in messages if message[2] <= clock.gone])
        messages.remove(received)
        name, receives, _ = received
        left, ended = deliver(here, file, version, step, name, last=receives == RECEIVES)
        if not ended:  # it comes again after the queue's visibility timeout, which outlasts the lease, or too soon
            hidden = OPTIONS.lease_seconds if receives > 1 else order.choice([0, OPTIONS.lease_seconds])
            messages.append((name, receives + 1, clock.gone + hidden))
        elif left is not None and left.status is Status.HASHING:
            messages.append((next(names), 1, 0.0))
    verdicts = [item for item in written(here, file) if item["status"]["S"] in ENDED]
    assert len(verdicts) == 1
    assert ready(here.now(file), DATA)


def deliver(
    here: World, file: File, version: Version, step: tuple[str, int], message: str, *, last: bool
) -> tuple[File | None, bool]:
    """What a message's job left, and whether it ended in order."""
    kind, number = step
    if kind == "cut":
        here.proxy.fail("GetObject", network.cut(number))
    options = sliced(number) if kind == "slice" else OPTIONS_HERE
    left, ended = None, False
    with suppress(StillHeld), killed(here, number // 2 if kind == "kill" else 1000, before=number % 2 == 0):
        left = here.job(message, options=options).run(file.owner, file.id, version, last=last)
        ended = True
    return left, ended


def written(here: World, file: File) -> list[Any]:
    items = [request.json()["Item"] for request in here.proxy.asked("PutItem")]
    return [item for item in items if item["id"]["S"] == file.id]
