"""What happens elsewhere shows up at the page by itself, and the page says when it cannot know."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from tests.browser.steps import PATIENT, Traffic, bearer, row, said, sign_in
from tests.integration.conftest import Stack, thorough

HIDE = """hidden => {
    Object.defineProperty(document, "visibilityState", {get: () => hidden ? "hidden" : "visible", configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    """Another device of the owner."""
    with httpx.Client(base_url=stack.api, headers=bearer(stack), **PATIENT) as client:
        yield client


@pytest.fixture
def live(signed_in: Page) -> Page:
    connected(signed_in, "live")
    return signed_in


def connected(page: Page, state: str) -> None:
    expect(page.locator("[data-connection]")).to_have_attribute("data-connection", state)


def begin(api: httpx.Client, name: str, size: int, token: str | None = None) -> dict[str, Any]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return dict(api.post("/files", json={"filename": name, "size": size}, headers=headers).raise_for_status().json())


def finish(api: httpx.Client, file: dict[str, Any], content: bytes, token: str | None = None) -> None:
    for part in file["parts"]:
        body = content[part["offset"] : part["offset"] + part["size"]]
        httpx.put(part["url"], content=body, headers=part["headers"], **PATIENT).raise_for_status()
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    api.post(f"/files/{file['id']}/complete", json={}, headers=headers).raise_for_status()


def small(api: httpx.Client, name: str, content: bytes = b"1") -> dict[str, Any]:
    return dict(api.put(f"/files/{name}", content=content).raise_for_status().json())


def test_a_file_of_another_device_appears_and_goes(live: Page, api: httpx.Client) -> None:
    """An upload by the API appears when it begins, ends as ready, and goes when it is deleted."""
    file = begin(api, "from elsewhere.bin", 20_000)
    elsewhere = row(live, "from elsewhere.bin")
    expect(elsewhere).to_have_attribute("data-state", "uploading")
    finish(api, file, bytes(20_000))
    expect(elsewhere).to_have_attribute("data-state", "ready")
    api.delete(f"/files/{file['id']}").raise_for_status()
    expect(elsewhere).to_have_count(0)


@thorough
def test_an_upload_that_is_cancelled_while_its_details_are_open_says_so(live: Page, api: httpx.Client) -> None:
    """Details of what is not there any more say that, instead of standing empty."""
    begun = begin(api, "cancelled elsewhere.bin", 1)
    row(live, "cancelled elsewhere.bin").get_by_role("button", name="cancelled elsewhere.bin", exact=True).click()
    panel = live.get_by_role("dialog")
    expect(panel.get_by_role("heading", level=2)).to_have_text("cancelled elsewhere.bin")
    api.delete(f"/files/{begun['id']}").raise_for_status()
    expect(panel.get_by_role("alert").first).to_have_text("This file was deleted.")


def test_a_file_through_a_drop_appears(live: Page, api: httpx.Client) -> None:
    """What a guest sends is in the list of who invited him, while it comes and when it is there."""
    drop = api.post("/drops", json={"max_files": 1, "expires_in": 3600}).raise_for_status().json()
    file = begin(api, "through a drop.txt", 3, drop["capability"])
    expect(row(live, "through a drop.txt")).to_have_attribute("data-state", "uploading")
    finish(api, file, b"abc", drop["capability"])
    expect(row(live, "through a drop.txt")).to_have_attribute("data-state", "ready")


@thorough
def test_a_download_by_a_share_is_shown(live: Page, api: httpx.Client) -> None:
    """While somebody takes a file, its row says so, and says it no more when that has been a while."""
    file = small(api, "taken out.bin", bytes(100_000))
    taken = row(live, "taken out.bin")
    expect(taken).to_have_attribute("data-state", "ready")
    share = api.post("/shares", json={"files": [file["id"]], "expires_in": 3600}).raise_for_status().json()
    opened = api.post(
        f"/shares/{share['id']}/open", json={}, headers={"Authorization": f"Bearer {share['capability']}"}
    )
    httpx.get(opened.raise_for_status().json()["files"][0]["links"]["content"], **PATIENT).raise_for_status()
    expect(taken).to_contain_text("downloaded")
    expect(taken).not_to_contain_text("downloaded")


@thorough
def test_what_the_owner_looks_at_is_no_download(live: Page, api: httpx.Client) -> None:
    """A preview is shown, and its row does not say that somebody has downloaded it."""
    live.evaluate("""() => {
        window.told = [];
        new MutationObserver(() => {
            for (const row of document.querySelectorAll("[data-row]"))
                if (row.textContent.includes("ownloaded")) window.told.push(row.textContent);
        }).observe(document, {subtree: true, childList: true, characterData: true});
    }""")
    small(api, "looked at.txt", b"the text itself")
    row(live, "looked at.txt").get_by_role("button", name="looked at.txt", exact=True).click()
    expect(live.get_by_role("region", name="Preview of looked at.txt")).to_have_text("the text itself")
    taken = small(api, "taken afterwards.txt")
    httpx.get(taken["links"]["content"], **PATIENT).raise_for_status()
    live.wait_for_function("() => window.told.some(text => text.includes('taken afterwards.txt'))")
    assert not [text for text in live.evaluate("window.told") if "looked at.txt" in text]


@thorough
def test_all_files_come_in_pieces(page: Page, stack: Stack, api: httpx.Client) -> None:
    """More files than one list holds come as lines, each once, even where the first stream of them breaks off."""
    for number in range(130):
        begin(api, f"one of many {number}", 1)
    asked: list[str] = []

    def cut(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) > 1:
            route.fallback()
            return
        lines = httpx.get(route.request.url, **PATIENT).text.splitlines(keepends=True)
        half = "".join(lines[:10]) + lines[10][:20]
        headers = {"Access-Control-Allow-Origin": stack.api}
        route.fulfill(status=200, body=half, headers=headers, content_type="application/jsonl")

    page.route("**/files.jsonl?*", cut)
    sign_in(page, stack)
    everything = page.locator(".list[aria-busy=false]")
    expect(everything).to_be_attached()
    answers = httpx.get(api.get("/files?limit=1").json()["links"]["jsonl"], **PATIENT).text.splitlines()
    expected = [file for file in map(json.loads, answers) if file["reason"] != "aborted"]
    expect(page.locator(".check.all")).to_contain_text(f"{len(expected)} file")
    assert len(asked) == 2


@thorough
def test_a_lost_connection_is_said_and_what_was_missed_comes(
    live: Page, api: httpx.Client, context: BrowserContext
) -> None:
    """Offline is said at once; back again, what happened meanwhile appears without a reload."""
    context.set_offline(True)
    connected(live, "gone")
    expect(said(live)).to_contain_text("connection is lost")
    small(api, "sent meanwhile.txt")
    context.set_offline(False)
    connected(live, "live")
    expect(said(live)).to_contain_text("is back")
    expect(row(live, "sent meanwhile.txt")).to_be_visible()


@thorough
def test_the_end_of_a_stream_is_no_loss(page: Page, stack: Stack, api: httpx.Client) -> None:
    """The server ends every stream. The page comes back by itself, misses nothing, and never says that it was gone."""
    asked: list[str] = []
    ended = "retry: 200\nid: 2026-11-29T00:00:00.000Z\n\n"

    def end(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) > 3:
            route.fallback()
            return
        headers = {"Access-Control-Allow-Origin": stack.api}
        route.fulfill(status=200, body=ended, headers=headers, content_type="text/event-stream")

    page.route("**/events?*", end)
    page.add_init_script(
        """window.states = new Set();
        new MutationObserver(() => {
            const shown = document.querySelector("[data-connection]");
            if (shown) window.states.add(shown.dataset.connection);
        }).observe(document, {subtree: true, childList: true, attributes: true});"""
    )
    sign_in(page, stack)
    small(api, "after some streams.txt")
    expect(row(page, "after some streams.txt")).to_be_visible()
    assert len(asked) >= 4
    assert "gone" not in page.evaluate("[...window.states]")


@thorough
def test_a_link_whose_time_is_over_is_replaced(page: Page, stack: Stack, api: httpx.Client) -> None:
    """A feed that refuses its link is followed by another one, and goes on from where it was."""
    refusals = 2
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) <= refusals:
            route.fulfill(status=403, headers={"Access-Control-Allow-Origin": stack.api})
        else:
            route.fallback()

    page.route("**/events?*", refuse)
    sign_in(page, stack)
    connected(page, "live")
    small(api, "by another link.txt")
    expect(row(page, "by another link.txt")).to_be_visible()
    assert len(asked) == refusals + 1


def lists(traffic: Traffic) -> list[str]:
    """What the page has read of the list as a whole."""
    return [url for url in traffic.urls if "/files?limit=100" in url or "/files.jsonl" in url]


@thorough
def test_a_stream_host_that_is_down_is_waited_for(
    traffic: Traffic, live: Page, api: httpx.Client, stack: Stack
) -> None:
    """The page says that the connection is gone, reads no list anew, and goes on from where it was."""
    before = lists(traffic)
    refused: list[str] = []

    def out_of_order(route: Route) -> None:
        refused.append(route.request.resource_type)
        route.fulfill(status=502, headers={"Access-Control-Allow-Origin": stack.api})

    live.route("**/events?*", out_of_order)
    live.evaluate(HIDE, True)
    connected(live, "hidden")
    live.evaluate(HIDE, False)
    connected(live, "gone")
    assert {"eventsource", "fetch"} <= {*refused}
    small(api, "while it was down.txt")
    live.unroute("**/events?*", out_of_order)
    connected(live, "live")
    expect(row(live, "while it was down.txt")).to_be_visible()
    assert lists(traffic) == before


@thorough
def test_a_cursor_that_is_too_old_begins_with_a_new_list(traffic: Traffic, page: Page, stack: Stack) -> None:
    """Of one that the server has forgotten the page reads all of it once more, and is live."""
    asked: list[str] = []

    def age(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) > 2:  # the stream, and why it was refused
            route.fallback()
        else:
            route.continue_(url=re.sub("cursor=[^&]*", "cursor=2020-01-01T00:00:00.000Z", route.request.url))

    page.route("**/events?*", age)
    sign_in(page, stack)
    connected(page, "live")
    assert len([url for url in lists(traffic) if "/files?" in url]) == 2
    assert len(asked) == 3


def test_a_hidden_page_holds_no_stream(traffic: Traffic, live: Page, api: httpx.Client) -> None:
    """A hidden page ends its stream and opens none; seen again, it goes on from where it was and misses nothing."""
    small(api, "before it was hidden.txt")
    expect(row(live, "before it was hidden.txt")).to_be_visible()
    ended: list[Request] = []
    live.on("requestfailed", lambda request: ended.append(request) if "/events?" in request.url else None)
    live.evaluate(HIDE, True)
    connected(live, "hidden")
    small(api, "while it was hidden.txt")
    before = [url for url in traffic.urls if "/events?" in url]
    with live.expect_request("**/events?*") as again:
        live.evaluate(HIDE, False)
    connected(live, "live")
    expect(row(live, "while it was hidden.txt")).to_be_visible()
    assert len(ended) == 1
    assert len([url for url in traffic.urls if "/events?" in url]) == len(before) + 1
    assert again.value.url != before[-1]  # another cursor


@thorough
def test_an_upload_whose_time_is_over_reads_as_aborted(page: Page, stack: Stack, api: httpx.Client) -> None:
    """Nobody tells that an upload expires: the page knows when."""
    page.clock.install()
    begin(api, "never finished.bin", 1)
    sign_in(page, stack)
    expect(row(page, "never finished.bin")).to_have_attribute("data-state", "uploading")
    page.clock.set_system_time(datetime.now(UTC) + timedelta(days=8))
    page.clock.run_for(31_000)
    expect(row(page, "never finished.bin")).to_have_attribute("data-state", "aborted")
