"""`sluice doctor` on the local stack: healthy as it is, and each of these faults is found and named."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from local.aws import CREDENTIALS
from sluice_client.cli.doctor import CHECKS
from sluice_client.contract import Sluice
from sluice_client.doctor import FOLDER, Examination
from tests.integration.conftest import ROOT, Stack, standing

PAGE = "https://page.example"
# Streams that are slow enough for a file to be deleted meanwhile, and no slower.
SWIFT = "8000000"
SECONDS = 120

Report = dict[str, dict[str, Any]]
# What becomes of an answer of the API's: its status, headers and body.
Answer = tuple[int, dict[str, str], bytes]
Tamper = Callable[[BaseHTTPRequestHandler, Answer], Answer]


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with standing(
        tmp_path_factory.mktemp("swift"), parameters={"AllowedOrigins": PAGE}, LOCAL_STREAM_BYTES_PER_S=SWIFT
    ) as up:
        yield up


def examine(stack: Stack, *arguments: str, api: str | None = None) -> tuple[int, Report]:
    """The exit code, and the findings by check."""
    settings = {
        "SLUICE_API": api or stack.api,
        "SLUICE_TOKEN": stack.token,
        "PYTHONPATH": str(ROOT / "client"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "sluice_client", "doctor", "--json", *arguments],
        env=os.environ | settings | {"NO_PROXY": "127.0.0.1"},
        capture_output=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert report["healthy"] == (done.returncode == 0)
    return done.returncode, {finding["check"]: finding for finding in report["findings"]}


def only(*checks: str) -> list[str]:
    return [argument for check in checks for argument in ("--only", check)]


@contextmanager
def tampered(stack: Stack, tamper: Tamper) -> Iterator[str]:
    """The address of an API whose answers somebody on the way has changed."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            given = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
            url = f"{stack.api}{self.path}"
            answer = httpx.request(self.command, url, headers=given, content=data, trust_env=False, timeout=SECONDS)
            kept = {name: value for name, value in answer.headers.items() if name not in ("connection", "server")}
            status, headers, body = tamper(self, (answer.status_code, kept, answer.content))
            self.send_response_only(status)
            for name, value in (headers | {"content-length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = _pass_on  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def left_of_it(stack: Stack) -> list[Any]:
    with httpx.Client(headers={"Authorization": f"Bearer {stack.token}"}, trust_env=False) as client:
        items: list[Any] = client.get(f"{stack.api}/files", params={"folder": FOLDER}).json()["items"]
        return items


def test_the_command_line_knows_the_checks() -> None:
    """In their order, without importing what they need."""
    assert tuple(Examination(Sluice("http://127.0.0.1", None), origin=None, patience=1).checks) == CHECKS


def test_a_healthy_deployment_is_called_so(swift: Stack) -> None:
    """Each check that can be made here is made, what Lambda is known for is told, and nothing is left behind."""
    code, found = examine(swift, "--origin", PAGE)
    assert code == 0, found
    outcomes = {name: finding["outcome"] for name, finding in found.items()}
    assert outcomes == dict.fromkeys(CHECKS, "ok") | {"length": "told", "quotas": "skipped"}
    assert found["rate"]["figures"]["then_bytes_per_s"] < found["rate"]["figures"]["first_bytes_per_s"]
    assert left_of_it(swift) == []


def test_a_person_reads_what_to_do(swift: Stack) -> None:
    """A line for each check, the advice below it, and a last line that counts."""
    settings = {"SLUICE_API": swift.api, "SLUICE_TOKEN": "wrong", "PYTHONPATH": str(ROOT / "client")}
    command = [sys.executable, "-m", "sluice_client", "doctor", *only("address", "sign-in", "one request")]
    done = subprocess.run(
        command, env=os.environ | settings | {"NO_PROXY": "127.0.0.1"}, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert lines[0].startswith("ok      address")
    assert lines[1].startswith("failed  sign-in          The token is not taken.")
    assert "sluice login" in lines[2]
    assert lines[-1] == "not healthy: 1 ok, 2 failed"


def test_a_check_that_does_not_exist_is_named(swift: Stack) -> None:
    """With those that do."""
    settings = {"SLUICE_API": swift.api, "SLUICE_TOKEN": swift.token, "PYTHONPATH": str(ROOT / "client")}
    command = [sys.executable, "-m", "sluice_client", "doctor", *only("streamin")]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'streamin' is no check" in done.stderr


def changed_json(change: Callable[[dict[str, Any]], None]) -> Tamper:
    def tamper(_: BaseHTTPRequestHandler, answer: Answer) -> Answer:
        status, headers, body = answer
        if "json" not in headers.get("content-type", "") or not body.startswith(b"{"):
            return answer
        document = json.loads(body)
        change(document)
        return status, headers, json.dumps(document).encode()

    return tamper


def anybody(handler: BaseHTTPRequestHandler, answer: Answer) -> Answer:
    if handler.command == "GET" and answer[0] == 401:
        return 200, {"content-type": "application/json"}, b'{"items": []}'
    return answer


def late(_: BaseHTTPRequestHandler, answer: Answer) -> Answer:
    return answer[0], answer[1] | {"date": "Mon, 30 Nov 2020 00:00:00 GMT"}, answer[2]


def another_site(_: BaseHTTPRequestHandler, __: Answer) -> Answer:
    return 200, {"content-type": "text/html"}, b"<h1>Welcome</h1>"


def everybody_s_page(handler: BaseHTTPRequestHandler, answer: Answer) -> Answer:
    return answer[0], answer[1] | {"access-control-allow-origin": handler.headers.get("origin", "*")}, answer[2]


def doubting(document: dict[str, Any]) -> None:
    if "verified" in document:
        document["verified"] = False


def astray(document: dict[str, Any]) -> None:
    """Links of the stream host lead to where nobody is."""
    for name in ("events", "content"):
        if (document.get("links") or {}).get(name):
            document["links"][name] = "http://127.0.0.1:9/"


@pytest.mark.parametrize(
    ("tamper", "checks", "failed", "said"),
    [
        (another_site, ["address"], "address", "not as a Sluice does"),
        (late, ["clock"], "clock", "s apart"),
        (anybody, ["sign-in"], "sign-in", "no token"),
        (everybody_s_page, ["foreign origins"], "foreign origins", "lets pages of https://not-yours.example"),
        (changed_json(doubting), ["one request"], "one request", "not verified"),
        (changed_json(astray), ["streaming"], "streaming", ""),
        (changed_json(astray), ["one request", "empty answers"], "empty answers", ""),
    ],
)
def test_what_somebody_on_the_way_does_is_found(
    swift: Stack, tamper: Tamper, checks: list[str], failed: str, said: str
) -> None:
    """Another site, a wrong clock, an open door, everybody's page, a verdict that is none, links that lead nowhere."""
    with tampered(swift, tamper) as api:
        code, found = examine(swift, *only(*checks), api=api)
    assert code == 1
    assert found[failed]["outcome"] == "failed", found
    assert said in found[failed]["said"]
    assert found[failed]["advice"]
    assert left_of_it(swift) == []


def test_bytes_that_were_changed_on_their_way_are_found(swift: Stack) -> None:
    """A byte of a download is another one."""

    def tamper(handler: BaseHTTPRequestHandler, answer: Answer) -> Answer:
        if handler.path.startswith("/changed/"):
            link = bytes.fromhex(handler.path.removeprefix("/changed/")).decode()
            given = {"Range": handler.headers["Range"]}
            real = httpx.get(link, headers=given, follow_redirects=True, trust_env=False)
            body = bytearray(real.content)
            body[len(body) // 2] ^= 1
            return real.status_code, {"content-type": "application/octet-stream"}, bytes(body)

        def change(document: dict[str, Any]) -> None:
            if content := (document.get("links") or {}).get("content"):
                document["links"]["content"] = f"http://{handler.headers['Host']}/changed/{content.encode().hex()}"

        return changed_json(change)(handler, answer)

    with tampered(swift, tamper) as api:
        code, found = examine(swift, *only("several parts", "download"), api=api)
    assert code == 1
    assert found["several parts"]["outcome"] == "ok"
    assert "other bytes than were sent" in found["download"]["said"]


def test_an_address_where_nobody_is_is_found(swift: Stack) -> None:
    """At once, and not after a minute of patience."""
    code, found = examine(swift, *only("address", "streaming"), api="http://127.0.0.1:9")
    assert code == 1
    assert found["address"]["outcome"] == "failed"


def test_a_page_that_is_not_let_in_is_found(swift: Stack) -> None:
    """The commonest mistake of a first deployment."""
    code, found = examine(swift, *only("your page"), "--origin", "https://forgotten.example")
    assert code == 1
    assert "AllowedOrigins" in found["your page"]["advice"]


def test_a_stream_that_fails_and_looks_whole_is_found(tmp_path: Path) -> None:
    """As one says of real Function URLs."""
    with standing(tmp_path, LOCAL_STREAM_HIDES_FAILURES="1", LOCAL_STREAM_BYTES_PER_S=SWIFT) as stack:
        code, found = examine(stack, *only("one part", "several parts", "unknown size", "cut stream"))
        assert left_of_it(stack) == []
    assert code == 1
    assert "as if it were whole" in found["cut stream"]["said"]


def test_streams_that_are_held_back_and_verdicts_that_do_not_come_are_found(tmp_path: Path) -> None:
    """Lambda is said to hold streams whose head came with their first bytes; and S3's events may lead nowhere."""
    never = {"STREAMING_RUNTIME_PRELUDE": "never"}
    with standing(tmp_path, env=never, LOCAL_STREAM_BYTES_PER_S=SWIFT, LOCAL_STREAM_HOLDS_PRELUDE="1") as stack:
        s3 = boto3.client(
            "s3",
            endpoint_url=stack.aws,
            region_name=stack.region,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )
        (bucket,) = (one["Name"] for one in s3.list_buckets()["Buckets"])
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
        code, found = examine(stack, *only("streaming", "several parts"), "--patience", "8")
        assert left_of_it(stack) == []
    assert code == 1
    assert "holds it back" in found["streaming"]["said"]
    assert "Nothing came of it within 8 s" in found["several parts"]["said"]
    assert "dead letters" in found["several parts"]["advice"]
