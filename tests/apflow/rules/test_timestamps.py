"""Timestamps as text."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rule_cases import unhurried

from protogen_runtime.apflow.rules import timestamps

MORNING = datetime(2025, 1, 20, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-20T09:00:00Z",
        "2025-01-20T09:00:00.000Z",
        "2025-01-20T09:00:00.000000000Z",
        "2025-01-20T09:00:00+00:00",
        "2025-01-20T10:00:00+01:00",
        "2025-01-20T03:30:00-05:30",
        "2025-01-20t09:00:00z",
        "2025-01-20 09:00:00Z",
        "2025-01-20T09:00Z",
        "20250120T090000Z",
        "2025-W04-1T09:00:00Z",
    ],
)
def test_iso_8601_with_a_zone_is_read_and_kept_as_rfc_3339(text: str) -> None:  # A38
    assert timestamps.parse(text) == MORNING
    assert timestamps.parse(timestamps.kept(text)) == MORNING
    assert timestamps.kept(timestamps.kept(text)) == timestamps.kept(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "now", "2025", "2025-01-20", "09:00", "1737363600", "2025-13-01T00:00:00Z"),
        *("2025-02-30T00:00:00Z", "2025-01-20T25:00:00Z", "2025-01-20x09:00:00Z", "2025-01-20T09:00:00 UTC"),
        *("2025-01-20T09:00:00", "0001-01-01T00:00:00+05:00", "\uff12025-01-20T09:00:00Z"),
        *(" 2025-01-20T09:00:00Z", "2025-01-20T09:00:00Z\n", "2025-01-20T09:00:00." + "0" * 99 + "Z"),
    ],
)
def test_other_text_is_no_timestamp(text: str) -> None:  # A38
    assert timestamps.parse(text) is None
    assert timestamps.kept(text) == text


def test_what_is_rfc_3339_is_kept_to_the_letter() -> None:
    for text in ("2025-01-20T10:00:00.5+01:00", "2025-01-20T09:00:00Z"):
        assert timestamps.kept(text) == text


def test_zone_can_be_assumed() -> None:
    assert timestamps.parse("2025-01-20T09:00:00", assume_utc=True) == MORNING
    assert timestamps.parse("2025-01-20", assume_utc=True) is None


def test_times_are_written_in_utc_with_microseconds() -> None:
    local = MORNING.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert timestamps.written(local) == "2025-01-20T09:00:00.000000Z"


@unhurried
@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_written_times_are_read_back_and_sort_as_times_do(one: datetime, other: datetime) -> None:
    texts = timestamps.written(one), timestamps.written(other)
    assert timestamps.parse(texts[0]) == one
    assert timestamps.kept(texts[0]) == texts[0]
    assert (texts[0] < texts[1]) == (one < other)


def test_time_never_goes_back() -> None:
    early, late = timestamps.written(MORNING), timestamps.written(MORNING + timedelta(seconds=1))
    assert timestamps.later(early, late) == late
    assert timestamps.later(late, early) == late


def test_no_rule_asks_what_time_it_is(root: Path) -> None:
    clocks = {"now", "utcnow", "today", "fromtimestamp"}
    files = sorted((root / "runtime/protogen_runtime/apflow/rules").glob("*.py"))
    assert root / "runtime/protogen_runtime/apflow/rules/timestamps.py" in files
    asked = [
        f"{file.name}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in clocks
    ]
    assert asked == []
