"""The registry: the clauses of a protocol, which its `clauses.json` lists, and the marks that bind tests to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from protogen.load import load
from protogen.resources import data_root

Test = TypeVar("Test", bound=Callable[..., object])


class Clause(msgspec.Struct, frozen=True, kw_only=True):
    """One normative statement of a specification, paraphrased."""

    id: str
    level: str
    source: str
    paraphrase: str
    observable: str
    test: str
    ambiguities: list[str] = []
    role: str = ""
    profile: str = ""
    """What a target must have, or be asked for, so that the clause applies; empty for all."""
    dialects: list[str] = []
    excluded: str = ""
    """Why no suite judges it, although it could be observed; empty where one does."""

    @property
    def must(self) -> bool:
        """Whether an implementation that breaks it does not conform."""
        return self.level in ("MUST", "MUST NOT")

    @property
    def can_be_observed(self) -> bool:
        """Whether a peer can see if it is kept."""
        return self.observable != "not-observable"

    @property
    def exclusion(self) -> str:
        """Why it is not judged; empty where it is."""
        return self.excluded or ("" if self.can_be_observed else "cannot be observed from outside")


class UnknownProtocol(Exception):
    """There are no clauses, or no suite, under this name."""


def clauses(protocol: str) -> dict[str, Clause]:
    """The clauses of a protocol by id, in the order of its file; raises UnknownProtocol."""
    return read_clauses(data_root() / "schemas" / protocol / "clauses.json")


def read_clauses(path: Path) -> dict[str, Clause]:
    """The clauses of a file by id, in its order; raises UnknownProtocol."""
    document, problems = load(path, root=path.parent)
    if document is None or problems:
        raise UnknownProtocol(f"no clauses in {str(path)!r}: {'; '.join(problem.what for problem in problems)}")
    listed = msgspec.convert(document.tree["clauses"], list[Clause])
    return {clause.id: clause for clause in listed}


def clause(*ids: str) -> pytest.MarkDecorator:
    """Marks a test with the clauses that it proves; where they say the same, the first is the one that fails."""
    return pytest.mark.clause(*ids)


def needs(*ids: str) -> pytest.MarkDecorator:
    """Marks what a test builds on: where one of these clauses fails, a failure of the test is its consequence."""
    return pytest.mark.needs(*ids)


def sums(*prefixes: str) -> pytest.MarkDecorator:
    """Marks the test of a clause that restates others: it cannot pass while a clause with such a prefix fails."""
    return pytest.mark.sums(*prefixes)


def profile(name: str) -> pytest.MarkDecorator:
    """Marks a test that runs only where the profile is asked for."""
    return pytest.mark.profile(name)


def last(test: Test) -> Test:
    """Marks a test that looks at everything the run has seen."""
    marked: Test = pytest.mark.last(test)
    return marked
