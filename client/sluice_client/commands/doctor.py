"""`sluice doctor`."""

from collections import Counter

from sluice_client import errors
from sluice_client.contract import Sluice
from sluice_client.doctor import Finding, Outcome, examining
from sluice_client.output import print_json, print_text

NAME_WIDTH = 16


async def doctor(sluice: Sluice, *, origin: str | None, patience: float, only: frozenset[str], as_json: bool) -> int:
    found: list[Finding] = []
    async with examining(sluice, origin=origin, patience=patience) as examination:
        async for finding in examination.run(only):
            found.append(finding)
            if not as_json:
                _print(finding)
    counts = Counter(finding.outcome for finding in found)
    healthy = not counts[Outcome.FAILED]
    if as_json:
        print_json({"healthy": healthy, "findings": [finding.json for finding in found]})
    else:
        said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
        print_text(f"{'healthy' if healthy else 'not healthy'}: {said}")
    return errors.OK if healthy else errors.FAILED


def _print(finding: Finding) -> None:
    print_text(f"{finding.outcome:<8}{finding.check:<{NAME_WIDTH}} {finding.said}")
    if finding.advice:
        print_text(f"{'':<{8 + NAME_WIDTH}} {finding.advice}")
