"""The messages of schema."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal, TypeAlias

from msgspec import UNSET, UnsetType, field

from .rpc.boundary import OpenRecord


class Error(OpenRecord, kw_only=True):
    """The object `Error`."""

    class_: str = field(name="class")
    def_: int | UnsetType = field(name="def", default=UNSET)
    type: str | UnsetType = UNSET
    self_: str | UnsetType = field(name="self", default=UNSET)
    none: str | UnsetType = field(name="None", default=UNSET)
    func: str | UnsetType = UNSET


class Any_(OpenRecord, kw_only=True):
    """The object `Any`."""

    any: str | UnsetType = UNSET


class Object(OpenRecord, kw_only=True):
    """The object `Object`."""

    object: Any_ | UnsetType = UNSET


class Record_(OpenRecord, kw_only=True):
    """The object `Record`."""

    extra_: str | UnsetType = field(name="extra", default=UNSET)
    validate: str | UnsetType = UNSET


class FooBar_2(OpenRecord, kw_only=True):
    """The object `foo_bar`."""

    a: str | UnsetType = UNSET


class FooBar_1(OpenRecord, kw_only=True):
    """The object `fooBar`."""

    b: str | UnsetType = UNSET


class Members(OpenRecord, kw_only=True):
    """The object `Members`."""

    foo_bar_1: str = field(name="foo_bar")
    foo_bar_4: str | UnsetType = field(name="fooBar", default=UNSET)
    foo_bar_2: str | UnsetType = field(name="FooBar", default=UNSET)
    foo_bar_3: str | UnsetType = field(name="foo-bar", default=UNSET)
    _1_st: str | UnsetType = field(name="1st", default=UNSET)
    value: str | UnsetType = field(name="", default=UNSET)
    é: str | UnsetType = UNSET
    a_b: str | UnsetType = field(name="a b", default=UNSET)


class Promise(OpenRecord, kw_only=True):
    """The object `Promise`."""

    then: str | UnsetType = UNSET


class UnknownA(OpenRecord, kw_only=True, tag_field="kind", tag="a"):
    """The object `UnknownA`."""

    kind: ClassVar[Literal["a"]] = "a"


class UnknownB(OpenRecord, kw_only=True, tag_field="kind", tag="b"):
    """The object `UnknownB`."""

    kind: ClassVar[Literal["b"]] = "b"


Map: TypeAlias = dict[str, str]

String: TypeAlias = str

Unknown: TypeAlias = UnknownA | UnknownB

TYPES: Final[dict[str, Any]] = {
    "Error": Error,
    "Any": Any_,
    "Map": Map,
    "Object": Object,
    "String": String,
    "Record": Record_,
    "foo_bar": FooBar_2,
    "fooBar": FooBar_1,
    "Members": Members,
    "Promise": Promise,
    "Unknown": Unknown,
    "UnknownA": UnknownA,
    "UnknownB": UnknownB,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset(
    {"Error", "Any", "Map", "Object", "String", "Record", "foo_bar", "fooBar", "Members", "Promise", "Unknown"},
)
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
