"""Each event of `events/` runs through its function: the process that Lambda would start, on the template's stack."""

from collections.abc import Iterator

import pytest

from tests.sam.cases import CASES, EVENTS, Case, Invoke, Seeded, processes, seeded


@pytest.fixture(scope="module")
def stack() -> Iterator[Seeded]:
    with seeded("127.0.0.1") as made:
        yield made


@pytest.fixture(scope="module")
def invoke(stack: Seeded) -> Iterator[Invoke]:
    with processes(stack.functions) as started:
        yield started


def test_every_event_has_a_case() -> None:
    """No file in `events/` goes untested, and no function is without an event."""
    assert {path.stem for path in EVENTS.iterdir()} == {case.event for case in CASES}
    assert {case.function for case in CASES} == {"ApiFunction", "HasherFunction", "StreamFunction"}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_event_about_what_exists(case: Case, stack: Seeded, invoke: Invoke) -> None:
    """An event about files that the stack knows gets the answer that it is an example of."""
    case.check(stack, invoke(case.function, stack.event(case.event)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_event_as_it_lies_there(case: Case, invoke: Invoke) -> None:
    """An event that nobody has adapted is answered too: refused where its token is nobody's, else taken quietly."""
    case.unknown(invoke(case.function, (EVENTS / f"{case.event}.json").read_text()))
