"""What dispatch needs to see of a generated SDK, as structure: any SDK fits, none is imported.

Knows no protocol by name. The classes here describe; the generated `rpc.table` and `rpc.boundary` fulfil.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Literal, Protocol, TypeAlias, get_args

import msgspec
from msgspec import Raw

from protogen_runtime.jsonrpc import Failure, Success

Json: TypeAlias = Any
"""Any JSON value as Python objects."""

OnEvent: TypeAlias = Callable[[Json], Awaitable[None]]
"""Told each event of a streaming answer, as a JSON value, in order.

Where its attribute `takes_results` is true, the call is answered more than once, and each result is an event, too.
"""


class Codec(Protocol):
    """Typed values to and from JSON text by the names of definitions; a bad value raises the SDK's ValidationError."""

    def decode(self, name: str, data: bytes | Raw) -> Any:
        """The typed value of a JSON text."""
        ...

    def encode(self, value: Any) -> bytes:
        """The value as compact JSON, unchecked."""
        ...

    def encode_as(self, name: str, value: Any) -> bytes:
        """The value as compact JSON that is valid for the definition."""
        ...


class Method(Protocol):
    """One row of a method table; `params`, `result` and `events` are names of definitions."""

    @property
    def name(self) -> str:
        """Its name on the wire."""
        ...

    @property
    def function(self) -> str:
        """Its name in handlers."""
        ...

    @property
    def kind(self) -> Literal["request", "notification"]:
        """Whether it is answered."""
        ...

    @property
    def sender(self) -> str:
        """The role that calls it."""
        ...

    @property
    def receiver(self) -> str:
        """The role that serves it."""
        ...

    @property
    def params(self) -> str | None:
        """What it takes, None for nothing."""
        ...

    @property
    def result(self) -> str | None:
        """What it gives, None for nothing."""
        ...

    @property
    def events(self) -> str | None:
        """What it may send before its result."""
        ...

    @property
    def events_are_results(self) -> bool:
        """Whether its events are answers to the request."""
        ...

    @property
    def positional(self) -> tuple[str, ...]:
        """The members of the params in the order of an array, empty where arrays are not taken."""
        ...


class ProtocolInfo(Protocol):
    """A protocol's tables, as `<sdk>.methods.PROTOCOL` has them."""

    @property
    def name(self) -> str:
        """The protocol's name."""
        ...

    @property
    def codec(self) -> Codec:
        """Reads and writes its definitions."""
        ...

    @property
    def methods(self) -> Mapping[str, Method]:
        """Its methods by their names on the wire."""
        ...

    @property
    def path(self) -> str:
        """The HTTP path of its endpoint."""
        ...

    @property
    def health_path(self) -> str | None:
        """The HTTP path that answers whether the server is well."""
        ...

    @property
    def instance_header(self) -> str:
        """The HTTP header that ties an answer to the server that asked."""
        ...


class Channel(Protocol):
    """One way to the other side; every generated client works over one. Safe to use from several tasks."""

    # Not `async def`, so that a channel may hand out the coroutine of another one.

    def call(self, method: str, params: Raw, on_event: OnEvent | None) -> Coroutine[Any, Any, Success | Failure]:
        """Send a request and wait for its answer; cancelling it tells the other side."""
        ...

    def notify(self, method: str, params: Raw) -> Coroutine[Any, Any, None]:
        """Send a notification."""
        ...

    async def open(self) -> None:
        """Make the connection where there is one to make."""
        ...

    async def aclose(self) -> None:
        """End the connection."""
        ...


class Sdk(msgspec.Struct, frozen=True):
    """What an SDK has beside its tables.

    `answer`: the exception that, raised by a handler, is the error to answer with (`code`, `message`, `data`, and
    `DATA`, the name of the definition of its data). `invalid`: the exception for a value that breaks its schema;
    `as_data()` lists the faults. `types`: the classes of definitions by name; for those in `exact` msgspec's decoder
    alone refuses whatever the schema refuses.
    """

    answer: type[Exception]
    invalid: type[Exception]
    types: Mapping[str, Any] = {}
    exact: frozenset[str] = frozenset()


def sdk_of(info: ProtocolInfo) -> Sdk:
    """The SDK that `info` belongs to; its parts live beside the class of its table.

    Exceptions are known by class and not by shape: one of some library that happens to have a code and a message is
    not ours, and its text must not reach the wire. Errors: TypeError for a table that no SDK generated.
    """
    package = type(info).__module__.rpartition(".")[0]
    root = package.rpartition(".")[0]
    try:
        errors, boundary = sys.modules[f"{package}.errors"], sys.modules[f"{package}.boundary"]
        types = sys.modules[f"{root}.types"]
        return Sdk(errors.RpcError, boundary.ValidationError, types.TYPES, types.EXACT)
    except (KeyError, AttributeError):
        raise TypeError(
            f"expected the PROTOCOL of a generated SDK, got a {type(info).__module__}.{type(info).__qualname__}; "
            "pass sdk= for tables of your own"
        ) from None


class FreeClass(msgspec.Struct, frozen=True):
    """The class of a definition whose members may each be any JSON value.

    Whatever the encoder writes for an instance is valid, provided that its `required` members are set and its `extras`
    (which the schema may restrict) are not.
    """

    type: type
    required: tuple[str, ...]
    extras: tuple[str, ...]

    def guarantees(self, value: object) -> bool:
        """Whether the JSON of `value` needs no check."""
        if type(value) is not self.type:
            return False
        for name in self.required:
            if getattr(value, name) is msgspec.UNSET:
                return False
        return all(getattr(value, name) is msgspec.UNSET for name in self.extras)


def free_class(sdk: Sdk, name: str | None) -> FreeClass | None:
    """What is known of the definition `name` if it is such a one; None for any other."""
    definition = sdk.types.get(name or "")
    if name not in sdk.exact or not (isinstance(definition, type) and issubclass(definition, msgspec.Struct)):
        return None
    required: list[str] = []
    extras: list[str] = []
    for field in msgspec.structs.fields(definition):
        if field.encode_name.startswith(_NONCHARACTER):
            extras.append(field.name)
        elif Any not in (field.type, *get_args(field.type)):
            return None
        elif field.required:
            required.append(field.name)
    return FreeClass(definition, tuple(required), tuple(extras))


_NONCHARACTER = "\ufdd0"
"""Begins the names under which SDKs keep what has no name of its own, such as unknown members."""
