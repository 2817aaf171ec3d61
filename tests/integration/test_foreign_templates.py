"""Templates as other people write them, on this machine: routes, REST APIs, and what invokes functions by itself."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import aws
from tests.integration.conftest import Running, running, thorough

TEMPLATES = Path(__file__).parent / "templates"
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def crud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("crud")
    with running(folder / "log", "--template", str(TEMPLATES / "crud" / "template.yaml")) as up:
        yield up


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("rest")
    with running(folder / "log", "--template", str(TEMPLATES / "rest" / "template.yaml")) as up:
        yield up


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("events")
    with running(folder / "log", "--template", str(TEMPLATES / "events" / "template.yaml")) as up:
        yield up


def ask(url: str, method: str = "GET", **more: Any) -> httpx.Response:
    return httpx.request(method, url, timeout=PATIENCE_SECONDS, trust_env=False, **more)


# ---------------------------------------------------------------- an HTTP API of several functions


def test_each_api_is_in_the_ready_line(crud: Running) -> None:
    """By its logical id, with the path of its stage where it has one."""
    assert crud.ready.keys() == {"ServerlessHttpApi", "StagedApi", "WrittenApi", "aws"}
    assert crud.ready["StagedApi"].endswith("/dev")


def test_items_are_put_and_read_by_functions_of_their_own(crud: Running) -> None:
    """Method and path choose the function; the variable of the path reaches it decoded."""
    api = crud.ready["ServerlessHttpApi"]
    put = ask(f"{api}/items/a%20b", "PUT", json={"name": "one"})
    assert (put.status_code, put.json()) == (201, {"id": "a b", "name": "one"})
    assert ask(f"{api}/items/a%20b").json() == {"id": "a b", "name": "one"}
    assert "a b" in ask(f"{api}/items").json()
    missing = ask(f"{api}/items/none")
    assert (missing.status_code, missing.text) == (404, "no such item")


def test_event_says_its_route(crud: Running) -> None:
    """`routeKey`, `rawPath` and `pathParameters` are those of the route that was taken, by whatever method."""
    event = ask(f"{crud.ready['ServerlessHttpApi']}/files/a/b%2Fc?x=1", "PATCH").json()
    assert (event["version"], event["routeKey"]) == ("2.0", "ANY /files/{proxy+}")
    assert (event["rawPath"], event["rawQueryString"]) == ("/files/a/b/c", "x=1")
    assert event["pathParameters"] == {"proxy": "a/b/c"}
    assert event["requestContext"]["routeKey"] == event["routeKey"]
    assert event["requestContext"]["http"]["method"] == "PATCH"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/nothing"), ("POST", "/items"), ("GET", "/files/"), ("GET", "/items/")]
)
def test_no_route_is_not_found(crud: Running, method: str, path: str) -> None:
    """A path or a method that no route takes is answered as API Gateway answers it, and the log says why."""
    answer = ask(crud.ready["ServerlessHttpApi"] + path, method)
    assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"})
    assert f"{method} {path} -> 404: no route of this API takes it" in crud.log.read_text()


def test_a_stage_is_part_of_the_path(crud: Running) -> None:
    """Routes are asked under the name of their stage, whose variables they get; elsewhere there is nothing."""
    stage = crud.ready["StagedApi"]
    event = ask(f"{stage}/here/you").json()
    assert (event["routeKey"], event["rawPath"]) == ("GET /here/{name}", "/dev/here/you")
    assert (event["pathParameters"], event["stageVariables"]) == ({"name": "you"}, {"Colour": "green"})
    assert event["requestContext"]["stage"] == "dev"
    assert ask(f"{stage}/elsewhere", "POST").json()["routeKey"] == "$default"
    outside = ask(f"{stage.removesuffix('/dev')}/here/you")
    assert (outside.status_code, outside.json()) == (404, {"message": "Not Found"})


def test_payload_format_is_the_integrations(crud: Running) -> None:
    """A route with PayloadFormatVersion 1.0 gets the event of a REST API, and owes its answer."""
    api = crud.ready["ServerlessHttpApi"]
    event = ask(f"{api}/old/x?a=1&a=2").json()
    assert (event["version"], event["resource"], event["path"]) == ("1.0", "/old/{name}", "/old/x")
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"]}
    assert event["queryStringParameters"] == {"a": "2"}
    malformed = ask(f"{api}/old/x?malformed=1")
    assert (malformed.status_code, malformed.json()) == (500, {"message": "Internal Server Error"})


def test_routes_that_are_resources(crud: Running) -> None:
    """An API whose routes and integrations are written out is routed alike; its preflight needs no route."""
    api = crud.ready["WrittenApi"]
    assert ask(f"{api}/written/x").json()["routeKey"] == "GET /written/{name}"
    assert ask(f"{api}/written").status_code == 404
    asked = {"origin": "http://page.example", "access-control-request-method": "GET"}
    preflight = ask(f"{api}/anywhere", "OPTIONS", headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, "http://page.example")


def test_code_in_the_template_and_mappings(crud: Running) -> None:
    """`InlineCode` runs, and `FindInMap` gives the region's memory."""
    assert ask(f"{crud.ready['ServerlessHttpApi']}/inline").json() == {"memory": "256"}


# ---------------------------------------------------------------- a REST API


def test_rest_event(rest: Running) -> None:
    """Payload 1.0: the resource, the path without its stage, and every header and parameter with all its values."""
    headers = [("x-a", "1"), ("x-a", "2"), ("user-agent", "test")]
    event = ask(f"{rest.ready['ServerlessRestApi']}/hello/y%20ou?a=1&a=2&b=", headers=headers).json()
    assert (event["resource"], event["path"], event["httpMethod"]) == ("/hello/{name}", "/hello/y%20ou", "GET")
    assert event["pathParameters"] == {"name": "y%20ou"}
    assert event["queryStringParameters"] == {"a": "2", "b": ""}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [""]}
    assert (event["headers"]["X-A"], event["multiValueHeaders"]["X-A"]) == ("2", ["1", "2"])
    assert (event["body"], event["isBase64Encoded"], event["stageVariables"]) == (None, False, None)
    context = event["requestContext"]
    assert (context["stage"], context["path"]) == ("Prod", "/Prod/hello/y%20ou")
    assert (context["resourcePath"], context["httpMethod"]) == ("/hello/{name}", "GET")
    assert (context["identity"]["userAgent"], context["identity"]["sourceIp"]) == ("test", "127.0.0.1")


def test_rest_bodies(rest: Running) -> None:
    """Only a binary media type of the API is base64 in the event; a client that accepts one gets its bytes."""
    url = f"{rest.ready['ServerlessRestApi']}/hello"
    text = ask(f"{url}/x", "POST", content=b"text", headers={"content-type": "text/plain"}).json()
    assert (text["body"], text["isBase64Encoded"]) == ("text", False)
    image = ask(f"{url}/x", "POST", content=b"\x89", headers={"content-type": "image/png"}).json()
    assert (image["body"], image["isBase64Encoded"]) == ("iQ==", True)
    assert ask(f"{url}/image", headers={"accept": "image/png"}).content == b"\x89PNG"
    assert ask(f"{url}/image", headers={"accept": "text/html"}).text == "iVBORw=="


def test_rest_answer_has_several_values(rest: Running) -> None:
    """`multiValueHeaders` gives a header as often as it has values, and counts before `headers`."""
    answer = ask(f"{rest.ready['ServerlessRestApi']}/hello/cookies/")
    assert answer.status_code == 200  # a slash at the end does not matter, but is part of the path
    answer = ask(f"{rest.ready['ServerlessRestApi']}/hello/cookies")
    assert (answer.status_code, answer.headers.get_list("set-cookie")) == (201, ["a=1", "b=2"])
    assert (answer.headers["x-seen"], answer.headers["x-one"]) == ("yes", "1")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["malformed", "text", "raise"])
def test_rest_answer_that_is_none(rest: Running, path: str) -> None:
    """A function that fails, or answers in no known form, is a 502."""
    answer = ask(f"{rest.ready['ServerlessRestApi']}/hello/{path}")
    assert (answer.status_code, answer.json()) == (502, {"message": "Internal server error"})


def test_rest_without_a_route(rest: Running) -> None:
    """What no resource or method takes is the 403 that misleads everybody once; another stage is Forbidden."""
    stage = rest.ready["ServerlessRestApi"]
    assert stage.endswith("/Prod")
    for method, path in (("GET", "/nothing"), ("DELETE", "/hello/x"), ("GET", "")):
        answer = ask(stage + path, method)
        assert (answer.status_code, answer.json()) == (403, {"message": "Missing Authentication Token"})
    other = ask(f"{stage.removesuffix('Prod')}other/hello/x")
    assert (other.status_code, other.json()) == (403, {"message": "Forbidden"})


def test_rest_preflight_is_a_mock(rest: Running) -> None:
    """SAM's `Cors` is a mock integration for OPTIONS, which no function hears of."""
    answer = ask(f"{rest.ready['ServerlessRestApi']}/hello/x", "OPTIONS")
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "http://page.example")
    assert answer.headers["access-control-allow-methods"] == "GET,OPTIONS,POST"


def test_rest_streams(rest: Running, tmp_path: Path) -> None:
    """A route with ResponseTransferMode RESPONSE_STREAM sends each piece when it comes, after its prelude."""
    gate = tmp_path / "gate"
    url = f"{rest.ready['ServerlessRestApi']}/ticks?gate={gate}"
    with httpx.stream("GET", url, timeout=PATIENCE_SECONDS, trust_env=False) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (203, "text/event-stream")
        pieces = answer.iter_raw()
        assert next(pieces) == b"first"
        gate.touch()
        assert b"".join(pieces) == b"second"


def test_rest_stream_needs_a_prelude(rest: Running) -> None:
    """A function that does not stream cannot answer a route that does."""
    answer = ask(f"{rest.ready['ServerlessRestApi']}/whole")
    assert (answer.status_code, answer.json()) == (502, {"message": "Internal server error"})
    assert "does not begin with a prelude" in rest.log.read_text()


def test_rest_waits_no_longer_than_its_integration(rest: Running) -> None:
    """A function that is late is a 504, and works on to its end."""
    answer = ask(f"{rest.ready['ServerlessRestApi']}/slow")
    assert (answer.status_code, answer.json()) == (504, {"message": "Endpoint request timed out"})
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "[SlowFunction] worked on" not in rest.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_requirements_are_the_functions_own(rest: Running) -> None:
    """A function with a requirements.txt has those and boto3, and nothing of the stack's environment."""
    own = ask(f"{rest.ready['ServerlessRestApi']}/hello/own").json()
    assert own == ["octopi", "boto3", ["boto3", "inflection"]]


# ---------------------------------------------------------------- what invokes functions by itself


class Seen:
    """What the functions of the events' template were told, by function."""

    def __init__(self, up: Running) -> None:
        self._services = aws.connect(up.ready["aws"])
        urls = self._services.sqs.list_queues()["QueueUrls"]
        self._url = next(url for url in urls if "-Seen-" in url)
        self._told: dict[str, list[dict[str, Any]]] = {}

    def first(self, function: str, patience: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """The next event of that function."""
        deadline = time.monotonic() + patience
        while not self._told.get(function):
            assert time.monotonic() < deadline, self._told
            received = self._services.sqs.receive_message(QueueUrl=self._url, WaitTimeSeconds=1)
            for message in received.get("Messages", []):
                self._services.sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
                told = json.loads(message["Body"])
                self._told.setdefault(told["function"].removeprefix("local-"), []).append(told["event"])
        return self._told[function].pop(0)


@pytest.fixture(scope="module")
def seen(events: Running) -> Seen:
    return Seen(events)


def test_bucket_invokes_a_function(events: Running, seen: Seen) -> None:
    """An object whose key the filter takes invokes the function with S3's event; another does not."""
    s3 = aws.connect(events.ready["aws"]).s3
    s3.put_object(Bucket="uploads-of-events", Key="a.bin", Body=b"1")
    s3.put_object(Bucket="uploads-of-events", Key="b c.txt", Body=b"123")
    (record,) = seen.first("OnObject")["Records"]
    assert (record["eventSource"], record["eventName"]) == ("aws:s3", "ObjectCreated:Put")
    assert record["s3"]["bucket"]["name"] == "uploads-of-events"
    assert (record["s3"]["object"]["key"], record["s3"]["object"]["size"]) == ("b+c.txt", 3)


def test_topic_feeds_queues_and_functions(events: Running, seen: Seen) -> None:
    """A message reaches the queues that are subscribed, and the function whose filter takes it, until that succeeds."""
    sns = aws.connect(events.ready["aws"]).sns
    (topic,) = sns.list_topics()["Topics"]
    attributes = {"kind": {"DataType": "String", "StringValue": "news"}}
    sns.publish(TopicArn=topic["TopicArn"], Message="hello", Subject="s", MessageAttributes=attributes)
    for by_queue in ("OnQueue", "OnTopicByQueue"):
        (record,) = seen.first(by_queue)["Records"]
        assert record["eventSource"] == "aws:sqs"
        assert json.loads(record["body"])["Message"] == "hello"
    (record,) = seen.first("OnTopic")["Records"]
    assert (record["EventSource"], record["EventVersion"]) == ("aws:sns", "1.0")
    sns_said = record["Sns"]
    assert (sns_said["Type"], sns_said["Message"], sns_said["Subject"]) == ("Notification", "hello", "s")
    assert sns_said["TopicArn"] == topic["TopicArn"]
    assert sns_said["MessageAttributes"] == {"kind": {"Type": "String", "Value": "news"}}
    log = events.log.read_text()
    assert "OnTopic failed: RuntimeError: attempt 1; once more in 1 s" in log
    assert "OnTopic failed: RuntimeError: attempt 2; once more in 2 s" in log
    sns.publish(TopicArn=topic["TopicArn"], Message="other")
    seen.first("OnQueue")
    assert "Message': 'other'" not in events.log.read_text()


def test_rules_take_events(events: Running, seen: Seen) -> None:
    """An event whose pattern a rule has invokes the function with it; another does not."""
    client = aws.connect(events.ready["aws"]).events
    client.put_events(
        Entries=[
            {"Source": source, "DetailType": "Order", "Detail": json.dumps({"number": number})}
            for number, source in enumerate(("elsewhere", "shop"))
        ]
    )
    event = seen.first("OnEvent")
    assert (event["source"], event["detail-type"], event["detail"]) == ("shop", "Order", {"number": 1})


@thorough
def test_schedules_fire_by_themselves(seen: Seen) -> None:
    """A rate of a minute fires within the first two, with EventBridge's event or the one that the template gives."""
    told = [seen.first("OnTime", 2 * PATIENCE_SECONDS) for _ in range(2)]
    (given,) = (event for event in told if event == {"given": True})
    (scheduled,) = (event for event in told if event != given)
    assert (scheduled["detail-type"], scheduled["source"]) == ("Scheduled Event", "aws.events")
    assert scheduled["resources"] == ["arn:aws:events:eu-west-1:123456789012:rule/local-OnTimeRule"]
