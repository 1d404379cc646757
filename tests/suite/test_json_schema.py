"""How much of the JSON Schema Test Suite the boundary validators of each language pass: docs/reference/features.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from json_schema_suite import DRAFTS, failed

ROOT = Path(__file__).resolve().parents[2]
FEATURES = ROOT / "docs" / "reference" / "features.md"
TARGETS = ("python", "typescript", "go")
ALWAYS = ("draft-07", "2020-12")
"""Drafts whose rates `make test` measures in Python; the rest is in `make soak`."""

LEAST = 0.95


def told() -> dict[tuple[str, str], str]:
    """The page's table: of each draft and language what it passes of how many."""
    section = FEATURES.read_text("utf-8").partition("## The JSON Schema Test Suite")[2]
    lines = section.partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    return {(row[0], target): cell for row in rows[1:] for target, cell in zip(TARGETS, row[1:], strict=True)}


def holds(draft: str, target: str, scratch: Path) -> None:
    wrong, total = failed(draft, target, scratch)
    listed = sorted(f"{case.group.file}: {case.group.description}: {case.test['description']}" for case in wrong)
    passed = total - len(wrong)
    assert passed >= LEAST * total, listed
    shown = re.match(r"(\d+) of (\d+)", told()[draft, target])
    assert shown is not None
    assert (int(shown[1]), int(shown[2])) == (passed, total), listed


@pytest.mark.parametrize("draft", ALWAYS)
def test_python_passes_what_the_page_says(draft: str, tmp_path: Path) -> None:
    holds(draft, "python", tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("draft", DRAFTS)
def test_each_language_passes_what_the_page_says(draft: str, target: str, tmp_path: Path) -> None:
    holds(draft, target, tmp_path)
