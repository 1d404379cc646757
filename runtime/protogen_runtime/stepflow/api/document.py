"""The OpenAPI 3.1 document of the API, made from the table of operations."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec

from protogen_runtime.stepflow.plugins.contract import DialectName
from protogen_runtime.stepflow.runs.blobs import MAX_FILENAME_CHARACTERS

from .exchange import ErrorAnswer
from .operations import EVENT, PREFIX, Events, Operation, operations

_REF: Final = "#/components/schemas/{name}"

_EXPRESSION: Final = {
    "description": 'Any JSON; {"$step": …}, {"$input": …}, {"$variable": …}, {"$if": …}, {"$coalesce": …} and '
    '{"$literal": …} stand for values.'
}


def _action(name: str, **members: Any) -> dict[str, Any]:
    return {"type": "object", "required": ["action"], "properties": {"action": {"const": name}, **members}}


DOCUMENTS: Final[dict[str, Any]] = {
    "Flow": {
        "description": "A flow: steps, each the call of a component, and what comes out in the end.",
        "type": "object",
        "properties": {
            "name": {"type": ["string", "null"]},
            "description": {"type": ["string", "null"]},
            "version": {"type": ["string", "null"]},
            "schemas": {"description": "JSON Schemas of input, output, variables and steps, below `properties`."},
            "steps": {"type": ["array", "null"], "items": {"$ref": _REF.format(name="Step")}},
            "output": {"$ref": _REF.format(name="ValueExpr")},
            "test": {"anyOf": [{"$ref": _REF.format(name="TestConfig")}, {"type": "null"}]},
            "examples": {"type": ["array", "null"], "items": {"$ref": _REF.format(name="ExampleInput")}},
            "metadata": {"type": ["object", "null"]},
        },
    },
    "Step": {
        "description": "The call of a component; steps refer to earlier ones.",
        "type": "object",
        "required": ["id", "component"],
        "properties": {
            "id": {"type": "string", "description": "Not empty, or the flow is not stored."},
            "component": {"type": "string", "examples": ["/builtin/eval"]},
            "input": {"$ref": _REF.format(name="ValueExpr")},
            "onError": {"anyOf": [{"$ref": _REF.format(name="ErrorAction")}, {"type": "null"}]},
            "mustExecute": {"type": ["boolean", "null"]},
            "metadata": {"type": ["object", "null"]},
        },
    },
    "ErrorAction": {
        "description": "What becomes of a step whose component fails.",
        "oneOf": [
            _action("fail"),
            _action("useDefault", defaultValue={"description": "The result in place of the failure; a literal."}),
            _action("retry", maxRetries={"type": ["integer", "null"], "minimum": 0}),
        ],
    },
    "TestConfig": {
        "description": "Cases that a flow should pass, and the configuration that they need.",
        "type": "object",
        "properties": {
            "configFile": {"type": ["string", "null"]},
            "config": {},
            "cases": {"type": ["array", "null"], "items": {"$ref": _REF.format(name="TestCase")}},
        },
    },
    "TestCase": {
        "type": "object",
        "required": ["name", "input"],
        "properties": {
            "name": {"type": "string"},
            "description": {"type": ["string", "null"]},
            "input": {},
            "output": {"description": "The FlowResult that a run must match."},
        },
    },
    "ValueExpr": _EXPRESSION,
}
"""Schemas of what is no class here: documents are read by rules of their own."""

FILE_NAME: Final = {"type": "string", "minLength": 1, "maxLength": MAX_FILENAME_CHARACTERS}

MAKERS: Final = {
    "store_flow": ("flow_id", "flowId"),
    "create_run": ("run_id", "runId"),
    "store_blob": ("blob_id", "blobId"),
}
"""Operations that make something: the parameter that takes its id, and the member that tells it."""

PATH_PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "run_id": {"type": "string", "format": "uuid"},
    "flow_id": {"type": "string", "description": "64 lower-case hexadecimal digits"},
    "blob_id": {"type": "string", "description": "64 lower-case hexadecimal digits"},
}


def document(dialect: DialectName, version: str) -> dict[str, Any]:
    """The OpenAPI document of a dialect; `version` is that of the runtime."""
    table = operations(dialect)
    kinds = _kinds(table)
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    refs = dict(zip(kinds, schemas, strict=True))
    for name in {it.body.__name__ for it in table if it.body is not None}:
        _allow_null(components[name])
    paths: dict[str, dict[str, Any]] = {}
    links = _links(table)
    for operation in table:
        told = _operation(operation, refs)
        paths.setdefault(operation.path, {})[operation.method.lower()] = told
        if operation.name in links:
            made = min(status for status in operation.answers if status < HTTPStatus.MULTIPLE_CHOICES)
            told["responses"][str(made)]["links"] = links[operation.name]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stepflow runtime",
            "version": version,
            "description": f"Flows, their runs and blobs, as dialect {dialect} of Stepflow has them.",
        },
        "servers": [{"url": PREFIX}],
        "paths": paths,
        "components": {"schemas": dict(sorted({**DOCUMENTS, **components}.items()))},
    }


def _links(table: list[Operation]) -> dict[str, dict[str, Any]]:
    """By the operation that makes something: how each operation on it is reached by the id that was answered."""
    found: dict[str, dict[str, Any]] = {
        maker: {
            it.name: {"operationId": it.name, "parameters": {parameter: f"$response.body#/{member}"}}
            for it in table
            if parameter in it.parameters
        }
        for maker, (parameter, member) in MAKERS.items()
    }
    body = {"flowId": "$response.body#/flowId", "input": [None]}
    found["store_flow"]["create_run"] = {"operationId": "create_run", "requestBody": body}
    return found


def _kinds(table: list[Operation]) -> list[Any]:
    """Every class that a body can be, each once, in the order of the table."""
    found: dict[Any, None] = {ErrorAnswer: None, EVENT: None}
    for operation in table:
        if operation.body is not None:
            found[operation.body] = None
        found.update({kind: None for kind in operation.answers.values() if kind is not None and kind is not Events})
    return list(found)


def _allow_null(schema: dict[str, Any]) -> None:
    """In bodies null is the same as leaving a member out."""
    required = schema.get("required", [])
    for name, member in schema["properties"].items():
        is_nullable = any(it.get("type") == "null" for it in member.get("anyOf", [])) or not member
        if name not in required and not is_nullable:
            schema["properties"][name] = {"anyOf": [member, {"type": "null"}]}


def _operation(operation: Operation, refs: dict[Any, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation), *_query_parameters(operation)],
        "responses": {str(status): _answer(status, kind, refs) for status, kind in sorted(operation.answers.items())},
    }
    if operation.name == "follow_run":
        told["parameters"].append(
            {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "integer", "minimum": 0}}
        )
    if operation.name == "get_blob":
        told["responses"]["200"]["content"]["application/octet-stream"] = {"schema": {}}
    if operation.body is not None:
        content: dict[str, Any] = {"application/json": {"schema": refs[operation.body]}}
        if operation.takes == "json or bytes":
            content["application/octet-stream"] = {"schema": {}}
            told["parameters"].append(
                {"name": "x-blob-filename", "in": "header", "required": False, "schema": FILE_NAME}
            )
        told["requestBody"] = {"required": True, "content": content}
    return told


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": PATH_PARAMETERS[name]} for name in operation.parameters
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    (_,), components = msgspec.json.schema_components([operation.query], ref_template=_REF)
    properties = components[operation.query.__name__].get("properties", {})
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in properties.items()]


def _answer(status: int, kind: Any, refs: dict[Any, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if kind is Events:
        data = {"type": "string", "contentMediaType": "application/json", "contentSchema": refs[EVENT]}
        members = {"id": {"type": "string"}, "event": {"type": "string"}, "data": data}
        # As OpenAPI 3.2 describes streams; readers of 3.1 see a body of this type, and no more.
        item = {"type": "object", "properties": members, "required": list(members)}
        told["content"] = {"text/event-stream": {"itemSchema": item}}
    elif kind is not None:
        told["content"] = {"application/json": {"schema": refs[kind]}}
    return told
