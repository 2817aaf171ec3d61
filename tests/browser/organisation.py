"""An organisation: a certified issuer on loopback, and a stack at whose page its people sign in."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.browser.npm import install
from tests.integration.conftest import Stack, standing
from tests.integration.journey import client

ISSUER = Path(__file__).parent / "issuer"
AUDIENCE = "https://sluice.example/"  # as the issuer knows it
USUAL_SECONDS = 600
AT_WORK_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Organisation:
    """An issuer, and the stack whose page is its client."""

    issuer: str
    stack: Stack


@contextmanager
def organised(
    folder: Path, seconds: int = USUAL_SECONDS, parameters: Mapping[str, str] | None = None
) -> Iterator[Organisation]:
    """`seconds` is how long an access token of the issuer counts."""
    install(ISSUER)
    log = folder / "issuer.log"
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            ["node", "issuer.js", str(seconds)],
            cwd=ISSUER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        assert process.stdin
        assert process.stdout
        issuer = process.stdout.readline().strip()
        oidc = {
            "OidcIssuer": issuer,
            "OidcClientId": "the-page",
            "OidcAudience": AUDIENCE,
            "OidcAdminGroup": "keepers",
        }
        try:
            with standing(folder, parameters={**oidc, **(parameters or {})}) as stack:
                print(f"{stack.api}/", file=process.stdin, flush=True)
                assert process.stdout.readline().strip() == "ready", log.read_text()
                yield Organisation(issuer, stack)
        finally:
            process.terminate()


def sign_in(page: Page, organisation: Organisation, name: str = "alice") -> None:
    """As a person does it for the first time."""
    page.goto(organisation.stack.api)
    page.get_by_role("button", name="Sign in").click()
    at_the_issuer(page, name)
    inside(page)


def at_the_issuer(page: Page, name: str) -> None:
    page.get_by_placeholder("Enter any login").fill(name)
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def inside(page: Page) -> None:
    expect(page.get_by_role("heading", name="Files", exact=True)).to_be_visible()


def token_of(page: Page) -> str:
    return str(page.evaluate("sessionStorage['sluice-token']"))


def with_a_token_of(organisation: Organisation, browser: Browser, name: str) -> Stack:
    """The stack whose `token` is an access token of this person's, as a machine of theirs has."""
    context = browser.new_context()
    try:
        page = context.new_page()
        sign_in(page, organisation, name)
        with client(organisation.stack.api, token_of(page)) as api:
            made = api.post("/tokens", json={"name": "a test", "expires_in": AT_WORK_SECONDS}).json()
    finally:
        context.close()
    return replace(organisation.stack, token=made["token"])
