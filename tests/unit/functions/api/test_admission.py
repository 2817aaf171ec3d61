from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from functions.api import admission
from functions.api.admission import ATTEMPTS, LONGEST_WAIT_SECONDS, Admission, Rules
from functions.api.schemas import CreateFile
from sluice.capabilities import Caller
from sluice.drops import Drop
from sluice.errors import Busy, ContentTypeRefused, TooLarge
from sluice.files import Files
from sluice.limits import MAX_OBJECT_BYTES
from tests.unit.core.records import a_file, client

DROP = Drop(owner="default", max_files=5, expires_at=4_000_000_000)
NOBODYS = Files(client("dynamodb"), "the-table")
CONFLICT = [{"Code": "None"}, {"Code": "TransactionConflict"}]


@pytest.fixture
def table() -> Files:
    return Files(client("dynamodb"), "the-table")


@pytest.fixture
def dynamodb(table: Files) -> Iterator[Stubber]:
    with Stubber(table.connection[0]) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Noted and not made."""
    made: list[float] = []
    monkeypatch.setattr(admission, "time", SimpleNamespace(sleep=made.append))
    return made


def cancelled(dynamodb: Stubber, reasons: list[dict[str, Any]]) -> None:
    modeled = {"CancellationReasons": reasons}
    dynamodb.add_client_error("transact_write_items", "TransactionCanceledException", modeled_fields=modeled)


def test_whom_others_get_in_the_way_of_tries_again(table: Files, dynamodb: Stubber, pauses: list[float]) -> None:
    """A conflict of transactions is nobody's fault: after a short pause it goes on."""
    cancelled(dynamodb, CONFLICT)
    cancelled(dynamodb, CONFLICT)
    dynamodb.add_response("transact_write_items", {})
    file = a_file(drop=DROP.id)
    assert Admission(table).create(file, DROP) == file
    assert len(pauses) == 2


def test_whom_others_get_in_the_way_of_all_the_time_is_told_so(
    table: Files, dynamodb: Stubber, pauses: list[float]
) -> None:
    """503, after as many attempts as a client may wait for."""
    for _ in range(ATTEMPTS):
        cancelled(dynamodb, CONFLICT)
    with pytest.raises(Busy):
        Admission(table).create(a_file(drop=DROP.id), DROP)
    assert len(pauses) == ATTEMPTS
    assert sum(pauses) <= ATTEMPTS * LONGEST_WAIT_SECONDS < 10


@pytest.mark.parametrize("code", ["ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_table_that_is_throttled_is_busy(table: Files, dynamodb: Stubber, code: str) -> None:
    """503, whichever write of the transaction was refused: nobody's request was wrong."""
    for place in range(2):
        reasons = [{"Code": "None"}, {"Code": "None"}]
        reasons[place] = {"Code": code}
        cancelled(dynamodb, reasons)
        with pytest.raises(Busy):
            Admission(table).create(a_file(drop=DROP.id), DROP)


def test_nothing_is_counted_that_nobody_limits(table: Files, dynamodb: Stubber) -> None:
    """Without a drop and without quotas a file is one plain write."""
    dynamodb.add_response("put_item", {})
    Admission(table).create(a_file(), None)


@given(st.integers(0, 2 * MAX_OBJECT_BYTES), st.integers(1, MAX_OBJECT_BYTES))
def test_a_file_fits_or_is_too_large(size: int, most: int) -> None:
    """By one byte more than the limit, and never beyond what S3 takes."""
    wanted = CreateFile(filename="a", size=size)
    gate = Admission(NOBODYS, Rules(max_file_bytes=most))
    if size <= most:
        assert gate.check(Caller("default"), wanted) is None
    else:
        with pytest.raises(TooLarge) as refused:
            gate.check(Caller("default"), wanted)
        assert refused.value.extra == {"limit": most, "size": size}


def test_a_type_is_one_of_those_that_are_taken(table: Files) -> None:
    """The problem names them."""
    gate = Admission(table, Rules(content_types=("image/*",)))
    assert gate.check(Caller("default"), CreateFile(filename="a", size=1, content_type="image/png")) is None
    with pytest.raises(ContentTypeRefused) as refused:
        gate.check(Caller("default"), CreateFile(filename="a", size=1, content_type="text/plain"))
    assert refused.value.extra == {"content_type": "text/plain", "allowed": ["image/*"]}


@pytest.mark.parametrize("more", [{}, {"content_type": "application/octet-stream"}])
def test_a_name_counts_where_its_extension_is_accepted(table: Files, more: dict[str, Any]) -> None:
    """Whatever its type, in capitals as well."""
    gate = Admission(table, Rules(content_types=("image/*", ".tar.gz")))
    assert gate.check(Caller("default"), CreateFile(filename="a.TAR.gz", size=1, **more)) is None
    with pytest.raises(ContentTypeRefused):
        gate.check(Caller("default"), CreateFile(filename="a.gz", size=1, **more))


def test_who_is_refused_reads_what_is_accepted(table: Files) -> None:
    """In words that people use."""
    gate = Admission(table, Rules(content_types=("image/*", "application/pdf")))
    with pytest.raises(ContentTypeRefused) as refused:
        gate.check(Caller("default"), CreateFile(filename="notes.txt", size=1))
    assert refused.value.detail == "This deployment accepts images and PDF files; notes.txt is plain text."
