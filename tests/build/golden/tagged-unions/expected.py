"""The messages of schema."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal, TypeAlias

from msgspec import UNSET, UnsetType

from .rpc.boundary import OpenRecord


class Circle(OpenRecord, kw_only=True, tag_field="kind", tag="circle"):
    """The object `Circle`."""

    kind: ClassVar[Literal["circle"]] = "circle"
    r: int


class Square(OpenRecord, kw_only=True, tag_field="kind", tag="square"):
    """The object `Square`."""

    kind: ClassVar[Literal["square"]] = "square"
    a: int


class Cat(OpenRecord, kw_only=True, tag_field="petType", tag="cat"):
    """The object `Cat`."""

    pet_type: ClassVar[Literal["cat"]] = "cat"
    lives: int | UnsetType = UNSET


class Dog(OpenRecord, kw_only=True, tag_field="petType", tag="dog"):
    """The object `Dog`."""

    pet_type: ClassVar[Literal["dog"]] = "dog"


class DollarText(OpenRecord, kw_only=True, tag_field="$type", tag="Text"):
    """The object `DollarText`."""

    type: ClassVar[Literal["Text"]] = "Text"
    v: str


class DollarOption2(OpenRecord, kw_only=True, tag_field="$type", tag="None"):
    """The object `DollarOption2`."""

    type: ClassVar[Literal["None"]] = "None"


class Base(OpenRecord, kw_only=True):
    """The object `Base`."""

    id: str


class EventOption1(OpenRecord, kw_only=True, tag_field="type", tag="made"):
    """The object `EventOption1`."""

    id: str
    type: ClassVar[Literal["made"]] = "made"
    by: str | UnsetType = UNSET


class EventOption2(OpenRecord, kw_only=True, tag_field="type", tag="gone"):
    """The object `EventOption2`."""

    id: str
    type: ClassVar[Literal["gone"]] = "gone"


Shape: TypeAlias = Circle | Square

Pet: TypeAlias = Cat | Dog

Dollar: TypeAlias = DollarText | DollarOption2

Event: TypeAlias = EventOption1 | EventOption2

TYPES: Final[dict[str, Any]] = {
    "Circle": Circle,
    "Square": Square,
    "Shape": Shape,
    "Pet": Pet,
    "Cat": Cat,
    "Dog": Dog,
    "Dollar": Dollar,
    "DollarText": DollarText,
    "DollarOption2": DollarOption2,
    "Base": Base,
    "Event": Event,
    "EventOption1": EventOption1,
    "EventOption2": EventOption2,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Shape", "Pet", "Dollar", "Base"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
