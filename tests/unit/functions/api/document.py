"""`python -m tests.unit.functions.api.document > docs/openapi.json`: the API's OpenAPI document."""

import json
import sys
from functools import cache
from typing import Any

from tests.unit.functions.modules import imported


def document() -> Any:
    with imported("functions.api.app") as api:
        return api.app.openapi()


@cache
def text() -> str:
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
