"""A drop's page, as somebody sees it who was given the link: in a real browser, over the whole local stack."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Route, expect

from tests.browser.steps import (
    MIB,
    PART_BYTES,
    Traffic,
    accessible,
    choose,
    count_locks,
    held,
    looks,
    on_a_phone,
    row,
    said,
    sha256,
    stored,
    tab_to,
    taken,
    wait_for,
)
from tests.integration import journey
from tests.integration.conftest import Stack, thorough

Sample = Callable[[str, int], Path]
LONG = "a_name_without_a_single_space_that_is_longer_than_any_phone_is_wide.bin"


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    with journey.client(stack.api, stack.token) as owner:
        yield owner


def drop_of(api: httpx.Client, **wanted: Any) -> dict[str, Any]:
    drop: dict[str, Any] = (
        api.post("/drops", json={"max_files": 5, "expires_in": 3600} | wanted).raise_for_status().json()
    )
    return drop


def open_page(page: Page, drop: dict[str, Any]) -> None:
    page.goto(drop["links"]["page"])
    expect(page.get_by_label("Choose files")).to_be_attached()


def send(page: Page, *paths: Path) -> None:
    """Choosing is not sending, for a guest."""
    choose(page, *paths)
    page.get_by_role("button", name=re.compile("^Send [0-9]+ files?$")).click()


@contextmanager
def halfway(page: Page, stack: Stack, drop: dict[str, Any], original: Path) -> Iterator[Traffic]:
    """A guest's upload of two parts: S3 has the first, and is too busy for the second until the block ends."""
    traffic = Traffic(page)
    open_page(page, drop)
    with held(page, stack, 2):
        send(page, original)
        wait_for(page, lambda: 1 in traffic.parts)
        yield traffic


def staged(page: Page, name: str) -> Any:
    return page.locator("[data-staged]", has=page.get_by_text(name, exact=True))


def test_a_guest_only_sends(page: Page, stack: Stack, sample: Sample, api: httpx.Client) -> None:
    """A link with a capability lets a stranger send and resume: no list, no download, no deleting, no token."""
    drop = drop_of(api, max_files=2)
    traffic = Traffic(page)
    page.on("dialog", Dialog.accept)  # the browser asks before a tab goes that sends something
    open_page(page, drop)
    expect(page.get_by_role("heading", level=1)).to_have_text("Send files")
    expect(page.get_by_label("Access token")).to_have_count(0)
    original = sample("letter.pdf", 2 * PART_BYTES)
    with held(page, stack, 2):
        send(page, original)
        wait_for(page, lambda: 1 in traffic.parts)
        page.reload()
    expect(page.get_by_text("You began to send letter.pdf and did not finish.")).to_be_visible()
    send(page, original)
    sent = row(page, original.name)
    expect(sent).to_have_attribute("data-state", "ready")
    expect(sent).to_have_attribute("data-verified", "true")
    assert stored(stack, original.name)["digests"]["sha-256"] == sha256(original)
    for name in ("Download", "Delete"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    assert taken(page, traffic, 1, 2)
    assert accessible(page) == []
    assert not any(drop["capability"] in url for url in traffic.urls)
    page.get_by_role("button", name="Send more").click()
    send(page, sample("second.pdf", 10))
    expect(row(page, "second.pdf")).to_have_attribute("data-verified", "true")
    expect(page.get_by_text("You can close this page.")).to_be_visible()
    expect(page.get_by_role("button", name="Send more")).to_have_count(0)  # it is full
    page.reload()
    expect(page.get_by_text("did not finish")).to_have_count(0)


def test_the_rules_are_said_before_a_file_is_chosen(page: Page, api: httpx.Client) -> None:
    """What is wanted and by whom, what is accepted, how large, how many, and until when."""
    texts = {
        "title": "Photos of the <party>",
        "message": "The originals, please.\nThank you!",
        "owner_name": "Alice & Co",
    }
    rules = {"content_types": ["image/*", "application/pdf"], "max_file_bytes": 25_000_000, "max_files": 3}
    open_page(page, drop_of(api, **texts, **rules, expires_in=40 * 86_400))
    expect(page.get_by_role("heading", level=1)).to_have_text("Photos of the <party>")
    expect(page.get_by_text("For Alice & Co")).to_be_visible()
    expect(page.get_by_text("Thank you!")).to_be_visible()
    said = page.get_by_text("Images and PDF files, each at most 25 MB. 3 more files. Until ")
    expect(said).to_have_text(re.compile(r"Until \w{3} \d+, 20\d\d\.$"))
    expect(page).to_have_title(re.compile("^Photos of the <party> . Sluice$"))
    assert accessible(page) == []
    open_page(page, drop_of(api, max_files=1_000_000))
    expect(page.get_by_text(re.compile(r"^Files of any type of any size\. Until .*\d:\d\d"))).to_be_visible()


def test_a_file_that_breaks_a_rule_says_which(page: Page, api: httpx.Client, sample: Sample) -> None:
    """At once and at that file; nothing is sent of it, and the others go."""
    traffic = Traffic(page)
    drop = drop_of(api, max_files=2, content_types=["image/*"], max_file_bytes=MIB, owner_name="Alice")
    open_page(page, drop)
    names = ["one.png", "notes.txt", "huge.png", "two.png", "three.png"]
    sizes = [10, 10, MIB + 1, 10, 10]
    paths = [sample(name, size) for name, size in zip(names, sizes, strict=True)]
    choose(page, *paths)
    expect(staged(page, "notes.txt")).to_contain_text("only images are")
    expect(staged(page, "huge.png")).to_contain_text("Too large: this file is 1 MB, and at most 1 MB is accepted.")
    expect(staged(page, "three.png")).to_contain_text("No place left")
    expect(page.get_by_role("button", name="Send 2 files")).to_be_visible()
    assert accessible(page) == []
    page.get_by_role("button", name="Remove one.png").click()
    expect(staged(page, "three.png")).to_have_attribute("data-staged", "good")
    choose(page, paths[3])
    assert not any(url.endswith("/files") for url in traffic.urls)
    page.get_by_role("button", name="Send 2 files").click()
    expect(page.get_by_text("Alice has 2 files from you. All of them are verified")).to_be_visible()
    sent = api.get("/files", params={"drop": drop["id"]}).json()["items"]
    assert {file["filename"] for file in sent} == {"two.png", "three.png"}


@thorough
def test_a_guest_sees_how_far_the_batch_is(page: Page, stack: Stack, api: httpx.Client, sample: Sample) -> None:
    """As an owner does: files, bytes, speed and time left, also in the tab's title, and one button to pause all."""
    traffic = Traffic(page)
    open_page(page, drop_of(api, title="Originals"))
    strip = page.locator("[data-batch]")
    with held(page, stack, 3):
        send(page, sample("small.bin", 10), sample("large.bin", 3 * PART_BYTES))
        expect(strip).to_contain_text(re.compile(r"1 of 2 files .* of 25\.2 MB · .*B/s · .* left"))
        wait_for(page, lambda: {1, 2} <= set(traffic.parts))
        expect(page).to_have_title("66% · Originals · Sluice")
        assert accessible(page) == []
        page.get_by_role("button", name="Pause all").click()
        expect(row(page, "large.bin")).to_have_attribute("data-state", "paused")
        expect(strip).to_contain_text("Paused")
    page.get_by_role("button", name="Resume all").click()
    expect(page.get_by_text("2 files have arrived. All of them are verified")).to_be_visible()
    expect(strip).to_have_count(0)
    expect(page).to_have_title("Originals · Sluice")


@thorough
def test_thousands_of_files_are_chosen_by_a_guest(page: Page, api: httpx.Client) -> None:
    """Only the rows that are seen are in the document, each in its place; the others come by scrolling."""
    count = 3_000
    open_page(page, drop_of(api, max_files=count - 1, max_file_bytes=1, title="Many"))
    rows = page.locator("[data-staged]")
    page.evaluate(
        """count => {
            const transfer = new DataTransfer();
            for (let n = 0; n < count; n++) transfer.items.add(new File([n === 1 ? "xx" : "x"], `${n}.txt`));
            const input = document.querySelector("input[type=file]");
            input.files = transfer.files;
            input.dispatchEvent(new Event("change", { bubbles: true }));
        }""",
        count,
    )
    expect(page.get_by_role("button", name=f"Send {count - 1:,} files")).to_be_visible()
    expect(staged(page, "1.txt")).to_contain_text("Too large")
    assert rows.count() < 60
    expect(rows.first).to_have_attribute("aria-setsize", str(count))
    tops = "rows => rows.map(row => row.getBoundingClientRect()).map(({ top, bottom }) => [top, bottom])"
    page.wait_for_function(
        f"""() => {{
            const places = ({tops})([...document.querySelectorAll("[data-staged]")]);
            return places.every(([top], index) => index === 0 || Math.abs(top - places[index - 1][1]) < 1);
        }}"""
    )
    tab_to(page, "Remove 0.txt")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(staged(page, f"{count - 1}.txt")).to_be_visible()
    assert rows.count() < 60
    expect(page.get_by_role("button", name="Remove 0.txt")).to_be_focused()  # what has the focus stays
    page.keyboard.press("Enter")
    # The focus goes to the row that took its place, and the page with it.
    expect(staged(page, "1.txt")).to_have_attribute("aria-setsize", str(count - 1))
    page.get_by_role("button", name=f"Send {count - 2:,} files").click()
    page.get_by_role("button", name="Pause all").click()
    expect(page.get_by_role("heading", name=re.compile("^Sending [0-9,]+ files$"))).to_be_visible()
    assert page.locator("[data-row]").count() < 60


@thorough
def test_the_same_file_twice_is_noticed(page: Page, api: httpx.Client, sample: Sample) -> None:
    """Before it is sent, and after."""
    open_page(page, drop_of(api))
    original = sample("twice.txt", 10)
    choose(page, original)
    choose(page, original)
    expect(page.get_by_text("1 file is on the list already.")).to_be_visible()
    expect(page.locator("[data-staged]")).to_have_count(1)
    page.get_by_role("button", name="Send 1 file").click()
    page.get_by_role("button", name="Send more").click()
    choose(page, original)
    expect(page.get_by_text("1 file is on the list already.")).to_be_visible()


def test_a_link_that_takes_nothing_says_so_at_once(page: Page, stack: Stack, api: httpx.Client) -> None:
    """Full, ended, and not whole: in words of what to do, and nothing to choose files with."""
    full = drop_of(api, max_files=1, title="Full one")
    with journey.client(stack.api, full["capability"]) as other:
        journey.create(other, 1)
    ended = drop_of(api)
    api.delete(f"/drops/{ended['id']}").raise_for_status()
    over = drop_of(api, expires_in=1)
    head, _, signature = ended["capability"].split(".")
    strange = ".".join([head, over["capability"].split(".")[1], signature])  # as of a stack that is gone
    pages = {
        full["links"]["page"]: "has taken as many files",
        ended["links"]["page"]: "This link has ended",
        over["links"]["page"]: "This link has ended",
        f"{stack.api}/#drop={ended['capability'][:-3]}": "exactly as you received it",
        f"{stack.api}/#drop={strange}": "exactly as you received it",
        f"{stack.api}/#drop=nonsense": "exactly as you received it",
        f"{stack.api}/#drop=": "exactly as you received it",
    }
    for url, words in pages.items():
        page.goto("about:blank")
        page.goto(url)
        expect(page.get_by_text(words)).to_be_visible()
        expect(page.get_by_label("Choose files")).to_have_count(0)
        expect(page.get_by_label("Access token")).to_have_count(0)
        assert accessible(page) == []


@thorough
def test_an_upload_that_took_the_last_place_goes_on(
    page: Page, context: BrowserContext, stack: Stack, api: httpx.Client, sample: Sample
) -> None:
    """The drop is full by it, so its sender alone is offered a chooser, in another tab and on another day."""
    drop = drop_of(api, max_files=1)
    original = sample("last.bin", 2 * PART_BYTES)
    with halfway(page, stack, drop, original):
        page.close()
    back = context.new_page()
    again = Traffic(back)
    open_page(back, drop)
    expect(back.get_by_text("You began to send last.bin and did not finish.")).to_be_visible()
    choose(back, sample("another.bin", 10))
    expect(staged(back, "another.bin")).to_contain_text("No place left")
    choose(back, original)
    expect(staged(back, "last.bin")).to_contain_text("Continues where it stopped")
    back.get_by_role("button", name="Send 1 file").click()
    expect(row(back, "last.bin")).to_have_attribute("data-verified", "true")
    assert again.parts == [2]
    expect(back.get_by_text("1 file has arrived. It is verified")).to_be_visible()


@thorough
def test_what_fails_says_why_at_its_file(page: Page, stack: Stack, api: httpx.Client, sample: Sample) -> None:
    """With a button where that helps: not where the drop has ended or somebody else took its last place."""
    drop = drop_of(api, max_files=2)
    open_page(page, drop)
    spoilt: list[int] = []

    def no_room(route: Route) -> None:
        if route.request.method == "POST" and not spoilt:
            spoilt.append(1)
            route.fulfill(status=403, json={"code": "quota_exceeded", "status": 403, "title": "", "detail": ""})
        else:
            route.continue_()

    page.route(f"{stack.api}/files", no_room)
    send(page, sample("first.txt", 10))
    failed = row(page, "first.txt")
    expect(failed).to_have_attribute("data-state", "failed")
    expect(failed.get_by_role("alert")).to_contain_text("no storage left")
    assert accessible(page) == []
    failed.get_by_role("button", name="Try again: first.txt").click()
    expect(failed).to_have_attribute("data-verified", "true")
    page.get_by_role("button", name="Send more").click()
    choose(page, sample("second.txt", 10))
    with journey.client(stack.api, drop["capability"]) as other:
        journey.create(other, 1)
    page.get_by_role("button", name="Send 1 file").click()
    late = row(page, "second.txt")
    expect(late.get_by_role("alert")).to_contain_text("as many files as it takes")
    expect(late.get_by_role("button", name="Try again: second.txt")).to_have_count(0)
    expect(page.get_by_text("1 file did not arrive.")).to_be_visible()


@thorough
def test_a_drop_that_ends_meanwhile_says_so(page: Page, api: httpx.Client, sample: Sample) -> None:
    """Between the choice and the sending."""
    drop = drop_of(api)
    open_page(page, drop)
    choose(page, sample("late.txt", 10))
    api.delete(f"/drops/{drop['id']}").raise_for_status()
    page.get_by_role("button", name="Send 1 file").click()
    late = row(page, "late.txt")
    expect(late.get_by_role("alert")).to_contain_text("This link has ended")
    expect(late.get_by_role("button", name="Try again: late.txt")).to_have_count(0)


@thorough
def test_a_drop_that_ends_while_a_part_is_sent_says_so(
    page: Page, stack: Stack, api: httpx.Client, sample: Sample
) -> None:
    """What is on its way goes no further, and the page says that it is the link and not the connection."""
    drop = drop_of(api)
    with halfway(page, stack, drop, sample("halfway.bin", 2 * PART_BYTES)):
        api.delete(f"/drops/{drop['id']}").raise_for_status()
    late = row(page, "halfway.bin")
    expect(late.get_by_role("alert")).to_contain_text("This link has ended")
    expect(late.get_by_role("button", name="Try again: halfway.bin")).to_have_count(0)
    assert accessible(page) == []


@thorough
def test_an_upload_is_paused_and_cancelled(page: Page, stack: Stack, api: httpx.Client, sample: Sample) -> None:
    """A pause loses nothing; cancelling asks first, and gives the upload up."""
    drop = drop_of(api)
    with halfway(page, stack, drop, sample("large.bin", 2 * PART_BYTES)) as traffic:
        page.get_by_role("button", name="Pause large.bin").click()
        expect(row(page, "large.bin")).to_have_attribute("data-state", "paused")
    page.get_by_role("button", name="Resume large.bin").click()
    expect(row(page, "large.bin")).to_have_attribute("data-verified", "true")
    assert taken(page, traffic, 1, 2)
    page.get_by_role("button", name="Send more").click()
    with held(page, stack, 2):
        send(page, sample("unwanted.bin", 2 * PART_BYTES))
        page.get_by_role("button", name="Cancel unwanted.bin").click()
        with page.expect_response(lambda response: response.request.method == "DELETE"):
            page.get_by_role("dialog").get_by_role("button", name="Cancel", exact=True).click()
        expect(row(page, "unwanted.bin")).to_have_count(0)
    expect(page.get_by_text("You can close this page.")).to_be_visible()
    statuses = {file["filename"]: file["status"] for file in api.get(f"/files?drop={drop['id']}").json()["items"]}
    assert statuses.get("unwanted.bin", "aborted") == "aborted"


@thorough
def test_the_screen_stays_on_while_a_guest_sends(
    page: Page, stack: Stack, context: BrowserContext, api: httpx.Client, sample: Sample
) -> None:
    """A phone that falls asleep stops sending, whoever holds it."""
    count_locks(context)
    open_page(page, drop_of(api))
    with held(page, stack, 2):
        send(page, sample("awake.bin", 2 * PART_BYTES))
        page.wait_for_function("window.locks.length === 1 && !window.locks[0].released")
    expect(row(page, "awake.bin")).to_have_attribute("data-verified", "true")
    page.wait_for_function("window.locks[0].released")


@thorough
def test_what_the_owner_cancels_is_cancelled_here_and_said(
    page: Page, stack: Stack, api: httpx.Client, sample: Sample
) -> None:
    """A guest's upload that its owner gives up goes from the page, which says why."""
    drop = drop_of(api)
    with halfway(page, stack, drop, sample("unwanted.bin", 2 * PART_BYTES)):
        (begun,) = api.get(f"/files?drop={drop['id']}").json()["items"]
        api.delete(f"/files/{begun['id']}").raise_for_status()
    expect(page.get_by_text("unwanted.bin was cancelled elsewhere.")).to_be_visible()
    expect(row(page, "unwanted.bin")).to_have_count(0)


@thorough
def test_keyboard_alone_is_enough(page: Page, api: httpx.Client, sample: Sample) -> None:
    """From the choice to the thanks, where the focus goes by itself and a screen reader is told."""
    original = sample("by keyboard.txt", 1000)
    open_page(page, drop_of(api))
    choose(page, original)
    tab_to(page, "Send 1 file")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Thank you")).to_be_focused()
    expect(said(page)).to_have_text("Done. 1 file has arrived.")
    tab_to(page, "Send more")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement !== document.body")
    choose(page, sample("removed.txt", 10))
    tab_to(page, "Remove removed.txt")
    page.keyboard.press("Enter")
    expect(page.locator("[data-staged]")).to_have_count(0)
    assert page.evaluate("document.activeElement !== document.body")


@thorough
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(browser: Browser, api: httpx.Client, stack: Stack, scheme: str, sample: Sample) -> None:
    """Nothing to scroll sideways, and enough contrast in every state, in German as well."""
    texts = {"title": "x" * 200, "message": "y" * 500, "owner_name": "z" * 100}
    drop = drop_of(api, **texts, max_file_bytes=20 * MIB)
    with on_a_phone(browser, scheme, "de") as page:
        traffic = Traffic(page)
        page.goto(drop["links"]["page"])
        field = page.locator("input[type=file]").first
        expect(field).to_be_attached()
        states = [looks(page, 360)]
        field.set_input_files([sample(LONG, 2 * PART_BYTES), sample("zu_gross.bin", 20 * MIB + 1)])
        expect(page.get_by_text("Zu groß: Diese Datei hat 21 MB")).to_be_visible()
        states.append(looks(page, 360))
        with held(page, stack, 2):
            page.get_by_role("button", name="1 Datei schicken").click()
            wait_for(page, lambda: 1 in traffic.parts)
            states.append(looks(page, 360))
        expect(page.get_by_role("heading", name="Danke")).to_be_visible()
        states.append(looks(page, 360))
    assert states == [[]] * 4
