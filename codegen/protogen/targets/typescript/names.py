"""Every name of a TypeScript SDK, settled before anything is laid out. Knows no syntax beyond identifiers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from protogen import ir
from protogen.naming import Claim, Collision, camel, pascal, settle


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LIBRARY = _words(
    """
    CallOptions CallbackUnavailableError CheckOptions ClientOptions Connection Dispatcher DispatcherOptions EventStream
    HandlerContext HttpBinding HttpConnection HttpConnectionOptions HttpServerOptions InvalidResultError
    JsonError JsonSchema MethodSpec RpcClient RpcError RpcErrorCodes SdkError TimeoutError TransportError UnknownTag
    UnknownTypeError ValidationError ValidationIssue equalJson fetchHandler parseJson toNumber writeJson
    """
)
"""What `rpc/index.ts` exports; the package's index exports it beside the protocol's own names."""

FIXED = _words(
    """
    CommonErrorClasses ErrorClasses MethodName Methods TypeName TypesByName codec decode encode errorClass httpBinding
    is schemaOf typeNames validate
    """
)
"""Names that every SDK has."""

KEYWORDS = _words(
    """
    any as async await bigint boolean break case catch class const continue debugger declare default delete do else
    enum export extends false finally for from function get if implements import in instanceof interface let module
    namespace never new null number object of package private protected public readonly require return set static
    string super switch symbol this throw true try type typeof undefined unknown var void while with yield
    """
)
"""Words that cannot name a type, or that would make the code hard to read."""

MEMBERS = _words(
    """
    call close constructor hasOwnProperty isPrototypeOf new notify propertyIsEnumerable prototype then
    toLocaleString toString valueOf
    """
)
"""Members that objects and clients have anyway, or that change what an object is (`then` makes a promise of it)."""

CONTEXT = frozenset(("emit", "headers", "id", "method", "signal"))
"""Members of a handler's context beside the clients."""


class RoleNames(msgspec.Struct, frozen=True, kw_only=True):
    """The names made from one role."""

    client: str
    client_options: str
    handler: str
    context: str
    dispatcher: str
    methods: str
    member: str
    """What a handler's context calls the client of this role."""


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """All names: by definition, by error, by role, and the members of each role's client by wire name."""

    types: dict[str, str]
    values: dict[str, str]
    defaults: dict[str, str]
    unknown_arms: dict[str, str]
    errors: dict[str, str]
    families: dict[str, str]
    roles: dict[str, RoleNames]
    members: dict[str, dict[str, str]]
    streams: dict[str, dict[str, str]]
    wire: dict[str, str]
    """Members of `Methods` by wire name."""


def name(protocol: ir.Protocol) -> Names:
    """All names of the SDK. Errors: naming.Collision where a pin asks for a name that is taken."""
    reserved = LIBRARY | FIXED | KEYWORDS
    types = _settle(
        [Claim(entry.name, entry.name, pin=entry.pin) for entry in protocol.definitions],
        pascal,
        reserved=reserved,
        empty="Value",
    )
    # What is derived gives way to what the source itself names.
    taken = reserved | set(types.values())
    derived = _settle(list(_derived(protocol, types)), _verbatim, reserved=taken, empty="Value")
    members, streams = _members(protocol)
    return Names(
        types=types,
        values=_part(derived, "values"),
        defaults=_part(derived, "defaults"),
        unknown_arms=_part(derived, "unknown"),
        errors=_part(derived, "error"),
        families=_part(derived, "family"),
        roles=_roles(protocol, derived),
        members=members,
        streams=streams,
        wire=settle((Claim(wire, wire) for wire in _wire_names(protocol)), camel, reserved=MEMBERS, empty="method"),
    )


def _settle(
    claims: list[Claim], style: Callable[[str], str], *, reserved: frozenset[str], empty: str
) -> dict[str, str]:
    """As naming.settle; a pin on a reserved name is a Collision too."""
    for claim in claims:
        if claim.pin is not None and claim.pin in reserved:
            raise Collision(claim.pin, (claim.key,))
    return settle(claims, style, reserved=reserved, empty=empty)


def error_families(protocol: ir.Protocol) -> list[str]:
    """The families of the protocol's errors, sorted."""
    return sorted({entry.family for entry in protocol.errors if entry.family is not None})


def _derived(protocol: ir.Protocol, types: dict[str, str]) -> Iterable[Claim]:
    for entry in protocol.definitions:
        own = types[entry.name]
        match entry:
            case ir.Enum():
                yield Claim(f"values:{entry.name}", f"{own}Values")
            case ir.Record():
                yield Claim(f"defaults:{entry.name}", f"{own}Defaults")
            case ir.Union():
                yield Claim(f"unknown:{entry.name}", f"Unknown{own}")
            case ir.Alias():
                pass
    for error in protocol.errors:
        plain = pascal(error.name)
        yield Claim(f"error:{error.name}", plain if plain.endswith("Error") else f"{plain}Error", pin=error.pin)
    for family in error_families(protocol):
        yield Claim(f"family:{family}", f"{pascal(family)}ErrorClasses")
    for role in protocol.roles:
        own = pascal(role.name)
        for kind in ("Client", "ClientOptions", "Handler", "Context", "Methods"):
            yield Claim(f"{kind}:{role.name}", f"{own}{kind}")
        yield Claim(f"Dispatcher:{role.name}", f"{camel(role.name)}Dispatcher")


def _roles(protocol: ir.Protocol, derived: dict[str, str]) -> dict[str, RoleNames]:
    members = settle(
        (Claim(role.name, role.name) for role in protocol.roles), camel, reserved=MEMBERS | CONTEXT, empty="peer"
    )
    return {
        role.name: RoleNames(
            client=derived[f"Client:{role.name}"],
            client_options=derived[f"ClientOptions:{role.name}"],
            handler=derived[f"Handler:{role.name}"],
            context=derived[f"Context:{role.name}"],
            dispatcher=derived[f"Dispatcher:{role.name}"],
            methods=derived[f"Methods:{role.name}"],
            member=members[role.name],
        )
        for role in protocol.roles
    }


def _members(protocol: ir.Protocol) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    members: dict[str, dict[str, str]] = {}
    streams: dict[str, dict[str, str]] = {}
    for role in protocol.roles:
        served = ir.served(protocol, role.name)
        plain = _settle(
            [Claim(method.name, method.name, pin=method.pin) for method in served],
            camel,
            reserved=MEMBERS,
            empty="method",
        )
        members[role.name] = plain
        streams[role.name] = settle(
            (Claim(method.name, f"{plain[method.name]}Stream") for method in served if method.events is not None),
            _verbatim,
            reserved=MEMBERS | set(plain.values()),
        )
    return members, streams


def _wire_names(protocol: ir.Protocol) -> list[str]:
    return list(dict.fromkeys(method.name for method in protocol.methods))


def _part(table: dict[str, str], kind: str) -> dict[str, str]:
    prefix = f"{kind}:"
    return {key[len(prefix) :]: value for key, value in table.items() if key.startswith(prefix)}


def _verbatim(text: str) -> str:
    """Derived names are built from parts that have their style already."""
    return text
