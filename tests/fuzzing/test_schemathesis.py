"""What the fuzzer uses of schemathesis, held still: a new version that does otherwise fails here first."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis

from protogen_compliance.fuzz.description import Description, describe
from protogen_compliance.fuzz.schemathesis_cases import Case, Cases


@pytest.fixture(scope="module")
def description(notes: Any) -> Description:
    return describe("notes", notes)


@pytest.fixture(scope="module")
def cases(notes: Any) -> Cases:
    return Cases(notes)


def test_pinned_version_is_the_one_that_was_read() -> None:
    assert schemathesis.__version__.rpartition(".")[0] == "4.32"


def test_coverage_has_each_bound_and_each_wrong_type(cases: Cases, description: Description) -> None:
    found = list(cases.coverage("note.put"))
    judge = description.operations["note.put"].params
    sent = [case.params for case in found if isinstance(case.params, dict)]
    stars = [it["stars"] for it in sent if "stars" in it and not isinstance(it["stars"], bool)]
    assert {0, 5, -1, 6} <= {it for it in stars if isinstance(it, int)}
    texts = [it["text"] for it in sent if isinstance(it.get("text"), str)]
    assert {0, 1, 40, 41} <= {len(it) for it in texts}
    assert any("text" not in it for it in sent)
    assert {True, False} == {case.positive for case in found}
    assert {judge(case.params) is None for case in found} == {True, False}


def test_coverage_repeats_nothing_and_says_what_it_is_about(cases: Cases) -> None:
    found = list(cases.coverage("note.get"))
    assert len({repr((it.params, it.body)) for it in found}) == len(found)
    assert all(it.method == "note.get" for it in found)
    assert any(it.about for it in found)


def test_cases_hold_params_and_nothing_of_http(cases: Cases) -> None:
    for method in ("note.put", "note.count", "note.seen"):
        for case in cases.coverage(method):
            assert json.loads(json.dumps(case.params, allow_nan=False)) == case.params


@pytest.mark.parametrize("positive", [True, False])
def test_random_cases_are_the_same_for_the_same_seed(notes: Any, positive: bool) -> None:
    def drawn(chance: int) -> list[Case]:
        return Cases(notes).drawn("note.put", positive=positive, chance=chance, count=12)

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)


def test_random_cases_are_valid_or_broken_as_was_asked(cases: Cases, description: Description) -> None:
    judge = description.operations["note.put"].params
    good = cases.drawn("note.put", positive=True, chance=1, count=30)
    bad = cases.drawn("note.put", positive=False, chance=1, count=30)
    assert len(good) >= 15
    assert [judge(it.params) for it in good if it.body is None] == [None] * len([it for it in good if it.body is None])
    broken = [it for it in bad if it.body is not None or judge(it.params) is not None]
    assert len(broken) >= 0.8 * len(bad) > 0


def test_params_that_nothing_can_break_give_no_broken_cases(notes: Any) -> None:
    anything = json.loads(json.dumps(notes))
    item = anything["paths"]["/rpc/note.put"]["post"]
    item["requestBody"]["content"]["application/json"]["schema"] = {}
    found = Cases(anything).drawn("note.put", positive=False, chance=1, count=5)
    assert all(isinstance(it, Case) for it in found)
