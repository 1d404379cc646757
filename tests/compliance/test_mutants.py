"""The kit is proved by mutants: each reference program with one defect, and the clause it breaks is the one finding.

All of them are judged in soak, by whole suites. In every run it is a third, which changes with the seed (the day, or
PROTOGEN_MUTANT_SEED), and only the tests of the broken clause and those that build on it where a suite takes seconds.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from protogen_compliance.suite import find

HERE = Path(__file__).resolve().parent


def _mutants() -> ModuleType:
    """tests/compliance/mutants.py as a module: the parameters of the tests are made from it."""
    name = "protogen_tests_mutants"
    spec = importlib.util.spec_from_file_location(name, HERE / "mutants.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


mutants = _mutants()
EXCEPTIONS = {"node": 14, "worker": 1, "runtime": 0, "endpoint": 1, "client": 1, "agent": 0, "document": 0}
"""Kind to how many MUSTs no defect breaks alone, so that nobody adds one unnoticed."""


@pytest.fixture(scope="module")
def judges(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Processes that judge; what the chosen tests ask for is begun at once, and one more than cores, as many wait."""
    made = mutants.Judges((os.cpu_count() or 1) + 1)
    for item in request.session.items:
        call = getattr(item, "callspec", None)
        if item.path == request.path and call is not None and "kind" in call.params:
            whole = item.originalname != test_mutant_of_the_day_is_killed_by_its_clause.__name__
            made.ask(call.params["kind"], *filter(None, [call.params.get("defect")]), whole=whole)
    yield made
    made.close()


def one_finding(judges: Any, kind: str, defect: str, *, whole: bool) -> None:
    judged = judges.ask(kind, defect, whole=whole).result()
    assert judged.found.keys() == {mutants.clause_of(defect)}, (judged.found, judged.blocked)
    for clause, (by, why) in mutants.KINDS[kind].exceptions.items():
        if by == defect:
            assert clause in judged.blocked, f"{clause} is {judged.others.get(clause)}, although {why}"


@pytest.mark.parametrize(("kind", "defect"), mutants.chosen())
def test_mutant_of_the_day_is_killed_by_its_clause(judges: Any, kind: str, defect: str) -> None:
    one_finding(judges, kind, defect, whole=False)


@pytest.mark.soak
@pytest.mark.parametrize(("kind", "defect"), mutants.all_mutants())
def test_mutant_is_killed_by_its_clause(judges: Any, kind: str, defect: str) -> None:
    one_finding(judges, kind, defect, whole=True)


@pytest.mark.parametrize(("kind", "defect"), mutants.controls())
def test_program_without_a_defect_has_no_finding(judges: Any, kind: str, defect: str) -> None:
    judged = judges.ask(kind, *filter(None, [defect])).result()
    assert (judged.found, judged.blocked) == ({}, {})


@pytest.mark.parametrize("kind", list(mutants.KINDS))
def test_every_must_has_a_mutant(kind: str) -> None:
    it = mutants.KINDS[kind]
    clauses = find(it.protocol, it.role).clauses()
    judged = {name for name, clause in clauses.items() if not clause.exclusion}
    broken = {mutants.clause_of(defect) for defect in mutants.defects(kind)}
    assert broken <= judged
    assert not broken & it.exceptions.keys(), "what a defect breaks is no exception"
    assert {by for by, _ in it.exceptions.values()} <= set(mutants.defects(kind))
    musts = {name for name in judged if clauses[name].must}
    assert it.exceptions.keys() <= musts
    assert musts - broken - it.exceptions.keys() == set()
    assert len(it.exceptions) == EXCEPTIONS[kind]


def test_seeds_in_a_row_choose_every_mutant_that_is_not_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for number in range(mutants.PARTS):
        monkeypatch.setenv(mutants.SEED, str(700_000 + number))
        found += mutants.chosen()
    slow = [it for it in mutants.all_mutants() if mutants.clause_of(it[1]) in mutants.KINDS[it[0]].slow]
    assert sorted([*found, *slow]) == sorted(mutants.all_mutants())
    assert {clause for kind in mutants.KINDS.values() for clause in kind.slow} == {"SF-HTTP-021", "SF-SSE-024"}
