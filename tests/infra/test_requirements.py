"""The layers' requirements.txt, which are exported from uv.lock."""

import re

import pytest

from tests.infra.transformed import ROOT

FILES = {"core": 10, "hasher": 1}  # at least so many packages


def text(layer: str) -> str:
    return (ROOT / "layers" / layer / "requirements.txt").read_text()


@pytest.mark.parametrize(("layer", "least"), FILES.items())
def test_every_wheel_is_pinned_by_hash(layer: str, least: int) -> None:
    """Each requirement has one exact version and the hashes of its files, so a build takes those or fails."""
    lines = re.sub(r"^#.*\n", "", text(layer), flags=re.MULTILINE)
    requirements = re.findall(r"^\S.*(?:\n {4}.*)*", lines, re.MULTILINE)
    assert len(requirements) >= least
    for requirement in requirements:
        assert re.match(r"[a-z0-9-]+==[0-9][^ ;]* ", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


@pytest.mark.parametrize("layer", FILES)
def test_no_address_is_named(layer: str) -> None:
    """Where the wheels come from is the builder's choice: nothing in the file is an address."""
    assert "://" not in text(layer)
    assert not re.search(r"^\s*(-i|--index|--extra-index|--find-links)", text(layer), re.MULTILINE)


def test_the_hashers_layer_has_the_checksums_alone() -> None:
    """What only the hasher needs is not on the cold start of the others."""
    assert re.findall(r"^([a-z0-9-]+)==", text("hasher"), re.MULTILINE) == ["awscrt"]
    assert not re.search("^awscrt==", text("core"), re.MULTILINE)
