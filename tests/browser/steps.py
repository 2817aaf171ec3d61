"""What a person does at the page, and what a test looks at: by names that a screen reader says."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
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

from tests.browser.organisation import at_the_issuer, inside
from tests.integration import proxy
from tests.integration.conftest import ROOT, Stack

WEB = ROOT / "web"
MIB = 1024 * 1024
PART_BYTES = 8 * MIB
PATIENCE_SECONDS = 60  # the longest wait for anything on a busy machine
CORS = {"Access-Control-Allow-Origin": "*"}
PATIENT: Any = {"trust_env": False, "timeout": PATIENCE_SECONDS}  # how the tests themselves ask
# With SIGN_IN=account whoever signs in does it at an issuer, and the tests for access tokens at the door are left out.
BY_ACCOUNT = os.environ.get("SIGN_IN") == "account"
PERSON = "alice"
by_token = pytest.mark.skipif(BY_ACCOUNT, reason="it is about access tokens at the door")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

expect.set_options(timeout=PATIENCE_SECONDS * 1000)


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

    def forget_others(self, stack: Stack) -> None:
        """All but what the stack was asked for."""
        self.urls = [url for url in self.urls if url.startswith((stack.api, stack.stream, stack.aws))]
        self.complaints.clear()

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


def sign_in(page: Page, stack: Stack) -> None:
    page.goto(stack.api)
    get_in(page, stack)
    inside(page)


def get_in(page: Page, stack: Stack) -> None:
    """At the door, in any language: by the access token, or as PERSON at the organisation's issuer."""
    if BY_ACCOUNT:
        page.get_by_role("button", name=re.compile("Sign in|Anmelden")).click()
        at_the_issuer(page, PERSON)
    else:
        page.locator("#token").fill(stack.token)
        page.keyboard.press("Enter")


def choose(page: Page, *paths: Path) -> None:
    """Choosing is sending, for an owner."""
    page.get_by_label("Choose files").set_input_files(paths)


def row(page: Page, name: str) -> Locator:
    """The newest file of that name in the list. Its `data-state` is what a person sees of it."""
    return page.locator("[data-row]", has=page.get_by_text(name, exact=True)).first


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


def refused(page: Page, stack: Stack, number: int, status: int, code: str, *, times: int) -> list[str]:
    """S3 refuses this part so many times; the URLs that it has refused."""
    urls: list[str] = []

    def refuse(route: Route) -> None:
        if route.request.method == "PUT" and part_number(route.request.url) == number and len(urls) < times:
            urls.append(route.request.url)
            answer(route, stack, status, code)
        else:
            route.continue_()

    page.route(f"{stack.aws}/**", refuse)
    return urls


def answer(route: Route, stack: Stack, status: int, code: str) -> None:
    """What S3 says when it takes nothing."""
    headers = {"Access-Control-Allow-Origin": stack.api}
    route.fulfill(status=status, headers=headers, body=f"<Error><Code>{code}</Code></Error>")


def wait_for(page: Page, fact: Callable[[], bool]) -> None:
    """Until an answer that the page gets makes it true."""
    if not fact():
        page.wait_for_event("response", predicate=lambda _: fact())


def taken(page: Page, traffic: Traffic, *numbers: int) -> bool:
    """Whether S3 took just these parts, each as often as named; the browser says so later than the page knows it."""
    wait_for(page, lambda: len(traffic.parts) >= len(numbers))
    return sorted(traffic.parts) == [*numbers]


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


def said(page: Page) -> Locator:
    """What a screen reader was told last."""
    return page.locator(".unseen[role=status]")


def looks(page: Page, width: int) -> list[str]:
    """What is wrong with the page at this width: what axe-core finds, and anything that has to be scrolled sideways."""
    page.set_viewport_size({"width": width, "height": 800})
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return accessible(page) + ([f"{wide} px too wide at {width}"] if wide > 0 else [])


FOCUSED = """() => {
    const element = document.querySelector(":focus");  // none while the browser's own controls have it
    if (!element) return null;
    const { outlineStyle, boxShadow } = getComputedStyle(element);
    const name = (element.getAttribute("aria-label") || element.textContent || "").trim();
    return { name, shown: outlineStyle !== "none" || boxShadow !== "none" };
}"""


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what is focused has this name; visibly so, every time."""
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUSED)  # at once: what has the focus may be gone in a moment
        if found and found["name"] == name:
            assert found["shown"], f"nobody sees that {name} has the focus"
            return
        seen.append(found and found["name"][:40])
    raise AssertionError(f"Tab does not lead to {name}, but to {seen}")


@contextmanager
def on_a_phone(browser: Browser, scheme: Any, locale: str = "en") -> Iterator[Page]:
    """A page 360 pixels wide, by day or by night."""
    size: Any = {"width": 360, "height": 740}
    context = browser.new_context(viewport=size, color_scheme=scheme, locale=locale)
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    try:
        yield context.new_page()
    finally:
        context.close()


def count_locks(context: BrowserContext) -> None:
    """`window.locks` are those that the page has taken to keep the screen on."""
    context.add_init_script(
        """(() => {
            window.locks = [];
            const request = () => {
                const lock = { released: false, release() { this.released = true; return Promise.resolve(); } };
                window.locks.push(lock);
                return Promise.resolve(lock);
            };
            Object.defineProperty(navigator, 'wakeLock', { value: { request } });
        })()"""
    )
