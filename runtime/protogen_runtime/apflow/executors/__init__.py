"""Executors: what runs tasks. `ExecutorRegistry` finds one by its identifier; `contract` says what one is.

docs/how-to/write-an-executor.md shows how to write one. What is built in (`builtin`), and what sends requests for it
(`outgoing`), is imported by its own name: the processes of functions start without httpx.
"""

from protogen_runtime.apflow.rules.faults import FieldFault

from .contract import Execution, Executor, ExecutorFailed, InvalidInputs, Json, JsonObject
from .guard import Guard, Refused
from .inputs import InputSchemas
from .outcomes import as_result, failure_text
from .registry import CannotRegister, ExecutorRegistry, Registered, executor
from .running import check_inputs, run
from .settings import ExecutorSettings

__all__ = [
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
    "Refused",
    "Registered",
    "as_result",
    "check_inputs",
    "executor",
    "failure_text",
    "run",
]
