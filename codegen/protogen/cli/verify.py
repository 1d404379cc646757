"""`protogen verify`."""

from __future__ import annotations

from pathlib import Path

import click

from .options import (
    complete_protocol,
    config_option,
    format_option,
    kind_option,
    methods_option,
    options,
    project,
    target_option,
)


@click.command(
    short_help="Try generated code on samples of the schema.",
    epilog="""\b
Examples:
  protogen verify                                   every protocol of protogen.toml, own samples
  protogen verify stepflow --target go              one protocol, one language
  protogen verify schema.json --samples mine.jsonl  your samples against a bare schema
  protogen verify --without-constraints             what SDKs accept that were told to check types alone
""",
)
@click.argument("protocols", nargs=-1, metavar="[PROTOCOL|FILE]...", shell_complete=complete_protocol)
@options(
    click.option(
        "--samples",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Lines of {type, value, valid} (default: own samples).",
    ),
    target_option,
    click.option(
        "--count",
        type=click.IntRange(min=1),
        default=2000,
        show_default=True,
        help="At least so many own samples a protocol.",
    ),
    click.option(
        "--without-constraints",
        "loosely",
        is_flag=True,
        help="Have types checked alone, and compare with the schema without its constraints.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of the own samples."),
    kind_option,
    methods_option,
    config_option,
    format_option,
)
def verify(
    protocols: tuple[str, ...],
    samples: Path | None,
    targets: tuple[str, ...],
    count: int,
    loosely: bool,
    seed: int,
    kind: str | None,
    methods: Path | None,
    config_file: Path | None,
    style: str,
) -> None:
    """Run samples through the generated code of each language and compare with what the schema says."""
    from protogen.verify import command

    config, chosen = project(protocols, config_file, None, kind=kind, methods=methods)
    code = command(
        config,
        chosen,
        samples=samples,
        targets=targets,
        count=count,
        seed=seed,
        style=style,
        constraints=not loosely,
    )
    raise click.exceptions.Exit(code)
