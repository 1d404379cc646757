"""The files that a new protocol begins with: a document that has one of everything, its examples, what is built."""

from __future__ import annotations

from protogen.keywords import META_SCHEMA
from protogen.layout import laid_out
from protogen.metaschema import text as meta_schema
from protogen.naming import words
from protogen.output import Renderer


def protocol_files(name: str, renderer: Renderer) -> dict[str, str]:
    """Texts by relative path for a protocol that is called `name`, which a protocol may be called."""
    title = " ".join(word[:1].upper() + word[1:] for word in words(name))
    view = {"name": name, "title": title, "meta": META_SCHEMA}
    files = {
        path: renderer.render(f"init/protocol/{path}.j2", **view)
        for path in ("README.md", "protogen.toml", "protocol.json", "examples/entries.json")
    }
    # A long name can make a line longer than the layout has them.
    for path in ("protocol.json", "examples/entries.json"):
        files[path] = laid_out(files[path], schema=path == "protocol.json")
    return {**files, META_SCHEMA: meta_schema(), ".gitignore": ".protogen/\n"}
