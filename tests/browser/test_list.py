"""The list of files: what it shows, how it is moved through, and what is done with files, one or many."""

import base64
import hashlib
import io
import json
import re
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser.steps import (
    CORS,
    PART_BYTES,
    PATIENT,
    Traffic,
    accessible,
    bearer,
    choose,
    get_in,
    held,
    looks,
    row,
    said,
    sha256,
    sign_in,
    stored,
    taken,
    wait_for,
)
from tests.integration.conftest import Stack, thorough

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
LONG = "a name without a single space that is longer than any phone is wide ".replace(" ", "_") + ".bin"


class Store:
    """Puts files there by the API, as another program would."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.api = httpx.Client(base_url=stack.api, headers=bearer(stack), **PATIENT)

    def put(
        self,
        name: str,
        body: bytes = b"content",
        kind: str = "text/plain",
        folder: str | None = None,
        *,
        digest: bool = True,
    ) -> dict[str, Any]:
        headers = {"Content-Type": kind}
        if digest:
            headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
        path, query = f"/files/{quote(name, safe='')}", {"folder": folder} if folder else {}
        return dict(self.api.put(path, content=body, headers=headers, params=query).raise_for_status().json())

    def begin(self, name: str, **more: Any) -> dict[str, Any]:
        return dict(self.api.post("/files", json={"filename": name, "size": 3, **more}).raise_for_status().json())


@pytest.fixture
def store(stack: Stack) -> Iterator[Store]:
    """An empty one."""
    store = Store(stack)
    with store.api:
        while items := store.api.get("/files?limit=100").raise_for_status().json()["items"]:
            live = [item for item in items if item["status"] != "aborted"]
            for item in live:
                store.api.delete(f"/files/{item['id']}").raise_for_status()
            if not live:
                break
        yield store


def opened(page: Page, stack: Stack, *names: str) -> Page:
    """The list, with these in it."""
    sign_in(page, stack)
    for name in names:
        expect(row(page, name)).to_be_attached()
    return page


def details(page: Page, name: str) -> Locator:
    row(page, name).get_by_role("button", name=name, exact=True).click()
    panel = page.locator(".detail")
    expect(panel.get_by_role("heading", name=name)).to_be_focused()
    return panel


def names(page: Page) -> list[str]:
    """As they follow each other on the screen."""
    rows = page.locator("[data-row]").evaluate_all(
        """rows => rows.toSorted((one, other) => one.ariaRowIndex - other.ariaRowIndex)
            .map(row => row.querySelector(".name").textContent)"""
    )
    return [str(name) for name in rows]


@pytest.mark.usefixtures("store")
def test_empty_list_says_what_to_do(page: Page, stack: Stack) -> None:
    """Who has no files yet is told how to send some."""
    opened(page, stack)
    expect(page.get_by_role("heading", name="No files yet")).to_be_visible()
    expect(page.get_by_text("Drop files anywhere on this page, or choose them")).to_be_visible()
    assert accessible(page) == []


@pytest.mark.usefixtures("store")
def test_upload_is_one_row_with_two_stages(
    page: Page, traffic: Traffic, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """Sending, then verifying, then a tick that says what was compared: all of it in one row."""
    opened(page, stack)
    original = sample("two stages.bin", 3 * PART_BYTES)
    with held(page, stack, 3):
        choose(page, original)
        sent = row(page, original.name)
        expect(sent).to_have_attribute("data-state", "sending")
        wait_for(page, lambda: {1, 2} <= {*traffic.parts})
        expect(sent).to_contain_text("Sending 66%")
        expect(sent.get_by_role("progressbar", name="Sending")).to_have_attribute("aria-valuenow", "66")
        expect(page.locator("[data-row]")).to_have_count(1)
        assert accessible(page) == []
        sent.get_by_role("button", name=f"Pause {original.name}").click()
        expect(sent).to_contain_text("Paused at 66%")
        sent.get_by_role("button", name=f"Resume {original.name}").click()
    expect(sent).to_have_attribute("data-state", "ready")
    expect(sent).to_have_attribute("data-verified", "true")
    tick = sent.get_by_role("img", name="Verified")
    expect(tick).to_have_accessible_description(
        "The SHA-256 of each of its 3 parts is the one that your browser computed before sending."
    )
    tick.hover()
    expect(sent.get_by_role("tooltip")).to_be_visible()
    expect(page.locator("[data-row]")).to_have_count(1)
    assert accessible(page) == []


@thorough
def test_what_was_only_hashed_says_so(page: Page, stack: Stack, store: Store) -> None:
    """Where the sender declared nothing, the tick does not pretend that something was compared."""
    store.put("undeclared.txt", digest=False)
    opened(page, stack, "undeclared.txt")
    hashed = row(page, "undeclared.txt")
    expect(hashed).to_have_attribute("data-verified", "false")
    expect(hashed.get_by_role("img", name="Hashed")).to_have_accessible_description(
        "Its digests are known. Its sender declared nothing to compare them with."
    )


@thorough
def test_what_another_device_sends_says_so(page: Page, stack: Stack, store: Store) -> None:
    """An upload that this tab does not send is no upload that waits here."""
    store.begin("from a phone.mov")
    opened(page, stack, "from a phone.mov")
    expect(row(page, "from a phone.mov")).to_contain_text("Another device: 0%")
    expect(row(page, "from a phone.mov")).to_have_attribute("data-state", "uploading")


@thorough
@pytest.mark.parametrize("by", ["choosing it anew", "its own button"])
def test_closed_tab_is_picked_up_again(
    by: str, page: Page, traffic: Traffic, store: Store, sample: Callable[[str, int], Path]
) -> None:
    """A new tab lists what is unfinished and says what to do; only what is missing is sent, and it is the same file."""
    stack = store.stack
    opened(page, stack)
    original = sample(f"closed by {by}.bin", 5 * PART_BYTES)
    with held(page, stack, 2, 4):
        choose(page, original)
        wait_for(page, lambda: {1, 3, 5} <= {*traffic.parts})
        identity = row(page, original.name).get_attribute("data-id")
        page.close()

    page = page.context.new_page()
    later = Traffic(page)
    opened(page, stack, original.name)
    unfinished = page.locator(f"[data-id='{identity}']")
    expect(unfinished).to_contain_text("choose the same file again in the browser that began it")
    assert accessible(page) == []
    if by == "choosing it anew":
        choose(page, original)
    else:
        unfinished.get_by_label(f"Choose {original.name} again to go on").set_input_files(original)
    expect(unfinished).to_have_attribute("data-verified", "true")
    expect(unfinished).to_have_attribute("data-state", "ready")
    assert stored(stack, original.name)["digests"]["sha-256"] == sha256(original)
    assert sorted(traffic.parts) == [1, 3, 5]
    # What was held back when the tab was closed may still arrive: the browser lets go of it.
    assert {*later.parts} <= {2, 4}
    assert len(later.parts) == len({*later.parts})


@thorough
@pytest.mark.usefixtures("store")
def test_another_file_does_not_go_on(
    page: Page, traffic: Traffic, stack: Stack, sample: Callable[[str, int], Path]
) -> None:
    """Whoever chooses another file to go on with is told so at the row, and nothing of it is sent."""
    opened(page, stack)
    original, other = sample("original.bin", 2 * PART_BYTES), sample("other.bin", 2 * PART_BYTES)
    with held(page, stack, 2):
        choose(page, original)
        wait_for(page, lambda: 1 in traffic.parts)
        page.reload()
    unfinished = row(page, original.name)
    unfinished.get_by_label("again to go on").set_input_files(other)
    expect(unfinished.get_by_role("alert")).to_contain_text("is not the file that this upload began with")
    assert taken(page, traffic, 1)
    assert accessible(page) == []
    unfinished.get_by_role("button", name="Cancel the upload").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel upload").click()
    expect(row(page, original.name)).to_have_count(0)
    assert stored(stack, original.name)["status"] == "aborted"


@thorough
@pytest.mark.usefixtures("store")
def test_what_cannot_succeed_is_not_tried_again(page: Page, stack: Stack, sample: Callable[[str, int], Path]) -> None:
    """A name that the server refuses is told in words, without a button that could not help; it can be taken away."""
    opened(page, stack)
    choose(page, sample("invoice\u202egpj.exe", 10))
    refused = page.locator("[data-row][data-state=failed]")
    expect(refused.get_by_role("alert")).to_contain_text("Rename the file and choose it again.")
    expect(refused.get_by_role("button", name="Try again")).to_have_count(0)
    refused.get_by_role("button", name="Cancel the upload").click()
    expect(refused).to_have_count(0)


@thorough
def test_failed_file_says_why(page: Page, stack: Stack, store: Store) -> None:
    """A file whose bytes are not those that were declared says so; its details have both values, and no download."""
    file = store.begin("promised.bin")
    (part,) = file["parts"]
    assert httpx.put(part["url"], content=b"abc", headers=part["headers"], **PATIENT).is_success
    store.api.post(f"/files/{file['id']}/complete", json={"digests": {"sha-256": "0" * 64}})
    opened(page, stack, "promised.bin")
    failed = row(page, "promised.bin")
    expect(failed).to_contain_text(
        "The bytes that arrived are not those that its sender declared. Send the file again."
    )
    expect(failed.get_by_role("button", name="Download")).to_have_count(0)
    panel = details(page, "promised.bin")
    expect(panel).to_contain_text("0" * 64)
    expect(panel).to_contain_text(hashlib.sha256(b"abc").hexdigest())
    expect(panel.get_by_role("button", name="Download")).to_have_count(0)
    assert accessible(page) == []


@thorough
def test_large_file_comes_from_s3(page: Page, traffic: Traffic, stack: Stack, store: Store, tmp_path: Path) -> None:
    """What Lambda would send slowly is downloaded from S3 itself; what is small, from the stream host."""
    large, small = tmp_path / "large.bin", b"small"
    large.write_bytes(b"x" * 7_000_000)
    store.put("small.txt", small)
    opened(page, stack, "small.txt")
    choose(page, large)
    expect(row(page, "large.bin")).to_have_attribute("data-state", "ready")
    for name, content, direct in (("large.bin", large.read_bytes(), True), ("small.txt", small, False)):
        before = len(traffic.urls)
        with page.expect_download() as download:
            row(page, name).get_by_role("button", name=f"Download {name}").click()
        assert download.value.suggested_filename == name
        assert Path(download.value.path()).read_bytes() == content
        assert any("direct=1" in url for url in traffic.urls[before:]) is direct


@thorough
def test_refused_download_leaves_the_page(page: Page, stack: Stack, store: Store) -> None:
    """A download that the stream host refuses is explained at its row, and the page stays."""
    store.put("refused.txt")
    opened(page, stack, "refused.txt")
    said = {"code": "object_missing", "detail": "The object is gone from the bucket."}
    page.route(f"{stack.stream}/**/content?*", lambda route: route.fulfill(status=410, json=said, headers=CORS))
    refused = row(page, "refused.txt")
    refused.get_by_role("button", name="Download").click()
    expect(refused.get_by_role("alert")).to_be_visible()
    assert page.url.startswith(stack.api)


def test_folders_open_and_close(page: Page, stack: Stack, store: Store) -> None:
    """A folder says how many files it has, how large and how they are; it opens in place, or as a page of its own."""
    for name in ("1.txt", "2.txt"):
        store.put(name, folder="trip/day one")
    store.put("plan.txt", folder="trip")
    store.put("alone.txt")
    opened(page, stack, "alone.txt")
    folder = page.locator("[data-folder='trip']")
    expect(folder).to_contain_text("3 files · 21 bytes")
    expect(folder).to_contain_text("All verified")
    expect(folder).to_have_attribute("aria-expanded", "false")
    folder.get_by_role("button", name="Open trip here").click()
    assert names(page) == ["alone.txt", "trip", "plan.txt", "day one"]
    assert accessible(page) == []
    page.locator("[data-folder='trip/day one']").get_by_role("button", name="day one", exact=True).click()
    expect(row(page, "alone.txt")).to_have_count(0)
    assert names(page) == ["2.txt", "1.txt"]
    assert "folder=trip%2Fday+one" in page.url
    page.reload()
    expect(row(page, "2.txt")).to_be_visible()
    page.get_by_role("navigation", name="Folder").get_by_role("button", name="trip").click()
    expect(row(page, "plan.txt")).to_be_visible()
    page.go_back()
    expect(row(page, "plan.txt")).to_have_count(0)
    page.get_by_role("button", name="All files").click()
    expect(row(page, "alone.txt")).to_be_visible()


def test_search_sort_and_filter(page: Page, stack: Stack, store: Store) -> None:
    """A part of a name finds files in any folder; they are sorted by age, name or size, and filtered by their state."""
    store.put("file 10.txt", b"1" * 10)
    store.put("File 9.txt", b"1" * 30, folder="deep/down")
    store.put("other.txt", b"1" * 20)
    store.begin("file 11.txt")
    opened(page, stack, "other.txt")
    search = page.get_by_role("searchbox", name="Search by name")
    search.fill("FILE 1")
    expect(page.locator("[data-row]")).to_have_count(2)
    assert names(page) == ["file 11.txt", "file 10.txt"]
    assert "q=FILE+1" in page.url
    search.fill("file")
    expect(page.locator("[data-row]")).to_have_count(3)
    expect(row(page, "File 9.txt")).to_contain_text("deep/down/")
    page.get_by_label("Sort").select_option("By name")
    assert names(page) == ["File 9.txt", "file 10.txt", "file 11.txt"]
    page.get_by_label("Sort").select_option("Largest first")
    assert names(page) == ["File 9.txt", "file 10.txt", "file 11.txt"]
    page.get_by_label("Show").select_option("Sending or verifying")
    expect(page.locator("[data-row]")).to_have_count(1)
    search.fill("nothing has this name")
    expect(page.get_by_role("heading", name="No file matches")).to_be_visible()
    assert accessible(page) == []
    page.get_by_role("button", name="Show all files").click()
    expect(page.locator("[data-row]")).to_have_count(4)
    expect(search).to_have_value("")


@thorough
def test_search_asks_the_server_for_what_is_not_here(page: Page, stack: Stack, store: Store) -> None:
    """While not all files are known, the server is asked for a name, and what it finds is shown."""
    old = store.put("old and sought.txt")
    first = store.api.get("/files?limit=100").json()
    page.route(
        re.compile(r"/files\?limit=100$"),
        lambda route: route.fulfill(json={**first, "items": [], "next": "not yet"}),
    )
    page.route(re.compile("cursor=not\\+yet"), lambda route: route.abort())
    opened(page, stack)
    page.get_by_role("searchbox").fill("sought")
    expect(page.locator(f"[data-id='{old['id']}']")).to_be_visible()


@thorough
def test_which_drop_a_file_came_through(page: Page, stack: Stack, store: Store) -> None:
    """A guest's file says by which drop it came, and the list can show this drop's files alone."""
    wanted = {"max_files": 2, "expires_in": 3600, "title": "Holiday photos"}
    drop = store.api.post("/drops", json=wanted).json()
    guest = {"Authorization": f"Bearer {drop['capability']}"}
    promise = {"filename": "by a guest.jpg", "size": 3}
    file = httpx.post(f"{stack.api}/files", json=promise, headers=guest, **PATIENT).json()
    store.put("mine.txt")
    opened(page, stack, "mine.txt", "by a guest.jpg")
    expect(row(page, "by a guest.jpg")).to_contain_text("through “Holiday photos”")
    page.get_by_label("Came through").select_option("through “Holiday photos”")
    expect(row(page, "mine.txt")).to_have_count(0)
    assert f"in={drop['id']}" in page.url
    panel = details(page, file["filename"])
    expect(panel.get_by_role("button", name="through “Holiday photos”")).to_be_visible()


def test_keyboard_moves_selects_and_opens(page: Page, stack: Stack, store: Store) -> None:
    """Arrows move, Home and End go to the ends, Space selects, Enter opens; the focus is always somewhere."""
    for number in range(5):
        store.put(f"{number}.txt")
    store.put("in a folder.txt", folder="folder")
    opened(page, stack, "0.txt", "folder")
    page.get_by_label("6 files").focus()
    page.keyboard.press("Tab")

    def focused() -> str:
        return str(page.evaluate("document.activeElement.querySelector('.name')?.textContent ?? ''"))

    assert focused() == "folder"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator("[data-row]:focus")).to_contain_text("in a folder.txt")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-row]:focus")).to_contain_text("folder")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-folder=folder]")).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("End")
    expect(page.locator("[data-row]:focus")).to_contain_text("0.txt")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Shift+ArrowUp")
    expect(page.get_by_text("3 selected")).to_be_visible()
    expect(page.locator("[data-row]:focus")).to_contain_text("2.txt")
    page.keyboard.press("Escape")
    expect(page.get_by_text("3 selected")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.locator(".detail h2")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("[data-row]:focus")).to_contain_text("2.txt")
    page.keyboard.press("Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row(page, "2.txt")).to_have_count(0)
    expect(page.locator("[data-row]:focus")).to_contain_text("1.txt")
    page.keyboard.press("Home")
    expect(page.locator("[data-row]:focus")).to_contain_text("folder")


@thorough
def test_10_000_files_scroll(page: Page, stack: Stack, store: Store) -> None:
    """Only what is seen is in the document; the focus stays where it is, however far the list is scrolled away."""
    template = store.put("template")
    store.api.delete(f"/files/{template['id']}").raise_for_status()
    ids = [f"{template['id'][:-5]}{number:05}" for number in range(10_000)]
    items = [{**template, "id": identity, "filename": f"file {identity[-5:]}"} for identity in reversed(ids)]

    def listed(route: Route) -> None:
        links = route.fetch().json()["links"]
        route.fulfill(json={"items": items[:100], "next": "those behind", "links": links})

    def exported(route: Route) -> None:
        route.fulfill(body="".join(f"{json.dumps(item)}\n" for item in items[100:]), headers=CORS)

    page.route(re.compile(r"/files\?limit=100"), listed)
    page.route(re.compile(r"/files\.jsonl\?"), exported)
    opened(page, stack, "file 09999")
    expect(page.get_by_role("treegrid")).to_have_attribute("aria-rowcount", "10000")
    assert page.locator("[data-row]").count() < 60
    row(page, "file 09999").focus()
    page.mouse.wheel(0, 300_000)
    expect(page.locator("[data-row][aria-rowindex='5350']")).to_be_visible()
    assert page.locator("[data-row]").count() < 60
    expect(page.locator("[data-row]:focus")).to_have_attribute("aria-rowindex", "1")
    page.keyboard.press("ArrowDown")
    expect(row(page, "file 09998")).to_be_in_viewport()
    expect(row(page, "file 09998")).to_be_focused()
    page.keyboard.press("End")
    expect(row(page, "file 00000")).to_be_focused()
    expect(row(page, "file 00000")).to_be_in_viewport()
    assert accessible(page) == []


def test_many_are_downloaded_as_one_zip(page: Page, stack: Stack, store: Store) -> None:
    """The selected files come as one ZIP; what is not ready is left out, and said."""
    bodies = {f"{number}.txt": str(number).encode() for number in range(3)}
    for name, body in bodies.items():
        store.put(name, body)
    store.begin("not there yet.txt")
    opened(page, stack, *bodies)
    page.get_by_label("4 files").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as ZIP").click()
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == bodies
    expect(page.get_by_text("1 file is not ready, so it is not in the ZIP.")).to_be_visible()
    assert accessible(page) == []


@thorough
def test_large_zip_is_waited_for(page: Page, stack: Stack, store: Store) -> None:
    """One that has to be put together first says how far it is, and can be left."""
    store.put("one.txt")
    opened(page, stack, "one.txt")

    def building(route: Route) -> None:
        answered = route.fetch()
        route.fulfill(json={**answered.json(), "status": "building", "size": 100, "built_bytes": 40})

    page.route(re.compile("/archives"), building)
    page.get_by_label("Select one.txt").click()
    page.get_by_role("button", name="Download as ZIP").click()
    expect(page.get_by_text("The ZIP is being put together: 40%")).to_be_visible()
    assert accessible(page) == []
    page.get_by_role("button", name="Do not wait").click()
    expect(page.get_by_role("button", name="Download as ZIP")).to_be_visible()
    page.get_by_role("button", name="Download as ZIP").click()
    expect(page.get_by_text("40%")).to_be_visible()
    page.unroute(re.compile("/archives"))
    with page.expect_download():
        pass


@thorough
def test_sums_are_as_sha256sum_reads_them(page: Page, stack: Stack, store: Store, tmp_path: Path) -> None:
    """What is copied is what `sha256sum -c` takes, and how many were left out is said."""
    files = {"plain.txt": b"1", "-": b"2", "folder/ünï 🧜🏽‍♀️.txt": b"3"}
    for path, body in files.items():
        folder, _, name = path.rpartition("/")
        store.put(name, body, folder=folder or None)
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(body)
    store.begin("unfinished.txt")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened(page, stack, "plain.txt")
    page.get_by_label("4 files").click()
    page.get_by_role("button", name="Copy sha256sum list").click()
    said = "Copied 3 lines. 1 file was left out: it is not ready, or has no SHA-256."
    expect(page.locator(".bulk").get_by_text(said)).to_be_visible()
    text = page.evaluate("navigator.clipboard.readText()")
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict"], cwd=tmp_path, input=text, capture_output=True, text=True, check=True
    )
    assert checked.stdout.count(": OK") == 3


def test_a_range_is_deleted_with_the_true_number(page: Page, stack: Stack, store: Store) -> None:
    """Shift and a click select a range; the question says how many, and the answer deletes just them."""
    for number in range(6):
        store.put(f"{number}.txt")
    opened(page, stack, "0.txt")
    page.get_by_label("Select 1.txt").click()
    page.get_by_label("Select 4.txt").click(modifiers=["Shift"])
    expect(page.get_by_text("4 selected")).to_be_visible()
    page.locator(".bulk").get_by_role("button", name="Delete").click()
    question = page.get_by_role("dialog", name="Delete 4 files for good?")
    expect(question.get_by_role("button", name="Keep them")).to_be_focused()
    assert accessible(page) == []
    question.get_by_role("button", name="Delete 4 files").click()
    expect(page.locator("[data-row]")).to_have_count(2)
    assert names(page) == ["5.txt", "0.txt"]
    expect(page.locator("[data-row]:focus")).to_have_count(1)


def test_details_of_a_file(page: Page, stack: Stack, store: Store) -> None:
    """Digests can be copied; name, folder, type, times and notes are there; a reload comes back to it."""
    file = store.put("report.txt", b"all was said", folder="2026")
    store.api.patch(f"/files/{file['id']}", json={"metadata": {"camera": "X100"}})
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened(page, stack, "2026")
    page.locator("[data-folder='2026'] .chevron").click()
    panel = details(page, "report.txt")
    for words in ("text/plain", "2026", "12 bytes", "camera", "X100", "Verified"):
        expect(panel).to_contain_text(words)
    expect(panel.get_by_role("region", name="Preview of report.txt")).to_have_text("all was said")
    expect(panel.locator(".digests dt").first).to_have_text("SHA-256")
    panel.get_by_role("button", name="Copy SHA-256").click()
    expect(said(page).filter(has_text="SHA-256 copied")).to_be_attached()
    assert page.evaluate("navigator.clipboard.readText()") == hashlib.sha256(b"all was said").hexdigest()
    assert accessible(page) == []
    page.reload()
    expect(page.locator(".detail").get_by_role("heading", name="report.txt")).to_be_visible()
    page.locator(".detail").get_by_role("button", name="Close details").click()
    expect(page.locator(".detail")).to_have_count(0)


@thorough
def test_rename_and_move(page: Page, stack: Stack, store: Store) -> None:
    """A file is renamed and moved in its details; a name that cannot be is explained beside the form."""
    file = store.put("old.txt")
    opened(page, stack, "old.txt")
    panel = details(page, "old.txt")
    panel.get_by_role("button", name="Rename or move").click()
    expect(panel.get_by_label("Name")).to_be_focused()
    panel.get_by_label("Name").fill("a/b")
    panel.get_by_role("button", name="Save").click()
    expect(panel.get_by_role("alert").filter(has_text=re.compile("."))).to_be_visible()
    assert accessible(page) == []
    panel.get_by_label("Name").fill("new.txt")
    panel.get_by_label("Folder").fill("/there/")
    panel.get_by_role("button", name="Save").click()
    expect(panel.get_by_role("heading", name="new.txt")).to_be_visible()
    expect(page.locator("[data-folder='there']")).to_be_visible()
    changed = store.api.get(f"/files/{file['id']}").json()
    assert (changed["filename"], changed["folder"]) == ("new.txt", "there")


@thorough
def test_what_is_typed_stays_when_the_width_changes(page: Page, stack: Stack, store: Store) -> None:
    """Who turns a tablet keeps the form that is open in the details, what is in it, and the place to type."""
    store.put("turned.txt")
    opened(page, stack, "turned.txt")
    panel = details(page, "turned.txt")
    panel.get_by_role("button", name="Rename or move").click()
    panel.get_by_label("Name").fill("other.txt")
    for width in (800, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        expect(page.locator(".detail:modal")).to_have_count(int(width < 1024))
        expect(panel.get_by_label("Name")).to_have_value("other.txt")
        expect(panel.get_by_label("Name")).to_be_focused()
        assert accessible(page) == []
    page.keyboard.type("2")
    panel.get_by_role("button", name="Save").click()
    expect(panel.get_by_role("heading", name="other.txt2")).to_be_visible()


@thorough
def test_a_file_that_is_gone_is_said(page: Page, stack: Stack, store: Store) -> None:
    """A link to the details of a file that was deleted says so, in the panel alone."""
    file = store.put("gone.txt")
    store.api.delete(f"/files/{file['id']}")
    sign_in(page, stack)
    page.goto(f"{stack.api}/#file={file['id']}")
    page.reload()
    expect(page.locator(".detail").get_by_role("alert")).not_to_be_empty()
    assert accessible(page) == []


@thorough
@pytest.mark.parametrize("element", ["img", "audio"])
def test_preview_is_inline_and_obeys_the_policy(
    element: str, page: Page, traffic: Traffic, stack: Stack, store: Store
) -> None:
    """Images and sound are shown by the stream host or the bucket, and the page's policy has nothing against it."""
    name = "dot.png" if element == "img" else "silence.wav"
    store.put(name, *((PIXEL, "image/png") if element == "img" else (silence(), "audio/wav")))
    opened(page, stack, name)
    shown = details(page, name).locator(element)
    expect(shown).to_have_attribute("src", re.compile("disposition=inline"))
    ready = "img => img.complete && img.naturalWidth === 1" if element == "img" else "audio => audio.readyState > 0"
    page.wait_for_function(ready, arg=shown.element_handle())
    assert accessible(page) == []
    assert not [told for told in traffic.complaints if "Content Security Policy" in told]


def another(store: Store, file: dict[str, Any], link: str) -> None:
    """Wait until the API would give another link than this one: those of one second are the same."""
    while store.api.get(f"/files/{file['id']}").json()["links"]["content"] in link:
        pass


@thorough
@pytest.mark.parametrize("element", ["img", "audio"])
def test_preview_whose_link_has_ended_goes_on_by_another(element: str, page: Page, stack: Stack, store: Store) -> None:
    """A link of hours ago is refused: the page asks for another one, and shows what it was asked for."""
    name = "later.png" if element == "img" else "later.wav"
    file = store.put(name, *((PIXEL, "image/png") if element == "img" else (silence(), "audio/wav")))
    refused: list[str] = []

    def refuse(route: Route) -> None:
        if refused:
            route.fallback()
            return
        refused.append(route.request.url)
        another(store, file, route.request.url)
        route.fulfill(status=403, json={"code": "expired_capability"})

    page.route("**/content?*", refuse)
    opened(page, stack, name)
    shown = details(page, name).locator(element)
    ready = "img => img.complete && img.naturalWidth === 1" if element == "img" else "audio => audio.readyState > 0"
    expect(shown).to_be_attached()
    page.wait_for_function(ready, arg=shown.element_handle())
    assert len(refused) == 1


@thorough
def test_links_of_open_details_are_renewed(page: Page, stack: Stack, store: Store) -> None:
    """Before they end, by the clock of the wall; what is shown is not loaded anew."""
    page.clock.install()
    file = store.put("open for hours.pdf", b"%PDF-1.4", "application/pdf")
    opened(page, stack, "open for hours.pdf")
    expect(row(page, "open for hours.pdf")).to_have_attribute("data-state", "ready")  # by another it has other links
    panel = details(page, "open for hours.pdf")
    link = panel.get_by_role("link", name="Open in a new tab")
    before = link.get_attribute("href") or ""
    source = page.evaluate("document.querySelector('.preview iframe')?.src")  # where the browser shows PDFs
    another(store, file, before)
    page.clock.set_system_time(datetime.now(UTC) + timedelta(hours=3))
    with page.expect_response(f"**/files/{file['id']}"):
        page.clock.run_for(31_000)
    expect(link).not_to_have_attribute("href", before)
    assert page.evaluate("document.querySelector('.preview iframe')?.src") == source


@thorough
def test_notes_are_added_changed_and_removed(page: Page, stack: Stack, store: Store) -> None:
    """By keyboard alone, with the limits said before they are broken, and each fault at its field."""
    file = store.put("noted.txt")
    page.set_viewport_size({"width": 360, "height": 740})
    opened(page, stack, "noted.txt")
    panel = details(page, "noted.txt")
    panel.get_by_role("button", name="Add a note").press("Enter")
    expect(panel.get_by_text("At most 20 notes, 2 KiB together.")).to_be_visible()
    first = panel.get_by_role("group", name="Note 1")
    expect(first.get_by_label("Name")).to_be_focused()
    page.keyboard.type("camera")
    page.keyboard.press("Tab")
    page.keyboard.type("X100")
    expect(panel.get_by_text("2,038 bytes are left.")).to_be_visible()
    panel.get_by_role("button", name="Add another").press("Enter")
    second = panel.get_by_role("group", name="Note 2")
    expect(second.get_by_label("Name")).to_be_focused()
    page.keyboard.type("camera")
    panel.get_by_role("button", name="Save").press("Enter")
    expect(second.get_by_text("Another note has this name.")).to_be_visible()
    expect(second.get_by_label("Name")).to_be_focused()
    expect(second.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    assert looks(page, 360) == []
    second.get_by_label("Name").fill("place")
    second.get_by_label("Text").fill("x" * 2_100)
    expect(panel.get_by_text("bytes more than can be kept")).to_be_visible()
    panel.get_by_role("button", name="Save").press("Enter")
    expect(second.get_by_label("Text")).to_be_focused()
    second.get_by_label("Text").fill("Kraków,\nin the evening")
    panel.get_by_role("button", name="Save").press("Enter")
    edit = panel.get_by_role("button", name="Edit notes")
    expect(edit).to_be_focused()
    assert stored(stack, "noted.txt")["metadata"] == {"camera": "X100", "place": "Kraków,\nin the evening"}
    edit.press("Enter")
    store.api.patch(f"/files/{file['id']}", json={"metadata": {**stored(stack, "noted.txt")["metadata"], "by": "API"}})
    panel.get_by_role("button", name="Remove note camera").press("Enter")
    expect(first.get_by_label("Name")).to_have_value("place")
    expect(first.get_by_label("Name")).to_be_focused()
    panel.get_by_role("button", name="Save").press("Enter")
    expect(edit).to_be_focused()
    expect(panel).not_to_contain_text("X100")
    assert stored(stack, "noted.txt")["metadata"] == {"place": "Kraków,\nin the evening", "by": "API"}
    assert looks(page, 360) == []


def silence() -> bytes:
    """A tenth of a second of it: https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html"""
    data = bytes(800)
    head = b"fmt " + (16).to_bytes(4, "little") + b"\1\0\1\0" + (8000).to_bytes(4, "little") * 2 + b"\1\0\x08\0"
    body = b"WAVE" + head + b"data" + len(data).to_bytes(4, "little") + data
    return b"RIFF" + len(body).to_bytes(4, "little") + body


@thorough
def test_scripts_are_not_shown(page: Page, traffic: Traffic, stack: Stack, store: Store) -> None:
    """An SVG has no preview, and HTML is shown as its source."""
    store.put(
        "picture.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "image/svg+xml"
    )
    store.put("page.html", b"<script>document.title = 'run'</script>", "text/html")
    opened(page, stack, "picture.svg")
    expect(details(page, "picture.svg").locator("figure")).to_have_count(0)
    panel = details(page, "page.html")
    expect(panel.locator("pre")).to_have_text("<script>document.title = 'run'</script>")
    assert "run" not in page.title()
    assert traffic.complaints == []


@thorough
def test_long_text_is_shown_by_its_beginning(page: Page, traffic: Traffic, stack: Stack, store: Store) -> None:
    """Of a long text the first 64 KiB are asked for, and no more."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.headers.get("range", "")))
    store.put("long.log", b"0123456789abcde\n" * 10_000)
    opened(page, stack, "long.log")
    panel = details(page, "long.log")
    expect(panel.locator("figcaption")).to_have_text("The first 64 KiB of 160 kB.")
    assert panel.locator("pre").evaluate("pre => pre.textContent.length") == 64 * 1024
    assert "bytes=0-65535" in asked
    assert traffic.complaints == []


def test_a_local_file_is_compared(page: Page, stack: Stack, store: Store, tmp_path: Path) -> None:
    """A local file is the recorded one or another one, with both digests and sizes; nothing of it is sent."""
    store.put("original.txt", b"the very bytes")
    same, other = tmp_path / "a copy.txt", tmp_path / "another.txt"
    same.write_bytes(b"the very bytes")
    other.write_bytes(b"other bytes" * 1_000_000)
    opened(page, stack, "original.txt")
    panel = details(page, "original.txt")
    expect(panel.locator("pre")).to_be_visible()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method != "GET" else None)
    panel.get_by_label("Choose a file to check").set_input_files(same)
    expect(panel.locator("[data-verdict=same]")).to_contain_text("This is the file")
    expect(said(page).filter(has_text="This is the file")).to_be_attached()
    panel.get_by_label("Choose a file to check").set_input_files(other)
    verdict = panel.locator("[data-verdict=other]")
    expect(verdict).to_contain_text("This is another file")
    for words in (sha256(same), sha256(other), "11 MB (11,000,000 bytes)", "14 bytes"):
        expect(verdict).to_contain_text(words)
    assert sent == []
    assert accessible(page) == []


@thorough
def test_a_file_that_is_dropped_to_be_compared_is_not_sent(page: Page, stack: Stack, store: Store) -> None:
    """What is dropped on the panel is compared, not sent, and no overlay stays over the page."""
    store.put("original.txt", b"dropped")
    opened(page, stack, "original.txt")
    panel = details(page, "original.txt")
    dropped = page.evaluate_handle(
        """() => {
            const transfer = new DataTransfer();
            transfer.items.add(new File(["dropped"], "copy.txt"));
            return transfer;
        }"""
    )
    for event in ("dragenter", "dragover", "drop"):
        panel.locator(".check-file").dispatch_event(event, {"dataTransfer": dropped})
    expect(panel.locator("[data-verdict=same]")).to_be_visible()
    expect(page.locator(".overlay")).to_have_count(0)
    expect(row(page, "copy.txt")).to_have_count(0)


@thorough
def test_list_in_german(browser: Browser, stack: Stack, store: Store) -> None:
    """Who reads German gets the list in German."""
    store.put("bericht.txt")
    context = browser.new_context(locale="de-DE")
    try:
        page = context.new_page()
        page.goto(stack.api)
        get_in(page, stack)
        expect(row(page, "bericht.txt")).to_contain_text("Geprüft")
        expect(page.get_by_role("searchbox", name="Nach Namen suchen")).to_be_visible()
    finally:
        context.close()


@thorough
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_phone_and_dark(
    width: int, scheme: Literal["light", "dark"], browser: Browser, stack: Stack, store: Store
) -> None:
    """On a phone and a desk, light and dark: nothing to scroll sideways, and enough contrast in every state."""
    context = browser.new_context(viewport={"width": width, "height": 740}, color_scheme=scheme)
    file = store.begin("failed.bin")
    (part,) = file["parts"]
    httpx.put(part["url"], content=b"abc", headers=part["headers"], **PATIENT).raise_for_status()
    store.api.post(f"/files/{file['id']}/complete", json={"digests": {"sha-256": "0" * 64}})
    store.begin("unfinished.bin", fingerprint=f"page:{uuid4().hex}")
    store.put("in a folder.txt", folder="a/b")
    store.put(LONG)
    try:
        page = context.new_page()
        opened(page, stack, LONG)
        states = [looks(page, width)]
        page.locator("[data-folder=a] .chevron").click()
        page.get_by_label(f"Select {LONG}").click()
        states.append(looks(page, width))
        panel = details(page, LONG)
        expect(panel.locator("pre")).to_be_visible()
        states.append(looks(page, width))
        panel.get_by_role("button", name="Rename or move").click()
        states.append(looks(page, width))
        panel.get_by_role("button", name="Close details").click()
        expect(page.locator("[data-row]:focus")).to_be_attached()
        page.locator(".bulk").get_by_role("button", name="Delete").click()
        states.append(looks(page, width))
    finally:
        context.close()
    assert states == [[]] * 5


@thorough
@pytest.mark.parametrize("count", [100, 500])
def test_height_of_the_list(count: int, page: Page, stack: Stack, store: Store) -> None:
    """A file takes 56 px, so that hundreds of them can be looked through."""
    template = store.put("template")
    items = [{**template, "id": f"{template['id'][:-3]}{number:03}"} for number in range(count)]
    answered: dict[str, Any] = {"items": items, "next": None, "links": {}}
    page.route(re.compile(r"/files\?limit=100"), lambda route: route.fulfill(json=answered))
    opened(page, stack)
    expect(page.get_by_role("treegrid")).to_have_attribute("aria-rowcount", str(count))
    assert page.evaluate("document.documentElement.scrollHeight") < 56 * count + 500
