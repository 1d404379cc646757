"""`protogen serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from .options import USAGE, listening_options, options

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PACKAGE: Final = "protogen_runtime.nodes"
"""Each module of it is a server: `Settings`, `serve_http`, and `serve_stdio` where it can be a child process."""


def servers() -> list[str]:
    """What can be served."""
    from importlib import import_module
    from pkgutil import iter_modules

    return sorted(module.name for module in iter_modules(import_module(PACKAGE).__path__))


def complete_server(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of servers."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in servers() if name.startswith(incomplete)]


@click.command(
    epilog="""\b
Examples:
  protogen serve echo                           on http://127.0.0.1:8000
  protogen serve echo --port 0 --announce       on a free port; prints {"port": N} when it listens
  protogen serve echo --stdio                   one message a line, on stdin and stdout
  protogen serve apflow                         a task node; its tasks are in apflow.db
  protogen serve apflow --db sqlite:///my.db --concurrency 500
  protogen serve stepflow --config stepflow-config.yml --db sqlite:///stepflow.db
  protogen serve echo --config serve.toml       limits, keys, TLS: see docs/how-to/serve.md
"""
)
@click.argument("server", shell_complete=complete_server)
@options(
    *listening_options,
    click.option("--stdio", is_flag=True, help="Serve one client on stdin and stdout instead of HTTP."),
    click.option(
        "--db",
        "database",
        metavar="ADDRESS",
        help="Database: sqlite:///FILE or memory: (apflow, stepflow; default: a file of that name, or what the"
        " configuration says).",
    ),
    click.option("--dialect", metavar="NAME", help="Which release's habits hold: 0.9 or 0.11 (stepflow)."),
    click.option(
        "--concurrency", type=click.IntRange(1), metavar="N", help="Tasks in progress at once (apflow; default: 100)."
    ),
    click.option("--workers", type=click.IntRange(1), metavar="N", help="Processes that serve the port (default: 1)."),
    click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Settings in TOML; options on the command line win. For stepflow also a configuration in YAML or JSON.",
    ),
)
def serve(
    server: str,
    host: str | None,
    port: int | None,
    announce: bool,
    stdio: bool,
    database: str | None,
    dialect: str | None,
    concurrency: int | None,
    workers: int | None,
    config_file: Path | None,
) -> None:
    """Run SERVER until it is told to end (SIGTERM or SIGINT); what runs then may finish."""
    from importlib import import_module

    from protogen_runtime.io.http.server import CannotServe, check, override, read_settings

    if server not in servers():
        from protogen.problems import closest

        near = closest(server, servers())
        raise click.UsageError(f"there is no server {server!r}{near}; choose one of {', '.join(servers())}.")
    module = import_module(f"{PACKAGE}.{server}")
    own = {
        "database": ("--db", database),
        "dialect": ("--dialect", dialect),
        "concurrency": ("--concurrency", concurrency),
    }
    for name, (option, value) in own.items():
        if value is not None and name not in module.Settings.__struct_fields__:
            raise click.UsageError(f"{server} has no {option}.")
    if dialect is not None and dialect not in (known := _choices(module.Settings, "dialect")):
        raise click.UsageError(f"{server} has no dialect {dialect!r}; choose one of {', '.join(known)}.")
    if stdio and not hasattr(module, "serve_stdio"):
        raise click.UsageError(f"{server} is served over HTTP; leave --stdio out.")
    if stdio and (host is not None or port is not None or announce or workers is not None):
        raise click.UsageError("--stdio has no --host, --port, --announce or --workers.")
    try:
        # A server whose configuration has a form of its own reads it itself.
        settings = (
            module.read_settings(config_file)
            if hasattr(module, "read_settings")
            else read_settings(config_file, module.Settings)
        )
        if stdio:
            check(settings)
            module.serve_stdio(settings.observe)
            return
        given = {"host": host, "port": port, "workers": workers, "announce": announce or None}
        given |= {name: value for name, (_, value) in own.items()}
        module.serve_http(override(settings, **given))
    except CannotServe as reason:
        click.echo(f"error: {reason}", err=True)
        raise click.exceptions.Exit(USAGE) from None


def _choices(settings: Any, name: str) -> list[str]:
    """The texts that a member of a server's settings can be."""
    import msgspec

    (kind,) = (field.type for field in msgspec.structs.fields(settings) if field.name == name)
    return [text for part in get_args(kind) for text in get_args(part)]
