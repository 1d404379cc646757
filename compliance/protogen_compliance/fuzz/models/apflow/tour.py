"""The tour: every rule of the protocol once, as short walks that each run begins with.

Walks find what comes of combinations; the tour does not leave to chance what one or two actions show.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from protogen_compliance.fuzz.description import Json
from protogen_compliance.fuzz.models.apflow.draws import (
    BAD_FIELDS,
    BAD_TREES,
    CREATE_BAD,
    FIELDS,
    JUMPS,
    METHODS,
    READ_ONLY,
    SCHEDULES,
    SMUGGLED,
)

Actions: TypeAlias = list[tuple[str, dict[str, Json]]]

RESULTS = ("ok", "fail")


def tour(busy_seconds: float, beside_seconds: float) -> Iterator[tuple[str, Actions]]:
    """Short walks with what each is about."""
    yield from _creation()
    yield from _updates()
    yield from _deletion()
    yield from _questions()
    yield from _copies()
    yield from _execution(beside_seconds)
    for by in ("again", "delete", "move", "give", "cancel"):
        yield f"busy: {by}", [("busy", {"tasks": _gated("slow", busy_seconds, (None, False)), "by": by})]


def _create(name: str, **more: Json) -> tuple[str, dict[str, Json]]:
    return "create", {"as": name, "kind": "ok", "fields": {}, **more}


def _family() -> Actions:
    """t1 over t2 and t4, t2 over t3, t3 over t5; t4 waits for t2, t3 for t1, t5 for t4."""
    return [
        _create("t1"),
        _create("t2", parent="t1"),
        _create("t3", parent="t2", after=[["t1", False]]),
        _create("t4", parent="t1", after=[["t2", None]]),
        _create("t5", parent="t3", after=[["t4", True]]),
    ]


def _ended(status: str) -> Actions:
    """t1 with such a status."""
    if status in ("completed", "failed"):
        return [("plan", {"tasks": [{"as": "t1", "kind": "ok" if status == "completed" else "fail"}]})]
    return [_create("t1"), *([("cancel", {"task": "t1"})] if status == "cancelled" else [])]


def _creation() -> Iterator[tuple[str, Actions]]:
    for name, values in FIELDS.items():
        for value in values:
            yield f"create: {name}", [_create("t1", kind="none", fields={name: value})]
    for schedule in SCHEDULES:
        for enabled in (True, False):
            fields = {**schedule, "schedule_enabled": enabled}
            yield "create: schedule", [_create("t1", fields=fields)]
    for smuggled in SMUGGLED:
        yield "create: read-only", [_create("t1", smuggled=smuggled)]
    for what, wrong, about in CREATE_BAD:
        yield f"create: {what}", [("create_bad", {"what": what, "fields": wrong, "about": about})]
    for origin in ("link", "archive"):
        bad = {"what": f"a {origin} of a pending task", "about": "source", "fields": {"origin_type": origin}}
        yield f"create: {origin}", [_create("t1"), ("create_bad", {**bad, "task": "t1"})]
    several = {"what": "an empty name and a priority of 9", "fields": {"name": "", "priority": 9}, "several": True}
    yield "create: two faults", [("create_bad", several)]


def _updates() -> Iterator[tuple[str, Actions]]:
    for name, values in FIELDS.items():
        yield f"update: {name}", [_create("t1", kind="none"), ("update", {"task": "t1", "fields": {name: values[0]}})]
    yield "update: dependencies", [*_family(), ("update", {"task": "t3", "fields": {}, "after": [["t4", True]]})]
    for fields in READ_ONLY:
        yield "update: read-only", [_create("t1"), ("read_only", {"task": "t1", "fields": fields})]
    for what, fields in BAD_FIELDS:
        bad = {"task": "t1", "about": "field", "what": what, "fields": {"name": "half an update", **fields}}
        yield f"update: {what}", [_create("t1"), ("update_bad", bad)]
    for to, origins in JUMPS:
        for origin in origins:
            what = f"a change of the status from {origin} to {to}"
            bad = {"task": "t1", "about": "status", "fields": {"status": to}, "from": [origin], "what": what}
            yield what, [*_ended(origin), ("update_bad", bad)]
    for about in ("id", "self", "unknown-dependency", "unknown-parent"):
        bad = {"task": "t1", "about": about, "what": f"an update with {about}"}
        yield f"update: {about}", [_create("t1"), ("update_bad", bad)]
    for about, task, other in (("cycle", "t2", "t4"), ("cycle", "t1", "t3"), ("parent-circle", "t1", "t3")):
        bad = {"task": task, "other": other, "about": about, "what": f"an update with {about}"}
        yield f"update: {about}", [*_family(), ("update_bad", bad)]


def _deletion() -> Iterator[tuple[str, Actions]]:
    for task in ("t1", "t2", "t3", "t4", "t5"):
        yield "delete", [*_family(), ("delete", {"task": task})]
    for status in ("completed", "failed", "cancelled"):
        yield f"delete: {status}", [*_ended(status), ("delete", {"task": "t1"})]
    for method in METHODS:
        for deleted in (False, True):
            actions: Actions = [_create("t1"), ("delete", {"task": "t1"})] if deleted else []
            yield f"unknown: {method}", [*actions, ("unknown", {"method": method, "deleted": deleted})]
    for status in ("pending", "completed", "failed", "cancelled"):
        yield f"cancel: {status}", [*_ended(status), ("cancel", {"task": "t1"})]


def _questions() -> Iterator[tuple[str, Actions]]:
    for task in ("t1", "t2"):
        yield "tree", [*_family(), ("tree", {"task": task}), ("children", {"task": task})]
    cancelled: Actions = [*_family(), ("cancel", {"task": "t3"})]
    for status in (None, "pending", "cancelled", "completed"):
        yield "list", [*cancelled, ("list", {"status": status, "limit": None, "offset": None})]
    for limit, offset in ((1, 0), (2, 1), (2, 3), (1000, None), (None, 2)):
        yield "list", [*_family(), ("list", {"status": None, "limit": limit, "offset": offset})]


def _copies() -> Iterator[tuple[str, Actions]]:
    for children in (True, False):
        copy = ("copy", {"task": "t1", "children": children, "as": "t9"})
        yield "copy", [*_family(), copy]
        for status in ("completed", "failed", "cancelled"):
            yield f"copy: {status}", [*_ended(status), copy]
        fields = {"priority": 0, "params": {"b": [True]}, "inputs": {"a": 1}}
        yield "copy: fields", [_create("t1", kind="none", fields=fields), copy]


def _gated(kind: str, wait: float, requireds: tuple[bool | None, ...]) -> list[Json]:
    """A root, and tasks that wait for it."""
    root: Json = {"as": "t1", "kind": kind, "wait": wait, "fields": {}}
    return [
        root,
        *(
            {"as": f"t{at}", "kind": "ok", "parent": "t1", "after": [["t1", required]], "fields": {}}
            for at, required in enumerate(requireds, start=2)
        ),
    ]


def _execution(beside_seconds: float) -> Iterator[tuple[str, Actions]]:
    for about in BAD_TREES:
        yield f"execute: {about}", [("execute_bad", {"about": about})]
    for kind in (*RESULTS, "slow"):
        tasks = _gated(kind, 0.05, (None, True, False))
        yield f"execute: after {kind}", [("plan", {"tasks": tasks})]
        yield f"execute again: after {kind}", [("plan", {"tasks": tasks}), ("run", {"task": "t1"})]
        yield f"execute alone: after {kind}", [("plan", {"tasks": tasks}), ("run", {"task": "t1", "alone": True})]
    for kind in RESULTS:
        yield "execute: events", [("plan", {"tasks": _gated(kind, 0, (None, False)), "stream": True})]
    yield "execute: what was created", [*_family(), ("run", {"task": "t1"}), ("tree", {"task": "t1"})]
    fields = {"priority": 0, "params": {"b": [True]}}
    kept: Actions = [("plan", {"tasks": [{"as": "t1", "kind": "ok", "fields": fields}]}), ("run", {"task": "t1"})]
    yield "execute again: definition", kept
    for order in ((3, 2, 1, 0), (0, 1, 2, 3), (3, None, 1)):
        tasks = _gated("slow", 0.05, (True,) * len(order))
        for task, priority in zip(tasks[1:], order, strict=True):
            task["fields"] = {} if priority is None else {"priority": priority}
        yield "execute: priorities", [("plan", {"tasks": tasks})]
    slow = {"kind": "slow", "wait": beside_seconds, "parent": "t1", "fields": {}}
    beside = [{"as": "t1", "kind": "ok", "fields": {}}, {**slow, "as": "t2"}, {**slow, "as": "t3"}]
    yield "execute: beside each other", [("plan", {"tasks": beside})]
    below: list[Json] = [
        {"as": "t1", "kind": "ok", "fields": {}},
        {"as": "t2", "kind": "slow", "wait": 0.05, "parent": "t1", "after": [["t1", None]], "fields": {}},
    ]
    yield "execute: below a task that it waits for", [("plan", {"tasks": below})]
