"""Answers that go back as a whole."""

import base64
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.runtime_api import FunctionError
from streaming_runtime.asgi import Receive, Scope, Send
from streaming_runtime.errors import Fault
from streaming_runtime.whole import WHOLE_LIMIT, for_a_load_balancer, for_an_event

pytestmark = pytest.mark.anyio

Carry = Callable[..., AbstractAsyncContextManager[Any]]
BALANCED = {"requestContext": {"elb": {}}, "httpMethod": "GET", "path": "/", "headers": {"host": "lb"}}
JSON = (b"content-type", b"application/json")


async def everything(response: Any) -> bytes:
    return b"".join([piece async for piece in response])


def answers(status: int, *pieces: bytes, headers: tuple[tuple[bytes, bytes], ...] = (JSON,)) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        app.asked.append((scope["method"], scope["path"], (await receive())["body"]))  # type: ignore[attr-defined]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    app.asked = []  # type: ignore[attr-defined]
    return app


async def test_an_event_is_answered_with_the_apps_body_alone(carry: Carry) -> None:
    """As a queue wants it, whose failures are in the JSON of the answer."""
    app = answers(200, b'{"batchItemFailures"', b": []}")
    event = {"Records": [{"messageId": "m-1"}]}
    async with carry(app) as environment:
        assert await everything(await environment.invoke(event)) == b'{"batchItemFailures": []}'
    assert app.asked == [("POST", "/_lambda/event", json.dumps(event).encode())]


async def test_an_event_that_the_app_refuses_has_failed(carry: Carry) -> None:
    """So its sender tries again. An app that knows no events answers 404."""
    async with carry(answers(404, b"no route")) as environment:
        with pytest.raises(FunctionError, match=r"Runtime\.EventRefused") as failed:
            await everything(await environment.invoke({"source": "aws.events"}))
    assert b"answered the event with 404: no route" in failed.value.payload


@pytest.mark.parametrize("path", ["/_lambda/event", "/_lambda/event/", "//_Lambda//EVENT"])
async def test_no_client_is_taken_for_an_event(carry: Carry, path: str, event: Callable[..., dict[str, Any]]) -> None:
    """Who asks for their path over HTTP never reaches the app."""
    app = answers(200, b"in")
    async with carry(app) as environment:
        response = await everything(await environment.invoke(event(path, "POST")))
        assert response.endswith(b"Not Found")
        assert json.loads(response.split(bytes(8))[0])["statusCode"] == 404
    assert app.asked == []


async def test_a_load_balancer_gets_the_whole_answer(carry: Carry) -> None:
    """It cannot stream."""
    async with carry(answers(201, b"[1,", b"2]")) as environment:
        answer = json.loads(await everything(await environment.invoke(BALANCED)))
    assert (answer["statusCode"], answer["statusDescription"], answer["body"]) == (201, "201 Created", "[1,2]")
    assert answer["headers"] == {"content-type": "application/json"}
    assert answer["isBase64Encoded"] is False


async def test_an_answer_that_does_not_fit_is_a_failure(carry: Carry) -> None:
    """Found while the app sends, and not when Lambda refuses all of it."""
    async with carry(answers(200, bytes(WHOLE_LIMIT), b"1")) as environment:
        with pytest.raises(FunctionError, match=r"Runtime\.ResponseTooLarge"):
            await everything(await environment.invoke(BALANCED))


async def test_a_failure_of_the_app_is_one(carry: Carry) -> None:
    """Also after it has begun: nothing of a whole answer has gone out."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise LookupError("lost")

    async with carry(app) as environment:
        with pytest.raises(FunctionError, match="LookupError"):
            await everything(await environment.invoke(BALANCED))


@given(body=st.binary(), kind=st.sampled_from(["image/png", "text/plain; charset=latin-1", "application/octet-stream"]))
def test_bytes_are_in_base64(body: bytes, kind: str) -> None:
    """What may be no UTF-8 cannot stand in JSON."""
    answer = json.loads(for_a_load_balancer({})(200, [(b"content-type", kind.encode())], body))
    assert answer["isBase64Encoded"] is True
    assert base64.b64decode(answer["body"]) == body


@pytest.mark.parametrize("header", [(b"content-encoding", b"gzip"), (b"content-type", b"")])
def test_a_compressed_text_is_bytes(header: tuple[bytes, bytes]) -> None:
    """And so is what has no type."""
    headers = [header] if header[0] == b"content-type" else [JSON, header]
    assert json.loads(for_a_load_balancer({})(200, headers, b"{}"))["isBase64Encoded"] is True


@given(
    text=st.text(), kind=st.sampled_from(["text/html", "application/json", "application/problem+json", "image/svg+xml"])
)
def test_a_text_is_a_text(text: str, kind: str) -> None:
    """Whoever reads the event's log can read it."""
    answer = json.loads(
        for_a_load_balancer({})(200, [(b"content-type", kind.encode())], text.encode("utf-8", "replace"))
    )
    assert answer["body"] == text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize("count", [1, 2, 9, 200])
def test_every_cookie_arrives(count: int) -> None:
    """In lists where the target group has them; else each under a spelling of the name that no other one has."""
    headers = [(b"set-cookie", b"c%d=1" % number) for number in range(count)]
    one = json.loads(for_a_load_balancer({})(200, headers, b""))["headers"]
    assert [name.lower() for name in one] == ["set-cookie"] * count
    assert list(one.values()) == [f"c{number}=1" for number in range(count)]
    several = json.loads(for_a_load_balancer({"multiValueHeaders": {}})(200, headers, b""))["multiValueHeaders"]
    assert several == {"set-cookie": list(one.values())}


def test_an_events_answer_may_be_a_redirect_or_empty() -> None:
    """What is no refusal is an answer."""
    assert for_an_event(204, [], b"") == b""
    with pytest.raises(Fault, match="answered the event with 500"):
        for_an_event(500, [], b"\xff")
