"""Diagnostics: what is wrong or doubtful about a flow that can be read (spec section 9, Validation).

A fatal one keeps a flow from being stored; errors and warnings do not. All are found in one go. Knows neither plugins
nor routes: what is doubtful about those is found where they are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET

from . import documents, expressions, faults, paths, variables
from .expressions import Expression
from .faults import Pointer
from .model import Flow, Step
from .values import Json, is_object

Level: TypeAlias = Literal["fatal", "error", "warning"]

CODES: Final[Mapping[str, int]] = {
    "unreachableStep": 1000,
    "missingFlowName": 1001,
    "missingFlowDescription": 1002,
    "unvalidatedFieldAccess": 1003,
    "missingVariableSchema": 1004,
    "untypedComponentOutput": 1100,
    "typeCheckIndeterminate": 1101,
    "noPluginsConfigured": 1200,
    "noRoutingRulesConfigured": 1201,
    "unusedPlugin": 1202,
    "mockComponent": 1500,
    "invalidFieldAccess": 2000,
    "emptyComponentName": 2001,
    "schemaViolation": 2002,
    "invalidSubflowLiteral": 2003,
    "undefinedVariable": 2004,
    "undefinedRequiredVariable": 2005,
    "typeMismatch": 2100,
    "unknownPropertyInPath": 2101,
    "invalidRouteReference": 2200,
    "invalidComponent": 2500,
    "duplicateStepId": 3000,
    "emptyStepId": 3001,
    "selfReference": 3002,
    "undefinedStepReference": 3003,
    "invalidReferenceExpression": 3004,
}
"""Every kind of diagnostic there is, with its code."""

OUTPUT: Final = "workflow_output"
"""What stands for the output of a flow where data of a diagnostic names a step; the input is `workflow_input`."""

SUBFLOW_INPUTS: Final = {"put_blob": "data", "map": "workflow", "iterate": "flow"}
"""Builtin components with the member of their input that may be a flow."""


class Diagnostic(msgspec.Struct, frozen=True, kw_only=True):
    """A finding about a flow. `at`: the way to what it is about, in the document."""

    kind: str
    formatted: str
    at: Pointer
    data: dict[str, Json] = {}
    experimental: bool = False

    @property
    def code(self) -> int:
        """The number of the kind."""
        return CODES[self.kind]

    @property
    def level(self) -> Level:
        """How bad it is: the thousands of the code."""
        return "warning" if self.code < 2000 else "error" if self.code < 3000 else "fatal"


def wire(found: Iterable[Diagnostic]) -> dict[str, Json]:
    """Diagnostics as the HTTP API tells them, with their numbers."""
    all_ = list(found)
    count = {level: sum(it.level == level for it in all_) for level in ("fatal", "error", "warning")}
    return {
        "diagnostics": [_wire(it) for it in all_],
        "numFatal": count["fatal"],
        "numError": count["error"],
        "numWarning": count["warning"],
    }


def _wire(it: Diagnostic) -> dict[str, Json]:
    written: dict[str, Json] = {"kind": it.kind, "code": it.code, "level": it.level, "formatted": it.formatted}
    if it.data:
        written["data"] = it.data
    if it.at:
        written["path"] = faults.show(it.at)
    return written | ({"experimental": True} if it.experimental else {})


def blocks(found: Iterable[Diagnostic]) -> bool:
    """Whether a flow with these diagnostics must not be stored."""
    return any(it.level == "fatal" for it in found)


def diagnose(flow: Flow) -> list[Diagnostic]:
    """All that is wrong or doubtful about a flow, and about the flows that are written inside it."""
    return [
        *_structure(flow),
        *_schemas(flow),
        *_references(flow),
        *_components(flow),
        *_unreachable(flow),
        *_subflows(flow),
    ]


def _structure(flow: Flow) -> Iterator[Diagnostic]:
    seen: dict[str, int] = {}
    for index, step in enumerate(flow.steps):
        at: Pointer = ("steps", index, "id")
        if not step.id.strip():
            yield Diagnostic(kind="emptyStepId", formatted="A step has an empty id; give it one", at=at)
        elif step.id in seen:
            text = f"Step {seen[step.id] + 1} has the id '{step.id}', too; give each its own"
            yield Diagnostic(kind="duplicateStepId", formatted=text, at=at, data={"step_id": step.id})
        seen.setdefault(step.id, index)
    if not (flow.name or "").strip():
        yield Diagnostic(kind="missingFlowName", formatted="The flow has no name", at=("name",))
    if flow.description is None:
        yield Diagnostic(kind="missingFlowDescription", formatted="The flow has no description", at=("description",))


def _schemas(flow: Flow) -> Iterator[Diagnostic]:
    for name in flow.schemas.misplaced:
        text = f"The schema '{name}' is ignored: it stands outside of 'properties'; write schemas.properties.{name}"
        data = {"step_id": name, "field": name, "violation": "outside of properties"}
        yield Diagnostic(kind="schemaViolation", formatted=text, at=("schemas", name), data=data)


def _components(flow: Flow) -> Iterator[Diagnostic]:
    for index, step in enumerate(flow.steps):
        at: Pointer = ("steps", index, "component")
        if not step.component.strip():
            text = f"Step '{step.id}' names no component"
            yield Diagnostic(kind="emptyComponentName", formatted=text, at=at, data={"step_id": step.id})
        elif not step.component.startswith("/"):
            error = "a component begins with '/'"
            text = f"Step '{step.id}' has the component '{step.component}': {error}, such as '/{step.component}'"
            data = {"step_id": step.id, "component": step.component, "error": error}
            yield Diagnostic(kind="invalidComponent", formatted=text, at=at, data=data)


# --- references -------------------------------------------------------------------------------------


class _Site(NamedTuple):
    """Whose expression is looked at: a step or the output, and what stands before it."""

    owner: str
    flow: Flow
    known: Mapping[str, None]
    """The ids of earlier steps, in their order."""


def _references(flow: Flow) -> Iterator[Diagnostic]:
    known: dict[str, None] = {}
    for index, step in enumerate(flow.steps):
        yield from _in_expression(step.input, ("steps", index, "input"), _Site(step.id, flow, known))
        known[step.id] = None
    yield from _in_expression(flow.output, ("output",), _Site(OUTPUT, flow, known))
    if flow.schemas.variables is UNSET and any(_uses_variables(flow)):
        text = "The flow uses variables and has no schema for them"
        yield Diagnostic(kind="missingVariableSchema", formatted=text, at=("schemas", "properties", "variables"))


def _uses_variables(flow: Flow) -> Iterator[bool]:
    for expression in (*(step.input for step in flow.steps), flow.output):
        for _, part in _all_parts(expression, ()):
            yield isinstance(part, expressions.VariableRef)


def _all_parts(expression: Expression, at: Pointer) -> Iterator[tuple[Pointer, Expression]]:
    """An expression and all inside it, in the order of the document."""
    pending = [(at, expression)]
    while pending:
        where, part = pending.pop()
        yield where, part
        pending += reversed([((*where, *way), inner) for way, inner in expressions.parts(part)])


def _in_expression(expression: Expression, at: Pointer, site: _Site) -> Iterator[Diagnostic]:
    for where, part in _all_parts(expression, at):
        match part:
            case expressions.StepRef(step, path):
                yield from _step_reference(step, path, where, site)
            case expressions.InputRef(path):
                schema = site.flow.schemas.input
                yield from _field_access("workflow_input", path, schema, "input", where, site.flow)
            case expressions.VariableRef(path, default):
                yield from _variable_reference(path, default is not None, where, site)
            case _:
                continue


def _step_reference(step: str, path: paths.Path, at: Pointer, site: _Site) -> Iterator[Diagnostic]:
    if step in site.known:
        schema = site.flow.schemas.steps.get(step, UNSET)
        yield from _field_access(step, path, schema, "output", at, site.flow)
    elif step == site.owner:
        text = f"Step '{step}' uses its own result"
        yield Diagnostic(kind="selfReference", formatted=text, at=at, data={"step_id": step})
    else:
        who = "The output" if site.owner == OUTPUT else f"Step '{site.owner}'"
        later = any(step == other.id for other in site.flow.steps)
        why = "comes later; move it up" if later else f"does not exist{_closest(step, site.known)}"
        data = {"from_step": site.owner, "referenced_step": step}
        text = f"{who} uses step '{step}', which {why}"
        yield Diagnostic(kind="undefinedStepReference", formatted=text, at=at, data=data)


def _closest(name: str, known: Iterable[str]) -> str:
    matches = get_close_matches(name, list(known), n=1)
    return f"; did you mean '{matches[0]}'?" if matches else ""


def _variable_reference(path: paths.Path, has_default: bool, at: Pointer, site: _Site) -> Iterator[Diagnostic]:
    schema = site.flow.schemas.variables
    if schema is UNSET or not path or not isinstance(path[0], str):
        return
    name = path[0]
    declared = variables.declared(schema)
    if name not in declared:
        context = f"step '{site.owner}'"
        kind = "undefinedVariable" if has_default else "undefinedRequiredVariable"
        text = f"The schema declares no variable '{name}'{_closest(name, declared)}"
        yield Diagnostic(kind=kind, formatted=text, at=at, data={"variable": name, "context": context})
    elif path[1:]:
        yield from _field_access(f"variable_{name}", path[1:], declared[name], "variable", at, site.flow)


def _field_access(
    owner: str, path: paths.Path, schema: Json, what: str, at: Pointer, flow: Flow
) -> Iterator[Diagnostic]:
    """What a schema says of a path: it is there, it cannot be there, or nobody knows."""
    if not path:
        return
    field = paths.show(path)
    data = {"step_id": owner, "field": field}
    verdict = "unknown" if schema is UNSET else _follow(schema, path, flow.schemas.defs)
    if verdict == "impossible":
        text = f"The schema of '{owner}' has nothing at {field}"
        yield Diagnostic(kind="unknownPropertyInPath", formatted=text, at=at, data=data)
    elif verdict == "unknown":
        reason = f"no {what} schema available" if schema is UNSET else f"the {what} schema does not tell"
        text = f"Whether '{owner}' has {field} cannot be known: {reason}"
        kind = "unvalidatedFieldAccess"
        yield Diagnostic(kind=kind, formatted=text, at=at, data=data | {"reason": reason}, experimental=True)


def _follow(schema: Json, path: paths.Path, defs: Mapping[str, Json]) -> Literal["known", "unknown", "impossible"]:
    """Where a path leads in a schema; only what certainly is not there is impossible."""
    for part in path:
        schema = _dereferenced(schema, defs)
        if not is_object(schema) or any(word in schema for word in _BRANCHING):
            return "unknown"
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if kinds and "null" not in kinds and ("array" if isinstance(part, int) else "object") not in kinds:
            return "impossible"
        members = schema.get("properties")
        if isinstance(part, str) and is_object(members) and part in members:
            schema = members[part]
        elif isinstance(part, str):
            is_closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
            return "impossible" if is_closed else "unknown"
        else:
            schema = schema.get("items")
    return "known"


_BRANCHING: Final = ("$ref", "anyOf", "oneOf", "allOf", "if", "not", "$dynamicRef")


def _dereferenced(schema: Json, defs: Mapping[str, Json]) -> Json:
    """What a schema refers to among the definitions of the flow, as far as that goes."""
    for _ in range(expressions.MAX_DEPTH):
        reference = schema.get("$ref") if is_object(schema) else None
        if not isinstance(reference, str):
            return schema
        home, _, name = reference.rpartition("/")
        if home not in ("#/$defs", "#/schemas/$defs") or name not in defs:
            return schema
        schema = defs[name]
    return schema


# --- what is never needed, and flows inside -----------------------------------------------------------


def _unreachable(flow: Flow) -> Iterator[Diagnostic]:
    """Steps whose result no output and no step that must run can ever use, so that they never run."""
    needed = {step.id for step in flow.steps if step.must_execute}
    needed.update(_named(flow.output))
    for step in reversed(flow.steps):  # a step uses earlier ones alone
        if step.id in needed:
            needed.update(_named(step.input))
    for index, step in enumerate(flow.steps):
        if step.id not in needed:
            text = f"Step '{step.id}' never runs: the output does not need it, nor does a step that must run"
            data = {"step_id": step.id}
            yield Diagnostic(kind="unreachableStep", formatted=text, at=("steps", index), data=data)


def _named(expression: Expression) -> Iterator[str]:
    for _, part in _all_parts(expression, ()):
        if isinstance(part, expressions.StepRef):
            yield part.step


def _subflows(flow: Flow) -> Iterator[Diagnostic]:
    for index, step in enumerate(flow.steps):
        found = _subflow_of(step)
        if found is None:
            continue
        way, value = found
        at: Pointer = ("steps", index, "input", *way)
        inner, wrong = documents.read_flow(value)
        if wrong:
            where = faults.show(wrong[0].at)
            error = f"{where}: {wrong[0].what}" if where else wrong[0].what
            text = f"Step '{step.id}' has a flow that cannot be read: {error}"
            at = (*at, *wrong[0].at)
            yield Diagnostic(kind="invalidSubflowLiteral", formatted=text, at=at, data={"error": error})
        else:
            yield from (msgspec.structs.replace(it, at=(*at, *it.at)) for it in diagnose(inner))


def _subflow_of(step: Step) -> tuple[Pointer, Json] | None:
    """The flow that is written as a literal in the input of a builtin component, with the way to it."""
    component = step.component.removeprefix("/builtin").removeprefix("/")
    member = SUBFLOW_INPUTS.get(component)
    if member is None or not isinstance(step.input, expressions.Object):
        return None
    fields = dict(step.input.fields)
    if component == "put_blob" and fields.get("blob_type") != expressions.Scalar("flow"):
        return None
    match fields.get(member):
        case expressions.Literal(value):
            return (member, "$literal"), value
        case expressions.Scalar(value) if value is not None:
            return (member,), value
        case _:
            return None
