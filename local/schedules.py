"""Schedules of EventBridge, as rules and as schedules of its scheduler, that invoke functions.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html and
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

import asyncio
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Protocol

from local.asynchronous import deliver
from local.environments import Pool
from local.functions import named
from local.template import ACCOUNT, REGION, Resolver, Template, TemplateError
from local.terminal import say

RULE, SCHEDULE = "AWS::Events::Rule", "AWS::Scheduler::Schedule"

_RATE = re.compile(r"rate\(\s*(\d+)\s+(minute|hour|day)(s?)\s*\)")
_CRON = re.compile(r"cron\((.*)\)")
_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
_TOKEN = re.compile(r"(\*|[0-9A-Z]+)(?:-([0-9A-Z]+))?(?:/(\d+))?")

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
LAST_YEAR = 2199

_RULE_SAYS = {"Description", "Name", "ScheduleExpression", "State", "Tags", "Targets"}
_SCHEDULE_SAYS = {
    *("Description", "FlexibleTimeWindow", "GroupName", "Name", "ScheduleExpression", "ScheduleExpressionTimezone"),
    *("State", "Target"),
}
# The role and the retries have no effect here.
_TARGET_SAYS = {"Arn", "Id", "Input", "RetryPolicy", "RoleArn"}


Plan = tuple[Template, Resolver]


class Expression(Protocol):
    """When a schedule is due."""

    def after(self, moment: datetime) -> datetime | None:
        """The first time later than `moment`; None when there is none."""


@dataclass(frozen=True)
class Rate:
    every: timedelta

    def after(self, moment: datetime) -> datetime:
        return moment + self.every


@dataclass(frozen=True)
class At:
    moment: datetime

    def after(self, moment: datetime) -> datetime | None:
        return self.moment if self.moment > moment else None


@dataclass(frozen=True)
class Cron:
    """The values of each field; days of the week count from Sunday, which is 1."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    years: frozenset[int]

    def after(self, moment: datetime) -> datetime | None:
        day = moment.date()
        times = [time(hour, minute, tzinfo=UTC) for hour in sorted(self.hours) for minute in sorted(self.minutes)]
        while day.year <= LAST_YEAR:
            if self._has(day):
                for at in times:
                    if (due := datetime.combine(day, at)) > moment:
                        return due
            day += timedelta(days=1)
        return None

    def _has(self, day: date) -> bool:
        dated = day.day in self.days and day.month in self.months and day.year in self.years
        return dated and day.isoweekday() % 7 + 1 in self.weekdays


def parse(text: str) -> Expression:
    """An expression of a template. Raises `ValueError` for what is none, or is not played here."""
    if rate := _RATE.fullmatch(text):
        number = int(rate[1])
        if not number or (number == 1) == bool(rate[3]):
            raise ValueError(f"{text} is not valid on AWS either: it is `rate(1 minute)` and `rate(2 minutes)`")
        return Rate(timedelta(**{f"{rate[2]}s": number}))
    if cron := _CRON.fullmatch(text):
        return _cron(text, cron[1].upper().split())
    if at := _AT.fullmatch(text):
        return At(datetime.fromisoformat(at[1]).replace(tzinfo=UTC))
    raise ValueError(f"{text} is no rate(...), cron(...) or at(...)")


def _cron(text: str, fields: list[str]) -> Cron:
    if len(fields) != 6:
        raise ValueError(f"{text} has {len(fields)} fields; minutes, hours, day, month, weekday and year make 6")
    minutes, hours, days, months, weekdays, years = fields
    if (days == "?") == (weekdays == "?"):
        raise ValueError(f"{text} is not valid on AWS either: one of day and weekday is `?`, the other is not")
    return Cron(
        _values(text, minutes, range(60)),
        _values(text, hours, range(24)),
        _values(text, days, range(1, 32)),
        _values(text, months, range(1, 13), _MONTHS),
        _values(text, weekdays, range(1, 8), _DAYS),
        _values(text, years, range(1970, LAST_YEAR + 1)),
    )


def _values(text: str, field: str, allowed: range, names: tuple[str, ...] = ()) -> frozenset[int]:
    if field == "?":
        return frozenset(allowed)

    def number(word: str) -> int:
        value = names.index(word) + 1 if word in names else int(word) if word.isdecimal() else -1
        if value not in allowed:
            raise ValueError(f"{text}: {word} in {field} is not played here; numbers, names, `*`, `-`, `,` and `/` are")
        return value

    values: set[int] = set()
    for part in field.split(","):
        token = _TOKEN.fullmatch(part)
        if token is None:
            raise ValueError(f"{text}: {part} is not played here; numbers, names, `*`, `-`, `,` and `/` are")
        first, last, step = token.groups()
        low = allowed[0] if first == "*" else number(first)
        # `5/10` goes on to the end, `5` is one.
        high = number(last) if last else allowed[-1] if first == "*" or step else low
        if step == "0":
            raise ValueError(f"{text}: a step of 0 in {part}")
        values |= set(range(low, high + 1, int(step or 1)))
    return frozenset(values)


@dataclass(frozen=True)
class Schedule:
    """What invokes `function` (logical id) whenever `expression` says, with `given` or an event that says when."""

    name: str
    function: str
    expression: Expression
    arn: str
    source: str
    given: str | None

    def event(self, due: datetime) -> bytes:
        if self.given is not None:
            return self.given.encode()
        document = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": self.source,
            "account": ACCOUNT,
            "time": f"{due:%Y-%m-%dT%H:%M:%SZ}",
            "region": REGION,
            "resources": [self.arn],
            # The scheduler sends text.
            "detail": "{}" if self.source == "aws.scheduler" else {},
        }
        return json.dumps(document).encode()


def declared(template: Template, resolver: Resolver) -> list[Schedule]:
    """The schedules of a template that are switched on."""
    schedules, plan = [], (template, resolver)
    for name, resource in template.of_type(RULE).items():
        said = resource["Properties"]
        if "EventPattern" in said:  # of events, and not of times
            continue
        _check(name, said, _RULE_SAYS)
        schedules += [_schedule(name, said, target, "aws.events", plan) for target in said["Targets"]]
    for name, resource in template.of_type(SCHEDULE).items():
        said = resource["Properties"]
        _check(name, said, _SCHEDULE_SAYS)
        if (zone := resolver(said.get("ScheduleExpressionTimezone", "UTC"))) != "UTC":
            raise TemplateError(f"{name} has the time zone {zone}: only UTC is played here")
        schedules.append(_schedule(name, said, said["Target"], "aws.scheduler", plan))
    enabled = {
        name
        for name, resource in (template.of_type(RULE) | template.of_type(SCHEDULE)).items()
        if resolver(resource["Properties"].get("State", "ENABLED")) == "ENABLED"
    }
    return [schedule for schedule in schedules if schedule.name in enabled]


def _schedule(name: str, said: Mapping[str, Any], target: Mapping[str, Any], source: str, plan: Plan) -> Schedule:
    template, resolver = plan
    _check(name, target, _TARGET_SAYS)
    try:
        expression = parse(resolver(said["ScheduleExpression"]))
    except ValueError as error:
        raise TemplateError(f"{name}: {error}") from error
    return Schedule(
        name=name,
        function=named(resolver(target["Arn"]), template, resolver),
        expression=expression,
        arn=resolver.attributes[name, "Arn"],
        source=source,
        given=resolver(target.get("Input")),
    )


def _check(name: str, said: Mapping[str, Any], known: set[str]) -> None:
    if unknown := said.keys() - known:
        raise TemplateError(f"{name} sets {', '.join(sorted(unknown))}: nothing does that yet (local/schedules.py)")


async def run(schedule: Schedule, pool: Pool) -> None:
    """Invoke the function whenever it is time, until cancelled. One that is due never more waits for ever."""
    async with asyncio.TaskGroup() as invocations:
        due = schedule.expression.after(datetime.now(UTC))
        while due is not None:
            say(schedule.name, f"is due at {due:%Y-%m-%d %H:%M:%S} UTC")
            await asyncio.sleep((due - datetime.now(UTC)).total_seconds())
            invocations.create_task(deliver(schedule.name, pool, schedule.event(due)))
            due = schedule.expression.after(due)
        say(schedule.name, "is never due again")
        await asyncio.Event().wait()
