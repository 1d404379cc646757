"""Messages: what the node and the process of a function tell each other, a line of JSON each."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from protogen_runtime.apflow.rules.faults import FieldFault

from .contract import JsonObject


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to run, as `module:name`, and all that it may ask of its Execution."""

    function: str
    inputs: JsonObject
    takes_execution: bool
    task_id: str
    root_task_id: str
    user_id: str | None
    name: str
    schemas: JsonObject
    params: JsonObject
    attempt: int
    dependency_results: dict[str, JsonObject]


class Progressed(msgspec.Struct, frozen=True, tag=True):
    """So much is done."""

    fraction: float


class Finished(msgspec.Struct, frozen=True, tag=True):
    """The function returned."""

    result: JsonObject


class Rejected(msgspec.Struct, frozen=True, tag=True):
    """The function raised InvalidInputs."""

    faults: tuple[FieldFault, ...]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The function raised something else; the text that becomes the task's error."""

    error: str


Report: TypeAlias = Progressed | Finished | Rejected | Failed
