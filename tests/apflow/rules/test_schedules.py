"""When a schedule triggers next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apflow_protocol import ScheduleType
from hypothesis import given
from hypothesis import strategies as st
from rule_cases import A, B, C, D, E, needs, task, unhurried

from protogen_runtime.apflow.rules import schedules
from protogen_runtime.apflow.rules.consistency import faults_of_task
from protogen_runtime.apflow.rules.timestamps import parse, written

GOOD: dict[ScheduleType, list[str]] = {
    "once": ["2025-01-20T09:00:00Z", "2025-01-20T09:00:00+01:00", "2025-01-20T09:00:00"],
    "interval": ["1", "3600", "999999999999999999"],
    "cron": [
        *("0 9 * * 1-5", "* * * * *", "*/15 0-6/2 1,15 * *", "0 0 * JAN-MAR mon,WED", "5/10 * * * 7", "0  0\t1 1 0"),
    ],
    "daily": ["00:00", "09:30", "23:59"],
    "weekly": ["mon@09:30", "mon,wed@09:30", "sun,sat,fri,thu,wed,tue,mon@00:00"],
    "monthly": ["1@00:00", "1,15@09:30", "31@23:59", "01,05@09:30"],
}
BAD: dict[ScheduleType, list[str]] = {
    "once": ["", "tomorrow", "2025-01-20", "09:00", "3600"],
    "interval": ["", "0", "-5", "1.5", "abc", "1e3", " 60", "60s", "060", "9" * 19, "9" * 5000, "\u0661"],
    "cron": [
        *("", "* * * *", "* * * * * *", "61 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "@daily"),
        *("a b c d e", "*/0 * * * *", "5-1 * * * *", "1,, * * * *", "* * L * *", "* * LW * *", "* * * * 1L"),
        *("* * * * 1#2", "* * 15W * *", "0 0 30 2 *", "* * * * foo", "1-2-3 * * * *", "1/2/3 * * * *", "-1 * * * *"),
        *("? * * * *", "\u0661 * * * *", "*\n* * * *", " * * * * *", "1 " + "9" * 5000 + " * * *"),
    ],
    "daily": ["", "25:00", "24:00", "9:30", "09:60", "09:30:00", "09.30", "abc", "09:30 ", "\u0660\u0669:30"],
    "weekly": [
        "",
        "xyz@09:30",
        "mon",
        "mon@25:00",
        "mon,@09:30",
        "Mon@09:30",
        "monday@09:30",
        "1@09:30",
        "mon wed@09:30",
    ],
    "monthly": ["", "32@09:30", "0@09:30", "1", "1,@09:30", "-5@09:30", "1@9:30", "first@09:30", "001@09:30"],
}


@pytest.mark.parametrize(("kind", "expression"), [(kind, it) for kind, many in GOOD.items() for it in many])
def test_grammar_admits(kind: ScheduleType, expression: str) -> None:
    assert schedules.fault_of_expression(kind, expression) is None


@pytest.mark.parametrize(("kind", "expression"), [(kind, it) for kind, many in BAD.items() for it in many])
def test_grammar_refuses_and_says_what_it_expects(kind: ScheduleType, expression: str) -> None:  # A47
    assert schedules.fault_of_expression(kind, expression) == schedules.EXPECTED[kind]
    with pytest.raises(ValueError, match="expected"):
        schedules.next_run(kind, expression, after="2026-01-01T00:00:00Z")


@pytest.mark.parametrize("kind", GOOD)
def test_expression_of_another_type_is_no_expression_of_this_one(kind: ScheduleType) -> None:
    others = {it for other, many in GOOD.items() if other != kind for it in many}
    assert [it for it in others if schedules.fault_of_expression(kind, it) is None] == []


NEXT: list[tuple[ScheduleType, str, str, str | None]] = [
    # 2026-01-01 is a Thursday
    ("once", "2026-01-02T09:00:00Z", "2026-01-01T00:00:00Z", "2026-01-02T09:00:00"),
    ("once", "2026-01-02T09:00:00", "2026-01-01T00:00:00Z", "2026-01-02T09:00:00"),
    ("once", "2026-01-02T09:00:00+02:00", "2026-01-01T00:00:00Z", "2026-01-02T07:00:00"),
    ("once", "2026-01-02T09:00:00Z", "2026-01-02T09:00:00Z", None),
    ("once", "2020-01-02T09:00:00Z", "2026-01-01T00:00:00Z", None),
    ("interval", "3600", "2026-01-01T00:00:30Z", "2026-01-01T01:00:30"),
    ("interval", "1", "2026-01-01T00:00:00.500000Z", "2026-01-01T00:00:01.500000"),
    ("cron", "0 9 * * 1-5", "2026-01-02T09:00:00Z", "2026-01-05T09:00:00"),
    ("cron", "0 9 * * 1-5", "2026-01-02T08:59:59.999999Z", "2026-01-02T09:00:00"),
    ("cron", "0 9 * * *", "2026-01-01T09:00:00.000001Z", "2026-01-02T09:00:00"),
    ("cron", "*/15 * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:15:00"),
    ("cron", "0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00"),
    ("cron", "0 0 13 * 5", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00"),
    ("daily", "09:30", "2026-01-01T09:29:59Z", "2026-01-01T09:30:00"),
    ("daily", "09:30", "2026-01-01T09:30:00Z", "2026-01-02T09:30:00"),
    ("daily", "09:30", "2026-01-01T10:00:00+02:00", "2026-01-01T09:30:00"),
    ("daily", "00:00", "2026-12-31T12:00:00Z", "2027-01-01T00:00:00"),
    ("weekly", "mon,wed@09:30", "2026-01-01T00:00:00Z", "2026-01-05T09:30:00"),
    ("weekly", "mon,wed@09:30", "2026-01-05T09:30:00Z", "2026-01-07T09:30:00"),
    ("weekly", "thu@09:30", "2026-01-01T09:30:00Z", "2026-01-08T09:30:00"),
    ("monthly", "1,15@09:30", "2026-01-01T09:30:00Z", "2026-01-15T09:30:00"),
    ("monthly", "31@09:30", "2026-01-31T09:30:00Z", "2026-03-31T09:30:00"),
    ("monthly", "30@09:30", "2026-01-30T09:30:00Z", "2026-03-30T09:30:00"),
    ("monthly", "29@00:00", "2027-01-30T00:00:00Z", "2027-03-29T00:00:00"),
    ("daily", "09:30", "9999-12-31T09:30:00Z", None),
    ("monthly", "31@09:30", "9999-12-31T09:30:00Z", None),
    ("cron", "0 0 1 1 *", "9999-12-31T09:30:00Z", None),
    ("interval", "999999999999999999", "2026-01-01T00:00:00Z", None),
]


@pytest.mark.parametrize(("kind", "expression", "after", "expected"), NEXT)
def test_next_time_is_strictly_later_and_in_utc(
    kind: ScheduleType, expression: str, after: str, expected: str | None
) -> None:  # A47
    found = schedules.next_run(kind, expression, after=after)
    assert (found and parse(found)) == (expected and parse(f"{expected}Z"))
    assert found is None or found == written(parse(found) or datetime.max)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "2026-01-01T09:30:00.000000Z"),
        ({"start_at": "2025-01-01T00:00:00Z"}, "2026-01-01T09:30:00.000000Z"),
        ({"start_at": "2026-03-01T09:30:00Z"}, "2026-03-01T09:30:00.000000Z"),
        ({"start_at": "2026-03-01T09:30:00.000001Z"}, "2026-03-02T09:30:00.000000Z"),
        ({"end_at": "2026-01-01T09:30:00Z"}, "2026-01-01T09:30:00.000000Z"),
        ({"end_at": "2026-01-01T09:29:59Z"}, None),
        ({"end_at": "2026-01-01T09:29:59Z", "start_at": "2026-03-01T09:30:00Z"}, None),
        ({"max_runs": 2, "run_count": 1}, "2026-01-01T09:30:00.000000Z"),
        ({"max_runs": 2, "run_count": 2}, None),
        ({"max_runs": 0}, None),
    ],
)
def test_start_end_and_number_of_runs_bound_the_schedule(more: dict[str, Any], expected: str | None) -> None:  # A47
    assert schedules.next_run("daily", "09:30", after="2026-01-01T00:00:00Z", **more) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "2026-01-01T13:00:00"),
        ({"start_at": "2026-01-01T10:20:00Z"}, "2026-01-01T12:20:00"),
        ({"start_at": "2026-01-01T18:00:00Z"}, "2026-01-01T18:00:00"),
        ({"anchor": "2026-01-01T11:55:00Z"}, "2026-01-01T12:55:00"),
        ({"anchor": "2026-01-01T00:55:00Z"}, "2026-01-01T12:55:00"),
        ({"anchor": "2026-01-01T00:55:00Z", "start_at": "2026-01-01T00:10:00Z"}, "2026-01-01T12:10:00"),
    ],
)
def test_interval_keeps_its_phase_and_skips_what_was_missed(more: dict[str, Any], expected: str) -> None:
    assert schedules.next_run("interval", "3600", after="2026-01-01T12:00:00Z", **more) == f"{expected}.000000Z"


def test_search_for_rare_days_is_short() -> None:
    # Each of these falls on few days in decades; none may walk through years day by day without an end.
    for expression in ("0 0 29 2 */7", "0 0 */31 2 0", "59 23 31 12 */6", "0 0 29 2 1"):
        assert schedules.next_run("cron", expression, after="2026-01-01T00:00:00Z")


times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
hours, minutes = st.integers(0, 23), st.integers(0, 59)
WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def both(one: tuple[ScheduleType, str], other: tuple[ScheduleType, str], after: datetime) -> None:
    left, right = (schedules.next_run(kind, expression, after=written(after)) for kind, expression in (one, other))
    assert left == right
    assert left is not None


@unhurried
@given(times, hours, minutes)
def test_daily_is_what_cron_says(after: datetime, hour: int, minute: int) -> None:
    both(("daily", f"{hour:02}:{minute:02}"), ("cron", f"{minute} {hour} * * *"), after)


@unhurried
@given(times, hours, minutes, st.sets(st.sampled_from(WEEKDAYS), min_size=1))
def test_weekly_is_what_cron_says(after: datetime, hour: int, minute: int, days: set[str]) -> None:
    listed = ",".join(sorted(days))
    both(("weekly", f"{listed}@{hour:02}:{minute:02}"), ("cron", f"{minute} {hour} * * {listed}"), after)


@unhurried
@given(times, hours, minutes, st.sets(st.integers(1, 31), min_size=1, max_size=4))
def test_monthly_is_what_cron_says(after: datetime, hour: int, minute: int, days: set[int]) -> None:
    listed = ",".join(map(str, days))
    both(("monthly", f"{listed}@{hour:02}:{minute:02}"), ("cron", f"{minute} {hour} {listed} * *"), after)


@unhurried
@given(times, times, st.integers(1, 10**7))
def test_interval_is_the_first_multiple_after_now(start: datetime, after: datetime, seconds: int) -> None:
    found = parse(schedules.next_run("interval", str(seconds), after=written(after), start_at=written(start)) or "")
    assert found is not None
    assert found > after
    assert found >= start
    assert (found - start) % timedelta(seconds=seconds) == timedelta(0)
    assert found - timedelta(seconds=seconds) <= max(after, start)


@unhurried
@given(st.sampled_from([*GOOD]), st.text() | st.text("0123456789*/,-@:LW#monTZ \t"))
def test_no_expression_breaks_the_reader(kind: ScheduleType, expression: str) -> None:
    if schedules.fault_of_expression(kind, expression) is None:
        found = schedules.next_run(kind, expression, after="2026-01-01T00:00:00Z")
        assert found is None or found > "2026-01-01T00:00:00Z"


# --- tasks ----------------------------------------------------------------------------------------

INTERVAL = {"schedule_type": "interval", "schedule_expression": "3600", "schedule_enabled": True}
T0, T1, T2, T3 = (f"2026-01-01T0{hour}:00:00.000000Z" for hour in range(4))


def test_disabled_incomplete_or_faulty_schedule_has_no_next_time() -> None:
    for changed in (
        {},
        {**INTERVAL, "schedule_enabled": False},
        {**INTERVAL, "schedule_type": None},
        {**INTERVAL, "schedule_expression": None},
        {**INTERVAL, "schedule_expression": "abc"},
    ):
        assert schedules.next_run_of(task(**changed), after=T0) is None


def test_trigger_counts_and_plans_the_next_one() -> None:
    planned = task(**INTERVAL, next_run_at=T1, max_runs=2)
    late = "2026-01-01T01:00:07.000000Z"
    once = schedules.triggered(planned, now=late)
    assert once == task(**INTERVAL, next_run_at=T2, last_run_at=late, max_runs=2, run_count=1, updated_at=late)
    twice = schedules.triggered(once, now=T2)
    assert (twice.run_count, twice.last_run_at, twice.next_run_at) == (2, T2, None)
    assert faults_of_task(twice) == []


def test_end_of_the_schedule_leaves_no_next_time() -> None:  # A47
    last = schedules.triggered(task(**INTERVAL, next_run_at=T1, schedule_end_at=T1), now=T1)
    assert last.next_run_at is None


def test_schedule_of_a_root_covers_the_whole_flow_and_of_a_child_what_it_needs() -> None:
    flow = {
        A: task(),
        B: task(B, parent_id=A, dependencies=needs(C)),
        C: task(C, parent_id=A, dependencies=needs(D)),
        D: task(D, parent_id=A),
        E: task(E, parent_id=B, dependencies=needs(B)),
    }
    assert schedules.scope(flow[A], flow) == [A, B, C, D, E]
    assert schedules.scope(flow[B], flow) == [B, C, D]
    assert schedules.scope(flow[D], flow) == [D]
