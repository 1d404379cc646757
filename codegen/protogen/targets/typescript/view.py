"""What the templates lay out: final strings for every file of the SDK, made from the IR and the settled names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from protogen import ir
from protogen.output import Options, header_lines
from protogen.targets.typescript.behaviour import Behaviour, class_list, one_line
from protogen.targets.typescript.layout import WIDTH, columns, doc, header, key, string, type_after
from protogen.targets.typescript.names import Names
from protogen.targets.typescript.package import package_json, readme
from protogen.targets.typescript.typing import Types


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
    types = Types(protocol, names)
    behaviour = Behaviour(protocol, names, types)
    declared = tuple(text for entry in protocol.definitions for text in types.definition(entry))
    roles = behaviour.callable_roles
    return View(
        header=header(header_lines(protocol)),
        title=protocol.title,
        types_doc=doc([f"Types of {one_line(protocol.title)} {one_line(protocol.version)}.", protocol.doc]),
        types=declared,
        types_by_name=tuple(
            type_after(f"{key(entry.name)}:", names.types[entry.name], indent=2) for entry in protocol.definitions
        ),
        uses_unknown_tag=types.uses_unknown_tag,
        definitions=_definitions(protocol),
        errors=tuple(behaviour.error(error) for error in protocol.errors),
        errors_use_types=any(types.refers(error.data) for error in protocol.errors),
        error_classes=class_list("ErrorClasses", [names.errors[error.name] for error in protocol.errors]),
        families=behaviour.families(),
        http=_http(protocol.http),
        wire_names=behaviour.wire_names(),
        tables=tuple(behaviour.table(role) for role in roles),
        method_imports=behaviour.method_imports(),
        clients=tuple(text for role in roles for text in behaviour.client(role)),
        client_imports=behaviour.client_imports(),
        handlers=tuple(text for role in roles for text in behaviour.handler(role)),
        handler_imports=behaviour.handler_imports(),
        package=package_json(protocol, options),
        readme=readme(protocol, options, names, behaviour),
    )


def _http(binding: ir.HttpBinding) -> str:
    health = "null" if binding.health_path is None else string(binding.health_path)
    rows = (
        f"path: {string(binding.path)}",
        f"healthPath: {health}",
        f"instanceHeader: {string(binding.instance_header)}",
    )
    return "".join(f"  {row},\n" for row in rows)


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
