"""What the tests of durability rest on: they look at a node's tasks only once nothing more can happen to them."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path
from typing import Any, cast

import pytest
from durable_flows import Promises, check, new_id, wait_until_ended
from serving import Node, serving


class _Told:
    """In place of a node: tasks that are a step further each time that they are read, as a log of executions tells."""

    def __init__(self, log: Path, states: list[list[dict[str, Any]]]) -> None:
        self.reads = 0
        self._log = log
        self._states = states

    def result(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        assert method == "tasks.list"
        tasks = self._states[min(self.reads, len(self._states) - 1)]
        page = tasks[params["offset"] :]
        if not page:
            # Read whole: what was pending starts before anything else is asked.
            self.reads += 1
            self._log.write_text("".join(f"{task['id']}\n" for task in tasks if task["schemas"] is not None))
        return {"tasks": page, "total": len(tasks)}


def _task(task_id: str, status: str, **fields: Any) -> dict[str, Any]:
    is_begun = status not in ("pending", "cancelled")
    return {
        "id": task_id,
        "name": "task",
        "status": status,
        "schemas": {"method": "once"},
        "dependencies": [],
        "result": {"id": task_id} if status == "completed" else None,
        "error": None,
        "started_at": "2026-01-01T00:00:00Z" if is_begun else None,
        **fields,
    }


def test_flow_that_nobody_acknowledged_is_waited_for(tmp_path: Path) -> None:
    kept, flow = new_id(), new_id()
    other = _task(kept, "pending", name="kept", schemas=None)
    promises = Promises()
    promises.note(kept, name="kept")
    log = tmp_path / "executions"
    told = _Told(log, [[other, _task(flow, status)] for status in ("pending", "in_progress", "completed")])
    found = check(wait_until_ended(cast(Node, told)), promises, log)
    assert (told.reads, found) == (3, {"pending": 1, "completed": 1})


def test_execution_without_a_start_is_found(tmp_path: Path) -> None:
    task_id = new_id()
    log = tmp_path / "executions"
    log.write_text(f"{task_id}\n")
    with pytest.raises(AssertionError, match="was executed and never started"):
        check({task_id: _task(task_id, "cancelled")}, Promises(), log)
    with pytest.raises(AssertionError, match="was executed and is not stored"):
        check({}, Promises(), log)


def test_test_that_fails_leaves_no_connection_behind(tmp_path: Path) -> None:
    def fail() -> None:
        with serving(tmp_path) as node:
            node.result("tasks.list", {})
            raise AssertionError("as a test does")

    with pytest.raises(AssertionError, match="as a test does"):
        fail()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(each.message) for each in warned] == []
