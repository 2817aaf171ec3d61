"""Examples beside AWS services and a model: what the service has not given yet, the client does not wait for."""

import csv
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import TYPE_CHECKING

import httpx
import pytest
from httpx_sse import ServerSentEvent, connect_sse

from local import aws
from tests.examples.conftest import PATIENCE_SECONDS, Example, client
from tests.integration.conftest import Running
from tests.integration.proxy import Exchange, Proxy, pass_on, served, serving

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import WriteRequestTypeDef


@contextmanager
def behind_proxy(example: Example, name: str) -> Iterator[tuple[Running, aws.Services, Proxy]]:
    """The example, whose AWS services are asked through the proxy."""
    with serving(("127.0.0.1", 0)) as proxy, example(name, env={"AWS_ENDPOINT_URL": proxy.url}) as up:
        address = httpx.URL(up.ready["aws"])
        proxy.upstream = (address.host, address.port or 80)
        yield up, aws.connect(up.ready["aws"]), proxy


def held(gate: Event, *, after: int | None = None) -> Callable[[Exchange], None]:
    """The services answer when the gate opens; `after` bytes of their answer come before."""

    def fault(exchange: Exchange) -> None:
        if after is None:
            assert gate.wait(PATIENCE_SECONDS)
            pass_on(exchange)
        else:
            answer = exchange.forward()
            exchange.send(answer, after)
            assert gate.wait(PATIENCE_SECONDS)
            exchange.wfile.write(answer.body[after:])

    return fault


def only_table(services: aws.Services) -> str:
    (name,) = services.dynamodb.list_tables()["TableNames"]
    return name


def test_csv_export(example: Example) -> None:
    """The first page of the table has arrived before DynamoDB gives the second; the file has every item once."""
    gate = Event()
    with behind_proxy(example, "csv_export") as (up, services, proxy), client(up) as asking:
        table = only_table(services)
        for start in range(0, 1500, 25):
            puts: list[WriteRequestTypeDef] = [
                {"PutRequest": {"Item": {"id": {"S": f"{n:04}"}, "name": {"S": f'a "{n}", b'}, "price": {"N": f"{n}"}}}}
                for n in range(start, start + 25)
            ]
            services.dynamodb.batch_write_item(RequestItems={table: puts})
        proxy.fail("Scan", pass_on, held(gate))
        lines = []
        with asking.stream("GET", "/items.csv") as response:
            assert response.headers["content-type"].startswith("text/csv")
            for line in response.iter_lines():
                lines.append(line)
                if len(lines) == 900:
                    gate.set()
        rows = [*csv.DictReader(lines)]
        assert len({row["id"] for row in rows}) == len(rows) == 1500
        assert all(row["name"] == f'a "{int(row["id"])}", b' and row["price"] == str(int(row["id"])) for row in rows)
        assert len(proxy.asked("Scan")) == 2


def test_progress_upload(example: Example) -> None:
    """The client sees how much is imported before DynamoDB takes the next batch."""
    gate = Event()
    with behind_proxy(example, "progress_upload") as (up, services, proxy), client(up) as asking:
        assert "<progress" in asking.get("/").text
        proxy.fail("BatchWriteItem", pass_on, held(gate))
        file = "id,name\n" + "".join(f"{number},item {number}\n" for number in range(60))
        seen = []
        with asking.stream("POST", "/import", content=file, headers={"content-type": "text/csv"}) as response:
            assert response.status_code == 200
            for line in response.iter_lines():
                seen.append(json.loads(line))
                if seen[-1]["imported"] == 25:
                    assert len(services.dynamodb.scan(TableName=only_table(services))["Items"]) == 25
                    gate.set()
        assert seen == [{"imported": number, "of": 60} for number in (0, 25, 50, 60)]
        assert len(services.dynamodb.scan(TableName=only_table(services))["Items"]) == 60


def test_progress_download(example: Example) -> None:
    """The client knows the size, and has the first half before S3 gives the second."""
    gate = Event()
    body = bytes(range(256)) * 8192
    half = len(body) // 2
    with behind_proxy(example, "progress_download") as (up, services, proxy), client(up) as asking:
        assert "<progress" in asking.get("/").text
        (bucket,) = services.s3.list_buckets()["Buckets"]
        services.s3.put_object(Bucket=bucket["Name"], Key="a/b c.bin", Body=body, ContentType="application/x-test")
        proxy.fail("GetObject", held(gate, after=half))
        received = bytearray()
        with asking.stream("GET", "/files/a/b%20c.bin") as response:
            assert response.headers["x-file-size"] == str(len(body))
            assert response.headers["content-type"] == "application/x-test"
            for piece in response.iter_bytes():
                received += piece
                if len(received) == half:
                    gate.set()
        assert received == body
        assert asking.get("/files/none").status_code == 404


class Room:
    """A browser's view of a room: what it has seen, over as many connections as it takes."""

    def __init__(self, asking: httpx.Client, name: str) -> None:
        self._asking = asking
        self._path = f"/rooms/{name}/messages"
        self.texts: list[str] = []
        self.last_id = ""

    def post(self, author: str, text: str) -> int:
        posted = self._asking.post(self._path, json={"author": author, "text": text})
        assert posted.status_code == 201, posted.text
        number: int = posted.json()
        return number

    def read(self, until: int) -> None:
        """Connect, and leave after this many messages in all."""
        headers = {"last-event-id": self.last_id} if self.last_id else {}
        with connect_sse(self._asking, "GET", self._path, headers=headers) as source:
            for event in messages(source.iter_sse()):
                self.texts.append(event.json()["text"])
                self.last_id = event.id
                if len(self.texts) == until:
                    return


def messages(events: Iterator[ServerSentEvent]) -> Iterator[ServerSentEvent]:
    """Without the events that carry none, such as the interval of reconnections."""
    return (event for event in events if event.data)


def test_chat(example: Example) -> None:
    """Several browsers post at once; one that comes back with the last id that it saw has missed none."""
    with example("chat") as up, client(up) as asking, ThreadPoolExecutor(4) as browsers:
        assert "EventSource" in asking.get("/").text
        reader = Room(asking, "lobby")
        first = reader.post("a", "0")
        reader.read(until=1)
        posted = [*browsers.map(lambda number: reader.post(f"author {number}", str(number)), range(1, 13))]
        reader.read(until=7)
        reader.read(until=13)
        assert sorted([first, *posted]) == [*range(1, 14)]
        assert reader.texts[0] == "0"
        assert sorted(map(int, reader.texts)) == [*range(13)]

        # A message that is posted while a reader waits reaches it.
        waiting = browsers.submit(reader.read, until=14)
        reader.post("a", "last")
        waiting.result(PATIENCE_SECONDS)
        assert reader.texts[-1] == "last"

        other = Room(asking, "other")
        other.post("a", "elsewhere")
        other.read(until=1)
        assert other.texts == ["elsewhere"]


class Model(BaseHTTPRequestHandler):
    """Answers as an OpenAI-compatible API does: the second token when the gate opens."""

    server: "Upstream"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, self.headers["authorization"], asked))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for token in ("Hello", ", ", "you"):
            choices = [{"index": 0, "delta": {"content": token}}]
            self.wfile.write(f"data: {json.dumps({'choices': choices})}\n\n".encode())
            if not self.server.gate.is_set():
                assert self.server.gate.wait(PATIENCE_SECONDS)
        self.wfile.write(b'data: {"choices": [{"index": 0, "delta": {}}]}\n\ndata: [DONE]\n\n')

    def log_message(self, *_: object) -> None:
        """Nothing: what was asked is looked at."""


class Upstream(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Model)
        self.gate = Event()
        self.asked: list[tuple[str, str, dict[str, object]]] = []


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    with served(server):
        yield server


def test_tokens(example: Example, upstream: Upstream) -> None:
    """A token has arrived before the model makes the next."""
    address = f"http://127.0.0.1:{upstream.server_port}/v1"
    parameters = {"BaseUrl": address, "ApiKey": "secret", "Model": "small"}
    with example("tokens", parameters=parameters) as up, client(up) as asking:
        headers = {"content-type": "text/plain"}
        with asking.stream("POST", "/answer", content="Who is there?", headers=headers) as response:
            assert response.status_code == 200
            tokens = response.iter_text()
            assert next(tokens) == "Hello"
            upstream.gate.set()
            assert "".join(tokens) == ", you"
        ((path, authorization, asked),) = upstream.asked
        assert (path, authorization) == ("/v1/chat/completions", "Bearer secret")
        assert (asked["model"], asked["stream"]) == ("small", True)
        assert asked["messages"] == [{"role": "user", "content": "Who is there?"}]
