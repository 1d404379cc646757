"""Front ends: documents of other kinds as documents of our own, so that no later stage meets anything else.

`open_document` recognises what a file is, and hands back a `Document` whose tree is a protocol document or a plain JSON
Schema, with the way back to each place in the text. Knows kinds by their shape, never a protocol by its name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from protogen.load import Document, load, shown
from protogen.problems import Problem, error, has_errors

from . import overlay

PROTOCOL, SCHEMA, OPENRPC, MESSAGES, SIDES, METAMODEL = (
    *("protocol", "schema", "openrpc", "messages", "sides", "metamodel"),
)
KINDS = {
    PROTOCOL: "a protocol document",
    OPENRPC: "an OpenRPC document",
    MESSAGES: "a JSON Schema of messages",
    SIDES: "a JSON Schema with methods by side",
    METAMODEL: "a language server meta-model",
    SCHEMA: "a JSON Schema",
}
"""The kinds of documents that are read, and what a user is told of each."""

_STRANGERS = {
    "openapi": "OpenAPI",
    "swagger": "OpenAPI",
    "asyncapi": "AsyncAPI",
    "smithy": "Smithy",
    "wsdl": "WSDL",
}
"""Members that tell documents which describe no JSON-RPC protocol."""

_LIST_MEMBER = "Methods"
"""What the members of a method list end in: `agentMethods`."""


class Recognised(msgspec.Struct, frozen=True, kw_only=True):
    """A document and what it was taken for; `told` says so to a user and is empty for a document of our own."""

    document: Document
    told: str


def recognise(tree: Any) -> str:
    """The kind of a document, told by members that only that kind has."""
    if not isinstance(tree, dict) or "x-protocol" in tree:
        return PROTOCOL if isinstance(tree, dict) else SCHEMA
    if isinstance(tree.get("openrpc"), str) or ("openrpc" in tree and "methods" in tree):
        return OPENRPC
    if "metaData" in tree and isinstance(tree.get("structures"), list):
        return METAMODEL
    from .messages import has_messages

    found = SCHEMA
    for definition in overlay.definitions(tree).values():
        if not isinstance(definition, dict):
            continue
        if isinstance(definition.get("x-method"), str):
            return SIDES
        if found == SCHEMA and has_messages(definition):
            found = MESSAGES
    return MESSAGES if found == SCHEMA and has_messages(tree) else found


def open_document(
    path: Path, *, root: Path, kind: str | None = None, methods: Path | None = None
) -> tuple[Recognised | None, list[Problem]]:
    """Reads `path` through the front end of its kind; None and the reasons where that cannot be done.

    `kind` is one of KINDS where the user says it; `methods` the file of methods where it is not found beside.
    """
    document, problems = load(path, root=root)
    if document is None:
        return None, problems
    stranger = _stranger(document)
    if stranger is not None and kind is None:
        return None, [*problems, stranger]
    chosen = kind or recognise(document.tree)
    if chosen == PROTOCOL:
        return Recognised(document=document, told=""), problems
    expected = methods_files(path, chosen)
    file = methods if methods is not None else next((each for each in expected if each.is_file()), None)
    beside: Document | None = None
    if file is not None:
        beside, found = load(file, root=root)
        problems += found
        if beside is None:
            return None, problems
    made, found = _read(chosen, document, beside, root)
    problems += found
    if beside is not None and not is_list(beside.tree):
        made, found = overlay.laid(made, beside)
        problems += found
    looked_for = () if methods is not None else tuple(shown(each, root=root) for each in expected)
    also = (*made.beside, *((beside,) if beside is not None else ()))
    made = msgspec.structs.replace(made, kind=chosen, beside=also, expected=looked_for)
    if has_errors(problems):
        return None, problems
    return Recognised(document=made, told=_told(made, chosen)), problems


def _read(kind: str, document: Document, beside: Document | None, root: Path) -> tuple[Document, list[Problem]]:
    """The document through the front end of a kind; one is imported when it is used."""
    if kind == OPENRPC:
        from . import openrpc

        return openrpc.read(document, root=root)
    listed = beside if beside is not None and is_list(beside.tree) else None
    said = beside.tree.get("x-methods") if beside is not None and isinstance(beside.tree, dict) else None
    told = frozenset(said) if isinstance(said, dict) else frozenset[str]()
    if kind == MESSAGES:
        from . import messages

        return messages.read(document, told)
    if kind == SIDES:
        from . import sides

        return sides.read(document, listed, told)
    if kind == METAMODEL:
        from . import metamodel

        return metamodel.read(document)
    return document, []


def methods_files(path: Path, kind: str) -> list[Path]:
    """Where the file of methods of `path` may stand beside it, the first that exists counts."""
    stem = path.name.removesuffix(".json").removesuffix(".schema")
    names = [f"{stem}.methods.json"]
    if kind == SIDES:
        names += [f"{stem.replace('schema', 'meta')}.json"] if "schema" in stem else [f"{stem}.meta.json", "meta.json"]
    return [path.with_name(name) for name in names if name != path.name]


def is_list(tree: Any) -> bool:
    """Whether a file beside a schema is a list of methods by side, not a part of a protocol document."""
    return isinstance(tree, dict) and any(
        key.endswith(_LIST_MEMBER) and isinstance(value, dict) for key, value in tree.items()
    )


def _stranger(document: Document) -> Problem | None:
    tree = document.tree
    for member, name in _STRANGERS.items():
        if isinstance(tree, dict) and isinstance(tree.get(member), str):
            what = f"is an {name} document, which describes no JSON-RPC protocol"
            fix = f"give one of {', '.join(KINDS)} (--kind), or a JSON Schema of its types"
            return error("PG131", what, fix=fix, place=document.place(f"/{member}"))
    return None


def _told(document: Document, kind: str) -> str:
    """`acme.json: read as an OpenRPC document (1.2.4): 12 methods, 3 errors`."""
    tree = document.tree if isinstance(document.tree, dict) else {}
    dialect = tree.get("openrpc") or (tree.get("metaData") or {}).get("version") if kind in (OPENRPC, METAMODEL) else ""
    version = f" ({dialect})" if isinstance(dialect, str) and dialect else ""
    said = tree.get("x-methods")
    methods = said if isinstance(said, dict) and kind != SCHEMA else {}
    requests = sum(isinstance(entry, dict) and entry.get("kind") == "request" for entry in methods.values())
    counts = {
        "request": requests,
        "notification": len(methods) - requests,
        "error": len(tree.get("x-errors", {})) if methods else 0,
    }
    counted = [f"{count} {name}{'s' * (count != 1)}" for name, count in counts.items() if count]
    files = [each.path for each in document.beside if each.path != document.path]
    with_files = f", with {', '.join(files)}" if files else ""
    return f"{document.path}: read as {KINDS[kind]}{version}: {', '.join(counted) or 'types only'}{with_files}"
