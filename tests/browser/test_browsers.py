"""What everybody does at the page, in Firefox and WebKit as well."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.browser.drivers import Tab, missing, open_tab
from tests.browser.steps import PART_BYTES, PATIENT, bearer, by_token, sha256, stored
from tests.integration.conftest import Stack

pytestmark = by_token

REQUIRED = "SLUICE_REQUIRE_BROWSERS"  # set where both have to be there
ROW = """const names = [...document.querySelectorAll("[data-row] *")].filter(one => one.textContent === arguments[0]);
    const row = names[0]?.closest("[data-row]");"""
DIGEST = """return fetch(arguments[0]).then(answer => answer.arrayBuffer())
    .then(bytes => crypto.subtle.digest("SHA-256", bytes))
    .then(digest => Array.from(new Uint8Array(digest), byte => byte.toString(16).padStart(2, "0")).join(""))"""


@pytest.fixture(params=["firefox", "webkit"])
def tab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    lacking = missing(request.param)
    if lacking:
        reason = f"{request.param} needs {', '.join(lacking)}"
        if os.environ.get(REQUIRED):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with open_tab(request.param, tmp_path_factory.mktemp(request.param)) as opened:
        yield opened


def test_an_owner_sends_a_file_and_others_appear(tab: Tab, stack: Stack, sample: Callable[[str, int], Path]) -> None:
    """Sign in; three parts go up, are verified, and come back byte for byte; what another device sends appears."""
    original = sample("in another browser.bin", 2 * PART_BYTES + 1)
    tab.go(stack.api)
    tab.type("#token", stack.token)
    tab.click("form button")
    tab.wait("return document.querySelector('[data-connection]')?.dataset.connection === 'live'")
    tab.type("input[type=file]", str(original))
    tab.wait(f"{ROW} return row?.dataset.state === 'ready' && row.dataset.verified === 'true'", original.name)
    file = stored(stack, original.name)
    assert file["part_count"] == 3
    assert tab.ask(DIGEST, file["links"]["content"]) == sha256(original)
    elsewhere = "sent elsewhere.txt"
    httpx.put(f"{stack.api}/files/{elsewhere}", content=b"1", headers=bearer(stack), **PATIENT).raise_for_status()
    tab.wait(f"{ROW} return row?.dataset.state === 'ready'", elsewhere)


def test_a_guest_sends_and_a_recipient_sees(tab: Tab, stack: Stack, sample: Callable[[str, int], Path]) -> None:
    """By a drop's link a file comes in and is verified; by a share's link it is there, with a button to take it."""
    original = sample("by a link.bin", 1000)
    with httpx.Client(base_url=stack.api, headers=bearer(stack), **PATIENT) as api:
        drop = api.post("/drops", json={"max_files": 1, "expires_in": 3600}).raise_for_status().json()
        tab.go(drop["links"]["page"])
        tab.type("input[type=file]", str(original))
        tab.press("Send")
        tab.wait("return document.body.innerText.includes('Thank')")
        file = stored(stack, original.name)
        assert file["verified"]
        share = api.post("/shares", json={"files": [file["id"]], "expires_in": 3600}).raise_for_status().json()
    tab.go("about:blank")
    tab.go(share["links"]["page"])
    tab.wait("return document.body.innerText.includes(arguments[0])", original.name)
    tab.wait("return [...document.querySelectorAll('button')].some(one => one.textContent.includes('Download'))")
