"""What commands share: options, completions, and which project they work on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from protogen.config import KINDS, Config, Refusal, find, for_schema, read

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

DONE, FINDINGS, USAGE = 0, 1, 2
"""Exit codes: all well; stale output or Problems; usage or environment."""


def complete_protocol(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the project's protocols, or a file."""
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


def complete_target(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of targets."""
    from click.shell_completion import CompletionItem

    from protogen import registry

    return [CompletionItem(name) for name in registry.names() if name.startswith(incomplete)]


def complete_code(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Codes of findings."""
    from click.shell_completion import CompletionItem

    from protogen.catalogue import CATALOGUE

    return [CompletionItem(code, help=entry.title) for code, entry in CATALOGUE.items() if code.startswith(incomplete)]


def options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several decorators as one, so that they read as a table."""

    def apply(command: Any) -> Any:
        for decorate in reversed(decorators):
            command = decorate(command)
        return command

    return apply


config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The project's protogen.toml (default: the nearest one in this folder or above).",
)
format_option = click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to report."
)
listening_options = (
    click.option("--host", metavar="ADDRESS", help="Where to listen (default: 127.0.0.1)."),
    click.option(
        "--port", type=click.IntRange(0, 65535), metavar="N", help="Port; 0 for any free one (default: 8000)."
    ),
    click.option("--announce", is_flag=True, help='Print {"port": N} on stdout once the port is open.'),
)
"""Of every command that serves."""

timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(0, 3600, min_open=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long an answer may take.",
)
target_option = click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_target,
    help="Only this target; repeat for several (see protogen targets).",
)
kind_option = click.option(
    "--kind",
    type=click.Choice(KINDS),
    metavar="KIND",
    help=f"What the file is, where that is not recognised: {', '.join(KINDS)}.",
)
methods_option = click.option(
    "--methods",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file that says what the schema leaves out (default: NAME.methods.json beside it).",
)


def project(
    names: Iterable[str],
    config_file: Path | None,
    out: Path | None,
    *,
    kind: str | None = None,
    methods: Path | None = None,
) -> tuple[Config, list[str]]:
    """The configuration to use, and the protocols to build (empty: all); `kind` and `methods` are those of a file."""
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

        said = None if methods is None else str(methods.resolve())
        config = replace(config, protocols=(replace(entry, schema=schema, kind=kind, methods=said),))
        chosen = []
    else:
        if kind is not None or methods is not None:
            raise click.UsageError("--kind and --methods belong to a file; protogen.toml says them for its protocols.")
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


def replace_text(path: Path, text: str) -> None:
    """Writes a file anew: it has its whole new text or its whole old one, whatever happens. Errors: Refusal."""
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.write_text(text, "utf-8", newline="")
        beside.replace(path)
    except OSError as reason:
        beside.unlink(missing_ok=True)
        fix = "check its permissions"
        raise Refusal("PG301", f"cannot be written: {reason.strerror}", fix=fix, path=str(path)) from None
