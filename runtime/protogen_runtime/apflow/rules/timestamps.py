"""Timestamps: RFC 3339 text and what it says.

The one module of the rules that computes with dates; it never asks for the time.
"""

from __future__ import annotations

from datetime import datetime


def parse(text: str) -> datetime | None:
    """The time that an ISO 8601 text with `Z` or an offset says, in UTC; None where it is no such text."""
    raise NotImplementedError


def written(time: datetime) -> str:
    """A time as RFC 3339 text in UTC with microseconds and `Z`."""
    raise NotImplementedError
