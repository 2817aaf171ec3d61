import json
from pathlib import Path

from sluice.errors import Problem
from tests.unit.functions.api.document import text

DOCS = Path(__file__).parents[4] / "docs"
# What the stream function answers, and what no route of the contract does: the page, and links.
ELSEWHERE = {
    *("invalid_capability", "not_ready", "precondition_failed", "range_not_satisfiable"),
    *("page_not_built", "object_missing", "object_changed", "object_forbidden"),
}


def codes() -> set[str]:
    """The codes of all problems."""
    return {kind.code for kind in Problem.__subclasses__()}


def test_the_document_in_docs_is_the_apis() -> None:
    """`make openapi` writes it anew."""
    assert (DOCS / "openapi.json").read_text() == text()


def test_the_headers_of_small_bodies_are_documented() -> None:
    """A client that knows the OpenAPI document alone can promise digests, and repeat a request."""
    paths = json.loads(text())["paths"]
    told = {
        path: {one["name"] for one in paths[path][method]["parameters"] if one["in"] == "header"}
        for path, method in (("/files/{filename}", "put"), ("/digest", "post"))
    }
    digests = {"Repr-Digest", "Content-Digest"}
    assert told == {"/files/{filename}": digests | {"Idempotency-Key"}, "/digest": digests}


def test_every_problem_is_documented() -> None:
    """Each code is an example in the OpenAPI document, or the stream's, and has its line in docs/api.md."""
    documented = set()
    for path in json.loads(text())["paths"].values():
        for operation in path.values():
            for response in operation["responses"].values():
                for content in response.get("content", {}).values():
                    documented |= content.get("examples", {}).keys()
    assert documented | ELSEWHERE == codes()
    contract = (DOCS / "api.md").read_text()
    assert [code for code in codes() if f"`{code}`" not in contract] == []
