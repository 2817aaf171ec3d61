"""The page, as a person uses it: by names that a screen reader says, in a real browser, over the whole local stack."""

import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
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


@pytest.mark.parametrize("by", ["choosing it anew", "the button beside it"])
def test_closed_tab_is_picked_up_again(
    by: str, traffic: Traffic, signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """A new tab lists what is unfinished and says what to do; only what is missing is sent, and it is the same file."""
    original = sample(f"closed by {by}.bin", 5 * PART_BYTES)
    with held(signed_in, stack, 2, 4):
        send(signed_in, original)
        wait_for(signed_in, lambda: {1, 3, 5} <= {*traffic.parts})
        identity = row(signed_in, original.name).get_attribute("data-id")
        signed_in.close()

    page = signed_in.context.new_page()
    later = Traffic(page)
    sign_in(page, stack)
    unfinished = page.locator(f"[data-id='{identity}']")
    expect(unfinished).to_contain_text(
        "Not finished: choose or drop the same file again, in the browser that began it, to go on. What has arrived"
    )
    assert accessible(page) == []
    if by == "choosing it anew":
        send(page, original)
    else:
        with page.expect_file_chooser() as chooser:
            unfinished.get_by_role("button", name="Choose it again").click()
        chooser.value.set_files(original)
    expect(unfinished).to_contain_text("Verified")
    expect(unfinished.locator("code").first).to_have_text(sha256(original))
    assert sorted(traffic.parts) == [1, 3, 5]
    # What was held back when the tab was closed may still arrive: the browser lets go of it.
    assert {*later.parts} <= {2, 4}
    assert len(later.parts) == len({*later.parts})


def test_another_file_does_not_go_on(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """Whoever chooses another file to go on with is told, and nothing of it is sent."""
    original, other = sample("original.bin", 2 * PART_BYTES), sample("other.bin", 2 * PART_BYTES)
    with held(signed_in, stack, 2):
        send(signed_in, original)
        wait_for(signed_in, lambda: 1 in traffic.parts)
        signed_in.reload()
    with signed_in.expect_file_chooser() as chooser:
        row(signed_in, original.name).get_by_role("button", name="Choose it again").click()
    chooser.value.set_files(other)
    expect(signed_in.get_by_role("alert")).to_contain_text("not the file that the upload began with")
    assert traffic.parts == [1]
    row(signed_in, original.name).get_by_role("button", name="Cancel upload").click()
    signed_in.get_by_role("dialog").get_by_role("button", name="Cancel upload").click()
    expect(row(signed_in, original.name)).to_have_count(0)
    assert stored(stack, original.name)["status"] == "aborted"


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


def test_failed_download_leaves_the_page(signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]) -> None:
    """A download that the stream host refuses is explained, and the page with its uploads stays."""
    original = sample("refused download.txt", 10)
    send(signed_in, original)
    sent = row(signed_in, original.name)
    expect(sent).to_contain_text("Verified")
    said = {"code": "file_not_found", "detail": "gone"}
    signed_in.route(f"{stack.stream}/**/content?*", lambda route: route.fulfill(status=404, json=said, headers=CORS))
    sent.get_by_role("button", name="Download", exact=True).click()
    expect(signed_in.get_by_role("alert").filter(has_text="This file is not there any more")).to_be_visible()
    expect(sent).to_be_visible()


def test_failed_file_says_why(signed_in: Page, stack: Stack) -> None:
    """A file whose bytes are not those that were declared says so, with both values, and has no download."""
    headers = bearer(stack)
    promise = {"filename": "promised.bin", "size": 3}
    file = httpx.post(f"{stack.api}/files", json=promise, headers=headers, **PATIENT).json()
    signed_in.get_by_role("button", name="Refresh").click()
    expect(row(signed_in, "promised.bin")).to_contain_text("begun by another program")
    (part,) = file["parts"]
    sent = httpx.put(part["url"], content=b"abc", headers=part["headers"], **PATIENT)
    assert sent.is_success
    declared = {"digests": {"sha-256": "0" * 64}}
    httpx.post(f"{stack.api}/files/{file['id']}/complete", json=declared, headers=headers, **PATIENT)
    signed_in.get_by_role("button", name="Refresh").click()
    failed = row(signed_in, "promised.bin")
    expect(failed).to_contain_text("The bytes that arrived are not those that were declared. Send the file again.")
    expect(failed).to_contain_text(f"should be {'0' * 64} and is {hashlib.sha256(b'abc').hexdigest()}")
    expect(failed.get_by_role("button", name="Download")).to_be_hidden()
    assert accessible(signed_in) == []


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
