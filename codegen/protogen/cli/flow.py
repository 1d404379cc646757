"""`protogen flow`: what can be done with flow documents of Stepflow without running them."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import click

from .options import DONE, FINDINGS, format_option, options

CHECKER: Final = ("flow", "checking")
"""The module of a protocol's package in the runtime that knows its flow documents."""

COLOURS = {"fatal": "red", "error": "red", "warning": "yellow"}


@click.group(short_help="Check flow documents of Stepflow.")
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
