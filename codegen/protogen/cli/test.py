"""`protogen test`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .call import read_headers
from .options import options, timeout_option

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

FILE = click.Path(dir_okay=False, path_type=Path)


def complete_suite(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Protocols that have a suite."""
    from click.shell_completion import CompletionItem

    from protogen_compliance.suite import suites

    found = {it.protocol: it.summary for it in suites() if it.protocol.startswith(incomplete)}
    return [CompletionItem(name, help=text) for name, text in found.items()]


def read_pairs(option: str, items: tuple[str, ...]) -> dict[str, str]:
    """`NAME=VALUE` of a repeated option. Errors: UsageError."""
    found: dict[str, str] = {}
    for item in items:
        name, sign, value = item.partition("=")
        if not sign or not name.strip():
            raise click.UsageError(f"expected NAME=VALUE for {option}, got {item!r}.")
        found[name.strip()] = value.strip()
    return found


@click.command(
    short_help="Judge a server or a client, clause by clause.",
    epilog="""\b
Examples:
  protogen test http://127.0.0.1:8000 --protocol apflow
  protogen test URL --protocol apflow --executor ok=noop --executor slow=sleep_executor --profile streaming
  protogen test URL --protocol apflow -k CANCEL           the clauses on cancelling alone
  protogen test URL --protocol apflow --html report.html --junit report.xml
  protogen test URL --protocol apflow --known known.toml --compare last.json --json run.json
  protogen test http://127.0.0.1:8000 --protocol stepflow --role worker
  protogen test 'stdio:protogen worker components:app --stdio' --protocol stepflow
  protogen test 'protogen worker components:app --port 0 --announce' --protocol stepflow
  protogen test URL --protocol jsonrpc --method echo      any JSON-RPC endpoint
  protogen test URL --schema my-protocol.json             by your own protocol document

\b
Exit codes: 0 in order; 1 findings; 2 usage; 3 nothing to test, or the target went away.
""",
)
@click.argument("target", required=False)
@options(
    click.option("--protocol", metavar="NAME", shell_complete=complete_suite, help="The protocol that it should keep."),
    click.option("--role", metavar="NAME", help="The role that it plays (default: the protocol's first)."),
    click.option("--schema", type=FILE, metavar="FILE", help="Judge by this protocol document instead."),
    click.option("--client", metavar="COMMAND", help="Judge a client: the kit serves, COMMAND calls."),
    click.option("--profile", "profiles", multiple=True, metavar="NAME", help="Test this profile, too; repeatable."),
    click.option(
        "--executor", "executors", multiple=True, metavar="ROLE=NAME", help="What the target calls an executor."
    ),
    click.option("--method", "methods", multiple=True, metavar="NAME", help="A method to use; repeatable."),
    click.option("--dialect", default="", metavar="NAME", help="Judge under another spelling of the methods."),
    click.option("--clause", "clauses", multiple=True, metavar="ID", help="Run the tests of this clause alone."),
    click.option("-k", "matching", default="", metavar="TEXT", help="Run the clauses with TEXT in their id alone."),
    click.option("--known", type=FILE, metavar="FILE", help="Known failures with their reasons, in TOML."),
    click.option("--compare", type=FILE, metavar="OLD.json", help="Say what changed since this run."),
    click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Send this header; repeatable."),
    click.option(
        "--other-header", "other_headers", multiple=True, metavar="'NAME: VALUE'", help="A second user's header."
    ),
    click.option("--restart", default="", metavar="COMMAND", help="Restarts the target and returns once it serves."),
    click.option("--setting", "settings", multiple=True, metavar="NAME=VALUE", help="What a suite asks for besides."),
    timeout_option,
    click.option("--json", "json_file", type=FILE, metavar="FILE", help="Write the whole run."),
    click.option("--junit", "junit_file", type=FILE, metavar="FILE", help="Write JUnit XML."),
    click.option("--sarif", "sarif_file", type=FILE, metavar="FILE", help="Write SARIF."),
    click.option("--html", "html_file", type=FILE, metavar="FILE", help="Write a page with every transcript."),
    click.option("--badge", "badge_file", type=FILE, metavar="FILE", help="Write a badge in SVG."),
    click.option("--github", is_flag=True, help="Print annotations for GitHub, too."),
    click.option("--quiet", is_flag=True, help="Print the summary alone."),
)
def test(
    target: str | None,
    protocol: str | None,
    role: str | None,
    schema: Path | None,
    client: str | None,
    profiles: tuple[str, ...],
    executors: tuple[str, ...],
    methods: tuple[str, ...],
    dialect: str,
    clauses: tuple[str, ...],
    matching: str,
    known: Path | None,
    compare: Path | None,
    headers: tuple[str, ...],
    other_headers: tuple[str, ...],
    restart: str,
    settings: tuple[str, ...],
    timeout: float,
    json_file: Path | None,
    junit_file: Path | None,
    sarif_file: Path | None,
    html_file: Path | None,
    badge_file: Path | None,
    github: bool,
    quiet: bool,
) -> None:
    """Judge TARGET by the clauses of a protocol, and say of each that it breaks how to see it again.

    TARGET is http:// or https://, stdio:COMMAND for a program that speaks lines, or a COMMAND that serves HTTP and
    prints {"port": N} once it listens. How to read what is said: docs/how-to/test-a-node.md.
    """
    from protogen_compliance.command import Chosen, Usage
    from protogen_compliance.command import test as judge
    from protogen_compliance.plugin import Settings

    if (target is None) == (client is None):
        raise click.UsageError("give either a TARGET or --client COMMAND.")
    if schema is not None:
        if protocol is not None:
            raise click.UsageError("give either --protocol or --schema.")
        # The role is one of the document, which the suite for documents looks up.
        protocol, settings, role = "document", (*settings, *([f"role={role}"] if role else [])), None
    if client is not None:
        protocol, role = protocol or "jsonrpc", role or "client"
    if protocol is None:
        from protogen_compliance.command import protocols

        there = "\n  ".join(protocols())
        raise click.UsageError(f"name the protocol with --protocol, or give --schema FILE. There are:\n  {there}")
    forms = {"json": json_file, "junit": junit_file, "sarif": sarif_file, "html": html_file, "badge": badge_file}
    chosen = Chosen(
        protocol=protocol,
        role=role,
        only=clauses,
        matching=matching,
        known=known,
        compare=compare,
        files={form: file for form, file in forms.items() if file is not None},
        github=github,
        quiet=quiet,
    )
    told = Settings(
        target=target if target is not None else f"stdio:{client}",
        executors=read_pairs("--executor", executors),
        profiles=profiles,
        headers=read_headers(headers),
        other_headers=read_headers(other_headers),
        options=read_pairs("--setting", settings),
        methods=methods,
        timeout=timeout,
        restart=restart,
        schema=schema.resolve() if schema is not None else None,
        dialect=dialect,
    )
    try:
        code = judge(chosen, told)
    except Usage as reason:
        raise click.UsageError(str(reason)) from None
    raise click.exceptions.Exit(code)
