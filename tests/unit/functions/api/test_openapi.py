import json
import re
from pathlib import Path
from typing import Any

from sluice.errors import Problem
from tests.unit.functions.api.document import text

DOCS = Path(__file__).parents[4] / "docs"
# What no route of the contract answers: the page is not in it.
ELSEWHERE = {"page_not_built", "not_through_cloudfront"}
OPERATIONS = {
    *("createFile", "listFiles", "getFile", "listParts", "signParts", "completeFile", "deleteFile", "putSmallFile"),
    *("changeFile", "listDrops"),
    *("digestBody", "createCapability", "createDrop", "getDrop", "deleteDrop", "getHealth"),
    *("createShare", "listShares", "getShare", "deleteShare", "openShare"),
    *("getContent", "headContent", "getEvents"),
    *("getFeed", "exportJsonLines", "exportCsv", "exportSha256Sums"),
    *("createArchive", "getArchive", "deleteArchive"),
    *("getArchiveContent", "headArchiveContent", "getArchiveEvents"),
    *("getSharedArchive", "headSharedArchive"),
    *("getAuth", "getMe", "listOwners", "createToken", "listTokens", "deleteToken"),
}


def codes(kind: type[Problem] = Problem) -> set[str]:
    """The codes of all problems."""
    return {code for each in kind.__subclasses__() for code in (each.code, *codes(each))}


def operations() -> list[dict[str, Any]]:
    paths = json.loads(text())["paths"].values()
    return [operation for path in paths for method, operation in path.items() if method != "servers"]


def test_operations_have_the_names_that_people_would_choose() -> None:
    """Functions of generated clients are called so; each is in one group."""
    assert {operation["operationId"] for operation in operations()} == OPERATIONS
    tags = {tag["name"] for tag in json.loads(text())["tags"]}
    assert {tag for operation in operations() for tag in operation["tags"]} == tags


def test_every_operation_wants_a_token_or_a_capability() -> None:
    """But the ones for monitors, and for those who are about to sign in."""
    for operation in operations():
        parameters = [parameter["name"] for parameter in operation.get("parameters", ())]
        by_token = operation.get("security") == [{"bearer": []}]
        assert by_token or "capability" in parameters or operation["operationId"] in ("getHealth", "getAuth")


def test_every_part_of_a_path_is_a_parameter() -> None:
    """Also where the route itself reads it: generated clients leave such an operation out."""
    for path, members in json.loads(text())["paths"].items():
        for method, operation in members.items():
            if method != "servers":
                named = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
                assert named == {*re.findall(r"{(\w+)}", path)}


def test_a_body_that_may_be_left_out_is_no_null() -> None:
    """Generated clients would send one, or something that is no JSON at all."""
    bodies = {op["operationId"]: op["requestBody"] for op in operations() if "requestBody" in op}
    for name in ("completeFile", "createCapability", "openShare"):
        assert not bodies[name].get("required")
    for body in bodies.values():
        (content,) = body["content"].values()
        assert set(content["schema"]) in ({"$ref"}, {"type", "format"})


def test_what_generators_stumble_over_is_not_in_the_models() -> None:
    """Defaults make members required, `File` is what clients call bytes, and no route answers FastAPI's own models."""
    schemas = json.loads(text())["components"]["schemas"]
    members = [member for schema in schemas.values() for member in schema.get("properties", {}).values()]
    assert [member for member in members if "default" in member] == []
    assert {"File", "HTTPValidationError", "ValidationError"}.isdisjoint(schemas)
    assert schemas["CreateFile"]["required"] == ["filename", "size"]
    assert schemas["FileLinks"]["required"] == ["self", "events"]
    used = set(re.findall(r"#/components/schemas/(\w+)", text()))
    assert used == set(schemas)


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
    for operation in operations():
        for response in operation["responses"].values():
            for content in response.get("content", {}).values():
                documented |= content.get("examples", {}).keys()
    assert documented | ELSEWHERE == codes()
    contract = (DOCS / "api.md").read_text()
    assert [code for code in codes() if f"`{code}`" not in contract] == []
