"""Firefox and WebKit, by the WebDriver protocol that both speak without a program in between.

Firefox takes the commands over a socket of its own (Marionette, which geckodriver would translate to), the driver of
WebKitGTK over HTTP: https://www.w3.org/TR/webdriver2/, https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.browser.steps import PATIENCE_SECONDS

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # what the protocol calls a reference to one
LOOK_SECONDS = 0.05
FIREFOX = os.environ.get("FIREFOX", "firefox-esr")
NEEDED = {"firefox": [FIREFOX], "webkit": ["WebKitWebDriver", "Xvfb"]}  # programs
TIMEOUTS = {"timeouts": {"script": PATIENCE_SECONDS * 1000}}
PREFERENCES = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "marionette.port": 0,  # any that is free, told in a file of the profile
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}
Command = Callable[[str, Mapping[str, Any]], Any]  # its name in the standard, and what it takes


def missing(browser: str) -> list[str]:
    return [name for name in NEEDED[browser] if not shutil.which(name)]


class Tab:
    """A window of a browser. CSS says which element is meant."""

    def __init__(self, command: Command) -> None:
        self._command = command

    def go(self, url: str) -> None:
        self._command("Navigate", {"url": url})

    def click(self, css: str) -> None:
        self._command("ElementClick", {"id": self._find(css)})

    def press(self, words: str) -> None:
        """The button that begins with these words."""
        script = "return [...document.querySelectorAll('button')].some(one => one.textContent.startsWith(arguments[0]))"
        self.wait(script, words)
        found = self._command("FindElement", {"using": "xpath", "value": f"//button[starts-with(., '{words}')]"})
        self._command("ElementClick", {"id": found[ELEMENT]})

    def type(self, css: str, text: str) -> None:
        """Of a field for files: their paths, one a line."""
        self._command("ElementSendKeys", {"id": self._find(css), "text": text})

    def ask(self, script: str, *arguments: Any) -> Any:
        """What the script returns, or what its promise comes to."""
        return self._command("ExecuteScript", {"script": script, "args": list(arguments)})

    def wait(self, script: str, *arguments: Any) -> Any:
        """Until the script returns something true."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while not (found := self.ask(script, *arguments)):
            assert time.monotonic() < ends, f"not so: {script}\n{self.ask('return document.body.innerText')}"
            time.sleep(LOOK_SECONDS)
        return found

    def _find(self, css: str) -> str:
        self.wait("return document.querySelector(arguments[0]) !== null", css)
        return str(self._command("FindElement", {"using": "css selector", "value": css})[ELEMENT])


@contextmanager
def open_tab(browser: str, folder: Path) -> Iterator[Tab]:
    """In a browser of its own, which keeps nothing."""
    with ExitStack() as stack:
        yield Tab(stack.enter_context(firefox(folder) if browser == "firefox" else webkit(folder)))


@contextmanager
def firefox(folder: Path) -> Iterator[Command]:
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
    (folder / "user.js").write_text("\n".join(lines))
    told = folder / "MarionetteActivePort"
    arguments = [FIREFOX, "--headless", "--marionette", "--no-remote", "--profile", str(folder)]
    with running(arguments, folder, {"HOME": str(folder)}) as process:
        until(lambda: told.exists() and told.read_text().strip(), process)
        with socket.create_connection(("127.0.0.1", int(told.read_text())), timeout=PATIENCE_SECONDS) as connection:
            stream = connection.makefile("rb")
            receive(stream)  # who it is
            last = 0

            def command(name: str, body: Mapping[str, Any]) -> Any:
                nonlocal last
                last += 1
                message = json.dumps([0, last, f"WebDriver:{name}", body]).encode()
                connection.sendall(b"%d:%s" % (len(message), message))
                _, _, error, result = receive(stream)
                assert error is None, f"{name}: {error}"
                return result["value"] if set(result) == {"value"} else result

            command("NewSession", {"capabilities": {"alwaysMatch": TIMEOUTS}})
            yield command


def receive(stream: Any) -> Any:
    """A message is its length, a colon and JSON."""
    length = b""
    while (byte := stream.read(1)) != b":":
        assert byte, "Firefox has closed the connection"
        length += byte
    return json.loads(stream.read(int(length)))


@contextmanager
def webkit(folder: Path) -> Iterator[Command]:
    reading, writing = os.pipe()
    with ExitStack() as stack:
        screen = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
        stack.enter_context(running(screen, folder, {}, keep=(writing,)))
        os.close(writing)
        with os.fdopen(reading) as told:
            display = told.readline().strip()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        environment = {"DISPLAY": f":{display}", "HOME": str(folder), "WEBKIT_DISABLE_COMPOSITING_MODE": "1"}
        process = stack.enter_context(running(["WebKitWebDriver", f"--port={port}"], folder, environment))
        client = stack.enter_context(httpx.Client(trust_env=False, timeout=PATIENCE_SECONDS))
        root = f"http://127.0.0.1:{port}"

        def call(method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
            answer = (
                client.request(method, root + path, json=body)
                if method == "POST"
                else client.request(method, root + path)
            )
            assert answer.is_success, answer.text
            return answer.json()["value"]

        def answers() -> bool:
            try:
                return bool(call("GET", "/status"))
            except httpx.TransportError:
                return False

        until(answers, process)
        options = {"webkitgtk:browserOptions": {"args": ["--automation"]}}
        session = call("POST", "/session", {"capabilities": {"alwaysMatch": options | TIMEOUTS}})["sessionId"]
        stack.callback(lambda: call("DELETE", f"/session/{session}"))

        def command(name: str, body: Mapping[str, Any]) -> Any:
            paths = {
                "Navigate": "url",
                "FindElement": "element",
                "ElementClick": f"element/{body.get('id')}/click",
                "ElementSendKeys": f"element/{body.get('id')}/value",
                "ExecuteScript": "execute/sync",
            }
            return call("POST", f"/session/{session}/{paths[name]}", body)

        yield command


@contextmanager
def running(
    arguments: list[str], folder: Path, environment: Mapping[str, str], keep: tuple[int, ...] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{Path(arguments[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(
            arguments,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            pass_fds=keep,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(fact: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not fact():
        assert process.poll() is None, f"{process.args!r} has ended"
        assert time.monotonic() < ends, f"{process.args!r} does not answer"
        time.sleep(LOOK_SECONDS)
