"""How many invocations run at once: in the account, and in a function with ReservedConcurrentExecutions.

An invocation counts, and not an environment: one that waits for work costs nothing.
https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
"""

from collections import Counter
from collections.abc import Mapping

from local.template import Resolver, Template, TemplateError

# Invocations that reservations have to leave to all other functions; fewer where the account has fewer.
# https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionConcurrency.html
UNRESERVED_LEAST = 100

RESERVED = "ReservedConcurrentExecutions"


class Concurrency:
    """Counts invocations. `limit` is the account's, without end where it is 0; `reserved` is by function."""

    def __init__(self, limit: int = 0, reserved: Mapping[str, int] | None = None) -> None:
        self._reserved = dict(reserved or {})
        self._unreserved = limit - sum(self._reserved.values()) if limit else None
        self._running: Counter[str | None] = Counter()

    def begin(self, function: str) -> bool:
        """Count one more invocation, unless there are as many as may be."""
        group = self._group(function)
        most = self._unreserved if group is None else self._reserved[group]
        if most is not None and self._running[group] >= most:
            return False
        self._running[group] += 1
        return True

    def end(self, function: str) -> None:
        self._running[self._group(function)] -= 1

    def _group(self, function: str) -> str | None:
        """What it counts among: itself where it has a reservation, else all that have none."""
        return function if function in self._reserved else None


def declared(template: Template, resolver: Resolver, limit: int) -> Concurrency:
    """The account's `limit`, and a template's reservations. Raises `TemplateError` for what AWS does not deploy."""
    reserved = {}
    for name, resource in template.of_type("AWS::Lambda::Function").items():
        said = {key: value for key, value in resource["Properties"].items() if key == RESERVED}
        if (value := resolver(said).get(RESERVED)) is not None:
            reserved[name] = int(value)
    least = min(limit, UNRESERVED_LEAST)
    if limit and sum(reserved.values()) > limit - least:
        raise TemplateError(
            f"{RESERVED} of {', '.join(sorted(reserved))} decrease the account's unreserved "
            f"concurrency below its minimum of {least}: AWS does not deploy that where an account has {limit}"
        )
    return Concurrency(limit, reserved)
