"""Task nodes under the fuzzer: ours and the reference give no finding, most nodes with one defect do.

A defect is named after the clause that it breaks; tests/compliance/reference_node.py says what it does.
"""

from __future__ import annotations

import ast
import datetime as dt
import json
import random
import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from protogen_compliance.fuzz.engine import Run, Settings, run

NAME = re.compile(r"AF-[A-Z0-9]+-\d{3}(?::[a-z]+)?")
OUT_OF_REACH = {
    "AF-A2A-002": "the agent card is no JSON-RPC",
    "AF-A2A-003": "messages of A2A are another protocol on the same address",
    "AF-A2A-004": "messages of A2A are another protocol on the same address",
    "AF-PUSH-001": "the node calls somebody else",
    "AF-PUSH-002": "the node calls somebody else",
    "AF-STORE-014": "the node has to be restarted",
    "AF-TRANS-002": "HTTP/1.0 is allowed, and only worse",
}
"""Defects that no JSON-RPC request over HTTP shows in its answer."""
TOKENS = {"a": "alice", "b": "bob"}
WITH_TOKENS = ("AF-ERR-012", "AF-AUTH-002")
QUICKLY_FOUND = (
    *("AF-RPC-006", "AF-DATA-010", "AF-CANCEL-007", "AF-LIST-001", "AF-CHILD-001", "AF-CREATE-005", "AF-STATE-002"),
    *("AF-DATA-029", "AF-TREEQ-001", "AF-UPDATE-001", "AF-STORE-006", "AF-DEP-009", "AF-ERR-009", "AF-EXEC-007"),
)
"""Found within a round or two; in each run one of them is tried, which changes from day to day."""
SHARE = 2 / 3
PARTS = 8
"""Tests that the defects are spread over: one test may take ten minutes."""


def defects(root: Path) -> list[str]:
    """All defects that the reference node knows."""
    source = (root / "tests" / "compliance" / "reference_node.py").read_text("utf-8")
    strings = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return sorted({text for text in strings if isinstance(text, str) and NAME.fullmatch(text)})


def fuzzed(reference: ModuleType, apflow: Any, *broken: str, seconds: float, **more: Any) -> Run:
    """Fuzzes a reference node."""
    auth = broken and broken[0] in WITH_TOKENS
    if auth:
        more |= {"headers": {"authorization": "Bearer a"}, "other_headers": {"authorization": "Bearer b"}}
    with reference.ReferenceNode(*broken, tokens=TOKENS if auth else None) as node:
        return run(Settings(url=node.url, protocol="apflow", seconds=seconds, **more), apflow)


@pytest.fixture
def ours() -> Generator[str]:
    """The address of our node."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "protogen",
        "serve",
        "apflow",
        "--db",
        "memory:",
        "--port",
        "0",
        "--announce",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{json.loads(server.stdout.readline())['port']}/"
        server.terminate()


def told(done: Run) -> list[str]:
    return [f"{it.level} {it.title}: {it.text}" for it in done.findings]


@pytest.mark.parametrize("defect", random.Random(dt.date.today().toordinal()).sample(QUICKLY_FOUND, 1))
def test_defect_of_the_day_is_found(reference: ModuleType, apflow: Any, defect: str) -> None:
    assert told(fuzzed(reference, apflow, defect, seconds=60, rounds=2))


def test_our_node_gives_no_finding(apflow: Any, ours: str) -> None:
    seed = dt.date.today().toordinal()
    done = run(Settings(url=ours, protocol="apflow", seconds=6, rounds=1, seed=seed), apflow)
    assert told(done) == []
    assert done.requests >= 100


def test_reasons_name_defects_that_there_are(root: Path) -> None:
    assert OUT_OF_REACH.keys() | set(QUICKLY_FOUND) | set(WITH_TOKENS) <= set(defects(root))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
def test_minute_on_our_node_gives_no_finding(apflow: Any, ours: str, seed: int) -> None:
    done = run(Settings(url=ours, protocol="apflow", seconds=60, seed=seed, workers=2, go_on=True), apflow)
    assert told(done) == []
    assert done.documented_met >= 40


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
def test_reference_node_gives_no_finding(reference: ModuleType, apflow: Any, seed: int) -> None:
    assert told(fuzzed(reference, apflow, seconds=60, seed=seed, go_on=True)) == []


@pytest.mark.soak
def test_reference_node_with_users_gives_no_finding(reference: ModuleType, apflow: Any) -> None:
    more: dict[str, Any] = {"headers": {"authorization": "Bearer a"}, "other_headers": {"authorization": "Bearer b"}}
    with reference.ReferenceNode(tokens=TOKENS) as node:
        done = run(Settings(url=node.url, protocol="apflow", seconds=60, go_on=True, **more), apflow)
    assert told(done) == []


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
def test_two_thirds_of_the_defects_are_found(reference: ModuleType, apflow: Any, root: Path, part: int) -> None:
    reachable = [defect for defect in defects(root) if defect not in OUT_OF_REACH][part::PARTS]
    missed = [it for it in reachable if not fuzzed(reference, apflow, it, seconds=30, workers=2).findings]
    print(f"{len(reachable) - len(missed)} of {len(reachable)} defects found; missed: {', '.join(missed)}")
    assert len(missed) <= (1 - SHARE) * len(reachable), missed
