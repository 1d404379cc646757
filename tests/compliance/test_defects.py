"""The kit is proved by faulty nodes: each has one defect, and the clause that the defect breaks is its one finding.

A defect is named after its clause; reference_node.py says what it does. All of them are run in soak; a few, which
change from day to day, in every run.
"""

from __future__ import annotations

import ast
import datetime as dt
import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

NAME = re.compile(r"AF-[A-Z0-9]+-\d{3}(?::[a-z]+)?")
SOURCE = Path(__file__).with_name("reference_node.py").read_text("utf-8")
DEFECTS = sorted(
    {
        node.value
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value)
    }
)
WITH_TOKENS = ("AF-ERR-012", "AF-AUTH-002")
PROFILES = {"AF-STREAM": "streaming", "AF-PUSH": "streaming", "AF-TIME-004": "scheduling", "AF-STORE-014": "durability"}
"""Beginnings of the defects that only a profile shows."""

EACH_RUN = 2


def findings(judged: Callable[..., Any], defect: str) -> dict[str, list[str]]:
    """What the kit finds in a node with this defect, consequences left out."""
    profiles = tuple(name for start, name in PROFILES.items() if defect.startswith(start))
    done = judged(defect, auth=defect in WITH_TOKENS, profiles=profiles)
    assert done.run["verdicts"], done.said
    return {name: texts for name, texts in done.texts().items() if texts[0] != "BLOCKED"}


def broken_clause(defect: str) -> str:
    return defect.partition(":")[0]


def chosen(defects: Iterable[str]) -> list[str]:
    """The defects of the day."""
    return random.Random(dt.date.today().toordinal()).sample(sorted(defects), EACH_RUN)


@pytest.mark.parametrize("defect", chosen(DEFECTS))
def test_defect_of_the_day_is_the_one_finding(judged: Callable[..., Any], defect: str) -> None:
    assert findings(judged, defect).keys() == {broken_clause(defect)}


@pytest.mark.soak
@pytest.mark.parametrize("defect", DEFECTS)
def test_defect_is_the_one_finding(judged: Callable[..., Any], defect: str) -> None:
    found = findings(judged, defect)
    assert found.keys() == {broken_clause(defect)}, found


def test_a_third_of_the_clauses_has_a_defect() -> None:
    from protogen_compliance.registry import clauses

    observable = {clause.id for clause in clauses("apflow").values() if clause.can_be_observed}
    broken = {broken_clause(defect) for defect in DEFECTS}
    assert broken <= observable
    assert len(broken) >= len(observable) / 3
