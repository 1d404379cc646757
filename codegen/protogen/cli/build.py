"""`protogen build`: what it prints, and when it fails."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from protogen.config import Config, Refusal

from .options import (
    FINDINGS,
    complete_protocol,
    config_option,
    format_option,
    kind_option,
    methods_option,
    options,
    project,
    target_option,
)

if TYPE_CHECKING:
    from protogen.build import Outcome
    from protogen.ir import Source
    from protogen.problems import Problem
    from protogen.write import Change


@click.command(
    short_help="Write the SDKs and documents of protocols.",
    epilog="""\b
Examples:
  protogen build                          everything that protogen.toml names
  protogen build stepflow --target go     one protocol, one target
  protogen build --check                  exit 1 if the committed output is stale
  protogen build openrpc.json --out sdk   one file of any kind, without protogen.toml
  protogen build --watch                  again whenever a document changes, until Ctrl-C
""",
)
@click.argument("protocols", nargs=-1, metavar="[PROTOCOL|FILE]...", shell_complete=complete_protocol)
@options(
    target_option,
    click.option(
        "--check", is_flag=True, help="Write nothing; exit 1 and show the differences if the output is stale."
    ),
    click.option("--dry-run", is_flag=True, help="Write nothing; say what would be written."),
    click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where to write (default: generated/)."),
    click.option("--force", is_flag=True, help="Replace files that protogen did not write."),
    click.option("--strict", is_flag=True, help="Exit 1 on warnings too."),
    click.option("--watch", "watched", is_flag=True, help="Build again whenever an input changes, until Ctrl-C."),
    kind_option,
    methods_option,
    config_option,
    format_option,
)
def build(
    protocols: tuple[str, ...],
    targets: tuple[str, ...],
    check: bool,
    dry_run: bool,
    out: Path | None,
    force: bool,
    strict: bool,
    watched: bool,
    kind: str | None,
    methods: Path | None,
    config_file: Path | None,
    style: str,
) -> None:
    """Write the SDKs and documents of protocols (all that protogen.toml names, or those given)."""
    if check and dry_run:
        raise click.UsageError("--check and --dry-run exclude each other: choose one.")
    if watched:
        if check or dry_run:
            raise click.UsageError("--watch writes what changes: leave --check and --dry-run out.")
        _watch(protocols, targets, out, force=force, kind=kind, methods=methods, config_file=config_file, style=style)
        return
    started = time.perf_counter()
    config, chosen = project(protocols, config_file, out, kind=kind, methods=methods)
    tool, key = "", ""
    if not (check or dry_run):
        from protogen import fresh
        from protogen.resources import data_root

        tool = fresh.fingerprint(data_root(), _core_root())
        key = json.dumps([str(config.file), str(config.out), sorted(chosen), sorted(targets), force, _file(config)])
        standing = fresh.is_fresh(config.root, key, tool) if not strict and _all_ours(config, targets) else None
        if standing is not None:
            _say_unchanged(*standing, time.perf_counter() - started, style)
            return
    outcome, failed = _build(
        config, chosen, targets, check=check, dry_run=dry_run, force=force, style=style, started=started
    )
    if failed or (strict and outcome.problems):
        raise click.exceptions.Exit(FINDINGS)
    if tool and not outcome.problems:
        _remember(config, outcome, key, tool)


def _watch(
    protocols: tuple[str, ...],
    targets: tuple[str, ...],
    out: Path | None,
    *,
    force: bool,
    kind: str | None,
    methods: Path | None,
    config_file: Path | None,
    style: str,
) -> None:
    """Builds whenever an input changes. Errors in documents and in the configuration are shown, and waited out."""
    from protogen.config import find

    from .watching import watch

    told: set[str] = set()

    def once() -> list[Path]:
        started = time.perf_counter()
        config, chosen = project(protocols, config_file, out, kind=kind, methods=methods)
        outcome, _ = _build(config, chosen, targets, force=force, style=style, started=started, told=told)
        return inputs_of(config, outcome.inputs, outcome.problems)

    file = config_file if config_file is not None else find(Path.cwd())
    watch(once, [] if file is None else [file.resolve()])


def inputs_of(config: Config, sources: Iterable[Source], problems: Iterable[Problem]) -> list[Path]:
    """All that decides what a build of the project makes: what was read, what was looked for, and where faults are."""
    from protogen.build import methods_path, schema_path

    found = {config.root / source.path for source in sources}
    found |= {config.root / problem.place.path for problem in problems if problem.place is not None}
    for entry in config.protocols:
        schema = schema_path(config, entry)
        said = methods_path(config, entry)
        found |= {schema, schema.parent / "examples", *([] if said is None else [said])}
    return sorted(path.resolve() for path in found)


def _file(config: Config) -> list[str | None]:
    """What tells a build of one file from that of another."""
    return [] if config.file is not None else [x for e in config.protocols for x in (e.schema, e.kind, e.methods)]


def _all_ours(config: Config, targets: tuple[str, ...]) -> bool:
    """Whether only targets of ours are asked for: nobody knows which files decide what those of others write."""
    from protogen.registry import BUILTIN

    asked = set(targets) or {name for entry in config.protocols for name in entry.targets}
    return asked <= set(BUILTIN)


def _core_root() -> Path:
    package = Path(__file__).resolve().parents[1]
    installed = package.parent / "protogen_runtime" / "jsonrpc"
    return installed if installed.is_dir() else package.parent.parent / "runtime" / "protogen_runtime" / "jsonrpc"


def _build(
    config: Config,
    chosen: list[str],
    targets: tuple[str, ...],
    *,
    check: bool = False,
    dry_run: bool = False,
    force: bool,
    style: str,
    started: float,
    told: set[str] | None = None,
) -> tuple[Outcome, bool]:
    """Builds and reports; whether there are errors, or with `check` stale files.

    With `told`, the lines that were said before, only what is new is reported.
    """
    from protogen import build as pipeline
    from protogen.problems import has_errors
    from protogen.write import Refused, compare, write

    outcome = pipeline.build(config, protocols=chosen, targets=targets, progress=_progress(style))
    _clear_progress(style)
    failed = has_errors(outcome.problems)
    files = [file for product in outcome.products for file in product.files]
    folders = [f"{product.target}/{product.protocol}" for product in outcome.products]
    whole = not chosen and not targets and not failed
    changes: list[Change] = []
    if not failed:
        try:
            changes = compare(config.out, files, folders, whole=whole, diffs=check or style == "json")
            if not (check or dry_run):
                write(config.out, files, changes, whole=whole, force=force)
        except Refused as refused:
            raise Refusal(
                refused.problem.code, refused.problem.what, fix=refused.problem.fix, path=_place(refused.problem)
            ) from None
    stale = [change for change in changes if check or change.kind != "untracked"]
    seconds = time.perf_counter() - started
    _report(outcome, config, changes, style=style, check=check, dry_run=dry_run, seconds=seconds, told=told)
    return outcome, failed or (check and bool(stale))


def _remember(config: Config, outcome: Outcome, key: str, tool: str) -> None:
    from protogen import fresh
    from protogen.write import MANIFEST

    inputs = [source.path for source in outcome.inputs]
    if config.file is not None:
        inputs.append(config.file.name)
    written = [str(config.out / file.path) for product in outcome.products for file in product.files]
    fresh.remember(config.root, key, tool, inputs=inputs, outputs=[*written, str(config.out / MANIFEST)])


def _progress(style: str) -> Callable[[str], None]:
    if style == "json" or not sys.stderr.isatty():
        return lambda step: None
    return lambda step: click.echo(f"\r\x1b[2K{step}", nl=False, err=True)


def _clear_progress(style: str) -> None:
    if style == "text" and sys.stderr.isatty():
        click.echo("\r\x1b[2K", nl=False, err=True)


def _place(problem: Problem) -> str:
    return problem.place.path if problem.place is not None else ""


def _say_unchanged(files: int, lines: int, seconds: float, style: str) -> None:
    if style == "json":
        click.echo(
            json.dumps({"changed": 0, "files": files, "lines": lines, "problems": [], "seconds": round(seconds, 3)})
        )
        return
    click.echo(f"nothing changed: {files} files, {lines:,} lines, {seconds:.2f} s")


def _report(
    outcome: Outcome,
    config: Config,
    changes: list[Change],
    *,
    style: str,
    check: bool,
    dry_run: bool,
    seconds: float,
    told: set[str] | None = None,
) -> None:
    if style == "json":
        _report_json(outcome, changes, seconds, indent=2 if told is None else None)
        return
    for line in outcome.told:
        if told is None or line not in told:
            click.echo(line, err=True)
    if told is not None:
        told.update(outcome.told)
    if outcome.problems:
        _report_problems(outcome.problems, config.root)
    kinds = {change.path: change.kind for change in changes}
    if not check:
        _report_products(outcome, kinds, dry_run=dry_run, briefly=told is not None)
    if check or dry_run:
        for change in changes:
            click.echo(f"{change.kind:<10}{_shown(config.out / change.path)}")
            if check and change.diff:
                click.echo(_shortened(change.diff), nl=False)
    errors = sum(problem.level == "error" for problem in outcome.problems)
    warnings = len(outcome.problems) - errors
    if errors:
        click.echo(
            f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}: nothing was written",
            err=True,
        )
        return
    if check and changes:
        click.echo(f"{len(changes)} difference{'s' * (len(changes) != 1)}; to bring the output up to date run:")
        click.echo(_command())
        return
    files = sum(len(product.files) for product in outcome.products)
    lines = sum(file.text.count("\n") for product in outcome.products for file in product.files)
    verb = "up to date" if check else "would change" if dry_run else "written"
    changed = sum(kind != "untracked" for kind in kinds.values())
    tail = "" if check else f"{changed} {verb}, "
    click.echo(f"{'up to date: ' if check else ''}{files} files, {lines:,} lines, {tail}{seconds:.2f} s")


def _report_products(outcome: Outcome, kinds: dict[str, str], *, dry_run: bool, briefly: bool) -> None:
    """A line for each product; `briefly`: for those that changed."""
    width = max((len(product.protocol) for product in outcome.products), default=0)
    for product in outcome.products:
        lines = sum(file.text.count("\n") for file in product.files)
        changed = sum(file.path in kinds for file in product.files)
        if briefly and not changed:
            continue
        state = f"{changed} {'would change' if dry_run else 'changed'}" if changed else "unchanged"
        click.echo(
            f"{product.protocol:<{width}}  {product.target:<11}{len(product.files):>4} files {lines:>7,} lines "
            f"{product.seconds * 1000:>6.0f} ms  {state}"
        )


def _report_json(outcome: Outcome, changes: list[Change], seconds: float, *, indent: int | None) -> None:
    products = [
        {
            "protocol": product.protocol,
            "target": product.target,
            "files": len(product.files),
            "lines": sum(file.text.count("\n") for file in product.files),
            "seconds": round(product.seconds, 4),
        }
        for product in outcome.products
    ]
    click.echo(
        json.dumps(
            {
                "products": products,
                "changes": [{"path": change.path, "kind": change.kind, "diff": change.diff} for change in changes],
                "problems": [problem_json(problem) for problem in outcome.problems],
                "read": list(outcome.told),
                "seconds": round(seconds, 3),
            },
            indent=indent,
        )
    )


def problem_json(problem: Problem) -> dict[str, Any]:
    """A finding as programs get it."""
    place = problem.place
    return {
        "code": problem.code,
        "level": problem.level,
        "what": problem.what,
        "fix": problem.fix,
        "path": place.path if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "pointer": place.pointer if place else None,
    }


def _report_problems(problems: Iterable[Problem], root: Path) -> None:
    """Each finding; errors, which stop the build, with the line that they are about."""
    from protogen.frames import framed, texts_below

    text_of = texts_below(root)
    for problem in problems:
        text = text_of(problem) if problem.level == "error" else None
        click.echo(framed(problem, text, _coloured(problem)), err=True)


def _coloured(problem: Problem) -> str:
    from protogen.problems import locate

    level = click.style(problem.level, fg="red" if problem.level == "error" else "yellow", bold=True)
    return f"{locate(problem.place)}{level} {problem.code}: {problem.what}; {problem.fix}"


def _shortened(diff: str, *, most: int = 40) -> str:
    lines = diff.splitlines(keepends=True)
    if len(lines) <= most:
        return diff
    return "".join(lines[:most]) + f"... {len(lines) - most} more lines of this difference\n"


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _command() -> str:
    """What the user typed, without --check."""
    return " ".join(["protogen", *(word for word in sys.argv[1:] if word != "--check")])
