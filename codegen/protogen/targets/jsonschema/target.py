"""A protocol as one JSON Schema document, for editors and for validators of any language.

Knows draft-07, which is what the lowered schema is, and how the same is said in 2020-12.
"""

from __future__ import annotations

import json
import re
from typing import Any

from protogen import ir
from protogen.described import described, modernised
from protogen.output import GeneratedFile, Options, Renderer, header_lines
from protogen.problems import Problem

Json = Any

DRAFT_07 = "http://json-schema.org/draft-07/schema#"
DRAFT_2020_12 = "https://json-schema.org/draft/2020-12/schema"

_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
"""Names that are the same as a file's name and within a reference."""


class JsonSchemaTarget:
    """The Target that writes the bundled schema in both drafts that tools read today."""

    name = "jsonschema"
    summary = "one self-contained JSON Schema document, as draft-07 and as 2020-12"

    def generate(
        self, protocol: ir.Protocol, options: Options, renderer: Renderer
    ) -> tuple[list[GeneratedFile], list[Problem]]:
        """`<protocol>.schema.json` (draft-07, with descriptions and defaults), the same as 2020-12, and `types/`.

        Each file in `types/` only refers to one definition: editors associate files with a schema's address, and
        take no address with a fragment.
        """
        del options, renderer  # a schema has neither package nor layout
        definitions = described(protocol)
        about = {"title": protocol.title, "$comment": "\n".join(header_lines(protocol))}
        if protocol.doc:
            about["description"] = protocol.doc
        seven = {"$schema": DRAFT_07, **about, "definitions": definitions}
        twenty = {
            "$schema": DRAFT_2020_12,
            **about,
            "$defs": {name: modernised(schema) for name, schema in definitions.items()},
        }
        stem = protocol.name.replace("/", "-")
        entries = {
            f"types/{name}.schema.json": {
                "$schema": DRAFT_07,
                "$comment": about["$comment"],
                "$ref": f"../{stem}.schema.json#/definitions/{name}",
            }
            for name in documents(protocol)
        }
        return [
            GeneratedFile(path=f"{stem}.2020-12.schema.json", text=_text(twenty)),
            GeneratedFile(path=f"{stem}.schema.json", text=_text(seven)),
            *(GeneratedFile(path=path, text=_text(entry)) for path, entry in sorted(entries.items())),
        ], []


def documents(protocol: ir.Protocol) -> list[str]:
    """The definitions that people may write down in a file: named objects and unions that are no message's content."""
    messages: set[str] = set()
    for method in protocol.methods:
        messages.update(_named(method.params, method.result, method.events))
    for code in protocol.errors:
        messages.update(_named(code.data))
    shaped = {d.name for d in protocol.definitions if isinstance(d, ir.Record | ir.Union)}
    return [name for name in protocol.roots if name in shaped - messages and _PLAIN.fullmatch(name)]


def _named(*types: ir.Type | None) -> set[str]:
    return {type_.name for type_ in types if isinstance(type_, ir.NamedType)}


def _text(document: Json) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


TARGET = JsonSchemaTarget()
