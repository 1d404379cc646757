"""What `protogen test` and `protogen replay` do, apart from reading their options: runs, reports, exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import click
import msgspec

from protogen.problems import closest
from protogen_compliance import known, transcripts
from protogen_compliance.peer.wire import PeerFault
from protogen_compliance.plugin import Settings
from protogen_compliance.registry import UnknownProtocol
from protogen_compliance.reports import console, files, page
from protogen_compliance.runner import Broken, Progress, Run, run
from protogen_compliance.suite import Suite, find, suites
from protogen_compliance.targets import NoTarget, WrongTarget
from protogen_compliance.verdicts import Verdict

IN_ORDER, FINDINGS, USAGE, UNREACHED = 0, 1, 2, 3
"""Exit codes: every MUST holds; something is broken; the command line is wrong; there is nothing to test."""

WRITERS: Mapping[str, Callable[[Run], bytes]] = {
    "json": files.to_json,
    "junit": files.to_junit,
    "sarif": files.to_sarif,
    "html": page.to_html,
    "badge": files.to_badge,
}
"""Each form of report that goes to a file."""


class Usage(Exception):
    """The command line is wrong; the text says what was expected."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for besides the target: `files` are reports by their form."""

    protocol: str
    role: str | None = None
    only: tuple[str, ...] = ()
    matching: str = ""
    known: Path | None = None
    compare: Path | None = None
    files: dict[str, Path] = {}
    github: bool = False
    quiet: bool = False


def test(chosen: Chosen, settings: Settings) -> int:
    """Tests a target and reports; returns the exit code. Raises Usage."""
    try:
        suite = find(chosen.protocol, chosen.role)
        _check(suite, chosen, settings)
        expected = known.read_known(chosen.known, suite.clauses()) if chosen.known else {}
        before = _before(chosen.compare) if chosen.compare else None
        done = run(suite, settings, only=chosen.only, matching=chosen.matching, progress=_progress(sys.stderr.isatty()))
    except (UnknownProtocol, WrongTarget, known.WrongFile) as reason:
        raise Usage(str(reason)) from None
    except NoTarget as reason:
        _clear(sys.stderr.isatty())
        click.echo(f"nothing to test at {settings.target}: {reason}", err=True)
        if chosen.github:
            click.echo(f"::error title=nothing to test::{settings.target}: {reason}")
        return UNREACHED
    except Broken as reason:
        click.echo(f"the kit failed: {reason}", err=True)
        return USAGE
    _clear(sys.stderr.isatty())
    done = msgspec.structs.replace(done, stale=known.apply(expected, done.verdicts))
    transcripts.keep(_transcripts(done))
    for form, file in chosen.files.items():
        try:
            file.write_bytes(WRITERS[form](done))
        except OSError as reason:
            raise Usage(f"--{form} {file}: {reason.strerror}") from None
    colour = sys.stdout.isatty()
    for line in [console.summary(done, colour=colour)] if chosen.quiet else console.lines(done, colour=colour):
        click.echo(line)
    for line in compared(before, done) if before is not None else ():
        click.echo(line)
    for line in files.to_github(done) if chosen.github else ():
        click.echo(line)
    if done.lost:
        return UNREACHED
    return IN_ORDER if done.in_order else FINDINGS


def protocols() -> list[str]:
    """What can be tested: `protocol role: summary`, one a line."""
    return [f"{it.protocol} {it.role}: {it.summary}" for it in suites()]


def compared(before: Run, now: Run) -> list[str]:
    """Lines that say which clauses changed between two runs, the worse first."""
    was = {it.clause: it for it in before.verdicts}
    order = ("PASS", "SKIPPED", "WARN", "NOT_TESTED", "BLOCKED", "FAIL")
    worse: list[Verdict] = []
    better: list[Verdict] = []
    for it in now.shown:
        old = was.get(it.clause)
        if old is not None and old.status != it.status:
            (worse if order.index(it.status) > order.index(old.status) else better).append(it)
    told = [f"worse:  {it.clause} {was[it.clause].status} -> {it.status}" for it in worse]
    told += [f"better: {it.clause} {was[it.clause].status} -> {it.status}" for it in better]
    told += [f"new:    {it.clause} {it.status}" for it in now.shown if it.clause not in was]
    there = {it.clause for it in now.verdicts}
    told += [f"gone:   {name}" for name in was if name not in there]
    return ["", f"compared with the run of {before.started}: {len(worse)} worse, {len(better)} better", *told]


def replay(name: str, target: str | None, *, report: Path | None, headers: Mapping[str, str], timeout: float) -> int:
    """Sends a kept transcript again and shows what came then and now; returns the exit code. Raises Usage."""
    try:
        kept = transcripts.find(name, report=report)
    except transcripts.NoTranscript as reason:
        raise Usage(str(reason)) from None
    click.echo(f"{kept.id} {kept.title}\nof {kept.target}")
    try:
        done = transcripts.replay(kept, target=target, headers=dict(headers), timeout=timeout)
    except ValueError as reason:
        raise Usage(str(reason)) from None
    except PeerFault as reason:
        click.echo(f"nothing to ask at {target or kept.target}: {reason}", err=True)
        return UNREACHED
    for number, it in enumerate(done, 1):
        told = it.note or ("same" if it.same else "different")
        click.echo(f"\n{number}: {told}")
        for line in it.then.lines():
            click.echo(f"  then {line}")
        answer = [line for line in it.now.lines() if line.startswith("<")] if it.now is not None else []
        for line in answer:
            click.echo(f"  now  {line}")
    hidden = {name for it in kept.exchanges for name, value in it.headers.items() if value == transcripts.HIDDEN}
    if missing := hidden - {name.lower() for name in headers}:
        click.echo(f"\nnote: {', '.join(sorted(missing))} was not kept; give --header", err=True)
    return IN_ORDER if all(it.same for it in done) else FINDINGS


def _check(suite: Suite, chosen: Chosen, settings: Settings) -> None:
    """Raises Usage for names that the suite does not know."""
    there = suite.clauses()
    for name in chosen.only:
        if name not in there:
            raise Usage(f"there is no clause {name!r} in {suite.protocol} ({suite.role}){closest(name, there)}")
    if chosen.matching and not any(chosen.matching.lower() in name.lower() for name in there):
        raise Usage(f"no clause of {suite.protocol} ({suite.role}) has {chosen.matching!r} in its id")
    for name in settings.profiles:
        if name not in suite.profiles:
            raise Usage(_unknown("profile", name, suite.profiles))
    if settings.dialect and settings.dialect not in suite.dialects:
        raise Usage(_unknown("dialect", settings.dialect, suite.dialects))


def _unknown(kind: str, name: str, there: Iterable[str]) -> str:
    known = list(there)
    way_out = f"choose one of {', '.join(known)}" if known else f"this suite has no {kind}s"
    return f"there is no {kind} {name!r}{closest(name, known)}; {way_out}"


def _before(file: Path) -> Run:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Run)
    except OSError as reason:
        raise Usage(f"--compare {file}: {reason.strerror}") from None
    except msgspec.MsgspecError as reason:
        raise Usage(f"--compare {file}: expected a run that --json wrote: {reason}") from None


def _transcripts(done: Run) -> Iterable[transcripts.Transcript]:
    for it in done.tests:
        if it.replay and it.outcome not in ("passed", "skipped"):
            title = f"{it.clauses[0] if it.clauses else ''} {it.test}: {it.text.partition(chr(10))[0]}"
            yield transcripts.Transcript(id=it.replay, target=done.target, title=title, exchanges=it.exchanges)


def _progress(live: bool) -> Progress:
    def show(done: int, of: int, name: str) -> None:
        if live:
            shown = name.rpartition("::")[2][:60]
            click.echo(f"\r\x1b[K{done}/{of} {shown}", nl=False, err=True)

    return show


def _clear(live: bool) -> None:
    if live:
        click.echo("\r\x1b[K", nl=False, err=True)
