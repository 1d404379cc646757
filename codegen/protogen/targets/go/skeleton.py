"""What a node in Go begins with: a type whose methods are all still to be written, in final text."""

from __future__ import annotations

import re

import msgspec

from protogen import ir
from protogen.output import Options
from protogen.targets.go import names
from protogen.targets.go.text import quote
from protogen.targets.go.view import HandlerMethod, handler, uses_json

IMPORTED = frozenset({"bytes", "context", "flag", "fmt", "http", "httptest", "json", "log", "net", "os", "strings"})
"""Packages that a node imports besides: an SDK of such a name gets another."""

_NAME = re.compile(r"(?<![\w.])[^\W\d_]\w*")


class Skeleton(msgspec.Struct, frozen=True, kw_only=True):
    """The handler of one role; `package` is what the SDK is called in the code, `methods` are declarations.

    `alias` stands before the SDK's path in the import, with a space, where that does not end in its name.
    """

    module: str
    alias: str
    package: str
    handler: str
    dispatcher: str
    methods: list[str]
    uses_json: bool


def skeleton(protocol: ir.Protocol, options: Options, role: str) -> Skeleton:
    """A handler of `role` on the SDK that `options` name. Errors: naming.Collision."""
    own = names.package_name(options.package)
    package = f"{own}sdk" if own in IMPORTED else own
    found = handler(protocol, options, role)
    methods = [_method(method, package) for method in found.methods]
    return Skeleton(
        module=options.package,
        alias="" if package == options.package.rpartition("/")[2] else f"{package} ",
        package=package,
        handler=found.name,
        dispatcher=found.dispatcher,
        methods=methods,
        uses_json=uses_json(line for method in found.methods for line in (method.signature, method.result)),
    )


def _method(method: HandlerMethod, package: str) -> str:
    lines = [*method.doc, f"func (Node) {_qualified(method.signature, package)} {{"]
    failure = f"notImplemented({quote(method.wire)})"
    if method.result:
        lines += [f"\tvar none {_qualified(method.result, package)}", f"\treturn none, {failure}"]
    else:
        lines.append(f"\treturn {failure}")
    return "\n".join([*lines, "}"])


def _qualified(text: str, package: str) -> str:
    """Go code with the SDK's own types as another package writes them; the method's own name comes first."""
    name, bracket, _ = text.partition("(")
    head = name if bracket and name[:1].isupper() and name.isidentifier() else ""
    return head + _NAME.sub(lambda found: _of(found[0], package), text[len(head) :])


def _of(name: str, package: str) -> str:
    return f"{package}.{name}" if name[0].isupper() else name
