"""Drops and quotas over a real table: what is let in, exactly, however many come at once.

The table does one operation at a time, as DynamoDB does one item's; the operations of the callers mix as they like.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest

from functions.api import idempotency, quotas
from functions.api.admission import Admission, Rules
from functions.api.idempotency import REMEMBERED_SECONDS, First, IdempotencyKeys
from functions.api.quotas import COUNT_SECONDS
from functions.api.quotas import PARTITION as QUOTAS
from functions.api.schemas import CreateFile
from functions.api.uploads import Uploads
from sluice.capabilities import Caller
from sluice.drops import PARTITION as DROPS
from sluice.drops import Drop, Drops
from sluice.errors import Busy, DropFull, DropNotFound, Problem, QuotaExceeded
from sluice.files import File, Status, _to_item, new_id
from sluice.limits import MIB
from sluice.listing import Listing
from sluice.queue import Queue
from tests.integration import proxy as network
from tests.integration.world import BUCKET, TABLE, World, content, put, run, world

AT_ONCE = 16


@pytest.fixture(scope="module")
def one_world() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture
def here(one_world: World) -> World:
    return one_world.fresh()


@pytest.fixture
def owner() -> str:
    """One that has nothing yet."""
    return new_id()


def ruled(here: World, **rules: Any) -> Uploads:
    return Uploads(here.files, here.objects, Queue(here.queue_url), Admission(here.files, Rules(**rules)))


def opened(here: World, owner: str, **changes: Any) -> Drop:
    values: dict[str, Any] = {"owner": owner, "max_files": 5, "expires_at": int(time.time()) + 600}
    drop = Drop(**values | changes)
    drops(here).create(drop)
    return drop


def drops(here: World) -> Drops:
    return Drops(*here.files.connection)


def begun(uploads: Uploads, caller: Caller, size: int = 1) -> File:
    file, new = uploads.begin(caller, CreateFile(filename="a", size=size))
    assert new
    return file


def together(begin: Callable[[], File]) -> tuple[list[File], Counter[str]]:
    """AT_ONCE of them in one moment: the files that were let in, and how often which problem came."""
    gate = Barrier(AT_ONCE)

    def one(_: int) -> File | Problem:
        gate.wait()
        try:
            return begin()
        except Problem as problem:
            return problem

    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(one, range(AT_ONCE)))
    files = [outcome for outcome in outcomes if isinstance(outcome, File)]
    return files, Counter(outcome.code for outcome in outcomes if isinstance(outcome, Problem))


def listed(here: World, owner: str) -> list[File]:
    found, _ = Listing(here.near_files).page(owner, 100)
    return found


# ---------------------------------------------------------------- drops


def test_a_drop_takes_as_many_files_as_it_says_and_no_more(here: World, owner: str) -> None:
    """Of many that come in one moment exactly so many are let in, and those who are not leave nothing behind."""
    drop = opened(here, owner, max_files=5)
    caller = Caller(owner, drop.id)
    uploads = ruled(here)
    files, problems = together(lambda: begun(uploads, caller, size=9 * MIB))
    assert (len(files), problems) == (5, {"drop_full": AT_ONCE - 5})
    assert drops(here).get(owner, drop.id).files == 5
    assert {file.id for file in listed(here, owner)} == {file.id for file in files}
    assert {file.drop for file in listed(here, owner)} == {drop.id}
    left = here.near_s3.list_multipart_uploads(Bucket=BUCKET, Prefix=f"files/{owner}/").get("Uploads", [])
    assert {upload["UploadId"] for upload in left} == {file.upload_id for file in files}


def test_what_was_given_up_still_counts_for_its_drop(here: World, owner: str) -> None:
    """Else who came through could fill the bucket by deleting and coming again."""
    drop = opened(here, owner, max_files=1)
    uploads = ruled(here)
    uploads.delete(begun(uploads, Caller(owner, drop.id)))
    with pytest.raises(DropFull) as full:
        begun(uploads, Caller(owner, drop.id))
    assert full.value.extra == {"limit": 1}


def test_a_resumed_upload_takes_no_second_place(here: World, owner: str) -> None:
    """Through the same drop it is the same file; through another one, or as the owner, it is another."""
    drop, other = opened(here, owner, max_files=1), opened(here, owner, max_files=1)
    wanted = CreateFile(filename="a", size=9 * MIB, fingerprint="f")
    uploads = ruled(here)
    first, _ = uploads.begin(Caller(owner, drop.id), wanted)
    again, new = uploads.begin(Caller(owner, drop.id), wanted)
    assert (again.id, new) == (first.id, False)
    ids = {first.id, uploads.begin(Caller(owner, other.id), wanted)[0].id, uploads.begin(Caller(owner), wanted)[0].id}
    assert len(ids) == 3


@pytest.mark.parametrize("ended", ["revoked", "over"])
def test_a_drop_that_has_ended_takes_nothing(here: World, owner: str, ended: str) -> None:
    """Whether its owner has ended it or its time is over, and though DynamoDB may still have it."""
    drop = opened(here, owner, expires_at=int(time.time()) - (ended == "over"))
    if ended == "revoked":
        drops(here).end(drop)
    with pytest.raises(DropNotFound):
        begun(ruled(here), Caller(owner, drop.id))
    assert listed(here, owner) == []


def test_a_drop_that_is_ended_at_this_moment_takes_nothing(here: World, owner: str) -> None:
    """Between looking at it and taking the place: the place is gone with it."""
    drop = opened(here, owner)
    admission = Admission(here.files)
    wanted = CreateFile(filename="a", size=1)
    seen = admission.check(Caller(owner, drop.id), wanted)
    drops(here).end(drop)
    with pytest.raises(DropNotFound):
        admission.create(replace(begun(ruled(here), Caller(owner)), id=new_id()), seen)


def test_another_owners_drop_is_none(here: World, owner: str) -> None:
    """It is looked for among the owner's own."""
    with pytest.raises(DropNotFound):
        drops(here).get(new_id(), opened(here, owner).id)


def test_a_drop_is_kept_as_it_is(here: World, owner: str) -> None:
    """With and without limits of its own."""
    for drop in (
        opened(here, owner),
        opened(here, owner, max_file_bytes=7, content_types=("image/*", "application/pdf")),
    ):
        assert drops(here).get(owner, drop.id) == drop


def test_drops_and_counts_are_no_files(here: World, owner: str) -> None:
    """They stand beside the files, in partitions that no owner can have, and are in no list."""
    drop = opened(here, owner)
    begun(ruled(here, owner_uploads=5), Caller(owner, drop.id))
    assert len(listed(here, owner)) == 1
    for partition in (DROPS, QUOTAS):
        with pytest.raises(ValueError, match="cannot own files"):
            replace(listed(here, owner)[0], owner=partition + owner)


# ---------------------------------------------------------------- quotas


def test_no_more_uploads_are_open_than_an_owner_may_have(here: World, owner: str) -> None:
    """Of many that come in one moment, exactly so many."""
    uploads = ruled(here, owner_uploads=5)
    files, problems = together(lambda: begun(uploads, Caller(owner)))
    assert len(files) == len(listed(here, owner)) == 5
    assert problems == {"quota_exceeded": AT_ONCE - 5}
    with pytest.raises(QuotaExceeded) as refused:
        begun(uploads, Caller(owner))
    assert refused.value.extra == {"quota": "uploads", "limit": 5, "used": 5}


def test_no_more_bytes_are_promised_than_an_owner_may_have(here: World, owner: str) -> None:
    """Neither by many files at once nor by one; what fits exactly is let in."""
    uploads = ruled(here, owner_bytes=10)
    files, problems = together(lambda: begun(uploads, Caller(owner), size=3))
    assert len(files) == 3
    assert problems == {"quota_exceeded": AT_ONCE - 3}
    with pytest.raises(QuotaExceeded) as refused:
        begun(uploads, Caller(owner), size=2)
    assert refused.value.extra == {"quota": "bytes", "limit": 10, "used": 9}
    begun(uploads, Caller(owner), size=1)
    begun(uploads, Caller(owner), size=0)


def test_a_quota_is_of_one_owner(here: World, owner: str) -> None:
    """Others have their own."""
    uploads = ruled(here, owner_uploads=1)
    for one in (owner, new_id()):
        begun(uploads, Caller(one))
        with pytest.raises(QuotaExceeded):
            begun(uploads, Caller(one))


def test_what_goes_makes_room(here: World, owner: str) -> None:
    """An upload that is given up, that arrives, whose time is over, and a file that is deleted: room by itself."""
    uploads = ruled(here, owner_uploads=1, owner_bytes=10)
    uploads.delete(begun(uploads, Caller(owner), size=10))

    file = begun(uploads, Caller(owner), size=6)
    (part,) = uploads.sign(file, [1])
    data = content(6)
    put(part, data)
    assert uploads.complete(file, None).status is Status.ASSEMBLING
    with pytest.raises(QuotaExceeded, match="6 of 10 bytes"):
        begun(uploads, Caller(owner), size=5)
    assert run(here.job(), file, here.near_objects.head(file.key).version) is not None

    late = begun(uploads, Caller(owner), size=4)
    with pytest.raises(QuotaExceeded):
        begun(uploads, Caller(owner), size=0)
    item = _to_item(replace(late, expires_at=int(time.time()) - 1))
    client, table = here.near_files.connection
    client.put_item(TableName=table, Item=item)
    begun(uploads, Caller(owner), size=4)

    uploads.delete(here.now(file))
    with pytest.raises(QuotaExceeded, match="1 unfinished"):
        begun(uploads, Caller(owner), size=6)


def test_a_quota_counts_what_was_there_before_it(here: World, owner: str) -> None:
    """Set later, it holds for what the owner has already; after a time without one it is counted anew."""
    begun(ruled(here), Caller(owner), size=6)
    quota = ruled(here, owner_bytes=10)
    with pytest.raises(QuotaExceeded, match="6 of 10"):
        begun(quota, Caller(owner), size=5)
    begun(quota, Caller(owner), size=1)

    begun(ruled(here), Caller(owner), size=3)  # while there was none
    client, _ = here.near_files.connection
    client.update_item(
        TableName=TABLE,
        Key={"owner": {"S": QUOTAS + owner}, "id": {"S": "used"}},
        UpdateExpression="ADD counted_at :earlier",
        ExpressionAttributeValues={":earlier": {"N": str(-COUNT_SECONDS)}},
    )
    with pytest.raises(QuotaExceeded, match="10 of 10"):
        begun(quota, Caller(owner), size=1)


def test_whom_the_quota_refuses_takes_no_place_in_the_drop(here: World, owner: str) -> None:
    """All or nothing; and a stranger is not told what the owner has."""
    drop = opened(here, owner)
    uploads = ruled(here, owner_bytes=10)
    with pytest.raises(QuotaExceeded) as refused:
        begun(uploads, Caller(owner, drop.id), size=11)
    assert refused.value.extra == {}
    assert drops(here).get(owner, drop.id).files == 0
    begun(uploads, Caller(owner, drop.id), size=10)
    assert drops(here).get(owner, drop.id).files == 1


def test_a_transaction_whose_answer_was_lost_is_done_once(here: World, owner: str) -> None:
    """The file is there, one place is taken, even the last one, and the client gets its file."""
    drop = opened(here, owner, max_files=1)
    here.proxy.fail("TransactWriteItems", network.lose)
    file = begun(ruled(here), Caller(owner, drop.id))
    assert here.now(file) == file
    assert drops(here).get(owner, drop.id).files == 1


def test_an_owner_with_very_many_files_is_counted_in_several_calls(
    here: World, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each goes on where the one before stopped, until there is a count; whoever has too much is told at once."""
    for _ in range(7):
        begun(ruled(here), Caller(owner))
    monkeypatch.setattr(quotas, "PAGE_RECORDS", 1)
    monkeypatch.setattr(quotas, "PAGES_AT_ONCE", 3)
    uploads = ruled(here, owner_uploads=8)
    for _ in range(2):
        with pytest.raises(Busy, match="being counted"):
            begun(uploads, Caller(owner))
    begun(uploads, Caller(owner))
    with pytest.raises(Busy):
        begun(uploads, Caller(owner))
    with pytest.raises(Busy):
        begun(uploads, Caller(owner))
    with pytest.raises(QuotaExceeded, match="8 unfinished"):
        begun(uploads, Caller(owner))
    with pytest.raises(QuotaExceeded, match="3 unfinished"):
        begun(ruled(here, owner_uploads=3), Caller(owner))


def test_a_count_in_several_calls_starts_over_when_it_was_overtaken(
    here: World, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was begun before its cursor's end, and counted by nobody, would be missing in it."""
    for _ in range(4):
        begun(ruled(here), Caller(owner))
    generous, strict = ruled(here, owner_uploads=100), ruled(here, owner_uploads=5)
    begun(generous, Caller(owner))
    monkeypatch.setattr(quotas, "PAGE_RECORDS", 1)
    monkeypatch.setattr(quotas, "PAGES_AT_ONCE", 4)
    with pytest.raises(Busy):
        begun(strict, Caller(owner))
    begun(generous, Caller(owner))
    with pytest.raises(Busy):
        begun(strict, Caller(owner))
    with pytest.raises(QuotaExceeded, match="6 unfinished"):
        begun(strict, Caller(owner))


# ---------------------------------------------------------------- repeated requests


def test_a_key_is_free_again_after_its_day(here: World, owner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while the table still has what came first under it."""
    keys = IdempotencyKeys(*here.files.connection)
    first, second = First(new_id(), "one request"), First(new_id(), "another")
    assert keys.remember(owner, "key", first) == first
    assert keys.remember(owner, "key", second) == first == keys.get(owner, "key")
    later = time.time() + REMEMBERED_SECONDS
    monkeypatch.setattr(idempotency, "time", SimpleNamespace(time=lambda: later))
    assert keys.get(owner, "key") is None
    assert keys.remember(owner, "key", second) == second == keys.get(owner, "key")
