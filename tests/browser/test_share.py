"""A share's page, as somebody sees it who was given the link: in a real browser, over the whole local stack."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zipfile import ZipFile

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from sluice.shares import MAX_TRIES
from tests.browser.steps import Traffic, accessible, looks, on_a_phone, said, tab_to
from tests.integration import journey
from tests.integration.conftest import Stack, thorough

SMALL = b"a few words\n"
LARGE = journey.random_bytes(7_000_000)  # more than Lambda streams at full speed


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    with journey.client(stack.api, stack.token) as owner:
        yield owner


def small(api: httpx.Client, name: str) -> dict[str, Any]:
    file: dict[str, Any] = api.put(f"/files/{quote(name)}", content=SMALL).raise_for_status().json()
    return file


def shared(api: httpx.Client, *files: dict[str, Any], **more: Any) -> dict[str, Any]:
    wanted = {"files": [file["id"] for file in files], "expires_in": 600} | more
    share: dict[str, Any] = api.post("/shares", json=wanted).raise_for_status().json()
    return share


def open_page(page: Page, share: dict[str, Any]) -> None:
    page.goto(share["links"]["page"])
    expect(page.locator(".given > li").first).to_be_visible()


def row(page: Page, name: str) -> Locator:
    return page.locator(".given > li", has=page.get_by_text(name, exact=True))


def download(page: Page, name: str) -> bytes:
    with page.expect_download() as downloaded:
        row(page, name).get_by_role("button", name="Download").click()
    assert downloaded.value.suggested_filename == re.sub("[<>]", "_", name)  # as Chromium makes it safe
    return Path(downloaded.value.path()).read_bytes()


def test_a_recipient_downloads_files(page: Page, api: httpx.Client, stack: Stack) -> None:
    """From whom, title, message, names, sizes, digests; small files streamed, large ones from S3, counted once."""
    traffic = Traffic(page)
    large = journey.ended(api, journey.upload(api, LARGE, "large <b>.bin", folder="sent/2026"))
    files = [small(api, "words & more.txt"), large]
    share = shared(api, *files, title="For <you>", message="Two files.\nSee you!", owner_name="Alice & Co")
    open_page(page, share)
    expect(page.get_by_role("heading", level=1)).to_have_text("For <you>")
    expect(page.get_by_text("From Alice & Co")).to_be_visible()
    expect(page.get_by_text("See you!")).to_be_visible()
    expect(page).to_have_title(re.compile(r"^For <you> . Sluice$"))
    expect(page.get_by_text("2 files", exact=True)).to_be_visible()
    expect(page.get_by_text("7 MB", exact=True).first).to_have_attribute("title", "7,000,012 bytes")
    expect(page.get_by_text(re.compile("^Available until "))).to_be_visible()
    expect(row(page, "large <b>.bin")).to_contain_text("sent/2026/")
    for file in files:
        shown = row(page, file["filename"])
        expect(shown.get_by_title(f"{file['size']:,} bytes")).to_be_visible()
        shown.get_by_text("Checksums").click()
        expect(shown.locator("code").first).to_have_text(file["digests"]["sha-256"])
        expect(shown.locator("code")).to_have_count(len(file["digests"]))
    expect(page.get_by_role("button", name="Download all as ZIP")).to_be_visible()
    assert accessible(page) == []
    assert download(page, "words & more.txt") == SMALL
    assert download(page, "large <b>.bin") == LARGE
    assert api.get(f"/shares/{share['id']}").json()["downloads"] == 2
    assert traffic.origins() <= {stack.api, stack.stream, stack.aws}
    assert traffic.complaints == []


@thorough
def test_a_digest_is_copied(page: Page, context: BrowserContext, api: httpx.Client) -> None:
    """Whole, and where the browser lets no page do it the digest is selected instead."""
    file = small(api, "compared.txt")
    open_page(page, shared(api, file))
    page.get_by_text("Checksums").click()
    copy = page.get_by_role("button", name="Copy the SHA-256 of compared.txt")
    copy.click()
    expect(said(page)).to_have_text(re.compile("SHA-256 (copied|selected)"))
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    copy.click()
    expect(said(page)).to_have_text("SHA-256 copied")
    assert page.evaluate("navigator.clipboard.readText()") == file["digests"]["sha-256"]


@thorough
def test_all_files_come_as_one_archive(page: Page, api: httpx.Client) -> None:
    """By one button, which is not there where there is but one file."""
    share = shared(api, small(api, "one.txt"), small(api, "two.txt"))
    open_page(page, share)
    with page.expect_download() as downloaded:
        page.get_by_role("button", name="Download all as ZIP").click()
    with ZipFile(downloaded.value.path()) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"one.txt": SMALL, "two.txt": SMALL}
    open_page(page, shared(api, small(api, "alone.txt")))
    expect(page.get_by_role("button", name="Download all as ZIP")).to_have_count(0)


@thorough
def test_an_archive_that_is_being_built_says_how_far(page: Page, api: httpx.Client, stack: Stack) -> None:
    """Until it is ready; then it comes, and the page is still there."""
    share = shared(api, small(api, "one.txt"), small(api, "two.txt"))
    asked: list[int] = []

    def building(route: Route) -> None:
        asked.append(1)
        answer = route.fetch()
        wanted = answer.json() | ({"status": "building", "size": 200, "built_bytes": 90} if len(asked) == 1 else {})
        route.fulfill(response=answer, json=wanted)

    def not_yet(route: Route) -> None:
        if route.request.method == "HEAD" and not asked:
            route.fulfill(status=409, headers={"Access-Control-Allow-Origin": "*"})
        else:
            route.continue_()

    page.route(f"{stack.stream}/shares/**", not_yet)
    page.route(f"{stack.api}/archives", building)
    open_page(page, share)
    with page.expect_download() as downloaded:
        page.get_by_role("button", name="Download all as ZIP").click()
        expect(page.get_by_text("The ZIP is being put together: 45%")).to_be_visible()
        assert accessible(page) == []
    assert Path(downloaded.value.path()).stat().st_size > len(SMALL)
    expect(page.get_by_text("being put together")).to_have_count(0)
    expect(row(page, "one.txt")).to_be_visible()


@thorough
def test_links_that_have_expired_are_fetched_anew(page: Page, api: httpx.Client, stack: Stack) -> None:
    """A page that stays open for a day still gives its files."""
    share = shared(api, small(api, "patient.txt"))
    expired: list[str] = []

    def refuse(route: Route) -> None:
        if route.request.method == "HEAD" and not expired:
            expired.append(route.request.url)
            route.fulfill(status=403, headers={"Access-Control-Allow-Origin": "*"})
        else:
            route.continue_()

    page.route(f"{stack.stream}/files/**", refuse)
    open_page(page, share)
    assert download(page, "patient.txt") == SMALL
    assert expired


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
    assert accessible(page) == []
    expect(field).to_be_focused()
    page.keyboard.type("open sesame")  # what was wrong is selected
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Secret", exact=True)).to_be_focused()
    expect(said(page)).to_have_text("Files shown: 1")
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
    """Used up, ended while the page is open or before, over, and a link that is not whole: in words, without a form."""
    file = small(api, "once.txt")
    over = shared(api, file, expires_in=1)
    share = shared(api, file, small(api, "too.txt"), max_downloads=2)
    open_page(page, share)
    expect(page.get_by_text("2 downloads left")).to_be_visible()
    assert download(page, "once.txt") == SMALL
    expect(page.get_by_text("1 download left")).to_be_visible()
    assert download(page, "too.txt") == SMALL
    expect(page.locator(".notice")).to_contain_text("as often as the link allows")
    for button in page.get_by_role("button", name="Download").all():
        expect(button).to_be_disabled()
    assert accessible(page) == []
    with journey.client(str(api.base_url), share["capability"]) as other:
        assert other.post(f"/shares/{share['id']}/open").status_code == 403
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("as often as the link allows")

    share = shared(api, file, max_downloads=1)
    open_page(page, share)
    with journey.client(str(api.base_url), share["capability"]) as faster:
        link = faster.post(f"/shares/{share['id']}/open").json()["files"][0]["links"]["content"]
        assert httpx.get(link, trust_env=False).content == SMALL
    page.get_by_role("button", name="Download", exact=True).click()
    expect(page.locator(".notice")).to_contain_text("as often as the link allows")
    expect(page.get_by_role("button", name="Download", exact=True)).to_be_disabled()

    share = shared(api, file)
    open_page(page, share)
    expect(page.get_by_text("left")).to_have_count(0)  # it has no limit
    api.delete(f"/shares/{share['id']}").raise_for_status()
    page.get_by_role("button", name="Download", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("This link has ended")
    for fragment in (over["capability"], share["capability"], share["capability"][:-3], "nonsense", ""):
        page.goto("about:blank")
        page.goto(f"{stack.api}/#share={fragment}")
        expect(page.get_by_role("alert")).to_contain_text("This link")
        expect(page.get_by_label("Access token")).to_have_count(0)


@thorough
def test_a_download_that_is_counted_late_is_seen(page: Page, api: httpx.Client) -> None:
    """A browser that is slow to begin, or an answer from before it did, is no reason to stay at the old number."""
    looks: list[int] = []

    def early(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        looks.append(told["downloads_left"])
        if len(looks) == 2:  # the first after the download
            told["downloads_left"] = 2
        route.fulfill(response=answer, json=told)

    page.route("**/shares/*/open", early)
    open_page(page, shared(api, small(api, "late.txt"), max_downloads=2))
    assert download(page, "late.txt") == SMALL
    expect(page.get_by_text("1 download left")).to_be_visible()
    assert len(looks) >= 3


@thorough
def test_a_file_that_was_deleted_is_explained(page: Page, api: httpx.Client) -> None:
    """While the page is open, and before it is opened."""
    files = [small(api, "stays.txt"), small(api, "goes.txt")]
    share = shared(api, *files)
    open_page(page, share)
    api.delete(f"/files/{files[1]['id']}").raise_for_status()
    row(page, "goes.txt").get_by_role("button", name="Download").click()
    expect(page.get_by_role("alert")).to_contain_text("it was deleted")
    assert download(page, "stays.txt") == SMALL
    page.reload()
    expect(page.get_by_text("goes.txt")).to_have_count(0)


@thorough
def test_many_files_come_page_by_page(page: Page, api: httpx.Client, stack: Stack) -> None:
    """The first thousand at once, the others when they are asked for; the focus is at the first of those."""
    files = [small(api, f"{number}.txt") for number in range(3)]
    share = shared(api, *files)

    opened = api_open(share, stack)
    pages = [{"files": opened["files"][:2], "next": "1"}, {"files": opened["files"][2:], "next": None}]
    page.route(f"{stack.api}/shares/*/open", lambda route: route.fulfill(json=opened | pages.pop(0)))
    page.goto(share["links"]["page"])
    expect(page.get_by_text("The first 2 files")).to_be_visible()
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("heading", name="2.txt")).to_be_focused()
    expect(page.get_by_text("3 files", exact=True)).to_be_visible()


def api_open(share: dict[str, Any], stack: Stack) -> dict[str, Any]:
    with journey.client(stack.api, share["capability"]) as holder:
        return dict(holder.post(f"/shares/{share['id']}/open").raise_for_status().json())


@thorough
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(browser: Browser, api: httpx.Client, scheme: str) -> None:
    """Nothing to scroll sideways, and enough contrast, in German as well."""
    name = "a_name_without_a_single_space_that_is_longer_than_any_phone_is_wide.bin"
    texts = {"title": "x" * 200, "message": "y" * 500, "owner_name": "z" * 100}
    share = shared(api, small(api, name), small(api, "b"), **texts, password="z")
    with on_a_phone(browser, scheme, "de") as page:
        page.goto(share["links"]["page"])
        expect(page.get_by_label("Passwort")).to_be_focused()
        states = [looks(page, 360)]
        page.keyboard.type("z")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Herunterladen", exact=True)).to_have_count(2)
        states.append(looks(page, 360))
        page.get_by_text("Prüfsummen").first.click()
        states.append(looks(page, 360))
    assert states == [[]] * 3
