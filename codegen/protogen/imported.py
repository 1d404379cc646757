"""A document of any kind as a protocol document of our own: what `protogen import` writes.

Takes the definitions in normal form and the IR, so that building what is written gives the same SDK. Knows no kind.
"""

from __future__ import annotations

import re
from typing import Any

from protogen import ir
from protogen.normalise import NormalSchema, Schema
from protogen.positions import escape

_SCHEMA_MAPS = ("properties", "patternProperties")
_DATA = ("const", "enum", "default", "required", "examples", "discriminator", "enumNames", "x-enum-descriptions")
_PREFIX = "#/definitions/"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*([-+][0-9A-Za-z.-]+)?")


def as_document(protocol: ir.Protocol, normal: tuple[NormalSchema, ...]) -> dict[str, Any]:
    """The tree of a protocol document, 2020-12, every type of it under `$defs`."""
    about: dict[str, Any] = {
        "name": protocol_name(protocol.name),
        "version": protocol.version if _VERSION.fullmatch(protocol.version) else "0",
        "title": protocol.title or protocol.name,
    }
    if protocol.summary:
        about["summary"] = protocol.summary
    tree: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": about["title"]}
    if protocol.doc and protocol.doc != protocol.summary:
        tree["description"] = protocol.doc
    tree["x-protocol"] = about
    if protocol.roles:
        tree["x-roles"] = {role.name: {"summary": role.doc} if role.doc else {} for role in protocol.roles}
    http = _http(protocol.http)
    if http:
        tree["x-transports"] = {"http": http}
    if protocol.methods:
        tree["x-methods"] = {method.name: _method(method) for method in protocol.methods}
    if protocol.errors:
        tree["x-errors"] = {error.name: _error(error) for error in protocol.errors}
    tree["$defs"] = {entry.name: _modern(entry.schema) for entry in normal}
    return tree


def protocol_name(name: str) -> str:
    """`name` as protocol documents have it: lower case, digits and single dashes, a letter first."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return plain if _NAME.fullmatch(plain) else f"protocol-{plain}".rstrip("-")


def as_example(example: ir.Example) -> dict[str, Any]:
    """An example as a file of examples has it."""
    made: dict[str, Any] = {"name": example.name, "summary": example.summary, "valid": example.valid}
    if example.why:
        made["why"] = example.why
    if example.method is not None:
        made["method"] = example.method
    if example.type is not None:
        made |= {"type": example.type, "value": example.value}
    for member, value in (("request", example.request), ("response", example.response)):
        if value is not ir.UNSET:
            made[member] = value
    return made


def _method(method: ir.Method) -> dict[str, Any]:
    made: dict[str, Any] = {"kind": method.kind, "from": method.sender, "to": method.receiver}
    if method.mutual:
        made["mutual"] = True
    made["summary"] = method.summary or f"`{method.name}`."
    if method.doc:
        made["description"] = method.doc
    for member, type_ in (("params", method.params), ("result", method.result), ("events", method.events)):
        if isinstance(type_, ir.NamedType):
            made[member] = {"$ref": f"#/$defs/{escape(type_.name)}"}
    if method.events_are_results:
        made["eventFraming"] = method.event_framing
    if method.param_structure != "by-name":
        made["paramStructure"] = method.param_structure
    if method.errors:
        made["errors"] = list(method.errors)
    for member, said in (("idempotent", method.idempotent), ("deprecated", method.deprecated)):
        if said:
            made[member] = True
    return made | _said(("since", method.since), ("x-protogen-name", method.pin))


def _error(error: ir.ErrorCode) -> dict[str, Any]:
    made: dict[str, Any] = {"code": error.code, "message": error.message}
    if isinstance(error.data, ir.NamedType):
        made["data"] = {"$ref": f"#/$defs/{escape(error.data.name)}"}
    return made | _said(("description", error.doc), ("family", error.family), ("x-protogen-name", error.pin))


def _said(*members: tuple[str, str | None]) -> dict[str, Any]:
    return {member: text for member, text in members if text}


def _http(http: ir.HttpBinding) -> dict[str, Any]:
    plain = ir.HttpBinding()
    named = (("path", "path"), ("healthPath", "health_path"), ("instanceHeader", "instance_header"))
    return {
        member: getattr(http, field)
        for member, field in named
        if getattr(http, field) not in (None, getattr(plain, field))
    }


def _modern(schema: Schema) -> Schema:
    """A schema in normal form, which is draft-07 with notes, as 2020-12 says it."""
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword == "$ref":
            made[keyword] = f"#/$defs/{value.removeprefix(_PREFIX)}"
        elif keyword == "items" and isinstance(value, list):
            made["prefixItems"] = [_modern(entry) for entry in value]
        elif keyword == "additionalItems":
            made["items"] = _modern(value)
        elif keyword == "dependencies":
            required = {name: part for name, part in value.items() if isinstance(part, list)}
            schemas = {name: _modern(part) for name, part in value.items() if not isinstance(part, list)}
            made |= {"dependentRequired": required} if required else {}
            made |= {"dependentSchemas": schemas} if schemas else {}
        elif keyword in _SCHEMA_MAPS:
            made[keyword] = {name: _modern(part) for name, part in value.items()}
        elif keyword in _DATA or keyword.startswith("x-"):
            made[keyword] = value
        elif isinstance(value, list):
            made[keyword] = [_modern(part) if isinstance(part, (dict, bool)) else part for part in value]
        elif isinstance(value, dict):
            made[keyword] = _modern(value)
        else:
            made[keyword] = value
    return made
