"""The page, as a person uses it: by names that a screen reader says, in a real browser, over the whole local stack."""

import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    JSHandle,
    Locator,
    Page,
    Request,
    Response,
    Route,
    Worker,
    expect,
)

from tests.browser.conftest import Pages
from tests.browser.steps import PATIENCE_SECONDS
from tests.integration import proxy
from tests.integration.conftest import ROOT, Stack

WEB = ROOT / "web"
MIB = 1024 * 1024
PART_BYTES = 8 * MIB
CORS = {"Access-Control-Allow-Origin": "*"}
PATIENT: Any = {"trust_env": False, "timeout": PATIENCE_SECONDS}  # how the tests themselves ask
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

expect.set_options(timeout=PATIENCE_SECONDS * 1000)


@pytest.fixture(autouse=True, scope="module")
def _built() -> None:
    """The page of this checkout."""
    done = subprocess.run(["make", "web"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Traffic:
    """What a page asked for, and what it complained about."""

    def __init__(self, page: Page) -> None:
        self.urls: list[str] = []
        self.parts: list[int] = []  # numbers of the parts that S3 took, in order
        self.complaints: list[str] = []
        page.on("request", self._asked)
        page.on("response", self._answered)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._complained)

    def origins(self) -> set[str]:
        return {f"{url.scheme}://{url.netloc}" for url in map(urlsplit, self.urls) if url.scheme.startswith("http")}

    def _complained(self, message: ConsoleMessage) -> None:
        if message.type in ("warning", "error"):
            self.complaints.append(message.text)

    def _asked(self, request: Request) -> None:
        self.urls.append(request.url)

    def _answered(self, response: Response) -> None:
        number = part_number(response.url)
        if response.request.method == "PUT" and number and response.ok:
            self.parts.append(number)


def part_number(url: str) -> int | None:
    numbers = parse_qs(urlsplit(url).query).get("partNumber")
    return int(numbers[0]) if numbers else None


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def traffic(page: Page) -> Traffic:
    return Traffic(page)


@pytest.fixture
def signed_in(page: Page, stack: Stack) -> Page:
    sign_in(page, stack)
    return page


def sign_in(page: Page, stack: Stack) -> None:
    page.goto(stack.api)
    page.get_by_label("Access token").fill(stack.token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Files", exact=True)).to_be_visible()


@pytest.fixture
def sample(tmp_path: Path) -> Callable[[str, int], Path]:
    """Makes a file of random bytes."""

    def make(name: str, size: int) -> Path:
        path = tmp_path / name
        path.write_bytes(os.urandom(size))
        return path

    return make


def choose(page: Page, *paths: Path) -> None:
    page.locator("input.uppy-Dashboard-input").first.set_input_files(paths)


def send(page: Page, *paths: Path) -> None:
    choose(page, *paths)
    page.get_by_role("button", name=re.compile(r"^Upload \+?\d+ file")).click()


def row(page: Page, name: str) -> Locator:
    """The newest file of that name in the list."""
    return page.locator(".files > li", has=page.get_by_role("heading", name=name, exact=True)).first


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stored(stack: Stack, name: str) -> dict[str, Any]:
    """What the API says of the newest file of that name."""
    answer = httpx.get(f"{stack.api}/files?limit=100", headers=bearer(stack), **PATIENT)
    (newest, *_) = [file for file in answer.json()["items"] if file["filename"] == name]
    return dict(newest)


def bearer(stack: Stack) -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.token}"}


@contextmanager
def held(page: Page, stack: Stack, *numbers: int) -> Iterator[None]:
    """S3 is too busy for these parts until the block ends: an upload that is in the middle, for as long as it takes."""

    def hold(route: Route) -> None:
        if route.request.method == "PUT" and part_number(route.request.url) in numbers:
            answer(route, stack, 503, "SlowDown")
        else:
            route.continue_()

    page.route(f"{stack.aws}/**", hold)
    yield
    if not page.is_closed():
        page.unroute(f"{stack.aws}/**", hold)


def answer(route: Route, stack: Stack, status: int, code: str) -> None:
    """What S3 says when it takes nothing."""
    headers = {"Access-Control-Allow-Origin": stack.api}
    route.fulfill(status=status, headers=headers, body=f"<Error><Code>{code}</Code></Error>")


def wait_for(page: Page, fact: Callable[[], bool]) -> None:
    """Until an answer that the page gets makes it true."""
    if not fact():
        page.wait_for_event("response", predicate=lambda _: fact())


def worker(page: Page) -> Worker:
    return page.workers[-1] if page.workers else page.wait_for_event("worker")


def reads(page: Page) -> JSHandle:
    """The sizes of what the page's worker reads of files from now on, as it reads them."""
    return worker(page).evaluate_handle(
        """() => {
            const sizes = [], read = Blob.prototype.arrayBuffer;
            Blob.prototype.arrayBuffer = function () { sizes.push(this.size); return read.call(this); };
            return sizes;
        }"""
    )


def through(page: Page, stack: Stack, network: proxy.Proxy) -> None:
    """What the page sends to S3 goes over this network."""
    network.host = urlsplit(stack.aws).netloc

    def reroute(route: Route) -> None:
        route.continue_(url=route.request.url.replace(stack.aws, network.url))

    page.route(f"{stack.aws}/**", reroute)


def flip_a_bit(exchange: proxy.Exchange) -> None:
    """The body arrives with one bit that is not the sender's."""
    asked = exchange.request_read
    middle = len(asked.body) // 2
    altered = bytes([asked.body[middle] ^ 1])
    exchange.request_read = replace(asked, body=asked.body[:middle] + altered + asked.body[middle + 1 :])
    proxy.pass_on(exchange)


def accessible(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it is now."""
    page.evaluate((WEB / "node_modules" / "axe-core" / "axe.min.js").read_text())
    found = page.evaluate("tags => axe.run({runOnly: tags})", TAGS)["violations"]
    return [f"{fault['id']}: {node['target']} {node['failureSummary']}" for fault in found for node in fault["nodes"]]


def test_wrong_token_is_refused_in_words(page: Page, stack: Stack) -> None:
    """A wrong token is said to be wrong, the field keeps the focus, and the right one then opens the page."""
    page.goto(stack.api)
    field = page.get_by_label("Access token")
    expect(field).to_be_focused()
    field.fill("not-the-token")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not, or no longer")
    expect(field).to_be_focused()
    assert accessible(page) == []
    field.fill(stack.token)
    field.press("Enter")
    expect(page.get_by_role("heading", name="Send files")).to_be_visible()


def test_the_token_stays_in_its_tab(traffic: Traffic, signed_in: Page, stack: Stack, context: BrowserContext) -> None:
    """A reload goes on signed in, no URL ever has the token, another tab has to ask; signing out leaves nothing."""
    signed_in.reload()
    expect(signed_in.get_by_role("button", name="Sign out")).to_be_visible()
    other = context.new_page()
    other.goto(stack.api)
    expect(other.get_by_label("Access token")).to_be_visible()
    signed_in.get_by_role("button", name="Sign out").click()
    expect(signed_in.get_by_label("Access token")).to_be_visible()
    assert not any(stack.token in url for url in traffic.urls)
    assert signed_in.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [0, 0, ""]


def test_file_is_sent_verified_and_taken_back(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """A file of three parts ends as verified with the right digest, downloads byte for byte, and can be deleted."""
    original = sample("holiday in Kraków.mov", 20_000_000)
    send(signed_in, original)
    sent = row(signed_in, original.name)
    expect(sent).to_contain_text("Verified")
    expect(sent.locator("code").first).to_have_text(sha256(original))
    assert sorted(traffic.parts) == [1, 2, 3]
    assert accessible(signed_in) == []

    with signed_in.expect_download() as download:
        sent.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == original.name
    assert Path(download.value.path()).read_bytes() == original.read_bytes()

    sent.get_by_role("button", name="Delete").click()
    signed_in.get_by_role("dialog").get_by_role("button", name="Keep it").click()
    expect(sent.get_by_role("button", name="Delete")).to_be_focused()
    identity = str(sent.get_attribute("data-id"))
    sent.get_by_role("button", name="Delete").click()
    signed_in.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(signed_in.locator(f"[data-id='{identity}']")).to_have_count(0)
    expect(signed_in.locator("#said")).to_contain_text("deleted")
    gone = httpx.get(f"{stack.api}/files/{identity}", headers=bearer(stack), **PATIENT)
    assert gone.status_code == 404
    # Pages and styles, progress, bytes: the page asked nobody else, and broke no rule of its own.
    assert traffic.origins() == {stack.api, stack.stream, stack.aws}
    assert traffic.complaints == []


def test_many_files_at_once(signed_in: Page, sample: Callable[[str, int], Path]) -> None:
    """An empty file, small ones and names that need care all arrive."""
    files = [sample("empty", 0), sample("“quoted” & 😀.txt", 5), sample("no type", 1000), sample("a+b %20.bin", 70_000)]
    send(signed_in, *files)
    for file in files:
        expect(row(signed_in, file.name)).to_contain_text("Verified")
        expect(row(signed_in, file.name).locator("code").first).to_have_text(sha256(file))


def test_folder_keeps_files_of_one_name_apart(signed_in: Page, tmp_path: Path) -> None:
    """Files of a folder that have name, size and time in common are not taken for one another."""
    for folder, byte in (("a", b"1"), ("b", b"2")):
        file = tmp_path / "folder" / folder / "same.txt"
        file.parent.mkdir(parents=True)
        file.write_bytes(byte)
        os.utime(file, (1_700_000_000, 1_700_000_000))
    signed_in.locator("input.uppy-Dashboard-input[webkitdirectory]").set_input_files(tmp_path / "folder")
    signed_in.get_by_role("button", name="Upload 2 files").click()
    rows = signed_in.locator(".files > li", has=signed_in.get_by_role("heading", name="same.txt", exact=True))
    expect(rows.filter(has_text="Verified")).to_have_count(2)
    found = {rows.nth(index).locator("code").first.text_content() for index in range(2)}
    assert found == {hashlib.sha256(byte).hexdigest() for byte in (b"1", b"2")}
    for folder in ("folder/a/", "folder/b/"):
        expect(rows.filter(has_text=folder)).to_have_count(1)


def test_paused_upload_goes_on_where_it_was(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """What was in S3 before the pause is not sent again after it."""
    original = sample("paused.bin", 5 * PART_BYTES + 1)
    with held(signed_in, stack, 3, 4, 5):
        send(signed_in, original)
        wait_for(signed_in, lambda: {1, 2} <= {*traffic.parts})
        signed_in.get_by_role("button", name="Pause", exact=True).click()
        expect(signed_in.get_by_text("Upload paused")).to_be_visible()
        before = sorted(traffic.parts)
    signed_in.get_by_role("button", name="Resume", exact=True).click()
    expect(row(signed_in, original.name)).to_contain_text("Verified")
    expect(row(signed_in, original.name).locator("code").first).to_have_text(sha256(original))
    assert before == [1, 2]
    assert sorted(traffic.parts) == [1, 2, 3, 4, 5, 6]


def test_pause_after_the_last_part_sends_nothing_twice(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """Who pauses while the upload is being completed, and resumes when it has been, has one file and sent it once."""
    original = sample("paused late.bin", 2 * PART_BYTES)
    unanswered: list[Route] = []

    def complete(route: Route) -> None:
        httpx.post(route.request.url, headers=bearer(stack), **PATIENT).raise_for_status()
        unanswered.append(route)

    signed_in.route("**/complete", complete)
    with signed_in.expect_request("**/complete"):
        send(signed_in, original)
    signed_in.get_by_role("button", name="Pause", exact=True).click()
    expect(signed_in.get_by_text("Upload paused")).to_be_visible()
    signed_in.get_by_role("button", name="Resume", exact=True).click()
    expect(row(signed_in, original.name)).to_contain_text("Verified")
    expect(signed_in.get_by_role("heading", name=original.name, exact=True)).to_have_count(1)
    assert len(unanswered) == 1
    assert sorted(traffic.parts) == [1, 2]


def test_expired_url_is_replaced(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """A part that S3 refuses because its URL's time is over is sent with a fresh one, and nobody notices."""
    original = sample("expired.bin", 2 * PART_BYTES)
    refused: list[str] = []

    def expire(route: Route) -> None:
        if route.request.method == "PUT" and part_number(route.request.url) == 2 and not refused:
            refused.append(route.request.url)
            answer(route, stack, 403, "AccessDenied")
        else:
            route.continue_()

    signed_in.route(f"{stack.aws}/**", expire)
    send(signed_in, original)
    expect(row(signed_in, original.name)).to_contain_text("Verified")
    assert len(refused) == 1
    assert sorted(traffic.parts) == [1, 2]


def test_expired_url_is_replaced_where_the_refusal_is_not_heard(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """After a night with the lid closed S3 hangs up on old URLs, and the upload goes on with fresh ones."""
    original = sample("overnight.bin", PART_BYTES + 1)
    expired = "&expired"  # tells the URLs apart: those of one second are the same
    signed: list[int] = []  # the parts that had a URL

    def sign(route: Route) -> None:
        answered = httpx.post(
            route.request.url, content=route.request.post_data, headers=route.request.headers, **PATIENT
        )
        (part,) = answered.json()["parts"]
        if part["number"] not in signed:
            part |= {"url": part["url"] + expired, "expires_at": "2020-01-01T00:00:00Z"}
        signed.append(part["number"])
        route.fulfill(status=answered.status_code, json={**answered.json(), "parts": [part]})

    def hang_up(route: Route) -> None:
        if route.request.url.endswith(expired):
            route.abort("connectionreset")
        else:
            route.continue_()

    signed_in.route(f"{stack.api}/files/*/parts", sign)
    signed_in.route(f"{stack.aws}/**", hang_up)
    send(signed_in, original)
    expect(row(signed_in, original.name)).to_contain_text("Verified")
    assert sorted(traffic.parts) == [1, 2]
    assert sorted(signed) == [1, 1, 2, 2]


def test_each_byte_is_read_once(signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]) -> None:
    """A part that S3 is too busy for twice is sent again from memory, and the file is verified with its last part."""
    original = sample("read once.bin", 3 * PART_BYTES + 1)
    read = reads(signed_in)
    refused: list[str] = []

    def refuse(route: Route) -> None:
        if route.request.method == "PUT" and part_number(route.request.url) == 2 and len(refused) < 2:
            refused.append(route.request.url)
            answer(route, stack, 503, "SlowDown")
        else:
            route.continue_()

    signed_in.route(f"{stack.aws}/**", refuse)
    send(signed_in, original)
    expect(row(signed_in, original.name).locator("code").first).to_have_text(sha256(original))
    expect(row(signed_in, original.name)).to_contain_text("Verified")
    assert len(refused) == 2
    assert sorted(read.json_value()) == [1, PART_BYTES, PART_BYTES, PART_BYTES]
    file = stored(stack, original.name)
    assert (file["part_digest"], file["verified"]) == ("sha-256", True)


def test_parts_of_an_earlier_run_are_compared(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """After a reload each part that S3 has is read once and compared: what is another part there is sent again."""
    original = sample("compared.bin", 4 * PART_BYTES)
    with held(signed_in, stack, 4):
        send(signed_in, original)
        wait_for(signed_in, lambda: {1, 2, 3} <= {*traffic.parts})
        signed_in.reload()
        expect(signed_in.get_by_role("button", name="Sign out")).to_be_visible()
    unfinished = stored(stack, original.name)
    other = os.urandom(PART_BYTES)
    asked = {"parts": [{"number": 2, "digest": hashlib.sha256(other).hexdigest()}]}
    address = f"{unfinished['links']['self']}/parts"
    (part,) = httpx.post(address, json=asked, headers=bearer(stack), **PATIENT).json()["parts"]
    httpx.put(part["url"], content=other, headers=part["headers"], **PATIENT).raise_for_status()
    read = reads(signed_in)
    send(signed_in, original)
    expect(row(signed_in, original.name).locator("code").first).to_have_text(sha256(original))
    expect(row(signed_in, original.name)).to_contain_text("Verified")
    assert sorted(traffic.parts) == [1, 2, 2, 3, 4]
    assert read.json_value() == [PART_BYTES] * 4
    assert stored(stack, original.name)["id"] == unfinished["id"]


@pytest.mark.parametrize("size", [1000, 2 * PART_BYTES])
def test_bit_that_flips_once_is_survived(
    size: int, signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """S3 refuses what was altered on its way, and it is sent again from memory."""
    original = sample(f"flipped once {size}.bin", size)
    operation = "PutObject" if size < PART_BYTES else "UploadPart"
    with proxy.serving(("127.0.0.1", int(urlsplit(stack.aws).port or 0))) as network:
        network.fail(operation, flip_a_bit)
        through(signed_in, stack, network)
        read = reads(signed_in)
        send(signed_in, original)
        expect(row(signed_in, original.name).locator("code").first).to_have_text(sha256(original))
        expect(row(signed_in, original.name)).to_contain_text("Verified")
        assert sum(read.json_value()) == size
        assert len(network.asked(operation)) == (2 if size < PART_BYTES else 3)


@pytest.mark.parametrize("size", [1000, 2 * PART_BYTES])
def test_connection_that_alters_everything_is_told(
    size: int, signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """Where bits flip every time the person is told that the connection does it, and the file is never ready."""
    original = sample(f"flipped always {size}.bin", size)
    with proxy.serving(("127.0.0.1", int(urlsplit(stack.aws).port or 0))) as network:
        for operation in ("PutObject", "UploadPart"):
            network.fail_always(operation, flip_a_bit)
        through(signed_in, stack, network)
        send(signed_in, original)
        told = signed_in.get_by_role("alert").filter(has_text=original.name)
        expect(told).to_contain_text("The connection alters what is sent: 4 times over")
        expect(row(signed_in, original.name)).to_contain_text("Not finished")
    assert stored(stack, original.name)["status"] == "uploading"
    assert accessible(signed_in) == []


def test_main_thread_touches_no_bytes(
    page: Page, stack: Stack, context: BrowserContext, sample: Callable[[str, int], Path]
) -> None:
    """The main thread hashes nothing but fingerprints. While 200 MB are sent its longest tasks are printed."""
    context.add_init_script(
        """(() => {
            window.hashed = []; window.long = [];
            const digest = SubtleCrypto.prototype.digest;
            SubtleCrypto.prototype.digest = function (name, data) {
                window.hashed.push(data.byteLength);
                return digest.call(this, name, data);
            };
            new PerformanceObserver((list) => {
                for (const { startTime, duration } of list.getEntries()) window.long.push([duration, startTime]);
            }).observe({ type: "longtask" });
        })()"""
    )
    sign_in(page, stack)
    original = sample("large.bin", 200_000_000)
    page.evaluate("window.long = []")
    send(page, original)
    digest = row(page, original.name).locator("code").first
    expect(digest).to_have_text(sha256(original), timeout=5 * PATIENCE_SECONDS * 1000)
    expect(row(page, original.name)).to_contain_text("Verified")
    longest = sorted(page.evaluate("window.long"), reverse=True)[:5]
    print(f"longest tasks of the main thread, [ms, begun at]: {longest}")  # noqa: T201 - a figure, not an assertion
    assert len(page.evaluate("window.hashed")) == 1
    assert max(page.evaluate("window.hashed")) < 1000


def test_worker_asks_nobody_else(signed_in: Page, pages: Pages) -> None:
    """The worker obeys the policy of the page: it may send to the bucket, and to nobody outside."""
    said = worker(signed_in).evaluate(
        "url => fetch(url, {mode: 'no-cors'}).then(() => 'asked', error => error.name)", pages.url
    )
    assert said == "TypeError"


@pytest.mark.parametrize("size", [1000, 3 * PART_BYTES])
def test_page_without_digests_says_so(
    size: int, page: Page, stack: Stack, context: BrowserContext, sample: Callable[[str, int], Path]
) -> None:
    """Where the browser computes no digests the page says that files are hashed and not verified, and it is so."""
    context.add_init_script("delete Crypto.prototype.subtle")
    sign_in(page, stack)
    traffic = Traffic(page)
    expect(page.get_by_text("cannot be verified")).to_be_visible()
    original = sample(f"undigested {size}.bin", size)
    refused = True

    def refuse(route: Route) -> None:
        last = (size - 1) // PART_BYTES + 1
        if refused and route.request.method == "PUT" and (part_number(route.request.url) or 1) == last:
            answer(route, stack, 403, "AccessDenied")
        else:
            route.continue_()

    page.route(f"{stack.aws}/**", refuse)
    send(page, original)
    told = page.get_by_role("alert").filter(has_text=original.name)
    expect(told).to_contain_text("S3 refused the bytes")
    unfinished = stored(stack, original.name)
    assert unfinished["fingerprint"] is None
    refused = False
    told.get_by_role("button", name="Try again").click()
    sent = row(page, original.name)
    expect(sent).to_contain_text("Hashed. Its digests are known, but its sender gave none to compare them with.")
    expect(sent.locator("code").first).to_have_text(sha256(original))
    expect(sent).not_to_contain_text("Verified")
    assert sorted(traffic.parts) == ([1, 2, 3] if size > PART_BYTES else [])
    file = stored(stack, original.name)
    assert (file["id"], file["verified"], file["part_digest"]) == (unfinished["id"], False, None)
    assert accessible(page) == []


def test_parts_too_large_for_memory_go_without_digests(signed_in: Page, stack: Stack, tmp_path: Path) -> None:
    """A file of more than 4.9 TiB has parts that no page holds: it says so, and asks for no digests of them."""
    original = tmp_path / "enormous.bin"
    with original.open("wb") as file:
        file.truncate(10_000 * 512 * MIB + 1)
    signed_in.route(f"{stack.aws}/**", lambda route: route.abort("connectionreset"))
    read = reads(signed_in)
    send(signed_in, original)
    sending = row(signed_in, original.name)
    expect(sending).to_contain_text("its parts are too large for that")
    expect(sending).to_contain_text("it will be hashed, not verified")
    file_now = stored(stack, original.name)
    assert (file_now["part_digest"], file_now["fingerprint"]) == (None, None)
    assert all(size == 1 for size in read.json_value())


def test_fingerprint_is_of_this_browser_alone(
    signed_in: Page, stack: Stack, browser: Browser, sample: Callable[[str, int], Path]
) -> None:
    """The same file has another fingerprint in another browser profile, which so begins an upload of its own."""
    original = sample("two profiles.bin", 2 * PART_BYTES)
    found = []
    other = browser.new_context()
    try:
        stranger = other.new_page()
        sign_in(stranger, stack)
        for page in (signed_in, stranger):
            traffic = Traffic(page)
            with held(page, stack, 2):
                send(page, original)
                wait_for(page, partial(traffic.parts.__contains__, 1))
                found.append(stored(stack, original.name))
    finally:
        other.close()
    first, second = found
    assert first["id"] != second["id"]
    assert first["fingerprint"] != second["fingerprint"]
    assert all(re.fullmatch("page:[0-9a-f]{64}", file["fingerprint"]) for file in found)


def test_file_of_more_than_6_mb_comes_from_s3(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """A large file is downloaded from S3 itself, and offered while it is hashed as soon as it is verified."""
    original = sample("at once.bin", 2 * PART_BYTES)
    unanswered: list[Route] = []

    def still_hashing(route: Route) -> None:
        file = route.fetch().json()
        while not file["verified"]:
            file = stored(stack, original.name)
        route.fulfill(status=202, json={**file, "status": "hashing", "hashed_bytes": PART_BYTES})

    # The end of the hashing is not heard of.
    signed_in.route(f"{stack.stream}/**/events?*", lambda route: unanswered.append(route))  # noqa: PLW0108 - it wants a function
    signed_in.route(f"{stack.api}/files/*/complete", still_hashing)
    send(signed_in, original)
    sent = row(signed_in, original.name)
    expect(sent).to_contain_text("Verified. Hashing: 50 %")
    with signed_in.expect_download() as download:
        sent.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == original.name
    assert Path(download.value.path()).read_bytes() == original.read_bytes()
    assert any("direct=1" in url for url in traffic.urls)


def test_time_without_a_network_is_waited_for(
    traffic: Traffic, signed_in: Page, stack: Stack, context: BrowserContext, sample: Callable[[str, int], Path]
) -> None:
    """Who is offline is told that uploads wait; back online they go on by themselves, and send no part twice."""
    original = sample("offline.bin", 3 * PART_BYTES)
    with held(signed_in, stack, 3):
        send(signed_in, original)
        wait_for(signed_in, lambda: {1, 2} <= {*traffic.parts})
        context.set_offline(True)
        expect(signed_in.get_by_text("You are offline. Uploads wait")).to_be_visible()
    context.set_offline(False)
    expect(row(signed_in, original.name)).to_contain_text("Verified")
    expect(signed_in.get_by_text("You are offline")).to_be_hidden()
    assert sorted(traffic.parts) == [1, 2, 3]


def test_one_reason_is_told_once(signed_in: Page, sample: Callable[[str, int], Path]) -> None:
    """What stops many files is told once, with some of their names, and trying again sends them all."""
    originals = [sample(f"too much {number}.txt", 10) for number in range(5)]
    full = {"code": "quota_exceeded", "detail": "No room is left."}

    def refuse(route: Route) -> None:
        if route.request.method == "POST":
            route.fulfill(status=403, json=full)
        else:
            route.continue_()

    signed_in.route("**/files", refuse)
    send(signed_in, *originals)
    expect(signed_in.get_by_role("alert").filter(has_text="and 2 more: No room is left.")).to_be_visible()
    expect(signed_in.get_by_role("button", name="Dismiss")).to_have_count(1)
    signed_in.unroute("**/files", refuse)
    signed_in.get_by_role("button", name="Try again").click()
    for original in originals:
        expect(row(signed_in, original.name)).to_contain_text("Verified")
    expect(signed_in.get_by_role("button", name="Dismiss")).to_have_count(0)


def test_revoked_token_ends_the_watching(signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]) -> None:
    """Who may not see a file's progress any more is told so, instead of being asked about for ever."""

    def refuse(route: Route) -> None:
        if route.request.method == "GET":
            route.fulfill(status=401, json={"code": "unauthorized", "detail": "no"})
        else:
            route.continue_()

    def still_hashing(route: Route) -> None:
        file = httpx.post(route.request.url, headers=bearer(stack), **PATIENT).raise_for_status().json()
        route.fulfill(status=202, json={**file, "status": "hashing"})

    signed_in.route(f"{stack.api}/files/*/complete", still_hashing)
    signed_in.route(f"{stack.stream}/**/events?*", lambda route: route.fulfill(status=403))
    signed_in.route(f"{stack.api}/files/*", refuse)
    send(signed_in, sample("watched.bin", 10))
    expect(signed_in.get_by_role("alert").filter(has_text="Sign in with another")).to_be_visible()


def test_list_has_pages(signed_in: Page, stack: Stack) -> None:
    """More than a page of files are shown page by page, each file once, and the focus goes to the first new one."""
    for number in range(25):
        promise = {"filename": f"listed {number}", "size": 1}
        assert httpx.post(f"{stack.api}/files", json=promise, headers=bearer(stack), **PATIENT).is_success
    signed_in.get_by_role("button", name="Refresh").click()
    expect(row(signed_in, "listed 24")).to_be_visible()
    expect(row(signed_in, "listed 0")).to_have_count(0)
    signed_in.get_by_role("button", name="Show more").click()
    expect(row(signed_in, "listed 0")).to_be_visible()
    expect(signed_in.locator("h3:focus")).to_have_count(1)
    headings = signed_in.locator(".files h3").all_text_contents()
    assert len([name for name in headings if name.startswith("listed")]) == 25


def test_cancelled_files_hide_no_others(signed_in: Page, stack: Stack) -> None:
    """However many uploads were cancelled last, what is older is shown at once."""
    with httpx.Client(headers=bearer(stack), **PATIENT) as api:
        for name in ["beneath", *["cancelled"] * 20]:
            file = api.post(f"{stack.api}/files", json={"filename": name, "size": 1}).raise_for_status().json()
            if name == "cancelled":
                api.delete(file["links"]["self"]).raise_for_status()
    signed_in.get_by_role("button", name="Refresh").click()
    expect(row(signed_in, "beneath")).to_be_visible()
    expect(signed_in.get_by_text("No files yet.")).to_be_hidden()


def test_drop_page_only_sends(page: Page, stack: Stack, sample: Callable[[str, int], Path]) -> None:
    """A link with a capability lets a stranger send and resume: no list, no download, no deleting, no token."""
    drop = httpx.post(
        f"{stack.api}/drops", json={"max_files": 2, "expires_in": 3600}, headers=bearer(stack), **PATIENT
    ).json()
    traffic = Traffic(page)
    page.goto(drop["links"]["page"])
    expect(page.get_by_text("You were given a link to send files with.")).to_be_visible()
    expect(page.get_by_role("button", name="Refresh")).to_have_count(0)
    original = sample("letter.pdf", 2 * PART_BYTES)
    with held(page, stack, 2):
        send(page, original)
        wait_for(page, lambda: 1 in traffic.parts)
        page.reload()
    send(page, original)
    sent = row(page, original.name)
    expect(sent).to_contain_text("Verified")
    expect(sent.locator("code").first).to_have_text(sha256(original))
    expect(page.get_by_role("button", name="Download")).to_have_count(0)
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    assert sorted(traffic.parts) == [1, 2]
    assert accessible(page) == []
    assert not any(drop["capability"] in url for url in traffic.urls)

    page.get_by_role("button", name="Done").click()
    send(page, sample("second.pdf", 10))
    expect(row(page, "second.pdf")).to_contain_text("Verified")
    page.get_by_role("button", name="Done").click()
    send(page, sample("third.pdf", 10))
    expect(page.get_by_role("alert").filter(has_text="third.pdf")).to_contain_text("As many files as this link takes")


def test_drop_beside_the_dashboard_opens_nothing(
    signed_in: Page, context: BrowserContext, sample: Callable[[str, int], Path]
) -> None:
    """A file that is dropped where none is taken is not opened: neither in another tab, nor in the page's place."""
    before = len(context.pages)
    aim = signed_in.get_by_role("heading", name="Files", exact=True).bounding_box()
    assert aim
    files = {"items": [], "files": [str(sample("missed.txt", 10))], "dragOperationsMask": 1}
    mouse = context.new_cdp_session(signed_in)
    for kind in ("dragEnter", "dragOver", "drop"):
        mouse.send("Input.dispatchDragEvent", {"type": kind, "x": aim["x"] + 1, "y": aim["y"] + 1, "data": files})
    signed_in.reload()  # a browser that opens it has begun to by now
    expect(signed_in.get_by_role("button", name="Sign out")).to_be_visible()
    assert len(context.pages) == before


def test_broken_link_is_explained(page: Page, stack: Stack) -> None:
    """A drop link that is not whole says so, and asks for no token."""
    page.goto(f"{stack.api}/#drop=nonsense")
    expect(page.get_by_role("alert")).to_contain_text("Open it again just as you were given it.")
    expect(page.get_by_label("Access token")).to_have_count(0)


def test_keyboard_alone_is_enough(page: Page, stack: Stack, sample: Callable[[str, int], Path]) -> None:
    """From the token to the deletion nothing needs a pointer, and the focus is always somewhere."""
    original = sample("by keyboard.txt", 1000)
    page.on("filechooser", lambda chooser: chooser.set_files(original))
    page.goto(stack.api)
    page.keyboard.type(stack.token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Send files")).to_be_visible()
    tab_to(page, "browse files")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Upload 1 file")).to_be_visible()
    tab_to(page, "Upload 1 file")
    page.keyboard.press("Enter")
    sent = row(page, original.name)
    expect(sent).to_contain_text("Verified")
    identity = str(sent.get_attribute("data-id"))
    sent.get_by_role("heading").focus()
    tab_to(page, f"Copy the sha-256 of {original.name}")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("sha-256")
    tab_to(page, "Delete")
    page.keyboard.press("Enter")
    tab_to(page, "Delete")
    page.keyboard.press("Enter")
    expect(page.locator(f"[data-id='{identity}']")).to_have_count(0)
    assert page.evaluate("document.activeElement.matches('h2, h3')")


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what is focused has this name; visibly so, every time."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if not focused.count():
            continue  # the browser's own controls have it
        label = focused.get_attribute("aria-label") or focused.text_content() or ""
        if label.strip() == name:
            style = focused.evaluate("e => { const s = getComputedStyle(e); return s.outlineStyle + s.boxShadow }")
            assert style != "nonenone", f"nobody sees that {name} has the focus"
            return
    raise AssertionError(f"Tab does not lead to {name}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1100])
def test_phone_and_dark(
    width: int, scheme: Literal["light", "dark"], browser: Browser, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """On a phone and a desk, light and dark: nothing to scroll sideways, and enough contrast in every state."""
    context = browser.new_context(viewport={"width": width, "height": 740}, color_scheme=scheme)
    page = context.new_page()
    traffic = Traffic(page)
    name = "a name without a single space that is longer than any phone is wide ".replace(" ", "_") + ".bin"
    try:
        page.goto(stack.api)
        expect(page.get_by_label("Access token")).to_be_visible()
        states = [looks(page, width)]
        sign_in(page, stack)
        choose(page, sample(name, 2 * PART_BYTES))
        expect(page.get_by_role("button", name="Upload 1 file")).to_be_visible()
        states.append(looks(page, width))
        with held(page, stack, 2):
            page.get_by_role("button", name="Upload 1 file").click()
            wait_for(page, lambda: 1 in traffic.parts)
            states.append(looks(page, width))
            page.locator(".uppy-StatusBar").get_by_role("button", name="Cancel").click()
            page.get_by_role("dialog").get_by_role("button", name="Cancel upload").click()
            expect(row(page, name)).to_have_count(0)
        send(page, sample("short", 10))
        expect(row(page, "short")).to_contain_text("Verified")
        states.append(looks(page, width))
        row(page, "short").get_by_role("button", name="Delete").click()
        states.append(looks(page, width))
    finally:
        context.close()
    assert states == [[]] * 5


def looks(page: Page, width: int) -> list[str]:
    widest = page.evaluate("document.documentElement.scrollWidth")
    return [*accessible(page), *([f"{widest} pixels wide"] if widest > width else [])]
