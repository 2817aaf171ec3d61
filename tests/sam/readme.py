"""The command lines of README.md, as people copy them."""

import re

from tests.sam.cases import ROOT


def lines(heading: str) -> list[str]:
    """The lines of the shell blocks below a heading, without their comments."""
    text = (ROOT / "README.md").read_text()
    (section,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [bare for line in "".join(blocks).splitlines() if (bare := line.partition("  #")[0].strip())]


def line(heading: str, beginning: str) -> str:
    """The one line that begins so."""
    (found,) = (one for one in lines(heading) if one.startswith(beginning))
    return found
