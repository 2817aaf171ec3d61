"""Invocations at once, of an account and of its functions."""

from pathlib import Path

import pytest

from local import concurrency
from local.concurrency import Concurrency
from local.template import Resolver, Template, TemplateError, load


def test_account_is_shared() -> None:
    """All functions together run as many invocations as the account allows; one that ends makes room."""
    allowed = Concurrency(2)
    assert [allowed.begin(name) for name in "abc"] == [True, True, False]
    allowed.end("a")
    assert allowed.begin("c")


def test_reservation_is_a_limit_and_a_guarantee() -> None:
    """A function with a reservation runs no more than that, and the others run only what it leaves."""
    allowed = Concurrency(3, {"reserved": 2, "stopped": 0})
    assert allowed.begin("other")
    assert not allowed.begin("other")
    assert [allowed.begin("reserved") for _ in range(3)] == [True, True, False]
    assert not allowed.begin("stopped")


def test_without_a_limit_reservations_count_alone() -> None:
    """Where the account has no limit a function without a reservation has none."""
    allowed = Concurrency(0, {"reserved": 1})
    assert all(allowed.begin("other") for _ in range(5000))
    assert [allowed.begin("reserved") for _ in range(2)] == [True, False]


def template_with(folder: Path, reserved: int) -> Template:
    (folder / "code").mkdir()
    (folder / "template.yaml").write_text(
        f"""
Transform: AWS::Serverless-2016-10-31
Resources:
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: code/
      Handler: app.handler
      Runtime: python3.13
      ReservedConcurrentExecutions: {reserved}
"""
    )
    return load(folder / "template.yaml", {})


@pytest.mark.parametrize(("limit", "reserved"), [(10, 1), (100, 5), (150, 51), (1000, 901)])
def test_reservation_that_aws_refuses(tmp_path: Path, limit: int, reserved: int) -> None:
    """A template that would leave other functions fewer than 100 invocations, or fewer than a small account has."""
    template = template_with(tmp_path, reserved)
    with pytest.raises(TemplateError, match="Worker decrease the account's unreserved"):
        concurrency.declared(template, Resolver(template), limit)


@pytest.mark.parametrize(("limit", "reserved"), [(0, 1), (10, 0), (150, 50), (1000, 900)])
def test_reservation_that_aws_takes(tmp_path: Path, limit: int, reserved: int) -> None:
    """Any other is honoured."""
    template = template_with(tmp_path, reserved)
    allowed = concurrency.declared(template, Resolver(template), limit)
    begun = [allowed.begin("Worker") for _ in range(reserved + 1)]
    assert begun == [True] * reserved + [False]
