"""What the templates lay out beside types: methods, errors, clients, handlers, and the package around them.

Knows the IR and Python; types are `view`'s business.
"""

from __future__ import annotations

from typing import Final

import msgspec

from protogen import ir
from protogen.output import Options, header_lines
from protogen.targets.python.layout import Call, Expr, assign, docstring, flat, statement, text_literal
from protogen.targets.python.typing import Typing, names_in
from protogen.targets.python.view import import_line, import_order, outside_names, type_key

METHOD_DOC: Final = 8
"""Columns before the docstring of a method."""


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """A generated module: header, docstring, imports, and top-level statements with the blank lines before each."""

    header: list[str]
    doc: str
    imports: list[str]
    blocks: list[str]


class Behaviour:
    """Renders the modules that follow from methods and errors."""

    def __init__(self, protocol: ir.Protocol, typing: Typing, options: Options) -> None:
        self.protocol = protocol
        self.typing = typing
        self.names = typing.names
        self.options = options
        self.by_name = {error.name: error for error in protocol.errors}
        self.known_families = {error.family for error in protocol.errors}
        self._received: dict[str, list[ir.Method]] = {}

    def views(self) -> dict[str, object]:
        """The view of each file, by the name of its template."""
        return {
            "errors.py": self.errors(),
            "methods.py": self.methods(),
            "client.py": self.client(),
            "handlers.py": self.handlers(),
            "__init__.py": self.package(),
            "README.md": self.readme(),
            "pyproject.toml": self.project(),
        }

    def _module(self, doc: str, imports: list[str], blocks: list[str]) -> Module:
        return Module(header=header_lines(self.protocol), doc=docstring(doc, indent=0), imports=imports, blocks=blocks)

    def annotation(self, type_: ir.Type | None, used: set[str]) -> str:
        """A type as it stands in a signature; notes the names to import."""
        if type_ is None:
            return "None"
        if isinstance(type_, ir.NamedType):
            used.add(self.names.types[type_.name])
        else:
            used.update(self.names.types[name] for name in names_in(type_))
        text = flat(self.typing.render(type_).expr)
        used |= outside_names(text)
        return text

    # --- errors -----------------------------------------------------------------------------------

    def errors(self) -> Module:
        """errors.py: a class for each error, and the tables by family and code."""
        used: set[str] = set()
        blocks = ["\n\n" + self.error(error, used) for error in self.protocol.errors]
        families: dict[str | None, dict[int, str]] = {}
        for error in self.protocol.errors:
            families.setdefault(error.family, {}).setdefault(error.code, self.names.errors[error.name])
        if families:
            lines = ["ERRORS: Final[dict[str | None, dict[int, type[TypedError]]]] = {"]
            for family, codes in families.items():
                key = "None" if family is None else text_literal(family)
                lines.append(f"    {key}: {{")
                lines += [f"        {code}: {name}," for code, name in codes.items()]
                lines.append("    },")
            lines.append("}")
        else:
            lines = ["ERRORS: Final[dict[str | None, dict[int, type[TypedError]]]] = {}"]
        lines.append('"""Every error by its family and its code."""')
        blocks.append(("\n\n" if self.protocol.errors else "\n") + "\n".join(lines))
        typing_names = ["ClassVar", "Final"] if self.protocol.errors else ["Final"]
        imports = [f"from typing import {', '.join(_with_typing(typing_names, used))}"]
        msgspec_names = {"UNSET", "UnsetType"} if self.protocol.errors else set[str]()
        if "Meta" in used:
            msgspec_names.add("Meta")
        if msgspec_names:
            imports += ["", import_line("msgspec", msgspec_names)]
        imports += ["", "from .rpc.errors import TypedError"]
        if "Json" in used:
            imports.append("from .rpc.jsonvalue import Json")
        imports += _types_import(used)
        return self._module(f"The errors of {self.protocol.title}, one class for each.", imports, blocks)

    def error(self, error: ir.ErrorCode, used: set[str]) -> str:
        """The class of one error."""
        name = self.names.errors[error.name]
        data = self.annotation(error.data, used) if error.data is not None else "Json"
        if error.data is None:
            used.add("Json")
        about = error.doc or f"{error.message} ({error.code})."
        lines = [
            f"class {name}(TypedError):",
            docstring(about, indent=4),
            "",
            f"    CODE: ClassVar[int] = {error.code}",
            statement("MESSAGE: ClassVar[str] = ", text_literal(error.message), indent=4),
        ]
        if error.data is not None:
            lines.append(statement("DATA: ClassVar[str | None] = ", text_literal(type_key(error.data)), indent=4))
        lines += [
            "",
            f"    data: {data} | UnsetType",
            "",
            f"    def __init__(self, data: {data} | UnsetType = UNSET, *, message: str | None = None) -> None:",
            "        super().__init__(data, message=message)",
        ]
        return "\n".join(lines)

    # --- methods ----------------------------------------------------------------------------------

    def methods(self) -> Module:
        """methods.py: names, the table of methods, and the protocol as clients and dispatchers take it."""
        protocol = self.protocol
        blocks: list[str] = []
        for method in protocol.methods:
            text = assign(f"{self.names.method_constants[method.name]}: Final", text_literal(method.name))
            doc = docstring(_summary(method), indent=0)
            blocks.append("\n" + (f"{text}\n{doc}" if doc else text))
        if protocol.methods:
            lines = ["METHODS: Final[dict[str, Method]] = {"]
            for method in protocol.methods:
                entry = Call("Method", tuple(self.method_entry(method)))
                lines.append(statement(f"{self.names.method_constants[method.name]}: ", entry, suffix=",", indent=4))
            lines.append("}")
        else:
            lines = ["METHODS: Final[dict[str, Method]] = {}"]
        lines.append('"""Every method by its name on the wire."""')
        blocks.append("\n" + "\n".join(lines))
        blocks.append(
            "\n\ndef _load_rules() -> Rules:\n"
            "    # On first use: the validators are large, and most values never need them.\n"
            "    from ._schema import load_schema\n"
            "    from .validators import PATTERNS, VALIDATORS\n\n"
            "    return Rules(VALIDATORS, load_schema(), PATTERNS)"
        )
        blocks.append(
            "\n\nCODEC: Final = Codec(TYPES, exact=EXACT, bounded=BOUNDED, load_rules=_load_rules)\n"
            '"""Reads and writes every definition by its name."""'
        )
        http = protocol.http
        info: list[Expr] = [
            f"name={text_literal(protocol.name)}",
            f"version={text_literal(protocol.version)}",
            "codec=CODEC",
            "methods=METHODS",
            "errors=ERRORS",
            f"path={text_literal(http.path)}",
        ]
        if http.health_path is not None:
            info.append(f"health_path={text_literal(http.health_path)}")
        info.append(f"instance_header={text_literal(http.instance_header)}")
        blocks.append(
            "\n" + assign("PROTOCOL: Final", Call("ProtocolInfo", tuple(info))) + '\n"""All of it, as clients and '
            'dispatchers take it."""'
        )
        errors = {self.names.errors[name] for method in protocol.methods for name in method.errors}
        imports = [
            "from typing import Final",
            "",
            import_line(".errors", {"ERRORS", *errors}),
            "from .rpc.boundary import Codec, Rules",
            "from .rpc.table import Method, ProtocolInfo",
            "from .types import BOUNDED, EXACT, TYPES",
        ]
        return self._module(f"The methods of {protocol.title}: names and tables.", imports, blocks)

    def method_entry(self, method: ir.Method) -> list[Expr]:
        """The arguments of one entry of METHODS."""
        parts: list[Expr] = [
            f"name={self.names.method_constants[method.name]}",
            f"function={text_literal(self.names.method_functions[method.name])}",
            f"kind={text_literal(method.kind)}",
            f"sender={text_literal(method.sender)}",
            f"receiver={text_literal(method.receiver)}",
        ]
        edges = (("params", method.params), ("result", method.result), ("events", method.events))
        parts += [f"{key}={text_literal(type_key(type_))}" for key, type_ in edges if type_ is not None]
        if method.events_are_results:
            parts.append("events_are_results=True")
        if method.errors:
            parts.append(Call("errors=", _tuple([self.names.errors[name] for name in method.errors])))
        families = self.families(method)
        if families != [None]:
            shown = ["None" if family is None else text_literal(family) for family in families]
            parts.append(Call("families=", _tuple(shown)))
        if method.param_structure != "by-name":
            parts.append(Call("positional=", _tuple([text_literal(wire) for wire in self.positions(method)])))
        if method.param_structure == "by-position":
            parts.append("by_position=True")
        if method.mutual:
            parts.append("mutual=True")
        if method.idempotent:
            parts.append("idempotent=True")
        return parts

    def families(self, method: ir.Method) -> list[str | None]:
        """Where to look a code up: the tables of the method's errors, its prefix, its receiver, then the common one."""
        known = self.known_families
        prefix = method.name.replace(".", "/").rpartition("/")[0]
        wanted: list[str | None] = [self.by_name[name].family for name in method.errors]
        wanted += [prefix, prefix.partition("/")[0], method.receiver]
        return [*dict.fromkeys(family for family in wanted if family is not None and family in known), None]

    def positions(self, method: ir.Method) -> list[str]:
        """The members of the params in the order of an array."""
        if isinstance(method.params, ir.NamedType):
            definition = self.typing.definitions[method.params.name]
            if isinstance(definition, ir.Record):
                return [field.wire for field in definition.fields]
        return []

    # --- clients ----------------------------------------------------------------------------------

    def client(self) -> Module:
        """client.py: a class for each role that can be called."""
        used: set[str] = set()
        roles = [role for role in self.protocol.roles if self.received(role.name)]
        blocks = ["\n\n" + self.client_class(role, used) for role in roles]
        lines = ["CLIENTS: Final[dict[str, Callable[[Channel], Client]]] = {"]
        lines += [f"    {text_literal(role.name)}: {self.names.clients[role.name]}," for role in roles]
        table = "\n".join([*lines, "}"]) if roles else "".join([*lines, "}"])
        blocks.append(("\n\n" if roles else "\n") + table + '\n"""The client that calls each role."""')
        called = [method for role in roles for method in self.received(role.name)]
        constants = {self.names.method_constants[method.name] for method in called}
        streams = any(method.events is not None for method in called)
        typing_names = {"Final"} | (used & {"Annotated", "Literal"})
        if any(method.kind == "request" for method in called):
            typing_names.add("cast")
        if roles:
            typing_names |= {"Self", "TYPE_CHECKING"}
        imports = ["from collections.abc import Callable" + (", Mapping, Sequence" if roles else "")]
        imports += [f"from typing import {', '.join(sorted(typing_names, key=import_order))}"]
        if roles:
            imports += ["", import_line("msgspec", {"UNSET"} | (used & {"Meta"}))]
        imports += ["", import_line(".methods", {"PROTOCOL", *constants})] if roles else [""]
        imports.append("from .rpc.channel import Channel")
        client_names = {"Client"} | ({"DEFAULT_TIMEOUT", "Timeout"} if roles else set())
        if streams:
            client_names.add("EventStream")
        imports.append(import_line(".rpc.client", client_names))
        if roles:
            imports += [
                "from .rpc.dispatch import Dispatcher",
                "from .rpc.http import HttpChannel",
            ]
        if "Json" in used:
            imports.append("from .rpc.jsonvalue import Json")
        if roles:
            imports.append("from .rpc.stdio import StdioChannel")
        imports += _types_import(used)
        if roles:
            imports += ["", "if TYPE_CHECKING:", "    import httpx"]
        return self._module(f"Clients of {self.protocol.title}, one for each role that can be called.", imports, blocks)

    def received(self, role: str) -> list[ir.Method]:
        """The methods that one may call on a role."""
        if role not in self._received:
            self._received[role] = ir.served(self.protocol, role)
        return self._received[role]

    def client_class(self, role: ir.Role, used: set[str]) -> str:
        """The client of one role."""
        name = self.names.clients[role.name]
        about = f"Calls the role `{role.name}`." + (f"\n\n{role.doc}" if role.doc else "")
        lines = [f"class {name}(Client):", docstring(about, indent=4), "", _CLIENT_FRAME]
        for method in self.received(role.name):
            lines += ["", *self.client_method(method, used)]
            if method.events is not None:
                lines += ["", *self.stream_method(method, used)]
        return "\n".join(lines)

    def client_method(self, method: ir.Method, used: set[str]) -> list[str]:
        """The lines of the method that calls a method."""
        function = self.names.method_functions[method.name]
        constant = self.names.method_constants[method.name]
        arguments = ["self"]
        passed = "None"
        if method.params is not None:
            arguments.append(f"params: {self.annotation(method.params, used)}")
            passed = "params"
        if method.kind == "notification":
            head = _signature(f"async def {function}", arguments, "None")
            return [head, self.method_doc(method), f"        await self._send({constant}, {passed})"]
        result = self.annotation(method.result, used)
        arguments += ["*", "timeout: Timeout = UNSET"]
        head = _signature(f"async def {function}", arguments, result)
        call = f"await self._request({constant}, {passed}, timeout)"
        if method.result is None:
            return [head, self.method_doc(method), f"        {call}"]
        if self.is_json(method.result):
            # A cast to Any says nothing.
            body = f"        return {call}"
        else:
            body = statement("return ", Call("cast", (text_literal(result), call)), indent=METHOD_DOC)
        return [head, self.method_doc(method), body]

    def is_json(self, type_: ir.Type) -> bool:
        """Whether a type says nothing, directly or by other names."""
        while isinstance(type_, ir.NamedType):
            definition = self.typing.definitions[type_.name]
            if not isinstance(definition, ir.Alias) or type_.name in self.typing.boxed:
                return False
            type_ = definition.type
        return isinstance(type_, ir.AnyType)

    def stream_method(self, method: ir.Method, used: set[str]) -> list[str]:
        """The lines of the method that calls a method and reads its events."""
        function = self.names.stream_functions[method.name]
        constant = self.names.method_constants[method.name]
        result = self.annotation(method.result, used)
        events = self.annotation(method.events, used)
        arguments = ["self"]
        passed = "None"
        if method.params is not None:
            arguments.append(f"params: {self.annotation(method.params, used)}")
            passed = "params"
        arguments += ["*", "timeout: Timeout = None"]
        head = _signature(f"def {function}", arguments, f"EventStream[{events}, {result}]")
        about = f"`{self.names.method_functions[method.name]}` with its events: use it as an async context manager."
        return [
            head,
            docstring(about, indent=METHOD_DOC),
            f"        return self._stream({constant}, {passed}, timeout)",
        ]

    def method_doc(self, method: ir.Method) -> str:
        """The docstring of a method in clients and handlers."""
        text = _summary(method) or f"The method `{method.name}`."
        if method.doc and method.summary:
            text = f"{text}\n\n{method.doc}"
        if method.errors:
            listed = ", ".join(self.names.errors[name] for name in method.errors)
            text = f"{text}\n\nErrors of the protocol: {listed}."
        if method.deprecated:
            text = f"{text}\n\nDeprecated."
        return docstring(text, indent=METHOD_DOC)

    # --- handlers ---------------------------------------------------------------------------------

    def handlers(self) -> Module:
        """handlers.py: an interface and a dispatcher factory for each role that can be called."""
        used: set[str] = set()
        clients: set[str] = set()
        roles = [role for role in self.protocol.roles if self.received(role.name)]
        blocks: list[str] = []
        for role in roles:
            blocks.append("\n\n" + self.handler_class(role, used, clients))
            blocks.append("\n\n" + self.factory(role))
        called = [method for role in roles for method in self.received(role.name)]
        contexts = {"StreamContext" if method.events is not None else "Context" for method in called}
        typing_names = {"Protocol"} | (used & {"Annotated", "Literal"})
        imports = [f"from typing import {', '.join(sorted(typing_names, key=import_order))}"] if roles else []
        if "Meta" in used:
            imports += ["", "from msgspec import Meta"]
        if roles:
            imports += [
                "",
                import_line(".client", {"CLIENTS", *(clients - {"Client"})}),
                "from .methods import PROTOCOL",
            ]
            if "Client" in clients:
                imports.append("from .rpc.client import Client")
            imports.append(import_line(".rpc.dispatch", {"Dispatcher", *contexts}))
        if "Json" in used:
            imports.append("from .rpc.jsonvalue import Json")
        imports += _types_import(used)
        return self._module(
            f"What an implementation of {self.protocol.title} must do, one interface for each role.", imports, blocks
        )

    def handler_class(self, role: ir.Role, used: set[str], clients: set[str]) -> str:
        """The interface of one role."""
        name = self.names.handlers[role.name]
        about = (
            f"Implements the role `{role.name}`: one coroutine for each method that others call on it."
            "\n\nRaise the classes of `errors` to answer with an error; any other exception is an internal error."
        )
        lines = [f"class {name}(Protocol):", docstring(about, indent=4)]
        for method in self.received(role.name):
            lines += ["", self.handler_head(method, used, clients), self.method_doc(method), "        ..."]
        return "\n".join(lines)

    def handler_head(self, method: ir.Method, used: set[str], clients: set[str]) -> str:
        """The signature of what serves a method; notes the names to import."""
        client = self.client_for(method.sender)
        clients.add(client)
        if method.events is None:
            context = f"Context[{client}]"
        else:
            context = f"StreamContext[{client}, {self.annotation(method.events, used)}]"
        arguments = ["self"]
        if method.params is not None:
            arguments.append(f"params: {self.annotation(method.params, used)}")
        arguments.append(f"context: {context}")
        result = self.annotation(method.result, used)
        return _signature(f"async def {self.names.method_functions[method.name]}", arguments, result)

    def client_for(self, role: str) -> str:
        """The client that calls a role; the untyped one for a role on which nothing is called."""
        return self.names.clients[role] if self.received(role) else "Client"

    def factory(self, role: ir.Role) -> str:
        """The function that makes the dispatcher of one role."""
        name = self.names.dispatchers[role.name]
        about = (
            f"A dispatcher that serves the role `{role.name}`: give it to an AsgiApp, `serve_stdio` or a client."
            "\n\nWithout `constraints` values are held against their types alone."
        )
        arguments = [f"handler: {self.names.handlers[role.name]}", "*", "constraints: bool = True"]
        made = Call(
            "Dispatcher", ("PROTOCOL", text_literal(role.name), "handler", "CLIENTS", "constraints=constraints")
        )
        return "\n".join(
            [
                statement(f"def {name}", Call("", tuple(arguments)), suffix=" -> Dispatcher:"),
                docstring(about, indent=4),
                statement("return ", made, indent=4),
            ]
        )

    # --- the package ------------------------------------------------------------------------------

    def package(self) -> Module:
        """__init__.py: everything public, and decoding and encoding by name."""
        protocol = self.protocol
        roles = [role for role in protocol.roles if self.received(role.name)]
        names = self.names
        serving = {names.handlers[role.name] for role in roles} | {names.dispatchers[role.name] for role in roles}
        # A boxed union holds what nobody listed itself.
        unknown = {name for union, name in names.unknown.items() if union not in self.typing.boxed}
        modules: dict[str, set[str]] = {
            ".client": {names.clients[role.name] for role in roles},
            ".errors": set(names.errors.values()),
            ".handlers": serving,
            ".methods": {"CODEC", "METHODS", "PROTOCOL", *names.method_constants.values()},
            ".rpc": _PUBLIC_RPC,
            ".rpc.jsonvalue": {"Json"},
            ".types": {*names.types.values(), *unknown, *names.values.values()},
        }
        imports = [import_line(module, used) for module, used in modules.items() if used]
        every = {name for used in modules.values() for name in used} | {"decode", "encode"}
        public = sorted(every, key=_public_order)
        listed = "__all__ = [\n" + "".join(f'    "{name}",\n' for name in public) + "]"
        blocks = ["\n" + listed, _DECODE, _ENCODE]
        about = f"{protocol.title} {protocol.version}: types, clients and servers." + (
            f"\n\n{protocol.doc}" if protocol.doc else ""
        )
        return self._module(about, imports, blocks)

    def readme(self) -> dict[str, object]:
        """README.md."""
        roles = [role for role in self.protocol.roles if self.received(role.name)]
        samples = [self.sample(role) for role in roles]
        return {
            "title": _one_line(self.protocol.title),
            "doc": self.protocol.doc.strip(),
            "distribution": self.options.distribution,
            "package": self.options.package,
            "version": self.protocol.version,
            "samples": [sample for sample in samples if sample is not None],
            "rows": [self.readme_row(method) for method in self.protocol.methods],
            "header": header_lines(self.protocol),
        }

    def readme_row(self, method: ir.Method) -> str:
        """One line of the table of methods."""
        summary = _one_line(_summary(method)).replace("|", "\\|")
        arrow = "↔" if method.mutual else "→"
        return f"| `{method.name}` | {method.sender} {arrow} {method.receiver} | {summary} |"

    def sample(self, role: ir.Role) -> dict[str, str] | None:
        """How the first request of a role is called and served."""
        method = next((m for m in self.received(role.name) if m.kind == "request"), None)
        if method is None:
            return None
        params = flat(self.typing.render(method.params).expr) if method.params is not None else ""
        return {
            "role": role.name,
            "client": self.names.clients[role.name],
            "handler": self.names.handlers[role.name],
            "dispatcher": self.names.dispatchers[role.name],
            "function": self.names.method_functions[method.name],
            "params": params,
            "result": flat(self.typing.render(method.result).expr) if method.result is not None else "None",
        }

    def project(self) -> dict[str, object]:
        """pyproject.toml."""
        return {
            "header": header_lines(self.protocol),
            "distribution": self.options.distribution,
            "version": self.options.version,
            "license": self.options.license,
            "package": self.options.package,
            "summary": _one_line(f"{self.protocol.title}: types, clients and servers")
            .replace("\\", "")
            .replace('"', "'"),
        }


_PUBLIC_RPC: Final = {
    "AsgiApp",
    "CallError",
    "CallTimeoutError",
    "Context",
    "Dispatcher",
    "EventStream",
    "InvalidResultError",
    "Issue",
    "RpcError",
    "StreamContext",
    "TransportError",
    "ValidationError",
    "memory_pair",
    "serve_stdio",
}

_DECODE: Final = '''

def decode(type_name: str, data: bytes, *, constraints: bool = True) -> object:
    """The typed value of a JSON text, by the name of its definition; its types alone are checked without `constraints`.

    Errors: ValidationError, which lists every fault; KeyError for a name that is no definition.
    """
    value: object = CODEC.under(constraints=constraints).decode(type_name, data)
    return value'''

_ENCODE: Final = '''

def encode(value: object) -> bytes:
    """A typed value as JSON, unknown members included; not checked against the schema."""
    return CODEC.encode(value)'''

_CLIENT_FRAME: Final = '''\
    def __init__(
        self,
        channel: Channel,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        retries: int = 2,
        backoff: float = 0.1,
        constraints: bool = True,
    ) -> None:
        super().__init__(PROTOCOL, channel, timeout=timeout, retries=retries, backoff=backoff, constraints=constraints)

    @classmethod
    def http(
        cls,
        url: str,
        *,
        callbacks: Dispatcher | None = None,
        headers: Mapping[str, str] | None = None,
        http: httpx.AsyncClient | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        retries: int = 2,
        backoff: float = 0.1,
        constraints: bool = True,
    ) -> Self:
        """A client of the server at `url`; `callbacks` serves what that calls on us."""
        channel = HttpChannel(
            url, callbacks=callbacks, headers=headers, http=http, instance_header=PROTOCOL.instance_header
        )
        return cls(channel, timeout=timeout, retries=retries, backoff=backoff, constraints=constraints)

    @classmethod
    def stdio(
        cls,
        command: Sequence[str],
        *,
        callbacks: Dispatcher | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        constraints: bool = True,
    ) -> Self:
        """A client of a server that is started as `command`: the program and its arguments."""
        channel = StdioChannel(command, callbacks=callbacks, cwd=cwd, env=env)
        return cls(channel, timeout=timeout, constraints=constraints)'''


def _public_order(name: str) -> tuple[int, str]:
    """The order in which `__all__` stands: CONSTANTS, Classes, functions."""
    return import_order(name)[0], name


def _tuple(items: list[str]) -> tuple[Expr, ...]:
    return (f"{items[0]},",) if len(items) == 1 else tuple(items)


def _summary(method: ir.Method) -> str:
    return method.summary or method.doc


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _signature(head: str, arguments: list[str], result: str) -> str:
    """The line of a function, or one argument per line."""
    line = f"    {head}({', '.join(arguments)}) -> {result}:"
    if len(line) <= 120:
        return line
    inner = f"        {', '.join(arguments)}"
    if len(inner) <= 120:
        return f"    {head}(\n{inner}\n    ) -> {result}:"
    return f"    {head}(\n" + "".join(f"        {argument},\n" for argument in arguments) + f"    ) -> {result}:"


def _with_typing(names: list[str], used: set[str]) -> list[str]:
    return sorted({*names, *(used & {"Annotated", "Literal"})}, key=import_order)


def _types_import(used: set[str]) -> list[str]:
    names = used - {"Json", "Annotated", "Literal", "Meta"}
    return [import_line(".types", names)] if names else []
