"""Our own node under the kit: what it does not keep is listed with a reason, and the page of clauses says the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BINDING = ("MUST", "MUST NOT")


@pytest.fixture(scope="module")
def clauses(root: Path) -> ModuleType:
    """tools/clauses.py as a module."""
    spec = importlib.util.spec_from_file_location("protogen_tools_clauses", root / "tools" / "clauses.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def verdicts(clauses: ModuleType) -> list[dict[str, Any]]:
    """What the kit says of our node."""
    found: list[dict[str, Any]] = clauses.judged()
    return found


def test_our_node_keeps_every_must(clauses: ModuleType, verdicts: list[dict[str, Any]]) -> None:
    broken = {
        it["clause"]: [it["status"], *it["texts"]]
        for it in verdicts
        if it["level"] in BINDING and it["status"] in ("FAIL", "BLOCKED", "NOT_TESTED")
    }
    assert {name: told for name, told in broken.items() if name not in clauses.REASONS} == {}


def test_page_of_clauses_is_fresh(clauses: ModuleType, verdicts: list[dict[str, Any]]) -> None:
    assert clauses.PAGE.read_text("utf-8") == clauses.page(verdicts), "run .venv/bin/python tools/clauses.py"
