"""The executor `command`: a program of the machine, without a shell. Off unless the operator enables it."""

from __future__ import annotations

import shlex
from typing import Final

from protogen_runtime.apflow.executors.contract import Execution, ExecutorFailed, JsonObject
from protogen_runtime.apflow.executors.programs import ProgramFailed, run_program
from protogen_runtime.apflow.executors.settings import ExecutorSettings

_SCHEMA: Final[JsonObject] = {
    "type": "object",
    "required": ["command"],
    "properties": {
        "command": {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": 100_000},
                {"type": "array", "minItems": 1, "maxItems": 1000, "items": {"type": "string", "maxLength": 100_000}},
            ]
        },
        "stdin": {"type": "string"},
        "timeout": {"type": "number", "exclusiveMinimum": 0},
    },
}


class Command:
    """Runs `command`, a list of a program and its arguments, or a line that is split as a shell would split it.

    Nothing in it is expanded: `;`, `|`, `$x`, `*` and `>` are characters like others. Returns
    `{success, return_code, stdout, stderr}`; an exit code that is not 0, or too much output, fails the task.
    """

    def __init__(self, settings: ExecutorSettings) -> None:
        self._settings = settings

    def get_input_schema(self) -> JsonObject:
        """`command`; optionally `stdin` and `timeout` in seconds (30)."""
        return _SCHEMA

    async def execute(self, inputs: JsonObject, execution: Execution) -> JsonObject:
        """Run the program; cancellation kills it and what it started."""
        settings = self._settings
        if not settings.commands_enabled:
            raise ExecutorFailed("commands are off; the operator may set commands_enabled and allowed_commands")
        arguments = _arguments(inputs["command"])
        # Compared as it is written: resolving it first would let another folder's program of that name pass.
        if settings.allowed_commands is not None and arguments[0] not in settings.allowed_commands:
            allowed = ", ".join(sorted(settings.allowed_commands)) or "none"
            raise ExecutorFailed(f"command {arguments[0][:100]!r} is not allowed; allowed are: {allowed}")
        try:
            ended = await run_program(
                arguments,
                stdin=inputs.get("stdin", "").encode(),
                folder=settings.command_folder,
                environment=settings.command_environment,
                max_output_bytes=settings.command_max_output_bytes,
                seconds=min(inputs.get("timeout", 30.0), settings.command_max_seconds),
            )
        except ProgramFailed as reason:
            raise ExecutorFailed(f"command {arguments[0][:100]!r}: {reason}") from None
        stdout, stderr = (text.decode("utf-8", "replace").strip() for text in (ended.stdout, ended.stderr))
        if ended.code:
            raise ExecutorFailed(
                f"command {arguments[0][:100]!r} left with {ended.code}: {stderr[-1000:]}".rstrip(": ")
            )
        return {"success": True, "return_code": 0, "stdout": stdout, "stderr": stderr}


def _arguments(command: str | list[str]) -> list[str]:
    try:
        arguments = shlex.split(command) if isinstance(command, str) else command
    except ValueError as reason:
        raise ExecutorFailed(f"command cannot be split: {str(reason).lower()}; give a list of arguments") from None
    if not arguments or not arguments[0]:
        raise ExecutorFailed("command is empty; give a program and its arguments")
    if any("\0" in argument for argument in arguments):
        raise ExecutorFailed("command holds a null character")
    return arguments
