"""Clients that create, send, complete, give up, crash and come back in any order, over the real API and hasher.

The network to S3, DynamoDB and SQS fails on purpose, other requests come in between, and S3's events come late, twice
or before the API knows. Whatever happens: no file is ever ready without its bytes, none is lost after a 202, none is
seen by anybody else, and nothing of what was deleted is left in S3.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import httpx
import pytest
from aws_lambda_powertools.utilities import parameters
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sluice.errors import FileNotFound
from sluice.files import KEY_PREFIX, File, Status, owner_and_id
from sluice.limits import UNFINISHED_DAYS
from sluice.listing import Listing
from tests.effort import effort
from tests.integration import proxy as network
from tests.integration.conftest import more
from tests.integration.test_permissions import fresh
from tests.integration.world import (
    BUCKET,
    TABLE,
    World,
    content,
    digests,
    environment,
    handled,
    send,
    small_parts,
    world,
)

EXAMPLES, STEPS = effort((3, 20), (8, 30), (30, 30))
PART = 50  # bytes
SIZES = (0, 1, PART, PART + 1, 2 * PART, 2 * PART + 7)
OWNERS = ("ann", "bob")
SECRETS = {"the-tokens": json.dumps({owner: f"token-of-{owner}" for owner in OWNERS}), "the-key": "k" * 64}
SDK_ATTEMPTS = 5
RECEIVES = 5  # of one message, as the template's queue gives it out
PATIENCE_SECONDS = 60  # on a busy machine

Trouble = tuple[str, Sequence[network.Fault]]  # the operation whose next requests fail, and how each of them does


def troubles(operation: str, *faults: network.Fault) -> list[Trouble]:
    """Each fault once, which the SDK gets over; then for as long as it tries; then so only the second time."""
    for_ever = [[fault] * SDK_ATTEMPTS for fault in faults]
    again = [[network.pass_on, *several] for several in for_ever]
    return [(operation, several) for several in ([[fault] for fault in faults] + for_ever + again)]


REFUSED = network.says(503, "SlowDown")
FAILED = network.says(200, "InternalError")  # as S3 does when it has been at it for a while
RECORDS = [*troubles("GetItem", network.lose), *troubles("PutItem", network.lose, network.throttled)]
CREATING = [*RECORDS, *troubles("other", network.lose, REFUSED)]
COMPLETING = [
    *RECORDS,
    *troubles("ListParts", REFUSED),
    *troubles("HeadObject", network.lose),
    *troubles("SendMessage", network.lose, REFUSED),
    *troubles("CompleteMultipartUpload", network.lose, REFUSED, FAILED),
    ("CompleteMultipartUpload", [network.says(409, "ConditionalRequestConflict")]),
]
DELETING = [
    *RECORDS,
    *troubles("AbortMultipartUpload", network.lose, REFUSED),
    *troubles("other", network.lose, REFUSED),
    *troubles("DeleteItem", network.lose, network.throttled),
]
# What another request can come before or after.
MEETING = (
    *("GetItem", "PutItem", "ListParts", "HeadObject", "SendMessage", "CompleteMultipartUpload"),
    *("AbortMultipartUpload", "other"),
)


@dataclass(eq=False)
class Upload:
    """What a client knows of its file, and has been told."""

    owner: str
    id: str
    data: bytes
    fingerprint: str | None
    parts: dict[int, dict[str, Any]]
    sent: dict[int, set[bytes]] = field(default_factory=dict)  # what S3 took as each part
    promised: bool = False  # a 202 said that it goes on
    deleted: bool = False  # a 204 said so
    unsure: bool = False  # a DELETE was answered by a failure


@dataclass(frozen=True)
class Message:
    """One of the queue, and how often it came."""

    body: dict[str, Any]
    receives: int = 1


class Clock:
    """The time of records and jobs: the true one, and the days that have been let go by."""

    def __init__(self) -> None:
        self.days = 0

    def time_ns(self) -> int:
        return time.time_ns() + self.days * 86_400 * 10**9

    def time(self) -> float:
        return self.time_ns() / 10**9

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(frozen=True)
class Deployed:
    """The two functions, the API behind the bad network."""

    here: World
    api: ModuleType
    hasher: ModuleType
    clock: Clock

    def ask(self, owner: str, method: str, path: str, body: Any = None) -> httpx.Response:
        client = TestClient(self.api.app, raise_server_exceptions=False)
        headers = {"Authorization": f"Bearer token-of-{owner}"}
        answer: httpx.Response = client.request(method, path, headers=headers, json=body)
        assert answer.status_code != 500, answer.text
        return answer

    def take(self, message: Message) -> bool:
        """Whether the hasher is done with the message."""
        return handled(self.hasher.handler, json.dumps(message.body), message.receives) == []

    @contextmanager
    def impatient(self) -> Iterator[None]:
        """The API waits for S3 no longer than S3 needs to say that it has begun."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(type(self.api.files.uploads).complete.__globals__, "COMPLETE_SECONDS", 0.05)
            yield


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployed]:
    variables = {
        "ACCESS_TOKEN_SECRET": "the-tokens",
        "CAPABILITY_KEY_SECRET": "the-key",
        "STREAM_URL": "https://stream.example/",
        "TABLE_NAME": TABLE,
        "BUCKET_NAME": BUCKET,
        "READ_CONNECTIONS": "1",  # what moto can do
        "POWERTOOLS_METRICS_NAMESPACE": "Sluice",
        "POWERTOOLS_SERVICE_NAME": "test",
        "POWERTOOLS_TRACE_DISABLED": "1",
    }
    clock = Clock()
    with world() as here, pytest.MonkeyPatch.context() as patch:
        small_parts(patch, PART)
        patch.setattr(parameters, "get_secret", lambda name, **_: SECRETS[name])
        patch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
        patch.setattr("sluice.queue.DELAY_SECONDS", 0)
        patch.setattr("sluice.files.time", clock)
        patch.setattr("sluice.hashing.time", clock)
        near = str(here.near_sqs.meta.endpoint_url)
        with environment(near, **variables, QUEUE_URL=here.queue_url):
            hasher = fresh("functions.hasher.app")
        with environment(here.proxy.url, **variables, QUEUE_URL=here.queue_url):
            api = fresh("functions.api.app")
            yield Deployed(here, api, hasher, clock)


class Clients(RuleBasedStateMachine):
    """Two owners and their clients, S3's events on their way, and requests of S3 that take their time."""

    uploads = Bundle("uploads")

    deployed: ClassVar[Deployed]

    def __init__(self) -> None:
        super().__init__()
        self.here = self.deployed.here
        self.known: list[Upload] = []
        self.queue: list[Message] = []
        self.past: list[Message] = []
        self.announced: set[str] = set()  # versions
        self.slow: list[tuple[Event, Event]] = []  # requests that S3 is at: let it, and it has

    # ------------------------------------------------------------ what clients do

    @rule(
        target=uploads,
        owner=st.sampled_from(OWNERS),
        size=st.sampled_from(SIZES),
        fingerprint=st.none() | st.sampled_from("fg"),
        trouble=st.none() | st.sampled_from(CREATING),
    )
    def create(
        self, owner: str, size: int, fingerprint: str | None, trouble: Trouble | None
    ) -> "Upload | MultipleResults[Upload]":
        """A new file, or the one that the fingerprint means, also where nobody heard of its creation."""
        wanted = {"filename": "a", "size": size, "fingerprint": fingerprint}
        unfinished = [
            file.id
            for file in self.records(owner)
            if file.status is Status.UPLOADING and fingerprint and (file.fingerprint, file.size) == (fingerprint, size)
        ]
        with self.troubled(trouble):
            answer = self.deployed.ask(owner, "POST", "/files", wanted)
        if answer.status_code == 503:
            return multiple()
        created = answer.json()
        parts = {part["number"]: part for part in created["parts"]}
        assert (answer.status_code == 200) == bool(unfinished), answer.text
        if unfinished:
            assert created["id"] == max(unfinished)
            for upload in self.known:
                if upload.id == created["id"]:
                    upload.parts |= parts
                    return multiple()
        assert answer.status_code == 200 or created["id"] not in {upload.id for upload in self.known}
        upload = Upload(owner, created["id"], content(size, seed=len(self.known)), fingerprint, parts)
        self.known.append(upload)
        return upload

    @rule(upload=uploads, number=st.integers(1, 3), how=st.sampled_from(["right", "right", "other", "short", "long"]))
    def send(self, upload: Upload, number: int, how: str) -> None:
        """A part, with a URL that may be of another time: right, with other bytes, or by a way around the signature."""
        part, file = upload.parts.get(number), self.record(upload)
        # On S3 a wrong size takes credentials of one's own, and those may spoil a completion whatever we do.
        if part is None or (how in ("short", "long") and (file is None or file.status is not Status.UPLOADING)):
            return
        body = upload.data[part["offset"] : part["offset"] + part["size"]]
        match how:
            case "other":
                body = bytes(len(body))
            case "short":
                body = body[1:]
            case "long":
                body += b"!"
        headers = {"Content-Type": "application/octet-stream"} | part["headers"]
        with suppress(urllib.error.HTTPError):  # it is there already, or nothing is taken any more
            send(urllib.request.Request(part["url"], body, headers, method="PUT"))
            upload.sent.setdefault(number, set()).add(body)
        self.listen()

    @rule(upload=uploads)
    def send_all(self, upload: Upload) -> None:
        """Most clients do."""
        for number in upload.parts:
            self.send(upload, number, "right")

    @rule(upload=uploads)
    def come_back(self, upload: Upload) -> None:
        """By id, from anywhere: new URLs, and the parts that need not be sent again."""
        answer = self.deployed.ask(upload.owner, "GET", f"/files/{upload.id}/parts")
        if answer.status_code == 200:
            told = answer.json()
            upload.parts |= {part["number"]: part for part in told["parts"]}
            for part in told["received"]:
                assert part["size"] in {len(body) for body in upload.sent[part["number"]]}
                assert part["size"] == min(PART, len(upload.data) - (part["number"] - 1) * PART)
        else:
            assert answer.status_code == (404 if self.record(upload) is None else 409)

    @rule(upload=uploads, trouble=st.none() | st.sampled_from(COMPLETING))
    def complete(self, upload: Upload, trouble: Trouble | None) -> None:
        with self.troubled(trouble):
            self.ask_to_complete(upload)
        self.listen()

    @rule(upload=uploads, fault=st.sampled_from([network.lose, REFUSED, FAILED]))
    def complete_while_s3_fails(self, upload: Upload, fault: network.Fault) -> None:
        """For longer than the API can wait; the client does not ask again."""
        self.send_all(upload)
        self.complete(upload, ("CompleteMultipartUpload", [fault] * SDK_ATTEMPTS))

    @rule(upload=uploads)
    def complete_slowly(self, upload: Upload) -> None:
        """S3 takes longer than the API can wait."""
        until, done = Event(), Event()

        def fault(exchange: network.Exchange) -> None:
            self.slow.append((until, done))
            try:
                network.at_it(until)(exchange)
            finally:
                done.set()

        with self.troubled(("CompleteMultipartUpload", [fault])), self.deployed.impatient():
            self.ask_to_complete(upload)
        self.listen()

    @rule(upload=uploads, trouble=st.none() | st.sampled_from(DELETING))
    def delete(self, upload: Upload, trouble: Trouble | None) -> None:
        with self.troubled(trouble):
            self.ask_to_delete(upload)
        self.listen()

    @rule(
        upload=uploads,
        first=st.sampled_from(["complete", "delete"]),
        second=st.sampled_from(["complete", "delete", "events"]),
        operation=st.sampled_from(MEETING),
        meet=st.sampled_from([network.before, network.after]),
    )
    def meet(
        self,
        upload: Upload,
        first: str,
        second: str,
        operation: str,
        meet: Callable[[Callable[[], object]], network.Fault],
    ) -> None:
        """A second request, or S3's events, come between two steps of the first one."""
        deeds: dict[str, Callable[[], None]] = {
            "complete": partial(self.ask_to_complete, upload),
            "delete": partial(self.ask_to_delete, upload),
            "events": self.deliver_all,
        }
        failed: list[BaseException] = []

        def deed() -> None:
            try:
                deeds[second]()
            except BaseException as error:  # noqa: BLE001 - in a thread of the proxy, where no test would notice
                failed.append(error)

        with self.troubled((operation, [meet(deed)])):
            deeds[first]()
        if failed:
            raise failed[0]
        self.listen()

    @rule(upload=uploads, method=st.sampled_from(["GET", "DELETE"]), path=st.sampled_from(["", "/parts", "/complete"]))
    def pry(self, upload: Upload, method: str, path: str) -> None:
        """Nobody else finds the file, whatever is asked of it."""
        (stranger,) = set(OWNERS) - {upload.owner}
        method = {"": method, "/parts": "GET", "/complete": "POST"}[path]
        assert self.deployed.ask(stranger, method, f"/files/{upload.id}{path}").status_code == 404

    # ------------------------------------------------------------ what the world does

    @precondition(lambda self: self.queue)
    @rule(place=st.integers(0, 100))
    def deliver(self, place: int) -> None:
        """A message, of whichever age."""
        self.take(self.queue.pop(place % len(self.queue)))

    @precondition(lambda self: self.past)
    @rule(place=st.integers(0, 100))
    def deliver_again(self, place: int) -> None:
        self.take(self.past[place % len(self.past)])

    @precondition(lambda self: self.slow)
    @rule()
    def finish_what_was_slow(self) -> None:
        """S3 is done with what it was at, long after whoever asked for it has gone."""
        while self.slow:
            until, done = self.slow.pop()
            until.set()
            assert done.wait(PATIENCE_SECONDS)
        self.listen()

    @precondition(lambda self: not self.deployed.clock.days and self.known)
    @rule()
    def let_a_week_go_by(self) -> None:
        """What is unfinished is over. No event takes so long."""
        self.deliver_all()
        self.deployed.clock.days = UNFINISHED_DAYS
        for upload in self.here.near_s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
            self.here.near_s3.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])

    # ------------------------------------------------------------ what must be so in the end

    def teardown(self) -> None:
        try:
            self.deliver_all()
            for upload in self.known:
                self.check(upload)
            self.check_lists()
            self.check_bucket()
        finally:
            self.forget()

    def check(self, upload: Upload) -> None:
        file = self.record(upload)
        if upload.deleted:
            assert file is None or file.status is Status.ABORTED, file
        elif not upload.unsure:
            assert file is not None
            assert file.status in (Status.READY if upload.promised else set(Status) - {Status.ASSEMBLING}), file
            if file.status is Status.ABORTED:
                assert (file.reason, self.deployed.clock.days) == ("expired", UNFINISHED_DAYS)
            if file.status is Status.FAILED:
                assert file.reason == ("upload_missing" if file.upload_id else "size_mismatch"), file
        if file is not None and file.status is Status.READY:
            self.check_bytes(upload, file)

    def check_bytes(self, upload: Upload, file: File) -> None:
        """They are there, what was sent, and what their digests say."""
        version = {"Key": file.key, "VersionId": file.version_id}
        body: bytes = self.here.near_s3.get_object(Bucket=BUCKET, **version)["Body"].read()
        assert len(body) == file.size == len(upload.data)
        assert digests(body).items() <= file.digests.items()
        for number in range(1, file.part_count + 1):
            assert body[(number - 1) * PART : number * PART] in upload.sent[number]

    def check_lists(self) -> None:
        """Everybody has what is theirs, and nothing else."""
        for owner in OWNERS:
            listed = {item["id"] for item in self.deployed.ask(owner, "GET", "/files?limit=100").json()["items"]}
            assert listed.isdisjoint(upload.id for upload in self.known if upload.owner != owner)
            kept = {upload.id for upload in self.known if upload.owner == owner and self.record(upload)}
            assert kept <= listed

    def check_bucket(self) -> None:
        """Every object that can be had has a file that is not given up, and of what was deleted there is no part.

        Where the answer to CreateMultipartUpload was lost there is an upload whose id nobody knows, and never a part of
        it: the bucket's lifecycle rule takes it.
        """
        listed = self.here.near_s3.list_object_versions(Bucket=BUCKET, Prefix=KEY_PREFIX)
        for version in (one for one in listed.get("Versions", []) if one["IsLatest"]):
            named = owner_and_id(version["Key"])
            assert named
            assert self.here.near_files.get(*named).status is not Status.ABORTED
        open_ones = self.here.near_s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        gone = {f"{KEY_PREFIX}{upload.owner}/{upload.id}" for upload in self.known if upload.deleted}
        left = [one for one in open_ones if one["Key"] in gone]
        assert [self.here.near_objects.parts(one["Key"], one["UploadId"]) for one in left] == [[]] * len(left)

    def forget(self) -> None:
        """The next clients find nothing."""
        for until, _ in self.slow:
            until.set()
        self.deployed.clock.days = 0
        for owner in OWNERS:
            for file in self.records(owner):
                self.here.near_uploads.delete(file)
                self.here.near_files.delete(file)
        for one in self.here.near_s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
            self.here.near_objects.abort(one["Key"], one["UploadId"])
        listed = self.here.near_s3.list_object_versions(Bucket=BUCKET)
        for version in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
            self.here.near_s3.delete_object(Bucket=BUCKET, Key=version["Key"], VersionId=version["VersionId"])
        self.here.messages()

    # ------------------------------------------------------------ how it is done

    @contextmanager
    def troubled(self, trouble: Trouble | None) -> Iterator[None]:
        self.here.proxy.forget()
        if trouble:
            operation, faults = trouble
            self.here.proxy.fail(operation, *faults)
        try:
            yield
        finally:
            self.here.proxy.recover()

    def ask_to_complete(self, upload: Upload) -> None:
        answer = self.deployed.ask(upload.owner, "POST", f"/files/{upload.id}/complete")
        if answer.status_code == 202:
            told = answer.json()["status"]
            assert told not in ("uploading", "aborted")
            upload.promised |= told != "failed"
        else:
            assert answer.status_code in (404, 409, 503), answer.text
            assert answer.status_code != 404 or upload.deleted or upload.unsure or self.record(upload) is None

    def ask_to_delete(self, upload: Upload) -> None:
        upload.unsure = True
        answer = self.deployed.ask(upload.owner, "DELETE", f"/files/{upload.id}")
        assert answer.status_code in (204, 404, 409, 503), answer.text
        upload.deleted |= answer.status_code == 204

    def listen(self) -> None:
        """S3 announces each new version once; the API and the hasher have messages of their own."""
        listed = self.here.near_s3.list_object_versions(Bucket=BUCKET, Prefix=KEY_PREFIX).get("Versions", [])
        for version in listed:
            if version["VersionId"] not in self.announced:
                self.announced.add(version["VersionId"])
                self.queue.append(Message(announcement(version)))
        self.queue += map(Message, self.here.messages())

    def take(self, message: Message) -> None:
        self.past.append(message)
        done = self.deployed.take(message)
        if not done and message.receives < RECEIVES:
            self.queue.append(Message(message.body, message.receives + 1))
        self.listen()

    def deliver_all(self) -> None:
        self.finish_what_was_slow()
        while self.queue:
            self.take(self.queue.pop(0))

    def record(self, upload: Upload) -> File | None:
        try:
            return self.here.near_files.get(upload.owner, upload.id)
        except FileNotFound:
            return None

    def records(self, owner: str) -> list[File]:
        return Listing(self.here.near_files).page(owner, 1000)[0]


def announcement(version: dict[str, Any]) -> dict[str, Any]:
    """S3's event about this version."""
    about = {
        "key": version["Key"],
        "size": version["Size"],
        "eTag": version["ETag"].strip('"'),
        "versionId": version["VersionId"],
    }
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": about}}
    return {"Records": [record]}


@more
def test_nothing_is_lost_and_nothing_is_left(deployed: Deployed) -> None:
    """In whichever order clients, crashes and S3's events come."""
    Clients.deployed = deployed
    run_state_machine_as_test(
        Clients,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
