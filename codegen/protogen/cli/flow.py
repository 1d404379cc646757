"""`protogen flow`: flow documents of Stepflow checked, and their test cases run."""

from __future__ import annotations

import json
import sys
from collections import Counter
from difflib import unified_diff
from pathlib import Path
from typing import Any, Final

import click

from .options import DONE, FINDINGS, USAGE, format_option, options
from .run import console, reasons

CHECKER: Final = ("flow", "checking")
"""The module of a protocol's package in the runtime that knows its flow documents."""

COLOURS = {"fatal": "red", "error": "red", "warning": "yellow"}


@click.group(short_help="Check and test flow documents of Stepflow.")
def flow() -> None:
    """Work with flow documents of Stepflow."""


@flow.command(
    short_help="Find what is wrong with flows.",
    epilog="""\b
Examples:
  protogen flow check flow.yaml                 all findings, first line first
  protogen flow check flows/*.yaml --strict     warnings count, too
  protogen flow check - < flow.json             from standard input
  protogen flow check flow.yaml --format json   findings and the id of the flow for programs

\b
Exit codes: 0 nothing that counts; 1 fatal findings or errors; 2 usage or a file that cannot be read.
""",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path, allow_dash=True))
@options(click.option("--strict", is_flag=True, help="Warnings count as well."), format_option)
def check(files: tuple[Path, ...], strict: bool, style: str) -> None:
    """Read each flow, YAML or JSON, and tell all that is wrong or doubtful about it, with its place.

    A fatal finding keeps a flow from being stored; errors and warnings do not.
    """
    checker = _checker()
    counting = {"fatal", "error", "warning"} if strict else {"fatal", "error"}
    worst = DONE
    told: list[object] = []
    for file in files:
        name = "<stdin>" if str(file) == "-" else str(file)
        found, findings = checker.check(_read(file), "json" if file.suffix == ".json" else None)
        id_ = None if found is None else checker.flow_id(found)
        if any(finding.level in counting for finding in findings):
            worst = FINDINGS
        if style == "json":
            told.append({"file": name, "id": id_, "findings": [_as_json(finding) for finding in findings]})
        else:
            _show(name, id_, findings)
    if style == "json":
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    raise click.exceptions.Exit(worst)


@flow.command(
    short_help="Run the test cases of flows.",
    epilog="""\b
Examples:
  protogen flow test flow.yaml                          each case of one flow
  protogen flow test flows/                             of all flows below a folder
  protogen flow test flow.yaml --case "empty list"      that case alone
  protogen flow test flows/ --config stepflow-config.yml --junit report.xml

\b
Exit codes: 0 all cases passed; 1 one failed; 2 usage.
""",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@options(
    click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Plugins and routes (default: what the flow's test names, or a file beside it).",
    ),
    click.option("--case", "cases", multiple=True, metavar="NAME", help="Run this case alone; repeatable."),
    click.option("--dialect", type=click.Choice(["0.9", "0.11"]), help="Which release's habits hold."),
    click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write a report in JUnit's XML."),
)
def test(
    files: tuple[Path, ...], config_file: Path | None, cases: tuple[str, ...], dialect: str | None, junit: Path | None
) -> None:
    """Run the cases below `test` in each flow, all in this process; folders are searched for flows that have some.

    A case passes where its result has all that is expected of it; what is there beyond that is let be.
    """
    module = console()
    seen: list[Any] = []

    def tell(result: Any) -> None:
        seen.append(result)
        _show_case(module, result)

    try:
        module.run_cases(module.find_flows(files), config=config_file, dialect=dialect, cases=cases, on_result=tell)
    except module.BadFlow as reason:
        raise click.UsageError(str(reason)) from None
    except KeyboardInterrupt:
        raise click.Abort from None
    if cases and not seen:
        raise click.UsageError(f"no flow has a case {cases[0]!r}.")
    if junit is not None:
        _write_junit(junit, seen)
    failed = sum(not result.passed for result in seen)
    plural = "case" if len(seen) == 1 else "cases"
    told = f"{len(seen)} {plural}: {len(seen) - failed} passed" + (f", {failed} failed" if failed else "")
    click.secho(told, bold=sys.stdout.isatty())
    raise click.exceptions.Exit(FINDINGS if failed else DONE)


def _show_case(module: Any, result: Any) -> None:
    in_colour = sys.stdout.isatty()
    sign, colour = ("✔", "green") if result.passed else ("✘", "red")
    click.echo(f"{click.style(sign, fg=colour) if in_colour else sign} {result.file}: {result.name}")
    for line in _told(module, result):
        style = {"-": "red", "+": "green"}.get(line[:1])
        click.secho(f"    {line}", fg=style if in_colour else None)


def _told(module: Any, result: Any) -> list[str]:
    """What is wrong with a case: where, and the expected and the seen value side by side."""
    if result.error is not None:
        return str(result.error).splitlines()
    if result.passed:
        return []
    wrong = [it.path for it in result.mismatches]
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    expected = _lines(result.expected)
    seen = _lines(module.part_of(result.seen, result.expected))
    diff = [line.rstrip("\n") for line in unified_diff(expected, seen, "expected", "seen", lineterm="", n=2)]
    found = [f"different at {', '.join(wrong[:3])}{more}", *diff]
    if result.seen.get("outcome") == "failed" and result.expected.get("outcome") != "failed":
        found += reasons(result.seen["error"].get("data"))
    return found


def _lines(value: Any) -> list[str]:
    return json.dumps(value, ensure_ascii=False, indent=2).splitlines()


def _write_junit(file: Path, results: list[Any]) -> None:
    from xml.etree import ElementTree as ET

    module = console()
    root = ET.Element("testsuites", tests=str(len(results)))
    suites: dict[str, ET.Element] = {}
    for result in results:
        suite = suites.get(result.file)
        if suite is None:
            suite = suites[result.file] = ET.SubElement(root, "testsuite", name=result.file)
        case = ET.SubElement(suite, "testcase", classname=result.file, name=result.name, time=f"{result.seconds:.3f}")
        if not result.passed:
            kind = "failure" if result.error is None else "error"
            lines = [_xml_text(line) for line in _told(module, result)]
            ET.SubElement(case, kind, message=lines[0]).text = "\n".join(lines)
    for name, suite in suites.items():
        own = [result for result in results if result.file == name]
        suite.set("tests", str(len(own)))
        suite.set("failures", str(sum(bool(result.mismatches) for result in own)))
        suite.set("errors", str(sum(result.error is not None for result in own)))
    try:
        ET.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
    except OSError as reason:
        click.echo(f"error: {file}: cannot be written: {reason.strerror}", err=True)
        raise click.exceptions.Exit(USAGE) from None


def _xml_text(text: str) -> str:
    """A text without the characters that XML cannot hold."""
    return "".join(char if char.isprintable() or char in "\t\n" else "\N{REPLACEMENT CHARACTER}" for char in text)


def _checker() -> Any:
    """The module that checks flows: the protocol that has one is found, not named, as the servers are."""
    from importlib import import_module

    runtime = import_module("protogen_runtime")
    folder, module = CHECKER
    (found,) = sorted(Path(runtime.__path__[0]).glob(f"*/{folder}/{module}.py"))
    return import_module(".".join([runtime.__name__, found.parts[-3], *CHECKER]))


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as reason:
        what = reason.strerror or type(reason).__name__
        raise click.UsageError(
            f"{file} cannot be read: {what}; name a flow document, or - for standard input"
        ) from None


def _as_json(finding: Any) -> dict[str, object]:
    return {
        "line": finding.line,
        "column": finding.column,
        "level": finding.level,
        "kind": finding.kind,
        "code": finding.code or None,
        "message": finding.message,
        "path": finding.path,
    }


def _show(name: str, id_: str | None, findings: list[Any]) -> None:
    for finding in findings:
        kind = f"{finding.kind} ({finding.code})" if finding.code else finding.kind
        level = click.style(finding.level, fg=COLOURS[finding.level]) if sys.stdout.isatty() else finding.level
        click.echo(f"{name}:{finding.line}:{finding.column} {level} {kind}: {finding.message}")
    count = Counter[str](finding.level for finding in findings)
    plural = {"fatal": "fatal", "error": "errors", "warning": "warnings"}
    numbers = [f"{count[level]} {plural[level] if count[level] > 1 else level}" for level in COLOURS if count[level]]
    summary = ", ".join(numbers) or "nothing found"
    click.echo(f"{name}: {summary}" + (f"; id {id_}" if id_ is not None else ""))
