"""Reads by signed URLs, with a Range and an If-Match that nobody signed, from servers that check what was signed."""

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from sluice import reader
from sluice.limits import MIB, MIN_PART_BYTES
from sluice.objects import ObjectChanged, ObjectForbidden, ObjectMissing, Objects, Version
from sluice.reader import Buffers, Patience
from sluice.signing import URL_SECONDS
from tests.integration.world import content
from tests.s3.promises import promise
from tests.s3.request import DOWNLOAD, Alteration, Request, refused, signing_in_the_past
from tests.s3.servers import Server

DATA = content(MIN_PART_BYTES + MIB + 77)
SMALL = 64 * 1024  # of many parts
DISPOSITION = 'attachment; filename="a b.txt"'
# Every answer here is a right one or a wrong one: none is worth many attempts.
SOON = Patience(attempts=2, first_pause_seconds=0.01)
NUMBERS = count()


@pytest.fixture
def key() -> str:
    """A key that no other test has."""
    return f"files/default/read-{next(NUMBERS)}"


@pytest.fixture
def version(objects: Objects, key: str) -> Version:
    """An object of two parts, as uploads make it."""
    upload_id = objects.create_upload(key, "text/plain")
    for number, body in enumerate((DATA[:MIN_PART_BYTES], DATA[MIN_PART_BYTES:]), 1):
        assert Request.put(objects.sign_part(key, upload_id, number, len(body)), body).sent().status == 200
    objects.complete(key, upload_id, objects.parts(key, upload_id), len(DATA))
    return objects.head(key).version


@pytest.fixture
def newest(version: Version) -> Version:
    """The same object as a bucket without versions would have it."""
    return replace(version, version_id=None)


def reading(objects: Objects, version: Version, connections: int, **options: Any) -> Any:
    chosen: dict[str, Any] = {"part_bytes": MIB, "patience": SOON}
    return reader.read(objects, version, connections=connections, **chosen | options)


def taken(buffers: Buffers) -> bytes:
    return b"".join(map(bytes, buffers))


# ---------------------------------------------------------------- the right bytes


@promise("reading")
def test_one_connection_reads_all_of_it(objects: Objects, version: Version) -> None:
    """One request for the whole, at the first attempt."""
    with reading(objects, version, 1) as buffers:
        assert taken(buffers) == DATA
        assert buffers.retries == 0


@promise("reading by ranges")
def test_four_connections_read_the_newest_by_ranges(objects: Objects, newest: Version) -> None:
    """One URL, signed once without the ranges, does for all of them."""
    with reading(objects, newest, 4) as buffers:
        assert taken(buffers) == DATA
        assert buffers.retries == 0


@promise("reading a version by ranges")
def test_four_connections_read_a_version_by_ranges(objects: Objects, version: Version) -> None:
    """Also when a newer one lies above it."""
    assert version.version_id
    objects._client.put_object(Bucket=objects.bucket, Key=version.key, Body=b"newer")
    with reading(objects, version, 4) as buffers:
        assert taken(buffers) == DATA
        assert buffers.retries == 0


@promise("reading by ranges")
@pytest.mark.parametrize("connections", [1, 4])
def test_a_range_is_read_and_nothing_else(objects: Objects, newest: Version, connections: int) -> None:
    """Across the border of two parts of the upload."""
    start, stop = MIN_PART_BYTES - 5, MIN_PART_BYTES + MIB + 5
    with reading(objects, newest, connections, start=start, stop=stop) as buffers:
        assert taken(buffers) == DATA[start:stop]


# ---------------------------------------------------------------- the right errors


@promise("a wrong secret is forbidden")
@pytest.mark.parametrize("connections", [1, 4])
def test_a_wrong_secret_is_forbidden(server: Server, version: Version, connections: int) -> None:
    """At once: asking again would not help."""
    with reading(server.objects("another secret"), version, connections) as buffers, pytest.raises(ObjectForbidden):
        next(buffers)
    assert buffers.retries == 0


@promise("an old URL is signed again")
def test_an_old_url_is_signed_again(objects: Objects, version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3's clock decides, not what we think of the URL's life; the second attempt has a new one."""
    sign = objects.sign_read
    with signing_in_the_past():
        old = sign(version)
    left = [replace(old, expires_at=old.expires_at + 2 * URL_SECONDS)]
    monkeypatch.setattr(objects, "sign_read", lambda version: left.pop() if left else sign(version))
    with reading(objects, version, 1) as buffers:
        assert taken(buffers) == DATA
        assert buffers.retries == 1


@promise("another object is noticed")
@pytest.mark.parametrize("connections", [1, 4])
def test_another_object_is_noticed(objects: Objects, newest: Version, connections: int) -> None:
    """One of the same size that took the place meanwhile; not one of its bytes is seen."""
    objects._client.put_object(Bucket=objects.bucket, Key=newest.key, Body=DATA[::-1])
    with reading(objects, newest, connections) as buffers, pytest.raises(ObjectChanged):
        next(buffers)


@promise("another object is noticed half-way")
def test_another_object_is_noticed_half_way(objects: Objects, newest: Version) -> None:
    """What was read before is of the first one, whole parts of it."""
    got = bytearray()
    with pytest.raises(ObjectChanged), reading(objects, newest, 4, part_bytes=SMALL) as buffers:  # noqa: PT012
        got += next(buffers)
        objects._client.put_object(Bucket=objects.bucket, Key=newest.key, Body=DATA[::-1])
        for buffer in buffers:
            got += buffer
    assert got
    assert DATA.startswith(got)


@promise("what is gone is missing")
@pytest.mark.parametrize("connections", [1, 4])
def test_what_is_gone_is_missing(objects: Objects, newest: Version, connections: int) -> None:
    """Deleted by whoever may, below a marker where there are versions; and what never was."""
    objects._client.delete_object(Bucket=objects.bucket, Key=newest.key)
    for gone in (newest, replace(newest, key="files/default/never")):
        with reading(objects, gone, connections) as buffers, pytest.raises(ObjectMissing):
            next(buffers)
    with pytest.raises(ObjectMissing):
        objects.head(newest.key)


@promise("a version that is gone is missing")
def test_a_version_that_is_gone_is_missing(objects: Objects, version: Version) -> None:
    """A marker above it takes nothing away; deleting every version does."""
    assert version.version_id
    objects._client.delete_object(Bucket=objects.bucket, Key=version.key)
    with reading(objects, version, 1) as buffers:
        assert taken(buffers) == DATA
    objects.delete(version.key)
    with reading(objects, version, 1) as buffers, pytest.raises(ObjectMissing):
        next(buffers)


# ---------------------------------------------------------------- downloads


@promise("a download comes with its names")
def test_a_download_comes_with_its_names(objects: Objects, version: Version) -> None:
    """Type and disposition are those that were signed, whatever the object's are."""
    answer = Request("GET", objects.sign_get(version, "text/csv", DISPOSITION).url).asking().sent()
    assert (answer.status, answer.body) == (200, DATA)
    assert (answer.headers["Content-Type"], answer.headers["Content-Disposition"]) == ("text/csv", DISPOSITION)
    head = Request("HEAD", objects.sign_get(version, "text/csv", DISPOSITION, "HEAD").url).asking().sent()
    assert (head.status, head.body) == (200, b"")


@promise("a download is of its version")
def test_a_download_is_of_its_version(objects: Objects, version: Version) -> None:
    """Whatever lies above it by now."""
    url = objects.sign_get(version, "text/csv", DISPOSITION).url
    objects._client.put_object(Bucket=objects.bucket, Key=version.key, Body=b"newer")
    answer = Request("GET", url).sent()
    assert (answer.status, answer.body) == (200, DATA)


@promise("a download's URL allows nothing else")
@pytest.mark.parametrize("alteration", DOWNLOAD.values(), ids=DOWNLOAD)
def test_a_downloads_url_allows_nothing_else(objects: Objects, version: Version, alteration: Alteration) -> None:
    """No other key, version, name, method or time: no byte of the object comes, and none of it changes."""
    request = Request("GET", objects.sign_get(version, "text/csv", DISPOSITION).url)
    other = Request("GET", objects.sign_get(replace(version, key=f"{version.key}-other"), "text/csv", DISPOSITION).url)
    answer = refused(alteration(request, other))
    assert DATA[:100] not in answer.body
    assert objects.head(version.key).version == version
