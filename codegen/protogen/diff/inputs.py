"""What a comparison reads: files, folders, and both as they were at a git revision.

The only part of a comparison that touches files. What git keeps is unpacked into a folder of its own, so that
references between documents hold.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from protogen import ir
from protogen.bundle import is_protocol
from protogen.config import FILE_NAME, Refusal, find, read
from protogen.load import Document, load
from protogen.problems import Problem, has_errors

from .protocols import Diff, Finding

_SOURCES = (".json", ".toml")
"""Endings of what git unpacks: documents and settings, wherever they are."""

_MADE = ("generated", "node_modules")
"""Folders of what is made of them."""

_WITHOUT = tuple(f":(exclude,glob)**/{folder}/**" for folder in _MADE)
_SKIPPED = frozenset((*_MADE, "examples"))


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """The protocols of one side by name, and what was found wrong in their documents, whose paths are below `root`."""

    shown: str
    root: Path
    protocols: dict[str, ir.Protocol]
    problems: tuple[Problem, ...]
    documents: tuple[Document, ...] = ()
    """The documents that describe the protocols; those that they refer to are read again for a place."""

    def located(self, diff: Diff) -> Diff:
        """The findings with the line and column of each place in this version's documents."""
        documents: dict[str, Document | None] = {document.path: document for document in self.documents}

        def at(finding: Finding) -> Finding:
            place = finding.place
            if place is None:
                return finding
            if place.path not in documents:
                documents[place.path] = load(self.root / place.path, root=self.root)[0]
            document = documents[place.path]
            return (
                finding if document is None else msgspec.structs.replace(finding, place=document.place(place.pointer))
            )

        return msgspec.structs.replace(diff, findings=tuple(map(at, diff.findings)))


@contextmanager
def version(spec: str, *, like: str | None = None) -> Generator[Version]:
    """What `spec` names: a file, a folder, `REVISION` or `REVISION:PATH`; the files are there while the context lasts.

    A revision alone means the project of the working folder as it was then, or `like` where that is a path. Errors:
    Refusal, with what was looked for.
    """
    path = Path(spec)
    if path.exists():
        yield _read(path, shown=spec, root=Path.cwd().resolve())
        return
    revision, separator, inside = spec.partition(":")
    top = _git("rev-parse", "--show-toplevel", spec=spec).strip()
    _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", spec=spec)
    here = Path(inside) if separator else Path(like) if like is not None else _project()
    wanted = (Path.cwd() / here).resolve()
    if not wanted.is_relative_to(top):
        raise _unknown(spec, f"{here} is outside of the repository {top}")
    with TemporaryDirectory(prefix="protogen-") as folder:
        _unpack(revision, Path(top), Path(folder), spec)
        then = Path(folder).resolve() / wanted.relative_to(top)
        if not then.exists():
            raise _unknown(spec, f"{wanted.relative_to(top)} is not in revision {revision}")
        yield _read(then, shown=spec, root=Path(folder).resolve())


def _project() -> Path:
    """The folder of the project that the working folder belongs to, or the working folder."""
    file = find(Path.cwd())
    return file.parent if file is not None else Path.cwd()


def _read(path: Path, *, shown: str, root: Path) -> Version:
    from protogen.build import read_document

    protocols: dict[str, ir.Protocol] = {}
    problems: list[Problem] = []
    documents: list[Document] = []
    for name, file in _documents(path, shown):
        reading, found = read_document(file, root=root, name=name)
        problems += found
        if reading is not None:
            protocols[name if name is not None else reading.protocol.name] = reading.protocol
            documents.append(reading.document)
    if not protocols and not has_errors(problems):
        fix = f"name a protocol document, or a folder with {FILE_NAME} or documents that have x-protocol"
        raise Refusal("PG206", f"{shown} has no protocol", fix=fix)
    return Version(shown=shown, root=root, protocols=protocols, problems=tuple(problems), documents=tuple(documents))


def _documents(path: Path, shown: str) -> list[tuple[str | None, Path]]:
    if path.is_file():
        return [(None, path)]
    file = path / FILE_NAME
    if file.is_file():
        config = read(file)
        return [(entry.name, config.root / entry.schema) for entry in config.protocols]
    found: list[tuple[str | None, Path]] = []
    for candidate in sorted(path.rglob("*.json")):
        if _SKIPPED & set(candidate.relative_to(path).parts):
            continue
        document, _ = load(candidate, root=path)
        if document is not None and isinstance(document.tree, dict) and is_protocol(document.tree):
            found.append((None, candidate))
    if not found:
        fix = f"add a {FILE_NAME}, or name the document itself"
        raise Refusal("PG206", f"{shown} holds no document with x-protocol", fix=fix)
    return found


def _unpack(revision: str, top: Path, folder: Path, spec: str) -> None:
    """The schemas and settings of a revision below `folder`: JSON and TOML, whatever their size is nothing to git."""
    names = _git("ls-tree", "-r", "--name-only", "-z", revision, spec=spec, folder=top).split("\0")
    # Patterns, not the names of all files: a command line has an end. One that nothing matches is refused by git.
    kinds = [f"*{ending}" for ending in _SOURCES if any(name.endswith(ending) and _is_source(name) for name in names)]
    if not kinds:
        return
    command = ["git", "archive", "--format=tar", revision, "--", *kinds, *_WITHOUT]
    done = subprocess.run(command, cwd=top, capture_output=True, check=False)
    if done.returncode:
        raise _unknown(spec, done.stderr.decode(errors="replace").strip())
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


def _is_source(name: str) -> bool:
    return not set(_MADE) & set(name.split("/"))


def _git(*arguments: str, spec: str, folder: Path | None = None) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)
    except FileNotFoundError:
        raise _unknown(spec, "there is no such file, and no git to look for a revision") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise _unknown(spec, said[-1] if said else "there is no such file, and git knows no such revision")
    return done.stdout.decode(errors="surrogateescape")


def _unknown(spec: str, reason: str) -> Refusal:
    fix = "name a schema file, a folder, a git revision, or REVISION:PATH"
    return Refusal("PG206", f"{spec!r} cannot be compared: {reason}", fix=fix)
