import calendar
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import NoCredentialsError
from hypothesis import given
from hypothesis import strategies as st

from sluice.signing import URL_SECONDS, Signer
from tests.unit.core.records import CREDENTIALS, aws_environment

VIRTUAL = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
PATH = Config(signature_version="s3v4", s3={"addressing_style": "path"})
# A session token of Lambda's has about a thousand characters, + and / among them.
TOKEN = "IQoJb3JpZ2luX2VjEA+/" * 50 + "=="
CLIENTS = [
    boto3.client("s3", **CREDENTIALS, config=VIRTUAL),
    boto3.client("s3", **CREDENTIALS | {"aws_session_token": TOKEN}, config=VIRTUAL),
    boto3.client("s3", **CREDENTIALS | {"region_name": "us-gov-west-1"}, config=VIRTUAL),
    boto3.client("s3", **CREDENTIALS, endpoint_url="http://127.0.0.1:5000", config=PATH),
    boto3.client("s3", **CREDENTIALS, endpoint_url="https://s3.example.org:443/at/a/path", config=PATH),
]

keys = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\t"), min_size=1, max_size=40).map("files/".__add__)
# Visible ASCII: what a header can carry.
values = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
types = st.one_of(
    values, st.sampled_from(["video/webm;codecs=vp8,opus", 'video/mp4;  codecs="avc1.42E01E,  mp4a"; a="\\""'])
)
digests = st.binary(min_size=32, max_size=32)


@contextmanager
def at(moment: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sluice.signing.time.time", lambda: float(moment))
        yield


def moment_of(url: str) -> int:
    return calendar.timegm(time.strptime(parse_qs(urlsplit(url).query)["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ"))


def same(client: Any, operation: str, params: dict[str, Any], *request: Any) -> None:
    theirs = client.generate_presigned_url(operation, Params={"Bucket": "the-bucket", **params}, ExpiresIn=URL_SECONDS)
    with at(moment_of(theirs)):
        assert Signer(client, "the-bucket").sign(*request).url == theirs


@given(
    client=st.sampled_from(CLIENTS),
    key=keys,
    upload_id=values,
    number=st.integers(1, 10_000),
    size=st.integers(0, 5 * 1024**3),
)
def test_a_part_is_signed_as_by_botocore(client: Any, key: str, upload_id: str, number: int, size: int) -> None:
    """The URLs are the same, byte for byte, whatever the endpoint, the key, the upload and the credentials."""
    params = {"Key": key, "UploadId": upload_id, "PartNumber": number, "ContentLength": size}
    query = {"uploadId": upload_id, "partNumber": str(number)}
    same(client, "upload_part", params, "PUT", key, query, {"content-length": str(size)})


@given(client=st.sampled_from(CLIENTS), key=keys, content_type=types, size=st.integers(0, 5 * 1024**3))
def test_a_single_put_is_signed_as_by_botocore(client: Any, key: str, content_type: str, size: int) -> None:
    """With the type, the length, the condition and a checksum among the headers that are signed."""
    checksum = "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="
    params = {
        "Key": key,
        "ContentLength": size,
        "ContentType": content_type,
        "IfNoneMatch": "*",
        "ChecksumSHA256": checksum,
    }
    headers = {
        "content-length": str(size),
        "content-type": content_type,
        "if-none-match": "*",
        "x-amz-checksum-sha256": checksum,
    }
    same(client, "put_object", params, "PUT", key, {}, headers)


@given(
    client=st.sampled_from(CLIENTS), key=keys, version_id=values, content_type=types, disposition=st.text(max_size=40)
)
def test_a_get_is_signed_as_by_botocore(
    client: Any, key: str, version_id: str, content_type: str, disposition: str
) -> None:
    """With whatever a client chose to have in the query."""
    params = {
        "Key": key,
        "VersionId": version_id,
        "ResponseContentType": content_type,
        "ResponseContentEncoding": "identity",
        "ResponseContentDisposition": f"a{disposition}",
    }
    query = {
        "versionId": version_id,
        "response-content-type": content_type,
        "response-content-encoding": "identity",
        "response-content-disposition": f"a{disposition}",
    }
    same(client, "get_object", params, "GET", key, query)
    same(client, "head_object", params, "HEAD", key, query)


def test_the_headers_to_send_are_those_signed_but_for_the_length() -> None:
    """A client sends its host and its length by itself."""
    headers = {"content-length": "5", "content-type": "text/plain"}
    assert Signer(CLIENTS[0], "the-bucket").sign("PUT", "key", {}, headers).headers == {"Content-Type": "text/plain"}


def ending(left: timedelta) -> Any:
    """A client whose credentials end so soon."""
    client: Any = boto3.client("s3", **CREDENTIALS, config=VIRTUAL)
    keys = CREDENTIALS["aws_access_key_id"], CREDENTIALS["aws_secret_access_key"]
    known: Any = RefreshableCredentials(*keys, TOKEN, datetime.now(UTC) + left, lambda: None, "test")
    known._advisory_refresh_timeout = known._mandatory_refresh_timeout = 0  # as late as it gets before they are renewed
    client._request_signer._credentials = known
    return client, known


@given(seconds=st.integers(1, 2 * URL_SECONDS))
def test_no_url_is_said_to_outlive_its_credentials(seconds: int) -> None:
    """`expires_at` is at most a second before the credentials end, or the hour that the URL itself has."""
    client, known = ending(timedelta(seconds=seconds, milliseconds=500))
    ends = known._expiry_time.timestamp()
    before = int(time.time())
    expires_at = Signer(client, "the-bucket").sign("GET", "key", {}).expires_at
    assert expires_at <= ends
    assert expires_at >= min(before + URL_SECONDS, int(ends) - 2)


def test_credentials_that_do_not_tell_their_end_are_taken_for_an_hour() -> None:
    """Those of a Lambda function are in its environment, and nothing says until when."""
    with at(1_800_000_000):
        assert Signer(CLIENTS[1], "the-bucket").sign("GET", "key", {}).expires_at == 1_800_000_000 + URL_SECONDS


def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As botocore does, so that whoever survives its errors survives this one."""
    aws_environment(monkeypatch)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(NoCredentialsError):
        Signer(boto3.Session().client("s3"), "the-bucket")


@given(client=st.sampled_from(CLIENTS), seconds=st.integers(1, URL_SECONDS))
def test_a_url_may_be_good_for_less(client: Any, seconds: int) -> None:
    """As long as it was asked for, by the signature, and so it says."""
    theirs = client.generate_presigned_url(
        "get_object", Params={"Bucket": "the-bucket", "Key": "files/a"}, ExpiresIn=seconds
    )
    moment = moment_of(theirs)
    with at(moment):
        signed = Signer(client, "the-bucket").sign("GET", "files/a", {}, seconds=seconds)
    assert (signed.url, signed.expires_at) == (theirs, moment + seconds)
