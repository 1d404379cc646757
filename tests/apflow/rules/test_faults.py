"""The form of refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from apflow_protocol import CODEC, FieldErrors, InvalidStateTransitionData, errors

from protogen_runtime.apflow.rules import faults
from protogen_runtime.apflow.rules.faults import FieldFault, RuleBroken

ONE = FieldFault(field="priority", reason="Value out of range", expected="0-3", actual=7, path=("priority",))
TWO = FieldFault(field="name", reason="Required", path=("tasks", 0, "name"))


def test_one_fault_is_the_data_itself() -> None:
    assert faults.refusal("InvalidParams", [ONE]).data == {
        "field": "priority",
        "reason": "Value out of range",
        "expected": "0-3",
        "actual": 7,
        "path": ["priority"],
    }


def test_several_faults_are_listed_and_what_is_not_known_is_left_out() -> None:
    broken = faults.refusal("InvalidTaskSchema", [ONE, TWO])
    assert broken.error == "InvalidTaskSchema"
    assert broken.data["errors"] == [
        {"field": "priority", "reason": "Value out of range", "expected": "0-3", "actual": 7, "path": ["priority"]},
        {"field": "name", "reason": "Required", "path": ["tasks", 0, "name"]},
    ]


def test_null_is_an_actual_value() -> None:
    assert FieldFault(field="name", reason="Wrong type", actual=None).as_data()["actual"] is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a" * 200, "a" * 200),
        ("a" * 201, "a" * 199 + "…"),
        ({"a": ["b"]}, {"a": ["b"]}),
        (["x" * 300], '["' + "x" * 197 + "…"),
        (10**300, "1" + "0" * 198 + "…"),
        (None, None),
        (True, True),
        (1.5, 1.5),
    ],
)
def test_long_actual_value_is_shortened(value: object, shown: object) -> None:
    assert FieldFault(field="f", reason="r", actual=value).as_data()["actual"] == shown


def test_value_that_is_too_deep_to_be_written_is_left_out() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert FieldFault(field="f", reason="r", actual=deep).as_data()["actual"] == "…"


def test_the_table_of_errors_has_every_error_of_the_protocol_but_those_of_the_envelope(root: Path) -> None:
    document = json.loads((root / "schemas/apflow/1.0/protocol.json").read_text("utf-8"))
    envelope = {"ParseError", "InvalidRequest", "MethodNotFound", "InternalError"}
    assert faults.ERRORS.keys() == document["x-errors"].keys() - envelope
    assert {name: kind.CODE for name, kind in faults.ERRORS.items()} == {
        name: error["code"] for name, error in document["x-errors"].items() if name not in envelope
    }


def test_refused_transition_names_the_task_the_change_and_the_reason() -> None:  # A56
    assert faults.refused_transition(
        "x", current="completed", to="in_progress", reason="completed is terminal"
    ).data == {
        "task_id": "x",
        "current_status": "completed",
        "attempted_transition": "completed -> in_progress",
        "reason": "completed is terminal",
    }


def test_unknown_executor_is_named_with_its_path() -> None:  # A12
    broken = faults.executor_not_found("nobody", path=("tasks", 0, "schemas", "method"))
    assert (broken.error, broken.data["actual"]) == ("ExecutorNotFound", "nobody")
    assert broken.data["path"] == ["tasks", 0, "schemas", "method"]


REFUSALS: list[tuple[RuleBroken, type[errors.TypedError]]] = [
    (faults.refusal("InvalidParams", [ONE]), errors.InvalidParamsError),
    (faults.task_not_found("x"), errors.TaskNotFoundError),
    (faults.circular(["7b6e8f7a-1c52-4f0e-9d3b-2a4c6e8f0a1b"] * 2), errors.CircularDependencyError),
    (faults.executor_not_found("nobody"), errors.ExecutorNotFoundError),
    (faults.unauthorized("the token is unknown"), errors.UnauthorizedError),
    (faults.refusal("InvalidTaskSchema", [ONE, TWO]), errors.InvalidTaskSchemaError),
    (
        faults.refused_transition("x", current="completed", to="pending", reason="completed is terminal"),
        errors.InvalidStateTransitionError,
    ),
    (RuleBroken("DependencyNotSatisfied", {"task_id": "x"}), errors.DependencyNotSatisfiedError),
    (faults.already_executing("x"), errors.TaskAlreadyExecutingError),
    (RuleBroken("CannotDeleteTask", {"task_id": "x"}), errors.CannotDeleteTaskError),
    (faults.refusal("InvalidParentReference", [ONE]), errors.InvalidParentReferenceError),
    (faults.refusal("InvalidDependencyReference", [ONE]), errors.InvalidDependencyReferenceError),
    (RuleBroken("TaskTreeValidationFailed", {"reason": "no root"}), errors.TaskTreeValidationFailedError),
]


@pytest.mark.parametrize(("broken", "kind"), REFUSALS, ids=[broken.error for broken, _ in REFUSALS])
def test_refusal_becomes_the_generated_error_with_the_same_data(
    broken: RuleBroken, kind: type[errors.TypedError]
) -> None:
    error = faults.typed(broken)
    assert type(error) is kind
    assert json.loads(CODEC.encode(error.data)) == broken.data


def test_every_error_of_the_table_is_shown_above() -> None:
    assert {broken.error for broken, _ in REFUSALS} == faults.ERRORS.keys()


def test_data_is_typed() -> None:
    assert isinstance(faults.typed(REFUSALS[5][0]).data.value, FieldErrors)
    assert faults.typed(REFUSALS[6][0]).data == InvalidStateTransitionData(
        task_id="x",
        current_status="completed",
        attempted_transition="completed -> pending",
        reason="completed is terminal",
    )
