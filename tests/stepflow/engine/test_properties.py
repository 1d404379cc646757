"""Random flows: the engine agrees with the naive evaluator, and a run goes on after any death."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import Naive, written
from rig import play
from strategies import documents, values, variables

from protogen_runtime.stepflow.engine import S1, Effect, Outcome, Run, StartStep, StepFailure, journal
from protogen_runtime.stepflow.flow import canonical
from protogen_runtime.stepflow.flow.documents import read_flow
from protogen_runtime.stepflow.flow.model import Failed, Flow, FlowResult, Success

QUICK = settings(max_examples=100, deadline=None, derandomize=True)
THOROUGH = settings(max_examples=3000, deadline=None)


def call(component: str, value: Any) -> tuple[bool, Any]:
    match component:
        case "/null":
            return True, None
        case "/false":
            return True, False
        case "/wrap":
            return True, {"a": value, "b": [value]}
        case "/fail":
            return False, None
        case _:
            return True, value


def answer(asked: StartStep) -> Outcome:
    worked, value = call(asked.component, asked.input)
    return Success(value) if worked else StepFailure(-32003, "broken")


def flow_of(document: dict[str, Any]) -> Flow:
    flow, faults = read_flow(written_flow(document))
    assert faults == []
    return flow


def written_flow(document: dict[str, Any]) -> dict[str, Any]:
    steps = [step | {"input": written(step["input"])} for step in document["steps"]]
    return {"steps": steps, "output": written(document["output"])}


def told(result: FlowResult | None) -> tuple[bool, Any]:
    assert result is not None
    return (False, (result.error.code, result.error.message)) if isinstance(result, Failed) else (True, result.result)


def agree(document: dict[str, Any], inputs: list[Any], given_: dict[str, Any], limit: int | None) -> None:
    played = play(Run(flow_of(document), inputs, variables=given_, max_concurrency=limit), answer)
    for index, value in enumerate(inputs):
        naive = Naive(document, value, given_, call)
        assert told(played.results[index]) == naive.run()
        assert {it.step_id for it in played.calls if it.item == index} == naive.called
        assert {step_id: told(it) for (item, step_id), it in played.steps.items() if item == index} == naive.results


items = st.lists(values, min_size=1, max_size=3)
limits = st.none() | st.integers(1, 4)


@given(documents(), items, variables, limits)
@QUICK
def test_the_engine_agrees_with_the_naive_evaluator(
    document: dict[str, Any], inputs: list[Any], given_: dict[str, Any], limit: int | None
) -> None:
    agree(document, inputs, given_, limit)


@pytest.mark.soak
@given(documents(12), items, variables, limits)
@THOROUGH
def test_the_engine_agrees_with_the_naive_evaluator_at_length(
    document: dict[str, Any], inputs: list[Any], given_: dict[str, Any], limit: int | None
) -> None:
    agree(document, inputs, given_, limit)


@given(documents(), items, variables)
@QUICK
def test_the_order_of_answers_changes_no_result(
    document: dict[str, Any], inputs: list[Any], given_: dict[str, Any]
) -> None:
    flow = flow_of(document)
    plain = play(Run(flow, inputs, variables=given_), answer)
    chance = random.Random(len(document["steps"]))
    run = Run(flow, inputs, variables=given_, max_concurrency=3)
    out = [it for it in run.begin() if isinstance(it, StartStep)]
    while out:
        asked = out.pop(chance.randrange(len(out)))
        out += [it for it in run.finished(asked.item, asked.step_id, answer(asked)) if isinstance(it, StartStep)]
    assert ([it for _, it in run.results()], run.status) == (plain.results, plain.status)


class Killed(Exception):
    """The process dies."""


class Machine:
    """A machine whose processes die: the entries that survive, and the calls that the world saw."""

    def __init__(self, flow: Flow, inputs: list[Any], given_: dict[str, Any], limit: int | None) -> None:
        self.flow, self.id = flow, canonical.flow_id(flow)
        self.inputs, self.variables, self.limit = inputs, given_, limit
        self.entries: list[bytes] = []
        self.attempts: dict[tuple[int, str], int] = {}
        self.recorded: set[tuple[int, str]] = set()

    def live(self, chance: random.Random, survives: float) -> Run:
        """One life: to the end of the run, or to a death before or after any write."""

        def danger() -> None:
            if chance.random() > survives:
                raise Killed

        run, effects = self.start() if not self.entries else self.resume()
        danger()
        out = self.sent(effects)
        while out:
            asked = out.pop(chance.randrange(len(out)))
            outcome = answer(asked)
            danger()
            self.entries.append(journal.finished(asked.item, asked.step_id, outcome, attempt=asked.attempt))
            if isinstance(outcome, Success):
                self.recorded.add((asked.item, asked.step_id))
            danger()
            out += self.sent(run.finished(asked.item, asked.step_id, outcome, attempt=asked.attempt))
        return run

    def start(self) -> tuple[Run, list[Effect]]:
        options: dict[str, Any] = {"variables": self.variables, "max_concurrency": self.limit, "dialect": S1}
        self.entries.append(journal.begun(self.id, self.inputs, **options))
        run = Run(self.flow, self.inputs, **options)
        return run, run.begin()

    def resume(self) -> tuple[Run, list[Effect]]:
        run, effects = journal.resume(self.entries, {self.id: self.flow}.__getitem__)
        self.entries.append(journal.resumed())
        return run, effects

    def sent(self, effects: list[Effect]) -> list[StartStep]:
        found = [it for it in effects if isinstance(it, StartStep)]
        for it in found:
            key = (it.item, it.step_id)
            assert key not in self.recorded, "a step ran again whose result was recorded"
            assert it.attempt > self.attempts.get(key, 0), "each attempt has a number of its own"
            self.attempts[key] = it.attempt
        return found


def survive(document: dict[str, Any], inputs: list[Any], given_: dict[str, Any], limit: int | None, seed: int) -> None:
    flow = flow_of(document)
    plain = play(Run(flow, inputs, variables=given_, max_concurrency=limit), answer)
    machine = Machine(flow, inputs, given_, limit)
    chance = random.Random(seed)
    survives = chance.choice((0.5, 0.9, 0.99))
    run: Run | None = None
    for life in range(1000):
        try:
            run = machine.live(chance, min(1.0, survives + life / 100))
            break
        except Killed:
            continue
    assert run is not None, "some process lives long enough"
    assert ([it for _, it in run.results()], run.status) == (plain.results, plain.status)
    again, effects = journal.resume(machine.entries, {machine.id: flow}.__getitem__)
    assert (again.results(), again.status, effects) == (run.results(), run.status, [])


seeds = st.integers(0, 2**32)


@given(documents(), items, variables, limits, seeds)
@QUICK
def test_a_run_that_was_killed_goes_on_to_the_same_result(
    document: dict[str, Any], inputs: list[Any], given_: dict[str, Any], limit: int | None, seed: int
) -> None:
    survive(document, inputs, given_, limit, seed)


@pytest.mark.soak
@given(documents(12), items, variables, limits, seeds)
@THOROUGH
def test_runs_that_were_killed_go_on_to_the_same_result_at_length(
    document: dict[str, Any], inputs: list[Any], given_: dict[str, Any], limit: int | None, seed: int
) -> None:
    survive(document, inputs, given_, limit, seed)
