"""What the page costs. `make test-browser ARGS="-k figures -s"` prints it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.steps import by_token, choose, sign_in
from tests.integration.conftest import Stack, thorough

pytestmark = by_token

KIB = 1024
MOST_BYTES_BEFORE_SIGN_IN = 60 * KIB  # compressed, with the icon
MANY_FILES = 10_000
HUNDRED_MS = 180_000  # on a busy machine
MOST_HEAP_BYTES = 80_000_000
LONG_TASKS = """window.tasks = [];
new PerformanceObserver(list => window.tasks.push(...list.getEntries().map(entry => entry.duration)))
    .observe({type: "longtask", buffered: true});"""


def told(**figures: object) -> None:
    sys.stdout.write(f"\n{json.dumps(figures)}\n")


def test_figures_before_sign_in(page: Page, stack: Stack) -> None:
    """The sign-in costs at most 60 KiB, in few requests."""
    page.goto(stack.api)
    expect(page.get_by_label("Access token")).to_be_visible()
    page.wait_for_load_state("networkidle")
    sizes = page.evaluate(
        "performance.getEntries().filter(entry => entry.encodedBodySize).map(entry => entry.encodedBodySize)"
    )
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    told(bytes=sum(sizes), requests=len(sizes), first_paint_ms=round(paint))
    assert sum(sizes) <= MOST_BYTES_BEFORE_SIGN_IN


@thorough
def test_figures_of_many_files(context: BrowserContext, page: Page, stack: Stack) -> None:
    """10,000 files are in the page without filling its memory."""

    def made(file: dict[str, Any], number: int) -> dict[str, Any]:
        identity = f"{number:026d}"
        return {**file, "id": identity, "filename": f"file {number}.bin", "folder": f"folder {number % 40}"}

    def many(route: Route) -> None:
        answer = route.fetch()
        listed = answer.json()
        wanted = [made(file, number) for number in range(100) for file in listed["items"][:1]]
        route.fulfill(response=answer, json={**listed, "items": wanted, "next": "more"})

    def lines(route: Route) -> None:
        body = "".join(json.dumps(made(template, number)) + "\n" for number in range(100, MANY_FILES))
        headers = {"Access-Control-Allow-Origin": stack.api}
        route.fulfill(status=200, body=body, headers=headers, content_type="application/jsonl")

    page.add_init_script(LONG_TASKS)
    sign_in(page, stack)
    choose_one = page.evaluate(
        """token => fetch("files/one.bin", {method: "PUT", body: "1", headers: {Authorization: `Bearer ${token}`}})
            .then(answer => answer.json())""",
        stack.token,
    )
    template = {name: value for name, value in choose_one.items() if name != "links"}
    page.route("**/files?limit=100", many)
    page.route("**/files.jsonl?*", lines)
    page.reload()
    expect(page.locator(".list[aria-busy=false]")).to_be_attached()
    session = context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"]
    tasks = page.evaluate("window.tasks")
    height = page.evaluate("document.documentElement.scrollHeight")
    nodes = page.evaluate("document.getElementsByTagName('*').length")
    told(
        files=MANY_FILES,
        heap_bytes=heap,
        height_px=height,
        elements=nodes,
        long_tasks_ms=round(sum(tasks)),
        longest_task_ms=round(max(tasks, default=0)),
    )
    assert heap <= MOST_HEAP_BYTES


@thorough
def test_figures_while_100_files_go_up(page: Page, stack: Stack, sample: Callable[[str, int], Path]) -> None:
    """A hundred small files go up, and the page goes on answering."""
    page.add_init_script(LONG_TASKS)
    sign_in(page, stack)
    page.evaluate("window.tasks.length = 0")
    files = [sample(f"one of a hundred {number:03d}.bin", KIB) for number in range(100)]
    choose(page, *files)
    received = page.locator("[data-batch=over]")
    expect(received).to_contain_text("100 files received and verified", timeout=HUNDRED_MS)
    tasks = page.evaluate("window.tasks")
    told(files=100, long_tasks_ms=round(sum(tasks)), longest_task_ms=round(max(tasks, default=0)))
