"""A hundred and twenty files through the whole local stack, while its processes, its queue and its table misbehave.

Processes of each function are killed and stopped, hashers among them in the middle of a file; messages are doubled and
come in any order; the table refuses in bursts; parts are sent twice, uploads given up, files deleted while they are
hashed. What happens is drawn from a seed: CHAOS_SEED=7 make test-endurance ARGS="-k chaos" draws other things.
"""

import hashlib
import os
import random
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Lock
from typing import Any, Literal
from urllib.parse import quote_plus, unquote, urlsplit

import httpx
import pytest

from local import aws
from sluice.errors import FileNotFound
from sluice.files import ENDED, Files, owner_and_id
from sluice.limits import KIB
from sluice.objects import bare_etag
from tests.effort import effort
from tests.endurance.test_kills import NOWHERE, Queue, connection, open_files
from tests.integration import journey
from tests.integration.conftest import ROOT, Running, options, running, thorough
from tests.integration.proxy import HOP_BY_HOP, Answer, Exchange, pass_on, serving, throttled
from tests.integration.test_local_endings import alive, descendants

pytestmark = thorough

SEED = int(os.environ.get("CHAOS_SEED", "120"))
FILES, DROPPED = effort((48, 12), (48, 12), (120, 24))  # in all, and of those through a drop
ATTACKED = 12  # files whose hasher is killed or stopped
PIECE = 64 * KIB  # of a hasher's buffer, and of what is passed on to it at a time
PART_BYTES = 64 * KIB  # as `hurried` has it
SENDERS = 6
DELETED = 20  # in the end
PATIENCE_SECONDS = 120
# A process is stopped for longer than its lease and for less than its message is out: Lambda ends a function before.
VISIBILITY_SECONDS, STOPPED_SECONDS = 20, 5
SETTINGS = {"READ_PART_BYTES": str(PIECE), "CHECKPOINT_SECONDS": "0.01", "LEASE_SECONDS": "2"}
PATHS = (Path(__file__).parent / "hurried", ROOT, ROOT / "layers" / "core", ROOT / "layers" / "streaming_runtime")
# Requests to the table that pass between two bursts, and that are refused in one. The SDK tries five times.
CALM, BURST = (60, 240), (4, 40)
TABLE_OPERATIONS = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "TransactWriteItems")
# What a client tries again: the environment that worked for it was killed (500, 502), or is not to be had (503).
PASSING = {409, 429, 500, 502, 503, 504}
# What a client asks between two misdeeds of a kind, on average.
KILL_API, KILL_STREAM, STOP_API, REPEAT = 60, 90, 80, 12
STOPPED_FOR = 6  # of those

Declared = Literal["", "begin", "end", "parts", "wrong at the beginning", "wrong at the end"]
Fate = Literal["kept", "aborted", "deleted", "replaced"]
Attack = Literal["kill", "stop"]


@dataclass(frozen=True)
class Plan:
    """One file, and what becomes of it."""

    name: str
    data: bytes = field(repr=False)
    declared: Declared
    fate: Fate
    dropped: bool = False
    watched: bool = False
    resent: bool = False  # one of its parts arrives with other bytes first
    attacks: tuple[Attack, ...] = ()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def wrong(self) -> str:
        return hashlib.sha256(self.data + b"!").hexdigest()


@dataclass(frozen=True)
class Sent:
    """What its sender knows in the end; `completed`: he was told that nothing more is to be done."""

    plan: Plan
    id: str
    completed: bool
    seen: str | None = None  # the last event of its stream


def plans(chance: random.Random) -> list[Plan]:
    """All kinds of files, in any order; those that are attacked are large, and have to be read."""
    sizes = [0] * 10 + [1] * 10
    sizes += [chance.randrange(2, PART_BYTES + 1) for _ in range(36)]
    sizes += [chance.randrange(PART_BYTES + 1, 5 * PART_BYTES) for _ in range(FILES - ATTACKED - len(sizes))]
    made = [_plan(chance, number, size) for number, size in enumerate(sizes)]
    for number in range(ATTACKED):
        data = chance.randbytes(chance.randrange(20, 28) * PART_BYTES + chance.randrange(PART_BYTES))
        ways: list[Declared] = ["", "begin", "end", "parts", "wrong at the end"]
        declared = chance.choice(ways)
        kinds: list[tuple[Attack, ...]] = [("kill",), ("kill",), ("kill", "kill"), ("stop",), ("stop", "kill")]
        attacks = chance.choice(kinds)
        fate: Fate = "deleted" if number == 0 else "kept"
        made.append(Plan(f"large {number}.bin", data, declared, fate, attacks=attacks, dropped=number % 4 == 0))
    chance.shuffle(made)
    return made


def _plan(chance: random.Random, number: int, size: int) -> Plan:
    several = size > PART_BYTES
    ways: list[Declared] = ["", "", "begin", "begin", "end", "wrong at the beginning", "wrong at the end"]
    declared = chance.choice([*ways, "parts"] if several else ways)
    fate = chance.choices(["kept", "aborted", "deleted", "replaced"], weights=[14, 2, 2, 2])[0]
    resent = several and declared != "parts" and chance.random() < 0.3
    watched = fate == "kept" and chance.random() < 0.25
    return Plan(
        f"Übung {number}.bin",
        chance.randbytes(size),
        declared,
        fate,  # type: ignore[arg-type]
        dropped=number % (FILES // (DROPPED - ATTACKED // 4)) == 0,
        watched=watched,
        resent=resent,
    )


class Bursts:
    """The table: in bursts it wants no more, and says so in either of DynamoDB's ways."""

    def __init__(self, chance: random.Random) -> None:
        self.refused = 0
        self._chance = chance
        self._lock = Lock()
        self._calm = self._burst = 0

    def answer(self, exchange: Exchange) -> None:
        with self._lock:
            if self._calm + self._burst == 0:
                self._calm, self._burst = self._chance.randint(*CALM), self._chance.randint(*BURST)
            calm = self._calm > 0
            if calm:
                self._calm -= 1
            else:
                self._burst -= 1
                self.refused += 1
            way = self._chance.choice([throttled, throttling])
        (pass_on if calm else way)(exchange)


def throttling(exchange: Exchange) -> None:
    """The control plane's refusal, which DynamoDB also gives where a table on demand grows too fast."""
    exchange.send(Answer(400, b'{"__type":"com.amazon.coral.availability#ThrottlingException","message":"Slow down."}'))


class Hashing:
    """Passes objects on to the hashers, and kills or stops those that are in the middle of a file that is attacked."""

    def __init__(self, stack: int, files: Files, repeat: Callable[[str, bool], None]) -> None:
        self.attacked: list[tuple[Attack, str, int, int]] = []
        self.due: dict[str, list[Attack]] = {}  # by the file's id
        self._stack = stack
        self._files = files
        self._repeat = repeat
        self._one_at_a_time = Lock()  # or every place to hash would be taken by one that is stopped

    def pass_on(self, exchange: Exchange) -> None:
        _, _, key = unquote(urlsplit(exchange.path).path).partition("/files/")
        named = owner_and_id(f"files/{key}")
        if named is None:  # a list of versions
            pass_on(exchange)
            return
        exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)
        with closing(HTTPConnection(*exchange.server.upstream)) as upstream:
            upstream.request("GET", exchange.path, headers=exchange.request_read.headers)
            response = upstream.getresponse()
            headers = [(name, value) for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP]
            exchange.send(Answer(response.status, b"", [*headers, ("Content-Length", str(response.length))]))
            with suppress(ConnectionError):  # it was killed, or another has the file
                self._body(exchange, response, *named)
        exchange.close_connection = True

    def _body(self, exchange: Exchange, response: HTTPResponse, owner: str, file_id: str) -> None:
        while piece := response.read(PIECE):
            exchange.wfile.write(piece)
            if self.due.get(file_id):
                with self._one_at_a_time:
                    self._attack(owner, file_id, exchange.client_address[1])

    def _attack(self, owner: str, file_id: str, port: int) -> None:
        """Once its hasher has written how far it is, and is not at the end."""
        try:
            file = self._files.get(owner, file_id)
        except FileNotFound:  # deleted meanwhile
            self.due[file_id].clear()
            return
        if not self.due[file_id] or not (file.lease_holder and 0 < file.hashed_bytes < file.size):
            return
        hasher = next((pid for pid in processes(self._stack, "hasher") if _holds(pid, port)), None)
        if hasher is None:  # the table has refused its checkpoint, and it left
            return
        attack = self.due[file_id].pop(0)
        self.attacked.append((attack, file_id, file.hashed_bytes, file.size))
        if attack == "kill":
            os.kill(hasher, signal.SIGKILL)
            self._repeat(file_id, True)  # too soon for the lease, some of them
            return
        os.kill(hasher, signal.SIGSTOP)
        try:
            within(STOPPED_SECONDS, lambda: self._files.get(owner, file_id).lease_until <= time.time())
            self._repeat(file_id, True)
            within(
                STOPPED_SECONDS,
                lambda: (
                    (now := self._files.get(owner, file_id)).lease_holder != file.lease_holder or now.status in ENDED
                ),
            )
        except FileNotFound:
            pass
        finally:
            os.kill(hasher, signal.SIGCONT)


def _holds(pid: int, port: int) -> bool:
    with suppress(ValueError, FileNotFoundError):  # the connection or the process has ended
        return f"socket:[{connection(port).inode}]" in open_files(pid)
    return False


def processes(stack: int, function: str) -> list[int]:
    """The environments of a function. That of the stream function is known by its runtime, which hides the handler."""
    mark = "streaming_runtime" if function == "stream" else f"functions.{function}"
    return sorted(pid for pid, text in alive(descendants(stack)).items() if mark in text)


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Wait until it holds, but no longer than that; whether it does."""
    late = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < late:
        time.sleep(0.05)
    return held


class Chaos:
    """The stack, its clients' requests, and what happens to its processes and messages with these."""

    def __init__(self, up: Running, queue: Queue, services: aws.Services, chance: random.Random) -> None:
        self.up = up
        self.queue = queue
        self.done: Counter[str] = Counter()
        self.faults: list[str] = []  # what no client should ever be told
        self._chance = chance
        self._lock = Lock()
        self._s3 = services.s3
        self.bucket = services.s3.list_buckets()["Buckets"][0]["Name"]
        self._events: dict[str, dict[str, Any]] = {}
        self._stopped: dict[int, int] = {}

    def ask(self, client: httpx.Client, method: str, url: str, **more: Any) -> httpx.Response:
        """Ask as a patient client does: again, where the answer does not come or says that it passes."""
        late = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.misbehave()
            try:
                answer = client.request(method, url, **more)
            except httpx.TransportError as error:
                said = repr(error)
            else:
                code = answer.json().get("code") if "problem" in answer.headers.get("content-type", "") else None
                if code == "internal_error":
                    self.faults.append(f"{method} {url}: {answer.text}")
                if answer.status_code not in PASSING or code in ("wrong_state", "parts_missing", "digests_differ"):
                    return answer
                said = answer.text
            assert time.monotonic() < late, f"{method} {url}: {said}"

    def misbehave(self) -> None:
        with self._lock:
            for pid in [*self._stopped]:
                self._stopped[pid] -= 1
                if self._stopped[pid] <= 0:
                    self._go_on(pid)
            for function, often in (("api", KILL_API), ("stream", KILL_STREAM)):
                if self._chance.randrange(often) == 0 and (pids := processes(self.up.process.pid, function)):
                    with suppress(ProcessLookupError):
                        os.kill(self._chance.choice(pids), signal.SIGKILL)
                        self.done[f"{function} killed"] += 1
            if self._chance.randrange(STOP_API) == 0 and (pids := processes(self.up.process.pid, "api")):
                pid = self._chance.choice(pids)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
                    self._stopped[pid] = STOPPED_FOR
                    self.done["api stopped"] += 1
            if self._events and self._chance.randrange(REPEAT) == 0:
                self._repeat(self._chance.choice(sorted(self._events)), misleading=False)

    def go_on(self) -> None:
        """Nothing is stopped any more."""
        with self._lock:
            for pid in [*self._stopped]:
                self._go_on(pid)

    def _go_on(self, pid: int) -> None:
        del self._stopped[pid]
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def learn(self, key: str) -> None:
        """What S3 says of an object that arrived, to be said again later."""
        named = owner_and_id(key)
        with suppress(self._s3.exceptions.ClientError):  # deleted, or S3 is at it
            head = self._s3.head_object(Bucket=self.bucket, Key=key)
            told = {"key": quote_plus(key), "eTag": bare_etag(head["ETag"]), "size": head["ContentLength"]}
            event = {
                "eventVersion": "2.1",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": self.bucket}, "object": told},  # without a version, as moto does
            }
            with self._lock:
                self._events[named[1] if named else key] = event

    def repeat(self, file_id: str, misleading: bool) -> None:
        with self._lock:
            self._repeat(file_id, misleading=misleading)

    def _repeat(self, file_id: str, *, misleading: bool) -> None:
        if event := self._events.get(file_id):
            self.queue.repeat(event, misleading=misleading)
            self.done["messages repeated"] += 1


@dataclass(frozen=True)
class Sender:
    """An owner who sends, with the capability of a drop of his for what comes through that."""

    chaos: Chaos
    hashing: Hashing
    owner: httpx.Client
    guest: httpx.Client
    plain: httpx.Client  # for URLs that say all themselves
    seed: int

    def send(self, plan: Plan) -> list[Sent]:
        sent = [self._send(plan)]
        if plan.fate == "replaced":
            self.delete(sent[0].id)
            data = plan.data[::-1] + b"newer"
            sent.append(self._send(Plan(plan.name, data, "end" if plan.declared else "", "kept", plan.dropped)))
        return sent

    def _send(self, plan: Plan) -> Sent:
        chance = random.Random(f"{self.seed} {plan.name}")
        api = self.guest if plan.dropped else self.owner
        body: dict[str, Any] = {"filename": plan.name, "size": len(plan.data)}
        if plan.declared in ("begin", "wrong at the beginning"):
            body["digests"] = {"sha-256": plan.sha256 if plan.declared == "begin" else plan.wrong}
        if plan.declared == "parts":
            body["part_digest"] = "sha-256"
        answer = self.chaos.ask(api, "POST", "/files", json=body)
        assert answer.status_code == 201, answer.text
        created = answer.json()
        file_id = created["id"]
        self.hashing.due[file_id] = list(plan.attacks)
        parts = self._locked(api, file_id, created, plan) if plan.declared == "parts" else created["parts"]
        chance.shuffle(parts)
        if plan.fate == "aborted":
            self._put_all(plan, parts[: len(parts) // 2], chance)
            self.delete(file_id, api)
            return Sent(plan, file_id, completed=False)
        refused = self._put_all(plan, parts, chance)
        if refused:  # S3 took the sender's word, and the bytes were others
            assert plan.declared == "wrong at the beginning"
            assert self.chaos.ask(api, "POST", f"/files/{file_id}/complete").json()["code"] == "parts_missing"
            self.delete(file_id, api)
            return Sent(plan, file_id, completed=False)
        return self._complete(api, file_id, plan)

    def _complete(self, api: httpx.Client, file_id: str, plan: Plan) -> Sent:
        digests = {"end": plan.sha256, "wrong at the end": plan.wrong}.get(plan.declared)
        more = {"json": {"digests": {"sha-256": digests}}} if digests else {}
        answer = self.chaos.ask(api, "POST", f"/files/{file_id}/complete", **more)
        assert answer.status_code == 202, answer.text
        owner_key = f"files/default/{file_id}"
        self.chaos.learn(owner_key)
        if plan.fate == "deleted":
            self.delete(file_id)
        seen = self._watch(self.chaos.ask(api, "GET", f"/files/{file_id}").json()) if plan.watched else None
        return Sent(plan, file_id, completed=True, seen=seen)

    def _locked(self, api: httpx.Client, file_id: str, created: dict[str, Any], plan: Plan) -> list[dict[str, Any]]:
        size = created["part_size"]
        cut = [plan.data[at : at + size] for at in range(0, len(plan.data), size)]
        wanted = [{"number": n, "digest": hashlib.sha256(part).hexdigest()} for n, part in enumerate(cut, 1)]
        answer = self.chaos.ask(api, "POST", f"/files/{file_id}/parts", json={"parts": wanted})
        assert answer.status_code == 200, answer.text
        parts: list[dict[str, Any]] = answer.json()["parts"]
        return parts

    def _put_all(self, plan: Plan, parts: list[dict[str, Any]], chance: random.Random) -> bool:
        """Whether S3 refused one for its bytes."""
        for number, part in enumerate(parts):
            if plan.resent and number == 0:
                assert self._put(part, chance.randbytes(part["size"])).status_code == 200
            answer = self._put(part, plan.data[part["offset"] : part["offset"] + part["size"]])
            if answer.status_code == 400:
                return True
            assert answer.status_code in (200, 412), answer.text
        return False

    def _put(self, part: dict[str, Any], data: bytes) -> httpx.Response:
        return self.chaos.ask(self.plain, "PUT", part["url"], content=data, headers=part["headers"])

    def delete(self, file_id: str, api: httpx.Client | None = None) -> None:
        answer = self.chaos.ask(api or self.owner, "DELETE", f"/files/{file_id}")
        assert answer.status_code in (204, 404), answer.text  # 404: an answer was lost

    def _watch(self, file: dict[str, Any]) -> str:
        """The name of the last event, however often the stream breaks off."""
        late, seen = time.monotonic() + PATIENCE_SECONDS, ""
        while time.monotonic() < late:
            headers = {"Last-Event-ID": seen} if seen else {}
            with (
                suppress(httpx.TransportError),
                self.plain.stream("GET", file["links"]["events"], headers=headers) as to,
            ):
                for line in to.iter_lines():
                    name, _, value = line.partition(": ")
                    if name == "id":
                        seen = value
                    elif name == "event" and value in ("ready", "failed", "aborted"):
                        return value
                if to.status_code == 204:  # the last one was seen, but for its name
                    return ""
        raise AssertionError(f"no end of the events of {file['id']}")


@contextmanager
def stack(folder: Path, endpoint: str) -> Iterator[Running]:
    variables = {**SETTINGS, "AWS_ENDPOINT_URL": endpoint, "PYTHONPATH": os.pathsep.join(map(str, PATHS))}
    with running(folder / "log", *options("--env", variables), module="local.up", S3_UPLOAD_PART_MIN_SIZE="1") as up:
        yield up


def everything(chaos: Chaos, api: httpx.Client) -> dict[str, dict[str, Any]]:
    """All files of the owner, by id."""
    found: dict[str, dict[str, Any]] = {}
    cursor: dict[str, str] = {}
    while True:
        page = chaos.ask(api, "GET", "/files", params={"limit": "100", **cursor}).json()
        found |= {file["id"]: file for file in page["items"]}
        if not page["next"]:
            return found
        cursor = {"cursor": page["next"]}


def settled(chaos: Chaos, api: httpx.Client) -> dict[str, dict[str, Any]]:
    late = time.monotonic() + PATIENCE_SECONDS
    while True:
        files = everything(chaos, api)
        working = [file for file in files.values() if file["status"] in ("assembling", "hashing")]
        if not working:
            return files
        assert time.monotonic() < late, working


def assert_true(chaos: Chaos, plain: httpx.Client, sent: Sent, file: dict[str, Any] | None) -> None:
    """The file is what became of it, says no more of it than is true, and its content is what was sent, all of it."""
    plan = sent.plan
    if plan.fate in ("deleted", "replaced"):
        assert file is None or (not sent.completed and file["status"] == "aborted")
        return
    assert file is not None, "lost"
    if not sent.completed:
        assert file["status"] == "aborted"
        return
    if plan.declared.startswith("wrong"):
        assert (file["status"], file["reason"], file["verified"]) == ("failed", "digest_mismatch", False)
        assert file["mismatch"] == {"name": "sha-256", "expected": plan.wrong, "found": plan.sha256}
    else:
        assert (file["status"], file["reason"], file["verified"]) == ("ready", None, bool(plan.declared))
        assert file["digests"].items() >= {"sha-256": plan.sha256, "md5": hashlib.md5(plan.data).hexdigest()}.items()  # noqa: S324
        content = chaos.ask(
            plain, "GET", file["links"]["content"], follow_redirects=True
        )  # that of an empty file is one
        assert (content.status_code, content.content) == (200, plan.data)
    assert sent.seen in (None, "", file["status"])


def in_s3(chaos: Chaos, s3: Any) -> tuple[dict[str, list[str | None]], set[str]]:
    """The versions of every key (None: a marker of a deletion), and the keys of unfinished uploads."""
    versions: dict[str, list[str | None]] = {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=chaos.bucket):
        for version in page.get("Versions", []):
            versions.setdefault(version["Key"], []).append(version["VersionId"])
        for marker in page.get("DeleteMarkers", []):
            versions.setdefault(marker["Key"], []).append(None)
    uploads = s3.list_multipart_uploads(Bucket=chaos.bucket).get("Uploads", [])
    return versions, {upload["Key"] for upload in uploads}


@pytest.mark.parametrize("seed", [SEED])
def test_chaos(tmp_path: Path, seed: int) -> None:
    """No wrong, lost or half file; no message and no object is left without a reason."""
    chance = random.Random(seed)
    every = plans(chance)
    with serving(NOWHERE) as relay, stack(tmp_path, relay.url) as up:
        relay.upstream = (urlsplit(up.ready["aws"]).hostname or "", urlsplit(up.ready["aws"]).port or 0)
        services = aws.connect(up.ready["aws"])
        queue = Queue(services.sqs, random.Random(seed + 1))
        queue.hurry(VISIBILITY_SECONDS)
        chaos = Chaos(up, queue, services, random.Random(seed + 2))
        files = Files(services.dynamodb, services.dynamodb.list_tables()["TableNames"][0])
        hashing = Hashing(up.process.pid, files, chaos.repeat)
        bursts = Bursts(random.Random(seed + 3))
        relay.fail_always("GetObject", hashing.pass_on)
        for operation in TABLE_OPERATIONS:
            relay.fail_always(operation, bursts.answer)
        with (
            journey.client(up.ready["api"], up.ready["token"]) as owner,
            httpx.Client(timeout=PATIENCE_SECONDS, trust_env=False) as plain,
        ):
            drop = chaos.ask(owner, "POST", "/drops", json={"max_files": 1000, "expires_in": 3600}).json()
            with journey.client(up.ready["api"], drop["capability"]) as guest:
                sender = Sender(chaos, hashing, owner, guest, plain, seed)
                with ThreadPoolExecutor(SENDERS) as senders:
                    sent = [one for several in senders.map(sender.send, every) for one in several]
            found = settled(chaos, owner)
            for one in sent:
                assert_true(chaos, plain, one, found.pop(one.id, None))
            chaos.go_on()
            # What its client was never told of, because the answer was lost, is no more than begun.
            assert {file["status"] for file in found.values()} <= {"uploading"}
            queue.until_empty()
            assert queue.held(queue.dead) == 0
            versions, uploads = in_s3(chaos, services.s3)
            records = {f"files/default/{file_id}": file for file_id, file in everything(chaos, owner).items()}
            for key, kept in versions.items():
                file = records[key]
                # moto's events say no version, so that the record of a file that was read has none.
                assert kept == [file["version_id"] or kept[0]], (kept, file)
            assert {records[key]["status"] for key in uploads & records.keys()} <= {"uploading"}
            known = {f"files/default/{one.id}" for one in sent}
            assert not (uploads & known)  # what is left belongs to nobody that was told of it, and goes after a week
            gone = chance.sample(sorted(known & records.keys()), DELETED)
            for key in gone:
                sender.delete(records[key]["id"])
            chaos.go_on()
            assert in_s3(chaos, services.s3)[0].keys() == versions.keys() - {*gone}
    assert chaos.faults == []
    # One that is deleted meanwhile may end before anybody reads it.
    large = {one.id for one in sent if one.plan.attacks and one.plan.fate == "kept"}
    assert large <= {file_id for _, file_id, *_ in hashing.attacked}
    assert len([attack for attack, *_ in hashing.attacked if attack == "kill"]) >= ATTACKED // 2
    assert bursts.refused > 0
    assert {"api killed", "api stopped", "stream killed", "messages repeated"} <= chaos.done.keys()
