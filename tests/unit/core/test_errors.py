import json
import re

import pytest

from sluice import errors
from sluice.errors import Busy, Problem, Unauthorized, WrongState

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Problem)]
KINDS.remove(Problem)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_has_a_code_a_status_and_a_title(kind: type[Problem]) -> None:
    """The code is stable snake case, the status is an HTTP error, the title a sentence that never changes."""
    assert re.fullmatch("[a-z]+(_[a-z]+)*", kind.code)
    assert 400 <= kind.status <= 599
    assert kind.title
    assert not kind.title.endswith(".")


def test_codes_are_unique() -> None:
    """Clients decide by the code, so no two kinds share one."""
    assert len({kind.code for kind in KINDS}) == len(KINDS) > 10


def test_a_problem_is_a_document_of_rfc_9457() -> None:
    """type, title, status and detail as the RFC names them, the code and what this kind adds."""
    document = WrongState("No.", state="ready").document()
    assert document == {
        "type": "urn:sluice:problem:wrong_state",
        "title": WrongState.title,
        "status": 409,
        "detail": "No.",
        "code": "wrong_state",
        "state": "ready",
    }
    assert json.loads(json.dumps(document)) == document


def test_an_unauthorized_answer_names_the_scheme() -> None:
    """RFC 6750 wants WWW-Authenticate with every 401."""
    assert Unauthorized("Send a token.").headers == {"WWW-Authenticate": "Bearer"}


def test_a_busy_answer_says_when_to_come_back() -> None:
    """503 carries Retry-After in seconds."""
    assert int(Busy("Later.").headers["Retry-After"]) > 0


def test_a_problem_prints_as_its_detail() -> None:
    """Logs show what happened."""
    assert str(WrongState("The upload was aborted.")) == "The upload was aborted."
