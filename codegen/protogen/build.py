"""The pipeline: from a project's configuration to the files that every target wants written.

Runs the stages in order and collects their findings; what is on disk afterwards is `write`'s business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from protogen import ir, registry
from protogen.bundle import bundle, is_protocol
from protogen.collisions import collisions
from protogen.config import Config, ProtocolConfig, Refusal, TargetNames
from protogen.examples import own_examples, read_examples
from protogen.frontends import open_document
from protogen.load import Document, load
from protogen.lower import lower
from protogen.metaschema import check
from protogen.naming import snake
from protogen.normalise import NormalSchema, normalise
from protogen.output import GeneratedFile, Options, Renderer
from protogen.problems import Problem, closest, error, has_errors
from protogen.unevaluated import spelled_out


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """What one target made of one protocol; file paths are relative to the output folder."""

    protocol: str
    target: str
    files: tuple[GeneratedFile, ...]
    seconds: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a build made and found; `products` is empty for a protocol with errors.

    `told` says of each document that is none of our own what it was taken for.
    """

    products: tuple[Product, ...]
    problems: tuple[Problem, ...]
    inputs: tuple[ir.Source, ...]
    told: tuple[str, ...] = ()


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A document on its way to IR: what it was taken for, its definitions in normal form, and the protocol."""

    told: str
    document: Document
    normal: tuple[NormalSchema, ...]
    protocol: ir.Protocol


def read_protocol(
    path: Path, *, root: Path, name: str | None = None, kind: str | None = None, methods: Path | None = None
) -> tuple[ir.Protocol | None, list[Problem]]:
    """One schema file of any kind as IR. None where a stage found errors.

    `name` replaces the protocol's name where the document itself gives none; `kind` and `methods` are as in
    `protogen.frontends.open_document`.
    """
    reading, problems = read_document(path, root=root, name=name, kind=kind, methods=methods)
    return (None if reading is None else reading.protocol), problems


def read_document(
    path: Path, *, root: Path, name: str | None = None, kind: str | None = None, methods: Path | None = None
) -> tuple[Reading | None, list[Problem]]:
    """As `read_protocol`, with what stands between the file and the IR: front end, check, bundle, normalise, lower."""
    opened, problems = open_document(path, root=root, kind=kind, methods=methods)
    if opened is None:
        return None, problems
    document = opened.document
    if not document.kind or not is_protocol(document.tree):
        problems += check(document)
    if has_errors(problems):
        return None, problems
    bundled, found = bundle(document, root=root)
    problems += found
    normal, found = normalise(bundled)
    problems += found
    if has_errors(problems):
        return None, problems
    normal, found = spelled_out(normal)
    problems += found
    protocol, found = lower(bundled, normal)
    problems += found
    problems += collisions(protocol, bundled, normal)
    if not protocol.definitions and not protocol.methods:
        what = "defines no type and no method"
        fix = 'add "$defs", or constrain the root schema'
        problems.append(error("PG101", what, fix=fix, place=document.place()))
    if is_protocol(document.tree) and not document.kind:
        beside, found = read_examples(path, protocol, root=root)
        problems += found
        protocol = msgspec.structs.replace(protocol, examples=beside.examples, beside=beside.inputs)
    elif document.kind:
        examples, found = own_examples(document, protocol)
        problems += found
        beside_ = tuple(ir.Source(path=name, sha256="") for name in document.expected)
        protocol = msgspec.structs.replace(protocol, examples=tuple(examples), beside=beside_)
    if name is not None and not _declares_name(document.tree):
        protocol = msgspec.structs.replace(protocol, name=name)
    if has_errors(problems):
        return None, problems
    return Reading(told=opened.told, document=document, normal=tuple(normal), protocol=protocol), problems


def build(
    config: Config,
    *,
    protocols: Sequence[str] = (),
    targets: Sequence[str] = (),
    renderer: Renderer | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> Outcome:
    """All files for the chosen protocols and targets (empty: all that the configuration names).

    `progress` is told each step as it begins. Errors: Refusal for unknown protocols and targets.
    """
    chosen = select(config, protocols)
    for target in targets:
        registry.target(target)
    for entry in chosen:
        _check_tables(config, entry)
    products: list[Product] = []
    problems: list[Problem] = []
    inputs: dict[str, ir.Source] = {}
    told: list[str] = []
    for entry in chosen:
        progress(f"{entry.name}: reading {entry.schema}")
        reading, found = read_document(
            schema_path(config, entry),
            root=config.root,
            name=entry.name,
            kind=entry.kind,
            methods=methods_path(config, entry),
        )
        problems += found
        if reading is None:
            continue
        protocol = reading.protocol
        told += [reading.told] if reading.told else []
        inputs.update((source.path, source) for source in (*protocol.sources, *protocol.beside))
        for name in targets or entry.targets:
            progress(f"{entry.name}: {name}")
            if renderer is None:
                renderer = _templates()
            product, found = generate(protocol, entry, name, renderer=renderer)
            problems += [located(problem, config.root) for problem in found]
            products.append(product)
    return Outcome(products=tuple(products), problems=tuple(problems), inputs=tuple(inputs.values()), told=tuple(told))


def _check_tables(config: Config, entry: ProtocolConfig) -> None:
    """Refuses a `[protocols.<name>.<target>]` table for a target that does not exist."""
    known = registry.names() if set(entry.names) - set(registry.BUILTIN) else list(registry.BUILTIN)
    for name in entry.names:
        if name not in known:
            hint = closest(name, known).removeprefix("; ") or f"known are {', '.join(known)}"
            what = f"[protocols.{entry.name}.{name}] names no target"
            raise Refusal("PG203", what, fix=hint, path=str(config.file or ""))


def generate(
    protocol: ir.Protocol, entry: ProtocolConfig, target: str, *, renderer: Renderer
) -> tuple[Product, list[Problem]]:
    """The files of one target for one protocol, below `<target>/<protocol>/`."""
    started = time.perf_counter()
    files, problems = registry.target(target).generate(protocol, options(entry, target), renderer)
    prefix = f"{target}/{entry.name}"
    placed = tuple(GeneratedFile(path=f"{prefix}/{_safe(file.path, target)}", text=file.text) for file in files)
    seconds = time.perf_counter() - started
    return Product(protocol=entry.name, target=target, files=placed, seconds=seconds), problems


def options(entry: ProtocolConfig, target: str) -> Options:
    """Names and version of one SDK: from the configuration, else derived from the protocol's name."""
    names = entry.names.get(target, TargetNames())
    slug = entry.name.replace(".", "-").replace("_", "-").lower()
    package, distribution = {
        "python": (f"{snake(entry.name)}_protocol", f"{slug}-protocol"),
        "pydantic": (f"{snake(entry.name)}_models", f"{slug}-models"),
        "typescript": (f"@protogen/{slug}", f"@protogen/{slug}"),
        "go": (f"protogen.dev/{slug}", f"protogen.dev/{slug}"),
    }.get(target, (slug, slug))
    return Options(
        package=names.package or package,
        distribution=names.distribution or names.package or distribution,
        version=names.version or entry.version,
        license=names.license or entry.license,
    )


def located(problem: Problem, root: Path) -> Problem:
    """A target's finding with line and column: targets know only the file and the pointer of a definition."""
    place = problem.place
    if place is None or place.line or not place.pointer:
        return problem
    document, _ = load(root / place.path, root=root)
    return problem if document is None else msgspec.structs.replace(problem, place=document.place(place.pointer))


def select(config: Config, names: Iterable[str]) -> tuple[ProtocolConfig, ...]:
    """The configured protocols called `names`, or all. Errors: Refusal naming the nearest known one."""
    import difflib

    table = {entry.name: entry for entry in config.protocols}
    chosen: list[ProtocolConfig] = []
    for name in names:
        if name not in table:
            near = difflib.get_close_matches(name, table, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"known are {', '.join(table)}; or name a schema file"
            raise Refusal("PG202", f'there is no protocol "{name}" in {config.file or "the configuration"}', fix=hint)
        chosen.append(table[name])
    return tuple(chosen) or config.protocols


def schema_path(config: Config, entry: ProtocolConfig) -> Path:
    """The schema of a protocol as a path that can be opened."""
    return config.root / entry.schema


def methods_path(config: Config, entry: ProtocolConfig) -> Path | None:
    """The file of methods that the configuration names for a protocol, if it does."""
    return None if entry.methods is None else config.root / entry.methods


def _declares_name(tree: object) -> bool:
    about = tree.get("x-protocol") if isinstance(tree, dict) else None
    return isinstance(about, dict) and "name" in about


def _templates() -> Renderer:
    from protogen.render import Templates

    return Templates()


def _safe(path: str, target: str) -> str:
    """`path` unchanged; a target that would write elsewhere is a defect of the target."""
    parts = path.split("/")
    if path.startswith("/") or "\\" in path or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"target {target!r} wants to write {path!r}, which is not a plain relative path")
    return path
