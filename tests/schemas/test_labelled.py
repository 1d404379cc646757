"""A hand-written twin of test_reference.py: labelled values that published schemas and the protocols' texts decide.

Lines of labelled/<protocol>.jsonl; `reads` marks those where our reading parts from the published schema.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from differences import DIFFERENCES

FOLDER = Path(__file__).resolve().parent / "labelled"
FILES = {"stepflow/0.9": FOLDER / "stepflow.jsonl", "apflow/1.0": FOLDER / "apflow.jsonl"}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("protocol", FILES)
def test_value_is_judged_as_it_is_labelled(protocol: str, protocols: dict[str, Any]) -> None:
    described = protocols[protocol]
    wrong = [
        line for line in lines(FILES[protocol]) if described.accepts(line["type"], line["value"]) is not line["valid"]
    ]
    assert wrong == []


@pytest.mark.parametrize("protocol", FILES)
def test_both_labels_are_there(protocol: str) -> None:
    labels = [line["valid"] for line in lines(FILES[protocol])]
    assert min(labels.count(True), labels.count(False)) >= 20


def test_every_difference_from_the_published_schemas_has_a_line() -> None:
    named = {line["reads"] for line in lines(FILES["stepflow/0.9"]) if "reads" in line}
    assert named == {difference.place for difference in DIFFERENCES}
