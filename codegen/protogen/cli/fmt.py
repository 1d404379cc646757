"""`protogen fmt`: documents in their one layout."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import DONE, FINDINGS, USAGE, complete_protocol, config_option, options, project, replace_text

if TYPE_CHECKING:
    from protogen.load import Document


@click.command(
    short_help="Lay out protocol documents and examples.",
    epilog="""\b
Examples:
  protogen fmt                     all documents of protogen.toml, and their examples
  protogen fmt chat.json           one document
  protogen fmt --check             write nothing; exit 1 where a document is laid out otherwise
  protogen fmt --diff chat.json    write nothing; show what would change
  protogen fmt - < chat.json       from standard input to standard output

\b
Exit codes: 0 done, or nothing to do; 1 with --check or --diff: something would change; 2 usage, or not JSON.
""",
)
@click.argument("protocols", nargs=-1, metavar="[PROTOCOL|FILE|-]...", shell_complete=complete_protocol)
@options(
    click.option("--check", is_flag=True, help="Write nothing; name what would change."),
    click.option("--diff", "show", is_flag=True, help="Write nothing; show what would change."),
    config_option,
)
def fmt(protocols: tuple[str, ...], check: bool, show: bool, config_file: Path | None) -> None:
    """Lay out documents: keywords of schemas in one order, lines and blanks as prettier has them at 120 columns.

    No value changes, and neither does the order of members that means something (properties, methods, errors).
    """
    if protocols == ("-",):
        _stream()
        return
    changed = 0
    files = _files(protocols, config_file)
    for file in files:
        document = _loaded(file)
        text = _laid_out(document)
        # What was read has no byte order mark: a file that begins with one is rewritten without it.
        before = file.read_bytes().decode("utf-8")
        if text == before:
            continue
        changed += 1
        if show:
            name, old, new = document.path, before.split("\n"), text.split("\n")
            click.echo("\n".join(difflib.unified_diff(old, new, name, name, lineterm="")))
        elif check:
            click.echo(f"would change {document.path}")
        else:
            replace_text(file, text)
            click.echo(f"changed {document.path}")
    verb = "would change" if check or show else "changed"
    click.echo(f"{len(files)} file{'' if len(files) == 1 else 's'}, {changed} {verb}")
    raise click.exceptions.Exit(FINDINGS if changed and (check or show) else DONE)


def _files(protocols: tuple[str, ...], config_file: Path | None) -> list[Path]:
    """The documents that are named, each with its examples where it is a protocol's."""
    from protogen.build import schema_path, select

    found: dict[Path, None] = {}
    named = [name for name in protocols if name.endswith(".json") or "/" in name or Path(name).is_file()]
    if named and len(named) == len(protocols):
        return [Path(name) for name in named]
    config, chosen = project(protocols, config_file, None)
    for entry in select(config, chosen):
        path = schema_path(config, entry)
        found[path] = None
        found |= dict.fromkeys(sorted((path.parent / "examples").glob("*.json")))
    return list(found)


def _loaded(file: Path) -> Document:
    from protogen.load import load

    document, problems = load(file, root=Path.cwd().resolve())
    if document is None:
        for problem in problems:
            click.echo(str(problem), err=True)
        raise click.exceptions.Exit(USAGE)
    return document


def _laid_out(document: Document) -> str:
    from protogen.layout import laid_out

    tree = document.tree
    return laid_out(document.text, schema=isinstance(tree, dict) and ("$schema" in tree or "x-protocol" in tree))


def _stream() -> None:
    from protogen.layout import laid_out
    from protogen.load import parsed

    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        raise click.UsageError(f"standard input is not UTF-8 at byte {reason.start}: save the text as UTF-8.") from None
    tree, problems = parsed(text, "<stdin>")
    if tree is None and problems:
        for problem in problems:
            click.echo(str(problem), err=True)
        raise click.exceptions.Exit(USAGE)
    schema = isinstance(tree, dict) and ("$schema" in tree or "x-protocol" in tree)
    click.echo(laid_out(text, schema=schema), nl=False)
