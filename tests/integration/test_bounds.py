"""Whatever anybody sends, over the real app and moto: an answer that says what is wrong, and never a 500."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.limits import (
    MAX_CAPABILITY_CHARACTERS,
    MAX_DIGEST_HEADER_CHARACTERS,
    MAX_IDEMPOTENCY_KEY_CHARACTERS,
    MAX_JSON_BYTES,
    MIB,
)
from tests.effort import effort
from tests.integration.conftest import more
from tests.integration.test_companion import ALICE, deployed, issued
from tests.integration.world import World, world

JSON_TYPE = {"Content-Type": "application/json"}
# Half characters, control characters, very long texts, and what looks like something.
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=20),
    st.integers(1, 12_000).map("x".__mul__),
    st.integers(1, 3_000).map("雪".__mul__),
    st.sampled_from(
        ["", "\ud800", "\0", "a/b;c=d", ".pdf", "image/*", "sha-256", "1-10000", "9" * 400, "1e400", "undefined"]
    ),
)
NUMBERS = st.one_of(
    st.integers(), st.integers(-1, 10_001), st.floats(), st.sampled_from([10**18, 2**63, 2**64, 10**4000, -(10**4000)])
)
NAMES = st.one_of(
    st.sampled_from(
        [
            "filename",
            "size",
            "content_type",
            "fingerprint",
            "digests",
            "part_digest",
            "parts",
            "number",
            "etag",
            "digest",
            "max_files",
            "max_file_bytes",
            "content_types",
            "expires_in",
            "sha-256",
            "md5",
            "crc32c",
            "type",
            "metadata",
            "PartNumber",
            "ETag",
        ]
    ),
    TEXTS,
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=6)),
    max_leaves=12,
)
DEEP = st.tuples(
    st.sampled_from(['{"filename": "a", "metadata": {"size": ', '{"size": ', "[", '{"digests": ']),
    st.integers(1, 30_000),
).map(lambda deep: deep[0] + "[" * deep[1] + "]" * deep[1] + {"[": "]"}.get(deep[0], "}" * deep[0].count("{")))
# Right ones, of which members are replaced: what is wrong altogether is refused too early.
RIGHT: dict[str, dict[str, Any]] = {
    "/files": {"filename": "a", "size": 1, "content_type": "a/b", "fingerprint": "f", "digests": {"md5": "0" * 32}},
    "/files/{id}/parts": {"parts": [{"number": 1, "digest": "00"}]},
    "/files/{id}/complete": {"parts": [{"number": 1, "etag": "a"}]},
    "/drops": {"max_files": 1, "expires_in": 1, "max_file_bytes": 1, "content_types": ["a/b"]},
    "/capabilities": {"expires_in": 1},
    "{companion}/multipart": {"filename": "a", "type": "a/b", "metadata": {"size": 1}},
    "{companion}/multipart/{id}/complete?key={key}": {"parts": [{"PartNumber": 1, "ETag": "a"}]},
}
often = settings(max_examples=effort(30, 60, 150), deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    with world() as here:
        yield here


@pytest.fixture(scope="module")
def api(here: World) -> Iterator[TestClient]:
    with deployed(here) as client:
        yield TestClient(client.app, base_url="https://api.example", raise_server_exceptions=False)


@pytest.fixture(scope="module")
def places(api: TestClient) -> dict[str, str]:
    """What there is, for the addresses of requests."""
    companion = f"/companion/{issued(seconds=3600)}/s3"
    begun = api.post(f"{companion}/multipart", json={"filename": "a"}).json()
    return {"companion": companion, "id": begun["uploadId"], "key": begun["key"]}


def answered(answer: Any) -> dict[str, Any]:
    """It is no failure of ours, and where something is wrong a text says what."""
    assert answer.status_code < 500, answer.text
    told = answer.content and "json" in answer.headers["content-type"]  # `/` is the page, where it was built
    document: dict[str, Any] = json.loads(answer.content) if told else {}
    if answer.status_code >= 400:
        assert document["code"]
        assert len(answer.content) < 20_000
    return document


@more
@pytest.mark.parametrize("path", RIGHT)
@often
@given(data=st.data())
def test_any_body_is_answered(api: TestClient, places: dict[str, str], path: str, data: st.DataObject) -> None:
    """Any JSON, and what is almost right."""
    wrong = st.dictionaries(st.one_of(st.sampled_from(sorted(RIGHT[path])), NAMES), ANYTHING, max_size=3)
    body = data.draw(
        st.one_of(
            wrong.map(lambda changes: json.dumps(RIGHT[path] | changes)),
            ANYTHING.map(json.dumps),
            DEEP,
            st.binary(max_size=100).map(lambda raw: raw.decode("latin-1")),
        )
    )
    answered(api.post(path.format(**places), content=body.encode(), headers=ALICE | JSON_TYPE))


PATHS = [
    "/files",
    "/files/{id}",
    "/files/{id}/parts",
    "/drops/{id}",
    "{companion}/params",
    "{companion}/multipart/{id}",
    "{companion}/multipart/{id}/batch",
    "{companion}/multipart/{id}/1",
    "/files/{name}",
    "/drops/{name}",
    "/{name}",
    "/companion/{name}/s3/params?filename=a",
    "{companion}/multipart/{name}?key={key}",
    "/files/{name}/parts",
]
PARAMETERS = ["limit", "cursor", "status", "numbers", "key", "partNumbers", "filename", "type", "metadata[size]"]


@more
@often
@given(
    name=TEXTS,
    path=st.sampled_from(PATHS),
    query=st.tuples(st.sampled_from(PARAMETERS), TEXTS),
    more=st.booleans(),
)
def test_any_address_is_answered(
    api: TestClient, places: dict[str, str], name: str, path: str, query: tuple[str, str], *, more: bool
) -> None:
    """Any id, name, number, cursor and capability."""
    parameter, value = query
    asked = f"{parameter}={quote(value.encode('utf-8', 'surrogatepass'))}"
    asked += f"&key={places['key']}&filename=a" if more else ""
    address = path.format(**places, name=quote(name.encode("utf-8", "surrogatepass"), safe=""))
    answered(api.get(address + ("&" if "?" in address else "?") + asked, headers=ALICE))


@more
@often
@given(
    st.sampled_from(
        ["Repr-Digest", "Content-Digest", "Idempotency-Key", "Content-Type", "Authorization", "Content-Length"]
    ),
    st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=50).flatmap(
        lambda text: st.sampled_from([text, text * 100, f"sha-256=:{text}:", "9" * 5_000, "a/b; c=" + text])
    ),
)
def test_any_header_is_answered(api: TestClient, name: str, value: str) -> None:
    """Of those that are read."""
    headers = {key.encode(): text.encode("latin-1") for key, text in (ALICE | {name: value}).items()}
    answered(api.put("/files/a", content=b"x", headers=headers))
    answered(api.post("/digest", content=b"x", headers=headers))
    answered(api.post("/files", content=b"{}", headers=headers))


def test_a_hundred_thousand_members_are_one_error(api: TestClient, places: dict[str, str]) -> None:
    """Within what the route reads; more than that is not read."""
    few = json.dumps({f"{number:x}": 0 for number in range(5_000)})
    many = json.dumps({f"{number:x}": 0 for number in range(200_000)})
    assert len(few) < MAX_JSON_BYTES < MIB < len(many) < 3 * MIB
    for path, size in (("/files", few), ("/drops", few), ("/files/{id}/complete", many)):
        answer = answered(api.post(path.format(**places), content=size, headers=ALICE | JSON_TYPE))
        assert answer["code"] == "invalid_request"
        assert len(answer["errors"]) == 1
    answer = answered(api.post("/files", content=many, headers=ALICE | JSON_TYPE))
    assert (answer["code"], answer["limit"]) == ("body_too_large", MAX_JSON_BYTES)


@pytest.mark.parametrize(
    "body",
    [
        '{"filename": "a", "size": 1, "\\ud800": 1}',
        '{"filename": "a", "size": 1, "digests": {"\\ud800": "0"}}',
        '{"filename": "a", "size": 1, "digests": {"\\ud800": 0}}',
        '{"filename": "\\ud800", "size": 1}',
        '{"filename": "a", "size": 1, "fingerprint": "\\ud800"}',
        '{"filename": "a", "size": 1, "content_type": "\\ud800"}',
    ],
)
def test_half_a_character_is_refused(api: TestClient, body: str) -> None:
    """JSON can write what UTF-8 cannot, as a name and as a value."""
    assert api.post("/files", content=body, headers=ALICE | JSON_TYPE).status_code == 422


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Idempotency-Key": "k" * (MAX_IDEMPOTENCY_KEY_CHARACTERS + 1)}, "invalid_request"),
        ({"Repr-Digest": "x=::," * (MAX_DIGEST_HEADER_CHARACTERS // 5 + 1)}, "invalid_digest"),
        ({"Content-Digest": " " * 10 + "a" * MAX_DIGEST_HEADER_CHARACTERS}, "invalid_digest"),
        ({"Content-Type": "a/b;c=" + "d" * 600}, "invalid_request"),
    ],
)
def test_a_header_that_is_too_long_is_refused(api: TestClient, headers: dict[str, str], code: str) -> None:
    """422, and nothing is kept."""
    answer = api.put("/files/a", content=b"x", headers=ALICE | headers)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_headers_at_their_longest_are_taken(api: TestClient) -> None:
    """One character less."""
    longest = {"Idempotency-Key": "k" * MAX_IDEMPOTENCY_KEY_CHARACTERS, "Repr-Digest": "x=:" + "A" * 2040 + ":"}
    assert api.put("/files/a", content=b"x", headers=ALICE | longest).status_code == 201


def test_part_numbers_have_an_end(api: TestClient, places: dict[str, str]) -> None:
    """A thousand of five digits fit; what is longer is not taken apart."""
    longest = ",".join(["10001"] * 1_000)
    assert (
        api.get(f"/files/{places['id']}/parts?numbers={longest}", headers=ALICE).json()["code"] == "invalid_part_number"
    )
    for path, status in (
        ("/files/{id}/parts?numbers=", 422),
        ("{companion}/multipart/{id}/batch?key={key}&partNumbers=", 400),
    ):
        answer = api.get(path.format(**places) + longest + ",1", headers=ALICE)
        assert (answer.status_code, answer.json()["code"]) == (status, "invalid_request")


def test_a_capability_that_is_too_long_is_none(api: TestClient) -> None:
    """Nobody looks into it."""
    long = issued() + "A" * MAX_CAPABILITY_CHARACTERS
    answer = api.get(f"/companion/{long}/s3/params?filename=a")
    assert (answer.status_code, answer.json()["code"]) == (403, "invalid_capability")
