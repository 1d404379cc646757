"""Invariants of tasks: they hold for every task that this run has seen, in whatever state it was."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import pytest

from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.plugin import Unmet
from protogen_compliance.registry import clause, last, needs, sums
from protogen_compliance.suites.apflow.node import STATUSES, TERMINAL, UUID4, Node, Task
from protogen_compliance.suites.apflow.observed import Sighting
from protogen_compliance.suites.apflow.scenes import Seen
from protogen_compliance.suites.apflow.timestamps import before, instant

STAMPS = (
    *("created_at", "started_at", "updated_at", "completed_at"),
    *("schedule_start_at", "schedule_end_at", "next_run_at", "last_run_at"),
)
TRANSITIONS = (*("AF-STATE-001", "AF-STATE-002", "AF-STATE-003", "AF-STATE-004", "AF-STATE-005", "AF-STATE-016"),)
"""Where one of these is broken, tasks are in states whose fields nobody set."""

ENDED_BADLY = ("failed", "cancelled")


@pytest.fixture
def seen(
    node: Node, diamond: Seen, failure: Seen, cancelled_waiting: Seen, running: Seen, ordering: Seen
) -> list[Sighting]:
    """All tasks of the run; there is at least one in each state."""
    node.get(node.create())
    # What a reset leaves is the matter of AF-STATE-012.
    found = [it for it in node.observed.tasks if it.task.get("id") not in node.observed.rerun]
    states = {it.task.get("status") for it in found}
    lacking = [status for status in STATUSES if status not in states]
    if lacking:
        raise Unmet(("AF-IND-005", "AF-DATA-002"), f"no task of this run was seen {', '.join(lacking)}")
    return found


def is_uuid(value: Json) -> bool:
    """Whether a value is a UUID of version 4."""
    return isinstance(value, str) and UUID4.fullmatch(value) is not None


def is_whole(value: Json) -> bool:
    """Whether a value is an integer, and no boolean."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Json) -> bool:
    """Whether a value is a number, and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class Rule(NamedTuple):
    """What holds of a task in some states; a field that is not there is the matter of AF-DATA-001."""

    states: tuple[str, ...]
    field: str
    holds: Callable[[Json], bool]
    words: str


def is_null(value: Json) -> bool:
    """Whether a value is null."""
    return value is None


def is_set(value: Json) -> bool:
    """Whether a value is not null."""
    return value is not None


NOT_COMPLETED = tuple(status for status in STATUSES if status != "completed")
RULES: dict[str, tuple[Rule, ...]] = {
    "AF-DATA-004": (
        Rule(STATUSES, "id", is_uuid, "a UUID of version 4"),
        Rule(STATUSES, "parent_id", lambda v: v is None or is_uuid(v), "null or a UUID of version 4"),
    ),
    "AF-DATA-010": (Rule(STATUSES, "priority", lambda v: is_whole(v) and 0 <= v <= 3, "an integer 0..3"),),
    "AF-DATA-015": (Rule(NOT_COMPLETED, "result", is_null, "null unless completed"),),
    "AF-DATA-016": (Rule(("completed",), "result", is_set, "set when completed"),),
    "AF-DATA-017": (Rule(("completed",), "result", lambda v: v is None or isinstance(v, dict), "an object"),),
    "AF-DATA-018": (
        Rule(("pending", "in_progress", "completed"), "error", is_null, "null unless failed or cancelled"),
    ),
    "AF-DATA-019": (
        Rule(
            ENDED_BADLY,
            "error",
            lambda v: isinstance(v, str) and v != "",
            "a non-empty string when failed or cancelled",
        ),
    ),
    "AF-DATA-020": (
        Rule(
            ENDED_BADLY,
            "error",
            lambda v: v is None or (isinstance(v, str) and len(re.findall(r"\w{2,}", v)) > 0),
            "a text for people",
        ),
    ),
    "AF-DATA-021": (Rule(STATUSES, "progress", lambda v: is_number(v) and 0 <= v <= 1, "a number 0..1"),),
    "AF-DATA-023": tuple(
        Rule(STATUSES, name, lambda v: v is None or instant(v) is not None, "null or ISO 8601 with a zone")
        for name in STAMPS
    ),
    "AF-DATA-024": tuple(
        Rule(
            STATUSES,
            name,
            lambda v: (it := instant(v)) is None or it.utcoffset() == timedelta(0),
            "in UTC",
        )
        for name in ("created_at", "started_at", "updated_at", "completed_at")
    ),
    "AF-DATA-027": (Rule(("pending",), "started_at", is_null, "null while pending"),),
    "AF-DATA-028": (Rule(("in_progress",), "started_at", is_set, "set while in progress"),),
    "AF-DATA-029": (Rule(TERMINAL, "completed_at", is_set, "set in a terminal state"),),
    "AF-DATA-030": (Rule(("pending", "in_progress"), "completed_at", is_null, "null before the end"),),
    "AF-DATA-032": (
        Rule(STATUSES, "origin_type", lambda v: v in (None, "create", "link", "copy", "archive"), "an origin or null"),
    ),
}
"""Clause to what it demands of every task."""


@last
@needs("AF-COPY-003", "AF-CREATE-002", "AF-CANCEL-002", "AF-UPDATE-001", *TRANSITIONS)
@pytest.mark.parametrize(
    "rules", [pytest.param(rules, marks=clause(name), id=rules[0].field) for name, rules in RULES.items()]
)
def test_field_fits_the_state(node: Node, seen: list[Sighting], rules: tuple[Rule, ...]) -> None:
    for rule in rules:

        def wrong(task: Task, rule: Rule = rule) -> bool:
            applies = task.get("status") in rule.states and rule.field in task
            return applies and not rule.holds(task[rule.field])

        each(node, seen, wrong, f"{rule.field} is to be {rule.words}")


def each(node: Node, seen: list[Sighting], wrong: Callable[[Task], bool], words: str) -> None:
    """Shows the first task that is wrong."""
    found = [it for it in seen if wrong(it.task)]
    if found:
        node.log[:] = [found[0].reply.exchange]
    shown = {key: found[0].task.get(key, MISSING) for key in ("name", "status", *words.split()[:1]) if found}
    assert not found, (
        f"{words}; {len(found)} of {len(seen)} sightings are not so, the first from {found[0].method}: {shown}"
    )


@last
@clause("AF-DATA-002")
def test_id_name_and_status_are_always_there(node: Node, seen: list[Sighting]) -> None:
    for field in ("id", "name", "status"):

        def wrong(task: Task, field: str = field) -> bool:
            return field not in task

        each(node, seen, wrong, f"{field} is to be in every task")


@last
@clause("AF-DATA-009")
def test_status_is_one_of_five_everywhere(node: Node, seen: list[Sighting]) -> None:
    each(node, seen, lambda task: task.get("status", "pending") not in STATUSES, "status is to be one of five")


@last
@clause("AF-DATA-031")
@needs("AF-DATA-030")
@needs("AF-DATA-023")
def test_started_is_not_after_completed(node: Node, seen: list[Sighting]) -> None:
    def wrong(task: Task) -> bool:
        one, other = task.get("started_at"), task.get("completed_at")
        return one is not None and other is not None and not before(one, other)

    each(node, seen, wrong, "started_at is to be no later than completed_at")


@last
@clause("AF-STATE-014")
@needs(*TRANSITIONS)
@needs("AF-DATA-023", "AF-DATA-027", "AF-DATA-028", "AF-DATA-029", "AF-DATA-030", "AF-DATA-031")
def test_times_follow_the_transitions(node: Node, seen: list[Sighting]) -> None:
    for field in ("started_at", "completed_at"):

        def wrong(task: Task, field: str = field) -> bool:
            return task.get(field) is not None and not before(task.get("created_at"), task[field])

        each(node, seen, wrong, f"{field} is to be no earlier than created_at")
    each(
        node,
        seen,
        lambda task: task.get("status") in ("completed", "failed") and task.get("started_at") is None,
        "started_at is to be set in a task that ran",
    )


@last
@clause("AF-STATE-015")
@needs(*TRANSITIONS)
@sums(
    "AF-DATA-015",
    "AF-DATA-017",
    "AF-DATA-018",
    "AF-DATA-019",
    "AF-DATA-02",
    "AF-DATA-03",
    "AF-STATE-014",
    "AF-STATE-008",
)
@needs("AF-STATE-008")
def test_fields_fit_the_status_at_all_times(node: Node, seen: list[Sighting]) -> None:
    """Its parts are told apart above; what remains is progress."""
    each(
        node,
        seen,
        lambda task: task.get("status") == "completed" and task.get("progress", 1.0) != 1.0,
        "progress is to be 1.0 when completed",
    )


REACHABLE = {
    "pending": set(STATUSES),
    "in_progress": {"in_progress", *TERMINAL},
    "completed": {"completed"},
    "failed": set(STATUSES),
    "cancelled": {"cancelled"},
}
"""What a task may be seen as later; a failed one may be anything after a reset."""


@last
@clause("AF-STATE-001")
@needs("AF-CANCEL-002", "AF-STATE-004", "AF-STATE-005")
def test_states_follow_each_other_as_listed(node: Node, seen: list[Sighting]) -> None:
    states: dict[str, tuple[float, str]] = {}
    for it in sorted(seen, key=lambda it: it.reply.exchange.ended):
        known, now = it.task.get("id"), it.task.get("status")
        if not isinstance(known, str) or now not in STATUSES or known in node.observed.rerun:
            continue
        since, before_it = states.get(known, (0.0, "pending"))
        # Two reads that overlapped may have been answered in either order.
        if it.reply.exchange.started >= since:
            assert now in REACHABLE[before_it], f"a task was seen {before_it} and later {now}"
            states[known] = (it.reply.exchange.ended, now)
