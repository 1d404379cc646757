"""`protogen diff`: two versions of protocols side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from .options import DONE, FINDINGS, USAGE, options

if TYPE_CHECKING:
    from protogen.diff import Category, Diff, Upgrade
    from protogen.diff.inputs import Version

COLOURS = {"wire-breaking": "red", "source-breaking": "yellow", "safe": "green"}


@click.command(
    short_help="Tell what changed between two versions, and whom it breaks.",
    epilog="""\b
Examples:
  protogen diff HEAD~1                          the project now, against the commit before
  protogen diff v1.2 v1.3                       two revisions
  protogen diff old.json new.json               two documents
  protogen diff main:schemas/chat.json          a document as it is on main, against the file here
  protogen diff main --format github            annotations for a pull request
  protogen diff v1.2 --format markdown          a section for the change log

\b
Exit codes: 0 nothing breaks; 1 breaking changes; 2 usage, or a document that cannot be read.
""",
)
@click.argument("old")
@click.argument("new", required=False)
@options(
    click.option(
        "--upgrade",
        type=click.Choice(["handlers", "callers", "any"]),
        default="handlers",
        show_default=True,
        help="Who is of the new version first, while the other side is still of the old one.",
    ),
    click.option(
        "--breaking",
        type=click.Choice(["wire", "source"]),
        default="source",
        show_default=True,
        help="What makes the exit code 1: messages only, or code that was written with the SDKs, too.",
    ),
    click.option("--all", "everything", is_flag=True, help="Show changes of wording as well."),
    click.option(
        "--format",
        "style",
        type=click.Choice(["text", "json", "markdown", "github"]),
        default="text",
        show_default=True,
        help="How to report.",
    ),
)
def diff(
    old: str,
    new: str | None,
    upgrade: Upgrade,
    breaking: Literal["wire", "source"],
    everything: bool,
    style: Literal["text", "json", "markdown", "github"],
) -> None:
    """Compare OLD with NEW: files, folders, git revisions, or REVISION:PATH (NEW: what is in the working tree).

    Each difference is wire-breaking (messages are refused), source-breaking (code has to change) or safe, decided by
    who sends a type and who has to take it: docs/reference/diff.md has all rules.
    """
    from protogen.diff.inputs import version

    new = new if new is not None else _working_tree(old)
    with (
        version(old, like=new if Path(new).exists() else None) as before,
        version(new, like=old if Path(old).exists() else None) as after,
    ):
        _refuse_broken(before)
        _refuse_broken(after)
        diffs = _compared(before, after, upgrade=upgrade)
        _report(diffs, style, wording=everything)
    counted: tuple[Category, ...] = ("wire-breaking",) if breaking == "wire" else ("wire-breaking", "source-breaking")
    broken = any(one.count(category) for one in diffs for category in counted)
    raise click.exceptions.Exit(FINDINGS if broken else DONE)


def _working_tree(old: str) -> str:
    """What stands for NEW where only OLD was given."""
    if Path(old).exists():
        raise click.UsageError(f"{old} is a file or a folder: give what to compare it with, too.")
    _, separator, inside = old.partition(":")
    if separator:
        return inside
    from protogen.config import find

    file = find(Path.cwd())
    return str(file.parent) if file is not None else "."


def _refuse_broken(version: Version) -> None:
    from protogen.problems import has_errors

    if has_errors(version.problems):
        for problem in version.problems:
            click.echo(str(problem), err=True)
        click.echo(f"{version.shown} cannot be compared: correct it first", err=True)
        raise click.exceptions.Exit(USAGE)


def _compared(before: Version, after: Version, *, upgrade: Upgrade) -> list[Diff]:
    from protogen.diff import compare_protocols, whole_protocol

    old, new = before.protocols, after.protocols
    if len(old) == len(new) == 1 and set(old) != set(new):
        pairs = [(next(iter(old.values())), next(iter(new.values())))]
    else:
        pairs = [(old[name], new[name]) for name in new if name in old]
    diffs = [compare_protocols(one, other, upgrade=upgrade) for one, other in pairs]
    compared = {id(protocol) for pair in pairs for protocol in pair}
    diffs += [whole_protocol(one, gone=True) for one in old.values() if id(one) not in compared]
    diffs += [whole_protocol(one, gone=False) for one in new.values() if id(one) not in compared]
    return [after.located(one) for one in diffs]


def _report(diffs: list[Diff], style: Literal["text", "json", "markdown", "github"], *, wording: bool) -> None:
    from protogen.diff import report

    if style == "json":
        click.echo(report.as_json(diffs))
        return
    if style == "text":
        colours = sys.stdout.isatty()
        lines = report.as_text(
            diffs, lambda text, kind: click.style(text, fg=COLOURS[kind]) if colours else text, wording=wording
        )
    else:
        lines = {"markdown": report.as_markdown, "github": report.as_github}[style](diffs, wording=wording)
    for line in lines:
        click.echo(line)
