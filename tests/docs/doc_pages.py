"""Markdown of our own pages: fences, headings and links, as far as the tests need them.

Knows neither what the commands in a page do nor where a link leads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<info>.*)$")
TITLE = re.compile(r'\btitle="(?P<title>[^"]+)"')
EXCERPT = re.compile(r'\bexcerpt="(?P<file>[^"]+)"')
LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)\)")
SOURCE = re.compile(r'<(?:img|source)[^>]*\bsrc(?:set)?="(?P<target>[^"]+)"')


@dataclass(frozen=True, kw_only=True)
class Fence:
    """One fenced block: its language, the rest of the info string, its text, and the text since the fence before."""

    line: int
    language: str
    info: str
    text: str
    before: str

    @property
    def title(self) -> str | None:
        """The file that the block shows, where it shows one."""
        found = TITLE.search(self.info)
        return found["title"] if found else None

    @property
    def excerpt(self) -> str | None:
        """The file that the block shows a part of, where it does."""
        found = EXCERPT.search(self.info)
        return found["file"] if found else None


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of a console block and the output that the page shows for it."""

    line: int
    command: str
    output: tuple[str, ...]


def fences(page: str) -> Iterator[Fence]:
    """Every fenced block of a page; ValueError where one is not closed."""
    ticks, info, start = "", "", 0
    text: list[str] = []
    prose: list[str] = []
    for number, line in enumerate(page.splitlines(), 1):
        found = FENCE.match(line)
        if not ticks and found:
            ticks, info, start, text = found["ticks"], found["info"].strip(), number, []
        elif ticks and line.strip() == ticks:
            language, _, rest = info.partition(" ")
            body = "".join(f"{entry}\n" for entry in text)
            yield Fence(line=start, language=language, info=rest, text=body, before="\n".join(prose))
            ticks, prose = "", []
        elif ticks:
            text.append(line)
        else:
            prose.append(line)
    if ticks:
        raise ValueError(f"the block that begins in line {start} is not closed")


def steps(fence: Fence) -> list[Step]:
    """The commands of a console block: `$ ` begins one, a line that ends in a backslash goes on."""
    found: list[Step] = []
    command: list[str] = []
    output: list[str] = []
    line = fence.line
    for number, text in enumerate(fence.text.splitlines(), fence.line + 1):
        if command and command[-1].endswith("\\"):
            command.append(text.removeprefix("> "))
        elif text.startswith("$ "):
            if command:
                found.append(Step(line=line, command="\n".join(command), output=tuple(output)))
            command, output, line = [text[2:]], [], number
        elif command:
            output.append(text)
        else:
            raise ValueError(f"line {number}: a console block begins with a command after '$ '")
    found.append(Step(line=line, command="\n".join(command), output=tuple(output)))
    return found


def links(page: str) -> Iterator[str]:
    """Targets of the links and images of a page, those in code left out."""
    prose = re.sub(r"^(`{3,}).*?^\1$", "", page, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"`[^`\n]*`", "code", prose)
    for pattern in (LINK, SOURCE):
        yield from (found["target"] for found in pattern.finditer(prose))


def anchors(page: str) -> set[str]:
    """Names that a link into a page may use: its headings in the form that Markdown hosts give them, and `<a id>`."""
    prose = re.sub(r"^(`{3,}).*?^\1$", "", page, flags=re.MULTILINE | re.DOTALL)
    found = set(re.findall(r'<a id="([^"]+)">', prose))
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", prose, flags=re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(words.replace(" ", "-"))
    return found


def pages(root: Path) -> list[Path]:
    """The pages that people read, in stable order."""
    return [root / "README.md", root / "CHANGELOG.md", *sorted((root / "docs").rglob("*.md"))]
