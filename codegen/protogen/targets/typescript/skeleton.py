"""What a node in TypeScript begins with: a handler whose methods are all still to be written, in final text."""

from __future__ import annotations

import msgspec

from protogen import ir
from protogen.output import Options
from protogen.targets.typescript.layout import doc, string
from protogen.targets.typescript.names import name


class Skeleton(msgspec.Struct, frozen=True, kw_only=True):
    """The handler of one role; `methods` are members of an object."""

    package: str
    handler: str
    dispatcher: str
    methods: list[str]


def skeleton(protocol: ir.Protocol, options: Options, role: str) -> Skeleton:
    """A handler of `role` on the SDK that `options` name. Errors: naming.Collision."""
    names = name(protocol)
    methods: list[str] = []
    for method in ir.served(protocol, role):
        member = names.members[role][method.name]
        about = doc([method.summary or f"The method {method.name}.", method.doc], indent=2)
        if method.kind == "notification":
            body = "    // Nobody waits for an answer, so nobody is told that this is not implemented yet.\n"
        else:
            body = f"    throw notImplemented({string(method.name)});\n"
        methods.append(f"{about}  {member}() {{\n{body}  }},\n")
    told = names.roles[role]
    return Skeleton(package=options.package, handler=told.handler, dispatcher=told.dispatcher, methods=methods)
