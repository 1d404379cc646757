"""Where our schemas and the reference documents part, each place with its reason and a value that shows it.

A difference is written as what the reference would have to say there. Tests hold the corrected reference and our schema
to the same verdict on every sample, and each entry to its witness, so that an entry that has become needless fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PROTOCOL, FLOW, HTTP_API = "stepflow-protocol-0.9.json", "stepflow-flow-0.9.json", "stepflow-openapi-0.9.json"
ANY: dict[str, Any] = {}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def required(*names: str) -> dict[str, Any]:
    return {"type": "object", "required": list(names)}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One place where we read the protocol differently from a published schema."""

    documents: tuple[str, ...]
    place: str
    """Definition and the way within it, such as `Error/properties/data`."""
    corrected: Any
    """What the reference would say there if it said what we do."""
    reason: str
    witness: tuple[str, Any, bool]
    """A definition, a value that the two judge differently, and our verdict."""


def _null_counts_as_absent(place: str, witness: Any, *, documents: tuple[str, ...] = (PROTOCOL,)) -> Difference:
    return Difference(
        documents=documents,
        place=place,
        corrected=ANY,
        reason="oneOf of null and any value refuses null, which fits both; the runtime itself writes data: null, and "
        "receivers treat null as absent (digest section 2)",
        witness=(place.partition("/")[0], witness, True),
    )


# The order in which a runtime looks for the forms of an expression (digest section 9), written as one long condition:
# a second wording of what ours says as a union of disjoint arms.
EXPRESSION: dict[str, Any] = {
    "if": required("$literal"),
    "else": {
        "if": required("$if"),
        "then": {
            "required": ["then"],
            "properties": {"$if": ref("ValueExpr"), "then": ref("ValueExpr"), "else": ref("ValueExpr")},
        },
        "else": {
            "if": required("$coalesce"),
            "then": {"properties": {"$coalesce": {"type": "array", "items": ref("ValueExpr")}}},
            "else": {
                "if": required("$step"),
                "then": {"properties": {"$step": {"type": "string"}, "path": {"type": ["string", "null"]}}},
                "else": {
                    "if": required("$input"),
                    "then": {"properties": {"$input": {"type": ["string", "null"]}}},
                    "else": {
                        "if": required("$variable"),
                        "then": {"properties": {"$variable": {"type": "string"}, "default": ref("ValueExpr")}},
                        "else": {"additionalProperties": ref("ValueExpr"), "items": ref("ValueExpr")},
                    },
                },
            },
        },
    },
}

SCHEMA_OR_NULL: dict[str, Any] = {"type": ["object", "null"]}

DIFFERENCES: tuple[Difference, ...] = (
    _null_counts_as_absent("MethodRequest/properties/params", {"id": 1, "method": "blobs/get", "params": None}),
    _null_counts_as_absent("Notification/properties/params", {"method": "initialized", "params": None}),
    _null_counts_as_absent("Error/properties/data", {"code": 1, "message": "x", "data": None}),
    _null_counts_as_absent(
        "FlowError/properties/data",
        {"code": 1, "message": "x", "data": None},
        documents=(PROTOCOL, FLOW, HTTP_API),
    ),
    Difference(
        documents=(PROTOCOL,),
        place="Message",
        corrected={
            "type": "object",
            "not": {"required": ["result", "error"]},
            "if": {"required": ["id"]},
            "then": {"anyOf": [ref("MethodRequest"), ref("MethodSuccess"), ref("MethodError")]},
            "else": ref("Notification"),
        },
        reason="oneOf refuses every request, since one fits Notification as well; a message with an id is no "
        "notification, and one with both outcomes is no response (digest sections 2 and 13)",
        witness=("Message", {"jsonrpc": "2.0", "id": 1, "method": "blobs/get", "params": {}}, True),
    ),
    Difference(
        documents=(PROTOCOL, HTTP_API),
        place="WorkflowOverrides",
        corrected={"type": "object", "additionalProperties": ref("StepOverride")},
        reason="in the 0.9 dialect the map of steps travels itself; the member `steps` around it is of later dialects "
        "(digest sections 9 and 14)",
        witness=("WorkflowOverrides", {"greet": {"value": 1}}, True),
    ),
    Difference(
        documents=(FLOW, HTTP_API),
        place="ValueExpr",
        corrected=EXPRESSION,
        reason="oneOf refuses every expression, since one fits ObjectExpr as well, and takes malformed ones; the forms "
        "are looked for in a fixed order and other members ignored (digest section 9)",
        witness=("ValueExpr", {"$step": "greet"}, True),
    ),
    Difference(
        documents=(FLOW, HTTP_API),
        place="FlowSchema",
        corrected={
            "type": "object",
            "properties": {
                "type": {"const": "object"},
                "$defs": {"type": "object", "additionalProperties": {"type": "object"}},
                "properties": {
                    "type": "object",
                    "properties": {
                        "input": SCHEMA_OR_NULL,
                        "output": SCHEMA_OR_NULL,
                        "variables": SCHEMA_OR_NULL,
                        "steps": {
                            "type": ["object", "null"],
                            "properties": {
                                "type": {"const": "object"},
                                "properties": {"type": "object", "additionalProperties": {"type": "object"}},
                            },
                        },
                    },
                },
            },
        },
        reason="the schemas of a flow travel as one JSON Schema; the published shape is the runtime's own structure, "
        "which never travels (digest sections 9 and 14)",
        witness=("FlowSchema", {"type": "object", "properties": {"input": {}}}, True),
    ),
    *(
        Difference(
            documents=(FLOW, HTTP_API),
            place=f"{name}/properties/action",
            corrected={"const": action},
            reason="the published schema leaves the tag open, so that its union refuses everything; any other action "
            "is answered by 422 (digest section 9)",
            witness=(name, {"action": "skip"}, False),
        )
        for name, action in (("OnErrorFail", "fail"), ("OnErrorDefault", "useDefault"), ("OnErrorRetry", "retry"))
    ),
    Difference(
        documents=(FLOW, HTTP_API),
        place="OnErrorRetry/properties/maxRetries",
        corrected={"type": ["integer", "null"], "minimum": 0},
        reason="the action has this member, which the published schema leaves out (digest section 9)",
        witness=("OnErrorRetry", {"action": "retry", "maxRetries": -1}, False),
    ),
)
