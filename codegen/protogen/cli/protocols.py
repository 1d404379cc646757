"""The protocols that a command can speak: those of the project, and those that come with protogen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from protogen.config import Refusal, find, read

if TYPE_CHECKING:
    from protogen.ir import Protocol


def known() -> dict[str, Path]:
    """The schemas by the protocol's name; a newer dialect of a shipped protocol has its version in the name."""
    from protogen.resources import data_root

    found: dict[str, Path] = {}
    for folder in sorted((data_root() / "schemas").iterdir()):
        versions = sorted(folder.glob("*/protocol.json"), key=_version) if folder.is_dir() else []
        if (folder / "protocol.json").is_file():
            versions = [folder / "protocol.json"]
        for number, schema in enumerate(versions):
            found[folder.name if number == 0 else f"{folder.name}-{schema.parent.name}"] = schema
    # A protocol without methods of its own has nothing to call.
    found.pop("jsonrpc", None)
    file = find(Path.cwd())
    if file is not None:
        config = read(file)
        found |= {entry.name: config.root / entry.schema for entry in config.protocols}
    return found


def _version(schema: Path) -> tuple[int, ...]:
    """The version that a schema's folder is named after, as numbers: 0.11 is newer than 0.9."""
    return tuple(int(part) for part in schema.parent.name.split(".") if part.isdigit())


def _root(schema: Path) -> Path:
    """The folder that a schema may refer to other documents in: that of all dialects, the project, or its own."""
    from protogen.resources import data_root

    file = find(Path.cwd())
    folders = [(data_root() / "schemas").resolve(), *([file.resolve().parent] if file is not None else [])]
    return next((folder for folder in folders if schema.is_relative_to(folder)), schema.parent)


def load(name: str | None, schema: Path | None) -> Protocol | None:
    """The protocol of a name or a schema file; None where neither is given.

    Errors: Refusal for a name that is not known and for a schema with errors.
    """
    from protogen.build import read_protocol
    from protogen.problems import closest

    if schema is None:
        if name is None:
            return None
        schemas = known()
        if name not in schemas:
            raise Refusal(
                "PG201",
                f"there is no protocol {name!r}{closest(name, schemas)}",
                fix=f"choose one of {', '.join(schemas)}, or give --schema FILE",
            )
        schema = schemas[name]
    path = schema.resolve()
    protocol, problems = read_protocol(path, root=_root(path))
    if protocol is None:
        raise Refusal("PG201", f"{schema} is no protocol: {problems[0].what}", fix=problems[0].fix, path=str(schema))
    return protocol


def with_method(method: str) -> Protocol | None:
    """The first protocol that has a method of this name."""
    for name in known():
        try:
            protocol = load(name, None)
        except Refusal:
            continue
        if protocol is not None and any(it.name == method for it in protocol.methods):
            return protocol
    return None
