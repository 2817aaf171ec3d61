"""How much a test tries. `make test` tries little, `.ci/run` more, and `make test-endurance` by itself most."""

import os
from typing import TypeVar

T = TypeVar("T")


def effort(little: T, more: T, most: T) -> T:
    """What `ENDURANCE` asks for: nothing, `more`, or anything else for most."""
    return {"": little, "more": more}.get(os.environ.get("ENDURANCE", ""), most)
