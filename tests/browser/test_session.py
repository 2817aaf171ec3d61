"""Who is at the page: signing in, being signed out, and coming back to where one was."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.browser.steps import (
    PART_BYTES,
    PATIENT,
    Traffic,
    accessible,
    bearer,
    by_token,
    choose,
    held,
    looks,
    on_a_phone,
    row,
    sign_in,
    taken,
    wait_for,
)
from tests.integration.conftest import Stack, thorough

pytestmark = by_token

UNAUTHORIZED = {"code": "unauthorized", "detail": "no"}


def signed_out(page: Page) -> None:
    expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()


def inside(page: Page) -> None:
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def revoke(page: Page, stack: Stack, token: str) -> Callable[[], None]:
    """From now on the API knows this token no more; returns what undoes it."""

    def refuse(route: Route) -> None:
        if route.request.headers.get("authorization") == f"Bearer {token}":
            route.fulfill(status=401, json=UNAUTHORIZED)
        else:
            route.fallback()

    page.route(f"{stack.api}/**", refuse)
    return lambda: page.unroute(f"{stack.api}/**", refuse)


@thorough
def test_a_language_that_does_not_come_is_done_without(browser: Browser, stack: Stack) -> None:
    """The page speaks English, says why and that nothing is lost, and works; so it does when the language is chosen."""
    with on_a_phone(browser, "light", "de") as page:
        page.route("**/assets/de-*.js", lambda route: route.abort())
        page.goto(stack.api)
        told = page.get_by_role("alert").filter(has_text="German could not be loaded, so this page is in English.")
        expect(told).to_contain_text("Nothing is lost")
        assert looks(page, 360) == []
        page.get_by_label("Language").select_option("de")
        expect(page.get_by_label("Language")).to_have_value("en")
        page.get_by_label("Access token").fill(stack.token)
        page.get_by_role("button", name="Sign in").click()
        inside(page)
        expect(told).to_be_visible()
        assert looks(page, 360) == []
        page.unroute("**/assets/de-*.js")
        page.reload()
        expect(page.get_by_role("button", name="Abmelden")).to_be_visible()
        expect(told).to_have_count(0)


@thorough
def test_a_part_of_the_page_that_does_not_come_is_said(page: Page, stack: Stack) -> None:
    """Instead of a page that stays white; loading it again helps."""
    page.route("**/assets/door-*.js", lambda route: route.abort())
    page.goto(stack.api)
    expect(page.get_by_role("alert")).to_contain_text("A part of this page could not be loaded.")
    assert looks(page, 360) == []
    page.unroute("**/assets/door-*.js")
    page.get_by_role("button", name="Load again").click()
    signed_out(page)


def test_wrong_token_is_refused_in_words(page: Page, stack: Stack) -> None:
    """A wrong token is said to be wrong, the field keeps the focus, its text is selected, and the right one gets in."""
    page.goto(stack.api)
    field = page.get_by_label("Access token")
    expect(field).to_be_focused()
    field.fill("not-the-token")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    expect(field).to_be_focused()
    assert accessible(page) == []
    page.keyboard.insert_text(stack.token)  # in the place of what is selected
    field.press("Enter")
    expect(page.get_by_role("heading", name="Files", exact=True)).to_be_visible()


@thorough
def test_an_unreachable_server_is_no_wrong_token(page: Page, stack: Stack) -> None:
    """Who reloads without a server keeps the token, is told what is the matter, and gets in by trying again."""
    sign_in(page, stack)
    page.route(f"{stack.api}/files?*", lambda route: route.abort())
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    assert accessible(page) == []
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    inside(page)


def test_the_token_is_in_no_url_and_no_lasting_storage(
    traffic: Traffic, signed_in: Page, stack: Stack, context: BrowserContext
) -> None:
    """A reload and a second tab go on signed in; no URL ever has the token; signing out in one tab signs out all."""
    signed_in.reload()
    inside(signed_in)
    other = context.new_page()
    other.goto(stack.api)
    inside(other)
    for page in (signed_in, other):
        assert page.evaluate("[sessionStorage.length, JSON.stringify(localStorage), document.cookie]") == [1, "{}", ""]
    signed_in.get_by_role("button", name="Sign out").click()
    for page in (signed_in, other):
        signed_out(page)
        assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [0, 0, ""]
    assert not any(stack.token in url for url in traffic.urls)
    third = context.new_page()
    third.goto(stack.api)
    signed_out(third)


@thorough
def test_a_tab_that_waits_at_the_door_is_let_in(page: Page, stack: Stack, context: BrowserContext) -> None:
    """Two tabs at the door: signing in in one opens the other."""
    other = context.new_page()
    other.goto(stack.api)
    signed_out(other)
    sign_in(page, stack)
    inside(other)


@thorough
def test_where_one_was_survives_sign_in_and_reload(page: Page, stack: Stack) -> None:
    """The view in the address is the one behind the sign-in, after a reload, and one step back."""
    page.goto(f"{stack.api}/#view=shares")
    page.get_by_label("Access token").fill(stack.token)
    page.get_by_role("button", name="Sign in").click()
    here = page.get_by_role("navigation").get_by_role("button", name="Shares")
    expect(here).to_have_attribute("aria-current", "page")
    expect(page).to_have_title("Shares · Sluice")
    page.reload()
    expect(here).to_have_attribute("aria-current", "page")
    page.get_by_role("navigation").get_by_role("button", name="Files").click()
    expect(page.get_by_role("heading", name="Files", exact=True)).to_be_visible()
    page.go_back()
    expect(here).to_have_attribute("aria-current", "page")


def test_an_upload_waits_for_a_new_token(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """When a token ends in the middle of an upload, the page asks for another one; no part is sent twice."""
    original = sample("outlives a token.bin", 5 * PART_BYTES)
    renewed = "the renewed one"

    def renew(route: Route) -> None:
        headers = route.request.headers
        if headers.get("authorization") == f"Bearer {renewed}":
            route.continue_(headers={**headers, "authorization": f"Bearer {stack.token}"})
        else:
            route.fallback()

    signed_in.route(f"{stack.api}/**", renew)
    with held(signed_in, stack, 2):
        choose(signed_in, original)
        wait_for(signed_in, lambda: 1 in traffic.parts)
        revoke(signed_in, stack, stack.token)
    dialog = signed_in.get_by_role("dialog", name="Sign in again")
    expect(dialog).to_be_visible()
    assert accessible(signed_in) == []
    signed_in.keyboard.press("Escape")
    signed_in.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    expect(row(signed_in, original.name)).to_be_visible()
    expect(row(signed_in, original.name)).not_to_have_attribute("data-state", "failed")
    dialog.get_by_label("Access token").fill("wrong")
    revoke(signed_in, stack, "wrong")
    dialog.get_by_label("Access token").press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("not valid")
    dialog.get_by_label("Access token").fill(renewed)
    dialog.get_by_label("Access token").press("Enter")
    expect(dialog).to_be_hidden()
    expect(row(signed_in, original.name)).to_have_attribute("data-verified", "true")
    assert taken(signed_in, traffic, 1, 2, 3, 4, 5)


def test_another_owner_sees_nothing_of_the_one_before(signed_in: Page, stack: Stack) -> None:
    """Who signs in with the token of another owner, after one has ended, gets a page of his own."""
    name = "of the first owner"
    httpx.put(f"{stack.api}/files/{name}", content=b"1", headers=bearer(stack), **PATIENT).raise_for_status()
    expect(row(signed_in, name)).to_be_visible()
    revoke(signed_in, stack, stack.token)
    signed_in.evaluate("dispatchEvent(new Event('offline'))")
    stay_away = "**/events?*"
    signed_in.route(stay_away, lambda route: route.fulfill(status=403))
    signed_in.evaluate("dispatchEvent(new Event('online'))")  # the feed comes back, and is told that its link has ended
    dialog = signed_in.get_by_role("dialog", name="Sign in again")
    dialog.get_by_label("Access token").fill(stack.other_token)
    signed_in.unroute(stay_away)
    with signed_in.expect_navigation():
        dialog.get_by_label("Access token").press("Enter")
    inside(signed_in)
    expect(signed_in.locator("[data-connection=live]")).to_be_visible()
    expect(signed_in.get_by_text(name)).to_have_count(0)


@thorough
def test_signing_out_asks_while_files_are_sent(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """The question says how many files are not sent; who stays loses nothing."""
    originals = [sample(f"signing out {number}.bin", 3 * PART_BYTES) for number in range(2)]
    with held(signed_in, stack, 2):
        choose(signed_in, *originals)
        wait_for(signed_in, lambda: traffic.parts.count(1) == 2)
        signed_in.get_by_role("button", name="Sign out").click()
        dialog = signed_in.get_by_role("dialog", name="2 files have not been sent")
        expect(dialog).to_be_visible()
        assert accessible(signed_in) == []
        dialog.get_by_role("button", name="Stay").click()
        expect(signed_in.get_by_role("button", name="Sign out")).to_be_focused()
    for original in originals:
        expect(row(signed_in, original.name)).to_have_attribute("data-verified", "true")


@thorough
def test_the_language_is_kept(page: Page, stack: Stack) -> None:
    """A chosen language is spoken at once, told to screen readers by `lang`, and still there after a reload."""
    page.goto(stack.api)
    page.get_by_label("Language").select_option("de")
    expect(page.get_by_role("heading", name="Anmelden")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Anmelden")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "de"
    page.get_by_label("Zugangsschlüssel").fill(stack.token)
    page.get_by_role("button", name="Anmelden").click()
    expect(page).to_have_title("Dateien · Sluice")
    assert accessible(page) == []


@thorough
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_frame_on_a_phone(scheme: Literal["light", "dark"], page: Page, stack: Stack) -> None:
    """In light and dark, in both languages, nothing is wider than a phone, and everything has enough contrast."""
    page.emulate_media(color_scheme=scheme)
    page.goto(stack.api)
    expect(page.get_by_label("Access token")).to_be_visible()
    states = [looks(page, 360)]
    sign_in(page, stack)
    states += [looks(page, width) for width in (360, 768)]
    page.get_by_label("Language").select_option("de")
    page.evaluate("dispatchEvent(new Event('offline'))")
    expect(page.get_by_text("Keine Verbindung")).to_be_visible()
    states.append(looks(page, 360))
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert states == [[]] * 4


@thorough
def test_the_keyboard_skips_to_the_content(signed_in: Page) -> None:
    """The first stop of the keyboard leads past the header, and changes nothing about where one is."""
    signed_in.reload()
    inside(signed_in)
    signed_in.keyboard.press("Tab")
    link = signed_in.get_by_role("link", name="Skip to the content")
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()
    signed_in.keyboard.press("Enter")
    expect(signed_in.get_by_role("main")).to_be_focused()
    assert signed_in.url.partition("#")[2] == ""
