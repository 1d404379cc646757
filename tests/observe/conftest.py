"""What the tests of observation share: links of a made-up transport, a clock, the echo service, the lines of a log."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from protogen_runtime.observe import Log

# pytest's importlib mode puts no folder of tests on sys.path.
sys.path.insert(0, str(Path(__file__).resolve().parent))


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


@pytest.fixture
def link() -> type[Link]:
    return Link


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def log(sink: Sink) -> Log:
    """A log that is not started: close it or use it as a context manager to see its lines."""
    return Log(sink)
