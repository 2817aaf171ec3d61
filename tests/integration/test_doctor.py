"""`sluice doctor` on the local stack: healthy as it is, and each of these faults is found and named."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from local import aws
from sluice import VERSION
from sluice_client.cli.doctor import CHECKS
from sluice_client.contract import Sluice
from sluice_client.doctor import FOLDER, Examination
from tests.integration.conftest import Stack, standing, thorough
from tests.integration.issuer import issuing
from tests.integration.proxy import Answer, Exchange, Fault, Proxy, served
from tests.integration.test_client import sluice

PAGE = "https://page.example"
# Streams that are slow enough for a file to be deleted meanwhile, and no slower.
SWIFT = "8000000"

Report = dict[str, dict[str, Any]]
Examine = Callable[..., tuple[int, Report]]
# What becomes of an answer on its way.
Tamper = Callable[[Exchange, Answer], Answer]


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with standing(
        tmp_path_factory.mktemp("swift"), parameters={"AllowedOrigins": PAGE}, LOCAL_STREAM_BYTES_PER_S=SWIFT
    ) as up:
        yield up


@pytest.fixture
def examine(tmp_path: Path) -> Examine:
    """The exit code, and the findings by check."""

    def run(stack: Stack, *arguments: str, **variables: str) -> tuple[int, Report]:
        done = sluice(stack, tmp_path, "doctor", "--json", *arguments, **variables)
        assert done.stdout, done.stderr
        report = json.loads(done.stdout)
        assert report["healthy"] == (done.returncode == 0)
        return done.returncode, {finding["check"]: finding for finding in report["findings"]}

    return run


def only(*checks: str) -> list[str]:
    return [argument for check in checks for argument in ("--only", check)]


class Tampering(Proxy):
    """Passes everything on, and changes each answer."""

    def __init__(self, upstream: str, tamper: Tamper) -> None:
        parts = urlsplit(upstream)
        super().__init__((parts.hostname or "", parts.port or 80))
        self._tamper = tamper

    def fault_for(self, _operation: str) -> Fault:
        return lambda exchange: exchange.send(self._tamper(exchange, exchange.forward()))


@contextmanager
def tampered(upstream: str, tamper: Tamper) -> Iterator[str]:
    """The address of a host whose answers somebody on the way changes."""
    proxy = Tampering(upstream, tamper)
    with served(proxy):
        yield proxy.url


def left_of_it(stack: Stack) -> list[Any]:
    with httpx.Client(headers={"Authorization": f"Bearer {stack.token}"}, trust_env=False) as client:
        items: list[Any] = client.get(f"{stack.api}/files", params={"folder": FOLDER}).json()["items"]
        return items


def test_the_command_line_knows_the_checks() -> None:
    """In their order, without importing what they need."""
    assert tuple(Examination(Sluice("http://127.0.0.1", None), origin=None, patience=1).checks) == CHECKS


def test_a_healthy_deployment_is_called_so(swift: Stack, examine: Examine) -> None:
    """Each check that can be made here is made, what Lambda is known for is told, and nothing is left behind."""
    code, found = examine(swift, "--origin", PAGE)
    assert code == 0, found
    outcomes = {name: finding["outcome"] for name, finding in found.items()}
    assert outcomes == dict.fromkeys(CHECKS, "ok") | {
        "length": "told",
        "issuer": "skipped",
        "quotas": "skipped",
    }
    assert found["rate"]["figures"]["then_bytes_per_s"] < found["rate"]["figures"]["first_bytes_per_s"]
    assert left_of_it(swift) == []


def test_another_version_is_told(swift: Stack, examine: Examine) -> None:
    """Nothing is wrong, and whoever reports a fault should say which."""

    def older(exchange: Exchange, answer: Answer) -> Answer:
        if exchange.path != "/me":
            return answer
        return replace(answer, body=answer.body.replace(VERSION.encode(), b"0.1.0"))

    with tampered(swift.api, older) as url:
        code, found = examine(replace(swift, api=url), *only("versions"))
    assert (code, found["versions"]["outcome"]) == (0, "told")
    assert "0.1.0" in found["versions"]["said"]


def test_an_issuer_that_calls_itself_otherwise_is_found(swift: Stack, examine: Examine) -> None:
    """No token of it would count."""
    with issuing() as issuer:

        def offering(exchange: Exchange, answer: Answer) -> Answer:
            if exchange.path != "/auth":
                return answer
            offer = {"issuer": issuer.url, "device_authorization_endpoint": f"{issuer.url}/device_authorization"}
            body = json.dumps({"sign_in": offer}).encode()
            return Answer(200, body, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])

        with tampered(swift.api, offering) as url:
            there = replace(swift, api=url)
            assert examine(there, *only("issuer"))[1]["issuer"]["outcome"] == "ok"
            issuer.name = f"{issuer.url}/"
            code, found = examine(there, *only("issuer"))
            assert (code, found["issuer"]["outcome"]) == (1, "failed")
            assert "OidcIssuer" in found["issuer"]["advice"]
            issuer.down = True
            assert examine(there, *only("issuer"))[0] == 1


def test_a_person_reads_what_to_do(swift: Stack, tmp_path: Path) -> None:
    """A line for each check, the advice below it, and a last line that counts."""
    checks = only("address", "sign-in", "one request")
    done = sluice(swift, tmp_path, "doctor", *checks, SLUICE_TOKEN="wrong")
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 1
    assert lines[0].startswith("ok      address")
    assert lines[1].startswith("failed  sign-in          The token is not taken.")
    assert "sluice login" in lines[2]
    assert lines[-1] == "not healthy: 1 ok, 2 failed"


def test_a_check_that_does_not_exist_is_named(swift: Stack, tmp_path: Path) -> None:
    """With those that do."""
    done = sluice(swift, tmp_path, "doctor", *only("streamin"))
    assert done.returncode == 2
    assert "'streamin' is no check" in done.stderr.decode()


def with_headers(answer: Answer, *headers: tuple[str, str]) -> Answer:
    return replace(answer, headers=[*answer.headers, *headers])


def with_body(answer: Answer, body: bytes) -> Answer:
    kept = [(name, value) for name, value in answer.headers if name.lower() != "content-length"]
    return replace(answer, body=body, headers=[*kept, ("Content-Length", str(len(body)))])


def changed_json(change: Callable[[dict[str, Any]], None]) -> Tamper:
    def tamper(_: Exchange, answer: Answer) -> Answer:
        if not answer.body.startswith(b"{"):
            return answer
        document = json.loads(answer.body)
        change(document)
        return with_body(answer, json.dumps(document).encode())

    return tamper


def anybody(exchange: Exchange, answer: Answer) -> Answer:
    refused = exchange.command == "GET" and answer.status == 401
    return with_body(replace(answer, status=200), b'{"items": []}') if refused else answer


def late(_: Exchange, answer: Answer) -> Answer:
    return with_headers(answer, ("Date", "Mon, 30 Nov 2020 00:00:00 GMT"))


def another_site(_: Exchange, __: Answer) -> Answer:
    return Answer(200, b"<h1>Welcome</h1>")


def everybody_s_page(exchange: Exchange, answer: Answer) -> Answer:
    return with_headers(answer, ("Access-Control-Allow-Origin", exchange.headers.get("origin", "*")))


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
    swift: Stack, examine: Examine, *, tamper: Tamper, checks: list[str], failed: str, said: str
) -> None:
    """Another site, a wrong clock, an open door, everybody's page, a verdict that is none, links that lead nowhere."""
    with tampered(swift.api, tamper) as api:
        code, found = examine(swift, *only(*checks), SLUICE_API=api)
    assert code == 1
    assert found[failed]["outcome"] == "failed", found
    assert said in found[failed]["said"]
    assert found[failed]["advice"]
    assert left_of_it(swift) == []


def test_bytes_that_were_changed_on_their_way_are_found(swift: Stack, examine: Examine) -> None:
    """A byte of a download is another one."""

    def flipped(_: Exchange, answer: Answer) -> Answer:
        body = bytearray(answer.body)
        body[len(body) // 2] ^= 1
        return replace(answer, body=bytes(body))

    with tampered(swift.stream, flipped) as stream:

        def detour(document: dict[str, Any]) -> None:
            if content := (document.get("links") or {}).get("content"):
                document["links"]["content"] = content.replace(swift.stream, stream)

        with tampered(swift.api, changed_json(detour)) as api:
            code, found = examine(swift, *only("several parts", "download"), SLUICE_API=api)
    assert code == 1
    assert found["several parts"]["outcome"] == "ok"
    assert "other bytes than were sent" in found["download"]["said"]


def test_an_address_where_nobody_is_is_found(swift: Stack, examine: Examine) -> None:
    """At once, and not after a minute of patience."""
    code, found = examine(swift, *only("address", "streaming"), SLUICE_API="http://127.0.0.1:9")
    assert code == 1
    assert found["address"]["outcome"] == "failed"


def test_a_page_that_is_not_let_in_is_found(swift: Stack, examine: Examine) -> None:
    """The commonest mistake of a first deployment."""
    code, found = examine(swift, *only("your page"), "--origin", "https://forgotten.example")
    assert code == 1
    assert "AllowedOrigins" in found["your page"]["advice"]


@thorough
def test_a_stream_that_fails_and_looks_whole_is_found(tmp_path: Path, examine: Examine) -> None:
    """As one says of real Function URLs."""
    with standing(tmp_path, LOCAL_STREAM_HIDES_FAILURES="1", LOCAL_STREAM_BYTES_PER_S=SWIFT) as stack:
        code, found = examine(stack, *only("one part", "several parts", "unknown size", "cut stream"))
        assert left_of_it(stack) == []
    assert code == 1
    assert "as if it were whole" in found["cut stream"]["said"]


@thorough
def test_streams_that_are_held_back_and_verdicts_that_do_not_come_are_found(tmp_path: Path, examine: Examine) -> None:
    """Lambda is said to hold streams whose head came with their first bytes; and S3's events may lead nowhere."""
    never = {"STREAMING_RUNTIME_PRELUDE": "never"}
    with standing(tmp_path, env=never, LOCAL_STREAM_BYTES_PER_S=SWIFT, LOCAL_STREAM_HOLDS_PRELUDE="1") as stack:
        s3 = aws.connect(stack.aws).s3
        (bucket,) = (one["Name"] for one in s3.list_buckets()["Buckets"])
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
        code, found = examine(stack, *only("streaming", "several parts"), "--patience", "8")
        assert left_of_it(stack) == []
    assert code == 1
    assert "holds it back" in found["streaming"]["said"]
    assert "Nothing came of it within 8 s" in found["several parts"]["said"]
    assert "dead letters" in found["several parts"]["advice"]
