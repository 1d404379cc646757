"""`protogen import`: a document of another kind as a protocol document of our own."""

from __future__ import annotations

from pathlib import Path

import click

from protogen.config import Refusal

from .options import FINDINGS, kind_option, methods_option, options, project


@click.command(
    "import",
    short_help="Write our own document from one of another kind.",
    epilog="""\b
Examples:
  protogen import openrpc.json -o schemas/acme/protocol.json
  protogen import schema.json --methods acme.methods.json
""",
)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@options(
    click.option(
        "-o", "--output", type=click.Path(path_type=Path), metavar="PROTOCOL", help="Where to write (default: stdout)."
    ),
    click.option("--name", metavar="NAME", help="Name of the protocol (default: that of the file)."),
    click.option("--force", is_flag=True, help="Replace the file and its examples where they exist."),
    kind_option,
    methods_option,
)
def import_(
    file: Path, output: Path | None, name: str | None, force: bool, kind: str | None, methods: Path | None
) -> None:
    """Write a protocol document from FILE, an OpenRPC document, a JSON Schema or a meta-model.

    Building what is written gives the same SDKs. Examples go into the folder examples/ beside it.
    """
    from protogen.build import methods_path, read_document, schema_path
    from protogen.imported import as_document, as_example, protocol_name
    from protogen.output import json_text

    config, _ = project([f"{file.parent.as_posix()}/{file.name}"], None, None, kind=kind, methods=methods)
    entry = config.protocols[0]
    reading, problems = read_document(
        schema_path(config, entry),
        root=config.root,
        name=name or entry.name,
        kind=kind,
        methods=methods_path(config, entry),
    )
    if reading is not None and reading.told:
        click.echo(reading.told, err=True)
    for problem in problems:
        click.echo(str(problem), err=True)
    if reading is None:
        raise click.exceptions.Exit(FINDINGS)
    text = json_text(as_document(reading.protocol, reading.normal)) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    files = {output: text}
    if reading.protocol.examples:
        examples = output.parent / "examples" / f"{protocol_name(name or entry.name)}.json"
        files[examples] = json_text([as_example(example) for example in reading.protocol.examples]) + "\n"
    for path, written in files.items():
        _write(path, written, force=force)
        click.echo(f"wrote {path}", err=True)


def _write(path: Path, text: str, *, force: bool) -> None:
    """Writes a file in one step. Errors: Refusal where it exists or cannot be written."""
    if path.exists() and not force:
        raise Refusal("PG304", "exists already", fix="choose another name, or replace it with --force", path=str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(f".{path.name}.new")
        staged.write_text(text, "utf-8")
        staged.replace(path)
    except OSError as reason:
        what = f"cannot be written: {reason.strerror or reason}"
        raise Refusal("PG301", what, fix="check the path and its permissions", path=str(path)) from None
