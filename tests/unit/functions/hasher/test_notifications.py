import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.hasher.notifications import Malformed, created, left_by_the_api, notification, records
from sluice.files import new_id
from sluice.objects import Version

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
        left_by_the_api(told)
        records(told)
    except Malformed:
        pass
