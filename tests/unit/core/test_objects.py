import base64
import hashlib
import hmac
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from hypothesis import example, given
from hypothesis import strategies as st

from sluice.errors import Busy
from sluice.objects import (
    Head,
    ObjectForbidden,
    ObjectMissing,
    Objects,
    ObjectTaken,
    Part,
    Undecided,
    UploadMissing,
    Version,
    bare_etag,
    ca_bundle,
    within,
)
from sluice.signing import URL_SECONDS, Signed
from tests.unit.core.records import CREDENTIALS, aws_environment

KEY = "files/default/01kab3x5w8mfq2t7hj9rv0c6de"
VERSION = Version(KEY, "abc-2", 100, "v1")


@pytest.fixture(scope="module")
def objects() -> Iterator[Objects]:
    with pytest.MonkeyPatch.context() as patch:
        aws_environment(patch)
        yield Objects.connect()


@pytest.fixture
def s3(objects: Objects) -> Iterator[Stubber]:
    with Stubber(objects._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def query(signed: Signed) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(signed.url).query, keep_blank_values=True))


def signature(method: str, url: str, headers: dict[str, str]) -> str:
    """What S3 computes for a request with these headers (SigV4 in the query, AWS's "Authenticating Requests")."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    del given["X-Amz-Signature"]
    canonical_query = "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in sorted(given.items()))
    sent = {"host": parts.netloc} | {name.lower(): value for name, value in headers.items()}
    names = given["X-Amz-SignedHeaders"].split(";")
    canonical_headers = "".join(f"{name}:{sent.get(name, '')}\n" for name in names)
    request = [method, parts.path, canonical_query, canonical_headers, ";".join(names), "UNSIGNED-PAYLOAD"]
    scope = given["X-Amz-Credential"].split("/", 1)[1]
    digest = hashlib.sha256("\n".join(request).encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", given["X-Amz-Date"], scope, digest])
    key = b"AWS4" + CREDENTIALS["aws_secret_access_key"].encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    return hmac.new(key, to_sign.encode(), "sha256").hexdigest()


@given(number=st.integers(1, 10_000), size=st.integers(0, 5 * 1024**3), wrong=st.integers(0, 5 * 1024**3))
def test_a_parts_url_allows_exactly_its_size(objects: Objects, number: int, size: int, wrong: int) -> None:
    """The length is signed: S3 computes another signature for a body of any other size."""
    signed = objects.sign_part(KEY, "upload-1", number, size)
    told = query(signed)["X-Amz-Signature"]
    assert signature("PUT", signed.url, signed.headers | {"Content-Length": str(size)}) == told
    if wrong != size:
        assert signature("PUT", signed.url, signed.headers | {"Content-Length": str(wrong)}) != told


def test_a_parts_url_is_for_one_part_of_one_upload(objects: Objects) -> None:
    """Key, upload and number are in the URL; another number has another signature; no checksum has to be sent."""
    signed = objects.sign_part(KEY, "upload-1", 3, 100)
    assert urlsplit(signed.url).netloc == "the-bucket.s3.eu-west-1.amazonaws.com"
    assert urlsplit(signed.url).path == f"/{KEY}"
    told = query(signed)
    assert (told["uploadId"], told["partNumber"]) == ("upload-1", "3")
    assert told["X-Amz-SignedHeaders"] == "content-length;host"
    assert not [name for name in told if "checksum" in name.lower()]
    assert signed.headers == {}
    other = signed.url.replace("partNumber=3", "partNumber=4")
    assert signature("PUT", other, {"Content-Length": "100"}) != told["X-Amz-Signature"]


def test_a_single_put_is_locked_to_size_type_and_once(objects: Objects) -> None:
    """The headers that come with it are exactly those signed, besides length and host."""
    signed = objects.sign_put(KEY, 5, "text/plain")
    told = query(signed)
    assert told["X-Amz-SignedHeaders"] == "content-length;content-type;host;if-none-match"
    assert signed.headers == {"Content-Type": "text/plain", "If-None-Match": "*"}
    good = signed.headers | {"Content-Length": "5"}
    assert signature("PUT", signed.url, good) == told["X-Amz-Signature"]
    for change in ({"Content-Length": "6"}, {"Content-Type": "text/html"}, {"If-None-Match": ""}):
        assert signature("PUT", signed.url, good | change) != told["X-Amz-Signature"]


def test_what_a_digest_is_known_of_is_locked_to_it(objects: Objects) -> None:
    """Of several digests S3 takes one, the strongest that it knows; its header comes with the URL and is signed."""
    digests = {"md5": "00" * 16, "crc32c": "00000001", "sha-256": "ab" * 32}
    for signed in (
        objects.sign_put(KEY, 5, "text/plain", digests),
        objects.sign_part(KEY, "upload-1", 1, 5, digests),
    ):
        checksum = {"X-Amz-Checksum-Sha256": base64.b64encode(b"\xab" * 32).decode()}
        assert checksum.items() <= signed.headers.items()
        good = signed.headers | {"Content-Length": "5"}
        told = query(signed)["X-Amz-Signature"]
        assert signature("PUT", signed.url, good) == told
        assert signature("PUT", signed.url, good | {"X-Amz-Checksum-Sha256": "other"}) != told
    assert "X-Amz-Checksum-Crc32C" in objects.sign_part(KEY, "upload-1", 1, 5, {"crc32c": "00000001"}).headers
    assert "X-Amz-Checksum-Md5" in objects.sign_part(KEY, "upload-1", 1, 5, {"md5": "00" * 16}).headers
    assert "X-Amz-Checksum-Sha512" in objects.sign_put(KEY, 5, "text/plain", digests | {"sha-512": "00" * 64}).headers


def test_an_empty_file_is_locked_to_no_bytes(objects: Objects) -> None:
    """0 is a length as well, and signed as one."""
    signed = objects.sign_put(KEY, 0, "text/plain")
    told = query(signed)["X-Amz-Signature"]
    assert signature("PUT", signed.url, signed.headers | {"Content-Length": "0"}) == told
    assert signature("PUT", signed.url, signed.headers | {"Content-Length": "1"}) != told


def test_a_download_url_means_one_version_and_its_names(objects: Objects) -> None:
    """The version, the declared type and the disposition are signed; a line break in one stays inside the query."""
    signed = objects.sign_get(VERSION, "text/html", 'attachment; filename="a"\r\nX-Evil: 1')
    told = query(signed)
    assert told["versionId"] == "v1"
    assert told["response-content-type"] == "text/html"
    assert told["response-content-encoding"] == "identity"
    assert told["response-content-disposition"].endswith("X-Evil: 1")
    assert signed.url.isprintable()
    assert " " not in signed.url
    assert signature("GET", signed.url, {}) == told["X-Amz-Signature"]
    head = objects.sign_get(VERSION, "text/html", "attachment", "HEAD")
    assert signature("HEAD", head.url, {}) == query(head)["X-Amz-Signature"]


def test_urls_end_after_an_hour_and_say_so(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """`expires_at` is in epoch seconds, and not after the moment from which S3 refuses."""
    monkeypatch.setattr("sluice.signing.time.time", lambda: 1_800_000_000.9)
    signed = objects.sign_part(KEY, "upload-1", 1, 1)
    assert query(signed)["X-Amz-Expires"] == str(URL_SECONDS) == "3600"
    assert signed.expires_at == 1_800_003_600


@given(
    version_id=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=30), byte=st.integers(0, 99)
)
def test_a_reads_url_means_one_version_and_leaves_the_range_open(objects: Objects, version_id: str, byte: int) -> None:
    """Only the host is signed, so one URL does for every range; another version has another signature."""
    version = replace(VERSION, version_id=version_id or None)
    signed = objects.sign_read(version)
    told = query(signed)
    assert told.get("versionId") == version.version_id
    assert told["response-content-encoding"] == "identity"
    assert told["X-Amz-SignedHeaders"] == "host"
    assert told["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    sent = {"Range": f"bytes={byte}-99", "If-Match": '"abc-2"'}
    assert signature("GET", signed.url, sent) == told["X-Amz-Signature"]
    other = query(objects.sign_read(replace(VERSION, version_id="another")))
    assert (other["X-Amz-Signature"] == told["X-Amz-Signature"]) == (version_id == "another")


@pytest.mark.parametrize(
    ("code", "status", "raised"),
    [
        ("NoSuchKey", 404, ObjectMissing),
        ("NoSuchVersion", 404, ObjectMissing),
        ("AccessDenied", 403, ObjectForbidden),
        ("SlowDown", 503, ClientError),
    ],
)
def test_what_s3_answers_is_told_apart(
    objects: Objects, s3: Stubber, code: str, status: int, raised: type[Exception]
) -> None:
    """Gone, forbidden, and everything else are three different things."""
    s3.add_client_error("head_object", code, http_status_code=status)
    with pytest.raises(raised):
        objects.head(KEY)


HEAD = {"ETag": '"abc-2"', "ContentLength": 7}
ASKED = {"Bucket": "the-bucket", "Key": KEY, "ChecksumMode": "ENABLED"}


@pytest.mark.parametrize(
    ("text", "etag"),
    [
        ('"abc-2"', "abc-2"),
        ("abc-2", "abc-2"),
        (' "abc-2" ', "abc-2"),
        ('W/"abc-2"', "abc-2"),
        ('"AbC"', "AbC"),
        ("", ""),
    ],
)
def test_an_etag_is_kept_bare(text: str, etag: str) -> None:
    """However it is written where it comes in; its case counts."""
    assert bare_etag(text) == etag


@given(st.from_regex(r"[0-9a-f]{32}(-[0-9]{1,5})?", fullmatch=True))
def test_a_bare_etag_stays_as_it_is(etag: str) -> None:
    """It may be made bare again, as a record of an earlier deployment is."""
    assert bare_etag(bare_etag(f'"{etag}"')) == bare_etag(etag) == etag


@pytest.mark.parametrize(("told", "version_id"), [({"VersionId": "v9"}, "v9"), ({}, None)])
def test_head_is_the_pinned_version(
    objects: Objects, s3: Stubber, told: dict[str, Any], version_id: str | None
) -> None:
    """Without the quotes of the ETag; a bucket without versions has none."""
    s3.add_response("head_object", HEAD | told, ASKED)
    assert objects.head(KEY) == Head(Version(KEY, "abc-2", 7, version_id), {})


@pytest.mark.parametrize(
    ("encrypted", "md5"),
    [({}, True), ({"ServerSideEncryption": "AES256"}, True), ({"ServerSideEncryption": "aws:kms"}, False)],
)
def test_what_was_put_is_told_by_s3s_answer(
    objects: Objects, s3: Stubber, encrypted: dict[str, Any], md5: bool
) -> None:
    """Its version and its digests: no HEAD asks for them again. Under a key of KMS the ETag is no MD5."""
    sha256 = hashlib.sha256(b"abc").hexdigest()
    etag = "900150983cd24fb0d6963f7d28e17f72"  # the MD5: https://www.rfc-editor.org/rfc/rfc1321, A.5
    checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
    told = {"ETag": f'"{etag}"', "VersionId": "v1", "ChecksumSHA256": checksum}
    s3.add_response("put_object", told | encrypted)
    head = objects.put(KEY, b"abc", "text/plain", sha256)
    assert head.version == Version(KEY, etag, 3, "v1")
    assert head.checksums == ({"md5": etag} if md5 else {}) | {"sha-256": sha256}


def test_what_an_earlier_attempt_has_put_is_asked_for(objects: Objects, s3: Stubber) -> None:
    """S3 refuses to store it twice: that attempt's answer was lost."""
    s3.add_client_error("put_object", "PreconditionFailed", http_status_code=412)
    s3.add_response("head_object", HEAD | {"VersionId": "v9"}, ASKED)
    assert objects.put(KEY, b"1234567", "text/plain", "00" * 32) == Head(Version(KEY, "abc-2", 7, "v9"), {})


def test_head_of_an_older_version(objects: Objects, s3: Stubber) -> None:
    """It is asked for by its id."""
    s3.add_response("head_object", HEAD | {"VersionId": "v3"}, ASKED | {"VersionId": "v3"})
    assert objects.head(KEY, "v3").version.version_id == "v3"


@pytest.mark.parametrize(
    ("told", "checksums"),
    [
        ({"ChecksumCRC64NVME": "AAAAAAAAAAE=", "ChecksumType": "FULL_OBJECT"}, {"crc64nvme": "0000000000000001"}),
        ({"ChecksumCRC32C": "4waSgw==", "ChecksumType": "FULL_OBJECT"}, {"crc32c": "e3069283"}),
        ({"ChecksumCRC32": "y/Q5Jg=="}, {"crc32": "cbf43926"}),
        ({"ChecksumSHA1": "AAEC", "ChecksumSHA256": "AwQF"}, {"sha": "000102", "sha-256": "030405"}),
        ({"ChecksumSHA512": "AAEC", "ChecksumMD5": "AwQF"}, {"sha-512": "000102", "md5": "030405"}),
        ({"ChecksumSHA256": "AAEC-2", "ChecksumType": "COMPOSITE"}, {}),
        ({"ChecksumSHA256": "AAEC", "ChecksumType": "COMPOSITE"}, {}),
        ({"ChecksumCRC32C": "4waSgw==-2"}, {}),
        ({"ChecksumXXHASH64": "AAAAAAAAAAE=", "ChecksumType": "FULL_OBJECT"}, {}),
    ],
)
def test_head_has_the_checksums_of_the_whole_object(
    objects: Objects, s3: Stubber, told: dict[str, Any], checksums: dict[str, str]
) -> None:
    """One of the parts' checksums, said by its type or by the number behind it, is none of them."""
    s3.add_response("head_object", HEAD | told, ASKED)
    assert objects.head(KEY).checksums == checksums


@pytest.mark.parametrize(
    ("told", "archived"),
    [
        ({}, False),
        ({"StorageClass": "GLACIER_IR"}, False),
        ({"StorageClass": "GLACIER"}, True),
        ({"StorageClass": "DEEP_ARCHIVE"}, True),
        ({"StorageClass": "GLACIER", "Restore": 'ongoing-request="true"'}, True),
        ({"StorageClass": "GLACIER", "Restore": 'ongoing-request="false", expiry-date="..."'}, False),
        ({"StorageClass": "INTELLIGENT_TIERING"}, False),
        ({"StorageClass": "INTELLIGENT_TIERING", "ArchiveStatus": "ARCHIVE_ACCESS"}, True),
    ],
)
def test_head_tells_what_s3_would_not_send(objects: Objects, s3: Stubber, told: dict[str, Any], archived: bool) -> None:
    """HEAD of an archived object is a 200, while GET of it is a 403 until it is restored."""
    s3.add_response("head_object", HEAD | told, ASKED)
    assert objects.head(KEY).archived is archived


def test_the_certificates_are_those_of_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_CA_BUNDLE before REQUESTS_CA_BUNDLE before the file that comes with it."""
    aws_environment(monkeypatch)
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    assert Path(ca_bundle()).is_file()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/requests.pem")
    assert ca_bundle() == "/requests.pem"
    monkeypatch.setenv("AWS_CA_BUNDLE", "/aws.pem")
    assert ca_bundle() == "/aws.pem"


@given(numbers=st.sets(st.integers(1, 40), max_size=30), by_number=st.booleans())
@example(numbers=set(range(1, 41)), by_number=True)
@example(numbers={*range(1, 9), *range(30, 41)}, by_number=False)
def test_parts_come_from_all_pages(objects: Objects, numbers: set[int], by_number: bool) -> None:
    """Every part once and in order, whether a page begins after the number that is asked for, or after so many parts.

    S3 does the one and moto the other, and then takes the last part's number for how many have been listed.
    """
    asked = 0

    def page(params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        nonlocal asked
        asked += 1
        marker, most, present = params["PartNumberMarker"], params["MaxParts"], sorted(numbers)
        rest = [number for number in present if number > marker] if by_number else present[marker:]
        listed = rest[:most]
        more = len(rest) > most if by_number else bool(listed) and len(present) > listed[-1]
        parts = [{"PartNumber": number, "Size": number, "ETag": f'"{number}"'} for number in listed]
        headers: Any = HTTPHeaders()
        return AWSResponse("", 200, headers, None), {"Parts": parts, "IsTruncated": more}

    events: Any = objects._client.meta.events
    events.register("before-parameter-build.s3.ListParts", keep := lambda params, **_: asking.update(params))
    asking: dict[str, Any] = {}
    events.register("before-call.s3.ListParts", answer := lambda **_: page(asking))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sluice.objects.LIST_PARTS_PAGE", 4)
            patch.setattr("sluice.objects.MAX_PARTS", 40)
            found = objects.parts(KEY, "upload-1")
    finally:
        events.unregister("before-parameter-build.s3.ListParts", keep)
        events.unregister("before-call.s3.ListParts", answer)
    assert found == [Part(number, number, str(number)) for number in sorted(numbers)]
    assert asked <= 10


def test_an_upload_that_is_gone_is_missing(objects: Objects, s3: Stubber) -> None:
    """Listing and completing say so; aborting one is no error."""
    for operation in ("list_parts", "complete_multipart_upload", "abort_multipart_upload"):
        s3.add_client_error(operation, "NoSuchUpload", http_status_code=404)
    with pytest.raises(UploadMissing):
        objects.parts(KEY, "upload-1")
    with pytest.raises(UploadMissing):
        objects.complete(KEY, "upload-1", [Part(1, 5, "a")], 5)
    objects.abort(KEY, "upload-1")


def test_completing_tells_s3_the_size(objects: Objects, s3: Stubber) -> None:
    """S3 itself refuses parts that do not sum to it, and to overwrite what is there."""
    expected = {
        "Bucket": "the-bucket",
        "Key": KEY,
        "UploadId": "upload-1",
        "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": "a"}]},
        "MpuObjectSize": 5,
        "IfNoneMatch": "*",
    }
    s3.add_response("complete_multipart_upload", {}, expected)
    objects.complete(KEY, "upload-1", [Part(1, 5, "a")], 5)


@pytest.mark.parametrize(
    ("code", "status", "raised"),
    [
        ("PreconditionFailed", 412, ObjectTaken),
        ("ConditionalRequestConflict", 409, ObjectTaken),
        ("InternalError", 500, Undecided),
        ("SlowDown", 503, Undecided),
        ("InvalidPart", 400, ClientError),
        ("AccessDenied", 403, ClientError),
    ],
)
def test_what_s3_says_to_completing_is_told_apart(
    objects: Objects, s3: Stubber, code: str, status: int, raised: type[Exception]
) -> None:
    """There is an object, it may yet come, and S3 refuses."""
    s3.add_client_error("complete_multipart_upload", code, http_status_code=status)
    with pytest.raises(raised):
        objects.complete(KEY, "upload-1", [Part(1, 5, "a")], 5)


def test_a_call_that_takes_too_long_goes_on_without_its_caller() -> None:
    """Nobody hears of its end then; one that ends in time is as if it had been called."""
    until, ended = threading.Event(), threading.Event()

    def call() -> None:
        until.wait()
        ended.set()

    with pytest.raises(TimeoutError):
        within(0.01, call)
    until.set()
    assert ended.wait(60)
    assert within(60, lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        within(60, lambda: 1 // 0)


def test_one_version_is_discarded(objects: Objects, s3: Stubber) -> None:
    """By its id, without a look."""
    s3.add_response("delete_object", {}, {"Bucket": "the-bucket", "Key": KEY, "VersionId": "v1"})
    objects.discard(VERSION)


@pytest.mark.parametrize("etag", ["abc-2", "other", None])
def test_a_version_without_an_id_is_looked_for(objects: Objects, s3: Stubber, etag: str | None) -> None:
    """What is there now is discarded if it is the same, and left alone if not; what is gone is gone."""
    if etag is None:
        s3.add_client_error("head_object", "NoSuchKey", http_status_code=404)
    else:
        s3.add_response("head_object", HEAD | {"ETag": f'"{etag}"', "VersionId": "v9"}, ASKED)
    if etag == "abc-2":
        s3.add_response("delete_object", {}, {"Bucket": "the-bucket", "Key": KEY, "VersionId": "v9"})
    objects.discard(replace(VERSION, version_id=None))


def listed(key: str, version_id: str) -> dict[str, Any]:
    return {"Key": key, "VersionId": version_id}


def test_deleting_takes_every_version_of_this_key_alone(objects: Objects, s3: Stubber) -> None:
    """Versions and markers go; a key that only begins like it stays."""
    page = {"Versions": [listed(KEY, "v2"), listed(KEY + "x", "v3")], "DeleteMarkers": [listed(KEY, "v1")]}
    s3.add_response("list_object_versions", page, {"Bucket": "the-bucket", "Prefix": KEY})
    batch = {"Objects": [listed(KEY, "v2"), listed(KEY, "v1")], "Quiet": True}
    s3.add_response("delete_objects", {}, {"Bucket": "the-bucket", "Delete": batch})
    objects.delete(KEY)


def test_a_version_that_s3_kept_is_not_taken_for_deleted(objects: Objects, s3: Stubber) -> None:
    """DeleteObjects answers 200 even where it deleted nothing."""
    s3.add_response("list_object_versions", {"Versions": [listed(KEY, "v1")]})
    s3.add_response("delete_objects", {"Errors": [listed(KEY, "v1") | {"Code": "InternalError", "Message": "again"}]})
    with pytest.raises(Busy):
        objects.delete(KEY)


def test_a_version_that_may_not_be_deleted_is_our_failure(objects: Objects, s3: Stubber) -> None:
    """A refusal that stays is not `busy`, which would have the client ask for ever."""
    s3.add_response("list_object_versions", {"Versions": [listed(KEY, "v1")]})
    s3.add_response("delete_objects", {"Errors": [listed(KEY, "v1") | {"Code": "AccessDenied", "Message": "no"}]})
    with pytest.raises(RuntimeError, match="AccessDenied"):
        objects.delete(KEY)


def test_deleting_what_is_not_there_is_no_error(objects: Objects, s3: Stubber) -> None:
    """Nothing listed, nothing sent."""
    s3.add_response("list_object_versions", {})
    objects.delete(KEY)


def test_people_are_sent_to_the_accelerated_endpoint_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With acceleration turned on: every URL and form for people leads there, and no call or read of ours."""
    aws_environment(monkeypatch)
    plain = Objects.connect()
    monkeypatch.setenv("TRANSFER_ACCELERATION", "true")
    fast = Objects.connect()

    def urls(objects: Objects) -> list[str]:
        signed = [objects.sign_put(KEY, 1, "text/plain"), objects.sign_part(KEY, "u", 1, 1)]
        signed += [objects.sign_get(VERSION, "text/plain", "inline")]
        return [one.url for one in signed] + [objects.sign_post(KEY, 0, 1, "text/plain").url]

    bucket = plain.bucket
    assert {urlsplit(url).netloc for url in urls(fast)} == {f"{bucket}.s3-accelerate.amazonaws.com"}
    assert fast.origin == f"https://{bucket}.s3-accelerate.amazonaws.com"
    regional = {urlsplit(url).netloc for url in urls(plain)}
    assert len(regional) == 1
    for objects in (plain, fast):
        assert {urlsplit(objects.sign_read(VERSION).url).netloc} == regional
        assert "accelerate" not in objects._client.meta.endpoint_url
    scope = query(fast.sign_part(KEY, "u", 1, 1))["X-Amz-Credential"].split("/")[2]
    assert scope == query(plain.sign_part(KEY, "u", 1, 1))["X-Amz-Credential"].split("/")[2]
