"""Fixtures of the suite: the client, and all that it ever asked."""

from __future__ import annotations

import pytest

from protogen_compliance.peer.server import Asked, Script
from protogen_compliance.plugin import Record, Settings
from protogen_compliance.suites.jsonrpc.client.caller import Caller, Outcome


@pytest.fixture(scope="session")
def everything() -> list[Asked]:
    """All requests of this run."""
    return []


class Watched(Caller):
    """A client whose requests are kept."""

    def __init__(self, settings: Settings, everything: list[Asked]) -> None:
        super().__init__(settings.command, patience=settings.timeout)
        self._everything = everything

    def against(self, script: Script, *, patience: float | None = None) -> Outcome:
        """As Caller does."""
        outcome = super().against(script, patience=patience)
        self._everything += outcome.asked
        return outcome


@pytest.fixture
def client(settings: Settings, everything: list[Asked], record: Record) -> Watched:
    """The client under test."""
    made = Watched(settings, everything)
    made.log = record.exchanges
    return made
