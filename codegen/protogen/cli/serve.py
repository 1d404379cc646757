"""`protogen serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from .options import USAGE, options

SERVERS: Final = {"apflow": "protogen_runtime.nodes.apflow", "echo": "protogen_runtime.echo"}
"""What can be served, and the module that serves it."""


@click.command(
    epilog="""\b
Examples:
  protogen serve echo                           on http://127.0.0.1:8000
  protogen serve echo --port 0 --announce       on a free port; prints {"port": N} when it listens
  protogen serve echo --stdio                   one message a line, on stdin and stdout
  protogen serve apflow                         a task node; its tasks are in apflow.db
  protogen serve apflow --db sqlite:///my.db --concurrency 500
  protogen serve echo --config serve.toml       limits, keys, TLS: see docs/how-to/serve.md
"""
)
@click.argument("server", type=click.Choice(list(SERVERS)))
@options(
    click.option("--host", metavar="ADDRESS", help="Where to listen (default: 127.0.0.1)."),
    click.option(
        "--port", type=click.IntRange(0, 65535), metavar="N", help="Port; 0 for any free one (default: 8000)."
    ),
    click.option("--announce", is_flag=True, help='Print {"port": N} on stdout once the port is open.'),
    click.option("--stdio", is_flag=True, help="Serve one client on stdin and stdout instead of HTTP."),
    click.option(
        "--db", "database", metavar="ADDRESS", help="Database: sqlite:///FILE or memory: (apflow; default: apflow.db)."
    ),
    click.option(
        "--concurrency", type=click.IntRange(1), metavar="N", help="Tasks in progress at once (apflow; default: 100)."
    ),
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
    database: str | None,
    concurrency: int | None,
    workers: int | None,
    config_file: Path | None,
) -> None:
    """Run a server until it is told to end (SIGTERM or SIGINT); what runs then may finish."""
    from importlib import import_module

    from protogen_runtime.io.http.server import CannotServe, check, override, read_settings

    module = import_module(SERVERS[server])
    own = {"database": database, "concurrency": concurrency}
    if server == "echo" and (database is not None or concurrency is not None):
        raise click.UsageError("echo keeps nothing: it has no --db and no --concurrency.")
    if stdio and not hasattr(module, "serve_stdio"):
        raise click.UsageError(f"{server} is served over HTTP; leave --stdio out.")
    if stdio and (host is not None or port is not None or announce or workers is not None):
        raise click.UsageError("--stdio has no --host, --port, --announce or --workers.")
    try:
        settings = read_settings(config_file, module.Settings)
        if stdio:
            check(settings)
            module.serve_stdio(settings.observe)
            return
        given = {"host": host, "port": port, "workers": workers, "announce": announce or None, **own}
        module.serve_http(override(settings, **given))
    except CannotServe as reason:
        click.echo(f"error: {reason}", err=True)
        raise click.exceptions.Exit(USAGE) from None
