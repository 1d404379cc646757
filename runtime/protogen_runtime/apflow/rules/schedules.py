"""Schedules: six notations of when a task is triggered, and the next time it is.

Knows no timer: whoever triggers tasks asks for the next time, and says when it did. All times are UTC (A47).

Clauses: AF-TIME-004, AF-TIME-005, AF-TIME-007.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from apflow_protocol import ScheduleType, Task
from cronsim import CronSim, CronSimError
from msgspec.structs import replace

from .dependencies import needed
from .timestamps import UTC, datetime, later, parse, timedelta, written

MAX_EXPRESSION: Final = 255
"""Characters of a cron expression: every minute, hour and day listed one by one would need some 500, nobody does."""

_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME: Final = r"(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9])"
_WEEKDAY: Final = rf"(?:{'|'.join(_WEEKDAYS)})"
_DAY: Final = r"(?:0?[1-9]|[12][0-9]|3[01])"
_DAILY: Final = re.compile(_TIME)
_WEEKLY: Final = re.compile(rf"(?P<days>{_WEEKDAY}(?:,{_WEEKDAY})*)@{_TIME}")
_MONTHLY: Final = re.compile(rf"(?P<days>{_DAY}(?:,{_DAY})*)@{_TIME}")
_INTERVAL: Final = re.compile(r"[1-9][0-9]{0,17}")
_CRON_FIELD: Final = r"(?:\*|[0-9A-Za-z]+(?:-[0-9A-Za-z]+)?)(?:/[0-9]+)?"
_CRON_FIELDS: Final = rf"{_CRON_FIELD}(?:,{_CRON_FIELD})*"
_CRON: Final = re.compile(rf"{_CRON_FIELDS}(?:[ \t]+{_CRON_FIELDS}){{4}}")
# The library also takes L, W and #, which no standard crontab has; with them alone an expression can be so rare that
# the search for its next time goes on for 50 years' worth of days.
_CRON_EXTENSION: Final = re.compile(r"(?:^|[ \t,])(?:[0-9]*LW?|[0-9]+W)(?:$|[ \t,/])", re.IGNORECASE)
_AN_INSTANT: Final = timedelta(microseconds=1)

Rule = Callable[[datetime, datetime], "datetime | None"]
"""From a time and an anchor to the first time strictly after it; the anchor fixes the phase of intervals."""


def fault_of_expression(type: ScheduleType, expression: str) -> str | None:  # noqa: A002  # the protocol's name
    """What an expression of this type looks like, where this one does not; None where it does."""
    return None if _rule(type, expression) else EXPECTED[type]


EXPECTED: Final[dict[ScheduleType, str]] = {
    "once": "an ISO 8601 time, such as 2025-01-20T09:00:00Z",
    "interval": "a positive whole number of seconds, such as 3600",
    "cron": "five cron fields, such as 0 9 * * 1-5",
    "daily": "HH:MM, such as 09:30",
    "weekly": "weekdays and HH:MM, such as mon,wed@09:30",
    "monthly": "days of the month and HH:MM, such as 1,15@09:30",
}
"""What the expression of each type looks like, for messages."""


def next_run(
    type: ScheduleType,  # noqa: A002  # the protocol's name
    expression: str,
    *,
    after: str,
    start_at: str | None = None,
    end_at: str | None = None,
    run_count: int = 0,
    max_runs: int | None = None,
    anchor: str | None = None,
) -> str | None:
    """The first time strictly after `after`, within `start_at` and `end_at`, that the schedule triggers.

    None where it never does again: the end or `max_runs` is reached, or the one time is past (A47). Intervals count
    from `start_at`, else from `anchor`, else from `after`, so that a late trigger does not shift the later ones; what
    was missed is not made up for. Errors: ValueError for an expression or a time that is malformed.
    """
    rule = _rule(type, expression)
    if rule is None:
        raise ValueError(f"schedule_expression {expression!r} of type {type}: expected {EXPECTED[type]}")
    if max_runs is not None and run_count >= max_runs:
        return None
    last = _time(after)
    first = None if start_at is None else _time(start_at)
    origin = first or (last if anchor is None else _time(anchor))
    try:
        since = first - _AN_INSTANT if first is not None and first > last else last
        found = rule(since, origin)
    except OverflowError:  # beyond the year 9999, where datetime ends
        return None
    if found is None or (end_at is not None and found > _time(end_at)):
        return None
    return written(found)


def next_run_of(task: Task, *, after: str, anchor: str | None = None) -> str | None:
    """`next_run` of a task's own schedule; None where that is disabled, incomplete or faulty."""
    type_, expression = task.schedule_type, task.schedule_expression
    if task.schedule_enabled is not True or not isinstance(type_, str) or not isinstance(expression, str):
        return None
    try:
        return next_run(
            type_,
            expression,
            after=after,
            start_at=task.schedule_start_at or None,
            end_at=task.schedule_end_at or None,
            run_count=task.run_count_or_default,
            max_runs=task.max_runs if isinstance(task.max_runs, int) else None,
            anchor=anchor,
        )
    except ValueError:  # reported where the task is checked
        return None


def triggered(task: Task, *, now: str) -> Task:
    """The task after its schedule has triggered it: `last_run_at`, `run_count` and `next_run_at` are set anew."""
    planned = task.next_run_at or None
    count = task.run_count_or_default + 1
    counted = replace(task, last_run_at=now, run_count=count, updated_at=later(task.updated_at, now))
    return replace(counted, next_run_at=next_run_of(counted, after=now, anchor=planned))


def scope(task: Task, flow: Mapping[str, Task]) -> list[str]:
    """The ids that a trigger of the task runs, itself first: of a root the whole flow, of a child what it needs too.

    `flow` holds every task of the flow (03-data-model.md, Scheduling Fields: the scope is hierarchical).
    """
    if task.parent_id:
        return needed([task.id], flow)
    return [task.id, *(other for other in flow if other != task.id)]


def _time(text: str) -> datetime:
    time = parse(text)
    if time is None:
        raise ValueError(f"{text!r} is no RFC 3339 time")
    return time


def _rule(type_: ScheduleType, expression: str) -> Rule | None:
    """How to find the next time; None for a malformed expression."""
    match type_:
        case "once":
            return _once(expression)
        case "interval":
            return _interval(expression)
        case "cron":
            return _cron(expression)
        case "daily":
            return _days(_DAILY.fullmatch(expression))
        case "weekly":
            return _days(_WEEKLY.fullmatch(expression))
        case "monthly":
            return _monthly(_MONTHLY.fullmatch(expression))


def _once(expression: str) -> Rule | None:
    at = parse(expression, assume_utc=True)
    return None if at is None else lambda since, _: at if at > since else None


def _interval(expression: str) -> Rule | None:
    if not _INTERVAL.fullmatch(expression):
        return None
    seconds = int(expression)

    def rule(since: datetime, origin: datetime) -> datetime:
        step = timedelta(seconds=seconds)
        return origin if since < origin else origin + ((since - origin) // step + 1) * step

    return rule


def _cron(expression: str) -> Rule | None:
    if len(expression) > MAX_EXPRESSION or not _CRON.fullmatch(expression) or _CRON_EXTENSION.search(expression):
        return None
    try:
        CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError:
        return None
    return lambda since, _: next(CronSim(expression, since), None)


def _days(found: re.Match[str] | None) -> Rule | None:
    """Daily and weekly: a time of day, on some weekdays or on all."""
    if found is None:
        return None
    hour, minute = int(found["hour"]), int(found["minute"])
    names = found.groupdict().get("days")
    weekdays = {_WEEKDAYS.index(name) for name in names.split(",")} if names else set(range(7))

    def rule(since: datetime, _: datetime) -> datetime:
        at = since.replace(hour=hour, minute=minute, second=0, microsecond=0)
        while at <= since or at.weekday() not in weekdays:
            at += timedelta(days=1)
        return at

    return rule


def _monthly(found: re.Match[str] | None) -> Rule | None:
    """Monthly: a month that lacks the day is left out (A47)."""
    if found is None:
        return None
    hour, minute = int(found["hour"]), int(found["minute"])
    days = {int(day) for day in found["days"].split(",")}

    def rule(since: datetime, _: datetime) -> datetime:
        at = since.replace(hour=hour, minute=minute, second=0, microsecond=0)
        while at <= since or at.day not in days:
            at += timedelta(days=1)
        return at

    return rule
