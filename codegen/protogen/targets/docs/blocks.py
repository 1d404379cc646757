"""What a page of the reference consists of: blocks of text, tables and code, as data.

Knows neither Markdown nor HTML, nor where the text comes from; all of it is raw text, escaped by whoever writes it out.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

import msgspec


class Text(msgspec.Struct, frozen=True):
    """Words to be read as they stand."""

    text: str


class Code(msgspec.Struct, frozen=True):
    """Words of the protocol: a name, a value, a pattern."""

    text: str


class Link(msgspec.Struct, frozen=True):
    """A name that leads to where it is described."""

    text: str
    anchor: Anchor


class Break(msgspec.Struct, frozen=True):
    """A line ends here."""


class Anchor(msgspec.Struct, frozen=True):
    """A place that can be linked to: a page, and an id in it (none: the page's beginning)."""

    page: str
    id: str = ""


Rich = tuple[Text | Code | Link | Break, ...]


class Heading(msgspec.Struct, frozen=True):
    """A heading; `level` 2 is a page's own parts."""

    level: int
    text: Rich
    anchor: Anchor | None = None


class Paragraph(msgspec.Struct, frozen=True):
    """Text that stands for itself."""

    text: Rich


class Bullets(msgspec.Struct, frozen=True):
    """A list without order."""

    items: tuple[Rich, ...]


class Row(msgspec.Struct, frozen=True):
    """One row of a table; `anchor` makes it a place of its own."""

    cells: tuple[Rich, ...]
    anchor: Anchor | None = None


class Table(msgspec.Struct, frozen=True):
    """Rows of cells under a head."""

    head: tuple[str, ...]
    rows: tuple[Row, ...]


class Listing(msgspec.Struct, frozen=True):
    """JSON text, its lines kept."""

    text: str


class Folded(msgspec.Struct, frozen=True):
    """Blocks that are shown on demand, under a line that says what they are."""

    summary: Rich
    blocks: tuple[Block, ...]


Block = Heading | Paragraph | Bullets | Table | Listing | Folded


class Entry(msgspec.Struct, frozen=True):
    """What a search may find: a name, what kind of thing it is, a line about it, and where it stands."""

    name: str
    kind: str
    about: str
    anchor: Anchor


class Page(msgspec.Struct, frozen=True):
    """One page: `name` is its file's name without a suffix."""

    name: str
    title: str
    blocks: tuple[Block, ...]


_BULLET = re.compile(r"\s*[-*•]\s+(?=\S)")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_ODD = re.compile(r"[^\n -~]")
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_PARAGRAPHS = re.compile(r"\n[ \t]*\n\s*")


def prose(text: str) -> tuple[Block, ...]:
    """A description as blocks: paragraphs, lists of lines that begin with a dash, and code between backticks."""
    blocks: list[Block] = []
    for part in _PARAGRAPHS.split(text.strip()):
        lines: list[str] = []
        items: list[str] = []
        for line in part.split("\n"):
            if _BULLET.match(line):
                items.append(_BULLET.sub("", line, count=1))
            elif items:
                items[-1] += f" {line}"
            else:
                lines.append(line)
        if any(line.strip() for line in lines):
            blocks.append(Paragraph(spans(" ".join(lines))))
        if items:
            blocks.append(Bullets(tuple(spans(item) for item in items)))
    return tuple(blocks)


def line(text: str) -> Rich:
    """A description for a table's cell: its paragraphs and list items as lines."""
    cell: list[Text | Code | Link | Break] = []
    for block in prose(text):
        for part in (
            block.items if isinstance(block, Bullets) else (block.text,) if isinstance(block, Paragraph) else ()
        ):
            if cell:
                cell.append(Break())
            cell.extend((Text("• "), *part) if isinstance(block, Bullets) else part)
    return tuple(cell)


def spans(text: str) -> Rich:
    """One line of text, what stands between backticks as code."""
    found: list[Text | Code | Link | Break] = []
    at = 0
    for match in _SPAN.finditer(text):
        found += [Text(text[at : match.start()]), Code(match[2].strip())]
        at = match.end()
    found.append(Text(text[at:]))
    return tuple(part for part in found if not isinstance(part, Text) or part.text)


def first_sentence(text: str) -> str:
    """What a description says first, on one line and without marks of code."""
    flat = " ".join(text.replace("`", "").split())
    return re.split(r"(?<=[.!?])\s", flat, maxsplit=1)[0]


def visible(text: str) -> str:
    """`text` with what is not seen as itself written as an escape: controls, surrogates, direction marks.

    Line feeds are kept. Within JSON text the escapes are JSON's own, so that it stays what it is.
    """
    return _ODD.sub(lambda found: _escape(found[0]), text)


def _escape(letter: str) -> str:
    return json.dumps(letter)[1:-1] if unicodedata.category(letter) in _HIDDEN else letter


def short_json(value: Any) -> str:
    """A JSON value on one line."""
    return json.dumps(value, ensure_ascii=False)
