"""Fixtures of the suite: the agent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from protogen_compliance.peer.http import parse_url
from protogen_compliance.plugin import SHAPES, Lacking, Record, Settings
from protogen_compliance.suites.a2a.agent import Agent

DEFAULT_SKILLS = {"slow": "sleep"}


def pytest_configure(config: pytest.Config) -> None:
    """Says which clauses are broken where an answer has no shape to rely on."""
    config.stash[SHAPES] = ("AA-SEND-001",)


@pytest.fixture
def agent(settings: Settings, record: Record) -> Iterator[Agent]:
    """The agent under test."""
    skills = {**DEFAULT_SKILLS, **settings.executors}
    made = Agent(parse_url(settings.url), settings.headers, skills, patience=settings.timeout)
    made.log = record.exchanges
    yield made
    made.peer.close()


@pytest.fixture
def stranger(settings: Settings) -> Iterator[Agent]:
    """The agent as a second user meets it."""
    if not settings.other_headers:
        raise Lacking("a second identity is needed: --other-header 'Authorization: Bearer …'")
    headers = {**settings.headers, **settings.other_headers}
    made = Agent(parse_url(settings.url), headers, {}, patience=settings.timeout)
    yield made
    made.peer.close()
