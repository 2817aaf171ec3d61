"""Events out of a real stack: by a rule to a queue, and to a webhook; where the publisher dies, EventBridge refuses."""

import hashlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from time import monotonic
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from samtranslator.yaml_helper import yaml_parse

from functions.publisher.changes import Kind
from local import aws
from local.template import ACCOUNT, REGION
from sluice.files import Files, new_id
from tests.integration import journey, proxy
from tests.integration.conftest import ROOT, Stack, standing
from tests.integration.journey import MIB, PATIENCE_SECONDS
from tests.integration.test_shares import shared, small
from tests.unit.functions.publisher.schemas import schema

SECRET = "what-the-receiver-knows"
SOURCE = "sluice.local"
PASSWORD = "a-password-of-a-share"
# What no event may have: the names of what gives access, as links and records have them, and what tests use.
SECRETS = ("capability", "X-Amz-Signature", "argon2", "scrypt", "upload_id", "lease_holder", SECRET, PASSWORD)
VALIDATORS = {kind: Draft202012Validator(schema(kind, strict=True)) for kind in Kind}


@dataclass
class Heard:
    """What a queue has been sent by a rule, and what was taken out of it."""

    services: aws.Services
    url: str
    secrets: tuple[str, ...] = SECRETS
    seen: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def by_rule(cls, services: aws.Services, name: str, pattern: dict[str, Any]) -> "Heard":
        url = services.sqs.create_queue(QueueName=name)["QueueUrl"]
        services.events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        services.events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
        return cls(services, url)

    def until(self, enough: Callable[[list[dict[str, Any]]], bool], about: str) -> list[dict[str, Any]]:
        """The events whose text has `about` in it, once there are enough of them."""
        late = monotonic() + PATIENCE_SECONDS
        while not enough(found := [event for event in self.seen if about in json.dumps(event["detail"])]):
            assert monotonic() < late, [(event["detail-type"], event["detail"]["id"]) for event in self.seen]
            ask: Any = {"QueueUrl": self.url, "WaitTimeSeconds": 1, "MaxNumberOfMessages": 10}
            for message in self.services.sqs.receive_message(**ask).get("Messages", []):
                self.services.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
                assert not [secret for secret in self.secrets if secret in message["Body"]]
                event = json.loads(message["Body"])
                assert event["source"] == SOURCE
                VALIDATORS[event["detail-type"]].validate(event["detail"])
                self.seen.append(event)
        return found

    def kinds(self, about: str, *kinds: Kind) -> list[dict[str, Any]]:
        """The details of the events about this id, which are of these kinds."""
        found = self.until(lambda events: len(events) >= len(kinds), about)
        assert sorted(event["detail-type"] for event in found) == sorted(kinds)
        details = {event["detail-type"]: event["detail"] for event in found}
        return [details[kind] for kind in kinds]

    def downloads(self, share_id: str) -> list[dict[str, Any]]:
        """The details of two downloads from this share, that of a file first."""
        details = [event["detail"] for event in self.until(lambda events: len(events) >= 2, share_id)]
        return sorted(details, key=lambda detail: detail["file"] is None)


class Receiver(ThreadingHTTPServer):
    """A webhook: answers by the next of `statuses`, else by 200; each request is in `requests`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.statuses: list[int] = []
        self.requests: Queue[tuple[dict[str, str], dict[str, Any]]] = Queue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    def about(self, file_id: str, count: int) -> list[tuple[dict[str, str], dict[str, Any]]]:
        """The next requests about this file."""
        found: list[tuple[dict[str, str], dict[str, Any]]] = []
        while len(found) < count:
            asked = self.requests.get(timeout=PATIENCE_SECONDS)
            found += [asked] if file_id in json.dumps(asked[1]) else []
        return found


class Answering(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.requests.put(({"path": self.path, **headers}, event))

    def log_message(self, *_: object) -> None:
        """Requests are looked at in `requests`, not on stderr."""


@dataclass(frozen=True)
class World:
    stack: Stack
    services: aws.Services
    network: proxy.Proxy  # between the publisher and EventBridge
    heard: Heard
    receiver: Receiver

    @property
    def files(self) -> Files:
        (table,) = self.services.dynamodb.list_tables()["TableNames"]
        return Files(self.services.dynamodb, table)

    def queue_of(self, name: str) -> str:
        return next(url for url in self.services.sqs.list_queues()["QueueUrls"] if f"-{name}-" in url)

    def kill_publisher(self) -> None:
        """As the kernel does that is out of memory."""
        (pid,) = publishers(self.stack.aws)
        os.kill(pid, signal.SIGKILL)


def publishers(endpoint: str) -> list[int]:
    wanted = {b"AWS_LAMBDA_FUNCTION_NAME=local-PublisherFunction", f"AWS_ENDPOINT_URL={endpoint}".encode()}
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = {*path.read_bytes().split(b"\0")}
        except OSError:  # ended meanwhile, or somebody else's
            continue
        found += [int(path.parent.name)] if wanted <= variables else []
    return found


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    parameters = {"EventBusName": "default", "WebhookSecret": SECRET}
    receiver = Receiver()
    with proxy.served(receiver), proxy.serving(("127.0.0.1", 0)) as network:
        parameters["WebhookUrl"] = receiver.url
        env = {"AWS_ENDPOINT_URL_EVENTBRIDGE": network.url}
        with standing(tmp_path_factory.mktemp("events"), parameters=parameters, env=env) as stack:
            network.upstream = ("127.0.0.1", httpx.URL(stack.aws).port or 0)
            services = aws.connect(stack.aws)
            heard = Heard.by_rule(services, "heard", {"source": [SOURCE]})
            yield World(stack, services, network, heard, receiver)


@pytest.fixture
def api(here: World) -> Iterator[httpx.Client]:
    here.network.recover()
    here.network.forget()
    with journey.client(here.stack.api, here.stack.token) as owner:
        yield owner


def shown(api: httpx.Client, file_id: str) -> dict[str, Any]:
    """The file as the API has it, without its links."""
    file: dict[str, Any] = api.get(f"/files/{file_id}").json()
    del file["links"]
    return file


def test_a_file_that_is_ready_is_told(here: World, api: httpx.Client) -> None:
    """With all that the API says of it, and by the rule of the docs only where it is verified."""
    (rule,) = (
        resource["Properties"]
        for resource in yaml_parse((ROOT / "events/rules/queue.yaml").read_text())["Resources"].values()
        if resource["Type"] == "AWS::Events::Rule"
    )
    verified = Heard.by_rule(here.services, "verified", rule["EventPattern"] | {"source": [SOURCE]})
    hashed = journey.ended(api, journey.upload(api, b"nobody vouches for these bytes"))
    (detail,) = here.heard.kinds(hashed["id"], Kind.FILE_READY)
    assert detail["file"] == shown(api, hashed["id"])
    assert (detail["owner"], detail["time"]) == ("default", hashed["updated_at"])
    data = b"their sender does"
    vouched = journey.upload(api, data, digests={"sha-256": hashlib.sha256(data).hexdigest()})
    (detail,) = verified.kinds(vouched["id"], Kind.FILE_READY)
    assert detail["file"] == shown(api, vouched["id"])
    assert [event["detail"]["file"]["id"] for event in verified.seen] == [vouched["id"]]


def test_a_file_that_failed_is_told(here: World, api: httpx.Client) -> None:
    """With what was promised and what came."""
    other = journey.random_bytes(9 * MIB)  # two parts: nobody completes them before the digest is declared
    file = journey.create(api, len(other))
    journey.put_parts(file["parts"], other)
    api.post(f"/files/{file['id']}/complete", json={"digests": {"md5": "0" * 32}})
    (detail,) = here.heard.kinds(file["id"], Kind.FILE_FAILED)
    assert detail["file"]["mismatch"]["expected"] == "0" * 32
    assert detail["file"] == shown(api, file["id"])


def test_an_upload_that_is_given_up_is_told(here: World, api: httpx.Client) -> None:
    """At once where somebody gives it up; where its time is over, when DynamoDB forgets it."""
    given_up, expired = journey.create(api, 10), journey.create(api, 10)
    assert api.delete(f"/files/{given_up['id']}").status_code == 204
    (detail,) = here.heard.kinds(given_up["id"], Kind.FILE_ABORTED)
    assert detail["file"]["reason"] == "aborted"
    file = here.files.save(here.files.get("default", expired["id"]), expires_at=1)
    client, table = here.files.connection
    client.delete_item(TableName=table, Key={"owner": {"S": file.owner}, "id": {"S": file.id}})  # as the TTL does
    (detail,) = here.heard.kinds(expired["id"], Kind.FILE_ABORTED)
    assert (detail["file"]["status"], detail["file"]["reason"]) == ("aborted", "expired")


def through_a_drop(api: httpx.Client, here: World, title: str) -> tuple[dict[str, Any], dict[str, Any]]:
    drop = api.post("/drops", json={"max_files": 2, "expires_in": 600, "title": title}).json()
    with journey.client(here.stack.api, drop["capability"]) as guest:
        return drop, journey.upload(guest, b"a photo", "photo.jpg")


def test_what_comes_through_a_drop_is_told(here: World, api: httpx.Client) -> None:
    """With the drop's id and title, beside the event of the file; also where the drop has ended since."""
    drop, file = through_a_drop(api, here, "Photos of Saturday")
    received, ready = here.heard.kinds(file["id"], Kind.DROP_RECEIVED, Kind.FILE_READY)
    assert received["drop"] == {"id": drop["id"], "title": "Photos of Saturday"}
    assert received["file"] == ready["file"] == shown(api, file["id"])
    assert received["id"] != ready["id"]


def test_a_download_from_a_share_is_told(here: World, api: httpx.Client) -> None:
    """With the share, the file and the bytes that were sent; of an archive without a file. The owner's own is not."""
    file = small(api, "taken.txt", b"the bytes of it")
    share = shared(api, [file], title="For you", password=PASSWORD)
    with journey.client(here.stack.api, share["capability"]) as holder:
        opened = holder.post(f"/shares/{share['id']}/open", json={"password": PASSWORD}).json()
    links = [opened["files"][0]["links"]["content"], opened["links"]["archive"]]
    httpx.get(file["links"]["content"], trust_env=False, timeout=PATIENCE_SECONDS).raise_for_status()
    bodies = [httpx.get(link, trust_env=False, timeout=PATIENCE_SECONDS).raise_for_status().content for link in links]
    whole, archive = here.heard.downloads(share["id"])
    for told, body in ((whole, bodies[0]), (archive, bodies[1])):
        assert told["share"] == {"id": share["id"], "title": "For you"}
        assert (told["sent_bytes"], told["size"], told["ended"]) == (len(body), len(body), "complete")
    assert whole["file"] == shown(api, file["id"])
    assert (whole["record"], archive["file"]) == (file["id"], None)


def test_a_publisher_that_dies_loses_nothing(here: World, api: httpx.Client) -> None:
    """Killed between a verdict and its event: the change comes again, to the next one."""

    def die(exchange: proxy.Exchange) -> None:
        here.kill_publisher()
        exchange.hang_up()

    here.network.fail("PutEvents", die)
    file = small(api, "survives.txt", b"told nevertheless")
    here.heard.kinds(file["id"], Kind.FILE_READY)
    assert len(here.network.asked("PutEvents")) == 2


def test_what_is_delivered_twice_has_the_same_id(here: World, api: httpx.Client) -> None:
    """Killed between the event and the word that it was sent: it is sent again, and a receiver can tell."""

    def die(exchange: proxy.Exchange) -> None:
        exchange.forward()
        here.kill_publisher()
        exchange.hang_up()

    here.network.fail("PutEvents", die)
    file = small(api, "twice.txt", b"told twice")
    twice = here.heard.until(lambda events: len(events) >= 2, file["id"])
    assert len(twice) == 2
    assert twice[0]["detail"] == twice[1]["detail"]
    assert twice[0]["id"] != twice[1]["id"]  # EventBridge's own


def test_only_what_eventbridge_refused_is_sent_again(here: World, api: httpx.Client) -> None:
    """Of two entries in one request it takes the second alone, so that the first comes once more."""

    def refuse_first(exchange: proxy.Exchange) -> None:
        asked = exchange.request_read
        body = json.dumps({"Entries": asked.json()["Entries"][1:]}).encode()
        exchange.request_read = replace(asked, body=body, headers=asked.headers | {"content-length": str(len(body))})
        answer = json.loads(exchange.forward().body)
        refused = {"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"}
        told = {"FailedEntryCount": 1, "Entries": [refused, *answer["Entries"]]}
        exchange.send(proxy.Answer(200, json.dumps(told).encode()))

    here.network.fail("PutEvents", refuse_first)
    _, file = through_a_drop(api, here, "In part")
    here.heard.kinds(file["id"], Kind.DROP_RECEIVED, Kind.FILE_READY)
    sent = [[entry["DetailType"] for entry in one.json()["Entries"]] for one in here.network.asked("PutEvents")]
    assert sent == [["File Ready", "Drop Received"], ["File Ready"]]


def test_a_refusal_of_everything_is_waited_out(here: World, api: httpx.Client) -> None:
    """The change waits in the stream until EventBridge takes its event."""
    here.network.fail_always("PutEvents", proxy.internal_error)
    file = small(api, "late.txt", b"told late")
    late = monotonic() + PATIENCE_SECONDS
    while len(here.network.asked("PutEvents")) < 4:  # more than the SDK tries by itself
        assert monotonic() < late
        here.files.get("default", file["id"])
    here.network.recover()
    here.heard.kinds(file["id"], Kind.FILE_READY)


def test_a_change_that_nobody_understands_holds_nothing_up(here: World, api: httpx.Client) -> None:
    """It is among the dead letters, as the stream had it; what comes behind it is told."""
    client, table = here.files.connection
    broken = {"owner": {"S": "default"}, "id": {"S": new_id()}, "status": {"S": "ready"}, "filename": {"S": "a"}}
    client.put_item(TableName=table, Item=broken)
    file = small(api, "behind.txt", b"told as ever")
    here.heard.kinds(file["id"], Kind.FILE_READY)
    url = here.queue_of("EventsDeadLetters")
    (message,) = here.services.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    (record,) = json.loads(message["Body"])["Records"]
    assert record["dynamodb"]["NewImage"] == broken
    client.delete_item(TableName=table, Key={name: broken[name] for name in ("owner", "id")})


def test_the_webhook_gets_every_event(here: World, api: httpx.Client) -> None:
    """The whole event with the secret in its header; again where it answers 500, and a dead letter where it refuses."""
    file = small(api, "hooked.txt", b"posted")
    ((headers, event),) = here.receiver.about(file["id"], 1)
    assert (headers["path"], headers["x-sluice-secret"]) == ("/hook", SECRET)
    assert (event["detail-type"], event["source"]) == (Kind.FILE_READY, SOURCE)
    VALIDATORS[Kind.FILE_READY].validate(event["detail"])
    here.receiver.statuses.append(500)
    file = small(api, "again.txt", b"posted twice")
    first, second = here.receiver.about(file["id"], 2)
    assert first[1] == second[1]
    here.receiver.statuses.append(400)
    file = small(api, "refused.txt", b"refused")
    url = here.queue_of("WebhookDeadLetters")
    ask: Any = {"QueueUrl": url, "WaitTimeSeconds": 20, "MessageAttributeNames": ["All"]}
    (message,) = here.services.sqs.receive_message(**ask)["Messages"]
    assert json.loads(message["Body"])["detail"]["file"]["id"] == file["id"]
    assert message["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"].startswith("400")
