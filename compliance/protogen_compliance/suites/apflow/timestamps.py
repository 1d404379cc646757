"""Timestamps as nodes must emit them: RFC 3339 with a zone (reading A38)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from protogen_compliance.peer.rpc import Json

SHAPE = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)")


def instant(value: Json) -> datetime | None:
    """The moment that a timestamp names; None where it is none, or has no zone."""
    found = SHAPE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    offset = "+00:00" if zone in "Zz" else zone
    try:
        return datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{offset}")
    except ValueError:
        return None


def before(one: Json, other: Json) -> bool:
    """Whether both are timestamps and the first is not later."""
    first, second = instant(one), instant(other)
    return first is not None and second is not None and first <= second


def from_now(**delta: float) -> str:
    """A moment of the near past or future, as a client writes it."""
    return (datetime.now(UTC) + timedelta(**delta)).isoformat(timespec="seconds").replace("+00:00", "Z")
