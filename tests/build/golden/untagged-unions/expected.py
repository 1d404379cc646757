"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from .rpc.boundary import Arm, Boxed, OpenRecord


class ByKey(Boxed):
    """The value `ByKey`, told apart by its content."""

    __slots__ = ()

    value: ByKeyOption1 | ByKeyOption2 | ByKeyOption3

    def __init__(self, value: ByKeyOption1 | ByKeyOption2 | ByKeyOption3) -> None:
        super().__init__(value)


class ByKeyOption1(OpenRecord, kw_only=True):
    """The object `ByKeyOption1`."""

    url: str


class ByKeyOption2(OpenRecord, kw_only=True):
    """The object `ByKeyOption2`."""

    path: str


class ByKeyOption3(OpenRecord, kw_only=True):
    """The object `ByKeyOption3`."""

    path: str
    line: int


Scalar: TypeAlias = str | int | bool | None

OneOrMany: TypeAlias = str | list[str]

Types: TypeAlias = str | list[int] | dict[str, int]

Numbers: TypeAlias = int | float

ByKey.ARMS = (
    Arm(type=ByKeyOption1, kinds=("object",), required=("url",), schema="ByKeyOption1"),
    Arm(type=ByKeyOption2, kinds=("object",), required=("path",), schema="ByKeyOption2"),
    Arm(type=ByKeyOption3, kinds=("object",), required=("path", "line"), schema="ByKeyOption3"),
)

TYPES: Final[dict[str, Any]] = {
    "ByKey": ByKey,
    "ByKeyOption1": ByKeyOption1,
    "ByKeyOption2": ByKeyOption2,
    "ByKeyOption3": ByKeyOption3,
    "Scalar": Scalar,
    "OneOrMany": OneOrMany,
    "Types": Types,
    "Numbers": Numbers,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"ByKeyOption1", "ByKeyOption2", "ByKeyOption3", "Scalar", "OneOrMany"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
