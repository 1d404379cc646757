"""A protocol as an OpenRPC 1.3 document: the form that explorers and generators of JSON-RPC read.

Knows what OpenRPC can say; what it cannot (roles, events, types of error data) stands beside it under `x-`.
"""

from __future__ import annotations

from typing import Any

from protogen import ir
from protogen.described import component_keys, described, member_schema, rebased
from protogen.links import Link, links
from protogen.output import GeneratedFile, Options, Renderer, header_lines, json_text
from protogen.problems import Problem, warning

Json = Any

_SCHEMAS = "#/components/schemas"
_ERRORS = "#/components/errors"


class OpenRpcTarget:
    """The Target that writes `openrpc.json`."""

    name = "openrpc"
    summary = "an OpenRPC 1.3 document, for explorers, documentation and generators that read it"

    def generate(
        self, protocol: ir.Protocol, options: Options, renderer: Renderer
    ) -> tuple[list[GeneratedFile], list[Problem]]:
        """`openrpc.json`; a warning for each method whose params are no list of named members."""
        del options, renderer  # a document has neither package nor layout
        writer = _Document(protocol)
        text = json_text(writer.tree()).encode("utf-8", "backslashreplace").decode()
        return [GeneratedFile(path="openrpc.json", text=text + "\n")], writer.problems


class _Document:
    """One document in the making; `problems` are what OpenRPC cannot say."""

    def __init__(self, protocol: ir.Protocol) -> None:
        self._protocol = protocol
        self._definitions = described(protocol)
        self._table = ir.definition_table(protocol)
        self._keys = component_keys(self._definitions)
        self._error_keys = component_keys(code.name for code in protocol.errors)
        self._links = links(protocol)
        self.problems: list[Problem] = []

    def tree(self) -> Json:
        protocol = self._protocol
        doc = protocol.doc or protocol.summary
        schemas = {self._keys[name]: self._rebased(schema) for name, schema in self._definitions.items()}
        errors = {self._error_keys[code.name]: {"code": code.code, "message": code.message} for code in protocol.errors}
        return {
            "openrpc": "1.3.2",
            "info": {
                "title": protocol.title,
                "version": protocol.version,
                **({"description": doc} if doc else {}),
                "x-generated": header_lines(protocol),
            },
            "methods": [self._method(method) for method in protocol.methods],
            "components": {"schemas": schemas, "errors": errors},
            "x-roles": {role.name: {"summary": role.doc} for role in protocol.roles},
            "x-errors": {code.name: self._error(code) for code in protocol.errors},
            "x-transports": {"http": {"path": protocol.http.path}},
        }

    def _method(self, method: ir.Method) -> Json:
        about: dict[str, Json] = {"name": method.name}
        if method.summary:
            about["summary"] = method.summary
        if method.doc:
            about["description"] = method.doc
        about["tags"] = [{"name": method.receiver}] if method.receiver else []
        if method.deprecated:
            about["deprecated"] = True
        about["paramStructure"] = method.param_structure
        about["params"] = self._params(method)
        if method.kind == "request":
            result = method.result if method.result is not None else ir.AnyType()
            named = result.name if isinstance(result, ir.NamedType) and result.name else "result"
            about["result"] = {"name": named, "schema": self._type(result)}
        if method.errors:
            known = [name for name in method.errors if name in self._error_keys]
            about["errors"] = [{"$ref": f"{_ERRORS}/{self._error_keys[name]}"} for name in known]
        if method.name in self._links:
            about["links"] = [_link(link) for link in self._links[method.name]]
        pairings = [_pairing(example, method) for example in self._examples(method)]
        if pairings:
            about["examples"] = pairings
        return {**about, **self._beside(method)}

    def _params(self, method: ir.Method) -> Json:
        if method.params is None:
            return []
        name = method.params.name if isinstance(method.params, ir.NamedType) else ""
        record = self._table.get(name)
        while isinstance(record, ir.Alias) and isinstance(record.type, ir.NamedType) and record.type.name != name:
            name = record.type.name
            record = self._table.get(name)
        if not isinstance(record, ir.Record) or any(not field.wire for field in record.fields):
            what = f'the params of "{method.name}" are no list of named members'
            fix = 'OpenRPC cannot say what they are; its readers find the type under "x-params"'
            self.problems.append(warning("PG307", what, fix=fix, place=ir.place_of(record) if record else None))
            return []
        return [self._param(record, field) for field in record.fields]

    def _param(self, record: ir.Record, field: ir.Field) -> Json:
        schema = self._rebased(member_schema(record.name, field.wire, self._definitions))
        said = {"name": field.wire, **({"description": field.doc} if field.doc else {})}
        if isinstance(schema, dict) and schema.get("description") == field.doc:
            schema = {word: value for word, value in schema.items() if word != "description"}
        marks = {"deprecated": True} if field.deprecated else {}
        return {**said, "required": field.required, **marks, "schema": schema}

    def _beside(self, method: ir.Method) -> Json:
        """What OpenRPC has no word for, in the words of a protocol document."""
        said: dict[str, Json] = {"x-from": method.sender, "x-to": method.receiver}
        if method.params is not None:
            said["x-params"] = self._type(method.params)
        if method.events is not None:
            said["x-events"] = self._type(method.events)
            said["x-eventFraming"] = "results" if method.events_are_results else "events"
        if method.mutual:
            said["x-mutual"] = True
        if method.idempotent:
            said["x-idempotent"] = True
        if method.since:
            said["x-since"] = method.since
        return said

    def _error(self, code: ir.ErrorCode) -> Json:
        said: dict[str, Json] = {"code": code.code, "message": code.message}
        if code.doc:
            said["description"] = code.doc
        if code.family:
            said["family"] = code.family
        if code.data is not None:
            said["data"] = self._type(code.data)
        return said

    def _type(self, type_: ir.Type) -> Json:
        """A message's type: a reference, or any JSON."""
        return {"$ref": f"{_SCHEMAS}/{self._keys[type_.name]}"} if isinstance(type_, ir.NamedType) else {}

    def _rebased(self, schema: Json) -> Json:
        return rebased(schema, self._keys, _SCHEMAS)

    def _examples(self, method: ir.Method) -> list[ir.Example]:
        """The exchanges that go well: OpenRPC has no place for errors among examples."""
        return [
            example
            for example in self._protocol.examples
            if example.method == method.name
            and example.valid
            and isinstance(example.request, dict)
            and (method.kind == "notification" or (isinstance(example.response, dict) and "result" in example.response))
        ]


def _pairing(example: ir.Example, method: ir.Method) -> Json:
    request: dict[str, Json] = example.request if isinstance(example.request, dict) else {}
    params = request.get("params", {})
    members = enumerate(params, start=1) if isinstance(params, list) else params.items()
    pairing: dict[str, Json] = {
        "name": example.name,
        "description": example.summary,
        "params": [{"name": str(name) or "params", "value": value} for name, value in members],
    }
    if method.kind == "request" and isinstance(example.response, dict):
        pairing["result"] = {"name": "result", "value": example.response["result"]}
    return pairing


def _link(link: Link) -> Json:
    """A link by a runtime expression; OpenRPC writes the way into the result with dots."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in link.pointer.split("/")[1:]]
    return {
        "name": f"{link.target.name}.{link.wire}",
        "description": f"{link.pointer} of the result is {link.wire} of {link.target.name}.",
        "method": link.target.name,
        "params": {link.wire: f"${{{'.'.join(['result', *steps])}}}"},
    }


TARGET = OpenRpcTarget()
