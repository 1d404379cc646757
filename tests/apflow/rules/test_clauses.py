"""The clauses that modules say they serve exist."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

NAMED = re.compile(r"(AF-[A-Z0-9]+-)(\d{3})(?: to\s+-(\d{3}))?")


def clauses_of(text: str) -> Iterator[str]:
    """The clauses that a text names; a range names all in it."""
    for family, first, last in NAMED.findall(text):
        yield from (f"{family}{number:03}" for number in range(int(first), int(last or first) + 1))


def test_range_of_clauses_names_all_of_them() -> None:
    text = "AF-DEP-001, AF-A2A-009 to\n-011."
    assert list(clauses_of(text)) == ["AF-DEP-001", "AF-A2A-009", "AF-A2A-010", "AF-A2A-011"]


def test_every_module_names_clauses_that_there_are(root: Path) -> None:
    known = {
        clause["id"] for clause in json.loads((root / "schemas/apflow/clauses.json").read_text("utf-8"))["clauses"]
    }
    modules = sorted((root / "runtime/protogen_runtime/apflow/rules").glob("[!_]*.py"))
    named = {
        file.stem: set(clauses_of(ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "")) for file in modules
    }
    assert {stem for stem, clauses in named.items() if not clauses} == set()
    assert set().union(*named.values()) <= known
