"""The owner's access tokens: made, seen once, used and ended at the page, in a real browser over the local stack."""

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.organisation import inside
from tests.browser.steps import BY_ACCOUNT, PATIENT, accessible, get_in, looks, on_a_phone, said
from tests.integration import journey
from tests.integration.conftest import Stack, thorough

KEPT = "location.href + Object.values(sessionStorage) + Object.values(localStorage) + JSON.stringify(history.state)"


def at_tokens(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.api}/#view=tokens")
    get_in(page, stack)
    expect(page.locator("#tokens")).to_be_visible()


def listed_files(stack: Stack, token: str) -> int:
    return httpx.get(f"{stack.api}/files", headers={"Authorization": f"Bearer {token}"}, **PATIENT).status_code


def test_a_token_is_made_shown_once_and_ended(page: Page, stack: Stack, context: BrowserContext) -> None:
    """It lets in from then until its end. It is in no URL and no storage, and gone when the view is left."""
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    at_tokens(page, stack)
    views = page.get_by_role("navigation")
    views.get_by_role("button", name="Files").click()
    views.get_by_role("button", name="Tokens").click()
    page.get_by_role("button", name="New token").click()
    form = page.get_by_role("dialog", name="New token")
    expect(form.get_by_label("Name")).to_be_focused()
    assert accessible(page) == []
    page.keyboard.type("nightly <backup>")
    form.get_by_label("Ends").select_option("in 30 days")
    page.keyboard.press("Enter")
    shown = page.get_by_role("dialog", name="nightly <backup>")
    expect(shown).to_contain_text(f"sluice login {stack.api} --with-token")
    assert accessible(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    token = shown.get_by_role("textbox", name="Access token").input_value()
    expect(shown.get_by_role("button", name="Copy token")).to_be_focused()
    page.keyboard.press("Enter")
    expect(said(page)).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == token
    assert listed_files(stack, token) == 200
    assert token not in page.evaluate(KEPT)
    page.go_back()
    inside(page)
    assert token not in page.content()
    page.go_forward()
    row = page.locator("main li", has=page.get_by_role("heading", name="nightly <backup>"))
    expect(row).to_contain_text("Created")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert accessible(page) == []
    row.get_by_role("button", name="End token: nightly <backup>").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep it").click()
    assert listed_files(stack, token) == 200
    row.get_by_role("button", name="End token").click()
    page.get_by_role("dialog").get_by_role("button", name="End token").click()
    expect(row).to_have_count(0)
    expect(said(page)).to_have_text("nightly <backup> has ended")
    expect(page.locator("#tokens")).to_be_focused()
    assert listed_files(stack, token) == 401


def test_a_token_that_was_made_makes_no_others(page: Page, stack: Stack) -> None:
    """The view says so, and has no button for it."""
    token = stack.token  # with SIGN_IN=account a machine's
    if not BY_ACCOUNT:
        with journey.client(stack.api, token) as owner:
            token = owner.post("/tokens", json={"name": "a machine", "expires_in": 3600}).json()["token"]
    page.goto(f"{stack.api}/#view=tokens")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    if BY_ACCOUNT:
        page.get_by_text("Use an access token instead").click()
    page.get_by_label("Access token").fill(token)
    page.get_by_label("Access token").press("Enter")
    expect(page.locator("main")).to_contain_text("Sign in with your account")
    expect(page.get_by_role("button", name="New token")).to_have_count(0)
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    assert accessible(page) == []


@thorough
def test_on_a_phone(browser: Browser, stack: Stack) -> None:
    """Nothing to scroll sideways, and enough contrast, with the longest name and in German."""
    with on_a_phone(browser, "dark", "de") as page:
        at_tokens(page, stack)
        page.get_by_role("button", name="Neuer Schlüssel").click()
        states = [looks(page, 360)]
        page.keyboard.type("x" * 100)
        page.keyboard.press("Enter")
        expect(page.get_by_role("textbox", name="Zugangsschlüssel")).to_be_visible()
        states.append(looks(page, 360))
        page.get_by_role("button", name="Fertig").click()
        expect(page.get_by_role("heading", name="x" * 100)).to_be_visible()
        states.append(looks(page, 360))
    assert states == [[]] * 3
