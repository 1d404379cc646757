"""`protogen.toml`: which protocols are built into what, under which names.

Standard library only: the decision that nothing has changed is taken before anything heavier is imported.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE_NAME = "protogen.toml"
DEFAULT_TARGETS = ("python", "typescript", "go")
KINDS = ("protocol", "openrpc", "messages", "sides", "metamodel", "schema")
"""What an input can be; `protogen.frontends` reads each."""


class Refusal(Exception):
    """The command cannot begin: wrong usage, configuration or environment (exit code 2).

    Not raised for findings in schemas or stale output, which are Problems (exit code 1).
    """

    def __init__(self, code: str, what: str, *, fix: str, path: str = "") -> None:
        super().__init__(f"{path + ': ' if path else ''}error {code}: {what}; {fix}")
        self.code = code
        self.what = what
        self.fix = fix
        self.path = path


@dataclass(frozen=True, kw_only=True)
class TargetNames:
    """Names and version of one SDK as `[protocols.<name>.<target>]` gives them."""

    package: str | None = None
    distribution: str | None = None
    version: str | None = None
    license: str | None = None


@dataclass(frozen=True, kw_only=True)
class ProtocolConfig:
    """One `[protocols.<name>]` table; `schema` and `methods` are relative to the project's folder.

    `kind` says what the schema is where that is not left to be recognised; `methods` is the file with what it leaves
    out.
    """

    name: str
    schema: str
    version: str
    license: str
    targets: tuple[str, ...]
    names: Mapping[str, TargetNames]
    kind: str | None = None
    methods: str | None = None


@dataclass(frozen=True, kw_only=True)
class Config:
    """A project: its folder, its output folder, its protocols. `file` is None for a bare schema on the command line."""

    root: Path
    file: Path | None
    out: Path
    protocols: tuple[ProtocolConfig, ...]


def find(start: Path) -> Path | None:
    """The nearest `protogen.toml` in `start` or above it."""
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    return None


def read(file: Path) -> Config:
    """The project that `file` describes. Errors: Refusal, naming the key and what it expects."""
    try:
        text = file.read_text("utf-8")
        tree = tomllib.loads(text)
    except OSError as reason:
        raise Refusal(
            "PG201", f"cannot be read: {reason.strerror}", fix="check its permissions", path=str(file)
        ) from None
    except UnicodeDecodeError:
        raise Refusal("PG201", "is not UTF-8", fix="save it as UTF-8", path=str(file)) from None
    except tomllib.TOMLDecodeError as reason:
        raise Refusal("PG201", f"is not TOML: {reason}", fix="correct the text at this place", path=str(file)) from None
    return _config(tree, file)


def for_schema(file: Path, *, root: Path) -> Config:
    """A project of one schema file, with names made from the file's."""
    stem = file.name.removesuffix(".json").removesuffix(".schema")
    if stem in ("protocol", "schema") and file.parent.name:
        stem = re.sub(r"[^0-9A-Za-z]+", "-", file.resolve().parent.name).strip("-") or stem
    stem = re.sub(r"[^0-9A-Za-z]+", "-", stem).strip("-").lower() or "protocol"
    protocol = ProtocolConfig(
        name=stem, schema=str(file), version="0.1.0", license="Apache-2.0", targets=DEFAULT_TARGETS, names={}
    )
    return Config(root=root, file=None, out=root / "generated", protocols=(protocol,))


_KEYS = {
    "project": ("out", "targets", "version", "license"),
    "protocol": ("schema", "kind", "methods", "targets", "version", "license"),
    "target": ("package", "distribution", "version", "license"),
}


def _config(tree: dict[str, Any], file: Path) -> Config:
    for key in tree:
        if key not in ("project", "protocols"):
            _refuse_key(file, key, ("project", "protocols"))
    project = _table(tree.get("project", {}), "project", file)
    _known(project, _KEYS["project"], "project", file)
    protocols = _table(tree.get("protocols", {}), "protocols", file)
    if not protocols:
        raise Refusal("PG201", "names no protocol", fix="add a [protocols.<name>] table with a schema", path=str(file))
    root = file.parent.resolve()
    return Config(
        root=root,
        file=file,
        out=root / _string(project, "out", "project", file, default="generated"),
        protocols=tuple(_protocol(name, entry, project, file) for name, entry in protocols.items()),
    )


def _protocol(name: str, entry: Any, project: dict[str, Any], file: Path) -> ProtocolConfig:
    where = f"protocols.{name}"
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z._-]*", name):
        raise Refusal(
            "PG201", f"{name!r} cannot be a folder's name", fix="use letters, digits, '.', '-' and '_'", path=str(file)
        )
    table = _table(entry, where, file)
    names: dict[str, TargetNames] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            _known(value, _KEYS["target"], f"{where}.{key}", file)
            fields = {field: _string(value, field, f"{where}.{key}", file) for field in value}
            names[key] = TargetNames(**fields)
        elif key not in _KEYS["protocol"]:
            _refuse_key(file, f"{where}.{key}", _KEYS["protocol"])
    if "schema" not in table:
        raise Refusal("PG201", f"[{where}] has no schema", fix='add schema = "path/to/protocol.json"', path=str(file))
    targets = table.get("targets", project.get("targets", list(DEFAULT_TARGETS)))
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        raise Refusal(
            "PG201",
            f"targets of [{where}] must be an array of strings",
            fix='write targets = ["python"]',
            path=str(file),
        )
    kind = table.get("kind")
    if kind is not None and kind not in KINDS:
        fix = f"use one of {', '.join(KINDS)}"
        raise Refusal("PG131", f"{where}.kind is {kind!r}, which is no kind", fix=fix, path=str(file))
    shared = {**project, **{key: value for key, value in table.items() if not isinstance(value, dict)}}
    return ProtocolConfig(
        name=name,
        schema=_string(table, "schema", where, file),
        version=_string(shared, "version", where, file, default="0.1.0"),
        license=_string(shared, "license", where, file, default="Apache-2.0"),
        targets=tuple(targets),
        names=names,
        kind=kind,
        methods=_string(table, "methods", where, file) if "methods" in table else None,
    )


def _table(value: Any, where: str, file: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refusal("PG201", f"{where} must be a table, got {value!r}", fix=f"write [{where}]", path=str(file))
    return value


def _string(table: dict[str, Any], key: str, where: str, file: Path, *, default: str | None = None) -> str:
    value = table.get(key, default)
    if not isinstance(value, str) or not value:
        raise Refusal(
            "PG201", f"{where}.{key} must be a non-empty string, got {value!r}", fix="correct it", path=str(file)
        )
    return value


def _known(table: dict[str, Any], keys: tuple[str, ...], where: str, file: Path) -> None:
    for key in table:
        if key not in keys:
            _refuse_key(file, f"{where}.{key}", keys)


def _refuse_key(file: Path, key: str, known: tuple[str, ...]) -> None:
    near = difflib.get_close_matches(key.rsplit(".", 1)[-1], known, n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"use one of {', '.join(known)}"
    raise Refusal("PG201", f'"{key}" is no key', fix=hint, path=str(file))
