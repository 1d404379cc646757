"""Programs as data: made smaller, told apart by their cause, kept and read."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from protogen_compliance.fuzz import findings, raw
from protogen_compliance.fuzz.checks import Fault
from protogen_compliance.fuzz.findings import Kept, by_cause, finding
from protogen_compliance.fuzz.shrinking import Spent, grafts, shortened, simpler, smallest
from protogen_compliance.fuzz.steps import Program, Step, call, raw_step


def program(*params: Any) -> Program:
    return Program(origin="test", steps=[call("m", it) for it in params])


def sent(it: Program) -> list[Any]:
    return [step.params for step in it.steps]


# --- shrinking ------------------------------------------------------------------------------------


def test_only_the_steps_that_are_needed_stay() -> None:
    found = smallest(program(*range(20)), lambda it: {3, 11, 19} <= set(sent(it)))
    assert sent(found) == [3, 11, 19]


def test_only_the_members_that_are_needed_stay() -> None:
    big = {"a": {"b": [1, 2, {"c": "needed", "d": 3}], "e": 4}, "f": [5]}
    found = smallest(program(0, big), lambda it: "'c': 'n" in str(sent(it)))
    assert sent(found) == [{"a": {"b": [{"c": "n"}]}}]


def test_actions_keep_their_arguments() -> None:
    steps = [Step(kind="act", method="plan", params={"tasks": [1, 2, 3]}), call("m", {"a": 1})]
    found = smallest(Program(origin="test", steps=steps), lambda it: len(it.steps) == 2)
    assert [step.params for step in found.steps] == [{"tasks": [1, 2, 3]}, {}]


def test_best_so_far_stays_where_the_budget_ends() -> None:
    left = 3

    def shows(it: Program) -> bool:
        nonlocal left
        left -= 1
        if left < 0:
            raise Spent
        return 7 in sent(it)

    found = smallest(program(*range(8)), shows)
    assert 7 in sent(found)
    assert len(found.steps) < 8


def test_program_that_cannot_be_smaller_stays() -> None:
    whole = program({"a": 1})
    assert smallest(whole, lambda it: it == whole) == whole


@pytest.mark.parametrize(
    "value", [{"a": [1, "text", None, {"b": 2.5}]}, [[[]]], "x" * 50, 10**40, -5, 1e300, {"": {"": {}}}, True, None]
)
def test_simpler_values_come_to_an_end(value: Any) -> None:
    steps = 0
    while candidates := list(simpler(value)):
        value = candidates[-1]
        steps += 1
        assert steps < 2000


def test_values_are_shortened_and_grafted_in_one_place() -> None:
    value = {"a": 1, "b": {"c": 2, "d": 3}, "e": [{"f": 4}, 5]}
    assert list(shortened(value)) == [
        {"b": {"c": 2, "d": 3}, "e": [{"f": 4}, 5]},
        {"a": 1, "e": [{"f": 4}, 5]},
        {"a": 1, "b": {"c": 2, "d": 3}},
        {"a": 1, "b": {"d": 3}, "e": [{"f": 4}, 5]},
        {"a": 1, "b": {"c": 2}, "e": [{"f": 4}, 5]},
        {"a": 1, "b": {"c": 2, "d": 3}, "e": [{}, 5]},
    ]
    assert list(grafts({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 0}, "z": 9})) == [
        {"a": 1, "b": {"c": 0}},
        {"a": 1, "b": {"c": 0}},
        {"a": 1, "b": {"c": 2}, "z": 9},
    ]


# --- raw ------------------------------------------------------------------------------------------


def test_mutations_are_the_same_for_the_same_seed() -> None:
    bodies = [b'{"jsonrpc": "2.0", "id": 1, "method": "m"}', b"[]"]

    def made(seed: int) -> list[raw.Raw]:
        chance = random.Random(seed)
        return [raw.mutated(chance, bodies) for _ in range(200)]

    assert made(1) == made(1)
    assert made(1) != made(2)
    assert len({it.body for it in made(1)}) > 100


def test_fixed_requests_are_of_every_kind() -> None:
    found = list(raw.fixed("m", {}, known=("m", "rpc.nothing")))
    kinds = {"parse", "invalid", "method", "echo", "any", "no-id", "refused", "silent", "batch"}
    assert {it.expect for it in found} == kinds
    assert not [it for it in found if it.expect == "method" and b'"rpc.nothing"' in it.body]
    assert max(len(it.body) for it in found) > raw.DEPTH


# --- findings -------------------------------------------------------------------------------------


def fault(**more: Any) -> Fault:
    return Fault(**{"check": "envelope", "method": "m", "text": "jsonrpc is '1.0'; error 1", **more})


def test_same_fault_of_several_methods_is_one_finding() -> None:
    single = program({})
    made = [finding("p", fault(method=name), single, []) for name in ("a", "b")]
    other = finding("p", fault(text="the id is 7; error 2"), single, [])
    found = by_cause([*made, other])
    assert sorted((it.methods, it.times) for it in found) == [(["a", "b"], 2), (["m"], 1)]


@pytest.mark.parametrize("more", [{"check": "result"}, {"code": 5}, {"method": "n"}])
def test_check_method_and_code_make_a_fault(more: dict[str, Any]) -> None:
    one, two = finding("p", fault(), program({}), []), finding("p", fault(**more), program({}), [])
    assert one.id != two.id
    assert one.id == finding("p", fault(text="otherwise"), program(1), []).id


def test_programs_are_read_as_they_were_kept(tmp_path: Path) -> None:
    steps = [
        call("m", {"a": None}, name="s0"),
        call("m", None, uses={"a": "s0#/id"}, other=True, secret=True),
        raw_step(b"\xff\x00", "any", {"content-type": None}),
        Step(kind="act", method="run", params={"task": "t1"}),
    ]
    kept = [Kept(name=name, program=Program(origin="o", steps=steps)) for name in ("b", "a")]
    findings.keep(tmp_path / "deep" / "folder", kept)
    assert findings.read(tmp_path / "deep" / "folder") == sorted(kept, key=lambda it: it.name)


def test_folder_may_hold_other_things(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{", encoding="utf-8")
    (tmp_path / "b.json").write_text('{"name": 1}', encoding="utf-8")
    (tmp_path / "c.txt").write_text("x", encoding="utf-8")
    assert findings.read(tmp_path) == []
    assert findings.read(tmp_path / "none") == []


def test_folder_stays_bounded(tmp_path: Path) -> None:
    many = [Kept(name=f"met-{at}", program=program(at)) for at in range(findings.MAX_KEPT_PROGRAMS + 20)]
    findings.keep(tmp_path, many[:-20])
    findings.keep(tmp_path, many[-20:])
    findings.keep(tmp_path, [Kept(name="f", finding="envelope m", program=program({}))])
    names = {it.name for it in findings.read(tmp_path)}
    assert len(names) == findings.MAX_KEPT_PROGRAMS + 1
    assert "f" in names
