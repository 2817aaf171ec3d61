"""`sam local invoke` of every function with every event, in a container, against moto on this machine."""

import pytest

from tests.sam.cases import CASES, Case, Invoke, Seeded


@pytest.mark.parametrize("case", CASES, ids=str)
def test_event(case: Case, stack: Seeded, invoke: Invoke) -> None:
    """The built function, with its layers as /opt, answers the event as it does in a process of this machine."""
    case.check(stack, invoke(case.function, stack.event(case.event)))
