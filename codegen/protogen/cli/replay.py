"""`protogen replay`."""

from __future__ import annotations

from pathlib import Path

import click

from .call import read_headers
from .options import options, timeout_option


@click.command(
    short_help="Send the requests of a finding again.",
    epilog="""\b
Examples:
  protogen replay 3f9a01c2                                 what protogen test printed with a finding
  protogen replay 3f9a01c2 http://127.0.0.1:9000           the same requests to another target
  protogen replay AF-RPC-010 --report run.json             the finding on a clause, from a report
  protogen replay 3f9a01c2 --header 'Authorization: …'     credentials are never kept

\b
Exit codes: 0 the same answers; 1 others; 2 usage; 3 nobody answers.
""",
)
@click.argument("name", metavar="ID")
@click.argument("target", required=False)
@options(
    click.option(
        "--report",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Look in a run that --json wrote, by id or by clause.",
    ),
    click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Send this header; repeatable."),
    timeout_option,
)
def replay(name: str, target: str | None, report: Path | None, headers: tuple[str, ...], timeout: float) -> None:
    """Send the recorded requests of the finding ID again, and show what came then and what comes now."""
    from protogen_compliance.command import Usage
    from protogen_compliance.command import replay as repeat

    try:
        code = repeat(name, target, report=report, headers=read_headers(headers), timeout=timeout)
    except Usage as reason:
        raise click.UsageError(str(reason)) from None
    raise click.exceptions.Exit(code)
