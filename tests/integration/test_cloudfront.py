"""The whole product behind CloudFront, as the local stack plays it: what comes through, and what else is refused."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
import pytest

from functions.api.cloudfront import HEADER
from local.aws import CREDENTIALS
from tests.integration import journey
from tests.integration.conftest import ROOT, Stack, standing
from tests.integration.journey import PATIENCE_SECONDS, client
from tests.integration.test_audit import audit_lines, awaited
from tests.integration.test_client import sluice

PAGE = "https://page.example"
FORGED = "203.0.113.7"
VIEWER = "127.0.0.1"  # these tests
# One of these, or CloudFront may give one viewer's answer to another who asks at the same moment.
FOR_ONE = re.compile(r"\b(no-store|no-cache|private)\b")


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with standing(
        tmp_path_factory.mktemp("front"),
        parameters={"AllowedOrigins": PAGE},
        cloudfront=True,
        LOCAL_STREAM_BYTES_PER_S="0",
    ) as up:
        yield up


@pytest.fixture
def owner(front: Stack) -> Iterator[httpx.Client]:
    with client(front.api, front.token) as api:
        yield api


def get(url: str, method: str = "GET", **headers: str) -> httpx.Response:
    return httpx.request(method, url, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False)


def kept(api: httpx.Client, filename: str = "a.txt") -> dict[str, Any]:
    answer = api.put(f"/files/{filename}", content=b"some bytes", headers={"X-Forwarded-For": FORGED})
    assert answer.status_code == 201, answer.text
    file: dict[str, Any] = answer.json()
    return file


def secret_of(front: Stack) -> str:
    """What CloudFront sends."""
    secrets = boto3.client(
        "secretsmanager",
        endpoint_url=front.aws,
        region_name=front.region,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    (name,) = (one["Name"] for one in secrets.list_secrets()["SecretList"] if "CloudFrontSecret" in one["Name"])
    return str(json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])["current"])


def urls(value: Any) -> set[str]:
    """The origins of all links in an answer."""
    if isinstance(value, dict):
        return {origin for item in value.values() for origin in urls(item)}
    if isinstance(value, list):
        return {origin for item in value for origin in urls(item)}
    parts = urlsplit(value if isinstance(value, str) else "")
    return {f"{parts.scheme}://{parts.netloc}"} if parts.scheme.startswith("http") else set()


def test_a_file_goes_in_and_comes_out(front: Stack, owner: httpx.Client) -> None:
    """By parts, watched until it is verified; whole and in a range; and no answer may be kept for others."""
    data = journey.random_bytes(9 * journey.MIB)
    file = journey.ended(owner, journey.upload(owner, data, folder="a b"))
    assert file["status"] == "ready"
    whole, part = get(file["links"]["content"]), get(file["links"]["content"], Range="bytes=10-19")
    assert (whole.status_code, part.status_code) == (200, 206)
    assert (whole.content, part.content) == (data, data[10:20])
    listed = owner.get("/files", params={"folder": "a b"})
    export = get(listed.json()["links"]["jsonl"])
    assert [json.loads(line)["id"] for line in export.text.splitlines()] == [file["id"]]
    with httpx.stream("GET", listed.json()["links"]["events"], timeout=PATIENCE_SECONDS, trust_env=False) as feed:
        told = [whole, part, listed, export, feed, owner.get("/healthz"), owner.get("/nowhere"), get(front.stream)]
        assert all(FOR_ONE.search(answer.headers["cache-control"]) for answer in told)


def test_links_and_redirects_lead_to_cloudfront(front: Stack, owner: httpx.Client) -> None:
    """Of files, lists, drops, shares and Companion: no answer names a host that would refuse."""
    file = kept(owner)
    made = [
        file,
        owner.get("/files").json(),
        owner.post("/drops", json={"max_files": 1, "expires_in": 60}).json(),
        owner.post("/shares", json={"files": [file["id"]], "expires_in": 60}).json(),
        owner.post("/capabilities", json={"expires_in": 60}).json(),
        owner.post("/archives", json={"files": [file["id"]]}).json(),
    ]
    assert all(urls(answer) for answer in made)
    assert set.union(*map(urls, made)) == {front.api, front.stream}
    redirect = owner.get("/files/", follow_redirects=False)
    assert (redirect.status_code, redirect.headers["location"]) == (307, f"{front.api}/files")


@pytest.mark.parametrize("path", ["/", "/healthz", "/files", "/nowhere"])
@pytest.mark.parametrize("offered", ["", "guessed"])
def test_the_api_refuses_what_does_not_come_through_cloudfront(front: Stack, path: str, offered: str) -> None:
    """Everything, also with a token, without the secret or with another; it says where to ask instead."""
    headers = {"Authorization": f"Bearer {front.token}", "X-Forwarded-For": FORGED, HEADER: offered}
    answer = get(front.direct_api + path, **headers)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["status"]) == (403, "not_through_cloudfront", 403)
    assert front.api in problem["detail"]


def test_cloudfront_replaces_the_secret_that_a_viewer_sends(owner: httpx.Client) -> None:
    """Whoever sends a wrong one through CloudFront is let in, as everybody is who comes that way."""
    assert owner.get("/me", headers={HEADER: "guessed"}).status_code == 200


def test_the_function_url_refuses_what_cloudfront_has_not_signed(front: Stack, owner: httpx.Client) -> None:
    """Also with a link that is good, and keys that it does not know."""
    link = urlsplit(kept(owner)["links"]["content"])
    for headers in ({}, {"Authorization": "AWS4-HMAC-SHA256 Credential=local/x"}):
        answer = get(f"{front.direct_stream}{link.path}?{link.query}", **headers)
        assert (answer.status_code, answer.json()) == (403, {"Message": "Forbidden"})
    assert get(f"{front.stream}{link.path}?{link.query}").content == b"some bytes"


def test_the_stream_host_takes_no_bodies(front: Stack) -> None:
    """CloudFront answers for it: nobody could sign them."""
    assert get(f"{front.stream}/healthz", "POST").status_code == 403


def test_the_record_has_the_viewers_address(front: Stack, owner: httpx.Client) -> None:
    """Not CloudFront's, and not what the viewer says it is, at both hosts; the direct hosts' callers are nobody."""
    file = kept(owner, "recorded.txt")
    get(file["links"]["content"], **{"X-Forwarded-For": FORGED})
    get(f"{front.direct_api}/files", **{"X-Forwarded-For": FORGED, "Authorization": f"Bearer {front.token}"})

    def look() -> list[dict[str, Any]]:
        return [line for line in audit_lines(front) if line.get("file") == file["id"]]

    lines = awaited(look, lambda found: any(line["audit"] == "ended" for line in found))
    assert {line["service"] for line in lines} == {"api", "stream"}
    assert {line["source_ip"] for line in audit_lines(front)} == {VIEWER}


def test_the_secret_is_in_no_log(front: Stack, owner: httpx.Client) -> None:
    """Not in what the functions print, and not in the audit record."""
    secret = secret_of(front)
    assert get(f"{front.direct_api}/me", Authorization=f"Bearer {front.token}", **{HEADER: secret}).status_code == 200
    kept(owner)
    assert len(secret) == 64
    assert secret not in front.log.read_text() + json.dumps(audit_lines(front))


def test_pages_may_ask_both_hosts(front: Stack, owner: httpx.Client) -> None:
    """The page of another origin that is allowed, and this API's own at the stream host and the bucket; no others."""
    file = journey.create(owner, 9 * journey.MIB)
    stream, bucket = file["links"]["events"], file["parts"][0]["url"]
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
    for url, origins in (
        (f"{front.api}/files", {PAGE}),
        (stream, {PAGE, front.api}),
        (bucket, {PAGE, front.api}),
    ):
        for origin in (PAGE, front.api, front.direct_api, "https://other.example"):
            told = {**asked, "Access-Control-Request-Headers": "authorization"} if url.startswith(front.api) else asked
            answer = get(url, "OPTIONS", Origin=origin, **told)
            assert (answer.headers.get("access-control-allow-origin") == origin) is (origin in origins), (url, origin)


def test_the_page_may_ask_the_hosts_that_people_see(front: Stack) -> None:
    """Its policy names the stream host's CloudFront. Where nobody has built it the API says so, through CloudFront."""
    answer = get(front.api)
    if (ROOT / "functions/api/dist").is_dir():
        assert answer.status_code == 200
        assert front.stream in answer.headers["content-security-policy"]
        assert front.direct_stream not in answer.headers["content-security-policy"]
    else:
        assert answer.json()["code"] == "page_not_built"


def test_the_doctor_finds_it_healthy(front: Stack, tmp_path: Path) -> None:
    """With the address that people have: an upload, a range of it, a stream."""
    checks = ["address", "sign-in", "several parts", "download", "streaming"]
    done = sluice(front, tmp_path, "doctor", "--json", *(word for check in checks for word in ("--only", check)))
    report = json.loads(done.stdout)
    assert report["healthy"], report
    assert {finding["outcome"] for finding in report["findings"] if finding["check"] in checks} == {"ok"}
