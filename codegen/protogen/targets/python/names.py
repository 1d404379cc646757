"""Every name of a Python SDK, settled at once: classes, constants, functions and the fields of each record.

Knows Python's rules and the names that generated modules use themselves; collisions are settled by `protogen.naming`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from protogen import ir
from protogen.naming import Claim, pascal, settle, snake, upper

KEYWORDS: Final = frozenset(
    "False None True and as assert async await break class continue def del elif else except finally for from global"
    " if import in is lambda nonlocal not or pass raise return try while with yield".split()
)

USED_IN_TYPES: Final = frozenset(
    "Annotated Any Arm Boxed ClassVar EXTRA Either Final Json Literal Meta OpenRecord Record TypeAlias UNKNOWN UNSET"
    " UnknownVariant UnsetType annotations bool cast default_of dict field float int list property rpc str"
    " tuple".split()
)
"""What types.py imports or takes from the builtins: a field or a class of that name would hide it."""

USED_ELSEWHERE: Final = frozenset(
    "BOUNDED BadAnswer CallTimeoutError Channel Client Codec Context DEFAULT Dispatcher ERRORS EXACT EventStream"
    " Handler HttpChannel InvalidResultError Issue METHODS Mapping Method PROTOCOL ProtocolInfo Protocol RpcError Rules"
    " SCHEMA Self StdioChannel StreamContext TYPES TYPE_CHECKING TransportError Unanswered ValidationError VALIDATORS"
    " PATTERNS asgi_app decode encode serve_stdio memory_pair".split()
)
"""Public names of the package and of its support library."""

RESERVED_FIELDS: Final = KEYWORDS | USED_IN_TYPES | frozenset({"self", "extra", "raw"})
RESERVED_CLASSES: Final = KEYWORDS | USED_IN_TYPES | USED_ELSEWHERE
RESERVED_CONSTANTS: Final = RESERVED_CLASSES
RESERVED_CLIENT: Final = KEYWORDS | frozenset(
    "self call notify http stdio over channel aclose dict list str int float bool tuple object classmethod open".split()
)


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """The name table of one SDK; keys are the source's names."""

    types: dict[str, str]
    unknown: dict[str, str]
    """Open tagged unions: the class that holds an alternative nobody listed."""
    values: dict[str, str]
    """Enums: the constant that lists their values."""
    fields: dict[str, dict[str, str]]
    """Records: wire name to attribute."""
    defaults: dict[str, dict[str, str]]
    """Records: wire name to the property that reads a field with its default."""
    errors: dict[str, str]
    clients: dict[str, str]
    handlers: dict[str, str]
    dispatchers: dict[str, str]
    method_constants: dict[str, str]
    method_functions: dict[str, str]
    stream_functions: dict[str, str]


def settle_names(protocol: ir.Protocol) -> Names:
    """All names of the SDK. Errors: naming.Collision where two pins ask for one name."""
    classes = settle(_class_claims(protocol), _same, reserved=RESERVED_CLASSES, empty="Type")
    constants = settle(
        [Claim(f"values:{d.name}", f"{upper(d.name)}_VALUES") for d in protocol.definitions if isinstance(d, ir.Enum)]
        + [Claim(f"method:{m.name}", upper(m.pin or m.name)) for m in protocol.methods],
        _same,
        reserved=RESERVED_CONSTANTS,
        empty="METHOD",
    )
    functions = settle(
        [Claim(m.name, m.name, pin=m.pin) for m in protocol.methods]
        + [Claim(f"stream:{m.name}", f"{snake(m.pin or m.name)}_stream") for m in protocol.methods if m.events],
        snake,
        reserved=RESERVED_CLIENT,
        empty="method",
    )
    fields: dict[str, dict[str, str]] = {}
    defaults: dict[str, dict[str, str]] = {}
    taken = RESERVED_FIELDS | frozenset(classes.values())
    for definition in protocol.definitions:
        if isinstance(definition, ir.Record):
            fields[definition.name], defaults[definition.name] = _field_names(definition, taken)
    return Names(
        types=_part(classes, "type:"),
        unknown=_part(classes, "unknown:"),
        values=_part(constants, "values:"),
        fields=fields,
        defaults=defaults,
        errors=_part(classes, "error:"),
        clients=_part(classes, "client:"),
        handlers=_part(classes, "handler:"),
        dispatchers={role.name: f"{snake(role.name) or 'role'}_dispatcher" for role in protocol.roles},
        method_constants=_part(constants, "method:"),
        method_functions={m.name: functions[m.name] for m in protocol.methods},
        stream_functions={m.name: functions[f"stream:{m.name}"] for m in protocol.methods if m.events},
    )


def _class_claims(protocol: ir.Protocol) -> list[Claim]:
    claims: list[Claim] = []
    for role in protocol.roles:
        name = pascal(role.name) or "Role"
        claims.append(Claim(f"client:{role.name}", f"{name}Client"))
        claims.append(Claim(f"handler:{role.name}", f"{name}Handler"))
    for error in protocol.errors:
        name = pascal(error.name)
        claims.append(Claim(f"error:{error.name}", name if name.endswith("Error") else f"{name}Error", pin=error.pin))
    for definition in protocol.definitions:
        claims.append(Claim(f"type:{definition.name}", pascal(definition.name), pin=definition.pin))
        if isinstance(definition, ir.Union) and definition.open and definition.tag is not None:
            claims.append(Claim(f"unknown:{definition.name}", f"Unknown{pascal(definition.name)}"))
    return claims


def _field_names(record: ir.Record, reserved: frozenset[str]) -> tuple[dict[str, str], dict[str, str]]:
    wires = [field.wire for field in record.fields]
    plain = {wire: wire for wire in wires if _is_plain(wire, reserved)}
    with_default = [field.wire for field in record.fields if field.default is not ir.UNSET and not field.required]
    if len(plain) == len(wires) and not with_default and all(field.pin is None for field in record.fields):
        return plain, {}
    table = settle(
        [Claim(f"field:{field.wire}", field.wire, pin=field.pin) for field in record.fields]
        + [Claim(f"default:{wire}", f"{snake(wire) or 'value'}_or_default") for wire in with_default],
        snake,
        reserved=reserved,
        empty="value",
    )
    return _part(table, "field:"), _part(table, "default:")


def _is_plain(wire: str, reserved: frozenset[str]) -> bool:
    """Whether a wire name is its own attribute name, so that nothing needs settling."""
    return (
        wire.islower()
        and wire.isascii()
        and wire.isidentifier()
        and wire[0] != "_"
        and wire[-1] != "_"
        and "__" not in wire
        and wire not in reserved
        and snake(wire) == wire
    )


def _part(table: dict[str, str], prefix: str) -> dict[str, str]:
    return {key.removeprefix(prefix): name for key, name in table.items() if key.startswith(prefix)}


def _same(name: str) -> str:
    return name
