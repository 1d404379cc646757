"""The registry and the suites agree: every clause that can be observed has a test, and every test a clause."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from protogen_compliance.registry import UnknownProtocol, clauses, suite_folder

PROTOCOLS = ("apflow",)

COLLECT = """
import os, sys, pytest
from protogen_compliance import plugin

class Names:
    def pytest_collection_finish(self, session):
        for item in session.items:
            marks = (" ".join(plugin.marked(item, name)) for name in ("clause", "needs", "sums"))
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


@pytest.fixture(scope="module", params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def suite(protocol: str) -> list[Collected]:
    """The tests of a suite, collected in a process of their own."""
    command = [sys.executable, "-P", "-c", COLLECT, str(suite_folder(protocol))]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
    return [Collected(test, *(tuple(part.split()) for part in parts)) for test, *parts in rows]


def test_every_clause_that_can_be_observed_has_a_test(protocol: str, suite: list[Collected]) -> None:
    tested = {name for test in suite for name in test.clauses}
    observable = {clause.id for clause in clauses(protocol).values() if clause.can_be_observed}
    assert observable - tested == set()


def test_no_test_claims_what_cannot_be_observed(protocol: str, suite: list[Collected]) -> None:
    tested = {name for test in suite for name in test.clauses}
    assert tested - {clause.id for clause in clauses(protocol).values() if clause.can_be_observed} == set()


def test_every_test_has_a_clause(suite: list[Collected]) -> None:
    assert suite
    assert [test.test for test in suite if not test.clauses] == []


def test_every_name_is_a_clause(protocol: str, suite: list[Collected]) -> None:
    known = clauses(protocol).keys()
    unknown = {name for test in suite for name in (*test.clauses, *test.needs) if name not in known}
    assert unknown == set()
    useless = {start for test in suite for start in test.sums if not any(name.startswith(start) for name in known)}
    assert useless == set()


def test_a_test_that_fails_for_several_clauses_fails_the_binding_one(protocol: str, suite: list[Collected]) -> None:
    known = clauses(protocol)
    hidden = [
        test.test
        for test in suite
        if not known[test.clauses[0]].must and any(known[name].must for name in test.clauses[1:])
    ]
    assert hidden == []


def test_no_test_needs_its_own_clause(suite: list[Collected]) -> None:
    assert [test.test for test in suite if set(test.needs) & set(test.clauses)] == []


def test_counts_of_the_clauses(protocol: str) -> None:
    known = clauses(protocol).values()
    binding = [clause for clause in known if clause.must and clause.can_be_observed]
    assert len(binding) == {"apflow": 177}[protocol]


@pytest.mark.parametrize("find", [clauses, suite_folder])
def test_unknown_protocol_is_named(find: object) -> None:
    assert callable(find)
    with pytest.raises(UnknownProtocol, match="nothing-such"):
        find("nothing-such")


def test_asserts_of_suites_speak(root: Path) -> None:
    """A failed test is read by somebody who has neither its source nor pytest: each assert has a message."""
    silent = [
        f"{file.name}:{node.lineno}"
        for file in (root / "compliance" / "protogen_compliance" / "suites").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Assert) and node.msg is None
    ]
    assert silent == []
