"""The command line: what a user types, what is printed, how it exits.

A command is imported when it is used, and imports whatever is heavy inside itself, so that a build with nothing to do
stays quick.
"""

from __future__ import annotations

import sys
from importlib import import_module
from keyword import iskeyword
from typing import Final, NoReturn, cast

import click

from protogen import __version__
from protogen.config import Refusal

from .options import DONE, USAGE

COMMANDS: Final = {
    "init": "init",
    "build": "build",
    "verify": "verify",
    "import": "importing",
    "lint": "lint",
    "fmt": "fmt",
    "diff": "diff",
    "mock": "mock",
    "serve": "serve",
    "worker": "worker",
    "call": "call",
    "tasks": "tasks",
    "flow": "flow",
    "run": "run",
    "runs": "runs",
    "test": "test",
    "fuzz": "fuzz",
    "replay": "replay",
    "targets": "about",
    "schema": "about",
    "explain": "about",
    "completion": "about",
}
"""Each command with the module beside this one that defines it, under its own name."""


class _Commands(click.Group):
    """Finds a command by the table alone, until it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        # A name that Python keeps for itself stands there with an underscore.
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        return cast("click.Command", getattr(import_module(f".{module}", __name__), name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            from protogen.problems import closest

            raise click.UsageError(f"There is no command {args[0]!r}{closest(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)


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
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Documentation: docs/ in the repository. Every finding has a code; try: protogen explain PG103",
)
@click.version_option(__version__, message="protogen %(version)s")
def cli() -> None:
    """Typed SDKs, servers and tests for JSON-RPC protocols, made from one description in JSON Schema."""
