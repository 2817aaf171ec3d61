"""What the documentation says of the tests."""

import ast
import json
import re

import pytest

from bench import cost
from sluice import open_streams
from tests.infra.existing import CONFIGURATIONS
from tests.infra.transformed import ROOT, document

SECURITY = (ROOT / "docs" / "security.md").read_text()
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)`", SECURITY)


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)))
def test_each_test_that_is_named_exists(path: str, name: str) -> None:
    """A promise of docs/security.md that nothing tries any more is none."""
    folder = ROOT / "tests" if "/" in path else ROOT / "tests" / "integration"
    tree = ast.parse((folder / path).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_row_of_the_table_names_a_test() -> None:
    """The worst that one link can do was tried, for each kind of link."""
    _, _, section = SECURITY.partition("\n## The worst that one link can do\n")
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| **")]
    assert len(rows) == 14
    for row in rows:
        assert re.search(r"\.py::test_\w+` \|$", row), row


def test_the_worst_holder_costs_what_the_model_says() -> None:
    """The table of docs/cost.md is that of bench/cost.py, which counts with the template's own bounds."""
    _, _, section = (ROOT / "docs" / "cost.md").read_text().partition("\n## The worst holder of a link\n")
    written = [cells(line) for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")][1:]
    assert written == [cells(line) for line in cost.worst().splitlines()[2:]]
    assert f" {cost.flood():.0f} USD an hour" in section
    parameters = document()["Parameters"]
    assert parameters["StreamsPerLink"]["Default"] == cost.STREAMS_PER_LINK
    assert parameters["ApiRequestsPerSecond"]["Default"] == cost.API_REQUESTS_A_SECOND
    assert (open_streams.LANES, 3_600 / open_streams.RENEW_SECONDS) == (cost.LANES, cost.RENEWALS_AN_HOUR)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_an_existing_bucket_gets_what_the_stack_gives_to_its_own() -> None:
    """The JSON in docs/how-to/backup.md is what the template sets, in the order of the commands that take it."""
    page = (ROOT / "docs/how-to/backup.md").read_text()
    shown = re.findall(r"^`(\w+)\.json`.*?```json\n(.*?)```", page, re.MULTILINE | re.DOTALL)
    assert {name: json.loads(text) for name, text in shown} == CONFIGURATIONS
