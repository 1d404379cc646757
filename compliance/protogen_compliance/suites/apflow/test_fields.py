"""Fields of a task, one by one: which values a node takes, keeps and refuses (03-data-model.md, 09-validation.md)."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.plugin import Record, Unmet
from protogen_compliance.registry import clause, needs, sums
from protogen_compliance.suites.apflow.node import INVALID, UUID4, Node, Task, method_blame, needs_task, new_id
from protogen_compliance.suites.apflow.scenes import Seen
from protogen_compliance.suites.apflow.timestamps import before, from_now, instant

FAR = "2099-01-01T00:00:00Z"
"""A start for schedules that must not trigger during the run."""

ALL_FIELDS = (
    *("id", "parent_id", "user_id", "name", "status", "priority", "inputs", "schemas", "params", "result", "error"),
    *("dependencies", "progress", "created_at", "started_at", "updated_at", "completed_at", "origin_type"),
    *("original_task_id", "has_references", "schedule_type", "schedule_expression", "schedule_enabled"),
    *("schedule_start_at", "schedule_end_at", "next_run_at", "last_run_at", "max_runs", "run_count"),
)


class Values(NamedTuple):
    """Values of a field that a node has to refuse, and some beside them that it has to take."""

    field: str
    bad: tuple[Json, ...]
    good: tuple[Json, ...]


V1 = str(uuid.uuid1())
VALUES = {
    "AF-DATA-005": Values("parent_id", ("abc", "", 5, V1), (None,)),
    "AF-DATA-006": Values("user_id", ("", 5), ("kit-owner", None)),
    "AF-DATA-007": Values("name", ("", None, 5, "x" * 256), ("x", "ü" * 255)),
    "AF-DATA-010": Values("priority", (-1, 4, "2", 2.5, True, None), (0, 1, 2, 3)),
    "AF-DATA-011": Values("inputs", ([], "x", 5, None), ({}, {"deep": {"list": [1, None]}})),
    "AF-DATA-012": Values(
        "schemas", ("x", {}, {"type": "local"}, {"method": ""}, {"method": 5}, []), (None, {"method": "any"})
    ),
    "AF-DATA-013": Values(
        "schemas",
        ({"method": "any", "type": "bogus"}, {"method": "any", "type": 5}),
        tuple({"method": "any", "type": kind} for kind in ("local", "remote", "external")),
    ),
    "AF-DATA-014": Values("params", ([], "x", 5), ({}, {"key": [1]}, None)),
    "AF-DATA-023": Values(
        "schedule_start_at", ("yesterday", 5, "2025-13-01T00:00:00Z"), (FAR, "2099-01-01T00:00:00+02:00", None)
    ),
    "AF-DATA-032": Values("origin_type", ("bogus", 5), ("create", None)),
    "AF-DATA-033": Values("original_task_id", ("abc", 5, V1), (None,)),
    "AF-DEP-006": Values(
        "dependencies", ([{}], [{"id": 5}], ["x"], {}, [{"id": "abc"}], [{"id": None, "required": True}]), ([],)
    ),
    "AF-TIME-001": Values(
        "schedule_type", ("hourly", 5), ("once", "interval", "cron", "daily", "weekly", "monthly", None)
    ),
    "AF-TIME-006": Values("max_runs", (-1, 1.5, "x"), (0, 5, None)),
}
"""Clause to the values that its own test sends in tasks.create; other tests send them elsewhere."""


REFERENCES = {"parent_id": (-32010,), "dependencies": (-32011,)}
"""Fields whose bad values have a code of their own too."""


@pytest.mark.parametrize(
    "values", [pytest.param(values, marks=clause(name), id=values.field) for name, values in VALUES.items()]
)
def test_field_takes_good_values_and_no_bad_ones(node: Node, values: Values) -> None:
    for good in values.good:
        reply = node.call("tasks.create", _task(node, values.field, good))
        # An executor that nobody registered may be refused at once (reading A12); that is no matter of this field.
        if reply.result is MISSING and reply.code != -32003:
            raise Unmet(method_blame("tasks.create"), f"{values.field} {good!r} is valid and gave {reply.summary()}")
    for bad in values.bad:
        codes = (*INVALID, *REFERENCES.get(values.field, ()))
        params = _task(node, values.field, bad)
        node.refused(f"{values.field} {bad!r}", "tasks.create", params, codes=codes, field=values.field)


def _task(node: Node, field: str, value: Json) -> Task:
    return {"name": "kit", "user_id": node.user, field: value}


def _ignored(node: Node, field: str, bad: Json, right: tuple[Json, ...]) -> None:
    """A value of a field that belongs to the node is refused or left out; it is never shown."""
    reply = node.call("tasks.create", _task(node, field, bad))
    if reply.error is None:
        shown = node.get(reply.result["id"]).get(field, MISSING)
        assert shown in right, f"{field} {bad!r} was accepted and is shown as {shown!r}"


@clause("AF-DATA-021")
def test_progress_out_of_range_is_never_taken(node: Node) -> None:
    for bad in (1.5, -0.1, "x", None):
        _ignored(node, "progress", bad, (0.0,))


@clause("AF-DATA-034")
def test_has_references_is_boolean_and_follows_copies(node: Node, record: Record) -> None:
    made = node.create()
    assert node.get(made).get("has_references") is False, "has_references of a new task is not false"
    _ignored(node, "has_references", "x", (False,))
    copied = node.call("tasks.copy", {"task_id": made})
    if copied.result is not MISSING and node.get(made).get("has_references") is not True:
        record.warn("the source of a copy has has_references false (reading A23)")


@clause("AF-DATA-009")
def test_status_is_one_of_five(node: Node) -> None:
    made = node.create()
    node.listed(status="pending")
    node.refused(
        "status 'bogus' in an update",
        "tasks.update",
        {"task_id": made, "updates": {"status": "bogus"}},
        codes=(*INVALID, -32006),
    )
    node.refused("status 'bogus' in a filter", "tasks.list", {"status": "bogus"}, codes=(-32602,), field="status")


DEFAULTS: tuple[tuple[str, str, Json], ...] = (
    ("AF-DATA-010", "priority", 2),
    ("AF-DATA-011", "inputs", {}),
    ("AF-DATA-014", "params", None),
)


@pytest.mark.parametrize(
    ("field", "default"), [pytest.param(field, value, marks=clause(name), id=field) for name, field, value in DEFAULTS]
)
@needs("AF-DATA-001")
def test_absent_field_has_its_default(node: Node, field: str, default: Json) -> None:
    found = node.get(node.create()).get(field, MISSING)
    assert found == default, f"{field} was left out and is {found!r}; expected {default!r}"


@clause("AF-DATA-001")
@needs("AF-CREATE-005")
@needs("AF-DATA-002")
def test_all_fields_are_supported(node: Node) -> None:
    parent = node.create()
    needed = node.create(parent_id=parent)
    sent = {
        "name": "every field",
        "user_id": node.user,
        "parent_id": parent,
        "priority": 1,
        "inputs": {"a": 1, "b": [True, None, 2.5, "ü"]},
        "schemas": {**node.ok()["schemas"], "type": "local", "model": "m", "x_more": {"kept": 1}},
        "params": {"p": {"q": []}},
        "dependencies": [{"id": needed, "required": False}],
        "schedule_type": "daily",
        "schedule_expression": "09:30",
        "schedule_start_at": "2099-01-01T00:00:00Z",
        "schedule_end_at": "2099-12-31T00:00:00Z",
        "max_runs": 3,
    }
    task = node.get(node.create(**sent))
    missing = [name for name in ALL_FIELDS if name not in task]
    assert not missing, f"tasks.get leaves out {', '.join(missing)}"
    for name, value in sent.items():
        same = before(value, task[name]) and before(task[name], value) if name.endswith("_at") else task[name] == value
        assert same, f"{name} was sent as {value!r} and is {task[name]!r}"


@clause("AF-DATA-003")
def test_ids_are_unique(node: Node) -> None:
    owner = node.owner("ids")
    made = [node.create(user_id=owner) for _ in range(5)]
    assert len({it.lower() for it in made}) == 5, f"five tasks have the ids {made}"
    again = node.call("tasks.execute", {"tasks": [{**node.task("again", node.ok()), "id": made[0], "user_id": owner}]})
    listed = [task["id"] for task in node.listed(user_id=owner)]
    count = sum(it.lower() == made[0].lower() for it in listed)
    assert count == 1, f"after tasks.execute with the id of a task ({again.summary()}) there are {count} tasks of it"


@clause("AF-DATA-004")
@needs("AF-DATA-005", "AF-DEP-006")
def test_identifiers_are_version_4_and_checked(node: Node) -> None:
    made = node.create()
    assert UUID4.fullmatch(made), f"tasks.create returned {made!r}, no UUID of version 4"
    upper = node.call("tasks.get", {"task_id": made.upper()})
    assert upper.code not in INVALID, f"an id in upper case is valid and gave {upper.summary()}"
    for bad in ("abc", V1, made[:-1]):
        node.refused(f"task_id {bad!r}", "tasks.get", {"task_id": bad}, codes=(-32602, -32001), field="task_id")
        node.refused(f"parent_id {bad!r}", "tasks.create", _task(node, "parent_id", bad), codes=(*INVALID, -32010))
        params = _task(node, "dependencies", [{"id": bad}])
        node.refused(f"dependency {bad!r}", "tasks.create", params, codes=(*INVALID, -32011))
        reply = node.call("tasks.execute", {"tasks": [{**node.task("odd", node.ok()), "id": bad}]})
        if reply.error is None:
            found = node.call("tasks.get", {"task_id": bad})
            assert found.error is not None, f"tasks.execute stored a task under the id {bad!r}"
            assert bad not in [task.get("id") for task in node.listed()], f"tasks.list shows a task with the id {bad!r}"


@clause("AF-DATA-022")
def test_progress_moves_while_a_task_runs(node: Node, running: Seen, ordering: Seen) -> None:
    shown = [it.task for it in node.observed.tasks if it.task.get("status") == "in_progress"]
    if not any(0 < (task.get("progress") or 0) < 1 for task in shown):
        pytest.skip("no task of this run reported progress; that depends on its executor")


@clause("AF-DATA-025")
@needs("AF-DATA-023")
def test_created_at_is_the_time_of_creation(node: Node) -> None:
    task = node.get(node.create())
    made = instant(task.get("created_at"))
    assert made is not None, f"created_at of a new task is {task.get('created_at')!r}"
    off = abs(made - datetime.now(UTC))
    assert off < timedelta(minutes=5), f"created_at of a new task is {off} away from the time here"


@clause("AF-DATA-026")
@needs("AF-DATA-023")
def test_updated_at_moves_with_changes_alone(node: Node) -> None:
    made = node.create()
    first = node.get(made).get("updated_at")
    assert node.get(made).get("updated_at") == first, "reading a task changed its updated_at"
    node.update(made, name="another name")
    second = node.get(made).get("updated_at")
    assert before(first, second), f"updated_at went from {first!r} to {second!r}"
    assert first != second, "updated_at stayed as it was when the name changed"


@clause("AF-DATA-035")
def test_source_of_a_link_is_completed(node: Node, diamond: Seen) -> None:
    source = diamond.end["root"]["id"]
    for origin in ("link", "archive"):
        good = node.call("tasks.create", {**_task(node, "origin_type", origin), "original_task_id": source})
        assert good.result is not MISSING, f"{origin} of a completed task: {good.summary()}"
        what = f"{origin} of a pending task"
        bad = {**_task(node, "origin_type", origin), "original_task_id": node.create()}
        node.refused(what, "tasks.create", bad, codes=(-32005, -32602))
        unknown = {**bad, "original_task_id": new_id()}
        node.refused(f"{origin} of no task", "tasks.create", unknown, codes=(-32005, -32602, -32001))


@clause("AF-DATA-036")
@sums("AF-DATA-", "AF-TIME-00", "AF-DEP-006")
@needs(*VALUES)
def test_bad_values_are_refused_in_a_flow_too(node: Node) -> None:
    node.execute(node.task("good", node.ok()))
    for values in VALUES.values():
        if values.field in ("parent_id", "user_id", "original_task_id", "dependencies"):
            continue  # these are the tree's and the owner's matters here
        for bad in values.bad:
            task = {**node.task("bad", node.ok()), values.field: bad}
            node.refused(f"{values.field} {bad!r} in tasks[0]", "tasks.execute", {"tasks": [task]}, field=values.field)


DRAFT_07 = (
    ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1, "b": 2}, {"a": 1}),
    ({"properties": {"kind": {"const": "x"}}}, {"kind": "x"}, {"kind": "y"}),
    ({"dependencies": {"a": ["b"]}}, {"a": 1, "b": 2}, {"a": 1}),
)


@clause("AF-DATA-037")
@needs("AF-VAL-004")
def test_input_schemas_are_draft_07(node: Node) -> None:
    for schema, good, bad in DRAFT_07:
        schemas = {**node.ok()["schemas"], "input_schema": schema}
        fine = node.task("fine", inputs=good, schemas=schemas)
        wrong = node.task("wrong", inputs=bad, schemas=schemas)
        node.execute(fine)
        reply = node.call("tasks.execute", {"tasks": [wrong]})
        (end,) = node.settled(fine)
        assert end["status"] == "completed", f"{good} fits {schema}; the task is {end['status']}: {end.get('error')}"
        if reply.error is None:
            (end,) = node.settled(wrong)
            assert end["status"] == "failed", f"{bad} breaks {schema}; the task is {end['status']}"


# --- schedules ------------------------------------------------------------------------------------

GOOD_SCHEDULES = (
    *(("once", "2099-01-20T09:00:00Z"), ("interval", "3600"), ("cron", "0 9 * * 1-5"), ("cron", "*/15 0 1,15 * *")),
    *(("daily", "09:30"), ("daily", "23:59"), ("weekly", "mon,wed@09:30"), ("weekly", "sun@00:00")),
    *(("monthly", "1,15@09:30"), ("monthly", "31@09:30")),
)
BAD_SCHEDULES = (
    *(("once", "tomorrow"), ("interval", "-5"), ("interval", "abc"), ("cron", "61 * * * *"), ("cron", "* * *")),
    *(("daily", "25:00"), ("daily", "0930"), ("weekly", "xyz@09:30"), ("weekly", "mon 09:30")),
    *(("monthly", "32@09:30"), ("monthly", "1,15 09:30")),
)


def scheduled(node: Node, kind: Json, expression: Json, **fields: Json) -> Task:
    """A task with a schedule in force; it does not trigger during the run."""
    return {
        **_task(node, "schedule_enabled", True),
        "schedule_type": kind,
        "schedule_expression": expression,
        "schedule_start_at": FAR,
        **fields,
    }


@clause("AF-TIME-002")
def test_enabled_schedule_has_type_and_expression(node: Node) -> None:
    node.ask("tasks.create", scheduled(node, "daily", "09:30"), blame=("AF-TIME-007",))
    alone = _task(node, "schedule_enabled", True)
    node.refused("schedule_enabled alone", "tasks.create", alone)
    node.refused("no schedule_expression", "tasks.create", {**alone, "schedule_type": "daily"})
    node.refused("schedule_enabled 'yes'", "tasks.create", _task(node, "schedule_enabled", "yes"))
    node.refused("no schedule_type", "tasks.create", {**alone, "schedule_expression": "09:30"})


@clause("AF-TIME-003")
def test_disabled_schedule_does_nothing(node: Node) -> None:
    task = node.get(node.create(schedule_type="daily", schedule_expression="09:30"))
    assert task.get("next_run_at") is None, f"next_run_at of a disabled schedule is {task.get('next_run_at')!r}"


@clause("AF-TIME-004")
@needs("AF-TIME-006")
@needs("AF-DATA-001")
def test_run_count_is_not_above_max_runs(node: Node) -> None:
    reply = node.call("tasks.create", {**_task(node, "max_runs", 2), "run_count": 5})
    if reply.error is None:
        task = node.get(reply.result["id"])
        assert task.get("run_count") in (0, 1, 2), f"max_runs is 2 and run_count {task.get('run_count')!r}"
    counts = [(it.task.get("run_count"), it.task.get("max_runs")) for it in node.observed.tasks]
    over = [(count, limit) for count, limit in counts if isinstance(count, int) and limit is not None and count > limit]
    assert not over, f"run_count and max_runs of a task: {over[0]}"


@clause("AF-TIME-005")
def test_next_run_is_not_after_the_end(node: Node) -> None:
    soon = datetime.now(UTC) - timedelta(minutes=5)
    task = scheduled(node, "daily", f"{soon:%H:%M}", schedule_start_at=None, schedule_end_at=from_now(hours=1))
    made = node.ask("tasks.create", task, blame=("AF-TIME-007",))["id"]
    shown = node.get(made)
    run, end = shown.get("next_run_at"), shown.get("schedule_end_at")
    assert run is None or before(run, end), f"next_run_at is {run!r}, after schedule_end_at {end!r}"


@clause("AF-TIME-007")
def test_expression_fits_its_type(node: Node) -> None:
    for kind, expression in GOOD_SCHEDULES:
        reply = node.call("tasks.create", scheduled(node, kind, expression))
        if reply.error is not None and reply.code not in INVALID:
            raise Unmet(method_blame("tasks.create", "AF-DATA-023"), f"{kind} {expression!r} gave {reply.summary()}")
        assert reply.result is not MISSING, f"{kind} {expression!r} is valid and gave {reply.summary()}"
    for kind, expression in BAD_SCHEDULES:
        node.refused(f"{kind} {expression!r}", "tasks.create", scheduled(node, kind, expression))
    node.refused("an empty expression", "tasks.create", _task(node, "schedule_expression", ""))


@clause("AF-TIME-008")
def test_next_run_at_is_read_only(node: Node) -> None:
    made = node.create()
    reply = node.call("tasks.update", {"task_id": made, "updates": {"next_run_at": "2001-01-01T00:00:00Z"}})
    shown = node.get(made).get("next_run_at")
    assert shown is None, f"next_run_at is {shown!r} after tasks.update, which gave {reply.summary()}"


@clause("AF-TIME-009")
def test_scheduling_engine_is_recorded(node: Node, record: Record) -> None:
    made = node.ask("tasks.create", scheduled(node, "daily", "09:30"), blame=("AF-TIME-007",))["id"]
    record.note(f"next_run_at of an enabled schedule is {node.get(made).get('next_run_at')!r}")


# --- what came back -------------------------------------------------------------------------------


@clause("AF-VER-007")
def test_unknown_members_are_no_fault(node: Node) -> None:
    parent = node.create()
    needed = node.create(parent_id=parent, x_unknown=1)
    sent = {
        **_task(node, "x_unknown", {"a": [1]}),
        "parent_id": parent,
        "schemas": {**node.ok()["schemas"], "x_unknown": 1},
        "dependencies": [{**needs_task({"id": needed}), "x_unknown": 1}],
    }
    reply = node.call("tasks.create", sent, x_unknown=True)
    assert reply.result is not MISSING, f"unknown members in tasks.create: {reply.summary()}"
    changed = node.call("tasks.update", {"task_id": needed, "updates": {"name": "n", "x_more": 1}, "x_unknown": 1})
    assert changed.result is not MISSING, f"unknown members in tasks.update: {changed.summary()}"
    task = node.task("kit", node.ok(), x_unknown=1)
    run = node.call("tasks.execute", {"tasks": [task], "x_unknown": 1})
    assert run.result is not MISSING, f"unknown members in tasks.execute: {run.summary()}"
