"""The registry and the suites agree: every clause that can be observed has a test, and every test a clause."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from protogen_compliance.registry import UnknownProtocol, clauses
from protogen_compliance.suite import Suite, find, suites

SUITES = {f"{it.protocol}-{it.role}": it for it in suites()}

COUNTS = {
    "a2a-agent": 22,
    "apflow-node": 177,
    "document-server": 12,
    "jsonrpc-client": 23,
    "jsonrpc-server": 37,
    "stepflow-runtime": 103,
    "stepflow-worker": 72,
}
"""Suite to how many MUSTs it judges."""

COLLECT = """
import os, sys, pytest
from protogen_compliance import plugin

class Names:
    def pytest_collection_finish(self, session):
        for item in session.items:
            marks = (" ".join(plugin.marked(item, name)) for name in ("clause", "needs", "sums", "profile"))
            print(item.nodeid, *marks, sep="\\t")

folder = sys.argv[1]
options = ["-c", os.devnull, "--rootdir", folder, "--confcutdir", folder, "--import-mode=importlib", "--collect-only"]
without = ["--disable-plugin-autoload", "-p", "no:cacheprovider", "-p", "no:terminal"]
sys.exit(pytest.main([*options, *without, folder], plugins=[plugin, Names()]))
"""


class Collected(NamedTuple):
    """A test of a suite and what it is marked with."""

    test: str
    clauses: tuple[str, ...]
    needs: tuple[str, ...]
    sums: tuple[str, ...]
    profiles: tuple[str, ...]

    @property
    def profile(self) -> str:
        return next(iter(self.profiles), "")


@pytest.fixture(scope="module", params=list(SUITES))
def suite(request: pytest.FixtureRequest) -> Suite:
    return SUITES[request.param]


@pytest.fixture(scope="module")
def tests(suite: Suite) -> list[Collected]:
    """The tests of a suite, collected in a process of their own."""
    command = [sys.executable, "-P", "-c", COLLECT, str(suite.folder)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
    return [Collected(test, *(tuple(part.split()) for part in parts)) for test, *parts in rows]


def test_every_clause_has_a_test_or_a_reason(suite: Suite, tests: list[Collected]) -> None:
    tested = {name for test in tests for name in test.clauses}
    judged = {clause.id for clause in suite.clauses().values() if not clause.exclusion}
    assert sorted(judged - tested) == []


def test_no_test_claims_what_is_excluded(suite: Suite, tests: list[Collected]) -> None:
    tested = {name for test in tests for name in test.clauses}
    assert tested & {clause.id for clause in suite.clauses().values() if clause.exclusion} == set()


def test_every_test_has_a_clause(suite: Suite, tests: list[Collected]) -> None:
    known = suite.clauses()
    assert tests
    assert [test.test for test in tests if not known.keys() & set(test.clauses)] == []


def test_every_name_is_a_clause(suite: Suite, tests: list[Collected]) -> None:
    known = suite.clauses()
    unknown = {name for test in tests for name in (*test.clauses, *test.needs) if name not in known}
    assert unknown == set()
    useless = {start for test in tests for start in test.sums if not any(name.startswith(start) for name in known)}
    assert useless == set()


def test_a_test_that_fails_for_several_clauses_fails_the_binding_one(suite: Suite, tests: list[Collected]) -> None:
    known = suite.clauses()
    hidden = [
        test.test
        for test in tests
        if not known[test.clauses[0]].must and any(known[name].must for name in test.clauses[1:])
    ]
    assert hidden == []


def test_no_test_needs_its_own_clause(tests: list[Collected]) -> None:
    assert [test.test for test in tests if set(test.needs) & set(test.clauses)] == []


def test_profiles_of_tests_are_those_of_their_clauses(suite: Suite, tests: list[Collected]) -> None:
    known = suite.clauses()
    assert {test.profile for test in tests if test.profile} <= suite.profiles.keys()
    assert {clause.profile for clause in known.values() if clause.profile} <= suite.profiles.keys()
    differ = [
        f"{test.test}: {test.profile or 'core'}, but {name} is {known[name].profile or 'core'}"
        for test in tests
        for name in test.clauses
        if known[name].profile not in ("", test.profile)
    ]
    assert differ == []


def test_deviations_of_dialects_are_clauses(suite: Suite) -> None:
    known = suite.clauses()
    assert {name for it in suite.dialects.values() for name in it.deviations if name not in known} == set()


def test_counts_of_the_clauses() -> None:
    """A clause that is lost, or excluded, is seen here: the denominator of the report does not shrink unnoticed."""
    counts = {
        name: sum(clause.must and not clause.exclusion for clause in it.clauses().values())
        for name, it in SUITES.items()
    }
    assert counts == COUNTS


@pytest.mark.parametrize("look", [clauses, find])
def test_unknown_protocol_is_named(look: Callable[[str], object]) -> None:
    with pytest.raises(UnknownProtocol, match="nothing-such"):
        look("nothing-such")


def test_asserts_of_suites_speak(root: Path) -> None:
    """A failed test is read by somebody who has neither its source nor pytest: each assert has a message."""
    silent = [
        f"{file.name}:{node.lineno}"
        for file in (root / "compliance" / "protogen_compliance" / "suites").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Assert) and node.msg is None
    ]
    assert silent == []
