"""`protogen fuzz`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .call import read_headers
from .options import options, timeout_option
from .test import read_pairs

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from protogen.ir import Protocol

FILE = click.Path(dir_okay=False, path_type=Path)


def complete_known(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of protocols."""
    from click.shell_completion import CompletionItem

    from . import protocols

    return [CompletionItem(name) for name in protocols.known() if name.startswith(incomplete)]


def document_of(protocol: Protocol) -> Any:
    """The OpenAPI document of a protocol."""
    import json

    from protogen.output import Options
    from protogen.render import Templates
    from protogen.targets.openapi.target import TARGET

    files, _ = TARGET.generate(protocol, Options(package="fuzz", distribution="fuzz"), Templates())
    return json.loads(files[0].text)


@click.command(
    short_help="Send a server what nobody thought of.",
    epilog="""\b
Examples:
  protogen fuzz http://127.0.0.1:8000 --protocol apflow
  protogen fuzz URL --schema my-protocol.json --max-time 300 --continue
  protogen fuzz URL --protocol apflow --seed 7 --rounds 3        the same requests each time
  protogen fuzz URL --protocol apflow --header 'Authorization: Bearer A' --other-header 'Authorization: Bearer B'
  protogen fuzz 'protogen serve echo --port 0 --announce' --protocol echo
  protogen replay 3f9a01c2                                       the requests of a finding once more

\b
Exit codes: 0 nothing found; 1 findings; 2 usage; 3 nothing to fuzz.
""",
)
@click.argument("target")
@options(
    click.option("--protocol", metavar="NAME", shell_complete=complete_known, help="The protocol that it speaks."),
    click.option("--schema", type=FILE, metavar="FILE", help="The protocol document, where it is your own."),
    click.option("--role", metavar="NAME", help="The role that it plays (default: the first whose methods it knows)."),
    click.option(
        "--max-time",
        "seconds",
        type=click.FloatRange(0, min_open=True),
        default=60.0,
        show_default=True,
        metavar="SECONDS",
        help="End after so long.",
    ),
    click.option("--rounds", type=click.IntRange(0), metavar="N", help="End after so many rounds of random requests."),
    click.option("--seed", type=int, default=0, show_default=True, help="Which random requests."),
    click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Send so many at once."),
    click.option("--continue", "go_on", is_flag=True, help="Go on after a finding, until the time is over."),
    click.option("--without", multiple=True, metavar="METHOD", help="Never call this method; repeatable."),
    click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Send this header; repeatable."),
    click.option(
        "--other-header",
        "other_headers",
        multiple=True,
        metavar="'NAME: VALUE'",
        help="A second user's header: what the first made must stay hidden.",
    ),
    click.option(
        "--executor", "executors", multiple=True, metavar="ROLE=NAME", help="What the target calls an executor."
    ),
    timeout_option,
    click.option(
        "--corpus",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="FOLDER",
        help="Where sequences are kept and read from (default: .protogen/fuzz/PROTOCOL).",
    ),
    click.option("--no-corpus", is_flag=True, help="Keep and read no sequences."),
    click.option("--json", "json_file", type=FILE, metavar="FILE", help="Write the whole run."),
    click.option("--quiet", is_flag=True, help="Print the summary alone."),
)
def fuzz(
    target: str,
    protocol: str | None,
    schema: Path | None,
    role: str | None,
    seconds: float,
    rounds: int | None,
    seed: int,
    workers: int,
    go_on: bool,
    without: tuple[str, ...],
    headers: tuple[str, ...],
    other_headers: tuple[str, ...],
    executors: tuple[str, ...],
    timeout: float,
    corpus: Path | None,
    no_corpus: bool,
    json_file: Path | None,
    quiet: bool,
) -> None:
    """Send TARGET valid, broken and odd requests of a protocol, and judge every answer.

    TARGET is http:// or https://, or a COMMAND that serves HTTP and prints {"port": N} once it listens. The requests
    change what the target keeps: fuzz one that may be thrown away. More: docs/how-to/fuzz-a-node.md.
    """
    from protogen_compliance.fuzz.command import Usage
    from protogen_compliance.fuzz.command import fuzz as send
    from protogen_compliance.fuzz.engine import Settings

    from . import protocols

    if (protocol is None) == (schema is None):
        there = ", ".join(protocols.known())
        raise click.UsageError(f"name the protocol with --protocol or give --schema FILE. There are: {there}")
    described = protocols.load(protocol, schema)
    assert described is not None, "one of both was given"
    name = protocol or described.name
    if role is not None and role not in [it.name for it in described.roles]:
        raise click.UsageError(f"{name} has no role {role!r}; it has {', '.join(it.name for it in described.roles)}.")
    folder = None if no_corpus else corpus or Path(".protogen") / "fuzz" / name
    settings = Settings(
        url=target,
        protocol=name,
        headers=read_headers(headers),
        other_headers=read_headers(other_headers) if other_headers else None,
        role=role,
        without=without,
        seconds=seconds,
        rounds=rounds,
        seed=seed,
        workers=workers,
        go_on=go_on,
        timeout=timeout,
        folder=folder,
        options=read_pairs("--executor", executors),
    )
    try:
        code = send(settings, document_of(described), json_file=json_file, quiet=quiet)
    except Usage as reason:
        raise click.UsageError(str(reason)) from None
    raise click.exceptions.Exit(code)
