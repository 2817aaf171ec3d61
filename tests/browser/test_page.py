"""The whole way of a file through the page, as a person goes it: by pointer, and by keyboard alone."""

from collections.abc import Callable
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from tests.browser.steps import (
    PATIENT,
    Traffic,
    accessible,
    bearer,
    by_token,
    choose,
    row,
    sha256,
    stored,
    tab_to,
    taken,
)
from tests.integration.conftest import Stack, thorough


def test_file_is_sent_verified_and_taken_back(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """A file of three parts ends as verified with the right digest, downloads byte for byte, and can be deleted."""
    original = sample("holiday in Kraków.mov", 20_000_000)
    choose(signed_in, original)
    sent = row(signed_in, original.name)
    expect(sent).to_have_attribute("data-state", "ready")
    expect(sent).to_have_attribute("data-verified", "true")
    assert taken(signed_in, traffic, 1, 2, 3)
    identity = stored(stack, original.name)["id"]

    with signed_in.expect_download() as download:
        sent.get_by_role("button", name=f"Download {original.name}").click()
    assert download.value.suggested_filename == original.name
    assert Path(download.value.path()).read_bytes() == original.read_bytes()

    sent.get_by_role("button", name=original.name, exact=True).click()
    panel = signed_in.locator(".detail")
    expect(panel).to_contain_text(sha256(original))
    expect(panel).to_contain_text("Your browser cannot show this file.")  # no video: all that asks for it is over
    assert accessible(signed_in) == []
    panel.get_by_role("button", name="Delete").click()
    signed_in.locator("dialog:modal").get_by_role("button", name="Keep it").click()
    expect(panel.get_by_role("button", name="Delete")).to_be_focused()
    panel.get_by_role("button", name="Delete").click()
    signed_in.locator("dialog:modal").get_by_role("button", name="Delete").click()
    expect(sent).to_have_count(0)
    gone = httpx.get(f"{stack.api}/files/{identity}", headers=bearer(stack), **PATIENT)
    assert gone.status_code == 404
    # Pages and styles, progress, bytes: the page asked nobody else, and broke no rule of its own.
    assert traffic.origins() == {stack.api, stack.stream, stack.aws}
    assert traffic.complaints == []


@by_token
@thorough
def test_keyboard_alone_is_enough(page: Page, stack: Stack, sample: Callable[[str, int], Path]) -> None:
    """From the token to the deletion nothing needs a pointer, and the focus is always somewhere."""
    original = sample("by keyboard.txt", 1000)
    page.on("filechooser", lambda chooser: chooser.set_files(original))
    page.goto(stack.api)
    expect(page.get_by_label("Access token")).to_be_focused()
    page.keyboard.type(stack.token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Files", exact=True)).to_be_visible()
    page.get_by_role("link", name="Skip to the content").focus()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('input[type=file]')"):
            break
    page.keyboard.press("Enter")
    sent = row(page, original.name)
    expect(sent).to_have_attribute("data-state", "ready")
    expect(sent.get_by_role("button", name=f"Download {original.name}")).to_be_enabled()
    tab_to(page, f"Download {original.name}")
    page.keyboard.press("Home")
    expect(sent).to_be_focused()
    page.keyboard.press("Enter")
    panel = page.locator(".detail")
    expect(panel).to_contain_text(sha256(original))
    tab_to(page, "Delete")
    page.keyboard.press("Enter")
    expect(page.locator("dialog:modal")).to_be_visible()
    tab_to(page, "Delete")
    page.keyboard.press("Enter")
    expect(sent).to_have_count(0)
    assert page.evaluate("document.activeElement !== document.body")
