"""The files that a node begins with, one set for each language: a handler to be filled in, serving, tests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

import msgspec

from protogen import ir
from protogen.config import ProtocolConfig, TargetNames
from protogen.layout import laid_out
from protogen.output import Options, Renderer, json_text

from .documents import Copied
from .requests import requests

LANGUAGES: Final = ("python", "typescript", "go")
"""Targets that a node can be written on."""

_CODES: Final = range(-32050, -32100, -1)
"""Where the code for what is not implemented yet is looked for: the end of what JSON-RPC leaves to servers."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be made: a node called `name` for the role of a protocol, on the SDK in one language."""

    name: str
    language: str
    protocol: ir.Protocol
    role: str
    entry: ProtocolConfig
    options: Options

    @property
    def module(self) -> str:
        """The name of the node's package in Python."""
        return self.name.replace("-", "_")


def node_files(node: Node, documents: Copied, renderer: Renderer) -> dict[str, str]:
    """Texts by relative path, those of the SDK not among them: building the folder writes it."""
    skeleton = import_module(f"protogen.targets.{node.language}.skeleton").skeleton
    view = {
        "name": node.name,
        "module": node.module,
        "protocol": node.entry.name,
        "role": _plain(node.role),
        "role_option": f" --role {_plain(node.role)}" if _has_others(node) else "",
        "answers": any(method.kind == "request" for method in ir.served(node.protocol, node.role)),
        "path": json.dumps(node.protocol.http.path),
        "schema": documents.schema,
        "sdk": f"generated/{node.language}/{node.entry.name}",
        "distribution": node.options.distribution,
        "code": not_implemented_code(node.protocol),
        "license": node.options.license,
        "skeleton": skeleton(node.protocol, node.options, node.role),
    }
    files = {
        place(node): renderer.render(f"init/{node.language}/{template}.j2", **view)
        for template, place in _FILES[node.language].items()
    }
    sent = laid_out(json_text(requests(node.protocol, node.role)), schema=False)
    return {
        **files,
        **documents.files,
        _REQUESTS[node.language]: sent,
        "protogen.toml": _config(node, documents),
    }


def not_implemented_code(protocol: ir.Protocol) -> int:
    """A code of servers that no error of the protocol has."""
    taken = {error.code for error in protocol.errors}
    return next((code for code in _CODES if code not in taken), _CODES[0])


def _has_others(node: Node) -> bool:
    """Whether another role answers requests, too, so that the kit has to be told which one this is."""
    return any(
        method.kind == "request"
        for role in node.protocol.roles
        if role.name != node.role
        for method in ir.served(node.protocol, role.name)
    )


def _plain(text: str) -> str:
    """A name for the middle of a comment or a command."""
    return re.sub(r"[^\w.-]", "_", text)


def _config(node: Node, documents: Copied) -> str:
    """protogen.toml: the SDK alone, under the names it has."""
    entry = node.entry
    rows: list[tuple[str, str | None]] = [
        ("schema", documents.schema),
        ("kind", entry.kind),
        ("methods", documents.methods),
        ("version", entry.version),
        ("license", entry.license),
    ]
    own = entry.names.get(node.language, TargetNames())
    pinned = {key: getattr(own, key) for key in ("package", "distribution", "version", "license")}
    lines = [
        f"# The SDK that the node stands on: `protogen build` writes it anew from {documents.schema}.",
        "",
        "[project]",
        f'targets = ["{node.language}"]',
        "",
        f"[protocols.{_key(entry.name)}]",
        *_lines(rows),
    ]
    if any(pinned.values()):
        lines += [f"[protocols.{_key(entry.name)}.{node.language}]", *_lines(pinned.items())]
    return "\n".join(lines) + "\n"


def _lines(rows: Any) -> list[str]:
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in rows if value is not None]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _at(path: str) -> Callable[[Node], str]:
    return lambda node: path.replace("MODULE", node.module)


_FILES: Final[Mapping[str, Mapping[str, Callable[[Node], str]]]] = {
    language: {template: _at(path) for template, path in files.items()}
    for language, files in {
        "python": {
            "README.md": "README.md",
            "pyproject.toml": "pyproject.toml",
            "gitignore": ".gitignore",
            "init.py": "MODULE/__init__.py",
            "main.py": "MODULE/__main__.py",
            "node.py": "MODULE/node.py",
            "test_node.py": "tests/test_node.py",
        },
        "typescript": {
            "README.md": "README.md",
            "package.json": "package.json",
            "tsconfig.json": "tsconfig.json",
            "gitignore": ".gitignore",
            "main.ts": "src/main.ts",
            "node.ts": "src/node.ts",
            "node.test.ts": "src/node.test.ts",
        },
        "go": {
            "README.md": "README.md",
            "go.mod": "go.mod",
            "gitignore": ".gitignore",
            "main.go": "main.go",
            "node.go": "node.go",
            "node_test.go": "node_test.go",
        },
    }.items()
}
"""Template to the path of what it makes."""

_REQUESTS: Final = {
    "python": "tests/requests.json",
    "typescript": "src/requests.json",
    "go": "testdata/requests.json",
}
