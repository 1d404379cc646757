"""The command `python -m protogen_compliance URL --protocol NAME`."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from protogen_compliance import report
from protogen_compliance.plugin import Settings
from protogen_compliance.registry import UnknownProtocol
from protogen_compliance.runner import Broken, Unreached, run
from protogen_compliance.verdicts import conformant

CONFORMANT, FINDINGS, USAGE, UNREACHED = 0, 1, 2, 3
"""Exit codes: every MUST holds; something is broken; the command line is wrong; there is nothing to test."""


def _pairs(items: tuple[str, ...], separator: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in items:
        name, there, value = item.partition(separator)
        if not there or not name.strip():
            raise click.UsageError(f"expected NAME{separator}VALUE, got {item!r}")
        found[name.strip()] = value.strip()
    return found


@click.command()
@click.argument("url")
@click.option("--protocol", required=True, help="The protocol whose suite is run.")
@click.option("--executor", multiple=True, metavar="ROLE=NAME", help="What the target calls an executor.")
@click.option("--profile", multiple=True, help="A further profile to test.")
@click.option("--target-header", multiple=True, metavar="NAME: VALUE", help="Sent with every request.")
@click.option("--setting", multiple=True, metavar="NAME=VALUE", help="For the profile that asks for it.")
@click.option("--only", multiple=True, metavar="CLAUSE", help="Run the tests of this clause alone.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the run to a file.")
@click.option("--quiet", is_flag=True, help="Print the summary alone.")
def main(
    url: str,
    protocol: str,
    executor: tuple[str, ...],
    profile: tuple[str, ...],
    target_header: tuple[str, ...],
    setting: tuple[str, ...],
    only: tuple[str, ...],
    json_file: Path | None,
    quiet: bool,
) -> None:
    """Tests the implementation at URL, clause by clause."""
    settings = Settings(
        url=url,
        executors=_pairs(executor, "="),
        profiles=profile,
        headers=_pairs(target_header, ":"),
        options=_pairs(setting, "="),
    )
    try:
        done = run(protocol, settings, only=only)
    except UnknownProtocol as reason:
        raise click.UsageError(str(reason)) from None
    except Unreached as reason:
        click.echo(f"nothing to test at {url}: {reason}", err=True)
        sys.exit(UNREACHED)
    except Broken as reason:
        click.echo(f"the kit failed: {reason}", err=True)
        sys.exit(USAGE)
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(done), indent=2) + b"\n")
    shown = [it for it in done.verdicts if it.tests] if only else done.verdicts
    for line in [report.summary(shown, seconds=done.seconds)] if quiet else report.lines(shown, seconds=done.seconds):
        click.echo(line)
    sys.exit(CONFORMANT if conformant(shown) else FINDINGS)


if __name__ == "__main__":
    main(prog_name="python -m protogen_compliance")
