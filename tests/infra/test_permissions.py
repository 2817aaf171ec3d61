"""What each function may do is what it does: its calls to AWS, overheard, against its policy in the template."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.infra.test_template import FUNCTIONS, ROLES, listed, references, statements
from tests.sam.cases import CASES, MULTIPART, READY, Answer, Invoke, Seeded, processes, seeded

# Granted though no call here needs it. With the first, S3 answers 404 and not 403 where a key is not there; the second
# is what a read takes when the event or the record names no version, as after versioning was suspended.
WITHOUT_A_CALL = {"s3:ListBucket", "s3:GetObject"}

# Seconds after which a function that watches an upload is told to end: its margin, and a moment to look.
WATCH_SECONDS = 11

Heard = Mapping[str, set[str]]


def actions(method: str, url: str, headers: Mapping[str, str]) -> set[str]:  # noqa: PLR0911  a line for each kind
    """The IAM actions that a request needs: https://docs.aws.amazon.com/service-authorization/latest/reference/"""
    if target := headers.get("X-Amz-Target"):
        service, operation = target.split(".")
        return {f"{'dynamodb' if service.startswith('DynamoDB') else service}:{operation}"}
    parsed = urlsplit(url)
    query = parse_qs(parsed.query, keep_blank_values=True)
    match method, "/" in parsed.path.strip("/"):
        case "GET", True if "uploadId" in query:
            return {"s3:ListMultipartUploadParts"}
        case (("GET" | "HEAD"), True):
            return {"s3:GetObjectVersion" if "versionId" in query else "s3:GetObject"}
        case "POST", True if {"uploads", "uploadId"} & query.keys():
            return {"s3:PutObject"}
        case "DELETE", True if "uploadId" in query:
            return {"s3:AbortMultipartUpload"}
        case "GET", False if "versions" in query:
            return {"s3:ListBucketVersions"}
        case "POST", False if "delete" in query:
            return {"s3:DeleteObject", "s3:DeleteObjectVersion"}
    raise AssertionError(f"which permission does {method} {url} need?")


@contextmanager
def overhearing(upstream: str) -> Iterator[tuple[str, Heard]]:
    """A way to `upstream` that notes what each access key's owner asks for: its URL, and what was heard so far."""
    heard: defaultdict[str, set[str]] = defaultdict(set)
    host = urlsplit(upstream).netloc

    class Ear(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline()
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            key = re.search(r"Credential=([^/]+)/", self.headers["Authorization"])
            assert key is not None
            heard[key[1]] |= actions(self.command, self.path, dict(self.headers))
            connection = HTTPConnection(host)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                    self.send_header(name, value)
            length = answer.headers["Content-Length"] if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(content)

    class Door(ThreadingHTTPServer):
        daemon_threads = False

    with Door(("127.0.0.1", 0), Ear) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", heard
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def heard() -> Iterator[Heard]:
    """What each function asked for while it did all that it can do."""
    with seeded("127.0.0.1") as stack, overhearing(stack.services.url) as (url, noted):
        tapped = {
            name: replace(
                function,
                timeout=min(function.timeout, WATCH_SECONDS),
                environment={**function.environment, "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": name},
            )
            for name, function in stack.functions.items()
        }
        with processes(tapped) as invoke:
            do_everything(stack, invoke)
        yield noted


def do_everything(stack: Seeded, invoke: Invoke) -> None:
    for case in CASES:
        case.check(stack, invoke(case.function, stack.event(case.event)))

    def api(method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        event = json.loads(stack.event("api-get"))
        event["requestContext"]["http"] |= {"method": method, "path": path}
        event |= {"rawPath": path, "body": json.dumps(body or {})}
        event["headers"]["content-type"] = "application/json"
        return Answer.of(invoke("ApiFunction", json.dumps(event)))

    wanted = {"filename": "again.bin", "size": 10**8, "fingerprint": "again"}
    begun = api("POST", "/files", wanted)
    assert api("POST", "/files", wanted).status == 200
    assert api("GET", f"/files/{begun.json['id']}/parts").status == 200
    watching = json.loads(stack.event("stream-events"))
    link = urlsplit(begun.json["links"]["events"])
    watching |= {"rawPath": link.path, "rawQueryString": link.query}
    assert b"event: progress" in Answer.of(invoke("StreamFunction", json.dumps(watching))).body
    assert api("DELETE", f"/files/{begun.json['id']}").status == 204
    single = api("POST", "/files", {"filename": "small.bin", "size": 5})
    assert api("POST", f"/files/{single.json['id']}/complete").status == 409
    assert api("POST", f"/files/{MULTIPART}/complete").status == 202
    assert api("DELETE", f"/files/{READY}").status == 204


@pytest.mark.parametrize("name", FUNCTIONS)
def test_policy_is_exact(name: str, heard: Heard) -> None:
    """A function may do all that it does, and next to nothing else."""
    (role,) = (role for role in ROLES if role in references(FUNCTIONS[name]["Role"]))
    allowed = {action for statement in statements(ROLES[role]) for action in listed(statement["Action"])}
    assert heard[name] - allowed == set(), "on AWS these calls would be refused"
    assert allowed - heard[name] <= WITHOUT_A_CALL
