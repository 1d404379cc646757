"""What an enum is in Go: the type under it, its values each once, and the text of its constants.

Knows values and JSON text, not how declarations are laid out.
"""

from __future__ import annotations

import math

from protogen import ir
from protogen.targets.go.text import compact, quote
from protogen.targets.go.types import INT64_MAX, INT64_MIN, GoType, literal

TEXT = GoType("string", "rpc.ReadText", "rpc.WriteText")
STRINGS = GoType("string", "rpc.ReadString", "rpc.WriteString")


def enum_base(enum: ir.Enum) -> GoType:
    """The Go type under an enum: that of its values where they are of one kind, else JSON text."""
    values = [value.value for value in enum.values]
    if all(isinstance(value, str) for value in values):
        return STRINGS
    if all(isinstance(value, bool) for value in values):
        return literal(True) if enum.open else GoType("bool", "rpc.ReadBool", "rpc.WriteBool")
    if not enum.open and all(fits_int64(value) for value in values):
        return GoType("int64", "rpc.ReadInt64", "rpc.WriteInt64")
    return TEXT


def fits_int64(value: ir.Json) -> bool:
    """Whether a value is a whole number of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return (isinstance(value, int) or value.is_integer()) and INT64_MIN <= value <= INT64_MAX


def distinct(enum: ir.Enum) -> list[tuple[int, ir.EnumValue]]:
    """The values with their places, each once: 1 and 1.0 are one value."""
    found: dict[str, tuple[int, ir.EnumValue]] = {}
    for at, value in enumerate(enum.values):
        found.setdefault(json_text(value.value), (at, value))
    return list(found.values())


def json_text(value: ir.Json) -> str:
    """JSON text as the Go side keeps it: integers in plain form."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    return compact_unicode(value)


def compact_unicode(value: ir.Json) -> str:
    """JSON text with the escapes that the Go writer uses."""
    if not isinstance(value, str):
        return compact(value)
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(short.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in value) + '"'


def enum_literal(base: GoType, value: ir.Json) -> str:
    """The constant's value."""
    if base is TEXT:
        return quote(json_text(value))
    if isinstance(value, str):
        return quote(value)
    return json_text(value)
