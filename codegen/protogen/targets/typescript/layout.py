"""TypeScript text laid out as prettier would: literals, types, calls and comments, at most 120 columns wide.

Knows the formatter's rules for what this target writes, nothing of protocols.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

WIDTH = 120

SAFE_INTEGER = 2**53 - 1

# Beside ASCII the letters that every version of the language and of Unicode takes.
_LETTERS = (
    "A-Za-z_$\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01f5\u03b1-\u03c9\u0410-\u044f"
    "\u3041-\u3094\u30a1-\u30fa\u4e00-\u9fa5\uac00-\ud7a3"
)
_IDENTIFIER = re.compile(f"[{_LETTERS}][{_LETTERS}0-9]*\\Z")
# Beside control characters: line separators, the byte order mark, and marks that reorder what a reader sees.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_TAG = re.compile(r"(^|\s)@")
_BREAKS = re.compile("\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")


def columns(text: str) -> int:
    """The columns a text takes: the wide characters of East Asia take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if "\u0300" <= character <= "\u036f":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


# --- literals -----------------------------------------------------------------------------------


def string(text: str) -> str:
    """A string literal in the quotes that need fewer escapes, double ones where it does not matter."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    escaped = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return f"{quote}{_UNPRINTABLE.sub(_escape, escaped)}{quote}"


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return _ESCAPES.get(character) or f"\\u{ord(character):04x}"


def key(name: str) -> str:
    """The name of a property, quoted where it has to be."""
    if _IDENTIFIER.match(name):
        return name
    text = string(name)
    # The formatter strips quotes it thinks needless, by a table of letters of its own; it leaves escapes alone.
    return _escape_first(text) if name.isidentifier() else text


def _escape_first(text: str) -> str:
    index = next(index for index, character in enumerate(text) if not character.isascii())
    units = text[index].encode("utf-16-be").hex()
    escaped = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    return f"{text[:index]}{escaped}{text[index + 1 :]}"


def scalar(value: str | float | bool | None) -> str:
    """A scalar as it is after parsing: integers beyond 2^53 are bigint."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return string(value)
    if isinstance(value, float):
        if not value.is_integer() or abs(value) > SAFE_INTEGER:
            return re.sub(r"e([+-])0*", lambda match: "e-" if match.group(1) == "-" else "e", repr(value))
        value = int(value)
    return str(value) if abs(value) <= SAFE_INTEGER else f"{value}n"


def literal(value: Any, *, indent: int = 0, before: int = 0, after: int = 1) -> str:
    """A JSON value as an expression; `before` and `after` are the columns taken on its first and last line."""
    flat = _flat(value)
    if before + columns(flat) + after <= WIDTH and not _must_break(value):
        return flat
    inner = " " * (indent + 2)
    if isinstance(value, dict) and value:
        members = ((_data_key(name), member) for name, member in value.items())
        rows = [f"{inner}{name}: {_nested(member, indent + 2, columns(name) + 2)},\n" for name, member in members]
        return "{\n" + "".join(rows) + " " * indent + "}"
    if isinstance(value, list) and value:
        if all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in value):
            return "[\n" + _filled([_flat(item) for item in value], indent + 2) + " " * indent + "]"
        rows = [f"{inner}{_nested(item, indent + 2, 0)},\n" for item in value]
        return "[\n" + "".join(rows) + " " * indent + "]"
    return flat


def _nested(value: Any, indent: int, before: int) -> str:
    if isinstance(value, str) and before:
        text = string(value)
        if indent + before + columns(text) + 1 > WIDTH:
            return f"\n{' ' * (indent + 2)}{text}".removeprefix(" ")
    return literal(value, indent=indent, before=indent + before)


def _must_break(value: Any) -> bool:
    """Whether prettier breaks a value that would fit: lists of objects or of lists that have several members each."""
    if isinstance(value, dict):
        return any(_must_break(member) for member in value.values())
    if not isinstance(value, list):
        return False
    if len(value) > 1 and (
        all(isinstance(item, dict) and len(item) > 1 for item in value)
        or all(isinstance(item, list) and len(item) > 1 for item in value)
    ):
        return True
    return any(_must_break(item) for item in value)


def _filled(texts: Sequence[str], indent: int) -> str:
    lines: list[str] = []
    line = ""
    for text in texts:
        if line and indent + columns(line) + 1 + columns(text) + 1 > WIDTH:
            lines.append(f"{' ' * indent}{line}\n")
            line = ""
        line = f"{line} {text}," if line else f"{text},"
    return "".join([*lines, f"{' ' * indent}{line}\n"])


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{_data_key(name)}: {_flat(member)}" for name, member in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(_flat(item) for item in value)}]"
    return scalar(value)


def _data_key(name: str) -> str:
    """As `key`, but `__proto__` has to be computed, or it would set the prototype."""
    return '["__proto__"]' if name == "__proto__" else key(name)


# --- types --------------------------------------------------------------------------------------


class Union(msgspec.Struct, frozen=True):
    """Alternatives; each a type text or one of these."""

    members: tuple[TypeLayout, ...]


class ListOf(msgspec.Struct, frozen=True):
    """`item[]`"""

    item: TypeLayout


class MapOf(msgspec.Struct, frozen=True):
    """An object with any keys."""

    value: TypeLayout


class TupleOf(msgspec.Struct, frozen=True):
    """Exactly these items."""

    items: tuple[TypeLayout, ...]


TypeLayout = str | Union | ListOf | MapOf | TupleOf


def flat_type(layout: TypeLayout) -> str:
    """A type on one line."""
    match layout:
        case str():
            return layout
        case Union(members):
            return " | ".join([flat_type(member) for member in members])
        case ListOf(item):
            inner = flat_type(item)
            return f"({inner})[]" if isinstance(item, Union) else f"{inner}[]"
        case MapOf(value):
            return f"{{ [key: string]: {flat_type(value)} }}"
        case TupleOf(items):
            return f"[{', '.join([flat_type(item) for item in items])}]"


def type_after(prefix: str, layout: TypeLayout, *, indent: int, suffix: str = ";") -> str:
    """`prefix`, a type and `suffix` as one declaration that begins at `indent`; the prefix ends before the space."""
    flat = flat_type(layout)
    if indent + columns(prefix) + 1 + columns(flat) + len(suffix) <= WIDTH:
        return f"{prefix} {flat}{suffix}"
    if isinstance(layout, Union) and not _hugs(layout):
        if indent + 2 + columns(flat) + len(suffix) <= WIDTH:
            return f"{prefix}\n{' ' * (indent + 2)}{flat}{suffix}"
        return f"{prefix}{_alternatives(layout, indent + 2)}{suffix}"
    return f"{prefix} {_broken(layout, indent)}{suffix}"


def _broken(layout: TypeLayout, indent: int) -> str:
    outer, inner = " " * indent, " " * (indent + 2)
    match layout:
        case Union(members) if _hugs(layout):
            return " | ".join(_broken(member, indent) for member in members)
        case ListOf(Union() as item):
            return f"{_enclosed_union(item, indent)}[]"
        case ListOf(item):
            return f"{_broken(item, indent)}[]"
        case MapOf(value):
            return f"{{\n{inner}{type_after('[key: string]:', value, indent=indent + 2)}\n{outer}}}"
        case TupleOf(items):
            return "[\n" + "".join(f"{inner}{_item(item, indent + 2, len(items))},\n" for item in items) + f"{outer}]"
        case _:
            return flat_type(layout)


def _item(layout: TypeLayout, indent: int, count: int) -> str:
    flat = flat_type(layout)
    if indent + columns(flat) + 1 <= WIDTH:
        return flat
    if not isinstance(layout, Union) or _hugs(layout):
        return _broken(layout, indent)
    return _enclosed_union(layout, indent) if count > 1 else _alternatives(layout, indent).lstrip()


def _enclosed_union(union: Union, indent: int) -> str:
    inner, flat = " " * (indent + 2), flat_type(union)
    body = f"\n{inner}{flat}" if len(inner) + columns(flat) <= WIDTH else _alternatives(union, indent + 2)
    return f"({body}\n{' ' * indent})"


def _alternatives(union: Union, indent: int) -> str:
    return "".join(f"\n{' ' * indent}| {_alternative(member, indent + 2)}" for member in union.members)


def _alternative(member: TypeLayout, indent: int) -> str:
    flat = flat_type(member)
    return flat if indent + columns(flat) <= WIDTH else _broken(member, indent)


def _hugs(union: Union) -> bool:
    """An object type with `null` stays on the line of what comes before it."""
    objects = [member for member in union.members if isinstance(member, MapOf)]
    return len(objects) == 1 and all(member == "null" or member in objects for member in union.members)


# --- statements ---------------------------------------------------------------------------------


def enclosed(head: str, items: Iterable[str], tail: str, *, indent: int = 0, padding: str = "", after: int = 0) -> str:
    """`head item, item tail` on one line, or each item on a line of its own; `head` ends with the opening bracket.

    `after` is the number of columns that what follows takes on the last line.
    """
    parts = list(items)
    flat = f"{head}{padding}{', '.join(parts)}{padding}{tail}" if parts else f"{head}{tail}"
    if indent + columns(flat) + after <= WIDTH:
        return flat
    inner = " " * (indent + 2)
    return f"{head}\n{''.join(f'{inner}{part},{chr(10)}' for part in parts)}{' ' * indent}{tail}"


# --- comments -----------------------------------------------------------------------------------


def doc(paragraphs: Iterable[str], *, tags: Iterable[str] = (), indent: int = 0) -> str:
    """A documentation comment with its line feed, or nothing.

    Paragraphs are foreign text and set apart by an empty line; `tags` are our own lines at the end.
    """
    lines: list[str] = []
    for paragraph in paragraphs:
        cleaned = _cleaned(paragraph)
        if not cleaned:
            continue
        if lines:
            lines.append("")
        for line in _BREAKS.split(cleaned):
            lines.extend(_wrapped(line.rstrip(), WIDTH - indent - 3))
    for tag in tags:
        lines.extend(_wrapped(tag, WIDTH - indent - 3))
    if not lines:
        return ""
    margin = " " * indent
    if len(lines) == 1 and indent + columns(lines[0]) + 7 <= WIDTH:
        return f"{margin}/** {lines[0]} */\n"
    body = "".join(f"{margin} * {line}\n" if line else f"{margin} *\n" for line in lines)
    return f"{margin}/**\n{body}{margin} */\n"


def _cleaned(text: str) -> str:
    """Text that cannot end the comment, give orders to a tool, or hide characters."""
    text = text.strip()
    if "@" in text:
        text = _TAG.sub(r"\1\\@", text)
    return visible(text.replace("*/", "*\\/"))


def visible(text: str) -> str:
    """Text in which characters that hide or reorder others are spelled out; line breaks and tabs stay."""
    return _UNPRINTABLE.sub(_visible, text)


def _visible(match: re.Match[str]) -> str:
    character = match.group()
    if _BREAKS.match(character) or character == "\t":
        return character
    return f"\\u{ord(character):04x}"


def _wrapped(line: str, width: int) -> list[str]:
    if columns(line) <= width:
        return [line]
    rows: list[str] = []
    row = ""
    for word in line.split(" "):
        if row and len(row) + 1 + len(word) > width:
            rows.append(row.rstrip())
            row = word
        else:
            row = f"{row} {word}" if row else word
    return [*rows, row]


def header(lines: Iterable[str], *, mark: str = "//") -> str:
    """Line comments with their line feeds; a line break in a line cannot leave the comment."""
    return "".join(f"{mark} {_UNPRINTABLE.sub(' ', line)}\n" for line in lines)
