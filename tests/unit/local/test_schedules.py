"""When schedules are due."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.schedules import parse

moments = st.datetimes(timezones=st.just(UTC)).filter(lambda moment: 1970 <= moment.year < 2199)

NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)  # a Sunday


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("rate(1 minute)", "2026-11-29 12:01"),
        ("rate(2 hours)", "2026-11-29 14:00"),
        ("rate(7 days)", "2026-12-06 12:00"),
        ("at(2026-11-29T12:00:30)", "2026-11-29 12:00:30"),
        ("cron(0 12 * * ? *)", "2026-11-30 12:00"),
        ("cron(0/15 * * * ? *)", "2026-11-29 12:15"),
        ("cron(5,10 8-17/3 ? * MON-FRI *)", "2026-11-30 08:05"),
        ("cron(0 0 1 * ? *)", "2026-12-01 00:00"),
        ("cron(30 6 ? JAN,jul 1 *)", "2027-01-03 06:30"),
        ("cron(0 0 29 2 ? *)", "2028-02-29 00:00"),
        ("cron(0 0 1 1 ? 2030/5)", "2030-01-01 00:00"),
    ],
)
def test_next_time(expression: str, due: str) -> None:
    """The first time after a moment, as EventBridge reckons it, in UTC."""
    assert parse(expression).after(NOON) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize("expression", ["at(2026-11-29T12:00:00)", "cron(0 0 30 2 ? *)", "cron(0 0 1 1 ? 2020)"])
def test_never(expression: str) -> None:
    """What is over, and what no calendar has, is never due."""
    assert parse(expression).after(NOON) is None


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("rate(1 minutes)", "not valid on AWS either"),
        ("rate(5 minute)", "not valid on AWS either"),
        ("rate(0 minutes)", "not valid on AWS either"),
        ("every day", "no rate"),
        ("cron(0 12 * * *)", "5 fields"),
        ("cron(0 12 * * * *)", "one of day and weekday"),
        ("cron(0 12 ? * ? *)", "one of day and weekday"),
        ("cron(0 12 L * ? *)", "L in L is not played here"),
        ("cron(0 12 ? * 6#3 *)", "6#3 is not played here"),
        ("cron(0 12 15W * ? *)", "15W in 15W is not played here"),
        ("cron(60 12 * * ? *)", "60 in 60"),
        ("cron(0 12 ? * 0 *)", "0 in 0"),
        ("cron(*/0 12 * * ? *)", "a step of 0"),
    ],
)
def test_what_is_not_played_is_named(expression: str, words: str) -> None:
    """What EventBridge refuses, and what only it knows, is an error that says which part."""
    with pytest.raises(ValueError, match=words):
        parse(expression)


@given(
    st.datetimes(timezones=st.just(UTC)).filter(lambda moment: 1970 <= moment.year < 2199),
    st.integers(0, 59),
    st.integers(0, 23),
)
def test_a_day_never_has_two(moment: datetime, minute: int, hour: int) -> None:
    """A time of day is due within a day of any moment, and then a day later."""
    daily = parse(f"cron({minute} {hour} * * ? *)")
    due = daily.after(moment)
    assert due is not None
    assert timedelta(0) < due - moment <= timedelta(days=1)
    assert daily.after(due) == due + timedelta(days=1)
