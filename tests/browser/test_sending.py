"""What is sent from the page: in a real browser, over the whole local stack."""

import hashlib
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Locator, Page, Request, Route, expect

from tests.browser.conftest import Pages
from tests.browser.steps import (
    CORS,
    MIB,
    PART_BYTES,
    PATIENCE_SECONDS,
    PATIENT,
    Traffic,
    accessible,
    answer,
    bearer,
    by_token,
    choose,
    count_locks,
    flip_a_bit,
    held,
    looks,
    part_number,
    reads,
    refused,
    row,
    sha256,
    sign_in,
    stored,
    taken,
    through,
    wait_for,
    worker,
)
from tests.integration import proxy
from tests.integration.conftest import Stack, thorough

Sample = Callable[[str, int], Path]


def state(page: Page, name: str, wanted: str) -> Locator:
    """The row of this file, once it is in this state."""
    found = row(page, name)
    expect(found).to_have_attribute("data-state", wanted)
    return found


def verified(page: Page, name: str) -> None:
    expect(state(page, name, "ready")).to_have_attribute("data-verified", "true")


def press(page: Page, action: str, name: str) -> None:
    """The button of this file whose name begins with what it does."""
    row(page, name).get_by_role("button", name=re.compile(f"^{action}")).click()


def batch(page: Page) -> Locator:
    """How far all of it is."""
    return page.locator("[data-batch]")


def files_of(page: Page, folder: Path) -> None:
    page.get_by_label("Choose a folder").set_input_files(folder)


# ---------------------------------------------------------------- from here to S3


def test_file_is_sent_and_verified(traffic: Traffic, signed_in: Page, stack: Stack, sample: Sample) -> None:
    """A file of three parts ends as verified with the right digest; nobody else was asked, no rule broken."""
    original = sample("holiday in Kraków.mov", 20_000_000)
    choose(signed_in, original)
    verified(signed_in, original.name)
    assert taken(signed_in, traffic, 1, 2, 3)
    assert stored(stack, original.name)["digests"]["sha-256"] == sha256(original)
    assert accessible(signed_in) == []
    assert traffic.origins() == {stack.api, stack.stream, stack.aws}
    assert traffic.complaints == []


def test_many_files_at_once(signed_in: Page, stack: Stack, sample: Sample) -> None:
    """An empty file, small ones and names that need care all arrive."""
    names = ["empty", "“quoted” & 😀.txt", "no type", "a+b %20.bin", "50% #1; a.txt", "a..b", "ünïcödé.txt"]
    files = [sample(name, 10 * number) for number, name in enumerate(names)]
    choose(signed_in, *files)
    for file in files:
        verified(signed_in, file.name)
        assert stored(stack, file.name)["digests"]["sha-256"] == sha256(file)


def test_small_file_is_one_request(signed_in: Page, stack: Stack, sample: Sample) -> None:
    """A small file is stored and verified by a single request, and its type is kept."""
    original = sample("note.txt", 1000)
    asked: list[Request] = []
    signed_in.on("request", lambda request: asked.append(request) if request.method != "GET" else None)
    choose(signed_in, original)
    verified(signed_in, original.name)
    assert [(request.method, urlsplit(request.url).path) for request in asked if "/events" not in request.url] == [
        ("PUT", "/files/note.txt")
    ]
    file = stored(stack, original.name)
    assert (file["content_type"], file["digests"]["sha-256"]) == ("text/plain", sha256(original))


@thorough
def test_lost_answer_stores_nothing_twice(signed_in: Page, stack: Stack, sample: Sample) -> None:
    """A small file whose answer was lost, or that is chosen again after a reload, is the same file."""
    original = sample("once.txt", 1000)
    lost: list[str] = []

    def lose(route: Route) -> None:
        if route.request.method == "PUT" and not lost:
            route.fetch()
            lost.append(route.request.url)
            route.abort("connectionreset")
        else:
            route.continue_()

    signed_in.route("**/files/once.txt", lose)
    choose(signed_in, original)
    verified(signed_in, original.name)
    assert len(lost) == 1
    signed_in.reload()
    expect(signed_in.get_by_role("button", name="Sign out")).to_be_visible()
    choose(signed_in, original)
    expect(batch(signed_in)).to_contain_text("1 file received and verified")
    listed = httpx.get(f"{stack.api}/files?q=once.txt", headers=bearer(stack), **PATIENT).json()["items"]
    assert len(listed) == 1


@thorough
def test_deleted_small_file_is_sent_anew(signed_in: Page, stack: Stack, sample: Sample) -> None:
    """What was deleted since it was sent, and is chosen again the same day, is another file."""
    original = sample("deleted.txt", 1000)
    choose(signed_in, original)
    verified(signed_in, original.name)
    first = stored(stack, original.name)
    httpx.delete(first["links"]["self"], headers=bearer(stack), **PATIENT).raise_for_status()
    signed_in.reload()
    expect(signed_in.get_by_role("button", name="Sign out")).to_be_visible()
    choose(signed_in, original)
    verified(signed_in, original.name)
    assert stored(stack, original.name)["id"] != first["id"]


@thorough
def test_folder_keeps_files_of_one_name_apart(signed_in: Page, stack: Stack, tmp_path: Path) -> None:
    """Files of a folder that have name, size and time in common are not taken for one another."""
    for folder, byte in (("a", b"1"), ("b", b"2")):
        file = tmp_path / "folder" / folder / "same.txt"
        file.parent.mkdir(parents=True)
        file.write_bytes(byte)
        os.utime(file, (1_700_000_000, 1_700_000_000))
    files_of(signed_in, tmp_path / "folder")
    expect(batch(signed_in)).to_contain_text("2 files received and verified")
    listed = httpx.get(f"{stack.api}/files?q=same.txt", headers=bearer(stack), **PATIENT).json()["items"]
    assert {(file["folder"], file["digests"]["sha-256"]) for file in listed} == {
        (f"folder/{folder}", hashlib.sha256(byte).hexdigest()) for folder, byte in (("a", b"1"), ("b", b"2"))
    }


@thorough
def test_each_byte_is_read_once(signed_in: Page, stack: Stack, sample: Sample) -> None:
    """A part that S3 is too busy for twice is sent again from memory, and the file is verified with its last part."""
    original = sample("read once.bin", 3 * PART_BYTES + 1)
    read = reads(signed_in)
    urls = refused(signed_in, stack, 2, 503, "SlowDown", times=2)
    choose(signed_in, original)
    verified(signed_in, original.name)
    assert len(urls) == 2
    assert sorted(read.json_value()) == [1, PART_BYTES, PART_BYTES, PART_BYTES]
    file = stored(stack, original.name)
    assert (file["part_digest"], file["verified"]) == ("sha-256", True)
    assert file["digests"]["sha-256"] == sha256(original)


@thorough
def test_expired_url_is_replaced(traffic: Traffic, signed_in: Page, stack: Stack, sample: Sample) -> None:
    """A part that S3 refuses because its URL's time is over is sent with a fresh one, and nobody notices."""
    original = sample("expired.bin", 2 * PART_BYTES)
    urls = refused(signed_in, stack, 2, 403, "AccessDenied", times=1)
    choose(signed_in, original)
    verified(signed_in, original.name)
    assert len(urls) == 1
    assert taken(signed_in, traffic, 1, 2)


@thorough
def test_expired_url_is_replaced_where_the_refusal_is_not_heard(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Sample
) -> None:
    """After a night with the lid closed S3 hangs up on old URLs, and the upload goes on with fresh ones."""
    original = sample("overnight.bin", PART_BYTES + 1)
    expired = "&expired"  # tells the URLs apart: those of one second are the same
    signed: list[int] = []  # the parts that had a URL

    def sign(route: Route) -> None:
        answered = httpx.post(
            route.request.url, content=route.request.post_data, headers=route.request.headers, **PATIENT
        )
        (part,) = answered.json()["parts"]
        if part["number"] not in signed:
            part |= {"url": part["url"] + expired, "expires_at": "2020-01-01T00:00:00Z"}
        signed.append(part["number"])
        route.fulfill(status=answered.status_code, json={**answered.json(), "parts": [part]})

    def hang_up(route: Route) -> None:
        if route.request.url.endswith(expired):
            route.abort("connectionreset")
        else:
            route.continue_()

    signed_in.route(f"{stack.api}/files/*/parts", sign)
    signed_in.route(f"{stack.aws}/**", hang_up)
    choose(signed_in, original)
    verified(signed_in, original.name)
    assert taken(signed_in, traffic, 1, 2)
    assert sorted(signed) == [1, 1, 2, 2]


@thorough
@pytest.mark.parametrize("size", [2 * MIB, 2 * PART_BYTES])
def test_bit_that_flips_once_is_survived(size: int, signed_in: Page, stack: Stack, sample: Sample) -> None:
    """S3 refuses what was altered on its way, and it is sent again from memory."""
    original = sample(f"flipped once {size}.bin", size)
    operation = "PutObject" if size < PART_BYTES else "UploadPart"
    with proxy.serving(("127.0.0.1", int(urlsplit(stack.aws).port or 0))) as network:
        network.fail(operation, flip_a_bit)
        through(signed_in, stack, network)
        read = reads(signed_in)
        choose(signed_in, original)
        verified(signed_in, original.name)
        assert sum(read.json_value()) == size
        assert len(network.asked(operation)) == (2 if size < PART_BYTES else 3)
    assert stored(stack, original.name)["digests"]["sha-256"] == sha256(original)


@thorough
@pytest.mark.parametrize("size", [2 * MIB, 2 * PART_BYTES])
def test_connection_that_alters_everything_is_told(size: int, signed_in: Page, stack: Stack, sample: Sample) -> None:
    """Where bits flip every time the person is told that the connection does it, and the file is never ready."""
    original = sample(f"flipped always {size}.bin", size)
    with proxy.serving(("127.0.0.1", int(urlsplit(stack.aws).port or 0))) as network:
        for operation in ("PutObject", "UploadPart"):
            network.fail_always(operation, flip_a_bit)
        through(signed_in, stack, network)
        choose(signed_in, original)
        expect(state(signed_in, original.name, "failed")).to_contain_text("The connection alters what is sent")
    assert stored(stack, original.name)["status"] == "uploading"
    assert accessible(signed_in) == []


@thorough
def test_small_file_that_is_altered_is_sent_again(signed_in: Page, stack: Stack, sample: Sample) -> None:
    """The server keeps nothing of a small file whose bytes are not those of its digest, and says so in words."""
    original = sample("flipped small.bin", 1000)
    altered: list[str] = []

    def flip(route: Route) -> None:
        if altered:
            route.continue_()
            return
        altered.append(route.request.url)
        body = bytearray(route.request.post_data_buffer or b"")
        body[-1] ^= 1
        route.continue_(post_data=bytes(body))

    signed_in.route("**/files/flipped*", flip)
    choose(signed_in, original)
    expect(state(signed_in, original.name, "failed")).to_contain_text("What arrived is not what was sent")
    press(signed_in, "Try again", original.name)
    verified(signed_in, original.name)
    assert stored(stack, original.name)["digests"]["sha-256"] == sha256(original)


@thorough
def test_main_thread_touches_no_bytes(page: Page, stack: Stack, context: BrowserContext, sample: Sample) -> None:
    """The main thread hashes nothing but fingerprints. While 200 MB are sent its longest tasks are printed."""
    watch_the_main_thread(context)
    sign_in(page, stack)
    original = sample("large.bin", 200_000_000)
    page.evaluate("window.long = []")
    choose(page, original)
    expect(row(page, original.name)).to_have_attribute("data-state", "ready", timeout=5 * PATIENCE_SECONDS * 1000)
    verified(page, original.name)
    print(f"longest tasks of the main thread: {long_tasks(page)}")  # noqa: T201 - a figure, not an assertion
    assert len(page.evaluate("window.hashed")) == 1
    assert max(page.evaluate("window.hashed")) < 1000
    assert stored(stack, original.name)["digests"]["sha-256"] == sha256(original)


def watch_the_main_thread(context: BrowserContext) -> None:
    context.add_init_script(
        """(() => {
            window.hashed = []; window.long = [];
            const digest = SubtleCrypto.prototype.digest;
            SubtleCrypto.prototype.digest = function (name, data) {
                window.hashed.push(data.byteLength);
                return digest.call(this, name, data);
            };
            new PerformanceObserver((list) => {
                for (const { duration } of list.getEntries()) window.long.push(Math.round(duration));
            }).observe({ type: "longtask" });
        })()"""
    )


def long_tasks(page: Page) -> str:
    tasks: list[int] = page.evaluate("window.long")
    return f"{len(tasks)} long tasks, sum {sum(tasks)} ms, longest {max(tasks, default=0)} ms"


@thorough
def test_worker_asks_nobody_else(signed_in: Page, pages: Pages) -> None:
    """The worker obeys the policy of the page: it may send to the bucket, and to nobody outside."""
    said = worker(signed_in).evaluate(
        "url => fetch(url, {mode: 'no-cors'}).then(() => 'asked', error => error.name)", pages.url
    )
    assert said == "TypeError"


@thorough
@pytest.mark.parametrize("size", [1000, 3 * PART_BYTES])
def test_page_without_digests_says_so(
    size: int, page: Page, stack: Stack, context: BrowserContext, sample: Sample
) -> None:
    """Where the browser computes no digests the page says that files are hashed and not verified, and it is so."""
    context.add_init_script("delete Crypto.prototype.subtle")
    sign_in(page, stack)
    traffic = Traffic(page)
    expect(page.get_by_text("cannot be verified")).to_be_visible()
    original = sample(f"undigested {size}.bin", size)
    refused = True

    def refuse(route: Route) -> None:
        last = (size - 1) // PART_BYTES + 1
        if refused and route.request.method == "PUT" and (part_number(route.request.url) or 1) == last:
            answer(route, stack, 403, "AccessDenied")
        else:
            route.continue_()

    page.route(f"{stack.aws}/**", refuse)
    choose(page, original)
    expect(state(page, original.name, "failed")).to_contain_text("S3 refused the bytes")
    unfinished = stored(stack, original.name)
    assert unfinished["fingerprint"] is None
    refused = False
    press(page, "Try again", original.name)
    expect(state(page, original.name, "ready")).to_have_attribute("data-verified", "false")
    expect(batch(page)).to_contain_text("1 file received and hashed, not verified")
    assert taken(page, traffic, *([1, 2, 3] if size > PART_BYTES else []))
    file = stored(stack, original.name)
    assert (file["id"], file["verified"], file["part_digest"]) == (unfinished["id"], False, None)
    assert file["digests"]["sha-256"] == sha256(original)
    assert accessible(page) == []


@thorough
def test_parts_too_large_for_memory_go_without_digests(signed_in: Page, stack: Stack, tmp_path: Path) -> None:
    """A file of more than 4.9 TiB has parts that no page holds: it asks for no digests of them, and reads none."""
    original = tmp_path / "enormous.bin"
    with original.open("wb") as file:
        file.truncate(10_000 * 512 * MIB + 1)
    signed_in.route(f"{stack.aws}/**", lambda route: route.abort("connectionreset"))
    read = reads(signed_in)
    choose(signed_in, original)
    expect(state(signed_in, original.name, "sending")).to_have_attribute("data-id", re.compile("."))
    file_now = stored(stack, original.name)
    assert (file_now["part_digest"], file_now["fingerprint"]) == (None, None)
    assert all(size == 1 for size in read.json_value())


@thorough
def test_fingerprint_is_of_this_browser_alone(signed_in: Page, stack: Stack, browser: Browser, sample: Sample) -> None:
    """The same file has another fingerprint in another browser profile, which so begins an upload of its own."""
    original = sample("two profiles.bin", 2 * PART_BYTES)
    found = []
    other = browser.new_context()
    try:
        stranger = other.new_page()
        sign_in(stranger, stack)
        for page in (signed_in, stranger):
            traffic = Traffic(page)
            with held(page, stack, 2):
                choose(page, original)
                wait_for(page, partial(traffic.parts.__contains__, 1))
                found.append(stored(stack, original.name))
    finally:
        other.close()
    first, second = found
    assert first["id"] != second["id"]
    assert first["fingerprint"] != second["fingerprint"]
    assert all(re.fullmatch("page:[0-9a-f]{64}", file["fingerprint"]) for file in found)


# ---------------------------------------------------------------- pausing, resuming, cancelling


def test_paused_upload_goes_on_where_it_was(traffic: Traffic, signed_in: Page, stack: Stack, sample: Sample) -> None:
    """What was in S3 before the pause is not sent again after it."""
    original = sample("paused.bin", 5 * PART_BYTES + 1)
    refused = {3, 4, 5}
    passed: list[int | None] = []

    def busy(exchange: proxy.Exchange) -> None:
        number = part_number(exchange.request_read.path)
        if number in refused:
            exchange.send(proxy.Answer(503, b"", [*CORS.items(), ("Content-Length", "0")]))
        else:
            passed.append(number)
            proxy.pass_on(exchange)

    with proxy.serving(("127.0.0.1", int(urlsplit(stack.aws).port or 0))) as network:
        network.fail_always("UploadPart", busy)
        through(signed_in, stack, network)
        choose(signed_in, original)
        wait_for(signed_in, lambda: {1, 2} <= {*traffic.parts})
        press(signed_in, "Pause", original.name)
        state(signed_in, original.name, "paused")
        address = f"{stored(stack, original.name)['links']['self']}/parts"
        there = httpx.get(address, headers=bearer(stack), **PATIENT).json()["received"]
        before, after = {part["number"] for part in there}, len(passed)
        refused.clear()
        press(signed_in, "Resume", original.name)
        verified(signed_in, original.name)
    assert stored(stack, original.name)["digests"]["sha-256"] == sha256(original)
    assert {1, 2} <= before
    assert {3, 4, 5} <= {*passed[after:]}
    assert not before & {*passed[after:]}


@thorough
def test_pause_after_the_last_part_sends_nothing_twice(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Sample
) -> None:
    """Who pauses while the upload is being completed, and resumes when it has been, has one file and sent it once."""
    original = sample("paused late.bin", 2 * PART_BYTES)
    unanswered: list[Route] = []

    def complete(route: Route) -> None:
        httpx.post(route.request.url, headers=bearer(stack), **PATIENT).raise_for_status()
        unanswered.append(route)

    signed_in.route("**/complete", complete)
    with signed_in.expect_request("**/complete"):
        choose(signed_in, original)
    press(signed_in, "Pause", original.name)
    state(signed_in, original.name, "paused")
    press(signed_in, "Resume", original.name)
    verified(signed_in, original.name)
    assert len(unanswered) == 1
    assert taken(signed_in, traffic, 1, 2)


@thorough
def test_all_are_paused_and_resumed(traffic: Traffic, signed_in: Page, stack: Stack, sample: Sample) -> None:
    """One button pauses what is sent and what waits, another goes on with all of it."""
    originals = [sample(f"all {number}.bin", 2 * PART_BYTES) for number in range(4)]
    with held(signed_in, stack, 2):
        choose(signed_in, *originals)
        wait_for(signed_in, lambda: 1 in traffic.parts)
        batch(signed_in).get_by_role("button", name="Pause all").click()
        for original in originals:
            state(signed_in, original.name, "paused")
        expect(batch(signed_in)).to_contain_text("Paused")
        assert accessible(signed_in) == []
    batch(signed_in).get_by_role("button", name="Resume all").click()
    expect(batch(signed_in)).to_contain_text("4 files received and verified")


@thorough
def test_parts_of_an_earlier_run_are_compared(traffic: Traffic, signed_in: Page, stack: Stack, sample: Sample) -> None:
    """After a reload each part that S3 has is read once and compared: what is another part there is sent again."""
    original = sample("compared.bin", 4 * PART_BYTES)
    with held(signed_in, stack, 4):
        choose(signed_in, original)
        wait_for(signed_in, lambda: {1, 2, 3} <= {*traffic.parts})
        signed_in.reload()
        expect(signed_in.get_by_role("button", name="Sign out")).to_be_visible()
    unfinished = stored(stack, original.name)
    other = os.urandom(PART_BYTES)
    asked = {"parts": [{"number": 2, "digest": hashlib.sha256(other).hexdigest()}]}
    address = f"{unfinished['links']['self']}/parts"
    (part,) = httpx.post(address, json=asked, headers=bearer(stack), **PATIENT).json()["parts"]
    httpx.put(part["url"], content=other, headers=part["headers"], **PATIENT).raise_for_status()
    read = reads(signed_in)
    choose(signed_in, original)
    verified(signed_in, original.name)
    assert taken(signed_in, traffic, 1, 2, 2, 3, 4)
    assert read.json_value() == [PART_BYTES] * 4
    file = stored(stack, original.name)
    assert (file["id"], file["digests"]["sha-256"]) == (unfinished["id"], sha256(original))


def test_cancelled_upload_is_gone(traffic: Traffic, signed_in: Page, stack: Stack, sample: Sample) -> None:
    """Cancelling in the middle is asked about, gives the upload up on the server too, and takes it off the list."""
    original = sample("cancelled.bin", 3 * PART_BYTES)
    with held(signed_in, stack, 3):
        choose(signed_in, original)
        wait_for(signed_in, lambda: {1, 2} <= {*traffic.parts})
        press(signed_in, "Cancel", original.name)
        question = signed_in.get_by_role("dialog")
        expect(question).to_contain_text(re.compile(r"\d\d\.\d MB have been sent already"))
        question.get_by_role("button", name="Go on sending").click()
        state(signed_in, original.name, "sending")
        press(signed_in, "Cancel", original.name)
        with signed_in.expect_response(lambda response: response.request.method == "DELETE") as deleted:
            question.get_by_role("button", name="Cancel the upload").click()
        assert deleted.value.status == 204
        expect(row(signed_in, original.name)).to_have_count(0)
    assert stored(stack, original.name)["status"] == "aborted"
    expect(batch(signed_in)).to_have_count(0)


@thorough
def test_all_are_cancelled(traffic: Traffic, signed_in: Page, stack: Stack, sample: Sample) -> None:
    """One question, with the true number, before all that is not at its end is given up."""
    originals = [sample(f"cancel all {number}.bin", 2 * PART_BYTES) for number in range(3)]
    with held(signed_in, stack, 2):
        choose(signed_in, *originals)
        wait_for(signed_in, lambda: 1 in traffic.parts)
        batch(signed_in).get_by_role("button", name="Cancel all").click()
        question = signed_in.get_by_role("dialog")
        expect(question).to_contain_text("Cancel 3 uploads?")
        question.get_by_role("button", name="Cancel 3 uploads").click()
        for original in originals:
            expect(row(signed_in, original.name)).to_have_count(0)


@thorough
def test_upload_that_is_cancelled_elsewhere_is_cancelled_here(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Sample
) -> None:
    """What another device gives up is not sent on, and is said once; trying again would not help."""
    original = sample("cancelled elsewhere.bin", 3 * PART_BYTES)
    with held(signed_in, stack, 3):
        choose(signed_in, original)
        wait_for(signed_in, lambda: {1, 2} <= {*traffic.parts})
        httpx.delete(stored(stack, original.name)["links"]["self"], headers=bearer(stack), **PATIENT).raise_for_status()
    expect(signed_in.get_by_text("was cancelled elsewhere")).to_be_visible()
    expect(row(signed_in, original.name)).to_have_count(0)
    signed_in.get_by_role("button", name="Dismiss").click()
    expect(signed_in.get_by_text("was cancelled elsewhere")).to_have_count(0)


@thorough
def test_paused_upload_that_expired_begins_anew(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Sample
) -> None:
    """A file whose record is gone when its sender comes back is sent from the beginning, without a question."""
    original = sample("gone.bin", 2 * PART_BYTES)
    gone = {"code": "file_not_found", "detail": "gone"}
    with held(signed_in, stack, 2):
        choose(signed_in, original)
        wait_for(signed_in, lambda: 1 in traffic.parts)
        press(signed_in, "Pause", original.name)
        state(signed_in, original.name, "paused")
    identity = stored(stack, original.name)["id"]
    httpx.delete(f"{stack.api}/files/{identity}", headers=bearer(stack), **PATIENT).raise_for_status()
    signed_in.route(f"**/files/{identity}*", lambda route: route.fulfill(status=404, json=gone))
    press(signed_in, "Resume", original.name)
    verified(signed_in, original.name)
    assert stored(stack, original.name)["id"] != identity


# ---------------------------------------------------------------- what goes wrong


@thorough
@pytest.mark.parametrize("by", ["Try again", "choosing it again"])
def test_refusal_of_s3_is_explained_and_tried_again(by: str, signed_in: Page, stack: Stack, sample: Sample) -> None:
    """What S3 goes on refusing is told with its code; trying again, or choosing the file again, sends the rest."""
    original = sample("refused.bin", 2 * PART_BYTES)

    def refuse(route: Route) -> None:
        if route.request.method == "PUT" and part_number(route.request.url) == 2:
            answer(route, stack, 403, "AccessDenied")
        else:
            route.continue_()

    signed_in.route(f"{stack.aws}/**", refuse)
    choose(signed_in, original)
    expect(state(signed_in, original.name, "failed")).to_contain_text("S3 refused the bytes (403 AccessDenied).")
    expect(batch(signed_in)).to_contain_text("1 file was not sent")
    assert accessible(signed_in) == []
    signed_in.unroute(f"{stack.aws}/**", refuse)
    if by == "Try again":
        press(signed_in, by, original.name)
    else:
        choose(signed_in, original)
    verified(signed_in, original.name)
    expect(signed_in.get_by_role("alert")).to_have_count(0)


@thorough
@pytest.mark.parametrize("size", [1000, 2 * PART_BYTES])
def test_file_that_changed_is_no_fault_of_the_network(size: int, signed_in: Page, stack: Stack, sample: Sample) -> None:
    """What was written after it was chosen is said to have changed; choosing it again sends it as it is now."""
    original = sample("draft.txt", size)
    before = [sample(f"before {number}.txt", 10) for number in range(6)]  # as many as are read at once
    with held(signed_in, stack, 1):
        signed_in.context.set_offline(True)
        choose(signed_in, *before, original)
        expect(row(signed_in, original.name)).to_be_visible()
        original.write_bytes(b"another draft" + os.urandom(size))
        os.utime(original, (1_700_000_000, 1_700_000_000))
        signed_in.context.set_offline(False)
        failed = state(signed_in, original.name, "failed")
    expect(failed).to_contain_text("This file was changed, moved or deleted after you chose it. Choose it again")
    expect(failed.get_by_role("button", name=re.compile("^Try again"))).to_have_count(0)
    choose(signed_in, original)
    verified(signed_in, original.name)
    assert stored(stack, original.name)["digests"]["sha-256"] == sha256(original)
    expect(batch(signed_in)).to_contain_text("7 files received and verified")


@thorough
def test_time_without_a_network_is_waited_for(
    traffic: Traffic, signed_in: Page, stack: Stack, context: BrowserContext, sample: Sample
) -> None:
    """Who is offline is told that uploads wait; back online they go on by themselves, and send no part twice."""
    original = sample("offline.bin", 3 * PART_BYTES)
    with held(signed_in, stack, 3):
        choose(signed_in, original)
        wait_for(signed_in, lambda: {1, 2} <= {*traffic.parts})
        context.set_offline(True)
        expect(signed_in.get_by_text("You are offline. Sending waits")).to_be_visible()
    context.set_offline(False)
    verified(signed_in, original.name)
    expect(signed_in.get_by_text("You are offline")).to_have_count(0)
    assert taken(signed_in, traffic, 1, 2, 3)


@thorough
def test_what_stops_many_files_is_tried_again_at_once(signed_in: Page, sample: Sample) -> None:
    """Each file says why it was not sent, in words with numbers, and one button tries them all again."""
    originals = [sample(f"too much {number}.txt", 10) for number in range(5)]
    full = {"code": "quota_exceeded", "detail": "no", "quota": "bytes", "limit": 5_000_000_000, "used": 4_900_000_000}

    def refuse(route: Route) -> None:
        if route.request.method == "PUT":
            route.fulfill(status=403, json=full)
        else:
            route.continue_()

    signed_in.route("**/files/too*", refuse)
    choose(signed_in, *originals)
    expect(batch(signed_in)).to_contain_text("5 files were not sent")
    expect(row(signed_in, originals[0].name)).to_contain_text("Your storage is full: 4.9 GB of 5 GB are used.")
    signed_in.unroute("**/files/too*", refuse)
    batch(signed_in).get_by_role("button", name="Try again").click()
    expect(batch(signed_in)).to_contain_text("5 files received and verified")


# ---------------------------------------------------------------- choosing


@thorough
def test_same_file_twice_is_noticed(signed_in: Page, sample: Sample) -> None:
    """A file that is chosen again is sent once, and that is said; so is one that the list has already."""
    original = sample("twice.txt", 10)
    choose(signed_in, original)
    verified(signed_in, original.name)
    choose(signed_in, original)
    expect(signed_in.get_by_text("twice.txt is here or on its way already.")).to_be_visible()
    os.utime(original, (1_700_000_000, 1_700_000_000))
    choose(signed_in, original)
    expect(signed_in.get_by_text("A file named twice.txt with the same size is here already.")).to_be_visible()
    assert accessible(signed_in) == []


@pytest.mark.parametrize("send", [True, False])
def test_litter_is_left_out_and_hidden_files_are_asked_about(
    send: bool, signed_in: Page, stack: Stack, tmp_path: Path
) -> None:
    """Of a folder nobody gets what systems leave in it, and what is hidden only who says so."""
    folder = tmp_path / f"holiday {send}"
    names = ["photo.jpg", ".DS_Store", "sub/Thumbs.db", "sub/clip.mov", "~$plan.docx", ".git/config", ".env"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "empty").mkdir()
    files_of(signed_in, folder)
    question = signed_in.get_by_role("dialog")
    expect(question).to_contain_text("Send 2 hidden files too?")
    expect(question).to_contain_text(f"{folder.name}/.git/")
    assert accessible(signed_in) == []
    question.get_by_role("button", name="Send them too" if send else "Leave them out").click()
    expect(batch(signed_in)).to_contain_text(f"{4 if send else 2} files received and verified")
    expect(signed_in.get_by_text("3 files that your system made, and nobody needs, were left out")).to_be_visible()
    query = {"folder": folder.name}
    listed = httpx.get(f"{stack.api}/files", params=query, headers=bearer(stack), **PATIENT).json()["items"]
    sent = {f"{file['folder']}/{file['filename']}".removeprefix(f"{folder.name}/") for file in listed}
    assert sent == {"photo.jpg", "sub/clip.mov"} | ({".git/config", ".env"} if send else set())


def drag(page: Page, context: BrowserContext, *paths: Path, kinds: tuple[str, ...]) -> None:
    """A person drags these from the desktop into the middle of the page."""
    files = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    mouse = context.new_cdp_session(page)
    for kind in kinds:
        mouse.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 400, "data": files})


@thorough
def test_whole_page_takes_drops_of_files_and_folders(
    signed_in: Page, stack: Stack, context: BrowserContext, sample: Sample, tmp_path: Path
) -> None:
    """Files and a folder of more than a hundred are dropped anywhere; folders are kept, and the page says so before."""
    folder = tmp_path / "dropped"
    (folder / "in").mkdir(parents=True)
    for number in range(120):
        (folder / "in" / f"{number}.txt").write_text(str(number))
    paths = (sample("dropped alone.txt", 10), folder)
    drag(signed_in, context, *paths, kinds=("dragEnter", "dragOver"))
    expect(signed_in.get_by_text("Drop to send")).to_be_visible()
    drag(signed_in, context, *paths, kinds=("drop",))
    expect(signed_in.get_by_text("Drop to send")).to_have_count(0)
    expect(batch(signed_in)).to_contain_text("121 files received and verified")
    query = {"folder": "dropped/in", "limit": "100"}
    first = httpx.get(f"{stack.api}/files", params=query, headers=bearer(stack), **PATIENT).json()
    rest = httpx.get(
        f"{stack.api}/files", params={**query, "cursor": first["next"]}, headers=bearer(stack), **PATIENT
    ).json()
    assert len(first["items"]) + len(rest["items"]) == 120
    alone = httpx.get(f"{stack.api}/files", params={"q": paths[0].name}, headers=bearer(stack), **PATIENT).json()[
        "items"
    ]
    assert [file["folder"] for file in alone] == [None]


@thorough
@by_token
def test_file_that_is_dropped_where_none_is_taken_is_not_opened(
    page: Page, stack: Stack, context: BrowserContext, sample: Sample
) -> None:
    """Before somebody has signed in nothing takes files, and the browser opens none in the page's place."""
    page.goto(stack.api)
    expect(page.get_by_label("Access token")).to_be_visible()
    drag(page, context, sample("missed.txt", 10), kinds=("dragEnter", "dragOver", "drop"))
    page.reload()  # a browser that opens it has begun to by now
    expect(page.get_by_label("Access token")).to_be_visible()
    assert len(context.pages) == 1


@thorough
def test_picture_is_pasted(signed_in: Page) -> None:
    """What is in the clipboard as a picture is sent, with a name that tells it from the next one."""
    signed_in.evaluate(
        """() => {
            const clipboardData = new DataTransfer();
            clipboardData.items.add(new File([new Uint8Array(10)], 'image.png', { type: 'image/png' }));
            const how = { clipboardData, bubbles: true, cancelable: true };
            document.body.dispatchEvent(new ClipboardEvent('paste', how));
        }"""
    )
    expect(batch(signed_in)).to_contain_text("1 file received and verified")
    expect(signed_in.get_by_text(re.compile(r"^\d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.png$"))).to_be_visible()


# ---------------------------------------------------------------- how far it is


@thorough
def test_progress_is_in_the_title_and_said_in_steps(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Sample
) -> None:
    """The tab's title has the percentage of the batch, a screen reader hears quarters and the end."""
    signed_in.evaluate(
        """() => {
            window.said = [];
            const status = [...document.querySelectorAll('[role=status]')].at(-1);
            new MutationObserver(() => window.said.push(status.textContent)).observe(status,
                { childList: true, characterData: true, subtree: true });
        }"""
    )
    normal = signed_in.title()
    original = sample("long.bin", 4 * PART_BYTES)
    with held(signed_in, stack, 4):
        choose(signed_in, original)
        wait_for(signed_in, lambda: {1, 2, 3} <= {*traffic.parts})
        expect(signed_in).to_have_title(re.compile(r"^\d\d% · " + normal))
        expect(batch(signed_in)).to_contain_text(re.compile(r"\d+\.\d MB of 33.6 MB"))
        assert looks(signed_in, 360) == []
    expect(batch(signed_in)).to_contain_text("1 file received and verified")
    expect(signed_in).to_have_title(normal)
    said: list[str] = signed_in.evaluate("window.said")
    assert said[0] == "Sending 1 file, 33.6 MB."
    assert said[-1] == "1 file received and verified."
    assert len(said) <= 5


@thorough
def test_text_can_still_be_dragged_into_a_field(signed_in: Page) -> None:
    """Only files are kept from being opened in the page's place: text is dropped into fields as everywhere."""
    for kind, is_let in (("text", True), ("file", False)):
        assert is_let is signed_in.evaluate(
            """kind => {
                const dataTransfer = new DataTransfer();
                if (kind === "text") dataTransfer.setData("text/plain", "report");
                else dataTransfer.items.add(new File(["x"], "x.txt"));
                const over = new DragEvent("dragover", { bubbles: true, cancelable: true, dataTransfer });
                return document.querySelector("input[type=search]").dispatchEvent(over);
            }""",
            kind,
        )


@thorough
def test_the_title_follows_the_view_while_files_are_sent(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Sample
) -> None:
    """Who goes to another view while files are sent reads its name after the percentage, and after the end."""
    original = sample("long.bin", 4 * PART_BYTES)
    with held(signed_in, stack, 4):
        choose(signed_in, original)
        wait_for(signed_in, lambda: {1, 2, 3} <= {*traffic.parts})
        signed_in.get_by_role("button", name="Shares", exact=True).click()
        expect(signed_in).to_have_title(re.compile(r"^\d\d% · Shares · Sluice$"))
    expect(batch(signed_in)).to_contain_text("1 file received and verified")
    expect(signed_in).to_have_title("Shares · Sluice")


@thorough
def test_resumed_file_knows_no_time_that_is_left_before_it_has_sent_something(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Sample
) -> None:
    """What an earlier visit has sent makes nothing fast: no "0 s left", and no speed that nobody has."""
    original = sample("resumed.bin", 4 * PART_BYTES)
    with held(signed_in, stack, 4):
        choose(signed_in, original)
        wait_for(signed_in, lambda: {1, 2, 3} <= {*traffic.parts})
        signed_in.reload()
        expect(signed_in.get_by_role("button", name="Sign out")).to_be_visible()
        choose(signed_in, original)
        expect(batch(signed_in)).to_contain_text(re.compile(r"(25\.2|33\.6) MB of 33\.6 MB"))
        expect(batch(signed_in)).not_to_contain_text("left")
    verified(signed_in, original.name)


@thorough
@by_token
def test_leaving_is_asked_about_while_something_would_be_lost(
    traffic: Traffic, signed_in: Page, stack: Stack, sample: Sample
) -> None:
    """Closing the tab and signing out are asked about while files are sent, with their number, and not after."""
    asked: list[str] = []

    def agree(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    signed_in.on("dialog", agree)
    original = sample("leaving.bin", 2 * PART_BYTES)
    with held(signed_in, stack, 2):
        choose(signed_in, original)
        wait_for(signed_in, lambda: 1 in traffic.parts)
        signed_in.get_by_role("button", name="Sign out").click()
        question = signed_in.get_by_role("dialog")
        expect(question).to_contain_text("1 file has not been sent")
        expect(question).to_contain_text("to go")
        question.get_by_role("button", name="Stay").click()
        signed_in.reload()
        assert asked == ["beforeunload"]
        expect(signed_in.get_by_role("button", name="Sign out")).to_be_visible()
    choose(signed_in, original)
    verified(signed_in, original.name)
    signed_in.get_by_role("button", name="Sign out").click()
    expect(signed_in.get_by_label("Access token")).to_be_visible()
    assert asked == ["beforeunload"]


@thorough
def test_screen_stays_on_while_files_are_sent(
    page: Page, stack: Stack, context: BrowserContext, traffic: Traffic, sample: Sample
) -> None:
    """The screen is kept on from the first file to the last, also after the tab was out of sight."""
    count_locks(context)
    sign_in(page, stack)
    assert page.evaluate("window.locks.length") == 0
    original = sample("awake.bin", 2 * PART_BYTES)
    with held(page, stack, 2):
        choose(page, original)
        wait_for(page, lambda: 1 in traffic.parts)
        assert page.evaluate("window.locks.length") == 1
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        assert page.evaluate("window.locks.length") == 2
    verified(page, original.name)
    page.wait_for_function("window.locks.at(-1).released")


@thorough
@pytest.mark.parametrize("count", [int(number) for number in os.environ.get("MANY_FILES", "100").split(",")])
def test_many_small_files_hold_nothing_up(
    count: int, page: Page, stack: Stack, context: BrowserContext, tmp_path: Path
) -> None:
    """Many small files arrive at a rate that the stack bounds; the main thread's long tasks are printed."""
    watch_the_main_thread(context)
    sign_in(page, stack)
    folder = tmp_path / f"many {count}"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.bin").write_bytes(os.urandom(1000))
    page.evaluate("window.long = []")
    page.evaluate("window.begun = performance.now()")
    files_of(page, folder)
    expect(batch(page)).to_contain_text(f"{count:,} files received and verified", timeout=10 * PATIENCE_SECONDS * 1000)
    took = page.evaluate("performance.now() - window.begun") / 1000
    print(f"{count} files of 1 KB: {took:.1f} s, {long_tasks(page)}")  # noqa: T201 - a figure, not an assertion
