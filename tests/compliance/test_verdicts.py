"""Verdicts: one finding for one cause, and no way to pass by doing nothing."""

from __future__ import annotations

from typing import Any

import pytest

from protogen_compliance.registry import Clause
from protogen_compliance.verdicts import Evidence, Verdict, by_profile, conformant, judge


def clause(name: str, level: str = "MUST", observable: str = "rpc") -> Clause:
    return Clause(id=name, level=level, source="here", paraphrase=f"what {name} says", observable=observable, test="do")


CLAUSES = {it.id: it for it in map(clause, ("A", "B", "C", "D"))}


def said(test: str, *clauses: str, **more: Any) -> Evidence:
    return Evidence(test=test, clauses=clauses, **more)


def failed(test: str, *clauses: str, **more: Any) -> Evidence:
    return said(test, *clauses, outcome="failed", text=f"{test} is wrong", **more)


def statuses(*evidence: Evidence) -> dict[str, tuple[str, list[str]]]:
    return {it.clause: (it.status, it.blocked_by) for it in judge(CLAUSES, evidence)}


def test_clause_without_a_test_is_not_tested() -> None:
    assert statuses(said("t", "A"))["B"] == ("NOT_TESTED", [])


def test_failure_is_one_and_what_needs_it_is_blocked() -> None:
    found = statuses(failed("one", "A"), failed("two", "B", needs=("A",)), failed("three", "C", needs=("B",)))
    assert found == {"A": ("FAIL", []), "B": ("BLOCKED", ["A"]), "C": ("BLOCKED", ["B"]), "D": ("NOT_TESTED", [])}


def test_what_needs_a_broken_clause_and_passes_has_passed() -> None:
    assert statuses(failed("one", "A"), said("two", "B", needs=("A",)))["B"] == ("PASS", [])


def test_need_that_holds_excuses_nothing() -> None:
    assert statuses(said("one", "A"), failed("two", "B", needs=("A",)))["B"] == ("FAIL", [])


def test_need_that_nobody_tested_excuses_nothing() -> None:
    assert statuses(failed("two", "B", needs=("A",)))["B"] == ("FAIL", [])


def test_unmet_expectation_is_blocked_by_whom_it_blames() -> None:
    unmet = said("two", "B", outcome="unmet", text="no answer", blame=("A", "B"))
    assert statuses(failed("one", "A"), unmet)["B"] == ("BLOCKED", ["A"])
    assert statuses(said("one", "A"), unmet)["B"] == ("FAIL", [])


def test_circle_of_needs_has_a_finding() -> None:
    found = statuses(failed("one", "A", needs=("B",)), failed("two", "B", needs=("A",)))
    assert sorted(status for status, _ in (found["A"], found["B"])) == ["BLOCKED", "FAIL"]


def test_finding_of_a_circle_is_the_test_that_ran() -> None:
    unmet = said("one", "A", outcome="unmet", text="no answer", blame=("B",))
    found = statuses(unmet, failed("two", "B", needs=("A",)))
    assert (found["A"], found["B"]) == (("BLOCKED", ["B"]), ("FAIL", []))


def test_who_waits_for_a_circle_is_no_cause() -> None:
    found = statuses(
        failed("one", "A", needs=("B",)), failed("two", "B", needs=("C",)), failed("three", "C", needs=("B",))
    )
    assert {name: status for name, (status, _) in found.items()} == {
        "A": "BLOCKED",
        "B": "FAIL",
        "C": "BLOCKED",
        "D": "NOT_TESTED",
    }


def test_clauses_that_say_the_same_give_one_finding() -> None:
    assert {name: found for name, found in statuses(failed("t", "A", "B")).items() if name in "AB"} == {
        "A": ("FAIL", []),
        "B": ("BLOCKED", ["A"]),
    }


def test_sum_of_clauses_cannot_pass_while_one_fails() -> None:
    assert statuses(failed("one", "A"), said("all", "B", sums=("A",)))["B"] == ("BLOCKED", ["A"])
    assert statuses(said("one", "A"), said("all", "B", sums=("A",)))["B"] == ("PASS", [])


def test_worst_test_of_a_clause_counts() -> None:
    assert statuses(said("one", "A"), failed("two", "A"), said("three", "A", outcome="skipped"))["A"][0] == "FAIL"
    assert statuses(said("one", "A"), said("three", "A", outcome="skipped"))["A"][0] == "PASS"
    assert statuses(said("one", "A"), said("two", "A", warnings=["odd"]))["A"][0] == "WARN"


def test_recommendation_that_fails_is_a_warning() -> None:
    known = {"S": clause("S", "SHOULD")}
    (verdict,) = judge(known, [failed("t", "S")])
    assert (verdict.status, verdict.texts) == ("WARN", ["t is wrong"])


def test_missing_fixture_blocks_and_says_how_to_give_it() -> None:
    (verdict, *_) = judge(CLAUSES, [said("t", "A", outcome="lacking", text="give --executor ok=NAME")])
    assert (verdict.status, verdict.texts) == ("BLOCKED", ["give --executor ok=NAME"])


def test_what_cannot_be_observed_is_skipped_with_a_reason() -> None:
    (verdict,) = judge({"N": clause("N", observable="not-observable")}, [])
    assert (verdict.status, verdict.texts) == ("SKIPPED", ["cannot be observed from outside"])


def verdict(status: Any, level: str = "MUST") -> Verdict:
    return Verdict(clause="X", level=level, paraphrase="x", status=status)


@pytest.mark.parametrize(
    ("found", "good"),
    [
        ([], False),
        ([verdict("SKIPPED")], False),
        ([verdict("PASS", "SHOULD")], False),
        ([verdict("PASS")], True),
        ([verdict("PASS"), verdict("WARN", "SHOULD"), verdict("SKIPPED")], True),
        ([verdict("PASS"), verdict("FAIL")], False),
        ([verdict("PASS"), verdict("FAIL", "MUST NOT")], False),
        ([verdict("PASS"), verdict("BLOCKED")], False),
        ([verdict("PASS"), verdict("NOT_TESTED")], False),
        ([verdict("PASS"), verdict("NOT_TESTED", "SHOULD")], True),
    ],
)
def test_conformance_needs_every_must(found: list[Verdict], *, good: bool) -> None:
    assert conformant(found) is good


def test_lost_target_blocks_what_was_not_judged() -> None:
    evidence = [said("one", "A"), failed("two", "B"), said("three", "C", outcome="lost", text="gone")]
    found = judge(CLAUSES, evidence, lost="it went away")
    assert {it.clause: (it.status, it.texts) for it in found} == {
        "A": ("PASS", []),
        "B": ("FAIL", ["two is wrong"]),
        "C": ("BLOCKED", ["it went away"]),
        "D": ("BLOCKED", ["it went away"]),
    }


def test_excluded_clause_is_skipped_with_its_reason() -> None:
    known = {"E": Clause(id="E", level="MUST", source="", paraphrase="", observable="rpc", test="", excluded="why")}
    (verdict,) = judge(known, [])
    assert (verdict.status, verdict.texts) == ("SKIPPED", ["why"])


def test_clause_of_another_role_is_left_out() -> None:
    found = judge(CLAUSES, [failed("t", "OTHER", "A")])
    assert [it.clause for it in found] == ["A", "B", "C", "D"]
    assert found[0].status == "FAIL"


def test_each_profile_has_a_verdict_and_keeps_its_denominator() -> None:
    core, more = said("one", "A"), said("two", "B", profile="more", outcome="skipped", text="not asked for")
    profiles = by_profile(judge(CLAUSES, [core, more]), asked=(), known=("more", "unused"))
    assert [(it.name, it.asked, it.conformant, it.musts) for it in profiles] == [
        ("", True, False, 3),
        ("more", False, False, 1),
        ("unused", False, False, 0),
    ]
    assert profiles[0].counts["NOT_TESTED"] == 2
    asked = by_profile(judge(CLAUSES, [core, said("two", "B", profile="more")]), asked=("more",))
    assert [(it.name, it.conformant) for it in asked] == [("", False), ("more", True)]


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_profile_that_adds_to_clauses_of_others_is_judged_by_them(outcome: str) -> None:
    evidence = [said("one", "A"), said("two", "A", profile="more", outcome=outcome)]
    _, more = by_profile(judge(CLAUSES, evidence), asked=("more",), known=("more",), evidence=evidence)
    assert (more.name, more.conformant, more.musts) == ("more", outcome == "passed", 1)
