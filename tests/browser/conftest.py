"""A real Chromium, the whole local stack, and a loopback server for pages of other origins."""

import functools
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.organisation import organised, with_a_token_of
from tests.browser.steps import BY_ACCOUNT, PATIENCE_SECONDS, PERSON, Traffic, sign_in
from tests.integration.conftest import ROOT, Stack, standing

# Set where all of it has to be there (continuous integration): what is missing is then a failure.
REQUIRED = "SLUICE_REQUIRE_BROWSER"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
# As root it has no sandbox; it talks to nobody but the page's own servers. Web security stays on, or no test would
# notice a missing CORS header.
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@dataclass(frozen=True)
class Pages:
    """What lies in `root` is at `url`, an origin that the stack lets in, and at `foreign`, one that it does not."""

    root: Path
    url: str
    foreign: str


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing: what a page asked for is the browser's to tell."""


@pytest.fixture(autouse=True, scope="session")
def _needed() -> None:
    missing = [name for name in (CHROMIUM, "node", "npm") if not shutil.which(name)]
    if missing:
        reason = f"the browser tests need {', '.join(missing)} (CHROMIUM=path names another Chromium)"
        if os.environ.get(REQUIRED):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """The URL, without a slash at its end, at which the files of `root` are until the block ends."""
    handler = functools.partial(Quiet, directory=str(root))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """A folder that tests put pages into."""
    root = tmp_path_factory.mktemp("pages")
    with serving(root) as url, serving(root) as foreign:
        yield Pages(root, url, foreign)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, pages: Pages, browser: Browser) -> Iterator[Stack]:
    """The whole stack of template.yaml, for pages of its own and of `pages.url`."""
    folder, parameters = tmp_path_factory.mktemp("stack"), {"AllowedOrigins": pages.url}
    if BY_ACCOUNT:
        with organised(folder, parameters=parameters) as organisation:
            yield with_a_token_of(organisation, browser, PERSON)
    else:
        with standing(folder, parameters=parameters) as up:
            yield up


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A person with an empty browser: no cookies, no storage. What a test waits for too long fails it."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    yield context
    context.close()


@pytest.fixture(autouse=True, scope="session")
def _built() -> None:
    """The page of this checkout."""
    done = subprocess.run(["make", "web"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def traffic(page: Page) -> Traffic:
    return Traffic(page)


@pytest.fixture
def signed_in(page: Page, stack: Stack, traffic: Traffic) -> Page:
    sign_in(page, stack)
    if BY_ACCOUNT:
        traffic.forget_others(stack)  # what the issuer's page asks for is not ours
    return page


@pytest.fixture
def sample(tmp_path: Path) -> Callable[[str, int], Path]:
    """Makes a file of random bytes."""

    def make(name: str, size: int) -> Path:
        path = tmp_path / name
        path.write_bytes(os.urandom(size))
        return path

    return make
