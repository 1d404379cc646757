"""What a node in Python begins with: a class whose methods are all still to be written, in final text."""

from __future__ import annotations

import msgspec

from protogen import ir
from protogen.output import Options
from protogen.targets.python.behaviour import Behaviour
from protogen.targets.python.layout import text_literal
from protogen.targets.python.names import settle_names
from protogen.targets.python.typing import Typing
from protogen.targets.python.view import import_line, import_order


class Skeleton(msgspec.Struct, frozen=True, kw_only=True):
    """The handler of one role; `methods` are functions of a class, and there are import lines for three modules.

    `serving` are those of what serves the handler, `testing` that of its tests.
    """

    package: str
    handler: str
    dispatcher: str
    imports: list[str]
    serving: list[str]
    testing: str
    methods: list[str]


def skeleton(protocol: ir.Protocol, options: Options, role: str) -> Skeleton:
    """A handler of `role` on the SDK that `options` name. Errors: naming.Collision."""
    names = settle_names(protocol)
    behaviour = Behaviour(protocol, Typing(protocol, names), options)
    used: set[str] = set()
    clients: set[str] = set()
    methods: list[str] = []
    served = ir.served(protocol, role)
    for method in served:
        head, about = behaviour.handler_head(method, used, clients), behaviour.method_doc(method)
        body = f"        raise not_implemented({text_literal(method.name)})"
        if method.kind == "notification":
            body = "        # Nobody waits for an answer, so nobody is told that this is not implemented yet."
        methods.append(f"{head}\n{about}\n{body}")
    outside = {"Annotated", "Literal", "Meta"}
    contexts = {"StreamContext" if method.events is not None else "Context" for method in served}
    lines: list[str] = []
    if used & {"Annotated", "Literal"}:
        lines += [f"from typing import {', '.join(sorted(used & {'Annotated', 'Literal'}, key=import_order))}", ""]
    found = [import_line(options.package, (used - outside) | contexts | (clients - {"Client"}) | {"RpcError"})]
    if "Client" in clients:
        found.append(f"from {options.package}.rpc import Client")
    found += ["from msgspec import Meta"] if "Meta" in used else []
    dispatcher = names.dispatchers[role]
    serving = [
        "from hypercorn.asyncio import serve",
        "from hypercorn.config import Config",
        import_line(options.package, {"AsgiApp", dispatcher, "serve_stdio"}),
    ]
    return Skeleton(
        package=options.package,
        handler=names.handlers[role],
        dispatcher=dispatcher,
        imports=[*lines, *sorted(found)],
        serving=sorted(serving),
        testing=import_line(options.package, {"AsgiApp", dispatcher}),
        methods=methods,
    )
