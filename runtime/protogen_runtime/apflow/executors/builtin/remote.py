"""The executor `remote`: work for another node, given to it with the generated client and waited for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import msgspec
import trio
from apflow_protocol import (
    CODEC,
    NodeClient,
    Task,
    TasksCancelParams,
    TasksGetParams,
    TasksGetResult,
    TasksTreeParams,
    TasksTreeResult,
)
from apflow_protocol.rpc.errors import CallError

from protogen_runtime.apflow.executors.contract import Execution, ExecutorFailed, JsonObject
from protogen_runtime.apflow.executors.guard import Refused
from protogen_runtime.apflow.executors.outgoing import Outgoing
from protogen_runtime.apflow.executors.settings import ExecutorSettings
from protogen_runtime.apflow.executors.shapes import is_object

_SCHEMA: Final[JsonObject] = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {"type": "string", "minLength": 1, "maxLength": 8192},
        "tasks": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        "method": {"type": "string", "minLength": 1},
        "params": {"type": "object"},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "auth_token": {"type": "string", "minLength": 1},
        "timeout": {"type": "number", "exclusiveMinimum": 0},
    },
    "oneOf": [{"required": ["tasks"]}, {"required": ["method"]}],
}
_FIRST_PAUSE, _LAST_PAUSE = 0.05, 2.0
"""Seconds between looks at the remote task, which double: any node can be asked, not every one streams."""


class Remote:
    """Executes `tasks` on the node at `url` and returns `{"task": root}` once their root is completed.

    A root that fails or is cancelled there, or can no longer run, fails the task here. With `method` and `params` it
    makes one call and returns `{"result": …}`. Cancellation cancels what is not yet done there.
    """

    def __init__(self, outgoing: Outgoing, settings: ExecutorSettings) -> None:
        self._outgoing = outgoing
        self._settings = settings

    def get_input_schema(self) -> JsonObject:
        """`url` with `tasks`, or with `method` and `params`; `headers`, `auth_token`, `timeout` in seconds (300)."""
        return _SCHEMA

    async def execute(self, inputs: JsonObject, execution: Execution) -> JsonObject:
        """Call the node; ExecutorFailed for its errors, too."""
        headers = dict(inputs.get("headers", {}))
        if "auth_token" in inputs:
            headers["authorization"] = f"Bearer {inputs['auth_token']}"
        seconds = inputs.get("timeout", 300.0)
        try:
            self._outgoing.guard.check_url(inputs["url"])
            with trio.fail_after(seconds):
                async with (
                    self._outgoing.client() as http,
                    NodeClient.http(inputs["url"], http=http, headers=headers) as client,
                ):
                    if "method" in inputs:
                        return {"result": await client.call(inputs["method"], inputs.get("params", {}))}
                    return await self._flow(client, inputs, execution)
        except trio.TooSlowError:
            raise ExecutorFailed(f"the remote node did not finish within {seconds:g} s") from None
        except (CallError, Refused) as reason:
            raise ExecutorFailed(f"the remote node: {reason}") from None

    async def _flow(self, client: NodeClient, inputs: JsonObject, execution: Execution) -> JsonObject:
        answer = await client.call("tasks.execute", {"tasks": inputs["tasks"]})
        root_id = answer.get("root_task_id") if is_object(answer) else None
        if not isinstance(root_id, str):
            raise ExecutorFailed("the remote node did not say which task is the root")
        try:
            root = await self._settled(client, root_id, execution)
        except trio.Cancelled:
            with trio.move_on_after(self._settings.cancel_seconds, shield=True):
                await _cancel(client, root_id)
            raise
        if root.status != "completed":
            raise ExecutorFailed(f"the remote task is {root.status}: {root.error or 'no reason given'}")
        return {"task": msgspec.json.decode(CODEC.encode(root))}

    async def _settled(self, client: NodeClient, root_id: str, execution: Execution) -> TasksGetResult:
        """Wait for the root's end. ExecutorFailed where it cannot come any more."""
        pause = _FIRST_PAUSE
        before: list[Task] = []
        while True:
            root = await client.tasks_get(TasksGetParams(task_id=root_id))
            if root.status in ("completed", "failed", "cancelled"):
                return root
            if root.status == "in_progress":
                execution.report_progress(root.progress_or_default)
            else:
                tasks = list(_tasks(await client.tasks_tree(TasksTreeParams(task_id=root_id))))
                # Between the end of a task and the start of the next nothing runs, so one look is not enough.
                if tasks == before and (failed := _stopped_by(tasks)) is not None:
                    raise ExecutorFailed(
                        f"the remote flow ended before its root: {failed.name!r} is {failed.status}: {failed.error}"
                    )
                before = tasks
            await trio.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE)


def _tasks(tree: TasksTreeResult) -> Iterator[Task]:
    yield tree.task
    pending = [*tree.children_or_default]
    while pending:
        found = pending.pop()
        yield found.task
        pending += found.children_or_default


def _stopped_by(tasks: list[Task]) -> Task | None:
    if any(task.status == "in_progress" for task in tasks):
        return None
    return next((task for task in tasks if task.status in ("failed", "cancelled")), None)


async def _cancel(client: NodeClient, root_id: str) -> None:
    tree = await client.tasks_tree(TasksTreeParams(task_id=root_id))
    for task in _tasks(tree):
        # A task may have come to its end in the meantime; the others must not run on for that.
        with suppress(CallError):
            if task.status in ("pending", "in_progress"):
                await client.tasks_cancel(TasksCancelParams(task_id=task.id))
