"""Protocol documents against their meta-schema, `schemas/protogen.schema.json`.

Only documents that declare `x-protocol` are protocol documents; a bare schema passes untouched.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from protogen.keywords import META_SCHEMA
from protogen.load import Document
from protogen.positions import escape
from protogen.problems import Problem, closest, error, warning
from protogen.resources import data_root


def check(document: Document) -> list[Problem]:
    """Every place where a protocol document breaks its meta-schema, in document order."""
    tree = document.tree
    if not isinstance(tree, dict):
        return []
    if "x-protocol" not in tree:
        return _unclaimed(document)
    if _accepts(tree):
        return []
    return _explain(document) or [
        error(
            "PG101",
            "breaks the meta-schema of protocol documents",
            fix="see schemas/protogen.schema.json",
            place=document.place(),
        )
    ]


def _unclaimed(document: Document) -> list[Problem]:
    """Methods in a document that does not say it is a protocol: read for its types, with a warning."""
    return [
        warning(
            "PG116",
            f'"{member}" is not read in a document without "x-protocol"',
            fix='add "x-protocol": {"name": ..., "version": ...} to describe a protocol',
            place=document.place(f"/{member}"),
        )
        for member in ("x-methods", "x-errors", "x-roles")
        if member in document.tree
    ][:1]


def text() -> str:
    """The meta-schema as it is kept, for editors."""
    return (data_root() / "schemas" / META_SCHEMA).read_text("utf-8")


@cache
def _meta_schema() -> dict[str, Any]:
    meta: dict[str, Any] = json.loads(text())
    return meta


def _accepts(tree: Any) -> bool:
    import jsonschema_rs

    def refuse(uri: str) -> Any:
        raise ValueError(f"nothing is fetched: {uri}")

    validator = jsonschema_rs.validator_for(_meta_schema(), validate_formats=False, retriever=refuse)
    return bool(validator.is_valid(tree))


def _explain(document: Document) -> list[Problem]:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError
    from referencing.jsonschema import EMPTY_REGISTRY

    def deepest(failure: ValidationError) -> ValidationError:
        """The cause that lies deepest in the document: what an author recognises."""
        while failure.context:
            failure = max(failure.context, key=lambda cause: (len(cause.absolute_path), -len(str(cause.message))))
        return failure

    validator = Draft202012Validator(_meta_schema(), registry=EMPTY_REGISTRY)
    found: dict[tuple[str, str], Problem] = {}
    for failure in validator.iter_errors(document.tree):
        cause = deepest(failure)
        pointer = "".join(f"/{escape(str(part))}" for part in cause.absolute_path)
        what, fix, member = _say(cause, document.tree)
        place = document.place(pointer + (f"/{escape(member)}" if member else ""))
        found.setdefault((pointer, what), error("PG101", what, fix=fix, place=place))
    return sorted(
        found.values(), key=lambda problem: (problem.place.line, problem.place.column) if problem.place else (0, 0)
    )


def _say(cause: Any, tree: Any) -> tuple[str, str, str]:
    """What is wrong, what to do, and the member concerned where the place is one below the failing object."""
    where = "/".join(str(part) for part in cause.absolute_path) or "the document"
    value = cause.validator_value
    match cause.validator:
        case "additionalProperties" | "unevaluatedProperties" | "propertyNames":
            known = list(cause.schema.get("properties", {}))
            allowed = [re.compile(pattern) for pattern in cause.schema.get("patternProperties", {})]
            members = cause.instance if isinstance(cause.instance, dict) else {}
            extra = [
                name for name in members if name not in known and not any(pattern.search(name) for pattern in allowed)
            ]
            name = str(extra[0]) if extra else ""
            hint = closest(name, known).removeprefix("; ") or f"use one of {', '.join(known)}"
            return f'{where}: "{name}" is no member here', hint, name
        case "required":
            missing = [name for name in value if name not in cause.instance]
            return f"{where}: {', '.join(missing)} missing", "add it", ""
        case "enum":
            choices = ", ".join(map(str, value))
            near = closest(str(cause.instance), map(str, value))
            return f"{where}: expected one of {choices}, got {cause.instance!r}{near}", "correct the value", ""
        case None:
            # A schema that is false, whose error has no step of its own: the member is the one with that very value.
            place = tree
            for part in cause.absolute_path:
                place = place[part]
            held = place.items() if isinstance(place, dict) else ()
            name = next((name for name, value in held if value is cause.instance), "")
            return f'{where}: "{name}" has no place here', "remove it", name
        case "type":
            return f"{where}: expected {value}, got {_short(cause.instance)}", "correct the value", ""
        case _:
            return f"{where}: {cause.message}", "see schemas/protogen.schema.json", ""


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
