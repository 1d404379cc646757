"""The command line: what a user types, what is printed, how it exits.

Imports everything but click and the configuration inside the command that needs it, so that a build with nothing
to do stays quick.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from protogen import __version__
from protogen.config import Config, Refusal, find, for_schema, read

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from protogen.build import Outcome
    from protogen.problems import Problem
    from protogen.write import Change

DONE, FINDINGS, USAGE = 0, 1, 2
"""Exit codes: all well; stale output or Problems; usage or environment."""


def main() -> NoReturn:
    """Runs the command line and turns every expected failure into one line and an exit code."""
    try:
        code = cli.main(prog_name="protogen", standalone_mode=False)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except click.ClickException as reason:
        reason.show()
        sys.exit(USAGE)
    except Refusal as refusal:
        click.echo(str(refusal), err=True)
        sys.exit(USAGE)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    sys.exit(code or DONE)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Documentation: docs/ in the repository. Every finding has a code; try: protogen explain PG103",
)
@click.version_option(__version__, message="protogen %(version)s")
def cli() -> None:
    """Typed SDKs, servers and tests for JSON-RPC protocols, made from one description in JSON Schema."""


def _complete_protocol(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    file = find(Path.cwd())
    names: list[str] = []
    if file is not None:
        try:
            names = [entry.name for entry in read(file).protocols]
        except Refusal:
            names = []
    found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return [*found, CompletionItem(incomplete, type="file")]


def _complete_target(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from protogen import registry

    return [CompletionItem(name) for name in registry.names() if name.startswith(incomplete)]


def _complete_code(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from protogen.catalogue import CATALOGUE

    return [CompletionItem(code, help=entry.title) for code, entry in CATALOGUE.items() if code.startswith(incomplete)]


def _options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def apply(command: Any) -> Any:
        for decorate in reversed(decorators):
            command = decorate(command)
        return command

    return apply


_config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The project's protogen.toml (default: the nearest one in this folder or above).",
)
_format_option = click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to report."
)
_target_option = click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    shell_complete=_complete_target,
    help="Only this target; repeat for several (see protogen targets).",
)


@cli.command(
    short_help="Write the SDKs and documents of protocols.",
    epilog="""\b
Examples:
  protogen build                          everything that protogen.toml names
  protogen build stepflow --target go     one protocol, one target
  protogen build --check                  exit 1 if the committed output is stale
  protogen build schema.json --out sdk    a bare JSON Schema, without protogen.toml
""",
)
@click.argument("protocols", nargs=-1, metavar="[PROTOCOL|FILE]...", shell_complete=_complete_protocol)
@_options(
    _target_option,
    click.option(
        "--check", is_flag=True, help="Write nothing; exit 1 and show the differences if the output is stale."
    ),
    click.option("--dry-run", is_flag=True, help="Write nothing; say what would be written."),
    click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where to write (default: generated/)."),
    click.option("--force", is_flag=True, help="Replace files that protogen did not write."),
    click.option("--strict", is_flag=True, help="Exit 1 on warnings too."),
    _config_option,
    _format_option,
)
def build(
    protocols: tuple[str, ...],
    targets: tuple[str, ...],
    check: bool,
    dry_run: bool,
    out: Path | None,
    force: bool,
    strict: bool,
    config_file: Path | None,
    style: str,
) -> None:
    """Write the SDKs and documents of protocols (all that protogen.toml names, or those given)."""
    if check and dry_run:
        raise click.UsageError("--check and --dry-run exclude each other: choose one.")
    started = time.perf_counter()
    config, chosen = _project(protocols, config_file, out)
    tool, key = "", ""
    if not (check or dry_run):
        from protogen import fresh
        from protogen.resources import data_root

        tool = fresh.fingerprint(data_root(), _core_root())
        key = json.dumps([str(config.file), str(config.out), sorted(chosen), sorted(targets), force])
        standing = fresh.is_fresh(config.root, key, tool) if not strict and _all_ours(config, targets) else None
        if standing is not None:
            _say_unchanged(*standing, time.perf_counter() - started, style)
            return
    _build(
        config,
        chosen,
        targets,
        check=check,
        dry_run=dry_run,
        force=force,
        strict=strict,
        style=style,
        started=started,
        tool=tool,
        key=key,
    )


def _all_ours(config: Config, targets: tuple[str, ...]) -> bool:
    """Whether only targets of ours are asked for: nobody knows which files decide what those of others write."""
    from protogen.registry import BUILTIN

    asked = set(targets) or {name for entry in config.protocols for name in entry.targets}
    return asked <= set(BUILTIN)


def _core_root() -> Path:
    package = Path(__file__).resolve().parent
    installed = package.parent / "protogen_runtime" / "jsonrpc"
    return installed if installed.is_dir() else package.parent.parent / "runtime" / "protogen_runtime" / "jsonrpc"


def _build(
    config: Config,
    chosen: list[str],
    targets: tuple[str, ...],
    *,
    check: bool,
    dry_run: bool,
    force: bool,
    strict: bool,
    style: str,
    started: float,
    tool: str,
    key: str,
) -> None:
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
    _report(outcome, config, changes, style=style, check=check, dry_run=dry_run, seconds=time.perf_counter() - started)
    if failed or (check and stale) or (strict and outcome.problems):
        raise click.exceptions.Exit(FINDINGS)
    if tool and not outcome.problems:
        _remember(config, outcome, key, tool)


def _remember(config: Config, outcome: Outcome, key: str, tool: str) -> None:
    from protogen import fresh
    from protogen.write import MANIFEST

    inputs = [source.path for source in outcome.inputs]
    if config.file is not None:
        inputs.append(config.file.name)
    written = [str(config.out / file.path) for product in outcome.products for file in product.files]
    fresh.remember(config.root, key, tool, inputs=inputs, outputs=[*written, str(config.out / MANIFEST)])


def _project(names: Iterable[str], config_file: Path | None, out: Path | None) -> tuple[Config, list[str]]:
    """The configuration to use, and the protocols to build (empty: all)."""
    chosen = list(names)
    files = [name for name in chosen if name.endswith(".json") or "/" in name or Path(name).is_file()]
    if files:
        if len(chosen) > 1:
            raise click.UsageError("give either one schema file, or names of protocols.")
        config = for_schema(Path(files[0]), root=Path.cwd().resolve())
        if not Path(files[0]).resolve().is_relative_to(config.root):
            config = Config(root=Path(files[0]).resolve().parent, file=None, out=config.out, protocols=config.protocols)
        schema = str(Path(files[0]).resolve())
        entry = config.protocols[0]
        from dataclasses import replace

        config = replace(config, protocols=(replace(entry, schema=schema),))
        chosen = []
    else:
        file = config_file if config_file is not None else find(Path.cwd())
        if file is None:
            raise Refusal(
                "PG201",
                "no protogen.toml in this folder or above",
                fix="write one (docs/reference/config.md), or name a schema file",
            )
        config = read(file)
    if out is not None:
        from dataclasses import replace

        config = replace(config, out=Path.cwd() / out)
    return config, chosen


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
    outcome: Outcome, config: Config, changes: list[Change], *, style: str, check: bool, dry_run: bool, seconds: float
) -> None:
    if style == "json":
        _report_json(outcome, changes, seconds)
        return
    for problem in outcome.problems:
        click.echo(_coloured(problem), err=True)
    kinds = {change.path: change.kind for change in changes}
    _report_products(outcome, kinds, dry_run=dry_run, check=check)
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


def _report_products(outcome: Outcome, kinds: dict[str, str], *, dry_run: bool, check: bool) -> None:
    if check or not outcome.products:
        return
    width = max(len(product.protocol) for product in outcome.products)
    for product in outcome.products:
        lines = sum(file.text.count("\n") for file in product.files)
        changed = sum(file.path in kinds for file in product.files)
        state = f"{changed} {'would change' if dry_run else 'changed'}" if changed else "unchanged"
        click.echo(
            f"{product.protocol:<{width}}  {product.target:<11}{len(product.files):>4} files {lines:>7,} lines "
            f"{product.seconds * 1000:>6.0f} ms  {state}"
        )


def _report_json(outcome: Outcome, changes: list[Change], seconds: float) -> None:
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
                "problems": [_problem_json(problem) for problem in outcome.problems],
                "seconds": round(seconds, 3),
            },
            indent=2,
        )
    )


def _problem_json(problem: Problem) -> dict[str, Any]:
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


@cli.command(
    short_help="Try generated code on samples of the schema.",
    epilog="""\b
Examples:
  protogen verify                                   every protocol of protogen.toml, own samples
  protogen verify stepflow --target go              one protocol, one language
  protogen verify schema.json --samples mine.jsonl  your samples against a bare schema
""",
)
@click.argument("protocols", nargs=-1, metavar="[PROTOCOL|FILE]...", shell_complete=_complete_protocol)
@_options(
    click.option(
        "--samples",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Lines of {type, value, valid} (default: own samples).",
    ),
    _target_option,
    click.option(
        "--count",
        type=click.IntRange(min=1),
        default=2000,
        show_default=True,
        help="At least so many own samples a protocol.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of the own samples."),
    _config_option,
    _format_option,
)
def verify(
    protocols: tuple[str, ...],
    samples: Path | None,
    targets: tuple[str, ...],
    count: int,
    seed: int,
    config_file: Path | None,
    style: str,
) -> None:
    """Run samples through the generated code of each language and compare with what the schema says."""
    from protogen.verify import command

    config, chosen = _project(protocols, config_file, None)
    code = command(config, chosen, samples=samples, targets=targets, count=count, seed=seed, style=style)
    raise click.exceptions.Exit(code)


@cli.command(
    epilog="""\b
Examples:
  protogen serve echo                           on http://127.0.0.1:8000
  protogen serve echo --port 0 --announce       on a free port; prints {"port": N} when it listens
  protogen serve echo --stdio                   one message a line, on stdin and stdout
  protogen serve echo --config serve.toml       limits, keys, TLS: see docs/how-to/serve.md
"""
)
@click.argument("server", type=click.Choice(["echo"]))
@_options(
    click.option("--host", metavar="ADDRESS", help="Where to listen (default: 127.0.0.1)."),
    click.option(
        "--port", type=click.IntRange(0, 65535), metavar="N", help="Port; 0 for any free one (default: 8000)."
    ),
    click.option("--announce", is_flag=True, help='Print {"port": N} on stdout once the port is open.'),
    click.option("--stdio", is_flag=True, help="Serve one client on stdin and stdout instead of HTTP."),
    click.option("--workers", type=click.IntRange(1), metavar="N", help="Processes that serve the port (default: 1)."),
    click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Settings in TOML; options on the command line win.",
    ),
)
def serve(
    server: str,
    host: str | None,
    port: int | None,
    announce: bool,
    stdio: bool,
    workers: int | None,
    config_file: Path | None,
) -> None:
    """Run a server until it is told to end (SIGTERM or SIGINT); what runs then may finish."""
    from importlib import import_module

    from protogen_runtime.io.http.server import CannotServe, override, read_settings

    module = import_module(f"protogen_runtime.{server}")
    if stdio:
        if host is not None or port is not None or announce or workers is not None:
            raise click.UsageError("--stdio has no --host, --port, --announce or --workers.")
        module.serve_stdio()
        return
    try:
        settings = read_settings(config_file)
        module.serve_http(override(settings, host=host, port=port, workers=workers, announce=announce or None))
    except CannotServe as reason:
        click.echo(f"error: {reason}", err=True)
        raise click.exceptions.Exit(USAGE) from None


@cli.command()
@_format_option
def targets(style: str) -> None:
    """List what a protocol can be built into."""
    from protogen import registry

    found = [(name, registry.target(name).summary) for name in registry.names()]
    if style == "json":
        click.echo(json.dumps([{"name": name, "summary": summary} for name, summary in found], indent=2))
        return
    for name, summary in found:
        click.echo(f"{name:<12}{summary}")


@cli.command(short_help="Say what a finding means.", epilog="Example: protogen explain PG103")
@click.argument("code", required=False, shell_complete=_complete_code)
def explain(code: str | None) -> None:
    """Say what a finding means and what to do about it (without CODE: list them all)."""
    from protogen.catalogue import CATALOGUE
    from protogen.problems import closest

    if code is None:
        for known, entry in CATALOGUE.items():
            click.echo(f"{known}  {entry.title}")
        return
    found = CATALOGUE.get(code.upper())
    if found is None:
        raise Refusal(
            "PG203",
            f"there is no finding {code!r}{closest(code.upper(), CATALOGUE)}",
            fix="protogen explain lists them",
        )
    click.echo(f"{code.upper()}: {found.title}\n\n{found.text}")


@cli.command(
    short_help="Print the script for shell completion.", epilog="Example: protogen completion bash >> ~/.bashrc"
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands, protocols and targets in a shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise Refusal("PG203", f"no completion for {shell}", fix="use bash, zsh or fish")
    try:
        script = kind(cli, {}, "protogen", "_PROTOGEN_COMPLETE").source()
    except RuntimeError as reason:
        raise Refusal("PG203", str(reason), fix=f"install a newer {shell}") from None
    click.echo(script)
