"""Parts and single PUTs by signed URLs: the right ones arrive, every other one is refused and leaves nothing."""

import hashlib
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from sluice import reader
from sluice.digests import Digests
from sluice.limits import MIN_PART_BYTES
from sluice.objects import LOCKS, ObjectMissing, Objects, Part, UploadMissing
from tests.integration.world import content
from tests.s3.promises import promise
from tests.s3.request import ANSWER_SECONDS, PART, PUT, Alteration, Request, refused, signing_in_the_past

TYPE = "text/plain"
WHOLE, REST = content(MIN_PART_BYTES), content(1000, seed=2)
NUMBERS = count()


@pytest.fixture
def key() -> str:
    """A key that no other test has."""
    return f"files/default/{next(NUMBERS)}"


@pytest.fixture
def upload(objects: Objects, key: str) -> Iterator[str]:
    upload_id = objects.create_upload(key, TYPE)
    yield upload_id
    objects.abort(key, upload_id)


def single(objects: Objects, key: str, body: bytes) -> Request:
    return Request.put(objects.sign_put(key, len(body), TYPE), body)


def both(objects: Objects, key: str, upload: str) -> list[Request]:
    """The small body as a part and as the whole object."""
    return [part(objects, key, upload, 1, REST), single(objects, key, REST)]


def nothing_arrived(objects: Objects, key: str, upload: str) -> bool:
    return objects.parts(key, upload) == [] and missing(objects, key)


def part(objects: Objects, key: str, upload: str, number: int, body: bytes) -> Request:
    return Request.put(objects.sign_part(key, upload, number, len(body)), body)


def missing(objects: Objects, key: str) -> bool:
    try:
        objects.head(key)
    except ObjectMissing:
        return True
    return False


def read_back(objects: Objects, key: str) -> bytes:
    with reader.read(objects, objects.head(key).version) as buffers:
        return b"".join(map(bytes, buffers))


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()  # noqa: S324 - what S3 calls an ETag


# ---------------------------------------------------------------- what is right


@promise("an upload by its URLs")
def test_an_upload_by_its_urls(objects: Objects, key: str, upload: str) -> None:
    """Create, put, list, complete with the size, head, read: what was sent is what is there."""
    for number, body in ((1, WHOLE), (2, REST)):
        # Taken apart and put together, as everything that is altered below: that alone must not be what is refused.
        assert part(objects, key, upload, number, body).asking().sent().status == 200
    arrived = objects.parts(key, upload)
    assert arrived == [Part(1, len(WHOLE), md5(WHOLE)), Part(2, len(REST), md5(REST))]
    assert missing(objects, key)
    objects.complete(key, upload, arrived, len(WHOLE + REST))
    assert objects.head(key).version.size == len(WHOLE + REST)
    assert read_back(objects, key) == WHOLE + REST


@promise("a part sent again replaces the first")
def test_a_part_sent_again_replaces_the_first(objects: Objects, key: str, upload: str) -> None:
    """A client that is not sure sends it again."""
    for body in (REST, REST[::-1]):
        assert part(objects, key, upload, 1, body).sent().status == 200
    assert objects.parts(key, upload) == [Part(1, len(REST), md5(REST[::-1]))]


@promise("a single PUT by its URL")
@pytest.mark.parametrize("body", [REST, b""], ids=["some", "empty"])
def test_a_single_put_by_its_url(objects: Objects, key: str, body: bytes) -> None:
    """With the headers that were signed; an empty file as well."""
    assert single(objects, key, body).asking().sent().status == 200
    assert objects.head(key).version.etag == md5(body)
    assert objects._client.head_object(Bucket=objects.bucket, Key=key)["ContentType"] == TYPE
    assert read_back(objects, key) == body


# ---------------------------------------------------------------- what is refused


@promise("a part's URL allows nothing else")
@pytest.mark.parametrize("alteration", PART.values(), ids=PART)
def test_a_parts_url_allows_nothing_else(objects: Objects, key: str, upload: str, alteration: Alteration) -> None:
    """No other part, upload, key, size, method or time; neither upload gets anything, and no object appears."""
    elsewhere = f"{key}-other"
    other_upload = objects.create_upload(elsewhere, TYPE)
    try:
        request = part(objects, key, upload, 1, REST)
        other = part(objects, elsewhere, other_upload, 2, REST)
        refused(alteration(request, other))
        assert nothing_arrived(objects, key, upload)
        assert nothing_arrived(objects, elsewhere, other_upload)
    finally:
        objects.abort(elsewhere, other_upload)


@promise("a PUT's URL allows nothing else")
@pytest.mark.parametrize("alteration", PUT.values(), ids=PUT)
def test_a_puts_url_allows_nothing_else(objects: Objects, key: str, alteration: Alteration) -> None:
    """No other key, size, type, method or time, and nothing without its condition."""
    elsewhere = f"{key}-other"
    refused(alteration(single(objects, key, REST), single(objects, elsewhere, REST)))
    assert missing(objects, key)
    assert missing(objects, elsewhere)


# S3 has these since 2026, and not every server that plays it.
NEWER = ("sha-512", "md5")
OLDER = [name for name in LOCKS if name not in NEWER]


@promise("a digest that was signed is checked")
@pytest.mark.parametrize("name", OLDER)
def test_a_url_can_be_locked_to_the_very_bytes(objects: Objects, key: str, upload: str, name: str) -> None:
    """Other bytes of the same size are refused, with the digest that was signed, with their own, and with none."""
    refuses_other_bytes(objects, key, upload, name)


@promise("a newer digest that was signed is checked")
@pytest.mark.parametrize("name", NEWER)
def test_a_url_can_be_locked_by_a_newer_digest(objects: Objects, key: str, upload: str, name: str) -> None:
    """In the same way."""
    refuses_other_bytes(objects, key, upload, name)


def refuses_other_bytes(objects: Objects, key: str, upload: str, name: str) -> None:
    other = REST[::-1]

    def digest(body: bytes) -> dict[str, str]:
        with Digests([name]) as digests:
            digests.update(body)
            return digests.hexdigests()

    def locked(digests: dict[str, str]) -> list[Request]:
        return [
            Request.put(objects.sign_part(key, upload, 1, len(REST), digests), REST),
            Request.put(objects.sign_put(key, len(REST), TYPE, digests), REST),
        ]

    for request, for_other in zip(locked(digest(REST)), locked(digest(other)), strict=True):
        header = LOCKS[name].title()
        for attempt in (request, replace(request, headers=for_other.headers), request.sending(**{header: None})):
            refused(replace(attempt, body=other))
        assert nothing_arrived(objects, key, upload)
    for request in locked(digest(REST)):
        assert request.sent().status == 200
    (arrived,) = objects.parts(key, upload)
    assert (arrived.number, arrived.size, arrived.etag) == (1, len(REST), md5(REST))
    assert read_back(objects, key) == REST


@promise("an upload of locked parts")
@pytest.mark.parametrize("name", OLDER)
def test_an_upload_of_locked_parts_becomes_an_object(objects: Objects, key: str, name: str) -> None:
    """Begun for it, each part takes its very bytes alone, and S3 makes one object of them."""
    becomes_an_object(objects, key, name)


@promise("an upload of parts locked by a newer digest")
@pytest.mark.parametrize("name", NEWER)
def test_an_upload_of_parts_locked_by_a_newer_digest(objects: Objects, key: str, name: str) -> None:
    """In the same way."""
    becomes_an_object(objects, key, name)


def becomes_an_object(objects: Objects, key: str, name: str) -> None:
    upload = objects.create_upload(key, TYPE, name)
    bodies = (WHOLE, REST)
    for number, body in enumerate(bodies, 1):
        with Digests([name]) as digests:
            digests.update(body)
            found = digests.hexdigests()
        request = Request.put(objects.sign_part(key, upload, number, len(body), found), body)
        refused(replace(request, body=body[::-1]))
        assert request.sent().status == 200
    objects.complete(key, upload, objects.parts(key, upload), len(WHOLE) + len(REST))
    assert read_back(objects, key) == WHOLE + REST


@promise("x-amz headers have to be signed")
@pytest.mark.parametrize("header", ["x-amz-copy-source", "x-amz-acl", "x-amz-tagging", "x-amz-meta-name"])
def test_nothing_is_added_by_headers(objects: Objects, key: str, upload: str, header: str) -> None:
    """Else a URL for a part would copy another owner's object, and one for a PUT make its object public."""
    source = f"{key}-of-another"
    assert single(objects, source, REST).sent().status == 200
    value = {"x-amz-copy-source": f"/{objects.bucket}/{source}", "x-amz-acl": "public-read"}.get(header, "a=b")
    for request in both(objects, key, upload):
        refused(request.sending(**{header: value}))
    assert nothing_arrived(objects, key, upload)


@promise("an unknown access key is refused")
def test_an_unknown_access_key_is_refused(objects: Objects, key: str, upload: str) -> None:
    """Whatever the signature."""
    for request in both(objects, key, upload):
        another = request.query()["X-Amz-Credential"].replace("AKID", "ASIA")
        refused(request.asking(**{"X-Amz-Credential": another}), 404)
    assert nothing_arrived(objects, key, upload)


@promise("a session token is part of the URL")
def test_a_session_token_is_part_of_the_url(objects: Objects, key: str, upload: str) -> None:
    """A role's keys are nothing without it."""
    for token in (None, "another"):
        for request in both(objects, key, upload):
            refused(request.asking(**{"X-Amz-Security-Token": token}))
    assert nothing_arrived(objects, key, upload)


@promise("an old URL is refused")
def test_an_old_url_is_refused(objects: Objects, key: str, upload: str) -> None:
    """Signed with the right secret, an hour too early."""
    with signing_in_the_past():
        requests = both(objects, key, upload)
    for request in requests:
        refused(request)
    assert nothing_arrived(objects, key, upload)


@promise("a body that breaks off is not stored")
def test_a_body_that_breaks_off_is_not_stored(objects: Objects, key: str, upload: str) -> None:
    """The length was announced and signed as it should be, and then the client was gone."""
    for request in both(objects, key, upload):
        assert not re.match(rb"HTTP/1.1 2", broken_off(request))
    assert nothing_arrived(objects, key, upload)


@promise("a single PUT happens once")
def test_a_single_put_happens_once(objects: Objects, key: str) -> None:
    """The same URL within its hour finds the object there: 412, and the first bytes stay."""
    request = single(objects, key, REST)
    assert request.sent().status == 200
    assert replace(request, body=REST[::-1]).sent().status == 412
    assert read_back(objects, key) == REST


@promise("completing checks the size")
def test_completing_checks_the_size(objects: Objects, key: str, upload: str) -> None:
    """Parts that make another size than the file's stay parts."""
    assert part(objects, key, upload, 1, REST).sent().status == 200
    arrived = objects.parts(key, upload)
    for size in (len(REST) - 1, len(REST) + 1):
        with pytest.raises(ClientError) as refusal:
            objects.complete(key, upload, arrived, size)
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert missing(objects, key)
    objects.complete(key, upload, arrived, len(REST))
    assert read_back(objects, key) == REST


@promise("an upload that is over takes no parts")
@pytest.mark.parametrize("end", ["completed", "aborted"])
def test_an_upload_that_is_over_takes_no_parts(objects: Objects, key: str, upload: str, end: str) -> None:
    """Its URLs are still signed rightly, and worth nothing; asked for its parts it is not there."""
    request = part(objects, key, upload, 1, REST)
    assert request.sent().status == 200
    if end == "completed":
        objects.complete(key, upload, objects.parts(key, upload), len(REST))
    else:
        objects.abort(key, upload)
        objects.abort(key, upload)  # once more is no error
        with pytest.raises(UploadMissing):
            objects.complete(key, upload, [Part(1, len(REST), md5(REST))], len(REST))
    assert request.sent().status == 404
    with pytest.raises(UploadMissing):
        objects.parts(key, upload)
    assert missing(objects, key) == (end == "aborted")


# ---------------------------------------------------------------- sending


def broken_off(request: Request) -> bytes:
    """Half of the request's body, and the end of the connection; what was answered to that."""
    url = urlsplit(request.url)
    headers = request.headers | {"Host": url.netloc, "Content-Length": str(len(request.body))}
    lines = [f"{request.method} {url.path}?{url.query} HTTP/1.1", *(f"{name}: {headers[name]}" for name in headers)]
    with socket.create_connection((str(url.hostname), url.port), timeout=ANSWER_SECONDS) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + request.body[: len(request.body) // 2])
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(4096), b""))
