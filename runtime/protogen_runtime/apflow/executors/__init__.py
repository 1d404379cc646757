"""Executors: what runs tasks. `ExecutorRegistry` finds one by its identifier; `contract` says what one is."""

from .builtin import register_builtin
from .contract import Execution, Executor, ExecutorFailed, InvalidInputs, Json, JsonObject
from .registry import CannotRegister, ExecutorRegistry, Registered, executor

__all__ = [
    "CannotRegister",
    "Execution",
    "Executor",
    "ExecutorFailed",
    "ExecutorRegistry",
    "InvalidInputs",
    "Json",
    "JsonObject",
    "Registered",
    "executor",
    "register_builtin",
]
