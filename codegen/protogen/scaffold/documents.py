"""The documents of a protocol, to be kept beside what is built from them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from protogen import ir
from protogen.keywords import META_SCHEMA

FOLDER = "protocol"
"""Where a node keeps the documents it is built from."""


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """Texts by their path in the new folder; `schema` is the path of the protocol's document, `methods` of its file."""

    files: dict[str, str]
    schema: str
    methods: str | None


def copied(protocol: ir.Protocol, tree: Any, schema: Path, *, root: Path, methods: Path | None) -> Copied:
    """All that was read for a protocol, laid out as it stands: references between the files go on leading somewhere.

    `tree` is the document as it was read, `root` what the paths of the sources are relative to.
    """
    schema = schema.resolve()
    read = [root / source.path for source in (*protocol.sources, *protocol.beside)]
    files = {path.resolve() for path in (schema, *read, *([methods] if methods else [])) if path.is_file()}
    declared = tree.get("$schema") if isinstance(tree, dict) else None
    if isinstance(declared, str) and declared.rpartition("/")[2] == META_SCHEMA:
        meta = (schema.parent / declared).resolve()
        files |= {meta} if meta.is_file() else set()
    above = Path(os.path.commonpath([path.parent for path in files]))
    placed = {path: f"{FOLDER}/{path.relative_to(above).as_posix()}" for path in sorted(files)}
    return Copied(
        files={place: path.read_text("utf-8-sig") for path, place in placed.items()},
        schema=placed[schema],
        methods=placed[methods.resolve()] if methods is not None else None,
    )
