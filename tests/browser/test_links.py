"""The owner's links: drops and shares, made, handed on and ended, in a real browser over the whole local stack."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.browser.steps import accessible, get_in, looks, on_a_phone, said, tab_to
from tests.integration import journey
from tests.integration.conftest import Stack, thorough

View = Callable[[str], Page]


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    with journey.client(stack.api, stack.token) as owner:
        yield owner


@pytest.fixture
def view(page: Page, stack: Stack) -> View:
    """The owner at this view of the page."""

    def go(name: str) -> Page:
        enter(page, stack, name)
        return page

    return go


def enter(page: Page, stack: Stack, name: str) -> None:
    page.goto(f"{stack.api}/#view={name}")
    get_in(page, stack)
    expect(page.locator(f"#{name}")).to_be_visible()


def made(api: httpx.Client, path: str, **wanted: Any) -> dict[str, Any]:
    link: dict[str, Any] = api.post(path, json={"expires_in": 3600} | wanted).raise_for_status().json()
    return link


def small(api: httpx.Client, name: str) -> str:
    return str(api.put(f"/files/{name}", content=b"shared").raise_for_status().json()["id"])


def card(page: Page, link: dict[str, Any]) -> Locator:
    return page.locator(f"[data-id='{link['id']}']")


def test_an_owner_makes_a_drop(view: View, api: httpx.Client, context: BrowserContext) -> None:
    """With a title, a message, rules and an end; its link and QR code are there at once."""
    page = view("drops")
    page.get_by_role("button", name="New drop").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_label("Title")).to_be_focused()
    assert accessible(page) == []
    form.get_by_label("Title").fill("Photos of the party")
    form.get_by_label("Message").fill("Originals, please.\nThank you!")
    form.get_by_label("Your name").fill("Alice & Co")
    form.get_by_label("Accept").select_option("a list of types …")
    form.get_by_label("Types and extensions").fill("image/*, .heic")
    form.get_by_label("Number of files, at most").fill("3")
    form.get_by_label("Largest file").fill("25")
    form.get_by_label("Ends").select_option("on a date")
    expect(form.get_by_label("Last day")).to_be_visible()
    form.get_by_role("button", name="Create drop").click()
    shown = page.get_by_role("dialog", name="Photos of the party")
    expect(shown.get_by_role("img", name="QR code of the link")).to_be_visible()
    assert accessible(page) == []
    url = shown.get_by_role("textbox", name="Link").input_value()
    (drop,) = [one for one in api.get("/drops?limit=100").json()["items"] if one["title"] == "Photos of the party"]
    assert api.get(f"/drops/{drop['id']}").json()["links"]["page"] == url
    wanted = {"message": "Originals, please.\nThank you!", "owner_name": "Alice & Co", "max_files": 3}
    assert drop == drop | wanted | {"content_types": ["image/*", ".heic"], "max_file_bytes": 25_000_000}
    shown.get_by_role("button", name="Done").click()
    expect(card(page, drop)).to_contain_text("Images and .heic files, each at most 25 MB")
    expect(card(page, drop)).to_contain_text("0 of 3 files so far")
    guest = context.new_page()
    guest.goto(url)
    expect(guest.get_by_role("heading", name="Photos of the party")).to_be_visible()
    page.get_by_role("button", name="New drop").click()
    expect(page.get_by_label("Your name")).to_have_value("Alice & Co")  # remembered
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="New drop")).to_be_focused()


@thorough
def test_what_a_drop_cannot_be_is_said_in_its_form(view: View) -> None:
    """What was typed is still there."""
    page = view("drops")
    page.get_by_role("button", name="New drop").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Title").fill("Kept")
    page.get_by_label("Accept").select_option("a list of types …")
    page.get_by_label("Types and extensions").fill("pictures")
    page.get_by_role("button", name="Create drop").click()
    expect(form.get_by_role("alert")).to_contain_text("pictures")
    expect(form.get_by_label("Title")).to_have_value("Kept")


@thorough
def test_a_link_is_copied(view: View, api: httpx.Client, context: BrowserContext) -> None:
    """Fresh from the server; where the browser gives no clipboard it is shown, selected, to be copied by hand."""
    drop = made(api, "/drops", max_files=1, title="Copied one")
    share = made(api, "/shares", files=[small(api, "copied.txt")], title="Copied too")
    page = view("drops")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
    page.evaluate("document.execCommand = () => false")
    card(page, drop).get_by_role("button", name="Copy link").click()
    field = page.get_by_role("dialog").get_by_role("textbox", name="Link")
    expect(field).to_have_value(drop["links"]["page"])
    page.get_by_role("dialog").get_by_role("button", name="Copy link").click()
    expect(said(page)).to_have_text("The link is selected: copy it")
    assert page.evaluate("getSelection().toString()") == drop["links"]["page"]
    page.keyboard.press("Escape")
    page.reload()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    card(page, drop).get_by_role("button", name="Copy link").click()
    expect(said(page)).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == drop["links"]["page"]
    assert accessible(page) == []
    page.get_by_role("navigation").get_by_role("button", name="Shares").click()
    card(page, share).get_by_role("button", name="QR code").click()
    url = page.get_by_role("dialog", name="Copied too").get_by_role("textbox", name="Link").input_value()
    recipient = context.new_page()
    recipient.goto(url)
    expect(recipient.get_by_role("heading", name="copied.txt")).to_be_visible()


@thorough
def test_a_qr_code_that_does_not_come_is_said(view: View, api: httpx.Client) -> None:
    """The link stands beside it all the same."""
    drop = made(api, "/drops", max_files=1, title="Undrawn")
    page = view("drops")
    page.route("**/assets/lean-qr-*.js", lambda route: route.abort())
    card(page, drop).get_by_role("button", name="QR code").click()
    dialog = page.get_by_role("dialog", name="Undrawn")
    expect(dialog.get_by_text("The QR code could not be loaded.")).to_be_visible()
    expect(dialog.get_by_role("textbox", name="Link")).to_have_value(drop["links"]["page"])
    assert accessible(page) == []


def test_a_drop_is_ended_after_a_question(view: View, api: httpx.Client, context: BrowserContext) -> None:
    """Nobody sends through it any more; who says no ends nothing."""
    drop = made(api, "/drops", max_files=1, title="Ended one")
    page = view("drops")
    end = page.get_by_role("button", name="End drop: Ended one")
    end.click()
    expect(page.get_by_role("dialog")).to_contain_text("The files that have arrived stay.")
    assert accessible(page) == []
    page.get_by_role("dialog").get_by_role("button", name="Keep it").click()
    expect(end).to_be_focused()
    end.click()
    page.get_by_role("dialog").get_by_role("button", name="End drop").click()
    expect(card(page, drop)).to_have_count(0)
    expect(said(page)).to_have_text("Ended one has ended")
    expect(page.locator("#drops")).to_be_focused()
    guest = context.new_page()
    guest.goto(drop["links"]["page"])
    expect(guest.get_by_role("alert")).to_contain_text("This link has ended")


@thorough
def test_what_came_through_a_drop_is_shown_and_shared(
    view: View, api: httpx.Client, stack: Stack, context: BrowserContext
) -> None:
    """A way to its files, and a share of them with a password that was suggested and a number of downloads."""
    drop = made(api, "/drops", max_files=2, title="Came through")
    with journey.client(stack.api, drop["capability"]) as guest:
        journey.ended(api, journey.upload(guest, b"came", "came.txt"))
    page = view("drops")
    expect(card(page, drop)).to_contain_text("1 of 2 files so far")
    card(page, drop).get_by_role("button", name="Share its files").click()
    form = page.get_by_role("dialog")
    expect(form).to_contain_text("fixed now")
    form.get_by_label("Title").fill("Handed on")
    form.get_by_label("Number of downloads, at most").fill("4")
    secret = form.get_by_label("Password")
    expect(secret).to_have_attribute("type", "password")
    form.get_by_role("button", name="Suggest").click()
    expect(secret).to_have_attribute("type", "text")
    password = secret.input_value()
    assert re.fullmatch("([a-z2-9]{4}-){3}[a-z2-9]{4}", password)
    assert accessible(page) == []
    form.get_by_role("button", name="Create link").click()
    shown = page.get_by_role("dialog", name="Handed on")
    expect(shown).to_contain_text(password)
    assert accessible(page) == []
    recipient = context.new_page()
    recipient.goto(shown.get_by_role("textbox", name="Link").input_value())
    recipient.get_by_label("Password").fill(password)
    recipient.get_by_role("button", name="Open").click()
    expect(recipient.get_by_role("heading", name="came.txt")).to_be_visible()
    shown.get_by_role("button", name="Done").click()
    page.get_by_role("navigation").get_by_role("button", name="Shares").click()
    (share,) = [one for one in api.get("/shares?limit=100").json()["items"] if one["title"] == "Handed on"]
    expect(card(page, share)).to_contain_text("With a password")
    expect(card(page, share)).to_contain_text("0 of 4 downloads")
    page.get_by_role("navigation").get_by_role("button", name="Drops").click()
    card(page, drop).get_by_role("button", name="Show its files").click()
    expect(page).to_have_url(re.compile(f"#in={drop['id']}$"))


def test_shares_are_listed_and_ended(view: View, api: httpx.Client, stack: Stack, context: BrowserContext) -> None:
    """How many files, how often they were downloaded, and whether that is all; at the end the link is dead."""
    files = [small(api, "one.txt"), small(api, "two.txt")]
    share = made(api, "/shares", files=files, title="Listed <one>", max_downloads=1, message="x\n" * 50)
    with journey.client(stack.api, share["capability"]) as holder:
        opened = holder.post(f"/shares/{share['id']}/open").json()
        assert httpx.get(opened["files"][0]["links"]["content"], trust_env=False).status_code == 200
    page = view("shares")
    listed = card(page, share)
    expect(listed.get_by_role("heading")).to_have_text("Listed <one>")
    for words in ("2 files", "12 bytes", "Without a password", "Used up: its one download was made"):
        expect(listed).to_contain_text(words)
    assert accessible(page) == []
    listed.get_by_role("button", name="End share").click()
    page.get_by_role("dialog").get_by_role("button", name="End share").click()
    expect(listed).to_have_count(0)
    recipient = context.new_page()
    recipient.goto(share["links"]["page"])
    expect(recipient.get_by_role("alert")).to_contain_text("This link has ended")


@thorough
def test_a_drop_that_somebody_else_ended_says_so(view: View, api: httpx.Client) -> None:
    """In another tab, while it was still listed here."""
    drop = made(api, "/drops", max_files=1, title="Gone one")
    page = view("drops")
    expect(card(page, drop)).to_be_visible()
    api.delete(f"/drops/{drop['id']}").raise_for_status()
    card(page, drop).get_by_role("button", name="QR code").click()
    expect(page.get_by_role("alert").filter(has_text="This drop has ended.")).to_be_visible()


@thorough
def test_keyboard_alone_is_enough(view: View, api: httpx.Client) -> None:
    """A drop is made and its link is copied, with the focus in sight."""
    page = view("drops")
    tab_to(page, "New drop")
    page.keyboard.press("Enter")
    page.keyboard.type("By keyboard")
    tab_to(page, "Create drop")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="By keyboard")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_role("button", name="Copy link")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert "By keyboard" in [drop["title"] for drop in api.get("/drops").json()["items"]]


@thorough
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(browser: Browser, stack: Stack, api: httpx.Client, scheme: str) -> None:
    """Nothing to scroll sideways, and enough contrast, with the longest texts and in German."""
    texts = {"title": "x" * 200, "message": "y" * 2_000, "owner_name": "z" * 100}
    kinds = ["application/vnd.oasis.opendocument.text", "image/*"]
    drop = made(api, "/drops", max_files=1, content_types=kinds, **texts)
    share = made(api, "/shares", files=[small(api, "phone.txt")], **texts)
    with on_a_phone(browser, scheme, "de") as page:
        enter(page, stack, "drops")
        expect(card(page, drop)).to_be_visible()
        states = [looks(page, 360)]
        page.get_by_role("button", name="Neue Ablage").click()
        states.append(looks(page, 360))
        page.keyboard.press("Escape")
        card(page, drop).get_by_role("button", name="QR-Code").click()
        expect(page.get_by_role("img", name="QR-Code des Links").locator("path")).to_have_attribute(
            "d", re.compile("M")
        )
        states.append(looks(page, 360))
        page.keyboard.press("Escape")
        page.get_by_role("navigation").get_by_role("button", name="Freigaben").click()
        expect(card(page, share)).to_be_visible()
        states.append(looks(page, 360))
    assert states == [[]] * 4


@thorough
def test_the_main_action_among_shares_is_to_share_files(view: View) -> None:
    """The one filled button leads to the files, which are chosen there."""
    page = view("shares")
    filled = page.locator("main button:visible:not(.quiet, .plain, .inline)")
    expect(filled).to_have_count(1)
    expect(filled).to_have_text("Choose files to share")
    assert looks(page, 360) == []
    filled.click()
    expect(page.get_by_role("heading", name="Files", exact=True)).to_be_visible()
