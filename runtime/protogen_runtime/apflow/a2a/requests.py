"""Requests: what a message asks for. A message in, the tasks of a flow out, or the answer to a question. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeGuard

import a2a_protocol as v1
from apflow_protocol import CODEC, TaskInput, TaskSchemas, TasksExecuteParams
from apflow_protocol.rpc.boundary import ValidationError
from msgspec import UNSET
from msgspec.structs import replace

from protogen_runtime.apflow.executors.shapes import is_object
from protogen_runtime.apflow.rules.fields import explain_params

from .faults import Fault, fault_of, invalid

Json: TypeAlias = Any

EXECUTE: Final = "tasks.execute"
"""The skill that runs flows; every other skill is an executor."""
SKILL_NAMES: Final = ("skill", "skillId", "skill_id")
"""Members of a message's metadata that name a skill: A2A has no place of its own for that."""
MAX_ID: Final = 256
"""Characters of a context or message id; they stand in every event."""
MAX_NAME: Final = 80
"""Characters of a message that become the name of its task."""


def flow_of(
    message: v1.Message,
    metadata: Mapping[str, Json],
    *,
    default_executor: str | None,
    knows: Callable[[str], bool],
    new_id: Callable[[], str],
) -> list[TaskInput]:
    """The tasks that a message wants executed; each has an id.

    A data part with `tasks` is a flow as tasks.execute takes it. Any other message is one task: its executor is the
    skill that its metadata name, else the default one; see `inputs_of` for its inputs. Errors: Fault.
    """
    check_ids(message)
    skill = _skill(message, metadata)
    brought = [(index, part.data["tasks"]) for index, part in enumerate(message.parts) if _has_tasks(part.data)]
    if brought and skill in (None, EXECUTE):
        if len(brought) > 1:
            raise invalid(f"message.parts[{brought[1][0]}]", "only one part may bring tasks")
        return _tasks(brought[0][1], new_id)
    if skill == EXECUTE:
        raise invalid("message.parts", f'the skill {EXECUTE} needs a data part with "tasks"')
    executor = skill or default_executor
    if executor is None:
        raise Fault("ContentTypeNotSupported", 'this agent takes data parts with "tasks", or a skill in the metadata')
    if not knows(executor):
        raise invalid("message.metadata.skill" if skill else "message", f"there is no skill {executor[:100]!r}")
    inputs = inputs_of(message)
    text = inputs.get("text")
    name = text.strip().partition("\n")[0][:MAX_NAME].strip() if isinstance(text, str) else ""
    return [
        TaskInput(id=new_id(), name=name or executor[:MAX_NAME], inputs=inputs, schemas=TaskSchemas(method=executor))
    ]


def inputs_of(message: v1.Message) -> dict[str, Json]:
    """A message as inputs: the members of its data parts, and its text parts as `text`, a line for each.

    Errors: Fault for files, and for data that is no object.
    """
    inputs: dict[str, Json] = {}
    texts: list[str] = []
    for index, part in enumerate(message.parts):
        if part.text is not UNSET:
            texts.append(part.text)
        elif part.raw_ is not UNSET or part.url is not UNSET:
            raise Fault("ContentTypeNotSupported", f"part {index} is a file; this agent takes text and data")
        elif is_object(part.data):
            inputs.update(part.data)
        else:
            raise invalid(f"message.parts[{index}].data", "an object is needed")
    if texts:
        inputs["text"] = "\n".join(texts)
    if not inputs:
        raise invalid("message.parts", "the message is empty")
    return inputs


def top_of(tasks: Sequence[TaskInput]) -> str:
    """The id of the task above all others; of what is no tree, one of them."""
    ids = {task.id for task in tasks}
    top = next((task for task in tasks if task.parent_id not in ids), tasks[0])
    return str(top.id).lower()


def check_ids(message: v1.Message) -> None:
    """Errors: Fault for ids that are too long to be kept beside a task."""
    for name, value in (("messageId", message.message_id), ("contextId", message.context_id)):
        if value is not UNSET and (len(value) > MAX_ID or "\0" in value):
            raise invalid(f"message.{name}", f"at most {MAX_ID} characters, and no NUL")
    if message.role != "ROLE_USER":
        raise invalid("message.role", "only users send messages to an agent")


def _has_tasks(data: Json) -> TypeGuard[dict[str, Json]]:
    return is_object(data) and "tasks" in data


def _skill(message: v1.Message, metadata: Mapping[str, Json]) -> str | None:
    for known in (message.metadata or {}, metadata):
        for name in SKILL_NAMES:
            skill = known.get(name)
            if isinstance(skill, str) and skill:
                return skill
    return None


def _tasks(given: Json, new_id: Callable[[], str]) -> list[TaskInput]:
    params: Json = {"tasks": given}
    try:
        decoded: TasksExecuteParams = CODEC.from_json("TasksExecuteParams", params)
    except ValidationError:
        raise fault_of(explain_params(EXECUTE, params)) from None
    if not decoded.tasks:
        raise invalid("tasks", "there is no task")
    return [task if task.id is not UNSET else replace(task, id=new_id()) for task in decoded.tasks]
