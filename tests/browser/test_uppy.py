"""Real Uppy, the last version 5 and the newest 6, in a real Chromium, on a page of another origin than the stack's."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from playwright.sync_api import BrowserContext, FilePayload, Page, Request, Route

from local import aws
from tests.browser.conftest import Pages
from tests.browser.npm import install, npm
from tests.integration import journey
from tests.integration.conftest import Stack
from tests.integration.journey import MIB

UPPY = Path(__file__).parent / "uppy"
VERSIONS = ("v5", "v6")
PAGE = "<!doctype html><title>Uppy</title><input type=file multiple><script type=module src={version}.js></script>"
CHUNK = 5 * MIB  # the least that Uppy makes, and what it makes of everything below 50 GB
# What S3 says of a URL after its time, which moto never looks at:
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
EXPIRED = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


@dataclass
class Visit:
    """One page with Uppy, and what it asked for."""

    page: Page
    asked: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.asked.append(request))  # noqa: PLW0108 - it wants a function

    def begin(self, files: dict[str, bytes]) -> None:
        payloads = [
            FilePayload(name=name, mimeType="application/octet-stream", buffer=data) for name, data in files.items()
        ]
        self.page.set_input_files("input", payloads)
        self.page.evaluate("upload()")

    def until(self, event: str) -> None:
        self.page.wait_for_function("event => window.happened?.includes(event)", arg=event)

    def results(self) -> dict[str, Any]:
        """What Uppy says of each file, by name, when it is done with all."""
        self.until("complete")
        return {result["name"]: result for result in self.page.evaluate("results()")}

    def upload(self, files: dict[str, bytes]) -> dict[str, Any]:
        self.begin(files)
        return self.results()

    def sent(self) -> list[tuple[str, int]]:
        """What it began to send to S3: the methods, and the numbers of parts (0 is none)."""
        requests = [request for request in self.asked if request.resource_type == "xhr"]
        queries = [parse_qs(urlsplit(request.url).query) for request in requests]
        numbers = [int(query.get("partNumber", ["0"])[0]) for query in queries]
        return [(request.method, number) for request, number in zip(requests, numbers, strict=True)]


@dataclass
class Site:
    """Somebody's page with one version of Uppy, which may upload in the name of the owner `default`."""

    context: BrowserContext
    pages: Pages
    version: str
    api: httpx.Client

    def visit(self, origin: str | None = None, **asked: str) -> Visit:
        """`asked` is what the page is to do, as its script says."""
        endpoint = self.api.post("/capabilities").raise_for_status().json()["links"]["companion"]
        visit = Visit(self.context.new_page())
        visit.page.goto(f"{origin or self.pages.url}/{self.version}.html?{urlencode({'endpoint': endpoint} | asked)}")
        return visit

    def verified(self, result: dict[str, Any], data: bytes) -> dict[str, Any]:
        """The file of a result, ready, with the digest of exactly these bytes."""
        assert result["error"] is None, result
        file_id = result["body"]["key"].rpartition("/")[2]
        file = journey.ended(self.api, self.api.get(f"/files/{file_id}").json())
        assert (file["status"], file["size"]) == ("ready", len(data)), file
        assert file["digests"]["sha-256"] == hashlib.sha256(data).hexdigest()
        assert file["filename"] == result["name"]
        return file


@pytest.fixture(scope="session")
def bundles(pages: Pages) -> None:
    """Both versions as their npm packages have them, each bundled into a page."""
    install(UPPY)
    npm(UPPY, "run", "build", "--", f"--outdir={pages.root}")
    for version in VERSIONS:
        (pages.root / f"{version}.html").write_text(PAGE.format(version=version))


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    with journey.client(stack.api, stack.token) as client:
        yield client


@pytest.fixture(params=VERSIONS)
def site(
    request: pytest.FixtureRequest,
    context: BrowserContext,
    pages: Pages,
    api: httpx.Client,
    bundles: None,  # noqa: ARG001 - what the pages are made of
) -> Site:
    return Site(context, pages, request.param, api)


@pytest.fixture(params=[{}, {"sized": "1"}], ids=["size-unknown", "size-told"])
def sized(request: pytest.FixtureRequest) -> dict[str, str]:
    """Whether the page puts the size into the metadata."""
    return dict(request.param)


def test_multipart(site: Site, sized: dict[str, str]) -> None:
    """A file in three parts is ready, and what Uppy calls its location is the file's own URL."""
    data = journey.random_bytes(2 * CHUNK + MIB)
    visit = site.visit(multipart="true", **sized)
    result = visit.upload({"large.bin": data})["large.bin"]
    file = site.verified(result, data)
    assert sorted(visit.sent()) == [("PUT", 1), ("PUT", 2), ("PUT", 3)]
    assert file["part_count"] == 3
    assert result["body"]["location"] == file["links"]["self"]


def test_single(site: Site, sized: dict[str, str]) -> None:
    """What Uppy does by itself with a small file: one POST, after which only S3 tells that it has come."""
    data = journey.random_bytes(3 * MIB)
    visit = site.visit(**sized)
    site.verified(visit.upload({"small.bin": data})["small.bin"], data)
    assert visit.sent() == [("POST", 0)]


@pytest.mark.parametrize("multipart", ["true", "false"])
def test_empty(site: Site, sized: dict[str, str], multipart: str) -> None:
    """A file of no bytes is a file."""
    visit = site.visit(multipart=multipart, **sized)
    site.verified(visit.upload({"empty": b""})["empty"], b"")


@pytest.mark.parametrize("multipart", ["true", "false"])
def test_folder_and_metadata(site: Site, multipart: str) -> None:
    """A folder that was dropped upon Uppy stays one, and what the page noted stays with the file."""
    data = journey.random_bytes(5)
    for asked, folder in (({"folder": "2026/Größe & 日本語"}, "2026/Größe & 日本語"), ({}, None)):
        visit = site.visit(multipart=multipart, **asked)
        file = site.verified(visit.upload({"a b.bin": data})["a b.bin"], data)
        assert (file["folder"], file["metadata"]) == (folder, {"caption": "Ü & 雪"})


@pytest.mark.parametrize("multipart", ["true", "false"])
def test_two_at_once_and_their_names(site: Site, multipart: str) -> None:
    """Two files at once keep their bytes and their names: spaces, emoji, quotes, a plus."""
    files = {
        "a name 'with' \"quotes\" & 100% + 😀.bin": journey.random_bytes(CHUNK + 1),
        "Größe (2) 日本語.txt": journey.random_bytes(CHUNK + 2),
    }
    results = site.visit(multipart=multipart).upload(files)
    for name, data in files.items():
        site.verified(results[name], data)


def test_pause_and_resume(site: Site) -> None:
    """A paused upload goes on where it was: no part that has arrived is sent again."""
    data = journey.random_bytes(3 * CHUNK + 1)
    visit = site.visit(multipart="true", limit="1", pause="1")
    visit.begin({"paused.bin": data})
    visit.until("paused")
    visit.page.evaluate("uppy.resumeAll()")
    site.verified(visit.results()["paused.bin"], data)
    assert visit.sent().count(("PUT", 1)) == 1
    assert set(visit.sent()) == {("PUT", 1), ("PUT", 2), ("PUT", 3), ("PUT", 4)}


def test_reload_and_resume(site: Site) -> None:
    """With Uppy's Golden Retriever an upload goes on after the page was loaded again, from the parts that S3 has."""
    data = journey.random_bytes(3 * CHUNK + 1)
    visit = site.visit(multipart="true", limit="1", pause="1", retriever="1")
    visit.begin({"reloaded.bin": data})
    visit.until("paused")
    visit.page.evaluate("stored()")
    visit.asked.clear()
    visit.page.reload()
    visit.until("restored")
    visit.page.evaluate("uppy.emit('restore-confirmed')")
    visit.until("paused")  # as the page does after the first part that it sends
    visit.page.evaluate("uppy.resumeAll()")
    site.verified(visit.results()["reloaded.bin"], data)
    assert set(visit.sent()) == {("PUT", 2), ("PUT", 3), ("PUT", 4)}


def test_cancel(site: Site, stack: Stack) -> None:
    """A cancelled upload is aborted, and S3 keeps none of its parts."""
    visit = site.visit(multipart="true", limit="1", cancel="1")
    with visit.page.expect_response(lambda answer: answer.request.method == "DELETE") as given_up:
        visit.begin({"cancelled.bin": journey.random_bytes(3 * CHUNK)})
    assert given_up.value.status == 200  # Uppy 6 does not read the body, and Chromium keeps none that is `no-store`
    (newest,) = site.api.get("/files", params={"limit": 1}).json()["items"]
    assert (newest["filename"], newest["status"], newest["reason"]) == ("cancelled.bin", "aborted", "aborted")
    s3 = aws.connect(stack.aws).s3
    (bucket,) = s3.list_buckets()["Buckets"]
    uploads = s3.list_multipart_uploads(Bucket=bucket["Name"]).get("Uploads", [])
    assert [upload for upload in uploads if upload["Key"].endswith(newest["id"])] == []


def test_expired_url(site: Site) -> None:
    """When a URL's time is over Uppy 5 asks for a fresh one; Uppy 6 fails, and goes on when it is told to."""
    data = journey.random_bytes(2 * CHUNK)
    visit = site.visit(multipart="true", limit="1")
    refused: list[str] = []

    def refuse_once(route: Route) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.fulfill(status=403, headers={"Access-Control-Allow-Origin": site.pages.url}, body=EXPIRED)

    visit.page.route(lambda url: "partNumber=2" in url, refuse_once)
    results = visit.upload({"expired.bin": data})
    if site.version == "v6":
        assert results["expired.bin"]["error"]
        visit.page.evaluate("happened.length = 0, void uppy.retryAll()")
        results = visit.results()
    site.verified(results["expired.bin"], data)
    assert len(refused) == 1
    assert visit.sent() == [("PUT", 1), ("PUT", 2), ("PUT", 2)]


@pytest.mark.parametrize("multipart", ["true", "false"])
def test_foreign_origin_is_refused(site: Site, multipart: str) -> None:
    """A page of an origin that the deployment does not name gets nothing done, even with a capability."""
    visit = site.visit(site.pages.foreign, multipart=multipart)
    assert visit.upload({"foreign.bin": journey.random_bytes(CHUNK + 1)})["foreign.bin"]["error"]
    # A GET asks nobody, so a POST may have been prepared; its page never saw where to.
    assert visit.sent() == []
    found = [file for file in site.api.get("/files").json()["items"] if file["filename"] == "foreign.bin"]
    assert {file["status"] for file in found} <= {"uploading"}
