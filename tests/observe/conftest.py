"""What the tests of observation share: a clock, a sink, a log. Their classes are in `observe_doubles`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from protogen_runtime.observe import Log

# pytest's importlib mode puts no folder of tests on sys.path.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from observe_doubles import Clock, Sink


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
