"""Who may use a local stack: programs of this machine, and the pages that its CORS rules name."""

import json
import uuid
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from botocore.config import Config

from local import aws
from local.aws import Services
from tests.integration.conftest import Running

PAGE = "http://page.example"
FOREIGN = "http://evil.example"
DYNAMODB = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}
KEYS: Any = {"region_name": "eu-west-1", "aws_access_key_id": "local", "aws_secret_access_key": "local"}
SCOPE = "Credential=local/20260101/eu-west-1/{}/aws4_request"


@pytest.fixture(scope="module")
def services(tiny: Running) -> Services:
    return aws.connect(tiny.ready["aws"])


def send(url: str, method: str = "GET", body: bytes = b"", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.request(method, url, headers=named, content=body, trust_env=False)


@pytest.mark.parametrize("part", ["api", "stream", "aws"])
def test_names_of_this_machine_alone_are_answered(tiny: Running, part: str) -> None:
    """A page whose name was made to mean 127.0.0.1 cannot hide it: its requests are refused before they do anything."""
    url = tiny.ready[part]
    port = urlsplit(url).port
    for host in (f"localhost:{port}", f"[::1]:{port}", f"a-bucket.localhost:{port}", f"127.0.0.1:{port}", "localhost"):
        assert send(f"{url}/", Host=host).status_code != 421, host
    for host in (f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "0.0.0.0", "", "localhost:x"):
        refused = send(f"{url}/", "POST", b"x" * 100_000, Host=host)
        assert refused.status_code == 421, host
        assert refused.text.endswith(".\n")


def test_nothing_deletes_everything(tiny: Running, services: Services) -> None:
    """moto's own service, which does, is not there: neither for pages nor for programs."""
    before = services.sqs.list_queues()["QueueUrls"]
    for headers in ({}, {"Origin": FOREIGN}):
        assert send(f"{tiny.ready['aws']}/moto-api/reset", "POST", b"", **headers).status_code in (403, 404)
        assert send(f"{tiny.ready['aws']}/moto-api/data.json", "GET", b"", **headers).status_code in (403, 404)
    assert services.sqs.list_queues()["QueueUrls"] == before


@pytest.mark.parametrize("page", [{"Origin": FOREIGN}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}])
def test_pages_cannot_use_other_services(tiny: Running, page: dict[str, str]) -> None:
    """Not by a POST of JSON, nor by a form, nor by an address with an action."""
    url = tiny.ready["aws"]
    signed = {"Authorization": f"AWS4-HMAC-SHA256 {SCOPE.format('dynamodb')}, SignedHeaders=host, Signature=0"}
    assert httpx.post(url, headers=DYNAMODB | signed, content=b"{}", trust_env=False).status_code == 200
    assert httpx.post(url, headers=DYNAMODB | signed | page, content=b"{}", trust_env=False).status_code == 403
    signed = {"Authorization": f"AWS4-HMAC-SHA256 {SCOPE.format('sqs')}, SignedHeaders=host, Signature=0"}
    form = {"Action": "ListQueues", "Version": "2012-11-05"}
    assert httpx.post(url, data=form, headers=signed, trust_env=False).status_code == 200
    assert httpx.post(url, data=form, headers=signed | page, trust_env=False).status_code == 403
    assert httpx.get(url, params=form, headers=signed | page, trust_env=False).status_code == 403
    secrets: Any = {"X-Amz-Target": "secretsmanager.ListSecrets", "Content-Type": "application/x-amz-json-1.1"}
    signed = {"Authorization": f"AWS4-HMAC-SHA256 {SCOPE.format('secretsmanager')}, SignedHeaders=host, Signature=0"}
    assert httpx.post(url, headers=secrets | signed | page, content=b"{}", trust_env=False).status_code == 403


def test_pages_use_a_bucket_by_its_rules(tiny: Running, services: Services) -> None:
    """A page that the rules name uploads; another one neither deletes by a POST nor sends a form."""
    bucket = f"bucket-{uuid.uuid4()}"
    services.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    rules: Any = [{"AllowedOrigins": [PAGE], "AllowedMethods": ["GET", "PUT", "POST"], "AllowedHeaders": ["*"]}]
    services.s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    url = f"{tiny.ready['aws']}/{bucket}"

    s3: Any = boto3.client("s3", endpoint_url=tiny.ready["aws"], config=Config(signature_version="s3v4"), **KEYS)

    def signed(call: str, **key: Any) -> str:
        return str(s3.generate_presigned_url(call, Params={"Bucket": bucket, **key}))

    def posted(page: str) -> int:
        fields = s3.generate_presigned_post(bucket, "form")["fields"]
        form = {"data": fields, "files": {"file": b"x"}, "headers": {"Origin": page}, "trust_env": False}
        return httpx.post(url, **form).status_code

    assert send(signed("put_object", Key="key"), "PUT", b"bytes", Origin=PAGE).status_code == 200
    read = send(signed("get_object", Key="key"), Origin=PAGE)
    assert (read.content, read.headers["access-control-allow-origin"]) == (b"bytes", PAGE)
    assert "access-control-allow-origin" not in send(signed("get_object", Key="key"), Origin=FOREIGN).headers

    document = b"<Delete><Object><Key>key</Key></Object></Delete>"
    for page in (FOREIGN, "null"):
        assert send(f"{url}?delete", "POST", document, Origin=page, Content_Type="text/plain").status_code == 403
        assert posted(page) == 403
    assert [one["Key"] for one in services.s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["key"]
    assert posted(PAGE) == 204
    assert {one["Key"] for one in services.s3.list_objects_v2(Bucket=bucket)["Contents"]} == {"form", "key"}


def test_pages_use_the_doors_by_the_template(tiny: Running) -> None:
    """A door is asked by any page, as on AWS, and tells the browser which page may read the answer."""
    for page, allowed in ((PAGE, PAGE), (FOREIGN, None)):
        answer = send(f"{tiny.ready['api']}/x", Origin=page)
        assert answer.status_code == 200
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert json.loads(answer.text)["headers"]["origin"] == page
