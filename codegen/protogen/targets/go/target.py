"""The Go SDK of a protocol: a module without dependencies, its rpc package copied verbatim."""

from __future__ import annotations

from protogen import ir
from protogen.naming import Collision
from protogen.output import HEADER_MARK, GeneratedFile, Options, Renderer
from protogen.problems import Problem, error
from protogen.targets.go.view import module


class GoTarget:
    """Builds go.mod, README.md, the package of the protocol and its subpackage `rpc`."""

    name = "go"
    summary = "Go module: types, client, handlers, HTTP and stdio; standard library only"

    def generate(
        self, protocol: ir.Protocol, options: Options, renderer: Renderer
    ) -> tuple[list[GeneratedFile], list[Problem]]:
        """All files of the module, and a Problem for whatever Go cannot check or offer; no file where pins collide."""
        try:
            built, problems = module(protocol, options)
        except Collision as collision:
            what = f"{' and '.join(collision.keys)} both ask for the Go name {collision.name!r}"
            return [], [error("PG108", what, fix='change one "x-protogen-name"')]
        files = [
            GeneratedFile(path=path, text=renderer.render(f"go/{path}.j2", **built.common, **view))
            for path, view in built.files.items()
        ]
        files += [
            GeneratedFile(path=f"rpc/{path}", text=f"// {HEADER_MARK}\n\n{text}")
            for path, text in renderer.static("go/rpc").items()
            if path.endswith(".go")
        ]
        return sorted(files, key=lambda file: file.path), problems


TARGET = GoTarget()
