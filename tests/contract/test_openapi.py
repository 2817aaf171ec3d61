"""The running stack against docs/openapi.json: requests that nobody would think of, right ones and wrong ones."""

import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from sluice.problems import MEDIA_TYPE
from tests.integration.conftest import ROOT, Stack

EXAMPLES = 300 if os.environ.get("ENDURANCE") else 40
DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text())
BODY = b"x" * 5


@pytest.fixture(scope="session")
def api(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.api, headers={"Authorization": f"Bearer {stack.token}"}) as client:
        yield client


@pytest.fixture(scope="session")
def known(api: httpx.Client, stack: Stack) -> dict[str, list[str]]:
    """Ids that the API knows, each of something in another state: requests about nothing end too early."""

    def file(size: int, **headers: str) -> dict[str, Any]:
        answer = api.post("/files", json={"filename": "a", "size": size}, headers=headers)
        made: dict[str, Any] = answer.raise_for_status().json()
        return made

    arrived, aborted = file(len(BODY)), file(len(BODY))
    (part,) = arrived["parts"]
    httpx.put(part["url"], content=BODY, headers=part["headers"]).raise_for_status()
    api.post(f"/files/{arrived['id']}/complete").raise_for_status()
    api.delete(f"/files/{aborted['id']}").raise_for_status()
    others = file(1, Authorization=f"Bearer {stack.other_token}")
    drop = api.post("/drops", json={"max_files": 3, "expires_in": 3600}).raise_for_status().json()
    files = [file(1), file(20 * 2**20), arrived, aborted, others]
    return {"/files/{id}": [one["id"] for one in files], "/drops/{id}": [drop["id"]]}


# API Gateway's answer to a request line and headers of more than 10,240 bytes; the API never hears of such requests.
GATEWAYS_OWN = 431


def operations() -> list[Any]:
    loaded = schemathesis.openapi.from_dict(DOCUMENT)
    loaded.config.generation.update(modes=list(GenerationMode))
    return [found.ok() for found in loaded.get_all_operations()]


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.label)
def test_nothing_happens_that_the_document_does_not_say(
    operation: Any, stack: Stack, known: dict[str, list[str]]
) -> None:
    """No 500, and no status, body or problem code that it does not name; wrong requests are refused."""
    # The paths of the stream host have a server of their own.
    host = stack.stream if DOCUMENT["paths"][operation.path].get("servers") else stack.api
    ids = next((ids for path, ids in known.items() if operation.path.startswith(path)), None)

    # A filename or digest of the right shape may still be none.
    excluded: list[Any] = [positive_data_acceptance]
    if operation.method in ("get", "head"):
        excluded.append(negative_data_rejection)  # to it a parameter that nobody knows is wrong; HTTP leaves it out

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        derandomize=not os.environ.get("ENDURANCE"),
    )
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(generation_mode=data.draw(st.sampled_from(GenerationMode))))
        if ids and data.draw(st.booleans()):
            case.path_parameters["id"] = data.draw(st.sampled_from(ids))
        response = case.call(base_url=host, headers={"Authorization": f"Bearer {stack.token}"})
        if response.status_code == GATEWAYS_OWN and response.json() == {"message": "Request Header Fields Too Large"}:
            return
        case.validate_response(response, excluded_checks=excluded)
        is_a_documented_problem(operation, response)

    holds()


def is_a_documented_problem(operation: Any, response: Any) -> None:
    """RFC 9457, with a code that the document names for this status of this route."""
    if response.status_code < 400:
        return
    told = operation.schema.raw_schema["paths"][operation.path][operation.method]["responses"]
    assert response.headers["content-type"] == [MEDIA_TYPE]
    if operation.method == "head":
        return
    problem = json.loads(response.content)
    assert problem["status"] == response.status_code
    assert problem["code"] in told[str(response.status_code)]["content"][MEDIA_TYPE]["examples"]
