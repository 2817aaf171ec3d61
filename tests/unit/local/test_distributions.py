"""A distribution on this machine: what its origin gets, and which distributions are played."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from local import distributions
from local.distributions import ALL_VIEWER_EXCEPT_HOST, CACHING_DISABLED, EDGE, SIGNED_BY, Distribution
from local.template import Resolver, TemplateError, load

DISTRIBUTION = """
Resources:
  Front:
    Type: AWS::CloudFront::Distribution
    Properties:
      DistributionConfig:
        Enabled: true
        Aliases: [files.example.com]
        Origins: [{Id: o, DomainName: %(origin)s}]
        DefaultCacheBehavior:
          TargetOriginId: o
          ViewerProtocolPolicy: https-only
          CachePolicyId: %(cache)s
          OriginRequestPolicyId: %(request)s
          %(more)s
"""
FITTING = {
    "origin": "127.0.0.1:1",
    "cache": CACHING_DISABLED,
    "request": ALL_VIEWER_EXCEPT_HOST,
    "more": "Compress: false",
}


async def showing(scope: Scope, receive: Receive, send: Send) -> None:
    """An origin that answers with what it was asked."""
    await receive()
    signed = scope.get(SIGNED_BY, "").encode()
    told = [*scope["headers"], (b"client", scope["client"][0].encode()), (b"signed-by", signed)]
    headers = [(b"got-" + name, value) for name, value in told]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def asked(*, signs: bool, method: str = "GET", **headers: str) -> tuple[int, dict[str, str]]:
    """The status, and what the origin was told."""
    front = Distribution("arn:front", showing, "origin:1", frozenset({"GET"}), [(b"x-secret", b"s")], signs)
    answer = TestClient(front, client=("203.0.113.7", 1)).request(method, "/", headers=headers)
    got = {name.removeprefix("got-"): value for name, value in answer.headers.items() if name.startswith("got-")}
    return answer.status_code, got


def test_an_origin_is_told_who_asks_and_by_whom() -> None:
    """Its own host, the viewer's address behind what the viewer says, and the distribution's header in place of his."""
    told = {"X-Forwarded-For": "10.0.0.1", "X-Secret": "guessed", "Authorization": "Bearer t", "Connection": "X-Hop"}
    status, got = asked(signs=False, **told, **{"X-Hop": "1"})
    assert status == 200
    assert (got["host"], got["x-forwarded-for"], got["x-secret"]) == ("origin:1", "10.0.0.1, 203.0.113.7", "s")
    assert (got["authorization"], got["client"], got["signed-by"]) == ("Bearer t", EDGE, "")
    assert "x-hop" not in got


def test_a_signature_takes_the_place_of_the_viewers_authorization() -> None:
    """As origin access control does that signs always."""
    _, got = asked(signs=True, Authorization="Bearer t")
    assert (got["signed-by"], got.get("authorization")) == ("arn:front", None)


def test_a_method_that_is_not_allowed_goes_no_further() -> None:
    """403, as CloudFront answers."""
    assert asked(signs=False, method="POST") == (403, {})


def declared(tmp_path: Path, **parts: str) -> dict[str, Any]:
    path = tmp_path / "template.yaml"
    path.write_text(DISTRIBUTION % {**FITTING, **parts})
    template = load(path, {})
    resolver = Resolver(template)
    addresses = {"Api": "http://127.0.0.1:1", "Front": "http://127.0.0.1:2"}
    distributions.make_known(template, resolver, addresses)
    assert resolver({"Fn::Sub": "https://files.example.com/a"}) == "http://127.0.0.1:2/a"
    return distributions.declared(template, resolver, {"Api": showing}, addresses)


def test_its_name_is_an_address_of_this_machine(tmp_path: Path) -> None:
    """A template that knows the names of its hosts beforehand finds them here; AWS's default are two methods."""
    front = declared(tmp_path)["Front"]
    assert (front.origin, front.methods, front.signs) == (showing, {"GET", "HEAD"}, False)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"cache": "658327ea-f89d-4fab-a63d-7e88639e58f6"}, "only CachingDisabled"),
        ({"request": "216adef6-5c7f-47e4-b989-5492eafa07d3"}, "AllViewerExceptHostHeader are played"),
        ({"origin": "elsewhere.example"}, "no API or Function URL of this template"),
        ({"more": "FunctionAssociations: []"}, "functions at the edge"),
    ],
)
def test_what_is_not_played_is_refused_by_name(tmp_path: Path, part: dict[str, str], words: str) -> None:
    """A distribution that would keep answers, or change requests, does not start."""
    with pytest.raises(TemplateError, match=words):
        declared(tmp_path, **part)
