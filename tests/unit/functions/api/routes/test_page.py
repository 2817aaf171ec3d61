"""The page as the API function serves it."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.unit.functions.modules import imported

INDEX = "<!doctype html><title>Sluice</title>"
SCRIPT = "document.title = 'Sluice'"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What `make web` makes, in small."""
    (tmp_path / "index.html").write_text(INDEX)
    (tmp_path / "assets").mkdir()
    for name in ("index-abc.js", "worker-abc.js"):
        (tmp_path / "assets" / name).write_text(SCRIPT)
    return tmp_path


@pytest.fixture
def client(built: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    with imported("functions.api.app") as app:
        monkeypatch.setattr(app.page, "BUILT", built)
        yield TestClient(app.app)


def test_page_is_asked_for_each_time(client: TestClient) -> None:
    """The page itself is never taken from a cache unasked, so that a new one is seen at once."""
    answer = client.get("/")
    assert (answer.status_code, answer.text) == (200, INDEX)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


def test_page_may_ask_nobody_else(client: TestClient) -> None:
    """Its policy names this origin, the stream host and the bucket; no inline script, no frame around it."""
    header = client.get("/").headers["content-security-policy"]
    policy = {name: allowed.split() for name, _, allowed in (rule.partition(" ") for rule in header.split("; "))}
    bucket = "https://the-bucket.s3.eu-west-1.amazonaws.com"
    assert policy["connect-src"] == ["'self'", "https://stream.example", bucket]
    assert policy["media-src"] == policy["frame-src"] == ["https://stream.example", bucket]
    assert policy["img-src"] == ["'self'", "https://stream.example", bucket]
    assert policy["default-src"] == policy["frame-ancestors"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == ["'self'"]


def test_assets_are_kept_for_ever(client: TestClient) -> None:
    """A file with a hash in its name may be kept, in the form that the browser takes."""
    plain = client.get("/assets/index-abc.js", headers={"accept-encoding": "identity"})
    assert (plain.text, "content-encoding" in plain.headers) == (SCRIPT, False)
    zipped = client.get("/assets/index-abc.js")
    assert (zipped.text, zipped.headers["content-encoding"]) == (SCRIPT, "gzip")
    assert zipped.headers["content-length"] == str(len(gzip.compress(SCRIPT.encode())))
    for answer in (plain, zipped):
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert "immutable" in answer.headers["cache-control"]


def test_a_worker_comes_with_the_policy_that_it_obeys(client: TestClient) -> None:
    """Its hosts may change while the script stays, so it is asked for anew each time."""
    answer = client.get("/assets/worker-abc.js")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-security-policy"] == client.get("/").headers["content-security-policy"]


@pytest.mark.parametrize("path", ["other.js", "..%2Findex.html", "%2Fetc%2Fpasswd", "%2E%2E"])
def test_only_what_was_built_is_served(client: TestClient, path: str) -> None:
    """No path leads out of the folder."""
    assert client.get(f"/assets/{path}", follow_redirects=False).status_code == 404


def test_page_that_was_not_built_says_so(client: TestClient, built: Path) -> None:
    """Where nobody ran `make web`, the answer says what to do, and the API works."""
    (built / "index.html").unlink()
    answer = client.get("/")
    assert (answer.status_code, answer.json()["code"]) == (404, "page_not_built")
    assert "make web" in answer.json()["detail"]
    assert client.get("/healthz").status_code == 200
