"""Fixtures of the suite: the endpoint, and a method of it that succeeds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from protogen_compliance.peer.link import HttpLink, Seen, StdioLink
from protogen_compliance.plugin import SHAPES, Lacking, Record, Settings
from protogen_compliance.suites.jsonrpc.server.endpoint import Endpoint, Known, open_link, wanted


def pytest_configure(config: pytest.Config) -> None:
    """Says which clauses are broken where an answer has no shape to rely on."""
    config.stash[SHAPES] = ("JR-RESP-002", "JR-RESP-006")


@pytest.fixture(scope="session")
def seen() -> Seen:
    """All messages of this run."""
    return Seen()


@pytest.fixture(scope="session")
def link(settings: Settings, seen: Seen) -> Iterator[HttpLink | StdioLink]:
    """The one link of this run."""
    made = open_link(settings, seen)
    yield made
    made.close()


@pytest.fixture
def endpoint(link: HttpLink | StdioLink, seen: Seen, record: Record) -> Endpoint:
    """The endpoint under test."""
    link.log = record.exchanges
    return Endpoint(link, seen)


@pytest.fixture
def known(settings: Settings) -> Known:
    """A method that succeeds."""
    found = wanted(settings)
    if not found:
        raise Lacking("a method that succeeds is needed: --method NAME, or --method NAME=PARAMS")
    first = found[0]
    return first._replace(required=tuple(settings.options.get(f"required:{first.method}", "").split()))


@pytest.fixture
def known_or_none(settings: Settings) -> Known | None:
    """A method that succeeds, where one is known."""
    found = wanted(settings)
    return found[0] if found else None


@pytest.fixture
def fails(settings: Settings) -> str:
    """The method that fails, with its params after a sign of equality."""
    if "fail" not in settings.executors:
        pytest.skip("no method that fails was named; --executor fail=NAME or fail=NAME=PARAMS names one")
    return settings.executors["fail"]
