"""A share's page, as somebody sees it who was given the link: in a real browser, over the whole local stack."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from sluice.shares import MAX_TRIES
from tests.browser.test_page import Traffic, accessible, looks, tab_to
from tests.integration import journey
from tests.integration.conftest import ROOT, Stack

SMALL = b"a few words\n"
LARGE = journey.random_bytes(7_000_000)  # more than Lambda streams at full speed


@pytest.fixture(autouse=True, scope="module")
def _built() -> None:
    """The page of this checkout."""
    done = subprocess.run(["make", "web"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    with journey.client(stack.api, stack.token) as owner:
        yield owner


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def small(api: httpx.Client, name: str) -> dict[str, Any]:
    file: dict[str, Any] = api.put(f"/files/{quote(name)}", content=SMALL).raise_for_status().json()
    return file


def shared(api: httpx.Client, *files: dict[str, Any], **more: Any) -> dict[str, Any]:
    wanted = {"files": [file["id"] for file in files], "expires_in": 600} | more
    share: dict[str, Any] = api.post("/shares", json=wanted).raise_for_status().json()
    return share


def open_page(page: Page, share: dict[str, Any]) -> None:
    page.goto(share["links"]["page"])
    expect(page.get_by_role("heading", level=2)).to_be_visible()


def download(page: Page, name: str) -> bytes:
    with page.expect_download() as downloaded:
        page.locator(".files > li", has_text=name).get_by_role("button", name="Download").click()
    assert downloaded.value.suggested_filename == re.sub("[<>]", "_", name)  # as Chromium makes it safe
    return Path(downloaded.value.path()).read_bytes()


def test_a_recipient_downloads_files(page: Page, api: httpx.Client, stack: Stack) -> None:
    """Title, message, names, sizes and digests; small files streamed and large ones from S3, each counted once."""
    traffic = Traffic(page)
    large = journey.ended(api, journey.upload(api, LARGE, "large <b>.bin"))
    files = [small(api, "words & more.txt"), large]
    share = shared(api, *files, title="For <you>", message="Two files.\nSee you!")
    open_page(page, share)
    expect(page.get_by_role("heading", level=2)).to_have_text("For <you>")
    expect(page.get_by_text("See you!")).to_be_visible()
    expect(page).to_have_title(re.compile(r"^For <you> . Sluice$"))
    expect(page.get_by_text("2 files, 6.7 MB (7,000,012 bytes)")).to_be_visible()
    for file in files:
        row = page.locator(".files > li", has_text=file["filename"])
        expect(row).to_contain_text(f"{file['size']:,} bytes")
        expect(row.locator("code").first).to_have_text(file["digests"]["sha-256"])
    expect(page.get_by_role("button", name="Download all as ZIP")).to_be_visible()
    assert accessible(page) == []
    assert download(page, "words & more.txt") == SMALL
    assert download(page, "large <b>.bin") == LARGE
    assert api.get(f"/shares/{share['id']}").json()["downloads"] == 2
    assert traffic.origins() <= {stack.api, stack.stream, stack.aws}
    assert traffic.complaints == []


def test_a_password_is_asked_for_and_explained(page: Page, api: httpx.Client) -> None:
    """By keyboard alone: wrong, right, and the focus goes on to what was opened; too often is said as well."""
    share = shared(api, small(api, "secret.txt"), title="Secret", password="open sesame")
    page.goto(share["links"]["page"])
    field = page.get_by_label("Password")
    expect(field).to_be_focused()
    assert accessible(page) == []
    page.keyboard.type("open barley")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not the password")
    expect(field).to_be_focused()
    page.keyboard.type("open sesame")  # what was wrong is selected
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Secret", exact=True)).to_be_focused()
    expect(page.locator("#said")).to_have_text("Files shown: 1")
    tab_to(page, "Download")
    with page.expect_download() as downloaded:
        page.keyboard.press("Enter")
    assert Path(downloaded.value.path()).read_bytes() == SMALL
    with journey.client(str(api.base_url), share["capability"]) as guesser:
        for _ in range(MAX_TRIES):
            guesser.post(f"/shares/{share['id']}/open", json={"password": "wrong"})
    page.reload()
    expect(field).to_be_focused()
    page.keyboard.type("open sesame")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Too many wrong passwords")


def test_what_is_over_is_explained(page: Page, api: httpx.Client, stack: Stack) -> None:
    """Used up, ended while the page is open, ended before, and a link that is not whole: in words, without a form."""
    file = small(api, "once.txt")
    share = shared(api, file, max_downloads=1)
    open_page(page, share)
    assert download(page, "once.txt") == SMALL
    with journey.client(str(api.base_url), share["capability"]) as other:
        assert other.post(f"/shares/{share['id']}/open").status_code == 403
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("as often as it allows")

    share = shared(api, file, max_downloads=1)
    open_page(page, share)
    with journey.client(str(api.base_url), share["capability"]) as faster:
        link = faster.post(f"/shares/{share['id']}/open").json()["files"][0]["links"]["content"]
        assert httpx.get(link, trust_env=False).content == SMALL
    page.get_by_role("button", name="Download", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("as often as it allows")
    api.delete(f"/shares/{share['id']}").raise_for_status()
    page.get_by_role("button", name="Download", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("This link has ended")
    for fragment in (share["capability"], share["capability"][:-3], "nonsense", ""):
        page.goto("about:blank")
        page.goto(f"{stack.api}/#share={fragment}")
        expect(page.get_by_role("alert")).to_contain_text("This link")
        expect(page.get_by_label("Access token")).to_have_count(0)


def test_a_file_that_was_deleted_is_explained(page: Page, api: httpx.Client) -> None:
    """While the page is open, and before it is opened."""
    files = [small(api, "stays.txt"), small(api, "goes.txt")]
    share = shared(api, *files)
    open_page(page, share)
    api.delete(f"/files/{files[1]['id']}").raise_for_status()
    page.locator(".files > li", has_text="goes.txt").get_by_role("button", name="Download").click()
    expect(page.get_by_role("alert")).to_contain_text("it was deleted")
    assert download(page, "stays.txt") == SMALL
    page.reload()
    expect(page.get_by_text("goes.txt")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(browser: Browser, api: httpx.Client, scheme: Any) -> None:
    """Nothing to scroll sideways, and enough contrast."""
    name = "a_name_without_a_single_space_that_is_longer_than_any_phone_is_wide.bin"
    share = shared(api, small(api, name), small(api, "b"), title="x" * 200, message="y" * 500, password="z")
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    try:
        page = context.new_page()
        page.goto(share["links"]["page"])
        expect(page.get_by_label("Password")).to_be_visible()
        states = [looks(page, 360)]
        page.keyboard.type("z")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Download", exact=True)).to_have_count(2)
        states.append(looks(page, 360))
    finally:
        context.close()
    assert states == [[], []]
