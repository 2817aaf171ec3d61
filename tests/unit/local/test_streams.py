"""What an event source mapping of a stream lets in."""

from typing import Any

import pytest

from local.streams import _check, matches, queue_name
from local.template import TemplateError

CHANGE = {"eventName": "MODIFY", "dynamodb": {"NewImage": {"status": {"S": "ready"}, "n": {"N": "1"}}}}


@pytest.mark.parametrize(
    ("pattern", "passes"),
    [
        ({}, True),
        ({"eventName": ["INSERT", "MODIFY"]}, True),
        ({"eventName": ["REMOVE"]}, False),
        ({"dynamodb": {"NewImage": {"status": {"S": ["ready"]}}}}, True),
        ({"dynamodb": {"NewImage": {"status": {"S": ["failed"]}}}}, False),
        ({"dynamodb": {"NewImage": {"status": {"S": [{"exists": True}]}}}}, True),
        ({"dynamodb": {"NewImage": {"status": {"S": [{"exists": False}]}}}}, False),
        ({"dynamodb": {"OldImage": {"status": {"S": [{"exists": False}]}}}}, True),
        ({"dynamodb": {"OldImage": {"status": {"S": ["ready"]}}}}, False),
        ({"eventName": ["MODIFY"], "dynamodb": {"NewImage": {"n": {"N": ["2"]}}}}, False),
    ],
)
def test_filters(pattern: dict[str, Any], passes: bool) -> None:
    """Every member has to match, one of its values is enough, and what is not there does not exist."""
    assert matches(pattern, CHANGE) is passes


def test_other_filters_are_refused() -> None:
    """By name: a filter that is not heeded would let more in than the template says."""
    with pytest.raises(TemplateError, match=r"Changes filters by .*prefix"):
        _check("Changes", {"dynamodb": {"Keys": {"id": {"S": ["a", {"prefix": "b"}]}}}})


def test_a_stream_has_a_name_that_sqs_takes() -> None:
    """At most 80 characters, with the ending of a queue that keeps the order."""
    assert len(queue_name("t" * 255)) == 80
    assert queue_name("t").endswith(".fifo")
