"""What the templates lay out: final strings for every file of the SDK, made from the IR and the settled names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from protogen import ir
from protogen.output import Options, header_lines
from protogen.targets.typescript.layout import (
    SAFE_INTEGER,
    WIDTH,
    ListOf,
    MapOf,
    TupleOf,
    TypeLayout,
    Union,
    columns,
    doc,
    enclosed,
    flat_type,
    header,
    key,
    literal,
    scalar,
    string,
    type_after,
    visible,
)
from protogen.targets.typescript.names import Names, error_families

COMMON = "CommonErrorClasses"

_NUMBER = re.compile(r"-?[0-9.]+(?:e-?[0-9]+)?\Z")
OBJECT_MEMBERS = frozenset(
    (
        "constructor",
        "hasOwnProperty",
        "isPrototypeOf",
        "propertyIsEnumerable",
        "toLocaleString",
        "toString",
        "valueOf",
    )
)
"""What an object literal has without saying so: the compiler takes it for the optional member of that name."""

NUMBER = Union(("number", "bigint"))


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the templates need; each entry of a tuple is one declaration without its last line feed."""

    header: str
    title: str
    types_doc: str
    types: tuple[str, ...]
    types_by_name: tuple[str, ...]
    uses_unknown_tag: bool
    definitions: str
    errors: tuple[str, ...]
    errors_use_types: bool
    error_classes: str
    families: tuple[str, ...]
    http: str
    wire_names: tuple[str, ...]
    tables: tuple[str, ...]
    method_imports: tuple[str, ...]
    clients: tuple[str, ...]
    client_imports: tuple[str, ...]
    handlers: tuple[str, ...]
    handler_imports: tuple[str, ...]
    package: str
    readme: Mapping[str, str]


def view(protocol: ir.Protocol, options: Options, names: Names) -> View:
    """The SDK of a protocol as text."""
    maker = _Maker(protocol, names)
    types = tuple(text for entry in protocol.definitions for text in maker.definition(entry))
    served = [role for role in protocol.roles if any(method.receiver == role.name for method in protocol.methods)]
    return View(
        header=header(header_lines(protocol)),
        title=protocol.title,
        types_doc=doc([f"Types of {_sentence(protocol.title)} {protocol.version}.", protocol.doc]),
        types=types,
        types_by_name=tuple(
            type_after(f"{key(entry.name)}:", names.types[entry.name], indent=2) for entry in protocol.definitions
        ),
        uses_unknown_tag=maker.uses_unknown_tag,
        definitions=_definitions(protocol),
        errors=tuple(maker.error(error) for error in protocol.errors),
        errors_use_types=any(maker.refers(error.data) for error in protocol.errors),
        error_classes=_class_list("ErrorClasses", [names.errors[error.name] for error in protocol.errors]),
        families=maker.families(),
        http=_http(protocol.http),
        wire_names=maker.wire_names(),
        tables=tuple(maker.table(role) for role in served),
        method_imports=_imports(
            ["errors"] if protocol.errors and any(method.kind == "request" for method in protocol.methods) else []
        ),
        clients=tuple(text for role in served for text in maker.client(role)),
        client_imports=maker.client_imports(served),
        handlers=tuple(text for role in served for text in maker.handler(role)),
        handler_imports=maker.handler_imports(served),
        package=_package(protocol, options),
        readme=maker.readme(options, served),
    )


class _Maker:
    """Texts that need the names; remembers what has to be imported."""

    def __init__(self, protocol: ir.Protocol, names: Names) -> None:
        self._protocol = protocol
        self._names = names
        self._definitions = ir.definition_table(protocol)
        self.uses_unknown_tag = False

    # --- types ----------------------------------------------------------------------------------

    def type(self, type_: ir.Type, *, scope: str = "") -> TypeLayout:
        """A type expression; `scope` is what stands before the names of definitions."""
        match type_:
            case ir.AnyType():
                return "unknown"
            case ir.NullType():
                return "null"
            case ir.BooleanType():
                return "boolean"
            case ir.StringType():
                return "string"
            case ir.IntegerType(minimum=low, maximum=high) | ir.NumberType(minimum=low, maximum=high):
                return "number" if _is_safe(low, high) else NUMBER
            case ir.LiteralType(value=value):
                return _literal_type(value)
            case ir.ListType(item=item):
                return ListOf(self.type(item, scope=scope))
            case ir.TupleType(items=items):
                return TupleOf(tuple(self.type(item, scope=scope) for item in items))
            case ir.MapType(value=value):
                return MapOf(self.type(value, scope=scope))
            case ir.NullableType(of=of):
                return _union([self.type(of, scope=scope), "null"])
            case ir.NamedType(name=name):
                return f"{scope}{self._names.types[name]}"

    def inline(self, type_: ir.Type | None) -> str:
        """A type outside types.ts, on one line."""
        return "undefined" if type_ is None else flat_type(self.type(type_, scope="types."))

    def refers(self, type_: ir.Type | None) -> bool:
        """Whether a type names a definition, so that types.ts must be imported."""
        return type_ is not None and "types." in self.inline(type_)

    def definition(self, entry: ir.AnyDefinition) -> list[str]:
        """The declarations for one definition."""
        match entry:
            case ir.Record():
                return self._record(entry)
            case ir.Enum():
                return self._enum(entry)
            case ir.Union():
                return self._union(entry)
            case ir.Alias(type=type_):
                return [f"{self._doc(entry)}{self._alias(entry.name, self.type(type_))}"]

    def _alias(self, name: str, layout: TypeLayout) -> str:
        return type_after(f"export type {self._names.types[name]} =", layout, indent=0)

    def _doc(self, entry: ir.Definition) -> str:
        own = self._names.types[entry.name]
        renamed = f"`{entry.name}` in the protocol." if own != entry.name else ""
        return doc([entry.doc, renamed], tags=["@deprecated"] if entry.deprecated else [])

    def _record(self, entry: ir.Record) -> list[str]:
        own = self._names.types[entry.name]
        lines = [self._field(field) for field in entry.fields]
        if entry.extra is not None and not isinstance(entry.extra, ir.AnyType):
            lines.append(self._index(entry, entry.extra))
        body = "{\n" + "".join(f"{line}\n" for line in lines) + "}" if lines else "{}"
        declarations = [f"{self._doc(entry)}export interface {own} {body}"]
        defaults = {field.wire: field.default for field in entry.fields if field.default is not ir.UNSET}
        if defaults:
            declarations.append(self._defaults(entry, defaults))
        return declarations

    def _field(self, field: ir.Field) -> str:
        layout = self.type(field.type)
        optional = "" if field.required else "?"
        notes = []
        if optional and field.wire in OBJECT_MEMBERS:
            layout = _union([layout, f'globalThis.Object["{field.wire}"]'])
            notes.append("Where absent, this reads as the member of that name that every object has.")
        if field.read_only:
            notes.append("Read-only.")
        if field.write_only:
            notes.append("Write-only.")
        if field.default is not ir.UNSET:
            notes.append(f"Default: `{json.dumps(field.default, ensure_ascii=False)}`.")
        comment = doc([field.doc, " ".join(notes)], tags=["@deprecated"] if field.deprecated else [], indent=2)
        return f"{comment}  {type_after(f'{key(field.wire)}{optional}:', layout, indent=2)}"

    def _index(self, entry: ir.Record, extra: ir.Type) -> str:
        """The signature for further members; TypeScript asks it to admit the declared ones too."""
        layouts = [self.type(extra), *(self.type(field.type) for field in entry.fields)]
        if any(not field.required for field in entry.fields):
            layouts.append("undefined")
        what = "Further members." if len(layouts) == 1 else f"Further members: `{flat_type(layouts[0])}`."
        return f"{doc([what], indent=2)}  {type_after('[key: string]:', _union(layouts), indent=2)}"

    def _defaults(self, entry: ir.Record, defaults: dict[str, Any]) -> str:
        comment = doc([f"Values that hold where a member of `{self._names.types[entry.name]}` is absent."])
        rows: list[str] = []
        for wire, value in defaults.items():
            name = '["__proto__"]' if wire == "__proto__" else key(wire)
            rows.append(_row(name, value))
        return f"{comment}export const {self._names.defaults[entry.name]} = {{\n{''.join(rows)}}} as const;"

    def _enum(self, entry: ir.Enum) -> list[str]:
        own, values = self._names.types[entry.name], self._names.values[entry.name]
        members: list[TypeLayout] = [_literal_type(value.value) for value in entry.values]
        if entry.open:
            members.extend(_open_members(entry))
        declarations = [f"{self._doc(entry)}{self._alias(entry.name, _union(members))}"]
        known = "Values of" if not entry.open else "Known values of"
        rows = [f"{doc([value.doc], indent=2)}  {scalar(value.value)},\n" for value in entry.values]
        texts = [scalar(value.value) for value in entry.values]
        head = f"export const {values} = ["
        if any(value.doc for value in entry.values):
            listed = f"{head}\n{''.join(rows)}] as const;"
        elif all(_is_plain_number(text) for text in texts):
            raw = [value.value for value in entry.values]
            listed = f"{head[:-1]}{literal(raw, before=len(head) - 1, after=len(' as const;'))} as const;"
        else:
            listed = enclosed(head, texts, "] as const;")
        declarations.append(f"{doc([f'{known} `{own}`.'])}{listed}")
        named = [value for value in entry.values if value.name is not None]
        if named:
            declarations.append(self._named_values(own, named))
        return declarations

    def _named_values(self, own: str, values: list[ir.EnumValue]) -> str:
        rows = {
            key(value.name or ""): f"{doc([value.doc], indent=2)}  {key(value.name or '')}: {scalar(value.value)},\n"
            for value in values
            if value.name != "__proto__"
        }
        return f"{doc([f'Values of `{own}` by name.'])}export const {own} = {{\n{''.join(rows.values())}}} as const;"

    def _union(self, entry: ir.Union) -> list[str]:
        members = [self.type(arm.type) for arm in entry.arms]
        declarations: list[str] = []
        if entry.open and entry.tag is not None:
            self.uses_unknown_tag = True
            unknown = self._names.unknown_arms[entry.name]
            own = self._names.types[entry.name]
            members.append(unknown)
            comment = doc([f"A `{own}` that this SDK does not know, as it came."])
            tag = key(entry.tag)
            body = f"{{\n  {tag}: UnknownTag;\n  [key: string]: unknown;\n}}"
            declarations.append(f"{comment}export interface {unknown} {body}")
        return [f"{self._doc(entry)}{self._alias(entry.name, _union(members))}", *declarations]

    # --- errors ---------------------------------------------------------------------------------

    def error(self, error: ir.ErrorCode) -> str:
        """The class of one error."""
        own = self._names.errors[error.name]
        data = self.inline(error.data) if error.data is not None else "unknown"
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
        common = _class_list(COMMON, self._classes(None))
        return (
            *(self._family(family) for family in families),
            f"{doc(['The classes for errors of no family.'])}{common}",
        )

    def _family(self, family: str) -> str:
        listed = _class_list(self._names.families[family], self._classes(family))
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
        rows = "".join(self._method(method, members[method.name]) for method in self._served(role))
        comment = doc([f"What the role `{role.name}` serves."])
        own = self._names.roles[role.name].methods
        return f"{comment}export const {own} = {{\n{rows}}} satisfies Record<string, MethodSpec>;"

    def _served(self, role: ir.Role) -> list[ir.Method]:
        return [method for method in self._protocol.methods if method.receiver == role.name]

    def _method(self, method: ir.Method, member: str) -> str:
        classes = [f"errors.{self._names.errors[name]}" for name in method.errors]
        rows = [
            f"name: {string(method.name)}",
            f"kind: {string(method.kind)}",
            f"member: {string(member)}",
            f"params: {_shape(method.params)}",
            f"result: {_shape(method.result)}",
            f"events: {_shape(method.events)}",
            enclosed("errors: [", classes, "]", indent=4, after=1),
            self._other_errors(method),
            f"idempotent: {'true' if method.idempotent else 'false'}",
            f"structure: {string(method.param_structure)}",
            enclosed("positions: [", self._positions(method), "]", indent=4, after=1),
        ]
        body = "".join(f"    {row},\n" for row in rows)
        return f"{doc([method.summary], indent=2)}  {member}: {{\n{body}  }},\n"

    def _positions(self, method: ir.Method) -> list[str]:
        record = self._record_of(method.params)
        if method.param_structure == "by-name" or record is None:
            return []
        return [string(field.wire) for field in record.fields]

    def _record_of(self, type_: ir.Type | None) -> ir.Record | None:
        """The record behind a named type, through aliases."""
        while isinstance(type_, ir.NamedType):
            entry = self._definitions[type_.name]
            if isinstance(entry, ir.Record):
                return entry
            type_ = entry.type if isinstance(entry, ir.Alias) else None
        return None

    def _other_errors(self, method: ir.Method) -> str:
        """Where to look a code up that the method does not list: in the tables of its families, then the common one."""
        if not self._protocol.errors or method.kind == "notification":
            return "otherErrors: []"
        families = error_families(self._protocol)
        if not families:
            return "otherErrors: errors.ErrorClasses"
        by_name = {error.name: error.family for error in self._protocol.errors}
        prefix = method.name.replace(".", "/").rpartition("/")[0]
        wanted = [*(by_name[name] for name in method.errors), prefix, prefix.partition("/")[0], method.receiver]
        tables = [self._names.families[each] for each in dict.fromkeys(wanted) if each is not None and each in families]
        if not tables:
            return f"otherErrors: errors.{COMMON}"
        spread = [f"...errors.{table}" for table in (*tables, COMMON)]
        return enclosed("otherErrors: [", spread, "]", indent=4, after=1)

    def _peers(self, role: ir.Role) -> list[ir.Role]:
        """The roles that `role` calls."""
        called = {method.receiver for method in self._protocol.methods if method.sender == role.name}
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
        for method in self._served(role):
            member = members[method.name]
            comment = doc([method.summary, method.doc, *self._remarks(method)], tags=_tags(method), indent=2)
            result = "void" if method.kind == "notification" else self.inline(method.result)
            verb = "_notify" if method.kind == "notification" else "_request"
            parameters, params = self._parameters(method)
            head = enclosed(f"async {member}(", parameters, f"): Promise<{result}> {{", indent=2)
            yield (f"\n{comment}  {head}\n    return this.{verb}({table}.{member}, {params}, options);\n  }}\n")
            if method.events is None:
                continue
            stream = streams[method.name]
            comment = doc([f"As `{member}`, with the events that come beside the result."], indent=2)
            answer = f"EventStream<{self.inline(method.events)}, {result}>"
            head = enclosed(f"{stream}(", parameters, f"): {answer} {{", indent=2)
            yield f"\n{comment}  {head}\n    return this._stream({table}.{member}, {params}, options);\n  }}\n"

    def _parameters(self, method: ir.Method) -> tuple[list[str], str]:
        """The parameters of a client's method and the expression for what is sent."""
        if method.params is None:
            return ["options?: CallOptions"], "{}"
        optional = self._may_be_empty(method.params)
        default = " = {}" if optional else ""
        return [f"params: {self.inline(method.params)}{default}", "options?: CallOptions"], "params"

    def _may_be_empty(self, type_: ir.Type) -> bool:
        record = self._record_of(type_)
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
        for method in self._served(role):
            thrown = (
                [f"Throw: {', '.join(self._names.errors[name] for name in method.errors)}."] if method.errors else []
            )
            comment = doc([method.summary, method.doc, *thrown], tags=_tags(method), indent=2)
            result = "void" if method.kind == "notification" else self.inline(method.result)
            events = "" if method.events is None else f"<{self.inline(method.events)}>"
            params = "Record<string, unknown>" if method.params is None else self.inline(method.params)
            answer = result if result == "unknown" else f"{result} | Promise<{result}>"
            row = enclosed(
                f"{members[method.name]}(",
                [f"params: {params}", f"context: {context}{events}"],
                f"): {answer};",
                indent=2,
            )
            rows.append(f"{comment}  {row}\n")
        return "\n".join(rows)

    # --- imports and the rest -------------------------------------------------------------------

    def client_imports(self, served: list[ir.Role]) -> tuple[str, ...]:
        """The import lines of client.ts."""
        methods = [method for role in served for method in self._served(role)]
        peers = {peer.name: self._names.roles[peer.name] for role in served for peer in self._peers(role)}
        streams = any(method.events is not None for method in methods)
        core = ["RpcClient", "type CallOptions", "type ClientOptions", *(["type EventStream"] if streams else [])]
        lines: list[str] = []
        if peers:
            dispatchers = [peer.dispatcher for peer in peers.values()]
            handlers = [f"type {peer.handler}" for peer in peers.values()]
            lines.append(_import([*dispatchers, *handlers], "./handlers.js"))
        lines.append(self._method_tables(served))
        lines.append(_import(core, "./rpc/client.js"))
        lines.append('import type { Connection } from "./rpc/methods.js";')
        lines.append('import { codec } from "./schema.js";')
        if any(self.refers(each) for method in methods for each in (method.params, method.result, method.events)):
            lines.append('import type * as types from "./types.js";')
        return tuple(lines) if served else ()

    def _method_tables(self, served: list[ir.Role]) -> str:
        return _import(["httpBinding", *(self._names.roles[role.name].methods for role in served)], "./methods.js")

    def handler_imports(self, served: list[ir.Role]) -> tuple[str, ...]:
        """The import lines of handlers.ts."""
        methods = [method for role in served for method in self._served(role)]
        clients = sorted({self._names.roles[peer.name].client for role in served for peer in self._peers(role)})
        lines = [_import(clients, "./client.js")] if clients else []
        lines.append(self._method_tables(served))
        core = ["Dispatcher", "type DispatcherOptions", "type DispatcherParts", "type HandlerContext"]
        lines.append(_import(core, "./rpc/dispatch.js"))
        lines.append('import { codec } from "./schema.js";')
        if any(self.refers(each) for method in methods for each in (method.params, method.result, method.events)):
            lines.append('import type * as types from "./types.js";')
        return tuple(lines) if served else ()

    def readme(self, options: Options, served: list[ir.Role]) -> dict[str, str]:
        """The texts of README.md that depend on the protocol: its first served role as the example."""
        role = max(served, key=lambda each: len(self._served(each)), default=None)
        comments = "\n".join(header_lines(self._protocol)).replace("-->", "")
        example: dict[str, str] = {
            "header": f"<!--\n{comments}\n-->\n",
            "package": options.package,
            "title": _markdown(self._protocol.title),
            "version": _markdown(self._protocol.version),
            "doc": _markdown(self._protocol.doc),
            "client": "",
        }
        if role is None:
            return example
        names = self._names.roles[role.name]
        requests = [method for method in self._served(role) if method.kind == "request"]
        plain = next(
            (method for method in requests if method.params is None or self._may_be_empty(method.params)), None
        )
        member = self._names.members[role.name][plain.name] if plain is not None else ""
        served_names = [names.dispatcher, "fetchHandler", f"type {names.handler}"]
        return {
            **example,
            "client_import": _import([names.client, "RpcError"], options.package),
            "server_import": _import(served_names, options.package),
            "client": names.client,
            "handler": names.handler,
            "dispatcher": names.dispatcher,
            "call": f"await client.{member}()" if member else 'await client.call("method/name", {})',
        }


def _is_safe(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and low >= -SAFE_INTEGER and high <= SAFE_INTEGER


def _literal_type(value: str | float | bool | None) -> TypeLayout:
    """The type of one value; what has no exact literal is any number."""
    if isinstance(value, float) and abs(value) > SAFE_INTEGER:
        return NUMBER
    return scalar(value)


def _open_members(entry: ir.Enum) -> list[TypeLayout]:
    """Arms for values that are not listed; `string & {}` keeps the completion of the listed ones."""
    kinds = {type(value.value) for value in entry.values}
    members: list[TypeLayout] = []
    if str in kinds:
        members.append("(string & {})")
    if kinds & {int, float}:
        members.extend(NUMBER.members)
    return members


def _union(members: Iterable[TypeLayout]) -> TypeLayout:
    """Alternatives without nesting and repetition; `unknown` takes in all others."""
    flat: dict[str, TypeLayout] = {}
    for member in members:
        for each in member.members if isinstance(member, Union) else (member,):
            flat.setdefault(flat_type(each), each)
    if "unknown" in flat:
        return "unknown"
    only = tuple(flat.values())
    if not only:
        return "never"
    return only[0] if len(only) == 1 else Union(only)


def _is_plain_number(text: str) -> bool:
    return _NUMBER.match(text) is not None


def _row(name: str, value: Any) -> str:
    """A member of an object of data; a long string goes below its name."""
    if isinstance(value, str):
        text = string(value)
        return f"  {name}: {text},\n" if columns(name) + columns(text) + 5 <= WIDTH else f"  {name}:\n    {text},\n"
    return f"  {name}: {literal(value, indent=2, before=columns(name) + 4)},\n"


def _shape(type_: ir.Type | None) -> str:
    """What the library validates: the name of a definition, or a schema."""
    match type_:
        case None:
            return "null"
        case ir.AnyType():
            return "true"
        case ir.NamedType(name=name):
            return string(name)
        case _:
            raise TypeError(f"the loader names every type of a message, got {type_!r}")


def _class_list(name: str, classes: list[str]) -> str:
    return enclosed(f"export const {name}: readonly ErrorClass[] = [", classes, "];")


def _http(binding: ir.HttpBinding) -> str:
    health = "null" if binding.health_path is None else string(binding.health_path)
    rows = (
        f"path: {string(binding.path)}",
        f"healthPath: {health}",
        f"instanceHeader: {string(binding.instance_header)}",
    )
    return "".join(f"  {row},\n" for row in rows)


def _imports(modules: Iterable[str]) -> tuple[str, ...]:
    return tuple(f'import * as {module} from "./{module}.js";' for module in modules)


def _import(names: Iterable[str], module: str) -> str:
    unique = dict.fromkeys(names)
    if all(name.startswith("type ") for name in unique):
        return enclosed("import type {", [name[5:] for name in unique], f'}} from "{module}";', padding=" ")
    return enclosed("import {", unique, f'}} from "{module}";', padding=" ")


def _tags(method: ir.Method) -> list[str]:
    tags = [f"@since {_sentence(method.since)}"] if method.since else []
    return [*tags, "@deprecated"] if method.deprecated else tags


def _sentence(text: str) -> str:
    """Foreign text on one line without anything that could leave a comment."""
    return " ".join(text.replace("*/", "* /").replace("@", "").split())


def _markdown(text: str) -> str:
    """Foreign text as one paragraph of Markdown."""
    plain = visible(" ".join(text.split()))
    return "".join(f"\\{character}" if character in "\\`*_<>[]#|~$&" else character for character in plain)


def _definitions(protocol: ir.Protocol) -> str:
    """The lowered schema: a pair of name and JSON text a definition."""
    definitions: dict[str, Any] = protocol.schema.get("definitions", {})
    encode = msgspec.json.encode
    pairs = [(string(name), string(encode(schema).decode())) for name, schema in definitions.items()]
    head = "const definitions: readonly (readonly [string, string])[] = ["
    if not pairs:
        return f"{head}];"
    if len(pairs) == 1:
        flat = f"{head}[{', '.join(pairs[0])}]];"
        if columns(flat) <= WIDTH:
            return flat
    return f"{head}\n{''.join(_pair(*pair) for pair in pairs)}];"


def _pair(name: str, text: str) -> str:
    flat = f"  [{name}, {text}],\n"
    return flat if columns(flat) <= WIDTH + 1 else f"  [\n    {name},\n    {text},\n  ],\n"


def _package(protocol: ir.Protocol, options: Options) -> str:
    """package.json: both module systems behind `exports`, nothing needed at run time."""

    def entry(stem: str) -> dict[str, Any]:
        return {
            "import": {"types": f"./dist/esm/{stem}.d.ts", "default": f"./dist/esm/{stem}.js"},
            "require": {"types": f"./dist/cjs/{stem}.d.ts", "default": f"./dist/cjs/{stem}.js"},
        }

    content = {
        "name": options.package,
        "version": options.version,
        "description": f"SDK of {protocol.title} {protocol.version}: types, client, server and validation",
        "license": options.license,
        "type": "module",
        "sideEffects": False,
        "engines": {"node": ">=20"},
        "main": "./dist/cjs/index.js",
        "module": "./dist/esm/index.js",
        "types": "./dist/cjs/index.d.ts",
        "exports": {".": entry("index"), "./node": entry("node"), "./package.json": "./package.json"},
        "typesVersions": {"*": {"node": ["./dist/cjs/node.d.ts"]}},
        "files": ["dist"],
        "scripts": {
            "build": "tsc -p tsconfig.json && tsc -p tsconfig.cjs.json && node mark-modules.cjs",
            "prepack": "npm run build",
        },
        "devDependencies": {"@types/node": ">=20", "typescript": ">=6"},
        "prettier": {"printWidth": WIDTH},
    }
    return json.dumps(content, indent=2, ensure_ascii=False)
