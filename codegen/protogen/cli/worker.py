"""`protogen worker`: serves components of a user's module to a runtime."""

from __future__ import annotations

from pathlib import Path

import click

from .options import USAGE, listening_options, options


@click.command(
    short_help="Serve the components of a Python module to a runtime.",
    epilog="""\b
Examples:
  protogen worker components:app                      on http://127.0.0.1:8000
  protogen worker components:app --port 0 --announce  on a free port; prints {"port": N} when it listens
  protogen worker components:app --stdio              one message a line, on stdin and stdout
  protogen worker components:app --config serve.toml  limits, keys, TLS: see docs/how-to/serve.md
""",
)
@click.argument("app", metavar="MODULE:APP")
@options(
    *listening_options,
    click.option("--stdio", is_flag=True, help="Serve one runtime on stdin and stdout instead of HTTP."),
    click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Settings in TOML; options on the command line win.",
    ),
)
def worker(app: str, host: str | None, port: int | None, announce: bool, stdio: bool, config_file: Path | None) -> None:
    """Serve the object APP of MODULE, which is looked for in this folder, too, until SIGTERM, SIGINT or stdin's end.

    What runs then may finish. How to write one: docs/how-to/write-a-worker.md.
    """
    from protogen_runtime import workers
    from protogen_runtime.io.http.server import CannotServe, override, read_settings

    if stdio and (host is not None or port is not None or announce):
        raise click.UsageError("--stdio has no --host, --port or --announce.")
    try:
        settings = read_settings(config_file, workers.Settings)
        found = workers.load_app(app)
        if stdio:
            workers.serve_stdio(found, settings)
            return
        workers.serve_http(found, override(settings, host=host, port=port, announce=announce or None))
    except CannotServe as reason:
        click.echo(f"error: {reason}", err=True)
        raise click.exceptions.Exit(USAGE) from None
