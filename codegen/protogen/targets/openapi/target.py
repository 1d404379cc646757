"""A protocol as an OpenAPI 3.1 document: one virtual path per method, for the tools that speak OpenAPI alone.

Knows how a method is said in terms of HTTP. On the wire there is one address; who uses the document maps the paths to
it, wraps bodies into requests and turns errors into statuses, as `x-jsonrpc` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from protogen import ir
from protogen.described import component_keys, described, modernised, rebased
from protogen.links import Link, links
from protogen.output import GeneratedFile, Options, Renderer, header_lines, json_text
from protogen.problems import Problem
from protogen.targets.openapi.statuses import CONFLICT, STANDARD, STANDARD_NAMES, status

Json = Any

SCHEMAS = "#/components/schemas"
_ABOUT = """\
The paths of this document are virtual: all messages go to one address. To call a method, send `POST {path}` with the
JSON-RPC request {{"jsonrpc": "2.0", "id": …, "method": …, "params": …}}; the body described here is its `params`. The
answer is described whole. An error is answered with status 200 on the wire; the statuses here tell errors apart for
tools that expect them, and `x-jsonrpc` says which code has which."""


class OpenApiTarget:
    """The Target that writes `openapi.json`."""

    name = "openapi"
    summary = "an OpenAPI 3.1 document, one virtual path per method, for fuzzers and other tools of HTTP"

    def generate(
        self, protocol: ir.Protocol, options: Options, renderer: Renderer
    ) -> tuple[list[GeneratedFile], list[Problem]]:
        """`openapi.json`: paths, errors, links between identifiers, components as 2020-12, the protocol's examples."""
        del options, renderer  # a document has neither package nor layout
        document = _Document(protocol).tree()
        text = json_text(document).encode("utf-8", "backslashreplace").decode()
        return [GeneratedFile(path="openapi.json", text=text + "\n")], []


class _Document:
    """One document in the making: the keys of components, and what each method links to."""

    def __init__(self, protocol: ir.Protocol) -> None:
        self._protocol = protocol
        self._definitions = described(protocol)
        self._table = ir.definition_table(protocol)
        self._keys = component_keys(self._definitions)
        errors = [f"Error.{code.name}" for code in protocol.errors]
        standard = [f"Error.JsonRpc.{name}" for name, _ in STANDARD_NAMES.values()]
        self._own = component_keys([*errors, *standard, "JsonRpc.Id"], self._keys.values())
        self._by_name = {code.name: code for code in protocol.errors}
        self._links = links(protocol)

    def tree(self) -> Json:
        protocol = self._protocol
        about = _ABOUT.format(path=protocol.http.path)
        doc = protocol.doc or protocol.summary
        return {
            "openapi": "3.1.0",
            "info": {
                "title": protocol.title,
                "version": protocol.version,
                "description": f"{doc}\n\n{about}" if doc else about,
                "x-generated": header_lines(protocol),
            },
            "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
            "servers": [{"url": "/"}],
            "tags": [{"name": role.name, "description": role.doc} for role in protocol.roles],
            "paths": {path(method): {"post": self._operation(method)} for method in protocol.methods},
            "components": {"schemas": self._schemas()},
            "x-jsonrpc": {
                "path": protocol.http.path,
                "statuses": {str(code): number for code, number in sorted(self._statuses().items())},
                "otherwise": CONFLICT,
            },
        }

    def _statuses(self) -> dict[int, int]:
        return STANDARD | {code.code: status(code) for code in reversed(self._protocol.errors)}

    # --- methods --------------------------------------------------------------------------------

    def _operation(self, method: ir.Method) -> Json:
        about: dict[str, Json] = {
            "operationId": method.name,
            "tags": [method.receiver],
            "summary": method.summary or method.doc.partition("\n")[0],
        }
        if method.doc:
            about["description"] = method.doc
        if method.deprecated:
            about["deprecated"] = True
        return {
            **about,
            "requestBody": self._body(method),
            "responses": self._responses(method),
            "x-jsonrpc": self._facts(method),
        }

    def _facts(self, method: ir.Method) -> Json:
        facts: dict[str, Json] = {
            "method": method.name,
            "kind": method.kind,
            "from": method.sender,
            "to": method.receiver,
            "params": method.param_structure if method.params is not None else "none",
            "idempotent": method.idempotent,
            "errors": sorted({self._by_name[name].code for name in method.errors if name in self._by_name}),
        }
        if method.since:
            facts["since"] = method.since
        if method.events is not None:
            facts["events"] = self._schema(method.events)
            facts["eventsAreResults"] = method.events_are_results
        return facts

    def _body(self, method: ir.Method) -> Json:
        examples = {
            example.name: {"summary": example.summary, "value": _member(example.request, "params", {})}
            for example in self._examples(method)
            if isinstance(_member(example.request, "params", {}), list) is (method.param_structure == "by-position")
        }
        content: dict[str, Json] = {"schema": self._params(method)}
        if examples:
            content["examples"] = examples
        return {"required": True, "content": {"application/json": content}}

    def _params(self, method: ir.Method) -> Json:
        if method.params is None:
            return {"type": "object"}
        record = self._table.get(method.params.name) if isinstance(method.params, ir.NamedType) else None
        if method.param_structure != "by-position" or not isinstance(record, ir.Record):
            return self._schema(method.params)
        needed = [at for at, field in enumerate(record.fields, start=1) if field.required]
        return {
            "type": "array",
            "prefixItems": [self._schema(field.type) for field in record.fields],
            "items": False,
            "minItems": needed[-1] if needed else 0,
        }

    def _responses(self, method: ir.Method) -> Json:
        if method.kind == "notification":
            return {"202": {"description": "Taken; a notification is never answered."}}
        result = self._schema(method.result) if method.result is not None else True
        good: dict[str, Json] = {"schema": self._envelope("result", result)}
        examples = {
            example.name: {"summary": example.summary, "value": example.response}
            for example in self._examples(method)
            if _member(example.response, "result") is not ir.UNSET
        }
        if examples:
            good["examples"] = examples
        content: dict[str, Json] = {"application/json": good}
        if method.events is not None:
            content["text/event-stream"] = {"schema": {"type": "string"}}
        answer: dict[str, Json] = {"description": "The result.", "content": content}
        found = self._links.get(method.name)
        if found:
            answer["links"] = _links(found)
        return {"200": answer, **self._refusals(method)}

    def _refusals(self, method: ir.Method) -> Json:
        """The errors of a method by status: those that it lists, and those that JSON-RPC answers anybody with."""
        listed = [self._by_name[name] for name in method.errors if name in self._by_name]
        codes = {code.code for code in listed}
        listed += [code for code in self._declared(STANDARD_NAMES) if code.code not in codes]
        codes |= {code.code for code in listed}
        groups: dict[int, list[tuple[int, str, str]]] = {}
        for code in listed:
            groups.setdefault(status(code), []).append((code.code, f"Error.{code.name}", code.message))
        for number, (name, message) in STANDARD_NAMES.items():
            if number not in codes:
                groups.setdefault(STANDARD[number], []).append((number, f"Error.JsonRpc.{name}", message))
        return {str(number): self._refusal(method, group) for number, group in sorted(groups.items())}

    def _declared(self, numbers: Iterable[int]) -> list[ir.ErrorCode]:
        """The protocol's own form of errors that JSON-RPC defines."""
        first: dict[int, ir.ErrorCode] = {}
        for code in self._protocol.errors:
            first.setdefault(code.code, code)
        return [first[number] for number in numbers if number in first]

    def _refusal(self, method: ir.Method, group: list[tuple[int, str, str]]) -> Json:
        """The answer for the errors (code, component, message) of one status."""
        arms = [{"$ref": f"{SCHEMAS}/{self._own[name]}"} for _, name, _ in group]
        content: dict[str, Json] = {"schema": self._envelope("error", arms[0] if len(arms) == 1 else {"anyOf": arms})}
        codes = {code for code, _, _ in group}
        examples = {
            example.name: {"summary": example.summary, "value": example.response}
            for example in self._examples(method)
            if _member(_member(example.response, "error"), "code") in codes
        }
        if examples:
            content["examples"] = examples
        said = "; ".join(f"{code} {message}" for code, _, message in group)
        return {"description": f"{said}.", "content": {"application/json": content}}

    def _envelope(self, member: str, schema: Json) -> Json:
        return {
            "type": "object",
            "required": ["jsonrpc", "id", member],
            "properties": {
                "jsonrpc": {"const": "2.0"},
                "id": {"$ref": f"{SCHEMAS}/{self._own['JsonRpc.Id']}"},
                member: schema,
            },
        }

    def _examples(self, method: ir.Method) -> list[ir.Example]:
        return [example for example in self._protocol.examples if example.method == method.name and example.valid]

    # --- components -----------------------------------------------------------------------------

    def _schemas(self) -> Json:
        place = {name: rebased(modernised(schema), self._keys, SCHEMAS) for name, schema in self._definitions.items()}
        schemas = {self._keys[name]: schema for name, schema in place.items()}
        schemas[self._own["JsonRpc.Id"]] = {
            "description": "The id of the request; null where it could not be read.",
            "type": ["string", "number", "null"],
        }
        for code in self._protocol.errors:
            data = self._schema(code.data) if code.data is not None else None
            schemas[self._own[f"Error.{code.name}"]] = _error(code.code, code.doc or code.message, data)
        declared = {code.code for code in self._protocol.errors}
        for number, (name, message) in STANDARD_NAMES.items():
            if number not in declared and self._protocol.methods:
                schemas[self._own[f"Error.JsonRpc.{name}"]] = _error(number, message, None)
        return schemas

    def _schema(self, type_: ir.Type) -> Json:
        """A type expression as a schema; messages are references, members by position may be anything."""
        match type_:
            case ir.NamedType(name=name):
                return {"$ref": f"{SCHEMAS}/{self._keys[name]}"}
            case ir.AnyType() | ir.LiteralType() | ir.TupleType():
                return {"const": type_.value} if isinstance(type_, ir.LiteralType) else {}
            case ir.NullableType(of=inner):
                return {"anyOf": [self._schema(inner), {"type": "null"}]}
            case ir.ListType(item=item):
                return {"type": "array", "items": self._schema(item)}
            case ir.MapType(value=value):
                return {"type": "object", "additionalProperties": self._schema(value)}
            case ir.NullType() | ir.BooleanType() | ir.StringType() | ir.IntegerType() | ir.NumberType():
                return {"type": _SCALARS[type(type_)]}


_SCALARS: dict[type, str] = {
    ir.NullType: "null",
    ir.BooleanType: "boolean",
    ir.StringType: "string",
    ir.IntegerType: "integer",
    ir.NumberType: "number",
}


def path(method: ir.Method) -> str:
    """The virtual path of a method; what a path or its template cannot hold is escaped."""
    return f"/rpc/{quote(method.name, safe='/.-_~$!*+,;=:@')}"


def _links(found: list[Link]) -> Json:
    """The links of a result by keys that say what they feed and from where."""
    made: dict[str, Json] = {}
    for link in found:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{link.target.name}.{link.wire}.from{link.pointer}")
        key, count = plain, 1
        while key in made:
            count += 1
            key = f"{plain}.{count}"
        made[key] = {
            "operationId": link.target.name,
            "description": f"{link.pointer} of the result is {link.wire} of {link.target.name}.",
            "requestBody": {link.wire: f"$response.body#/result{link.pointer}"},
        }
    return made


def _error(code: int, doc: str, data: Json) -> Json:
    properties: dict[str, Json] = {"code": {"const": code}, "message": {"type": "string"}}
    if data is not None:
        properties["data"] = data
    return {"description": doc, "type": "object", "required": ["code", "message"], "properties": properties}


def _member(value: Json, name: str, otherwise: Json = ir.UNSET) -> Json:
    return value.get(name, otherwise) if isinstance(value, dict) else otherwise


TARGET = OpenApiTarget()
