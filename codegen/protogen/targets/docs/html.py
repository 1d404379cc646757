"""Blocks as HTML, every text escaped.

Knows elements and classes of the site's style; what the blocks are about it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

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


def html(blocks: Iterable[Block]) -> str:
    """The elements of a page's body, one block a line."""
    return "\n".join(_block(block) for block in blocks)


def _block(block: Block) -> str:
    match block:
        case Heading(level=level, text=text, anchor=anchor):
            if anchor is None:
                return f"<h{level}>{inline(text)}</h{level}>"
            link = f'<a class="here" href="#{anchor.id}" aria-label="Link to this place">#</a>'
            return f'<h{level} id="{anchor.id}">{inline(text)} {link}</h{level}>'
        case Paragraph(text=text):
            return f"<p>{inline(text)}</p>"
        case Bullets(items=items):
            return f"<ul>{''.join(f'<li>{inline(item)}</li>' for item in items)}</ul>"
        case Table(head=head, rows=rows):
            cells = "".join(f'<th scope="col">{text_of(cell)}</th>' for cell in head)
            body = "\n".join(_row(row) for row in rows)
            top = f"<thead><tr>{cells}</tr></thead>"
            return f'<div class="table"><table>\n{top}\n<tbody>\n{body}\n</tbody>\n</table></div>'
        case Listing(text=text):
            return f"<pre><code>{text_of(text)}</code></pre>"
        case Folded(summary=summary, blocks=blocks):
            return f"<details>\n<summary>{inline(summary)}</summary>\n{html(blocks)}\n</details>"


def _row(row: Row) -> str:
    place = f' id="{row.anchor.id}"' if row.anchor is not None else ""
    return f"<tr{place}>{''.join(f'<td>{inline(cell)}</td>' for cell in row.cells)}</tr>"


def inline(text: Rich) -> str:
    """Text, code and links on one line."""
    return "".join(_inline(part) for part in text)


def _inline(part: Text | Code | Link | Break) -> str:
    match part:
        case Text(text=text):
            return text_of(text)
        case Code(text=text):
            return f"<code>{text_of(text)}</code>"
        case Link(text=text, anchor=anchor):
            return f'<a href="{href(anchor)}"><code>{text_of(text)}</code></a>'
        case Break():
            return "<br>"


def text_of(text: str) -> str:
    """Text that HTML reads as itself, in an element and in an attribute."""
    return escape(visible(text))


def file(page: str) -> str:
    """The file of a page: servers take `index.html` for the folder."""
    return "index.html" if page == "README" else f"{page}.html"


def href(anchor: Anchor) -> str:
    """The address of a place as seen from any page."""
    return f"{file(anchor.page)}#{anchor.id}" if anchor.id else file(anchor.page)
