"""Who asked CloudFront, whatever the viewer says."""

from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from sluice.cloudfront import BehindCloudFront, viewer_address

ADDRESSES = st.ip_addresses().map(str)
EDGE = "198.51.100.1"
# What a viewer may put before: headers are latin-1, and commas part them.
CLAIMED = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=60)


@given(CLAIMED, ADDRESSES, ADDRESSES, st.booleans())
@example(claimed="10.0.0.1", viewer="127.0.0.1", edge="127.0.0.1", appended=True)
@example(claimed="", viewer="2001:db8::1", edge=EDGE, appended=False)
def test_the_viewers_address_is_the_one_that_cloudfront_saw(
    claimed: str, viewer: str, edge: str, appended: bool
) -> None:
    """Whatever stands before, and whether or not the door behind CloudFront adds CloudFront's own address."""
    assume(viewer != edge or appended)  # nobody asks from CloudFront's own address
    forwarded = ", ".join(filter(None, (claimed, viewer, edge if appended else "")))
    assert viewer_address(forwarded, edge) == viewer


@pytest.mark.parametrize("forwarded", ["", "unknown", EDGE, f"unknown, {EDGE}", ","])
def test_without_an_address_it_is_that_of_the_connection(forwarded: str) -> None:
    """What says nothing is not a reason to record nothing, or what somebody made up."""
    assert viewer_address(forwarded, EDGE) == EDGE


def test_an_address_has_one_form() -> None:
    """An IPv6 address is written as short as it can be, so that one viewer is one in the record."""
    assert viewer_address("2001:DB8:0:0::1, 2001:db8::2", "2001:DB8::0:2") == "2001:db8::1"


def answering(**headers: str) -> TestClient:
    """An app behind CloudFront that says who asks, with these headers in its answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  it has no body to read
        encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": encoded})
        await send({"type": "http.response.body", "body": scope["client"][0].encode()})

    return TestClient(BehindCloudFront(app), client=(EDGE, 1))


@pytest.mark.parametrize(
    ("said", "sent"), [({}, "no-store"), ({"cache_control": "private, no-cache"}, "private, no-cache")]
)
def test_no_answer_is_for_others_too(said: dict[str, Any], sent: str) -> None:
    """One that does not say whether it may be kept may not: CloudFront would give it to all who ask at that moment."""
    answer = answering(**said).get("/", headers={"X-Forwarded-For": f"203.0.113.7, {EDGE}"})
    assert (answer.text, answer.headers["cache-control"]) == ("203.0.113.7", sent)
