"""Commands that say something of protogen itself: `targets`, `schema`, `explain`, `completion`."""

from __future__ import annotations

import json

import click

from protogen.config import Refusal

from .options import complete_code, format_option


@click.command()
@format_option
def targets(style: str) -> None:
    """List what a protocol can be built into."""
    from protogen import registry

    found = [(name, registry.target(name).summary) for name in registry.names()]
    if style == "json":
        click.echo(json.dumps([{"name": name, "summary": summary} for name, summary in found], indent=2))
        return
    for name, summary in found:
        click.echo(f"{name:<12}{summary}")


@click.command(
    short_help="Print the meta-schema of protocol documents.", epilog="Example: protogen schema > protogen.schema.json"
)
def schema() -> None:
    """Print the meta-schema of protocol documents, which editors complete and check them by.

    A document whose $schema is the path of such a copy needs no settings: see docs/how-to/editors.md.
    """
    from protogen.metaschema import text

    click.echo(text(), nl=False)


@click.command(short_help="Say what a finding means.", epilog="Example: protogen explain PG103")
@click.argument("code", required=False, shell_complete=complete_code)
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


@click.command(
    short_help="Print the script for shell completion.", epilog="Example: protogen completion bash >> ~/.bashrc"
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands, protocols and targets in a shell."""
    from click.shell_completion import get_completion_class

    from . import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise Refusal("PG203", f"no completion for {shell}", fix="use bash, zsh or fish")
    try:
        script = kind(cli, {}, "protogen", "_PROTOGEN_COMPLETE").source()
    except RuntimeError as reason:
        raise Refusal("PG203", str(reason), fix=f"install a newer {shell}") from None
    click.echo(script)
