"""Errors, methods, clients and handlers of the SDK as TypeScript declarations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from protogen import ir
from protogen.targets.typescript.layout import doc, enclosed, literal, string
from protogen.targets.typescript.names import Names, error_families
from protogen.targets.typescript.typing import Types

COMMON = "CommonErrorClasses"
"""The table of the errors that belong to no family."""


class Behaviour:
    """The declarations of errors.ts, methods.ts, client.ts and handlers.ts."""

    def __init__(self, protocol: ir.Protocol, names: Names, types: Types) -> None:
        self._protocol = protocol
        self._names = names
        self._types = types
        self._served: dict[str, list[ir.Method]] = {}
        self._families = error_families(protocol)
        self._family_of = {error.name: error.family for error in protocol.errors}
        self.callable_roles = tuple(role for role in protocol.roles if self.served(role))

    # --- errors ---------------------------------------------------------------------------------

    def error(self, error: ir.ErrorCode) -> str:
        """The class of one error."""
        own = self._names.errors[error.name]
        data = self._types.inline(error.data) if error.data is not None else "unknown"
        generic = "" if error.data is None else f"<{data}>"
        family = f" of `{error.family}`" if error.family is not None else ""
        comment = doc([error.doc, f"`{error.name}`{family}, code {error.code}."])
        shape = "" if error.data is None else f"  static readonly shape = {_shape(error.data)};\n"
        message = string(error.message)
        parameters = enclosed("constructor(", [f"data?: {data}", f"message = {message}"], ") {", indent=2)
        return (
            f"{comment}export class {own} extends RpcError{generic} {{\n"
            f"  static readonly code = {error.code};\n"
            f"{shape}"
            f"  override readonly name: string = {string(own)};\n\n"
            f"  {parameters}\n"
            f"    super({own}.code, message, data);\n"
            "  }\n"
            "}"
        )

    def families(self) -> tuple[str, ...]:
        """The classes of each family, and of the errors that belong to none; nothing where there are no families."""
        families = error_families(self._protocol)
        if not families:
            return ()
        common = class_list(COMMON, self._classes(None))
        return (
            *(self._family(family) for family in families),
            f"{doc(['The classes for errors of no family.'])}{common}",
        )

    def _family(self, family: str) -> str:
        listed = class_list(self._names.families[family], self._classes(family))
        return f"{doc([f'The classes for errors of `{family}`.'])}{listed}"

    def _classes(self, family: str | None) -> list[str]:
        return [self._names.errors[error.name] for error in self._protocol.errors if error.family == family]

    # --- methods --------------------------------------------------------------------------------

    def wire_names(self) -> tuple[str, ...]:
        """Members of the table of wire names."""
        first: dict[str, ir.Method] = {}
        for method in self._protocol.methods:
            first.setdefault(method.name, method)
        return tuple(
            f"{doc([method.summary], indent=2)}  {self._names.wire[wire]}: {string(wire)},"
            for wire, method in first.items()
        )

    def table(self, role: ir.Role) -> str:
        """The methods that one role serves."""
        members = self._names.members[role.name]
        rows = "".join(self._method(method, members[method.name]) for method in self.served(role))
        comment = doc([f"What the role `{role.name}` serves."])
        own = self._names.roles[role.name].methods
        return f"{comment}export const {own} = {{\n{rows}}} satisfies Record<string, MethodSpec>;"

    def served(self, role: ir.Role) -> list[ir.Method]:
        """The methods that a role serves."""
        if role.name not in self._served:
            self._served[role.name] = ir.served(self._protocol, role.name)
        return self._served[role.name]

    def _method(self, method: ir.Method, member: str) -> str:
        classes = [f"errors.{self._names.errors[name]}" for name in method.errors]
        rows = [
            f"name: {string(method.name)}",
            f"kind: {string(method.kind)}",
            f"member: {string(member)}",
            f"params: {_shape(method.params)}",
            f"result: {_shape(method.result)}",
            f"events: {_shape(method.events)}",
            *(["eventsAreResults: true"] if method.events_are_results else []),
            enclosed("errors: [", classes, "]", indent=4, after=1),
            self._other_errors(method),
            f"idempotent: {'true' if method.idempotent else 'false'}",
            f"structure: {string(method.param_structure)}",
            enclosed("positions: [", self._positions(method), "]", indent=4, after=1),
        ]
        body = "".join(f"    {row},\n" for row in rows)
        return f"{doc([method.summary], indent=2)}  {member}: {{\n{body}  }},\n"

    def _positions(self, method: ir.Method) -> list[str]:
        record = self._types.record(method.params)
        if method.param_structure == "by-name" or record is None:
            return []
        return [string(field.wire) for field in record.fields]

    def _other_errors(self, method: ir.Method) -> str:
        """Where to look a code up that the method does not list: in the tables of its families, then the common one."""
        if not self._protocol.errors or method.kind == "notification":
            return "otherErrors: []"
        families = self._families
        if not families:
            return "otherErrors: errors.ErrorClasses"
        by_name = self._family_of
        prefix = method.name.replace(".", "/").rpartition("/")[0]
        wanted = [*(by_name[name] for name in method.errors), prefix, prefix.partition("/")[0], method.receiver]
        tables = [self._names.families[each] for each in dict.fromkeys(wanted) if each is not None and each in families]
        if not tables:
            return f"otherErrors: errors.{COMMON}"
        spread = [f"...errors.{table}" for table in (*tables, COMMON)]
        return enclosed("otherErrors: [", spread, "]", indent=4, after=1)

    def _peers(self, role: ir.Role) -> list[ir.Role]:
        """The roles that `role` calls."""
        called = {method.receiver for method in ir.sent(self._protocol, role.name)}
        return [each for each in self._protocol.roles if each.name in called]

    def client(self, role: ir.Role) -> list[str]:
        """The options and the class of the client that calls one role."""
        names = self._names.roles[role.name]
        peers = [self._names.roles[peer.name] for peer in self._peers(role)]
        declarations: list[str] = []
        options = "ClientOptions"
        if peers:
            options = names.client_options
            handler = " & ".join(peer.handler for peer in peers)
            comment = doc([f"Settings of a {names.client}."])
            handled = doc([f"Serves what the role `{role.name}` calls during a call."], indent=2)
            declarations.append(
                f"{comment}export interface {options} extends ClientOptions {{\n"
                f"{handled}  readonly handler?: {handler};\n"
                "}"
            )
        made = ", ".join(f"{peer.dispatcher}(options.handler)" for peer in peers)
        setup = f"    const callbacks = options.handler === undefined ? [] : [{made}];\n" if peers else ""
        given = "callbacks" if peers else "callbacks: []"
        constructor = enclosed(
            "constructor(", ["target: string | URL | Connection", f"options: {options} = {{}}"], ") {", indent=2
        )
        methods = "".join(self._client_methods(role))
        declarations.append(
            f"{doc([f'Calls the role `{role.name}`.', role.doc])}"
            f"export class {names.client} extends RpcClient {{\n"
            f"{doc(['`target` is the URL to post to, or a connection such as that of a spawned process.'], indent=2)}"
            f"  {constructor}\n"
            f"{setup}    super(target, options, {{ codec, http: httpBinding, {given} }});\n"
            "  }\n"
            f"{methods}"
            "}"
        )
        return declarations

    def _client_methods(self, role: ir.Role) -> Iterable[str]:
        table = self._names.roles[role.name].methods
        members, streams = self._names.members[role.name], self._names.streams[role.name]
        for method in self.served(role):
            member = members[method.name]
            comment = doc([method.summary, method.doc, *self._remarks(method)], tags=_tags(method), indent=2)
            result = "void" if method.kind == "notification" else self._types.inline(method.result)
            verb = "_notify" if method.kind == "notification" else "_request"
            parameters, params = self._parameters(method)
            head = enclosed(f"async {member}(", parameters, f"): Promise<{result}> {{", indent=2)
            yield (f"\n{comment}  {head}\n    return this.{verb}({table}.{member}, {params}, options);\n  }}\n")
            if method.events is None:
                continue
            stream = streams[method.name]
            comment = doc([f"As `{member}`, with the events that come beside the result."], indent=2)
            answer = f"EventStream<{self._types.inline(method.events)}, {result}>"
            head = enclosed(f"{stream}(", parameters, f"): {answer} {{", indent=2)
            yield f"\n{comment}  {head}\n    return this._stream({table}.{member}, {params}, options);\n  }}\n"

    def _parameters(self, method: ir.Method) -> tuple[list[str], str]:
        """The parameters of a client's method and the expression for what is sent."""
        if method.params is None:
            return ["options?: CallOptions"], "{}"
        optional = self.may_be_empty(method.params)
        default = " = {}" if optional else ""
        return [f"params: {self._types.inline(method.params)}{default}", "options?: CallOptions"], "params"

    def may_be_empty(self, type_: ir.Type) -> bool:
        """Whether `{}` can be a value of the type, as far as members go."""
        record = self._types.record(type_)
        return record is not None and not any(field.required for field in record.fields)

    def _remarks(self, method: ir.Method) -> list[str]:
        again = "Idempotent: sent again when no answer comes." if method.idempotent else ""
        return [self._listed_errors(method), again]

    def _listed_errors(self, method: ir.Method) -> str:
        classes = ", ".join(self._names.errors[name] for name in method.errors)
        return f"Errors: {classes}." if classes else ""

    # --- handlers -------------------------------------------------------------------------------

    def handler(self, role: ir.Role) -> list[str]:
        """The context, the interface and the dispatcher of one role."""
        names = self._names.roles[role.name]
        peers = [(peer, self._names.roles[peer.name]) for peer in self._peers(role)]
        clients = "".join(
            f"{doc([f'Calls the role `{peer.name}` back while the call is in progress.'], indent=2)}"
            f"  readonly {peer_names.member}: {peer_names.client};\n"
            for peer, peer_names in peers
        )
        context = f"{{\n{clients}}}" if clients else "{}"
        head = f"export interface {names.context}<Event = never> extends HandlerContext<Event> {context}"
        made = ", ".join(f"{peer_names.member}: new {peer_names.client}(connection)" for _, peer_names in peers)
        clients_of = f"clients: (connection) => ({{ {made} }})" if made else "clients: () => ({})"
        parts = ["codec", "http: httpBinding", f"methods: Object.values({names.methods})", clients_of]
        signature = enclosed(
            f"export function {names.dispatcher}(",
            [f"handler: {names.handler}", "options?: DispatcherOptions"],
            "): Dispatcher {",
        )
        body = "".join(f"    {part},\n" for part in parts)
        told = doc([f"What a handler of the role `{role.name}` is told about a call."])
        serves = doc([f"Serves the role `{role.name}`.", role.doc])
        methods = self._handler_methods(role, names.context)
        adapted = doc([f"A handler of the role `{role.name}` as a service for `fetchHandler` and Node."])
        dispatcher = (
            f"{adapted}{signature}\n"
            f"  const parts = {{\n{body}  }} satisfies DispatcherParts;\n"
            "  return new Dispatcher(handler, parts, options);\n"
            "}"
        )
        return [f"{told}{head}", f"{serves}export interface {names.handler} {{\n{methods}}}", dispatcher]

    def _handler_methods(self, role: ir.Role, context: str) -> str:
        rows: list[str] = []
        members = self._names.members[role.name]
        for method in self.served(role):
            thrown = (
                [f"Throw: {', '.join(self._names.errors[name] for name in method.errors)}."] if method.errors else []
            )
            comment = doc([method.summary, method.doc, *thrown], tags=_tags(method), indent=2)
            result = "void" if method.kind == "notification" else self._types.inline(method.result)
            events = "" if method.events is None else f"<{self._types.inline(method.events)}>"
            params = "Record<string, unknown>" if method.params is None else self._types.inline(method.params)
            answer = result if result == "unknown" else f"{result} | Promise<{result}>"
            row = enclosed(
                f"{members[method.name]}(",
                [f"params: {params}", f"context: {context}{events}"],
                f"): {answer};",
                indent=2,
            )
            rows.append(f"{comment}  {row}\n")
        return "\n".join(rows)

    # --- imports --------------------------------------------------------------------------------

    def method_imports(self) -> tuple[str, ...]:
        """The import lines of methods.ts beside those of the library."""
        answered = any(method.kind == "request" for method in self._protocol.methods)
        return ('import * as errors from "./errors.js";',) if self._protocol.errors and answered else ()

    def client_imports(self) -> tuple[str, ...]:
        """The import lines of client.ts."""
        methods = [method for role in self.callable_roles for method in self.served(role)]
        peers = {peer.name: self._names.roles[peer.name] for role in self.callable_roles for peer in self._peers(role)}
        streams = any(method.events is not None for method in methods)
        core = ["RpcClient", "type CallOptions", "type ClientOptions", *(["type EventStream"] if streams else [])]
        lines: list[str] = []
        if peers:
            dispatchers = [peer.dispatcher for peer in peers.values()]
            handlers = [f"type {peer.handler}" for peer in peers.values()]
            lines.append(import_line([*dispatchers, *handlers], "./handlers.js"))
        lines.append(self._method_tables())
        lines.append(import_line(core, "./rpc/client.js"))
        lines.append('import type { Connection } from "./rpc/methods.js";')
        lines.append('import { codec } from "./schema.js";')
        if self._refers(methods):
            lines.append('import type * as types from "./types.js";')
        return tuple(lines) if self.callable_roles else ()

    def _refers(self, methods: Iterable[ir.Method]) -> bool:
        edges = (edge for method in methods for edge in (method.params, method.result, method.events))
        return any(self._types.refers(edge) for edge in edges)

    def _method_tables(self) -> str:
        return import_line(
            ["httpBinding", *(self._names.roles[role.name].methods for role in self.callable_roles)], "./methods.js"
        )

    def handler_imports(self) -> tuple[str, ...]:
        """The import lines of handlers.ts."""
        methods = [method for role in self.callable_roles for method in self.served(role)]
        clients = sorted(
            {self._names.roles[peer.name].client for role in self.callable_roles for peer in self._peers(role)}
        )
        lines = [import_line(clients, "./client.js")] if clients else []
        lines.append(self._method_tables())
        core = ["Dispatcher", "type DispatcherOptions", "type DispatcherParts", "type HandlerContext"]
        lines.append(import_line(core, "./rpc/dispatch.js"))
        lines.append('import { codec } from "./schema.js";')
        if self._refers(methods):
            lines.append('import type * as types from "./types.js";')
        return tuple(lines) if self.callable_roles else ()


def _shape(type_: ir.Type | None) -> str:
    """What the library validates: the name of a definition, or a schema."""
    match type_:
        case None:
            return "null"
        case ir.NamedType(name=name):
            return string(name)
        case _:
            return literal(_schema(type_), indent=4, before=12)


def _schema(type_: ir.Type) -> Any:
    """The schema of a type that has no name; the loader names all but the simplest."""
    match type_:
        case ir.AnyType():
            return True
        case ir.NamedType(name=name):
            return {"$ref": f"#/definitions/{name.replace('~', '~0').replace('/', '~1')}"}
        case ir.NullType() | ir.BooleanType():
            return {"type": type_.__struct_config__.tag}
        case ir.StringType(min_length=low, max_length=high, pattern=pattern):
            return _said(type="string", minLength=low, maxLength=high, pattern=pattern)
        case ir.IntegerType(minimum=low, maximum=high):
            return _said(type="integer", minimum=low, maximum=high)
        case ir.NumberType(minimum=low, maximum=high):
            return _said(type="number", minimum=low, maximum=high)
        case ir.LiteralType(value=value):
            return {"const": value}
        case ir.ListType(item=item, min_items=low, max_items=high):
            return _said(type="array", items=_schema(item), minItems=low, maxItems=high)
        case ir.TupleType(items=items):
            exactly = [_schema(item) for item in items]
            return {"type": "array", "items": exactly, "additionalItems": False, "minItems": len(items)}
        case ir.MapType(value=value):
            return {"type": "object", "additionalProperties": _schema(value)}
        case ir.NullableType(of=of):
            return {"anyOf": [{"type": "null"}, _schema(of)]}


def _said(**keywords: Any) -> dict[str, Any]:
    return {keyword: value for keyword, value in keywords.items() if value is not None}


def class_list(name: str, classes: list[str]) -> str:
    """A constant that lists error classes."""
    return enclosed(f"export const {name}: readonly ErrorClass[] = [", classes, "];")


def import_line(names: Iterable[str], module: str) -> str:
    """An import of these names, types marked as such."""
    unique = dict.fromkeys(names)
    if all(name.startswith("type ") for name in unique):
        return enclosed("import type {", [name[5:] for name in unique], f'}} from "{module}";', padding=" ")
    return enclosed("import {", unique, f'}} from "{module}";', padding=" ")


def _tags(method: ir.Method) -> list[str]:
    tags = [f"@since {one_line(method.since)}"] if method.since else []
    return [*tags, "@deprecated"] if method.deprecated else tags


def one_line(text: str) -> str:
    """Foreign text on one line without anything that could leave a comment."""
    return " ".join(text.replace("*/", "* /").replace("@", "").split())
