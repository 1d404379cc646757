"""Guarded: the Snapshot or Transaction that a function is handed, over whatever answers and changes.

Every question and change is checked first, and nothing works any more once the function has returned. Knows neither how
things are kept nor when the transaction around it is committed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from .catalogue import Catalogue
from .errors import Misuse
from .interface import Snapshot, Transaction
from .model import Change, Query

R = TypeVar("R")


class Engine(Protocol):
    """What answers questions and makes changes that were checked before; a change that raises leaves nothing behind."""

    def read(self, query: Query[R]) -> R:
        """Answer a question."""
        ...

    def write(self, change: Change[R]) -> R:
        """Make a change. Errors: Conflict."""
        ...


class Reading:
    """A Snapshot on an engine; of no use after `end`."""

    def __init__(self, engine: Engine, catalogue: Catalogue) -> None:
        self._engine = engine
        self._catalogue = catalogue
        self._ended = False

    def read(self, query: Query[R]) -> R:
        """Answer a question."""
        self._check(query)
        return self._engine.read(query)

    def end(self) -> None:
        """The function has returned: whoever kept this gets Misuse from now on."""
        self._ended = True

    def _check(self, asked: Query[Any] | Change[Any]) -> None:
        if self._ended:
            raise Misuse("the transaction has ended; do not keep it beyond the function it was given to")
        self._catalogue.check(asked)


class Changing(Reading):
    """A Transaction on an engine; of no use after `end`."""

    def write(self, change: Change[R]) -> R:
        """Make a change."""
        self._check(change)
        return self._engine.write(change)


def look(work: Callable[[Snapshot], R], engine: Engine, catalogue: Catalogue) -> R:
    """Run a function with a Snapshot of an engine. What it raises comes out."""
    snapshot = Reading(engine, catalogue)
    try:
        return work(snapshot)
    finally:
        snapshot.end()


def run(work: Callable[[Transaction], R], engine: Engine, catalogue: Catalogue) -> R:
    """Run a function with a Transaction on an engine. What it raises comes out; undoing is the caller's."""
    transaction = Changing(engine, catalogue)
    try:
        return work(transaction)
    finally:
        transaction.end()
