"""A protocol as every target sees it: definitions, methods and errors as frozen data.

Knows neither the text of a JSON Schema nor any target language. Invariant that all targets rely on:
a type expression here admits every value that the definition's lowered schema admits, so a typed
decode never rejects or loses a valid value; what the types cannot say, `Protocol.schema` does.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from protogen.problems import Place

UNSET = msgspec.UNSET
UnsetType = msgspec.UnsetType

Json = Any
"""Any JSON value as Python objects: None, bool, int, float, str, list, dict."""

JsonKind = Literal["null", "boolean", "integer", "number", "string", "array", "object"]
"""What a reader can tell from the first character (an integer is a number without a fraction)."""


class Node(msgspec.Struct, frozen=True, kw_only=True, tag_field="node"):
    """Base of every IR struct."""


# --- type expressions ---------------------------------------------------------------------------


class AnyType(Node, frozen=True, kw_only=True, tag="any"):
    """Any JSON value at all: `{}`, `true`, or something that no type can say."""


class NullType(Node, frozen=True, kw_only=True, tag="null"):
    """Only `null`."""


class BooleanType(Node, frozen=True, kw_only=True, tag="boolean"):
    """`true` or `false`."""


class StringType(Node, frozen=True, kw_only=True, tag="string"):
    """A string; `format` is an annotation, never checked unless asked."""

    format: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None


class IntegerType(Node, frozen=True, kw_only=True, tag="integer"):
    """A whole number of any size unless bounded; `1.0` and `1e2` are integers too."""

    minimum: int | None = None
    maximum: int | None = None
    format: str | None = None


class NumberType(Node, frozen=True, kw_only=True, tag="number"):
    """A number; an integer beyond 2^53 keeps its value."""

    minimum: int | float | None = None
    maximum: int | float | None = None
    format: str | None = None


class LiteralType(Node, frozen=True, kw_only=True, tag="literal"):
    """Exactly one scalar value (a `const`)."""

    value: str | int | float | bool | None


class ListType(Node, frozen=True, kw_only=True, tag="list"):
    """An array whose members are all `item`."""

    item: Type
    min_items: int | None = None
    max_items: int | None = None


class TupleType(Node, frozen=True, kw_only=True, tag="tuple"):
    """An array of exactly these members in this order."""

    items: tuple[Type, ...]


class MapType(Node, frozen=True, kw_only=True, tag="map"):
    """An object used as a dictionary: any key, every value is `value`."""

    value: Type


class NullableType(Node, frozen=True, kw_only=True, tag="nullable"):
    """`of` or `null`; never nested and never around AnyType."""

    of: Type


class NamedType(Node, frozen=True, kw_only=True, tag="named"):
    """A reference to the definition of that name in `Protocol.definitions`."""

    name: str


Type = (
    AnyType
    | NullType
    | BooleanType
    | StringType
    | IntegerType
    | NumberType
    | LiteralType
    | ListType
    | TupleType
    | MapType
    | NullableType
    | NamedType
)

# --- definitions --------------------------------------------------------------------------------


class Field(Node, frozen=True, kw_only=True):
    """A property of a record under its wire name; `required` is presence, null is in the type."""

    wire: str
    type: Type
    required: bool
    doc: str = ""
    default: Json | UnsetType = UNSET
    deprecated: bool = False
    read_only: bool = False
    write_only: bool = False
    pin: str | None = None
    """`x-protogen-name`: the name to use in every language instead of the derived one."""


class Definition(Node, frozen=True, kw_only=True):
    """What all named types share; `name` is the key in the source and in `Protocol.schema`."""

    name: str
    doc: str = ""
    deprecated: bool = False
    pin: str | None = None
    exact: bool = False
    """True: the types alone say all that the schema says (constraints carried by the types included)."""
    shaped: bool = False
    """True: the types alone say all that the schema says but for constraints (`keywords.BOUNDS`)."""
    path: str = ""
    pointer: str = ""
    """Where the definition stands: its input file as shown, and the JSON pointer in it."""


class Record(Definition, frozen=True, kw_only=True, tag="record"):
    """An object with known properties.

    `extra`: AnyType keeps unknown members, another type is what they must be, None forbids them.
    """

    fields: tuple[Field, ...]
    extra: Type | None = AnyType()


class EnumValue(Node, frozen=True, kw_only=True):
    """One value of an enum with its own documentation and, where the source names it, its name."""

    value: str | int | float | bool | None
    doc: str = ""
    name: str | None = None


class Enum(Definition, frozen=True, kw_only=True, tag="enum"):
    """A closed list of scalars, or with `open` a list of known values where others may come."""

    values: tuple[EnumValue, ...]
    open: bool = False


class Arm(Node, frozen=True, kw_only=True):
    """One alternative of a union and all that can tell it from the others without validating."""

    name: str
    type: Type
    doc: str = ""
    kinds: tuple[JsonKind, ...] = ()
    """JSON kinds a value of this arm can have; empty: any."""
    required: tuple[str, ...] = ()
    """Keys that an object of this arm must have."""
    tags: tuple[str, ...] = ()
    """Values of the union's tag property that select this arm."""


class Union(Definition, frozen=True, kw_only=True, tag="union"):
    """A value of one of several arms.

    With `tag`, every arm is a NamedType of a Record that has a required LiteralType (or Enum) field
    of that wire name, and `Arm.tags` are disjoint. Without it, choose by JSON kind, then among object
    arms by the largest satisfied `required` set, then (still several) by validating each arm in order.
    `open`: a tag that no arm has is valid and its value must be kept as it came.
    """

    arms: tuple[Arm, ...]
    tag: str | None = None
    open: bool = False


class Alias(Definition, frozen=True, kw_only=True, tag="alias"):
    """Another name for a type expression (a constrained string, a list, a map, any JSON)."""

    type: Type


AnyDefinition = Record | Enum | Union | Alias

# --- behaviour ----------------------------------------------------------------------------------


class Role(Node, frozen=True, kw_only=True):
    """A side of the protocol, such as `runtime` and `worker`."""

    name: str
    doc: str = ""


class ErrorCode(Node, frozen=True, kw_only=True):
    """An application error of the protocol. `family` keeps tables apart that reuse numbers."""

    name: str
    code: int
    message: str
    data: Type | None = None
    doc: str = ""
    family: str | None = None
    pin: str | None = None


class Method(Node, frozen=True, kw_only=True):
    """A request or notification sent by role `sender` to role `receiver`.

    `params` names a Record (or is None: no parameters); `result` is None for notifications.
    `errors` are names in `Protocol.errors`. `events` is the type of what a streaming answer sends
    before (or after) its result; with the framing "results" each is the result of a response of its own.
    """

    name: str
    kind: Literal["request", "notification"]
    sender: str
    receiver: str
    params: Type | None = None
    result: Type | None = None
    errors: tuple[str, ...] = ()
    events: Type | None = None
    event_framing: Literal["events", "results"] = "events"
    param_structure: Literal["by-name", "by-position", "either"] = "by-name"
    mutual: bool = False
    """The receiver may send it to the sender, too: `served` and `sent` have it for both roles."""
    idempotent: bool = False
    deprecated: bool = False
    since: str | None = None
    summary: str = ""
    doc: str = ""
    pin: str | None = None

    @property
    def events_are_results(self) -> bool:
        """Whether each event travels as the result of a response of its own."""
        return self.event_framing == "results"


class Example(Node, frozen=True, kw_only=True):
    """A named exchange of `method`, or a `value` of the definition `type`, from the protocol's own examples.

    `request`, `response`: whole messages. `valid`: everything in it conforms; else `why` says what does not, and
    `error` is the code that answers such a request.
    """

    name: str
    summary: str
    valid: bool
    why: str = ""
    method: str | None = None
    type: str | None = None
    value: Json | UnsetType = UNSET
    request: Json | UnsetType = UNSET
    response: Json | UnsetType = UNSET
    events: tuple[Json, ...] = ()
    error: int | None = None


class HttpBinding(Node, frozen=True, kw_only=True):
    """What the protocol says about its HTTP transport (`x-transports.http`)."""

    path: str = "/"
    health_path: str | None = None
    instance_header: str = "Jsonrpc-Instance-Id"


class Source(Node, frozen=True, kw_only=True):
    """An input file, its path relative to the configuration, and the SHA-256 of its bytes."""

    path: str
    sha256: str


class Protocol(Node, frozen=True, kw_only=True):
    """Everything a target may know of one protocol.

    `schema` is the lowered schema: draft-07, `definitions` keyed by the names used here, every `$ref`
    of the form `#/definitions/<name>` (JSON-pointer escaped), annotations removed.
    """

    name: str
    version: str
    title: str
    doc: str
    summary: str = ""
    definitions: tuple[AnyDefinition, ...]
    roles: tuple[Role, ...] = ()
    methods: tuple[Method, ...] = ()
    errors: tuple[ErrorCode, ...] = ()
    http: HttpBinding = HttpBinding()
    roots: tuple[str, ...] = ()
    """Names of the definitions that the source itself names (lifted inline types are not among them)."""
    sources: tuple[Source, ...] = ()
    examples: tuple[Example, ...] = ()
    beside: tuple[Source, ...] = ()
    """Where the examples come from: files, and their folder (its path ends in `/`); no header names them."""
    schema: dict[str, Json]


def served(protocol: Protocol, role: str) -> list[Method]:
    """The methods that one may call on `role`, in order; a mutual one as if it were sent to this role alone."""
    found: list[Method] = []
    for method in protocol.methods:
        if method.receiver == role:
            found.append(method)
        elif method.mutual and method.sender == role:
            found.append(msgspec.structs.replace(method, sender=method.receiver, receiver=role))
    return found


def sent(protocol: Protocol, role: str) -> list[Method]:
    """The methods that `role` calls, in order; a mutual one as if it were sent by this role alone."""
    found: list[Method] = []
    for method in protocol.methods:
        if method.sender == role:
            found.append(method)
        elif method.mutual and method.receiver == role:
            found.append(msgspec.structs.replace(method, sender=role, receiver=method.sender))
    return found


def place_of(definition: Definition) -> Place | None:
    """Where a target's finding on `definition` points; the build adds line and column. None for one made by hand."""
    return Place(path=definition.path, pointer=definition.pointer) if definition.path else None


def definition_table(protocol: Protocol) -> dict[str, AnyDefinition]:
    """The protocol's definitions by name."""
    return {definition.name: definition for definition in protocol.definitions}
