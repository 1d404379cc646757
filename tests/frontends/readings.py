"""Documents of other kinds read into IR, and what tests ask of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from protogen import ir
from protogen.build import Reading, read_document

DOCUMENTS = Path(__file__).parent / "documents"

Read = Callable[..., tuple[Reading | None, list[str]]]
"""Reads a tree (written to `name`) with files beside it; the reading and its findings, places and all."""


def document(name: str) -> Any:
    """The tree of one of the small documents."""
    return json.loads((DOCUMENTS / name).read_text("utf-8"))


def reading_of(path: Path, **said: Any) -> Reading:
    """A document that must be read without errors."""
    reading, problems = read_document(path, root=path.resolve().parent, name="sample", **said)
    assert reading is not None, "\n".join(map(str, problems))
    return reading


def protocol_of(name: str) -> ir.Protocol:
    """The protocol of one of the small documents."""
    return reading_of(DOCUMENTS / name).protocol


def method(protocol: ir.Protocol, name: str) -> ir.Method:
    """The method called so."""
    return next(each for each in protocol.methods if each.name == name)


def record(protocol: ir.Protocol, name: str) -> ir.Record:
    """The record called so."""
    found = ir.definition_table(protocol)[name]
    assert isinstance(found, ir.Record)
    return found


def name_of(type_: ir.Type | None) -> str | None:
    """The name of a named type."""
    return type_.name if isinstance(type_, ir.NamedType) else None


def bare(protocol: ir.Protocol) -> Any:
    """All of a protocol that an SDK is made from: without where it came from."""
    definitions = tuple(msgspec.structs.replace(each, path="", pointer="") for each in protocol.definitions)
    return msgspec.structs.replace(protocol, name="", definitions=definitions, sources=(), beside=(), roots=())
