"""`kill -9` in the middle of an execution: what is repeated, and what is not."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from durable_flows import GONE, INTERRUPTED, all_tasks, new_id, wait_until_ended
from serving import serving

DEADLY = Path(__file__).with_name("deadly.py")


def kill_within(folder: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], int]:
    """The task after a restart, and how often it was executed."""
    log = folder / "executions"
    monkeypatch.setenv("APFLOW_EXECUTIONS", str(log))
    config = f'[executors]\nmodules = ["{DEADLY}"]\n'
    task_id = new_id()
    with serving(folder, config, is_killed=True) as node:
        with suppress(*GONE):
            node.call("tasks.execute", {"tasks": [{"id": task_id, "name": "x", "schemas": {"method": method}}]})
        node.process.wait(60)
        assert log.read_text().split() == [task_id]
    with serving(folder, config) as node:
        wait_until_ended(node)
        task = all_tasks(node)[task_id]
    return task, log.read_text().split().count(task_id)


def test_start_is_kept_before_an_executor_is_called_that_may_not_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, count = kill_within(tmp_path, "once", monkeypatch)
    assert (task["status"], task["error"], count) == ("failed", INTERRUPTED, 1)
    assert task["started_at"] < task["completed_at"]


@pytest.mark.parametrize("method", ["again", "prompt"])
def test_idempotent_executor_is_called_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    task, count = kill_within(tmp_path, method, monkeypatch)
    assert (task["status"], task["result"], count) == ("completed", {"id": task["id"]}, 2)
    assert task["started_at"] <= task["completed_at"]
