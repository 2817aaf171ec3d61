import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_client.contract import Retry, Sluice, problem
from sluice_client.errors import Problem, SluiceError, Unreachable
from sluice_client.records import File
from tests.unit.client.deployment import QUICK, TOKEN, Deployment, Fault

T = TypeVar("T")


def call(url: str, work: Callable[[Sluice], Awaitable[T]], token: str = TOKEN) -> T:
    async def run() -> T:
        async with Sluice(url, token, QUICK) as sluice:
            return await work(sluice)

    return asyncio.run(run())


async def listed(sluice: Sluice, status: str | None = None) -> list[File]:
    return [file async for file in sluice.files(status=status)]


def test_size_that_nobody_knows_yet() -> None:
    """Of an upload by an Uppy page the API may say `null`, and its files are listed all the same."""
    shown = {"id": "0" * 26, "status": "uploading", "filename": "a", "size": None}
    assert File.parse(shown).size == 0


@given(st.integers(1, 5000), st.none() | st.sampled_from(["0", "3", "9999999", "", "soon", "-5", "²", "1.5"]))
def test_delays_are_bounded(failures: int, retry_after: str | None) -> None:
    """Whatever the number of failures and whatever the server asks for, between nothing and the longest."""
    assert 0 <= Retry().delay(failures, retry_after) <= Retry().longest


def test_retry_after_is_heeded() -> None:
    """The server's wish is the least delay."""
    assert Retry(base=0.001).delay(1, "3") == 3


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_passes_is_asked_again(deployment: Deployment, status: int) -> None:
    """After two such answers the third is taken."""
    file_id = deployment.keep(b"x")
    deployment.fail("GET /files/.*", Fault(status), Fault(status))
    assert call(deployment.url, lambda sluice: sluice.file(file_id)).id == file_id
    assert len(deployment.requests("GET /files/.*")) == 3


def test_patience_ends(deployment: Deployment) -> None:
    """As many failures as attempts are a failure."""
    deployment.fail("GET /files", *[Fault(503)] * QUICK.attempts)
    with pytest.raises(Problem) as raised:
        call(deployment.url, listed)
    assert raised.value.status == 503
    assert len(deployment.seen) == QUICK.attempts


def test_a_refusal_is_not_asked_again(deployment: Deployment) -> None:
    """A 404 is told at once, with the server's own words, its code and what to do."""
    with pytest.raises(Problem, match="no file with this id") as raised:
        call(deployment.url, lambda sluice: sluice.file("nobody"))
    assert (raised.value.status, raised.value.code) == (404, "file_not_found")
    assert "sluice ls" in raised.value.hint
    assert len(deployment.seen) == 1


def test_a_conflict_is_asked_again(deployment: Deployment) -> None:
    """Somebody else's write at the same time is over by the next try."""
    file_id = deployment.keep(b"x")
    conflict = Fault(409, b'{"code": "conflict"}', {"Content-Type": "application/problem+json"})
    deployment.fail("POST .*/complete", conflict)
    assert call(deployment.url, lambda sluice: sluice.complete(file_id)).status == "hashing"


def test_the_wrong_token_is_a_hint_at_the_setting(deployment: Deployment) -> None:
    """401 names SLUICE_TOKEN, and not the token."""
    with pytest.raises(Problem) as raised:
        call(deployment.url, listed, token="another-secret")
    assert "SLUICE_TOKEN" in raised.value.hint
    assert "another-secret" not in f"{raised.value!r} {raised.value} {raised.value.hint}"


def test_the_token_does_not_follow_a_redirect(deployment: Deployment) -> None:
    """An API that redirects is refused: who stands there is not who was given the token."""
    deployment.fail("GET /files", Fault(307, headers={"Location": f"{deployment.url}/elsewhere/x"}))
    with pytest.raises(Problem, match="307"):
        call(deployment.url, listed)
    assert len(deployment.seen) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'"x"', b'{"items": [{"id": 1}]}', b'{"items": null}', b""])
def test_another_kind_of_server_is_told(deployment: Deployment, body: bytes) -> None:
    """Success with a body that the contract does not know is one clear sentence."""
    deployment.fail("GET /files", Fault(200, body))
    with pytest.raises(SluiceError, match="does not answer as a Sluice does"):
        call(deployment.url, listed)


def test_nobody_there_is_told() -> None:
    """A refused connection says where it was refused."""
    with Deployment() as gone:
        url = gone.url
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:\d+: "):
        call(url, listed)


def test_all_pages_are_listed(deployment: Deployment) -> None:
    """The cursor is followed to the end, with the filter on every page."""
    for number in range(5):
        deployment.keep(b"x", f"{number}.bin")
    deployment.keep(b"x", status="failed")
    assert len(call(deployment.url, listed)) == 6
    ready = call(deployment.url, lambda sluice: listed(sluice, "ready"))
    assert [file.filename for file in ready] == [f"{number}.bin" for number in range(5)]
    assert all(seen.query["status"] == ["ready"] for seen in deployment.seen[-3:])


@pytest.mark.parametrize(
    ("kind", "body", "message", "code"),
    [
        ("application/problem+json", b'{"detail": "D", "code": "c"}', "D", "c"),
        ("application/problem+json; charset=utf-8", b'{"title": "T"}', "T", None),
        ("application/problem+json", b"no json", "answered 403 Forbidden, with a problem that cannot be read", None),
        ("application/problem+json", b"[]", "with a problem that cannot be read", None),
        ("application/xml", b"<Error><Code>AccessDenied</Code></Error>", "host answered 403 Forbidden", "AccessDenied"),
        ("application/json", b'{"message": "Forbidden"}', "host answered 403 Forbidden", None),
        ("text/html", b"\xff\xfe", "host answered 403 Forbidden", None),
    ],
)
def test_problem_of(kind: str, body: bytes, message: str, code: str | None) -> None:
    """Ours, S3's and a proxy's refusals all become one line and, where there is one, a code."""
    request = httpx.Request("GET", "http://host/path?capability=secret")
    error = problem(httpx.Response(403, content=body, headers={"content-type": kind}, request=request))
    assert message in str(error)
    assert "secret" not in str(error)
    assert error.code == code
