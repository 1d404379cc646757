"""The life of a task: transitions, cancellation, re-execution, copies, executors (04-execution.md)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.plugin import Record, Unmet
from protogen_compliance.registry import clause, needs
from protogen_compliance.suites.apflow.node import (
    ERRORS,
    INVALID,
    RESULTS,
    STATUSES,
    TIMES,
    UUID4,
    Node,
    Task,
    needs_task,
)
from protogen_compliance.suites.apflow.scenes import Seen
from protogen_compliance.suites.apflow.timestamps import before, instant

FRESH = {"status": "pending", "result": None, "error": None, "started_at": None, "completed_at": None}
DEFINITION = ("name", "inputs", "schemas", "dependencies", "params", "priority")


def fields(task: Task, names: Iterable[str]) -> dict[str, Json]:
    """Some members of a task."""
    return {name: task.get(name, MISSING) for name in names}


# --- transitions ----------------------------------------------------------------------------------


def stays(node: Node, task_id: str, status: str, *attempts: str) -> None:
    """Each attempt to set another status is refused and changes nothing."""
    now = node.get(task_id).get("status")
    if now != status:
        raise Unmet(("AF-CANCEL-001", "AF-CANCEL-007", "AF-IND-005"), f"the task is {now}; it was to be {status}")
    for attempt in attempts:
        params = {"task_id": task_id, "updates": {"status": attempt}}
        reply = node.call("tasks.update", params)
        now = node.get(task_id).get("status")
        assert now == status, f"tasks.update took a task from {status} to {now}"
        assert reply.error is not None, f"tasks.update from {status} to {attempt} gave {reply.summary()}"


@clause("AF-STATE-002")
def test_pending_never_jumps_to_completed(node: Node) -> None:
    made = node.create()
    node.update(made, name="an update")
    stays(node, made, "pending", "completed")


@clause("AF-STATE-003")
def test_pending_never_jumps_to_failed(node: Node, unknown_executor: Seen) -> None:
    made = node.create()
    node.update(made, name="an update")
    stays(node, made, "pending", "failed")
    stranger = unknown_executor.end.get("stranger")
    if stranger is not None and stranger.get("status") == "failed":
        assert stranger.get("started_at"), "a task failed for want of an executor without having been in progress"


@clause("AF-STATE-004")
def test_completed_is_final(node: Node, diamond: Seen) -> None:
    others = [status for status in STATUSES if status != "completed"]
    stays(node, diamond.sent["e"]["id"], "completed", *others)


@clause("AF-STATE-005")
def test_cancelled_is_final(node: Node) -> None:
    made = node.create()
    node.ask("tasks.cancel", {"task_id": made})
    stays(node, made, "cancelled", "pending", "in_progress", "completed", "failed")


@clause("AF-STATE-006")
@needs("AF-STATE-002", "AF-STATE-004", "AF-STATE-005", "AF-ERR-014", "AF-ERR-021")
def test_refused_transition_is_told(node: Node) -> None:
    made = node.create()
    before_it = node.get(made)
    reply = node.call("tasks.update", {"task_id": made, "updates": {"status": "completed"}})
    assert reply.error is not None, f"pending to completed: {reply.summary()}"
    assert node.get(made) == before_it, "a refused transition changed the task"
    found = reply.data.get("current_status", MISSING) if isinstance(reply.data, dict) else MISSING
    if reply.code not in INVALID:
        assert found == "pending", f"data.current_status is {found!r}; expected 'pending'"


@clause("AF-STATE-007")
@needs("AF-EXEC-007")
@needs(*TIMES, *RESULTS)
def test_start_sets_its_fields(node: Node, ordering: Seen, diamond: Seen) -> None:
    during = ordering.more["during"]
    assert during.get("status") == "in_progress", f"a slow task was seen {during.get('status')} after pending"
    started = during.get("started_at")
    assert before(during.get("created_at"), started), f"started_at of a running task is {started!r}"
    assert before(started, during.get("updated_at")), "updated_at of a running task is before its started_at"
    if node.uses_echo:
        found = diamond.end["a"].get("result")
        assert found is None or _holds(found, "a"), f"inputs did not reach the executor; its result is {found!r}"


def _holds(value: Json, mark: str) -> bool:
    """Whether a result has the mark of its inputs somewhere."""
    if isinstance(value, dict):
        return any(_holds(item, mark) for item in value.values())
    if isinstance(value, list):
        return any(_holds(item, mark) for item in value)
    return bool(value == mark)


@clause("AF-STATE-008")
@needs(*TIMES, *RESULTS)
def test_completion_sets_its_fields(node: Node, diamond: Seen, ordering: Seen) -> None:
    for name, task in diamond.end.items():
        assert task.get("status") == "completed", f"{name} is {task.get('status')}"
        assert task.get("progress") == 1.0, f"progress of a completed task is {task.get('progress')!r}; expected 1.0"
        assert isinstance(task.get("result"), dict), f"the result of a completed task is {task.get('result')!r}"
        assert task.get("completed_at"), "completed_at of a completed task is null"
        assert before(task.get("completed_at"), task.get("updated_at")), "updated_at is before completed_at"
    assert ordering.end["required"].get("started_at"), "a dependant was not started when its dependency completed"


@clause("AF-STATE-009")
@needs(*TIMES, *ERRORS, "AF-DATA-021", "AF-DEP-009", "AF-DEP-013")
def test_failure_sets_its_fields(node: Node, failure: Seen) -> None:
    task = failure.end["x"]
    assert task.get("status") == "failed", f"a task whose executor fails is {task.get('status')}"
    assert task.get("error"), "error of a failed task is empty"
    assert task.get("completed_at"), "completed_at of a failed task is null"
    assert before(task.get("completed_at"), task.get("updated_at")), "updated_at is before completed_at"
    progress = task.get("progress")
    assert isinstance(progress, int | float), f"progress of a failed task is {progress!r}"
    assert 0 <= progress < 1, f"progress of a task that failed at once is {progress!r}"


@clause("AF-STATE-010")
@needs(*TIMES, *ERRORS, "AF-CANCEL-001", "AF-CANCEL-002")
def test_cancel_in_flight_sets_its_fields(node: Node, cancelled_running: Seen) -> None:
    assert cancelled_running.more["during"].get("status") == "in_progress", "the task was not seen in progress"
    task = cancelled_running.more["just_after"]
    assert task.get("status") == "cancelled", f"after tasks.cancel the task is {task.get('status')}"
    assert task.get("error"), "error of a cancelled task is empty"
    assert task.get("completed_at"), "completed_at of a cancelled task is null"
    assert task.get("started_at"), "started_at of a task that ran and was cancelled is null"
    assert before(task.get("completed_at"), task.get("updated_at")), "updated_at is before completed_at"
    later = cancelled_running.end["slow"]
    assert later.get("status") == "cancelled", f"the cancelled task is {later.get('status')} later"


@clause("AF-STATE-011")
@needs(*TIMES, *RESULTS, *ERRORS, "AF-CANCEL-001")
def test_cancel_of_a_pending_task_sets_its_fields(node: Node, cancelled_waiting: Seen) -> None:
    made = node.create()
    node.ask("tasks.cancel", {"task_id": made})
    for task in (node.get(made), cancelled_waiting.end["victim"]):
        found = fields(task, ("status", "started_at", "result"))
        expected = {"status": "cancelled", "started_at": None, "result": None}
        assert found == expected, f"a task that was cancelled while pending has {found}; expected {expected}"
        assert task.get("error"), "error of a cancelled task is empty"
        assert task.get("completed_at"), "completed_at of a cancelled task is null"
        assert task.get("progress") == 0, f"progress of a task that never ran is {task.get('progress')!r} (reading A48)"


@clause("AF-STATE-012")
@needs("AF-REEX-001")
@needs(*TIMES, *RESULTS, *ERRORS)
def test_reset_clears_what_a_run_left(node: Node, reset: Seen, record: Record, rerun_failed: Seen) -> None:
    if reset.replies["update"].error is not None:
        # Other ways lead there too (reading A21); then only what the second run left can be seen.
        record.note(f"tasks.update from failed to pending: {reset.replies['update'].summary()}")
        again = rerun_failed.end["again"]
        first = rerun_failed.end["first"]
        assert before(first.get("completed_at"), again.get("started_at")), "the second run kept the first's started_at"
        return
    found = fields(reset.end["reset"], [*FRESH, "progress"])
    expected = {**FRESH, "progress": 0.0}
    assert found == expected, f"a failed task that was reset has {found}; expected {expected}"


@clause("AF-STATE-013")
@needs("AF-REEX-005")
def test_reset_cascades(node: Node, rerun_completed: Seen) -> None:
    ran_again(rerun_completed, "b")


# --- cancellation ---------------------------------------------------------------------------------


@clause("AF-CANCEL-001")
@needs("AF-DEP-008")
def test_pending_and_running_tasks_can_be_cancelled(
    node: Node, cancelled_running: Seen, cancelled_waiting: Seen
) -> None:
    reply = cancelled_running.replies["cancel"]
    assert reply.error is None, f"cancelling a task in progress gave {reply.summary()}"
    reply = cancelled_waiting.replies["cancel"]
    assert reply.error is None, f"cancelling a pending task of a running flow gave {reply.summary()}"
    reply = node.call("tasks.cancel", {"task_id": node.create()})
    assert reply.error is None, f"cancelling a task that was only created gave {reply.summary()}"


@clause("AF-CANCEL-002")
@needs("AF-CANCEL-001")
def test_cancelled_task_stays_cancelled(node: Node, cancelled_running: Seen) -> None:
    status = cancelled_running.end["slow"].get("status")
    assert status == "cancelled", f"after the time its executor needed, a cancelled task is {status}"


@clause("AF-CANCEL-003")
@needs("AF-CANCEL-001", *ERRORS)
def test_message_becomes_the_error(node: Node, cancelled_waiting: Seen, record: Record) -> None:
    error = cancelled_waiting.end["victim"].get("error")
    assert isinstance(error, str), f"error of a cancelled task is {error!r}; expected a message"
    if "stopped by the kit" not in error:
        record.note(f"error_message is not taken (it is an extra parameter); the error is {error!r}")


@clause("AF-CANCEL-004")
@needs("AF-CANCEL-001", "AF-CANCEL-002")
def test_executor_is_stopped(node: Node, cancelled_running: Seen) -> None:
    names = ("status", "result", "error", "progress", "completed_at", "updated_at")
    just_after, later = (
        fields(it, names) for it in (cancelled_running.more["just_after"], cancelled_running.end["slow"])
    )
    assert later == just_after, f"a cancelled task went on changing: {just_after} and later {later}"


@clause("AF-CANCEL-005")
@needs("AF-DEP-014", "AF-DEP-015", "AF-CANCEL-001")
def test_dependants_of_a_cancelled_task_are_treated(node: Node, cancelled_running: Seen) -> None:
    found = {name: cancelled_running.end[name].get("status") for name in ("required", "optional")}
    assert found == {"required": "pending", "optional": "completed"}, f"dependants of a cancelled task are {found}"


@clause("AF-CANCEL-006")
@needs("AF-STATE-001")
def test_cancel_of_an_ended_task_changes_nothing(node: Node, diamond: Seen) -> None:
    ended = diamond.sent["e"]["id"]
    first = node.get(ended)
    reply = node.call("tasks.cancel", {"task_id": ended})
    assert node.get(ended).get("status") == first.get("status"), f"tasks.cancel of a completed task: {reply.summary()}"


@clause("AF-CANCEL-007")
@needs("AF-CANCEL-001")
def test_cancel_has_its_result(node: Node) -> None:
    made = node.create()
    reply = node.call("tasks.cancel", {"task_id": made})
    assert isinstance(reply.result, dict), f"expected {{task_id, status}}, got {reply.summary()}"
    found = fields(reply.result, ("task_id", "status"))
    assert found == {"task_id": made, "status": "cancelled"}, f"expected the task's id and cancelled, got {found}"


# --- re-execution ---------------------------------------------------------------------------------


@clause("AF-REEX-001", "AF-REEX-002")
@needs(*TIMES)
def test_failed_task_runs_again(node: Node, rerun_failed: Seen, record: Record) -> None:
    told = "; ".join(f"{way}: {reply.summary()}" for way, reply in rerun_failed.replies.items())
    done = [way for way, reply in rerun_failed.replies.items() if reply.error is None]
    assert done, f"a failed task can not be executed again (reading A21): {told}"
    record.note(f"re-execution by {done[0]}")
    first, again = rerun_failed.end["first"], rerun_failed.end["again"]
    later = before(first.get("completed_at"), again.get("started_at"))
    assert later, f"the task did not run a second time: first {first.get('started_at')}, then {again.get('started_at')}"


def ran_again(seen: Seen, name: str) -> None:
    """A task that had completed was reset, or has run once more."""
    reply = seen.replies["execute"]
    assert reply.error is None, f"executing a completed task again gave {reply.summary()}"
    first, now = seen.more["first"][name], seen.end[name]
    again = now.get("status") == "pending" or instant(now.get("completed_at")) != instant(first.get("completed_at"))
    assert again, f"{name} was neither reset nor run again: it completed at {first.get('completed_at')} as before"


@clause("AF-REEX-003")
@needs(*TIMES)
def test_completed_task_runs_again(node: Node, rerun_completed: Seen) -> None:
    ran_again(rerun_completed, "a")


@clause("AF-REEX-004")
def test_re_execution_of_a_cancelled_task_is_recorded(node: Node, record: Record) -> None:
    task = node.task("cancelled", node.slow())
    node.execute(task)
    node.ask("tasks.cancel", {"task_id": task["id"]})
    node.observed.rerun.add(task["id"])
    reply = node.call("tasks.execute", {"tasks": [task]})
    record.note(f"executing a cancelled task again: {reply.summary()}")


@clause("AF-REEX-005")
@needs("AF-REEX-003")
def test_dependants_run_again_too(node: Node, rerun_completed: Seen) -> None:
    for name in ("b", "c"):
        ran_again(rerun_completed, name)


@clause("AF-REEX-007")
@needs("AF-REEX-001")
def test_definition_is_kept_over_a_reset(node: Node, reset: Seen, rerun_failed: Seen) -> None:
    pairs = [(reset.end["first"], reset.end["reset"]), (rerun_failed.end["first"], rerun_failed.end["again"])]
    for first, again in pairs:
        changed = [name for name in DEFINITION if first.get(name) != again.get(name)]
        assert not changed, f"a reset changed {', '.join(changed)}"


# --- copies ---------------------------------------------------------------------------------------


def copied(node: Node, task_id: str, **more: Json) -> str:
    """Copies a task and returns the copy's id; raises Unmet, and skips the test where there are no copies at all."""
    if node.call("tasks.copy", {}).code == -32601:
        pytest.skip("there is no tasks.copy (reading A20)")
    result = node.ask("tasks.copy", {"task_id": task_id, **more})
    made = result.get("copied_task_id") if isinstance(result, dict) else None
    if not isinstance(made, str):
        raise Unmet(("AF-COPY-001",), f"tasks.copy returned {result!r}; expected copied_task_id")
    if not UUID4.fullmatch(made):
        raise Unmet(("AF-COPY-003",), f"the copy's id is {made!r}; expected a UUID of version 4")
    return made


@clause("AF-COPY-001")
def test_task_can_be_copied(node: Node, record: Record) -> None:
    made = node.create()
    reply = node.call("tasks.copy", {"task_id": made})
    if reply.code == -32601:
        record.warn("there is no tasks.copy (reading A20)")
        return
    assert isinstance(reply.result, dict), f"tasks.copy gave {reply.summary()}"
    found = fields(reply.result, ("original_task_id", "status"))
    assert found == {"original_task_id": made, "status": "pending"}, f"tasks.copy returned {reply.summary()}"
    assert isinstance(reply.result.get("copied_task_id"), str), f"tasks.copy returned {reply.summary()}"


@clause("AF-COPY-002")
@needs("AF-CREATE-005")
@needs("AF-COPY-001", "AF-DATA-002")
def test_tree_can_be_copied(node: Node) -> None:
    root = node.create(name="root")
    for number in range(2):
        node.create(name=f"child {number}", parent_id=root)
    copy = copied(node, root, copy_children=True)
    found = sorted(str(task.get("name")) for task in node.children(copy))
    assert found == ["child 0", "child 1"], f"the copy of a task with two children has {found}"


@clause("AF-COPY-003")
@needs("AF-COPY-001")
def test_copy_has_an_id_of_its_own(node: Node) -> None:
    made = node.create()
    copy = copied(node, made)
    assert copy != made, "the copy has the id of the original"
    assert node.get(copy).get("original_task_id") in (made, None), "original_task_id names another task"


@clause("AF-COPY-004")
@needs("AF-COPY-001", *TIMES, *RESULTS, *ERRORS)
def test_copy_starts_afresh(node: Node, diamond: Seen) -> None:
    copy = node.get(copied(node, diamond.sent["e"]["id"]))
    found = fields(copy, [*FRESH, "progress"])
    assert found == {**FRESH, "progress": 0.0}, f"the copy of a completed task has {found}"


@clause("AF-COPY-005")
@needs("AF-DATA-001")
@needs("AF-COPY-001", "AF-DATA-002")
def test_copy_keeps_the_definition(node: Node) -> None:
    sent = {"name": "to copy", "inputs": {"a": [1]}, "params": {"b": 2}, "schemas": node.ok()["schemas"]}
    copy = node.get(copied(node, node.create(**sent)))
    assert fields(copy, sent) == sent, f"the copy has {fields(copy, sent)}; expected {sent}"


@clause("AF-COPY-006")
@needs("AF-COPY-001")
def test_original_stays_as_it_was(node: Node) -> None:
    made = node.create(name="original", inputs={"a": 1})
    first = node.get(made)
    copied(node, made, copy_children=True)
    after = node.get(made)
    changed = [key for key in first if first[key] != after.get(key) and key not in ("has_references", "updated_at")]
    assert not changed, f"copying changed {', '.join(changed)} of the original"


@clause("AF-COPY-007")
@needs("AF-COPY-002")
def test_shared_dependency_is_copied_once(node: Node) -> None:
    root = node.create(name="root")
    shared = node.create(name="shared", parent_id=root)
    originals = {shared}
    for number in range(2):
        originals.add(node.create(name=f"child {number}", parent_id=root, dependencies=[needs_task({"id": shared})]))
    children = node.children(copied(node, root, copy_children=True))
    ids = {task["id"]: task for task in children}
    copies = [task for task in children if task.get("name") == "shared"]
    assert len(copies) == 1, f"a dependency of two children was copied {len(copies)} times"
    named = {it.get("id") for task in children for it in task.get("dependencies") or ()}
    assert named == {copies[0]["id"]}, f"dependencies of the copies name {named - ids.keys() or named}; expected copies"


# --- executors, inputs ----------------------------------------------------------------------------


@clause("AF-EXEC-005")
@needs("AF-EXEC-008")
def test_unregistered_executor_can_not_run(node: Node, unknown_executor: Seen) -> None:
    end = unknown_executor.end.get("stranger")
    assert end is None or end.get("status") != "completed", "a task with an executor nobody registered completed"


@clause("AF-EXEC-007")
@needs(*RESULTS)
def test_executor_is_found_by_method(node: Node, diamond: Seen, failure: Seen) -> None:
    found = (diamond.end["e"].get("status"), failure.end["x"].get("status"))
    assert found == ("completed", "failed"), f"tasks of two executors, one that fails, ended as {found}"
    if node.uses_echo:
        result = diamond.end["e"].get("result")
        assert result is None or _holds(result, "e"), f"the echo executor returned {result!r}"


@clause("AF-EXEC-008")
@needs("AF-ERR-008")
def test_unknown_executor_fails_the_task(node: Node, unknown_executor: Seen) -> None:
    reply, end = unknown_executor.replies["execute"], unknown_executor.end.get("stranger")
    method = unknown_executor.sent["stranger"]["schemas"]["method"]
    if end is None:
        named = method in str(reply.error)
        assert reply.code not in (-32601, -32603), f"an unknown executor gave {reply.summary()}"
        assert named or reply.code == -32003, f"the error neither is -32003 nor names the executor: {reply.summary()}"
        return
    assert end.get("status") == "failed", f"a task with an unknown executor is {end.get('status')}; expected failed"
    assert method in str(end.get("error")), f"the error does not name the executor {method}: {end.get('error')!r}"


@clause("AF-EXEC-009")
def test_at_least_one_executor_is_there(node: Node, diamond: Seen) -> None:
    assert any(task.get("status") == "completed" for task in diamond.end.values()), "no executor completed a task"


@clause("AF-VAL-004")
def test_inputs_fit_their_schema(node: Node, schema_broken: Seen) -> None:
    good = schema_broken.end["good"].get("status")
    assert good == "completed", f"a task whose inputs fit its input_schema is {good}"
    bad = schema_broken.end.get("bad")
    if bad is not None:
        assert bad.get("status") == "failed", f"a task whose inputs break its input_schema is {bad.get('status')}"


@clause("AF-VAL-005")
@needs("AF-VAL-004")
def test_inputs_are_checked_before_the_executor_runs(node: Node, schema_broken: Seen) -> None:
    bad = schema_broken.end.get("bad")
    assert bad is None or bad.get("result") is None, "a task with bad inputs has a result"


@clause("AF-VAL-007")
def test_executor_checks_its_inputs(node: Node) -> None:
    task = node.task("bad seconds", node.does("slow", {"seconds": "not a number"}))
    reply = node.call("tasks.execute", {"tasks": [task]})
    if reply.error is None:
        (end,) = node.settled(task)
        assert end.get("status") == "failed", (
            f"an executor took inputs that make no sense; the task is {end.get('status')}"
        )
