from dataclasses import replace
from typing import Any

import pytest

from sluice.files import File, Mode, Status
from sluice.objects import Head, Version
from sluice.verdicts import verdict_by_s3
from tests.unit.core.records import a_file

SHA256, MD5 = "ab" * 32, "cd" * 16
ASKED = ("sha-256", "md5")


def single(**changes: Any) -> File:
    return replace(a_file(mode=Mode.SINGLE, size=5, declared={"sha-256": SHA256}), **changes)


def head(size: int = 5, **checksums: str) -> Head:
    return Head(Version("key", MD5, size, "v1"), {"sha-256": SHA256, "md5": MD5} | checksums)


def test_a_put_that_s3_has_compared_is_ready() -> None:
    """With S3's digests, verified, and nothing left that expires."""
    changes = verdict_by_s3(single(), head(), ASKED)
    assert changes
    ready = replace(single(), **changes)
    assert (ready.status, ready.verified, ready.hashed_bytes) == (Status.READY, True, 5)
    assert (ready.digests, ready.etag, ready.version_id) == ({"sha-256": SHA256, "md5": MD5}, MD5, "v1")
    assert (ready.expires_at, ready.forget_at) == (None, None)


def test_what_was_put_from_here_is_ready_and_not_verified() -> None:
    """The function has hashed it as it came: its sender said nothing."""
    changes = verdict_by_s3(single(declared={}), head(), ASKED, {"sha-256": SHA256})
    assert changes
    assert not changes["verified"]


@pytest.mark.parametrize(
    ("file", "known", "asked"),
    [
        (single(declared={}), head(), ASKED),
        (single(declared={"md5": MD5}), head(), ASKED),
        (single(), head(), (*ASKED, "sha-512")),
        (single(declared={"sha-256": SHA256, "sha": "00" * 20}), head(), ASKED),
        (single(declared={"sha-256": "00" * 32}), head(), ASKED),
        (single(declared={"sha-256": SHA256, "md5": "00" * 16}), head(), ASKED),
        (single(), head(size=6), ASKED),
        (single(), Head(head().version, {"sha-256": SHA256}), ASKED),
        (single(mode=Mode.MULTIPART), head(), ASKED),
        (single(size_limit=10), head(), ASKED),
        (single(own_parts=1), head(), ASKED),
    ],
    ids=[
        *("nothing declared", "no sha-256", "more asked for", "more declared", "another sha-256", "another md5"),
        *("another size", "no md5", "parts", "unknown size", "the client's parts"),
    ],
)
def test_everything_else_is_read(file: File, known: Head, asked: tuple[str, ...]) -> None:
    """What S3 does not know, and what contradicts: to be sure."""
    assert verdict_by_s3(file, known, asked) is None


def test_a_kms_key_costs_a_read_only_where_md5_is_asked_for() -> None:
    """Under such a key S3 has no MD5 of a file: it is read, unless SHA-256 is all that is wanted."""
    under_kms = Head(head().version, {"sha-256": SHA256})
    locked = single(declared={"sha-256": SHA256})
    assert verdict_by_s3(locked, under_kms, ASKED) is None
    assert verdict_by_s3(locked, under_kms, ("sha-256",)) is not None
