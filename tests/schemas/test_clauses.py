"""Clauses files, from which the compliance kit takes its registry."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

LEVELS = ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY")


# Names that a clause tells a tester to send because no peer knows them.
MADE_UP = {"stepflow/0.9": {"components/nope", "blobs/nope"}, "apflow/1.0": {"tasks.nope"}}


def clauses(path: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["clauses"]
    return listed


def clauses_of(protocol: str, protocols: dict[str, Any]) -> list[dict[str, Any]]:
    return clauses(protocols["echo"].path.parents[1] / protocol.partition("/")[0] / "clauses.json")


def test_file_is_written_in_its_format(clauses_path: Path, meta: Any) -> None:
    assert meta(json.loads(clauses_path.read_text("utf-8")), "Clauses") == []


def test_ids_are_unique_and_numbered_without_gaps(clauses_path: Path) -> None:
    numbers: dict[str, list[int]] = {}
    for clause in clauses(clauses_path):
        area, _, number = clause["id"].rpartition("-")
        numbers.setdefault(area, []).append(int(number))
    assert [area for area, found in numbers.items() if found != list(range(1, len(found) + 1))] == []


# How many clauses of each level there are: a clause that vanishes or changes its level is a decision, not an accident.
COUNTS = {
    "jsonrpc": (39, 9, 9, 3, 12),
    "stepflow": (153, 9, 54, 3, 7),
    "apflow": (178, 7, 61, 0, 24),
    "a2a": (22, 0, 1, 0, 0),
}


@pytest.mark.parametrize("protocol", COUNTS)
def test_no_clause_is_lost(protocol: str, protocols: dict[str, Any]) -> None:
    counted = Counter(
        clause["level"] for clause in clauses(protocols["echo"].path.parents[1] / protocol / "clauses.json")
    )
    assert tuple(counted[level] for level in LEVELS) == COUNTS[protocol]


def test_clause_that_cannot_be_observed_is_no_promise_to_test(clauses_path: Path) -> None:
    """What is marked observable says what to do; `none` stands only where nothing can be seen."""
    assert [c["id"] for c in clauses(clauses_path) if c["test"] == "none" and c["observable"] != "not-observable"] == []


def test_stepflow_clauses_bind_its_roles(protocols: dict[str, Any]) -> None:
    roles = {clause["role"] for clause in clauses_of("stepflow/0.9", protocols)}
    assert roles == {*protocols["stepflow/0.9"].document["x-roles"], "both"}


@pytest.mark.parametrize("protocol", ["stepflow/0.9", "apflow/1.0"])
def test_methods_that_clauses_name_exist(protocol: str, protocols: dict[str, Any]) -> None:
    methods = set(protocols[protocol].document["x-methods"])
    texts = [clause["paraphrase"] + " " + clause["test"] for clause in clauses_of(protocol, protocols)]
    named = set(re.findall(r"\b(?:components|blobs|runs)/[a-z_]+|\btasks\.[a-z]+", " ".join(texts)))
    assert named - methods == MADE_UP[protocol]


def test_ambiguities_are_explained(protocols: dict[str, Any], root: Path) -> None:
    page = (root / "docs/decisions/0003-schema-readings.md").read_text("utf-8")
    used = {name for clause in clauses_of("apflow/1.0", protocols) for name in clause.get("ambiguities", ())}
    assert used <= set(re.findall(r"^\| (A\d+) \|", page, re.MULTILINE))
