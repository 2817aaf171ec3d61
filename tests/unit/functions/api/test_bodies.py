import asyncio
import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any, ClassVar

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.requests import Request

from sluice import problems
from sluice.errors import BodyTooLarge, IncompleteBody
from sluice.limits import MAX_JSON_BYTES
from tests.unit.functions.api.requests import sent
from tests.unit.functions.modules import imported

ALICE = {"Authorization": "Bearer token-of-alice"}


@pytest.fixture(scope="module")
def bodies() -> Iterator[ModuleType]:
    with imported("functions.api.bodies") as module:
        yield module


def read(bodies: ModuleType, request: Request, most: int | None = None) -> list[bytes]:
    async def all_of_it() -> list[bytes]:
        return [chunk async for chunk in bodies.received(request, most)]

    return asyncio.run(all_of_it())


@given(st.lists(st.binary(max_size=20), max_size=10), st.booleans())
def test_a_body_is_passed_on_as_it_comes(bodies: ModuleType, chunks: list[bytes], declared: bool) -> None:
    """Chunk by chunk, whether its length was said or not."""
    total = sum(map(len, chunks))
    request, _ = sent(chunks, {"content-length": str(total)} if declared else None)
    assert b"".join(read(bodies, request, total)) == b"".join(chunks)


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=2, max_size=10))
def test_no_more_is_read_than_is_needed_to_refuse(bodies: ModuleType, chunks: list[bytes]) -> None:
    """The chunk that goes beyond the limit is the last one that is looked at."""
    most = len(chunks[0])
    request, left = sent(chunks)
    with pytest.raises(BodyTooLarge):
        read(bodies, request, most)
    assert len(left) == len(chunks) - 1  # the rest, and the end


def test_a_length_that_is_too_large_is_refused_unread(bodies: ModuleType) -> None:
    """What was said is enough."""
    request, left = sent([b"x"], {"content-length": "11"})
    with pytest.raises(BodyTooLarge) as refused:
        read(bodies, request, 10)
    assert refused.value.extra == {"limit": 10}
    assert len(left) == 2


@pytest.mark.parametrize("length", ["0", "2", "4", "3.0", "-3", "three", "", "\u00b3", "+3", "3, 3", "9" * 5000])
def test_a_length_that_lies_is_a_problem(bodies: ModuleType, length: str) -> None:
    """Neither more nor less than was said, nor what is no number, is taken for the body that was meant."""
    request, _ = sent([b"ab", b"c"], {"content-length": length})
    with pytest.raises(IncompleteBody):
        read(bodies, request)


def test_a_body_that_breaks_off_is_a_problem(bodies: ModuleType) -> None:
    """With and without a length it is not taken for a whole one."""
    for headers in (None, {"content-length": "3"}):
        request, _ = sent([b"ab"], headers, whole=False)
        with pytest.raises(IncompleteBody) as broken:
            read(bodies, request)
        assert broken.value.extra["received"] == 2


# ---------------------------------------------------------------- what comes before what


class Small(BaseModel):
    text: str


class Large(Small):
    max_bytes: ClassVar = 2 * MAX_JSON_BYTES


@pytest.fixture(scope="module")
def client(bodies: ModuleType) -> TestClient:
    """An app with bodies that are needed, that may be left out, and that have a limit of their own."""
    router = APIRouter(route_class=bodies.Route)

    @router.post("/small")
    def small(body: Small) -> int:
        return len(body.text)

    @router.post("/optional")
    def optional(body: Small | None = None) -> int:
        return len(body.text) if body else 0

    @router.post("/large")
    def large(body: Large | None = None) -> int:
        return len(body.text) if body else 0

    app = FastAPI()
    problems.install(app)
    app.include_router(router)
    return TestClient(app)


def of_bytes(size: int) -> bytes:
    """A body of JSON of exactly so many bytes."""
    return json.dumps({"text": "x" * (size - len(json.dumps({"text": ""})))}).encode()


@pytest.mark.parametrize(
    ("path", "limit"), [("/small", MAX_JSON_BYTES), ("/optional", MAX_JSON_BYTES), ("/large", 2 * MAX_JSON_BYTES)]
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_ends_at_the_limit_of_its_route(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str, limit: int, *, chunked: bool
) -> None:
    """One byte more is a 413 that says the limit, and nobody parses it; whether its length was said or not."""
    parsed = spied(monkeypatch)

    def post(size: int) -> Any:
        body = of_bytes(size)
        headers = ALICE | {"Content-Type": "application/json"}
        return client.post(path, content=iter([body[:100], body[100:]]) if chunked else body, headers=headers)

    answer = post(limit)
    assert (answer.status_code, answer.json()) == (200, limit - len('{"text": ""}'))
    assert len(parsed) == 1
    refused = post(limit + 1)
    assert (refused.status_code, refused.json()["code"], refused.json()["limit"]) == (413, "body_too_large", limit)
    assert len(parsed) == 1


@pytest.mark.parametrize("path", ["/small", "/optional", "/large"])
@pytest.mark.parametrize("token", ["", "Bearer wrong", "Basic token-of-alice"])
def test_nobody_reads_the_body_of_a_stranger(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str, token: str
) -> None:
    """However long it is, whatever is in it: 401 comes first, and neither reads nor parses it."""
    parsed = spied(monkeypatch)
    read = []
    stream = Request.stream

    def spy(request: Request) -> Any:
        read.append(request)
        return stream(request)

    monkeypatch.setattr(Request, "stream", spy)
    for body in (b"{", of_bytes(100), of_bytes(4 * 2**20)):
        headers = {"Authorization": token, "Content-Type": "application/json"}
        assert client.post(path, content=body, headers=headers).status_code == 401
    assert (parsed, read) == ([], [])
    assert client.post(path, content=of_bytes(100), headers=ALICE | {"Content-Type": "application/json"}).is_success
    assert (len(parsed), len(read)) == (1, 2)  # to bound it, and FastAPI


def spied(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """The requests whose JSON is parsed from now on."""
    parsed: list[Request] = []
    parse = Request.json

    async def spy(request: Request) -> Any:
        parsed.append(request)
        return await parse(request)

    monkeypatch.setattr(Request, "json", spy)
    return parsed
