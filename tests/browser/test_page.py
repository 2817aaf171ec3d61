"""The page, as a person uses it: by names that a screen reader says, in a real browser, over the whole local stack."""

import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import (
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
def looks(page: Page, width: int) -> list[str]:
    widest = page.evaluate("document.documentElement.scrollWidth")
    return [*accessible(page), *([f"{widest} pixels wide"] if widest > width else [])]
