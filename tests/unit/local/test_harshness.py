"""The switches of the stack's harshness."""

from dataclasses import fields
from pathlib import Path

import pytest

from local.harshness import Harshness, NotANumber, described, variable

ROOT = Path(__file__).parents[3]


def test_documented_behaviour_is_the_default() -> None:
    """Streams are slow and their length is renamed, unless a variable says otherwise; what is only reported is off."""
    assert Harshness.of({"PATH": "/bin"}) == Harshness(2_000_000, 1, 0, 0, 0, 0)
    set_here = {"LOCAL_STREAM_BYTES_PER_S": "0", "LOCAL_STREAM_LINGER_S": "900", "LOCAL_ACCOUNT_CONCURRENCY": "10"}
    assert Harshness.of(set_here) == Harshness(0, 1, 900, 0, 0, 10)


@pytest.mark.parametrize("value", ["", "no", "-1", "1.5", "\u0661"])
def test_switch_that_is_no_number_is_told(value: str) -> None:
    """The message names the variable, and how to switch it off."""
    with pytest.raises(NotANumber, match=r"LOCAL_STREAM_LINGER_S=.* 0 switches it off"):
        Harshness.of({"LOCAL_STREAM_LINGER_S": value})


def test_every_switch_is_described() -> None:
    """The command's help, and the table of docs/local.md, name each variable with its default."""
    page = (ROOT / "docs" / "local.md").read_text()
    for one in fields(Harshness):
        assert f"{variable(one.name)} " in described()
        assert f"`{variable(one.name)}` ({one.default})" in page
