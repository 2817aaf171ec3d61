import re
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any
from urllib.parse import unquote_plus

import pytest
from botocore.stub import ANY, Stubber
from hypothesis import example, given
from hypothesis import strategies as st

from sluice import files
from sluice.digests import Digests
from sluice.errors import Conflict, FileNotFound, WrongState
from sluice.files import ENDED, File, Files, Mode, Status, id_of_bytes, id_to_bytes, new_id, owner_and_id
from sluice.limits import MAX_OBJECT_BYTES
from tests.unit.core.records import a_file, client

# The design's picture of the states, written out once more: arrow by arrow.
ARROWS = {
    "uploading": {"uploading", "assembling", "hashing", "scanning", "ready", "failed", "aborted"},
    "assembling": {"assembling", "hashing", "failed"},
    "hashing": {"hashing", "scanning", "ready", "failed"},
    "scanning": {"scanning", "ready", "failed"},
    "ready": {"ready", "failed"},
    "failed": set(),
    "aborted": set(),
}
DYNAMODB = client("dynamodb")
REFUSED = "ConditionalCheckFailedException"


@pytest.fixture
def dynamodb() -> Iterator[Stubber]:
    with Stubber(DYNAMODB) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def table() -> Files:
    return Files(DYNAMODB, "the-table")


def write(condition: str, **values: Any) -> dict[str, Any]:
    """The PutItem that is expected."""
    expected: dict[str, Any] = {
        "TableName": "the-table",
        "Item": ANY,
        "ConditionExpression": condition,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    return expected | ({"ExpressionAttributeValues": values["values"]} if values else {})


def if_revision(number: int) -> dict[str, Any]:
    return write("revision = :read", values={":read": {"N": str(number)}})


@pytest.mark.parametrize("after", Status)
@pytest.mark.parametrize("before", Status)
def test_a_state_leads_where_the_design_says(dynamodb: Stubber, table: Files, before: Status, after: Status) -> None:
    """Every state to every state: an arrow is one conditional write, everything else an error before any write."""
    file = a_file(status=before, revision=7)
    if after in ARROWS[before]:
        dynamodb.add_response("put_item", {}, if_revision(7))
        saved = table.save(file, status=after)
        assert (saved.status, saved.revision) == (after, 8)
    else:
        with pytest.raises(WrongState) as raised:
            table.save(file, status=after)
        assert raised.value.extra == {"state": before}


def test_the_ends_are_the_states_that_nothing_but_an_end_follows() -> None:
    """ready, which its sender's word may still make failed, failed and aborted, nothing else."""
    assert {status for status, following in ARROWS.items() if following <= {"ready", "failed"}} == ENDED


def test_a_change_keeps_what_it_does_not_name(dynamodb: Stubber, table: Files) -> None:
    """Only the named fields, the revision and the time of the change differ; what was read stays as it was."""
    file = a_file(status=Status.HASHING, updated_at="2026-01-01T00:00:00.000Z")
    dynamodb.add_response("put_item", {}, if_revision(1))
    saved = table.save(file, hashed_bytes=5)
    changed = {one.name for one in fields(File) if getattr(saved, one.name) != getattr(file, one.name)}
    assert changed == {"hashed_bytes", "revision", "updated_at"}
    assert file.hashed_bytes == 0


def test_a_fingerprint_is_dropped_when_nothing_can_be_resumed(dynamodb: Stubber, table: Files) -> None:
    """So the index of unfinished uploads holds unfinished uploads only."""
    dynamodb.add_response("put_item", {}, if_revision(1))
    assert table.save(a_file(fingerprint="abc"), status=Status.ASSEMBLING).fingerprint is None


def test_a_record_that_somebody_else_changed_is_a_conflict(dynamodb: Stubber, table: Files) -> None:
    """The condition failed: nothing was written, and the caller must read again."""
    dynamodb.add_client_error("put_item", REFUSED, modeled_fields={"Item": {"id": {"S": "x"}, "revision": {"N": "2"}}})
    with pytest.raises(Conflict):
        table.save(a_file(), status=Status.ASSEMBLING)


def test_a_record_that_was_deleted_is_a_conflict(dynamodb: Stubber, table: Files) -> None:
    """A change never brings a deleted record back."""
    dynamodb.add_client_error("put_item", REFUSED)
    with pytest.raises(Conflict):
        table.save(a_file(), status=Status.ASSEMBLING)


def test_a_new_record_replaces_nothing(dynamodb: Stubber, table: Files) -> None:
    """Creating is conditional too."""
    dynamodb.add_response("put_item", {}, write("attribute_not_exists(id)"))
    file = a_file()
    assert table.create(file) is file


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
SIZES = st.integers(0, MAX_OBJECT_BYTES)
RECORDS = st.builds(
    File,
    owner=st.from_regex(files.OWNER, fullmatch=True),
    status=st.sampled_from(Status),
    revision=st.integers(1, 10**9),
    filename=TEXTS,
    size=SIZES,
    content_type=TEXTS,
    mode=st.sampled_from(Mode),
    part_size=SIZES,
    fingerprint=st.none() | TEXTS,
    declared=st.dictionaries(st.sampled_from(["sha-256", "md5"]), st.text("0123456789abcdef", min_size=32)),
    digests=st.dictionaries(st.sampled_from(["sha-256", "md5"]), st.text("0123456789abcdef", min_size=32)),
    received_bytes=SIZES,
    hashed_bytes=SIZES,
    etag=st.none() | TEXTS,
    version_id=st.none() | TEXTS,
    reason=st.none() | TEXTS,
    expires_at=st.none() | st.integers(2**33, 2**37),  # of an upload that is not over
    forget_at=st.none() | st.integers(0, 2**40),
    upload_id=st.none() | TEXTS,
    lease_holder=st.none() | TEXTS,
    lease_until=st.integers(0, 2**40),
    mismatch=st.none() | st.dictionaries(st.sampled_from(["name", "expected", "found"]), TEXTS),
    resumes=st.booleans(),
    digest_states=st.dictionaries(st.sampled_from(["sha-256", "md5"]), TEXTS),
    attempts=st.integers(0, 10),
)


def test_a_checkpoint_is_two_write_units() -> None:
    """A record with the states of four digests has at most 2 KB, which docs/cost.md counts with."""
    with Digests(["sha-256", "md5", "sha-512", "crc64nvme"]) as digests:
        digests.update(bytes(10**6 + 127))
        states = digests.states()
    file = a_file(
        status=Status.HASHING,
        filename="n" * 200,
        declared={"sha-256": "f" * 64},
        etag="e" * 35,
        version_id="v" * 32,
        upload_id="u" * 128,
        lease_holder="h" * 36,
        digest_states=states,
    )
    assert 1024 < item_bytes(files._to_item(file)) <= 2048


def item_bytes(item: dict[str, Any]) -> int:
    """As https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html counts."""
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def value_bytes(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "M":
            return 3 + sum(1 + len(name.encode()) + value_bytes(inner) for name, inner in content.items())
        case "N":
            return 1 + -(-len(content) // 2)
        case "S":
            return len(content.encode())
        case _:
            return 1


def put_then_get(file: File) -> File:
    """The record after its way through the item that is written."""
    written: list[Any] = []

    def keep(params: dict[str, Any], **_: Any) -> None:
        written.append(params["Item"])

    DYNAMODB.meta.events.register("before-parameter-build.dynamodb.PutItem", keep)
    try:
        with Stubber(DYNAMODB) as dynamodb:
            dynamodb.add_response("put_item", {})
            Files(DYNAMODB, "the-table").create(file)
            dynamodb.add_response("get_item", {"Item": written[0] | {"unknown": {"S": "of a later version"}}})
            return Files(DYNAMODB, "the-table").get(file.owner, file.id)
    finally:
        DYNAMODB.meta.events.unregister("before-parameter-build.dynamodb.PutItem", keep)


@given(RECORDS)
def test_a_record_comes_back_as_it_was_kept(file: File) -> None:
    """Every field with its value and type; a field of a later version is no obstacle."""
    back = put_then_get(file)
    assert back == file
    assert [type(getattr(back, one.name)) for one in fields(File)] == [
        type(getattr(file, one.name)) for one in fields(File)
    ]


@pytest.mark.parametrize("name", ["0" * 25, "0" * 27, "", "x" * 3000, "../default", "é" * 26, "0" * 25 + "\n"])
def test_what_is_no_id_is_not_looked_for(dynamodb: Stubber, table: Files, name: str) -> None:
    """Unknown at once: DynamoDB would call an overlong key a mistake of ours, and the client would see a 500."""
    with pytest.raises(FileNotFound):
        table.get("default", name)
    dynamodb.assert_no_pending_responses()


def test_an_unknown_id_is_not_found(dynamodb: Stubber, table: Files) -> None:
    """The read is consistent, and within the owner's files only."""
    file_id = new_id()
    key = {"owner": {"S": "alice"}, "id": {"S": file_id}}
    dynamodb.add_response("get_item", {}, {"TableName": "the-table", "Key": key, "ConsistentRead": True})
    with pytest.raises(FileNotFound):
        table.get("alice", file_id)


@given(st.lists(st.integers(0, 2**47), min_size=2, max_size=2, unique=True))
def test_later_ids_sort_after_earlier_ones(moments: list[int]) -> None:
    """Whatever the random half, a later millisecond sorts behind: a list by id is a list by age."""
    earlier, later = (id_at(moment) for moment in sorted(moments))
    assert earlier < later


def id_at(milliseconds: int) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sluice.files.time.time_ns", lambda: milliseconds * 1_000_000)
        return new_id()


def test_ids_are_short_unique_and_safe_in_urls_and_keys() -> None:
    """26 characters of Crockford's alphabet, no two alike."""
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-hjkmnp-tv-z]{26}", one) for one in ids)
    assert all(files.ID.fullmatch(one) for one in ids)


def test_an_s3_key_leads_back_to_its_file() -> None:
    """The event says a key only: owner and id are in it, the client's filename is not."""
    file = a_file(owner="alice", filename="../../etc/passwd")
    assert owner_and_id(file.key) == ("alice", file.id)
    assert "passwd" not in file.key


@pytest.mark.parametrize("owner", ["", "a/b", "/", "..\\", "a b", "é", "a%2Fb", "a\n", "a?", "#", "x" * 129])
def test_an_owner_that_does_not_fit_into_a_key_owns_nothing(owner: str) -> None:
    """A slash would make another file's key of it, and what is escaped here and there would not come back the same."""
    with pytest.raises(ValueError, match="cannot own files"):
        a_file(owner=owner)


@given(st.from_regex(files.OWNER, fullmatch=True))
@example("x" * 128)
@example("alice@example.com")
def test_every_owners_key_is_plain(owner: str) -> None:
    """It leads back to the owner, holds nothing that decoding an event would change, and S3 takes its length."""
    file = a_file(owner=owner)
    assert owner_and_id(file.key) == (owner, file.id)
    assert unquote_plus(file.key) == file.key
    assert len(file.key.encode()) < 1024


@pytest.mark.parametrize(
    "key", ["", "files/", "files/alice", "files/alice/", "files//x", "files/a/b/c", "else/a/b", "a/b"]
)
def test_other_keys_are_not_ours(key: str) -> None:
    """Too few names, too many, empty ones, another prefix."""
    assert owner_and_id(key) is None


def test_what_an_owner_sees_has_no_internals() -> None:
    """The contract's fields without links, absent ones null, times in RFC 3339; neither upload id, lease nor states."""
    shown = a_file().public()
    assert set(shown) == {
        *("id", "status", "revision", "filename", "size", "content_type", "mode", "part_size", "part_count"),
        *("received_bytes", "hashed_bytes", "resumes", "digests", "mismatch", "etag", "version_id", "reason"),
        *("fingerprint", "part_digest", "verified", "folder", "metadata", "drop"),
        *("created_at", "updated_at", "expires_at"),
    }
    assert shown["etag"] is None
    assert (a_file(drop="d").public()["drop"], a_file(drop="d").public(to_owner=True)["drop"]) == (None, "d")
    assert shown["part_count"] == 3
    assert shown["expires_at"] == "2096-10-02T07:06:40Z"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown["created_at"])


def test_a_lost_answer_to_our_own_write_is_no_conflict(
    dynamodb: Stubber, table: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK writes again when an answer is lost: the condition fails, but what stands there is this record."""
    monkeypatch.setattr(files, "now", lambda: "2026-01-01T00:00:00.000Z")
    file = a_file()
    ours = replace(file, status=Status.ASSEMBLING, revision=2, updated_at=files.now())
    dynamodb.add_client_error("put_item", REFUSED, modeled_fields={"Item": files._to_item(ours)})
    assert table.save(file, status=Status.ASSEMBLING) == ours


def test_progress_says_when_a_file_is_verified() -> None:
    """Which it may be before it is hashed to its end; before that it says nothing of it."""
    assert "verified" not in a_file().progress()
    assert a_file(verified=True).progress()["verified"] is True


@given(st.binary(min_size=16, max_size=16))
def test_an_id_is_sixteen_bytes(packed: bytes) -> None:
    """Lists of ids are kept so, and come back as they were."""
    assert id_to_bytes(id_of_bytes(packed)) == packed
    made = new_id()
    assert id_of_bytes(id_to_bytes(made)) == made
