"""Clause tests: which tests name which clause of JSON-RPC 2.0, read from the tests' own source.

A test names a clause in its decorators or docstring, or in a table of its module that one of these names.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

ID = re.compile(r"\bJR-[A-Z]+-\d{3}\b")


def tests_by_clause(root: Path) -> dict[str, list[tuple[str, str]]]:
    """Clause to (file, function) of the tests that name it, both in order."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for file in sorted((root / "tests").rglob("test_*.py")):
        text = file.read_text("utf-8")
        if ID.search(text) is None:
            continue
        for test, clauses in _tests(text):
            for clause in clauses:
                found[clause].append((file.relative_to(root).as_posix(), test))
    return dict(sorted(found.items()))


def _tests(text: str) -> list[tuple[str, list[str]]]:
    body = ast.parse(text).body
    tables = {name: ID.findall(ast.get_source_segment(text, node) or "") for node in body for name in _targets(node)}
    tests: list[tuple[str, list[str]]] = []
    for node in body:
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        head = [ast.get_source_segment(text, it) or "" for it in node.decorator_list]
        head.append(ast.get_docstring(node) or "")
        clauses = ID.findall(" ".join(head))
        clauses += [clause for name in re.findall(r"\w+", " ".join(head)) for clause in tables.get(name, ())]
        if clauses:
            tests.append((node.name, sorted(set(clauses))))
    return tests


def _targets(node: ast.stmt) -> list[str]:
    match node:
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []
