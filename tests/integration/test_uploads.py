"""What the world does to an upload between its first part and its end, and what becomes of what nobody finishes.

Each test is a real table, bucket and queue behind a network that fails on purpose.
"""

import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from functions.api import uploads as uploads_module
from functions.api.schemas import CompletedPart, CreateFile
from functions.hasher.assembly import assemble
from sluice import limits
from sluice.capabilities import Caller
from sluice.errors import Busy, Conflict, DigestsNeeded, FileNotFound, PartsMissing, WrongState
from sluice.files import File, Status, new_id
from sluice.hashing import Reason
from sluice.listing import Filter, Listing
from sluice.objects import ObjectMissing, Undecided, Version
from sluice.queue import upload_to_complete
from tests.integration import proxy as network
from tests.integration.journey import PATIENCE_SECONDS
from tests.integration.world import (
    BUCKET,
    TABLE,
    World,
    content,
    digests,
    failed,
    put,
    ready,
    run,
    small_parts,
    world,
)

PART = 512  # bytes: small parts for the many uploads here
SMALL = content(PART - 1)  # one PUT
LARGE = content(PART + 17)  # two parts
SDK_ATTEMPTS = 5  # what Objects.connect asks for, the first one among them
DAY = 86_400  # seconds


@pytest.fixture(scope="module")
def one_world() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture
def here(one_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Nobody waits, neither the SDK before it asks again nor a message before it comes; parts are small."""
    small_parts(monkeypatch, PART)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr("sluice.queue.DELAY_SECONDS", 0)
    here = one_world.fresh()
    here.messages()
    return here


def begun(here: World, size: int, **wanted: Any) -> File:
    file, _ = here.uploads.begin(Caller("default"), CreateFile(filename="a", size=size, **wanted))
    return file


def later(monkeypatch: pytest.MonkeyPatch, moment: int) -> None:
    """It is this moment (epoch seconds) for who reads and writes records."""
    clock = SimpleNamespace(time=lambda: float(moment), time_ns=lambda: moment * 10**9)
    monkeypatch.setattr("sluice.files.time", clock)
    monkeypatch.setattr("sluice.listing.time", clock)


def version_of(here: World, file: File) -> Version:
    return here.near_objects.head(file.key).version


def versions(here: World, file: File) -> list[Any]:
    """All that the bucket has under the file's key, markers of deletions as well."""
    listed = here.near_s3.list_object_versions(Bucket=BUCKET, Prefix=file.key)
    return [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]


def complete_upload(here: World, *, last: bool = False) -> None:
    """What the hasher does with the one message that waits."""
    (message,) = here.messages()
    told = upload_to_complete(message)
    assert told is not None
    assemble(here.files, here.objects, *told, seconds=60.0, last=last)


# ---------------------------------------------------------------- resuming


def test_parts_are_merged_over_all_pages(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever parts have arrived, in whatever order, each is listed once; moto counts places, S3 numbers."""
    monkeypatch.setattr("sluice.objects.LIST_PARTS_PAGE", 2)
    file = begun(here, 12 * PART)
    assert file.upload_id
    for numbers in ([9], [12, 11], [3], [4, 10, 8]):
        for number in numbers:
            body = b"x" * number
            here.near_s3.upload_part(Bucket=BUCKET, Key=file.key, UploadId=file.upload_id, PartNumber=number, Body=body)
    arrived = here.objects.parts(file.key, file.upload_id)
    assert [(part.number, part.size) for part in arrived] == [(number, number) for number in (3, 4, 8, 9, 10, 11, 12)]


def of_another_size(here: World, file: File, number: int) -> None:
    """A part that S3 takes from who needs no URL of ours."""
    here.near_s3.upload_part(
        Bucket=BUCKET, Key=file.key, UploadId=file.upload_id, PartNumber=number, Body=bytes(file.part_size + 1)
    )


def test_any_device_goes_on_where_another_one_stopped(here: World) -> None:
    """By fingerprint or by id, it is told the parts that arrived, and not those of a wrong size; then all is whole."""
    file = begun(here, len(LARGE), fingerprint="holiday.mp4")
    put(here.uploads.sign(file, [1])[0], LARGE)
    of_another_size(here, file, 2)
    by_fingerprint, new = here.near_uploads.begin(
        Caller("default"), CreateFile(filename="b", size=len(LARGE), fingerprint="holiday.mp4")
    )
    assert (by_fingerprint.id, new) == (file.id, False)
    for known in (by_fingerprint, here.near_files.get("default", file.id)):
        assert [part.number for part in here.near_uploads.received(known)] == [1]
    put(here.near_uploads.sign(by_fingerprint, [2])[0], LARGE)
    with pytest.raises(DigestsNeeded):
        here.near_uploads.complete(by_fingerprint, None)
    done = here.near_uploads.complete(by_fingerprint, None, digests(LARGE))
    assert ready(run(here.job(), done, version_of(here, file)), LARGE)


# ---------------------------------------------------------------- completing


def test_the_answer_to_completing_is_lost(here: World) -> None:
    """The SDK asks again, S3 knows the upload no more: the object is there, so that is success."""
    file = here.sent(LARGE)
    here.proxy.fail("CompleteMultipartUpload", network.lose)
    done = here.uploads.complete(file, None)
    assert done.status is Status.ASSEMBLING
    assert ready(run(here.job(), done, here.near_objects.head(file.key).version), LARGE)


def test_the_api_dies_after_s3_completed(here: World) -> None:
    """Nothing was written after S3's deed: completing again finds the object and succeeds, as often as one likes."""
    file = here.sent(LARGE)
    here.proxy.fail("GetItem", *[network.lose] * SDK_ATTEMPTS)
    with pytest.raises(BotoCoreError):
        here.uploads.complete(file, None)
    here.proxy.recover()
    assert here.now(file).status is Status.ASSEMBLING
    again = here.uploads.complete(here.now(file), None)
    assert again.status is Status.ASSEMBLING
    assert here.uploads.complete(again, None) == again
    assert ready(run(here.job(), again, here.near_objects.head(file.key).version), LARGE)


def test_two_complete_at_once(here: World) -> None:
    """Both succeed; the second goes on from where the first left the file."""
    file = here.sent(LARGE)
    here.proxy.fail("PutItem", network.before(lambda: here.near_uploads.complete(file, None)))
    assert here.uploads.complete(file, None).status is Status.ASSEMBLING
    assert here.near_objects.head(file.key).version.size == len(LARGE)


def test_the_upload_is_gone_from_s3(here: World) -> None:
    """The bucket's lifecycle rule took it: the file has failed, and says so every time."""
    file = here.sent(LARGE)
    assert file.upload_id
    here.near_objects.abort(file.key, file.upload_id)
    gone = here.uploads.complete(file, None)
    assert (gone.status, gone.reason) == (Status.FAILED, "upload_missing")
    assert gone.forget_at  # nothing of it is left, and the record goes too
    assert here.uploads.complete(here.now(file), None) == gone


def test_an_upload_that_s3_has_lost_is_not_resumed_again(here: World) -> None:
    """Whoever asks for its parts ends it, so that the same fingerprint begins anew."""
    wanted = CreateFile(filename="a", size=len(LARGE), fingerprint=new_id())
    file, _ = here.uploads.begin(Caller("default"), wanted)
    assert file.upload_id
    here.near_objects.abort(file.key, file.upload_id)
    assert here.uploads.received(file) == []
    gone = here.now(file)
    assert (gone.status, gone.reason) == (Status.FAILED, "upload_missing")
    again, new = here.uploads.begin(Caller("default"), wanted)
    assert new
    assert again.id != file.id


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["single", "multipart"])
def test_a_part_has_not_arrived(here: World, data: bytes) -> None:
    """Completing names it, the file stays open, and once the part is there it succeeds."""
    file, _ = here.uploads.begin(Caller("default"), CreateFile(filename="a", size=len(data)))
    signed = here.uploads.sign(file, range(1, file.part_count + 1))
    for part in signed[:-1]:
        put(part, data)
    with pytest.raises(PartsMissing) as raised:
        here.uploads.complete(file, None)
    assert raised.value.extra["missing"] == [file.part_count]
    put(signed[-1], data)
    assert here.uploads.complete(here.now(file), None).status is Status.ASSEMBLING


def test_a_part_of_another_size_counts_as_missing(here: World) -> None:
    """Whoever got past the signature did not get past the list."""
    file, _ = here.uploads.begin(Caller("default"), CreateFile(filename="a", size=len(LARGE)))
    put(here.uploads.sign(file, [1])[0], LARGE)
    of_another_size(here, file, 2)
    assert [part.number for part in here.uploads.received(file)] == [1]
    with pytest.raises(PartsMissing) as raised:
        here.uploads.complete(file, None)
    assert raised.value.extra["missing"] == [2]


def test_parts_may_be_listed_with_or_without_quotes(here: World) -> None:
    """Clients read ETags from headers, where they are quoted."""
    file = here.sent(LARGE)
    listed = [CompletedPart(number=part.number, etag=f'"{part.etag}"') for part in here.uploads.received(file)]
    assert here.uploads.complete(file, listed).status is Status.ASSEMBLING


def test_a_part_is_sent_again_while_it_is_completed(here: World) -> None:
    """S3 refuses the part that was listed a moment ago: busy for now, and the next call takes what is there."""
    file = here.sent(LARGE)
    other = content(len(LARGE), seed=2)
    (first,) = here.near_uploads.sign(file, [1])
    here.proxy.fail("CompleteMultipartUpload", network.before(lambda: put(first, other)))
    with pytest.raises(Busy):
        here.uploads.complete(file, None)
    done = here.uploads.complete(here.now(file), None)
    sent_again = other[: first["size"]] + LARGE[first["size"] :]
    assert ready(run(here.job(), done, here.near_objects.head(file.key).version), sent_again)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "EntityTooSmall"),
        (400, "InvalidPartOrder"),
        (400, "InvalidRequest"),
        (403, "AccessDenied"),
    ],
)
def test_s3_refuses_to_complete(here: World, status: int, code: str) -> None:
    """Only what asking again can help is called busy; our own mistakes keep their name, and the file can go on."""
    file = here.sent(LARGE)
    here.proxy.fail_always("CompleteMultipartUpload", network.says(status, code))
    with pytest.raises(ClientError, match=code):
        here.uploads.complete(file, None)
    assert len(here.proxy.asked("CompleteMultipartUpload")) == 1
    here.proxy.recover()
    assert here.uploads.complete(here.now(file), None).status is Status.ASSEMBLING
    assert here.near_objects.head(file.key).version.size == len(LARGE)


# ---------------------------------------------------------------- S3 takes its time


def test_s3_takes_longer_than_a_client_can_wait(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sends blanks for minutes: the client is told `assembling` meanwhile, and the file gets ready without it."""
    file = here.sent(LARGE)
    until = threading.Event()
    here.proxy.fail("CompleteMultipartUpload", network.at_it(until))
    try:
        with monkeypatch.context() as patch:
            patch.setattr(uploads_module, "COMPLETE_SECONDS", 0.05)
            assert here.uploads.complete(file, None).status is Status.ASSEMBLING
        with pytest.raises(ObjectMissing):  # S3 is at it still
            version_of(here, file)
        complete_upload(here)  # here S3 takes the second one's word for it, and is done
    finally:
        until.set()
    assert ready(run(here.job(), here.now(file), version_of(here, file)), LARGE)
    assert len(versions(here, file)) == 1


@pytest.mark.parametrize(("status", "code"), [(200, "InternalError"), (500, "InternalError"), (503, "SlowDown")])
def test_s3_fails_for_a_while(here: World, status: int, code: str) -> None:
    """Also where it has said 200 before it failed: it is asked again within the same call."""
    file = here.sent(LARGE)
    here.proxy.fail("CompleteMultipartUpload", *[network.says(status, code)] * (SDK_ATTEMPTS - 1))
    assert here.uploads.complete(file, None).status is Status.ASSEMBLING
    assert ready(run(here.job(), here.now(file), version_of(here, file)), LARGE)


def test_the_api_dies_before_s3_has_heard(here: World) -> None:
    """Nobody was promised anything, and nobody may ever ask again: the file gets ready all the same."""
    file = here.sent(LARGE)
    here.proxy.fail_always("CompleteMultipartUpload", network.says(403, "AccessDenied"))
    with pytest.raises(ClientError):
        here.uploads.complete(file, None)
    here.proxy.recover()
    assert here.now(file).status is Status.ASSEMBLING
    complete_upload(here)
    assert ready(run(here.job(), here.now(file), version_of(here, file)), LARGE)


def test_no_file_is_assembling_without_its_message(here: World) -> None:
    """Where the queue takes none, completing fails before anything has changed, and works when asked for again."""
    file = here.sent(LARGE)
    here.proxy.fail_always("SendMessage", network.says(503, "ServiceUnavailable"))
    with pytest.raises(ClientError):
        here.uploads.complete(file, None)
    assert here.now(file) == file
    here.proxy.recover()
    assert here.uploads.complete(file, None).status is Status.ASSEMBLING


def test_a_message_of_a_completion_that_was_not_begun(here: World) -> None:
    """The API died behind the message: the parts stay as they are, and the client completes them later."""
    file = here.sent(LARGE)
    here.queue.complete_later(file)
    complete_upload(here)
    assert here.now(file) == file
    assert here.uploads.complete(file, None).status is Status.ASSEMBLING


FOR_EVER = [network.says(200, "InternalError"), network.says(503, "SlowDown"), network.lose]


@pytest.mark.parametrize("fault", FOR_EVER, ids=["within 200", "503", "lost"])
def test_s3_fails_for_longer_than_a_client_waits(here: World, fault: network.Fault) -> None:
    """What a 202 promised is kept: the hasher asks S3 again, as often as it takes, and nobody else need be there."""
    file = here.sent(LARGE)
    here.proxy.fail_always("CompleteMultipartUpload", fault)
    assert here.uploads.complete(file, None).status is Status.ASSEMBLING
    assert len(here.proxy.asked("CompleteMultipartUpload")) == SDK_ATTEMPTS
    (message,) = here.messages()
    told = upload_to_complete(message)
    assert told == ("default", file.id)
    if fault is not network.lose:  # then S3 has done it, and nobody has heard
        with pytest.raises(Undecided):
            assemble(here.files, here.objects, *told, seconds=60.0, last=True)
    here.proxy.recover()
    assemble(here.files, here.objects, *told, seconds=60.0, last=False)
    assert ready(run(here.job(), here.now(file), version_of(here, file)), LARGE)
    assemble(here.files, here.objects, *told, seconds=60.0, last=False)  # a message may come twice
    assert ready(here.now(file), LARGE)


@pytest.mark.parametrize("answer", [(409, "ConditionalRequestConflict"), (412, "PreconditionFailed")])
def test_another_request_completes_the_same_upload(here: World, answer: tuple[int, str]) -> None:
    """S3 refuses the second of two: the object is there, or will be."""
    file = here.sent(LARGE)
    here.proxy.fail_always("CompleteMultipartUpload", network.says(*answer))
    assert here.uploads.complete(file, None).status is Status.ASSEMBLING
    here.proxy.recover()
    complete_upload(here)
    here.proxy.fail_always("CompleteMultipartUpload", network.says(*answer))
    assert here.uploads.complete(here.now(file), None).status is Status.ASSEMBLING
    assert here.messages() == []
    assert ready(run(here.job(), here.now(file), version_of(here, file)), LARGE)


def test_nothing_is_overwritten_by_completing(here: World) -> None:
    """What somebody has put under the key stays, and is found not to be what was promised."""
    file = here.sent(LARGE)
    here.near_s3.put_object(Bucket=BUCKET, Key=file.key, Body=b"by hand")
    done = here.uploads.complete(file, None)
    assert done.status is Status.ASSEMBLING
    assert version_of(here, file).size == len(b"by hand")
    assert failed(run(here.job(), done, version_of(here, file)), Reason.SIZE_MISMATCH)


# ---------------------------------------------------------------- what the hasher sees through


def test_an_object_that_came_after_all(here: World) -> None:
    """S3 was done before the hasher looked: its event does the rest."""
    file = here.sent(LARGE)
    here.proxy.fail_always("CompleteMultipartUpload", network.lose)
    done = here.uploads.complete(file, None)
    here.proxy.recover()
    complete_upload(here)
    assert here.now(file) == done
    assert len(versions(here, file)) == 1


def test_neither_upload_nor_object(here: World) -> None:
    """S3 may be at it, so the message comes again; the last time, the file has failed and says why for a week."""
    file = here.sent(LARGE)
    assert file.upload_id
    here.queue.complete_later(file)
    assembling = here.files.save(file, status=Status.ASSEMBLING)
    here.near_objects.abort(file.key, file.upload_id)
    assert here.uploads.complete(assembling, None) == assembling
    with pytest.raises(ObjectMissing):
        complete_upload(here)
    assert here.now(file) == assembling
    assemble(here.files, here.objects, "default", file.id, seconds=60.0, last=True)
    gone = here.now(file)
    assert (gone.status, gone.reason) == (Status.FAILED, "upload_missing")
    assert gone.forget_at
    assert gone.forget_at > time.time() + 6 * DAY


@pytest.mark.parametrize("status", [Status.HASHING, Status.FAILED])
def test_a_file_that_has_got_on_is_left_alone(here: World, status: Status) -> None:
    """S3's event was faster than the message."""
    file = here.sent(LARGE)
    on = here.files.save(file, status=status)
    here.proxy.forget()
    assemble(here.files, here.objects, "default", file.id, seconds=60.0, last=True)
    assert here.proxy.asked("CompleteMultipartUpload") == []
    assert here.now(file) == on


def test_a_file_that_was_deleted_is_not_seen_through(here: World) -> None:
    """Its message comes to nothing, and takes nothing back."""
    file = here.sent(LARGE)
    here.proxy.fail_always("CompleteMultipartUpload", network.says(503, "SlowDown"))
    here.uploads.delete(here.uploads.complete(file, None))
    here.proxy.recover()
    complete_upload(here)
    assert versions(here, file) == []
    with pytest.raises(FileNotFound):
        here.now(file)


# ---------------------------------------------------------------- what goes away by itself


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["single", "multipart"])
def test_what_has_arrived_no_longer_expires(here: World, data: bytes) -> None:
    """An upload expires until it is completed; DynamoDB never takes the record of a file that waits for its hash."""
    file = here.sent(data)
    assert file.expires_at is not None
    assert file.expires_at > time.time()
    assert here.uploads.complete(file, None).expires_at is None
    assert here.now(file).expires_at is None


def test_what_nobody_completed_no_longer_expires_once_it_is_hashed(here: World) -> None:
    """The job's first write takes the end away, not only its last one."""
    file = here.sent(SMALL)
    during: list[File] = []
    here.proxy.fail("GetObject", network.before(lambda: during.append(here.now(file))))
    assert ready(run(here.job(), file, here.near_objects.head(file.key).version), SMALL)
    assert [(one.status, one.expires_at) for one in during] == [(Status.HASHING, None)]


def test_an_expired_upload_is_begun_anew(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same fingerprint resumes within the week, and is another upload after it."""
    wanted = CreateFile(filename="a", size=len(LARGE), fingerprint=new_id())
    file, new = here.uploads.begin(Caller("default"), wanted)
    assert new
    again, new = here.uploads.begin(Caller("default"), wanted)
    assert (again.id, new) == (file.id, False)
    assert file.expires_at is not None
    later = file.expires_at + 1
    monkeypatch.setattr("sluice.files.time", SimpleNamespace(time=lambda: later, time_ns=lambda: later * 10**9))
    again, new = here.uploads.begin(Caller("default"), wanted)
    assert new
    assert again.id != file.id


# ---------------------------------------------------------------- what comes when nobody waits for it any more


@pytest.mark.parametrize("end", ["aborted", "expired", "deleted"])
def test_what_arrives_after_the_end_is_deleted(here: World, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """A URL outlives its upload by up to an hour: what is sent to it goes when its event comes, and can be had back."""
    file = begun(here, len(SMALL))
    (part,) = here.uploads.sign(file, [1])
    if end == "aborted":
        here.uploads.delete(file)
    elif end == "expired":
        assert file.expires_at
        later(monkeypatch, file.expires_at)
    else:
        put(part, SMALL)
        assert ready(run(here.job(), file, version_of(here, file)), SMALL)
        here.uploads.delete(here.now(file))
    put(part, SMALL)
    late = version_of(here, file)
    for _ in range(2):
        assert run(here.job(), file, late) is None
        with pytest.raises(ObjectMissing):
            version_of(here, file)
    assert late.version_id in [left["VersionId"] for left in versions(here, file)]


def test_an_object_that_nobody_condemned_stays(here: World) -> None:
    """Who restores a bucket and a table begins with one of them: no record is no reason to delete."""
    file, version = here.arrived(SMALL)
    here.near_s3.delete_object(Bucket=BUCKET, Key=file.key, VersionId=version.version_id)
    key = {"owner": {"S": file.owner}, "id": {"S": file.id}}
    here.near_files.connection[0].delete_item(TableName=TABLE, Key=key)
    here.near_s3.put_object(Bucket=BUCKET, Key=file.key, Body=SMALL)
    restored = version_of(here, file)
    assert run(here.job(), file, restored) is None
    assert version_of(here, file) == restored


def test_a_version_that_was_restored_hides_nothing(here: World) -> None:
    """The record names a version that is gone: what lies there now may be all that is left of the file."""
    file, version = here.arrived(SMALL)
    assert ready(run(here.job(), file, version), SMALL)
    here.near_s3.delete_object(Bucket=BUCKET, Key=file.key, VersionId=version.version_id)
    here.near_s3.put_object(Bucket=BUCKET, Key=file.key, Body=SMALL)
    restored = version_of(here, file)
    assert run(here.job(), file, restored) is None
    assert version_of(here, file) == restored


def test_an_upload_that_s3_completes_after_its_deletion(here: World) -> None:
    """S3 was at it when the file was deleted: the object goes when its event comes."""
    file = here.sent(LARGE)
    here.proxy.fail("CompleteMultipartUpload", network.before(lambda: here.near_files.delete(here.now(file))))
    with pytest.raises(FileNotFound):
        here.uploads.complete(file, None)
    assert run(here.job(), file, version_of(here, file)) is None
    with pytest.raises(ObjectMissing):
        version_of(here, file)


def test_only_the_events_own_version_is_deleted(here: World) -> None:
    """What lies upon it is nobody's business but its own event's."""
    file = here.sent(SMALL)
    first = version_of(here, file)
    here.near_s3.put_object(Bucket=BUCKET, Key=file.key, Body=b"newer")
    here.near_files.delete(file)
    assert run(here.job(), file, first) is None
    assert [left["Size"] for left in versions(here, file)] == [len(b"newer"), len(SMALL)]
    assert version_of(here, file).version_id != first.version_id


def test_s3_does_not_delete_what_arrived_after_the_end(here: World) -> None:
    """The job raises, so that the message comes again."""
    file = here.sent(SMALL)
    version = version_of(here, file)
    here.near_files.delete(file)
    here.proxy.fail_always("other", network.internal_error)
    with pytest.raises(ClientError):
        run(here.job(), file, version)
    here.proxy.recover()
    assert run(here.job(), file, version) is None
    with pytest.raises(ObjectMissing):
        version_of(here, file)


def test_an_expired_upload_says_so(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the second it is aborted wherever it is read, though nobody wrote that, and takes neither parts nor an end."""
    file = here.sent(LARGE, fingerprint=new_id())
    assert file.expires_at
    later(monkeypatch, file.expires_at - 1)
    assert here.now(file) == file
    later(monkeypatch, file.expires_at)
    over = here.now(file)
    assert (over.status, over.reason, over.revision) == (Status.ABORTED, "expired", file.revision + 1)
    assert over.updated_at == over.public()["expires_at"]
    with pytest.raises(WrongState, match="expired"):
        here.uploads.complete(over, None)
    with pytest.raises(WrongState):
        here.uploads.sign(over, [1])
    assert here.uploads.received(over) == []
    here.uploads.delete(over)
    assert here.near_uploads.received(file) == []
    assert here.now(file) == over


def test_a_list_shows_expired_uploads_as_aborted(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is filtered, which DynamoDB does by what is written."""
    owner = Caller("lister")
    kept, _ = here.uploads.begin(owner, CreateFile(filename="a", size=1))
    aborted, _ = here.uploads.begin(owner, CreateFile(filename="b", size=1))
    here.uploads.delete(aborted)
    assert kept.expires_at
    for moment, open_ones, ended in (
        (kept.expires_at - 1, [kept.id], [aborted.id]),
        (kept.expires_at, [], [aborted.id, kept.id]),
    ):
        later(monkeypatch, moment)
        for status, ids in ((Status.UPLOADING, open_ones), (Status.ABORTED, ended)):
            page, _ = Listing(here.files).page("lister", 20, None, Filter(status=status))
            assert [(file.id, file.status) for file in page] == [(one, status) for one in ids]


def test_a_record_is_forgotten_some_days_after_its_end(here: World) -> None:
    """What DynamoDB removes by itself: an upload that came to nothing, a week after it did; and nothing else."""
    file = here.sent(LARGE)
    assert file.expires_at
    assert file.forget_at
    assert file.forget_at - file.expires_at == limits.REMEMBERED_DAYS * DAY
    done = here.uploads.complete(file, None)
    assert (done.expires_at, done.forget_at) == (None, None)
    given_up = here.sent(SMALL)
    here.uploads.delete(given_up)
    left = here.now(given_up)
    assert (left.status, left.reason, left.expires_at) == (Status.ABORTED, "aborted", None)
    assert left.forget_at
    assert 0 <= left.forget_at - time.time() - (limits.REMEMBERED_DAYS - 1) * DAY <= DAY


# ---------------------------------------------------------------- small files


@pytest.fixture
def reading(here: World) -> Iterator[Callable[[File], Callable[[], None]]]:
    """A hasher that took a file, and reads it until what is returned is called."""
    until = threading.Event()
    with ThreadPoolExecutor() as hashers:

        def begin(file: File) -> Callable[[], None]:
            reached = threading.Event()

            def held(exchange: network.Exchange) -> None:
                reached.set()
                until.wait()
                network.pass_on(exchange)

            here.proxy.fail("GetObject", held)
            done = hashers.submit(run, here.job(), file, here.near_objects.head(file.key).version)
            assert reached.wait(PATIENCE_SECONDS)

            def end() -> None:
                until.set()
                assert ready(done.result(), SMALL)

            return end

        try:
            yield begin
        finally:
            until.set()


@pytest.mark.parametrize("patience", [PATIENCE_SECONDS, 0])
def test_a_small_file_that_the_hasher_took_first_is_waited_for(
    here: World, reading: Callable[[File], Callable[[], None]], monkeypatch: pytest.MonkeyPatch, patience: int
) -> None:
    """It is ready in the answer to its PUT where the hasher ends soon; otherwise the answer says that it is hashed."""
    file = begun(here, len(SMALL))
    ends: list[Callable[[], None]] = []
    looks: list[float] = []

    def look(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            ends[0]()

    monkeypatch.setattr(uploads_module, "READY_SECONDS", patience)
    monkeypatch.setattr(uploads_module, "sleep", look)
    here.proxy.fail("PutItem", network.before(lambda: ends.append(reading(file))))
    stored = here.uploads.put(file, SMALL, digests(SMALL)["sha-256"])
    if patience:
        assert ready(stored, SMALL)
        assert len(looks) == 2
    else:
        assert (stored.status, looks) == (Status.HASHING, [])
        ends[0]()


# ---------------------------------------------------------------- giving up and deleting


def test_completing_an_aborted_upload_is_refused(here: World) -> None:
    """And its parts are gone from S3."""
    file = here.sent(LARGE)
    here.uploads.delete(file)
    with pytest.raises(WrongState):
        here.uploads.complete(here.now(file), None)
    assert here.uploads.received(file) == []


def test_an_upload_is_given_up_while_it_is_completed(here: World) -> None:
    """Its parts are gone before they could be listed: that is no 202."""
    file = here.sent(LARGE)
    here.proxy.fail("ListParts", network.before(lambda: here.near_uploads.delete(file)))
    with pytest.raises(WrongState, match="aborted"):
        here.uploads.complete(file, None)


def test_s3_fails_while_a_file_is_deleted(here: World) -> None:
    """The record goes last, so that a client that asks again finds the file and the object does not stay behind."""
    file, _ = here.arrived(SMALL)
    here.proxy.fail_always("other", network.internal_error)
    with pytest.raises(ClientError):
        here.uploads.delete(file)
    here.proxy.recover()
    here.uploads.delete(here.now(file))
    with pytest.raises(FileNotFound):
        here.now(file)
    assert versions(here, file) == []


def test_s3_fails_while_an_upload_is_aborted(here: World) -> None:
    """Asking again takes what was left behind."""
    file = here.sent(LARGE)
    here.proxy.fail_always("AbortMultipartUpload", network.internal_error)
    with pytest.raises(ClientError):
        here.uploads.delete(file)
    here.proxy.recover()
    here.uploads.delete(here.now(file))
    assert file.upload_id
    assert here.now(file).status is Status.ABORTED
    with pytest.raises(WrongState):
        here.uploads.sign(here.now(file), [1])
    assert here.near_uploads.received(file) == []


def test_two_write_at_once(here: World) -> None:
    """Of two changes from the same revision one is refused, whoever they are."""
    file, _ = here.uploads.begin(Caller("default"), CreateFile(filename="a", size=1))
    here.files.save(file, status=Status.ABORTED)
    with pytest.raises(Conflict):
        here.files.save(file, status=Status.ASSEMBLING)


def test_a_redirect_has_the_type_that_was_declared(here: World) -> None:
    """S3 is asked to send it as it is: commas and quotes survive the URL."""
    content_type = 'video/mp4; codecs="avc1.42E01E, mp4a.40.2"; a=vp8,opus'
    file, version = here.arrived(SMALL, content_type=content_type)
    signed = here.near_objects.sign_get(version, file.content_type, "attachment")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(signed.url) as answer:
        assert (answer.headers["Content-Type"], answer.read()) == (content_type, SMALL)
