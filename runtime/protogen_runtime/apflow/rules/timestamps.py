"""Timestamps: RFC 3339 text and the time that it says.

The one module of the rules that computes with dates; it never asks what time it is.

Clauses: AF-DATA-023, AF-DATA-024, AF-DATA-031.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import UnsetType

__all__ = ["EXPECTED", "UTC", "datetime", "kept", "later", "parse", "timedelta", "written"]

EXPECTED: Final = "an ISO 8601 time with Z or an offset, such as 2025-01-20T09:00:00Z"
"""What a timestamp looks like, for messages (01-overview.md, ISO 8601; A38)."""

_MAX_LENGTH: Final = 64
"""Characters of the longest text that is read: nanoseconds, an offset with seconds, and room to spare."""

_DATE_AND_TIME: Final = re.compile(r"[0-9Ww-]+[Tt ][0-9:.,]+(?:[Zz]|[+-][0-9:.]+)?")
_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def parse(text: str, *, assume_utc: bool = False) -> datetime | None:
    """The time that an ISO 8601 text with `Z` or an offset says, in UTC; None where it is no such text.

    With `assume_utc` a text without either is in UTC. Digits beyond microseconds are cut off.
    """
    # datetime takes any character between date and time, and a date alone.
    if len(text) > _MAX_LENGTH or not _DATE_AND_TIME.fullmatch(text):
        return None
    try:
        time = datetime.fromisoformat(text.upper())
        if time.tzinfo is None:
            return time.replace(tzinfo=UTC) if assume_utc else None
        return time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def written(time: datetime) -> str:
    """A time as RFC 3339 text in UTC with microseconds and `Z`, so that texts sort as their times do."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def kept(text: str) -> str:
    """A valid timestamp as it is stored: the text itself where it is RFC 3339, else the same time as such text.

    ISO 8601 knows forms that readers of RFC 3339 refuse, such as 20250120T090000Z.
    """
    if _RFC3339.fullmatch(text):
        return text
    time = parse(text)
    return text if time is None else written(time)


def later(last: str | UnsetType, now: str) -> str:
    """`now`, or the time of the last change where the clock has gone back since.

    Both as `written` gives them. So a task is never completed before it was started (04-execution-lifecycle.md, State
    Consistency), whatever becomes of the clock.
    """
    return last if isinstance(last, str) and now < last else now
