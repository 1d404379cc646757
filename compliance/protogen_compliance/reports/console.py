"""The console report: clauses in groups, findings last with all that is needed to see them again, then the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import click

from protogen_compliance.runner import Run
from protogen_compliance.verdicts import SEVERITY, Evidence, Profile, Verdict

COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "red", "BLOCKED": "magenta", "SKIPPED": None, "NOT_TESTED": "red"}
SHOWN_EXCHANGES = 3
"""The last ones of a finding; the JSON and the HTML report have more."""


def lines(run: Run, *, colour: bool = False) -> Iterator[str]:
    """The report, findings last."""
    for group, members in groupby(run.shown, key=lambda it: it.clause.rpartition("-")[0]):
        yield _painted(group, "cyan", colour)
        for verdict in members:
            status = _painted(f"{verdict.status:<10}", COLOURS[verdict.status], colour)
            yield f"{status} {verdict.clause:<14} {verdict.level:<10} {verdict.paraphrase}"
        yield ""
    yield from findings(run, colour=colour)
    yield from profiles(run.profiles, colour=colour) if not run.partial else ()
    yield summary(run, colour=colour)


def findings(run: Run, *, colour: bool = False) -> Iterator[str]:
    """What is not in order, the worst last."""
    tests = {it.test: it for it in run.tests}
    for status in ("WARN", "BLOCKED", "FAIL"):
        for verdict in run.shown:
            # What the loss of the target blocked is told in one line at the end.
            if verdict.status == status and verdict.texts != [run.lost]:
                yield from _finding(verdict, [tests[name] for name in verdict.shown_by], colour=colour)
                yield ""
    for name in run.stale:
        text = f"STALE: {name} is listed as a known failure and passes now; take it out of the file"
        yield from (_painted(text, "red", colour), "")
    if run.lost:
        gone = sum(it.texts == [run.lost] for it in run.verdicts)
        yield from (_painted(f"LOST: {run.lost}; {gone} clauses are BLOCKED by that", "red", colour), "")


def profiles(found: Sequence[Profile], *, colour: bool = False) -> Iterator[str]:
    """A line for each profile, where there are any."""
    if len(found) < 2:
        return
    for it in found:
        told = "not asked for" if not it.asked else "conformant" if it.conformant else "not conformant"
        kind = None if not it.asked else "green" if it.conformant else "red"
        counts = ", ".join(f"{it.counts[status]} {status}" for status in SEVERITY if it.counts[status])
        yield f"{it.name or 'core':<12} {_painted(f'{told:<15}', kind, colour)} {it.musts} MUSTs; {counts}".rstrip("; ")
    yield ""


def summary(run: Run, *, colour: bool = False) -> str:
    """One line: the verdict, and how many clauses have each status."""
    counts = Counter(verdict.status for verdict in run.shown)
    told = ", ".join(f"{counts[status]} {status}" for status in SEVERITY if counts[status])
    known = sum(bool(it.known) for it in run.shown)
    told += f" ({known} known)" if known else ""
    if run.partial:
        of = f"{len(run.shown)} of {len(run.verdicts)} clauses"
        return f"{_painted('partial run', None, colour)}: {of}, {told or 'nothing tested'} in {run.seconds:.1f} s"
    verdict = "conformant" if run.conformant else "not conformant"
    painted = _painted(verdict, "green" if run.conformant else "red", colour)
    return f"{painted}: {len(run.shown)} clauses, {told} in {run.seconds:.1f} s"


def _finding(verdict: Verdict, tests: Sequence[Evidence], *, colour: bool) -> Iterator[str]:
    cause = f" by {', '.join(sorted(set(verdict.blocked_by)))}" if verdict.blocked_by else ""
    head = f"{verdict.status}{cause}: {verdict.clause} ({verdict.level}) {verdict.paraphrase}"
    yield _painted(head, COLOURS[verdict.status], colour)
    if verdict.known:
        yield f"    known: {verdict.known}"
    yield from _indented(verdict.texts)
    if verdict.status != "FAIL":
        return
    yield f"    {verdict.source}"
    for test in tests[:1]:
        shown = test.exchanges[-SHOWN_EXCHANGES:]
        for exchange in shown:
            yield from _indented(exchange.lines())
        if shown:
            yield from _indented([shown[-1].curl()])
        if test.replay:
            yield f"    protogen replay {test.replay}"


def _indented(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for line in text.splitlines():
            yield f"    {line}"


def _painted(text: str, kind: str | None, colour: bool) -> str:
    return click.style(text, fg=kind) if colour and kind else text
