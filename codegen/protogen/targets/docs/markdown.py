"""Blocks as Markdown (GitHub's), every text escaped so that it reads as it stands.

Knows Markdown's marks; what the blocks are about it does not know.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator

from protogen.targets.docs.blocks import (
    Anchor,
    Block,
    Break,
    Bullets,
    Code,
    Folded,
    Heading,
    Link,
    Listing,
    Paragraph,
    Rich,
    Row,
    Table,
    Text,
    visible,
)

_MARKS = re.compile(r"[\\`*\[\]<>|&~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_START = re.compile(r"^(\s*)([#+=-]|\d+(?=[.)]))")
_TICKS = re.compile(r"`+")


def markdown(blocks: Iterable[Block]) -> str:
    """The text of a page's body; blocks are parted by empty lines."""
    return "\n\n".join(part for block in blocks for part in _block(block)) + "\n"


def _block(block: Block) -> Iterator[str]:
    match block:
        case Heading(level=level, text=text, anchor=anchor):
            yield f"{_place(anchor)}{chr(10) if anchor else ''}{'#' * level} {inline(text)}"
        case Paragraph(text=text):
            yield start(inline(text))
        case Bullets(items=items):
            yield "\n".join(f"- {start(inline(item))}" for item in items)
        case Table(head=head, rows=rows):
            yield "\n".join((_line(head), _line("---" for _ in head), *(_row(row) for row in rows)))
        case Listing(text=text):
            fence = "`" * max(3, longest(text) + 1)
            yield f"{fence}json\n{visible(text)}\n{fence}"
        case Folded(summary=summary, blocks=blocks):
            yield f"<details>\n<summary>{_summary(summary)}</summary>"
            for inner in blocks:
                yield from _block(inner)
            yield "</details>"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _row(row: Row) -> str:
    first, *others = (inline(cell, in_table=True) for cell in row.cells)
    return _line((_place(row.anchor) + first, *others))


def _place(anchor: Anchor | None) -> str:
    return f'<a id="{anchor.id}"></a>' if anchor is not None else ""


def _summary(text: Rich) -> str:
    """The line of a folded part: it stands inside HTML, where Markdown is not read."""
    return "".join(
        f"<code>{html.escape(visible(part.text))}</code>" if isinstance(part, Code) else html.escape(visible(part.text))
        for part in text
        if not isinstance(part, Break)
    )


def inline(text: Rich, *, in_table: bool = False) -> str:
    """Text, code and links on one line."""
    return "".join(_inline(part, in_table=in_table) for part in text)


def _inline(part: Text | Code | Link | Break, *, in_table: bool) -> str:
    match part:
        case Text(text=text):
            return escaped(text)
        case Code(text=text):
            return code(text, in_table=in_table)
        case Link(text=text, anchor=anchor):
            return f"[{code(text, in_table=in_table)}]({href(anchor)})"
        case Break():
            return "<br>"


def href(anchor: Anchor) -> str:
    """The address of a place as seen from another page."""
    return f"{anchor.page}.md#{anchor.id}" if anchor.id else f"{anchor.page}.md"


def escaped(text: str) -> str:
    """Text that Markdown reads as itself."""
    flat = visible(" ".join(text.split("\n")))
    return _MARKS.sub(lambda found: f"\\{found[0]}" if found[0] not in "<>&" else html.escape(found[0]), flat)


def start(text: str) -> str:
    """A line whose first characters do not make it a heading or a list."""
    return _START.sub(
        lambda found: f"{found[1]}\\{found[2]}" if not found[2].isdigit() else f"{found[1]}{found[2]}\\", text
    )


def code(text: str, *, in_table: bool = False) -> str:
    """A span of code; an empty one is shown as a blank."""
    flat = visible(text.replace("\n", "\\n")) or " "
    if in_table and "|" in flat:
        # In a table a bar ends the cell even within backticks, and a backslash before it does not always help.
        return f"<code>{escaped(flat).replace(chr(92) + '|', '&#124;')}</code>"
    ticks = "`" * (longest(flat) + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{ticks}{pad}{flat}{pad}{ticks}"


def longest(text: str) -> int:
    """How many backticks stand together in a text at most."""
    return max((len(run) for run in _TICKS.findall(text)), default=0)
