"""What the templates of the Go SDK lay out: final strings, one view per file.

Knows the IR and Go; templates only set the pieces one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from protogen import ir
from protogen.output import Options, header_lines
from protogen.problems import Problem
from protogen.targets.go import names
from protogen.targets.go.declarations import Declaration, Declarations, own_name
from protogen.targets.go.schema import embedded, inline
from protogen.targets.go.text import align, columns, comment, quote
from protogen.targets.go.types import ANY, GoType, Types

NOTHING = GoType("rpc.None", "", "")


class Module(msgspec.Struct, frozen=True):
    """The views of one module, by template."""

    common: dict[str, object]
    files: dict[str, dict[str, object]]


def module(protocol: ir.Protocol, options: Options) -> tuple[Module, list[Problem]]:
    """The views of all generated files, and what Go cannot express."""
    return _Builder(protocol, options).module()


class HandlerMethod(msgspec.Struct, frozen=True, kw_only=True):
    """A method of a handler: its comment, its signature, and the type of its result, empty where it has none."""

    wire: str
    doc: list[str]
    signature: str
    result: str


class Handler(msgspec.Struct, frozen=True, kw_only=True):
    """What a role has to answer, and what puts it behind a dispatcher; types are those of the package itself."""

    name: str
    dispatcher: str
    methods: tuple[HandlerMethod, ...]


def handler(protocol: ir.Protocol, options: Options, role: str) -> Handler:
    """The handler of a role that can be called. Errors: naming.Collision."""
    return _Builder(protocol, options).handler(role)


class _Builder:
    def __init__(self, protocol: ir.Protocol, options: Options) -> None:
        self.protocol = protocol
        self.options = options
        self.problems: list[Problem] = []
        self.types = Types(protocol)
        wrapped = [
            (definition.name, at, arm.name)
            for definition in protocol.definitions
            if isinstance(definition, ir.Union)
            for at, arm in enumerate(definition.arms)
            if not own_name(self.types, arm.type)
        ]
        tuples = _tuples(protocol)
        self.derived = names.derived(protocol, self.types.names, wrapped, tuples)
        self.types.tuples = {expression: self.derived[f"tuple:{name}"] for name, expression in tuples.items()}
        self.methods = {role.name: names.methods(protocol, role.name) for role in protocol.roles}
        self.codecs: dict[ir.Type, str] = {}
        self.errors_by_name = {error.name: error for error in protocol.errors}
        self.error_order = {error: at for at, error in enumerate(protocol.errors)}
        self.errors_by_family: dict[str | None, list[ir.ErrorCode]] = {}
        for error in protocol.errors:
            self.errors_by_family.setdefault(error.family, []).append(error)
        self.tables = {method.name: self.error_table(method) for method in protocol.methods}
        distinct = dict.fromkeys(table for table in self.tables.values() if table)
        self.table_names = {table: f"errorTypes{at or ''}" for at, table in enumerate(distinct)}
        """Names of the distinct tables of errors: most protocols need one."""

    def module(self) -> tuple[Module, list[Problem]]:
        schema, found = embedded(self.protocol)
        self.problems += found
        files: dict[str, dict[str, object]] = {
            "go.mod": {},
            "README.md": self.readme(),
            "doc.go": {},
            "types.go": self.types_file(),
            "schema.go": self.schema_file(schema),
        }
        if self.protocol.methods:
            files["methods.go"] = self.methods_file()
            files["client.go"] = self.client_file()
            files["handlers.go"] = self.handlers_file()
        if self.protocol.errors:
            files["errors.go"] = self.errors_file()
        return Module(self.common(), files), self.problems

    def common(self) -> dict[str, object]:
        protocol, options = self.protocol, self.options
        package = names.package_name(options.package)
        title = one_line(protocol.title or protocol.name)
        about = f"Package {package} is the SDK of {title}, version {one_line(protocol.version)}."
        return {
            "header": [f"// {one_line(line)}" for line in header_lines(protocol)],
            "package": package,
            "module": options.package,
            "markdown_title": re.sub(r"([\\`*_{}\[\]<>#|!])", r"\\\1", title),
            "version": one_line(protocol.version),
            "release": one_line(options.version),
            "license": one_line(options.license),
            "doc": comment(f"{about}\n\n{protocol.doc}"),
            "has_errors": bool(protocol.errors),
            "has_methods": bool(protocol.methods),
        }

    # --- types.go, schema.go ---

    def types_file(self) -> dict[str, object]:
        declarations = Declarations(self.protocol, self.types, self.derived, self.problems).all()
        code = [line for entry in declarations for line in _code(entry)]
        return {"declarations": declarations, "json": uses_json(code), "rpc": any("rpc." in line for line in code)}

    def schema_file(self, schema: str) -> dict[str, object]:
        readers = []
        for definition in self.protocol.definitions:
            found = self.types.of(ir.NamedType(name=definition.name))
            readers.append({"name": quote(definition.name), "read": found.read, "type": found.text})
        return {"schema": schema.replace("`", "\\u0060"), "readers": readers}

    # --- methods.go ---

    def methods_file(self) -> dict[str, object]:
        constants = []
        infos = []
        descriptors = []
        for method in self.protocol.methods:
            constant = self.derived[f"method:{method.name}"]
            doc = comment(method.summary or method.doc, subject=constant, indent="\t")
            constants.append((doc, [constant, f"= {quote(method.name)}"]))
            infos.append(self.info(method, constant))
            descriptors.append(self.descriptor(method, constant))
        self_codecs = self.codec_lines()
        code = [line for entry in descriptors for line in entry] + self_codecs
        return {
            "constants": columns(constants),
            "infos": infos,
            "descriptors": descriptors,
            "codecs": self_codecs,
            "binding": align(
                [
                    ["Name:", "ProtocolName,"],
                    ["Version:", "ProtocolVersion,"],
                    ["InstanceHeader:", f"{quote(self.protocol.http.instance_header)},"],
                    ["HealthPath:", f"{quote(self.protocol.http.health_path or '')},"],
                ]
            ),
            "name": quote(self.protocol.name),
            "number": quote(self.protocol.version),
            "json": uses_json(code),
        }

    def info(self, method: ir.Method, constant: str) -> str:
        parts = [f"Name: {constant}", f"Sender: {quote(method.sender)}", f"Receiver: {quote(method.receiver)}"]
        flags = {
            "Notification": method.kind == "notification",
            "Streaming": method.events is not None,
            "Idempotent": method.idempotent,
            "Deprecated": method.deprecated,
        }
        return ", ".join(parts + [f"{name}: true" for name, value in flags.items() if value])

    def params(self, method: ir.Method) -> GoType:
        return NOTHING if method.params is None else self.types.of(method.params)

    def result(self, method: ir.Method) -> GoType:
        return NOTHING if method.result is None else self.types.of(method.result)

    def variable(self, method: ir.Method) -> str:
        return f"method{self.derived[f'method:{method.name}'].removesuffix('Method')}"

    def events(self, method: ir.Method) -> str:
        return f"eventsOf{self.variable(method).removeprefix('method')}"

    def descriptor(self, method: ir.Method, constant: str) -> list[str]:
        rows = [["Name:", f"{constant},"]]
        if method.params is not None:
            rows.append(["Params:", f"{self.codec(method.params)},"])
        if method.result is not None:
            rows.append(["Result:", f"{self.codec(method.result)},"])
        table = self.tables[method.name]
        if table:
            rows.append(["Errors:", f"{self.table_names[table]},"])
        if method.idempotent:
            rows.append(["Idempotent:", "true,"])
        if method.events is not None:
            rows.append(["Streaming:", "true,"])
        if method.events_are_results:
            rows.append(["Results:", "true,"])
        if method.param_structure != "by-name":
            style = "rpc.ByPosition" if method.param_structure == "by-position" else "rpc.Either"
            order = ", ".join(quote(name) for name in self.positions(method))
            rows += [["Structure:", f"{style},"], ["Fields:", f"[]string{{{order}}},"]]
        kind = f"rpc.Method[{self.params(method).text}, {self.result(method).text}]"
        lines = [f"var {self.variable(method)} = {kind}{{", *align(rows), "}"]
        if method.events is not None:
            lines += ["", f"var {self.events(method)} = {self.codec(method.events)}"]
        return lines

    def positions(self, method: ir.Method) -> list[str]:
        behind = self.types.resolve(method.params) if method.params is not None else None
        if isinstance(behind, ir.NamedType):
            definition = self.types.definitions[behind.name]
            if isinstance(definition, ir.Record):
                return [field.wire for field in definition.fields]
        return []

    def codec(self, expression: ir.Type) -> str:
        """The variable that holds the codec of a type; made on first use."""
        if expression not in self.codecs:
            name = f"codec{self.types.names[expression.name]}" if isinstance(expression, ir.NamedType) else ""
            self.codecs[expression] = name or f"codec{len(self.codecs) + 1}"
        return self.codecs[expression]

    def codec_lines(self) -> list[str]:
        rows = []
        for expression, variable in self.codecs.items():
            found = self.types.of(expression)
            if isinstance(expression, ir.NamedType):
                label, schema = quote(expression.name), f"typeOf({quote(expression.name)})"
            else:
                label, schema = quote(found.text), f"inlineType({quote(inline(expression))})"
            rows.append([variable, f"= rpc.NewCodec({label}, {schema}, {found.read}, {found.write})"])
        return align(rows)

    # --- errors.go ---

    def error_table(self, method: ir.Method) -> tuple[str, ...]:
        """The errors that a code can mean in an answer of the method, its own before those of its family."""
        own = [self.errors_by_name[name] for name in method.errors if name in self.errors_by_name]
        families = {None, method.receiver, re.split(r"[./]", method.name)[0], *(error.family for error in own)}
        found: dict[int, str] = {}
        shared = (error for family in families for error in self.errors_by_family.get(family, ()))
        for error in (*own, *sorted(shared, key=self.error_order.__getitem__)):
            found.setdefault(error.code, error.name)
        return tuple(found[code] for code in sorted(found, reverse=True))

    def errors_file(self) -> dict[str, object]:
        errors = [self.error(error) for error in self.protocol.errors]
        codes = align([[self.derived[f"code:{error.name}"], f"= {error.code}"] for error in self.protocol.errors])
        tables = [
            {
                "name": name,
                "entries": [
                    {"name": self.derived[f"error:{error}"], "code": self.derived[f"code:{error}"]} for error in table
                ],
            }
            for table, name in self.table_names.items()
        ]
        methods: dict[str, list[str]] = {}
        for method in self.protocol.methods:
            table = self.tables[method.name]
            if table:
                methods.setdefault(self.table_names[table], []).append(self.derived[f"method:{method.name}"])
        code = [str(entry["data"]) for entry in errors]
        return {
            "errors": errors,
            "codes": codes,
            "tables": tables,
            "lookup": [{"table": name, "methods": ", ".join(found)} for name, found in methods.items()],
            "json": uses_json(code) or any(entry["raw"] for entry in errors),
        }

    def error(self, error: ir.ErrorCode) -> dict[str, object]:
        name = self.derived[f"error:{error.name}"]
        of_family = f" of {error.family}" if error.family else ""
        about = f"{name} is the error {error.code}{of_family}, {quote(error.message)}."
        found = self.types.of(error.data if error.data is not None else ir.AnyType())
        return {
            "name": name,
            "doc": comment(f"{about}\n\n{error.doc}"),
            "code": self.derived[f"code:{error.name}"],
            "message": quote(error.message),
            "raw": found.read == ANY.read,
            "data": found.text,
            "read": found.read,
            "write": found.write,
        }

    # --- client.go, handlers.go ---

    def roles(self) -> list[ir.Role]:
        """The roles that can be called."""
        return [role for role in self.protocol.roles if self.methods[role.name]]

    def client_file(self) -> dict[str, object]:
        clients = [
            {
                **self.role(role),
                "methods": [self.call(method) for method in ir.served(self.protocol, role.name)],
            }
            for role in self.roles()
        ]
        return {"clients": clients}

    def handlers_file(self) -> dict[str, object]:
        handlers = [
            {
                **self.role(role),
                "methods": [self.served(method) for method in ir.served(self.protocol, role.name)],
            }
            for role in self.roles()
        ]
        return {"handlers": handlers, "json": self.signatures_use_json()}

    def signatures_use_json(self) -> bool:
        shown = [self.params(method).text for method in self.protocol.methods]
        shown += [self.result(method).text for method in self.protocol.methods]
        shown += [self.types.of(method.events).text for method in self.protocol.methods if method.events is not None]
        return uses_json(shown)

    def role(self, role: ir.Role) -> dict[str, object]:
        found: dict[str, object] = {
            key.replace("-", "_"): self.derived[f"{key}:{role.name}"] for key in names.ROLE_NAMES
        }
        found["role"] = one_line(role.name)
        found["doc"] = comment(role.doc)
        return found

    def method_doc(self, method: ir.Method, name: str, verb: str, *, indent: str = "") -> list[str]:
        parts = [f"{name} {verb} {quote(method.name)}. {method.summary}".rstrip(), method.doc]
        errors = [f"*{self.derived[f'error:{error}']}" for error in method.errors if f"error:{error}" in self.derived]
        if errors:
            parts.append(f"Errors of the protocol: {', '.join(errors)}.")
        if method.deprecated:
            parts.append("Deprecated: the protocol marks it so.")
        return comment("\n\n".join(part for part in parts if part), indent=indent)

    def call(self, method: ir.Method) -> dict[str, object]:
        name = self.methods[method.receiver][method.name]
        params, result = self.params(method), self.result(method)
        given = f"params {params.text}, " if method.params is not None else ""
        passed = "params" if method.params is not None else "rpc.None{}"
        arguments = f"ctx, c.client, &{self.variable(method)}, {passed}, options..."
        head = f"(ctx context.Context, {given}options ...rpc.CallOption)"
        if method.kind == "notification":
            signature, body = f"{name}{head} error", [f"return rpc.Send({arguments})"]
        elif method.result is None:
            signature = f"{name}{head} error"
            body = [f"_, err := rpc.Invoke({arguments})", "return err"]
        else:
            signature, body = f"{name}{head} ({result.text}, error)", [f"return rpc.Invoke({arguments})"]
        verb = "sends the notification" if method.kind == "notification" else "calls"
        view: dict[str, object] = {
            "doc": self.method_doc(method, name, verb),
            "signature": signature,
            "body": body,
            "stream": None,
        }
        if method.events is not None:
            stream = self.methods[method.receiver][f"stream:{method.name}"]
            events = self.types.of(method.events).text
            view["stream"] = {
                "doc": comment(
                    f"{stream} calls {quote(method.name)} and takes the events that come beside the result."
                ),
                "signature": f"{stream}{head} *rpc.Stream[{events}, {result.text}]",
                "body": (
                    f"return rpc.Open(ctx, c.client, &{self.variable(method)}, {self.events(method)}, "
                    f"{passed}, options...)"
                ),
            }
        return view

    def served(self, method: ir.Method) -> dict[str, object]:
        name = self.methods[method.receiver][method.name]
        params, result = self.params(method), self.result(method)
        inputs = ["ctx context.Context"]
        inputs += [f"params {params.text}"] if method.params is not None else []
        blank = ["context.Context"]
        blank += [params.text] if method.params is not None else []
        if method.events is not None:
            emitter = f"*rpc.Emitter[{self.types.of(method.events).text}]"
            inputs.append(f"events {emitter}")
            blank.append(emitter)
        answer = f"({result.text}, error)" if method.result is not None else "error"
        return {
            "name": name,
            "doc": self.method_doc(method, name, "answers", indent="\t"),
            "signature": f"{name}({', '.join(inputs)}) {answer}",
            "unimplemented": f"{name}({', '.join(blank)}) {answer}",
            "result": result.text if method.result is not None else "",
            "register": self.register(method, name),
        }

    def handler(self, role: str) -> Handler:
        methods: list[HandlerMethod] = []
        for method in ir.served(self.protocol, role):
            shown = self.served(method)
            methods.append(
                HandlerMethod(
                    wire=method.name,
                    doc=self.method_doc(method, str(shown["name"]), "answers"),
                    signature=str(shown["signature"]),
                    result=str(shown["result"]),
                )
            )
        name, dispatcher = self.derived[f"handler:{role}"], self.derived[f"dispatcher:{role}"]
        return Handler(name=name, dispatcher=dispatcher, methods=tuple(methods))

    def register(self, method: ir.Method, name: str) -> list[str]:
        """The lines that tell a dispatcher of the handler's method."""
        descriptor = f"&{self.variable(method)}"
        params, result = self.params(method), self.result(method)
        direct = method.params is not None and (method.result is not None or method.kind == "notification")
        if method.events is not None:
            call, extra = "rpc.HandleStream", f", {self.events(method)}"
            emitter, events = f", events *rpc.Emitter[{self.types.of(method.events).text}]", ", events"
        else:
            call = "rpc.HandleNotification" if method.kind == "notification" else "rpc.Handle"
            extra = emitter = events = ""
        if direct:
            return [f"{call}(d, {descriptor}{extra}, handler.{name})"]
        passed = ", params" if method.params is not None else ""
        inputs = f"ctx context.Context, {'params' if passed else '_'} {params.text}{emitter}"
        invoked = f"handler.{name}(ctx{passed}{events})"
        if method.kind == "notification":
            return [f"{call}(d, {descriptor}, func({inputs}) error {{", f"\treturn {invoked}", "})"]
        value = invoked if method.result is not None else f"rpc.None{{}}, {invoked}"
        return [f"{call}(d, {descriptor}{extra}, func({inputs}) ({result.text}, error) {{", f"\treturn {value}", "})"]

    # --- README.md ---

    def readme(self) -> dict[str, object]:
        roles = []
        for role in self.roles():
            called = ir.served(self.protocol, role.name)
            request = next((method for method in called if method.kind == "request"), called[0])
            roles.append(
                {
                    **self.role(role),
                    "example": self.methods[role.name][request.name],
                    "params": f"{names.package_name(self.options.package)}.{self.params(request).text}{{}}"
                    if isinstance(request.params, ir.NamedType)
                    else "",
                    "result": request.result is not None,
                    "notification": request.kind == "notification",
                }
            )
        return {"roles": roles}


def _code(declaration: Declaration) -> Iterable[str]:
    yield from declaration.body
    yield from declaration.read
    yield from declaration.write
    for lines in declaration.more:
        yield from lines


_LITERALS = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|//.*')
_JSON = re.compile(r"(?<![\w.])json\.")


def uses_json(lines: Iterable[str]) -> bool:
    """Whether the code, apart from its literals and comments, mentions the package encoding/json."""
    return any("json." in line and _JSON.search(_LITERALS.sub("", line)) for line in lines)


def one_line(text: str) -> str:
    """Text for the middle of a line: without line ends and control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _tuples(protocol: ir.Protocol) -> dict[str, ir.TupleType]:
    """Tuples inside other types, by a name made from where they first stand."""
    found: dict[ir.TupleType, str] = {}

    def walk(expression: ir.Type, name: str) -> None:
        match expression:
            case ir.TupleType(items=items):
                if expression not in found:
                    taken = set(found.values())
                    number = 2
                    unique = name
                    while unique in taken:
                        unique, number = f"{name}{number}", number + 1
                    found[expression] = unique
                for at, item in enumerate(items):
                    walk(item, f"{name}Item{at}")
            case ir.ListType(item=inner) | ir.MapType(value=inner):
                walk(inner, f"{name}Item")
            case ir.NullableType(of=inner):
                walk(inner, name)
            case _:
                pass

    for definition in protocol.definitions:
        base = names.exported(definition.name)
        match definition:
            case ir.Record(fields=fields, extra=extra):
                for field in fields:
                    walk(field.type, base + names.suffix(field.wire))
                if extra is not None:
                    walk(extra, f"{base}Extra")
            case ir.Union(arms=arms):
                for arm in arms:
                    walk(arm.type, base + names.suffix(arm.name))
            case ir.Alias(type=ir.TupleType(items=items)):
                for at, item in enumerate(items):
                    walk(item, f"{base}Item{at}")
            case ir.Alias(type=expression):
                walk(expression, f"{base}Item")
            case _:
                pass
    for method in protocol.methods:
        base = names.exported(method.name)
        for what, carried in (("Params", method.params), ("Result", method.result), ("Event", method.events)):
            if carried is not None:
                walk(carried, base + what)
    for error in protocol.errors:
        if error.data is not None:
            walk(error.data, f"{names.exported(error.name)}Data")
    return {name: expression for expression, name in found.items()}
