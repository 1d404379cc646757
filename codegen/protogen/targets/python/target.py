"""The Python target: one package per protocol, msgspec types, typed clients and handlers, generated validators.

Knows which files there are; names, types and texts are settled in the modules beside it.
"""

from __future__ import annotations

from protogen import ir
from protogen.naming import Collision
from protogen.output import HEADER_MARK, GeneratedFile, Options, Renderer
from protogen.problems import Problem, error, warning
from protogen.targets.python import view
from protogen.targets.python.behaviour import Behaviour
from protogen.targets.python.names import settle_names
from protogen.targets.python.typing import Typing

MODULES = (
    "__init__.py",
    "_schema.py",
    "client.py",
    "errors.py",
    "handlers.py",
    "methods.py",
    "types.py",
    "validators.py",
)


class PythonTarget:
    """Writes `<package>/` with its pyproject.toml and README; see `generate`."""

    name = "python"
    summary = "msgspec types, clients and servers for trio and asyncio, validators; a package for the index"

    def generate(
        self, protocol: ir.Protocol, options: Options, renderer: Renderer
    ) -> tuple[list[GeneratedFile], list[Problem]]:
        """All files of the package, sorted by path; Problems for names and patterns that Python cannot have."""
        from protogen.targets.python.validators import generate

        try:
            names = settle_names(protocol)
        except Collision as collision:
            return [], [_collision(collision)]
        typing = Typing(protocol, names)
        inline = view.inline_types(protocol, typing)
        schema = view.full_schema(protocol, inline)
        validators = generate(schema, list(schema["definitions"]))
        views: dict[str, object] = {
            "types.py": view.types_view(protocol, typing, inline),
            "validators.py": view.validators_view(protocol, validators),
            "_schema.py": view.schema_view(protocol, schema),
            **Behaviour(protocol, typing, options).views(),
        }
        package = options.package.replace(".", "/")
        files = [
            GeneratedFile(path=f"{package}/{name}", text=renderer.render(f"python/{name}.j2", view=views[name]))
            for name in MODULES
        ]
        files += [
            GeneratedFile(path=name, text=renderer.render(f"python/{name}.j2", view=views[name]))
            for name in ("README.md", "pyproject.toml")
        ]
        header = f"# {HEADER_MARK}\n"
        files += [
            GeneratedFile(path=f"{package}/rpc/{path}", text=header + text)
            for path, text in renderer.static("python/rpc").items()
        ]
        files += [GeneratedFile(path=f"{package}/_jsonrpc/{path}", text=text) for path, text in renderer.core().items()]
        files.append(GeneratedFile(path=f"{package}/py.typed", text=""))
        files.sort(key=lambda file: file.path)
        places = {entry.name: ir.place_of(entry) for entry in protocol.definitions}
        problems = [
            warning(
                "PG601",
                f'"{definition}": the pattern {pattern!r} is not checked in Python: {reason}',
                fix="write it without that construct",
                place=places.get(definition),
            )
            for definition, pattern, reason in validators.unsupported
        ]
        return files, problems


def _collision(collision: Collision) -> Problem:
    return error(
        "PG108",
        f"{' and '.join(collision.keys)} both ask for the Python name {collision.name!r}",
        fix='change one "x-protogen-name"',
    )


TARGET = PythonTarget()
