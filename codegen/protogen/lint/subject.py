"""What rules look at: the document as it was written, and the protocol that it describes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from protogen import ir
from protogen.examples import FOLDER
from protogen.load import Document, load
from protogen.positions import escape
from protogen.problems import Place
from protogen.samples.labels import Judge

Json = Any
Schema = dict[str, Any]

_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLES: Final = (
    *("additionalProperties", "unevaluatedProperties", "propertyNames", "items", "additionalItems"),
    *("unevaluatedItems", "contains", "not", "if", "then", "else"),
)


class Subject:
    """One document under lint. Pointers are of the document itself, not of files that it refers to."""

    def __init__(self, document: Document, protocol: ir.Protocol) -> None:
        self.document = document
        self.protocol = protocol
        self.tree: Schema = document.tree if isinstance(document.tree, dict) else {}

    @cached_property
    def schemas(self) -> list[tuple[str, Schema]]:
        """Every schema of the document with its pointer, in the order of the text; booleans are left out."""
        return list(_walk("", self.tree))

    @cached_property
    def own(self) -> list[ir.AnyDefinition]:
        """The definitions that stand in this document under a name."""
        listed = set(self.protocol.roots)
        return [
            definition
            for definition in self.protocol.definitions
            if definition.name in listed and definition.path == self.document.path
        ]

    @property
    def methods(self) -> list[tuple[str, ir.Method]]:
        """The methods with their pointers."""
        return [(f"/x-methods/{escape(method.name)}", method) for method in self.protocol.methods]

    @property
    def errors(self) -> list[tuple[str, ir.ErrorCode]]:
        """The errors with their pointers."""
        return [(f"/x-errors/{escape(code.name)}", code) for code in self.protocol.errors]

    def example_place(self, name: str) -> Place | None:
        """Where the example of that name stands: files beside the document hold them."""
        return self._examples.get(name)

    @cached_property
    def _examples(self) -> dict[str, Place]:
        found: dict[str, Place] = {}
        folder = Path(self.document.file).parent
        root = Path(self.document.file.removesuffix(self.document.path))
        for file in sorted((folder / FOLDER).glob("*.json")):
            document, _ = load(file, root=root.resolve())
            entries = document.tree if document is not None and isinstance(document.tree, list) else []
            for index, entry in enumerate(entries):
                if document is not None and isinstance(entry, dict) and isinstance(entry.get("name"), str):
                    found.setdefault(entry["name"], document.place(f"/{index}/name"))
        return found

    @cached_property
    def validator(self) -> Callable[[str, Json], bool]:
        """Whether a value is valid for a definition of the protocol."""
        return Judge(self.protocol.schema["definitions"]).label


def _walk(pointer: str, schema: Json) -> Iterator[tuple[str, Schema]]:
    """A schema and all within it, without recursion: documents may be deep."""
    waiting: list[tuple[str, Json]] = [(pointer, schema)]
    while waiting:
        at, value = waiting.pop()
        if not isinstance(value, dict):
            continue
        yield at, value
        further: list[tuple[str, Json]] = []
        for word, inner in value.items():
            here = f"{at}/{escape(word)}"
            if word in _MAPS and isinstance(inner, dict):
                further += [(f"{here}/{escape(name)}", part) for name, part in inner.items()]
            elif isinstance(inner, list) and (word in _LISTS or word == "items"):
                further += [(f"{here}/{index}", part) for index, part in enumerate(inner)]
            elif word in _SINGLES:
                further.append((here, inner))
        waiting += reversed(further)
