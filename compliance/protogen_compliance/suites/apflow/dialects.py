"""Dialects of nodes that are there: apflow 0.18, the first implementation of the protocol."""

from __future__ import annotations

from protogen_compliance.dialects import Dialect, Spelling
from protogen_compliance.peer.rpc import Json


def _flat(params: Json) -> Json:
    updates = params.get("updates") if isinstance(params, dict) else None
    if not isinstance(updates, dict):
        return params
    return {**{name: value for name, value in params.items() if name != "updates"}, **updates}


def _page(_: Json, result: Json) -> Json:
    # No total, limit or offset: what the target does not tell is not made up for it.
    return {"tasks": result} if isinstance(result, list) else result


def _cancelled(_: Json, result: Json) -> Json:
    match result:
        case [{"task_id": str(), "status": str()} as first]:
            return first
        case _:
            return result


def _one_to_cancel(params: Json) -> Json:
    match params:
        case {"task_id": str(name), **others}:
            return {**others, "task_ids": [name]}
        case _:
            return params


def _clone(params: Json) -> Json:
    match params:
        case {"task_id": str(name), **others}:
            children = others.get("copy_children", False)
            return {"task_id": name, "origin_type": "copy", "recursive": children, "save": True}
        case _:
            return params


def _copied(_: Json, result: Json) -> Json:
    match result:
        case {"id": str(name), **others}:
            return {
                "original_task_id": others.get("original_task_id"),
                "copied_task_id": name,
                "status": others.get("status"),
            }
        case _:
            return result


DIALECTS: dict[str, Dialect] = {
    "apflow-0.18": Dialect(
        spellings={
            "tasks.update": Spelling("tasks.update", params=_flat),
            "tasks.list": Spelling("tasks.list", result=_page),
            "tasks.children": Spelling(
                "tasks.children", result=lambda _, result: {"children": result} if isinstance(result, list) else result
            ),
            "tasks.cancel": Spelling("tasks.cancel", params=_one_to_cancel, result=_cancelled),
            "tasks.copy": Spelling("tasks.clone", params=_clone, result=_copied),
        },
        deviations={
            "AF-UPDATE-004": "tasks.update takes the fields beside task_id; expected them in the member updates",
            "AF-LIST-003": "tasks.list answers with an array; expected an object with tasks, total, limit and offset",
            "AF-LIST-002": "tasks.list tells no total",
            "AF-CHILD-001": "tasks.children answers with an array; expected an object with the member children",
            "AF-CANCEL-007": "tasks.cancel takes task_ids and answers with an array; expected task_id and one object",
            "AF-COPY-001": "there is no tasks.copy; tasks.clone was used instead",
        },
    )
}
