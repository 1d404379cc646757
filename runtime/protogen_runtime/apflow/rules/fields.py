"""Fields: one table of what each of the 29 fields of a task may hold, to say what is wrong with a value.

Knows no typed task: it reads plain JSON, since what it explains could not be decoded.
"""

from __future__ import annotations

from apflow_protocol import Json, TaskInput, TasksCreateParams, TaskUpdates

from .faults import FieldFault, Path, RuleBroken


def faults_of_input(value: Json, *, at: Path = ()) -> list[FieldFault]:
    """Every fault of a task as a caller describes it; `at` is the path that leads to it."""
    raise NotImplementedError


def faults_of_decoded(value: TaskInput | TasksCreateParams | TaskUpdates, *, at: Path = ()) -> list[FieldFault]:
    """What decoding does not find: timestamps that are none, and wrong values of fields that only a node sets."""
    raise NotImplementedError


def explain_params(method: str, params: Json) -> RuleBroken:
    """Why the params of a method cannot be decoded, for each of the ten methods."""
    raise NotImplementedError
