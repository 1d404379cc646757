"""Executors: what runs tasks. `ExecutorRegistry` finds one by its identifier; `contract` says what one is.

docs/how-to/write-an-executor.md shows how to write one.
"""

from protogen_runtime.apflow.rules.faults import FieldFault

from .builtin import outgoing_of, register_builtin
from .contract import Execution, Executor, ExecutorFailed, InvalidInputs, Json, JsonObject
from .guard import Guard, Refused
from .inputs import InputSchemas
from .outcomes import as_result, failure_text
from .outgoing import Answer, Outgoing, RequestFailed
from .registry import CannotRegister, ExecutorRegistry, Registered, executor
from .running import check_inputs, run
from .settings import ExecutorSettings

__all__ = [
    "Answer",
    "CannotRegister",
    "Execution",
    "Executor",
    "ExecutorFailed",
    "ExecutorRegistry",
    "ExecutorSettings",
    "FieldFault",
    "Guard",
    "InputSchemas",
    "InvalidInputs",
    "Json",
    "JsonObject",
    "Outgoing",
    "Refused",
    "Registered",
    "RequestFailed",
    "as_result",
    "check_inputs",
    "executor",
    "failure_text",
    "outgoing_of",
    "register_builtin",
    "run",
]
