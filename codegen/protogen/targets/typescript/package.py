"""The package around the code: package.json and what README.md says of the protocol."""

from __future__ import annotations

import json
from typing import Any

from protogen import ir
from protogen.output import Options, header_lines
from protogen.targets.typescript.behaviour import Behaviour, import_line
from protogen.targets.typescript.layout import WIDTH, visible
from protogen.targets.typescript.names import Names


def package_json(protocol: ir.Protocol, options: Options) -> str:
    """package.json: both module systems behind `exports`, nothing needed at run time."""

    def entry(stem: str) -> dict[str, Any]:
        return {
            "import": {"types": f"./dist/esm/{stem}.d.ts", "default": f"./dist/esm/{stem}.js"},
            "require": {"types": f"./dist/cjs/{stem}.d.ts", "default": f"./dist/cjs/{stem}.js"},
        }

    content = {
        "name": options.package,
        "version": options.version,
        "description": f"SDK of {protocol.title} {protocol.version}: types, client, server and validation",
        "license": options.license,
        "type": "module",
        "sideEffects": False,
        "engines": {"node": ">=20"},
        "main": "./dist/cjs/index.js",
        "module": "./dist/esm/index.js",
        "types": "./dist/cjs/index.d.ts",
        "exports": {".": entry("index"), "./node": entry("node"), "./package.json": "./package.json"},
        "typesVersions": {"*": {"node": ["./dist/cjs/node.d.ts"]}},
        "files": ["dist"],
        "scripts": {
            "build": "tsc -p tsconfig.json && tsc -p tsconfig.cjs.json && node mark-modules.cjs",
            "prepack": "npm run build",
        },
        "devDependencies": {"@types/node": ">=20", "typescript": ">=6"},
        "prettier": {"printWidth": WIDTH},
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def readme(protocol: ir.Protocol, options: Options, names: Names, behaviour: Behaviour) -> dict[str, str]:
    """The texts of README.md that depend on the protocol; its example is the role that serves the most methods."""
    role = max(behaviour.callable_roles, key=lambda each: len(behaviour.served(each)), default=None)
    comments = "\n".join(header_lines(protocol)).replace("-->", "")
    about: dict[str, str] = {
        "header": f"<!--\n{comments}\n-->\n",
        "package": options.package,
        "title": _markdown(protocol.title),
        "version": _markdown(protocol.version),
        "doc": _markdown(protocol.doc),
        "client": "",
    }
    if role is None:
        return about
    own = names.roles[role.name]
    return {
        **about,
        "client_import": import_line([own.client, "RpcError"], options.package),
        "server_import": import_line([own.dispatcher, "fetchHandler", f"type {own.handler}"], options.package),
        "client": own.client,
        "handler": own.handler,
        "dispatcher": own.dispatcher,
        "call": _example_call(role, names, behaviour),
    }


def _example_call(role: ir.Role, names: Names, behaviour: Behaviour) -> str:
    """A call that needs no parameters, or an untyped one where all methods need some."""
    for method in behaviour.served(role):
        if method.kind == "request" and (method.params is None or behaviour.may_be_empty(method.params)):
            return f"await client.{names.members[role.name][method.name]}()"
    return 'await client.call("method/name", {})'


def _markdown(text: str) -> str:
    """Foreign text as one paragraph of Markdown."""
    plain = visible(" ".join(text.split()))
    return "".join(f"\\{character}" if character in "\\`*_<>[]#|~$&" else character for character in plain)
