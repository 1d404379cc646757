"""Runs the rules over one document, and leaves out what the document says to leave out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from protogen import ir
from protogen.load import Document
from protogen.positions import escape
from protogen.problems import Problem, closest, error, warning

from .findings import Edit
from .rules import RULES, Rule
from .subject import Subject

IGNORE = "x-protogen-ignore"
"""The member that ignores findings at its place and below: codes to reasons."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What lint found in a document: problems in the order of the text, how to mend some, and how many it left out."""

    problems: tuple[Problem, ...]
    edits: tuple[Edit, ...]
    ignored: int


class _Ignore(msgspec.Struct, frozen=True):
    pointer: str
    code: str
    reason: str


def run(document: Document, protocol: ir.Protocol, rules: Iterable[Rule]) -> Found:
    """Findings of `rules`, less those that the document ignores; an ignore that hides nothing is a finding."""
    subject = Subject(document, protocol)
    ignores = list(_ignores(subject))
    used: set[_Ignore] = set()
    problems: list[Problem] = []
    edits: list[Edit] = []
    ignored = 0
    chosen = list(rules)
    for rule in chosen:
        for finding in rule.check(subject):
            hiding = [one for one in ignores if one.code == rule.code and _covers(one.pointer, finding.pointer)]
            if hiding:
                used.update(hiding)
                ignored += 1
                continue
            make = error if rule.level == "error" else warning
            place = finding.place if finding.place is not None else document.place(finding.pointer)
            problems.append(make(rule.code, finding.what, fix=finding.fix, place=place))
            if finding.edit is not None:
                edits.append(finding.edit)
    problems += _idle(document, ignores, used, {rule.code for rule in chosen})
    problems.sort(key=lambda problem: (problem.place.path, problem.place.line) if problem.place else ("", 0))
    return Found(problems=tuple(problems), edits=tuple(edits), ignored=ignored)


def _ignores(subject: Subject) -> Iterator[_Ignore]:
    """Everything that the document ignores: in schemas, methods, errors, and at its root."""
    places = [*subject.schemas]
    for folder in ("x-methods", "x-errors", "x-roles"):
        entries = subject.tree.get(folder)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict):
                places.append((f"/{folder}/{escape(name)}", entry))
    for pointer, schema in places:
        said = schema.get(IGNORE)
        for code, reason in said.items() if isinstance(said, dict) else ():
            yield _Ignore(pointer, code, str(reason))


def _covers(pointer: str, place: str) -> bool:
    return place == pointer or place.startswith(f"{pointer}/")


def _idle(document: Document, ignores: list[_Ignore], used: set[_Ignore], ran: set[str]) -> Iterator[Problem]:
    known = {rule.code for rule in RULES}
    for ignore in ignores:
        place = document.place(f"{ignore.pointer}/{IGNORE}/{escape(ignore.code)}")
        if ignore.code not in known:
            what = f"{ignore.code} is no rule of lint{closest(ignore.code, known)}"
            yield warning("PG490", what, fix="see protogen lint --rules", place=place)
        elif ignore.code in ran and ignore not in used:
            yield warning("PG490", f"nothing is left for {ignore.code} to find here", fix="remove it", place=place)
