import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.hasher.notifications import Malformed, created, meant, notification, put_at, records
from sluice.files import new_id
from sluice.objects import Version
from sluice.queue import upload_to_complete

FILE_ID = new_id()
ANYTHING: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["s3", "bucket", "name", "object", "key", "size"]), inner)
    ),
    max_leaves=8,
)


def record(**about: Any) -> dict[str, Any]:
    told = {"key": f"files/alice/{FILE_ID}", "size": 5, "eTag": "abc", "versionId": "v1"} | about
    return {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "the-bucket"}, "object": told}}


@pytest.mark.parametrize("version_id", ["v1", "", None])
def test_a_record_of_ours_is_a_version(version_id: str | None) -> None:
    """A bucket without versions names none."""
    version = Version(f"files/alice/{FILE_ID}", "abc", 5, version_id or None)
    assert created(record(versionId=version_id), "the-bucket") == ("alice", FILE_ID, version)


def test_what_is_not_ours_needs_no_more_than_a_name() -> None:
    """An event about a deletion has neither size nor ETag, and is not malformed."""
    removed = {"eventName": "ObjectRemoved:Delete", "s3": {"bucket": {"name": "the-bucket"}, "object": {"key": "x"}}}
    assert created(removed, "the-bucket") is None
    assert created(record(size="?"), "another-bucket") is None


@given(ANYTHING)
def test_no_record_crashes(anything: Any) -> None:
    """Whatever is in its place, a record is one of ours, none of ours, or malformed."""
    for told in (anything, {"eventName": "ObjectCreated:Put", "s3": anything}, record(size=anything, key=anything)):
        try:
            found = created(told, "the-bucket")
        except Malformed:
            continue
        assert found is None or isinstance(found[2], Version)


@given(st.text() | ANYTHING.map(json.dumps) | ANYTHING.map(lambda inner: json.dumps({"Assembling": inner})))
def test_no_message_crashes(body: str) -> None:
    """Nor does any body."""
    try:
        told = notification(body)
        meant(upload_to_complete, told)
        records(told)
    except Malformed:
        pass


@pytest.mark.parametrize("moment", ["x", 5, None, "2026-13-01T00:00:00Z"])
def test_a_moment_that_is_none_is_malformed(moment: Any) -> None:
    """It decides whether a drop still took the object, so it is not guessed."""
    with pytest.raises(Malformed):
        put_at({"eventTime": moment})


def test_a_moment_is_in_epoch_seconds() -> None:
    """As S3 writes it; a record without one was made by an earlier version of ours."""
    assert put_at({"eventTime": "1970-01-01T00:00:01.500Z"}) == 1.5
    assert put_at({}) == 0.0
