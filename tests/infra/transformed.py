"""`python -m tests.infra.transformed`: template.yaml as CloudFormation gets it, for cfn-lint, which sees more there."""

import json
from pathlib import Path
from typing import Any

from local.template import load

ROOT = Path(__file__).parents[2]


def document() -> dict[str, Any]:
    """The template after SAM's transform; functions still refer to each other by `Ref` and `Fn::GetAtt`."""
    return load(ROOT / "template.yaml", {}).document


if __name__ == "__main__":
    print(json.dumps(document(), indent=1))  # noqa: T201  the standard output is the product
