"""Running: inputs are checked, results are JSON, failures are texts, cancellation is told."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
import trio
import trio.testing
from executor_rig import execution, perform, registry

from protogen_runtime.apflow.executors import (
    Execution,
    ExecutorFailed,
    ExecutorRegistry,
    ExecutorSettings,
    FieldFault,
    InvalidInputs,
    as_result,
    failure_text,
    run,
)
from protogen_runtime.apflow.executors.outcomes import MAX_ERROR


class Guarded:
    """Notes in which order it is asked."""

    def __init__(self) -> None:
        self.order: list[str] = []

    def get_input_schema(self) -> dict[str, Any]:
        return {"type": "object", "properties": {"n": {"type": "integer"}}}

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        self.order.append("validate")
        if inputs.get("n") == 13:
            raise InvalidInputs(FieldFault(field="n", reason="Unlucky", path=("inputs", "n")))

    async def execute(self, inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
        self.order.append("execute")
        return inputs


@pytest.mark.parametrize(("n", "order"), [(1, ["validate", "execute"]), (13, ["validate"]), ("x", [])])
def test_inputs_meet_the_schema_then_the_check_then_the_work(n: Any, order: list[str]) -> None:
    guarded = Guarded()
    registered = ExecutorRegistry().register("g", guarded)
    try:
        trio.run(run, registered, {"n": n}, execution())
    except InvalidInputs as reason:
        assert order != ["validate", "execute"], reason  # noqa: PT017  # which of the cases raises is the table's
    assert guarded.order == order


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ({}, {}),
        ({"a": (1, 2)}, {"a": [1, 2]}),
        ({1: "x"}, {"1": "x"}),
        ({"a": 2**70, "b": 1.5, "c": None, "d": True}, {"a": 2**70, "b": 1.5, "c": None, "d": True}),
    ],
)
def test_results_are_json(value: Any, result: Any) -> None:
    assert as_result(value) == result


def test_results_are_copies() -> None:
    inner = [1]
    result = as_result({"a": inner})
    inner.append(2)
    assert result == {"a": [1]}


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return {"a": value}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "the executor returned nothing; it must return an object (dict)"),
        (5, "the executor returned an int"),
        ("x", "the executor returned a str"),
        ([{}], "the executor returned a list"),
        ({"a": [{"b": datetime(2020, 1, 1, tzinfo=UTC)}]}, "result.a[0].b is a datetime, which JSON cannot hold"),
        ({"a": float("nan")}, "result.a is nan"),
        ({"a": float("inf")}, "result.a is inf"),
        ({"a": {1, 2}}, "result.a is a set"),
        ({"a": b"x"}, "result.a is a bytes"),
        ({"a": "\ud800"}, "result.a is a text with a lone surrogate"),
        ({"\ud800": 1}, "a key of result is a text with a lone surrogate"),
        ({(1, 2): 1}, "result has a key that is a tuple"),
        (deep(5000), "nested deeper than 200 levels"),
    ],
)
def test_results_that_are_not_json_fail(value: Any, said: str) -> None:
    with pytest.raises(ExecutorFailed) as caught:
        as_result(value)
    assert said in str(caught.value)


def test_a_result_that_holds_itself_fails() -> None:
    value: dict[str, Any] = {}
    value["self"] = value
    with pytest.raises(ExecutorFailed, match="nested deeper"):
        as_result(value)


def test_results_are_bounded() -> None:
    assert as_result({"a": "x" * 10}, max_bytes=18) == {"a": "x" * 10}
    with pytest.raises(ExecutorFailed, match="the result has 19 bytes as JSON; at most 18 are kept"):
        as_result({"a": "x" * 11}, max_bytes=18)


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (ExecutorFailed("as it stands"), "as it stands"),
        (ExecutorFailed(""), "the executor failed (ExecutorFailed)"),
        (ExecutorFailed(" \n"), "the executor failed (ExecutorFailed)"),
        (ValueError("bad"), "ValueError: bad"),
        (ValueError(), "ValueError"),
        (KeyError("name"), "KeyError: 'name'"),
        (InvalidInputs(), "invalid inputs: the inputs are invalid"),
        (InvalidInputs(FieldFault(field="n", reason="Missing")), "invalid inputs: n: Missing"),
        (
            InvalidInputs(FieldFault(field="n", reason="Wrong type", expected="string", path=("inputs", "n", 1))),
            "invalid inputs: inputs.n.1: Wrong type (expected string)",
        ),
        (ExceptionGroup("several", [ExecutorFailed("one")]), "one"),
        (ExceptionGroup("several", [ExecutorFailed("one"), ValueError("two")]), "one; ValueError: two"),
        (OSError("\udcff"), "OSError: ?"),
    ],
)
def test_failures_are_texts(reason: Exception, text: str) -> None:
    assert failure_text(reason) == text


def test_long_failures_are_cut() -> None:
    assert len(failure_text(ValueError("x" * 100_000))) == MAX_ERROR


class Telling:
    def __init__(self, *, answers: bool) -> None:
        self.answers = answers
        self.cancelled: list[str] = []
        self.done = False

    async def execute(self, inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
        await trio.sleep_forever()
        return {}

    async def cancel(self, execution: Execution) -> None:
        self.cancelled.append(execution.task_id)
        if not self.answers:
            await trio.sleep_forever()
        await trio.sleep(1)
        self.done = True


@pytest.mark.parametrize("answers", [True, False])
def test_cancellation_is_told_and_bounded(answers: bool) -> None:
    telling = Telling(answers=answers)
    registered = ExecutorRegistry().register("t", telling)

    async def main() -> float:
        with trio.move_on_after(10):
            await run(registered, {}, execution(), settings=ExecutorSettings(cancel_seconds=5))
        return trio.current_time()

    start = 0.0
    clock = trio.testing.MockClock(autojump_threshold=0)
    end = trio.run(main, clock=clock)
    assert end - start == (11 if answers else 15)
    assert (telling.cancelled, telling.done) == (["a"], answers)


def test_a_failure_is_not_told_as_cancellation() -> None:
    class Fails(Telling):
        async def execute(self, inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
            raise ExecutorFailed("no")

    fails = Fails(answers=True)
    with pytest.raises(ExecutorFailed, match="no"):
        trio.run(run, ExecutorRegistry().register("t", fails), {}, execution())
    assert fails.cancelled == []


def test_a_cancelled_thread_is_left_and_hears_of_it() -> None:
    release, heard = threading.Event(), threading.Event()

    def work(inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
        release.wait(10)
        try:
            execution.report_progress(0.5)
        except trio.Cancelled:
            heard.set()
            raise
        return {}

    async def main() -> None:
        with trio.move_on_after(0.05):
            await run(ExecutorRegistry().register("t", work), {}, execution())
            raise AssertionError("the work was not left")
        release.set()
        assert await trio.to_thread.run_sync(heard.wait, 10)

    trio.run(main)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_progress_is_a_fraction(fraction: float) -> None:
    with pytest.raises(ValueError, match=r"from 0\.0 to 1\.0"):
        execution().report_progress(fraction)


# --- what is built in, beside http, command and remote ----------------------------------------------


def test_echo_returns_its_inputs() -> None:
    inputs = {"a": [1, {"b": None}], "n": 2**70}
    assert trio.run(perform, "echo", inputs) == inputs


def test_sleep_sleeps_and_reports() -> None:
    seen: list[float] = []
    registered = registry().find("sleep")
    assert registered is not None

    async def main() -> tuple[dict[str, Any], float]:
        result = await run(registered, {"seconds": 50}, execution(report=seen.append))
        return result, trio.current_time()

    result, now = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert (result, now) == ({"slept": 50}, 50)
    assert seen == pytest.approx([step / 10 for step in range(1, 11)])


@pytest.mark.parametrize("inputs", [{}, {"seconds": -1}, {"seconds": "1"}, {"seconds": 10**9}])
def test_sleep_refuses_what_is_no_time(inputs: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputs):
        trio.run(perform, "sleep", inputs)


def test_fail_fails() -> None:
    with pytest.raises(ExecutorFailed, match=r"^because$"):
        trio.run(perform, "fail", {"message": "because"})
    with pytest.raises(ExecutorFailed, match=r"^failed as asked$"):
        trio.run(perform, "fail", {})


def test_results_of_dependencies_are_aggregated() -> None:
    about = execution(dependency_results=lambda: {"one": {"n": 1}, "two": {"n": 2}})
    result = trio.run(perform, "aggregate_results_executor", {"given": 0}, about)
    assert datetime.fromisoformat(result.pop("timestamp")).tzinfo is not None
    assert result == {
        "summary": "Aggregated 3 task results",
        "results": {"given": 0, "one": {"n": 1}, "two": {"n": 2}},
        "result_count": 3,
    }


def test_the_system_is_described() -> None:
    result = trio.run(perform, "system_info_executor", {})
    assert set(result) == {"cpu", "memory", "disk"}
    assert result["cpu"]["cores"] >= 1
    assert result["memory"]["total_bytes"] > 2**20
    assert result["disk"]["total_bytes"] >= result["disk"]["used_bytes"]
    assert trio.run(perform, "system_info", {"resource": "cpu"}) == result["cpu"]
    with pytest.raises(InvalidInputs):
        trio.run(perform, "system_info", {"resource": "network"})
