"""What a run says to people: each finding with the requests that show it, then one line of counts."""

from __future__ import annotations

from collections.abc import Iterator

import click

from protogen_compliance.fuzz.engine import Progress, Run
from protogen_compliance.fuzz.findings import Finding

SHOWN_EXCHANGES = 6
SHOWN_STEPS = 20
LONGEST_CURL = 600


def lines(run: Run, *, colour: bool = False) -> Iterator[str]:
    """The report, what a MUST forbids last."""
    for it in sorted(run.findings, key=lambda it: it.level == "must"):
        yield from _finding(it, colour=colour)
        yield ""
    if run.ended:
        yield _painted(f"ENDED: {run.ended}", "red", colour)
    yield summary(run, colour=colour)


def summary(run: Run, *, colour: bool = False) -> str:
    """One line: what was found, and how much was tried."""
    musts = sum(it.level == "must" for it in run.findings)
    warnings = len(run.findings) - musts
    told = f"{musts} finding{'' if musts == 1 else 's'}"
    told += f", {warnings} warning{'' if warnings == 1 else 's'}" if warnings else ""
    painted = _painted(told, "red" if musts else "yellow" if warnings else "green", colour)
    covered = f"{run.documented_met} of {run.documented} documented answers"
    return (
        f"{painted}: {run.requests} requests in {run.programs} sequences, {covered}, {run.rounds} rounds "
        f"with seed {run.seed} in {run.seconds:.1f} s"
    )


def progress(it: Progress) -> str:
    """One line on a run that goes on."""
    return f"{it.phase}: {it.requests} requests, {it.met} answers met, {it.found} found, {it.seconds:.0f} s"


def _finding(it: Finding, *, colour: bool) -> Iterator[str]:
    kind, tint = ("FAIL", "red") if it.level == "must" else ("WARN", "yellow")
    yield _painted(f"{kind} {it.title}", tint, colour)
    yield f"    {it.text}"
    told = f"{it.times} times" if it.times > 1 else "once"
    yield f"    seen {told}{'' if it.repeats else ', and not again with the same requests'}; {it.origin}"
    acts = [step for step in it.program.steps if step.kind == "act"]
    for step in acts[-SHOWN_STEPS:]:
        yield f"    * {step.method} {_plain(step.params)}"
    for exchanged in it.exchanges[-SHOWN_EXCHANGES:]:
        for line in exchanged.lines(limit=300):
            yield f"    {line}"
    curl = it.exchanges[-1].curl() if it.exchanges and not acts else ""
    if 0 < len(curl) <= LONGEST_CURL:
        yield f"    {curl}"
    yield f"    protogen replay {it.id}"


def _plain(arguments: object) -> str:
    """Arguments of an action in a line."""
    if not isinstance(arguments, dict):
        return ""
    return ", ".join(f"{name}={value}" for name, value in arguments.items() if value not in (None, {}, []))[:300]


def _painted(text: str, tint: str, colour: bool) -> str:
    return click.style(text, fg=tint) if colour else text
