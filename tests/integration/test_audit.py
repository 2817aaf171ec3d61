"""The audit record of a whole journey over the local stack: who did what by which way, and nothing that lets in."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any

import boto3
import httpx
import pytest

from local.aws import CREDENTIALS
from sluice.audit import fingerprint
from sluice.limits import MIB
from tests.integration import journey
from tests.integration.conftest import Stack, standing
from tests.integration.journey import PATIENCE_SECONDS, client

JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
SIGNATURE = re.compile(r"X-Amz-Signature=\w+", re.IGNORECASE)
PASSWORD, WRONG_PASSWORD, WRONG_TOKEN = "correct horse battery", "wrong horse battery", "a-token-of-nobodys"
FORWARDED = "203.0.113.7"  # what a client claims to come from


@dataclass
class Journey:
    """What was done, what it was answered with, and what all functions wrote."""

    stack: Stack
    secrets: set[str] = field(default_factory=set)
    request_ids: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    output: str = ""

    def find(self, action: str, **fields: Any) -> list[dict[str, Any]]:
        wanted = {"action": action} | fields
        return [line for line in self.lines if all(line.get(name) == value for name, value in wanted.items())]

    def one(self, action: str, **fields: Any) -> dict[str, Any]:
        found = self.find(action, **fields)
        assert len(found) == 1, (action, fields, found)
        return found[0]

    def learn(self, answer: httpx.Response) -> None:
        """Remember all that an answer lets its reader do."""
        text = answer.read().decode("utf-8", "replace") + str(answer.headers)
        self.secrets |= {*JWT.findall(text), *SIGNATURE.findall(text)}


def audit_lines(stack: Stack) -> list[dict[str, Any]]:
    """All that the log group of the audit record has."""
    logs = boto3.client("logs", endpoint_url=stack.aws, region_name=stack.region, **_credentials())
    (group,) = [
        one["logGroupName"] for one in logs.describe_log_groups()["logGroups"] if "AuditLogGroup" in one["logGroupName"]
    ]
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    return [json.loads(event["message"]) for page in pages for event in page["events"]]


def _credentials() -> dict[str, Any]:
    return {
        "aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    }


def awaited(look: Callable[[], list[dict[str, Any]]], enough: Callable[[list[dict[str, Any]]], bool]) -> Any:
    """What is found once it is enough: lines of streams are written when these have ended."""
    late = monotonic() + PATIENCE_SECONDS
    while not enough(found := look()):
        assert monotonic() < late, found
        sleep(0.1)
    return found


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    with standing(tmp_path_factory.mktemp("audit")) as stack, ExitStack() as clients:
        done = Journey(stack, {stack.token, stack.other_token, PASSWORD, WRONG_PASSWORD, WRONG_TOKEN})

        def asking(url: str, token: str | None = None) -> httpx.Client:
            opened = client(url, token)
            opened.event_hooks = {"response": [done.learn]}
            return clients.enter_context(opened)

        owner, anybody = asking(stack.api, stack.token), asking(stack.stream)
        _files(done, owner, anybody)
        _lists(done, owner, anybody)
        _guests(done, owner, asking, anybody)
        _shares(done, owner, asking, anybody)
        _strangers(done, owner, asking, anybody)
        done.lines = awaited(
            lambda: audit_lines(stack),
            lambda lines: (
                Counter(line["audit"] for line in lines)["opened"]
                == Counter(line["audit"] for line in lines)["ended"] + 1
            ),  # the feed goes on
        )
        done.output = stack.log.read_text()
        yield done


def answered(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    is_json = answer.content and answer.headers["content-type"].endswith("json")
    return answer.json() if is_json else answer.content


def _files(done: Journey, owner: httpx.Client, anybody: httpx.Client) -> None:
    """In parts and in one request; followed, taken whole, in a range and from S3; renamed."""
    data = journey.random_bytes(9 * MIB)
    created = journey.create(owner, len(data), "large.bin")
    journey.put_parts(created["parts"], data)
    answer = owner.post(f"/files/{created['id']}/complete", headers={"X-Forwarded-For": FORWARDED})
    done.request_ids["complete"] = answer.headers["apigw-requestid"]
    large = journey.ended(owner, answered(answer, 202))
    assert large["status"] == "ready"
    small = answered(owner.put("/files/small.txt", content=b"small"), 201)
    done.ids |= {"large": large["id"], "small": small["id"]}
    taken = anybody.get(small["links"]["content"])
    done.request_ids["content"] = taken.headers["x-amzn-requestid"]
    done.links["content"] = small["links"]["content"]
    assert answered(taken, 200) == b"small"
    answered(anybody.get(small["links"]["content"], headers={"Range": "bytes=1-2"}), 206)
    answered(anybody.get(small["links"]["direct"], follow_redirects=False), 307)
    answered(owner.patch(f"/files/{small['id']}", json={"filename": "renamed.txt"}), 200)
    answered(owner.post("/digest", content=b"abc"), 200)
    archive = answered(owner.post("/archives", json={"files": [large["id"], small["id"]]}), 201)
    done.ids["archive"] = archive["id"]
    answered(anybody.get(archive["links"]["content"]), 200)


def _lists(done: Journey, owner: httpx.Client, anybody: httpx.Client) -> None:
    """The list, its exports, and the feed, whose reader leaves: it is still open when all else has ended."""
    links = answered(owner.get("/files"), 200)["links"]
    for name in ("jsonl", "csv", "sha256sum"):
        answered(anybody.get(links[name]), 200)
    done.links["feed"] = links["events"]
    with httpx.stream("GET", links["events"], timeout=PATIENCE_SECONDS, trust_env=False) as feed:
        assert next(feed.iter_lines()) == ": following"


def _guests(done: Journey, owner: httpx.Client, asking: Callable[..., httpx.Client], anybody: httpx.Client) -> None:
    """Through a drop, and by an Uppy page with a capability of the owner's."""
    drop = answered(owner.post("/drops", json={"max_files": 2, "expires_in": 600}), 201)
    guest = asking(str(owner.base_url), drop["capability"])
    answered(guest.get(f"/drops/{drop['id']}"), 200)
    sent = journey.upload(guest, b"from a guest", "guest.txt")
    *_, last = journey.events(sent["links"]["events"])
    assert last.name == "ready"
    answered(guest.get("/files"), 403)
    done.ids |= {"drop": drop["id"], "guest": sent["id"]}
    done.links["drop"] = drop["capability"]
    issued = answered(owner.post("/capabilities"), 201)
    done.links["capability"] = issued["capability"]
    companion = f"{issued['links']['companion']}/s3/multipart"
    begun = answered(anybody.post(companion, json={"filename": "uppy.bin", "metadata": {}}), 200)
    done.ids["uppy"] = begun["uploadId"]
    at = {"key": begun["key"]}
    answered(anybody.get(f"{companion}/{begun['uploadId']}/1", params=at), 200)
    answered(anybody.delete(f"{companion}/{begun['uploadId']}", params=at), 200)


def _shares(done: Journey, owner: httpx.Client, asking: Callable[..., httpx.Client], anybody: httpx.Client) -> None:
    """With a password, opened, taken as a file and as an archive, ended, and asked for once more."""
    wanted = {"files": [done.ids["small"]], "expires_in": 600, "password": PASSWORD}
    share = answered(owner.post("/shares", json=wanted), 201)
    done.ids["share"] = share["id"]
    done.links["share"] = share["capability"]
    holder = asking(str(owner.base_url), share["capability"])
    answered(holder.post(f"/shares/{share['id']}/open", json={"password": WRONG_PASSWORD}), 403)
    opened = answered(holder.post(f"/shares/{share['id']}/open", json={"password": PASSWORD}), 200)
    link = done.links["shared"] = opened["files"][0]["links"]["content"]
    answered(anybody.get(link), 200)
    answered(anybody.get(opened["links"]["archive"]), 200)
    answered(holder.post("/archives", json={"share": share["id"], "password": PASSWORD}), 201)
    answered(owner.delete(f"/shares/{share['id']}"), 204)
    answered(anybody.get(link), 404)


def _strangers(done: Journey, owner: httpx.Client, asking: Callable[..., httpx.Client], anybody: httpx.Client) -> None:
    """Without a token, with a wrong one, with an altered link, with somebody else's; and with secrets in odd places."""
    api = str(owner.base_url)
    answered(anybody.get(f"{api}/files"), 401)
    answered(asking(api, WRONG_TOKEN).get(f"/files/{done.ids['small']}"), 401)
    answered(asking(api, done.stack.other_token).get(f"/files/{done.ids['small']}"), 404)
    answered(anybody.get(f"/files/{done.ids['large']}/content", params={"capability": done.links["drop"]}), 403)
    answered(anybody.post(f"{api}/companion/{done.links['drop']}x/s3/multipart", json={"filename": "a"}), 403)
    # Clients that mix up what goes where.
    answered(owner.get(f"/files/{done.stack.token}"), 404)
    answered(owner.get("/files", params={"cursor": done.links["capability"]}), 422)
    answered(owner.post("/files", json={"filename": done.links["capability"]}), 422)
    answered(anybody.get(f"{api}/healthz"), 200)
    answered(anybody.get(f"{api}/{WRONG_TOKEN}"), 404)
    answered(owner.delete(f"/files/{done.ids['small']}"), 204)


def leaks(output: str, secrets: set[str]) -> list[str]:
    """The lines that hold one of these secrets, or anything of the form of a capability or a signature."""
    return [
        line
        for line in output.splitlines()
        if JWT.search(line) or SIGNATURE.search(line) or any(secret in line for secret in secrets)
    ]


def test_nothing_that_was_written_lets_anybody_in(done: Journey) -> None:
    """No line of any function, nor of the record, has a token, a capability, a password or a signature."""
    recorded = "\n".join(map(json.dumps, done.lines))
    assert {"HasherFunction", "verdict"} <= {*re.findall(r"\w+", done.output)}
    assert sum(bool(JWT.fullmatch(secret)) for secret in done.secrets) > 10
    assert any(SIGNATURE.fullmatch(secret) for secret in done.secrets)
    assert leaks(f"{done.output}\n{recorded}", done.secrets) == []


@pytest.mark.parametrize("escape", [str, json.dumps])
def test_what_would_let_somebody_in_is_found(done: Journey, escape: Callable[[str], str]) -> None:
    """Each secret of the journey, planted among what was written, is."""
    for secret in done.secrets:
        planted = f'{{"level": "INFO", "message": {escape(f"asked with {secret}")}}}'
        assert leaks(f"{done.output}\n{planted}", done.secrets) == [planted]


def test_each_action_has_a_line(done: Journey) -> None:
    """Who by which way, and how it ended; an answer that streams has two lines."""
    ids = done.ids
    seen = {
        (line["action"], line["status"], line.get("owner"), line.get("authenticated_by"), line.get("code"))
        for line in done.lines
    }
    ways = ("link", "share", "drop", "capability")
    way: dict[str, tuple[str | None, str | None]] = {name: ("default", name) for name in ways}
    way |= {"token": ("default", "access_token"), "nobody": (None, None)}
    companion = "/companion/{capability}/s3/multipart"
    assert seen == {
        ("POST /files", 201, *way["token"], None),
        ("POST /files/{id}/complete", 202, *way["token"], None),
        ("GET /files/{id}/events", 200, *way["link"], None),
        ("GET /files/{id}", 200, *way["token"], None),
        ("PUT /files/{filename}", 201, *way["token"], None),
        ("GET /files/{id}/content", 200, *way["link"], None),
        ("GET /files/{id}/content", 206, *way["link"], None),
        ("GET /files/{id}/content", 307, *way["link"], None),
        ("PATCH /files/{id}", 200, *way["token"], None),
        ("POST /digest", 200, *way["token"], None),
        ("POST /archives", 201, *way["token"], None),
        ("GET /archives/{id}/content", 200, *way["link"], None),
        ("GET /files", 200, *way["token"], None),
        ("GET /files.jsonl", 200, *way["link"], None),
        ("GET /files.csv", 200, *way["link"], None),
        ("GET /files.sha256", 200, *way["link"], None),
        ("GET /events", 200, *way["link"], None),
        ("POST /drops", 201, *way["token"], None),
        ("GET /drops/{id}", 200, *way["drop"], None),
        ("POST /files", 201, *way["drop"], None),
        ("POST /files/{id}/complete", 202, *way["drop"], None),
        ("GET /files", 403, *way["drop"], "owner_only"),
        ("POST /capabilities", 201, *way["token"], None),
        (f"POST {companion}", 200, *way["capability"], None),
        (f"GET {companion}/{{upload_id}}/{{number}}", 200, *way["capability"], None),
        (f"DELETE {companion}/{{upload_id}}", 200, *way["capability"], None),
        ("POST /shares", 201, *way["token"], None),
        ("POST /shares/{id}/open", 403, *way["share"], "wrong_password"),
        ("POST /shares/{id}/open", 200, *way["share"], None),
        ("GET /shares/{id}/archive", 200, *way["link"], None),
        ("POST /archives", 201, *way["share"], None),
        ("DELETE /shares/{id}", 204, *way["token"], None),
        ("GET /files/{id}/content", 404, *way["link"], "share_not_found"),
        ("GET /files", 401, *way["nobody"], "unauthorized"),
        ("GET /files/{id}", 401, *way["nobody"], "unauthorized"),
        ("GET /files/{id}", 404, "other", "access_token", "file_not_found"),
        ("GET /files/{id}/content", 403, *way["nobody"], "invalid_capability"),
        (f"POST {companion}", 403, *way["nobody"], "invalid_capability"),
        ("GET /files/{id}", 404, *way["token"], "file_not_found"),
        ("GET /files", 422, *way["token"], "invalid_cursor"),
        ("POST /files", 422, *way["token"], "invalid_request"),
        ("DELETE /files/{id}", 204, *way["token"], None),
    }
    assert {line["source_ip"] for line in done.lines} == {"127.0.0.1"}  # whatever X-Forwarded-For says
    assert done.one("PUT /files/{filename}")["file"] == ids["small"]
    assert done.one("POST /files", authenticated_by="drop")["file"] == ids["guest"]
    assert done.one(f"POST {companion}", status=200)["file"] == ids["uppy"]
    assert done.one(f"DELETE {companion}/{{upload_id}}")["file"] == ids["uppy"]
    assert done.one("POST /archives", authenticated_by="access_token")["archive"] == ids["archive"]
    assert done.one("GET /files/{id}", status=401)["file"] == ids["small"]


def test_requests_are_joined(done: Journey) -> None:
    """The client was told the id in the line; the line has Lambda's and X-Ray's as well."""
    completed = done.one("POST /files/{id}/complete", authenticated_by="access_token")
    assert completed["request_id"] == done.request_ids["complete"]
    assert done.find("GET /files/{id}/content", request_id=done.request_ids["content"])
    for line in done.lines:
        assert re.fullmatch(r"[0-9a-f-]{36}", line["lambda_request_id"])
        assert re.fullmatch(r"1-[0-9a-f]{8}-[0-9a-f]{24}", line["trace_id"])


def test_the_hasher_names_the_request_that_completed_a_file(done: Journey) -> None:
    """S3's own id of it: the record has it, and so have S3's event and the verdict in the hasher's log."""
    for action, file in (("POST /files/{id}/complete", "large"), ("PUT /files/{filename}", "small")):
        made = done.one(action, file=done.ids[file])["s3_request_id"]
        assert f'"s3_request_id":"{made}"' in done.output
    (verdict,) = [line for line in done.output.splitlines() if '"verdict"' in line and done.ids["large"] in line]
    completed = done.one("POST /files/{id}/complete", file=done.ids["large"])
    assert json.loads(verdict[verdict.index("{") :])["s3_request_id"] == completed["s3_request_id"]


def test_a_capability_is_known_by_its_fingerprint(done: Journey) -> None:
    """From where it was given out to all that was done by it; links of one opening of a share have that in common."""
    issued = fingerprint(done.links["capability"])
    assert done.one("POST /capabilities")["capability"] == issued
    by_it = [line for line in done.lines if line.get("capability") == issued]
    assert len(by_it) == 4
    assert done.one("GET /drops/{id}")["capability"] == fingerprint(done.links["drop"])
    opening = done.one("POST /shares/{id}/open", status=200)
    shared = done.find("GET /files/{id}/content", share=done.ids["share"])
    assert {line["opening"] for line in shared} == {opening["opening"]}
    assert {line["capability"] for line in shared} == {fingerprint(done.links["shared"].partition("capability=")[2])}
    assert opening["capability"] == fingerprint(done.links["share"])


def test_a_stream_has_a_line_when_it_opens_and_when_it_ends(done: Journey) -> None:
    """With what was sent and for how long; one that is still open has the first alone, and names its link."""
    opened, ended = done.find("GET /files/{id}/content", status=206)
    assert (opened["audit"], ended["audit"]) == ("opened", "ended")
    assert (ended["bytes"], ended["complete"]) == (2, True)
    assert ended["milliseconds"] >= 0
    assert "bytes" not in opened
    feed = done.one("GET /events")
    assert (feed["audit"], feed["owner"]) == ("opened", "default")
    link = re.search(r"capability=([^&]+)", done.links["feed"])
    assert link
    assert feed["capability"] == fingerprint(link[1])


def test_what_anybody_may_ask_is_no_action(done: Journey) -> None:
    """Neither health checks nor paths that lead nowhere have a line."""
    actions = {line["action"] for line in done.lines}
    assert not any("healthz" in action or WRONG_TOKEN in action for action in actions)
