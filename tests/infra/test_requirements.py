"""The core layer's requirements.txt, which is exported from uv.lock."""

import re

from tests.infra.transformed import ROOT

TEXT = (ROOT / "layers/core/requirements.txt").read_text()


def test_every_wheel_is_pinned_by_hash() -> None:
    """Each requirement has one exact version and the hashes of its files, so a build takes those or fails."""
    requirements = re.findall(r"^\S.*(?:\n {4}.*)*", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE), re.MULTILINE)
    assert len(requirements) > 10
    for requirement in requirements:
        assert re.match(r"[a-z0-9-]+==[0-9][^ ;]* ", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


def test_no_address_is_named() -> None:
    """Where the wheels come from is the builder's choice: nothing in the file is an address."""
    assert "://" not in TEXT
    assert not re.search(r"^\s*(-i|--index|--extra-index|--find-links)", TEXT, re.MULTILINE)
