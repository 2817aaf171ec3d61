"""Signing in with an organisation's account, at a certified issuer, in a real Chromium."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from tests.browser.organisation import Organisation, at_the_issuer, inside, organised, sign_in, token_of
from tests.browser.steps import PART_BYTES, accessible, choose, held, row, wait_for
from tests.integration.conftest import ROOT

RENEWED_SECONDS = 63  # that a token counts; the page renews it a minute before its end


@pytest.fixture(scope="module")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organisation]:
    with organised(tmp_path_factory.mktemp("organisation")) as one:
        yield one


def verified(page: Page, name: str) -> None:
    expect(row(page, name)).to_have_attribute("data-verified", "true")


def asked_for_tokens(page: Page, issuer: str) -> list[str]:
    """The bodies of all requests for a token from now on."""
    bodies: list[str] = []

    def note(request: Request) -> None:
        if request.url == f"{issuer}/token":
            bodies.append(request.post_data or "")

    page.on("request", note)
    return bodies


def test_a_person_signs_in_and_sends(
    page: Page, organisation: Organisation, sample: Callable[[str, int], Path]
) -> None:
    """By authorization code with PKCE. The page has the person's name, and the address nothing of the sign-in."""
    bodies = asked_for_tokens(page, organisation.issuer)
    sign_in(page, organisation)
    (body,) = bodies
    assert "grant_type=authorization_code" in body
    assert "code_verifier=" in body
    assert page.url.rstrip("#") == f"{organisation.stack.api}/"
    expect(page.get_by_text("alice of the example")).to_be_visible()
    choose(page, sample("letter.txt", 1000))
    verified(page, "letter.txt")
    assert accessible(page) == []


def test_a_reload_stays_signed_in(page: Page, organisation: Organisation) -> None:
    """And leads back to where one was; so does the sign-in itself."""
    page.goto(f"{organisation.stack.api}/#view=drops")
    page.get_by_role("button", name="Sign in").click()
    at_the_issuer(page, "bob")
    heading = page.get_by_role("heading", name="Drops", exact=True)
    expect(heading).to_be_visible()
    assert page.url.endswith("/#view=drops")
    page.reload()
    expect(heading).to_be_visible()


def test_the_door_says_how_to_get_in(page: Page, organisation: Organisation) -> None:
    """With the account first, and with an access token for those who have one."""
    page.goto(organisation.stack.api)
    expect(page.get_by_role("button", name="Sign in")).to_have_count(1)
    assert accessible(page) == []
    page.get_by_text("Use an access token instead").click()
    page.get_by_label("Access token").fill(organisation.stack.token)
    page.get_by_label("Access token").press("Enter")
    inside(page)


def test_who_refuses_at_the_issuer_is_back_at_the_door(page: Page, organisation: Organisation) -> None:
    """With the reason, and another try."""
    page.goto(organisation.stack.api)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("[ Cancel ]").click()
    expect(page.get_by_role("alert")).to_contain_text("The sign-in did not succeed: End-User aborted interaction")
    assert page.url.rstrip("#") == f"{organisation.stack.api}/"
    page.get_by_role("button", name="Sign in").click()
    at_the_issuer(page, "alice")
    inside(page)


def test_signing_out_is_out_of_the_issuer_as_well(page: Page, organisation: Organisation) -> None:
    """Who comes to this browser next has to say who they are."""
    sign_in(page, organisation)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Yes, sign me out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert page.evaluate("Object.values(sessionStorage).join() + Object.values(localStorage).join()") == ""
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_placeholder("Enter any login")).to_be_visible()


def test_signing_out_in_one_tab_is_out_of_all(
    page: Page, organisation: Organisation, sample: Callable[[str, int], Path]
) -> None:
    """One that still sends keeps what it has, and asks the person: it does not renew its token by itself."""
    sign_in(page, organisation)
    bodies = asked_for_tokens(page, organisation.issuer)
    with held(page, organisation.stack, 1, 2):
        choose(page, sample("large.bin", 2 * PART_BYTES))
        expect(row(page, "large.bin")).to_be_visible()
        other = page.context.new_page()
        other.goto(organisation.stack.api)
        inside(other)
        other.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in again")).to_be_visible()
    assert bodies == []


def test_a_token_is_renewed_before_it_ends(
    context: BrowserContext, tmp_path: Path, sample: Callable[[str, int], Path]
) -> None:
    """By the refresh token, which the issuer changes each time; nobody notices."""
    with organised(tmp_path, RENEWED_SECONDS) as organisation:
        page = context.new_page()
        bodies = asked_for_tokens(page, organisation.issuer)
        sign_in(page, organisation)
        first = token_of(page)
        wait_for(page, lambda: sum("grant_type=refresh_token" in body for body in bodies) >= 2)
        assert token_of(page) != first
        choose(page, sample("letter.txt", 1000))
        verified(page, "letter.txt")


def refuse(page: Page, organisation: Organisation, ended: str) -> None:
    """From now on this token has ended."""

    def answer(route: Route) -> None:
        if route.request.headers.get("authorization") == f"Bearer {ended}":
            route.fulfill(status=401, json={"code": "token_expired", "detail": "no"})
        else:
            route.fallback()

    page.route(f"{organisation.stack.api}/**", answer)


def test_a_token_that_ended_is_renewed(
    page: Page, organisation: Organisation, sample: Callable[[str, int], Path]
) -> None:
    """A computer that slept through it: what waits for an answer goes on by itself."""
    sign_in(page, organisation)
    refuse(page, organisation, token_of(page))
    choose(page, sample("late.txt", 1000))
    verified(page, "late.txt")
    expect(page.get_by_role("heading", name="Sign in again")).to_have_count(0)


def test_who_cannot_renew_signs_in_in_another_tab(
    page: Page, organisation: Organisation, sample: Callable[[str, int], Path]
) -> None:
    """The page stays, with all that it sends, and goes on once the other tab is in."""
    sign_in(page, organisation)
    refuse(page, organisation, token_of(page))
    page.route(f"{organisation.issuer}/token", lambda route: route.fulfill(status=400, json={"error": "invalid_grant"}))
    choose(page, sample("waits.txt", 1000))
    expect(page.get_by_role("heading", name="Sign in again")).to_be_visible()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in in another tab").click()
    opened.value.get_by_role("button", name="Sign in").click()
    inside(opened.value)  # the issuer knows who this is
    verified(page, "waits.txt")
    expect(page.get_by_role("heading", name="Sign in again")).to_have_count(0)


def test_the_command_signs_in_with_a_browser(page: Page, organisation: Organisation, tmp_path: Path) -> None:
    """`sluice login` shows an address, at which the person says yes; then the command is in."""
    environment = {"PYTHONPATH": str(ROOT / "client"), "NO_PROXY": "127.0.0.1", "XDG_CONFIG_HOME": str(tmp_path)}
    arguments = [sys.executable, "-m", "sluice_client", "login", organisation.stack.api]
    with subprocess.Popen(arguments, env=os.environ | environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            page.goto(process.stderr.readline().removeprefix("Open ").strip())
            page.get_by_role("button", name="Continue").click()
            at_the_issuer(page, "dave")
            expect(page.get_by_text("Sign-in Success")).to_be_visible()
            assert "You are oidc.dave." in process.stderr.read()
            assert process.wait() == 0
        finally:
            process.kill()
