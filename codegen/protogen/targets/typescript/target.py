"""The target `typescript`: every file of the npm package for one protocol."""

from __future__ import annotations

from collections.abc import Iterator

from protogen import ir
from protogen.naming import Collision
from protogen.output import GeneratedFile, Options, Renderer
from protogen.problems import Problem, error
from protogen.targets.typescript.names import name
from protogen.targets.typescript.view import View, view

RENDERED = (
    "README.md",
    "mark-modules.cjs",
    "tsconfig.json",
    "tsconfig.cjs.json",
    "src/client.ts",
    "src/errors.ts",
    "src/handlers.ts",
    "src/index.ts",
    "src/methods.ts",
    "src/node.ts",
    "src/schema.ts",
    "src/types.ts",
)
"""Files made from the template of the same name; package.json is data and has none."""


class TypeScript:
    """The SDK for Node and browsers."""

    name = "typescript"
    summary = "npm package: types, client, server, validation; ESM and CommonJS, no dependency"

    def generate(
        self, protocol: ir.Protocol, options: Options, renderer: Renderer
    ) -> tuple[list[GeneratedFile], list[Problem]]:
        """All files, sorted by path. A Problem where pinned names contradict each other."""
        try:
            names = name(protocol)
        except Collision as collision:
            pinned = " and ".join(collision.keys)
            what = f"in TypeScript the name {collision.name!r} is not free for {pinned}"
            return [], [error("PG108", what, fix='choose another "x-protogen-name"')]
        files = list(_files(view(protocol, options, names), renderer))
        return sorted(files, key=lambda file: file.path), []


def _files(page: View, renderer: Renderer) -> Iterator[GeneratedFile]:
    yield GeneratedFile(path="package.json", text=f"{page.package}\n")
    for path in RENDERED:
        yield GeneratedFile(path=path, text=renderer.render(f"typescript/{path}.j2", page=page))
    for path, text in renderer.static("typescript/rpc").items():
        yield GeneratedFile(path=f"src/rpc/{path}", text=f"{page.header}\n{text}")


TARGET = TypeScript()
