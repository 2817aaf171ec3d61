"""One version for all that is released together."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from sluice import VERSION

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "layers/streaming_runtime"


def version(project: Path) -> str:
    found: str = tomllib.loads((project / "pyproject.toml").read_text())["project"]["version"]
    return found


@pytest.mark.parametrize("project", [ROOT, RUNTIME], ids=["sluice", "streaming_runtime"])
def test_the_changelog_begins_with_unreleased_and_the_version(project: Path) -> None:
    """The version of the project is the newest that its changelog dates."""
    headings = re.findall(r"^## (.*)$", (project / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(version(project))} - \d{{4}}-\d\d-\d\d", headings[1])


def test_all_that_is_released_shares_a_version() -> None:
    """One tag releases all of them."""
    page = json.loads((ROOT / "web/package.json").read_text())["version"]
    assert version(RUNTIME) == version(ROOT) == page == VERSION


@pytest.mark.parametrize("project", [ROOT, RUNTIME], ids=["sluice", "streaming_runtime"])
def test_no_changelog_has_a_section_twice(project: Path) -> None:
    """Below each version, "Added" and the like are there once."""
    for release in re.split(r"^## ", (project / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]:
        sections = re.findall(r"^### (.*)$", release, re.MULTILINE)
        assert sorted(set(sections)) == sorted(sections)
