"""What dispatch needs to see of a generated SDK, as structure: any SDK fits, none is imported.

Knows no protocol by name. The classes here describe; the generated `rpc.table` and `rpc.boundary` fulfil.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol, TypeAlias

import msgspec
from msgspec import Raw

from protogen_runtime.jsonrpc import Failure, Success

Json: TypeAlias = Any
"""Any JSON value as Python objects."""

OnEvent: TypeAlias = Callable[[Json], Awaitable[None]]
"""Told each event of a streaming answer, as a JSON value, in order."""


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

    async def call(self, method: str, params: Raw, on_event: OnEvent | None) -> Success | Failure:
        """Send a request and wait for its answer; cancelling it tells the other side."""
        ...

    async def notify(self, method: str, params: Raw) -> None:
        """Send a notification."""
        ...

    async def open(self) -> None:
        """Make the connection where there is one to make."""
        ...

    async def aclose(self) -> None:
        """End the connection."""
        ...


class Exceptions(msgspec.Struct, frozen=True):
    """The two exception classes of an SDK that mean something on the wire.

    `answer`: raised by a handler, it is the error to answer with (`code`, `message`, `data`, and `DATA`, the name of
    the definition of its data). `invalid`: a value breaks its schema; `as_data()` lists the faults.
    """

    answer: type[Exception]
    invalid: type[Exception]


def exceptions_of(info: ProtocolInfo) -> Exceptions:
    """The exception classes of the SDK that `info` belongs to: they live beside the class of its table.

    By class and not by shape: an exception of some library that happens to have a code and a message is not ours, and
    its text must not reach the wire. Errors: TypeError for a table that no SDK generated.
    """
    package = type(info).__module__.rpartition(".")[0]
    try:
        errors, boundary = sys.modules[f"{package}.errors"], sys.modules[f"{package}.boundary"]
        return Exceptions(errors.RpcError, boundary.ValidationError)
    except (KeyError, AttributeError):
        raise TypeError(
            f"expected the PROTOCOL of a generated SDK, got a {type(info).__module__}.{type(info).__qualname__}; "
            "pass exceptions= for tables of your own"
        ) from None
