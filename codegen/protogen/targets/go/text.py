"""Go source as gofmt leaves it: comments, literals and columns, computed instead of repaired afterwards.

Knows the rules of gofmt (doc comments of Go 1.19 and later, the columns of struct fields and constants), no protocol.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

WIDTH = 100
"""Columns of prose in a comment."""

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_PLAIN = re.compile(r"[ !#-\[\]-~]*")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ud800-\udfff\u2028\u2029\ufffe\uffff]")
_ITEM = re.compile(r"(?:[-*+\u2022]|[0-9]+[.)])[ ]\s*(?=\S)")
_HEADING = re.compile(r"#{1,6}[ ]\s*(?=\S)")
_FENCE = re.compile(r"(?:```|~~~)")


def quote(text: str) -> str:
    """A string literal in double quotes, ASCII only."""
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    parts = []
    for letter in text:
        code = ord(letter)
        if letter in _ESCAPES:
            parts.append(_ESCAPES[letter])
        elif 0x20 <= code < 0x7F:
            parts.append(letter)
        elif code <= 0xFFFF:
            parts.append(f"\\u{code:04x}")
        else:
            parts.append(f"\\U{code:08x}")
    return f'"{"".join(parts)}"'


def compact(value: object) -> str:
    """JSON text, ASCII only, without white space."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def raw_json(value: object) -> str:
    """JSON as a raw string literal: backticks become escapes, which JSON has and raw strings have not."""
    return "`" + compact(value).replace("`", "\\u0060") + "`"


_TAG = re.compile(r"[A-Za-z0-9!#$%&()*+\-./:;<=>?@\[\]^_{|}~ ]+")


def tag(wire: str, *, optional: bool) -> str:
    """The struct tag of a field, or nothing where the name cannot be written in one."""
    if not _TAG.fullmatch(wire):
        return ""
    suffix = ",omitzero" if optional else "," if wire == "-" else ""
    return f'`json:"{wire}{suffix}"`'


def comment(text: str, *, subject: str = "", indent: str = "") -> list[str]:
    """The lines of a doc comment that gofmt leaves as they are; no text, no lines.

    Paragraphs, headings, lists (flattened to one level of bullets) and fenced code survive. A comment never begins
    with anything but a paragraph: `subject` makes one where the text does not.
    """
    blocks = _blocks(text)
    if not blocks:
        return []
    if blocks[0][0] != "text":
        blocks.insert(0, ("text", [f"{subject or 'Notes'}:"]))
    lines: list[str] = []
    for at, (kind, block) in enumerate(blocks):
        if at:
            lines.append("")
        lone = kind == "text" and len(block) == 1 and 0 < at < len(blocks) - 1
        lines += [f"{block[0]}."] if lone and _like_heading(block[0]) else block
    return [f"{indent}//{' ' if line and line[0] != chr(9) else ''}{line}" for line in lines]


def _like_heading(line: str) -> bool:
    """Whether gofmt could take a lone line for a heading of the old style; a full stop at its end prevents that."""
    return line[:1].isupper() and line[-1:].isalnum()


def _blocks(text: str) -> list[tuple[str, list[str]]]:
    blocks: list[tuple[str, list[str]]] = []
    fence: list[str] | None = None
    fresh = True
    for raw in _CONTROL.sub(" ", text.replace("\r\n", "\n")).replace("\t", "    ").split("\n"):
        line = raw.strip()
        if _FENCE.match(line):
            if fence is not None:
                _add_code(blocks, fence)
                fence, fresh = None, True
            else:
                fence = []
        elif fence is not None:
            fence.append(raw.rstrip())
        elif not line:
            fresh = True
        else:
            _add_line(blocks, prose(line), fresh=fresh)
            fresh = blocks[-1][0] == "heading"
    if fence is not None:
        for line in fence:
            if line.strip():
                _add_line(blocks, prose(line.strip()), fresh=False)
    return [(kind, lines) for kind, lines in blocks if lines]


def _add_line(blocks: list[tuple[str, list[str]]], line: str, *, fresh: bool) -> None:
    item = _ITEM.match(line)
    heading = _HEADING.match(line)
    last = blocks[-1][0] if blocks else ""
    if heading:
        blocks.append(("heading", [f"# {line[heading.end() :]}"]))
    elif item and last == "code":
        # gofmt would take a list right behind code for more code.
        blocks.append(("text", list(_wrap(line, "", ""))))
    elif item:
        marker = "" if line[0] in "-*+\u2022" else line[: item.end()]
        if last != "list":
            blocks.append(("list", []))
        blocks[-1][1].extend(_wrap(marker + line[item.end() :], "  - ", "    "))
    elif last == "list" and not fresh:
        blocks[-1][1].extend(_wrap(line, "    ", "    "))
    elif last == "text" and not fresh:
        blocks[-1][1].extend(_wrap(line, "", ""))
    else:
        blocks.append(("text", list(_wrap(line, "", ""))))


def _add_code(blocks: list[tuple[str, list[str]]], lines: list[str]) -> None:
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        return
    if _ITEM.match(lines[0].strip()) or (blocks and blocks[-1][0] == "list"):
        # gofmt would take the block for a list, or for more of the one before.
        for line in lines:
            if line:
                _add_line(blocks, prose(line.strip()), fresh=False)
        return
    margin = min(len(line) - len(line.lstrip()) for line in lines if line)
    code = [f"\t{line[margin:]}" if line else "" for line in lines]
    if blocks and blocks[-1][0] == "code":
        blocks[-1][1].extend(["", *code])
    else:
        blocks.append(("code", code))


def prose(line: str) -> str:
    """A line without what gofmt rewrites inside prose: TeX quotes and link definitions."""
    if "``" in line:
        line = re.sub("```|``", lambda found: found[0] if len(found[0]) > 2 else "\u201c", line)  # three stay
    if "''" in line:
        line = line.replace("''", "\u201d")
    if line.startswith("["):
        line = line.replace("]:", "] :")
    if "+build" in line:
        # Behind the slashes of a comment it would be a build constraint, wherever lines are broken.
        line = line.replace("+build", "+ build")
    return line


_MARKER = re.compile(r"[-*+\u2022]|[0-9]+[.)]")


def _wrap(line: str, first: str, rest: str) -> Iterable[str]:
    """A long line as several; none but the first begins with what looks like the marker of an item."""
    if len(line) <= WIDTH:
        return (first + line,)
    lines: list[str] = []
    current = ""
    for word in line.split():
        if current and len(current) + 1 + len(word) > WIDTH and not _MARKER.fullmatch(word):
            lines.append(current)
            current = word
        else:
            current = f"{current} {word}" if current else word
    lines.append(current)
    return [(rest if at else first) + text for at, text in enumerate(lines)]


def align(rows: Sequence[Sequence[str]], indent: str = "\t") -> list[str]:
    """Rows of cells as gofmt pads them: as wide as the widest cell in each run of rows that have a next cell."""
    widths: list[list[int]] = [[0] * len(row) for row in rows]
    columns = max((len(row) for row in rows), default=0)
    for column in range(columns - 1):
        start = 0
        while start < len(rows):
            end = start
            while end < len(rows) and len(rows[end]) > column + 1:
                end += 1
            if end > start:
                width = max(len(rows[at][column]) for at in range(start, end))
                for at in range(start, end):
                    widths[at][column] = width
                start = end
            else:
                start += 1
    return [
        indent + " ".join([*(cell.ljust(widths[at][column]) for column, cell in enumerate(row[:-1])), row[-1]])
        for at, row in enumerate(rows)
    ]


def columns(entries: Iterable[tuple[list[str], Sequence[str]]], indent: str = "\t") -> list[str]:
    """Lines of declarations, each with its doc comment; a comment starts a new run of aligned rows."""
    lines: list[str] = []
    run: list[Sequence[str]] = []
    for doc, row in entries:
        if doc:
            lines += align(run, indent)
            run = []
            lines += doc
        run.append(row)
    return lines + align(run, indent)
