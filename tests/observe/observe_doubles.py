"""A made-up transport, a clock and a sink, for tests of observation."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any


class Link:
    """What a transport gives to a call."""

    def __init__(
        self, headers: Mapping[str, str] | None = None, *, identity: str | None = None, deadline: float | None = None
    ) -> None:
        self.headers = headers or {}
        self.identity = identity
        self.deadline = deadline
        self.channel: Any = None
        self.emit: Any = None
        self.has_answered = False


class Clock:
    """Shows what it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Sink(io.BytesIO):
    """Keeps what was written to a log."""

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]
