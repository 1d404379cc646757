"""`protogen init`: a new protocol, or a node that serves one."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from protogen.config import Config, ProtocolConfig, Refusal

from .options import FINDINGS, complete_protocol, kind_option, methods_option, options, project

if TYPE_CHECKING:
    from protogen import ir
    from protogen.build import Reading
    from protogen.scaffold import Copied, Node

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST: Final = 60
"""Characters of a name: it is a folder, a package and a module in three languages."""
_INSTALLED: Final = frozenset(("anyio", "httpx", "hypercorn", "msgspec", "pytest", "trio", "tests"))
"""Packages that a node in Python needs, and its own tests: its module is not called like one."""


@click.command(
    short_help="Begin a protocol, or a node that serves one.",
    epilog="""\b
Examples:
  protogen init notes                                  a protocol, in the new folder notes/
  protogen init --node python                          a node for the one protocol of protogen.toml
  protogen init --node typescript --protocol notes     a node for one of several
  protogen init billing --node go --protocol openrpc.json
                                                       a node in billing/, for any document
  protogen init --node go --protocol echo --role client   the other side

\b
Exit codes: 0 made; 1 the document has errors; 2 usage, or something stands there already.
""",
)
@click.argument("name", required=False)
@options(
    click.option(
        "--node",
        "language",
        type=click.Choice(["python", "typescript", "go"]),
        help="Make a node that serves a protocol, in this language.",
    ),
    click.option(
        "--protocol",
        "source",
        metavar="NAME|FILE",
        shell_complete=complete_protocol,
        help="What the node serves: one of protogen.toml, one that comes with protogen, or a document of any kind.",
    ),
    click.option("--role", metavar="NAME", help="The side to write (default: the one that answers most methods)."),
    click.option(
        "--into",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path(),
        metavar="DIR",
        help="Where to make the folder (default: here).",
    ),
    kind_option,
    methods_option,
)
def init(
    name: str | None,
    language: str | None,
    source: str | None,
    role: str | None,
    into: Path,
    kind: str | None,
    methods: Path | None,
) -> None:
    """Make a folder called NAME: a protocol with a first document, or with --node a node on a protocol's SDK.

    A protocol builds at once. The tests of a node pass at once; each of its methods is there to be filled in. Nothing
    that exists is ever changed, and a folder is made whole or not at all.
    """
    if language is None:
        for option, given in (("--protocol", source), ("--role", role), ("--kind", kind), ("--methods", methods)):
            if given is not None:
                raise click.UsageError(f"{option} belongs to a node: say its language with --node.")
        _begin_protocol(name, into)
    else:
        _begin_node(name, language, source, role, into, kind, methods)


def _checked(name: str) -> str:
    """A name of folders and packages. Errors: UsageError, with the nearest name that is one."""
    if _NAME.fullmatch(name) and len(name) <= _LONGEST:
        return name
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-").lstrip("0123456789-")[:_LONGEST].rstrip("-")
    hint = f"; for example {plain!r}" if plain else ""
    raise click.UsageError(
        f"{name!r} is no name here: use small letters, digits and single dashes, a letter first,"
        f" at most {_LONGEST} of them{hint}."
    )


def _begin_protocol(name: str | None, into: Path) -> None:
    from protogen.render import Templates
    from protogen.scaffold import place, protocol_files, refuse_existing

    if name is None:
        raise click.UsageError("name the protocol, as in: protogen init notes; or say --node LANGUAGE for a node.")
    folder = into / _checked(name)
    refuse_existing(folder)
    files = protocol_files(name, Templates())
    place(folder, files)
    _tell(folder, sorted(files), ["protogen lint", "protogen build", "protogen mock protocol.json"])


def _begin_node(
    name: str | None,
    language: str,
    source: str | None,
    role: str | None,
    into: Path,
    kind: str | None,
    methods: Path | None,
) -> None:
    from protogen.build import methods_path, options, schema_path
    from protogen.naming import Collision
    from protogen.render import Templates
    from protogen.scaffold import Node, copied, node_files, place, refuse_existing

    config, entry = _source(source, kind, methods)
    reading = _read(config, entry)
    played = _role(reading.protocol, role, entry)
    if name is None:
        name = "-".join(re.findall(r"[a-z0-9]+", f"{entry.name} {played}".lower()))[:_LONGEST].rstrip("-")
    chosen = options(entry, language)
    _checked(name)
    if language == "python":
        _check_module(name, chosen.package)
    folder = into / name
    refuse_existing(folder)
    node = Node(name=name, language=language, protocol=reading.protocol, role=played, entry=entry, options=chosen)
    documents = copied(
        reading.protocol,
        reading.document.tree,
        schema_path(config, entry),
        root=config.root,
        methods=methods_path(config, entry),
    )
    try:
        files = node_files(node, documents, Templates())
    except Collision as collision:
        what = f"{' and '.join(collision.keys)} both ask for the name {collision.name!r}"
        raise Refusal("PG108", what, fix='change one "x-protogen-name"', path=entry.schema) from None
    place(folder, files, _build)
    own = [path for path in files if path not in documents.files]
    _tell(folder, sorted(own), _first_steps(node, documents))


def _source(source: str | None, kind: str | None, methods: Path | None) -> tuple[Config, ProtocolConfig]:
    """The protocol that is meant, and the project that it is found in. Errors: Refusal, UsageError."""
    from protogen.config import FILE_NAME, find, for_schema, read

    from .protocols import known

    if source is not None and (source.endswith(".json") or "/" in source or Path(source).is_file()):
        config, _ = project([source], None, None, kind=kind, methods=methods)
        return config, config.protocols[0]
    if kind is not None or methods is not None:
        raise click.UsageError("--kind and --methods belong to a file; protogen.toml says them for its protocols.")
    file = find(Path.cwd())
    config_here = read(file) if file is not None else None
    own = {entry.name: entry for entry in config_here.protocols} if config_here is not None else {}
    if source is None:
        if len(own) != 1:
            there = f"; {FILE_NAME} has {', '.join(own)}" if own else f"; no {FILE_NAME} stands in this folder or above"
            raise click.UsageError(f"say which protocol the node serves, with --protocol NAME|FILE{there}.")
        source = next(iter(own))
    if source in own and config_here is not None:
        return config_here, own[source]
    shipped = known()
    if source not in shipped:
        from protogen.problems import closest

        fix = f"choose one of {', '.join(shipped)}, or name a file"
        raise Refusal("PG202", f"there is no protocol {source!r}{closest(source, shipped)}", fix=fix)
    from dataclasses import replace

    from protogen.resources import data_root

    config = for_schema(shipped[source], root=(data_root() / "schemas").resolve())
    return config, replace(config.protocols[0], name=source)


def _read(config: Config, entry: ProtocolConfig) -> Reading:
    """The document, whatever its kind; exits with 1 where it has errors."""
    from protogen.build import methods_path, read_document, schema_path

    reading, problems = read_document(
        schema_path(config, entry),
        root=config.root,
        name=entry.name,
        kind=entry.kind,
        methods=methods_path(config, entry),
    )
    if reading is None:
        from protogen.frames import framed, texts_below

        text_of = texts_below(config.root)
        for problem in problems:
            click.echo(framed(problem, text_of(problem)), err=True)
        raise click.exceptions.Exit(FINDINGS)
    if reading.told:
        click.echo(reading.told, err=True)
    return reading


def _role(protocol: ir.Protocol, role: str | None, entry: ProtocolConfig) -> str:
    """The side to write: as told, else the one that answers most requests. Errors: UsageError, Refusal."""
    from protogen import ir
    from protogen.problems import closest

    serving = {it.name: ir.served(protocol, it.name) for it in protocol.roles}
    serving = {name: methods for name, methods in serving.items() if methods}
    if not serving:
        fix = "name a document that describes methods"
        raise Refusal("PG116", "has no methods to serve", fix=fix, path=entry.schema)
    if role is None:
        return max(serving, key=lambda it: (sum(method.kind == "request" for method in serving[it]), len(serving[it])))
    if role not in serving:
        hint = closest(role, serving) or f"; choose one of {', '.join(serving)}"
        raise click.UsageError(f"nothing is sent to a role {role!r} of {entry.name}{hint}.")
    return role


def _check_module(name: str, package: str) -> None:
    """Refuses a node whose module would hide another one."""
    module = name.replace("-", "_")
    if module in sys.stdlib_module_names or module in _INSTALLED or keyword.iskeyword(module) or module == package:
        raise click.UsageError(
            f"a module {module!r} exists in Python already; choose another name, such as {name}-node."
        )


def _build(folder: Path) -> None:
    """Writes the SDK into a folder that has everything else."""
    from protogen import build as pipeline
    from protogen.config import FILE_NAME, read
    from protogen.problems import has_errors
    from protogen.write import Refused, compare, write

    config = read(folder / FILE_NAME)
    outcome = pipeline.build(config)
    for problem in outcome.problems:
        click.echo(str(problem), err=True)
    if has_errors(outcome.problems):
        raise click.exceptions.Exit(FINDINGS)
    files = [file for product in outcome.products for file in product.files]
    folders = [f"{product.target}/{product.protocol}" for product in outcome.products]
    try:
        write(config.out, files, compare(config.out, files, folders, whole=True, diffs=False), whole=True)
    except Refused as refused:
        raise Refusal(refused.problem.code, refused.problem.what, fix=refused.problem.fix) from None


def _first_steps(node: Node, documents: Copied) -> list[str]:
    tests = {"python": "pytest", "typescript": "npm install && npm test", "go": "go test ./..."}[node.language]
    serves = {
        "python": f"python -m {node.module} --port 8000   (after pip install -e .)",
        "typescript": "npm start -- --port 8000",
        "go": "go run . --port 8000",
    }[node.language]
    return [tests, serves, f"protogen test http://127.0.0.1:8000 --schema {documents.schema}"]


def _tell(folder: Path, files: list[str], steps: list[str]) -> None:
    """What was made, and how to go on."""
    click.echo(f"made {folder.as_posix()}/ with {', '.join(files)}")
    click.echo("\n".join(["next:", f"  cd {folder.as_posix()}", *(f"  {step}" for step in steps)]))
