"""`protogen lint`: what a protocol document had better say otherwise."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from .options import DONE, FINDINGS, complete_protocol, config_option, options, project, replace_text

if TYPE_CHECKING:
    from protogen.ir import Source
    from protogen.lint import Rule
    from protogen.load import Document
    from protogen.problems import Problem

Style = Literal["text", "json", "sarif", "github"]


@click.command(
    short_help="Find what is doubtful about protocol documents.",
    epilog="""\b
Examples:
  protogen lint                             all protocols of protogen.toml
  protogen lint chat.json                   one document
  protogen lint --select docs,PG462         only some rules, also those that are off
  protogen lint --ignore naming             all but these
  protogen lint --fix                       mend what can be mended without a change of meaning
  protogen lint --watch                     again whenever a document changes, until Ctrl-C
  protogen lint --format github             annotations for a pull request
  protogen explain PG412                    what a finding means

\b
To leave a finding out where it is right, say why beside it:
  "x-protogen-ignore": {"PG442": "the wire format is older than the rule"}

\b
Exit codes: 0 nothing found; 1 findings; 2 usage.
""",
)
@click.argument("protocols", nargs=-1, metavar="[PROTOCOL|FILE]...", shell_complete=complete_protocol)
@options(
    click.option("--select", "selected", multiple=True, metavar="RULES", help="Only these codes or categories."),
    click.option("--ignore", "left_out", multiple=True, metavar="RULES", help="All but these codes or categories."),
    click.option("--fix", "mend", is_flag=True, help="Mend what can be mended without a change of meaning."),
    click.option("--rules", "list_rules", is_flag=True, help="List the rules, and end."),
    click.option("--watch", "watched", is_flag=True, help="Look again whenever a document changes, until Ctrl-C."),
    config_option,
    click.option(
        "--format",
        "style",
        type=click.Choice(["text", "json", "sarif", "github"]),
        default="text",
        show_default=True,
        help="How to report.",
    ),
)
def lint(
    protocols: tuple[str, ...],
    selected: tuple[str, ...],
    left_out: tuple[str, ...],
    mend: bool,
    list_rules: bool,
    watched: bool,
    config_file: Path | None,
    style: Style,
) -> None:
    """Look for what a build takes and people stumble over: names, docs, unions, codes, examples that fail.

    Findings of the build itself are among them. Every rule has a code, which protogen explain tells more of.
    """
    from protogen.build import schema_path, select
    from protogen.lint import RULES

    if list_rules:
        _list(RULES, style)
        return
    rules = _chosen(RULES, selected, left_out)
    if watched:
        if mend or style != "text":
            raise click.UsageError("--watch shows what it finds: leave --fix and --format out.")
        _watch(protocols, config_file, rules)
        return
    config, names = project(protocols, config_file, None)
    chosen = select(config, names)
    reports = [_linted(schema_path(config, entry), config.root, entry.name, rules, mend=mend) for entry in chosen]
    _show(reports, style)
    found = any(report.problems for report in reports)
    raise click.exceptions.Exit(FINDINGS if found else DONE)


def _watch(protocols: tuple[str, ...], config_file: Path | None, rules: list[Rule]) -> None:
    """Lints whenever a document changes."""
    from protogen.build import schema_path, select
    from protogen.config import find

    from .build import inputs_of
    from .watching import watch

    def once() -> list[Path]:
        config, names = project(protocols, config_file, None)
        chosen = select(config, names)
        reports = [_linted(schema_path(config, entry), config.root, entry.name, rules, mend=False) for entry in chosen]
        _show(reports, "text")
        sources = [source for report in reports for source in report.sources]
        return inputs_of(config, sources, [one for report in reports for one in report.problems])

    file = config_file if config_file is not None else find(Path.cwd())
    watch(once, [] if file is None else [file.resolve()])


class _Report:
    """What came of one document."""

    def __init__(
        self,
        document: Document | None,
        problems: list[Problem],
        *,
        sources: tuple[Source, ...] = (),
        ignored: int = 0,
        mended: int = 0,
    ) -> None:
        self.document = document
        self.problems = problems
        self.sources = sources
        self.ignored = ignored
        self.mended = mended


def _chosen(rules: Iterable[Rule], selected: tuple[str, ...], left_out: tuple[str, ...]) -> list[Rule]:
    """The rules to run. Errors: UsageError for a name that is neither code, name nor category."""
    from protogen.problems import closest

    rules = list(rules)
    known = {word for rule in rules for word in (rule.code, rule.name, rule.category)}

    def words(given: tuple[str, ...]) -> set[str]:
        said = {word.strip() for text in given for word in text.split(",") if word.strip()}
        for word in sorted(said - known):
            hint = closest(word, known) or "; protogen lint --rules lists them"
            raise click.UsageError(f"there is no rule or category {word!r}{hint}")
        return said

    wanted, unwanted = words(selected), words(left_out)
    return [
        rule
        for rule in rules
        if ({rule.code, rule.name, rule.category} & wanted if wanted else rule.on)
        and not {rule.code, rule.name, rule.category} & unwanted
    ]


def _linted(path: Path, root: Path, name: str, rules: list[Rule], *, mend: bool) -> _Report:
    from protogen.build import read_document
    from protogen.lint import fix, run
    from protogen.load import load

    reading, problems = read_document(path, root=root, name=name)
    if reading is None:
        return _Report(load(path, root=root)[0], problems)
    document = reading.document
    found = run(document, reading.protocol, rules)
    if not mend or not found.edits or document.kind:
        # A document of another kind is not written in the words that an edit is about.
        sources = (*reading.protocol.sources, *reading.protocol.beside)
        return _Report(document, [*problems, *found.problems], sources=sources, ignored=found.ignored)
    text = fix(document, found.edits)
    replace_text(path, text)
    report = _linted(path, root, name, rules, mend=False)
    report.mended = len(found.edits)
    return report


def _list(rules: Iterable[Rule], style: Style) -> None:
    if style == "json":
        rows = [
            {
                "code": rule.code,
                "name": rule.name,
                "category": rule.category,
                "level": rule.level,
                "on": rule.on,
                "mends": rule.mends,
            }
            for rule in rules
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for rule in rules:
        notes = [word for word, said in (("off unless selected", not rule.on), ("--fix mends it", rule.mends)) if said]
        tail = f"  ({', '.join(notes)})" if notes else ""
        click.echo(f"{rule.code}  {rule.category:<10} {rule.level:<8} {rule.name}{tail}")


def _show(reports: list[_Report], style: Style) -> None:
    if style == "json":
        from .build import problem_json

        click.echo(json.dumps([problem_json(one) for report in reports for one in report.problems], indent=2))
        return
    if style == "sarif":
        click.echo(json.dumps(_sarif([one for report in reports for one in report.problems]), indent=2))
        return
    if style == "github":
        from protogen.annotations import annotation

        for report in reports:
            for one in report.problems:
                click.echo(annotation(one.level, one.code, f"{one.what}; {one.fix}", one.place))
        return
    from protogen.frames import framed

    for report in reports:
        shown = report.document.path if report.document is not None else None
        for one in report.problems:
            text = report.document.text if report.document and one.place and one.place.path == shown else None
            said = framed(one, text)
            if sys.stdout.isatty():
                said = said.replace(f"{one.level} {one.code}", click.style(f"{one.level} {one.code}", fg=_colour(one)))
            click.echo(said)
    counts = [
        sum(one.level == level for report in reports for one in report.problems) for level in ("error", "warning")
    ]
    ignored, mended = sum(report.ignored for report in reports), sum(report.mended for report in reports)
    parts = [_count(counts[0], "error"), _count(counts[1], "warning")] if any(counts) else ["nothing found"]
    parts += [f"{ignored} ignored"] if ignored else []
    parts += [f"{mended} mended"] if mended else []
    click.echo(f"{_count(len(reports), 'document')}: {', '.join(parts)}")


def _colour(problem: Problem) -> str:
    return "red" if problem.level == "error" else "yellow"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _sarif(problems: list[Problem]) -> dict[str, Any]:
    """SARIF 2.1.0, as code scanning of hosts reads it."""
    from protogen import __version__
    from protogen.catalogue import CATALOGUE

    codes = sorted({problem.code for problem in problems})
    rules = [
        {
            "id": code,
            "shortDescription": {"text": CATALOGUE[code].title},
            "fullDescription": {"text": CATALOGUE[code].text},
        }
        for code in codes
    ]
    results: list[dict[str, Any]] = []
    for problem in problems:
        result: dict[str, Any] = {
            "ruleId": problem.code,
            "ruleIndex": codes.index(problem.code),
            "level": problem.level,
            "message": {"text": f"{problem.what}; {problem.fix}"},
        }
        if problem.place is not None:
            region = {"startLine": max(problem.place.line, 1), "startColumn": max(problem.place.column, 1)}
            artifact = {"uri": problem.place.path}
            result["locations"] = [{"physicalLocation": {"artifactLocation": artifact, "region": region}}]
        results.append(result)
    driver = {"name": "protogen", "version": __version__, "rules": rules}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results, "columnKind": "unicodeCodePoints"}],
    }
