"""Python source as the ruff formatter leaves it: literals, docstrings, and long lines broken the way it does.

Knows the grammar of expressions only as far as generated modules use it; nothing of protocols.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

WIDTH: Final = 120
"""Columns of a line, as `line-length` in the generated pyproject.toml."""


class Call(msgspec.Struct, frozen=True):
    """`head` + brackets around arguments, such as `Annotated[str, Meta(...)]` or `field(name=...)`."""

    head: str
    args: tuple[Expr, ...]
    brackets: str = "()"


class Either(msgspec.Struct, frozen=True):
    """`A | B | C`."""

    items: tuple[Expr, ...]


Expr = str | Call | Either
"""An expression; a string is final text that is never broken."""


def flat(expr: Expr) -> str:
    """The expression on one line."""
    if isinstance(expr, str):
        return expr
    if isinstance(expr, Either):
        return " | ".join(map(flat, expr.items))
    return f"{expr.head}{expr.brackets[0]}{', '.join(map(flat, expr.args))}{expr.brackets[1]}"


def either(items: Iterable[Expr]) -> Expr:
    """The union of `items` without repetitions; nested unions are opened, None stands last."""
    parts: dict[str, Expr] = {}
    for item in items:
        for part in item.items if isinstance(item, Either) else (item,):
            parts.setdefault(flat(part), part)
    if "None" in parts:
        parts["None"] = parts.pop("None")
    unique = tuple(parts.values())
    return unique[0] if len(unique) == 1 else Either(unique)


def assign(target: str, expr: Expr, *, indent: int = 0) -> str:
    """`target = expr` at an indentation, broken where it is too long."""
    return statement(f"{target} = ", expr, indent=indent)


def statement(prefix: str, expr: Expr, *, suffix: str = "", indent: int = 0) -> str:
    """`prefix` + expr + `suffix` as one statement; continuation lines are indented from `indent`."""
    pad = " " * indent
    line = f"{pad}{prefix}{flat(expr)}{suffix}"
    if len(line) <= WIDTH and "\n" not in line:
        return line
    if isinstance(expr, Call):
        return f"{pad}{prefix}{_explode(expr, indent)}{suffix}"
    inner = flat(expr)
    if indent + 4 + len(inner) > WIDTH:
        inner = _broken(expr, indent + 4)
    # Parentheses are of no use around one word that is too long even on a line of its own.
    if isinstance(expr, str) and indent + 4 + len(expr) > WIDTH:
        return line
    return f"{pad}{prefix}(\n{' ' * (indent + 4)}{inner}\n{pad}){suffix}"


def _explode(call: Call, indent: int) -> str:
    pad = " " * (indent + 4)
    lines = []
    for arg in call.args:
        text = flat(arg)
        if indent + 4 + len(text) + 1 > WIDTH:
            text = _broken(arg, indent + 4)
        lines.append(f"{pad}{text}")
    # A trailing comma would turn `list[x]` into `list[(x,)]`; a tuple of one has its own.
    comma = "" if (call.brackets == "[]" and len(call.args) == 1) or lines[-1].endswith(",") else ","
    return f"{call.head}{call.brackets[0]}\n" + ",\n".join(lines) + f"{comma}\n{' ' * indent}{call.brackets[1]}"


def _broken(expr: Expr, indent: int, *, lead: int = 0) -> str:
    """An expression over several lines; `lead` columns stand before it in its first one."""
    if isinstance(expr, str):
        return expr
    if isinstance(expr, Call):
        text = flat(expr)
        return text if indent + lead + len(text) <= WIDTH else _explode(expr, indent)
    pad = f"\n{' ' * indent}| "
    first, *others = expr.items
    return pad.join([_broken(first, indent), *(_broken(item, indent, lead=len("| ")) for item in others)])


def text_literal(text: str) -> str:
    """A string literal, in the quotes that need fewer escapes; everything but printable ASCII is escaped."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    if text.isascii() and text.isprintable() and "\\" not in text:
        return f"{quote}{text}{quote}" if quote not in text else quote + text.replace(quote, "\\" + quote) + quote
    return quote + "".join(_escaped(char, quote) for char in text) + quote


def _escaped(char: str, quote: str) -> str:
    if char in ("\\", quote):
        return "\\" + char
    code = ord(char)
    if 0x20 <= code < 0x7F:
        return char
    if char in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[char]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def literal(value: object) -> str:
    """A JSON scalar as a Python literal."""
    if isinstance(value, str):
        return text_literal(value)
    return repr(value)


def json_literal(value: object) -> str:
    """Any JSON value as a string literal that holds its JSON text."""
    return text_literal(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def sequence(items: Sequence[str], *, brackets: str = "()") -> Call:
    """A tuple or list display of final texts; a tuple of one keeps its comma."""
    if brackets == "()" and len(items) == 1:
        return Call("", (f"{items[0]},",))
    return Call("", tuple(items), brackets)


def docstring(text: str, *, indent: int) -> str:
    """A docstring with its quotes, indented, that no text can end early; empty where there is no text."""
    lines = _doc_lines(text, WIDTH - indent)
    if not lines:
        return ""
    if len(lines) == 1 and len(lines[0]) + indent + 7 > WIDTH:
        # Too long with the closing quotes, which the formatter would put behind it all the same.
        lines = _doc_lines(text, WIDTH - indent - 8)
    pad = " " * indent
    first = f" {lines[0]}" if lines[0].startswith('"') else lines[0]
    if len(lines) == 1:
        last = " " if first.endswith('"') else ""
        # One word that is too long stays on the line of its quotes.
        return f'{pad}"""{first}{last}"""'
    return "\n".join([f'{pad}"""{first}', *(f"{pad}{line}" if line else "" for line in lines[1:]), f'{pad}"""'])


def comment(text: str, *, indent: int = 0) -> list[str]:
    """The lines of a comment."""
    pad = " " * indent
    return [f"{pad}# {line}".rstrip() for line in _doc_lines(text, WIDTH - indent - 2)]


def _doc_lines(text: str, width: int) -> list[str]:
    text = text.strip()
    if not text:
        return []
    plain = text.isascii() and text.replace("\n", " ").isprintable()
    if not plain or "\\" in text or '"""' in text:
        text = _safe_doc(text)
    lines: list[str] = []
    # The first line shares its line with the quotes.
    room = width - 3
    for line in map(str.rstrip, text.split("\n")):
        if len(line) <= (room if not lines else width):
            lines.append(line)
            continue
        lead = line[: len(line) - len(line.lstrip())]
        lines.extend(
            textwrap.wrap(
                line,
                width=room,
                initial_indent="",
                subsequent_indent=lead,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
    while lines and not lines[-1]:
        lines.pop()
    return _collapse(lines)


def _collapse(lines: list[str]) -> list[str]:
    """No two blank lines in a row."""
    return [line for index, line in enumerate(lines) if line or (index and lines[index - 1])]


def _safe_doc(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4).replace("\\", "\\\\")
    text = text.replace('"""', r"\x22\x22\x22")
    return "".join(char if char == "\n" or char.isprintable() else _escaped(char, "") for char in text)
