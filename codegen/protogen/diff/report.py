"""A comparison in words: for terminals, programs, change logs and annotations of a review. Writes nothing itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from protogen.annotations import annotation
from protogen.problems import Place, locate

from .protocols import Diff, Finding
from .rules import CATEGORIES, RULE, Category

_HEADINGS: dict[Category, str] = {
    "wire-breaking": "Breaking on the wire",
    "source-breaking": "Breaking for code",
    "safe": "Other changes",
}

Style = Callable[[str, Category], str]
"""Colours a word by category; text is given back as it is where nobody sees colours."""


def as_text(diffs: Iterable[Diff], style: Style, *, wording: bool = False) -> Iterator[str]:
    """Lines for a terminal: findings, the worst first, and one line that sums all up; `wording`: documentation, too."""
    for diff in diffs:
        yield f"{diff.protocol} {diff.old_version} → {diff.new_version}"
        for finding in _shown(diff, wording):
            yield from _text(finding, style)
        yield f"  {summary(diff)}"


def _shown(diff: Diff, wording: bool) -> list[Finding]:
    return [finding for finding in diff.findings if wording or RULE[finding.rule].effect != "documents"]


def _text(finding: Finding, style: Style) -> Iterator[str]:
    yield (
        f"  {locate(finding.place)}{style(finding.category, finding.category)} {finding.rule}: "
        f"{finding.subject}: {finding.what}"
    )
    said = [part for part in (finding.why, _users(finding)) if part]
    if said and finding.category == "wire-breaking":
        yield f"      {'; '.join(said)}"


def summary(diff: Diff) -> str:
    """Counts, and the version that they ask for."""
    if not diff.findings:
        return "no difference"
    counted = ", ".join(f"{diff.count(category)} {category}" for category in CATEGORIES if diff.count(category))
    wanted = diff.next_version
    if wanted is None:
        return f"{counted}; a {diff.bump} change"
    state = "declared" if diff.is_declared else f"the document says {diff.new_version}"
    return f"{counted}; a {diff.bump} change: version {wanted} or later ({state})"


def as_json(diffs: Iterable[Diff]) -> str:
    """All that is known, an object a protocol."""
    return json.dumps([_tree(diff) for diff in diffs], ensure_ascii=False, indent=2)


def _tree(diff: Diff) -> dict[str, object]:
    return {
        "protocol": diff.protocol,
        "from": diff.old_version,
        "to": diff.new_version,
        "bump": diff.bump,
        "nextVersion": diff.next_version,
        "declared": diff.is_declared,
        "counts": {category: diff.count(category) for category in CATEGORIES},
        "findings": [
            {
                "rule": finding.rule,
                "category": finding.category,
                "subject": finding.subject,
                "what": finding.what,
                "why": finding.why,
                "methods": list(finding.methods),
                "place": _place(finding.place),
            }
            for finding in diff.findings
        ],
    }


def _place(place: Place | None) -> dict[str, object] | None:
    if place is None:
        return None
    return {"path": place.path, "line": place.line, "column": place.column, "pointer": place.pointer}


def as_markdown(diffs: Iterable[Diff], *, wording: bool = False) -> Iterator[str]:
    """A section of a change log for each protocol that changed."""
    for diff in diffs:
        shown = _shown(diff, wording)
        if not shown:
            continue
        yield f"## {diff.protocol} {diff.new_version}"
        yield ""
        for category in CATEGORIES:
            found = [finding for finding in shown if finding.category == category]
            if not found:
                continue
            yield f"### {_HEADINGS[category]}"
            yield ""
            for finding in found:
                users = _users(finding) if category == "wire-breaking" else ""
                yield f"- `{finding.subject}` {finding.what}{f' ({users})' if users else ''}"
            yield ""


def as_github(diffs: Iterable[Diff], *, wording: bool = False) -> Iterator[str]:
    """Workflow commands: an annotation at the place of each difference."""
    levels: dict[Category, Literal["error", "warning", "notice"]] = {
        "wire-breaking": "error",
        "source-breaking": "warning",
        "safe": "notice",
    }
    for diff in diffs:
        for finding in _shown(diff, wording):
            said = "; ".join(part for part in (f"{finding.subject}: {finding.what}", finding.why) if part)
            title = f"{finding.category} {finding.rule}"
            yield annotation(levels[finding.category], title, said, finding.place)


def _users(finding: Finding) -> str:
    names = [name for name in finding.methods if name != finding.subject]
    if not names:
        return ""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"in messages of {', '.join(names[:4])}{more}"
