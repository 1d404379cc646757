"""Fixtures of the suite: the stage and the runtime."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from protogen_compliance.plugin import SHAPES, Record, Settings
from protogen_compliance.suites.stepflow.runtime.stage import Runtime, Stage, current


def pytest_configure(config: pytest.Config) -> None:
    """Says which clauses are broken where an answer has no shape to rely on."""
    config.stash[SHAPES] = ("SF-MSG-001",)


@pytest.fixture(scope="session")
def stage() -> Stage:
    """The kit's worker."""
    return current()


@pytest.fixture
def runtime(settings: Settings, stage: Stage, record: Record) -> Iterator[Runtime]:
    """The runtime under test."""
    made = Runtime(settings, stage)
    made.log = record.exchanges
    yield made
    made.peer.close()
