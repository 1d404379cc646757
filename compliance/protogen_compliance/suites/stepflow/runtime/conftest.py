"""Fixtures of the suite: the stage and the runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from protogen_compliance.plugin import SHAPES, Record, Settings, marked
from protogen_compliance.registry import Clause, clauses
from protogen_compliance.suites.stepflow.runtime.stage import Runtime, Stage, current


def pytest_configure(config: pytest.Config) -> None:
    """Says which clauses are broken where an answer has no shape to rely on."""
    config.stash[SHAPES] = ("SF-MSG-001",)


@pytest.fixture(scope="session")
def stage() -> Stage:
    """The kit's worker."""
    return current()


@pytest.fixture(scope="session")
def known() -> Mapping[str, Clause]:
    """The clauses by their ids."""
    return clauses("stepflow")


@pytest.fixture(autouse=True)
def dialect(request: pytest.FixtureRequest, stage: Stage, known: Mapping[str, Clause]) -> str:
    """What the runtime speaks; a test of clauses that its dialect does not have is skipped."""
    bound = [known[name].dialects for name in marked(request.node, "clause")]
    if stage.dialect == "S2" and not any("S2" in it or not it for it in bound):
        pytest.skip(f"dialect {', '.join(bound[0])} alone has it; the runtime speaks {stage.dialect}")
    return stage.dialect


@pytest.fixture
def runtime(settings: Settings, stage: Stage, record: Record) -> Iterator[Runtime]:
    """The runtime under test."""
    made = Runtime(settings, stage)
    made.log = record.exchanges
    yield made
    made.peer.close()
